/* The database of worker_scene.h: db_query() answers from a table. */
#ifndef FLEET_WORKER_SCENE_SQL_H
#define FLEET_WORKER_SCENE_SQL_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/db/internal.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "tests/unit/fake_rows.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"
#include "worker/job/job.h"

/* One SQL function: what it answers next. rows: see fake_rows.h */
struct scene_sql {
    const char *name;  /* "fleet.<name>(" in the text of the query */
    const char *rows;  /* literal; NULL: no rows */
    const char *state; /* literal: SQLSTATE of an error instead, or NULL */
    int times;         /* how often this answer is given; 0 = always */
    int calls;
    bool held; /* no answer before it is let go; what it then says is decided then */
    /* Says many things at once: `rows` is of each, state a fault of each, unless it is of the
     * connection or `whole`. */
    bool many, whole;
    const char *only;    /* attempt that state is of; whole: calls with it fail; NULL: all */
    const char *said;    /* all that the next call is answered, once; NULL: see rows */
    int items;           /* in the last call */
    char asked[256];     /* of many: the attempts of each call, "{21,22}{23}", cut */
    char last[17][8192]; /* parameters of the last call; of many: of its last item */
};

static struct scene_sql scene_sql[] = {
    {.name = "node_start",
     .rows = "fleet_id=f1;schema_version=999;beat_ms=50;dead_ms=400;lease_ms=60000"},
    {.name = "made_hosts"},
    {.name = "configure_hosts", .rows = "host_id=h1;verdict=ok;reason=<null>"},
    {.name = "host_report", .rows = "verdict=ok;differs=<null>;told=<null>"},
    {.name = "renew"},
    {.name = "peers"},
    {.name = "claim"},
    {.name = "adopt"},
    {.name = "jobs"},
    {.name = "starting_runs",
     .many = true,
     .rows = "verdict=go;run=<null>;command=<null>;prompt=<null>"},
    {.name = "started_runs", .many = true},
    {.name = "phase", .rows = "phase="},
    {.name = "append"},
    {.name = "briefing",
     .rows = "base_branch=<null>;pushed_head=<null>;session_id=<null>;follow_up=<null>;"
             "earlier_summary=<null>;question=<null>;slot_ordinal=0;session_tokens=<null>"},
    {.name = "prepared", .rows = "prepared="},
    {.name = "turn", .many = true, .rows = "status=completed"},
    {.name = "release", .rows = "status=created"},
    {.name = "void_confirmed", .rows = "status=created"},
    {.name = "promote", .rows = "count=0"},
    {.name = "reap", .rows = "done=0"},
    {.name = "sweep_begin", .rows = "host_id=<null>;wait_ms=60000"},
    {.name = "sweep"},
    {.name = "swept", .rows = "swept="},
    {.name = "removals"},
    {.name = "removed", .rows = "removed="},
    {.name = "sleep_begin", .rows = "sleep_begin="},
    {.name = "sleep_end", .rows = "sleep_end="},
    {.name = "node_stop", .rows = "node_stop="},
};

static struct scene_sql *sql(const char *name)
{
    for (size_t i = 0; i < sizeof scene_sql / sizeof scene_sql[0]; i++)
        if (strcmp(scene_sql[i].name, name) == 0)
            return &scene_sql[i];
    ck_abort_msg("no such SQL function: %s", name);
}

/* A member of what turn() was told last, "tokens.input" of one inside; "<null>": none. */
static inline const char *reported(const char *name)
{
    static char text[8192];
    struct error err;
    const char *report = sql("turn")->last[7], *dot = strchr(name, '.');
    struct json_object *whole = json_parse(report, strlen(report), &err), *at = whole;
    ck_assert_msg(whole != NULL, "no report: %s", report);
    if (dot != NULL) {
        char outer[64];
        snprintf(outer, sizeof outer, "%.*s", (int)(dot - name), name);
        at = json_member(at, outer);
        name = dot + 1;
    }
    at = at != NULL ? json_member(at, name) : NULL;
    snprintf(text, sizeof text, "%s", at != NULL ? json_object_get_string(at) : "<null>");
    json_object_put(whole);
    return text;
}

struct scene_query {
    struct list link;
    struct scene_sql *sql;
    char *rows; /* owned */
    const char *state;
    db_done_cb on_done;
    void *data;
};

static struct scene {
    struct loop loop;
    struct dispatch *dispatch;
    struct list queries;
    struct timer pump, guard, close;
    uint64_t generation;
    bool (*until)(void);
    bool reached, drained;
    char stored[2][65536]; /* what append() got: stdout, stderr */
    size_t stored_len[2];
    bool append_fails_once;
} scene;

uint64_t db_generation(const struct db *db)
{
    (void)db;
    return scene.generation;
}

/* append() stores what comes, chunk by chunk: the arrays have one element per chunk. */
static char *scene_append(const char *const *params)
{
    struct buf rows;
    buf_init(&rows, 4096);
    const char *stream = params[3], *offset = params[4], *chunk = params[5];
    for (int ord = 1; (chunk = strstr(chunk, "\\\\x")) != NULL; ord++) {
        int which = strncmp(stream + 2, "stdout", 6) == 0 ? 0 : 1;
        long at = strtol(offset + 1, NULL, 10);
        size_t digits = strspn(chunk + 3, "0123456789abcdef");
        ck_assert_uint_eq((size_t)at, scene.stored_len[which]);
        ck_assert(crypto_unhex(chunk + 3, digits, (uint8_t *)scene.stored[which] + at));
        scene.stored_len[which] += digits / 2;
        buf_addf(&rows, "%sord=%d;verdict=ok;next_offset=%zu", ord > 1 ? "|" : "", ord,
                 scene.stored_len[which]);
        chunk += 3 + digits;
        stream = strchr(stream + 2, ',');
        offset = strchr(offset + 1, ',');
    }
    return buf_take(&rows);
}

