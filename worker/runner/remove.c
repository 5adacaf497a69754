/* Removes workspaces and stages, and loses nothing. */
#include "worker/runner/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/access.h"
#include "worker/runner/clean.h"
#include "worker/runner/fault.h"
#include "worker/runner/file.h"
#include "worker/runner/keeper.h"
#include "worker/runner/leftover.h"
#include "worker/runner/move.h"
#include "worker/runner/push.h"
#include "worker/runner/repository.h"
#include "worker/runner/source.h"
#include "worker/runner/take.h"

#define ANSWER_MS 30000              /* what is kept of the limit for the answer */
#define MIRROR_SECS INT64_C(2592000) /* 30 days */

struct removal {
    const struct base *base;
    const struct runner_key *key;
    const struct runner_work *work;
    struct runner_worked *worked;
    const char *path; /* PATH of jobs */
    struct git git;
    struct access access;
    struct stage stage;
    int tree; /* owned; the workspace's folder; -1: there is none */
    char tree_path[4352];
    int64_t deadline;
};

static bool keep(struct removal *removal, const char *reason, const char *detail)
{
    fault(removal->worked, reason, detail);
    removal->worked->state = WORK_KEPT;
    return false;
}

/* --- May we? --- */

static bool pass_fence(struct removal *removal)
{
    int run = run_open(removal->base, removal->key);
    int64_t epoch = run >= 0 ? run_epoch(run) : 0;
    if (run >= 0)
        close(run);
    if (epoch <= removal->key->epoch &&
        stage_number(&removal->stage) <= (long)removal->work->number)
        return true;
    keep(removal, "", "a later attempt has it");
    removal->worked->state = WORK_FENCED;
    return false;
}

static bool open_stage(struct removal *removal)
{
    switch (stage_open(removal->base, removal->work->folder, false, &removal->stage)) {
    case STAGE_OPEN:
        repository_tidy(removal->stage.dir);
        return pass_fence(removal);
    case STAGE_NONE:
        return true;
    case STAGE_BUSY:
        return keep(removal, "workspace_busy", "another call works on this task's stage");
    case STAGE_FAILED:
        break;
    }
    return fault_of_errno(removal->worked, "the stage cannot be opened");
}

static bool open_tree(struct removal *removal)
{
    struct stat status;
    char self[40];
    int tasks = file_open_folder(removal->base->work, "tasks");
    bool there =
        tasks >= 0 && file_look(tasks, removal->work->folder, &status) && S_ISDIR(status.st_mode);
    const char *why = there ? move_folder(removal->base, removal->work->folder, NULL) : NULL;
    removal->tree = there && why == NULL ? file_open_folder(tasks, removal->work->folder) : -1;
    if (tasks >= 0)
        close(tasks);
    if (why != NULL)
        return keep(removal, why, "the workspace cannot be taken over from its account");
    if (there && removal->tree < 0)
        return keep(removal, "folder", "the workspace cannot be opened");
    snprintf(self, sizeof self, "/proc/self/fd/%d", removal->tree);
    ssize_t len = there ? readlink(self, removal->tree_path, sizeof removal->tree_path - 1) : 0;
    removal->tree_path[len > 0 ? len : 0] = '\0';
    return true;
}

static bool begin(struct removal *removal, int channel)
{
    char why[256];
    if (!access_open(&removal->access, removal->work, why))
        return keep(removal, "workspace_failed", why);
    if (!git_init(&removal->git, removal->path, channel, removal->deadline))
        return keep(removal, "git_missing", removal->git.words);
    removal->git.secret = removal->access.mask;
    if (clean_is_used(removal->base, removal->work->folder))
        return keep(removal, "in_use", "a run or a process works in it");
    return open_stage(removal) && open_tree(removal);
}

/* --- Is anything in it that nobody else has? --- */

