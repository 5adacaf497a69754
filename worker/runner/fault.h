/* Why a workspace was not made, or nothing pushed: a word of fleet.reason, and what git said. */
#ifndef FLEET_RUNNER_FAULT_H
#define FLEET_RUNNER_FAULT_H

#include <stdbool.h>

#include "worker/runner/git.h"
#include "worker/runner/work.h"

/* All false, with the answer filled in: state FAILED, reason, detail (printable ASCII; cut). */
bool fault(struct runner_worked *worked, const char *reason, const char *detail);
/* Of errno: host_disk_full where the disk is, else workspace_failed; `what` could not be done. */
bool fault_of_errno(struct runner_worked *worked, const char *what);
/* Of move_folder(). */
bool fault_of_move(struct runner_worked *worked, const char *why);
/* Of the last git that ran: what its words mean; `otherwise` where they mean nothing of this. */
bool fault_of_git(struct runner_worked *worked, const struct git *git, const char *otherwise);

/* The last git found a repository of ours damaged: objects are missing, or cannot be read. */
bool fault_is_damage(const struct git *git);

#endif
