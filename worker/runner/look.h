/* Agents that a job would find: where PATH comes from, and what a command says of itself. */
#ifndef FLEET_RUNNER_LOOK_H
#define FLEET_RUNNER_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/runner/frame.h"

#define LOOK_PATH_SIZE 4096
#define LOOK_SECS 5 /* that a profile, or a command, gets */

/* PATH as ~/.profile sets it, for a shell of sshd has read no profile: agents live in ~/.local/bin
 * and the like. Ours where there is none, or where it fails. */
void look_path(char path[static LOOK_PATH_SIZE]);
/* The program that `command`, a bare name or an absolute path, means with this PATH. */
bool look_find(const char *command, const char *path, char file[static LOOK_PATH_SIZE]);
/* A path as a frame takes it: what is not printable ASCII becomes "?", what is too long is cut. */
void look_show(const char *text, char *shown, size_t size);
/* Fills in seen[0..n) for the looks. Gives up what is not answered at `deadline` (clock_now). */
void look_for(const struct runner_look *looks, int n, const char *path, int64_t deadline,
              struct runner_seen *seen);

#endif
