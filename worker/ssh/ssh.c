/* One SSH connection's life, state by state. */
#include "worker/ssh/ssh.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/pause.h"
#include "worker/ssh/internal.h"

#define ADDRESS_MS 10000 /* for one address */
#define SETUP_MS 20000   /* from TCP to logged in */
#define DROPS_MAX 5      /* handshakes in a row that the host may cut */
#define DROP_MS 300      /* pause after the first, then doubled */
#define DROP_MAX_MS 3000
#define UNSENT_MAX (16 << 20)
#define HEARD_MAX 40960 /* RFC 4253 6.1: a packet may have 35000 bytes */
#define PASSES 64       /* of one pump before the loop's other work gets its turn */

/* The only place where the state changes. */
void ssh_become(struct ssh *ssh, enum ssh_state state)
{
    if (ssh->state == SSH_HANDSHAKING)
        ssh_see_heard(ssh);
    ssh->state = state;
    if (state == SSH_UP || state == SSH_DOWN)
        timer_stop(&ssh->limit);
    if (state > SSH_HANDSHAKING)
        buf_release(&ssh->heard);
}

void ssh_fail(struct ssh *ssh, const char *word, const char *format, ...)
{
    char text[sizeof ssh->error.text];
    va_list args;
    if (ssh->state == SSH_DOWN)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set_state(&ssh->error, word, "host %s: %s", ssh->host->host_id, text);
    ssh_become(ssh, SSH_DOWN);
}

void ssh_pump_soon(struct ssh *ssh, uint64_t ms)
{
    if (!ssh->closed)
        timer_start(&ssh->soon, ms, 0);
}

/* libssh2 may ask to come again, but has nothing to wait for: on_recv says "closed" by now. */
static void drop_session(struct ssh *ssh)
{
    ssh->gone = true;
    for (int i = 0; ssh->session != NULL && i < 1000; i++) {
        if (libssh2_session_free(ssh->session) != LIBSSH2_ERROR_EAGAIN)
            ssh->session = NULL;
    }
    ssh->session = NULL;
    ssh->channel = NULL; /* went with the session */
    free(ssh->asked);
    ssh->asked = NULL;
    watch_free(ssh->watch);
    ssh->watch = NULL;
    if (ssh->fd >= 0)
        close(ssh->fd);
    ssh->fd = -1;
    buf_release(&ssh->unsent);
    buf_clear(&ssh->heard);
}

static void go_down(struct ssh *ssh)
{
    ssh_see_connect(ssh);
    ssh_connect_stop(ssh->connect);
    ssh->connect = NULL;
    drop_session(ssh);
    known_hosts_free(ssh->known);
    ssh->known = NULL;
    ssh_channel_release(ssh);
    timer_stop(&ssh->soon);
}

static bool step(struct ssh *ssh)
{
    switch (ssh->state) {
    case SSH_PAUSING:
    case SSH_CONNECTING:
    case SSH_DOWN:
        return false;
    case SSH_HANDSHAKING:
    case SSH_LOGGING_IN:
        return ssh_setup_step(ssh);
    case SSH_UP:
        return ssh_channel_step(ssh);
    }
    return false;
}

/* Without a channel libssh2 offers no way to read: what lies on the socket waits there for the next
 * command, and must not wake the loop again and again. */
static bool wants_to_read(const struct ssh *ssh)
{
    return ssh->state != SSH_UP || (ssh->step != SSH_STEP_NONE && ssh->step != SSH_STEP_REFUSED);
}

/* Until a pass moves nothing, or others want their turn. Always from the loop: callbacks come from
 * here, and any of them may close us. */
static void pump(struct ssh *ssh)
{
    bool moved = true;
    for (int i = 0; i < PASSES && moved && ssh->state != SSH_DOWN; i++) {
        uint64_t before = ssh->received;
        moved = step(ssh) || ssh->received != before;
        ssh_socket_flush(ssh);
        if (!moved && ssh->gone && ssh->session != NULL)
            ssh_fail(ssh, "connection_lost", "it closed the connection");
    }
    if (ssh->closed)
        return;
    if (ssh->state == SSH_DOWN) {
        go_down(ssh);
        ssh->stream.events->on_down(ssh->stream.data, &ssh->error);
        return;
    }
    if (ssh->watch != NULL)
        watch_set(ssh->watch, wants_to_read(ssh), ssh->unsent.len > 0);
    if (moved)
        ssh_pump_soon(ssh, 0);
}

