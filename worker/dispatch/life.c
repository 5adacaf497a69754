/* The node's own life in the database: node_start, configure, renew. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"
#include "worker/job/job.h"

#define CALL_AGAIN_MS 1000
#define CONFIGURE_MAX ((size_t)4 << 20)
#define OURS_MAX 256

struct dispatch_call *dispatch_call_new(struct dispatch *dispatch)
{
    struct dispatch_call *call = mem_alloc(sizeof *call);
    call->dispatch = dispatch;
    call->life = dispatch->life;
    return call;
}

bool dispatch_call_end(struct dispatch_call *call)
{
    bool current = call->life == call->dispatch->life && !dispatch_draining(call->dispatch);
    free(call);
    return current;
}

void dispatch_end_life(struct dispatch *dispatch, const char *why)
{
    log_warn(NULL, "this node was declared dead (%s): dropping %s and starting again", why,
             list_empty(&dispatch->jobs) ? "nothing" : "all its runs");
    list_each(link, &dispatch->jobs)
    {
        job_drop(list_entry(link, struct job, link), "this node was declared dead");
    }
    peers_forget(&dispatch->peers);
    crypto_uuid(dispatch->node);
    dispatch->life++;
    dispatch_set(dispatch, DISPATCH_OFFLINE);
    dispatch_let_go(dispatch);
    dispatch->renewed = 0;
    dispatch->asleep = dispatch->looking = false;
    dispatch->calling = dispatch->renewing = dispatch->claiming = dispatch->adopting = false;
    dispatch->fetching = dispatch->promoting = dispatch->reaping = false;
    dispatch->next_call = 0;
}

/* The same failure of the same call is said once, until a renewal succeeds. */
static void say_failure(struct dispatch *dispatch, const char *what, const struct error *err)
{
    char text[600];
    snprintf(text, sizeof text, "%s failed: %s", what, err->text);
    db_trouble_say(&dispatch->trouble, text);
}

void dispatch_failed(struct dispatch *dispatch, const char *what, const struct error *err)
{
    if (dispatch_draining(dispatch))
        return;
    if (strcmp(err->state, "AF002") == 0 && dispatch->state != DISPATCH_OFFLINE)
        dispatch_end_life(dispatch, err->text);
    else
        say_failure(dispatch, what, err);
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
        if (err == NULL || strncmp(err->state, "08", 2) != 0) /* else the connections said it */
            db_trouble_say(&dispatch->trouble, text);
        dispatch->next_call = clock_ms() + db_trouble_pause(&dispatch->trouble);
        return;
    }
    db_trouble_end(&dispatch->trouble);
    const char *fleet_id = db_text(res, 0, "fleet_id");
    snprintf(dispatch->fleet_id, sizeof dispatch->fleet_id, "%s", fleet_id != NULL ? fleet_id : "");
    dispatch->beat_ms = (int)db_int(res, 0, "beat_ms", 3000);
    dispatch->dead_ms = (int)db_int(res, 0, "dead_ms", 10000);
    dispatch->lease_ms = (int)db_int(res, 0, "lease_ms", 45000);
    log_info(LOG_ABOUT(LOG_FIELD("node", dispatch->node)),
             "registered as %s in fleet %s: beat %d ms, dead after %d ms, lease %d ms",
             dispatch->name, dispatch->fleet_id, dispatch->beat_ms, dispatch->dead_ms,
             dispatch->lease_ms);
    dispatch_set(dispatch, DISPATCH_REGISTERED);
    dispatch->next_call = 0;
    timer_start(&dispatch->beat, 0, (uint64_t)dispatch->beat_ms);
    dispatch_hold(dispatch);
}

