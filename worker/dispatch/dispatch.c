/* The dispatcher's tick, and its life from the first beat to the drain. */
#include "worker/dispatch/dispatch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/host/host.h"

#define TICK_MS 200
#define PROMOTE_EVERY_MS 1000
#define REAP_MUCH 10000    /* rows: there are more; it removes no more of a kind at once */
#define REAP_AGAIN_MS 1000 /* then */
#define DRAIN_MS 5000      /* for what is pending */
#define DRAIN_STOP_MS 2000 /* for node_stop behind it */

/* --- Questions --- */

struct host *dispatch_host(const struct dispatch *dispatch, const char *id)
{
    struct list *hosts = (struct list *)&dispatch->hosts;
    list_each(link, hosts)
    {
        struct host *host = list_entry(link, struct host, link);
        if (host->on_stopped == NULL && strcmp(host_id(host), id) == 0)
            return host;
    }
    return NULL;
}

/* --- The tick --- */

static void on_promoted(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->promoting = false;
    if (err != NULL)
        node_failed(&dispatch->node, "promote", err);
    else if (db_rows(res) == 1 && db_int(res, 0, "count", 0) > 0)
        dispatch_notify(dispatch);
}

static void promote_when_due(struct dispatch *dispatch, int64_t now)
{
    if (dispatch->promoting || now < dispatch->next_promote)
        return;
    dispatch->promoting = true;
    dispatch->next_promote = now + PROMOTE_EVERY_MS;
    db_query(dispatch->node.db, "select fleet.promote(1000) as count", DB_ONCE, 0, NULL,
             on_promoted, dispatch_call_new(dispatch));
}

static void on_reaped(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->reaping = false;
    if (err != NULL)
        node_failed(&dispatch->node, "reap", err);
    else if (db_int(res, 0, "done", 0) >= REAP_MUCH)
        dispatch->next_reap = clock_ms() + REAP_AGAIN_MS;
}

/* Adopt before reap: what others left is looked for before anybody calls it lost. */
static void reap_when_due(struct dispatch *dispatch, int64_t now)
{
    const char *params[] = {dispatch->node.id};
    if (dispatch->reaping || dispatch->adopting || now < dispatch->next_reap)
        return;
    dispatch->reaping = true;
    dispatch->next_reap = now + DISPATCH_REAP_MS;
    db_query_locking(dispatch->node.db, "reap", 0, "select fleet.reap($1) as done", DB_ONCE, 1,
                     params, on_reaped, dispatch_call_new(dispatch));
}

static void on_host_left(void *data)
{
    struct host *host = data;
    struct dispatch *dispatch = host->data;
    host_free(host);
    dispatch->hosts_closing--;
}

/* What the database gave us on a host that leaves may still be on its way. */
static bool may_bring_jobs(const struct dispatch *dispatch)
{
    return dispatch->configure_due || dispatch->calling || dispatch->claiming ||
           dispatch->adopting || dispatch->fetching;
}

static void tick_hosts(struct dispatch *dispatch)
{
    list_each(link, &dispatch->hosts)
    {
        struct host *host = list_entry(link, struct host, link);
        if (host->leaving && host->watched == 0 && host->on_stopped == NULL &&
            !may_bring_jobs(dispatch)) {
            log_info(host->about, "nobody lists it any more, and it has no run any more: closed");
            dispatch->hosts_closing++;
            host_stop(host, on_host_left, host);
        } else {
            host_tick(host);
        }
    }
}

static void drain_step(struct dispatch *dispatch);

static void on_tick(void *data)
{
    struct dispatch *dispatch = data;
    int64_t now = clock_ms();
    if (node_draining(&dispatch->node)) {
        drain_step(dispatch);
        return;
    }
    dispatch_register(dispatch);
    if (dispatch->node.fleet_id[0] != '\0')
        tick_hosts(dispatch);
    jobs_step(&dispatch->jobs);
    if (dispatch->node.state != NODE_LIVE)
        return;
    promote_when_due(dispatch, now);
    dispatch_adopt(dispatch);
    reap_when_due(dispatch, now);
    sweep_tick(&dispatch->sweep, now);
    dispatch_claim(dispatch);
}

static void tick_soon(struct dispatch *dispatch)
{
    if (dispatch->node.state != NODE_STOPPED)
        timer_start(&dispatch->tick, 0, TICK_MS);
}

void dispatch_notify(struct dispatch *dispatch)
{
    dispatch->claim_wanted = true;
    tick_soon(dispatch);
}

static void check_host(struct dispatch *dispatch, const char *id)
{
    struct host *host = dispatch_host(dispatch, id);
    if (host != NULL)
        host_check(host);
}

void dispatch_told(struct dispatch *dispatch, const char *word)
{
    static const char check[] = "check ";
    if (strcmp(word, "left") == 0)
        dispatch_look(dispatch);
    else if (strcmp(word, "host") == 0)
        dispatch->made_due = true;
    else if (strncmp(word, check, sizeof check - 1) == 0)
        check_host(dispatch, word + sizeof check - 1);
    else if (strcmp(word, "slot") == 0 || strcmp(word, "look") == 0 || strcmp(word, "tell") == 0)
        return; /* of an HTTP agent, so no room for us; or for worker/forgejo */
    else
        dispatch->claim_wanted = true;
    tick_soon(dispatch);
}

/* A job is gone, or a host is ready: there may be room. */
static void on_room(void *data)
{
    dispatch_notify(data);
}

/* --- Life --- */

static void take_host(struct dispatch *dispatch, struct settings *settings,
                      const struct config_host *entry, int revision)
{
    struct host *host = dispatch_host(dispatch, entry->host_id);
    if (host != NULL) {
        host_reconfigure(host, settings, entry, revision);
        return;
    }
    host = host_new(&dispatch->node, settings, entry, revision, on_room, dispatch);
    list_append(&dispatch->hosts, &host->link);
}

