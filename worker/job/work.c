/* A job's dealings with its repository: the workspace before the start, and what the agent left
 * after the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/job/job.h"
#include "worker/workspace/workspace.h"

bool job_has_repository(const struct job *job)
{
    return workspace_wanted(host_entry(job->host), job->repo);
}

static const struct config_agent *agent_of(const struct job *job)
{
    return host_agent(job->host, job->agent_type);
}

static bool is_separate(const struct job *job)
{
    const struct config_agent *agent = agent_of(job);
    return agent != NULL && strcmp(agent->isolation, "separate") == 0;
}

/* The account that the agent has; NULL: ours. False: the configuration has none for its slot. */
static bool account_of(struct job *job, const char **account)
{
    const struct config_agent *agent = agent_of(job);
    size_t ordinal = job->briefing.ordinal < 0 ? SIZE_MAX : (size_t)job->briefing.ordinal;
    *account = NULL;
    if (!is_separate(job))
        return true;
    if (ordinal < agent->run_as.count)
        *account = agent->run_as.items[ordinal];
    else
        error_set_state(&job->trouble, "workspace_failed",
                        "run_as of %s names no account for slot %d", job->agent_type,
                        job->briefing.ordinal);
    return *account != NULL;
}

bool job_confine(struct job *job, struct runner_start *start, struct buf *writable)
{
    const struct config_agent *agent = agent_of(job);
    const char *account;
    if (agent == NULL)
        return true;
    if (!account_of(job, &account))
        return false;
    snprintf(start->run_as, sizeof start->run_as, "%s", account != NULL ? account : "");
    start->sandbox = strcmp(agent->sandbox, "bwrap") == 0;
    if (agent->writable.count == 0)
        buf_adds(writable, adapter_home(agent->agent_type));
    for (size_t i = 0; i < agent->writable.count; i++)
        buf_addf(writable, "%s\n", agent->writable.items[i]);
    start->writable = buf_text(writable);
    start->writable_len = (uint32_t)writable->len;
    return true;
}

/* --- What SQL has to say first --- */

/* The first run of a task without a repository has nothing to go on with. */
bool job_must_ask(struct job *job)
{
    bool needed = job_has_repository(job) || job->number > 1 || is_separate(job);
    if (!needed || job->briefing.known)
        return false;
    job_sql_briefing(job);
    return true;
}

static char *copy(const struct db_result *res, const char *column)
{
    const char *text = db_text(res, 0, column);
    return text != NULL && text[0] != '\0' ? mem_strdup(text) : NULL;
}

/* '{2400,1600,90,10}' */
static struct adapter_tokens tokens_of(const char *text)
{
    struct adapter_tokens tokens = {0};
    int64_t *fields[] = {&tokens.input, &tokens.cached_input, &tokens.output, &tokens.reasoning};
    for (size_t i = 0; text != NULL && i < 4 && text[strcspn(text, "0123456789")] != '\0'; i++) {
        char *end;
        *fields[i] = strtoll(text + strcspn(text, "0123456789"), &end, 10);
        text = end;
    }
    return tokens;
}

/* Its reader has to know whether it goes on, and from where. */
static void tell_adapter(struct job *job, const struct db_result *res)
{
    struct adapter_tokens before = tokens_of(db_text(res, 0, "session_tokens"));
    if (job_is_resumed(job))
        adapter_resumes(&job->adapter, job->briefing.session, &before);
}

void job_take_briefing(struct job *job, const struct db_result *res)
{
    struct job_briefing *briefing = &job->briefing;
    briefing->known = true;
    briefing->base_branch = copy(res, "base_branch");
    briefing->session = copy(res, "session_id");
    briefing->follow_up = copy(res, "follow_up");
    briefing->summary = copy(res, "earlier_summary");
    briefing->question = copy(res, "question");
    briefing->ordinal = (int)db_int(res, 0, "slot_ordinal", -1);
    tell_adapter(job, res);
}

/* --- Calls --- */

/* False: there can be no workspace, and job->trouble says why. */
static bool plan(struct job *job, struct workspace_plan *plan, bool leftovers)
{
    struct workspace_task task = {.task_id = job->task_id,
                                  .folder = job->folder,
                                  .repo = job->repo,
                                  .branch = job->branch,
                                  .base_branch = job->briefing.base_branch,
                                  .number = job->number,
                                  .leftovers = leftovers};
    if (!account_of(job, &task.run_as)) {
        *plan = (struct workspace_plan){0};
        return false;
    }
    return workspace_plan(plan, node_settings(job->node), &task, &job->trouble);
}

/* Somebody else has it, for longer than any call on it may take. */
static bool has_waited(const struct job *job)
{
    const struct config *config = node_settings(job->node);
    int64_t limit = (int64_t)config->git.fetch_timeout_secs + config->git.push_timeout_secs;
    return clock_ms() - job->since > limit * 1000;
}

