/* A stream: two buffers, one on its way through h2o, one that collects meanwhile. */
#include "server/http/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/http/internal.h"

#define KERNEL_BYTES (64 << 10) /* asked of the kernel for what is sent and not acknowledged */
#define KEPT_BYTES 4096         /* of a buffer that is empty */
#define LOOK_MS 500             /* between two looks at each stream */

struct stream {
    h2o_generator_t generator; /* first: h2o hands it back */
    struct list link;          /* http->streams */
    struct call *call;         /* borrowed: lives as long as its request, and so do we */
    struct stream_events events;
    struct buf pending;  /* to be sent */
    struct buf flight;   /* h2o's until it proceeds */
    bool flying;         /* flight is not taken yet */
    bool refused;        /* on_ready is owed */
    bool ended;          /* the owner has no part in it any more */
    bool closed;         /* h2o was told that nothing follows */
    size_t unsent;       /* bytes not acknowledged at the last look */
    int64_t progress_ms; /* clock_ms: nothing was unsent, or it changed */
    int64_t flight_ms;   /* clock_ms at which flight was given to h2o */
};

static size_t stream_held(const struct stream *stream)
{
    return stream->pending.len + (stream->flying ? stream->flight.len : 0);
}

/* Gives h2o what is pending, when it is ready for it. */
static void stream_flush(struct stream *stream)
{
    if (stream->flying || stream->closed || (stream->pending.len == 0 && !stream->ended))
        return;
    struct buf spare = stream->flight;
    stream->flight = stream->pending;
    stream->pending = spare;
    buf_clear(&stream->pending);
    stream->flying = true;
    stream->closed = stream->ended;
    stream->flight_ms = clock_ms();
    h2o_iovec_t bytes = {stream->flight.data, stream->flight.len};
    h2o_send(stream->call->req, &bytes, bytes.len > 0 ? 1 : 0,
             stream->closed ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void shrink(struct buf *buf)
{
    if (buf->len == 0 && buf->cap > KEPT_BYTES)
        buf_release(buf);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct stream *stream = (struct stream *)(void *)generator;
    bool ended = stream->ended;
    (void)req;
    stream->flying = false;
    stream->progress_ms = clock_ms();
    buf_clear(&stream->flight);
    shrink(&stream->flight);
    stream_flush(stream); /* when it ended, perhaps the end of it */
    if (!ended && stream->refused) {
        stream->refused = false;
        stream->events.on_ready(stream->events.data);
    }
}

static bool may_begin(struct call *call)
{
    if (call_gone(call))
        return false;
    if (call->head) {
        call_answer(call, 200, "text/event-stream", "", 0);
        return false;
    }
    if (call->http->stop_at != 0) {
        call_error(call, 503, "draining", NULL, "this node is stopping; ask another one");
        return false;
    }
    return true;
}

struct stream *stream_begin(struct call *call, const struct stream_events *events)
{
    int bytes = KERNEL_BYTES;
    if (!may_begin(call))
        return NULL;
    struct stream *stream = mem_alloc(sizeof *stream);
    stream->generator.proceed = on_proceed;
    stream->call = call;
    stream->events = *events;
    stream->progress_ms = clock_ms();
    buf_init(&stream->pending, SIZE_MAX / 2); /* stream_send holds the ceiling */
    buf_init(&stream->flight, SIZE_MAX / 2);
    call->stream = stream;
    list_append(&call->http->streams, &stream->link);
    setsockopt(call->connection->spare, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    call_add_header(call, "x-accel-buffering", "no");
    call_open(call, "text/event-stream", &stream->generator);
    buf_adds(&stream->pending, ":\n\n"); /* the head goes with it */
    stream_flush(stream);
    return stream;
}

bool stream_send(struct stream *stream, const void *bytes, size_t len)
{
    size_t held = stream_held(stream);
    if (held > 0 && held + len > STREAM_PENDING_MAX) {
        stream->refused = true;
        return false;
    }
    buf_add(&stream->pending, bytes, len);
    stream_flush(stream);
    return true;
}

void stream_end(struct stream *stream, const void *last, size_t len)
{
    stream->ended = true;
    if (last != NULL)
        buf_add(&stream->pending, last, len);
    stream_flush(stream); /* may be the end of it */
}

static void tell_gone(struct stream *stream)
{
    if (stream->ended)
        return;
    stream->ended = true;
    stream->events.on_gone(stream->events.data);
}

void stream_cut(struct stream *stream)
{
    connection_shutdown(stream->call->connection);
    tell_gone(stream);
    buf_clear(&stream->pending);
    stream_flush(stream); /* h2o notices by writing */
}

void stream_request_gone(struct stream *stream)
{
    list_remove(&stream->link);
    tell_gone(stream);
    buf_release(&stream->pending);
    buf_release(&stream->flight);
    free(stream);
}

static void check(struct stream *stream, int64_t now)
{
    struct http *http = stream->call->http;
    size_t unsent = connection_unsent(stream->call->connection);
    if (unsent == 0 || unsent != stream->unsent)
        stream->progress_ms = now;
    stream->unsent = unsent;
    if (now - stream->progress_ms >= http->options.stall_ms ||
        (stream->flying && now - stream->flight_ms >= http->options.stall_ms)) {
        http->counts.stalled++;
        log_info(LOG_ABOUT(LOG_FIELD("request", stream->call->id)),
                 "%s does not read its stream (%zu bytes wait): dropped",
                 stream->call->connection->peer, stream_held(stream) + unsent);
        connection_forget_unsent(stream->call->connection);
        stream_cut(stream);
    } else if (!stream->flying && now - stream->flight_ms >= http->options.quiet_ms) {
        stream_send(stream, ":\n\n", 3);
    }
}

void streams_check(struct http *http, int64_t now)
{
    if (now - http->streams_ms < LOOK_MS)
        return;
    http->streams_ms = now;
    list_each(link, &http->streams) check(list_entry(link, struct stream, link), now);
}

void streams_stop(struct http *http)
{
    list_each(link, &http->streams)
    {
        struct stream *stream = list_entry(link, struct stream, link);
        const char *farewell = stream->events.farewell;
        if (stream->ended)
            continue;
        tell_gone(stream);
        stream_end(stream, farewell, farewell != NULL ? strlen(farewell) : 0);
    }
}
