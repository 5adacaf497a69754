/* Whether an agent ever worked in a task's workspace: what has to be done once in a new one is done
 * until it did. The runner keeps the answer in the task's stage, where no agent writes in
 * `separate` isolation: a line, `used`, with what makes the workspace's directory this one and no
 * other. */
#ifndef FLEET_RUNNER_FRESH_H
#define FLEET_RUNNER_FRESH_H

#include <stdbool.h>

#include "worker/runner/base.h"

/* `folder`: the task's slug. True also where there is no stage. */
bool fresh_is(const struct base *base, const char *folder);
void fresh_end(const struct base *base, const char *folder); /* an agent has worked there */

#endif