/* False: it is to be asked again, or is nobody's any more. */
static bool answered(struct job *job, enum job_state state, const struct runner_worked *worked,
                     const struct error *err)
{
    job->working = false;
    if (!job_let_go(job) || job->state != state)
        return false;
    bool busy = err == NULL && worked->state == WORK_FAILED &&
                strcmp(worked->reason, "workspace_busy") == 0;
    bool fenced = err == NULL && worked->state == WORK_FENCED;
    if (err != NULL || ((busy || fenced) && !has_waited(job))) {
        job_again(job, job_state_name(state),
                  err != NULL ? err->text
                  : busy      ? "the workspace is in use"
                              : "a later attempt has the workspace");
        return false;
    }
    free(job->question);
    job->question =
        worked->question.len > 0 ? mem_strndup(worked->question.bytes, worked->question.len) : NULL;
    job->work = *worked;
    job->work.question = (struct runner_blob){0};
    job->has_work = true;
    if (fenced)
        snprintf(job->work.reason, sizeof job->work.reason, "workspace_busy");
    if (worked->detail[0] != '\0')
        log_info(job->about, "%s: %s", job_state_name(state), worked->detail);
    return true;
}

/* Nothing of the agent ever started. */
static void cannot(struct job *job, const char *reason, const char *why)
{
    log_warn(job->about, "no workspace: %s: %s", reason, why);
    job_finish(job, "failed", reason);
}

static void on_prepared(void *data, const struct runner_worked *worked, const struct error *err)
{
    struct job *job = data;
    if (!answered(job, JOB_PREPARING, worked, err))
        return;
    if (worked->state != WORK_READY) {
        error_set(&job->trouble, "%s", job->work.detail);
        cannot(job, job->work.reason[0] != '\0' ? job->work.reason : "workspace_failed",
               job->work.detail);
        return;
    }
    job->taken = clock_ms(); /* a start may take as long as it may without a clone */
    job_sql_prepared(job);
}

void job_host_prepare(struct job *job)
{
    struct workspace_plan planned;
    bool good = plan(job, &planned, false);
    if (good) {
        if (job->key.run[0] == '\0')
            snprintf(job->key.run, sizeof job->key.run, "%s.%d", job->folder, job->number);
        job->working = true;
        job_hold(job);
        host_prepare(job->host, &job->key, &planned.work, on_prepared, job);
    }
    workspace_release(&planned);
    if (!good)
        cannot(job, job->trouble.state, job->trouble.text);
}

/* --- The end --- */

/* A run that ended well has done its work only when that is where it belongs. */
static void judge(struct job *job)
{
    bool good = strcmp(job->outcome, "succeeded") == 0;
    const struct runner_worked *work = &job->work;
    if (!good)
        return;
    if (work->state == WORK_NO_CHANGE) {
        job->outcome = "no_change";
    } else if (work->state != WORK_PUSHED) {
        job->outcome = "failed";
        job->reason = work->reason[0] != '\0' ? work->reason : "workspace_failed";
        error_set(&job->trouble, "%s", work->detail);
    }
}

/* Ended well, but not done: somebody has to answer. */
static void judge_question(struct job *job)
{
    bool well = strcmp(job->outcome, "succeeded") == 0 || strcmp(job->outcome, "no_change") == 0;
    if (well && job_question(job) != NULL)
        job->reason = "needs_input";
}

/* The server is away: the commits wait on the host, for as long as a push may take. */
static bool is_away(const struct job *job)
{
    int64_t limit = (int64_t)node_settings(job->node)->git.push_timeout_secs * 1000;
    return job->work.state == WORK_KEPT && strcmp(job->work.reason, "push_failed") == 0 &&
           clock_ms() - job->since < limit;
}

static void on_harvested(void *data, const struct runner_worked *worked, const struct error *err)
{
    struct job *job = data;
    if (!answered(job, JOB_HARVESTING, worked, err))
        return;
    if (is_away(job)) {
        job_again(job, "push", job->work.detail);
        return;
    }
    judge(job);
    judge_question(job);
    job_finish(job, job->outcome, job->reason);
}

void job_host_harvest(struct job *job)
{
    struct workspace_plan planned;
    bool good = plan(job, &planned, strcmp(job->outcome, "succeeded") == 0);
    if (good) {
        node_breakpoint("before-harvest");
        job->working = true;
        job_hold(job);
        host_harvest(job->host, &job->key, &planned.work, on_harvested, job);
    }
    workspace_release(&planned);
    if (!good) {
        job->work.state = WORK_KEPT;
        snprintf(job->work.reason, sizeof job->work.reason, "%s", job->trouble.state);
        snprintf(job->work.detail, sizeof job->work.detail, "%s", job->trouble.text);
        job->has_work = true;
        judge(job);
        job_finish(job, job->outcome, job->reason);
    }
}
