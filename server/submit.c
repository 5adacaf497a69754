/* Items gathered into statements, and their verdicts handed back. */
#include "server/submit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "common/mem.h"

#define BATCH_ITEMS 200
#define BATCH_BYTES (4 << 20) /* of one statement, unless one item alone is larger */
#define BATCH_KEY "submit"
#define BATCH_MS 1500            /* then its items are sent one by one */
#define WAITING_BYTES (64 << 20) /* of all that waits */

struct item {
    struct list link;
    char *row; /* owned: a fleet.new_task */
    size_t len;
    submit_done_cb on_done;
    void *data;
};

struct batch {
    struct submit *submit; /* borrowed */
    char key[24];          /* "submit", or the name of an item that is sent by itself */
    int count;
    struct item *items[BATCH_ITEMS]; /* owned */
};

struct submit {
    struct db *db;       /* borrowed */
    struct list waiting; /* items, oldest first */
    size_t bytes;        /* of what waits */
    bool busy;           /* a batch is under way */
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

static void item_done(struct item *item, const struct submit_verdict *verdict,
                      const struct error *err)
{
    item->on_done(item->data, verdict, err);
    free(item->row);
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
    return strcmp(batch->key, BATCH_KEY) != 0;
}

static void batch_send(struct batch *batch)
{
    bool alone = batch_is_alone(batch);
    struct buf list;
    buf_init(&list, (size_t)2 * WAITING_BYTES);
    db_array_begin(&list);
    for (int i = 0; i < batch->count; i++)
        db_array_text(&list, batch->items[i]->row);
    db_array_end(&list);
    const char *params[] = {buf_text(&list)};
    db_query_locking(batch->submit->db, batch->key, alone ? 0 : clock_ms() + BATCH_MS,
                     "select ord, verdict, code, detail, details, task_id, answer "
                     "from fleet.submit($1::fleet.new_task[])",
                     DB_REPEAT, 1, params, on_batch, batch);
    buf_release(&list);
}

/* A statement failed whole: because of one of its items, or of a lock that one needs. */
static bool worth_alone(const struct batch *batch, const struct error *err)
{
    /* without a database, each by itself would only wait once more */
    bool away = strncmp(err->state, "08", 2) == 0 || strncmp(err->state, "53", 2) == 0 ||
                strncmp(err->state, "57", 2) == 0;
    return batch->count > 1 && !away;
}

/* What is wrong with one item, or locked, does not hold up the others. */
static void send_alone(struct submit *submit, struct item *item)
{
    struct batch *batch = mem_alloc(sizeof *batch);
    batch->submit = submit;
    batch->count = 1;
    batch->items[0] = item;
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
    log_warn(NULL, "a statement with %d submissions failed (%s: %s): each is sent again by itself",
             batch->count, err->state, err->text);
    for (int i = 0; i < batch->count; i++)
        send_alone(batch->submit, batch->items[i]);
}

static void batch_answered(struct batch *batch, const struct db_result *res)
{
    bool created = false;
    for (int row = 0; row < db_rows(res); row++) {
        int64_t ord = db_int(res, row, "ord", 0);
        if (ord < 1 || ord > batch->count || batch->items[ord - 1] == NULL)
            continue;
        struct submit_verdict verdict = {db_text(res, row, "verdict"), db_text(res, row, "code"),
                                         db_text(res, row, "detail"),  db_text(res, row, "details"),
                                         db_text(res, row, "task_id"), db_text(res, row, "answer")};
        created = created || strcmp(verdict.verdict, "created") == 0;
        item_done(batch->items[ord - 1], &verdict, NULL);
        batch->items[ord - 1] = NULL;
    }
    struct error missing = {0};
    error_set(&missing, "fleet.submit gave no verdict for an item");
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
    bool alone = batch_is_alone(batch);
    if (err != NULL)
        batch_failed(batch, err);
    else
        batch_answered(batch, res);
    free(batch);
    if (alone)
        return;
    submit->busy = false;
    submit_next(submit);
}

/* Takes what goes into one statement from the front of what waits. */
static struct batch *batch_take(struct submit *submit)
{
    struct batch *batch = mem_alloc(sizeof *batch);
    size_t bytes = 0;
    batch->submit = submit;
    snprintf(batch->key, sizeof batch->key, BATCH_KEY);
    list_each(link, &submit->waiting)
    {
        struct item *item = list_entry(link, struct item, link);
        bool full = batch->count == BATCH_ITEMS || bytes + item->len > BATCH_BYTES;
        if (batch->count > 0 && full)
            break;
        list_remove(link);
        submit->bytes -= item->len;
        bytes += item->len;
        batch->items[batch->count++] = item;
    }
    return batch;
}

static void submit_next(struct submit *submit)
{
    if (submit->busy || list_empty(&submit->waiting))
        return;
    submit->busy = true;
    batch_send(batch_take(submit));
}

bool submit_add(struct submit *submit, const char *row, submit_done_cb on_done, void *data,
                struct error *err)
{
    size_t len = strlen(row);
    if (submit->bytes + len > WAITING_BYTES) {
        error_set_state(err, "53300", "too many submissions wait for the database");
        return false;
    }
    struct item *item = mem_alloc(sizeof *item);
    *item =
        (struct item){.row = mem_strndup(row, len), .len = len, .on_done = on_done, .data = data};
    submit->bytes += len;
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
