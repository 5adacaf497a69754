/* The outcome of a run that has ended. */
#include <string.h>

#include "worker/job/job.h"

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
    if (end->run_tampered) { /* whatever lies there now */
        *reason = "run_tampered";
        return "failed";
    }
    if (end->state == RUNNER_LOST) {
        *reason = end->rebooted ? "host_rebooted" : "run_lost";
        return "lost";
    }
    if (is(said, "exit") || is(said, ""))
        return judge_exit(end, reason);
    if (is(said, JOB_DONE))
        return adapter_judge(end->adapter, 0, reason);
    static const struct {
        const char *reason, *outcome;
    } known[] = {{"timed_out", "timed_out"},   {"silence_timeout", "timed_out"},
                 {"cancelled", "cancelled"},   {"output_limit", "failed"},
                 {"provider_down", "failed"},  {"auth_failed", "failed"},
                 {"rate_limited", "failed"},   {"context_overflow", "failed"},
                 {"provider_quota", "failed"}, {"network_failed", "failed"},
                 {"agent_refused", "failed"},  {"agent_setup", "failed"},
                 {"turn_limit", "failed"},     {"session_lost", "failed"},
                 {"host_disk_full", "failed"}, {"output_failed", "failed"},
                 {"status_invalid", "failed"}, {"output_tampered", "failed"},
                 {"run_tampered", "failed"},   {"run_lost", "lost"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (is(said, known[i].reason)) {
            *reason = known[i].reason;
            return known[i].outcome;
        }
    }
    *reason = "status_invalid"; /* a word that we never gave */
    return "failed";
}
