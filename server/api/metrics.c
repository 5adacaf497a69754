/* GET /metrics: what is measured, in Prometheus' text format. What the fleet did and has comes from
 * fleet.metrics(); without the database this server tells of itself alone. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "server/api/handlers.h"
#include "server/metrics/table.h"
#include "server/server.h"

#define TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Of fleet.metrics(); all texts are borrowed from the result. */
struct row {
    const char *name;
    const char *labels[METRICS_LABELS];
    const char *le;
    const char *value;
};

/* NULL when there is none. The caller frees. */
static struct row *read_rows(const struct db_result *res, int *count)
{
    static const char *const columns[METRICS_LABELS] = {"l1", "l2", "l3", "l4"};
    *count = res != NULL ? db_rows(res) : 0;
    struct row *rows = mem_array((size_t)*count, sizeof *rows);
    for (int i = 0; i < *count; i++) {
        rows[i].name = db_text(res, i, "name");
        rows[i].le = db_text(res, i, "le");
        rows[i].value = db_text(res, i, "value");
        for (int label = 0; label < METRICS_LABELS; label++)
            rows[i].labels[label] = db_text(res, i, columns[label]);
    }
    return rows;
}

/* What the table does not know is of a newer version, and not shown. */
static void write_rows(struct buf *out, const struct metric *metric, const struct row *rows,
                       int count)
{
    bool begun = false;
    for (int i = 0; i < count; i++) {
        if (rows[i].name == NULL || rows[i].value == NULL ||
            strcmp(rows[i].name, metric->name) != 0)
            continue;
        if (!begun)
            metrics_head(out, metric);
        begun = true;
        metrics_line(out, metric, rows[i].labels, rows[i].le, strtod(rows[i].value, NULL));
    }
}

static void answer(struct call *call, const struct db_result *res)
{
    struct buf out;
    int count;
    struct row *rows = read_rows(res, &count);
    buf_init(&out, METRICS_TEXT_MAX);
    for (const struct metric_entry *entry = metrics_table; entry->metric.name != NULL; entry++) {
        if (entry->write == NULL) {
            write_rows(&out, &entry->metric, rows, count);
            continue;
        }
        metrics_head(&out, &entry->metric);
        entry->write(&out, &entry->metric, call_server(call));
    }
    if (out.failed)
        call_error(call, 500, "internal", NULL, "there are more metrics than fit into an answer");
    else
        call_answer(call, 200, TYPE, buf_text(&out), out.len);
    buf_release(&out);
    free(rows);
}

static void on_metrics(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    (void)err; /* fleet_db_up and fleet_db_errors_total say so */
    if (!call_gone(call))
        answer(call, res);
    call_drop(call);
}

void api_metrics(struct call *call)
{
    const struct server *server = call_server(call);
    if (!db_up(server->db)) {
        answer(call, NULL);
        return;
    }
    call_hold(call);
    db_query(server->db, "select name, l1, l2, l3, l4, le, value from fleet.metrics()", DB_REPEAT,
             0, NULL, on_metrics, call);
}
