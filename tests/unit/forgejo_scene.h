/* Parts of worker/forgejo between a fake database and a fake Forgejo: the real code in between.
 *
 * The fakes stand in at link time for db_query (common/db/db.h), forgejo_call and forgejo_list
 * (common/forgejo/client.h) and, unless SCENE_REAL_TRACKER is defined, the tracker. Each answers
 * what the tables below say, later, when scene_run() is called, one after the other; what was asked
 * is remembered. */
#ifndef FLEET_FORGEJO_SCENE_H
#define FLEET_FORGEJO_SCENE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/list.h"
#include "common/log.h"
#include "common/mem.h"
#include "tests/unit/fake_rows.h"
#include "worker/forgejo/tracker.h"

#define SCENE_MAX 40

/* What Forgejo answers to a path, with its query, and its method before it where that is not GET;
 * the first that fits, as often as `times` says (0: always). A path that is not named here is 404.
 */
struct scene_page {
    const char *path;
    int status; /* 0: no answer came */
    const char *json;
    int64_t retry;
    int times;
    bool more;
};

/* What the database answers to fleet.NAME(; rows as in fake_rows.h. */
struct scene_call {
    const char *name, *rows;
    const char *state; /* SQLSTATE of an error instead */
    int times;         /* 0: always */
    int64_t takes_ms;  /* until it answers */
};

struct scene_wait {
    struct list link;
    forgejo_done_cb on_answer; /* else on_rows */
    db_done_cb on_rows;
    void *data;
    const struct scene_page *page;
    const struct scene_call *call;
    forgejo_shape_cb shape; /* of a list */
};

static struct scene {
    struct loop loop;
    struct node node;
    struct tracker tracker;
    struct list waits;
    struct scene_page pages[SCENE_MAX];
    struct scene_call calls[SCENE_MAX];
    int page_count, call_count;
    char asked[8192];   /* the paths, one a line; "lookup " before those of the look-up token */
    char sent[1 << 16]; /* the bodies, one a line, of what is no GET */
    char told[1 << 18]; /* calls of SQL, one a line: name and parameters, but of the node */
    bool closing;
    int64_t now; /* clock_ms */
} scene;

static void scene_page(const char *path, int status, const char *json)
{
    ck_assert_int_lt(scene.page_count, SCENE_MAX);
    scene.pages[scene.page_count++] =
        (struct scene_page){.path = path, .status = status, .json = json, .retry = -1};
}

static void scene_sql(const char *name, const char *rows, int times)
{
    ck_assert_int_lt(scene.call_count, SCENE_MAX);
    scene.calls[scene.call_count++] =
        (struct scene_call){.name = name, .rows = rows, .times = times};
}

/* --- The fakes --- */

int64_t clock_ms(void)
{
    return scene.now;
}

int64_t clock_us(void)
{
    return scene.now * 1000;
}

void clock_format(char *text, size_t size)
{
    snprintf(text, size, "now");
}

#ifndef SCENE_REAL_TRACKER
bool tracker_ready(const struct tracker *tracker)
{
    return !scene.closing && node_live(tracker->node);
}
#endif

static struct scene_wait *scene_ask(const char *path, bool lookup, forgejo_done_cb done, void *data)
{
    static const struct scene_page none = {.status = 404, .retry = -1};
    struct scene_wait *wait = mem_alloc(sizeof *wait);
    size_t used = strlen(scene.asked);
    snprintf(scene.asked + used, sizeof scene.asked - used, "%s%s\n", lookup ? "lookup " : "",
             path);
    wait->on_answer = done;
    wait->data = data;
    wait->page = &none;
    for (int i = scene.page_count - 1; i >= 0; i--) {
        struct scene_page *page = &scene.pages[i];
        if (strcmp(page->path, path) == 0 && page->times >= 0)
            wait->page = page;
    }
    struct scene_page *used_up = (struct scene_page *)wait->page;
    if (used_up != &none && used_up->times > 0 && --used_up->times == 0)
        used_up->times = -1;
    list_append(&scene.waits, &wait->link);
    return wait;
}

void forgejo_call(struct forgejo *forgejo, const char *method, const char *path, const char *body,
                  bool lookup, forgejo_done_cb done, void *data)
{
    char whole[1024];
    size_t used = strlen(scene.sent);
    bool get = strcmp(method, "GET") == 0;
    (void)forgejo;
    ck_assert(body == NULL || !get);
    snprintf(whole, sizeof whole, "%s%s%s", get ? "" : method, get ? "" : " ", path);
    if (!get)
        snprintf(scene.sent + used, sizeof scene.sent - used, "%s\n", body != NULL ? body : "");
    scene_ask(whole, lookup, done, data);
}

void forgejo_list_shaped(struct forgejo *forgejo, const char *path, size_t max_items,
                         forgejo_shape_cb shape, forgejo_done_cb done, void *data)
{
    (void)forgejo;
    ck_assert_uint_gt(max_items, 0);
    scene_ask(path, false, done, data)->shape = shape;
}

void forgejo_list(struct forgejo *forgejo, const char *path, size_t max_items, forgejo_done_cb done,
                  void *data)
{
    forgejo_list_shaped(forgejo, path, max_items, NULL, done, data);
}

