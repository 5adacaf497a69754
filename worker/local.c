/* One command as a child process. */
#include "worker/local.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* Handles in the order of the child's descriptors. */
enum { IN, OUT, ERR, PIPES };

struct local {
    struct exec_job *job; /* borrowed; NULL once it was ended */
    uv_process_t process;
    uv_pipe_t pipes[PIPES];
    uv_write_t write;
    int handles; /* not yet closed */
    int pending; /* of what ends the job: the process, OUT and ERR */
    int status;  /* as a shell says it */
    char chunk[65536];
};

static void on_closed(uv_handle_t *handle)
{
    struct local *local = handle->data;
    if (--local->handles == 0)
        free(local);
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_all(struct local *local)
{
    for (int i = 0; i < PIPES; i++)
        close_handle(&local->pipes[i]);
    close_handle(&local->process);
}

/* One of the three ends came. */
static void on_end(struct local *local)
{
    struct exec_job *job = local->job;
    if (--local->pending > 0 || job == NULL)
        return;
    local->job = NULL;
    exec_job_end(job, local->status);
    close_all(local);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal)
{
    struct local *local = process->data;
    local->status = signal != 0 ? -1 : (int)status;
    close_handle(&local->pipes[IN]); /* nobody reads it now */
    on_end(local);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct local *local = handle->data;
    (void)size;
    *buf = uv_buf_init(local->chunk, sizeof local->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct local *local = stream->data;
    if (got < 0) {
        uv_read_stop(stream);
        on_end(local);
    } else if (local->job == NULL) {
        return;
    } else if (stream == (uv_stream_t *)&local->pipes[OUT]) {
        exec_job_out(local->job, buf->base, (size_t)got);
    } else {
        exec_job_err(local->job, buf->base, (size_t)got);
    }
}

/* A command that does not read its input is no failure: its status counts. */
static void on_written(uv_write_t *write, int status)
{
    struct local *local = write->data;
    (void)status;
    if (local->job != NULL)
        local->job->input_sent = local->job->input_len;
    close_handle(&local->pipes[IN]);
}

static void write_input(struct local *local)
{
    struct exec_job *job = local->job;
    uv_buf_t buf = uv_buf_init(job->input, (unsigned)job->input_len);
    local->write.data = local;
    if (job->input_len == 0 ||
        uv_write(&local->write, (uv_stream_t *)&local->pipes[IN], &buf, 1, on_written) != 0)
        close_handle(&local->pipes[IN]);
}

void local_kill(struct exec_job *job, const char *why)
{
    struct local *local = job->holder;
    local->job = NULL;
    kill(-local->process.pid, SIGKILL); /* it leads its group */
    exec_job_fail(job, "timeout", "%s", why);
    close_all(local);
}

static void on_timeout(struct exec_job *job)
{
    char why[80];
    snprintf(why, sizeof why, "localhost: the command did not end within %d ms", job->timeout_ms);
    local_kill(job, why);
}

/* NAME=value of each allowed variable that we have; the last one is NULL. */
static void choose_environment(char **chosen)
{
    static const char *const names[] = {"HOME", "USER",  "LOGNAME", "PATH",
                                        "LANG", "SHELL", "TMPDIR"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL)
            chosen[count++] = mem_printf("%s=%s", names[i], value);
    }
    chosen[count] = NULL;
}

static int spawn(struct local *local, struct loop *loop)
{
    char *environment[8];
    char *args[] = {"/bin/sh", "-c", local->job->command, NULL};
    uv_stdio_container_t stdio[PIPES];
    choose_environment(environment);
    for (int i = 0; i < PIPES; i++) {
        int way = i == IN ? UV_READABLE_PIPE : UV_WRITABLE_PIPE; /* as the child sees it */
        stdio[i].flags = (uv_stdio_flags)(UV_CREATE_PIPE | way);
        stdio[i].data.stream = (uv_stream_t *)&local->pipes[i];
    }
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = args[0],
        .args = args,
        .env = environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio = stdio,
        .stdio_count = PIPES,
        .cwd = "/",
    };
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* nothing of ours, nor what we inherited */
    int status = uv_spawn(&loop->uv, &local->process, &options);
    for (size_t i = 0; environment[i] != NULL; i++)
        free(environment[i]);
    return status;
}

void local_run(struct loop *loop, struct exec_job *job)
{
    struct local *local = mem_alloc(sizeof *local);
    local->job = job;
    local->pending = 3;
    for (int i = 0; i < PIPES; i++) {
        uv_pipe_init(&loop->uv, &local->pipes[i], 0);
        local->pipes[i].data = local;
    }
    exec_job_hold(job, on_timeout, local);
    int status = spawn(local, loop);
    local->process.data = local;
    local->handles = PIPES + 1; /* uv_spawn makes a handle even when it fails */
    if (status != 0) {
        local->job = NULL;
        exec_job_fail(job, "runner_failed", "localhost: cannot start /bin/sh: %s",
                      uv_strerror(status));
        close_all(local);
        return;
    }
    job->begun = true;
    uv_read_start((uv_stream_t *)&local->pipes[OUT], on_alloc, on_read);
    uv_read_start((uv_stream_t *)&local->pipes[ERR], on_alloc, on_read);
    write_input(local);
}
