/* Requests of libcurl's multi interface, driven by the loop: it says which descriptors to watch and
 * when it wants to be called again; all else is a queue of calls. */
#include "common/fetch/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "common/fetch/address.h"
#include "common/fetch/internal.h"
#include "common/mem.h"

/* A descriptor that libcurl wants watched. */
struct socket {
    struct fetch *fetch; /* borrowed */
    curl_socket_t fd;
    struct watch *watch; /* owned */
};

/* --- the end of a call --- */

/* answer.status or answer.error is set. */
static void call_end(struct call *call)
{
    struct fetch *fetch = call->fetch;

    if (call->answer.status != 0) {
        call->answer.body = buf_text(&call->body);
        call->answer.len = call->body.len;
        call->answer.location = call->location;
    } else {
        call->answer.body = call->answer.location = "";
        call->answer.retry_after_secs = call->answer.total = call->answer.date = -1;
    }
    list_remove(&call->link);
    if (!list_empty(&fetch->waiting))
        timer_start(&fetch->turn, 0, 0);
    call->done(call->data, &call->answer);
    fetch_call_free(call);
}

static void call_fail(struct call *call, const char *state, const char *what)
{
    error_set_state(&call->answer.error, state, "%s: the request %s.", call->fetch->base, what);
    call_end(call);
}

static void call_done(struct call *call, CURLcode code)
{
    struct fetch *fetch = call->fetch;
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(fetch->multi, call->easy);
    fetch->busy--;
    call->answer.status = code == CURLE_OK ? (int)status : 0;
    if (call->answer.status == 0)
        fetch_call_explain(call, code);
    call_end(call);
}

/* --- the multi interface on the loop --- */

static void calls_done(struct fetch *fetch)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
        struct call *call = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        call_done(call, message->data.result);
    }
}

static void on_clock(void *data)
{
    struct fetch *fetch = data;
    int running;

    curl_multi_socket_action(fetch->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    calls_done(fetch);
}

static void on_ready(void *data, bool readable, bool writable)
{
    struct socket *socket = data; /* may be gone after the action */
    struct fetch *fetch = socket->fetch;
    int running;

    curl_multi_socket_action(fetch->multi, socket->fd,
                             (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0),
                             &running);
    calls_done(fetch);
}

/* libcurl says so before it closes a descriptor, as a watch wants it. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
    struct fetch *fetch = data;
    struct socket *socket = known;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            watch_free(socket->watch);
        free(socket);
        curl_multi_assign(fetch->multi, fd, NULL);
        return 0;
    }
    if (!socket) {
        socket = mem_alloc(sizeof *socket);
        *socket = (struct socket){.fetch = fetch, .fd = fd};
        socket->watch = watch_new(fetch->loop, fd, on_ready, socket);
        curl_multi_assign(fetch->multi, fd, socket);
    }
    watch_set(socket->watch, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
    return 0;
}

static int on_clock_wanted(CURLM *multi, long ms, void *data)
{
    struct fetch *fetch = data;

    (void)multi;
    if (ms < 0)
        timer_stop(&fetch->clock);
    else
        timer_start(&fetch->clock, (uint64_t)ms, 0);
    return 0;
}

/* --- the queue --- */

static void call_begin(struct call *call)
{
    struct fetch *fetch = call->fetch;

    list_remove(&call->link);
    list_append(&fetch->under_way, &call->link);
    fetch->busy++;
    fetch_memory_must(curl_multi_add_handle(fetch->multi, call->easy) == CURLM_OK);
}

static void on_timer_closed(void *data)
{
    struct fetch *fetch = data;

    if (--fetch->open == 0 && fetch->on_stopped)
        fetch->on_stopped(fetch->data);
}

static void stop_all(struct fetch *fetch)
{
    while (!list_empty(&fetch->under_way)) {
        struct call *call = list_entry(fetch->under_way.next, struct call, link);
        curl_multi_remove_handle(fetch->multi, call->easy);
        fetch->busy--;
        call_fail(call, "stopped", "was given up: this node stops");
    }
    while (!list_empty(&fetch->waiting))
        call_fail(list_entry(fetch->waiting.next, struct call, link), "stopped",
                  "was not begun: this node stops");
    curl_multi_cleanup(fetch->multi);
    fetch->multi = NULL;
    timer_close(&fetch->clock, on_timer_closed);
    timer_close(&fetch->turn, on_timer_closed);
}

static void on_turn(void *data)
{
    struct fetch *fetch = data;

    if (fetch->stopping) {
        stop_all(fetch);
        return;
    }
    while (!list_empty(&fetch->waiting) && fetch->busy < fetch->connections) {
        struct call *call = list_entry(fetch->waiting.next, struct call, link);
        if (!call->easy) { /* it cannot be made, and says why; the others have a turn after it */
            call_end(call);
            return;
        }
        call_begin(call);
    }
}

void fetch_send(struct fetch *fetch, const struct fetch_request *request, fetch_done_cb done,
                void *data)
{
    struct call *call = mem_alloc(sizeof *call);
    const char *fault = fetch_call_refusal(request);

    *call = (struct call){.fetch = fetch, .done = done, .data = data};
    call->answer.retry_after_secs = call->answer.total = call->answer.date = -1;
    buf_init(&call->body, FETCH_BODY_MAX);
    if (fault)
        error_set_state(&call->answer.error, "request", "%s: a request %s.", fetch->base, fault);
    else
        fetch_call_make(call, request);
    list_append(&fetch->waiting, &call->link);
    timer_start(&fetch->turn, 0, 0);
}

/* --- life --- */

struct fetch *fetch_new(struct loop *loop, const struct fetch_options *options, struct error *err)
{
    struct fetch *fetch;
    char *base = NULL;

    if (!address_read(options->base, options->allow_http, &base, err))
        return NULL;
    fetch_memory_begin();
    fetch = mem_alloc(sizeof *fetch);
    *fetch = (struct fetch){.loop = loop,
                            .multi = curl_multi_init(),
                            .base = base,
                            .ca_file = mem_strdup(options->ca_file),
                            .connections = options->connections,
                            .timeout_ms = options->timeout_ms,
                            .open = 2};
    fetch_memory_must(fetch->multi != NULL);
    list_init(&fetch->waiting);
    list_init(&fetch->under_way);
    timer_init(&fetch->clock, loop, on_clock, fetch);
    timer_init(&fetch->turn, loop, on_turn, fetch);
    curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch);
    curl_multi_setopt(fetch->multi, CURLMOPT_TIMERFUNCTION, on_clock_wanted);
    curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch);
    curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS, (long)fetch->connections);
    return fetch;
}

bool fetch_idle(const struct fetch *fetch)
{
    return list_empty(&fetch->waiting) && list_empty(&fetch->under_way);
}

const char *fetch_base(const struct fetch *fetch)
{
    return fetch->base;
}

void fetch_stop(struct fetch *fetch, void (*on_stopped)(void *), void *data)
{
    fetch->stopping = true;
    fetch->on_stopped = on_stopped;
    fetch->data = data;
    timer_start(&fetch->turn, 0, 0);
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    free(fetch->base);
    free(fetch->ca_file);
    free(fetch);
    curl_global_cleanup();
}
