/* What an attempt needs before starting(): its names on the host, the job script and the prompt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "worker/job/job.h"
#include "worker/job/prompt.h"

#define SCRIPT_MAX ((size_t)1 << 16)

/* "{a,\"b c\"}" as SQL writes it becomes "a, b c": text for people, behind the fence. */
static void labels_text(const struct job *job, struct buf *out)
{
    buf_adds(out, "");
    for (const char *c = job->labels; c != NULL && *c != '\0'; c++)
        if (*c != '{' && *c != '}' && *c != '"')
            buf_adds(out, *c == ',' ? ", " : (char[]){*c, '\0'});
}

static struct adapter_values values_of(const struct job *job, const char *run_dir)
{
    return (struct adapter_values){.work_dir = host_work_dir(job->host),
                                   .task_id = job->task_id,
                                   .branch = job->branch,
                                   .run_dir = run_dir,
                                   .nonce = job->key.nonce,
                                   .session = job->briefing.session,
                                   .repository = job_has_repository(job)};
}

void job_session(const struct job *job, char id[static 129])
{
    struct adapter_template found;
    struct adapter_values values = values_of(job, "");
    id[0] = '\0';
    if (host_template(job->host, job->agent_type, &found))
        adapter_session(&found, &values, id);
}

bool job_is_resumed(const struct job *job)
{
    char id[129];
    job_session(job, id);
    return job->briefing.session != NULL && strcmp(id, job->briefing.session) == 0;
}

static bool build_prompt(struct job *job)
{
    struct buf labels, prompt;
    buf_init(&labels, PROMPT_MAX);
    buf_init(&prompt, PROMPT_MAX);
    labels_text(job, &labels);
    struct prompt_task task = {.task_id = job->task_id,
                               .title = job->title,
                               .body = job->body,
                               .labels = buf_text(&labels),
                               .repo = job->repo,
                               .issue_number = job->issue_number,
                               .branch = job->branch,
                               .repository = job->has_work,
                               .base_branch = job->has_work ? job->work.base_branch : NULL,
                               .instructions = job->has_work ? job->work.instructions : NULL,
                               .resumed = job_is_resumed(job),
                               .summary = job->briefing.summary,
                               .question = job->briefing.question,
                               .follow_up = job->briefing.follow_up};
    char fence[PROMPT_FENCE_SIZE];
    prompt_fence(&task, fence);
    bool fits = prompt_build(&prompt, &task, fence);
    buf_release(&labels);
    job->prompt = buf_take(&prompt);
    return fits;
}

static bool build_command(struct job *job)
{
    struct adapter_template found;
    if (!host_template(job->host, job->agent_type, &found))
        return false;
    struct buf script;
    buf_init(&script, SCRIPT_MAX);
    char *run_dir = host_run_dir(job->host, job->key.run);
    struct adapter_values values = values_of(job, run_dir);
    bool fits = adapter_script(&script, &found, &values);
    free(run_dir);
    job->command = buf_take(&script);
    return fits;
}

bool job_prepare(struct job *job)
{
    free(job->command);
    free(job->prompt);
    job->command = job->prompt = NULL;
    snprintf(job->key.run, sizeof job->key.run, "%s.%d", job->folder, job->number);
    bool ready = build_command(job) && build_prompt(job);
    if (!ready)
        log_error(job->about, "cannot be prepared: no adapter for %s, or the text is too long",
                  job->agent_type);
    return ready;
}
