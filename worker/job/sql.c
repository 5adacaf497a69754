/* A job's calls to the database. Each may be repeated; none is repeated for ever with what SQL
 * refuses for good. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/mem.h"
#include "worker/adapter/limit.h"
#include "worker/job/job.h"
#include "worker/workspace/workspace.h"

#define REFUSALS_MAX 3

/* The three values that every write carries. */
struct key {
    char attempt[24], epoch[16];
};

static struct key key_of(const struct job *job)
{
    struct key key;
    snprintf(key.attempt, sizeof key.attempt, "%" PRId64, job->attempt);
    snprintf(key.epoch, sizeof key.epoch, "%u", job->key.epoch);
    return key;
}

static void call(struct job *job, const char *sql, int count, const char *const *params,
                 db_done_cb on_done)
{
    job_begin(job);
    db_query_locking(job->node->db, job->task_id, 0, sql, DB_REPEAT, count, params, on_done, job);
}

static bool is_state(const struct error *err, const char *state)
{
    return strcmp(err->state, state) == 0;
}

/* SQL refuses what we say and will refuse it again: the state says less, or gives up. */
static bool is_plain(const struct job *job)
{
    return job->refusals >= REFUSALS_MAX;
}

static void refused(struct job *job, const char *what, const struct error *err)
{
    if (!db_fault(err->state)->transient && ++job->refusals >= REFUSALS_MAX)
        log_error(job->about, "%s is refused by the database again and again: %s", what, err->text);
    job_again(job, what, err->text);
}

/* What came of a call. */
enum answer {
    ANSWER_GOOD,
    ANSWER_LATER,        /* the same again, after a rest */
    ANSWER_CONTRADICTED, /* AF001: SQL knows better; its state's business, else again */
    ANSWER_DROPPED,      /* not ours any more, unknown, or ended in another way: no job left */
};

static enum answer answered(struct job *job, const char *what, const struct error *err)
{
    if (!job_back(job))
        return ANSWER_DROPPED;
    if (err == NULL) {
        job->retry_ms = 0;
        job->refusals = 0;
        return ANSWER_GOOD;
    }
    if (is_state(err, "AF002") || is_state(err, "AF003") || is_state(err, "AF004")) {
        job_drop(job, err->text);
        return ANSWER_DROPPED;
    }
    refused(job, what, err);
    return is_state(err, "AF001") ? ANSWER_CONTRADICTED : ANSWER_LATER;
}

/* --- briefing and prepared --- */

static void on_briefing(void *data, const struct db_result *res, const struct error *err)
{
    struct job *job = data;
    enum answer answer = answered(job, "briefing", err);
    if (answer == ANSWER_LATER && is_plain(job)) {
        job->briefing.known = true; /* a run that was started goes on without */
        if (job->state == JOB_CLAIMED)
            job_give_up_start(job, "start_refused");
    }
    if (answer != ANSWER_GOOD || db_rows(res) != 1)
        return;
    job_take_briefing(job, res);
    job_step(job);
}

void job_sql_briefing(struct job *job)
{
    struct key key = key_of(job);
    const char *params[] = {job->node->id, key.attempt, key.epoch};
    call(job, "select * from fleet.briefing($1, $2, $3)", 3, params, on_briefing);
}

/* Nothing waits for a word about the workspace that is refused. */
static void on_prepared(void *data, const struct db_result *res, const struct error *err)
{
    struct job *job = data;
    enum answer answer = answered(job, "prepared", err);
    (void)res;
    if (answer == ANSWER_DROPPED || (answer == ANSWER_LATER && !is_plain(job)))
        return;
    job_set(job, JOB_CLAIMED);
    job_step(job);
}

void job_sql_prepared(struct job *job)
{
    struct key key = key_of(job);
    struct buf work;
    buf_init(&work, JOB_REPORT_MAX);
    workspace_report(&work, &job->work, job->branch);
    const char *params[] = {job->node->id, key.attempt, key.epoch, buf_text(&work)};
    call(job, "select fleet.prepared($1, $2, $3, $4)", 4, params, on_prepared);
    buf_release(&work);
}

/* --- starting --- */

static void keep(char **slot, const char *text)
{
    if (text == NULL)
        return;
    free(*slot);
    *slot = mem_strdup(text);
}

