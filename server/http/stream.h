/* An answer without an end that is known: text/event-stream.
 *
 * Life: stream_begin answers the call (its head goes out at once); stream_send any number of times;
 * then either stream_end (ours), or on_gone (the client left, or was dropped because it does not
 * read): exactly one of both, and after it the stream is no more.
 *
 * Memory is bounded: what the client has not taken is kept up to STREAM_PENDING_MAX bytes, and
 * stream_send refuses more (then wait for on_ready). A client that takes nothing for
 * STREAM_STALL_MS while something is pending is dropped. A comment line is sent after
 * STREAM_QUIET_MS without any other byte, so that a vanished client is noticed. A node that becomes
 * lame ends its streams: the owner is told by on_gone, the client connects elsewhere. */
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
    void (*on_ready)(void *data); /* what was pending is on its way: more may be sent */
    void (*on_gone)(void *data);  /* never from within a function of this module */
    void *data;                   /* borrowed, for both */
};

/* Answers the call 200 with this type. NULL: the call is gone, or answered 503 because of the
 * ceiling of streams. The call stays the owner's to drop. */
struct stream *stream_begin(struct call *call, const char *type,
                            const struct stream_events *events);
size_t stream_room(const struct stream *stream); /* bytes that stream_send takes now */
/* All of it or nothing: false when there is no room. Copied. */
bool stream_send(struct stream *stream, const void *bytes, size_t len);
/* Sends what is pending, then closes. `last` may be NULL. No callback comes any more. */
void stream_end(struct stream *stream, const void *last, size_t len);

#endif
