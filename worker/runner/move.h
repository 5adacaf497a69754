/* The folder of a task goes from one account to another: from us to that of a slot before its run,
 * back to us when we want to look at what is in it. It lies at <work_dir>/tasks/<slug> all the
 * time, and belongs to whoever has it. Its files are written anew by whoever gets it, from a stream
 * of whoever had it (worker/runner/give.h); nobody changes an owner, and we read nothing of a
 * hostile account but that stream. */
#ifndef FLEET_RUNNER_MOVE_H
#define FLEET_RUNNER_MOVE_H

#include <stdint.h>

#include "worker/runner/base.h"
#include "worker/runner/seat.h"

/* `to`: who gets it, and one is made where there is none; NULL: we. Nothing is done where it is
 * theirs already. What had it is removed. NULL, or a reason: account_busy,
 * account_failed, host_disk_full, folder (it is too deep or too much, or none of ours). May be
 * repeated after any interruption. */
const char *move_folder(const struct base *base, const char *folder, const struct seat *to);
/* The same for an account that nobody has now: takes it first. */
const char *move_to(const struct base *base, const char *folder, const char *account);
/* Whatever lies under the name in <work_dir>/tasks, by whomever it is of; `deadline`: clock_now. */
bool move_remove(const struct base *base, int tasks, const char *name, int64_t deadline);

/* `fleet-runner give UID_OF_CALLER PATH` and `fleet-runner take UID_OF_CALLER PATH`, as the account
 * that has the folder, or is to have it: to stdout, from stdin. Exit status: account_said. */
int move_main(int argc, char **argv);

#endif
