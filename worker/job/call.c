/* A job's calls to its host: start, raise, void, stop, and what their answers mean. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "worker/job/job.h"

#define UNANSWERED_MAX 5   /* then SQL learns that the host does not do what it is asked */
#define STOP_GRACE_SECS 10 /* after INT */
#define STOP_TERM_SECS 5   /* after TERM, then KILL */
#define SCRIPT_MAX ((size_t)1 << 20)

/* SQL is told as well, so that it is seen, and so that this does not go on for ever. */
static void not_now(struct job *job, const char *what, const char *why)
{
    job_again(job, what, why);
    if (++job->unanswered >= UNANSWERED_MAX && job->missing == NULL)
        job->missing = JOB_NO_ANSWER;
}

/* True when the host answered. Else the call may or may not have been carried out: asked again. */
static bool answered(struct job *job, const char *what, const struct error *err)
{
    if (!job_back(job))
        return false;
    if (err != NULL)
        not_now(job, what, err->text);
    return err == NULL;
}

/* The host has seen a later epoch than ours: of a later owner, or of the agent's own making. A
 * raise over what it made that is fenced all the same: it makes more. */
static void fenced(struct job *job, const char *what, const struct runner_reply *reply)
{
    if (job->forged == 0)
        log_warn(job->about, "fenced out on the host: epoch %" PRId64 ", ours %u", reply->epoch,
                 job->key.epoch);
    if ((uint64_t)reply->epoch == job->forged && job->state == JOB_RAISE)
        not_now(job, what, "the epoch on the host cannot be replaced");
    else
        job_sql_owner(job, reply->epoch);
}

/* A run that is known to have started: its watch tells the rest. */
static void follow_up(struct job *job)
{
    job_set(job, JOB_RUNNING);
    job_step(job);
}

/* There is a directory of somebody else where the run should be: nothing of ours ever ran. */
static void foreign(struct job *job)
{
    if (job->proven)
        follow_up(job);
    else
        job_finish(job, "failed", "start_refused");
}

/* It never started: nothing was ever told of it, or the tombstone cannot be true. */
static void tombstone(struct job *job)
{
    if (job->proven) {
        foreign(job);
        return;
    }
    job_set(job, JOB_VOIDED);
    job_step(job);
}

/* The host says that the run was started, whatever became of it. */
static void was_started(struct job *job, const struct runner_record *record)
{
    job->record = *record;
    job->missing = NULL;
    job_set(job, job->proven ? JOB_RUNNING : JOB_STARTED);
    job_step(job);
}

/* --- start --- */

/* A refusal that trying again may heal, or NULL: then it is the reason to give up. */
static const char *refusal(const char *reason)
{
    if (strcmp(reason, "upload") == 0 || strcmp(reason, "busy") == 0)
        return NULL;
    static const char *const known[] = {"host_disk_full", "sandbox_missing", "account_busy",
                                        "account_failed"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(reason, known[i]) == 0)
            return known[i];
    }
    return "start_refused";
}

static void refused(struct job *job, const char *reason)
{
    const char *give_up = refusal(reason);
    log_warn(job->about, "%s refused by the host: %s", job_state_name(job->state), reason);
    if (strcmp(reason, "nonce") == 0)
        foreign(job);
    else if (give_up == NULL || job->state != JOB_START)
        not_now(job, job_state_name(job->state), reason);
    else
        job_give_up_start(job, give_up);
}

static void on_start(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct job *job = data;
    job->sent |= err == NULL || !err->unsent;
    if (!answered(job, "start", err))
        return;
    switch (reply->verdict) {
    case RUNNER_STARTED:
    case RUNNER_EXISTS:
    case RUNNER_STATE:
        was_started(job, &reply->record);
        break;
    case RUNNER_VOIDED:
        tombstone(job);
        break;
    case RUNNER_FENCED:
        fenced(job, "start", reply);
        break;
    case RUNNER_REFUSED:
        refused(job, reply->reason);
        break;
    case RUNNER_STOPPING:
    case RUNNER_VERDICTS:
        not_now(job, "start", "unexpected answer");
        break;
    }
}

