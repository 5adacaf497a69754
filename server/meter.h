/* What this server answered: by route, method and status, and how long it took. */
#ifndef FLEET_METER_H
#define FLEET_METER_H

#include <stddef.h>
#include <stdint.h>

#include "common/histogram.h"
#include "server/router/router.h"

#define METER_STATUS_MIN 100
#define METER_STATUSES 500

struct meter_row {
    const struct route *route; /* borrowed; NULL: requests of no route */
    uint64_t statuses[METER_STATUSES];
    struct histogram took; /* to the answer's head */
};

struct meter {
    size_t count;                /* of rows: the routes, and one for none */
    struct meter_row *rows;      /* owned */
    uint64_t refused_tokens;     /* requests without a token, or with a wrong one */
    uint64_t refused_signatures; /* webhooks that this fleet's secret did not sign */
};

void meter_init(struct meter *meter, const struct route *routes);
void meter_release(struct meter *meter);
void meter_add(struct meter *meter, const struct route *route, int status, int64_t us);

#endif
