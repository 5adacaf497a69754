/* One request on its way through a handler.
 *
 * A call lives outside the request's memory pool, because a client may vanish while its query runs:
 * then `req` becomes NULL and every answer is dropped. Holds count its owners: the request, and
 * each operation under way (call_hold before it, call_drop at its end). A call that loses its last
 * hold but the request's without an answer is answered 500, so no client waits for nothing. */
#ifndef FLEET_HTTP_CALL_H
#define FLEET_HTTP_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/list.h"
#include "server/identity.h"
#include "server/router/query.h"
#include "server/router/router.h"

struct http;
struct http_connection;
struct stream;
struct st_h2o_req_t;

struct call {
    struct list link;                   /* http->calls while not answered */
    struct http *http;                  /* borrowed: outlives its calls */
    struct http_connection *connection; /* borrowed; NULL once the request is gone */
    struct st_h2o_req_t *req;           /* borrowed; NULL once the request is gone */
    struct stream *stream;              /* of the request: its answer, when it is one; or NULL */
    void *data;                         /* borrowed: http_options.data */
    int holds;
    bool answered;
    bool head;           /* HEAD: the answer has no body */
    bool framed;         /* the request said how long its body is */
    int64_t began_ms;    /* clock_ms */
    int64_t began_us;    /* clock_us */
    int64_t deadline_ms; /* clock_ms at which it is answered 503 */
    char id[65];         /* X-Request-Id */
    char client[64];     /* address */
    struct router_path path;
    struct router_match match;
    struct query query;  /* released with the call */
    struct identity who; /* released with the call */
    void *state;         /* owned by the handler; freed by state_free with the call */
    void (*state_free)(void *state);
    /* For a handler that keeps its call waiting; it clears what it wants no more. The first comes
     * at once when the client leaves, or when the call is answered for the handler (deadline, end
     * of the node); the second when the handler's answer is not given for want of room, or the
     * connection was reset before the client had read it: TCP says so when bytes arrive at, or lie
     * in, a socket that is closed. */
    void (*on_gone)(struct call *call);
    void (*on_lost)(struct call *call);
};

void call_hold(struct call *call);
void call_drop(struct call *call);
bool call_gone(const struct call *call); /* the client has left, or is answered */
/* Looks at the connection now: has the client closed it? Then it is as gone as one that was seen to
 * leave, and the call is over. */
bool call_client_left(struct call *call);
/* `ms` more until it is answered 503: a call that waits on purpose. */
void call_extend(struct call *call, int64_t ms);

/* Of the request; borrowed, valid until the handler returns to the loop. "" or NULL once it is
 * gone. */
const char *call_method(const struct call *call, size_t *len);
const char *call_target(const struct call *call, size_t *len); /* raw path and query */
const char *call_host(const struct call *call, size_t *len);
const char *call_body(const struct call *call, size_t *len);
/* The last header of this (lower-case) name, NULL when absent; *count says how many there are. */
const char *call_header(const struct call *call, const char *name, size_t *len, size_t *count);
size_t call_header_bytes(const struct call *call); /* of all request headers */

/* Adds a header to the answer to come. The value must be free of control characters. Copied. */
void call_add_header(struct call *call, const char *name, const char *value);

/* Whether an answer of so many bytes is given now; false: it is answered 503, for clients that do
 * not read keep too much. */
bool call_room(struct call *call, size_t len);
/* The one answer; a second one is dropped. Bytes are copied. type NULL: there is no body, as of
 * 204. */
void call_answer(struct call *call, int status, const char *type, const void *bytes, size_t len);
void call_json(struct call *call, int status, const char *text);

/* {"error", "code", "details"}: `details` is JSON or NULL. */
void call_error(struct call *call, int status, const char *code, const char *details,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What a failed query means to the client; logs what is our own fault. */
void call_db_error(struct call *call, const struct error *err);

#endif
