/* A way in to a host: commands, one after another, each with a stream of bytes both ways. What
 * SSH (worker/ssh/) and this machine (worker/link/local.c) both offer.
 *
 * Life: opened by ssh_stream_open() or local_stream_open(); on_up once; stream_run() when it is up
 * and no command runs; on_end when the command's output has ended and it is over; on_down once,
 * after which only stream_close() may be called. No callback comes from inside of these functions,
 * and none after stream_close(), which frees it. */
#ifndef FLEET_STREAM_H
#define FLEET_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct stream_end {
    /* Exit status; -1 when a signal ended it, it was cut, or none was given. SSH says 0 for a
     * signal, too: libssh2 does not tell them apart. */
    int status;
    const char *err; /* borrowed: beginning of stderr, at most 4096 bytes; any bytes */
    size_t err_len;
};

struct stream_events {
    void (*on_up)(void *data);
    void (*on_bytes)(void *data, const char *bytes, size_t len); /* stdout; borrowed */
    void (*on_room)(void *data); /* stream_write() took less than all, and would take more now */
    void (*on_end)(void *data, const struct stream_end *end);
    void (*on_down)(void *data, const struct error *err); /* err->state: a word of fleet.reason */
};

struct stream;

struct stream_ops {
    void (*run)(struct stream *stream, const char *command);
    size_t (*write)(struct stream *stream, const char *bytes, size_t len);
    void (*end_input)(struct stream *stream);
    void (*cut)(struct stream *stream);
    void (*close)(struct stream *stream);
    const char *(*host_key)(const struct stream *stream);
};

/* First member of each kind. */
struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events; /* borrowed */
    void *data;                         /* borrowed */
};

/* `command` is for a login shell of any kind; copied. */
static inline void stream_run(struct stream *stream, const char *command)
{
    stream->ops->run(stream, command);
}

/* To the command's stdin. Returns how many bytes were taken, which is less than `len` when enough
 * is on its way: on_room comes. */
static inline size_t stream_write(struct stream *stream, const char *bytes, size_t len)
{
    return stream->ops->write(stream, bytes, len);
}

/* No more for stdin, once what was taken has been sent. */
static inline void stream_end_input(struct stream *stream)
{
    stream->ops->end_input(stream);
}

/* We want no more of this command: its stdin and stdout are closed, on_end comes soon without
 * waiting for it (somebody may hold its output open), and another may be run. */
static inline void stream_cut(struct stream *stream)
{
    stream->ops->cut(stream);
}

static inline void stream_close(struct stream *stream)
{
    stream->ops->close(stream);
}

/* SHA-256 of the host key that let us in, hex; "" for this machine, or before. */
static inline const char *stream_host_key(const struct stream *stream)
{
    return stream->ops->host_key(stream);
}

#endif
