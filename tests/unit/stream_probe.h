/* One stream for tests: commands one after another, and what came back of the last. */
#ifndef FLEET_TEST_STREAM_PROBE_H
#define FLEET_TEST_STREAM_PROBE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "worker/stream.h"

struct probe {
    struct loop loop;
    struct stream *stream; /* NULL once it is closed */
    struct timer guard;
    const char *const *commands; /* to be run, NULL-ended */
    const char *input;           /* of each */
    size_t input_len, input_at;
    bool keep_input; /* its end is not said */
    int ups, downs, ends;
    int status;       /* of the last command */
    int first[8];     /* of the first commands */
    struct buf out;   /* of the last command, as much as fits */
    size_t out_len;   /* all of it, bytes */
    struct buf err;   /* of the last command */
    size_t cut_after; /* bytes of output after which a command is cut; 0: never */
    struct error error;
    void (*on_event)(
        struct probe *probe); /* after each end, and each piece of output; may be NULL */
};

/* A command that does not end, until the test has. */
static inline const char *hang(void)
{
    static char command[64];
    snprintf(command, sizeof command, "exec tail --pid=%d -f /dev/null", (int)getpid());
    return command;
}

static inline void probe_close(struct probe *probe)
{
    if (probe->stream != NULL)
        stream_close(probe->stream);
    probe->stream = NULL;
    if (probe->guard.on_time != NULL)
        timer_close(&probe->guard, NULL);
    probe->guard.on_time = NULL;
}

static inline void probe_feed(struct probe *probe)
{
    size_t left = probe->input_len - probe->input_at;
    if (left > 0)
        probe->input_at += stream_write(probe->stream, probe->input + probe->input_at, left);
    if (probe->input_at == probe->input_len && !probe->keep_input)
        stream_end_input(probe->stream);
}

/* The next command, or the end of the stream. */
static inline void probe_next(struct probe *probe)
{
    if (*probe->commands == NULL) {
        probe_close(probe);
        return;
    }
    buf_clear(&probe->out);
    probe->out_len = 0;
    probe->input_at = 0;
    stream_run(probe->stream, *probe->commands++);
    probe_feed(probe);
}

static inline void probe_up(void *data)
{
    struct probe *probe = data;
    ck_assert_int_eq(probe->ups++, 0);
    probe_next(probe);
}

static inline void probe_bytes(void *data, const char *bytes, size_t len)
{
    struct probe *probe = data;
    size_t room = probe->out.max - probe->out.len;
    buf_add(&probe->out, bytes, len < room ? len : room);
    probe->out_len += len;
    if (probe->cut_after > 0 && probe->out_len >= probe->cut_after)
        stream_cut(probe->stream);
    else if (probe->on_event != NULL)
        probe->on_event(probe);
}

static inline void probe_room(void *data)
{
    struct probe *probe = data;
    ck_assert(probe->input_at < probe->input_len);
    probe_feed(probe);
}

static inline void probe_end(void *data, const struct stream_end *end)
{
    struct probe *probe = data;
    if (probe->ends < 8)
        probe->first[probe->ends] = end->status;
    probe->ends++;
    probe->status = end->status;
    buf_clear(&probe->err);
    buf_add(&probe->err, end->err, end->err_len);
    if (probe->on_event != NULL)
        probe->on_event(probe);
    if (probe->stream != NULL)
        probe_next(probe);
}

static inline void probe_down(void *data, const struct error *err)
{
    struct probe *probe = data;
    ck_assert_int_eq(probe->downs++, 0);
    probe->error = *err;
    probe_close(probe);
}

static const struct stream_events probe_events = {
    .on_up = probe_up,
    .on_bytes = probe_bytes,
    .on_room = probe_room,
    .on_end = probe_end,
    .on_down = probe_down,
};

static inline void probe_guard(void *data)
{
    struct probe *probe = data;
    ck_abort_msg("not done in time: %d ends, %zu bytes of output", probe->ends, probe->out_len);
}

static inline void probe_init(struct probe *probe, const char *const *commands, int secs)
{
    *probe = (struct probe){.commands = commands, .status = -2};
    buf_init(&probe->out, 16 << 20);
    buf_init(&probe->err, 8192);
    loop_init(&probe->loop);
    loop_signals(&probe->loop, NULL, NULL, NULL);
    timer_init(&probe->guard, &probe->loop, probe_guard, probe);
    timer_start(&probe->guard, (uint64_t)secs * 1000, 0);
}

/* To the end of all; what came back stays until probe_release. */
static inline void probe_finish(struct probe *probe)
{
    loop_run(&probe->loop);
    ck_assert_ptr_null(probe->stream);
    loop_release(&probe->loop);
}

static inline void probe_release(struct probe *probe)
{
    buf_release(&probe->out);
    buf_release(&probe->err);
}

#endif
