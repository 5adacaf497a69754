/* The states of a job, and what each of them wants. */
#include "worker/job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"

#define RETRY_FIRST_MS 250
#define RETRY_LAST_MS 15000
#define UNHEARD_MS \
    60000 /* a run of which a host in reach says nothing for so long is out of sight */
#define TOOL_PATIENCE 4 /* silence while a tool call runs may last this many times longer */

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {"claimed",   "starting",  "raise",   "start",  "started",
                                        "running",   "stopping",  "voiding", "voided", "ending",
                                        "finishing", "releasing", "gone"};
    return names[state];
}

/* --- Life --- */

static char *copy(const struct db_result *res, int row, const char *column)
{
    return mem_strdup(db_text(res, row, column));
}

static void stream_init(struct stream *stream, int64_t stored)
{
    stream->stored = stored < 0 ? 0 : stored;
    stream->final = -1;
    buf_init(&stream->pending, DISPATCH_PENDING_MAX + HOST_POLL_MAX);
    buf_init(&stream->clean, DISPATCH_PENDING_MAX);
}

static void read_row(struct job *job, const struct db_result *res, int row)
{
    job->attempt = db_int(res, row, "attempt", 0);
    job->number = (int)db_int(res, row, "number", 0);
    job->epoch = (int)db_int(res, row, "epoch", 0);
    job->issue_number = (int)db_int(res, row, "issue_number", 0);
    job->timeout_secs = (int)db_int(res, row, "timeout_secs", 0);
    job->task_id = copy(res, row, "task_id");
    job->nonce = copy(res, row, "nonce");
    job->agent_type = copy(res, row, "agent_type");
    job->title = copy(res, row, "title");
    job->body = copy(res, row, "body");
    job->labels = copy(res, row, "labels");
    job->repo = copy(res, row, "repo");
    job->folder = copy(res, row, "slug");
    job->branch = copy(res, row, "branch_name");
    job->run = copy(res, row, "run");
    job->command = copy(res, row, "command");
    job->prompt = copy(res, row, "prompt");
    job->cancel = db_bool(res, row, "cancel");
    job->proven = db_bool(res, row, "proven");
    stream_init(&job->out, db_int(res, row, "stdout_bytes", 0));
    stream_init(&job->err, db_int(res, row, "stderr_bytes", 0));
}

static const struct adapter_kind *kind_of(const struct job *job)
{
    struct adapter_template found;
    return host_template(job->host, job->agent_type, &found) ? found.kind : &adapter_text;
}

/* Copies: the configuration may be another one tomorrow, the run knows what it was given. */
static void take_secrets(struct job *job)
{
    struct adapter_template found;
    if (!host_template(job->host, job->agent_type, &found))
        return;
    job->secrets.items = mem_array(found.env_count, sizeof *job->secrets.items);
    for (size_t i = 0; i < found.env_count; i++) {
        if (found.env[i].value != NULL)
            job->secrets.items[job->secrets.count++] = mem_strdup(found.env[i].value);
    }
    job->adapter.secrets = (struct redact_words){.items = (const char *const *)job->secrets.items,
                                                 .count = job->secrets.count};
}

/* Where a job begins: a fresh claim prepares; what a former owner may have started on the host is
 * fenced there first, whatever SQL knows of it. */
static enum job_state first_state(struct job *job, const char *phase)
{
    job->sent = strcmp(phase, "claimed") != 0 || job->run != NULL;
    return job->sent ? JOB_RAISE : JOB_CLAIMED;
}

struct job *job_new(struct dispatch *dispatch, struct host *host, const struct db_result *res,
                    int row)
{
    struct job *job = mem_alloc(sizeof *job);
    job->dispatch = dispatch;
    job->host = host;
    read_row(job, res, row);
    snprintf(job->number_text, sizeof job->number_text, "%d", job->number);
    job->about[0] = LOG_FIELD("task", job->task_id);
    job->about[1] = LOG_FIELD("attempt", job->number_text);
    job->about[2] = LOG_FIELD("host", host_id(host));
    adapter_init(&job->adapter, kind_of(job));
    take_secrets(job);
    adapter_restore(&job->adapter, db_text(res, row, "checkpoint"));
    job->taken = job->since = clock_ms();
    list_append(&dispatch->jobs, &job->link);
    list_append(host_jobs(host), &job->host_link);
    const char *phase = db_text(res, row, "phase");
    job->state = first_state(job, phase != NULL ? phase : "");
    if (phase != NULL && strcmp(phase, "unreachable") == 0)
        job->told = PHASE_UNREACHABLE;
    if (phase != NULL && strcmp(phase, "stopping") == 0)
        job->told = PHASE_STOPPING;
    return job;
}