void db_query(struct db *db, const char *text, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data)
{
    (void)db, (void)repeat;
    struct scene_wait *wait = mem_alloc(sizeof *wait);
    const char *name = strstr(text, "fleet.");
    ck_assert_ptr_nonnull(name);
    name += strlen("fleet.");
    struct buf line;
    buf_init(&line, sizeof scene.told);
    buf_addf(&line, "%.*s", (int)strcspn(name, "("), name);
    for (int i = 1; i < count; i++)
        buf_addf(&line, " %s", params[i] != NULL ? params[i] : "null");
    size_t used = strlen(scene.told);
    snprintf(scene.told + used, sizeof scene.told - used, "%s\n", buf_text(&line));
    wait->on_rows = on_done;
    wait->data = data;
    for (int i = scene.call_count - 1; i >= 0; i--) {
        struct scene_call *call = &scene.calls[i];
        if (strncmp(call->name, buf_text(&line), strlen(call->name)) == 0 && call->times >= 0)
            wait->call = call;
    }
    buf_release(&line);
    struct scene_call *used_up = (struct scene_call *)wait->call;
    if (used_up != NULL && used_up->times > 0 && --used_up->times == 0)
        used_up->times = -1;
    list_append(&scene.waits, &wait->link);
}

void db_query_locking(struct db *db, const char *key, int64_t until_ms, const char *sql,
                      enum db_repeat repeat, int count, const char *const *params,
                      db_done_cb on_done, void *data)
{
    ck_assert_ptr_nonnull(key);
    (void)until_ms;
    db_query(db, sql, repeat, count, params, on_done, data);
}

static enum forgejo_verdict scene_verdict(int status)
{
    if (status >= 200 && status < 300)
        return FORGEJO_OK;
    if (status == 404 || status == 410)
        return FORGEJO_GONE;
    if (status == 401 || status == 403)
        return FORGEJO_DENIED;
    if (status >= 300 && status < 400)
        return FORGEJO_MOVED;
    if (status == 423)
        return FORGEJO_LOCKED;
    return status >= 400 && status < 500 && status != 429 ? FORGEJO_REFUSED : FORGEJO_AWAY;
}

/* Owns whole. */
static struct json_object *scene_shaped(struct json_object *whole, forgejo_shape_cb shape)
{
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(whole); i++) {
        struct json_object *item = shape(json_object_array_get_idx(whole, i));
        if (item != NULL)
            json_object_array_add(out, item);
    }
    json_object_put(whole);
    return out;
}

static void scene_answer(const struct scene_wait *wait)
{
    const struct scene_page *page = wait->page;
    struct forgejo_answer answer = {.status = page->status, .retry_secs = page->retry};
    struct error err;
    answer.verdict = scene.closing ? FORGEJO_AWAY : scene_verdict(page->status);
    answer.more = page->more;
    answer.sent = page->status == 0;
    if (answer.verdict == FORGEJO_OK && page->json != NULL) {
        answer.json = json_parse(page->json, strlen(page->json), &err);
        ck_assert_msg(answer.json != NULL, "%s: %s", page->path, page->json);
        if (wait->shape != NULL)
            answer.json = scene_shaped(answer.json, wait->shape);
    } else {
        snprintf(answer.text, sizeof answer.text, "%d", page->status);
    }
    wait->on_answer(wait->data, &answer);
    json_object_put(answer.json);
}

static void scene_rows(const struct scene_wait *wait)
{
    struct error err;
    PGresult *pg = fake_rows(wait->call != NULL ? wait->call->rows : NULL);
    struct db_result res = {.pg = pg};
    bool failed = wait->call != NULL && wait->call->state != NULL;
    scene.now += wait->call != NULL ? wait->call->takes_ms : 0;
    if (failed)
        error_set_state(&err, wait->call->state, "told to fail");
    wait->on_rows(wait->data, failed ? NULL : &res, failed ? &err : NULL);
    PQclear(pg);
}

/* Answers what was asked first; false when nothing is under way. */
static bool scene_step(void)
{
    struct list *link = list_take(&scene.waits);
    if (link == NULL)
        return false;
    struct scene_wait *wait = list_entry(link, struct scene_wait, link);
    if (wait->on_answer != NULL)
        scene_answer(wait);
    else
        scene_rows(wait);
    free(wait);
    return true;
}

/* Until nothing is under way. */
static void scene_run(void)
{
    for (int i = 0; scene_step(); i++)
        ck_assert_int_lt(i, 1000);
}

static void scene_dead(void *data, const char *why)
{
    (void)data, (void)why;
    scene.node.life++;
}

static void scene_setup(void)
{
    static const char text[] = "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
                               "forgejo: { repositories: [ acme/rocket, 'tools/*' ] }\n";
    struct error err;
    log_open("test", LOG_ERROR_LEVEL);
    memset(&scene, 0, sizeof scene);
    scene.now = 1000000;
    list_init(&scene.waits);
    loop_init(&scene.loop);
    struct config *config = config_parse(text, strlen(text), "scene.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    node_init(&scene.node, &scene.loop, (struct db *)(void *)&scene, config, "w1");
    scene.node.on_dead = scene_dead;
    scene.node.state = NODE_LIVE;
    scene.tracker.node = &scene.node;
    scene.tracker.user_id = 7;
}

static void scene_teardown(void)
{
    scene_run();
    node_release(&scene.node);
    loop_release(&scene.loop);
}

#endif
