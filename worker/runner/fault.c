/* What git's words mean. */
#include "worker/runner/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "worker/runner/look.h"

/* As git, curl, ssh and the servers say it in the language C; the first row that applies. */
static const struct {
    const char *words, *reason;
} meanings[] = {
    {"No space left on device", "host_disk_full"},
    {"Disk quota exceeded", "host_disk_full"},
    {"Authentication failed", "git_auth_failed"},
    {"could not read Username", "git_auth_failed"},
    {"could not read Password", "git_auth_failed"},
    {"Permission denied (publickey", "git_auth_failed"},
    {"Host key verification failed", "git_auth_failed"},
    {"Load key", "git_auth_failed"},
    {"The requested URL returned error: 401", "git_auth_failed"},
    {"The requested URL returned error: 403", "git_auth_failed"},
    {"The requested URL returned error: 404", "repository_missing"},
    {"epository not found", "repository_missing"},
    {"does not appear to be a git repository", "repository_missing"},
    {"' not found", "repository_missing"},
    {"does not exist", "repository_missing"},
    {"Cannot find repository", "repository_missing"},
};

static const char *const damages[] = {
    "bad object",         "is corrupt",
    "corrupted",          "unable to read",
    "not a git repo",     "bad tree object",
    "packfile",           "invalid sha1 pointer",
    "not a valid object", "failed to read object",
    "object file",        "missing blob",
    "missing tree",       "missing commit",
    "bad config",         "did not send all necessary",
    "could not parse",    "unable to find",
    "cannot be accessed", "does not match index",
    "Could not read",     "non-monotonic index",
    "wrong index",        "mismatched algorithms",
};

bool fault(struct runner_worked *worked, const char *reason, const char *detail)
{
    worked->state = WORK_FAILED;
    snprintf(worked->reason, sizeof worked->reason, "%s", reason);
    look_show(detail, worked->detail, sizeof worked->detail);
    return false;
}

bool fault_of_errno(struct runner_worked *worked, const char *what)
{
    char detail[GIT_WORDS_SIZE];
    int why = errno;
    snprintf(detail, sizeof detail, "%s: %s", what, strerror(why));
    return fault(worked, why == ENOSPC || why == EDQUOT ? "host_disk_full" : "workspace_failed",
                 detail);
}

static const char *meaning(const char *words)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strstr(words, meanings[i].words) != NULL)
            return meanings[i].reason;
    return NULL;
}

bool fault_of_move(struct runner_worked *worked, const char *why)
{
    if (strcmp(why, "account_busy") == 0)
        return fault(worked, "workspace_busy", "another run has the account of the agent");
    if (strcmp(why, "folder") == 0)
        return fault(worked, "workspace_failed",
                     "the workspace cannot go from one account to another: it is too deep, or of "
                     "none that we know");
    return fault(worked, why, "the workspace cannot go from one account to another");
}

bool fault_of_git(struct runner_worked *worked, const struct git *git, const char *otherwise)
{
    char detail[GIT_WORDS_SIZE + 128];
    const char *known = git->end == GIT_REFUSED ? meaning(git->words) : NULL;
    const char *why = git->end == GIT_LATE      ? "git had not ended when its time was over"
                      : git->end == GIT_STALLED ? "git heard nothing from the server for 5 minutes"
                      : git->end == GIT_FULL ? "less than git.min_free_bytes were left on the disk"
                      : git->end == GIT_LOST ? "nobody waited for git any more"
                                             : NULL;
    if (why == NULL && git->words[0] == '\0')
        snprintf(detail, sizeof detail, "git ended with status %d and said nothing", git->exit);
    else
        snprintf(detail, sizeof detail, "%s%s%s", why != NULL ? why : "",
                 why != NULL && git->words[0] != '\0' ? "; it said: " : "", git->words);
    if (git->end == GIT_FULL)
        known = "host_disk_full";
    return fault(worked, known != NULL ? known : otherwise, detail);
}

bool fault_is_damage(const struct git *git)
{
    if (git->end != GIT_REFUSED || meaning(git->words) != NULL)
        return false;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        if (strstr(git->words, damages[i]) != NULL)
            return strstr(git->words, "Could not read from remote") == NULL;
    return false;
}
