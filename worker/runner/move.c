/* Both ends of a stream of files, and the change of names. */
#include "worker/runner/move.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/account.h"
#include "worker/runner/file.h"
#include "worker/runner/fresh.h"
#include "worker/runner/give.h"
#include "worker/runner/source.h"

#define NAME_SIZE (RUNNER_RUN_SIZE + 32)

struct move {
    const struct base *base;
    const char *folder;
    int tasks;            /* owned */
    char path[PATH_MAX];  /* of <work_dir>/tasks */
    char made[NAME_SIZE]; /* what becomes the folder: ".new.FOLDER.RANDOM" */
};

static const char *reason(int why)
{
    return why == ENOSPC || why == EDQUOT ? "host_disk_full" : "folder";
}

/* --- Names --- */

static void name_anew(const struct move *move, const char *prefix, char name[static NAME_SIZE])
{
    uint32_t random[2] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        random[0] = (uint32_t)getpid();
    snprintf(name, NAME_SIZE, "%s.%s.%08x%08x", prefix, move->folder, random[0], random[1]);
}

static void path_of(const struct move *move, const char *name, char path[static PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.3900s/%s", move->path, name);
}

/* Nobody lists it, and nobody takes away what is another's. `other`: some of it is. */
static bool open_tasks(struct move *move, bool other)
{
    char link[32];
    struct stat status;
    move->tasks = file_make_folder(move->base->work, "tasks");
    if (move->tasks < 0 || fstat(move->tasks, &status) != 0)
        return false;
    if (other && (status.st_mode & 07777) != 01733 && fchmod(move->tasks, 01733) != 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", move->tasks);
    ssize_t len = readlink(link, move->path, sizeof move->path - 1);
    move->path[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* The new one under the name of the old one, in one step where the file system can; the old one is
 * called `made` then. */
static bool exchange(struct move *move, bool there)
{
    char gone[NAME_SIZE];
    if (!there)
        return renameat2(move->tasks, move->made, move->tasks, move->folder, RENAME_NOREPLACE) == 0;
    if (renameat2(move->tasks, move->made, move->tasks, move->folder, RENAME_EXCHANGE) == 0)
        return true;
    name_anew(move, ".gone", gone);
    if (renameat(move->tasks, move->folder, move->tasks, gone) != 0 ||
        renameat(move->tasks, move->made, move->tasks, move->folder) != 0)
        return false;
    snprintf(move->made, sizeof move->made, "%s", gone);
    return true;
}

/* --- Removal --- */

bool move_remove(const struct base *base, int tasks, const char *name, int64_t deadline)
{
    struct stat status;
    char account[RUNNER_ACCOUNT_SIZE], link[32], path[PATH_MAX];
    if (!file_look(tasks, name, &status))
        return true;
    if (status.st_uid == getuid() || !S_ISDIR(status.st_mode))
        return file_remove_by(tasks, name, deadline);
    snprintf(link, sizeof link, "/proc/self/fd/%d", tasks);
    ssize_t len = readlink(link, path, sizeof path - NAME_MAX - 2);
    if (len <= 0 || !seat_of(base, status.st_uid, account))
        return false;
    snprintf(path + len, sizeof path - (size_t)len, "/%s", name);
    return account_remove(account, path);
}

/* --- Both ends --- */

static pid_t start_end(const struct move *move, const char *account, const char *verb,
                       const char *name, const struct account_streams *streams)
{
    char caller[16], path[PATH_MAX];
    path_of(move, name, path);
    snprintf(caller, sizeof caller, "%u", (unsigned)getuid());
    const char *words[] = {verb, caller, path, NULL};
    return account_start(account, words, streams);
}

/* Ours becomes theirs: we write the stream. */
static const char *copy_to(struct move *move, const struct seat *to, bool there)
{
    int ends[2];
    struct stat status;
    int from = there ? file_open_folder(move->tasks, move->folder) : -1;
    if ((there && from < 0) || pipe2(ends, O_CLOEXEC) != 0)
        return reason(errno);
    const struct account_streams streams = {.in = ends[0], .out = -1, .err = -1};
    pid_t taker = start_end(move, to->name, "take", move->made, &streams);
    close(ends[0]);
    bool given = there ? give_write(from, ends[1]) : file_write_all(ends[1], "e", 1);
    int why = errno;
    close(ends[1]);
    if (from >= 0)
        close(from);
    enum account_said said = account_wait(taker);
    if (said == ACCOUNT_NO)
        return "account_failed";
    if (said != ACCOUNT_NONE || !given)
        return given || why == EPIPE ? "host_disk_full" : reason(why);
    bool theirs = file_look(move->tasks, move->made, &status) && S_ISDIR(status.st_mode) &&
                  status.st_uid == to->uid;
    return theirs ? NULL : "folder";
}

/* Theirs becomes ours: they write it. Another run may have the account by now: what comes is as
 * hostile in any case. */
static const char *copy_from(struct move *move, const char *from)
{
    int ends[2];
    int to = mkdirat(move->tasks, move->made, 0700) == 0 ? file_open_folder(move->tasks, move->made)
                                                         : -1;
    if (to < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return reason(errno);
    const struct account_streams streams = {.in = -1, .out = ends[1], .err = -1};
    pid_t giver = start_end(move, from, "give", move->folder, &streams);
    close(ends[1]);
    bool taken = give_read(ends[0], to);
    int why = errno;
    close(ends[0]);
    close(to);
    enum account_said said = account_wait(giver);
    if (said == ACCOUNT_NO)
        return "account_failed";
    return taken && said == ACCOUNT_NONE ? NULL : reason(why);
}

/* --- The move --- */

/* What was copied takes the place of the other, which is removed. */
static const char *replace(struct move *move, const char *why, bool there)
{
    bool fresh = fresh_is(move->base, move->folder);
    if (why == NULL && !exchange(move, there))
        why = reason(errno);
    if (why == NULL && !fresh)
        fresh_end(move->base, move->folder); /* it is the same one for whoever works in it */
    move_remove(move->base, move->tasks, move->made, clock_now() + FILE_REMOVE_MS);
    return why;
}

static const char *take_back(struct move *move, uid_t uid)
{
    char account[RUNNER_ACCOUNT_SIZE];
    if (!seat_of(move->base, uid, account))
        return "folder"; /* of none that we know */
    if (!account_open_way(move->base))
        return "account_failed";
    name_anew(move, ".new", move->made);
    return replace(move, copy_from(move, account), true);
}

static const char *carry_out(struct move *move, const struct seat *to)
{
    struct stat status;
    bool there = file_look(move->tasks, move->folder, &status);
    uid_t wanted = to != NULL ? to->uid : getuid();
    const char *why = NULL;
    if (there && status.st_uid == wanted)
        return S_ISDIR(status.st_mode) ? NULL : "folder";
    if (there && !S_ISDIR(status.st_mode)) /* somebody put it there: it is no task's */
        there = unlinkat(move->tasks, move->folder, 0) != 0;
    if (there && status.st_uid != getuid())
        why = take_back(move, status.st_uid);
    if (why != NULL || to == NULL)
        return why;
    name_anew(move, ".new", move->made);
    return replace(move, copy_to(move, to, there), there);
}

/* Or there is none. */
static bool is_ours(const struct base *base, const char *folder)
{
    char path[RUNNER_RUN_SIZE + 8];
    struct stat status;
    snprintf(path, sizeof path, "tasks/%s", folder);
    return !file_look(base->work, path, &status) || status.st_uid == getuid();
}

const char *move_folder(const struct base *base, const char *folder, const struct seat *to)
{
    if (to == NULL && is_ours(base, folder))
        return NULL;
    struct move move = {.base = base, .folder = folder, .tasks = -1};
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    const char *why = open_tasks(&move, to != NULL) ? carry_out(&move, to) : reason(errno);
    signal(SIGPIPE, before);
    if (move.tasks >= 0)
        close(move.tasks);
    return why;
}

const char *move_to(const struct base *base, const char *folder, const char *account)
{
    struct seat seat;
    const char *why = seat_take(base, account, &seat);
    if (why == NULL)
        why = move_folder(base, folder, &seat);
    seat_leave(&seat);
    return why;
}

/* --- As the account --- */

static int give_own(const char *path)
{
    struct stat status;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 && errno == EACCES && chmod(path, 0700) == 0)
        dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool given =
        dir >= 0 && fstat(dir, &status) == 0 && status.st_uid == getuid() && give_write(dir, 1);
    return given ? ACCOUNT_NONE : ACCOUNT_FAILED;
}

static int take_own(const char *path)
{
    int dir =
        mkdir(path, 0700) == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    return dir >= 0 && give_read(0, dir) ? ACCOUNT_NONE : ACCOUNT_FAILED;
}

int move_main(int argc, char **argv)
{
    if (argc != 4 || !account_is_right(argv[2]))
        return ACCOUNT_FAILED;
    umask(022);
    return strcmp(argv[1], "give") == 0 ? give_own(argv[3]) : take_own(argv[3]);
}
