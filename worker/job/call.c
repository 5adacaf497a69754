/* A job's calls to its host: start, raise, void, stop, and what their answers mean. */
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"
#include "worker/job/job.h"

#define UNANSWERED_MAX 5   /* then SQL learns that the host does not do what it is asked */
#define STOP_GRACE_SECS 10 /* after INT */
#define STOP_TERM_SECS 5   /* after TERM, then KILL */

static struct runner_key key_of(const struct job *job)
{
    return (struct runner_key){.run = job->run, .epoch = job->epoch, .nonce = job->nonce};
}

static void call(struct job *job, struct buf *command, struct buf *input, host_reply_cb on_reply)
{
    job_begin(job);
    host_call(job->host, command, input, on_reply, job);
}

/* A call that says no more than which run is meant. */
static void call_by_key(struct job *job,
                        void (*build)(struct buf *, const struct runner_place *,
                                      const struct runner_key *),
                        host_reply_cb on_reply)
{
    struct buf command, input;
    struct runner_key key = key_of(job);
    struct runner_place place = host_place(job->host);
    host_call_init(&command, &input);
    build(&command, &place, &key);
    call(job, &command, &input, on_reply);
}

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

/* Our epoch is older than the host's: another node owns the run. */
static void fenced(struct job *job, const struct runner_reply *reply)
{
    log_warn(job->about, "fenced out on the host: epoch %d, ours %d", reply->epoch, job->epoch);
    job_drop(job, "the host has seen a later owner");
}

/* There is a directory of somebody else where the run should be: nothing of ours ever ran. */
static void foreign(struct job *job)
{
    if (job->proven) {
        job->missing = "rundir_foreign";
        job_set(job, JOB_RUNNING);
        job_step(job);
    } else {
        job_finish(job, "failed", "start_refused");
    }
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

/* The host says that the run was started (whatever became of it): polls tell the rest. */
static void was_started(struct job *job, const struct runner_record *record)
{
    job->record = *record;
    job->record.out = job->record.err = NULL;
    job->missing = NULL;
    job_set(job, job->proven ? JOB_RUNNING : JOB_STARTED);
    host_poll_soon(job->host);
    job_step(job);
}

/* --- start --- */

/* A refusal that trying again may heal, or NULL: then it is the reason to give up. */
static const char *refusal(const char *reason)
{
    if (strcmp(reason, "upload") == 0 || strcmp(reason, "busy") == 0)
        return NULL;
    return strcmp(reason, "host_disk_full") == 0 ? "host_disk_full" : "start_refused";
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
        fenced(job, reply);
        break;
    case RUNNER_REFUSED:
        refused(job, reply->reason);
        break;
    case RUNNER_STOPPING:
        not_now(job, "start", "unexpected answer");
        break;
    }
}

void job_host_start(struct job *job)
{
    struct buf command, input, script;
    struct adapter_template template;
    struct runner_key key = key_of(job);
    buf_init(&script, HOST_INPUT_MAX);
    if (host_template(job->host, job->agent_type, &template))
        adapter_environment(&script, &template);
    buf_adds(&script, job->command);
    struct runner_start start = {.folder = job->folder,
                                 .timeout_secs = job->timeout_secs,
                                 .cap_bytes =
                                     dispatch_config(job->dispatch)->orchestrator.max_output_bytes,
                                 .job = buf_text(&script),
                                 .job_len = script.len,
                                 .prompt = job->prompt,
                                 .prompt_len = strlen(job->prompt)};
    struct runner_place place = host_place(job->host);
    host_call_init(&command, &input);
    runner_build_start(&command, &input, &place, &key, &start);
    crypto_wipe(script.data, script.len);
    buf_release(&script);
    call(job, &command, &input, on_start);
}

/* --- raise --- */

static void on_raised(struct job *job, const struct runner_record *record)
{
    switch (record->state) {
    case RUNNER_PREPARED:
    case RUNNER_ABSENT:
        if (job->proven) {
            job->missing = "rundir_missing";
            job_set(job, JOB_RUNNING);
        } else {
            job->missing = NULL;
            job_set(job, job->command != NULL && job->prompt != NULL ? JOB_START : JOB_VOIDING);
        }
        job_step(job);
        break;
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
        fenced(job, reply);
        break;
    case RUNNER_REFUSED:
        refused(job, reply->reason);
        break;
    case RUNNER_STOPPING:
        not_now(job, "raise", "unexpected answer");
        break;
    }
}

void job_host_raise(struct job *job)
{
    call_by_key(job, runner_build_raise, on_raise);
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
        fenced(job, reply);
        break;
    case RUNNER_REFUSED:
        refused(job, reply->reason);
        break;
    case RUNNER_STOPPING:
        not_now(job, "void", "unexpected answer");
        break;
    }
}

void job_host_void(struct job *job)
{
    call_by_key(job, runner_build_void, on_void);
}

/* --- stop --- */

static void on_stop(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct job *job = data;
    if (!answered(job, "stop", err))
        return;
    if (reply->verdict == RUNNER_FENCED) {
        fenced(job, reply);
    } else if (reply->verdict == RUNNER_REFUSED) {
        not_now(job, "stop", reply->reason);
    } else {
        job->stop_sent = clock_ms();
        job->retry_ms = 0;
        job->unanswered = 0;
        host_poll_soon(job->host);
    }
}

void job_host_stop(struct job *job)
{
    struct buf command, input;
    struct runner_key key = key_of(job);
    struct runner_place place = host_place(job->host);
    host_call_init(&command, &input);
    runner_build_stop(&command, &place, &key, STOP_GRACE_SECS, STOP_TERM_SECS, job->stop_reason);
    call(job, &command, &input, on_stop);
}
