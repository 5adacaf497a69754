/* The node's own life in the database: node_start, configure, renew. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"

#define CALL_AGAIN_MS 1000
#define CONFIGURE_MAX ((size_t)4 << 20)
#define OURS_MAX 256

struct dispatch_call *dispatch_call_new(struct dispatch *dispatch)
{
    struct dispatch_call *call = mem_alloc(sizeof *call);
    call->dispatch = dispatch;
    call->life = dispatch->node.life;
    return call;
}

bool dispatch_call_end(struct dispatch_call *call)
{
    bool current = call->life == call->dispatch->node.life && !node_draining(&call->dispatch->node);
    free(call);
    return current;
}

void dispatch_end_life(void *data, const char *why)
{
    struct dispatch *dispatch = data;
    log_warn(NULL, "this node was declared dead (%s): dropping %s and starting again", why,
             list_empty(&dispatch->jobs.list) ? "nothing" : "all its runs");
    jobs_drop(&dispatch->jobs, "this node was declared dead");
    peers_forget(&dispatch->peers);
    node_reborn(&dispatch->node);
    dispatch_let_go(dispatch);
    dispatch->asleep = dispatch->looking = false;
    dispatch->calling = dispatch->renewing = dispatch->claiming = dispatch->adopting = false;
    dispatch->fetching = dispatch->promoting = dispatch->reaping = false;
    dispatch->next_call = 0;
}

/* --- node_start --- */

static void on_node_start(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->calling = false;
    if (err != NULL && strcmp(err->state, "AF002") == 0) {
        /* an earlier answer was lost, and others buried us */
        dispatch_end_life(dispatch, err->text);
        return;
    }
    char text[400] = "";
    if (err != NULL)
        db_trouble_text(err, "worker", text, sizeof text);
    else
        db_trouble_schema(db_int(res, 0, "schema_version", 0), FLEET_SCHEMA, text, sizeof text);
    if (text[0] != '\0') {
        if (err == NULL || !db_trouble_said_elsewhere(err))
            db_trouble_say(&dispatch->node.trouble, text);
        dispatch->next_call = clock_ms() + db_trouble_pause(&dispatch->node.trouble);
        return;
    }
    db_trouble_end(&dispatch->node.trouble);
    const char *fleet_id = db_text(res, 0, "fleet_id");
    snprintf(dispatch->node.fleet_id, sizeof dispatch->node.fleet_id, "%s",
             fleet_id != NULL ? fleet_id : "");
    dispatch->node.beat_ms = (int)db_int(res, 0, "beat_ms", 3000);
    dispatch->node.dead_ms = (int)db_int(res, 0, "dead_ms", 10000);
    dispatch->node.lease_ms = (int)db_int(res, 0, "lease_ms", 45000);
    log_info(LOG_ABOUT(LOG_FIELD("node", dispatch->node.id)),
             "registered as %s in fleet %s: beat %d ms, dead after %d ms, lease %d ms",
             dispatch->node.name, dispatch->node.fleet_id, dispatch->node.beat_ms,
             dispatch->node.dead_ms, dispatch->node.lease_ms);
    node_set(&dispatch->node, NODE_REGISTERED);
    dispatch->next_call = 0;
    timer_start(&dispatch->beat, 0, (uint64_t)dispatch->node.beat_ms);
    dispatch_hold(dispatch);
}

static void node_start(struct dispatch *dispatch)
{
    const struct config *config = node_settings(&dispatch->node);
    char schema[12];
    snprintf(schema, sizeof schema, "%d", FLEET_SCHEMA);
    const char *params[] = {dispatch->node.id, dispatch->node.name, FLEET_VERSION, config->hash,
                            schema};
    dispatch->calling = true;
    db_query_locking(dispatch->node.db, "node", 0,
                     "select * from fleet.node_start($1, 'worker', $2, $3, $4, $5::int)", DB_REPEAT,
                     5, params, on_node_start, dispatch_call_new(dispatch));
}

/* --- configure --- */

static void list_text(struct buf *out, const struct config_list *list)
{
    buf_init(out, CONFIGURE_MAX);
    db_array_begin(out);
    for (size_t i = 0; i < list->count; i++)
        db_array_text(out, list->items[i]);
    db_array_end(out);
}