static void on_ready(void *data, bool readable, bool writable)
{
    (void)readable, (void)writable;
    pump(data);
}

static void on_soon(void *data)
{
    pump(data);
}

static void on_connected(void *data, int fd, const struct error *err)
{
    struct ssh *ssh = data;
    struct error problem;
    ssh->fd = fd;
    ssh_see_connect(ssh);
    ssh->connect = NULL;
    if (fd < 0) {
        ssh_fail(ssh, err->state, "%s", err->text);
    } else if (!ssh_setup_session(ssh, &problem)) {
        ssh_fail(ssh, "key_unusable", "%s", problem.text);
    } else {
        ssh->gone = false;
        ssh_socket_attach(ssh);
        ssh->watch = watch_new(ssh->loop, fd, on_ready, ssh);
        timer_start(&ssh->limit, SETUP_MS, 0);
        ssh_become(ssh, SSH_HANDSHAKING);
    }
    pump(ssh);
}

static void begin(struct ssh *ssh)
{
    ssh_become(ssh, SSH_CONNECTING);
    ssh->connect = ssh_connect_start(ssh->loop, ssh->host->hostname, ssh->host->ssh_port,
                                     ADDRESS_MS, on_connected, ssh);
}

void ssh_try_again(struct ssh *ssh)
{
    if (++ssh->drops > DROPS_MAX) {
        ssh_fail(ssh, "connection_lost",
                 "it closed the connection during the handshake, %d times (too many at once? see "
                 "MaxStartups of its sshd)",
                 ssh->drops);
        return;
    }
    drop_session(ssh);
    ssh_become(ssh, SSH_PAUSING);
    int ms = pause_after((unsigned)ssh->drops, DROP_MS, DROP_MAX_MS);
    timer_start(&ssh->limit, (uint64_t)pause_jitter(ms), 0);
}

static void on_limit(void *data)
{
    struct ssh *ssh = data;
    switch (ssh->state) {
    case SSH_PAUSING:
        begin(ssh);
        return;
    case SSH_CONNECTING: /* has a limit of its own */
    case SSH_DOWN:
        return;
    case SSH_HANDSHAKING:
    case SSH_LOGGING_IN:
        ssh_fail(ssh, "timeout", "no %s within %d s",
                 ssh->state == SSH_HANDSHAKING ? "handshake" : "log-in", SETUP_MS / 1000);
        break;
    case SSH_UP:
        ssh_channel_limit(ssh);
        break;
    }
    pump(ssh);
}

static void on_closed(void *data)
{
    struct ssh *ssh = data;
    if (--ssh->handles == 0)
        free(ssh);
}

static void ssh_close(struct stream *stream)
{
    struct ssh *ssh = (struct ssh *)stream;
    if (ssh->state == SSH_UP)
        libssh2_session_disconnect(ssh->session, "done");
    if (ssh->state != SSH_DOWN)
        ssh_become(ssh, SSH_DOWN);
    ssh->closed = true;
    go_down(ssh);
    timer_close(&ssh->limit, on_closed);
    timer_close(&ssh->soon, on_closed);
}

static const char *ssh_host_key(const struct stream *stream)
{
    return ((const struct ssh *)stream)->host_key;
}

struct stream *ssh_stream_open(struct loop *loop, const struct config_host *host,
                               const struct stream_events *events, void *data)
{
    return ssh_stream_look(loop, host, NULL, events, data);
}

struct stream *ssh_stream_look(struct loop *loop, const struct config_host *host,
                               struct ssh_sight *sight, const struct stream_events *events,
                               void *data)
{
    static const struct stream_ops ops = {
        .run = ssh_run,
        .write = ssh_write,
        .end_input = ssh_end_input,
        .cut = ssh_cut,
        .close = ssh_close,
        .host_key = ssh_host_key,
    };
    struct ssh *ssh = mem_alloc(sizeof *ssh);
    ssh->stream = (struct stream){.ops = &ops, .events = events, .data = data};
    ssh->loop = loop;
    ssh->host = host;
    ssh->sight = sight;
    ssh->fd = -1;
    ssh->handles = 2;
    buf_init(&ssh->unsent, UNSENT_MAX);
    buf_init(&ssh->heard, HEARD_MAX);
    ssh_channel_init(ssh);
    timer_init(&ssh->limit, loop, on_limit, ssh);
    timer_init(&ssh->soon, loop, on_soon, ssh);
    if (ssh_setup_files(ssh))
        begin(ssh);
    else
        ssh_pump_soon(ssh, 0);
    return &ssh->stream;
}