static void on_starting(struct job *job, const struct db_result *res, int row,
                        const struct error *err)
{
    enum answer answer = answered(job, "starting", err);
    if (answer == ANSWER_CONTRADICTED)
        job_drop(job, err->text);
    else if (answer == ANSWER_LATER && is_plain(job))
        job_give_up_start(job, "start_refused");
    if (answer != ANSWER_GOOD)
        return;
    const char *verdict = db_text(res, row, "verdict");
    if (verdict == NULL || strcmp(verdict, "go") != 0) {
        job_give_up_start(job, "cancelled");
        return;
    }
    if (db_text(res, row, "run") != NULL)
        snprintf(job->key.run, sizeof job->key.run, "%s", db_text(res, row, "run"));
    keep(&job->command, db_text(res, row, "command"));
    keep(&job->prompt, db_text(res, row, "prompt"));
    node_breakpoint("after-starting");
    job_set(job, JOB_START);
    job_step(job);
}

static void add_starting(const struct job *job, struct buf *columns)
{
    db_array_text(&columns[0], job->key.run);
    db_array_text(&columns[1], job->command);
    db_array_text(&columns[2], job->prompt);
}

/* --- started --- */

/* As SQL was just told: no file on the host can change it any more. */
static void know_supervisor(struct job *job)
{
    job->key.pid = job->record.pid > 0 ? job->record.pid : 0;
    memcpy(job->key.start, job->record.start, sizeof job->key.start);
    memcpy(job->key.boot, job->record.boot, sizeof job->key.boot);
    snprintf(job->machine, sizeof job->machine, "%s", host_machine(job->host));
}

static void on_started(struct job *job, const struct db_result *res, int row,
                       const struct error *err)
{
    enum answer answer = answered(job, "started", err);
    (void)res, (void)row;
    if (answer == ANSWER_CONTRADICTED)
        job_set(job, JOB_STARTING); /* rows were lost: announced again, found started again */
    if (answer != ANSWER_GOOD)
        return;
    job->proven = true;
    job->told = job->told == PHASE_UNREACHABLE ? PHASE_RUNNING : job->told;
    free(job->command);
    free(job->prompt);
    job->command = job->prompt = NULL;
    know_supervisor(job);
    job_set(job, JOB_RUNNING);
    job_step(job);
}

