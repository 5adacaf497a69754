/* One call of fleet.tend at a time, again after a jittered second, or at once when much was due. */
#include "server/tend.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define EVERY_MS 1500   /* jittered: 750 to 1500 */
#define MUCH 100        /* rows: there may be more */
#define FAILED_MS 5000  /* after a failure, at the latest */
#define REAP_MUCH 10000 /* rows: there are more; it removes no more of a kind at once */

struct tend {
    struct db *db;     /* borrowed */
    struct node *node; /* borrowed */
    struct timer timer;
    struct timer reap;
    int reap_ms;
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

/* --- the house --- */

static void reap_in(struct tend *tend, int ms)
{
    timer_start(&tend->reap, (uint64_t)pause_jitter(ms), 0);
}

static void on_reaped(void *data, const struct db_result *res, const struct error *err)
{
    struct tend *tend = data;
    if (tend->stopped)
        return;
    if (err != NULL && !db_fault(err->state)->transient)
        log_warn(NULL, "old rows could not be removed: %s", err->text);
    bool more = err == NULL && db_int(res, 0, "done", 0) >= REAP_MUCH;
    reap_in(tend, more ? EVERY_MS : tend->reap_ms);
}

static void on_reap_time(void *data)
{
    struct tend *tend = data;
    const char *params[] = {node_id(tend->node)};
    if (params[0] == NULL)
        reap_in(tend, EVERY_MS);
    else
        db_query_locking(tend->db, "reap", 0, "select fleet.reap($1::uuid) as done", DB_ONCE, 1,
                         params, on_reaped, tend);
}

/* --- life --- */

struct tend *tend_new(struct loop *loop, struct db *db, struct node *node, int reap_ms)
{
    struct tend *tend = mem_alloc(sizeof *tend);
    tend->db = db;
    tend->node = node;
    timer_init(&tend->timer, loop, on_time, tend);
    timer_start(&tend->timer, (uint64_t)pause_jitter(EVERY_MS), 0);
    tend->reap_ms = reap_ms;
    timer_init(&tend->reap, loop, on_reap_time, tend);
    reap_in(tend, reap_ms);
    return tend;
}

void tend_stop(struct tend *tend)
{
    tend->stopped = true;
    timer_close(&tend->timer, NULL);
    timer_close(&tend->reap, NULL);
}

void tend_free(struct tend *tend)
{
    free(tend);
}
