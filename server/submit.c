/* Requests gathered into statements, and their answers handed back. */
#include "server/submit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "common/mem.h"

#define BATCH_REQUESTS 200
#define BATCH_BYTES (4 << 20) /* of one statement, unless one request alone is larger */
#define BATCHES 2     /* under way at once: one is worked on while the other is written to disk */
#define BATCH_MS 1500 /* then its requests are sent one by one */
#define WAITING_BYTES (64 << 20) /* of all that waits */

struct item {
    struct list link;
    struct submit_request request; /* owned */
    submit_done_cb on_done;
    void *data;
};

struct batch {
    struct submit *submit; /* borrowed */
    int lane;              /* its place among those under way; -1: sent by itself */
    char key[24];          /* what it may have to wait for, see db_query_locking */
    int count;
    struct item *items[BATCH_REQUESTS]; /* owned */
};

struct submit {
    struct db *db;       /* borrowed */
    struct list waiting; /* items, oldest first */
    size_t bytes;        /* of what waits */
    bool busy[BATCHES];  /* a batch is under way */
    uint64_t alone;      /* items that were sent by themselves */
    bool waking;         /* so is a wake */
    bool wake_again;     /* asked for while one was */
};

static void submit_next(struct submit *submit);
static void on_batch(void *data, const struct db_result *res, const struct error *err);

struct submit *submit_new(struct db *db)
{
    struct submit *submit = mem_alloc(sizeof *submit);
    submit->db = db;
    list_init(&submit->waiting);
    return submit;
}

static void request_release(struct submit_request *request)
{
    buf_release(&request->row);
    buf_release(&request->tasks);
}

static size_t request_size(const struct submit_request *request)
{
    return request->row.len + request->tasks.len;
}

static void item_done(struct item *item, const struct submit_answer *answer,
                      const struct error *err)
{
    item->on_done(item->data, answer, err);
    request_release(&item->request);
    free(item);
}

void submit_free(struct submit *submit)
{
    struct error err = {0};
    if (submit == NULL)
        return;
    error_set_state(&err, "57P01", "the node has stopped");
    list_each(link, &submit->waiting)
    {
        list_remove(link);
        item_done(list_entry(link, struct item, link), NULL, &err);
    }
    free(submit);
}

static bool batch_is_alone(const struct batch *batch)
{
    return batch->lane < 0;
}

static void add_elements(struct buf *list, const struct buf *elements)
{
    if (list->len > 1)
        buf_adds(list, ",");
    buf_add(list, elements->data, elements->len);
}

