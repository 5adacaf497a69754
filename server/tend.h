/* What becomes due by the clock, looked for once a second by every server: tasks that may start,
 * agents' runs that did not begin, took too long, or lost their agent. And the house is kept, as
 * workers do, of which there may be none: partitions made, old rows removed. */
#ifndef FLEET_TEND_H
#define FLEET_TEND_H

#include "common/db/db.h"
#include "common/loop.h"
#include "server/node.h"

#define TEND_REAP_MS 60000

struct tend;
/* Begins at once; `reap_ms` from one reap() to the next. */
struct tend *tend_new(struct loop *loop, struct db *db, struct node *node, int reap_ms);
void tend_stop(struct tend *tend);
void tend_free(struct tend *tend); /* NULL is fine; after db_stop and one turn of the loop */

#endif
