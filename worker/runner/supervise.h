/* A run's supervisor: one process, in a session of its own, the subreaper of all that its agent
 * leaves behind. It sleeps unless something happens.
 *
 * Between the steps: go (recorded, synced, mkdir go) -> run -> [int] -> [term] -> [kill] -> drain
 * -> status. The status is written when nothing of the run lives any more, and says how that is
 * known. A stop comes as a signal with a value, from whoever may signal us; nothing that an agent
 * can write into a file is ever a pid, a group, a path or a command here. */
#ifndef FLEET_RUNNER_SUPERVISE_H
#define FLEET_RUNNER_SUPERVISE_H

#include <sys/types.h>

#include "worker/runner/frame.h"
#include "worker/runner/run.h"

/* Called under the run's lock with the upload in up.<epoch>/ and empty out and err. Starts this
 * program anew as `supervise`, detached (setsid, descriptors closed), hands the lock over and waits
 * for its word. `path`: PATH of the job. */
enum supervise_said { SUPERVISE_STARTED, SUPERVISE_EXISTS, SUPERVISE_DISK_FULL, SUPERVISE_FAILED };
enum supervise_said supervise_start(const struct base *base, const struct runner_key *key,
                                    const struct runner_start *start, const char *path, int lock);

/* Asks the supervisor to stop the run; the first reason counts. False when there is no such process
 * any more. `pid` was confirmed by process_supervisor(). */
bool supervise_stop(pid_t pid, const struct runner_key *key, const struct runner_stop *stop);
/* What is left of a run without supervisor is ended by a detached process of its own. */
bool supervise_slay(const struct base *base, const struct runner_key *key,
                    const struct runner_stop *stop);

/* `fleet-runner supervise …` and `fleet-runner slay …`: exit statuses. */
int supervise_main(int argc, char **argv);
int slay_main(int argc, char **argv);

#endif
