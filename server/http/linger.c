/* Sockets that are read empty for a moment before they are closed. */
#include "server/http/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

#define LINGER_MAX 256          /* connections */
#define LINGER_MS 3000          /* in all */
#define LINGER_BYTES (64 << 20) /* thrown away at most */
#define LINGER_TICK_MS 250

struct lingering {
    struct list link;
    struct linger_set *set; /* borrowed */
    struct watch *watch;    /* owned */
    int fd;                 /* owned */
    int64_t until_ms;       /* clock_ms */
    size_t read;            /* bytes thrown away */
};

static void linger_end(struct lingering *linger)
{
    watch_free(linger->watch);
    close(linger->fd);
    list_remove(&linger->link);
    linger->set->count--;
    if (linger->set->count == 0)
        timer_stop(&linger->set->timer);
    free(linger);
}

static void on_ready(void *data, bool readable, bool writable)
{
    static char waste[65536];
    struct lingering *linger = data;
    (void)readable;
    (void)writable;
    for (int turn = 0; turn < 16; turn++) {
        ssize_t got = recv(linger->fd, waste, sizeof waste, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        linger->read += got > 0 ? (size_t)got : 0;
        if (got <= 0 || linger->read > LINGER_BYTES) {
            linger_end(linger);
            return;
        }
    }
}

static void on_tick(void *data)
{
    struct linger_set *set = data;
    int64_t now = clock_ms();
    list_each(link, &set->list)
    {
        struct lingering *linger = list_entry(link, struct lingering, link);
        if (now >= linger->until_ms)
            linger_end(linger);
    }
}

void linger_set_init(struct linger_set *set, struct loop *loop)
{
    *set = (struct linger_set){.loop = loop};
    list_init(&set->list);
    timer_init(&set->timer, loop, on_tick, set);
}

/* The peer has shut its side down, or the connection is broken: nothing to wait for. */
static bool peer_is_gone(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

void linger_begin(struct linger_set *set, int fd)
{
    if (set->count >= LINGER_MAX || peer_is_gone(fd) || shutdown(fd, SHUT_WR) != 0) {
        close(fd);
        return;
    }
    struct lingering *linger = mem_alloc(sizeof *linger);
    linger->set = set;
    linger->fd = fd;
    linger->until_ms = clock_ms() + LINGER_MS;
    linger->watch = watch_new(set->loop, fd, on_ready, linger);
    watch_set(linger->watch, true, false);
    list_append(&set->list, &linger->link);
    set->count++;
    if (!timer_active(&set->timer))
        timer_start(&set->timer, LINGER_TICK_MS, LINGER_TICK_MS);
}

void linger_end_all(struct linger_set *set)
{
    list_each(link, &set->list) linger_end(list_entry(link, struct lingering, link));
}

void linger_set_close(struct linger_set *set, void (*on_closed)(void *data), void *data)
{
    linger_end_all(set);
    set->timer.data = data;
    timer_close(&set->timer, on_closed);
}
