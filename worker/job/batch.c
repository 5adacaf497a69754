/* Gathers the calls of many jobs into one, and hands each its own answer. */
#include "worker/job/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/job/job.h"

#define BYTES_MAX ((size_t)1 << 20)   /* of the arrays, before their last elements */
#define ARRAY_MAX ((size_t)256 << 20) /* bytes of one array: above what any element may have */
#define HELD_AGAIN_MS 200
#define HELD_SAY_AFTER_MS 3000
#define HELD_SAY_EVERY_MS 60000

static void send_due(void *data);

void batch_init(struct batch *batch, const struct batch_kind *kind, struct node *node,
                const struct refill *refill)
{
    *batch = (struct batch){.kind = kind, .node = node, .refill = refill};
    list_init(&batch->jobs);
    timer_init(&batch->timer, node->loop, send_due, batch);
}

static struct job *job_of(struct list *link)
{
    return list_entry(link, struct job, place.link);
}

bool batch_idle(const struct batch *batch)
{
    return batch->count == 0 && list_empty(&batch->jobs);
}

/* --- Waiting --- */

/* Nothing is in flight: the next call comes when the first of those that wait may be tried. */
static void arm(struct batch *batch)
{
    int64_t at = INT64_MAX, now = clock_ms();
    list_each(link, &batch->jobs)
    {
        int64_t due = job_of(link)->place.not_before;
        at = due < at ? due : at;
    }
    if (at == INT64_MAX)
        return;
    timer_start(&batch->timer, at > now ? (uint64_t)(at - now) : 0, 0);
}

/* In the next turn of the loop, with whatever else this one brings. */
void batch_add(struct batch *batch, struct job *job)
{
    job_begin(job);
    list_append(&batch->jobs, &job->place.link);
    if (batch->count == 0)
        timer_start(&batch->timer, 0, 0);
}

static void let_go(struct list *link)
{
    list_remove(link);
    job_back(job_of(link));
}

void batch_close(struct batch *batch)
{
    batch->closed = true;
    timer_close(&batch->timer, NULL);
    list_each(link, &batch->jobs)
    {
        let_go(link);
    }
}

/* --- Gathering --- */

static size_t bytes_of(const struct buf *arrays, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += arrays[i].len;
    return bytes;
}

static void take(struct batch *batch, struct job *job, struct buf *arrays)
{
    list_remove(&job->place.link);
    batch->items[batch->count++] = job;
    db_array_int(&arrays[0], job->attempt);
    db_array_int(&arrays[1], job->key.epoch);
    batch->kind->add(job, &arrays[2]);
}

static void gather(struct batch *batch, struct buf *arrays, int count)
{
    size_t limit = batch->one_by_one > 0 ? 1 : BATCH_ITEMS_MAX;
    int64_t now = clock_ms();
    list_each(link, &batch->jobs)
    {
        struct job *job = job_of(link);
        if (job->state == JOB_GONE) {
            let_go(link);
            continue;
        }
        if (job->place.not_before > now || (job->place.alone && batch->count > 0))
            continue;
        take(batch, job, arrays);
        if (job->place.alone || batch->count == limit || bytes_of(arrays, count) >= BYTES_MAX)
            break;
    }
}

/* --- The answer --- */

/* Somebody else has the task, a person perhaps: the others go on, and who looks at the log learns
 * why this one does not. */
static void held(struct batch *batch, struct job *job, const char *why)
{
    struct batch_place *place = &job->place;
    int64_t now = clock_ms();
    if (place->held_since == 0)
        place->held_since = now;
    bool long_held = now - place->held_since >= HELD_SAY_AFTER_MS;
    if (long_held && (place->said == 0 || now - place->said >= HELD_SAY_EVERY_MS)) {
        place->said = now;
        log_warn(job->about,
                 "%s waits for %" PRId64 " s: %s; `select * from fleet.sessions where locks > 0` "
                 "shows who holds what, and the call that ends it",
                 batch->kind->name, (now - place->held_since) / 1000, why);
    }
    place->not_before = now + HELD_AGAIN_MS;
    list_append(&batch->jobs, &place->link);
}

