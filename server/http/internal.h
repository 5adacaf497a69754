/* Shared by the files of this room only. */
#ifndef FLEET_HTTP_INTERNAL_H
#define FLEET_HTTP_INTERNAL_H

#include <h2o.h>

#include "common/db/trouble.h"
#include "common/list.h"
#include "common/loop.h"
#include "server/http/http.h"
#include "server/http/linger.h"
#include "server/http/stream.h"

struct http {
    struct loop *loop; /* borrowed */
    struct http_options options;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    uv_tcp_t listener;
    bool listening;   /* the listener is open */
    int leaving;      /* turns of the loop since it is to be closed; 0: it is not */
    bool lame;        /* answers close their connections */
    uv_check_t meter; /* behind each poll: the bytes of requests, the listener's end */
    uint64_t metered; /* uv_now of the last sum */
    size_t held;      /* the last sum */
    struct timer janitor;
    struct list calls;       /* not answered yet, oldest first */
    struct list connections; /* all */
    struct list sending;     /* with an answer under way */
    struct list streams;     /* all, until their requests are gone */
    int64_t streams_ms;      /* clock_ms of the last look at them */
    struct linger_set lingers;
    size_t answers; /* bytes of all that are under way */
    struct http_counts counts;
    struct db_trouble trouble; /* of calls with the database */
    int64_t stop_at;           /* clock_ms; 0 while serving */
    bool forced;               /* the deadline has passed */
    int closing;               /* handles of http that are not closed yet */
    void (*on_stopped)(void *data);
    void *stopped_data;
};

/* Two descriptors of one socket: h2o closes its own, `spare` outlives it. With the spare we see a
 * client vanish while h2o does not read, shut a stalled answer down, and take leave without a
 * reset. */
struct http_connection {
    struct list link;    /* http->connections */
    struct list sending; /* http->sending */
    struct http *http;   /* borrowed */
    uv_tcp_t tcp;        /* closed by h2o */
    uv_poll_t watch;     /* of spare; inited when `watched` */
    h2o_socket_t *sock;  /* borrowed from h2o; NULL once closed */
    struct call *call;   /* borrowed: the request being handled, or NULL */
    struct call *sent;   /* held: answered, and it wants to know whether that was read; or NULL */
    int spare;           /* owned */
    int handles;         /* libuv handles not closed yet */
    bool watched;        /* watch is inited */
    bool looking;        /* watch is started */
    bool gone;           /* the client has left */
    int64_t came_ms;     /* clock_ms; 0 once it has asked for something */
    size_t answer;       /* bytes of the one under way */
    size_t unsent;       /* bytes not acknowledged at the last look */
    int64_t progress_ms; /* clock_ms of the last change of `unsent` */
    int64_t sending_ms;  /* clock_ms at which the answer was given */
    char peer[64];       /* address */
};

/* connection.c */
void connection_accept(struct http *http);
void connection_look(struct http_connection *connection);       /* watch for the client's leave */
bool connection_left(const struct http_connection *connection); /* the client has, by now */
/* By the client: what was sent and not yet acknowledged has not arrived. */
bool connection_was_reset(const struct http_connection *connection);
void connection_unlook(struct http_connection *connection);
/* An answer of so many bytes is under way. */
void connection_sending(struct http_connection *connection, size_t len);
void connection_sent(struct http_connection *connection);
size_t connection_unsent(const struct http_connection *connection); /* bytes not acknowledged */
void connection_check_progress(struct http_connection *connection, int64_t now);
void connection_shutdown(struct http_connection *connection);
/* What it has not taken dies with it: else the kernel would try for minutes to get rid of it. */
void connection_forget_unsent(struct http_connection *connection);
bool connection_idle(const struct http_connection *connection, int64_t now);
void connection_end(struct http_connection *connection);      /* of one that reads: closes it now */
void connection_refuse(struct http_connection *connection);   /* 503, then as connection_end */
void connection_vanished(struct http_connection *connection); /* in call.c: its client left */

/* call.c */
void call_was_read(struct http_connection *connection, bool lost); /* or not: the answer before */
void call_begin(struct http *http, h2o_req_t *req);
void call_open(struct call *call, const char *type, h2o_generator_t *generator); /* of a stream */

/* stream.c */
void streams_check(struct http *http, int64_t now); /* once every JANITOR_MS */
void streams_stop(struct http *http);               /* the node stops: farewells */
void stream_cut(struct stream *stream);             /* the client left, or does not read */
void stream_request_gone(struct stream *stream);

#endif
