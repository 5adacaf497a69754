/* Every metric that GET /metrics may show: the one table. What is of the fleet comes from
 * fleet.metrics(), the same from each server; of a worker, from what it last said of itself; of the
 * server, from this process. */
#ifndef FLEET_METRICS_TABLE_H
#define FLEET_METRICS_TABLE_H

#include <stdio.h>

#include "server/metrics/text.h"

struct server;

enum metric_scope { METRIC_OF_FLEET, METRIC_OF_WORKER, METRIC_OF_SERVER };

struct metric_entry {
    struct metric metric;
    enum metric_scope scope;
    /* Writes the lines of one of the server; NULL of the others. */
    void (*write)(struct buf *out, const struct metric *metric, struct server *server);
};

extern const struct metric_entry metrics_table[]; /* ended by a metric without a name */

/* --explain-metrics: name, type, labels, whose it is and what it says; a line each, tabs between.
 */
void metrics_explain(FILE *to);

#endif
