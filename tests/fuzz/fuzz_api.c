/* Requests to every route of the table, bodies and queries as they come, through the real HTTP room
 * and handlers: whatever is asked, the answer is no 500, and an error has its sentence and code.
 * The database stands in at link time and grants everything. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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

#define ANSWER_MS 5000
#define BODY_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server server;
static struct list queries;

struct query_asked {
    struct list link;
    bool reply; /* wants a fleet.reply */
    db_done_cb on_done;
    void *data;
};

static void expect(bool good, const char *what, const char *answer)
{
    if (good)
        return;
    fprintf(stderr, "%s: %.600s\n", what, answer);
    abort();
}

/* --- the database --- */

void db_query(struct db *db, const char *sql, enum db_repeat repeat, int count,
              const char *const *params, db_done_cb on_done, void *data)
{
    (void)db, (void)repeat;
    for (int i = 0; i < count; i++)
        if (params[i] != NULL)
            (void)strlen(params[i]);
    struct query_asked *query = mem_alloc(sizeof *query);
    query->reply = strncmp(sql, "select status, body, next, location ", 36) == 0;
    query->on_done = on_done;
    query->data = data;
    list_append(&queries, &query->link);
}

void db_query_locking(struct db *db, const char *key, int64_t until_ms, const char *sql,
                      enum db_repeat repeat, int count, const char *const *params,
                      db_done_cb on_done, void *data)
{
    (void)key, (void)until_ms;
    db_query(db, sql, repeat, count, params, on_done, data);
}

bool db_read_only(const struct db *db)
{
    (void)db;
    return false;
}

bool db_up(const struct db *db)
{
    (void)db;
    return true;
}

struct db_counts db_counts(const struct db *db)
{
    (void)db;
    return (struct db_counts){.up = 1, .connections = 1};
}

static void answer_queries(void)
{
    list_each(link, &queries)
    {
        struct query_asked *query = list_entry(link, struct query_asked, link);
        struct error err = {0};
        list_remove(&query->link);
        error_set_state(&err, "08001", "no database");
        PGresult *pg = fake_rows("status=200;body={};next=<null>;location=<null>");
        struct db_result res = {.pg = pg};
        if (query->on_done != NULL)
            query->on_done(query->data, query->reply ? &res : NULL, query->reply ? NULL : &err);
        PQclear(pg);
        free(query);
    }
}

/* --- the node --- */

static const char *nobody(void *data)
{
    (void)data;
    return NULL;
}

static void open_node(void)
{
    static const char yaml[] = "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
                               "server: { insecure_open: true }\n";
    struct error err = {0};
    log_open("fuzz", LOG_ERROR_LEVEL);
    server.config = config_parse(yaml, sizeof yaml - 1, "fuzz.yaml", CONFIG_SERVER, &err);
    expect(server.config != NULL, "configuration", err.text);
    loop_init(&server.loop);
    list_init(&queries);
    server.routes = server_routes;
    server.db = (struct db *)(void *)&queries;
    struct http_options options = {.bind = "127.0.0.1",
                                   .connections = 64,
                                   .body_max = 1 << 20,
                                   .bodies_max = 64 << 20,
                                   .on_request = api_enter,
                                   .data = &server};
    server.auth = auth_new(server.db);
    server.ceiling = ceiling_new(&server.loop, server.db, 64);
    server.follow = follow_new(&server.loop, server.db, server.ceiling);
    server.submit = submit_new(server.db);
    turns_init(&server.turns, server.db, 4);
    server.measure = measure_new(&server.loop, server.db, &(struct measure_node){.id = nobody});
    meter_init(&server.meter, server_routes);
    server.node = node_new(&server.loop, server.db, "fuzz", "");
    server.pull = pull_new(&server.loop, server.db, server.node, server.ceiling, 10);
    server.http = http_new(&server.loop, &options);
    expect(http_listen(server.http, &options, &err), "listener", err.text);
}

/* --- the client --- */

static int connect_node(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(server.http))};
    struct linger at_once = {.l_onoff = 1}; /* leaves no port in TIME_WAIT */
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    for (int tries = 0;; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            fcntl(fd, F_SETFL, O_NONBLOCK);
            return fd;
        }
        /* the fuzzer's own timer interrupts; other tests take ports */
        expect(tries < 1000 && (errno == EINTR || errno == EADDRNOTAVAIL), "connect",
               strerror(errno));
        close(fd);
    }
}

/* The method and path of a row, then what is left of the input as query or body. */
static void write_request(struct buf *request, const struct route *route, const uint8_t *data,
                          size_t size)
{
    static const char hex[] = "0123456789abcdef";
    bool body = strcmp(route->method, "GET") != 0 && strcmp(route->method, "DELETE") != 0;
    const char *id = strstr(route->pattern, "{}");
    buf_addf(request, "%s %.*s%s%s", route->method,
             (int)(id != NULL ? (size_t)(id - route->pattern) : strlen(route->pattern)),
             route->pattern, id != NULL ? "1" : "", id != NULL ? id + 2 : "");
    for (size_t i = 0; !body && i < size; i++) {
        buf_adds(request, i == 0 ? "?" : "");
        if (data[i] > ' ' && data[i] < 0x7f)
            buf_add(request, &data[i], 1);
        else
            buf_addf(request, "%%%c%c", hex[data[i] >> 4], hex[data[i] & 15]);
    }
    buf_adds(request, " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    if (body)
        buf_addf(request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", size);
    buf_adds(request, "\r\n");
    if (body)
        buf_add(request, data, size);
}

/* Until the head of the answer has come, and its body unless that has no end. */
static bool is_complete(const struct buf *answer)
{
    const char *text = buf_text(answer), *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "content-length: ");
    if (end == NULL)
        return false;
    return length == NULL || length > end ||
           strlen(end + 4) >= strtoul(length + strlen("content-length: "), NULL, 10);
}

static void talk(int fd, const struct buf *request, struct buf *answer)
{
    char bytes[65536];
    size_t sent = 0;
    int64_t end_ms = clock_ms() + ANSWER_MS;
    while (!is_complete(answer)) {
        ssize_t put = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);
        sent += put > 0 ? (size_t)put : 0;
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got > 0)
            buf_add(answer, bytes, (size_t)got);
        else if (got == 0 || errno != EAGAIN)
            return;
        uv_run(&server.loop.uv, UV_RUN_NOWAIT);
        answer_queries();
        expect(clock_ms() < end_ms, "no answer to", buf_text(request));
    }
}

static void check_answer(const struct buf *request, const struct buf *answer)
{
    const char *text = buf_text(answer);
    int status = strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
    expect(status >= 200 && status != 500, "a bad answer", text);
    if (status < 400)
        return;
    bool told = strstr(text, "{\"error\": \"") != NULL && strstr(text, "\"code\": \"") != NULL;
    expect(told, "an error without a sentence", text);
    (void)request;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static size_t routes;
    if (server.http == NULL) {
        open_node();
        while (server_routes[routes].method != NULL)
            routes++;
    }
    if (size < 1 || size > BODY_MAX)
        return 0;
    struct buf request, answer;
    buf_init(&request, 4 * BODY_MAX);
    buf_init(&answer, 4 << 20);
    write_request(&request, &server_routes[data[0] % routes], data + 1, size - 1);
    int fd = connect_node();
    talk(fd, &request, &answer);
    close(fd);
    check_answer(&request, &answer);
    for (int i = 0; i < 3; i++) {
        uv_run(&server.loop.uv, UV_RUN_NOWAIT);
        answer_queries();
    }
    buf_release(&request);
    buf_release(&answer);
    return 0;
}
