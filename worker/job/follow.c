/* What polls say of a run: its output on the way to the parser and the database, and its end. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/dispatch/dispatch.h"
#include "worker/host/host.h"
#include "worker/job/job.h"

#define WATCH_GAP_MS 60000 /* most of a pause between two polls that counts as silence */
#define FETCH_MS 60000     /* an ended run whose promised bytes do not come for so long is a lie */
#define UNSTORABLE_MS \
    300000 /* output that SQL refuses for good for so long holds up nothing more */
#define CAP_SLACK ((int64_t)1 << 20) /* the runner stops a run a little behind its cap */

/* Offset of the next byte wanted: the parser of an adopter may stand before what is stored. */
static int64_t next_out(const struct job *job)
{
    int64_t read = job->out.stored + (int64_t)job->out.pending.len;
    int64_t parse = adapter_next(&job->adapter);
    return parse < read ? parse : read;
}

static int64_t next_err(const struct job *job)
{
    return job->err.stored + (int64_t)job->err.pending.len;
}

static bool is_full(const struct job *job)
{
    return job->out.pending.len > DISPATCH_PENDING_MAX ||
           job->err.pending.len > DISPATCH_PENDING_MAX;
}

static bool is_followed(const struct job *job)
{
    if (job->state == JOB_ENDING)
        return next_out(job) < job->out.final || next_err(job) < job->err.final;
    return job->state == JOB_RUNNING || job->state == JOB_STOPPING;
}

bool job_is_asked_for(const struct job *job)
{
    return is_followed(job) && !is_full(job);
}

bool job_ask(struct job *job, uint64_t round, struct runner_ask *ask)
{
    if (job->poll_round == round || !job_is_asked_for(job))
        return false;
    job->poll_round = round;
    job->asked_out = next_out(job);
    job->asked_err = next_err(job);
    *ask = (struct runner_ask){.run = job->run,
                               .nonce = job->nonce,
                               .out_offset = job->asked_out,
                               .err_offset = job->asked_err};
    return true;
}

bool job_wants_more(const struct job *job)
{
    const struct runner_record *record = &job->record;
    return job_is_asked_for(job) && !job->tampered &&
           (record->out_size > next_out(job) || record->err_size > next_err(job));
}

/* What SQL takes no more is as good as stored: the run goes on to its end. */
static void skip_pending(struct job *job)
{
    struct stream *streams[] = {&job->out, &job->err};
    for (size_t i = 0; job->unstored != NULL && i < 2; i++) {
        if (streams[i]->sending > 0)
            continue;
        stream_settle(streams[i], streams[i]->stored + (int64_t)streams[i]->pending.len);
    }
}

void job_refused_output(struct job *job, const struct error *err)
{
    if (job->refused_since == 0)
        job->refused_since = clock_ms();
    if (job->unstored != NULL || clock_ms() - job->refused_since < UNSTORABLE_MS)
        return;
    job->unstored = mem_printf("output behind byte %" PRId64 " (stdout) and %" PRId64
                               " (stderr) could not be stored: SQLSTATE %s",
                               job->out.stored, job->err.stored, err->state);
    log_error(job->about, "%s", job->unstored);
    skip_pending(job);
}

/* Takes the part of the bytes (which begin at `from`) that lies behind what the stream has. */
static void stream_take(struct stream *stream, int64_t from, const char *bytes, size_t len)
{
    int64_t have = stream->stored + (int64_t)stream->pending.len;
    if (from + (int64_t)len <= have || from > have)
        return;
    size_t skip = (size_t)(have - from);
    buf_add(&stream->pending, bytes + skip, len - skip);
}

static void parse(struct job *job, int64_t from, const char *bytes, size_t len)
{
    int64_t next = adapter_next(&job->adapter);
    if (from + (int64_t)len <= next || from > next)
        return;
    size_t skip = (size_t)(next - from);
    adapter_feed(&job->adapter, bytes + skip, len - skip);
}

/* Silence between two looks counts, but little of a long pause: the machine of both may have been
 * suspended. */
static void watch_silence(struct job *job, bool grew)
{
    int64_t now = clock_ms();
    int64_t gap = job->polled > 0 ? now - job->polled : 0;
    bool waits = adapter_waits_for(&job->adapter) != NULL;
    if (gap > WATCH_GAP_MS)
        gap = WATCH_GAP_MS;
    job->quiet_ms = grew && !waits ? 0 : job->quiet_ms + gap;
    job->waits_ms = waits ? job->waits_ms + gap : 0;
    job->polled = now;
}

static void take_output(struct job *job, const struct runner_record *record)
{
    if (record->out != NULL && record->out_len > 0) {
        stream_take(&job->out, job->asked_out, record->out, record->out_len);
        parse(job, job->asked_out, record->out, record->out_len);
    }
    if (record->err != NULL && record->err_len > 0)
        stream_take(&job->err, job->asked_err, record->err, record->err_len);
    skip_pending(job);
    watch_silence(job, record->out_len > 0 || record->err_len > 0);
    if (record->out_len > 0 || record->err_len > 0)
        dispatch_output_soon(job->dispatch);
}