/* The next element of an array literal; false at its end. */
static bool scene_element(const char **at, char *text, size_t size)
{
    size_t len = 0;
    if (**at == '}')
        return false;
    *at += **at == '{' || **at == ',';
    if (**at == '}')
        return false;
    bool quoted = **at == '"';
    for (*at += quoted; quoted ? **at != '"' : **at != ',' && **at != '}'; (*at)++) {
        *at += quoted && **at == '\\';
        if (len + 1 < size)
            text[len++] = **at;
    }
    text[len] = '\0';
    *at += quoted;
    if (!quoted && strcmp(text, "NULL") == 0)
        snprintf(text, size, "<null>");
    return true;
}

/* Answers each item; remembers the last one. False: the call fails as a whole. */
static bool scene_many(struct scene_sql *answer, int count, const char *const *params,
                       struct buf *rows)
{
    bool good = true;
    char attempt[32];
    const char *at = params[1];
    size_t len = strlen(answer->asked);
    snprintf(answer->asked + len, sizeof answer->asked - len, "%s", at);
    for (answer->items = 0; scene_element(&at, attempt, sizeof attempt);) {
        bool faulty =
            answer->state != NULL && (answer->only == NULL || strcmp(answer->only, attempt) == 0);
        good = good && !(faulty && (answer->whole || strncmp(answer->state, "08", 2) == 0));
        buf_addf(rows, "%sord=%d;fault=%s;detail=told to fail%s%s", answer->items > 0 ? "|" : "",
                 answer->items + 1, faulty ? answer->state : "<null>", answer->rows ? ";" : "",
                 answer->rows ? answer->rows : "");
        answer->items++;
    }
    for (int i = 1; i < count; i++) {
        at = params[i];
        int items = 0;
        if (*at != '{')
            continue; /* said of all */
        while (scene_element(&at, answer->last[i], sizeof answer->last[i]))
            items++;
        ck_assert_int_eq(items, answer->items);
    }
    return good;
}

void db_query(struct db *db, const char *text, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data)
{
    (void)db, (void)repeat;
    struct scene_query *query = mem_alloc(sizeof *query);
    for (size_t i = 0; i < sizeof scene_sql / sizeof scene_sql[0] && query->sql == NULL; i++) {
        char call[64];
        snprintf(call, sizeof call, "fleet.%s(", scene_sql[i].name);
        if (strstr(text, call) != NULL)
            query->sql = &scene_sql[i];
    }
    ck_assert_msg(query->sql != NULL, "unknown query: %s", text);
    struct scene_sql *answer = query->sql;
    answer->calls++;
    for (int i = 0; i < count && i < 17; i++)
        snprintf(answer->last[i], sizeof answer->last[i], "%s", params[i] ? params[i] : "<null>");
    query->state = answer->state;
    struct buf rows;
    buf_init(&rows, 1 << 20);
    if (answer->many && scene_many(answer, count, params, &rows)) {
        query->state = NULL;
        query->rows = mem_strdup(answer->said != NULL ? answer->said : buf_text(&rows));
        answer->said = NULL;
    } else if (strcmp(answer->name, "append") == 0 && answer->state == NULL && answer->rows == NULL)
        query->rows = scene_append(params);
    else
        query->rows = mem_strdup(answer->rows);
    buf_release(&rows);
    if (answer->times > 0 && --answer->times == 0) {
        answer->rows = answer->many ? answer->rows : NULL;
        answer->state = NULL;
    }
    query->on_done = on_done;
    query->data = data;
    list_append(&scene.queries, &query->link);
    timer_start(&scene.pump, 1, 0);
}

void db_query_locking(struct db *db, const char *key, int64_t until_ms, const char *sql,
                      enum db_repeat repeat, int count, const char *const *params,
                      db_done_cb on_done, void *data)
{
    ck_assert_ptr_nonnull(key);
    (void)until_ms;
    db_query(db, sql, repeat, count, params, on_done, data);
}

/* What was kept last. */
static char scene_kept[64];
void db_keep(struct db *db, const char *text, const char *param, db_done_cb on_done, void *data)
{
    (void)db, (void)on_done, (void)data;
    ck_assert(text == NULL || strstr(text, "fleet.hold($1, $2)") != NULL);
    snprintf(scene_kept, sizeof scene_kept, "%s", text != NULL ? param : "");
}

static void scene_pump(void *data)
{
    (void)data;
    list_each(link, &scene.queries)
    {
        struct scene_query *query = list_entry(link, struct scene_query, link);
        if (query->sql->held)
            continue;
        list_remove(&query->link);
        struct error err;
        PGresult *pg = fake_rows(query->rows);
        struct db_result res = {.pg = pg};
        if (query->state != NULL)
            error_set_state(&err, query->state, "told to fail");
        query->on_done(query->data, query->state == NULL ? &res : NULL,
                       query->state == NULL ? NULL : &err);
        PQclear(pg);
        free(query->rows);
        free(query);
    }
}

#endif
