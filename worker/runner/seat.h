/* Who has an account: one run at a time. Whoever takes it ends first whatever lives in it.
 *
 *   <work_dir>/.fleet/seats/<account>    flock: held by the supervisor of a run, or by whoever
 * moves files in or out; "uid run nonce" of the last run
 *
 * While a run is the last one, all that lives in its account is of that run. */
#ifndef FLEET_RUNNER_SEAT_H
#define FLEET_RUNNER_SEAT_H

#include <stdbool.h>
#include <sys/types.h>

#include "worker/runner/base.h"
#include "worker/runner/frame.h"

struct seat {
    char name[RUNNER_ACCOUNT_SIZE];
    uid_t uid;
    int lock; /* owned */
};

/* Takes the account and ends all that lives in it. NULL, or a reason: account_busy (another run has
 * it, or what lives there does not end), account_failed (sudo does not let us, it is our own or
 * root's, or /proc hides processes). Waits SEAT_MS for the lock. */
#define SEAT_MS 5000
const char *seat_take(const struct base *base, const char *name, struct seat *seat);
/* Its lock alone; false: another has it. */
bool seat_hold(const struct base *base, const char *name, struct seat *seat);
/* From now on what lives there is of this run. */
bool seat_give(const struct seat *seat, const struct runner_key *key);
void seat_leave(struct seat *seat);

/* The name of the account with this uid that ever was taken; false: none. */
bool seat_of(const struct base *base, uid_t uid, char name[static RUNNER_ACCOUNT_SIZE]);
/* Whether the run is the last one of the account, and something lives there. */
bool seat_lives(const struct base *base, const char *name, const struct runner_key *key);

#endif
