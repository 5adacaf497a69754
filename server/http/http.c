/* The listener, its janitor and its end; h2o's settings are here. */
#include "server/http/http.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/http/internal.h"

#define BACKLOG 1024
#define JANITOR_MS 250
#define LOOK_AFTER_MS 250 /* a call that takes longer has its client watched */
#define METER_MS 20       /* between two sums of the bodies being read */
/* What a connection can bring in one turn of the loop, before the bodies are summed again. */
#define RECEIVE_BYTES (64 << 10)
#define BUFFER_SMALL 65536 /* bytes: below, what is in it counts */
#define REQUEST_MS \
    65000 /* head and body of a request, and idling between two: a proxy's time first */

struct http_handler {
    h2o_handler_t super;
    struct http *http; /* borrowed */
};

static int on_req(h2o_handler_t *handler, h2o_req_t *req)
{
    call_begin(((struct http_handler *)(void *)handler)->http, req);
    return 0;
}

/* --- ceilings and clocks --- */

/* A buffer that grows doubles: what it may hold is what it costs. */
static size_t held_by(const struct http_connection *connection)
{
    const h2o_buffer_t *input = connection->sock->input;
    return input->capacity > BUFFER_SMALL ? input->capacity : input->size;
}

/* h2o reads a body in full before any handler sees it, so what it holds is summed here. */
static size_t bytes_held(const struct http *http, struct http_connection **largest)
{
    size_t total = 0, most = 0;
    *largest = NULL;
    list_each(link, &http->connections)
    {
        struct http_connection *connection = list_entry(link, struct http_connection, link);
        if (connection->sock == NULL)
            continue;
        size_t size = held_by(connection);
        total += size;
        if (size > most && connection->call == NULL && connection->sock->_cb.read != NULL) {
            most = size;
            *largest = connection;
        }
    }
    return total;
}

/* Whoever wants to connect from now on is not heard, and tries again when the listener is closed:
 * then it is refused at once. Who has connected already waits in the kernel, and closing would
 * reset it. */
static void hear_no_more(struct http *http)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {1, &nothing};
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&http->listener, &fd) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        log_debug(NULL, "clients that connect now may be reset: %s", strerror(errno));
}

/* Behind a poll that has accepted all who had connected. */
static void leave(struct http *http)
{
    if (http->leaving == 0 || http->leaving++ == 1)
        return;
    uv_close((uv_handle_t *)&http->listener, NULL);
    http->listening = false;
    http->leaving = 0;
}

static void meter_bodies(struct http *http, uint64_t now)
{
    struct http_connection *largest;
    /* much can come in a few turns of a busy loop */
    if (now - http->metered < METER_MS && http->held < http->options.bodies_max / 4)
        return;
    http->metered = now;
    while ((http->held = bytes_held(http, &largest)) > http->options.bodies_max && largest != NULL)
        connection_refuse(largest);
}

static void on_check(uv_check_t *handle)
{
    leave(handle->data);
    meter_bodies(handle->data, uv_now(handle->loop));
}

static void check_call(struct call *call, int64_t now)
{
    if (now >= call->deadline_ms) {
        call_error(call, 503, "timeout", NULL, "no answer within %lld s; it may still happen",
                   (long long)((call->deadline_ms - call->began_ms) / 1000));
    } else if (now - call->began_ms >= LOOK_AFTER_MS) {
        connection_look(call->connection);
    }
}

static void stop_step(struct http *http, int64_t now);

static void on_janitor(void *data)
{
    struct http *http = data;
    int64_t now = clock_ms();
    list_each(link, &http->calls) check_call(list_entry(link, struct call, link), now);
    list_each(link, &http->sending)
        connection_check_progress(list_entry(link, struct http_connection, sending), now);
    streams_check(http, now);
    if (http->stop_at != 0)
        stop_step(http, now);
}

/* --- life --- */

struct http *http_new(struct loop *loop, const struct http_options *options)
{
    struct http *http = mem_alloc(sizeof *http);
    http->loop = loop;
    http->options = *options;
    if (http->options.quiet_ms == 0)
        http->options.quiet_ms = STREAM_QUIET_MS;
    if (http->options.stall_ms == 0)
        http->options.stall_ms = STREAM_STALL_MS;
    list_init(&http->calls);
    list_init(&http->connections);
    list_init(&http->sending);
    list_init(&http->streams);
    linger_set_init(&http->lingers, loop);

    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; /* bodies never go to a file */
    h2o_config_init(&http->config);
    http->config.server_name = h2o_iovec_init(H2O_STRLIT("agent-fleet"));
    http->config.http1.upgrade_to_http2 = 0; /* 2.2.5 has no fix for rapid reset */
    http->config.http1.req_timeout = REQUEST_MS;
    http->config.max_request_entity_size = options->body_max;
    h2o_hostconf_t *host =
        h2o_config_register_host(&http->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    struct http_handler *handler = (void *)h2o_create_handler(path, sizeof *handler);
    handler->super.on_req = on_req;
    handler->http = http;
    h2o_context_init(&http->context, &loop->uv, &http->config);
    http->accept = (h2o_accept_ctx_t){.ctx = &http->context, .hosts = http->config.hosts};

    uv_check_init(&loop->uv, &http->meter);
    http->meter.data = http;
    uv_check_start(&http->meter, on_check);
    timer_init(&http->janitor, loop, on_janitor, http);
    timer_start(&http->janitor, JANITOR_MS, JANITOR_MS);
    return http;
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0)
        connection_accept(listener->data);
    else
        log_warn(NULL, "a connection could not be accepted: %s", uv_strerror(status));
}