/* fleet.agent_entry. An agent type that nobody can start is not offered: its tasks stay waiting. */
static void add_agents(struct buf *out, const struct config *config, const struct config_host *host)
{
    struct adapter_template found;
    for (size_t i = 0; i < host->agent_count; i++) {
        const struct config_agent *agent = &host->agents[i];
        char concurrency[16];
        struct buf capabilities;
        if (!adapter_find(config, agent, &found)) {
            log_error(LOG_ABOUT(LOG_FIELD("host", host->host_id)),
                      "agent type %s is left out: it has no entry in `adapters`",
                      agent->agent_type);
            continue;
        }
        list_text(&capabilities, &agent->capabilities);
        snprintf(concurrency, sizeof concurrency, "%d", agent->max_concurrency);
        const char *fields[] = {host->host_id, agent->agent_type, concurrency,
                                buf_text(&capabilities)};
        db_array_row(out, 4, fields);
        buf_release(&capabilities);
    }
}

/* {"host_id/agent_type": "account"}, of those that do not have one of their own. */
static void add_accounts(struct buf *out, const struct config_host *host)
{
    for (size_t i = 0; i < host->agent_count; i++) {
        const struct config_agent *agent = &host->agents[i];
        char id[140];
        if (agent->account == NULL)
            continue;
        snprintf(id, sizeof id, "%s/%s", host->host_id, agent->agent_type);
        if (out->len > 1)
            buf_adds(out, ", ");
        json_quote(out, id, strlen(id));
        buf_adds(out, ": ");
        json_quote(out, agent->account, strlen(agent->account));
    }
}

/* fleet.host_entry. */
static void add_host(struct buf *out, const struct host *host)
{
    const struct config_host *config = host_entry(host);
    char way[16], port[16], revision[16];
    struct buf repositories;
    list_text(&repositories, &config->repositories);
    snprintf(way, sizeof way, "%d", host->way);
    snprintf(revision, sizeof revision, "%d", host->revision);
    snprintf(port, sizeof port, "%d", config->ssh_port);
    const char *fields[] = {config->host_id,
                            way,
                            config->hostname,
                            port,
                            config->ssh_user != NULL ? config->ssh_user : "",
                            config->work_dir,
                            config->workspace,
                            buf_text(&repositories),
                            host->revision > 0 ? revision : NULL};
    db_array_row(out, 9, fields);
    buf_release(&repositories);
}

static void add_hosts(struct buf *hosts, struct buf *agents, struct buf *accounts,
                      const struct dispatch *dispatch)
{
    struct list *list = (struct list *)&dispatch->hosts;
    db_array_begin(hosts);
    db_array_begin(agents);
    buf_adds(accounts, "{");
    list_each(link, list)
    {
        const struct host *host = list_entry(link, struct host, link);
        if (host->leaving || host->on_stopped != NULL)
            continue;
        add_host(hosts, host);
        add_agents(agents, node_settings(&dispatch->node), host_entry(host));
        add_accounts(accounts, host_entry(host));
    }
    db_array_end(hosts);
    db_array_end(agents);
    buf_adds(accounts, "}");
}

static void on_configure(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->calling = false;
    dispatch->next_call = clock_ms() + CALL_AGAIN_MS;
    if (err != NULL) {
        dispatch->configure_due = true;
        node_failed(&dispatch->node, "configure", err);
        return;
    }
    for (int row = 0; row < db_rows(res); row++) {
        const char *verdict = db_text(res, row, "verdict");
        if (verdict != NULL && strcmp(verdict, "ok") != 0)
            log_warn(LOG_ABOUT(LOG_FIELD("host", db_text(res, row, "host_id"))), "%s: %s", verdict,
                     db_text(res, row, "reason"));
        dispatch->made_due |= verdict != NULL && strcmp(verdict, "changed") == 0;
    }
    if (dispatch->node.state == NODE_REGISTERED) {
        node_set(&dispatch->node, NODE_LIVE);
        dispatch->next_reap = clock_ms() + DISPATCH_REAP_MS;
        dispatch_look(dispatch);
    }
    list_each(link, &dispatch->hosts)
    {
        host_report_again(list_entry(link, struct host, link));
    }
    dispatch_notify(dispatch);
}

static void configure(struct dispatch *dispatch)
{
    const struct config_list *retry_on = &node_settings(&dispatch->node)->orchestrator.retry_on;
    struct buf hosts, agents, accounts, retry;
    buf_init(&retry, CONFIGURE_MAX);
    db_array_begin(&retry);
    for (size_t i = 0; i < retry_on->count; i++)
        db_array_text(&retry, retry_on->items[i]);
    db_array_end(&retry);
    buf_init(&hosts, CONFIGURE_MAX);
    buf_init(&agents, CONFIGURE_MAX);
    buf_init(&accounts, CONFIGURE_MAX);
    add_hosts(&hosts, &agents, &accounts, dispatch);
    const char *params[] = {dispatch->node.id, node_settings(&dispatch->node)->hash,
                            buf_text(&retry),  buf_text(&hosts),
                            buf_text(&agents), buf_text(&accounts)};
    dispatch->calling = true;
    dispatch->configure_due = false;
    db_query_locking(dispatch->node.db, "configure", 0,
                     "select * from fleet.configure_hosts($1, $2, $3, $4, $5, $6)", DB_REPEAT, 6,
                     params, on_configure, dispatch_call_new(dispatch));
    buf_release(&retry);
    buf_release(&hosts);
    buf_release(&agents);
    buf_release(&accounts);
}

