/* Calls about one run, under its lock. */
#include "worker/runner/call.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "worker/runner/clean.h"
#include "worker/runner/entry.h"
#include "worker/runner/file.h"
#include "worker/runner/job.h"
#include "worker/runner/legacy.h"
#include "worker/runner/move.h"
#include "worker/runner/process.h"
#include "worker/runner/sandbox.h"
#include "worker/runner/seat.h"
#include "worker/runner/source.h"
#include "worker/runner/supervise.h"

#define END_MS 2000 /* of a supervisor that failed */
#define PAUSE_MS 5
#define RESERVE 4096 /* bytes of the status block, taken before the start */

/* --- start --- */

/* Somebody was here before: a start, or an agent that removed what told of it (`made`: by now, that
 * was looked for before). */
static bool was_started(struct call *call, bool made)
{
    struct stat status;
    if (!file_look(call->dir, "go", &status))
        return !made && call_lives(call) && !call_answer(call, RUNNER_EXISTS);
    if (call_is_voided(call))
        call_answer(call, RUNNER_VOIDED);
    else
        call_answer_record(call, RUNNER_EXISTS);
    return true;
}

static bool make_task_folder(struct call *call, const char *folder)
{
    struct stat status;
    const char *taken = move_folder(call->base, folder, NULL);
    if (taken != NULL)
        return call_refuse(call, taken);
    mkdirat(call->base->work, "tasks", 0700);
    int tasks = openat(call->base->work, "tasks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool made = tasks >= 0 && (mkdirat(tasks, folder, 0700) == 0 || errno == EEXIST) &&
                fstatat(tasks, folder, &status, 0) == 0 && S_ISDIR(status.st_mode);
    int why = errno;
    if (tasks >= 0)
        close(tasks);
    if (made)
        return true;
    return call_refuse(call, call_is_full(why) ? "host_disk_full" : "folder");
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
           write_new(dir, "prompt", start->prompt, start->prompt_len) &&
           write_new(dir, "writable", start->writable, start->writable_len) && write_reserve(dir);
}

/* All but what call_make_directory() made: uploads of owners before us were of no use (their
 * supervisor would hold the lock, or go would stand), and nothing else belongs to a run that has
 * not begun. */
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
    return written || call_refuse(call, call_is_full(why) ? "host_disk_full" : "upload");
}

/* One that failed may need a moment more to be gone. */
static void wait_for_its_end(const struct call *call)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    for (int waited = 0; waited < END_MS && process_supervisor(&call->key, 0) > 0;
         waited += PAUSE_MS)
        nanosleep(&pause, NULL);
}

static void start_supervisor(struct call *call, const struct runner_start *start, const char *path,
                             const struct seat *seat)
{
    switch (supervise_start(call->base, &call->key, start, path, call->lock, seat)) {
    case SUPERVISE_STARTED:
        call_answer_record(call, RUNNER_STARTED);
        break;
    case SUPERVISE_EXISTS:
        call_answer_record(call, RUNNER_EXISTS);
        break;
    case SUPERVISE_DISK_FULL:
        wait_for_its_end(call);
        call_refuse(call, "host_disk_full");
        break;
    case SUPERVISE_FAILED:
        wait_for_its_end(call);
        call_refuse(call, "supervisor");
        break;
    }
}

static bool can_be_sandboxed(struct call *call, const struct runner_start *start)
{
    char why[RUNNER_SANDBOX_SIZE];
    return !start->sandbox || sandbox_try(why) || call_refuse(call, "sandbox_missing");
}

/* In another account, which is this run's until its supervisor ends. */
static void start_elsewhere(struct call *call, const struct runner_start *start, const char *path)
{
    struct seat seat;
    const char *why = seat_take(call->base, start->run_as, &seat);
    if (why != NULL) {
        call_refuse(call, why);
        return;
    }
    why = move_folder(call->base, start->folder, &seat);
    if (why == NULL && !seat_give(&seat, &call->key))
        why = "host_disk_full";
    if (why != NULL)
        call_refuse(call, why);
    else if (upload(call, start))
        start_supervisor(call, start, path, &seat);
    seat_leave(&seat);
}

static void call_start(struct call *call, const struct runner_start *start, const char *path)
{
    bool made;
    if (!call_make_directory(call, RUNNER_EXISTS, start->first, &made) ||
        !call_enter(call, 0, RUNNER_EXISTS) || was_started(call, made) ||
        !can_be_sandboxed(call, start))
        return;
    if (start->run_as[0] != '\0')
        start_elsewhere(call, start, path);
    else if (make_task_folder(call, start->folder) && upload(call, start))
        start_supervisor(call, start, path, NULL);
}

/* --- raise and void --- */

/* Fences lower epochs. Where there is no directory one is made, so that a late start by the old
 * owner is fenced too, and the answer is how it was. */
static void call_raise(struct call *call, uint64_t forged)
{
    bool made;
    if (!call_make_directory(call, RUNNER_STATE, false, &made))
        return;
    if (made) {
        call->reply->record.epoch = call->key.epoch;
        call_answer(call, RUNNER_STATE);
    } else if (call_enter(call, forged, RUNNER_STATE)) {
        call_answer_record(call, RUNNER_STATE);
    }
}

