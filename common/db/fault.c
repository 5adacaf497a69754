/* What SQLSTATEs mean. */
#include <string.h>

#include "common/db/db.h"

#define UNAVAILABLE "unavailable", 503, true
#define INTERNAL "internal_error", 500, false
#define CHANGED INTERNAL, DB_AGAIN_CHANGED
#define AWAY \
    UNAVAILABLE, DB_AGAIN_CHANGED /* what we call is not there: made anew, or another schema */

/* The longest entry that begins the state counts; class AF is raised by our own SQL functions. */
static const struct db_fault faults[] = {
    {"AF001", "illegal_transition", 400, false, DB_AGAIN_NEVER},
    {"AF002", "fenced", 409, false, DB_AGAIN_NEVER},
    {"AF003", "not_found", 404, false, DB_AGAIN_NEVER},
    {"AF004", "conflict", 409, false, DB_AGAIN_NEVER},
    {"AF005", "no_capacity", 409, false, DB_AGAIN_NEVER},
    {"AF006", "not_proven_dead", 409, false, DB_AGAIN_NEVER},
    {"AF007", "invalid", 422, false, DB_AGAIN_NEVER},
    {"AF008", "retries_exhausted", 400, false, DB_AGAIN_NEVER},
    {"AF009", "forbidden", 403, false, DB_AGAIN_NEVER},
    {"AF010", "outdated", 503, false, DB_AGAIN_NEVER},
    {"08", UNAVAILABLE, DB_AGAIN_NEVER},    /* connection: see what became of it */
    {"53", UNAVAILABLE, DB_AGAIN_LATER},    /* insufficient resources: locks, disk */
    {"57P0", UNAVAILABLE, DB_AGAIN_NEVER},  /* shutdown, crash, cannot connect now */
    {"57014", UNAVAILABLE, DB_AGAIN_LATER}, /* cancelled: by a person, or its time was over */
    {"25006", UNAVAILABLE, DB_AGAIN_NEVER}, /* read-only: a primary became a standby */
    {"40001", UNAVAILABLE, DB_AGAIN_LATER}, /* serialization failure */
    {"40P01", UNAVAILABLE, DB_AGAIN_LATER}, /* deadlock */
    {"55P03", UNAVAILABLE, DB_AGAIN_LATER}, /* lock not available */
    {"54000", UNAVAILABLE, DB_AGAIN_LATER}, /* the queue of notifications is full */
    {"0A000", CHANGED},                     /* cached plan must not change result type */
    {"42704", AWAY},                        /* type */
    {"42", CHANGED},                        /* it is of another form: our statements are right */
    {"42883", AWAY},                        /* function */
    {"42P01", AWAY},                        /* view */
    {"XX000", CHANGED},                     /* cache lookup failed */
    {"3F000", AWAY},                        /* schema */
    {"42501", UNAVAILABLE, DB_AGAIN_NEVER}, /* a grant is missing */
    {"28", UNAVAILABLE, DB_AGAIN_NEVER},    /* login */
    {"3D000", UNAVAILABLE, DB_AGAIN_NEVER}, /* database */
    {"22", INTERNAL, DB_AGAIN_NEVER},       /* data: the node should have checked it */
    {"23", INTERNAL, DB_AGAIN_NEVER},       /* integrity */
    {"", INTERNAL, DB_AGAIN_NEVER},
};

const char *const db_state_classes[DB_STATE_CLASSES] = {"08", "22", "23", "25", "28", "40",
                                                        "42", "53", "55", "57", "AF", "other"};

/* Never NULL; an unknown or NULL state is an internal error. */
const struct db_fault *db_fault(const char *state)
{
    const struct db_fault *best = &faults[sizeof faults / sizeof *faults - 1];

    for (size_t i = 0; state && i < sizeof faults / sizeof *faults; i++) {
        size_t len = strlen(faults[i].state);

        if (len > strlen(best->state) && strncmp(state, faults[i].state, len) == 0)
            best = &faults[i];
    }
    return best;
}
