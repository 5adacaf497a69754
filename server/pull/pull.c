/* Waiting calls: taken in, answered, and let go when their client leaves. */
#include "server/pull/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "server/pull/internal.h"

#define ALARM_APART_MS 20 /* between two looks for calls whose time is over */
#define LOOKS 20          /* a second look comes so much sooner than the slow poll */

/* --- one waiting call --- */

static void puller_free(void *state)
{
    free(state);
}

static void puller_leave(struct puller *puller)
{
    struct call *call = puller->call;
    struct pull_class *class = puller->class;
    list_remove(&puller->link);
    list_remove(&puller->shelf);
    seat_leave(puller->pull->ceiling, &puller->seat);
    class->count--;
    puller->pull->waiting--;
    call->on_gone = NULL;
    call_drop(call);
}

static void on_gone(struct call *call)
{
    puller_leave(call->state);
}

static void on_revoked(void *data)
{
    struct puller *puller = data;
    call_error(puller->call, 401, "unauthorized", NULL,
               "this token was revoked or has expired while the call was waiting");
}

/* The task goes back, and to somebody else. */
static void on_lost(struct call *call)
{
    struct puller *puller = call->state;
    if (puller->epoch > 0)
        pull_give_back(puller->pull, puller->node, puller->attempt, puller->epoch);
    puller->epoch = 0;
}

void puller_serve(struct puller *puller, const struct db_result *res, int row)
{
    struct call *call = puller->call;
    snprintf(puller->node, sizeof puller->node, "%s", db_text(res, row, "node"));
    puller->attempt = db_int(res, row, "attempt", 0);
    puller->epoch = (int)db_int(res, row, "epoch", 0);
    puller->pull->handed++;
    call->on_lost = on_lost;
    call_json(call, 200, db_text(res, row, "body"));
}

void puller_end(struct puller *puller)
{
    struct call *call = puller->call;
    if (puller->tried || puller->pull->draining)
        call_answer(call, 204, "application/json", "", 0);
    else
        call_error(call, 503, "unavailable", NULL, "the database does not answer; try again soon");
}

struct puller *pull_find(struct pull *pull, const struct pull_class *class, int executor)
{
    list_each(link, &pull->shelves[(unsigned)executor % SHELVES])
    {
        struct puller *puller = list_entry(link, struct puller, shelf);
        if (puller->executor == executor && puller->class == class)
            return puller;
    }
    return NULL;
}

/* --- what is not wanted --- */

static void on_given_back(void *data, const struct db_result *res, const struct error *err)
{
    struct pull *pull = data;
    (void)res;
    if (err == NULL)
        pull->returned++;
    else
        log_info(NULL, "a task that was not delivered is left to its time-out: %s", err->text);
}

void pull_give_back(struct pull *pull, const char *node, int64_t attempt, int epoch)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%lld", (long long)attempt);
    snprintf(texts[1], sizeof texts[1], "%d", epoch);
    const char *params[] = {node, texts[0], texts[1]};
    log_info(LOG_ABOUT(LOG_FIELD("attempt", texts[0])),
             "handed to a client that had left: given back");
    db_query_locking(pull->db, texts[0], 0,
                     "select fleet.release($1::uuid, $2::bigint, $3::int, 'not_delivered')",
                     DB_REPEAT, 3, params, on_given_back, pull);
}

/* --- time --- */

static void alarm_at(struct pull *pull, int64_t at_ms)
{
    int64_t now = clock_ms();
    if (pull->closed || (timer_active(&pull->alarm) && pull->alarm_ms <= at_ms))
        return;
    pull->alarm_ms = at_ms;
    timer_start(&pull->alarm, (uint64_t)(at_ms > now ? at_ms - now : 0), 0);
}

/* Whoever a claim is under way for waits for it: what it brings may be for them. */
static void on_alarm(void *data)
{
    struct pull *pull = data;
    int64_t now = clock_ms(), next = INT64_MAX;
    list_each(link, &pull->classes)
    {
        struct pull_class *class = list_entry(link, struct pull_class, link);
        list_each(at, &class->waiting)
        {
            struct puller *puller = list_entry(at, struct puller, link);
            if (puller->asked)
                continue;
            if (puller->until_ms <= now)
                puller_end(puller);
            else if (puller->until_ms < next)
                next = puller->until_ms;
        }
    }
    pull_sweep(pull);
    if (next < INT64_MAX)
        alarm_at(pull, next > now + ALARM_APART_MS ? next : now + ALARM_APART_MS);
}