static void job_free(struct job *job)
{
    char *texts[] = {job->task_id, job->nonce,  job->agent_type, job->title, job->body,
                     job->labels,  job->repo,   job->branch,     job->run,   job->folder,
                     job->command, job->prompt, job->unstored};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < job->secrets.count; i++) {
        crypto_wipe(job->secrets.items[i], strlen(job->secrets.items[i]));
        free(job->secrets.items[i]);
    }
    free(job->secrets.items);
    buf_release(&job->out.pending);
    buf_release(&job->out.clean);
    buf_release(&job->err.pending);
    buf_release(&job->err.clean);
    adapter_release(&job->adapter);
    free(job);
}

void job_clean_up(struct job *job)
{
    if (job->state == JOB_GONE && job->callbacks == 0)
        job_free(job);
}

void job_set(struct job *job, enum job_state state)
{
    if (job->state == state)
        return;
    log_info(job->about, "%s after %s, epoch %d", job_state_name(state), job_state_name(job->state),
             job->epoch);
    job->state = state;
    job->since = clock_ms();
    job->retry_at = 0;
    job->retry_ms = 0;
    job->refusals = 0;
    job->unanswered = 0;
    if (state == JOB_GONE) {
        list_remove(&job->link);
        list_remove(&job->host_link);
        dispatch_job_gone(job->dispatch);
    }
}

void job_drop(struct job *job, const char *why)
{
    if (job->state == JOB_GONE)
        return;
    log_info(job->about, "dropped: %s", why);
    job_set(job, JOB_GONE);
    job_clean_up(job);
}

/* --- Steps in flight --- */

void job_hold(struct job *job)
{
    job->callbacks++;
}

bool job_let_go(struct job *job)
{
    job->callbacks--;
    bool ours = job->state != JOB_GONE;
    job_clean_up(job);
    return ours;
}

void job_begin(struct job *job)
{
    job->busy = true;
    job_hold(job);
}

bool job_back(struct job *job)
{
    job->busy = false;
    return job_let_go(job);
}

void job_again(struct job *job, const char *what, const char *why)
{
    job->retry_ms = pause_longer(job->retry_ms, RETRY_FIRST_MS, RETRY_LAST_MS);
    job->retry_at = clock_ms() + pause_jitter(job->retry_ms);
    log_warn(job->about, "%s: %s; again in %d ms", what, why, job->retry_ms);
}

/* --- What the states want --- */

static void step_claimed(struct job *job)
{
    if (job->cancel) {
        job_give_up_start(job, "cancelled");
    } else if (host_down(job->host)) {
        job_give_up_start(job, "host_unreachable");
    } else if (!job_prepare(job)) {
        job_give_up_start(job, "adapter_missing");
    } else {
        dispatch_breakpoint("after-claim");
        job_set(job, JOB_STARTING);
        job_sql_starting(job);
    }
}

void job_give_up_start(struct job *job, const char *reason)
{
    job->give_up = reason;
    job_set(job, job->sent ? JOB_VOIDING : JOB_RELEASING);
    job_step(job);
}

/* Nobody has proof that it started: not for ever. */
static bool start_is_late(struct job *job)
{
    int64_t limit = (int64_t)dispatch_config(job->dispatch)->orchestrator.start_timeout_secs * 1000;
    return !job->proven && clock_ms() - job->taken > limit;
}

bool job_tell_sight(struct job *job, enum job_phase seen)
{
    bool lost_sight = host_down(job->host) || job->missing != NULL;
    enum job_phase now = lost_sight ? PHASE_UNREACHABLE : seen;
    if (host_down(job->host))
        job->heard = clock_ms();
    if (now == PHASE_RUNNING && job->told == PHASE_STOPPING)
        return false; /* a former owner had it stopped: it stays so */
    if (now == job->told || (!lost_sight && !host_ready(job->host)))
        return false;
    const char *reason = job->missing != NULL ? job->missing : host_reason(job->host);
    job_sql_phase(job, now, lost_sight ? reason : job->stop_reason);
    return true;
}

/* A call that changes something on the host waits for the host and for our lease. SQL learns why
 * nothing happens with a run, also of one whose start is not proven. */
static void when_reachable(struct job *job, void (*call)(struct job *))
{
    if (job_tell_sight(job, PHASE_RUNNING))
        return;
    if (host_ready(job->host) && dispatch_may_act(job->dispatch))
        call(job);
}

