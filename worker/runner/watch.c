/* One watch: its eyes, its looks, its record. */
#include "worker/runner/watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/process.h"

void watch_look_soon(struct watch *watch)
{
    if (!list_linked(&watch->look))
        list_append(&watch->of->looks, &watch->look);
}

/* --- What tells us --- */

static void on_folder_change(void *owner, struct eye *eye, const char *name)
{
    (void)eye, (void)name;
    watch_look_soon(owner);
}

static void on_written(void *owner, struct eye *eye, const char *name)
{
    struct watch *watch = owner;
    (void)name;
    struct tail *tail = &watch->tail[eye == &watch->written[1]];
    tail_touch(&watch->of->tails, tail);
    if (watch->record.state == RUNNER_ENDED)
        watch_look_soon(watch); /* nobody of ours writes there any more */
}

static void on_shrunk(void *owner)
{
    struct watch *watch = owner;
    watch_look_soon(watch);
}

static void drop_pidfd(struct watch *watch)
{
    if (watch->pidfd < 0)
        return;
    source_drop(watch->of->epoll, watch->pidfd);
    close(watch->pidfd);
    watch->pidfd = -1;
}

static void on_supervisor_end(void *owner, uint32_t events)
{
    struct watch *watch = owner;
    (void)events;
    drop_pidfd(watch);
    watch_look_soon(watch);
}

/* The record's supervisor, and no other process that has its number by now. */
static void watch_supervisor(struct watch *watch, const struct runner_record *record)
{
    struct process process;
    if (watch->pidfd >= 0 || record->pid <= 1 || record->pid > INT32_MAX)
        return;
    watch->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)record->pid, 0);
    if (watch->pidfd < 0)
        return;
    fcntl(watch->pidfd, F_SETFD, FD_CLOEXEC);
    if (!process_read((pid_t)record->pid, &process) ||
        process.start != strtoull(record->start, NULL, 10))
        watch_look_soon(watch);
    if (!source_watch(&watch->ended, watch->of->epoll, watch->pidfd, EPOLLIN)) {
        close(watch->pidfd);
        watch->pidfd = -1;
    }
}

static void watch_folders(struct watch *watch, int dir)
{
    struct watches *watches = watch->of;
    eye_open(&watches->eyes, &watch->folder, dir, true);
    if (eye_is_open(&watch->go))
        return;
    int go = file_open_folder(dir, "go");
    if (go < 0)
        return;
    eye_open(&watches->eyes, &watch->go, go, true);
    close(go);
}

static void watch_streams(struct watch *watch, int dir)
{
    for (int i = 0; i < 2; i++) {
        struct tail *tail = &watch->tail[i];
        if (tail->fd >= 0)
            continue;
        tail->fd = run_open_output(dir, i + 1, &watch->replaced[i]);
        if (tail->fd < 0)
            continue;
        eye_open(&watch->of->eyes, &watch->written[i], tail->fd, false);
        tail_touch(&watch->of->tails, tail);
    }
}

/* --- A look --- */

static bool lives(const struct runner_record *record)
{
    return record->state == RUNNER_RUNNING || record->state == RUNNER_TAMPERED;
}

/* It was started, so that its streams are those of its supervisor. */
static bool has_streams(const struct runner_record *record)
{
    return (record->state == RUNNER_RUNNING && strcmp(record->reason, "supervisor_missing") != 0) ||
           record->state == RUNNER_ORPHANED || record->state == RUNNER_ENDED ||
           record->state == RUNNER_LOST;
}

/* What lies beside a living supervisor for longer than its own end takes is tampering; until then
 * the run runs. */
static void judge_odd(struct watch *watch, struct runner_record *record, int64_t now)
{
    if (record->state != RUNNER_RUNNING || record->reason[0] == '\0') {
        list_remove(&watch->odd);
        return;
    }
    if (!list_linked(&watch->odd)) {
        list_append(&watch->of->odd, &watch->odd);
        watch->odd_until = now + WATCH_ODD_MS;
    }
    if (now >= watch->odd_until)
        record->state = RUNNER_TAMPERED;
    else
        record->reason[0] = '\0';
}

/* Sizes are those of the files that we read, whatever has their names now; of what we do not read
 * there is none. */
static void measure(struct watch *watch, struct runner_record *record)
{
    struct stat about;
    int64_t *sizes[2] = {&record->out_size, &record->err_size};
    int64_t finals[2] = {record->out_final, record->err_final};
    for (int i = 0; i < 2; i++) {
        struct tail *tail = &watch->tail[i];
        if (tail->fd < 0 && watch->replaced[i])
            *sizes[i] = -1;
        if (tail->fd < 0 || fstat(tail->fd, &about) != 0)
            continue;
        *sizes[i] = about.st_size;
        bool ended = record->state == RUNNER_ENDED && finals[i] >= 0;
        tail->final = ended ? (uint64_t)finals[i] : UINT64_MAX;
        if ((uint64_t)about.st_size > tail->next)
            tail_touch(&watch->of->tails, tail);
    }
}

