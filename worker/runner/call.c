/* Calls about one run, under its lock. */
#include "worker/runner/call.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/legacy.h"
#include "worker/runner/process.h"
#include "worker/runner/supervise.h"

#define LOCK_MS 20000
#define LOCK_PAUSE_MS 5
#define END_MS 2000  /* of a supervisor that failed */
#define RESERVE 4096 /* bytes of the status block, taken before the start */

/* One call on its way. */
struct call {
    const struct base *base;    /* borrowed */
    struct runner_key key;      /* who asks */
    struct runner_reply *reply; /* borrowed */
    int dir, lock;              /* owned; the run's, once entered */
};

static bool answer(struct call *call, enum runner_verdict verdict)
{
    call->reply->verdict = verdict;
    return false;
}

static bool refuse(struct call *call, const char *reason)
{
    snprintf(call->reply->reason, sizeof call->reply->reason, "%s", reason);
    return answer(call, RUNNER_REFUSED);
}

static bool is_full(int why)
{
    return why == ENOSPC || why == EDQUOT;
}

static bool answer_with_record(struct call *call, enum runner_verdict verdict)
{
    run_look(call->base, &call->key, &call->reply->record);
    return answer(call, verdict);
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

/* Makes it complete, in one rename, where there is none; *made says whether. Losing the race is no
 * failure. */
static bool make_directory(struct call *call, bool *made)
{
    char name[RUNNER_RUN_SIZE + 32];
    struct stat status;
    int runs = call->base->runs;
    *made = false;
    if (file_look(runs, call->key.run, &status))
        return true;
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
    return filled || refuse(call, "host_disk_full");
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
        if (lock < 0 && is_full(why))
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
            return refuse(call, is_full(errno) ? "host_disk_full" : "nonce");
        if (flock(call->lock, LOCK_EX | LOCK_NB) != 0) {
            nanosleep(&pause, NULL);
            continue;
        }
        if (is_current(call))
            return true;
        close(call->lock);
        call->lock = -1;
    }
    return is_past_go(call) || refuse(call, "busy");
}

/* A higher epoch is kept, unless the database says that no owner can have given it (`forged`). */
static bool pass_fence(struct call *call, uint64_t forged)
{
    int64_t stands = run_epoch(call->dir);
    if (call->key.epoch < stands && (forged == 0 || forged != (uint64_t)stands)) {
        call->reply->epoch = stands;
        return answer(call, RUNNER_FENCED);
    }
    if (call->key.epoch == stands)
        return true;
    if (!write_number(call->dir, "epoch", call->key.epoch) || fsync(call->dir) != 0)
        return refuse(call, "host_disk_full");
    return true;
}

static bool lives(struct call *call)
{
    run_look(call->base, &call->key, &call->reply->record);
    return call->reply->record.state == RUNNER_RUNNING ||
           call->reply->record.state == RUNNER_ORPHANED;
}

static bool write_void(struct call *call, int go)
{
    return write_number(go, "void", call->key.epoch) && fsync(go) == 0 && fsync(call->dir) == 0;
}

/* Whoever made go and died before it wrote into it has started nothing: it held this lock. */
static bool bury_half_start(struct call *call)
{
    struct stat status;
    int go = file_open_folder(call->dir, "go");
    bool half = go >= 0 && !file_look(go, "supervisor", &status) && !file_look(go, "void", &status);
    bool buried = !half || lives(call) || write_void(call, go);
    if (go >= 0)
        close(go);
    return buried || refuse(call, "host_disk_full");
}

/* Under the lock: ours by nonce, and not fenced out. `living`: what is said of a run whose
 * directory is another's by now, but which lives. */
static bool enter(struct call *call, uint64_t forged, enum runner_verdict living)
{
    struct stat status;
    call->dir = run_open(call->base, &call->key);
    if (call->dir >= 0)
        return take_lock(call) && pass_fence(call, forged) && bury_half_start(call);
    if (lives(call))
        return answer(call, living);
    return refuse(call, file_look(call->base->runs, call->key.run, &status) ? "nonce" : "busy");
}

