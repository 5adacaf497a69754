/* Run directories on the host: what lies in them, and what it means.
 *
 *   <work_dir>/.fleet/<fleet id>/          the base
 *     bin/fleet-runner-<sha256>            this program
 *     runs/<run>/                          made in one rename with nonce, epoch and lock inside
 *       lock             flock: serialises the calls about one run; a supervisor holds it until it
 *                        is past go
 *       nonce epoch      one line each; the epoch only grows
 *       up.<epoch>/      a complete upload: job.sh, prompt, the reserved status block
 *       go/              mkdir of it is the only compare-and-set that starts or voids
 *         supervisor     "pid start_time boot epoch" of its winner, written before anything runs
 *         output         "dev inode dev inode" of out and err
 *         account        the account of its job, where it is not ours
 *         void           a tombstone: never started
 *       out err          what the job wrote
 *       status           "status nonce exit ms reason out_bytes err_bytes ." and a second line,
 *                        "proof WORDS": the run has ended
 *   <work_dir>/.fleet/seats/<account>      who has another account (worker/runner/seat.h)
 *   <work_dir>/.fleet/tmp/<8 hex of the nonce>.<the run after its last dash>/   TMPDIR of a run,
 *                                                                             removed at its end
 *   <work_dir>/tasks/<slug>/               cwd of a task's jobs
 *
 * Runs that the script of before left are of the same form (their first lines are the same).
 * Everything is opened relative to a directory's descriptor, O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
 * and used only when it is a regular file of our own uid. */
#ifndef FLEET_RUNNER_RUN_H
#define FLEET_RUNNER_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/runner/base.h"
#include "worker/runner/frame.h"

/* How the run is, without changing anything; never waits. record->run is set in any case.
 *
 * What lives decides before what lies there: with a living supervisor it is RUNNING, and when
 * something lies there that cannot lie beside one, `reason` says what (status_early,
 * rundir_missing, rundir_foreign, supervisor_missing, void_forged): for a moment that is the
 * ordinary end, for longer it is tampering. Without one, ORPHANED while something bears its mark.
 * An epoch that is no number is INT64_MAX. */
void run_look(const struct base *base, const struct runner_key *key, struct runner_record *record);
/* A record that names the run and says no more: ABSENT. */
void run_record_init(struct runner_record *record, const struct runner_key *key);
/* The epoch of a run's directory; INT64_MAX when it is no number. */
int64_t run_epoch(int dir);
/* The run's directory when it is one of ours with this nonce, else -1; the caller closes it. */
int run_open(const struct base *base, const struct runner_key *key);
/* The account of its job; false, and "": it is ours, or nothing is known. */
bool run_account(const struct base *base, const struct runner_key *key,
                 char name[static RUNNER_ACCOUNT_SIZE]);
/* "stdout" or "stderr" for reading, when it is the very file that the supervisor writes; -1 with
 * *replaced set when it is another, -1 when there is none. */
int run_open_output(int run, int stream, bool *replaced);
/* The keys (run, nonce, epoch as they lie there) of every proper run directory. `each` gets a
 * borrowed key. */
void run_each(const struct base *base, void (*each)(void *data, const struct runner_key *key),
              void *data);

#endif