static void answer(struct batch *batch, struct job *job, const struct db_result *res, int row,
                   const struct error *err)
{
    bool is_held = err != NULL && strcmp(err->state, "55P03") == 0;
    if (is_held && job->state != JOB_GONE) {
        held(batch, job, err->text);
        return;
    }
    job->place.held_since = job->place.said = 0;
    batch->kind->on_answer(job, res, row, err);
}

/* The connection, or the server: what was sent is not to blame. */
static bool is_loss(const struct error *err)
{
    const struct db_fault *fault = db_fault(err->state);
    return fault->transient && fault->again == DB_AGAIN_NEVER;
}

/* One among many may be the cause: they travel alone, in the order in which they came. */
static void part(struct batch *batch, struct job *const *items, size_t count,
                 const struct error *err)
{
    log_warn(NULL, "%s of %zu runs failed, sending them one by one: %s", batch->kind->name, count,
             err->text);
    batch->one_by_one = count;
    for (size_t i = count; i > 0; i--)
        list_append(batch->jobs.next, &items[i - 1]->place.link); /* before the first */
}

static void on_failed(struct batch *batch, struct job *const *items, size_t count,
                      const struct error *err)
{
    bool lost = is_loss(err);
    if (count > 1 && !lost && !batch->closed) {
        part(batch, items, count, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        items[i]->place.alone |= !lost;
        answer(batch, items[i], NULL, 0, err);
    }
}

static void on_row(struct batch *batch, struct job *job, const struct db_result *res, int row)
{
    struct error err;
    const char *fault = db_text(res, row, "fault"), *detail = db_text(res, row, "detail");
    if (fault != NULL)
        error_set_state(&err, fault, "%s", detail != NULL ? detail : fault);
    job->place.alone = false;
    answer(batch, job, res, row, fault != NULL ? &err : NULL);
}

static void on_rows(struct batch *batch, struct job **items, size_t count,
                    const struct db_result *res)
{
    bool ours = batch->life == batch->node->life && !node_draining(batch->node);
    for (int row = 0; row < db_rows(res); row++) {
        int64_t ord = db_int(res, row, "ord", 0);
        if (ord == 0 && batch->kind->refills && ours)
            batch->refill->take(batch->refill->data, res, row);
        if (ord < 1 || (size_t)ord > count || items[ord - 1] == NULL)
            continue;
        struct job *job = items[ord - 1];
        items[ord - 1] = NULL;
        on_row(batch, job, res, row);
    }
    struct error err;
    error_set(&err, "the database answered, but not this");
    for (size_t i = 0; i < count; i++)
        if (items[i] != NULL)
            answer(batch, items[i], NULL, 0, &err);
}

static void on_done(void *data, const struct db_result *res, const struct error *err)
{
    struct batch *batch = data;
    struct job *items[BATCH_ITEMS_MAX];
    size_t count = batch->count;
    for (size_t i = 0; i < count; i++)
        items[i] = batch->items[i];
    batch->count = 0;
    if (batch->one_by_one > 0)
        batch->one_by_one--;
    if (err != NULL)
        on_failed(batch, items, count, err);
    else
        on_rows(batch, items, count, res);
    arm(batch);
}

/* --- Sending --- */

static void send_due(void *data)
{
    struct batch *batch = data;
    int count = 2 + batch->kind->columns;
    struct buf arrays[BATCH_COLUMNS_MAX];
    const char *params[2 + BATCH_COLUMNS_MAX] = {batch->node->id};
    char want[16];
    for (int i = 0; i < count; i++) {
        buf_init(&arrays[i], ARRAY_MAX);
        db_array_begin(&arrays[i]);
    }
    gather(batch, arrays, count);
    for (int i = 0; i < count; i++) {
        db_array_end(&arrays[i]);
        params[1 + i] = buf_text(&arrays[i]);
    }
    if (batch->kind->refills && batch->count > 0) {
        bool failed = batch->one_by_one > 0 || batch->items[0]->place.alone;
        int tasks = failed ? 0 : batch->refill->want(batch->refill->data, batch->count);
        snprintf(want, sizeof want, "%d", tasks);
        params[1 + count] = want;
    }
    batch->life = batch->node->life;
    if (batch->count > 0)
        db_query_locking(batch->node->db, batch->kind->name, 0, batch->kind->sql, DB_REPEAT,
                         1 + count + batch->kind->refills, params, on_done, batch);
    else
        arm(batch);
    for (int i = 0; i < count; i++)
        buf_release(&arrays[i]);
}
