/* A call from h2o's request to its one answer. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/db/db.h"
#include "common/db/trouble.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/http/internal.h"

#define CALL_DEADLINE_MS 25000 /* a call that takes longer is answered 503 */
#define ERROR_TEXT_MAX 1024
#define ANSWER_SMALL 16384     /* bytes; such a one is always given */
#define ANSWERS_MAX (64 << 20) /* of all that are under way */

/* In the request's pool: its disposal tells the call that the request is gone. */
struct call_token {
    struct call *call; /* borrowed */
};

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 207:
        return "Multi-Status";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 421:
        return "Misdirected Request";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return status < 500 ? "Refused" : "Internal Server Error";
    }
}

static void call_free(struct call *call)
{
    list_remove(&call->link);
    if (call->state_free != NULL)
        call->state_free(call->state);
    query_release(&call->query);
    identity_release(&call->who);
    free(call);
}

void call_hold(struct call *call)
{
    call->holds++;
}

void call_drop(struct call *call)
{
    call->holds--;
    if (call->holds == 1 && call->req != NULL && !call->answered) {
        log_error(LOG_ABOUT(LOG_FIELD("request", call->id)), "left without an answer");
        call_error(call, 500, "internal", NULL, "internal error in request %s", call->id);
    }
    if (call->holds == 0)
        call_free(call);
}

bool call_gone(const struct call *call)
{
    return call->req == NULL || call->answered;
}

void call_extend(struct call *call, int64_t ms)
{
    call->deadline_ms += ms;
}

bool call_client_left(struct call *call)
{
    if (!call_gone(call) && connection_left(call->connection))
        connection_vanished(call->connection);
    return call_gone(call);
}

/* The handler waits no more. */
static void tell_gone(struct call *call)
{
    void (*on_gone)(struct call * call) = call->on_gone;
    call->on_gone = NULL;
    if (on_gone != NULL)
        on_gone(call);
}

static void tell_lost(struct call *call)
{
    if (call->on_lost != NULL)
        call->on_lost(call);
}

/* A call that wants to know whether its answer was read is kept until the connection's next request
 * says that it was, or a reset that it was not. */
static void connection_keep(struct http_connection *connection, struct call *call)
{
    call_hold(call);
    connection->sent = call;
}

void call_was_read(struct http_connection *connection, bool lost)
{
    struct call *call = connection->sent;
    if (call == NULL)
        return;
    connection->sent = NULL;
    if (lost)
        tell_lost(call);
    call_drop(call);
}

/* The request's memory is about to go: answered and sent, or its connection broke. */
static void on_request_gone(void *memory)
{
    struct call *call = ((struct call_token *)memory)->call;
    struct http_connection *connection = call->connection;
    bool lost = call->answered && connection_was_reset(connection);
    if (!call->answered)
        call->http->counts.vanished++;
    if (call->stream != NULL)
        stream_request_gone(call->stream);
    call->stream = NULL;
    call->req = NULL;
    call->connection = NULL;
    list_remove(&call->link);
    connection->call = NULL;
    connection_unlook(connection);
    connection_sent(connection);
    tell_gone(call);
    if (call->on_lost != NULL && call->answered && !lost)
        connection_keep(connection, call); /* sent, but read? */
    else if (lost)
        tell_lost(call);
    call_drop(call);
}

static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
}

/* The client's own id when it is sane: it goes into headers and logs. */
static void name_call(struct call *call)
{
    size_t len, count;
    const char *given = call_header(call, "x-request-id", &len, &count);
    bool sane = given != NULL && count == 1 && len > 0 && len < sizeof call->id;
    for (size_t i = 0; sane && i < len; i++)
        sane = is_plain(given[i]);
    if (sane) {
        memcpy(call->id, given, len);
        call->id[len] = '\0';
        return;
    }
    uint8_t random[12];
    crypto_random(random, sizeof random);
    crypto_hex(random, sizeof random, call->id);
}

