/* The part of a sweep that is about workspaces of repositories: each is asked to be removed once
 * nothing of it would be lost, one after the other, and SQL is told what became of it. */
#ifndef FLEET_REMOVAL_H
#define FLEET_REMOVAL_H

#include <stdbool.h>

#include "common/db/db.h"
#include "worker/runner/frame.h"

struct host;
struct sweep;

/* Asks SQL for those that are old on the sweep's host, and for each the host. sweep_rest() goes on,
 * in any case. */
void removal_begin(struct sweep *sweep);

/* In sweep.c. */
struct host *sweep_host(struct sweep *sweep); /* NULL: it is not to be spoken to any more */
/* `up`: the host was not lost on the way. */
void sweep_rest(struct sweep *sweep, bool up);
/* Of a row with nonce, epoch, pid, start and boot. False: no host could have it. */
bool sweep_key(struct runner_key *key, const struct db_result *res, int row, const char *run);

#endif
