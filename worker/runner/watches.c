/* All watches of a channel: what is asked about them, and whose turn it is. */
#include <stdlib.h>

#include "worker/runner/watch.h"

#define LOOK_ROOM ((size_t)2 << 10) /* of the channel for a record */
#define LOOKS_MS 4                  /* of looks in one round of the loop */

/* --- Frames --- */

struct list *watches_bucket(struct watches *watches, uint32_t id)
{
    return &watches->bucket[id % WATCH_BUCKETS];
}

static struct watch *watch_find(struct watches *watches, uint32_t id)
{
    list_each(link, watches_bucket(watches, id))
    {
        struct watch *watch = list_entry(link, struct watch, bucket);
        if (watch->id == id)
            return watch;
    }
    return NULL;
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

/* --- Time --- */

void watches_nudge(struct watches *watches, const char *run)
{
    list_each(link, &watches->all)
    {
        struct watch *watch = list_entry(link, struct watch, link);
        if (strcmp(watch->key.run, run) == 0)
            watch_look_soon(watch);
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
        watch_look_soon(list_entry(link, struct watch, link));
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
            watch_look_soon(watch);
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
            watch_look_soon(list_entry(link, struct watch, link));
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
