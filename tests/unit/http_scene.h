/* A server for tests of who calls one: threads of this process that answer each request as the test
 * says, over TLS as well, and keep what was asked. */
#ifndef FLEET_HTTP_SCENE_H
#define FLEET_HTTP_SCENE_H

#include <arpa/inet.h>
#include <check.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fetch/fetch.h"
#include "common/loop.h"

struct http_peer {
    struct http_server *server;
    int fd;
    SSL *ssl;                      /* NULL: in clear */
    int number;                    /* of the connection, from 1 */
    int asked;                     /* requests on it before this one */
    char head[65536], body[65536]; /* a longer body is read, and cut */
    size_t body_len;
    pthread_t thread;
};
/* Answers one request; false: the connection is closed. */
typedef bool (*http_serve_cb)(struct http_peer *peer);

struct http_server {
    int listener, port;
    http_serve_cb serve;
    SSL_CTX *tls; /* NULL: in clear */
    pthread_t thread;
    pthread_mutex_t lock;
    struct buf log;                     /* "METHOD path\n" of each request */
    char last[65536], last_body[65536]; /* head and body of the newest */
    size_t last_len;
    struct http_peer *peers[64];
    int peer_count;
    atomic_bool stopping;
};

/* A server that takes its time: not a wait for something. */
static inline void http_linger(int ms)
{
    poll(NULL, 0, ms);
}

static inline ssize_t http_read(struct http_peer *peer, char *bytes, size_t len)
{
    return peer->ssl ? SSL_read(peer->ssl, bytes, (int)len) : recv(peer->fd, bytes, len, 0);
}

static inline bool http_write(struct http_peer *peer, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = peer->ssl ? SSL_write(peer->ssl, bytes, (int)len)
                              : send(peer->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

__attribute__((format(printf, 2, 3))) static inline bool http_say(struct http_peer *peer,
                                                                  const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, 1 << 20);
    va_start(args, format);
    buf_addvf(&text, format, args);
    va_end(args);
    bool said = http_write(peer, buf_text(&text), text.len);
    buf_release(&text);
    return said;
}

/* A whole answer; `headers` are lines with their ends. */
static inline bool http_answer(struct http_peer *peer, const char *status, const char *headers,
                               const char *body)
{
    return http_say(peer, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
                    strlen(body), body);
}

static inline bool http_asked(const struct http_peer *peer, const char *method_and_path)
{
    size_t len = strlen(method_and_path);
    return strncmp(peer->head, method_and_path, len) == 0 && strchr(" ?", peer->head[len]);
}

static inline bool http_request(struct http_peer *peer)
{
    size_t len = 0, body = 0;
    char *end = NULL;

    memset(peer->head, 0, sizeof peer->head);
    memset(peer->body, 0, sizeof peer->body);
    while (!end && len + 1 < sizeof peer->head) {
        ssize_t n = http_read(peer, peer->head + len, sizeof peer->head - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        end = strstr(peer->head, "\r\n\r\n");
    }
    if (!end)
        return false;
    body = len - (size_t)(end + 4 - peer->head);
    memcpy(peer->body, end + 4, body);
    memset(end + 2, 0, body + 2);
    const char *length = strcasestr(peer->head, "\r\nContent-Length: ");
    size_t wanted = length ? strtoul(length + 18, NULL, 10) : 0;
    for (peer->body_len = body; peer->body_len < wanted;) {
        char rest[4096];
        ssize_t n = http_read(peer, rest, sizeof rest);
        if (n <= 0)
            return false;
        if (peer->body_len + (size_t)n < sizeof peer->body)
            memcpy(peer->body + peer->body_len, rest, (size_t)n);
        peer->body_len += (size_t)n;
    }
    return true;
}

static inline void *http_peer_main(void *data)
{
    struct http_peer *peer = data;
    struct http_server *server = peer->server;

    if (!peer->ssl || SSL_accept(peer->ssl) == 1) {
        for (bool on = true; on && http_request(peer); peer->asked++) {
            pthread_mutex_lock(&server->lock);
            buf_add(&server->log, peer->head, strcspn(peer->head, "\r") - strlen(" HTTP/1.1"));
            buf_adds(&server->log, "\n");
            memcpy(server->last, peer->head, sizeof server->last);
            server->last_len = peer->body_len;
            memcpy(server->last_body, peer->body, sizeof server->last_body);
            pthread_mutex_unlock(&server->lock);
            on = server->serve(peer);
        }
    }
    if (peer->ssl)
        SSL_shutdown(peer->ssl);
    shutdown(peer->fd, SHUT_RDWR);
    return NULL;
}

static inline void *http_server_main(void *data)
{
    struct http_server *server = data;

    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0 || server->stopping || server->peer_count == 64) {
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        struct http_peer *peer = calloc(1, sizeof *peer);
        *peer = (struct http_peer){.server = server, .fd = fd, .number = server->peer_count + 1};
        if (server->tls) {
            peer->ssl = SSL_new(server->tls);
            SSL_set_fd(peer->ssl, fd);
        }
        server->peers[server->peer_count++] = peer;
        pthread_create(&peer->thread, NULL, http_peer_main, peer);
    }
}

static inline void http_server_start(struct http_server *server, http_serve_cb serve,
                                     const char *certificate, const char *key)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    memset(server, 0, sizeof *server);
    server->serve = serve;
    pthread_mutex_init(&server->lock, NULL);
    buf_init(&server->log, 1 << 20);
    if (certificate) {
        server->tls = SSL_CTX_new(TLS_server_method());
        ck_assert(SSL_CTX_use_certificate_file(server->tls, certificate, SSL_FILETYPE_PEM) == 1);
        ck_assert(SSL_CTX_use_PrivateKey_file(server->tls, key, SSL_FILETYPE_PEM) == 1);
    }
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(bind(server->listener, (struct sockaddr *)&at, sizeof at) == 0);
    ck_assert(listen(server->listener, 64) == 0);
    getsockname(server->listener, (struct sockaddr *)&at, &len);
    server->port = ntohs(at.sin_port);
    pthread_create(&server->thread, NULL, http_server_main, server);
}

static inline void http_server_stop(struct http_server *server)
{
    server->stopping = true;
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->peer_count; i++) {
        struct http_peer *peer = server->peers[i];
        shutdown(peer->fd, SHUT_RDWR);
        pthread_join(peer->thread, NULL);
        SSL_free(peer->ssl);
        close(peer->fd);
        free(peer);
    }
    close(server->listener);
    SSL_CTX_free(server->tls);
    buf_release(&server->log);
    pthread_mutex_destroy(&server->lock);
}

/* How often the log has a line. */
static inline int http_count(struct http_server *server, const char *line)
{
    int count = 0;

    pthread_mutex_lock(&server->lock);
    const char *at = buf_text(&server->log);
    for (size_t len = strlen(line); *at; at += strcspn(at, "\n") + 1)
        count += strncmp(at, line, len) == 0 && at[len] == '\n';
    pthread_mutex_unlock(&server->lock);
    return count;
}

#endif
