/* A row for each route of the table. */
#include "server/meter.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void meter_init(struct meter *meter, const struct route *routes)
{
    meter->refused_tokens = meter->refused_signatures = 0;
    meter->count = 1;
    for (const struct route *route = routes; route->method != NULL; route++)
        meter->count++;
    meter->rows = mem_array(meter->count, sizeof *meter->rows);
    for (size_t i = 0; i + 1 < meter->count; i++)
        meter->rows[i].route = &routes[i];
}

void meter_release(struct meter *meter)
{
    free(meter->rows);
    meter->rows = NULL;
}

/* A handler may have put another route in the place of the one that was found: same method and
 * pattern. */
static struct meter_row *row_of(const struct meter *meter, const struct route *route)
{
    for (size_t i = 0; route != NULL && i + 1 < meter->count; i++) {
        const struct route *own = meter->rows[i].route;
        if (own == route ||
            (strcmp(own->pattern, route->pattern) == 0 && strcmp(own->method, route->method) == 0))
            return &meter->rows[i];
    }
    return &meter->rows[meter->count - 1];
}

void meter_add(struct meter *meter, const struct route *route, int status, int64_t us)
{
    struct meter_row *row = row_of(meter, route);
    int code = status - METER_STATUS_MIN;
    if (code < 0 || code >= METER_STATUSES)
        return;
    row->statuses[code]++;
    histogram_add(&row->took, us);
}