void call_begin(struct http *http, h2o_req_t *req)
{
    struct http_connection *connection = req->conn->callbacks->get_socket(req->conn)->on_close.data;
    struct call *call = mem_alloc(sizeof *call);
    struct call_token *token = h2o_mem_alloc_shared(&req->pool, sizeof *token, on_request_gone);
    token->call = call;
    call->http = http;
    call->req = req;
    call->connection = connection;
    call->holds = 2; /* the request, and this function */
    call->head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    call->framed = req->entity.base != NULL;
    call->began_ms = clock_ms();
    call->began_us = clock_us();
    call->deadline_ms = call->began_ms + CALL_DEADLINE_MS;
    snprintf(call->client, sizeof call->client, "%s", connection->peer);
    name_call(call);
    call_was_read(connection, false);
    connection->call = call;
    connection->came_ms = 0;
    list_append(&http->calls, &call->link);
    call->data = http->options.data;
    http->options.on_request(call);
    call_drop(call);
}

/* --- the request --- */

static const char *of_request(const h2o_iovec_t *part, size_t *len)
{
    *len = part != NULL ? part->len : 0;
    return part != NULL && part->base != NULL ? part->base : "";
}

const char *call_method(const struct call *call, size_t *len)
{
    return of_request(call->req != NULL ? &call->req->input.method : NULL, len);
}

const char *call_target(const struct call *call, size_t *len)
{
    return of_request(call->req != NULL ? &call->req->input.path : NULL, len);
}

const char *call_host(const struct call *call, size_t *len)
{
    return of_request(call->req != NULL ? &call->req->input.authority : NULL, len);
}

const char *call_body(const struct call *call, size_t *len)
{
    return of_request(call->req != NULL ? &call->req->entity : NULL, len);
}

const char *call_header(const struct call *call, const char *name, size_t *len, size_t *count)
{
    const char *value = NULL;
    *len = *count = 0;
    for (size_t i = 0; call->req != NULL && i < call->req->headers.size; i++) {
        const h2o_header_t *header = &call->req->headers.entries[i];
        if (!h2o_memis(header->name->base, header->name->len, name, strlen(name)))
            continue;
        (*count)++;
        value = header->value.base != NULL ? header->value.base : "";
        *len = header->value.len;
    }
    return value;
}

size_t call_header_bytes(const struct call *call)
{
    size_t bytes = 0;
    for (size_t i = 0; call->req != NULL && i < call->req->headers.size; i++)
        bytes +=
            call->req->headers.entries[i].name->len + call->req->headers.entries[i].value.len + 4;
    return bytes;
}

/* --- the answer --- */

void call_add_header(struct call *call, const char *name, const char *value)
{
    if (call_gone(call))
        return;
    h2o_mem_pool_t *pool = &call->req->pool;
    h2o_iovec_t own_name = h2o_strdup(pool, name, SIZE_MAX);
    h2o_iovec_t own_value = h2o_strdup(pool, value, SIZE_MAX);
    h2o_add_header_by_str(pool, &call->req->res.headers, own_name.base, own_name.len, 0, NULL,
                          own_value.base, own_value.len);
}

static bool has_header(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->req->res.headers.size; i++) {
        const h2o_iovec_t *have = call->req->res.headers.entries[i].name;
        if (h2o_memis(have->base, have->len, name, strlen(name)))
            return true;
    }
    return false;
}

/* Nothing that we answer is for a browser to run, embed or guess at. */
static void add_common_headers(struct call *call, const char *type)
{
    if (type != NULL)
        call_add_header(call, "content-type", type);
    call_add_header(call, "cache-control", "no-store");
    call_add_header(call, "x-content-type-options", "nosniff");
    if (!has_header(call, "content-security-policy"))
        call_add_header(call, "content-security-policy",
                        "default-src 'none'; frame-ancestors 'none'");
    call_add_header(call, "x-request-id", call->id);
}

/* The answer's head: it is on its way with the first bytes. */
static void answer_begin(struct call *call, int status, const char *type)
{
    add_common_headers(call, type);
    call->answered = true;
    list_remove(&call->link);
    call->req->res.status = status;
    call->req->res.reason = reason_of(status);
    if (call->http->options.on_answer != NULL)
        call->http->options.on_answer(call, status);
}

