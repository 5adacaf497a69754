/* What this side sees of the database, counted. */
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"

void db_count(struct db *db, const struct db_query *query)
{
    int class = 0;

    histogram_add(&db->counts.trips, clock_us() - query->sent_us);
    if (!query->failed)
        return;
    while (class < DB_STATE_CLASSES - 1 &&
           strncmp(db_state_classes[class], query->err.state, 2) != 0)
        class ++;
    db->counts.errors[class]++;
}

struct db_counts db_counts(const struct db *db)
{
    struct db_counts counts = db->counts;

    counts.up = db->up;
    counts.connections = db->options.connections;
    counts.waiting = db->waiting_count;
    for (int i = 0; i < db->options.connections; i++)
        counts.flying += db->connections[i].flying_count;
    return counts;
}