static bool is_voided(const struct call *call)
{
    struct stat status;
    return fstatat(call->dir, "go/void", &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- start --- */

/* Somebody was here before: a start, or an agent that removed what told of it. */
static bool was_started(struct call *call, bool first)
{
    struct stat status;
    if (!file_look(call->dir, "go", &status))
        return !first && lives(call) && !answer(call, RUNNER_EXISTS);
    if (is_voided(call))
        answer(call, RUNNER_VOIDED);
    else
        answer_with_record(call, RUNNER_EXISTS);
    return true;
}

static bool make_task_folder(struct call *call, const char *folder)
{
    struct stat status;
    mkdirat(call->base->work, "tasks", 0700);
    int tasks = openat(call->base->work, "tasks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool made = tasks >= 0 && (mkdirat(tasks, folder, 0700) == 0 || errno == EEXIST) &&
                fstatat(tasks, folder, &status, 0) == 0 && S_ISDIR(status.st_mode);
    int why = errno;
    if (tasks >= 0)
        close(tasks);
    if (made)
        return true;
    return refuse(call, is_full(why) ? "host_disk_full" : "folder");
}

static bool write_new(int dir, const char *name, const void *bytes, size_t len)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool written = fd >= 0 && file_write_all(fd, bytes, len);
    return fd >= 0 && close(fd) == 0 && written;
}

static bool write_reserve(int dir)
{
    char blanks[RESERVE];
    memset(blanks, ' ', sizeof blanks);
    blanks[RESERVE - 1] = '\n';
    return write_new(dir, "reserve", blanks, sizeof blanks);
}

static bool write_upload(int dir, const struct runner_start *start)
{
    return write_new(dir, "job.sh", start->job, start->job_len) &&
           write_new(dir, "prompt", start->prompt, start->prompt_len) && write_reserve(dir);
}

/* All but what make_directory() made: uploads of owners before us were of no use (their supervisor
 * would hold the lock, or go would stand), and nothing else belongs to a run that has not begun. */
static void sweep(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    if (entries == NULL && fd >= 0)
        close(fd);
    for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        const char *kept[] = {".", "..", "nonce", "epoch", "lock"};
        bool keep = false;
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            keep |= strcmp(entry->d_name, kept[i]) == 0;
        if (!keep)
            file_remove(dir, entry->d_name);
    }
    if (entries != NULL)
        closedir(entries);
}

static bool upload(struct call *call, const struct runner_start *start)
{
    char made[24], name[24];
    snprintf(made, sizeof made, "in.%d", (int)getpid());
    snprintf(name, sizeof name, "up.%u", call->key.epoch);
    sweep(call->dir);
    int dir = mkdirat(call->dir, made, 0700) == 0 ? file_open_folder(call->dir, made) : -1;
    bool written = dir >= 0 && write_upload(dir, start) &&
                   renameat(call->dir, made, call->dir, name) == 0 &&
                   write_new(call->dir, "out", "", 0) && write_new(call->dir, "err", "", 0);
    int why = errno;
    if (dir >= 0)
        close(dir);
    if (!written)
        sweep(call->dir);
    return written || refuse(call, is_full(why) ? "host_disk_full" : "upload");
}

/* One that failed may need a moment more to be gone. */
static void wait_for_its_end(const struct call *call)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    for (int waited = 0; waited < END_MS && process_supervisor(&call->key, 0) > 0;
         waited += LOCK_PAUSE_MS)
        nanosleep(&pause, NULL);
}

static void start_supervisor(struct call *call, const struct runner_start *start, const char *path)
{
    switch (supervise_start(call->base, &call->key, start, path, call->lock)) {
    case SUPERVISE_STARTED:
        answer_with_record(call, RUNNER_STARTED);
        break;
    case SUPERVISE_EXISTS:
        answer_with_record(call, RUNNER_EXISTS);
        break;
    case SUPERVISE_DISK_FULL:
        wait_for_its_end(call);
        refuse(call, "host_disk_full");
        break;
    case SUPERVISE_FAILED:
        wait_for_its_end(call);
        refuse(call, "supervisor");
        break;
    }
}

/* It lives though its directory is gone. In its place none is made: it is to be stopped. */
static bool lives_without_directory(struct call *call)
{
    struct stat status;
    return !file_look(call->base->runs, call->key.run, &status) && lives(call);
}

static void call_start(struct call *call, const struct runner_start *start, const char *path)
{
    bool made;
    if (!start->first && lives_without_directory(call)) {
        answer(call, RUNNER_EXISTS);
        return;
    }
    if (!make_directory(call, &made))
        return;
    if (enter(call, 0, RUNNER_EXISTS) && !was_started(call, made && start->first) &&
        make_task_folder(call, start->folder) && upload(call, start))
        start_supervisor(call, start, path);
}

/* --- raise and void --- */

/* Fences lower epochs. Where there is no directory one is made, so that a late start by the old
 * owner is fenced too, and the answer is how it was. */
static void call_raise(struct call *call, uint64_t forged)
{
    bool made;
    if (lives_without_directory(call)) {
        answer(call, RUNNER_STATE);
        return;
    }
    struct runner_record before = call->reply->record;
    if (!make_directory(call, &made))
        return;
    if (made) {
        call->reply->record = before;
        call->reply->record.epoch = call->key.epoch;
        answer(call, RUNNER_STATE);
    } else if (enter(call, forged, RUNNER_STATE)) {
        answer_with_record(call, RUNNER_STATE);
    }
}

