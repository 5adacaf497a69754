/* A host's life: its channel, its states, who is told. */
#include "worker/host/host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "common/redact.h"
#include "worker/clean.h"

#define HELLO_EVERY_MS 30000 /* disk space, the agents */
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 30000
/* a channel that is cut sooner after it was asked for was a failed try */
#define SHORT_LIVED_MS 5000

/* --- News --- */

void host_watch(struct host *host, struct host_watcher *watcher)
{
    list_append(&host->watchers, &watcher->link);
    host->watched++;
}

void host_unwatch(struct host *host, struct host_watcher *watcher)
{
    list_remove(&watcher->link);
    host->watched--;
}

static void tell(struct host *host, enum host_news news)
{
    list_each(link, &host->watchers)
    {
        struct host_watcher *watcher = list_entry(link, struct host_watcher, link);
        watcher->on_news(watcher->data, news);
    }
}

/* --- States --- */

static const char *state_name(enum host_state state)
{
    switch (state) {
    case HOST_CHECKING:
        return "checking";
    case HOST_READY:
        return "ready";
    case HOST_DOWN:
        return "down";
    }
    return "unknown";
}

/* The only place where the state changes. */
static void become(struct host *host, enum host_state state)
{
    if (host->state != state)
        log_debug(host->about, "%s, was %s", state_name(state), state_name(host->state));
    host->state = state;
}

/* Never while it is ready: nobody may begin a call on what is closed. */
static void close_channel(struct host *host, const char *why)
{
    if (host->channel == NULL)
        return;
    link_close(host->channel);
    host->channel = NULL;
    host->greeting = false;
    tell(host, HOST_WAS_CUT);
    host_fail_calls(host, why);
}

void host_go_ready(struct host *host)
{
    if (host->state == HOST_READY)
        return;
    host->backoff_ms = 0;
    become(host, HOST_READY);
    log_info(host->about, "ready, %" PRId64 " MiB free", host->hello.disk_free >> 20);
    error_clear(&host->trouble);
    tell(host, HOST_IS_READY);
    host->on_ready(host->data);
}

void host_go_down(struct host *host, const struct error *why)
{
    struct error trouble = *why; /* may be the channel's */
    struct buf clean;
    bool news = host->state != HOST_DOWN;
    buf_init(&clean, sizeof host->trouble.text - 1);
    clean_line(&clean, trouble.text, strlen(trouble.text), sizeof host->trouble.text);
    error_set_state(&host->trouble, trouble.state, "%s", buf_text(&clean));
    redact_text(host->trouble.text, NULL);
    buf_release(&clean);
    host->backoff_ms = pause_longer(host->backoff_ms, BACKOFF_FIRST_MS, BACKOFF_LAST_MS);
    host->next_try = clock_ms() + pause_jitter(host->backoff_ms);
    host->report_due |= news || host->asked;
    host->asked = false;
    become(host, HOST_DOWN);
    close_channel(host, host->trouble.text);
    if (!news)
        return;
    log_warn(host->about, "down: %s", host->trouble.text);
    tell(host, HOST_IS_DOWN);
}

/* --- Its channel --- */

/* SQL accepted this host before: it is used at once, so that runs are followed while the database
 * is away. Else nothing is sent before SQL knows it, and what was asked of another is given up. */
static void know(struct host *host, const struct runner_greeting *hello)
{
    char identity[sizeof host->identity];
    bool was_ready = host->state == HOST_READY;
    host->hello = *hello;
    host_identify(host, identity, sizeof identity);
    if (strcmp(identity, host->identity) == 0) {
        host_go_ready(host);
        return;
    }
    become(host, HOST_CHECKING);
    if (was_ready)
        close_channel(host, "another machine answers now");
}

static bool lacks_something(struct host *host, const struct runner_greeting *hello)
{
    struct error lacks;
    if (hello->lacks[0] == '\0')
        return false;
    error_set_state(&lacks, "runner_failed", "%s", hello->lacks);
    host_go_down(host, &lacks);
    return true;
}

static void report_when_due(struct host *host)
{
    bool knows = host->state == HOST_DOWN || (host->channel != NULL && link_up(host->channel));
    if (host->report_due && knows && !host->leaving && !host->reporting &&
        clock_ms() >= host->next_report && node_live(host->node))
        host_report(host);
}

static void on_hello(void *data, const struct runner_greeting *hello, const struct error *err)
{
    struct host *host = data;
    host->greeting = false;
    if (err != NULL || lacks_something(host, hello)) /* err: the channel's end says the rest */
        return;
    know(host, hello);
    if (host_take_looks(host))
        host->next_hello = 0; /* another program than before: what is it? */
    host->report_due = true;
    host->asked = false;
    host_tick(host);
}

static void say_hello(struct host *host)
{
    struct runner_look looks[RUNNER_LOOKS_MAX];
    int count = host_choose_looks(host, looks);
    host->greeting = true;
    host->node->counts.checks++;
    host->next_hello = clock_ms() + HELLO_EVERY_MS;
    link_hello(host->channel, looks, count, on_hello, host);
    for (int i = 0; i < count; i++)
        free((char *)looks[i].command);
}

static void on_up(void *data)
{
    struct host *host = data;
    if (lacks_something(host, link_greeting(host->channel)))
        return;
    know(host, link_greeting(host->channel));
    if (host->channel != NULL)
        say_hello(host);
}

