/* What the host pushes of a run: its output on the way to the parser and the database, and its
 * end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/job/job.h"

#define WATCH_GAP_MS 60000 /* most of a pause between two looks that counts as silence */
#define UNHEARD_MS 60000   /* a run of which a host in reach says nothing is out of sight */
#define FETCH_MS 60000     /* an ended run whose promised bytes do not come for so long is a lie */
/* output that SQL refuses for good for so long holds up nothing more */
#define UNSTORABLE_MS 300000
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

static bool lacks_bytes(const struct job *job)
{
    return next_out(job) < job->out.final || next_err(job) < job->err.final;
}

bool job_is_followed(const struct job *job)
{
    return job->state == JOB_RUNNING || job->state == JOB_STOPPING || job->state == JOB_ENDING;
}

/* --- The watch --- */

static size_t room(const struct job *job)
{
    size_t taken = job->out.pending.len + job->err.pending.len + job->credit;
    return taken < JOB_CREDIT ? JOB_CREDIT - taken : 0;
}

void job_grant(struct job *job)
{
    size_t more = room(job);
    if (job->watch == NULL || job->tampered || more < JOB_CREDIT / 4)
        return;
    job->credit += more;
    link_grant(job->watch, (uint32_t)more);
}

static void on_record(void *data, const struct runner_record *record);
static void on_output(void *data, int stream, int64_t offset, const char *bytes, size_t len);

static void begin(struct job *job, struct link *channel)
{
    static const struct link_watch_events events = {.on_record = on_record, .on_output = on_output};
    job->credit = 0;
    job->credit = room(job);
    job->watched = clock_ms();
    job->looked = 0;
    job->watch = link_watch(channel, &job->key, next_out(job), next_err(job), (uint32_t)job->credit,
                            &events, job);
}

static void end(struct job *job)
{
    if (job->watch != NULL)
        link_unwatch(job->watch);
    job->watch = NULL;
}

void job_follow(struct job *job)
{
    struct link *channel = host_channel(job->host);
    bool wanted = job_is_followed(job) && (job->state != JOB_ENDING || lacks_bytes(job));
    if (!wanted)
        end(job);
    else if (job->watch == NULL && channel != NULL)
        begin(job, channel);
}

void job_follow_anew(struct job *job)
{
    end(job);
    job_follow(job);
}

/* --- Silence --- */

/* Silence between two looks counts, but little of a long pause: the machine of both may have been
 * suspended. Nothing counts while it is us who take no more. */
static void count_silence(struct job *job, bool grew)
{
    int64_t now = clock_ms();
    int64_t gap = job->credit > 0 ? now - job->looked : 0;
    bool waits = adapter_waits_for(&job->adapter) != NULL;
    if (gap > WATCH_GAP_MS)
        gap = WATCH_GAP_MS;
    job->quiet_ms = grew && !waits ? 0 : job->quiet_ms + gap;
    job->waits_ms = waits ? job->waits_ms + gap : 0;
    job->looked = now;
}

static void ended(struct job *job, const struct runner_record *record);

/* A host that answers everything but our question about this run shows it no better than one that
 * is down. */
static void listen_for(struct job *job)
{
    if (job->missing != NULL || clock_ms() - job->watched < UNHEARD_MS)
        return;
    job->missing = JOB_NO_ANSWER;
    log_warn(job->about, "the host says nothing of this run");
}

void job_look(struct job *job)
{
    if (job->watch == NULL)
        return;
    if (job->looked == 0) {
        listen_for(job);
        return;
    }
    count_silence(job, false);
    if (job->state != JOB_ENDING || job->tampered || job->quiet_ms <= FETCH_MS)
        return;
    log_warn(job->about, "the end of its output does not come");
    job->tampered = true;
    ended(job, &job->record);
}

/* --- Output --- */