/* --- taking in --- */

static struct pull_class *class_of(struct pull *pull, const char *capabilities)
{
    list_each(link, &pull->classes)
    {
        struct pull_class *class = list_entry(link, struct pull_class, link);
        if (capabilities == NULL
                ? class->capabilities == NULL
                : class->capabilities != NULL && strcmp(class->capabilities, capabilities) == 0)
            return class;
    }
    struct pull_class *class = mem_alloc(sizeof *class);
    class->pull = pull;
    class->capabilities = mem_strdup(capabilities);
    list_init(&class->waiting);
    list_append(&pull->classes, &class->link);
    return class;
}

void pull_wait(struct pull *pull, struct call *call, int executor, const char *capabilities,
               int wait_secs)
{
    if (call_gone(call))
        return;
    if (pull->draining) {
        call_answer(call, 204, "application/json", "", 0);
        return;
    }
    struct puller *puller = mem_alloc(sizeof *puller);
    if (!seat_take(pull->ceiling, &puller->seat, SEAT_POLL, call, on_revoked, puller)) {
        free(puller);
        return;
    }
    puller->pull = pull;
    puller->class = class_of(pull, capabilities);
    puller->call = call;
    puller->executor = executor;
    puller->until_ms = clock_ms() + wait_secs * INT64_C(1000);
    list_append(&puller->class->waiting, &puller->link);
    list_append(&pull->shelves[(unsigned)executor % SHELVES], &puller->shelf);
    puller->class->count++;
    pull->waiting++;
    call_hold(call);
    call_extend(call, wait_secs * INT64_C(1000));
    call->state = puller;
    call->state_free = puller_free;
    call->on_gone = on_gone;
    class_claim(puller->class, false);
    alarm_at(pull, puller->until_ms);
    if (!timer_active(&pull->poll))
        timer_start(&pull->poll, (uint64_t)pause_jitter(pull->poll_secs * 1000), 0);
}

/* What others had locked for a moment is not seen by a claim: once more, a little later. */
static void on_look(void *data)
{
    pull_claim_all(data);
}

void pull_notify(struct pull *pull)
{
    if (pull->closed || pull->waiting == 0)
        return;
    pull_claim_all(pull);
    if (!timer_active(&pull->look))
        timer_start(&pull->look, (uint64_t)pause_jitter(pull->poll_secs * 1000 / LOOKS), 0);
}

void pull_reconnected(struct pull *pull)
{
    pull->listed = false;
    pull_notify(pull);
}

/* --- life --- */

struct pull *pull_new(struct loop *loop, struct db *db, struct node *node, struct ceiling *ceiling,
                      int poll_secs)
{
    struct pull *pull = mem_alloc(sizeof *pull);
    pull->db = db;
    pull->node = node;
    pull->ceiling = ceiling;
    pull->poll_secs = poll_secs;
    list_init(&pull->classes);
    for (size_t i = 0; i < SHELVES; i++)
        list_init(&pull->shelves[i]);
    timer_init(&pull->alarm, loop, on_alarm, pull);
    timer_init(&pull->poll, loop, pull_on_poll, pull);
    timer_init(&pull->look, loop, on_look, pull);
    return pull;
}

void pull_set_poll(struct pull *pull, int poll_secs)
{
    pull->poll_secs = poll_secs;
}

void pull_drain(struct pull *pull)
{
    pull->draining = true;
    list_each(link, &pull->classes)
    {
        struct pull_class *class = list_entry(link, struct pull_class, link);
        list_each(at, &class->waiting) puller_end(list_entry(at, struct puller, link));
    }
}

void pull_stop(struct pull *pull)
{
    pull->draining = pull->closed = true;
    timer_close(&pull->alarm, NULL);
    timer_close(&pull->poll, NULL);
    timer_close(&pull->look, NULL);
    if (pull->claims > 0)
        log_info(NULL, "handed out %llu tasks by %llu claims; %llu were given back undelivered",
                 (unsigned long long)pull->handed, (unsigned long long)pull->claims,
                 (unsigned long long)pull->returned);
}

void pull_free(struct pull *pull)
{
    if (pull == NULL)
        return;
    list_each(link, &pull->classes)
    {
        struct pull_class *class = list_entry(link, struct pull_class, link);
        free(class->capabilities);
        free(class);
    }
    free(pull);
}
