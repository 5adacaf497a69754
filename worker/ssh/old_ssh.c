/* One SSH connection, state by state. */
#include "worker/ssh/old.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/ssh/old_internal.h"

#define ADDRESS_MS 10000  /* for one address */
#define SETUP_MS 20000    /* from TCP to logged in */
#define TICK_MS 5000      /* once up */
#define KEEPALIVE_SECS 15 /* of silence, then a question that the host answers */
#define SILENT_TICKS 9    /* three questions without an answer */
#define UNSENT_MAX (16 << 20)
#define PASSES 64 /* of one pump before the loop's other work gets its turn */

enum ssh_state old_ssh_state(const struct ssh *ssh)
{
    return ssh->state;
}

const struct error *old_ssh_error(const struct ssh *ssh)
{
    return &ssh->error;
}

bool old_ssh_was_up(const struct ssh *ssh)
{
    return ssh->was_up;
}

bool old_ssh_was_dropped(const struct ssh *ssh)
{
    return ssh->dropped;
}

int old_ssh_load(const struct ssh *ssh)
{
    return ssh->load;
}

int old_ssh_room(const struct ssh *ssh)
{
    if (ssh->state != SSH_UP || ssh->load >= ssh->channels_max)
        return 0;
    return ssh->channels_max - ssh->load;
}

const char *old_ssh_host_key(const struct ssh *ssh)
{
    return ssh->host_key;
}

/* The only place where the state changes. */
void old_ssh_become(struct ssh *ssh, enum ssh_state state)
{
    ssh->state = state;
    ssh->changed = true;
    if (state == SSH_UP) {
        ssh->was_up = true;
        ssh->silent_ticks = 0;
        libssh2_keepalive_config(ssh->session, 1, KEEPALIVE_SECS);
        timer_start(&ssh->tick, TICK_MS, TICK_MS);
    }
}

void old_ssh_fail(struct ssh *ssh, const char *word, const char *format, ...)
{
    char text[sizeof ssh->error.text];
    va_list args;
    if (ssh->state == SSH_DOWN)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set_state(&ssh->error, word, "host %s: %s", ssh->host->host_id, text);
    old_ssh_become(ssh, SSH_DOWN);
}

/* --- the socket, as libssh2 sees it --- */

