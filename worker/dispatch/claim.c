/* How jobs come: claim, adopt, and what is ours though we did not know. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pause.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"

#define AGAIN_MS 1000 /* after a failed call */
#define WARN_EVERY_MS 60000
#define ADOPT_AGAIN_MS 2000 /* after an adoption that brought nothing */

/* Makes a job of a row unless we have it; NULL when it is not for us to run. */
static struct job *take_row(struct dispatch *dispatch, const struct db_result *res, int row)
{
    const char *id = db_text(res, row, "host_id");
    struct host *host = id != NULL ? dispatch_host(dispatch, id) : NULL;
    int64_t attempt = db_int(res, row, "attempt", 0);
    if (jobs_find(&dispatch->jobs, attempt) != NULL)
        return NULL;
    if (host == NULL) {
        if (clock_ms() < dispatch->next_warning)
            return NULL;
        dispatch->next_warning = clock_ms() + WARN_EVERY_MS;
        log_warn(LOG_ABOUT(LOG_FIELD("host", id)),
                 "attempt %" PRId64 " is ours, but its host is not in the configuration", attempt);
        return NULL;
    }
    return job_new(&dispatch->jobs, host, res, row);
}

/* --- claim --- */

static int capacity(const struct config_host *host)
{
    int sum = 0;
    if (host == NULL)
        return 0;
    for (size_t i = 0; i < host->agent_count; i++)
        sum += host->agents[i].max_concurrency;
    return sum;
}

/* Runs on that host which we still look for, though a person gave their slots to others. */
static int freed(const struct dispatch *dispatch, const struct host *host)
{
    int count = 0;
    struct list *jobs = (struct list *)&dispatch->jobs.list;
    list_each(link, jobs)
    {
        const struct job *job = list_entry(link, struct job, link);
        count += job->host == host && job->freed;
    }
    return count;
}

/* Slots that may be free as far as we know; other workers may hold some, SQL knows. */
static int room(const struct dispatch *dispatch)
{
    int sum = 0;
    struct list *hosts = (struct list *)&dispatch->hosts;
    list_each(link, hosts)
    {
        struct host *host = list_entry(link, struct host, link);
        if (!host_ready(host) || host->leaving)
            continue;
        int mine = capacity(host_entry(host)) - (host->watched - freed(dispatch, host));
        sum += mine > 0 ? mine : 0;
    }
    return sum < DISPATCH_CLAIM_MAX ? sum : DISPATCH_CLAIM_MAX;
}

static void on_sleep(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    (void)res;
    if (!dispatch_call_end(call))
        return;
    if (err != NULL) {
        dispatch->asleep = false;
        node_failed(&dispatch->node, "sleep_begin", err);
    } else {
        dispatch_notify(dispatch); /* what came in before we said that we sleep */
    }
}

static void on_awake(void *data, const struct db_result *res, const struct error *err)
{
    (void)res;
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (dispatch_call_end(call) && err != NULL)
        node_failed(&dispatch->node, "sleep_end", err);
}

static void fall_asleep(struct dispatch *dispatch)
{
    const char *params[] = {dispatch->node.id};
    dispatch->next_claim =
        clock_ms() +
        (int64_t)node_settings(&dispatch->node)->orchestrator.dispatch_interval_secs * 1000;
    if (dispatch->asleep)
        return;
    dispatch->asleep = true;
    db_query(dispatch->node.db, "select fleet.sleep_begin($1)", DB_REPEAT, 1, params, on_sleep,
             dispatch_call_new(dispatch));
}

static void wake_up(struct dispatch *dispatch)
{
    const char *params[] = {dispatch->node.id};
    dispatch->claim_wanted = true;
    if (!dispatch->asleep)
        return;
    dispatch->asleep = false;
    db_query(dispatch->node.db, "select fleet.sleep_end($1)", DB_REPEAT, 1, params, on_awake,
             dispatch_call_new(dispatch));
}

int dispatch_want(void *data, size_t ends)
{
    struct dispatch *dispatch = data;
    if (clock_ms() < dispatch->claim_pause || !node_may_act(&dispatch->node))
        return 0;
    return ends < DISPATCH_CLAIM_MAX ? (int)ends : DISPATCH_CLAIM_MAX;
}

void dispatch_take(void *data, const struct db_result *res, int row)
{
    struct dispatch *dispatch = data;
    struct job *job = take_row(dispatch, res, row);
    if (job == NULL)
        return;
    log_info(job->about, "claimed");
    dispatch->node.counts.claims++;
    job_step(job);
}

