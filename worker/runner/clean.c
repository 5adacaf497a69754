/* Removal of what is old: working directories of tasks, leftovers, runners of other versions. */
#include "worker/runner/clean.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/entry.h"
#include "worker/runner/file.h"
#include "worker/runner/move.h"
#include "worker/runner/process.h"
#include "worker/runner/remove.h"
#include "worker/runner/source.h"

#define LEFTOVER_SECS 3600
#define OLD_RUNNER_SECS INT64_C(2592000) /* 30 days */
#define RUNNER_NAME "fleet-runner-"

/* Calls `each` for every name in `dir` until it says that it has enough. False: it did, or the
 * directory cannot be read. */
static bool each_name(int dir, bool (*each)(void *data, int dir, const char *name), void *data)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    bool more = entries != NULL;
    if (entries == NULL && fd >= 0)
        close(fd);
    for (const struct dirent *entry; more && (entry = readdir(entries)) != NULL;)
        more = each(data, dir, entry->d_name);
    if (entries != NULL)
        closedir(entries);
    return more;
}

static bool is_older(int dir, const char *name, int64_t secs)
{
    struct stat status;
    return file_look(dir, name, &status) && time(NULL) - status.st_mtime > secs;
}

/* --- What was left --- */

struct leftovers {
    const struct base *base; /* borrowed */
    const char *folder;      /* of this task only; NULL: whatever it is of */
    int64_t deadline;
    bool left;
};

/* ".gone.FOLDER.PID" */
static bool is_gone(const char *name, const char *folder)
{
    static const char prefix[] = ".gone.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    name += sizeof prefix - 1;
    size_t len = folder != NULL ? strlen(folder) : 0;
    return folder == NULL || (strncmp(name, folder, len) == 0 && name[len] == '.');
}

static bool remove_leftover(void *data, int dir, const char *name)
{
    struct leftovers *leftovers = data;
    bool begun = leftovers->folder == NULL && strncmp(name, ".new.", 5) == 0;
    if (is_gone(name, leftovers->folder) || (begun && is_older(dir, name, LEFTOVER_SECS)))
        leftovers->left |= !move_remove(leftovers->base, dir, name, leftovers->deadline);
    return clock_now() < leftovers->deadline;
}

static bool remove_leftovers(const struct base *base, int dir, const char *folder, int64_t deadline)
{
    struct leftovers leftovers = {.base = base, .folder = folder, .deadline = deadline};
    return each_name(dir, remove_leftover, &leftovers) && !leftovers.left;
}

bool clean_leftovers(const struct base *base, int dir, int64_t deadline)
{
    return remove_leftovers(base, dir, NULL, deadline);
}

/* --- The working directory of a task --- */

/* Its repository's, where it has one. */
static bool has_stage(const struct base *base, const char *folder)
{
    struct stat status;
    int stages = file_open_folder(base->dir, "stages");
    bool there = stages >= 0 && file_look(stages, folder, &status);
    if (stages >= 0)
        close(stages);
    return there;
}

struct use {
    const struct base *base;
    const char *folder;
    bool found;
};

/* A start holds the lock of its run until it is past go: what is locked or lives may work in it. */
static void look_at_run(void *data, const struct runner_key *key)
{
    struct use *use = data;
    struct runner_record record;
    size_t len = strlen(use->folder);
    if (use->found || strncmp(key->run, use->folder, len) != 0 || key->run[len] != '.')
        return;
    int dir = run_open(use->base, key);
    int lock = dir >= 0 ? file_open(dir, "lock", O_RDONLY) : -1;
    use->found = lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0;
    if (lock >= 0)
        close(lock);
    if (dir >= 0)
        close(dir);
    if (use->found)
        return;
    run_look(use->base, key, &record);
    use->found = record.state == RUNNER_RUNNING || record.state == RUNNER_ORPHANED ||
                 record.state == RUNNER_TAMPERED;
}

static bool is_used(const struct base *base, const char *folder, int dir)
{
    char path[4096], self[32];
    struct use use = {.base = base, .folder = folder};
    snprintf(self, sizeof self, "/proc/self/fd/%d", dir);
    ssize_t len = readlink(self, path, sizeof path - 1);
    if (len <= 0)
        return true;
    path[len] = '\0';
    if (process_works_in(path))
        return true;
    run_each(base, look_at_run, &use);
    return use.found;
}

/* One of another account's becomes ours first; NULL, also when there is none, or why it does not.
 * What cannot be taken over goes by the hand of whom it is of. */
