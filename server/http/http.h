/* The HTTP side of a server node: h2o 2.2.5 on the node's loop, hardened.
 *
 * Life: http_new, http_listen, then on_request for every request that h2o could read; http_lame
 * (answers close their connections), http_stop (no new connections, those in flight are finished,
 * up to a deadline), on_stopped; when the loop has returned, http_free. */
#ifndef FLEET_HTTP_H
#define FLEET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"
#include "server/http/call.h"

struct http;

struct http_options {
    const char *bind;   /* address or "localhost"; borrowed until http_listen returns */
    int port;           /* 0: any free one, see http_port */
    size_t connections; /* ceiling; what comes above is answered 503 at once */
    size_t body_max;    /* bytes; a larger body is refused by h2o, before any handler */
    int quiet_ms;       /* streams: see stream.h; 0: STREAM_QUIET_MS */
    int stall_ms;       /* 0: STREAM_STALL_MS */
    size_t bodies_max;  /* bytes of all requests being read: above, the largest are answered 503 */
    void (*on_request)(struct call *call); /* each call is answered exactly once */
    /* An answer is about to be sent; NULL: nobody wants to know. */
    void (*on_answer)(struct call *call, int status);
    void *data; /* borrowed: each call's data */
};

#define HTTP_NEVER "never" /* the state of an error that no other try will change */

struct http *http_new(struct loop *loop, const struct http_options *options);
bool http_listen(struct http *http, const struct http_options *options, struct error *err);
int http_port(const struct http *http);
void http_lame(struct http *http);
void http_stop(struct http *http, int64_t deadline_ms, void (*on_stopped)(void *data), void *data);
void http_free(struct http *http); /* after on_stopped, outside of the loop */

struct http_counts {
    size_t connections; /* open now */
    size_t waiting;     /* calls that have no answer yet, now */
    uint64_t refused;   /* answered 503 by a ceiling */
    uint64_t vanished;  /* clients that left before their answer */
    uint64_t stalled;   /* answers shut down without progress */
};
struct http_counts http_counts(const struct http *http);

#endif