static void batch_send(struct batch *batch)
{
    struct buf requests, of, tasks;
    struct buf *lists[] = {&requests, &of, &tasks};
    const char *params[3];
    for (int i = 0; i < 3; i++) {
        buf_init(lists[i], (size_t)2 * WAITING_BYTES);
        db_array_begin(lists[i]);
    }
    for (int i = 0; i < batch->count; i++) {
        const struct submit_request *request = &batch->items[i]->request;
        add_elements(&requests, &request->row);
        add_elements(&tasks, &request->tasks);
        for (int k = 0; k < request->count; k++)
            db_array_int(&of, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        db_array_end(lists[i]);
        params[i] = buf_text(lists[i]);
    }
    db_query_locking(batch->submit->db, batch->key,
                     batch_is_alone(batch) ? 0 : clock_ms() + BATCH_MS,
                     "select request, status, body, task_id, created "
                     "from fleet.submit_tasks($1::fleet.submission[], $2::int[], "
                     "$3::fleet.wanted_task[])",
                     DB_REPEAT, 3, params, on_batch, batch);
    for (int i = 0; i < 3; i++)
        buf_release(lists[i]);
}

/* A statement failed whole: because of one of its requests, or of a lock that one needs; by itself
 * each has more time to wait for it. */
static bool worth_alone(const struct batch *batch, const struct error *err)
{
    /* without a database, each by itself would only wait once more */
    bool away = strncmp(err->state, "08", 2) == 0 || strncmp(err->state, "53", 2) == 0 ||
                strncmp(err->state, "57", 2) == 0;
    bool waited = strcmp(err->state, "55P03") == 0 && !batch_is_alone(batch);
    return (batch->count > 1 || waited) && !away;
}

/* What is wrong with one item, or locked, does not hold up the others. */
static void send_alone(struct submit *submit, struct item *item)
{
    struct batch *batch = mem_alloc(sizeof *batch);
    batch->submit = submit;
    batch->count = 1;
    batch->items[0] = item;
    batch->lane = -1;
    snprintf(batch->key, sizeof batch->key, "item %" PRIu64, ++submit->alone);
    batch_send(batch);
}

static void batch_failed(struct batch *batch, const struct error *err)
{
    if (!worth_alone(batch, err)) {
        for (int i = 0; i < batch->count; i++)
            item_done(batch->items[i], NULL, err);
        return;
    }
    log_warn(NULL, "a statement with %d requests failed (%s: %s): each is sent again by itself",
             batch->count, err->state, err->text);
    for (int i = 0; i < batch->count; i++)
        send_alone(batch->submit, batch->items[i]);
}

static void batch_answered(struct batch *batch, const struct db_result *res)
{
    bool created = false;
    for (int row = 0; row < db_rows(res); row++) {
        int64_t place = db_int(res, row, "request", 0);
        if (place < 1 || place > batch->count || batch->items[place - 1] == NULL)
            continue;
        struct submit_answer answer = {(int)db_int(res, row, "status", 500),
                                       db_text(res, row, "body"), db_text(res, row, "task_id")};
        created = created || db_int(res, row, "created", 0) > 0;
        item_done(batch->items[place - 1], &answer, NULL);
        batch->items[place - 1] = NULL;
    }
    struct error missing = {0};
    error_set(&missing, "fleet.submit_tasks gave no answer to a request");
    for (int i = 0; i < batch->count; i++) {
        if (batch->items[i] != NULL)
            item_done(batch->items[i], NULL, &missing);
    }
    if (created)
        submit_wake(batch->submit);
}

static void on_batch(void *data, const struct db_result *res, const struct error *err)
{
    struct batch *batch = data;
    struct submit *submit = batch->submit;
    int lane = batch->lane;
    if (err != NULL)
        batch_failed(batch, err);
    else
        batch_answered(batch, res);
    free(batch);
    if (lane < 0)
        return;
    submit->busy[lane] = false;
    submit_next(submit);
}

/* Takes what goes into one statement from the front of what waits. */
static struct batch *batch_take(struct submit *submit, int lane)
{
    struct batch *batch = mem_alloc(sizeof *batch);
    size_t bytes = 0;
    batch->submit = submit;
    batch->lane = lane;
    snprintf(batch->key, sizeof batch->key, "submit %d", lane);
    list_each(link, &submit->waiting)
    {
        struct item *item = list_entry(link, struct item, link);
        size_t size = request_size(&item->request);
        bool full = batch->count == BATCH_REQUESTS || bytes + size > BATCH_BYTES;
        if (batch->count > 0 && full)
            break;
        list_remove(link);
        submit->bytes -= size;
        bytes += size;
        batch->items[batch->count++] = item;
    }
    return batch;
}

static void submit_next(struct submit *submit)
{
    for (int lane = 0; lane < BATCHES && !list_empty(&submit->waiting); lane++) {
        if (submit->busy[lane])
            continue;
        submit->busy[lane] = true;
        batch_send(batch_take(submit, lane));
    }
}

bool submit_add(struct submit *submit, struct submit_request *request, submit_done_cb on_done,
                void *data, struct error *err)
{
    size_t size = request_size(request);
    if (request->row.failed || request->tasks.failed)
        error_set_state(err, "54000", "the request is too large");
    else if (submit->bytes + size > WAITING_BYTES)
        error_set_state(err, "53300", "too many submissions wait for the database");
    if (err->text[0] != '\0') {
        request_release(request);
        return false;
    }
    struct item *item = mem_alloc(sizeof *item);
    *item = (struct item){.request = *request, .on_done = on_done, .data = data};
    if (request->count > 1) {
        send_alone(submit, item);
        return true;
    }
    submit->bytes += size;
    list_append(&submit->waiting, &item->link);
    submit_next(submit);
    return true;
}

static void on_woken(void *data, const struct db_result *res, const struct error *err)
{
    struct submit *submit = data;
    (void)res;
    if (err != NULL)
        log_debug(NULL, "dispatchers were not woken: %s", err->text);
    submit->waking = false;
    if (submit->wake_again) {
        submit->wake_again = false;
        submit_wake(submit);
    }
}

void submit_wake(struct submit *submit)
{
    if (submit->waking) {
        submit->wake_again = true;
        return;
    }
    submit->waking = true;
    db_query(submit->db, "select fleet.wake()", DB_REPEAT, 0, NULL, on_woken, submit);
}
