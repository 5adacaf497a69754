/* What a supervisor writes into its run's directory: who it is before anything runs, and the status
 * at the end. */
#ifndef FLEET_RUNNER_RECORD_H
#define FLEET_RUNNER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/runner/output.h"
#include "worker/runner/supervise.h"

struct ending {
    int exit; /* as a shell says it */
    int64_t elapsed_ms;
    const char *reason;
    const char *proof; /* words */
};

/* go/supervisor, go/output and, unless it is "", go/account, durable; mkdir of go is the only
 * compare-and-set. */
enum supervise_said record_go(int run, int up, const struct runner_key *key,
                              const struct output out[static 2], const char *account);
/* Into the reserved block, then over whatever an agent put under the name. */
bool record_status(int run, int up, const struct runner_key *key, const struct output out[static 2],
                   const struct ending *ending);

#endif