static void on_claim(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->claiming = false;
    if (err != NULL) {
        dispatch->claim_pause = clock_ms() + pause_jitter(AGAIN_MS);
        dispatch->claim_wanted = true;
        node_failed(&dispatch->node, "claim", err);
        return;
    }
    for (int row = 0; row < db_rows(res); row++)
        dispatch_take(dispatch, res, row);
    if (db_rows(res) > 0)
        wake_up(dispatch);
    else
        fall_asleep(dispatch);
    /* There may be more, or room came meanwhile: it waits for no tick. */
    if (dispatch->claim_wanted)
        dispatch_notify(dispatch);
}

void dispatch_claim(struct dispatch *dispatch)
{
    int64_t now = clock_ms();
    bool due = dispatch->claim_wanted || now >= dispatch->next_claim;
    if (!due || dispatch->claiming || now < dispatch->claim_pause || !node_may_act(&dispatch->node))
        return;
    int want = room(dispatch);
    dispatch->claim_wanted = false;
    if (want == 0) {
        dispatch->next_claim = now + AGAIN_MS;
        return;
    }
    char text[16];
    snprintf(text, sizeof text, "%d", want);
    const char *params[] = {dispatch->node.id, text};
    dispatch->claiming = true;
    db_query(dispatch->node.db, "select * from fleet.claim($1, $2)", DB_ONCE, 2, params, on_claim,
             dispatch_call_new(dispatch));
}

/* --- adopt --- */

static void adopted(struct job *job, const struct db_result *res, int row)
{
    const char *from = db_text(res, row, "adopted_from");
    double silence = (double)db_int(res, row, "adopted_silence_ms", 0) / 1000;
    int64_t bytes = job->out.stored + job->err.stored;
    log_info(job->about,
             "adopted from %s after %.1f s, %" PRId64 " bytes so far, attempt %d epoch %u",
             from != NULL ? from : "a former owner", silence, bytes, job->number, job->key.epoch);
    job_step(job);
}

static void on_adopt(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    struct peer *peer = peers_find(&dispatch->peers, call->peer);
    if (!dispatch_call_end(call))
        return;
    dispatch->adopting = false;
    if (peer != NULL)
        peer->next_try = clock_ms() + ADOPT_AGAIN_MS;
    if (err != NULL) {
        node_failed(&dispatch->node, "adopt", err);
        return;
    }
    if (peer != NULL && db_rows(res) > 0)
        peer->next_try = 0;
    for (int row = 0; row < db_rows(res); row++) {
        struct job *job = take_row(dispatch, res, row);
        if (job == NULL)
            continue;
        dispatch->node.counts.adoptions++;
        adopted(job, res, row);
    }
    if (db_rows(res) > 0)
        dispatch_adopt(dispatch);
}

void dispatch_adopt(struct dispatch *dispatch)
{
    if (dispatch->adopting || !node_may_act(&dispatch->node))
        return;
    struct peer *peer = peers_next_dead(&dispatch->peers, clock_ms(), dispatch->node.dead_ms);
    if (peer == NULL)
        return;
    char beat[24], want[16];
    snprintf(beat, sizeof beat, "%" PRId64, peer->beat);
    snprintf(want, sizeof want, "%d", DISPATCH_CLAIM_MAX);
    const char *params[] = {dispatch->node.id, peer->node, beat, want};
    struct dispatch_call *call = dispatch_call_new(dispatch);
    memcpy(call->peer, peer->node, sizeof call->peer);
    dispatch->adopting = true;
    db_query_locking(dispatch->node.db, "adopt", 0, "select * from fleet.adopt($1, $2, $3, $4)",
                     DB_ONCE, 4, params, on_adopt, call);
}

/* --- fetch --- */

static void on_fetch(void *data, const struct db_result *res, const struct error *err)
{
    struct dispatch_call *call = data;
    struct dispatch *dispatch = call->dispatch;
    if (!dispatch_call_end(call))
        return;
    dispatch->fetching = false;
    if (err != NULL) {
        node_failed(&dispatch->node, "jobs", err);
        return;
    }
    for (int row = 0; row < db_rows(res); row++) {
        struct job *job = take_row(dispatch, res, row);
        if (job == NULL)
            continue;
        log_info(job->about, "is ours: an answer was lost");
        job_step(job);
    }
}

void dispatch_fetch(struct dispatch *dispatch, const int64_t *attempts, int count)
{
    struct buf list;
    buf_init(&list, 65536);
    db_array_begin(&list);
    for (int i = 0; i < count; i++)
        db_array_int(&list, attempts[i]);
    db_array_end(&list);
    const char *params[] = {dispatch->node.id, buf_text(&list)};
    dispatch->fetching = true;
    db_query(dispatch->node.db, "select * from fleet.jobs($1, $2)", DB_ONCE, 2, params, on_fetch,
             dispatch_call_new(dispatch));
    buf_release(&list);
}