static const char *take_over(const struct base *base, int tasks, const char *folder)
{
    struct stat status;
    struct use use = {.base = base, .folder = folder};
    if (!file_look(tasks, folder, &status) || status.st_uid == getuid() || !S_ISDIR(status.st_mode))
        return NULL;
    run_each(base, look_at_run, &use);
    if (use.found)
        return "in_use";
    const char *why = move_folder(base, folder, NULL);
    if (why == NULL || strcmp(why, "folder") != 0)
        return why;
    return move_remove(base, tasks, folder, clock_now() + CLEAN_MS) ? NULL : why;
}

/* Under another name nothing begins to work in it; what began just before is seen then, and gets it
 * back. */
static const char *put_aside(const struct base *base, int tasks, const char *folder, int dir)
{
    char name[RUNNER_RUN_SIZE + 32];
    snprintf(name, sizeof name, ".gone.%s.%d", folder, (int)getpid());
    if (is_used(base, folder, dir))
        return "in_use";
    if (renameat2(tasks, folder, tasks, name, RENAME_NOREPLACE) != 0)
        return errno == ENOENT ? NULL : "folder";
    if (!is_used(base, folder, dir))
        return NULL;
    renameat2(tasks, name, tasks, folder, RENAME_NOREPLACE);
    return "in_use";
}

/* Why it is not gone; NULL: it is. */
static const char *remove_folder(const struct base *base, int tasks, const char *folder)
{
    struct stat status;
    int64_t deadline = clock_now() + CLEAN_MS;
    const char *why = take_over(base, tasks, folder);
    if (why != NULL)
        return why;
    if (file_look(tasks, folder, &status) && !S_ISDIR(status.st_mode))
        return unlinkat(tasks, folder, 0) == 0 ? NULL : "folder";
    int dir = file_open_folder(tasks, folder);
    if (dir < 0 && errno != ENOENT)
        return "folder";
    if (dir >= 0) {
        why = put_aside(base, tasks, folder, dir);
        close(dir);
    }
    if (why == NULL && !remove_leftovers(base, tasks, folder, deadline))
        why = clock_now() >= deadline ? "busy" : "folder";
    return why;
}

bool clean_is_used(const struct base *base, const char *folder)
{
    struct use use = {.base = base, .folder = folder};
    int tasks = file_open_folder(base->work, "tasks");
    int dir =
        tasks >= 0 ? openat(tasks, folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    bool used = dir >= 0 && is_used(base, folder, dir);
    if (dir < 0)
        run_each(base, look_at_run, &use);
    if (dir >= 0)
        close(dir);
    if (tasks >= 0)
        close(tasks);
    return used || use.found;
}

const char *clean_folder(const struct base *base, const char *folder)
{
    int tasks = file_open_folder(base->work, "tasks");
    if (tasks < 0)
        return errno == ENOENT ? NULL : "folder";
    const char *why = remove_folder(base, tasks, folder);
    close(tasks);
    return why;
}

/* --- Runners of other versions --- */

static bool is_runner(const char *name)
{
    size_t prefix = sizeof RUNNER_NAME - 1;
    return strncmp(name, RUNNER_NAME, prefix) == 0 && strspn(name + prefix, FRAME_HEX) == 64 &&
           strlen(name) == prefix + 64;
}

static bool remove_old_runner(void *data, int dir, const char *name)
{
    struct stat status;
    (void)data;
    if (is_runner(name) && is_older(dir, name, OLD_RUNNER_SECS) && file_look(dir, name, &status) &&
        S_ISREG(status.st_mode) && status.st_uid == getuid() && !process_executes(&status))
        unlinkat(dir, name, 0);
    return true;
}

static const char *clean_rest(const struct base *base)
{
    int64_t deadline = clock_now() + CLEAN_MS;
    int bin = file_open_folder(base->dir, "bin");
    if (bin >= 0) {
        each_name(bin, remove_old_runner, NULL);
        clean_leftovers(base, bin, deadline);
        close(bin);
    }
    remove_mirrors(base, deadline);
    int tasks = file_open_folder(base->work, "tasks");
    bool all = clean_leftovers(base, base->runs, deadline);
    if (tasks >= 0) {
        all = clean_leftovers(base, tasks, deadline) && all;
        close(tasks);
    }
    return all ? NULL : "busy";
}

static const char *clean_one(const struct base *base, const char *folder)
{
    return has_stage(base, folder) ? "repository" : clean_folder(base, folder);
}

void clean(const struct base *base, const char *folder, struct runner_reply *reply)
{
    const char *why = folder[0] == '\0' ? clean_rest(base) : clean_one(base, folder);
    reply->verdict = why == NULL ? RUNNER_STATE : RUNNER_REFUSED;
    if (why != NULL)
        snprintf(reply->reason, sizeof reply->reason, "%s", why);
}