void call_open(struct call *call, const char *type, h2o_generator_t *generator)
{
    answer_begin(call, 200, type);
    connection_look(call->connection);
    call->req->http1_is_persistent = 0; /* nothing is read behind it */
    h2o_start_response(call->req, generator);
}

bool call_room(struct call *call, size_t len)
{
    if (len <= ANSWER_SMALL || call->http->answers + len <= ANSWERS_MAX)
        return true;
    call->http->counts.refused++;
    tell_lost(call);
    call->on_lost = NULL;
    call_error(call, 503, "busy", NULL,
               "too many large answers wait for clients that do not read; try again soon, or ask "
               "for less");
    return false;
}

void call_answer(struct call *call, int status, const char *type, const void *bytes, size_t len)
{
    static h2o_generator_t generator = {NULL, NULL};
    if (call_gone(call) || !call_room(call, len))
        return;
    h2o_req_t *req = call->req;
    answer_begin(call, status, type);
    tell_gone(call);
    connection_unlook(call->connection);
    connection_sending(call->connection, len);
    req->res.content_length = status == 204 ? SIZE_MAX : len; /* RFC 9110 8.6: of 204 none */
    if (call->http->lame || call->connection->gone)
        req->http1_is_persistent = 0;
    h2o_iovec_t body = h2o_strdup(&req->pool, bytes, len);
    h2o_start_response(req, &generator);
    h2o_send(req, &body, call->head || len == 0 ? 0 : 1, H2O_SEND_STATE_FINAL);
}

void call_json(struct call *call, int status, const char *text)
{
    call_answer(call, status, "application/json", text, strlen(text));
}

static void answer_error(struct call *call, int status, const char *code, const char *details,
                         const char *format, va_list args)
{
    char text[ERROR_TEXT_MAX];
    vsnprintf(text, sizeof text, format, args);
    struct buf out;
    buf_init(&out, 65536);
    buf_adds(&out, "{\"error\": ");
    json_quote(&out, text, strlen(text));
    buf_adds(&out, ", \"code\": ");
    json_quote(&out, code, strlen(code));
    if (details != NULL)
        buf_addf(&out, ", \"details\": %s", details);
    buf_adds(&out, "}");
    if (status == 503 || status == 429)
        call_add_header(call, "retry-after", "1");
    call_json(call, status, buf_text(&out));
    buf_release(&out);
}

void call_error(struct call *call, int status, const char *code, const char *details,
                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    answer_error(call, status, code, details, format, args);
    va_end(args);
}

/* Said in the log now and then: what to do about it, where a person has to. */
static void answer_unavailable(struct call *call, const char *code, const struct error *err)
{
    char text[700];
    const char *word = db_trouble_word(err);
    bool person = strcmp(word, "schema") == 0 || strcmp(word, "role") == 0;
    if (person)
        db_trouble_text(err, "server", text, sizeof text);
    else
        snprintf(text, sizeof text, "requests are answered 503: %s", err->text);
    db_trouble_say(&call->http->trouble, text);
    log_debug(LOG_ABOUT(LOG_FIELD("request", call->id)), "answered 503: %s", err->text);
    call_error(call, 503, code, NULL, "%s",
               person ? "this node and its database do not fit together; the log of the node says "
                        "what to do"
                      : "the database does not answer; try again soon");
}

void call_db_error(struct call *call, const struct error *err)
{
    const struct db_fault *fault = db_fault(err->state);
    if (fault->http < 500) {
        call_error(call, fault->http, fault->code, NULL, "%s", err->text);
        return;
    }
    if (fault->http == 503) {
        answer_unavailable(call, fault->code, err);
        return;
    }
    log_error(LOG_ABOUT(LOG_FIELD("request", call->id)), "a query failed (%s): %s", err->state,
              err->text);
    call_error(call, 500, "internal", NULL,
               "internal error; the log of the node has more about "
               "request %s",
               call->id);
}

void connection_vanished(struct http_connection *connection)
{
    connection->gone = true;
    if (connection->call != NULL && connection->call->stream != NULL)
        stream_cut(connection->call->stream);
    else if (connection->call != NULL && !connection->call->answered)
        call_error(connection->call, 408, "client_gone", NULL,
                   "the client closed its side before the answer was there; what it asked for may "
                   "still happen");
}
