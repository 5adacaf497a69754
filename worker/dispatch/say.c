/* What a worker says of itself every 15 s, for a server to show: names and meaning are in the
 * servers' table of metrics. */
#include <inttypes.h>

#include "common/process.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"

static void say_count(struct buf *out, const char *name, uint64_t value)
{
    buf_addf(out, ", \"%s\": %" PRIu64, name, value);
}

static void say_value(struct buf *out, const char *name, double value)
{
    buf_addf(out, ", \"%s\": %.6f", name, value);
}

static void say_runs(struct buf *out, const struct dispatch *dispatch)
{
    struct list *jobs = (struct list *)&dispatch->jobs.list,
                *hosts = (struct list *)&dispatch->hosts;
    uint64_t runs = 0, up = 0;
    list_each(link, jobs) runs++;
    list_each(link, hosts) up += host_ready(list_entry(link, struct host, link));
    const struct node_counts *counts = &dispatch->node.counts;
    say_count(out, "runs", runs);
    say_count(out, "hosts_up", up);
    say_count(out, "claims_total", counts->claims);
    say_count(out, "adoptions_total", counts->adoptions);
    say_count(out, "channel_opens_total", counts->channels);
    say_count(out, "channel_losses_total", counts->channel_losses);
    say_count(out, "host_checks_total", counts->checks);
    say_count(out, "output_bytes_total", counts->output_bytes);
}

static void say_lag(struct buf *out, const struct histogram *lag)
{
    uint64_t stalls = lag->counts[HISTOGRAM_BOUNDS];
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
        stalls += histogram_bounds[i] > 1 ? lag->counts[i] : 0;
    say_value(out, "loop_late_seconds_total", (double)lag->sum_us / 1e6);
    say_count(out, "loop_stalls_total", stalls);
}

static void say_database(struct buf *out, const struct db *db)
{
    struct db_counts counts = db_counts(db);
    say_count(out, "db_queries_total", counts.trips.count);
    say_value(out, "db_seconds_total", (double)counts.trips.sum_us / 1e6);
    say_count(out, "db_losses_total", counts.lost);
    say_count(out, "db_connections", (uint64_t)counts.up);
    buf_adds(out, ", \"db_errors_total\": {");
    for (int i = 0; i < DB_STATE_CLASSES; i++)
        buf_addf(out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "", db_state_classes[i],
                 counts.errors[i]);
    buf_adds(out, "}");
}

static void say_forgejo(struct buf *out, const struct node_counts *counts)
{
    buf_adds(out, ", \"forgejo_answers_total\": {");
    for (int i = 0; i < FORGEJO_VERDICTS; i++)
        buf_addf(out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "",
                 forgejo_verdict_word((enum forgejo_verdict)i), counts->answers[i]);
    buf_adds(out, "}");
}

void dispatch_say(const struct dispatch *dispatch, const struct histogram *lag, struct buf *out)
{
    struct process_use use = process_use();
    buf_addf(out, "{\"start_time_seconds\": %.3f", use.start_seconds);
    say_value(out, "cpu_seconds_total", use.cpu_seconds);
    say_count(out, "resident_bytes", use.resident_bytes);
    say_count(out, "open_fds", (uint64_t)use.fds);
    say_runs(out, dispatch);
    say_lag(out, lag);
    say_database(out, dispatch->node.db);
    say_forgejo(out, &dispatch->node.counts);
    buf_adds(out, "}");
}
