/* An answer without an end that is known: text/event-stream.
 *
 * Life: stream_begin answers the call (its head goes out at once); stream_send any number of times;
 * then either stream_end (ours), or on_gone (the client left, was dropped, or the node stops):
 * exactly one of both, and after it the stream is no more.
 *
 * Memory is bounded: what the client has not taken is kept up to STREAM_PENDING_MAX bytes and
 * stream_send refuses more; on_ready says when there is room again. A client that takes nothing for
 * `stall_ms`, or not all of what one write held, is dropped. A comment goes out after `quiet_ms`
 * without any other byte, so that a client that vanished without a word is noticed by that too. A
 * client that closes its sending side is taken for gone: TCP cannot tell the two apart.
 *
 * http_stop ends all streams: what is pending is sent, then `farewell`; the client connects
 * elsewhere. */
#ifndef FLEET_HTTP_STREAM_H
#define FLEET_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "server/http/call.h"

#define STREAM_PENDING_MAX (128 << 10) /* bytes of one client */
#define STREAM_QUIET_MS 15000
#define STREAM_STALL_MS 30000

struct stream;

struct stream_events {
    void (*on_ready)(void *data); /* after a refused stream_send: there is room again */
    void (*on_gone)(void *data);  /* never from within a function of this module */
    const char *farewell;         /* borrowed: the last bytes when the node stops; or NULL */
    void *data;                   /* borrowed, for both */
};

/* Answers the call 200. NULL: the call is gone, was a HEAD (answered so), or is answered 503
 * because the node stops. The call stays the owner's to drop. */
struct stream *stream_begin(struct call *call, const struct stream_events *events);
/* All of it or nothing: false when there is no room. What is larger than any room is taken when
 * nothing is pending. Copied. */
bool stream_send(struct stream *stream, const void *bytes, size_t len);
/* Sends what is pending and `last` (which may be NULL), then closes. No callback comes any more. */
void stream_end(struct stream *stream, const void *last, size_t len);

#endif
