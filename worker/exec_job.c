/* One command's input, output and time, and its one callback. */
#include "worker/exec_job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define ERR_MAX 4096

static void on_closed(void *data)
{
    struct exec_job *job = data;
    free(job->command);
    free(job->input);
    buf_release(&job->out);
    buf_release(&job->err);
    if (job->on_freed != NULL)
        job->on_freed(job->of);
    free(job);
}

static void deliver(struct exec_job *job)
{
    struct exec_result result = {
        .status = job->status,
        .out = buf_text(&job->out),
        .out_len = job->out.len,
        .err = buf_text(&job->err),
        .err_len = job->err.len,
        .truncated = job->truncated,
    };
    job->on_done(job->data, job->failed ? NULL : &result, job->failed ? &job->error : NULL);
    timer_close(&job->timer, on_closed);
}

static void on_time(void *data)
{
    struct exec_job *job = data;
    if (job->ended)
        deliver(job);
    else
        job->on_timeout(job);
}

struct exec_job *exec_job_new(struct loop *loop, const struct exec_request *request,
                              void (*on_freed)(void *), void *of)
{
    struct exec_job *job = mem_alloc(sizeof *job);
    job->command = mem_strdup(request->command);
    if (request->input_len > 0) {
        job->input = mem_alloc(request->input_len);
        memcpy(job->input, request->input, request->input_len);
        job->input_len = request->input_len;
    }
    buf_init(&job->out, request->out_max);
    buf_init(&job->err, ERR_MAX);
    job->status = -1;
    job->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : 1;
    job->on_done = request->on_done;
    job->data = request->data;
    job->on_freed = on_freed;
    job->of = of;
    timer_init(&job->timer, loop, on_time, job);
    timer_start(&job->timer, (uint64_t)job->timeout_ms, 0);
    return job;
}

void exec_job_hold(struct exec_job *job, void (*on_timeout)(struct exec_job *), void *holder)
{
    job->on_timeout = on_timeout;
    job->holder = holder;
}

/* As much as fits; false when something did not. */
static bool add_some(struct buf *buf, const void *bytes, size_t len)
{
    size_t room = buf->max - buf->len;
    buf_add(buf, bytes, len < room ? len : room);
    return len <= room;
}

void exec_job_out(struct exec_job *job, const void *bytes, size_t len)
{
    if (!add_some(&job->out, bytes, len))
        job->truncated = true;
}

void exec_job_err(struct exec_job *job, const void *bytes, size_t len)
{
    add_some(&job->err, bytes, len);
}

static void end(struct exec_job *job)
{
    list_remove(&job->link);
    job->ended = true;
    job->holder = NULL;
    timer_start(&job->timer, 0, 0);
}

void exec_job_end(struct exec_job *job, int shell_status)
{
    bool by_signal = shell_status > 128 && shell_status <= 128 + 64;
    job->status = by_signal || shell_status < 0 ? -1 : shell_status;
    end(job);
}

void exec_job_fail(struct exec_job *job, const char *word, const char *format, ...)
{
    char text[sizeof job->error.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set_state(&job->error, word, "%s", text);
    job->error.unsent = !job->begun;
    job->failed = true;
    end(job);
}
