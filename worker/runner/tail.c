/* Files that grow, read as they do. */
#include "worker/runner/tail.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM_MIN 4096 /* of a batch, or it is full */

void tails_init(struct tails *tails)
{
    list_init(&tails->ready);
    list_init(&tails->cooling);
}

/* The only place where it changes. */
static void tail_become(struct tails *tails, struct tail *tail, enum tail_place place)
{
    list_remove(&tail->link);
    tail->place = place;
    if (place == TAIL_READY)
        list_append(&tails->ready, &tail->link);
    else if (place == TAIL_COOLING)
        list_append(&tails->cooling, &tail->link);
}

void tail_touch(struct tails *tails, struct tail *tail)
{
    tail->dirty = true;
    if (tail->place == TAIL_STILL && tail->fd >= 0)
        tail_become(tails, tail, TAIL_READY);
}

void tail_fed(struct tails *tails, struct tail *tail)
{
    if (tail->place == TAIL_STARVED)
        tail_become(tails, tail, TAIL_READY);
}

void tail_close(struct tail *tail)
{
    list_remove(&tail->link);
    if (tail->fd >= 0)
        close(tail->fd);
    tail->fd = -1;
    tail->place = TAIL_STILL;
}

static void look_for_loss(struct tail *tail)
{
    struct stat about;
    if (fstat(tail->fd, &about) == 0 && (uint64_t)about.st_size < tail->next)
        tail->on_shrunk(tail->owner);
}

/* One frame of it. */
static void tail_send(struct tails *tails, struct tail *tail, struct channel *channel,
                      uint8_t *space, size_t room, int64_t now)
{
    uint64_t left = tail->final > tail->next ? tail->final - tail->next : 0;
    size_t want = room < left ? room : (size_t)left;
    if (want > *tail->credit)
        want = (size_t)*tail->credit;
    if (want == 0) {
        tail_become(tails, tail, left > 0 ? TAIL_STARVED : TAIL_STILL);
        return;
    }
    tail->dirty = false;
    ssize_t n = pread(tail->fd, space, want, (off_t)tail->next);
    if (n <= 0) {
        tail_become(tails, tail, TAIL_STILL);
        look_for_loss(tail);
        return;
    }
    channel_output(channel, tail->id, tail->stream, tail->next, (size_t)n);
    tail->next += (uint64_t)n;
    *tail->credit -= (uint64_t)n;
    tail->cool = now + TAIL_MS;
    tail_become(tails, tail, (size_t)n == want ? TAIL_READY : TAIL_COOLING);
}

void tails_fill(struct tails *tails, struct channel *channel, int64_t now)
{
    size_t room;
    if (channel->output.len > 0)
        return; /* it is being written */
    while (!list_empty(&tails->ready)) {
        uint8_t *space = channel_output_space(channel, &room);
        if (room < ROOM_MIN)
            return;
        tail_send(tails, list_entry(tails->ready.next, struct tail, link), channel, space, room,
                  now);
    }
}

int64_t tails_tick(struct tails *tails, int64_t now)
{
    list_each(link, &tails->cooling)
    {
        struct tail *tail = list_entry(link, struct tail, link);
        if (tail->cool > now)
            return tail->cool;
        tail_become(tails, tail, tail->dirty ? TAIL_READY : TAIL_STILL);
    }
    return INT64_MAX;
}
