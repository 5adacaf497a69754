/* A job's life: from its row to the last of its callbacks. */
#include "worker/job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"

#define LOOK_EVERY_MS 1000
#define RETRY_FIRST_MS 250
#define RETRY_LAST_MS 15000

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {"claimed", "preparing",  "starting",  "raise",     "start",
                                        "started", "running",    "stopping",  "voiding",   "voided",
                                        "ending",  "harvesting", "finishing", "releasing", "gone"};
    return names[state];
}

/* --- Life --- */

static char *copy(const struct db_result *res, int row, const char *column)
{
    return mem_strdup(db_text(res, row, column));
}

static void stream_init(struct job_stream *stream, int64_t stored)
{
    stream->stored = stored < 0 ? 0 : stored;
    stream->final = -1;
    buf_init(&stream->pending, JOB_CREDIT);
    buf_init(&stream->clean, JOB_CREDIT);
}

static void word(const struct db_result *res, int row, const char *column, char *text, size_t size)
{
    const char *value = db_text(res, row, column);
    snprintf(text, size, "%s", value != NULL && strlen(value) < size ? value : "");
}

/* Which run, and what started() said of its supervisor. */
static void read_key(struct job *job, const struct db_result *res, int row)
{
    struct runner_key *key = &job->key;
    key->epoch = (uint32_t)db_int(res, row, "epoch", 0);
    key->pid = db_int(res, row, "pid", 0);
    word(res, row, "run", key->run, sizeof key->run);
    word(res, row, "nonce", key->nonce, sizeof key->nonce);
    word(res, row, "start", key->start, sizeof key->start);
    word(res, row, "boot", key->boot, sizeof key->boot);
    word(res, row, "machine", job->machine, sizeof job->machine);
}

static void read_row(struct job *job, const struct db_result *res, int row)
{
    job->attempt = db_int(res, row, "attempt", 0);
    job->number = (int)db_int(res, row, "number", 0);
    job->issue_number = (int)db_int(res, row, "issue_number", 0);
    job->timeout_secs = (int)db_int(res, row, "timeout_secs", 0);
    job->task_id = copy(res, row, "task_id");
    job->agent_type = copy(res, row, "agent_type");
    job->title = copy(res, row, "title");
    job->body = copy(res, row, "body");
    job->labels = copy(res, row, "labels");
    job->repo = copy(res, row, "repo");
    job->folder = copy(res, row, "slug");
    job->branch = copy(res, row, "branch_name");
    job->command = copy(res, row, "command");
    job->prompt = copy(res, row, "prompt");
    job->cancel = db_bool(res, row, "cancel");
    job->proven = db_bool(res, row, "proven");
    read_key(job, res, row);
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
    job->sent = strcmp(phase, "claimed") != 0 || job->key.run[0] != '\0';
    return job->sent ? JOB_RAISE : JOB_CLAIMED;
}

static void on_news(void *data, enum host_news news)
{
    struct job *job = data;
    if (news == HOST_WAS_CUT) {
        job->watch = NULL;
        return;
    }
    job_step(job);
}

struct job *job_new(struct jobs *jobs, struct host *host, const struct db_result *res, int row)
{
    struct job *job = mem_alloc(sizeof *job);
    job->jobs = jobs;
    job->node = jobs->node;
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
    list_append(&jobs->list, &job->link);
    job->watcher = (struct host_watcher){.on_news = on_news, .data = job};
    host_watch(host, &job->watcher);
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
    char *texts[] = {job->task_id,
                     job->agent_type,
                     job->title,
                     job->body,
                     job->labels,
                     job->repo,
                     job->branch,
                     job->folder,
                     job->command,
                     job->prompt,
                     job->unstored,
                     job->question,
                     job->briefing.base_branch,
                     job->briefing.session,
                     job->briefing.follow_up,
                     job->briefing.summary,
                     job->briefing.question};
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
    log_info(job->about, "%s after %s, epoch %u", job_state_name(state), job_state_name(job->state),
             job->key.epoch);
    job->state = state;
    job->since = clock_ms();
    job->retry_at = job->look_at = 0;
    job->retry_ms = 0;
    job->refusals = 0;
    job->unanswered = 0;
    if (state == JOB_GONE) {
        job_follow(job);
        list_remove(&job->link);
        list_remove(&job->to_store);
        host_unwatch(job->host, &job->watcher);
        job->jobs->on_gone(job->jobs->data);
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

/* --- All of them --- */

void jobs_init(struct jobs *jobs, struct node *node, void (*on_gone)(void *data), void *data,
               struct refill refill)
{
    *jobs = (struct jobs){.node = node, .on_gone = on_gone, .data = data, .refill = refill};
    list_init(&jobs->list);
    output_init(&jobs->output, node);
    for (int i = 0; i < JOB_CALLS; i++)
        batch_init(&jobs->batches[i], &job_calls[i], node, &jobs->refill);
}

bool jobs_idle(const struct jobs *jobs)
{
    bool idle = output_idle(&jobs->output);
    for (int i = 0; i < JOB_CALLS; i++)
        idle = idle && batch_idle(&jobs->batches[i]);
    return idle;
}

void jobs_close(struct jobs *jobs)
{
    output_close(&jobs->output);
    for (int i = 0; i < JOB_CALLS; i++)
        batch_close(&jobs->batches[i]);
}

struct job *jobs_find(const struct jobs *jobs, int64_t attempt)
{
    list_each(link, (struct list *)&jobs->list)
    {
        struct job *job = list_entry(link, struct job, link);
        if (job->attempt == attempt)
            return job;
    }
    return NULL;
}

/* Runs that are followed tell of themselves: only their clocks are looked at, now and then. */
void jobs_step(struct jobs *jobs)
{
    int64_t now = clock_ms();
    list_each(link, &jobs->list)
    {
        struct job *job = list_entry(link, struct job, link);
        if (now < job->look_at)
            continue;
        if (job_is_followed(job))
            job->look_at = now + LOOK_EVERY_MS;
        job_step(job);
    }
}

void jobs_drop(struct jobs *jobs, const char *why)
{
    list_each(link, &jobs->list)
    {
        job_drop(list_entry(link, struct job, link), why);
    }
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

void job_say(struct job *job, enum job_call call)
{
    batch_add(&job->jobs->batches[call], job);
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
