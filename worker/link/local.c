/* Commands on this machine, as children of ours. */
#include "worker/link/local.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* Handles in the order of the child's descriptors. */
enum { IN, OUT, ERR, PIPES };

/* Bytes on their way to a child, above which no more are taken. */
#define QUEUE_MAX ((size_t)256 << 10)
#define ERR_MAX 4096
/* From a child's exit to the end of its output, which somebody else may hold open. */
#define LINGER_MS 1000
/* From the loss of its pipes to its exit. */
#define KILL_MS 5000

struct local;

/* One command. It outlives what was made of it until the system has let its handles go. */
struct child {
    struct local *local; /* borrowed; NULL once nobody waits for it */
    uv_process_t process;
    uv_pipe_t pipes[PIPES];
    uv_shutdown_t shutdown;
    struct timer timer; /* LINGER_MS or KILL_MS */
    int handles;        /* not yet closed */
    int outputs;        /* OUT and ERR, while they are open */
    bool exited;
    bool wants_room; /* stream_write() took less than all */
    int status;
    char err[ERR_MAX];
    size_t err_len;
    char chunk[65536];
};

enum due { DUE_NOTHING, DUE_UP, DUE_END, DUE_DOWN };

struct local {
    struct stream stream; /* first */
    struct loop *loop;    /* borrowed */
    struct child *child;  /* owned; NULL: no command runs */
    struct timer soon;    /* brings what is due */
    enum due due;
    struct error trouble; /* of DUE_DOWN */
};

struct write {
    uv_write_t request; /* first */
    char bytes[];
};

/* --- A child's end --- */

static void on_handle_closed(void *data)
{
    struct child *child = data;
    if (--child->handles == 0)
        free(child);
}

static void on_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_pipes(struct child *child)
{
    for (int i = 0; i < PIPES; i++)
        close_handle(&child->pipes[i]);
}

static void close_rest(struct child *child)
{
    close_handle(&child->process);
    if (!uv_is_closing((uv_handle_t *)&child->timer.uv))
        timer_close(&child->timer, on_handle_closed);
}

/* Nobody waits for it any more. It is still waited for, so that it leaves no zombie. */
static void let_go(struct child *child)
{
    child->local->child = NULL;
    child->local = NULL;
    close_pipes(child);
    if (child->exited)
        close_rest(child);
    else
        timer_start(&child->timer, KILL_MS, 0);
}

static void finish(struct child *child)
{
    struct local *local = child->local;
    struct stream_end end = {.status = child->status, .err = child->err, .err_len = child->err_len};
    let_go(child); /* its memory stays until the loop's next turn */
    local->stream.events->on_end(local->stream.data, &end);
}

static void on_timer(void *data)
{
    struct child *child = data;
    if (child->local != NULL)
        finish(child);
    else if (!child->exited && child->process.pid > 1)
        kill(-child->process.pid, SIGKILL); /* it leads its group */
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal)
{
    struct child *child = process->data;
    child->exited = true;
    child->status = signal != 0 ? -1 : (int)status;
    close_handle(&child->pipes[IN]); /* nobody reads it now */
    if (child->local == NULL)
        close_rest(child);
    else if (child->outputs == 0)
        finish(child);
    else
        timer_start(&child->timer, LINGER_MS, 0);
}

/* --- What it says --- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct child *child = handle->data;
    (void)size;
    *buf = uv_buf_init(child->chunk, sizeof child->chunk);
}

static void keep_err(struct child *child, const char *bytes, size_t len)
{
    size_t room = sizeof child->err - child->err_len;
    if (len > room)
        len = room;
    memcpy(child->err + child->err_len, bytes, len);
    child->err_len += len;
}

static void on_read(uv_stream_t *pipe, ssize_t got, const uv_buf_t *buf)
{
    struct child *child = pipe->data;
    if (child->local == NULL)
        return;
    if (got < 0) {
        uv_read_stop(pipe);
        if (--child->outputs == 0 && child->exited)
            finish(child);
    } else if (pipe == (uv_stream_t *)&child->pipes[ERR]) {
        keep_err(child, buf->base, (size_t)got);
    } else if (got > 0) {
        struct stream *stream = &child->local->stream;
        stream->events->on_bytes(stream->data, buf->base, (size_t)got);
    }
}

/* --- Its start --- */

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

static int spawn(struct child *child, struct loop *loop, const char *command)
{
    char *environment[8];
    char shell[] = "/bin/sh", option[] = "-c";
    char *copy = mem_strdup(command);
    char *args[] = {shell, option, copy, NULL};
    uv_stdio_container_t stdio[PIPES];
    choose_environment(environment);
    for (int i = 0; i < PIPES; i++) {
        int way = i == IN ? UV_READABLE_PIPE : UV_WRITABLE_PIPE; /* as the child sees it */
        stdio[i].flags = (uv_stdio_flags)(UV_CREATE_PIPE | way);
        stdio[i].data.stream = (uv_stream_t *)&child->pipes[i];
    }
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = shell,
        .args = args,
        .env = environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio = stdio,
        .stdio_count = PIPES,
        .cwd = "/",
    };
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* nothing of ours, nor what we inherited */
    int status = uv_spawn(&loop->uv, &child->process, &options);
    for (size_t i = 0; environment[i] != NULL; i++)
        free(environment[i]);
    free(copy);
    return status;
}