/* A tombstone, unless it was started. */
static void call_void(struct call *call)
{
    bool made;
    if (!call_make_directory(call, RUNNER_STARTED, false, &made) ||
        !call_enter(call, 0, RUNNER_STARTED))
        return;
    if (call_lives(call)) {
        call_answer(call, RUNNER_STARTED);
        return;
    }
    bool first = mkdirat(call->dir, "go", 0700) == 0;
    int why = errno, go = file_open_folder(call->dir, "go");
    bool full = first ? go < 0 || !call_write_void(call, go) : why != EEXIST;
    if (go >= 0)
        close(go);
    if (full)
        call_refuse(call, "host_disk_full");
    else if (call_is_voided(call))
        call_answer(call, RUNNER_VOIDED);
    else
        call_answer_record(call, RUNNER_STARTED);
}

/* --- stop --- */

static void stop_running(struct call *call, const struct runner_stop *stop)
{
    pid_t pid = (pid_t)call->reply->record.pid;
    if (!process_is_script(pid, &call->key)) {
        if (supervise_stop(pid, &call->key, stop))
            call_answer(call, RUNNER_STOPPING);
        else
            call_answer_record(call, RUNNER_STATE);
    } else if (call->dir >= 0 && legacy_stop(call->dir, stop)) {
        call_answer(call, RUNNER_STOPPING);
    } else {
        call_refuse(call, "host_disk_full");
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
        call_answer(call, RUNNER_FENCED);
        return;
    }
    if (!call_lives(call))
        call_answer(call, RUNNER_STATE);
    else if (call->reply->record.state == RUNNER_RUNNING)
        stop_running(call, stop);
    else if (supervise_slay(call->base, &call->key, stop))
        call_answer(call, RUNNER_STOPPING);
    else
        call_refuse(call, "supervisor");
}

/* --- gc --- */

static bool is_over(enum runner_state state)
{
    return state == RUNNER_ENDED || state == RUNNER_LOST || state == RUNNER_VOID;
}

static void call_gc(struct call *call)
{
    char name[RUNNER_RUN_SIZE + 32], account[RUNNER_ACCOUNT_SIZE];
    struct stat status;
    if (!file_look(call->base->runs, call->key.run, &status)) {
        call_answer_record(call, RUNNER_STATE);
        return;
    }
    if (!call_enter(call, 0, RUNNER_STATE))
        return;
    run_look(call->base, &call->key, &call->reply->record);
    if (is_over(call->reply->record.state)) {
        run_account(call->base, &call->key, account);
        snprintf(name, sizeof name, ".gone.%s.%d", call->key.run, (int)getpid());
        if (renameat(call->base->runs, call->key.run, call->base->runs, name) == 0)
            clean_leftovers(call->base, call->base->runs, clock_now() + CLEAN_MS);
        job_remove_tmp(call->base, &call->key, account);
        run_look(call->base, &call->key, &call->reply->record);
    }
    call_answer(call, RUNNER_STATE);
}

/* --- Which --- */

/* What a call brings beside its key. */
struct question {
    enum frame_type type;
    struct runner_start start;
    struct runner_stop stop;
    uint64_t forged;
};

static bool take_question(struct call *call, struct question *question, struct frame_in *in)
{
    int value;
    bool known = true;
    get_key(in, &call->key);
    if (question->type == FRAME_START)
        get_start(in, &question->start);
    else if (question->type == FRAME_STOP)
        get_stop(in, &question->stop);
    else if (question->type == FRAME_RAISE)
        question->forged = get_u64(in);
    else
        known = question->type == FRAME_VOID || question->type == FRAME_GC;
    if (call->key.run[0] == '\0')
        snprintf(call->key.run, sizeof call->key.run, "none"); /* an answer names a run */
    return known && frame_done(in) &&
           (question->type != FRAME_STOP || supervise_pack(&question->stop, &value));
}

static void carry_out(struct call *call, const struct question *question, const char *path)
{
    if (question->type == FRAME_START)
        call_start(call, &question->start, path);
    else if (question->type == FRAME_RAISE)
        call_raise(call, question->forged);
    else if (question->type == FRAME_VOID)
        call_void(call);
    else if (question->type == FRAME_STOP)
        call_stop(call, &question->stop);
    else
        call_gc(call);
}

void call_run(const struct base *base, enum frame_type type, struct frame_in *payload,
              const char *path, struct runner_reply *reply)
{
    struct call call = {.base = base, .reply = reply, .dir = -1, .lock = -1};
    *reply = (struct runner_reply){.verdict = RUNNER_REFUSED, .epoch = -1};
    struct question question = {.type = type};
    bool right = take_question(&call, &question, payload);
    run_record_init(&reply->record, &call.key);
    if (right)
        carry_out(&call, &question, path);
    else
        call_refuse(&call, "usage");
    if (call.lock >= 0)
        close(call.lock);
    if (call.dir >= 0)
        close(call.dir);
}
