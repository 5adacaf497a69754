#include <string.h>

#include "common/db/db.h"

#define UNAVAILABLE "unavailable", 503, true
#define INTERNAL "internal_error", 500, false

/* The longest entry that begins the state counts; class AF is raised by our own SQL functions. */
static const struct db_fault faults[] = {
    {"AF001", "illegal_transition", 400, false},
    {"AF002", "fenced", 409, false},
    {"AF003", "not_found", 404, false},
    {"AF004", "conflict", 409, false},
    {"AF005", "no_capacity", 409, false},
    {"AF006", "not_proven_dead", 409, false},
    {"AF007", "invalid", 422, false},
    {"AF008", "retries_exhausted", 400, false},
    {"AF009", "forbidden", 403, false},
    {"08", UNAVAILABLE},    /* connection */
    {"53", UNAVAILABLE},    /* insufficient resources, and our own full queue */
    {"57P0", UNAVAILABLE},  /* shutdown, crash, cannot connect now */
    {"25006", UNAVAILABLE}, /* read-only: a primary became a standby */
    {"40001", UNAVAILABLE}, /* serialization failure */
    {"40P01", UNAVAILABLE}, /* deadlock */
    {"55P03", UNAVAILABLE}, /* lock not available */
    {"22", INTERNAL},       /* data: the node should have checked it */
    {"23", INTERNAL},       /* integrity */
    {"42501", INTERNAL},    /* a grant is missing */
    {"", INTERNAL},
};

/* Never NULL; an unknown or NULL state is an internal error. */
const struct db_fault *db_fault(const char *state)
{
    const struct db_fault *best = &faults[sizeof(faults) / sizeof(*faults) - 1];

    for (size_t i = 0; state && i < sizeof(faults) / sizeof(*faults); i++) {
        size_t len = strlen(faults[i].state);

        if (len > strlen(best->state) && strncmp(state, faults[i].state, len) == 0)
            best = &faults[i];
    }
    return best;
}
