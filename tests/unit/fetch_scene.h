/* A fetch and the server that it calls: one request at a time, and what came of it. */
#ifndef FLEET_FETCH_SCENE_H
#define FLEET_FETCH_SCENE_H

#include <signal.h>

#include "common/mem.h"
#include "tests/unit/http_scene.h"

#define SECRET "token abcdefghijklmnopqrstuvwxyz012345"

/* What came of one request. */
struct got {
    int calls, status;
    char body[4096], location[512], text[512], state[24];
    size_t len;
    int64_t retry, total;
    bool sent;
};

static struct loop loop;
static struct http_server server;
static struct fetch *fetch;
static bool stopped;

static inline void on_got(void *data, const struct fetch_answer *answer)
{
    struct got *got = data;

    got->calls++;
    got->status = answer->status;
    got->len = answer->len;
    got->retry = answer->retry_after_secs;
    got->total = answer->total;
    got->sent = answer->sent;
    snprintf(got->body, sizeof got->body, "%s", answer->body);
    snprintf(got->location, sizeof got->location, "%s", answer->location);
    snprintf(got->text, sizeof got->text, "%s", answer->error.text);
    snprintf(got->state, sizeof got->state, "%s", answer->error.state);
    ck_assert_msg(strlen(answer->body) <= answer->len, "the body is not ended by NUL");
    ck_assert(strstr(answer->error.text, "abcdefgh") == NULL);
}

static inline void begin(http_serve_cb serve)
{
    loop_init(&loop);
    signal(SIGPIPE, SIG_IGN);
    http_server_start(&server, serve, NULL, NULL);
}

/* `format` has the port. */
static inline void open_fetch(const char *format, int timeout_ms, const char *ca_file)
{
    struct error err = {0};
    char base[256];

    snprintf(base, sizeof base, format, server.port);
    fetch =
        fetch_new(&loop,
                  &(struct fetch_options){
                      .base = base, .connections = 2, .timeout_ms = timeout_ms, .ca_file = ca_file},
                  &err);
    ck_assert_msg(fetch != NULL, "%s", err.text);
}

static inline void on_stopped(void *data)
{
    (void)data;
    stopped = true;
}

static inline void end(void)
{
    stopped = false;
    fetch_stop(fetch, on_stopped, NULL);
    loop_run(&loop);
    ck_assert(stopped);
    fetch_free(fetch);
    loop_release(&loop);
    http_server_stop(&server);
}

static inline struct got ask(const char *method, const char *path, const char *body)
{
    struct got got = {0};

    fetch_send(fetch,
               &(struct fetch_request){.method = method,
                                       .path = path,
                                       .authorization = SECRET,
                                       .body = body,
                                       .body_len = body ? strlen(body) : 0,
                                       .content_type = "application/json"},
               on_got, &got);
    ck_assert_msg(got.calls == 0, "called back from within fetch_send");
    loop_run(&loop);
    ck_assert_int_eq(got.calls, 1);
    return got;
}

static inline bool serve_plain(struct http_peer *peer)
{
    return http_answer(peer, "200 OK", "X-Total-Count: 7\r\n", "{\"a\":1}");
}

#endif
