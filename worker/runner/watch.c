/* One watch: its eyes, its looks, its record. */
#include "worker/runner/watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/process.h"

#define LOOK_ROOM ((size_t)2 << 10) /* of the channel for a record */
#define LOOKS_MS 4                  /* of looks in one round of the loop */

struct watch {
    struct list link;   /* in watches.all or over */
    struct list bucket; /* in watches.bucket */
    struct list look;   /* in watches.looks */
    struct list odd;    /* in watches.odd, while something lies beside its living supervisor */
    struct watches *of; /* borrowed */
    uint32_t id;
    struct runner_key key;
    uint64_t credit;
    struct eye folder, go; /* on the run's directory, and on go in it */
    struct eye written[2]; /* on out and err */
    struct tail tail[2];
    bool replaced[2]; /* the file of that name is none of the supervisor's */
    int pidfd;        /* owned; of the living supervisor; -1: none */
    struct source ended;
    bool poor;                   /* nothing tells us of its changes */
    bool told;                   /* `record` was */
    int64_t odd_until;           /* then it is tampering */
    struct runner_record record; /* the last one told */
};

static void look_soon(struct watch *watch)
{
    if (!list_linked(&watch->look))
        list_append(&watch->of->looks, &watch->look);
}

/* --- What tells us --- */

static void on_folder_change(void *owner, struct eye *eye, const char *name)
{
    (void)eye, (void)name;
    look_soon(owner);
}

static void on_written(void *owner, struct eye *eye, const char *name)
{
    struct watch *watch = owner;
    (void)name;
    struct tail *tail = &watch->tail[eye == &watch->written[1]];
    tail_touch(&watch->of->tails, tail);
    if (watch->record.state == RUNNER_ENDED)
        look_soon(watch); /* nobody of ours writes there any more */
}