/* One that served us is opened again at once, and nobody is told; a failed try is. */
static void on_down(void *data, const struct error *err)
{
    struct host *host = data;
    bool served = host->state == HOST_READY && clock_ms() - host->opened > SHORT_LIVED_MS;
    host->node->counts.channel_losses++;
    if (!served) {
        host_go_down(host, err);
        return;
    }
    char why[sizeof err->text];
    snprintf(why, sizeof why, "%s", err->text);
    log_warn(host->about, "the channel is cut, opening it again: %s", why);
    become(host, HOST_CHECKING);
    close_channel(host, why);
    host->next_try = 0;
    host_tick(host);
}

static void open_channel(struct host *host)
{
    static const struct link_events events = {.on_up = on_up, .on_down = on_down};
    host->opened = clock_ms();
    host->node->counts.channels++;
    host->channel = link_open(host->node->loop, host->config, host->node->fleet_id, &events, host);
}

void host_tick(struct host *host)
{
    int64_t now = clock_ms();
    if (host->on_stopped != NULL)
        return;
    if (host->channel == NULL && now >= host->next_try)
        open_channel(host);
    else if (host->channel != NULL && link_up(host->channel) && !host->greeting &&
             now >= host->next_hello)
        say_hello(host);
    report_when_due(host);
}

/* --- Life --- */

struct host *host_new(struct node *node, struct settings *settings,
                      const struct config_host *config, int revision, void (*on_ready)(void *data),
                      void *data)
{
    struct host *host = mem_alloc(sizeof *host);
    host->node = node;
    host->on_ready = on_ready;
    host->data = data;
    host->settings = settings_use(settings);
    host->config = config;
    host->newest = settings_use(settings);
    host->entry = config;
    host->revision = revision;
    list_init(&host->watchers);
    list_init(&host->calls);
    snprintf(host->id, sizeof host->id, "%s", config->host_id);
    host->about[0] = LOG_FIELD("host", host->id);
    return host;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_way_in(const struct config_host *a, const struct config_host *b)
{
    return same_text(a->hostname, b->hostname) && same_text(a->ssh_user, b->ssh_user) &&
           a->ssh_port == b->ssh_port && same_text(a->ssh_key_path, b->ssh_key_path) &&
           same_text(a->known_hosts, b->known_hosts) && same_text(a->work_dir, b->work_dir);
}

/* What was asked before is another machine's, or was let in by another key. */
static void forget_way(struct host *host)
{
    host->way++;
    host->identity[0] = '\0';
    host->hello = (struct runner_greeting){0};
    host->report_due = false;
    host->next_try = host->next_hello = 0;
    host->program_count = 0;
    error_clear(&host->trouble);
    become(host, HOST_CHECKING);
    close_channel(host, "the way in changed during the call");
}

void host_leave(struct host *host)
{
    host->leaving = true;
    host->entry = NULL;
}

void host_reconfigure(struct host *host, struct settings *settings,
                      const struct config_host *config, int revision)
{
    host->leaving = false;
    settings_use(settings);
    settings_drop(host->newest);
    host->newest = settings;
    host->entry = config;
    host->revision = revision;
    if (same_way_in(host->config, config))
        return;
    log_info(host->about, "connection settings changed: connecting anew");
    forget_way(host);
    settings_drop(host->settings);
    host->settings = settings_use(settings);
    host->config = config;
}

void host_check(struct host *host)
{
    host->asked = true;
    host->next_try = host->next_hello = 0;
}

void host_stop_when_quiet(struct host *host)
{
    if (host->reporting || host->on_stopped == NULL)
        return;
    void (*on_stopped)(void *) = host->on_stopped;
    host->on_stopped = NULL;
    on_stopped(host->stopped_data);
}

void host_stop(struct host *host, void (*on_stopped)(void *data), void *data)
{
    host->on_stopped = on_stopped;
    host->stopped_data = data;
    become(host, HOST_DOWN);
    close_channel(host, "the host is let go");
    host_stop_when_quiet(host);
}

void host_free(struct host *host)
{
    list_remove(&host->link);
    settings_drop(host->settings);
    settings_drop(host->newest);
    free(host);
}

/* --- Questions --- */

bool host_ready(const struct host *host)
{
    return host->state == HOST_READY;
}

bool host_down(const struct host *host)
{
    return host->state == HOST_DOWN;
}

const char *host_reason(const struct host *host)
{
    return host->trouble.text;
}

const char *host_id(const struct host *host)
{
    return host->id;
}

const char *host_machine(const struct host *host)
{
    return host->hello.machine;
}

int host_utc_offset(const struct host *host)
{
    return host->hello.utc_offset_secs;
}

const char *host_work_dir(const struct host *host)
{
    return host->config->work_dir;
}

struct link *host_channel(const struct host *host)
{
    return host_ready(host) ? host->channel : NULL;
}

char *host_run_dir(const struct host *host, const char *run)
{
    return mem_printf("%s/.fleet/%s/runs/%s", host->config->work_dir, host->node->fleet_id, run);
}

bool host_boot_differs(const struct host *host, const char *boot)
{
    return boot[0] != '\0' && host->hello.boot[0] != '\0' && strcmp(boot, host->hello.boot) != 0;
}

const struct config_host *host_entry(const struct host *host)
{
    return host->entry;
}

const struct config_agent *host_agent(const struct host *host, const char *agent_type)
{
    const struct config_host *entry = host_entry(host);
    for (size_t i = 0; entry != NULL && i < entry->agent_count; i++)
        if (strcmp(entry->agents[i].agent_type, agent_type) == 0)
            return &entry->agents[i];
    return NULL;
}

bool host_template(const struct host *host, const char *agent_type, struct adapter_template *found)
{
    const struct config_agent *agent = host_agent(host, agent_type);
    return agent != NULL && adapter_find(node_settings(host->node), agent, found);
}
