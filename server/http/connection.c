/* One connection: accepted, watched for its client's leave, sent to, shut down. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/http/internal.h"

#define STALL_MS 30000    /* an answer without progress; h2o has no write time-out */
#define GREETING_MS 1000  /* from a connection to its first request, while the node stops */
#define SENDING_MS 300000 /* an answer in all: a client that takes a byte now and then */

static const char refusal[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nConnection: "
    "close\r\nContent-Length: 80\r\n\r\n"
    "{\"error\": \"this node has too much to do; try again in a second\", \"code\": \"busy\"}";

static void connection_free_when_closed(struct http_connection *connection)
{
    if (connection->handles > 0)
        return;
    struct http *http = connection->http;
    list_remove(&connection->link);
    if (connection->spare >= 0)
        linger_begin(&http->lingers, connection->spare);
    http->counts.connections--;
    free(connection);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct http_connection *connection = list_entry(handle, struct http_connection, watch);
    connection->handles--;
    connection_free_when_closed(connection);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct http_connection *connection = list_entry(handle, struct http_connection, tcp);
    connection->handles--;
    connection_free_when_closed(connection);
}

/* h2o has closed its socket; its request, if there was one, is gone already. */
static void on_socket_closed(void *data)
{
    struct http_connection *connection = data;
    connection->sock = NULL;
    connection_sent(connection);
    call_was_read(connection, connection_was_reset(connection));
    if (connection->watched)
        uv_close((uv_handle_t *)&connection->watch, on_watch_closed);
}

static void name_peer(struct http_connection *connection)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    snprintf(connection->peer, sizeof connection->peer, "unknown");
    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET6)
        uv_ip6_name((struct sockaddr_in6 *)&address, connection->peer, sizeof connection->peer);
    else
        uv_ip4_name((struct sockaddr_in *)&address, connection->peer, sizeof connection->peer);
}

static void connection_send_refusal(struct http_connection *connection)
{
    connection->http->counts.refused++;
    ssize_t sent =
        send(connection->spare, refusal, sizeof refusal - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        log_debug(NULL, "a refusal could not be sent: %s", strerror(errno));
}

/* Hands the accepted socket to h2o, which owns it from here on. */
static void connection_serve(struct http_connection *connection)
{
    connection->sock = h2o_uv_socket_create((uv_stream_t *)&connection->tcp, on_tcp_closed);
    connection->sock->on_close.cb = on_socket_closed;
    connection->sock->on_close.data = connection;
    h2o_accept(&connection->http->accept, connection->sock);
}

void connection_accept(struct http *http)
{
    struct http_connection *connection = mem_alloc(sizeof *connection);
    connection->http = http;
    connection->spare = -1;
    connection->came_ms = clock_ms();
    if (uv_tcp_init(&http->loop->uv, &connection->tcp) != 0) {
        free(connection);
        return;
    }
    connection->handles = 1;
    list_append(&http->connections, &connection->link);
    http->counts.connections++;
    uv_os_fd_t fd = -1;
    if (uv_accept((uv_stream_t *)&http->listener, (uv_stream_t *)&connection->tcp) == 0 &&
        uv_fileno((uv_handle_t *)&connection->tcp, &fd) == 0)
        connection->spare = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (connection->spare < 0) {
        uv_close((uv_handle_t *)&connection->tcp, on_tcp_closed);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1); /* h2o's uv build does not set it */
    name_peer(connection);
    if (http->counts.connections > http->options.connections) {
        connection_send_refusal(connection);
        uv_close((uv_handle_t *)&connection->tcp, on_tcp_closed);
        return;
    }
    connection_serve(connection);
}

static void on_watch(uv_poll_t *handle, int status, int events)
{
    struct http_connection *connection = list_entry(handle, struct http_connection, watch);
    if (status == 0 && (events & UV_DISCONNECT) == 0)
        return;
    connection_unlook(connection);
    connection_vanished(connection);
}

/* A half-closing client looks gone too: TCP cannot tell them apart. */
void connection_look(struct http_connection *connection)
{
    if (connection->looking || connection->sock == NULL)
        return;
    if (!connection->watched) {
        if (uv_poll_init(&connection->http->loop->uv, &connection->watch, connection->spare) != 0)
            return;
        connection->watched = true;
        connection->handles++;
    }
    connection->looking = uv_poll_start(&connection->watch, UV_DISCONNECT, on_watch) == 0;
}

void connection_unlook(struct http_connection *connection)
{
    if (connection->looking)
        uv_poll_stop(&connection->watch);
    connection->looking = false;
}

size_t connection_unsent(const struct http_connection *connection)
{
    int queued = 0;
    if (ioctl(connection->spare, SIOCOUTQ, &queued) != 0)
        queued = 0;
    return uv_stream_get_write_queue_size((const uv_stream_t *)&connection->tcp) + (size_t)queued;
}

bool connection_left(const struct http_connection *connection)
{
    struct pollfd look = {.fd = connection->spare, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* A client that has read its answer closes with FIN; RST says that nobody read it (tcp(7)). */
bool connection_was_reset(const struct http_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    return getsockopt(connection->spare, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
           info.tcpi_state == TCP_CLOSE;
}

void connection_sending(struct http_connection *connection, size_t len)
{
    connection->sending_ms = connection->progress_ms = clock_ms();
    connection->unsent = SIZE_MAX;
    connection->http->answers += len - connection->answer;
    connection->answer = len;
    if (!list_linked(&connection->sending))
        list_append(&connection->http->sending, &connection->sending);
}

void connection_sent(struct http_connection *connection)
{
    connection->http->answers -= connection->answer;
    connection->answer = 0;
    list_remove(&connection->sending);
}

void connection_check_progress(struct http_connection *connection, int64_t now)
{
    size_t unsent = connection_unsent(connection);
    if (unsent != connection->unsent) {
        connection->unsent = unsent;
        connection->progress_ms = now;
    }
    if (now - connection->progress_ms >= STALL_MS || now - connection->sending_ms >= SENDING_MS) {
        connection->http->counts.stalled++;
        log_info(NULL, "an answer to %s made no progress for %d s: connection shut down",
                 connection->peer, STALL_MS / 1000);
        connection_shutdown(connection);
    }
}

void connection_shutdown(struct http_connection *connection)
{
    shutdown(connection->spare, SHUT_RDWR);
}

void connection_forget_unsent(struct http_connection *connection)
{
    struct linger none = {.l_onoff = 1};
    setsockopt(connection->spare, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* Between two requests, and nothing of the next one has come. Who has just connected is about to
 * ask. */
bool connection_idle(const struct http_connection *connection, int64_t now)
{
    int waiting = 0;
    return now - connection->came_ms >= GREETING_MS && connection->sock != NULL &&
           connection->call == NULL && connection->sock->_cb.read != NULL &&
           connection->sock->input->size == 0 &&
           ioctl(connection->spare, FIONREAD, &waiting) == 0 && waiting == 0;
}

/* As if the client had closed: h2o's own way of closing one that reads a request. */
void connection_end(struct http_connection *connection)
{
    if (connection->sock != NULL && connection->sock->_cb.read != NULL)
        connection->sock->_cb.read(connection->sock, h2o_socket_error_closed);
}

void connection_refuse(struct http_connection *connection)
{
    connection_send_refusal(connection);
    connection_end(connection);
}
