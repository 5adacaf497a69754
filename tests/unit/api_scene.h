/* A server node between a real client and a fake database: http room, router, checks, tokens and
 * handlers are the real ones, on a real loop.
 *
 * The fake stands in at link time for db_query (common/db/db.h). Each test says what SQL functions
 * answer (api_sql), asks (api_ask), and looks at the answer and at what the functions were called
 * with. */
#ifndef FLEET_API_SCENE_H
#define FLEET_API_SCENE_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"
#include "server/api/enter.h"
#include "server/routes.h"
#include "server/server.h"
#include "tests/unit/fake_rows.h"

#define API_WAIT_MS 20000
#define API_PARAM_MAX 8192
/* Any text of a token's form; the fake database says what it may. */
#define API_TOKEN "aft_r_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define API_JSON "Content-Type: application/json\r\n"

/* What "fleet.NAME(" answers. */
struct api_sql {
    const char *name;
    const char *rows;  /* literal, see fake_rows.h */
    const char *state; /* literal: an error of this SQLSTATE instead, or NULL */
    bool held;         /* no answer for now */
    int calls;
    int64_t until_ms; /* of the last call, where it may wait for a lock */
    int count;
    char last[24][API_PARAM_MAX]; /* parameters of the last call; "<null>" for NULL */
};

struct api_query {
    struct list link;
    struct api_sql *sql;
    db_done_cb on_done;
    void *data;
};

static struct {
    struct server server;
    struct timer pump; /* answers queries; turns the loop while something is awaited */
    struct list queries;
    struct api_sql sql[16];
    bool down; /* the database is */
    bool stopped;
    int status;       /* of the last answer; 0: closed without one */
    char head[16384]; /* its headers */
    char *body;       /* its body; owned */
} api;

/* Sets what fleet.NAME answers from now on; gives its row. */
static inline struct api_sql *api_sql(const char *name, const char *rows)
{
    struct api_sql *sql = api.sql;
    while (sql->name != NULL && strcmp(sql->name, name) != 0)
        ck_assert_ptr_ne(++sql, api.sql + 16);
    sql->name = name;
    sql->rows = rows;
    sql->state = NULL;
    return sql;
}

static inline void api_sql_fails(const char *name, const char *state)
{
    api_sql(name, NULL)->state = state;
}

/* What was asked of fleet.NAME. */
static inline struct api_sql *api_asked(const char *name)
{
    for (struct api_sql *sql = api.sql; sql->name != NULL; sql++)
        if (strcmp(sql->name, name) == 0)
            return sql;
    ck_abort_msg("fleet.%s is not set up", name);
}

/* A row of fleet.requester of token 7, that asks from here, in whatever request. */
#define API_BY "(\"7\",\"127.0.0.1\",\""

static inline bool api_same(const char *got, const char *want)
{
    return strcmp(want, API_BY) == 0 ? strncmp(got, want, strlen(want)) == 0
                                     : strcmp(got, want) == 0;
}

/* The parameters of the last call of fleet.NAME, from the first on. */
static inline void api_was_asked(const char *name, const char *const *params)
{
    const struct api_sql *sql = api_asked(name);
    for (int i = 0; i < sql->count; i++)
        ck_assert_msg(api_same(sql->last[i], params[i]), "fleet.%s, $%d: got %s, want %s", name,
                      i + 1, sql->last[i], params[i]);
}

static struct api_sql *api_find(const char *text)
{
    char call[80];
    for (struct api_sql *sql = api.sql; sql->name != NULL; sql++) {
        snprintf(call, sizeof call, "fleet.%s(", sql->name);
        if (strstr(text, call) != NULL)
            return sql;
    }
    ck_abort_msg("an unexpected query: %s", text);
}

void db_query(struct db *db, const char *text, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data)
{
    (void)db, (void)repeat;
    struct api_sql *sql = api_find(text);
    sql->calls++;
    sql->count = count;
    for (int i = 0; i < count; i++)
        snprintf(sql->last[i], API_PARAM_MAX, "%s", params[i] != NULL ? params[i] : "<null>");
    struct api_query *query = mem_alloc(sizeof *query);
    *query = (struct api_query){.sql = sql, .on_done = on_done, .data = data};
    list_append(&api.queries, &query->link);
}

