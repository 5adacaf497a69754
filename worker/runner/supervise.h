/* A run's supervisor: one process, in a session of its own, the subreaper of all that its agent
 * leaves behind. It sleeps unless something happens.
 *
 * Between the steps: go (recorded, synced, mkdir go) -> run -> [linger] -> [int] -> [term] ->
 * [kill] -> status. The status is written when nothing of the run lives any more, and says how that
 * is known. A stop comes as a signal with a value, from whoever may signal us; nothing that an
 * agent can write into a file is ever a pid, a group, a path or a command here. */
#ifndef FLEET_RUNNER_SUPERVISE_H
#define FLEET_RUNNER_SUPERVISE_H

#include <signal.h>
#include <sys/types.h>

#include "worker/runner/frame.h"
#include "worker/runner/run.h"
#include "worker/runner/seat.h"

/* Called under the run's lock with the upload in up.<epoch>/ and empty out and err. Starts this
 * program anew as `supervise`, detached (setsid, descriptors closed), hands the lock over and waits
 * for its word. `path`: PATH of the job. `seat`: of the account that the job gets, which goes with
 * it; NULL: the job gets ours. */
enum supervise_said { SUPERVISE_STARTED, SUPERVISE_EXISTS, SUPERVISE_DISK_FULL, SUPERVISE_FAILED };
enum supervise_said supervise_start(const struct base *base, const struct runner_key *key,
                                    const struct runner_start *start, const char *path, int lock,
                                    const struct seat *seat);

/* Asks the supervisor to stop the run; the first reason counts. False when there is no such process
 * any more, or the reason is none of RUNNER_STOP_REASONS. `pid` was confirmed by
 * process_supervisor(). */
bool supervise_stop(pid_t pid, const struct runner_key *key, const struct runner_stop *stop);
/* What is left of a run without supervisor is ended by a detached process of its own. */
bool supervise_slay(const struct base *base, const struct runner_key *key,
                    const struct runner_stop *stop);

/* `fleet-runner supervise BASE RUN EPOCH NONCE TIMEOUT CAP FOLDER PATH ACCOUNT UID SANDBOX` and
 * `fleet-runner slay BASE RUN EPOCH NONCE GRACE TERM ACCOUNT`: exit statuses. ACCOUNT is "" where
 * the job has ours; where it has another one, which sees command lines, NONCE is its tag and the
 * nonce itself is in the environment. */
int supervise_main(int argc, char **argv);
int slay_main(int argc, char **argv);

/* --- Between the call and the process that it starts --- */

#define SUPERVISE_ANSWER 3 /* descriptor: one byte, '0' + supervise_said */
#define SUPERVISE_LOCK 4   /* descriptor: the run's lock */
#define SUPERVISE_SEAT 5   /* descriptor: the lock of another account; held to the end */
#define SUPERVISE_STOP (SIGRTMIN + 3)
#define SUPERVISE_NONCE "FLEET_NONCE"

/* RUN EPOCH NONCE and a number of a command line. */
bool supervise_take_key(char *const argv[static 3], struct runner_key *key);
bool supervise_take_number(const char *text, int64_t least, int64_t most, int64_t *number);
/* A stop as the value of its signal. False: not one of ours. */
bool supervise_pack(const struct runner_stop *stop, int *value);
bool supervise_unpack(int value, struct runner_stop *stop);

#endif