static struct child *child_new(struct local *local)
{
    struct child *child = mem_alloc(sizeof *child);
    child->local = local;
    child->outputs = 2;
    child->handles = PIPES + 2; /* uv_spawn makes a handle even when it fails */
    for (int i = 0; i < PIPES; i++) {
        uv_pipe_init(&local->loop->uv, &child->pipes[i], 0);
        child->pipes[i].data = child;
    }
    timer_init(&child->timer, local->loop, on_timer, child);
    return child;
}

static void come(struct local *local, enum due due)
{
    local->due = due;
    timer_start(&local->soon, 0, 0);
}

static void local_run(struct stream *stream, const char *command)
{
    struct local *local = (struct local *)stream;
    struct child *child = child_new(local);
    int status = spawn(child, local->loop, command);
    local->child = child;
    child->process.data = child;
    if (status != 0) {
        child->exited = true;
        let_go(child);
        error_set_state(&local->trouble, "runner_failed", "cannot start /bin/sh: %s",
                        uv_strerror(status));
        come(local, DUE_DOWN);
        return;
    }
    uv_read_start((uv_stream_t *)&child->pipes[OUT], on_alloc, on_read);
    uv_read_start((uv_stream_t *)&child->pipes[ERR], on_alloc, on_read);
}

/* --- What it is told --- */

static void on_written(uv_write_t *request, int status)
{
    struct child *child = request->handle->data;
    free(request); /* first in its struct write */
    if (child->local == NULL || !child->wants_room || status != 0)
        return;
    child->wants_room = false;
    child->local->stream.events->on_room(child->local->stream.data);
}

static void queue(struct child *child, const char *bytes, size_t len)
{
    struct write *write = mem_alloc(sizeof *write + len);
    memcpy(write->bytes, bytes, len);
    uv_buf_t buf = uv_buf_init(write->bytes, (unsigned)len);
    if (uv_write(&write->request, (uv_stream_t *)&child->pipes[IN], &buf, 1, on_written) != 0)
        free(write);
}

/* A command that does not read its input is no failure: what it leaves counts as taken. */
static size_t local_write(struct stream *stream, const char *bytes, size_t len)
{
    struct child *child = ((struct local *)stream)->child;
    if (child == NULL || uv_is_closing((uv_handle_t *)&child->pipes[IN]))
        return len;
    uv_stream_t *in = (uv_stream_t *)&child->pipes[IN];
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    int wrote = uv_try_write(in, &buf, 1);
    if (wrote < 0 && wrote != UV_EAGAIN)
        return len;
    size_t taken = wrote > 0 ? (size_t)wrote : 0;
    size_t queued = uv_stream_get_write_queue_size(in);
    size_t room = queued < QUEUE_MAX ? QUEUE_MAX - queued : 0;
    size_t more = len - taken < room ? len - taken : room;
    if (more > 0)
        queue(child, bytes + taken, more);
    child->wants_room = taken + more < len;
    return taken + more;
}

static void on_shut(uv_shutdown_t *shutdown, int status)
{
    (void)status;
    close_handle(shutdown->handle);
}

static void local_end_input(struct stream *stream)
{
    struct child *child = ((struct local *)stream)->child;
    if (child == NULL || uv_is_closing((uv_handle_t *)&child->pipes[IN]))
        return;
    if (uv_shutdown(&child->shutdown, (uv_stream_t *)&child->pipes[IN], on_shut) != 0)
        close_handle(&child->pipes[IN]);
}

/* --- The stream's life --- */

static void local_cut(struct stream *stream)
{
    struct local *local = (struct local *)stream;
    if (local->child == NULL)
        return;
    let_go(local->child);
    come(local, DUE_END);
}

static void local_close(struct stream *stream)
{
    struct local *local = (struct local *)stream;
    if (local->child != NULL)
        let_go(local->child);
    timer_close(&local->soon, free);
}

static const char *local_host_key(const struct stream *stream)
{
    (void)stream;
    return "";
}

static void on_soon(void *data)
{
    struct local *local = data;
    const struct stream_events *events = local->stream.events;
    enum due due = local->due;
    local->due = DUE_NOTHING;
    switch (due) {
    case DUE_NOTHING:
        break;
    case DUE_UP:
        events->on_up(local->stream.data);
        break;
    case DUE_END:
        events->on_end(local->stream.data, &(struct stream_end){.status = -1, .err = ""});
        break;
    case DUE_DOWN:
        events->on_down(local->stream.data, &local->trouble);
        break;
    }
}

struct stream *local_stream_open(struct loop *loop, const struct stream_events *events, void *data)
{
    static const struct stream_ops ops = {.run = local_run,
                                          .write = local_write,
                                          .end_input = local_end_input,
                                          .cut = local_cut,
                                          .close = local_close,
                                          .host_key = local_host_key};
    struct local *local = mem_alloc(sizeof *local);
    local->stream = (struct stream){.ops = &ops, .events = events, .data = data};
    local->loop = loop;
    timer_init(&local->soon, loop, on_soon, local);
    come(local, DUE_UP);
    return &local->stream;
}
