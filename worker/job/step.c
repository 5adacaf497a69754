/* What each state of a job wants. */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/job/job.h"

#define TOOL_PATIENCE 4 /* silence while a tool call runs may last this many times longer */

static void step_claimed(struct job *job)
{
    if (job->cancel) {
        job_give_up_start(job, "cancelled");
    } else if (host_down(job->host)) {
        job_give_up_start(job, "host_unreachable");
    } else if (job_must_ask(job)) {
        return;
    } else if (job_has_repository(job) && !job->has_work) {
        job_set(job, JOB_PREPARING);
        job_step(job);
    } else if (!job_prepare(job)) {
        job_give_up_start(job, "adapter_missing");
    } else {
        node_breakpoint("after-claim");
        job_set(job, JOB_STARTING);
        job_say(job, JOB_CALL_STARTING);
    }
}

void job_give_up_start(struct job *job, const char *reason)
{
    job->give_up = reason;
    job_set(job, job->sent ? JOB_VOIDING : JOB_RELEASING);
    job_step(job);
}

/* A clone may take long: whoever does not want it any more does not wait for it. */
static void step_preparing(struct job *job)
{
    if (job->cancel)
        job_give_up_start(job, "cancelled");
    else if (host_down(job->host))
        job_give_up_start(job, "host_unreachable");
    else if (!job->working && host_ready(job->host) && node_may_act(job->node))
        job_host_prepare(job);
}

/* Nobody has proof that it started: not for ever. */
static bool start_is_late(struct job *job)
{
    int64_t limit = (int64_t)node_settings(job->node)->orchestrator.start_timeout_secs * 1000;
    return !job->proven && clock_ms() - job->taken > limit;
}

bool job_tell_sight(struct job *job, enum job_phase seen)
{
    bool lost_sight = host_down(job->host) || job->missing != NULL;
    enum job_phase now = lost_sight ? PHASE_UNREACHABLE : seen;
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
    if (host_ready(job->host) && node_may_act(job->node))
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
    const struct config *config = node_settings(job->node);
    return job->waits_ms > (int64_t)config->orchestrator.provider_timeout_secs * 1000;
}

/* All is done, and yet it stays: it is ended as one that did well. */
static bool lingers(const struct job *job)
{
    return adapter_done(&job->adapter) && job->quiet_ms > ADAPTER_LINGER_MS;
}

static void step_running(struct job *job)
{
    if (job->cancel)
        job_stop(job, "cancelled");
    else if (job->forged > 0)
        job_stop(job, "run_tampered");
    else if (adapter_lost_session(&job->adapter))
        job_stop(job, "session_lost");
    else if (lingers(job))
        job_stop(job, JOB_DONE);
    else if (is_unanswered(job))
        job_stop(job, adapter_waits_for(&job->adapter));
    else if (is_silent(job))
        job_stop(job, adapter_silence(&job->adapter));
    if (job->state == JOB_STOPPING)
        job_step(job);
    else
        job_tell_sight(job, PHASE_RUNNING);
}

/* First the stop, then the word about it: a database that takes no word keeps nothing alive. */
static void step_stopping(struct job *job)
{
    bool due = job->stop_sent == 0 || clock_ms() - job->stop_sent > JOB_STOP_AGAIN_MS;
    if (due && host_ready(job->host) && node_may_act(job->node))
        job_host_stop(job);
    else
        job_tell_sight(job, PHASE_STOPPING);
}

static void step_ending(struct job *job)
{
    if (job->out.stored < job->out.final || job->err.stored < job->err.final) {
        job_tell_sight(job, job->stop_reason != NULL ? PHASE_STOPPING : PHASE_RUNNING);
        return;
    }
    adapter_end(&job->adapter);
    struct job_end end = {.state = job->record.state,
                          .reason = job->record.reason,
                          .tampered = job->tampered,
                          .run_tampered = job->stop_reason != NULL &&
                                          strcmp(job->stop_reason, "run_tampered") == 0,
                          .rebooted = host_boot_differs(job->host, job->record.boot),
                          .exit = job->record.signal > 0 ? -1 : job->record.exit,
                          .signal = job->record.signal,
                          .adapter = &job->adapter};
    job->outcome = job_judge(&end, &job->reason);
    job_harvest(job);
}

void job_harvest(struct job *job)
{
    bool ours = !job->tampered && job->forged == 0 && job->record.state != RUNNER_FOREIGN;
    job_set(job, ours && job_has_repository(job) ? JOB_HARVESTING : JOB_FINISHING);
    job_step(job);
}

static void step_harvesting(struct job *job)
{
    if (!job->working)
        when_reachable(job, job_host_harvest);
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
    if (node_draining(job->node))
        return;
    job_follow(job);
    job_look(job);
    if (job->busy || clock_ms() < job->retry_at)
        return;
    switch (job->state) {
    case JOB_CLAIMED:
        step_claimed(job);
        break;
    case JOB_PREPARING:
        step_preparing(job);
        break;
    case JOB_STARTING:
        job_say(job, JOB_CALL_STARTING);
        break;
    case JOB_RAISE:
        if (!job_must_ask(job))
            when_reachable(job, job_host_raise);
        break;
    case JOB_START:
        step_start(job);
        break;
    case JOB_STARTED:
        job_say(job, JOB_CALL_STARTED);
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
    case JOB_HARVESTING:
        step_harvesting(job);
        break;
    case JOB_FINISHING:
        job_say(job, JOB_CALL_FINISH);
        break;
    case JOB_RELEASING:
        job_sql_release(job);
        break;
    case JOB_GONE:
        break;
    }
}
