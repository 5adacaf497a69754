/* The stage of a task: a bare repository of ours, in which all of our git for it runs. The agent's
 * repository is taken in here, and from here is pushed.
 *
 *   <base>/stages/<slug>/
 *     HEAD config objects/ refs/   by us; the mirror's objects are its alternates
 *     refs/heads/task/<slug>       what we took in last: the branch
 *     refs/fleet/base              where the branch began: head of the base branch as prepared
 *     refs/fleet/start             head of the branch when the last attempt was prepared
 *     refs/fleet/pushed            our own last head on the server
 *     base_branch                  name of the base branch, a line
 *     number                       the highest attempt that prepared the workspace, a line
 *     lock                         flock: one PREPARE, HARVEST or CLEAN at a time; git that we
 * start inherits it, so that nobody else begins while one lives on
 *
 * References are loose files, written in one step under the lock: no git process is needed to read
 * or set one, and none that was killed leaves a lock of its own behind. */
#ifndef FLEET_RUNNER_STAGE_H
#define FLEET_RUNNER_STAGE_H

#include <stdbool.h>

#include "worker/runner/base.h"
#include "worker/runner/refs.h"

#define STAGE_BASE "refs/fleet/base"
#define STAGE_START "refs/fleet/start"
#define STAGE_PUSHED "refs/fleet/pushed"

struct stage {
    int dir, lock;   /* owned; -1: not open */
    char path[4352]; /* absolute */
};

enum stage_end {
    STAGE_OPEN,
    STAGE_NONE,   /* there is none */
    STAGE_BUSY,   /* somebody else has its lock: ask again */
    STAGE_FAILED, /* errno */
};

/* Opens and locks the stage of `folder` (a slug); waits 20 s at most. `make`: an empty folder is
 * made where there is none; whoever made it fills it in. */
enum stage_end stage_open(const struct base *base, const char *folder, bool make,
                          struct stage *stage);
void stage_close(struct stage *stage);

/* False, and "": there is none. */
bool stage_ref(const struct stage *stage, const char *name, char commit[static REFS_COMMIT_SIZE]);
/* False: errno. */
bool stage_set(const struct stage *stage, const char *name, const char *commit);
/* 0: nothing was prepared yet. */
long stage_number(const struct stage *stage);
/* Of the workspace's base branch; "" when nothing was prepared. */
void stage_base_branch(const struct stage *stage, char name[static REFS_NAME_SIZE]);

#endif
