/* What every node does so that the fleet can be watched: it rolls up counters, takes stock and
 * looks at the invariants (one node at a time does, whichever comes first: SQL sees to that),
 * measures how late its own loop is, and, if it has something to say of itself, says it. Life:
 * measure_new, measure_stop, measure_free. */
#ifndef FLEET_MEASURE_H
#define FLEET_MEASURE_H

#include "common/buf.h"
#include "common/db/db.h"
#include "common/histogram.h"
#include "common/loop.h"

#define MEASURE_REPORT_MAX 16384 /* bytes that fleet.node_report() takes */

struct measure_node {
    const char *(*id)(void *data); /* NULL: not registered now, nothing is done */
    /* Adds what the node says of itself as JSON: {"name": number, …}. NULL: it says nothing. */
    void (*say)(void *data, struct buf *out);
    void *data; /* borrowed, for both */
};

struct measure;
struct measure *measure_new(struct loop *loop, struct db *db, const struct measure_node *node);
/* How late the loop came to its timers. */
const struct histogram *measure_lag(const struct measure *measure);
void measure_stop(
    struct measure *measure); /* closes its timers; what is in flight goes unanswered */
void measure_free(
    struct measure *measure); /* NULL is fine; after db_stop and one turn of the loop */

#endif
