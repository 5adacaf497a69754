/* The one event loop of a node: libuv glue.
 *
 * All handles live inside the structs below and are closed with their stop/close function; memory
 * of a watch or timer may be freed only in or after its closed callback. */
#ifndef FLEET_LOOP_H
#define FLEET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct loop {
    uv_loop_t uv;
    uv_signal_t signals[3];                  /* TERM, INT, HUP */
    void (*on_stop)(void *data, int signal); /* TERM or INT */
    void (*on_reload)(void *data);           /* HUP */
    void *data;                              /* borrowed, for both */
};

void loop_init(struct loop *loop);
/* Ignores SIGPIPE and calls on_stop / on_reload from inside the loop. */
void loop_signals(struct loop *loop, void (*on_stop)(void *, int), void (*on_reload)(void *),
                  void *data);
void loop_run(struct loop *loop); /* until no handle is active */
/* Closes the signals, runs to the end, asserts an empty loop. */
void loop_release(struct loop *loop);
/* Raises RLIMIT_NOFILE to its hard limit, sets RLIMIT_CORE to 0 and makes the process not dumpable;
 * returns the number of descriptors. */
uint64_t loop_limits(void);

/* A timer: one-shot or repeating, in ms. */
struct timer {
    uv_timer_t uv;
    void (*on_time)(void *data);
    void *data; /* borrowed */
    void (*on_closed)(void *data);
};
void timer_init(struct timer *timer, struct loop *loop, void (*on_time)(void *), void *data);
void timer_start(struct timer *timer, uint64_t after_ms,
                 uint64_t every_ms); /* re-arms; every 0: once */
void timer_stop(struct timer *timer);
bool timer_active(const struct timer *timer);
void timer_alone(struct timer *timer); /* by itself it keeps no loop running */
void timer_close(struct timer *timer, void (*on_closed)(void *)); /* on_closed may be NULL */

/* Readiness of a descriptor that somebody else owns and closes. libuv wants a watch closed before
 * its fd is; libpq and libssh2 change fds, so a watch is made anew whenever the fd may have
 * changed. */
struct watch; /* heap: outlives its owner until libuv lets it go */
typedef void (*watch_ready_cb)(void *data, bool readable, bool writable);
struct watch *watch_new(struct loop *loop, int fd, watch_ready_cb on_ready, void *data);
void watch_set(struct watch *watch, bool readable, bool writable);
void watch_free(struct watch *watch); /* stops at once, no callback after; NULL is fine */

#endif