static bool has_aside(const struct removal *removal)
{
    bool has = false;
    int fd = openat(removal->stage.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        has |= strncmp(entry->d_name, "aside.", 6) == 0;
    if (entries != NULL)
        closedir(entries);
    return has;
}

static bool failed(struct removal *removal, const char *what)
{
    if (removal->git.end == GIT_DONE)
        fault_of_errno(removal->worked, what);
    else
        fault_of_git(removal->worked, &removal->git, "workspace_failed");
    removal->worked->state = WORK_KEPT;
    return false;
}

static bool take_commits(struct removal *removal)
{
    struct take take = {.git = &removal->git,
                        .stage = &removal->stage,
                        .tree = removal->tree,
                        .branch = removal->work->branch};
    enum take_end end = take_in(&take);
    if (end == TAKE_DONE || end == TAKE_NONE)
        return true;
    return end == TAKE_TAMPERED ? keep(removal, "workspace_tampered", take.note)
                                : failed(removal, "what was committed cannot be taken in");
}

static bool take_leftovers(struct removal *removal)
{
    char detail[LEFTOVER_NAMES_SIZE + 64];
    struct leftover leftover = {.git = &removal->git,
                                .stage = &removal->stage,
                                .tree = removal->tree,
                                .tree_path = removal->tree_path,
                                .branch = removal->work->branch,
                                .commit = true,
                                .author = removal->work->author,
                                .message = removal->work->message};
    enum take_end end = leftover_take(&leftover);
    removal->worked->leftovers = leftover.files;
    removal->worked->withheld = leftover.withheld;
    if (end == TAKE_TAMPERED)
        return keep(removal, "workspace_tampered", removal->git.words);
    if (end != TAKE_DONE)
        return failed(removal, "what was left uncommitted cannot be taken in");
    snprintf(detail, sizeof detail, "in the workspace alone: %s", leftover.names);
    return leftover.withheld == 0 || keep(removal, "uncommitted", detail);
}

static bool is_ancestor(struct removal *removal, const char *old, const char *young)
{
    struct git_child child = {.dir = removal->stage.path};
    return young[0] != '\0' &&
           (strcmp(old, young) == 0 ||
            git_run(&removal->git, &child, "merge-base", "--is-ancestor", old, young));
}

/* The server has it, or gets it. */
static bool save(struct removal *removal, const char *commit)
{
    struct push push = {.git = &removal->git,
                        .stage = &removal->stage,
                        .work = removal->work,
                        .access = &removal->access,
                        .worked = removal->worked};
    if (commit[0] == '\0')
        return true;
    if (!push_open(&push))
        return false;
    if (is_ancestor(removal, commit, push.base) ||
        is_ancestor(removal, commit, removal->worked->pushed))
        return true;
    snprintf(push.head, sizeof push.head, "%s", commit);
    int64_t limit = clock_now() + (int64_t)removal->work->push_secs * 1000;
    removal->git.deadline = limit < removal->deadline ? limit : removal->deadline;
    bool saved = push_rescue(&push);
    removal->git.deadline = removal->deadline;
    removal->worked->state = WORK_KEPT;
    return saved;
}

static bool save_all(struct removal *removal)
{
    char ref[REFS_NAME_SIZE], head[REFS_COMMIT_SIZE], left[REFS_COMMIT_SIZE];
    if (removal->stage.dir < 0)
        return true;
    if (has_aside(removal))
        return keep(removal, "uncommitted", "a working tree of it was put aside, in its stage");
    if (removal->tree >= 0 && (!take_commits(removal) || !take_leftovers(removal)))
        return false;
    snprintf(ref, sizeof ref, "refs/heads/%.200s", removal->work->branch);
    stage_ref(&removal->stage, ref, head);
    stage_ref(&removal->stage, "refs/fleet/left", left);
    return save(removal, head) && save(removal, left);
}

/* --- Away with it --- */

/* The operator's words, in the workspace; how they end changes nothing. Not where the agent has an
 * account of its own: what it wrote is not to be run by ours. */
static void run_hook(struct removal *removal)
{
    char text[WORK_BLOB_MAX + 64], path[1100], home[300];
    const struct runner_blob *hook = &removal->work->before_remove;
    const char *words[] = {"/bin/sh", "-c", text, NULL};
    const char *variables[] = {path, home, "LC_ALL=C.UTF-8", NULL};
    struct keeper keeper;
    if (hook->len == 0 || removal->work->run_as[0] != '\0' || removal->tree < 0 ||
        fchdir(removal->tree) != 0)
        return;
    snprintf(text, sizeof text, "%.*s", (int)hook->len, (const char *)hook->bytes);
    snprintf(path, sizeof path, "PATH=%.1000s", removal->path);
    const char *own = getenv("HOME");
    snprintf(home, sizeof home, "HOME=%.256s", own != NULL ? own : "/");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct kept kept = {.file = words[0],
                        .words = (char *const *)words,
                        .variables = (char *const *)variables,
                        .in = null,
                        .out = null,
                        .err = null};
    if (null >= 0 && keeper_start(&keeper, &kept)) {
        struct pollfd event = {.fd = keeper.life, .events = POLLIN};
        if (poll(&event, 1, (int)removal->work->hook_secs * 1000) == 0)
            keeper_end(&keeper);
        keeper_wait(&keeper);
    }
    if (null >= 0)
        close(null);
    if (chdir("/") != 0)
        return;
}

static bool remove_stage(struct removal *removal)
{
    int stages = removal->stage.dir >= 0 ? file_open_folder(removal->base->dir, "stages") : -1;
    if (removal->stage.dir < 0)
        return true;
    bool gone = stages >= 0 && file_remove_by(stages, removal->work->folder, removal->deadline);
    if (stages >= 0)
        close(stages);
    return gone || keep(removal, "busy", "its stage is not wholly removed yet");
}

static void run(struct removal *removal, int channel)
{
    if (!begin(removal, channel) || !save_all(removal))
        return;
    run_hook(removal);
    const char *why = clean_folder(removal->base, removal->work->folder);
    if (why != NULL)
        keep(removal, why, "the workspace is not removed");
    else if (remove_stage(removal)) {
        removal->worked->state = WORK_READY;
        removal->worked->reason[0] = removal->worked->detail[0] = '\0';
    }
}

void remove_run(const struct base *base, const struct runner_key *key,
                const struct runner_work *work, const char *path, int channel,
                struct runner_worked *worked)
{
    static struct removal removal;
    removal = (struct removal){.base = base,
                               .key = key,
                               .work = work,
                               .worked = worked,
                               .path = path,
                               .access = {.secret = -1, .known_hosts = -1},
                               .stage = {.dir = -1, .lock = -1},
                               .tree = -1,
                               .deadline = clock_now() + work_limit_ms(work) - ANSWER_MS};
    run(&removal, channel);
    if (removal.tree >= 0)
        close(removal.tree);
    stage_close(&removal.stage);
    access_close(&removal.access);
}

/* --- Mirrors --- */

/* Some stage has its objects from there. */
static bool is_borrowed(const struct base *base, const char *mirror)
{
    char text[FILE_SMALL_MAX + 1];
    bool borrowed = false;
    int fd = file_open_folder(base->dir, "stages");
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry;
         !borrowed && entries != NULL && (entry = readdir(entries)) != NULL;) {
        int info = -1,
            stage = entry->d_name[0] != '.' ? file_open_folder(dirfd(entries), entry->d_name) : -1;
        int objects = stage >= 0 ? file_open_folder(stage, "objects") : -1;
        info = objects >= 0 ? file_open_folder(objects, "info") : -1;
        borrowed = info >= 0 && file_text(info, "alternates", text) && strstr(text, mirror) != NULL;
        const int all[] = {info, objects, stage};
        for (size_t i = 0; i < 3; i++)
            if (all[i] >= 0)
                close(all[i]);
    }
    if (entries != NULL)
        closedir(entries);
    return borrowed;
}