static bool in_file(const struct config *config, const char *host_id)
{
    for (size_t i = 0; i < config->host_count; i++)
        if (strcmp(config->hosts[i].host_id, host_id) == 0)
            return true;
    return false;
}

void dispatch_take_hosts(struct dispatch *dispatch)
{
    struct settings *settings = dispatch->node.settings;
    const struct config *config = settings->config;
    list_each(link, &dispatch->hosts)
    {
        host_leave(list_entry(link, struct host, link));
    }
    for (size_t i = 0; i < config->host_count; i++)
        take_host(dispatch, settings, &config->hosts[i], 0);
    list_each(made_link, &dispatch->made)
    {
        struct made *made = list_entry(made_link, struct made, link);
        const struct config_host *entry = &made->settings->config->hosts[0];
        if (!in_file(config, entry->host_id))
            take_host(dispatch, made->settings, entry, made->revision);
    }
}

struct dispatch *dispatch_new(struct loop *loop, struct db *db, struct config *config,
                              const char *name)
{
    struct dispatch *dispatch = mem_alloc(sizeof *dispatch);
    node_init(&dispatch->node, loop, db, config, name);
    dispatch->node.on_dead = dispatch_end_life;
    dispatch->node.data = dispatch;
    list_init(&dispatch->hosts);
    list_init(&dispatch->made);
    dispatch->made_due = true;
    jobs_init(&dispatch->jobs, &dispatch->node, on_room, dispatch,
              (struct refill){dispatch_want, dispatch_take, dispatch});
    sweep_init(&dispatch->sweep, dispatch);
    timer_init(&dispatch->tick, loop, on_tick, dispatch);
    timer_init(&dispatch->beat, loop, dispatch_renew, dispatch);
    timer_init(&dispatch->look, loop, dispatch_look, dispatch);
    dispatch_take_hosts(dispatch);
    return dispatch;
}

void dispatch_start(struct dispatch *dispatch)
{
    tick_soon(dispatch);
}

void dispatch_reload(struct dispatch *dispatch, struct config *config)
{
    node_take_config(&dispatch->node, config);
    dispatch_take_hosts(dispatch);
    dispatch->configure_due = true;
    log_info(NULL, "configuration read again: %zu hosts", config->host_count);
    tick_soon(dispatch);
}

void dispatch_free(struct dispatch *dispatch)
{
    peers_release(&dispatch->peers);
    sweep_release(&dispatch->sweep);
    made_release(&dispatch->made);
    node_release(&dispatch->node);
    free(dispatch);
}

/* --- Drain --- */

static void drained_when_quiet(struct dispatch *dispatch)
{
    if (dispatch->hosts_closing > 0 || dispatch->on_drained == NULL)
        return;
    void (*on_drained)(void *) = dispatch->on_drained;
    dispatch->on_drained = NULL;
    on_drained(dispatch->data);
}

static void on_host_closed(void *data)
{
    struct host *host = data;
    struct dispatch *dispatch = host->data;
    host_free(host);
    dispatch->hosts_closing--;
    drained_when_quiet(dispatch);
}

/* Lets go of everything: the runs go on on their hosts, others adopt them. */
static void close_all(struct dispatch *dispatch)
{
    node_set(&dispatch->node, NODE_STOPPED);
    jobs_drop(&dispatch->jobs, "left to others: this worker stops");
    jobs_close(&dispatch->jobs);
    timer_close(&dispatch->tick, NULL);
    timer_close(&dispatch->beat, NULL);
    timer_close(&dispatch->look, NULL);
    dispatch->hosts_closing++; /* until the loop is through */
    list_each(host_link, &dispatch->hosts)
    {
        struct host *host = list_entry(host_link, struct host, link);
        if (host->on_stopped == NULL) {
            dispatch->hosts_closing++;
            host_stop(host, on_host_closed, host);
        } else {
            host->on_stopped = on_host_closed;
        }
    }
    dispatch->hosts_closing--;
    drained_when_quiet(dispatch);
}

static void on_node_stopped(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch *dispatch = data;
    (void)res;
    if (err != NULL)
        log_warn(NULL, "node_stop failed: %s", err->text);
    dispatch->stop_answered = true;
    if (dispatch->node.state != NODE_STOPPED)
        timer_start(&dispatch->tick, 0, TICK_MS);
}

static void drain_step(struct dispatch *dispatch)
{
    int64_t now = clock_ms();
    const char *params[] = {dispatch->node.id};
    if (!dispatch->stop_sent) {
        output_flush(&dispatch->jobs.output);
        if (!jobs_idle(&dispatch->jobs) && now < dispatch->drain_until)
            return;
        dispatch->stop_sent = true;
        dispatch->drain_until = now + DRAIN_STOP_MS;
        db_query(dispatch->node.db, "select fleet.node_stop($1)", DB_REPEAT, 1, params,
                 on_node_stopped, dispatch);
    } else if (dispatch->stop_answered || now >= dispatch->drain_until) {
        close_all(dispatch);
    }
}

void dispatch_drain(struct dispatch *dispatch, void (*on_drained)(void *data), void *data)
{
    dispatch->on_drained = on_drained;
    dispatch->data = data;
    node_set(&dispatch->node, NODE_DRAINING);
    dispatch->drain_until = clock_ms() + DRAIN_MS;
    timer_stop(&dispatch->beat);
    timer_stop(&dispatch->look);
    dispatch_let_go(dispatch);
    timer_start(&dispatch->tick, 0, TICK_MS);
}