void job_host_start(struct job *job)
{
    struct buf script, writable;
    struct adapter_template template;
    buf_init(&script, SCRIPT_MAX);
    buf_init(&writable, SCRIPT_MAX);
    if (host_template(job->host, job->agent_type, &template))
        adapter_environment(&script, &template);
    buf_adds(&script, job->command);
    struct runner_start start = {
        .timeout_secs = (uint32_t)job->timeout_secs,
        .cap_bytes = (uint64_t)node_settings(job->node)->orchestrator.max_output_bytes,
        .first = !job->sent,
        .job = buf_text(&script),
        .job_len = (uint32_t)script.len,
        .prompt = job->prompt,
        .prompt_len = (uint32_t)strlen(job->prompt)};
    snprintf(start.folder, sizeof start.folder, "%s", job->folder);
    bool confined = job_confine(job, &start, &writable);
    if (confined) {
        job_begin(job);
        host_start(job->host, &job->key, &start, on_start, job);
    }
    crypto_wipe(script.data, script.len);
    buf_release(&script);
    buf_release(&writable);
    if (!confined)
        job_give_up_start(job, "start_refused");
}

/* --- raise --- */

static void on_raised(struct job *job, const struct runner_record *record)
{
    switch (record->state) {
    case RUNNER_PREPARED:
    case RUNNER_ABSENT:
        if (job->proven) {
            follow_up(job);
            break;
        }
        job->missing = NULL;
        job_set(job, job->command != NULL && job->prompt != NULL ? JOB_START : JOB_VOIDING);
        job_step(job);
        break;
    case RUNNER_TAMPERED:
    case RUNNER_RUNNING:
    case RUNNER_ORPHANED:
    case RUNNER_ENDED:
    case RUNNER_LOST:
        was_started(job, record);
        break;
    case RUNNER_VOID:
        tombstone(job);
        break;
    case RUNNER_FOREIGN:
        foreign(job);
        break;
    case RUNNER_STATES:
        break;
    }
}

static void on_raise(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct job *job = data;
    if (!answered(job, "raise", err))
        return;
    switch (reply->verdict) {
    case RUNNER_STATE:
    case RUNNER_STARTED:
    case RUNNER_EXISTS:
        on_raised(job, &reply->record);
        break;
    case RUNNER_VOIDED:
        tombstone(job);
        break;
    case RUNNER_FENCED:
        fenced(job, "raise", reply);
        break;
    case RUNNER_REFUSED:
        refused(job, reply->reason);
        break;
    case RUNNER_STOPPING:
    case RUNNER_VERDICTS:
        not_now(job, "raise", "unexpected answer");
        break;
    }
}

void job_host_raise(struct job *job)
{
    job_begin(job);
    host_raise(job->host, &job->key, job->forged, on_raise, job);
}

/* --- void --- */

static void on_void(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct job *job = data;
    if (!answered(job, "void", err))
        return;
    switch (reply->verdict) {
    case RUNNER_VOIDED:
        tombstone(job);
        break;
    case RUNNER_STARTED: /* too late: it did start; the host says how it is */
    case RUNNER_EXISTS:
    case RUNNER_STATE:
        job_set(job, JOB_RAISE);
        job_step(job);
        break;
    case RUNNER_FENCED:
        fenced(job, "void", reply);
        break;
    case RUNNER_REFUSED:
        refused(job, reply->reason);
        break;
    case RUNNER_STOPPING:
    case RUNNER_VERDICTS:
        not_now(job, "void", "unexpected answer");
        break;
    }
}

void job_host_void(struct job *job)
{
    job_begin(job);
    host_void(job->host, &job->key, on_void, job);
}

/* --- stop --- */

static void on_stop(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct job *job = data;
    if (!answered(job, "stop", err))
        return;
    if (reply->verdict == RUNNER_FENCED) {
        fenced(job, "stop", reply);
    } else if (reply->verdict == RUNNER_REFUSED) {
        not_now(job, "stop", reply->reason);
    } else {
        job->stop_sent = clock_ms();
        job->retry_ms = 0;
        job->unanswered = 0;
    }
}

void job_host_stop(struct job *job)
{
    struct runner_stop stop = {.grace_secs = STOP_GRACE_SECS, .term_secs = STOP_TERM_SECS};
    snprintf(stop.reason, sizeof stop.reason, "%s", job->stop_reason);
    job_begin(job);
    host_stop_run(job->host, &job->key, &stop, on_stop, job);
}
