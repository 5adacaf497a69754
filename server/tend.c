/* One call of fleet.tend at a time, again after a jittered second, or at once when much was due. */
#include "server/tend.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define EVERY_MS 1500  /* jittered: 750 to 1500 */
#define MUCH 100       /* rows: there may be more */
#define FAILED_MS 5000 /* after a failure, at the latest */

struct tend {
    struct db *db;     /* borrowed */
    struct node *node; /* borrowed */
    struct timer timer;
    bool failing; /* said once */
    bool stopped;
};

static void on_tended(void *data, const struct db_result *res, const struct error *err)
{
    struct tend *tend = data;
    bool away = err != NULL && db_fault(err->state)->transient;
    if (err != NULL && !away && !tend->failing)
        log_warn(NULL, "what is due could not be looked at: %s", err->text);
    tend->failing = err != NULL && !away;
    if (tend->stopped)
        return;
    int64_t done = err == NULL ? db_int(res, 0, "done", 0) : 0;
    int pause = err != NULL ? pause_jitter(FAILED_MS) : pause_jitter(EVERY_MS);
    timer_start(&tend->timer, done >= MUCH ? 0 : (uint64_t)pause, 0);
}

static void on_time(void *data)
{
    struct tend *tend = data;
    const char *params[] = {node_id(tend->node)};
    if (params[0] == NULL) /* not registered yet, or not any more */
        timer_start(&tend->timer, (uint64_t)pause_jitter(EVERY_MS), 0);
    else
        db_query(tend->db, "select fleet.tend($1::uuid) as done", DB_ONCE, 1, params, on_tended,
                 tend);
}

struct tend *tend_new(struct loop *loop, struct db *db, struct node *node)
{
    struct tend *tend = mem_alloc(sizeof *tend);
    tend->db = db;
    tend->node = node;
    timer_init(&tend->timer, loop, on_time, tend);
    timer_start(&tend->timer, (uint64_t)pause_jitter(EVERY_MS), 0);
    return tend;
}

void tend_stop(struct tend *tend)
{
    tend->stopped = true;
    timer_close(&tend->timer, NULL);
}

void tend_free(struct tend *tend)
{
    free(tend);
}
