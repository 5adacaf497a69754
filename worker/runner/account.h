/* Another account, in which the agents of one slot run (isolation `separate`): this program runs as
 * it by sudo, and does there what only it may do. What runs there is told by its uid, which nothing
 * of it can shed: it has no new privileges. */
#ifndef FLEET_RUNNER_ACCOUNT_H
#define FLEET_RUNNER_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "worker/runner/base.h"

/* Starts `fleet-runner WORD...` as the account. `in`, `out`, `err`: its streams; -1: nothing.
 * -1: no process. */
struct account_streams {
    int in, out, err;
};
pid_t account_start(const char *name, const char *const words[],
                    const struct account_streams *streams);
/* The same, executed by this process. */
_Noreturn void account_become(const char *name, const char *const words[]);
/* Waits for such a process: what its exit status says. */
enum account_said {
    ACCOUNT_NONE = 0,    /* nothing of the account lives; or what was to be done is done */
    ACCOUNT_SOME = 10,   /* something lives */
    ACCOUNT_FAILED = 11, /* it could not be done */
    ACCOUNT_NO,          /* sudo does not let us, or cannot execute it */
};
enum account_said account_status(int status); /* of waitpid() */
enum account_said account_wait(pid_t pid);

/* Everything of the account gets the signal; ACCOUNT_NONE or ACCOUNT_SOME says how it is then.
 * *uid: who it is, 0: not known; may be NULL. */
enum account_said account_signal(const char *name, int signal, uid_t *uid);
/* KILL until nothing lives, ACCOUNT_CLEAR_MS at most. */
#define ACCOUNT_CLEAR_MS 10000
enum account_said account_clear(const char *name, uid_t *uid);

/* What lies under this path, which is of the account, whatever is in it. */
bool account_remove(const char *name, const char *path);

/* Lets others pass through the folders on the way to this program, and execute it; they see no
 * name there, and nothing else is opened. */
bool account_open_way(const struct base *base);

/* Whether we run behind the sudo of this caller's, in an account that is not its. */
bool account_is_right(const char *caller);
/* `fleet-runner every UID_OF_CALLER SIGNAL` and `fleet-runner remove UID_OF_CALLER PATH`, as the
 * account. Exit status: account_said. */
int account_main(int argc, char **argv);
int account_remove_main(int argc, char **argv);

#endif
