/* Calls that come again and again, each one at a time, and a timer whose lateness is measured. */
#include "common/measure.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define CHORES 4
#define FULL_PAGE 2000  /* events that roll_up() counts at most: there are more */
#define FAILED_MS 10000 /* after a failure, at the latest */
#define LAG_MS 500

#define FIRST_MS 5000 /* until the first of each, at the latest */

/* Jittered: half of it to all of it. */
static const struct {
    const char *sql, *key;
    int every_ms;
} chores[CHORES] = {
    {"select fleet.roll_up($1::uuid) as done", "measure", 1500},
    {"select fleet.take_stock($1::uuid)::int as done", "measure", 4000},
    {"select fleet.take_checks($1::uuid)::int as done", "checks", 60000},
    {"select 0 as done, fleet.node_report($1::uuid, $2::jsonb)", "measure", 15000},
};
#define REPORT (CHORES - 1)

struct chore {
    struct measure *measure; /* borrowed */
    struct timer timer;
    bool failing; /* said once */
};

struct measure {
    struct db *db; /* borrowed */
    struct measure_node node;
    struct chore chores[CHORES];
    struct timer lag;
    int64_t lag_us; /* clock_us of the last turn */
    struct histogram late;
    bool stopped;
};

static int number_of(const struct chore *chore)
{
    return (int)(chore - chore->measure->chores);
}

static void later(struct chore *chore, int ms)
{
    timer_start(&chore->timer, (uint64_t)(ms > 0 ? pause_jitter(ms) : 0), 0);
}

/* That a life of the node is over is said, and mended, by the node. */
static bool is_fault(const struct error *err)
{
    return err != NULL && !db_fault(err->state)->transient && strcmp(err->state, "AF002") != 0;
}

static void on_done(void *data, const struct db_result *res, const struct error *err)
{
    struct chore *chore = data;
    int every = chores[number_of(chore)].every_ms;
    if (chore->measure->stopped)
        return;
    bool fault = is_fault(err);
    if (fault && !chore->failing)
        log_warn(NULL, "what is measured is not: %s", err->text);
    chore->failing = fault;
    if (err != NULL)
        later(chore, every > FAILED_MS ? every : FAILED_MS);
    else
        later(chore, db_int(res, 0, "done", 0) >= FULL_PAGE ? 0 : every);
}

static void on_time(void *data)
{
    struct chore *chore = data;
    const struct measure *measure = chore->measure;
    int number = number_of(chore);
    struct buf said;
    buf_init(&said, MEASURE_REPORT_MAX);
    const char *params[] = {measure->node.id(measure->node.data), NULL};
    if (params[0] == NULL) {
        later(chore, chores[0].every_ms);
        return;
    }
    if (number == REPORT) {
        measure->node.say(measure->node.data, &said);
        params[1] = buf_text(&said);
    }
    /* with a key: what takes long holds up no request behind it on its connection */
    db_query_locking(measure->db, chores[number].key, 0, chores[number].sql, DB_ONCE,
                     number == REPORT ? 2 : 1, params, on_done, chore);
    buf_release(&said);
}

static void on_lag(void *data)
{
    struct measure *measure = data;
    int64_t now = clock_us();
    histogram_add(&measure->late, now - measure->lag_us - LAG_MS * INT64_C(1000));
    measure->lag_us = now;
    timer_start(&measure->lag, LAG_MS, 0);
}

struct measure *measure_new(struct loop *loop, struct db *db, const struct measure_node *node)
{
    struct measure *measure = mem_alloc(sizeof *measure);
    measure->db = db;
    measure->node = *node;
    for (int i = 0; i < CHORES; i++) {
        struct chore *chore = &measure->chores[i];
        chore->measure = measure;
        timer_init(&chore->timer, loop, on_time, chore);
        if (i != REPORT || node->say != NULL)
            later(chore, chores[i].every_ms < FIRST_MS ? chores[i].every_ms : FIRST_MS);
    }
    timer_init(&measure->lag, loop, on_lag, measure);
    measure->lag_us = clock_us();
    timer_start(&measure->lag, LAG_MS, 0);
    return measure;
}

const struct histogram *measure_lag(const struct measure *measure)
{
    return &measure->late;
}

void measure_stop(struct measure *measure)
{
    measure->stopped = true;
    for (int i = 0; i < CHORES; i++)
        timer_close(&measure->chores[i].timer, NULL);
    timer_close(&measure->lag, NULL);
}

void measure_free(struct measure *measure)
{
    free(measure);
}
