/* A link's life: its states, its stream, its end. */
#include "worker/link/link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/clean.h"
#include "worker/link/internal.h"
#include "worker/link/local.h"
#include "worker/ssh/ssh.h"

#define STEP_MS 20000
#define INSTALL_MS 120000
#define PING_MS 15000
#define QUEUE_MAX ((size_t)64 << 20)

void link_become(struct link *link, enum link_state state)
{
    static const char *const names[] = {"connecting", "booting", "installing",
                                        "greeting",   "up",      "down"};
    const struct link_ways *ways = link->ways;
    uint64_t tick = (uint64_t)ways->ping_ms / TICKS_PER_PING;
    uint64_t limit = (uint64_t)(state == LINK_INSTALLING ? ways->install_ms : ways->step_ms);
    log_debug(link->about, "link: %s", names[state]);
    link->state = state;
    if (state == LINK_UP)
        timer_start(&link->limit, tick, tick);
    else if (state == LINK_DOWN)
        timer_stop(&link->limit);
    else
        timer_start(&link->limit, limit, 0);
}

bool link_up(const struct link *link)
{
    return link->state == LINK_UP;
}

bool link_talks(const struct link *link)
{
    return !link->closed && link->next == NEXT_NOTHING &&
           (link->state == LINK_GREETING || link->state == LINK_UP);
}

const char *link_host_key(const struct link *link)
{
    return link->stream != NULL ? stream_host_key(link->stream) : "";
}

const struct runner_greeting *link_greeting(const struct link *link)
{
    return &link->greeting;
}

void link_greeted(struct link *link, const struct runner_greeting *greeting)
{
    link->greeting = *greeting;
    link_become(link, LINK_UP);
    link->events->on_up(link->data);
}

/* --- Its end --- */

void link_fail(struct link *link, const char *word, const char *format, ...)
{
    char text[sizeof link->trouble.text];
    va_list args;
    if (link->closed || link->state == LINK_DOWN)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set_state(&link->trouble, word, "%s", text);
    link_become(link, LINK_DOWN);
    stream_close(link->stream);
    link->stream = NULL;
    timer_start(&link->soon, 0, 0);
}

/* Calls that were refused fail. A link that is down fails all (also those that came since), loses
 * its watches and says so, once. */
static void on_soon(void *data)
{
    struct link *link = data;
    link_fail_calls(link);
    if (link->closed || link->state != LINK_DOWN)
        return;
    if (!list_empty(&link->calls))
        timer_start(&link->soon, 0, 0);
    link_drop_watches(link);
    if (link->told)
        return;
    link->told = true;
    link->events->on_down(link->data, &link->trouble);
}

static void on_limit(void *data)
{
    struct link *link = data;
    switch (link->state) {
    case LINK_CONNECTING:
        link_fail(link, "timeout", "no connection within %d s", link->ways->step_ms / 1000);
        break;
    case LINK_BOOTING:
    case LINK_INSTALLING:
    case LINK_GREETING:
        link_boot_late(link);
        break;
    case LINK_UP:
        if (++link->ticks % TICKS_PER_PING == 0)
            link_ping(link);
        link_check_calls(link);
        break;
    case LINK_DOWN:
        break;
    }
}

static void on_timer_closed(void *data)
{
    struct link *link = data;
    if (--link->timers > 0)
        return;
    link_ask_release(link);
    boot_release(&link->boot);
    buf_release(&link->in);
    free(link->base);
    free(link);
}

void link_close(struct link *link)
{
    link->closed = true;
    if (link->stream != NULL)
        stream_close(link->stream);
    link->stream = NULL;
    timer_close(&link->limit, on_timer_closed);
    timer_close(&link->soon, on_timer_closed);
}

/* --- Its stream --- */

static void on_stream_up(void *data)
{
    link_boot(data);
}

static void on_stream_bytes(void *data, const char *bytes, size_t len)
{
    struct link *link = data;
    if (link_talks(link))
        link_receive(link, bytes, len);
    else
        link_boot_bytes(link, bytes, len);
}

/* The host took something: it lives. */
static void on_stream_room(void *data)
{
    struct link *link = data;
    link->silent = 0;
    link->blocked = false;
    if (link_talks(link))
        link_pump(link);
    else
        link_boot_room(link);
}

static void on_stream_end(void *data, const struct stream_end *end)
{
    struct link *link = data;
    struct buf text;
    if (link->state != LINK_UP) {
        link_boot_end(link, end);
        return;
    }
    buf_init(&text, 1024);
    clean_line(&text, end->err, end->err_len, 160);
    link_fail(link, "connection_lost", "the runner's channel ended (status %d)%s%s", end->status,
              text.len > 0 ? ": " : "", buf_text(&text));
    buf_release(&text);
}

static void on_stream_down(void *data, const struct error *err)
{
    struct error why = *err; /* the stream's: it goes */
    link_fail(data, why.state, "%s", why.text);
}

/* --- Its beginning --- */

static struct stream *open_stream(struct loop *loop, const struct config_host *host,
                                  const struct stream_events *events, void *data)
{
    if (strcmp(host->hostname, "localhost") == 0)
        return local_stream_open(loop, events, data);
    return ssh_stream_open(loop, host, events, data);
}

struct link *link_open(struct loop *loop, const struct config_host *host, const char *fleet_id,
                       const struct link_events *events, void *data)
{
    static const struct link_ways ways = {.open = open_stream,
                                          .step_ms = STEP_MS,
                                          .install_ms = INSTALL_MS,
                                          .ping_ms = PING_MS,
                                          .call_ms = LINK_CALL_MS,
                                          .queue_max = QUEUE_MAX};
    return link_open_by(&ways, loop, host, fleet_id, events, data);
}

struct link *link_open_by(const struct link_ways *ways, struct loop *loop,
                          const struct config_host *host, const char *fleet_id,
                          const struct link_events *events, void *data)
{
    static const struct stream_events stream_events = {.on_up = on_stream_up,
                                                       .on_bytes = on_stream_bytes,
                                                       .on_room = on_stream_room,
                                                       .on_end = on_stream_end,
                                                       .on_down = on_stream_down};
    struct link *link = mem_alloc(sizeof *link);
    link->loop = loop;
    link->host = host;
    link->ways = ways;
    link->events = events;
    link->data = data;
    link->about[0] = LOG_FIELD("host", host->host_id);
    link->base = boot_base(host->work_dir, fleet_id);
    boot_init(&link->boot);
    link_ask_init(link);
    timer_init(&link->limit, loop, on_limit, link);
    timer_init(&link->soon, loop, on_soon, link);
    link->timers = 2;
    link_become(link, LINK_CONNECTING);
    link->stream = ways->open(loop, host, &stream_events, link);
    return link;
}