static bool is_old(int mirrors, const char *name)
{
    struct stat status;
    int dir = file_open_folder(mirrors, name);
    bool old =
        dir >= 0 && file_look(dir, "told", &status) && time(NULL) - status.st_mtime > MIRROR_SECS;
    if (dir >= 0)
        close(dir);
    return old;
}

/* Whoever fetches has its lock, and makes it anew where it is gone. */
static void remove_mirror(const struct base *base, int mirrors, const char *name, int64_t deadline)
{
    char lock_name[300];
    if (!is_old(mirrors, name))
        return;
    snprintf(lock_name, sizeof lock_name, "%.255s.lock", name);
    int lock = file_open(mirrors, lock_name, O_RDWR);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 && is_old(mirrors, name) &&
        !is_borrowed(base, name))
        file_remove_by(mirrors, name, deadline);
    if (lock >= 0)
        close(lock);
}

void remove_mirrors(const struct base *base, int64_t deadline)
{
    int mirrors = file_open_folder(base->dir, "mirrors");
    int fd = mirrors >= 0 ? openat(mirrors, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry;
         entries != NULL && clock_now() < deadline && (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.')
            remove_mirror(base, mirrors, entry->d_name, deadline);
    if (entries != NULL)
        closedir(entries);
    if (mirrors >= 0)
        close(mirrors);
}
