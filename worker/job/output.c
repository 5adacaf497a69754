/* Chunks gathered from all jobs, appended together, and answered one by one. */
#include "worker/job/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/redact.h"
#include "worker/job/job.h"

#define APART_MS 25 /* between two appends, so that what comes together is stored together */
#define AGAIN_MS 1000
#define REFUSED_MS 5000 /* a job whose append fails for good lets the others go on */
#define CHUNK_MAX ((size_t)256 << 10)
#define BATCH_MAX ((size_t)1 << 20)
#define CHECKPOINT_MAX ((size_t)64 << 10)
#define PARAM_MAX ((size_t)16 << 20)

void output_init(struct output *output, struct node *node)
{
    *output = (struct output){.node = node};
    list_init(&output->jobs);
    timer_init(&output->timer, node->loop, (void (*)(void *))output_flush, output);
}

void output_close(struct output *output)
{
    output->closed = true;
    timer_close(&output->timer, NULL);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The next append comes when this job may have one, at the latest; an earlier one stands. Whoever
 * has a whole chunk does not wait for others to have more. */
static void arm(struct output *output, const struct job *job)
{
    bool whole = job->out.pending.len >= CHUNK_MAX || job->err.pending.len >= CHUNK_MAX;
    int64_t now = clock_ms();
    int64_t at = later(output->not_before, output->sent + (whole ? 0 : APART_MS));
    at = later(at, job->append_at);
    if (output->closed || output->sending || (timer_active(&output->timer) && output->at <= at))
        return;
    output->at = at;
    timer_start(&output->timer, (uint64_t)later(at - now, 0), 0);
}

bool job_stream_ready(struct job_stream *stream, const struct redact_words *words)
{
    const struct buf *pending = &stream->pending;
    size_t len = pending->len < CHUNK_MAX ? pending->len : CHUNK_MAX;
    bool last = len == pending->len && stream->final == stream->stored + (int64_t)len;
    if (stream->clean.len == 0 && len > 0 && (last || len != stream->looked))
        redact_add(&stream->clean, pending->data, len, words, last);
    stream->looked = len;
    return stream->clean.len > 0;
}

static bool is_pending(struct job *job)
{
    bool out = job_stream_ready(&job->out, &job->adapter.secrets);
    bool err = job_stream_ready(&job->err, &job->adapter.secrets);
    return (out || err) && job->unstored == NULL;
}

void output_soon(struct output *output, struct job *job)
{
    if (job->state == JOB_GONE || !is_pending(job))
        return;
    if (!list_linked(&job->to_store))
        list_append(&output->jobs, &job->to_store);
    arm(output, job);
}

/* After an append: those that have nothing any more leave, the others wait for the next one. */
static void look_again(struct output *output)
{
    list_each(link, &output->jobs)
    {
        struct job *job = list_entry(link, struct job, to_store);
        if (is_pending(job))
            arm(output, job);
        else
            list_remove(link);
    }
}

void job_stream_settle(struct job_stream *stream, int64_t next_offset)
{
    int64_t read = stream->stored + (int64_t)stream->pending.len;
    if (next_offset < stream->stored || next_offset > read)
        buf_clear(&stream->pending);
    else
        buf_consume(&stream->pending, (size_t)(next_offset - stream->stored));
    stream->stored = next_offset;
    buf_clear(&stream->clean);
    stream->looked = 0;
}

static bool is_due(struct job *job)
{
    return is_pending(job) && clock_ms() >= job->append_at;
}

bool output_idle(const struct output *output)
{
    return !output->sending && list_empty(&output->jobs);
}

/* --- Gathering --- */

static void take(struct output *output, struct job *job, struct job_stream *stream, size_t *room)
{
    size_t len = stream->clean.len;
    size_t limit = output->one_by_one > 0 ? 1 : OUTPUT_ITEMS_MAX;
    if (len == 0 || output->count >= limit || len > *room)
        return;
    *room -= len;
    stream->sending = len;
    job_hold(job);
    output->items[output->count++] = (struct output_item){.job = job, .stream = stream};
}

static void gather(struct output *output)
{
    size_t room = BATCH_MAX;
    output->count = 0;
    list_each(link, &output->jobs)
    {
        struct job *job = list_entry(link, struct job, to_store);
        if (is_due(job)) {
            take(output, job, &job->out, &room);
            take(output, job, &job->err, &room);
        }
    }
    /* Whoever was served goes to the end, so that nobody starves behind a loud neighbour. */
    for (size_t i = 0; i < output->count; i++) {
        struct list *link = &output->items[i].job->to_store;
        list_remove(link);
        list_append(&output->jobs, link);
    }
}

/* --- The answer --- */

/* By SQL and for good. One chunk among many may be the cause: the next ones travel alone. */
static void refused(struct output *output, const struct error *err)
{
    struct job *job = output->items[0].job;
    if (output->count > 1) {
        log_warn(NULL, "append of %zu chunks failed, sending them one by one: %s", output->count,
                 err->text);
        output->one_by_one = output->count;
    } else if (job->state != JOB_GONE) {
        log_error(job->about, "append failed: %s", err->text);
        job->append_at = clock_ms() + REFUSED_MS;
        job_refused_output(job, err);
    }
}

/* False when somebody else holds the attempt's row: nothing was stored, to be sent again. */
static bool settle(struct job *job, struct job_stream *stream, const struct db_result *res, int row)
{
    const char *verdict = db_text(res, row, "verdict");
    if (verdict == NULL || strcmp(verdict, "busy") == 0)
        return false;
    if (strcmp(verdict, "fenced") == 0) {
        if (job->state != JOB_FINISHING)
            job_drop(job, "append was fenced out");
        return true;
    }
    int64_t next = db_int(res, row, "next_offset", stream->stored);
    if (strcmp(verdict, "gap") == 0)
        log_warn(job->about, "stored output ends at %" PRId64 ", ours began at %" PRId64, next,
                 stream->stored);
    if (next > stream->stored)
        job->node->counts.output_bytes += (uint64_t)(next - stream->stored);
    job_stream_settle(stream, next);
    if (strcmp(verdict, "gap") == 0)
        job_follow_anew(job);
    else
        job_grant(job);
    return true;
}

static void on_failed(struct output *output, const struct error *err)
{
    output->not_before = clock_ms() + AGAIN_MS;
    if (!db_fault(err->state)->transient && strcmp(err->state, "AF002") != 0)
        refused(output, err);
    else if (output->life == output->node->life)
        node_failed(output->node, "append", err);
}

static void on_stored(struct output *output, const struct db_result *res, size_t count)
{
    if (output->one_by_one > 0)
        output->one_by_one--;
    for (int row = 0; row < db_rows(res); row++) {
        int64_t ord = db_int(res, row, "ord", 0);
        if (ord < 1 || (size_t)ord > count || output->items[ord - 1].job->state == JOB_GONE)
            continue;
        output->items[ord - 1].job->refused_since = 0;
        if (!settle(output->items[ord - 1].job, output->items[ord - 1].stream, res, row))
            output->not_before = clock_ms() + AGAIN_MS;
    }
}

static void on_append(void *data, const struct db_result *res, const struct error *err)
{
    struct output *output = data;
    size_t count = output->count;
    output->sending = false;
    for (size_t i = 0; i < count; i++)
        output->items[i].stream->sending = 0;
    if (err != NULL)
        on_failed(output, err);
    else
        on_stored(output, res, count);
    output->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = output->items[i].job;
        if (job_let_go(job) && err == NULL)
            job_step(job); /* it may have waited for this to end */
    }
    look_again(output);
}

