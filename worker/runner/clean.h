/* CLEAN: what is old goes, in bounded time. */
#ifndef FLEET_RUNNER_CLEAN_H
#define FLEET_RUNNER_CLEAN_H

#include <stdint.h>

#include "worker/runner/run.h"

#define CLEAN_MS 20000 /* of one call; what is left then is for the next one */

/* The working directory of a task, `folder` under <work_dir>/tasks. Its reply: RUNNER_STATE when
 * nothing of it is there any more; refused as `in_use` (a run of it may live, or a process works in
 * it), `busy` (time is over: ask again), or `folder` (it cannot be removed, or is none of ours: a
 * mount point, immutable, somebody else's), or `repository` (it has one: a REMOVE,
 * worker/runner/remove.h, loses nothing of it). With "": what calls that were killed on their way
 * have left, and runners of other versions that nothing has used for a month. */
void clean(const struct base *base, const char *folder, struct runner_reply *reply);

/* The folder of a task, whatever is in it: NULL, it is gone, or why not. */
const char *clean_folder(const struct base *base, const char *folder);
bool clean_is_used(const struct base *base, const char *folder); /* as far as we see */

/* What removals and calls that were killed on their way left in `dir`: names of theirs begin with a
 * dot. True: nothing is left. */
bool clean_leftovers(const struct base *base, int dir, int64_t deadline);

#endif