static bool is_poor(const struct watch *watch, const struct runner_record *record)
{
    bool read = (watch->replaced[0] || eye_is_open(&watch->written[0])) &&
                (watch->replaced[1] || eye_is_open(&watch->written[1]));
    switch (record->state) {
    case RUNNER_RUNNING:
    case RUNNER_TAMPERED:
        return watch->pidfd < 0 || !eye_is_open(&watch->folder) || !read;
    case RUNNER_ORPHANED:
        return true;
    case RUNNER_PREPARED:
        return !eye_is_open(&watch->folder);
    case RUNNER_ENDED:
    case RUNNER_VOID:
    case RUNNER_LOST:
    case RUNNER_ABSENT:
    case RUNNER_FOREIGN:
    case RUNNER_STATES:
        break;
    }
    return false;
}

static void set_poor(struct watch *watch, bool poor)
{
    watch->of->poor_count += poor - watch->poor;
    watch->poor = poor;
}

static bool is_same(const struct runner_record *one, const struct runner_record *other)
{
    uint8_t texts[2][1024];
    struct frame_out outs[2];
    for (int i = 0; i < 2; i++) {
        outs[i] = frame_begin(texts[i], sizeof texts[i], FRAME_RECORD, 0);
        put_record(&outs[i], i == 0 ? one : other);
    }
    size_t len = frame_end(&outs[0]);
    return len == frame_end(&outs[1]) && memcmp(texts[0], texts[1], len) == 0;
}

/* Sizes alone are no news, unless the run has ended or what was sent is no longer there. */
static bool is_news(const struct watch *watch, const struct runner_record *record)
{
    struct runner_record last = watch->record;
    bool lost =
        (last.out_size != record->out_size && record->out_size < (int64_t)watch->tail[0].next) ||
        (last.err_size != record->err_size && record->err_size < (int64_t)watch->tail[1].next);
    if (!watch->told || lost)
        return true;
    if (record->state != RUNNER_ENDED) {
        last.out_size = record->out_size;
        last.err_size = record->err_size;
    }
    return !is_same(&last, record);
}

void watch_look(struct watch *watch, int64_t now)
{
    struct watches *watches = watch->of;
    struct runner_record record;
    int dir = run_open(watches->base, &watch->key);
    if (dir >= 0)
        watch_folders(watch, dir);
    run_look(watches->base, &watch->key, &record);
    if (dir >= 0 && has_streams(&record))
        watch_streams(watch, dir);
    if (dir >= 0)
        close(dir);
    judge_odd(watch, &record, now);
    measure(watch, &record);
    if (lives(&record))
        watch_supervisor(watch, &record);
    set_poor(watch, is_poor(watch, &record));
    if (!is_news(watch, &record))
        return;
    channel_record(watches->channel, watch->id, &record);
    watch->record = record;
    watch->told = true;
}

/* --- Its life --- */

static void tail_init(struct watch *watch, int i, uint64_t offset)
{
    watch->tail[i] = (struct tail){
        .fd = -1,
        .next = offset,
        .final = UINT64_MAX,
        .credit = &watch->credit,
        .id = watch->id,
        .stream = i + 1,
        .on_shrunk = on_shrunk,
        .owner = watch,
    };
    watch->written[i] = (struct eye){.on_change = on_written, .owner = watch};
}

bool watch_open(struct watches *watches, uint32_t id, const struct runner_key *key,
                const uint64_t offsets[2], uint64_t credit)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return false;
    watch->of = watches;
    watch->id = id;
    watch->key = *key;
    watch->credit = credit;
    watch->pidfd = -1;
    watch->ended = (struct source){on_supervisor_end, watch};
    watch->folder = watch->go = (struct eye){.on_change = on_folder_change, .owner = watch};
    tail_init(watch, 0, offsets[0]);
    tail_init(watch, 1, offsets[1]);
    list_append(&watches->all, &watch->link);
    list_append(watches_bucket(watches, id), &watch->bucket);
    watches->count++;
    if (id > watches->last_id)
        watches->last_id = id;
    watch_look_soon(watch);
    return true;
}

void watch_close(struct watch *watch)
{
    struct watches *watches = watch->of;
    set_poor(watch, false);
    drop_pidfd(watch);
    eye_close(&watches->eyes, &watch->folder);
    eye_close(&watches->eyes, &watch->go);
    for (int i = 0; i < 2; i++) {
        eye_close(&watches->eyes, &watch->written[i]);
        tail_close(&watch->tail[i]);
    }
    list_remove(&watch->look);
    list_remove(&watch->odd);
    list_remove(&watch->bucket);
    list_remove(&watch->link);
    list_append(&watches->over, &watch->link);
    watches->count--;
}