static void node_start(struct dispatch *dispatch)
{
    const struct config *config = dispatch_config(dispatch);
    const char *params[] = {dispatch->node, dispatch->name, FLEET_VERSION, config->hash};
    dispatch->calling = true;
    db_query_locking(dispatch->db, "node", 0,
                     "select * from fleet.node_start($1, 'worker', $2, $3, $4)", DB_REPEAT, 4,
                     params, on_node_start, dispatch_call_new(dispatch));
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

/* fleet.host_entry. */
static void add_host(struct buf *out, const struct config_host *config, int number)
{
    char way[16], port[16];
    struct buf repositories;
    list_text(&repositories, &config->repositories);
    snprintf(way, sizeof way, "%d", number);
    snprintf(port, sizeof port, "%d", config->ssh_port);
    const char *fields[] = {config->host_id,
                            way,
                            config->hostname,
                            port,
                            config->ssh_user != NULL ? config->ssh_user : "",
                            config->work_dir,
                            config->workspace,
                            buf_text(&repositories)};
    db_array_row(out, 8, fields);
    buf_release(&repositories);
}

static void add_hosts(struct buf *hosts, struct buf *agents, const struct dispatch *dispatch)
{
    const struct config *config = dispatch_config(dispatch);
    db_array_begin(hosts);
    db_array_begin(agents);
    for (size_t i = 0; i < config->host_count; i++) {
        const struct host *host = dispatch_host(dispatch, config->hosts[i].host_id);
        add_host(hosts, &config->hosts[i], host != NULL ? host->way : 0);
        add_agents(agents, config, &config->hosts[i]);
    }
    db_array_end(hosts);
    db_array_end(agents);
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
        dispatch_failed(dispatch, "configure", err);
        return;
    }
    for (int row = 0; row < db_rows(res); row++) {
        const char *verdict = db_text(res, row, "verdict");
        if (verdict != NULL && strcmp(verdict, "ok") != 0)
            log_warn(LOG_ABOUT(LOG_FIELD("host", db_text(res, row, "host_id"))), "%s: %s", verdict,
                     db_text(res, row, "reason"));
    }
    if (dispatch->state == DISPATCH_REGISTERED)
        dispatch_set(dispatch, DISPATCH_LIVE);
    list_each(link, &dispatch->hosts)
    {
        host_report_again(list_entry(link, struct host, link));
    }
    dispatch_notify(dispatch);
}

static void configure(struct dispatch *dispatch)
{
    const struct config_list *retry_on = &dispatch_config(dispatch)->orchestrator.retry_on;
    struct buf hosts, agents, retry;
    buf_init(&retry, CONFIGURE_MAX);
    db_array_begin(&retry);
    for (size_t i = 0; i < retry_on->count; i++)
        db_array_text(&retry, retry_on->items[i]);
    db_array_end(&retry);
    buf_init(&hosts, CONFIGURE_MAX);
    buf_init(&agents, CONFIGURE_MAX);
    add_hosts(&hosts, &agents, dispatch);
    const char *params[] = {dispatch->node, dispatch_config(dispatch)->hash, buf_text(&retry),
                            buf_text(&hosts), buf_text(&agents)};
    dispatch->calling = true;
    dispatch->configure_due = false;
    db_query_locking(dispatch->db, "configure", 0,
                     "select * from fleet.configure($1, $2, $3, $4, $5)", DB_REPEAT, 5, params,
                     on_configure, dispatch_call_new(dispatch));
    buf_release(&retry);
    buf_release(&hosts);
    buf_release(&agents);
}

void dispatch_register(struct dispatch *dispatch)
{
    if (dispatch->calling || clock_ms() < dispatch->next_call)
        return;
    if (dispatch->state == DISPATCH_OFFLINE)
        node_start(dispatch);
    else if (dispatch->state == DISPATCH_REGISTERED || dispatch->configure_due)
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
    struct job *job = dispatch_job(dispatch, attempt);
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
        } else if (same(kind, "cancel") && dispatch_job(dispatch, attempt) != NULL) {
            job_cancel(dispatch_job(dispatch, attempt));
        } else if (same(kind, "ours") && dispatch_job(dispatch, attempt) == NULL &&
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
        dispatch_failed(dispatch, "renew", err);
        return;
    }
    int64_t now = clock_ms();
    if (db_trouble_end(&dispatch->trouble))
        log_info(NULL, "the database takes our calls again");
    dispatch->renewed = dispatch->renew_sent;
    if (dispatch->fenced)
        log_info(NULL, "the lease stands again");
    dispatch->fenced = false;
    int gap = dispatch->dead_ms / 2 > 2 * dispatch->beat_ms ? dispatch->dead_ms / 2
                                                            : 2 * dispatch->beat_ms;
    peers_begin(&dispatch->peers, now, db_generation(dispatch->db), gap);
    read_renew(dispatch, res, now);
    peers_end(&dispatch->peers);
}

/* The beat. The lease counts from the sending: what the database saw was never older. */
void dispatch_renew(void *data)
{
    struct dispatch *dispatch = data;
    bool registered = dispatch->state == DISPATCH_REGISTERED || dispatch->state == DISPATCH_LIVE;
    if (dispatch->renewing || !registered)
        return;
    struct buf known;
    buf_init(&known, (size_t)1 << 20);
    db_array_begin(&known);
    list_each(link, &dispatch->jobs)
    {
        db_array_int(&known, list_entry(link, struct job, link)->attempt);
    }
    db_array_end(&known);
    const char *params[] = {dispatch->node, buf_text(&known)};
    dispatch->renewing = true;
    dispatch->renew_sent = clock_ms();
    db_query(dispatch->db, "select * from fleet.renew($1, $2)", DB_ONCE, 2, params, on_renew,
             dispatch_call_new(dispatch));
    buf_release(&known);
}
