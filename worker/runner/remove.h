/* REMOVE: the workspace and the stage of a task that is over, once nothing would be lost by it. */
#ifndef FLEET_RUNNER_REMOVE_H
#define FLEET_RUNNER_REMOVE_H

#include "worker/runner/run.h"
#include "worker/runner/work.h"

/* What was committed or left is taken in first, and what of it the server does not have goes to
 * rescue/<slug> (worked->rescue). READY: workspace and stage are gone. KEPT, with what stands in
 * the way: in_use; workspace_busy; uncommitted (what looks like secrets or is too large, a working
 * tree that was put aside); workspace_tampered; why it could not be pushed; busy, folder
 * (worker/runner/clean.h). May be repeated at any time. */
void remove_run(const struct base *base, const struct runner_key *key,
                const struct runner_work *work, const char *path, int channel,
                struct runner_worked *worked);

/* Mirrors that no stage has its objects from, and that nobody has fetched for a month, go. */
void remove_mirrors(const struct base *base, int64_t deadline);

#endif