void dispatch_register(struct dispatch *dispatch)
{
    int64_t now = clock_ms();
    if (dispatch->calling || now < dispatch->next_call)
        return;
    if (dispatch->node.state == NODE_OFFLINE)
        node_start(dispatch);
    else if (dispatch->made_due || !dispatch->made_known || now >= dispatch->next_made)
        dispatch_ask_made(dispatch);
    else if (dispatch->node.state == NODE_REGISTERED || dispatch->configure_due)
        configure(dispatch);
}

/* --- renew --- */

/* SQL may have ended it already while the answer to that is on its way. */
static bool is_ending_in_sql(const struct job *job)
{
    return job->state == JOB_FINISHING || job->state == JOB_RELEASING || job->state == JOB_VOIDED;
}

static void on_gone(struct dispatch *dispatch, int64_t attempt)
{
    struct job *job = jobs_find(&dispatch->jobs, attempt);
    if (job != NULL && !(is_ending_in_sql(job) && job->busy))
        job_drop(job, "the database says that it is not ours");
}

static bool same(const char *kind, const char *word)
{
    return strcmp(kind, word) == 0;
}

static void read_renew(struct dispatch *dispatch, const struct db_result *res, int64_t now)
{
    int64_t ours[OURS_MAX];
    int count = 0;
    for (int row = 0; row < db_rows(res); row++) {
        const char *kind = db_text(res, row, "kind");
        const char *node = db_text(res, row, "node");
        int64_t attempt = db_int(res, row, "attempt", 0), beat = db_int(res, row, "beat", 0);
        if (kind == NULL)
            continue;
        if (same(kind, "beat") && node != NULL) {
            peers_beat(&dispatch->peers, node, beat, now);
        } else if (same(kind, "gone")) {
            on_gone(dispatch, attempt);
        } else if (same(kind, "cancel") && jobs_find(&dispatch->jobs, attempt) != NULL) {
            job_cancel(jobs_find(&dispatch->jobs, attempt));
        } else if (same(kind, "freed") && jobs_find(&dispatch->jobs, attempt) != NULL) {
            jobs_find(&dispatch->jobs, attempt)->freed = true;
        } else if (same(kind, "ours") && jobs_find(&dispatch->jobs, attempt) == NULL &&
                   count < OURS_MAX) {
            ours[count++] = attempt;
        }
    }
    /* While an answer that brings them may be on its way they are not news. */
    if (count > 0 && !dispatch->claiming && !dispatch->adopting && !dispatch->fetching)
        dispatch_fetch(dispatch, ours, count);
}

static void on_renew(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->renewing = false;
    if (err != NULL) {
        node_failed(&dispatch->node, "renew", err);
        return;
    }
    int64_t now = clock_ms();
    node_renewed(&dispatch->node, dispatch->renew_sent);
    int gap = dispatch->node.dead_ms / 2 > 2 * dispatch->node.beat_ms ? dispatch->node.dead_ms / 2
                                                                      : 2 * dispatch->node.beat_ms;
    peers_begin(&dispatch->peers, now, db_generation(dispatch->node.db), gap);
    read_renew(dispatch, res, now);
    peers_end(&dispatch->peers);
}

/* The beat. The lease counts from the sending: what the database saw was never older. */
void dispatch_renew(void *data)
{
    struct dispatch *dispatch = data;
    bool registered = dispatch->node.state == NODE_REGISTERED || dispatch->node.state == NODE_LIVE;
    if (dispatch->renewing || !registered)
        return;
    struct buf known;
    buf_init(&known, (size_t)1 << 20);
    db_array_begin(&known);
    list_each(link, &dispatch->jobs.list)
    {
        db_array_int(&known, list_entry(link, struct job, link)->attempt);
    }
    db_array_end(&known);
    const char *params[] = {dispatch->node.id, buf_text(&known)};
    dispatch->renewing = true;
    dispatch->renew_sent = clock_ms();
    db_query(dispatch->node.db, "select * from fleet.renew($1, $2)", DB_ONCE, 2, params, on_renew,
             dispatch_call_new(dispatch));
    buf_release(&known);
}
