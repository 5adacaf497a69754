/* server/http: h2o as this server sets it up, with clients on the same loop; no database. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/loop.h"
#include "server/http/http.h"
#include "server/http/stream.h"

#define WAIT_MS 15000 /* a condition that takes longer has failed */

struct scene {
    struct loop loop;
    struct http *http;
    struct timer tick;     /* keeps uv_run(ONCE) returning */
    struct call *kept;     /* held by the handler of /keep */
    struct stream *stream; /* of /stream */
    int ready, gone;       /* calls back of streams */
    int requests;
    bool stopped;
};

struct client {
    int fd;
    struct buf got;
    bool ended; /* the server has closed in good order */
    bool reset; /* the connection broke */
};

static struct scene scene;
static int quiet_ms, stall_ms; /* of streams; 0: as they are */

static bool target_is(const struct call *call, const char *text)
{
    size_t len;
    const char *target = call_target(call, &len);
    return len == strlen(text) && memcmp(target, text, len) == 0;
}

static void on_ready(void *data)
{
    ck_assert_ptr_eq(data, &scene);
    scene.ready++;
}

static void on_gone(void *data)
{
    ck_assert_ptr_eq(data, &scene);
    scene.gone++;
    scene.stream = NULL;
}

static void on_request(struct call *call)
{
    static const struct stream_events events = {on_ready, on_gone, "event: end\n\n", &scene};
    scene.requests++;
    if (target_is(call, "/stream")) {
        scene.stream = stream_begin(call, &events);
    } else if (target_is(call, "/keep") || target_is(call, "/late")) {
        call_hold(call);
        scene.kept = call;
        if (target_is(call, "/late"))
            call->deadline_ms = clock_ms() + 100;
    } else if (target_is(call, "/forwarded")) {
        size_t len, count;
        const char *hops = call_header(call, "x-forwarded-for", &len, &count);
        call_answer(call, 200, "text/plain", hops, len);
    } else if (!target_is(call, "/forget")) {
        size_t len;
        call_body(call, &len);
        char text[64];
        snprintf(text, sizeof text, "{\"bytes\": %zu}", len);
        call_json(call, 200, text);
    }
}

static void on_tick(void *data)
{
    (void)data;
}

static void on_stopped(void *data)
{
    (void)data;
    scene.stopped = true;
}

static void open_scene(size_t connections, size_t body_max, size_t bodies_max)
{
    struct error err = {0};
    struct http_options options = {.bind = "127.0.0.1",
                                   .connections = connections,
                                   .body_max = body_max,
                                   .bodies_max = bodies_max,
                                   .quiet_ms = quiet_ms,
                                   .stall_ms = stall_ms,
                                   .on_request = on_request};
    scene = (struct scene){0};
    signal(SIGPIPE, SIG_IGN); /* as loop_signals */
    loop_init(&scene.loop);
    timer_init(&scene.tick, &scene.loop, on_tick, NULL);
    timer_start(&scene.tick, 5, 5);
    scene.http = http_new(&scene.loop, &options);
    ck_assert_msg(http_listen(scene.http, &options, &err), "%s", err.text);
}

static void setup(void)
{
    open_scene(64, 1 << 20, 8 << 20);
}

/* Clocks of streams that a test can wait for. */
static void setup_streams(void)
{
    quiet_ms = 50;
    stall_ms = 1000;
    open_scene(64, 1 << 20, 8 << 20);
}

static void client_read(struct client *client)
{
    char bytes[65536];
    ssize_t got;
    while (!client->ended && !client->reset &&
           (got = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
        client->ended = got == 0;
        buf_add(&client->got, bytes, (size_t)got);
    }
    if (!client->ended && errno != EAGAIN)
        client->reset = true;
}

#define UNTIL(condition)                                                            \
    do {                                                                            \
        int64_t until_ms = clock_ms() + WAIT_MS;                                    \
        while (!(condition)) {                                                      \
            uv_run(&scene.loop.uv, UV_RUN_ONCE);                                    \
            ck_assert_msg(clock_ms() < until_ms, "waited in vain for " #condition); \
        }                                                                           \
    } while (0)

static void client_open(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(scene.http))};
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    buf_init(&client->got, 16 << 20);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
}

static void client_close(struct client *client)
{
    close(client->fd);
    buf_release(&client->got);
}

/* Sends it all while the loop runs; stops when the server breaks the connection. */
static void client_send(struct client *client, const char *bytes, size_t len)
{
    size_t sent = 0;
    int64_t until_ms = clock_ms() + WAIT_MS;
    while (sent < len && clock_ms() < until_ms) {
        ssize_t now = send(client->fd, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EAGAIN)
            return;
        sent += now > 0 ? (size_t)now : 0;
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
        client_read(client);
    }
    ck_assert_uint_eq(sent, len);
}

