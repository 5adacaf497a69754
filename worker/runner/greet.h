/* Who the host is, and what it has for a run: the answer to HELLO, worked out in a child. */
#ifndef FLEET_RUNNER_GREET_H
#define FLEET_RUNNER_GREET_H

#include "worker/runner/frame.h"
#include "worker/runner/run.h"
#include "worker/runner/shell.h"

#define GREET_SHELL 200 /* a frame of the child's to its parent: struct shell */

/* Sends a GREETING to `socket`, and before it, unless `known` is what the login shell says, a
 * GREET_SHELL; a packet each. The shell is asked where it is not known, and, while there is time
 * for that, where something is not found in its PATH, which somebody may have mended. `base->dir`
 * -1: there is none, `why`. Ends in GREET_MS at the latest. */
#define GREET_MS 40000
void greet(const struct base *base, const char *why, struct frame_in *payload,
           const struct shell *known, int socket, uint32_t id);

#endif
