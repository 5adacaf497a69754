/* What this server knows of itself; each writes the lines of one metric. */
#ifndef FLEET_METRICS_OWN_H
#define FLEET_METRICS_OWN_H

#include "server/metrics/text.h"

struct server;

#define OWN(name) \
    void own_##name(struct buf *out, const struct metric *metric, struct server *server)

OWN(build);
OWN(draining);
OWN(requests);
OWN(latency);
OWN(in_flight);
OWN(connections);
OWN(streams);
OWN(polls);
OWN(refused);
OWN(vanished);
OWN(stalled);
OWN(tokens);
OWN(signatures);
OWN(db_up);
OWN(db_connections);
OWN(db_queries);
OWN(db_latency);
OWN(db_errors);
OWN(db_connects);
OWN(db_losses);
OWN(lag);
OWN(cpu);
OWN(start);
OWN(resident);
OWN(virtual);
OWN(fds);
OWN(fds_max);

#endif
