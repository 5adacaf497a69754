/* Runs whose supervisor is the shell script that came before this program: they are read like ours,
 * but hear of a stop in another way. */
#ifndef FLEET_RUNNER_LEGACY_H
#define FLEET_RUNNER_LEGACY_H

#include "worker/runner/frame.h"

/* `run`: the run's directory. False when the disk takes no more. */
bool legacy_stop(int run, const struct runner_stop *stop);

#endif
