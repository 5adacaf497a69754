/* What an epoll event is for. */
#ifndef FLEET_RUNNER_SOURCE_H
#define FLEET_RUNNER_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

struct source {
    void (*on_event)(void *owner, uint32_t events);
    void *owner; /* borrowed */
};

static inline bool source_watch(struct source *source, int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static inline void source_change(struct source *source, int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static inline void source_drop(int epoll, int fd)
{
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* Milliseconds since boot, suspended time included. */
static inline int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
