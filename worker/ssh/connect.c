/* A TCP connection, address after address. */
#include "worker/ssh/connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"

#define SILENCE_MS 30000 /* of sent bytes that nobody acknowledges, until the kernel gives up */

struct ssh_connect {
    struct loop *loop; /* borrowed */
    char *hostname;    /* owned */
    int port, address_ms;
    uv_getaddrinfo_t lookup;
    struct addrinfo *addresses; /* owned */
    struct addrinfo *next;      /* borrowed from addresses: the one to try next */
    int fd;                     /* owned; -1 while there is none */
    struct watch *watch;        /* owned */
    struct timer timer;         /* of one address */
    struct error err;           /* why the last address failed */
    bool looking, stopped;
    ssh_connect_done_cb on_done;
    void *data; /* borrowed */
};

static void on_closed(void *data)
{
    struct ssh_connect *way = data;
    if (way->addresses != NULL)
        uv_freeaddrinfo(way->addresses);
    free(way->hostname);
    free(way);
}

static void drop_socket(struct ssh_connect *way)
{
    watch_free(way->watch);
    way->watch = NULL;
    if (way->fd >= 0)
        close(way->fd);
    way->fd = -1;
}

static void finish(struct ssh_connect *way, int fd)
{
    way->stopped = true;
    way->on_done(way->data, fd, fd >= 0 ? NULL : &way->err);
    timer_close(&way->timer, on_closed);
}

static void say(struct ssh_connect *way, const char *word, const char *why)
{
    error_set_state(&way->err, word, "cannot connect to %s port %d: %s", way->hostname, way->port,
                    why);
}

static void say_errno(struct ssh_connect *way, int error)
{
    const char *word = error == ECONNREFUSED ? "refused"
                       : error == ETIMEDOUT  ? "timeout"
                                             : "unreachable";
    say(way, word, strerror(error));
}

static void try_next(struct ssh_connect *way);

static void on_ready(void *data, bool readable, bool writable)
{
    struct ssh_connect *way = data;
    int error = 0, fd = way->fd;
    socklen_t size = sizeof error;
    (void)readable, (void)writable;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    timer_stop(&way->timer);
    if (error != 0) {
        say_errno(way, error);
        try_next(way);
        return;
    }
    way->fd = -1; /* handed over */
    drop_socket(way);
    finish(way, fd);
}

static void on_time(void *data)
{
    struct ssh_connect *way = data;
    say(way, "timeout", "no answer in time");
    try_next(way);
}

/* True while it may still work out. */
static bool connect_start(int fd, const struct addrinfo *address)
{
    return connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS;
}

/* False when it failed at once. */
static bool try_address(struct ssh_connect *way, const struct addrinfo *address)
{
    int on = 1, silence = SILENCE_MS;
    way->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (way->fd < 0)
        return false;
    setsockopt(way->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(way->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence);
    return connect_start(way->fd, address);
}

static void try_next(struct ssh_connect *way)
{
    drop_socket(way);
    while (way->next != NULL) {
        const struct addrinfo *address = way->next;
        way->next = address->ai_next;
        if (try_address(way, address)) {
            way->watch = watch_new(way->loop, way->fd, on_ready, way);
            watch_set(way->watch, false, true);
            timer_start(&way->timer, (uint64_t)way->address_ms, 0);
            return;
        }
        say_errno(way, errno);
        drop_socket(way);
    }
    finish(way, -1);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct ssh_connect *way = lookup->data;
    way->looking = false;
    way->addresses = way->next = addresses;
    if (way->stopped) {
        timer_close(&way->timer, on_closed);
    } else if (status != 0) {
        say(way, "unreachable", uv_strerror(status));
        finish(way, -1);
    } else {
        try_next(way);
    }
}

/* A name that uv_getaddrinfo refuses to look up. */
static void on_refused(void *data)
{
    finish(data, -1);
}

struct ssh_connect *ssh_connect_start(struct loop *loop, const char *hostname, int port,
                                      int address_ms, ssh_connect_done_cb on_done, void *data)
{
    struct ssh_connect *way = mem_alloc(sizeof *way);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char service[12];
    way->loop = loop;
    way->hostname = mem_strdup(hostname);
    way->port = port;
    way->address_ms = address_ms;
    way->on_done = on_done;
    way->data = data;
    way->fd = -1;
    way->lookup.data = way;
    timer_init(&way->timer, loop, on_time, way);
    snprintf(service, sizeof service, "%d", port);
    int status = uv_getaddrinfo(&loop->uv, &way->lookup, on_lookup, hostname, service, &hints);
    way->looking = status == 0;
    if (status != 0) {
        say(way, "unreachable", uv_strerror(status));
        way->timer.on_time = on_refused;
        timer_start(&way->timer, 0, 0);
    }
    return way;
}

void ssh_connect_addresses(const struct ssh_connect *way, struct buf *text)
{
    char name[NI_MAXHOST];
    for (const struct addrinfo *at = way->addresses; at != NULL; at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, name, sizeof name, NULL, 0, NI_NUMERICHOST) ==
            0)
            buf_addf(text, "%s%s", text->len > 0 ? " " : "", name);
    }
}

void ssh_connect_stop(struct ssh_connect *way)
{
    if (way == NULL || way->stopped)
        return;
    way->stopped = true;
    drop_socket(way);
    timer_stop(&way->timer);
    if (way->looking)
        uv_cancel((uv_req_t *)&way->lookup); /* on_lookup frees, cancelled or not */
    else
        timer_close(&way->timer, on_closed);
}
