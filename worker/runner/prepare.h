/* PREPARE: makes the workspace of a task's attempt. */
#ifndef FLEET_RUNNER_PREPARE_H
#define FLEET_RUNNER_PREPARE_H

#include "worker/runner/run.h"
#include "worker/runner/work.h"

/* In a process of its own. `path`: PATH of a job, in which git is looked for. `channel`: a socket
 * whose other end is closed when nobody wants the answer any more. `worked` comes as a failure and
 * is filled in. */
void prepare_run(const struct base *base, const struct runner_key *key,
                 const struct runner_work *work, const char *path, int channel,
                 struct runner_worked *worked);

#endif
