/* What SQL is told of a run beside its outcome: fleet.finish_run(). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "worker/job/job.h"
#include "worker/workspace/workspace.h"

static void member(struct buf *out, const char *name)
{
    buf_addf(out, "%s\"%s\":", out->len > 0 && out->data[out->len - 1] != '{' ? "," : "", name);
}

static void text(struct buf *out, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    member(out, name);
    json_quote(out, value, strlen(value));
}

static void number(struct buf *out, const char *name, int64_t value)
{
    member(out, name);
    buf_addf(out, "%" PRId64, value);
}

static bool lacks_agent(const struct job *job)
{
    return job->reason != NULL && strcmp(job->reason, "adapter_missing") == 0;
}

/* What went wrong: what we have to say of it, or the agent; for one that had no time for any word,
 * where it was looked for, or which signal ended it: in `ours`. */
static const char *error_text(const struct job *job, bool plain, struct buf *ours)
{
    const struct adapter_facts *facts = &job->adapter.facts;
    const char *name = job->record.signal > 0 ? sigabbrev_np(job->record.signal) : NULL;
    bool said = !plain && facts->error != NULL && facts->error[0] != '\0';
    if (job->trouble.text[0] != '\0')
        return job->trouble.text;
    if (plain)
        return "the database refused what the agent says of itself";
    if (job->unstored != NULL)
        return job->unstored;
    if (facts->ending == ENDING_COMPLETED)
        return NULL;
    if (said)
        return facts->error;
    if (lacks_agent(job))
        host_missing(job->host, job->agent_type, ours);
    else if (name != NULL)
        buf_addf(ours, "ended by SIG%s", name);
    return buf_text(ours);
}

static void tokens(struct buf *out, const struct adapter_facts *facts)
{
    if (!facts->has_tokens)
        return;
    member(out, "tokens");
    buf_adds(out, "{");
    number(out, "input", facts->tokens.input);
    number(out, "cached_input", facts->tokens.cached_input);
    number(out, "output", facts->tokens.output);
    number(out, "reasoning", facts->tokens.reasoning);
    buf_adds(out, "}");
}

/* By the CLI's own account, in which USD are estimates. */
static void cost(struct buf *out, const struct adapter_facts *facts)
{
    if (!facts->has_cost)
        return;
    member(out, "cost_usd");
    buf_addf(out, "%" PRId64 ".%06d", facts->cost_micros / 1000000,
             (int)(facts->cost_micros % 1000000));
    text(out, "cost_source", "agent");
}

static void limit(struct buf *out, const struct adapter_limit *limit)
{
    if (limit->text == NULL)
        return;
    member(out, "limit");
    buf_adds(out, "{");
    text(out, "window", limit->window);
    text(out, "text", limit->text);
    buf_adds(out, "}");
}

const char *job_question(const struct job *job)
{
    return job->question != NULL ? job->question : job->adapter.facts.question;
}

static void said(const struct job *job, struct buf *out)
{
    const struct adapter_facts *facts = &job->adapter.facts;
    char session[129];
    job_session(job, session);
    text(out, "session_id", facts->session_id[0] != '\0' ? facts->session_id : session);
    text(out, "summary", facts->summary);
    text(out, "model", facts->model);
    text(out, "question", job_question(job));
    tokens(out, facts);
    cost(out, facts);
    limit(out, &facts->limit);
}

/* How it was run; of what the configuration says now. */
static void setting(const struct job *job, struct buf *out)
{
    const struct config_agent *agent = host_agent(job->host, job->agent_type);
    if (agent == NULL)
        return;
    text(out, "profile", agent->profile);
    text(out, "isolation", agent->isolation);
    text(out, "sandbox", agent->sandbox);
    text(out, "agent_version", host_agent_version(job->host, job->agent_type));
}

void job_report(const struct job *job, struct buf *out, bool plain)
{
    struct buf ours;
    buf_init(&ours, 4096);
    buf_adds(out, "{");
    text(out, "error", error_text(job, plain, &ours));
    buf_release(&ours);
    text(out, "stopped", job->stop_reason);
    setting(job, out);
    if (!plain)
        said(job, out);
    if (job->has_work) {
        member(out, "work");
        workspace_report(out, &job->work, job->branch);
    }
    buf_adds(out, "}");
}
