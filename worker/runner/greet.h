/* Who the host is, and what it has for a run: the answer to HELLO, worked out in a child. */
#ifndef FLEET_RUNNER_GREET_H
#define FLEET_RUNNER_GREET_H

#include "worker/runner/frame.h"
#include "worker/runner/run.h"

#define GREET_PATH 200 /* a frame of the child's to its parent: PATH of jobs */

/* Sends a GREET_PATH, unless `path` is known, and a GREETING to `socket`, a packet each.
 * `base->dir` -1: there is none, `why`. Ends in GREET_MS at the latest. */
#define GREET_MS 40000
void greet(const struct base *base, const char *why, struct frame_in *payload, const char *path,
           int socket, uint32_t id);

#endif