/* What SQL takes no more is as good as stored: the run goes on to its end. */
static void skip_pending(struct job *job)
{
    struct job_stream *streams[] = {&job->out, &job->err};
    for (size_t i = 0; job->unstored != NULL && i < 2; i++) {
        if (streams[i]->sending > 0)
            continue;
        job_stream_settle(streams[i], streams[i]->stored + (int64_t)streams[i]->pending.len);
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
    job_grant(job);
}

/* Takes the part of the bytes (which begin at `from`) that lies behind what the stream has. */
static void stream_take(struct job_stream *stream, int64_t from, const char *bytes, size_t len)
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

static int64_t output_cap(const struct job *job)
{
    return node_settings(job->node)->orchestrator.max_output_bytes + CAP_SLACK;
}

static void on_live(struct job *job);

static void on_output(void *data, int stream, int64_t offset, const char *bytes, size_t len)
{
    struct job *job = data;
    job->credit -= len;
    if (node_draining(job->node) || job->tampered)
        return;
    if (offset + (int64_t)len > output_cap(job)) {
        log_warn(job->about, "the host sends more output than a run may have");
        job->tampered = true;
        on_live(job);
        return;
    }
    stream_take(stream == 1 ? &job->out : &job->err, offset, bytes, len);
    if (stream == 1)
        parse(job, offset, bytes, len);
    skip_pending(job);
    if (job->looked > 0)
        count_silence(job, true);
    output_soon(&job->jobs->output, job);
    job_grant(job);
    if (job->state == JOB_ENDING && !lacks_bytes(job))
        job_step(job);
}

/* --- Records --- */

static int64_t final_size(int64_t final, int64_t size, int64_t stored)
{
    int64_t value = final >= 0 ? final : size;
    return value > stored ? value : stored;
}

/* Proven ended. What is still on the host is read first; of a tampered file nothing more is. */
static void ended(struct job *job, const struct runner_record *record)
{
    job->out.final = final_size(record->out_final, record->out_size, job->out.stored);
    job->err.final = final_size(record->err_final, record->err_size, job->err.stored);
    if (job->tampered) {
        job->out.final = job->out.stored + (int64_t)job->out.pending.len;
        job->err.final = job->err.stored + (int64_t)job->err.pending.len;
    }
    job_set(job, JOB_ENDING);
    output_soon(&job->jobs->output, job);
    job_step(job);
}

static bool shrank(int64_t size, int64_t offset, int64_t stored)
{
    return size < offset || size < stored;
}

/* Its output files shrank below what we read, grew where nobody wrote, or differ from what the
 * supervisor saw at the end. What lies in a directory that is not ours says nothing. */
bool job_record_tampered(const struct job *job, const struct runner_record *record)
{
    int64_t cap = output_cap(job);
    bool ours = record->state == RUNNER_ENDED || record->state == RUNNER_LOST ||
                ((record->state == RUNNER_RUNNING || record->state == RUNNER_ORPHANED) &&
                 record->reason[0] == '\0' && record->epoch >= 0);
    if (!ours)
        return false;
    if (record->state == RUNNER_ENDED && record->exit >= 0 &&
        (record->out_size != record->out_final || record->err_size != record->err_final))
        return true;
    return shrank(record->out_size, next_out(job), job->out.stored) ||
           shrank(record->err_size, next_err(job), job->err.stored) || record->out_size > cap ||
           record->err_size > cap;
}

static void unjudged(struct job *job, const char *why)
{
    if (job->missing == NULL)
        log_warn(job->about, "the host answers, but the run cannot be judged: %s", why);
    job->missing = why;
    job_step(job);
}

/* Machines without an id are told apart by their boot. */
static bool is_same_machine(const struct job *job)
{
    if (job->machine[0] == '\0' || strcmp(job->machine, host_machine(job->host)) != 0)
        return false;
    return strcmp(job->machine, "none") != 0 ||
           (job->key.boot[0] != '\0' && !host_boot_differs(job->host, job->key.boot));
}

void job_nothing_left(struct job *job, const struct runner_record *record)
{
    bool foreign = record->state == RUNNER_FOREIGN || record->state == RUNNER_VOID;
    const char *why = foreign ? "rundir_foreign" : "rundir_missing";
    if (!is_same_machine(job)) {
        unjudged(job, why);
        return;
    }
    log_warn(job->about, "nothing of the run lives on the host, and its directory is gone: %s",
             why);
    job->record = *record;
    job_finish(job, "lost", foreign ? "run_tampered" : why);
}

static void on_live(struct job *job)
{
    job->missing = NULL;
    if (job->tampered && job->stop_reason == NULL)
        job_stop(job, "output_tampered");
    job_step(job);
}

/* The agent touched what only its supervisor may. */
static void run_tampered(struct job *job, const struct runner_record *record)
{
    if (job->stop_reason == NULL)
        log_warn(job->about, "the run was tampered with: %s", record->reason);
    job->missing = NULL;
    job_stop(job, "run_tampered");
    job_step(job);
}

static void judge(struct job *job, const struct runner_record *record)
{
    switch (record->state) {
    case RUNNER_RUNNING:
        on_live(job);
        break;
    case RUNNER_ORPHANED: /* its supervisor is gone, its processes are not */
        job->missing = NULL;
        job_stop(job, "run_lost");
        job_step(job);
        break;
    case RUNNER_TAMPERED:
        run_tampered(job, record);
        break;
    case RUNNER_ENDED:
    case RUNNER_LOST:
        job->missing = NULL;
        ended(job, record);
        break;
    case RUNNER_VOID: /* started() committed and yet a tombstone: nothing of it can be true */
    case RUNNER_FOREIGN:
    case RUNNER_PREPARED:
    case RUNNER_ABSENT:
        job_nothing_left(job, record);
        break;
    case RUNNER_STATES:
        break;
    }
}

static void on_record(void *data, const struct runner_record *record)
{
    struct job *job = data;
    bool has_ended = record->state == RUNNER_ENDED || record->state == RUNNER_LOST;
    if (node_draining(job->node) || (job->state == JOB_ENDING && !has_ended))
        return;
    if (job->looked == 0)
        job->looked = clock_ms();
    if (job->missing != NULL && strcmp(job->missing, JOB_NO_ANSWER) == 0)
        job->missing = NULL;
    if (!job->tampered && job_record_tampered(job, record)) {
        log_warn(job->about, "output files on the host shrank or were replaced");
        job->tampered = true;
    }
    job->record = *record;
    judge(job, record);
}
