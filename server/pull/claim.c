/* Claims for all that wait, and this node's row among the waiters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "server/pull/internal.h"

#define WANT_MAX 1000   /* tasks of one claim */
#define AGAIN_MS 1000   /* after a failure, at the latest */
#define ARRAY_MAX 65536 /* bytes for each 4096 executors */

static void list_node(struct pull *pull);

/* --- classes --- */

void pull_sweep(struct pull *pull)
{
    list_each(link, &pull->classes)
    {
        struct pull_class *class = list_entry(link, struct pull_class, link);
        if (class->count > 0 || class->claiming)
            continue;
        list_remove(link);
        free(class->capabilities);
        free(class);
    }
}

void pull_claim_all(struct pull *pull)
{
    list_each(link, &pull->classes) class_claim(list_entry(link, struct pull_class, link), true);
}

static void soon(struct pull *pull)
{
    if (!pull->closed)
        timer_start(&pull->poll, (uint64_t)pause_jitter(AGAIN_MS), 0);
}

/* --- the claim --- */

/* To the longest waiting call of that agent which is still there. */
static void hand_out(struct pull_class *class, const struct db_result *res, int row)
{
    struct pull *pull = class->pull;
    int executor = (int)db_int(res, row, "executor", 0);
    struct puller *puller;
    while ((puller = pull_find(pull, class, executor)) != NULL) {
        if (call_client_left(puller->call))
            continue; /* it is out of the list by now */
        puller_serve(puller, res, row);
        return;
    }
    pull_give_back(pull, db_text(res, row, "node"), db_int(res, row, "attempt", 0),
                   (int)db_int(res, row, "epoch", 0));
}

static void claim_failed(struct pull_class *class, const struct error *err)
{
    struct pull *pull = class->pull;
    char text[600];
    if (!db_fault(err->state)->transient) {
        snprintf(text, sizeof text, "a claim for waiting agents failed: %s", err->text);
        db_trouble_say(&pull->trouble, text);
    }
    soon(pull);
}

/* All whose time is over; the others are asked for no more until the next claim. */
static void end_asked(struct pull_class *class, bool failed)
{
    int64_t now = clock_ms();
    list_each(link, &class->waiting)
    {
        struct puller *puller = list_entry(link, struct puller, link);
        if (!puller->asked)
            continue;
        puller->asked = false;
        puller->tried = !failed;
        puller->rests = !failed && class->covered;
        if (puller->until_ms <= now)
            puller_end(puller);
    }
}

static void on_claimed(void *data, const struct db_result *res, const struct error *err)
{
    struct pull_class *class = data;
    struct pull *pull = class->pull;
    int rows = err == NULL ? db_rows(res) : 0;
    for (int row = 0; row < rows; row++)
        hand_out(class, res, row);
    if (err != NULL)
        claim_failed(class, err);
    else
        db_trouble_end(&pull->trouble);
    end_asked(class, err != NULL);
    class->claiming = false;
    bool full = class->all && (size_t)rows == class->want;
    if (class->count > 0 && err == NULL && (class->again || full))
        class_claim(class, class->again_all || full);
    else if (class->count > 0 && err == NULL && !class->covered)
        list_node(pull);
    pull_sweep(pull);
}

/* The executors of those that it is for, and how many these are. */
static size_t gather(struct pull_class *class, bool all, struct buf *executors)
{
    size_t count = 0;
    buf_init(executors, (1 + class->count / 4096) * (size_t)ARRAY_MAX);
    db_array_begin(executors);
    list_each(link, &class->waiting)
    {
        struct puller *puller = list_entry(link, struct puller, link);
        if (puller->rests && !all)
            continue;
        puller->asked = true;
        db_array_int(executors, puller->executor);
        count++;
    }
    db_array_end(executors);
    return count;
}

static void send_claim(struct pull_class *class, const struct buf *executors)
{
    struct pull *pull = class->pull;
    char want[24];
    class->claiming = true;
    class->again = class->again_all = false;
    class->covered = pull->listed;
    pull->claims++;
    snprintf(want, sizeof want, "%zu", class->want);
    const char *params[] = {buf_text(executors), class->capabilities, want};
    db_query(pull->db,
             "select executor, attempt, epoch, node, body from fleet.pull($1::int[], $2::text[], "
             "$3::int)",
             DB_ONCE, 3, params, on_claimed, class);
}

void class_claim(struct pull_class *class, bool all)
{
    struct buf executors;
    if (class->claiming) {
        class->again = true;
        class->again_all = class->again_all || all;
        return;
    }
    if (class->pull->closed)
        return;
    size_t count = gather(class, all, &executors);
    class->all = all;
    class->want = count < WANT_MAX ? count : WANT_MAX;
    if (count > 0)
        send_claim(class, &executors);
    buf_release(&executors);
}

/* --- this node among the waiters --- */

static void unlist_node(struct pull *pull);

static void on_listed(void *data, const struct db_result *res, const struct error *err)
{
    struct pull *pull = data;
    (void)res;
    pull->listing = false;
    pull->listed = err == NULL;
    if (err != NULL) {
        soon(pull);
        return;
    }
    list_each(link, &pull->classes)
    {
        struct pull_class *class = list_entry(link, struct pull_class, link);
        if (!class->covered)
            class_claim(class, false); /* what was submitted before the row stood */
    }
    if (pull->waiting == 0)
        unlist_node(pull);
}

/* Again and again while anybody waits: others may have taken the row for a dead node's. */
static void list_node(struct pull *pull)
{
    const char *params[] = {node_id(pull->node)};
    if (pull->listing || pull->closed)
        return;
    if (params[0] == NULL) {
        soon(pull); /* the node is not registered yet */
        return;
    }
    pull->listing = true;
    db_query(pull->db, "select fleet.sleep_begin($1::uuid)", DB_REPEAT, 1, params, on_listed, pull);
}

static void on_unlisted(void *data, const struct db_result *res, const struct error *err)
{
    struct pull *pull = data;
    (void)res, (void)err;
    pull->listing = false;
    if (pull->waiting > 0)
        list_node(pull); /* one after the other: they must not overtake each other */
}

static void unlist_node(struct pull *pull)
{
    const char *params[] = {node_id(pull->node)};
    if (pull->listing || pull->closed || !pull->listed || params[0] == NULL)
        return;
    pull->listed = false;
    pull->listing = true;
    db_query(pull->db, "select fleet.sleep_end($1::uuid)", DB_REPEAT, 1, params, on_unlisted, pull);
}

void pull_on_poll(void *data)
{
    struct pull *pull = data;
    if (pull->waiting == 0) {
        unlist_node(pull);
        return;
    }
    list_node(pull);
    pull_claim_all(pull);
    timer_start(&pull->poll, (uint64_t)pause_jitter(pull->poll_secs * 1000), 0);
}
