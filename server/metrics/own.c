/* Read now, at each scrape. */
#include "server/metrics/own.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/process.h"
#include "server/server.h"

#define SCRAPE_MS 100 /* one scrape is over */
#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x

/* A metric without labels whose value is an expression. */
#define OWN_VALUE(name, expression)                                  \
    OWN(name)                                                        \
    {                                                                \
        (void)server;                                                \
        metrics_line(out, metric, NULL, NULL, (double)(expression)); \
    }

OWN(build)
{
    (void)server;
    metrics_line(out, metric, (const char *const[]){FLEET_VERSION, TEXT(FLEET_SCHEMA)}, NULL, 1);
}

OWN_VALUE(draining, server->draining)

/* --- HTTP --- */

static const char *pattern_of(const struct meter_row *row)
{
    return row->route != NULL ? row->route->pattern : "none";
}

static const char *method_of(const struct meter_row *row)
{
    return row->route != NULL ? row->route->method : "any";
}

OWN(requests)
{
    for (size_t i = 0; i < server->meter.count; i++) {
        const struct meter_row *row = &server->meter.rows[i];
        for (int code = 0; code < METER_STATUSES && row->took.count > 0; code++) {
            char text[16];
            if (row->statuses[code] == 0)
                continue;
            snprintf(text, sizeof text, "%d", code + METER_STATUS_MIN);
            metrics_line(out, metric, (const char *const[]){pattern_of(row), method_of(row), text},
                         NULL, (double)row->statuses[code]);
        }
    }
}

OWN(latency)
{
    for (size_t i = 0; i < server->meter.count; i++) {
        const struct meter_row *row = &server->meter.rows[i];
        if (row->took.count > 0)
            metrics_histogram(out, metric, (const char *const[]){pattern_of(row), method_of(row)},
                              &row->took);
    }
}

OWN_VALUE(in_flight, http_counts(server->http).waiting)
OWN_VALUE(connections, http_counts(server->http).connections)
OWN_VALUE(streams, ceiling_taken(server->ceiling, SEAT_STREAM))
OWN_VALUE(polls, ceiling_taken(server->ceiling, SEAT_POLL))
OWN_VALUE(refused, http_counts(server->http).refused)
OWN_VALUE(vanished, http_counts(server->http).vanished)
OWN_VALUE(stalled, http_counts(server->http).stalled)
OWN_VALUE(tokens, server->meter.refused_tokens)
OWN_VALUE(signatures, server->meter.refused_signatures)

/* --- the database --- */

OWN_VALUE(db_up, db_up(server->db))
OWN_VALUE(db_connects, db_counts(server->db).connected)
OWN_VALUE(db_losses, db_counts(server->db).lost)

static void pair(struct buf *out, const struct metric *metric, const char *one, double first,
                 const char *other, double second)
{
    metrics_line(out, metric, &one, NULL, first);
    metrics_line(out, metric, &other, NULL, second);
}

OWN(db_connections)
{
    struct db_counts counts = db_counts(server->db);
    pair(out, metric, "up", counts.up, "wanted", counts.connections);
}

OWN(db_queries)
{
    struct db_counts counts = db_counts(server->db);
    pair(out, metric, "waiting", (double)counts.waiting, "sent", (double)counts.flying);
}

OWN(db_latency)
{
    struct db_counts counts = db_counts(server->db);
    metrics_histogram(out, metric, NULL, &counts.trips);
}

OWN(db_errors)
{
    struct db_counts counts = db_counts(server->db);
    for (int i = 0; i < DB_STATE_CLASSES; i++)
        metrics_line(out, metric, &db_state_classes[i], NULL, (double)counts.errors[i]);
}

/* --- the process --- */

OWN(lag)
{
    metrics_histogram(out, metric, NULL, measure_lag(server->measure));
}

/* Read once a scrape: the kernel lists every descriptor. */
static const struct process_use *use_now(void)
{
    static struct process_use use;
    static int64_t read_ms;
    if (read_ms == 0 || clock_ms() - read_ms > SCRAPE_MS)
        use = process_use();
    read_ms = clock_ms();
    return &use;
}

OWN_VALUE(cpu, use_now()->cpu_seconds)
OWN_VALUE(start, use_now()->start_seconds)
OWN_VALUE(resident, use_now()->resident_bytes)
OWN_VALUE(virtual, use_now()->virtual_bytes)
OWN_VALUE(fds, use_now()->fds)
OWN_VALUE(fds_max, use_now()->fds_max)
