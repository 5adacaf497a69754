/* The way into a run's directory: made where it is missing, locked, fenced. */
#include "worker/runner/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/file.h"

#define LOCK_MS 20000
#define LOCK_PAUSE_MS 5

bool call_answer(struct call *call, enum runner_verdict verdict)
{
    call->reply->verdict = verdict;
    return false;
}

bool call_refuse(struct call *call, const char *reason)
{
    snprintf(call->reply->reason, sizeof call->reply->reason, "%s", reason);
    return call_answer(call, RUNNER_REFUSED);
}

bool call_is_full(int why)
{
    return why == ENOSPC || why == EDQUOT;
}

bool call_answer_record(struct call *call, enum runner_verdict verdict)
{
    run_look(call->base, &call->key, &call->reply->record);
    return call_answer(call, verdict);
}

bool call_lives(struct call *call)
{
    run_look(call->base, &call->key, &call->reply->record);
    return call->reply->record.state == RUNNER_RUNNING ||
           call->reply->record.state == RUNNER_ORPHANED;
}

/* --- The directory --- */

static bool write_number(int dir, const char *name, int64_t number)
{
    char line[24];
    int len = snprintf(line, sizeof line, "%lld\n", (long long)number);
    return file_write(dir, name, line, (size_t)len);
}

static bool fill(int dir, const struct runner_key *key)
{
    char nonce[RUNNER_NONCE_SIZE + 1];
    int len = snprintf(nonce, sizeof nonce, "%s\n", key->nonce);
    int lock = openat(dir, "lock", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool made = lock >= 0 && file_write(dir, "nonce", nonce, (size_t)len) &&
                write_number(dir, "epoch", key->epoch) && fsync(dir) == 0;
    if (lock >= 0)
        close(lock);
    return made;
}

/* Never over what stands there, an empty folder included. */
static bool put_in_place(int runs, const char *name, const char *run)
{
    if (renameat2(runs, name, runs, run, RENAME_NOREPLACE) == 0)
        return true;
    return (errno == EINVAL || errno == ENOSYS) && renameat(runs, name, runs, run) == 0;
}

/* In one rename. Losing the race is no failure. */
static bool make_complete(struct call *call, bool *made)
{
    char name[RUNNER_RUN_SIZE + 32];
    int runs = call->base->runs;
    snprintf(name, sizeof name, ".new.%s.%d", call->key.run, (int)getpid());
    file_remove(runs, name);
    int dir = mkdirat(runs, name, 0700) == 0 ? file_open_folder(runs, name) : -1;
    bool filled = dir >= 0 && fill(dir, &call->key);
    if (dir >= 0)
        close(dir);
    *made = filled && put_in_place(runs, name, call->key.run);
    if (!*made)
        file_remove(runs, name);
    else
        fsync(runs);
    return filled || call_refuse(call, "host_disk_full");
}

bool call_make_directory(struct call *call, enum runner_verdict living, bool first, bool *made)
{
    struct stat status;
    *made = false;
    if (file_look(call->base->runs, call->key.run, &status))
        return true;
    if (!first && call_lives(call))
        return call_answer(call, living);
    return make_complete(call, made);
}

/* --- The lock and the fence --- */

/* Made again where an agent took it away or put something else there. */
static int open_lock(int dir)
{
    for (int times = 0; times < 2; times++) {
        struct stat status;
        int lock =
            openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (lock >= 0 && fstat(lock, &status) == 0 && S_ISREG(status.st_mode))
            return lock;
        int why = errno;
        if (lock >= 0)
            close(lock);
        if (lock < 0 && call_is_full(why))
            break;
        file_remove(dir, "lock");
    }
    return -1;
}

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* The locked file is still the one under its name, and the directory is, too. */
static bool is_current(const struct call *call)
{
    struct stat dir, run, lock, named;
    return fstat(call->dir, &dir) == 0 && file_look(call->base->runs, call->key.run, &run) &&
           is_same(&dir, &run) && fstat(call->lock, &lock) == 0 &&
           file_look(call->dir, "lock", &named) && is_same(&lock, &named);
}

static bool is_past_go(const struct call *call)
{
    struct stat status;
    return fstatat(call->dir, "go/supervisor", &status, AT_SYMLINK_NOFOLLOW) == 0 ||
           fstatat(call->dir, "go/void", &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Past go no supervisor holds the lock, and no call does for so long: an agent does, and will not
 * keep us out. */
static bool take_lock(struct call *call)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    for (int waited = 0; waited <= LOCK_MS; waited += LOCK_PAUSE_MS) {
        if (call->lock < 0 && (call->lock = open_lock(call->dir)) < 0)
            return call_refuse(call, call_is_full(errno) ? "host_disk_full" : "nonce");
        if (flock(call->lock, LOCK_EX | LOCK_NB) != 0) {
            nanosleep(&pause, NULL);
            continue;
        }
        if (is_current(call))
            return true;
        close(call->lock);
        call->lock = -1;
    }
    return is_past_go(call) || call_refuse(call, "busy");
}

/* A higher epoch is kept, unless the database says that no owner can have given it (`forged`). */
static bool pass_fence(struct call *call, uint64_t forged)
{
    int64_t stands = run_epoch(call->dir);
    if (call->key.epoch < stands && (forged == 0 || forged != (uint64_t)stands)) {
        call->reply->epoch = stands;
        return call_answer(call, RUNNER_FENCED);
    }
    if (call->key.epoch == stands)
        return true;
    if (!write_number(call->dir, "epoch", call->key.epoch) || fsync(call->dir) != 0)
        return call_refuse(call, "host_disk_full");
    return true;
}

bool call_write_void(struct call *call, int go)
{
    return write_number(go, "void", call->key.epoch) && fsync(go) == 0 && fsync(call->dir) == 0;
}

/* Whoever made go and died before it wrote into it has started nothing: it held this lock. */
static bool bury_half_start(struct call *call)
{
    struct stat status;
    int go = file_open_folder(call->dir, "go");
    bool half = go >= 0 && !file_look(go, "supervisor", &status) && !file_look(go, "void", &status);
    bool buried = !half || call_lives(call) || call_write_void(call, go);
    if (go >= 0)
        close(go);
    return buried || call_refuse(call, "host_disk_full");
}

bool call_enter(struct call *call, uint64_t forged, enum runner_verdict living)
{
    struct stat status;
    call->dir = run_open(call->base, &call->key);
    if (call->dir >= 0)
        return take_lock(call) && pass_fence(call, forged) && bury_half_start(call);
    if (call_lives(call))
        return call_answer(call, living);
    return call_refuse(call,
                       file_look(call->base->runs, call->key.run, &status) ? "nonce" : "busy");
}

bool call_is_voided(const struct call *call)
{
    struct stat status;
    return fstatat(call->dir, "go/void", &status, AT_SYMLINK_NOFOLLOW) == 0;
}
