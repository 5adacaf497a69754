/* What an agent's process finds around it. */
#include "worker/runner/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define OOM_STEP 200
#define PAIRS 11
#define PLAIN_PATH "/usr/local/bin:/usr/bin:/bin"

/* Short, for a socket's path in it has 107 bytes: 8 digits of the nonce, and what follows the last
 * dash of the run's name. */
static void name_tmp(const struct runner_key *key, char name[static RUNNER_RUN_SIZE + 10])
{
    const char *dash = strrchr(key->run, '-');
    snprintf(name, RUNNER_RUN_SIZE + 10, "%.8s.%s", key->nonce, dash == NULL ? key->run : dash + 1);
}

void job_make_tmp(const struct base *base, const struct runner_key *key)
{
    char name[RUNNER_RUN_SIZE + 10];
    name_tmp(key, name);
    int tmps = file_make_folder(base->fleet, "tmp");
    if (tmps < 0)
        return;
    if (mkdirat(tmps, name, 0700) != 0 && errno == EEXIST && file_remove(tmps, name))
        mkdirat(tmps, name, 0700);
    close(tmps);
}

void job_remove_tmp(const struct base *base, const struct runner_key *key)
{
    char name[RUNNER_RUN_SIZE + 10];
    name_tmp(key, name);
    int tmps = file_open_folder(base->fleet, "tmp");
    if (tmps < 0)
        return;
    file_remove(tmps, name);
    close(tmps);
}

static bool set_oom_score(int score)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d", score);
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    bool set = file >= 0 && write(file, text, (size_t)len) == len;
    if (file >= 0)
        close(file);
    return set;
}

/* Out of memory, the agent goes before we do: we below what we were given, or it above. */
int job_oom_score(void)
{
    char text[16];
    int file = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    size_t len = file < 0 ? 0 : file_read_some(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    if (len == 0)
        return INT_MIN;
    text[len] = '\0';
    int score = (int)strtol(text, NULL, 10);
    if (score - OOM_STEP >= -1000 && set_oom_score(score - OOM_STEP))
        return score;
    return score + OOM_STEP > 1000 ? 1000 : score + OOM_STEP;
}

/* --- In the child --- */

/* The account's name; its number when it has none. */
static const char *own_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "%u", (unsigned)getuid());
    FILE *passwd = fopen("/etc/passwd", "re");
    if (passwd == NULL)
        return name;
    for (const struct passwd *row; (row = fgetpwent(passwd)) != NULL;) {
        if (row->pw_uid == getuid()) {
            snprintf(name, sizeof name, "%s", row->pw_name);
            break;
        }
    }
    fclose(passwd);
    return name;
}

/* `name`, as we have it or else `plain`. */
static char *keep(const char *name, const char *plain)
{
    const char *value = getenv(name);
    char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value == NULL || *value == '\0' ? plain : value) < 0)
        _exit(126);
    return pair;
}

static char *set(const char *name, const char *value)
{
    char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value) < 0)
        _exit(126);
    return pair;
}

/* Where this program lies, for the job script. */
static char *own_program(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    return set("FLEET_RUNNER", path);
}

/* Nothing of ours goes into an agent's environment but this list. */
static void make_environment(const struct job *job, char *pairs[static PAIRS])
{
    const char *name = own_name();
    char tmp[RUNNER_RUN_SIZE + 10], path[sizeof job->base->path + sizeof tmp + 8];
    name_tmp(job->key, tmp);
    const char *slash = strrchr(job->base->path, '/');
    snprintf(path, sizeof path, "%.*s/tmp/%s", slash == NULL ? 0 : (int)(slash - job->base->path),
             job->base->path, tmp);
    char mark[RUNNER_RUN_SIZE + RUNNER_NONCE_SIZE + 1];
    snprintf(mark, sizeof mark, "%s.%s", job->key->run, job->key->nonce);
    pairs[0] = keep("HOME", "/");
    pairs[1] = keep("USER", name);
    pairs[2] = keep("LOGNAME", name);
    pairs[3] = set("PATH", job->path[0] == '\0' ? PLAIN_PATH : job->path);
    pairs[4] = keep("LANG", "C.UTF-8");
    pairs[5] = keep("SHELL", "/bin/sh");
    pairs[6] = set("TMPDIR", path);
    pairs[7] = set("FLEET_RUN", mark);
    pairs[8] = own_program();
    pairs[9] = job->fresh ? set("FLEET_FRESH", "1") : NULL;
    pairs[10] = NULL;
}

static void reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* what has no other way refuses it */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool enter_folder(const struct job *job)
{
    char path[RUNNER_RUN_SIZE + 8];
    snprintf(path, sizeof path, "tasks/%s", job->folder);
    int folder = openat(job->base->work, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0 && fchdir(folder) == 0;
}

static bool set_streams(const struct job *job)
{
    int prompt = file_open(job->up, "prompt", O_RDONLY);
    if (prompt < 0)
        return false;
    fcntl(prompt, F_SETFL, 0); /* agents need not know */
    /* All three are above 2: the supervisor has /dev/null there. */
    return dup2(prompt, 0) == 0 && dup2(job->out, 1) == 1 && dup2(job->err, 2) == 2;
}

static _Noreturn void become_agent(const struct job *job)
{
    prctl(PR_SET_DUMPABLE, 1); /* its /proc is its own again */
    if (job->oom_score_adj != INT_MIN)
        set_oom_score(job->oom_score_adj);
    char *pairs[PAIRS], script[sizeof job->base->path + RUNNER_RUN_SIZE + 48];
    make_environment(job, pairs);
    snprintf(script, sizeof script, "%s/runs/%s/up.%u/job.sh", job->base->path, job->key->run,
             (unsigned)job->key->epoch);
    if (setsid() < 0 || !enter_folder(job) || !set_streams(job))
        _exit(126);
    umask(022);
    reset_signals();
    execve("/bin/sh", (char *[]){(char *)"/bin/sh", script, NULL}, pairs);
    _exit(errno == ENOENT ? 127 : 126);
}

pid_t job_start(const struct job *job)
{
    pid_t agent = fork();
    if (agent == 0)
        become_agent(job);
    return agent;
}