static void client_ask(struct client *client, const char *text)
{
    client_send(client, text, strlen(text));
}

static bool client_has(struct client *client, const char *text)
{
    client_read(client);
    return strstr(buf_text(&client->got), text) != NULL;
}

static int client_count(struct client *client, const char *text)
{
    int count = 0;
    client_read(client);
    for (const char *at = buf_text(&client->got); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static bool client_done(struct client *client)
{
    client_read(client);
    return client->ended || client->reset;
}

static void close_scene(void)
{
    if (!scene.stopped) {
        http_stop(scene.http, 2000, on_stopped, NULL);
        UNTIL(scene.stopped);
    }
    ck_assert_uint_eq(http_counts(scene.http).connections, 0);
    timer_close(&scene.tick, NULL);
    http_free(scene.http);
    loop_release(&scene.loop);
}

START_TEST(answers_have_their_headers)
{
    struct client client;
    client_open(&client);
    client_ask(&client, "GET /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: my-id.1\r\n\r\n");
    UNTIL(client_has(&client, "{\"bytes\": 0}"));
    ck_assert(client_has(&client, "HTTP/1.1 200 OK\r\n"));
    ck_assert(client_has(&client, "\r\ncontent-type: application/json\r\n"));
    ck_assert(client_has(&client, "\r\ncache-control: no-store\r\n"));
    ck_assert(client_has(&client, "\r\nx-content-type-options: nosniff\r\n"));
    ck_assert(client_has(&client, "\r\nx-request-id: my-id.1\r\n"));
    client_ask(&client, "HEAD /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n");
    UNTIL(client_count(&client, "HTTP/1.1 200") == 2);
    ck_assert_int_eq(client_count(&client, "Content-Length: 12"), 2);
    ck_assert_int_eq(client_count(&client, "{\"bytes\""), 1);
    ck_assert(!client_has(&client, "x-request-id: a b"));
    client_close(&client);
    close_scene();
}
END_TEST

/* A proxy may add a line of its own behind the client's: only that one can be believed. */
START_TEST(the_last_of_equal_headers_counts)
{
    struct client client;
    client_open(&client);
    client_ask(&client, "GET /forwarded HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: made up\r\n"
                        "X-Forwarded-For: 192.0.2.7\r\n\r\n");
    UNTIL(client_has(&client, "\r\n\r\n192.0.2.7"));
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(pipelined_requests_are_all_answered)
{
    struct client client;
    client_open(&client);
    for (int i = 0; i < 500; i++)
        client_ask(&client, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    UNTIL(client_count(&client, "{\"bytes\": 3}") == 500);
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(a_forgotten_call_is_answered_500)
{
    struct client client;
    client_open(&client);
    client_ask(&client, "GET /forget HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(client_has(&client, "\"code\": \"internal\""));
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(a_late_call_is_answered_503)
{
    struct client client;
    client_open(&client);
    client_ask(&client, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(client_has(&client, "\"code\": \"timeout\""));
    ck_assert(client_has(&client, "\r\nretry-after: 1\r\n"));
    call_json(scene.kept, 200, "{}"); /* too late: dropped */
    call_drop(scene.kept);
    client_close(&client);
    close_scene();
}
END_TEST

static void vanish(bool reset)
{
    struct client client;
    client_open(&client);
    client_ask(&client, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(scene.kept != NULL);
    struct linger hard = {1, 0};
    if (reset)
        setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    client_close(&client);
    UNTIL(scene.kept->req == NULL);
    ck_assert(call_gone(scene.kept));
    UNTIL(http_counts(scene.http).connections == 0);
    call_add_header(scene.kept, "x-late", "1");
    call_json(scene.kept, 200, "{}");
    call_drop(scene.kept);
    close_scene();
}

START_TEST(a_client_that_closes_is_noticed)
{
    vanish(false);
}
END_TEST

START_TEST(a_client_that_resets_is_noticed)
{
    vanish(true);
}
END_TEST

static void send_body(struct client *client, const char *head, size_t len)
{
    static char bytes[4 << 20];
    memset(bytes, 'x', sizeof bytes);
    client_ask(client, head);
    client_send(client, bytes, len);
}

START_TEST(too_large_a_body_is_told_without_a_reset)
{
    struct client client;
    client_open(&client);
    send_body(&client, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n", 4 << 20);
    UNTIL(client_done(&client) || client_has(&client, "too large"));
    ck_assert(client_has(&client, "HTTP/1.1 413 "));
    ck_assert(!client.reset);
    ck_assert_int_eq(scene.requests, 0);
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(bodies_have_a_ceiling_together)
{
    struct client clients[3];
    open_scene(64, 4 << 20, 2 << 20);
    for (int i = 0; i < 3; i++) {
        client_open(&clients[i]);
        send_body(&clients[i], "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n",
                  900000);
    }
    UNTIL(http_counts(scene.http).refused == 1);
    int refused = 0;
    for (int i = 0; i < 3; i++) {
        send_body(&clients[i], "", 1048576 - 900000);
        UNTIL(client_has(&clients[i], "}"));
        refused += client_has(&clients[i], "HTTP/1.1 503 ") && client_has(&clients[i], "\"busy\"");
        ck_assert(!clients[i].reset);
        client_close(&clients[i]);
    }
    ck_assert_int_eq(refused, 1);
    ck_assert_int_eq(scene.requests, 2);
    close_scene();
}
END_TEST

START_TEST(connections_have_a_ceiling)
{
    struct client clients[3];
    open_scene(2, 1 << 20, 8 << 20);
    for (int i = 0; i < 3; i++) {
        client_open(&clients[i]);
        UNTIL(http_counts(scene.http).connections == (size_t)(i + 1) ||
              http_counts(scene.http).refused == 1);
    }
    UNTIL(client_has(&clients[2], "\"busy\""));
    client_ask(&clients[0], "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(client_has(&clients[0], "{\"bytes\": 0}"));
    for (int i = 0; i < 3; i++)
        client_close(&clients[i]);
    close_scene();
}
END_TEST

START_TEST(a_lame_node_closes_its_connections)
{
    struct client client;
    client_open(&client);
    http_lame(scene.http);
    client_ask(&client, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(client_done(&client));
    ck_assert(client.ended && client_has(&client, "Connection: close"));
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(stopping_waits_for_requests_under_way)
{
    struct client busy, idle;
    client_open(&busy);
    client_open(&idle);
    client_ask(&idle, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    client_ask(&busy, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(scene.kept != NULL && client_has(&idle, "bytes"));
    http_stop(scene.http, 10000, on_stopped, NULL);
    UNTIL(client_done(&idle));
    ck_assert(idle.ended && !scene.stopped);
    call_json(scene.kept, 200, "{\"kept\": true}");
    call_drop(scene.kept);
    UNTIL(client_done(&busy));
    ck_assert(client_has(&busy, "{\"kept\": true}") && client_has(&busy, "Connection: close"));
    client_close(&busy);
    client_close(&idle);
    UNTIL(scene.stopped);
    close_scene();
}
END_TEST

/* Connected, as its kernel and ours say, but not accepted yet; and accepted, but not heard of yet.
 */
START_TEST(stopping_resets_nobody_who_has_just_come)
{
    struct client early, waiting;
    client_open(&early);
    UNTIL(http_counts(scene.http).connections == 1);
    client_open(&waiting);
    ck_assert_uint_eq(http_counts(scene.http).connections, 1);
    http_stop(scene.http, 10000, on_stopped, NULL);
    client_ask(&waiting, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int64_t until_ms = clock_ms() + 400; clock_ms() < until_ms;)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    client_ask(&early, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(client_done(&waiting) && client_done(&early));
    ck_assert(waiting.ended && client_has(&waiting, "{\"bytes\": 0}"));
    ck_assert(early.ended && client_has(&early, "{\"bytes\": 0}"));
    client_close(&waiting);
    client_close(&early);
    UNTIL(scene.stopped);
    close_scene();
}
END_TEST

/* Not taken and then reset: its kernel asks again, and hears that nobody listens. */
START_TEST(who_comes_while_it_stops_is_refused)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(scene.http))};
    struct pollfd look = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    http_stop(scene.http, 10000, on_stopped, NULL);
    ck_assert_int_eq(connect(look.fd, (struct sockaddr *)&address, sizeof address), -1);
    ck_assert_int_eq(errno, EINPROGRESS);
    UNTIL(scene.stopped);
    ck_assert_int_eq(poll(&look, 1, WAIT_MS), 1);
    ck_assert_int_eq(getsockopt(look.fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    ck_assert_int_eq(error, ECONNREFUSED);
    close(look.fd);
    close_scene();
}
END_TEST

START_TEST(stopping_ends_at_its_deadline)
{
    struct client busy, half;
    client_open(&busy);
    client_open(&half);
    client_ask(&busy, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    client_ask(&half, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
    UNTIL(scene.kept != NULL);
    http_stop(scene.http, 300, on_stopped, NULL);
    UNTIL(scene.stopped);
    ck_assert(call_gone(scene.kept));
    call_drop(scene.kept);
    client_close(&busy);
    client_close(&half);
    close_scene();
}
END_TEST

START_TEST(parser_errors_do_not_reach_a_handler)
{
    static const char *const requests[] = {
        "\r\n\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct client client;
        client_open(&client);
        client_ask(&client, requests[i]);
        shutdown(client.fd, SHUT_WR);
        UNTIL(client_done(&client));
        client_close(&client);
    }
    ck_assert_int_eq(scene.requests, 0);
    close_scene();
}
END_TEST

/* --- streams --- */

static void open_stream(struct client *client, const char *version)
{
    char text[100];
    snprintf(text, sizeof text, "GET /stream HTTP/%s\r\nHost: x\r\n\r\n", version);
    client_open(client);
    client_ask(client, text);
    UNTIL(scene.stream != NULL && client_has(client, "\r\n\r\n"));
}

START_TEST(a_stream_is_sent_as_it_comes)
{
    struct client client;
    open_stream(&client, "1.1");
    ck_assert_uint_eq(http_counts(scene.http).waiting, 0); /* it has its answer */
    ck_assert(client_has(&client, "content-type: text/event-stream\r\n"));
    ck_assert(client_has(&client, "transfer-encoding: chunked\r\n"));
    ck_assert(client_has(&client, "Connection: close\r\n"));
    ck_assert(stream_send(scene.stream, "data: 1\n\n", 9));
    ck_assert(stream_send(scene.stream, "data: 2\n\n", 9));
    UNTIL(client_has(&client, "data: 1\n\n") && client_has(&client, "data: 2\n\n"));
    ck_assert(!client_done(&client));
    stream_end(scene.stream, "data: 3\n\n", 9);
    UNTIL(client_done(&client));
    ck_assert(client.ended && client_has(&client, "data: 3\n\n\r\n0\r\n\r\n"));
    ck_assert_int_eq(scene.gone, 0);
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(an_old_client_gets_a_stream_without_frames)
{
    struct client client;
    open_stream(&client, "1.0");
    ck_assert(stream_send(scene.stream, "data: 1\n\n", 9));
    UNTIL(client_has(&client, "data: 1\n\n"));
    ck_assert(!client_has(&client, "chunked"));
    stream_end(scene.stream, NULL, 0);
    UNTIL(client_done(&client));
    ck_assert(client.ended && client_has(&client, "\r\n\r\n:\n\ndata: 1\n\n"));
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(the_head_of_a_stream_has_no_body)
{
    struct client client;
    client_open(&client);
    client_ask(&client,
               "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(client_has(&client, "{\"bytes\": 0}"));
    ck_assert(client_has(&client, "content-type: text/event-stream\r\n"));
    ck_assert_int_eq(client_count(&client, "HTTP/1.1 200"), 2);
    ck_assert_ptr_null(scene.stream);
    client_close(&client);
    close_scene();
}
END_TEST

static void leave_stream(const char *version, bool half, bool reset)
{
    struct client client;
    struct linger hard = {1, 0};
    open_stream(&client, version);
    if (reset)
        setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (half)
        shutdown(client.fd, SHUT_WR);
    else
        close(client.fd);
    UNTIL(scene.gone == 1 && http_counts(scene.http).connections == 0);
    if (half)
        close(client.fd);
    buf_release(&client.got);
    close_scene();
    ck_assert_int_eq(scene.gone, 1);
}

START_TEST(who_leaves_a_stream_is_noticed)
{
    leave_stream(_i % 2 != 0 ? "1.0" : "1.1", _i / 2 == 1, _i / 2 == 2);
}
END_TEST

START_TEST(a_quiet_stream_shows_that_it_lives)
{
    struct client client;
    open_stream(&client, "1.1");
    UNTIL(client_count(&client, ":\n\n") >= 3);
    ck_assert_int_eq(scene.gone, 0);
    stream_end(scene.stream, NULL, 0);
    client_close(&client);
    close_scene();
}
END_TEST

/* Fills the stream until it refuses; returns how many bytes it took. */
static size_t fill_stream(void)
{
    static char bytes[4096];
    size_t sent = 0;
    memset(bytes, 'x', sizeof bytes);
    while (stream_send(scene.stream, bytes, sizeof bytes)) {
        sent += sizeof bytes;
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
        ck_assert_uint_lt(sent, 64 << 20);
    }
    return sent;
}

START_TEST(a_stream_waits_for_its_reader)
{
    struct client client;
    open_stream(&client, "1.0");
    size_t sent = fill_stream();
    ck_assert_int_eq(scene.ready, 0);
    UNTIL((client_read(&client), scene.ready == 1));
    ck_assert(stream_send(scene.stream, "data: 1\n\n", 9));
    stream_end(scene.stream, NULL, 0);
    UNTIL(client_done(&client));
    ck_assert(client_has(&client, "data: 1\n\n"));
    ck_assert_uint_ge(client.got.len, sent);
    ck_assert_int_eq(scene.gone, 0);
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(more_than_any_room_goes_alone)
{
    static char large[STREAM_PENDING_MAX * 3];
    struct client client;
    memset(large, 'x', sizeof large);
    open_stream(&client, "1.0");
    UNTIL(client_has(&client, ":\n\n") && (scene.ready = 1));
    UNTIL(stream_send(scene.stream, large, sizeof large));
    ck_assert(!stream_send(scene.stream, large, sizeof large));
    stream_end(scene.stream, "end", 3);
    UNTIL(client_done(&client));
    ck_assert_uint_gt(client.got.len, sizeof large);
    ck_assert(client_has(&client, "xend"));
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(who_does_not_read_is_dropped)
{
    struct client client;
    open_stream(&client, "1.1");
    size_t sent = fill_stream();
    ck_assert_uint_lt(sent, 8 << 20); /* what two kernels hold, and STREAM_PENDING_MAX */
    UNTIL(scene.gone == 1 && http_counts(scene.http).connections == 0);
    ck_assert_uint_eq(http_counts(scene.http).stalled, 1);
    client_close(&client);
    close_scene();
}
END_TEST

START_TEST(a_stream_ends_with_its_node)
{
    struct client client, late;
    open_stream(&client, "1.1");
    client_open(&late);
    client_ask(&late, "GET /x HT");
    UNTIL(http_counts(scene.http).connections == 2);
    http_lame(scene.http);
    ck_assert(stream_send(scene.stream, "data: 1\n\n", 9));
    http_stop(scene.http, 10000, on_stopped, NULL);
    ck_assert_int_eq(scene.gone, 1);
    UNTIL(client_done(&client));
    ck_assert(client.ended && client_has(&client, "data: 1\n\n"));
    ck_assert(client_has(&client, "event: end\n\n\r\n0\r\n\r\n"));
    client_close(&client);
    client_close(&late);
    UNTIL(scene.stopped);
    close_scene();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tests = tcase_create("http");
    tcase_set_timeout(tests, 60);
    TCase *own = tcase_create("ceilings");
    tcase_set_timeout(own, 60);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, answers_have_their_headers);
    tcase_add_test(tests, the_last_of_equal_headers_counts);
    tcase_add_test(tests, pipelined_requests_are_all_answered);
    tcase_add_test(tests, a_forgotten_call_is_answered_500);
    tcase_add_test(tests, a_late_call_is_answered_503);
    tcase_add_test(tests, a_client_that_closes_is_noticed);
    tcase_add_test(tests, a_client_that_resets_is_noticed);
    tcase_add_test(tests, too_large_a_body_is_told_without_a_reset);
    tcase_add_test(tests, a_lame_node_closes_its_connections);
    tcase_add_test(tests, stopping_waits_for_requests_under_way);
    tcase_add_test(tests, stopping_resets_nobody_who_has_just_come);
    tcase_add_test(tests, who_comes_while_it_stops_is_refused);
    tcase_add_test(tests, stopping_ends_at_its_deadline);
    tcase_add_test(tests, parser_errors_do_not_reach_a_handler);
    tcase_add_test(own, bodies_have_a_ceiling_together);
    tcase_add_test(own, connections_have_a_ceiling);
    TCase *streams = tcase_create("streams");
    tcase_set_timeout(streams, 60);
    tcase_add_checked_fixture(streams, setup_streams, NULL);
    tcase_add_test(streams, a_stream_is_sent_as_it_comes);
    tcase_add_test(streams, an_old_client_gets_a_stream_without_frames);
    tcase_add_test(streams, the_head_of_a_stream_has_no_body);
    tcase_add_loop_test(streams, who_leaves_a_stream_is_noticed, 0, 6);
    tcase_add_test(streams, a_quiet_stream_shows_that_it_lives);
    tcase_add_test(streams, a_stream_waits_for_its_reader);
    tcase_add_test(streams, more_than_any_room_goes_alone);
    tcase_add_test(streams, who_does_not_read_is_dropped);
    tcase_add_test(streams, a_stream_ends_with_its_node);
    suite_add_tcase(suite, streams);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, own);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
