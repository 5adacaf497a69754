/* HARVEST: takes in what an agent did, and pushes it. */
#ifndef FLEET_RUNNER_HARVEST_H
#define FLEET_RUNNER_HARVEST_H

#include "worker/runner/run.h"
#include "worker/runner/work.h"

/* In a process of its own. `path`: PATH of a job, in which git is looked for. `channel`: a socket
 * whose other end is closed when nobody wants the answer any more. `worked` comes as a failure and
 * is filled in. */
void harvest_run(const struct base *base, const struct runner_key *key,
                 const struct runner_work *work, const char *path, int channel,
                 struct runner_worked *worked);

#endif