void db_query_locking(struct db *db, const char *key, int64_t until_ms, const char *text,
                      enum db_repeat repeat, int count, const char *const *params,
                      db_done_cb on_done, void *data)
{
    (void)key;
    db_query(db, text, repeat, count, params, on_done, data);
    api_find(text)->until_ms = until_ms;
}

bool db_read_only(const struct db *db)
{
    (void)db;
    return false;
}

bool db_up(const struct db *db)
{
    (void)db;
    return !api.down;
}

struct db_counts db_counts(const struct db *db)
{
    (void)db;
    return (struct db_counts){.up = api.down ? 0 : 4, .connections = 4};
}

/* Nothing is measured in the background. */
static const char *api_no_node(void *data)
{
    (void)data;
    return NULL;
}

static void api_pump(void *data)
{
    (void)data;
    list_each(link, &api.queries)
    {
        struct api_query *query = list_entry(link, struct api_query, link);
        if (query->sql->held)
            continue;
        list_remove(&query->link);
        struct error err = {0};
        const char *state = api.down ? "08001" : query->sql->state;
        PGresult *pg = fake_rows(query->sql->rows);
        struct db_result res = {.pg = pg};
        if (state != NULL)
            error_set_state(&err, state, "told to fail");
        if (query->on_done != NULL)
            query->on_done(query->data, state == NULL ? &res : NULL, state == NULL ? NULL : &err);
        PQclear(pg);
        free(query);
    }
}

/* --- the node --- */

/* `yaml`: lines of the configuration beyond the database. */
static void api_open(const char *yaml)
{
    struct error err = {0};
    struct buf text;
    memset(&api, 0, sizeof api);
    log_open("test", LOG_ERROR_LEVEL);
    buf_init(&text, 65536);
    buf_addf(&text, "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n%s", yaml);
    struct server *server = &api.server;
    server->config = config_parse(buf_text(&text), text.len, "scene.yaml", CONFIG_SERVER, &err);
    buf_release(&text);
    ck_assert_msg(server->config != NULL, "%s", err.text);
    loop_init(&server->loop);
    list_init(&api.queries);
    timer_init(&api.pump, &server->loop, api_pump, NULL);
    timer_start(&api.pump, 1, 1);
    server->routes = server_routes;
    server->db = (struct db *)(void *)&api;
    server->auth = auth_new(server->db);
    server->ceiling = ceiling_new(&server->loop, server->db, 64);
    server->follow = follow_new(&server->loop, server->db, server->ceiling);
    server->submit = submit_new(server->db);
    turns_init(&server->turns, server->db, 4);
    server->node = node_new(&server->loop, server->db, "scene", "");
    server->pull = pull_new(&server->loop, server->db, server->node, server->ceiling, 10);
    meter_init(&server->meter, server_routes);
    server->measure =
        measure_new(&server->loop, server->db, &(struct measure_node){.id = api_no_node});
    struct http_options options = {.bind = "127.0.0.1",
                                   .connections = 64,
                                   .body_max = 24 << 20,
                                   .bodies_max = 64 << 20,
                                   .on_request = api_enter,
                                   .on_answer = api_answered,
                                   .data = server};
    server->http = http_new(&server->loop, &options);
    ck_assert_msg(http_listen(server->http, &options, &err), "%s", err.text);
}

static void api_stopped(void *data)
{
    (void)data;
    api.stopped = true;
}

static inline void api_until(const bool *condition)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (!*condition) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "waited in vain");
    }
}

static void api_setup(void)
{
    api_open("");
}

