/* Agents' calls that wait for a task: kept here, claimed for together, answered as tasks come.
 *
 * Calls of equal narrowing of capabilities form a class; of each class one claim is under way at
 * most: for those that came lately; and for all that wait in it, the longest waiting first, after
 * every notification, once more when one came meanwhile, and on a slow poll. While anybody waits,
 * this node is one of fleet.waiter, so that submissions notify it; who finds nothing sleeps only
 * behind a claim that began after that row stood: no wake-up is lost between the two.
 *
 * A task whose call is gone when the claim answers goes to another call of the same agent, or is
 * given back at once; so is one whose answer was reset on its way. */
#ifndef FLEET_PULL_H
#define FLEET_PULL_H

#include <stddef.h>

#include "common/db/db.h"
#include "common/loop.h"
#include "server/ceiling.h"
#include "server/http/call.h"
#include "server/node.h"

#define PULL_WAIT_MAX 60 /* seconds */

struct pull;

/* All are borrowed and outlive it. poll_secs: the slow poll, which a reload may change. */
struct pull *pull_new(struct loop *loop, struct db *db, struct node *node, struct ceiling *ceiling,
                      int poll_secs);
void pull_set_poll(struct pull *pull, int poll_secs);

/* Answers the call with a task of this executor (200), with nothing after wait_secs (204), or with
 * a refusal. `capabilities` is an array literal, NULL: all that the agent has; copied. */
void pull_wait(struct pull *pull, struct call *call, int executor, const char *capabilities,
               int wait_secs);

void pull_notify(struct pull *pull); /* there may be work */
/* The database is back: notifications may have been missed, and the row among the waiters may be
 * gone (its table is not logged: a crash empties it). */
void pull_reconnected(struct pull *pull);
void pull_drain(struct pull *pull); /* answers all: who comes from now on is answered at once */
void pull_stop(struct pull *pull);  /* closes its timers; no call waits any more */
void pull_free(struct pull *pull);  /* NULL is fine; after db_stop and pull_stop, and one turn */

#endif