static void on_shrunk(void *owner)
{
    struct watch *watch = owner;
    look_soon(watch);
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
    look_soon(watch);
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
        look_soon(watch);
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

static void watch_look(struct watch *watch, int64_t now)
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

/* --- Their life --- */

static struct list *bucket_of(struct watches *watches, uint32_t id)
{
    return &watches->bucket[id % WATCH_BUCKETS];
}

static struct watch *watch_find(struct watches *watches, uint32_t id)
{
    list_each(link, bucket_of(watches, id))
    {
        struct watch *watch = list_entry(link, struct watch, bucket);
        if (watch->id == id)
            return watch;
    }
    return NULL;
}

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

static bool watch_open(struct watches *watches, uint32_t id, const struct runner_key *key,
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
    list_append(bucket_of(watches, id), &watch->bucket);
    watches->count++;
    if (id > watches->last_id)
        watches->last_id = id;
    look_soon(watch);
    return true;
}

static void watch_close(struct watch *watch)
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

static bool take_watch(struct watches *watches, struct frame *frame)
{
    struct runner_key key;
    get_key(&frame->payload, &key);
    uint64_t offsets[2] = {get_u64(&frame->payload), 0};
    offsets[1] = get_u64(&frame->payload);
    uint32_t credit = get_u32(&frame->payload);
    if (!frame_done(&frame->payload) || offsets[0] > INT64_MAX || offsets[1] > INT64_MAX ||
        watches->count >= WATCHES_MAX || watch_find(watches, frame->id) != NULL)
        return false;
    return watch_open(watches, frame->id, &key, offsets, credit);
}

static bool take_credit(struct watches *watches, struct frame *frame)
{
    uint32_t bytes = get_u32(&frame->payload);
    struct watch *watch = watch_find(watches, frame->id);
    if (!frame_done(&frame->payload) || frame->id > watches->last_id)
        return false;
    if (watch == NULL)
        return true;
    if (watch->credit <= INT64_MAX)
        watch->credit += bytes;
    for (int i = 0; i < 2; i++)
        tail_fed(&watches->tails, &watch->tail[i]);
    return true;
}

bool watches_take(struct watches *watches, struct frame *frame)
{
    if (frame->type == FRAME_WATCH)
        return take_watch(watches, frame);
    if (frame->type == FRAME_CREDIT)
        return take_credit(watches, frame);
    struct watch *watch = watch_find(watches, frame->id);
    if (watch != NULL)
        watch_close(watch);
    return frame_done(&frame->payload) && frame->id <= watches->last_id;
}

/* --- All of them --- */

void watches_nudge(struct watches *watches, const char *run)
{
    list_each(link, &watches->all)
    {
        struct watch *watch = list_entry(link, struct watch, link);
        if (strcmp(watch->key.run, run) == 0)
            look_soon(watch);
    }
}

/* A run's directory comes or goes. */
static void on_runs_change(void *owner, struct eye *eye, const char *name)
{
    (void)eye;
    watches_nudge(owner, name);
}

static void look_at_all(void *data)
{
    struct watches *watches = data;
    list_each(link, &watches->all)
    {
        look_soon(list_entry(link, struct watch, link));
    }
}

void watches_init(struct watches *watches, struct channel *channel, const struct base *base,
                  int epoll)
{
    *watches = (struct watches){.channel = channel, .base = base, .epoll = epoll};
    watches->runs = (struct eye){.on_change = on_runs_change, .owner = watches};
    eyes_init(&watches->eyes, epoll, look_at_all, watches);
    tails_init(&watches->tails);
    list_init(&watches->all);
    list_init(&watches->looks);
    list_init(&watches->odd);
    list_init(&watches->over);
    for (int i = 0; i < WATCH_BUCKETS; i++)
        list_init(&watches->bucket[i]);
}

void watches_release(struct watches *watches)
{
    list_each(link, &watches->all) watch_close(list_entry(link, struct watch, link));
    eye_close(&watches->eyes, &watches->runs);
    eyes_release(&watches->eyes);
    list_each(link, &watches->over)
    {
        list_remove(link);
        free(list_entry(link, struct watch, link));
    }
}

void watches_rebase(struct watches *watches)
{
    eye_close(&watches->eyes, &watches->runs);
    if (watches->base->dir >= 0)
        eye_open(&watches->eyes, &watches->runs, watches->base->runs, true);
}

/* When the timer `due` of `each` is up it is set anew. Nobody there: it has no next. */
static bool is_due(int64_t *due, int each, bool wanted, int64_t now, int64_t *next)
{
    if (!wanted) {
        *due = 0;
        return false;
    }
    bool up = *due != 0 && now >= *due;
    if (*due == 0 || up)
        *due = now + each;
    if (*due < *next)
        *next = *due;
    return up;
}

static void look_at_odd(struct watches *watches, int64_t now, int64_t *next)
{
    list_each(link, &watches->odd)
    {
        struct watch *watch = list_entry(link, struct watch, odd);
        if (watch->record.state == RUNNER_TAMPERED)
            continue;
        if (now >= watch->odd_until) {
            look_soon(watch);
            continue;
        }
        if (watch->odd_until < *next)
            *next = watch->odd_until;
        return;
    }
}

int64_t watches_tick(struct watches *watches, int64_t now)
{
    int64_t next = INT64_MAX;
    if (is_due(&watches->rescan, WATCH_RESCAN_MS, watches->count > 0, now, &next))
        look_at_all(watches);
    if (is_due(&watches->poor, WATCH_POOR_MS, watches->poor_count > 0, now, &next))
        list_each(link, &watches->all) if (list_entry(link, struct watch, link)->poor)
            look_soon(list_entry(link, struct watch, link));
    look_at_odd(watches, now, &next);
    int64_t began = now;
    while (!list_empty(&watches->looks) && watches->base->dir >= 0 &&
           channel_room(watches->channel) >= LOOK_ROOM && now - began < LOOKS_MS) {
        struct watch *watch = list_entry(watches->looks.next, struct watch, look);
        list_remove(&watch->look);
        watch_look(watch, now);
        now = clock_now();
    }
    list_each(link, &watches->over)
    {
        list_remove(link);
        free(list_entry(link, struct watch, link));
    }
    if (!list_empty(&watches->looks) && watches->base->dir >= 0 &&
        channel_room(watches->channel) >= LOOK_ROOM)
        return now;
    return next;
}