static int64_t final_size(int64_t final, int64_t size, int64_t stored)
{
    int64_t value = final >= 0 ? final : size;
    return value > stored ? value : stored;
}

/* Proven ended. What is still on the host is read first; of a tampered file nothing more is. */
static void ended(struct job *job, const struct runner_record *record)
{
    if (job->state == JOB_ENDING && job->quiet_ms > FETCH_MS)
        job->tampered = true;
    job->out.final = final_size(record->out_final, record->out_size, job->out.stored);
    job->err.final = final_size(record->err_final, record->err_size, job->err.stored);
    if (job->tampered) {
        job->out.final = job->out.stored + (int64_t)job->out.pending.len;
        job->err.final = job->err.stored + (int64_t)job->err.pending.len;
    }
    job_set(job, JOB_ENDING);
    dispatch_output_soon(job->dispatch);
    job_step(job);
}

/* What lies in a directory that is not ours is not our output. */
static bool has_output(const struct runner_record *record)
{
    return record->state == RUNNER_RUNNING || record->state == RUNNER_ORPHANED ||
           record->state == RUNNER_ENDED || record->state == RUNNER_LOST;
}

static bool is_tampered(const struct job *job, const struct runner_record *record)
{
    int64_t cap = dispatch_config(job->dispatch)->orchestrator.max_output_bytes + CAP_SLACK;
    return runner_tampered(record, job->asked_out, job->asked_err) ||
           runner_tampered(record, job->out.stored, job->err.stored) || record->out_size > cap ||
           record->err_size > cap;
}

static void unjudged(struct job *job, const char *why)
{
    if (job->missing == NULL)
        log_warn(job->about, "the host answers, but the run cannot be judged: %s", why);
    job->missing = why;
    job_step(job);
}

static void on_live(struct job *job)
{
    job->missing = NULL;
    if (job->tampered && job->stop_reason == NULL)
        job_stop(job, "output_tampered");
    job_step(job);
}

void job_on_record(struct job *job, const struct runner_record *record)
{
    job->poll_round = 0;
    job->heard = clock_ms();
    if (!is_followed(job))
        return;
    if (job->missing != NULL && strcmp(job->missing, JOB_NO_ANSWER) == 0)
        job->missing = NULL;
    if (is_tampered(job, record) && !job->tampered) {
        log_warn(job->about, "output files on the host shrank or were replaced");
        job->tampered = true;
    }
    if (!job->tampered && has_output(record))
        take_output(job, record);
    job->record = *record;
    job->record.out = job->record.err = NULL;
    switch (record->state) {
    case RUNNER_RUNNING:
        on_live(job);
        break;
    case RUNNER_ORPHANED: /* its supervisor is gone, its processes are not */
        job->missing = NULL;
        job_stop(job, "run_lost");
        job_step(job);
        break;
    case RUNNER_ENDED:
    case RUNNER_LOST:
        job->missing = NULL;
        ended(job, record);
        break;
    case RUNNER_VOID: /* started() committed and yet a tombstone: nothing of it can be true */
    case RUNNER_FOREIGN:
        unjudged(job, "rundir_foreign");
        break;
    case RUNNER_PREPARED:
    case RUNNER_ABSENT:
        unjudged(job, "rundir_missing");
        break;
    }
}

/* --- The outcome --- */

static bool is(const char *reason, const char *word)
{
    return strcmp(reason, word) == 0;
}

/* It ended by itself: its events decide, then its status. */
static const char *judge_exit(const struct job_end *end, const char **reason)
{
    const char *outcome = adapter_judge(end->adapter, end->exit, reason);
    if (*reason != NULL && is(*reason, "exit_nonzero") && end->signal > 0)
        *reason = "killed"; /* a stop of ours has a reason of its own in the status */
    return outcome;
}

const char *job_judge(const struct job_end *end, const char **reason)
{
    const char *said = end->reason;
    *reason = "run_lost";
    if (end->tampered) {
        *reason = "output_tampered";
        return "failed";
    }
    if (end->state == RUNNER_LOST) {
        *reason = end->rebooted ? "host_rebooted" : "run_lost";
        return "lost";
    }
    if (is(said, "exit") || is(said, ""))
        return judge_exit(end, reason);
    static const struct {
        const char *reason, *outcome;
    } known[] = {{"timed_out", "timed_out"},    {"silence_timeout", "timed_out"},
                 {"cancelled", "cancelled"},    {"output_limit", "failed"},
                 {"provider_down", "failed"},   {"auth_failed", "failed"},
                 {"rate_limited", "failed"},    {"context_overflow", "failed"},
                 {"host_disk_full", "failed"},  {"status_invalid", "failed"},
                 {"output_tampered", "failed"}, {"run_lost", "lost"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (is(said, known[i].reason)) {
            *reason = known[i].reason;
            return known[i].outcome;
        }
    }
    *reason = "status_invalid"; /* a word that we never gave */
    return "failed";
}