/* --- Sending --- */

struct arrays {
    struct buf attempts, epochs, streams, offsets, chunks, checkpoints;
};

static void arrays_init(struct arrays *arrays)
{
    struct buf *all[] = {&arrays->attempts, &arrays->epochs, &arrays->streams,
                         &arrays->offsets,  &arrays->chunks, &arrays->checkpoints};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_init(all[i], PARAM_MAX);
        db_array_begin(all[i]);
    }
}

static void arrays_end(struct arrays *arrays)
{
    db_array_end(&arrays->attempts);
    db_array_end(&arrays->epochs);
    db_array_end(&arrays->streams);
    db_array_end(&arrays->offsets);
    db_array_end(&arrays->chunks);
    db_array_end(&arrays->checkpoints);
}

static void arrays_release(struct arrays *arrays)
{
    buf_release(&arrays->attempts);
    buf_release(&arrays->epochs);
    buf_release(&arrays->streams);
    buf_release(&arrays->offsets);
    buf_release(&arrays->chunks);
    buf_release(&arrays->checkpoints);
}

static void add_item(struct arrays *arrays, const struct output_item *item)
{
    const struct job *job = item->job;
    bool is_out = item->stream == &job->out;
    db_array_int(&arrays->attempts, job->attempt);
    db_array_int(&arrays->epochs, job->key.epoch);
    db_array_text(&arrays->streams, is_out ? "stdout" : "stderr");
    db_array_int(&arrays->offsets, item->stream->stored);
    db_array_bytes(&arrays->chunks, item->stream->clean.data, item->stream->sending);
    struct buf checkpoint;
    buf_init(&checkpoint, CHECKPOINT_MAX);
    if (is_out)
        adapter_checkpoint(&job->adapter, &checkpoint);
    db_array_text(&arrays->checkpoints,
                  is_out && !checkpoint.failed ? buf_text(&checkpoint) : NULL);
    buf_release(&checkpoint);
}

void output_flush(struct output *output)
{
    if (output->sending || output->closed)
        return;
    gather(output);
    if (output->count == 0) {
        look_again(output);
        return;
    }
    struct arrays arrays;
    arrays_init(&arrays);
    for (size_t i = 0; i < output->count; i++)
        add_item(&arrays, &output->items[i]);
    arrays_end(&arrays);
    const char *params[] = {output->node->id,
                            buf_text(&arrays.attempts),
                            buf_text(&arrays.epochs),
                            buf_text(&arrays.streams),
                            buf_text(&arrays.offsets),
                            buf_text(&arrays.chunks),
                            buf_text(&arrays.checkpoints)};
    output->sending = true;
    output->sent = clock_ms();
    output->life = output->node->life;
    db_query_locking(output->node->db, "append", 0,
                     "select * from fleet.append($1, $2, $3, $4, $5, $6, $7)", DB_REPEAT, 7, params,
                     on_append, output);
    arrays_release(&arrays);
}
