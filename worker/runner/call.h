/* START, RAISE, VOID, STOP and GC, carried out. Each runs in a process of its own that serve forks:
 * it may wait for the run's lock (20 s at most, then "busy") and for the disk. */
#ifndef FLEET_RUNNER_CALL_H
#define FLEET_RUNNER_CALL_H

#include "worker/runner/frame.h"
#include "worker/runner/run.h"

/* Reads the payload of `type`, does it, fills in `reply` (always: a verdict, and a record that
 * names the run). `path`: PATH of a job. A START returns once its supervisor has said that it is
 * past go or failed; the supervisor is a process of its own then and keeps nothing of ours open. */
void call_run(const struct base *base, enum frame_type type, struct frame_in *payload,
              const char *path, struct runner_reply *reply);

#endif