static ssize_t on_send(libssh2_socket_t fd, const void *bytes, size_t len, int flags,
                       void **abstract)
{
    struct ssh *ssh = *abstract;
    ssize_t sent = 0;
    (void)flags;
    if (ssh->gone)
        return -EPIPE;
    if (ssh->unsent.len == 0)
        sent = send(fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        ssh->gone = true;
        return -EPIPE;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    if (taken < len && !buf_add(&ssh->unsent, (const char *)bytes + taken, len - taken)) {
        ssh->gone = true;
        return -ENOBUFS;
    }
    return (ssize_t)len;
}

static ssize_t on_recv(libssh2_socket_t fd, void *bytes, size_t len, int flags, void **abstract)
{
    struct ssh *ssh = *abstract;
    (void)flags;
    if (ssh->gone || ssh->state == SSH_DOWN)
        return 0;
    ssize_t got = recv(fd, bytes, len, 0);
    if (got > 0) {
        ssh->received += (uint64_t)got;
        ssh->silent_ticks = 0;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        ssh->gone = true;
        got = 0;
    } else {
        got = -EAGAIN;
    }
    return got;
}

static void flush_unsent(struct ssh *ssh)
{
    while (ssh->unsent.len > 0 && !ssh->gone) {
        ssize_t sent = send(ssh->fd, ssh->unsent.data, ssh->unsent.len, MSG_NOSIGNAL);
        if (sent > 0)
            buf_consume(&ssh->unsent, (size_t)sent);
        else if (errno == EAGAIN || errno == EINTR)
            return;
        else
            ssh->gone = true;
    }
}

static bool step_channels(struct ssh *ssh)
{
    bool moved = false;
    list_each(link, &ssh->channels)
    {
        if (ssh->state == SSH_DOWN)
            break;
        moved |= old_ssh_channel_step(list_entry(link, struct ssh_channel, link));
    }
    return moved;
}

static bool step(struct ssh *ssh)
{
    switch (ssh->state) {
    case SSH_CONNECTING:
    case SSH_DOWN:
        return false;
    case SSH_HANDSHAKING:
    case SSH_LOGGING_IN:
        return old_ssh_setup_step(ssh);
    case SSH_UP:
        return step_channels(ssh);
    }
    return false;
}

/* --- the end --- */

/* libssh2 may ask to come again, but has nothing to wait for: on_recv says "closed" by now. */
static void drop_session(struct ssh *ssh)
{
    ssh->gone = true;
    for (int i = 0; ssh->session != NULL && i < 1000; i++) {
        if (libssh2_session_free(ssh->session) != LIBSSH2_ERROR_EAGAIN)
            ssh->session = NULL;
    }
    ssh->session = NULL;
    watch_free(ssh->watch);
    ssh->watch = NULL;
    if (ssh->fd >= 0)
        close(ssh->fd);
    ssh->fd = -1;
    buf_release(&ssh->unsent);
    known_hosts_free(ssh->known);
    ssh->known = NULL;
}

static void go_down(struct ssh *ssh)
{
    list_each(link, &ssh->channels)
    {
        struct ssh_channel *channel = list_entry(link, struct ssh_channel, link);
        old_ssh_channel_drop(channel, &ssh->error);
    }
    timer_stop(&ssh->tick);
    drop_session(ssh);
}

/* Without a channel libssh2 offers no way to read: what lies on the socket (the answer to a
 * keepalive) waits there for the next channel, and must not wake the loop again and again. */
static bool is_idle(const struct ssh *ssh)
{
    return ssh->state == SSH_UP && list_empty(&ssh->channels);
}

/* Looks for the end of an idle connection, and for a sign of life, without taking bytes off. */
static void peek(struct ssh *ssh)
{
    char byte;
    ssize_t got = recv(ssh->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0)
        ssh->silent_ticks = 0;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        old_ssh_fail(ssh, "connection_lost", "it closed the connection");
}

/* Until a pass moves nothing: one channel's read takes the others' packets off the socket too. */
void old_ssh_pump(struct ssh *ssh)
{
    bool moved = true;
    for (int i = 0; i < PASSES && moved && ssh->state != SSH_DOWN; i++) {
        uint64_t before = ssh->received;
        moved = step(ssh) || ssh->received != before;
        flush_unsent(ssh);
        if (!moved && ssh->gone)
            old_ssh_fail(ssh, "connection_lost", "it closed the connection");
    }
    if (ssh->state == SSH_DOWN)
        go_down(ssh);
    else if (ssh->watch != NULL)
        watch_set(ssh->watch, !is_idle(ssh), ssh->unsent.len > 0);
    if (moved || ssh->changed)
        timer_start(&ssh->soon, 0, 0);
}

/* --- events --- */

static void on_ready(void *data, bool readable, bool writable)
{
    (void)readable, (void)writable;
    old_ssh_pump(data);
}

static void on_soon(void *data)
{
    struct ssh *ssh = data;
    if (ssh->state != SSH_DOWN)
        old_ssh_pump(ssh);
    if (!ssh->changed)
        return;
    ssh->changed = false;
    ssh->on_change(ssh->data); /* may close us */
}

static void on_tick(void *data)
{
    struct ssh *ssh = data;
    int next = 0;
    if (is_idle(ssh))
        peek(ssh);
    if (ssh->state != SSH_UP)
        old_ssh_fail(ssh, "timeout", "no %s within %d s",
                     ssh->state == SSH_HANDSHAKING ? "handshake" : "log-in", SETUP_MS / 1000);
    else if (++ssh->silent_ticks > SILENT_TICKS)
        old_ssh_fail(ssh, "timeout", "the connection was silent for %d s",
                     TICK_MS / 1000 * SILENT_TICKS);
    else
        libssh2_keepalive_send(ssh->session, &next);
    old_ssh_pump(ssh);
}

static void on_connected(void *data, int fd, const struct error *err)
{
    struct ssh *ssh = data;
    struct error problem;
    ssh->connect = NULL;
    ssh->fd = fd;
    if (fd < 0) {
        old_ssh_fail(ssh, err->state, "%s", err->text);
    } else if (!old_ssh_setup_session(ssh, &problem)) {
        old_ssh_fail(ssh, "key_unusable", "%s", problem.text);
    } else {
        libssh2_session_set_blocking(ssh->session, 0);
        libssh2_session_callback_set(ssh->session, LIBSSH2_CALLBACK_SEND,
                                     (void *)(uintptr_t)on_send);
        libssh2_session_callback_set(ssh->session, LIBSSH2_CALLBACK_RECV,
                                     (void *)(uintptr_t)on_recv);
        ssh->watch = watch_new(ssh->loop, fd, on_ready, ssh);
        timer_start(&ssh->tick, SETUP_MS, 0);
        old_ssh_become(ssh, SSH_HANDSHAKING);
    }
    old_ssh_pump(ssh);
}

struct ssh *old_ssh_open(struct loop *loop, const struct config_host *host,
                         void (*on_change)(void *data), void *data)
{
    struct ssh *ssh = mem_alloc(sizeof *ssh);
    ssh->loop = loop;
    ssh->host = host;
    ssh->on_change = on_change;
    ssh->data = data;
    ssh->fd = -1;
    ssh->channels_max = SSH_CHANNELS;
    ssh->handles = 2;
    buf_init(&ssh->unsent, UNSENT_MAX);
    list_init(&ssh->channels);
    list_init(&ssh->back);
    timer_init(&ssh->tick, loop, on_tick, ssh);
    timer_init(&ssh->soon, loop, on_soon, ssh);
    if (old_ssh_setup_files(ssh))
        ssh->connect =
            ssh_connect_start(loop, host->hostname, host->ssh_port, ADDRESS_MS, on_connected, ssh);
    else
        timer_start(&ssh->soon, 0, 0);
    return ssh;
}

void old_ssh_run(struct ssh *ssh, struct exec_job *job)
{
    old_ssh_channel_new(ssh, job);
    old_ssh_pump(ssh);
}

struct exec_job *old_ssh_take_back(struct ssh *ssh)
{
    if (list_empty(&ssh->back))
        return NULL;
    struct list *link = ssh->back.next;
    list_remove(link);
    return list_entry(link, struct exec_job, link);
}

static void on_closed(void *data)
{
    struct ssh *ssh = data;
    if (--ssh->handles == 0)
        free(ssh);
}

void old_ssh_close(struct ssh *ssh)
{
    struct exec_job *job;
    ssh_connect_stop(ssh->connect);
    if (ssh->session != NULL && ssh->was_up && ssh->state == SSH_UP)
        libssh2_session_disconnect(ssh->session, "done");
    old_ssh_fail(ssh, "connection_lost", "the connection was closed");
    go_down(ssh);
    while ((job = old_ssh_take_back(ssh)) != NULL)
        exec_job_fail(job, ssh->error.state, "%s", ssh->error.text);
    timer_close(&ssh->tick, on_closed);
    timer_close(&ssh->soon, on_closed);
}