static void step_start(struct job *job)
{
    if (start_is_late(job))
        job_give_up_start(job, "start_timeout");
    else if (job->cancel && !job->proven)
        job_give_up_start(job, "cancelled");
    else if (!job->sent && host_down(job->host))
        job_give_up_start(job, "host_unreachable");
    else
        when_reachable(job, job_host_start);
}

void job_stop(struct job *job, const char *reason)
{
    if (job->stop_reason == NULL) {
        job->stop_reason = reason;
        log_info(job->about, "to be stopped: %s", reason);
    }
    job_set(job, JOB_STOPPING);
}

static bool is_silent(const struct job *job)
{
    struct adapter_template found;
    if (!host_template(job->host, job->agent_type, &found) || found.silence_secs == 0)
        return false;
    int64_t limit = (int64_t)found.silence_secs * 1000;
    return job->quiet_ms > (adapter_in_tool(&job->adapter) ? TOOL_PATIENCE * limit : limit);
}

static bool is_unanswered(const struct job *job)
{
    const struct config *config = dispatch_config(job->dispatch);
    return job->waits_ms > (int64_t)config->orchestrator.provider_timeout_secs * 1000;
}

/* A host that answers everything but our question about this run shows it no better than one that
 * is down. */
static void listen_for(struct job *job)
{
    int64_t last = job->heard > job->since ? job->heard : job->since;
    if (job->missing != NULL || !host_ready(job->host) || clock_ms() - last < UNHEARD_MS ||
        !job_is_asked_for(job))
        return;
    job->missing = JOB_NO_ANSWER;
    log_warn(job->about, "the host says nothing of this run");
}

static void step_running(struct job *job)
{
    if (job->cancel)
        job_stop(job, "cancelled");
    else if (is_unanswered(job))
        job_stop(job, adapter_waits_for(&job->adapter));
    else if (is_silent(job))
        job_stop(job, "silence_timeout");
    listen_for(job);
    if (job->state == JOB_STOPPING)
        job_step(job);
    else
        job_tell_sight(job, PHASE_RUNNING);
}

/* First the stop, then the word about it: a database that takes no word keeps nothing alive. */
static void step_stopping(struct job *job)
{
    bool due = job->stop_sent == 0 || clock_ms() - job->stop_sent > DISPATCH_STOP_AGAIN_MS;
    listen_for(job);
    if (due && host_ready(job->host) && dispatch_may_act(job->dispatch))
        job_host_stop(job);
    else
        job_tell_sight(job, PHASE_STOPPING);
}

static void step_ending(struct job *job)
{
    if (job->out.stored < job->out.final || job->err.stored < job->err.final) {
        listen_for(job);
        job_tell_sight(job, job->stop_reason != NULL ? PHASE_STOPPING : PHASE_RUNNING);
        return;
    }
    adapter_end(&job->adapter);
    struct job_end end = {.state = job->record.state,
                          .reason = job->record.reason,
                          .tampered = job->tampered,
                          .rebooted = host_boot_differs(job->host, job->record.boot),
                          .exit = job->record.signal > 0 ? -1 : job->record.exit,
                          .signal = job->record.signal,
                          .adapter = &job->adapter};
    const char *reason;
    const char *outcome = job_judge(&end, &reason);
    job_finish(job, outcome, reason);
}

void job_finish(struct job *job, const char *outcome, const char *reason)
{
    job->outcome = outcome;
    job->reason = reason;
    job_set(job, JOB_FINISHING);
    job_step(job);
}

void job_cancel(struct job *job)
{
    if (!job->cancel)
        log_info(job->about, "cancel asked");
    job->cancel = true;
    job_step(job);
}

void job_step(struct job *job)
{
    if (job->busy || clock_ms() < job->retry_at || dispatch_draining(job->dispatch))
        return;
    switch (job->state) {
    case JOB_CLAIMED:
        step_claimed(job);
        break;
    case JOB_STARTING:
        job_sql_starting(job);
        break;
    case JOB_RAISE:
        when_reachable(job, job_host_raise);
        break;
    case JOB_START:
        step_start(job);
        break;
    case JOB_STARTED:
        job_sql_started(job);
        break;
    case JOB_RUNNING:
        step_running(job);
        break;
    case JOB_STOPPING:
        step_stopping(job);
        break;
    case JOB_VOIDING:
        when_reachable(job, job_host_void);
        break;
    case JOB_VOIDED:
        job_sql_void_confirmed(job);
        break;
    case JOB_ENDING:
        step_ending(job);
        break;
    case JOB_FINISHING:
        job_sql_finish(job);
        break;
    case JOB_RELEASING:
        job_sql_release(job);
        break;
    case JOB_GONE:
        break;
    }
}