/* A tombstone, unless it was started. */
static void call_void(struct call *call)
{
    bool made;
    if (lives_without_directory(call)) {
        answer(call, RUNNER_STARTED);
        return;
    }
    if (!make_directory(call, &made) || !enter(call, 0, RUNNER_STARTED))
        return;
    if (lives(call)) {
        answer(call, RUNNER_STARTED);
        return;
    }
    bool first = mkdirat(call->dir, "go", 0700) == 0;
    int why = errno, go = file_open_folder(call->dir, "go");
    bool full = first ? go < 0 || !write_void(call, go) : why != EEXIST;
    if (go >= 0)
        close(go);
    if (full)
        refuse(call, "host_disk_full");
    else if (is_voided(call))
        answer(call, RUNNER_VOIDED);
    else
        answer_with_record(call, RUNNER_STARTED);
}

/* --- stop --- */

static void stop_running(struct call *call, const struct runner_stop *stop)
{
    pid_t pid = (pid_t)call->reply->record.pid;
    if (!process_is_script(pid, &call->key)) {
        if (supervise_stop(pid, &call->key, stop))
            answer(call, RUNNER_STOPPING);
        else
            answer_with_record(call, RUNNER_STATE);
    } else if (call->dir >= 0 && legacy_stop(call->dir, stop)) {
        answer(call, RUNNER_STOPPING);
    } else {
        refuse(call, "host_disk_full");
    }
}

/* What lives is stopped even when its directory is gone, or is another's by now. Nothing is written
 * and no lock is taken: a full disk, or an agent that holds the lock, keeps nobody from it. */
static void call_stop(struct call *call, const struct runner_stop *stop)
{
    call->dir = run_open(call->base, &call->key);
    int64_t stands = call->dir < 0 ? 0 : run_epoch(call->dir);
    if (stands > call->key.epoch && stands != INT64_MAX) {
        call->reply->epoch = stands;
        answer(call, RUNNER_FENCED);
        return;
    }
    if (!lives(call))
        answer(call, RUNNER_STATE);
    else if (call->reply->record.state == RUNNER_RUNNING)
        stop_running(call, stop);
    else if (supervise_slay(call->base, &call->key, stop))
        answer(call, RUNNER_STOPPING);
    else
        refuse(call, "supervisor");
}

/* --- gc --- */

static bool is_over(enum runner_state state)
{
    return state == RUNNER_ENDED || state == RUNNER_LOST || state == RUNNER_VOID;
}

static void call_gc(struct call *call)
{
    char name[RUNNER_RUN_SIZE + 32];
    struct stat status;
    if (!file_look(call->base->runs, call->key.run, &status)) {
        answer_with_record(call, RUNNER_STATE);
        return;
    }
    if (!enter(call, 0, RUNNER_STATE))
        return;
    run_look(call->base, &call->key, &call->reply->record);
    if (is_over(call->reply->record.state)) {
        snprintf(name, sizeof name, ".gone.%s.%d", call->key.run, (int)getpid());
        if (renameat(call->base->runs, call->key.run, call->base->runs, name) == 0)
            file_remove(call->base->runs, name);
        run_look(call->base, &call->key, &call->reply->record);
    }
    answer(call, RUNNER_STATE);
}

/* --- Which --- */

static void carry_out(struct call *call, enum frame_type type, struct frame_in *in,
                      const char *path)
{
    struct runner_start start = {0};
    struct runner_stop stop = {0};
    uint64_t forged = 0;
    int value;
    get_key(in, &call->key);
    if (type == FRAME_START)
        get_start(in, &start);
    else if (type == FRAME_STOP)
        get_stop(in, &stop);
    else if (type == FRAME_RAISE)
        forged = get_u64(in);
    run_record_init(&call->reply->record, &call->key);
    if (!frame_done(in) || (type == FRAME_STOP && !supervise_pack(&stop, &value)))
        refuse(call, "usage");
    else if (type == FRAME_START)
        call_start(call, &start, path);
    else if (type == FRAME_RAISE)
        call_raise(call, forged);
    else if (type == FRAME_VOID)
        call_void(call);
    else if (type == FRAME_STOP)
        call_stop(call, &stop);
    else if (type == FRAME_GC)
        call_gc(call);
    else
        refuse(call, "usage");
}

void call_run(const struct base *base, enum frame_type type, struct frame_in *payload,
              const char *path, struct runner_reply *reply)
{
    struct call call = {.base = base, .reply = reply, .dir = -1, .lock = -1};
    *reply = (struct runner_reply){.verdict = RUNNER_REFUSED, .epoch = -1};
    carry_out(&call, type, payload, path);
    if (call.lock >= 0)
        close(call.lock);
    if (call.dir >= 0)
        close(call.dir);
}
