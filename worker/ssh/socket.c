/* The socket, as libssh2 sees it: it takes every packet whole. */
#include <errno.h>
#include <sys/socket.h>

#include "worker/ssh/internal.h"

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

/* As much as fits. */
static void hear(struct buf *heard, const void *bytes, size_t len)
{
    size_t room = heard->max - heard->len;
    buf_add(heard, bytes, len < room ? len : room);
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
        if (ssh->state == SSH_HANDSHAKING)
            hear(&ssh->heard, bytes, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        ssh->gone = true;
        got = 0;
    } else {
        got = -EAGAIN;
    }
    return got;
}

void ssh_socket_attach(struct ssh *ssh)
{
    libssh2_session_set_blocking(ssh->session, 0);
    libssh2_session_callback_set(ssh->session, LIBSSH2_CALLBACK_SEND, (void *)(uintptr_t)on_send);
    libssh2_session_callback_set(ssh->session, LIBSSH2_CALLBACK_RECV, (void *)(uintptr_t)on_recv);
}

void ssh_socket_flush(struct ssh *ssh)
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