/* NULL for what is not known. */
static const char *known(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void add_started(const struct job *job, struct buf *columns)
{
    bool plain = is_plain(job);
    db_array_int(&columns[0], job->record.pid);
    db_array_text(&columns[1], plain ? NULL : known(job->record.start));
    db_array_text(&columns[2], plain ? NULL : known(job->record.boot));
    db_array_text(&columns[3], plain ? NULL : known(host_machine(job->host)));
}

/* --- phase --- */

static const char *phase_name(enum job_phase phase)
{
    static const char *const names[] = {"running", "unreachable", "stopping"};
    return names[phase];
}

static void on_phase(void *data, const struct db_result *res, const struct error *err)
{
    struct job *job = data;
    (void)res;
    if (err != NULL && !is_plain(job)) /* else: nothing waits for a word that is not taken */
        job->told = job->told_before;  /* to be told again */
    if (answered(job, "phase", err) == ANSWER_GOOD)
        job_step(job);
}

void job_sql_phase(struct job *job, enum job_phase phase, const char *reason)
{
    struct key key = key_of(job);
    const char *why = job->refusals > 0 ? NULL : known(reason);
    const char *params[] = {job->node->id, key.attempt, key.epoch, phase_name(phase), why};
    log_info(job->about, "phase %s%s%s", phase_name(phase), why != NULL ? ": " : "",
             why != NULL ? why : "");
    job->told_before = job->told;
    job->told = phase;
    call(job, "select fleet.phase($1, $2, $3, $4, $5)", 5, params, on_phase);
}

/* --- The three ends --- */

/* SQL knows of a start that we did not see: renew() brings the attempt again, as it is stored. Or
 * it has seen the run that the host says never was. */
static void on_contradiction(struct job *job)
{
    if (job->state == JOB_RELEASING) {
        job_drop(job, "an owner before us may have started it");
    } else if (job->state == JOB_VOIDED) {
        job->proven = true;
        job_set(job, JOB_RUNNING);
    }
}

static void on_end(struct job *job, const struct db_result *res, int row, const struct error *err)
{
    enum answer answer = answered(job, job_state_name(job->state), err);
    if (answer == ANSWER_CONTRADICTED)
        on_contradiction(job);
    if (answer != ANSWER_GOOD)
        return;
    const char *status = row < db_rows(res) ? db_text(res, row, "status") : NULL;
    const char *outcome = job->state == JOB_FINISHING ? job->outcome : "not started";
    const char *reason = job->state == JOB_FINISHING ? job->reason : job->give_up;
    log_info(job->about, "%s%s%s, task is now %s", outcome, reason != NULL ? ": " : "",
             reason != NULL ? reason : "", status != NULL ? status : "unknown");
    job_set(job, JOB_GONE);
    job_clean_up(job);
}

static void on_ended(void *data, const struct db_result *res, const struct error *err)
{
    on_end(data, res, 0, err);
}

void job_sql_release(struct job *job)
{
    struct key key = key_of(job);
    const char *params[] = {job->node->id, key.attempt, key.epoch, job->give_up};
    call(job, "select fleet.release($1, $2, $3, $4) as status", 4, params, on_ended);
}

void job_sql_void_confirmed(struct job *job)
{
    struct key key = key_of(job);
    const char *reason = job->give_up != NULL ? job->give_up : "voided";
    const char *params[] = {job->node->id, key.attempt, key.epoch, reason};
    call(job, "select fleet.void_confirmed($1, $2, $3, $4) as status", 4, params, on_ended);
}

/* Seconds since 1970 at which a limit that ended the run is over; 0 when nobody said. */
static int64_t resets_at(const struct job *job)
{
    struct limit_clock clock = {.now = (int64_t)time(NULL),
                                .utc_offset_secs = host_utc_offset(job->host),
                                .offset_known = true};
    bool guessed;
    bool limited = job->reason != NULL && (strcmp(job->reason, "rate_limited") == 0 ||
                                           strcmp(job->reason, "provider_quota") == 0);
    return limited ? adapter_resets_at(&job->adapter, &clock, &guessed) : 0;
}

static void add_number(struct buf *column, bool given, int64_t value)
{
    if (given)
        db_array_int(column, value);
    else
        db_array_text(column, NULL);
}

static void add_end(const struct job *job, struct buf *columns)
{
    struct buf report;
    bool gone = job->record.state != RUNNER_ENDED; /* the host looked for what lives */
    const char *proof = gone ? "supervisor_gone no_mark" : known(job->record.proof);
    bool ended = !gone && job->record.exit >= 0;
    int64_t again = resets_at(job);
    buf_init(&report, JOB_REPORT_MAX);
    job_report(job, &report, is_plain(job));
    db_array_text(&columns[0], job->outcome);
    db_array_text(&columns[1], job->reason);
    add_number(&columns[2], ended, job->record.exit);
    add_number(&columns[3], ended && job->record.signal > 0, job->record.signal);
    db_array_text(&columns[4], buf_text(&report));
    add_number(&columns[5], again != 0, again);
    db_array_text(&columns[6], job->sent ? proof : NULL);
    buf_release(&report);
}

/* --- What is said of many at once --- */

const struct batch_kind job_calls[JOB_CALLS] = {
    {"starting", "select * from fleet.starting_runs($1, $2, $3, $4, $5, $6)", 3, false,
     add_starting, on_starting},
    {"started", "select * from fleet.started_runs($1, $2, $3, $4, $5, $6, $7)", 4, false,
     add_started, on_started},
    {"finishing",
     "select t.ord, t.fault, t.detail, t.status, (t.job).* "
     "from fleet.turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) t",
     7, true, add_end, on_end}};

/* --- Who owns it --- */

static void on_owner(void *data, const struct db_result *res, const struct error *err)
{
    struct job *job = data;
    if (answered(job, "jobs", err) != ANSWER_GOOD)
        return;
    if (db_rows(res) != 1 || db_int(res, 0, "epoch", 0) != (int64_t)job->key.epoch) {
        job_drop(job, "the host has seen a later owner");
        return;
    }
    if (job->forged == 0)
        log_error(job->about,
                  "nobody gave the epoch that lies on the host: the run was tampered with");
    job->forged = job->fence;
    job_set(job, JOB_RAISE);
    job_step(job);
}

void job_sql_owner(struct job *job, int64_t epoch)
{
    char list[32];
    snprintf(list, sizeof list, "{%" PRId64 "}", job->attempt);
    const char *params[] = {job->node->id, list};
    job->fence = (uint64_t)epoch;
    job_begin(job);
    db_query(job->node->db, "select * from fleet.jobs($1, $2)", DB_ONCE, 2, params, on_owner, job);
}