static void api_teardown(void)
{
    for (struct api_sql *sql = api.sql; sql->name != NULL; sql++)
        sql->held = false;
    http_stop(api.server.http, 2000, api_stopped, NULL);
    api_until(&api.stopped);
    pull_stop(api.server.pull);
    measure_stop(api.server.measure);
    api_sql("node_stop", NULL);
    api.stopped = false;
    node_stop(api.server.node, api_stopped, NULL);
    api_until(&api.stopped);
    while (!list_empty(&api.queries))
        api_pump(NULL);
    timer_close(&api.pump, NULL);
    http_free(api.server.http);
    follow_free(api.server.follow);
    ceiling_free(api.server.ceiling);
    loop_run(&api.server.loop);
    auth_free(api.server.auth);
    submit_free(api.server.submit);
    pull_free(api.server.pull);
    measure_free(api.server.measure);
    meter_release(&api.server.meter);
    node_free(api.server.node);
    config_free(api.server.config);
    loop_release(&api.server.loop);
    free(api.body);
}

/* --- the client --- */

static inline int api_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(api.server.http))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Sends and receives until the node closes. */
static inline void api_talk(int fd, const struct buf *request, struct buf *answer)
{
    char bytes[65536];
    size_t sent = 0;
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    for (;;) {
        ssize_t put = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);
        sent += put > 0 ? (size_t)put : 0;
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got > 0)
            buf_add(answer, bytes, (size_t)got);
        else if (got == 0 || errno != EAGAIN)
            return;
        uv_run(&api.server.loop.uv, UV_RUN_NOWAIT);
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "no answer");
    }
}

/* Sends one request as it stands and gives the answer's status; 0 when the node just closed. */
static inline int api_raw(const struct buf *request)
{
    struct buf answer;
    buf_init(&answer, 64 << 20);
    int fd = api_connect();
    api_talk(fd, request, &answer);
    close(fd);
    const char *text = buf_text(&answer), *end = strstr(text, "\r\n\r\n");
    free(api.body);
    api.body = mem_strdup(end != NULL ? end + 4 : "");
    snprintf(api.head, sizeof api.head, "%.*s", end != NULL ? (int)(end - text) : 0, text);
    api.status = strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
    buf_release(&answer);
    return api.status;
}

/* `headers`: lines with their \r\n, or "". `body` may be NULL. */
static inline int api_ask_with(const char *method, const char *target, const char *headers,
                               const char *body)
{
    struct buf request;
    buf_init(&request, 64 << 20);
    buf_addf(&request, "%s %s HTTP/1.1\r\nConnection: close\r\n%s", method, target, headers);
    if (strstr(headers, "Host: ") == NULL)
        buf_adds(&request, "Host: localhost\r\n");
    if (body != NULL)
        buf_addf(&request, "Content-Length: %zu\r\n", strlen(body));
    buf_adds(&request, "\r\n");
    buf_adds(&request, body != NULL ? body : "");
    int status = api_raw(&request);
    buf_release(&request);
    return status;
}

/* With a token of this scope, and a JSON body when there is one. */
static inline int api_ask(const char *scope, const char *method, const char *target,
                          const char *body)
{
    static char row[200];
    snprintf(row, sizeof row, "token_id=7;name=tester;scope=%s;bounded=f;expires_ms=<null>", scope);
    api_sql("authenticate", row);
    auth_free(api.server.auth); /* what it remembers of the scope before */
    api.server.auth = auth_new(api.server.db);
    return api_ask_with(method, target,
                        body != NULL ? "Authorization: Bearer " API_TOKEN "\r\n" API_JSON
                                     : "Authorization: Bearer " API_TOKEN "\r\n",
                        body);
}

/* The last answer is an error with this status and code. */
static inline void api_is_error(int status, const char *code)
{
    char member[100];
    snprintf(member, sizeof member, "\"code\": \"%s\"", code);
    ck_assert_msg(api.status == status && strstr(api.body, member) != NULL,
                  "not %d %s but %d: %.300s", status, code, api.status, api.body);
}

static inline void api_has(const char *text)
{
    ck_assert_msg(strstr(api.head, text) != NULL || strstr(api.body, text) != NULL,
                  "no '%s' in: %s\n%.600s", text, api.head, api.body);
}

static inline TCase *api_case(const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, api_setup, api_teardown);
    return tcase;
}

static inline int api_run(TCase *tcase)
{
    Suite *suite = suite_create("api");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
