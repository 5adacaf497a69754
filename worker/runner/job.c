/* What an agent's process finds around it. */
#include "worker/runner/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/account.h"
#include "worker/runner/become.h"
#include "worker/runner/file.h"
#include "worker/runner/process.h"
#include "worker/runner/scene.h"

#define OOM_STEP 200

/* Short, for a socket's path in it has 107 bytes: 8 digits of the nonce, and what follows the last
 * dash of the run's name. */
static void name_tmp(const struct runner_key *key, char name[static RUNNER_RUN_SIZE + 10])
{
    const char *dash = strrchr(key->run, '-');
    snprintf(name, RUNNER_RUN_SIZE + 10, "%.8s.%s", key->nonce, dash == NULL ? key->run : dash + 1);
}

static void path_tmp(const struct base *base, const struct runner_key *key,
                     char path[static PATH_MAX])
{
    char name[RUNNER_RUN_SIZE + 10];
    name_tmp(key, name);
    const char *slash = strrchr(base->path, '/');
    snprintf(path, PATH_MAX, "%.*s/tmp/%s", slash == NULL ? 0 : (int)(slash - base->path),
             base->path, name);
}

void job_make_tmp(const struct base *base, const struct runner_key *key, const char *account)
{
    char name[RUNNER_RUN_SIZE + 10];
    name_tmp(key, name);
    int tmps = file_make_folder(base->fleet, "tmp");
    if (tmps < 0)
        return;
    if (account[0] != '\0')
        fchmod(tmps,
               01733); /* who has a folder there knows its name, and nobody else takes it away */
    else if (mkdirat(tmps, name, 0700) != 0 && errno == EEXIST && file_remove(tmps, name))
        mkdirat(tmps, name, 0700);
    close(tmps);
}

void job_remove_tmp(const struct base *base, const struct runner_key *key, const char *account)
{
    char name[RUNNER_RUN_SIZE + 10], path[PATH_MAX];
    name_tmp(key, name);
    path_tmp(base, key, path);
    struct stat status;
    if (account[0] != '\0') {
        if (lstat(path, &status) == 0)
            account_remove(account, path);
        return;
    }
    int tmps = file_open_folder(base->fleet, "tmp");
    if (tmps < 0)
        return;
    file_remove(tmps, name);
    close(tmps);
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
    if (score - OOM_STEP >= -1000 && scene_set_oom_score(score - OOM_STEP))
        return score;
    return score + OOM_STEP > 1000 ? 1000 : score + OOM_STEP;
}

/* --- In the child --- */

struct bytes {
    char *at; /* owned; NUL-ended */
    size_t len;
};

/* An upload; one that cannot be read ends the child. */
static struct bytes read_upload(const struct job *job, const char *name)
{
    struct stat status;
    int file = file_open(job->up, name, O_RDONLY);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size > FRAME_ASK_MAX)
        _exit(126);
    struct bytes bytes = {.at = malloc((size_t)status.st_size + 1)};
    if (bytes.at == NULL)
        _exit(126);
    bytes.len = file_read_some(file, bytes.at, (size_t)status.st_size);
    bytes.at[bytes.len] = '\0';
    close(file);
    if (bytes.len != (size_t)status.st_size)
        _exit(126);
    return bytes;
}

/* It may hold what only the agent shall know. */
static struct bytes take_script(const struct job *job)
{
    struct bytes script = read_upload(job, "job.sh");
    unlinkat(job->up, "job.sh", 0);
    return script;
}

/* The base without its last two names, and the task's below it. */
static void path_folder(const struct job *job, char path[static PATH_MAX])
{
    char work[sizeof job->base->path];
    snprintf(work, sizeof work, "%s", job->base->path);
    for (int i = 0; i < 2; i++)
        work[strlen(work) - strlen(strrchr(work, '/'))] = '\0';
    snprintf(path, PATH_MAX, "%.3900s/tasks/%s", work, job->folder);
}

static _Noreturn void become_other(const struct job *job)
{
    char folder[PATH_MAX], tmp[PATH_MAX], mark[RUNNER_RUN_SIZE + PROCESS_TAG_SIZE + 1];
    char tag[PROCESS_TAG_SIZE];
    struct bytes script = take_script(job), prompt = read_upload(job, "prompt"),
                 writable = read_upload(job, "writable");
    path_folder(job, folder);
    path_tmp(job->base, job->key, tmp);
    process_tag(job->key->nonce, tag);
    snprintf(mark, sizeof mark, "%s.%s", job->key->run, tag);
    int parcel = become_pack(&(struct parcel){.folder = folder,
                                              .tmp = tmp,
                                              .mark = mark,
                                              .base = job->base->path,
                                              .sandbox = job->sandbox,
                                              .fresh = job->fresh,
                                              .writable = writable.at,
                                              .job = script.at,
                                              .job_len = (uint32_t)script.len,
                                              .prompt = prompt.at,
                                              .prompt_len = (uint32_t)prompt.len});
    /* All three are above 2: the supervisor has /dev/null there. */
    if (parcel < 0 || dup2(parcel, 0) != 0 || dup2(job->out, 1) != 1 || dup2(job->err, 2) != 2)
        _exit(126);
    if (job->oom_score_adj != INT_MIN)
        scene_set_oom_score(job->oom_score_adj);
    scene_reset_signals();
    account_become(job->account, (const char *[])BECOME_WORDS);
}

static int open_folder(const struct job *job)
{
    char path[RUNNER_RUN_SIZE + 8];
    snprintf(path, sizeof path, "tasks/%s", job->folder);
    return openat(job->base->work, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static _Noreturn void become_agent(const struct job *job)
{
    char file[sizeof job->base->path + RUNNER_RUN_SIZE + 48], folder[PATH_MAX], tmp[PATH_MAX];
    char mark[RUNNER_RUN_SIZE + RUNNER_NONCE_SIZE + 1];
    snprintf(file, sizeof file, "%s/runs/%s/up.%u/job.sh", job->base->path, job->key->run,
             (unsigned)job->key->epoch);
    snprintf(mark, sizeof mark, "%s.%s", job->key->run, job->key->nonce);
    path_folder(job, folder);
    path_tmp(job->base, job->key, tmp);
    struct scene scene = {
        .folder = open_folder(job),
        .prompt = file_open(job->up, "prompt", O_RDONLY),
        .out = job->out,
        .err = job->err,
        .script = -1,
        .file = file,
        .tmp = tmp,
        .mark = mark,
        .path = job->path,
        .base = job->base->path,
        .inside = folder,
        .sandbox = job->sandbox,
        .fresh = job->fresh,
        .oom_score_adj = job->oom_score_adj,
    };
    if (job->sandbox) {
        struct bytes script = take_script(job);
        scene.script = scene_script(script.at, script.len);
        scene.writable = read_upload(job, "writable").at;
    }
    if (scene.folder < 0 || scene.prompt < 0 || (job->sandbox && scene.script < 0))
        _exit(126);
    scene_play(&scene);
}

pid_t job_start(const struct job *job)
{
    pid_t agent = fork();
    if (agent != 0)
        return agent;
    if (setsid() < 0)
        _exit(126);
    if (job->account[0] != '\0')
        become_other(job);
    become_agent(job);
}