static bool parse_bind(const char *bind, int port, struct sockaddr_storage *address)
{
    const char *text = strcmp(bind, "localhost") == 0 ? "127.0.0.1" : bind;
    return uv_ip4_addr(text, port, (struct sockaddr_in *)address) == 0 ||
           uv_ip6_addr(text, port, (struct sockaddr_in6 *)address) == 0;
}

/* err->state is HTTP_NEVER where trying again is in vain. */
static void say_why(const struct http_options *options, int status, struct error *err)
{
    const char *bind = options->bind;
    int port = options->port;
    if (status == UV_EADDRINUSE)
        error_set(err,
                  "server.port: port %d of %s is taken by another process, which this shows: ss "
                  "-ltnp 'sport = :%d'; end it, or give another server.port",
                  port, bind, port);
    else if (status == UV_EADDRNOTAVAIL)
        error_set_state(err, HTTP_NEVER,
                        "server.bind: %s is no address of this machine (ip -br address shows "
                        "those); give one, or 0.0.0.0 for all",
                        bind);
    else if (status == UV_EACCES)
        error_set_state(err, HTTP_NEVER,
                        "server.port: this user may not listen on port %d; give one from 1024 on, "
                        "a proxy stands in front",
                        port);
    else
        error_set(err, "cannot listen on %s port %d: %s", bind, port, uv_strerror(status));
}

bool http_listen(struct http *http, const struct http_options *options, struct error *err)
{
    struct sockaddr_storage address = {0};
    if (!parse_bind(options->bind, options->port, &address)) {
        error_set_state(err, HTTP_NEVER, "server.bind: '%s' is not an IPv4 or IPv6 address",
                        options->bind);
        return false;
    }
    uv_tcp_init(&http->loop->uv, &http->listener);
    http->listener.data = http;
    http->listening = true;
    int status = uv_tcp_bind(&http->listener, (struct sockaddr *)&address, 0);
    int bytes = RECEIVE_BYTES; /* its connections have it too */
    if (status == 0)
        status = uv_recv_buffer_size((uv_handle_t *)&http->listener, &bytes);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&http->listener, BACKLOG, on_connection);
    if (status != 0)
        say_why(options, status, err);
    return status == 0;
}

int http_port(const struct http *http)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    if (uv_tcp_getsockname(&http->listener, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

void http_lame(struct http *http)
{
    http->lame = true;
}

struct http_counts http_counts(const struct http *http)
{
    struct http_counts counts = http->counts;
    list_each(link, (struct list *)&http->calls) counts.waiting++;
    return counts;
}

/* --- the end --- */

static void on_handle_closed(void *data)
{
    struct http *http = data;
    http->closing--;
    if (http->closing == 0)
        http->on_stopped(http->stopped_data);
}

static void on_uv_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void close_handles(struct http *http)
{
    http->stop_at = 0;
    http->closing = 3;
    uv_close((uv_handle_t *)&http->meter, on_uv_closed);
    timer_close(&http->janitor, on_handle_closed);
    linger_set_close(&http->lingers, on_handle_closed, http);
}

/* The deadline has passed: what has no answer gets one, what is being sent is cut. */
static void force_end(struct http *http)
{
    http->forced = true;
    list_each(link, &http->calls) call_error(list_entry(link, struct call, link), 503, "draining",
                                             NULL, "this node is stopping; ask another one");
    list_each(link, &http->connections)
    {
        struct http_connection *connection = list_entry(link, struct http_connection, link);
        connection_shutdown(connection);
        connection_end(connection);
    }
    linger_end_all(&http->lingers);
}

/* Once every JANITOR_MS while stopping: h2o itself closes an idle connection only after REQUEST_MS.
 */
static void stop_step(struct http *http, int64_t now)
{
    list_each(link, &http->connections)
    {
        struct http_connection *connection = list_entry(link, struct http_connection, link);
        if (connection_idle(connection, now))
            connection_end(connection);
    }
    if (now >= http->stop_at)
        force_end(http);
    if (!http->listening && http->counts.connections == 0 && http->lingers.count == 0)
        close_handles(http);
}

void http_stop(struct http *http, int64_t deadline_ms, void (*on_stopped)(void *data), void *data)
{
    http->lame = true;
    http->on_stopped = on_stopped;
    http->stopped_data = data;
    http->stop_at = clock_ms() + deadline_ms;
    if (http->listening)
        hear_no_more(http);
    http->leaving = http->listening;
    streams_stop(http);
}

void http_free(struct http *http)
{
    h2o_context_dispose(&http->context);
    h2o_config_dispose(&http->config);
    free(http);
}
