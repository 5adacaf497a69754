/* The libuv glue: timers, signals, watched descriptors, and the run until nothing is left. */
#include "common/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/mem.h"

struct watch {
    uv_poll_t uv;
    watch_ready_cb on_ready; /* NULL once freed */
    void *data;              /* borrowed from the owner */
    int events;              /* what libuv looks for now */
};

/* libuv fails here only when the program is wrong or the kernel is out of resources. */
static void must(int status, const char *what)
{
    if (status == 0)
        return;
    fprintf(stderr, "fatal: %s: %s\n", what, uv_strerror(status));
    abort();
}

void loop_init(struct loop *loop)
{
    memset(loop, 0, sizeof *loop);
    must(uv_loop_init(&loop->uv), "cannot make an event loop");
    loop->uv.data = loop;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;

    if (number == SIGHUP) {
        if (loop->on_reload)
            loop->on_reload(loop->data);
    } else if (loop->on_stop) {
        loop->on_stop(loop->data, number);
    }
}

void loop_signals(struct loop *loop, void (*on_stop)(void *, int), void (*on_reload)(void *),
                  void *data)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    loop->on_stop = on_stop;
    loop->on_reload = on_reload;
    loop->data = data;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uv_signal_t *handle = &loop->signals[i];

        if (handle->type != UV_SIGNAL)
            must(uv_signal_init(&loop->uv, handle), "cannot watch signals");
        handle->data = loop;
        must(uv_signal_start(handle, on_signal, numbers[i]), "cannot watch signals");
        uv_unref((uv_handle_t *)handle); /* signals alone do not keep a node running */
    }
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void on_leftover(uv_handle_t *handle, void *data)
{
    (void)data;
    fprintf(stderr, "fatal: a %s handle is left in the event loop\n",
            uv_handle_type_name(handle->type));
}

void loop_release(struct loop *loop)
{
    for (size_t i = 0; i < sizeof loop->signals / sizeof *loop->signals; i++) {
        if (loop->signals[i].type == UV_SIGNAL)
            uv_close((uv_handle_t *)&loop->signals[i], NULL);
    }
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop->uv) != 0) {
        uv_walk(&loop->uv, on_leftover, NULL);
        abort();
    }
}

uint64_t loop_limits(void)
{
    struct rlimit files = {0, 0}, core = {0, 0};

    setrlimit(RLIMIT_CORE, &core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* secrets stay out of dumps and other users' /proc */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 0;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}

/* --- timers --- */

static void on_timer(uv_timer_t *handle)
{
    struct timer *timer = handle->data;

    timer->on_time(timer->data);
}

void timer_init(struct timer *timer, struct loop *loop, void (*on_time)(void *), void *data)
{
    memset(timer, 0, sizeof *timer);
    must(uv_timer_init(&loop->uv, &timer->uv), "cannot make a timer");
    timer->uv.data = timer;
    timer->on_time = on_time;
    timer->data = data;
}

void timer_start(struct timer *timer, uint64_t after_ms, uint64_t every_ms)
{
    /* libuv counts from the time at which this turn of the loop began. After a long turn, or a
     * SIGSTOP, the timer would fire too early. */
    uv_update_time(timer->uv.loop);
    must(uv_timer_start(&timer->uv, on_timer, after_ms, every_ms), "cannot start a timer");
}

void timer_stop(struct timer *timer)
{
    uv_timer_stop(&timer->uv);
}

bool timer_active(const struct timer *timer)
{
    return uv_is_active((const uv_handle_t *)&timer->uv) != 0;
}

void timer_alone(struct timer *timer)
{
    uv_unref((uv_handle_t *)&timer->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct timer *timer = handle->data;

    if (timer->on_closed)
        timer->on_closed(timer->data);
}

void timer_close(struct timer *timer, void (*on_closed)(void *))
{
    timer->on_closed = on_closed;
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

/* --- watches --- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct watch *watch = handle->data;

    if (!watch->on_ready)
        return;
    if (status < 0) {
        /* POLLERR, as after a refused connection, comes as UV_EBADF with no events, and libuv has
         * stopped the handle. Only the descriptor's owner can find out why: let it try both. */
        watch->events = 0;
        watch->on_ready(watch->data, true, true);
        return;
    }
    watch->on_ready(watch->data, (events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
}

struct watch *watch_new(struct loop *loop, int fd, watch_ready_cb on_ready, void *data)
{
    struct watch *watch = mem_alloc(sizeof *watch);

    must(uv_poll_init(&loop->uv, &watch->uv, fd), "cannot watch a descriptor");
    watch->uv.data = watch;
    watch->on_ready = on_ready;
    watch->data = data;
    return watch;
}

void watch_set(struct watch *watch, bool readable, bool writable)
{
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

    if (events == watch->events)
        return;
    watch->events = events;
    if (events)
        must(uv_poll_start(&watch->uv, events, on_poll), "cannot watch a descriptor");
    else
        uv_poll_stop(&watch->uv);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch->on_ready = NULL;
    uv_close((uv_handle_t *)&watch->uv, on_watch_closed);
}
