/* Agents that a job would find, and what a command says of itself. */
#ifndef FLEET_RUNNER_LOOK_H
#define FLEET_RUNNER_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/runner/frame.h"

#define LOOK_PATH_SIZE 4096

/* The program that `command`, a bare name or an absolute path, means with this PATH. */
bool look_find(const char *command, const char *path, char file[static LOOK_PATH_SIZE]);
/* A path as a frame takes it: what is not printable ASCII becomes "?", what is too long is cut. */
void look_show(const char *text, char *shown, size_t size);
/* Fills in seen[0..n) for the looks. None is asked of whose answer might come behind
 * `deadline` (clock_now). */
void look_for(const struct runner_look *looks, int n, const char *path, int64_t deadline,
              struct runner_seen *seen);

#endif
