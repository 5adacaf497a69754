/* Output of runs on its way to the worker: round robin between the streams that have some, a frame
 * each turn; at once after a silence, then every TAIL_MS or as soon as a frame is full. */
#ifndef FLEET_RUNNER_TAIL_H
#define FLEET_RUNNER_TAIL_H

#include "common/list.h"
#include "worker/runner/channel.h"
#include "worker/runner/source.h"

#define TAIL_MS 50

enum tail_place {
    TAIL_STILL,   /* nothing to send, as far as we know */
    TAIL_READY,   /* in tails.ready */
    TAIL_COOLING, /* in tails.cooling: sent something less than TAIL_MS ago */
    TAIL_STARVED, /* waits for credit */
};

struct tail {
    int fd; /* owned; -1: not open */
    enum tail_place place;
    struct list link;
    bool dirty;       /* there may be more than was sent */
    int64_t cool;     /* until when it is COOLING */
    uint64_t next;    /* offset of the next byte */
    uint64_t final;   /* nothing from there on is the run's */
    uint64_t *credit; /* borrowed: of its watch */
    uint32_t id;      /* of its watch */
    int stream;       /* 1 stdout, 2 stderr */
    void (*on_shrunk)(void *owner);
    void *owner; /* borrowed */
};

struct tails {
    struct list ready, cooling;
};

void tails_init(struct tails *tails);
/* Puts as much into the channel's batch as there is room for. */
void tails_fill(struct tails *tails, struct channel *channel, int64_t now);
/* Returns when it wants to be called again (clock_now), INT64_MAX: never. */
int64_t tails_tick(struct tails *tails, int64_t now);

void tail_touch(struct tails *tails, struct tail *tail); /* the file has changed */
void tail_fed(struct tails *tails, struct tail *tail);   /* there is credit again */
void tail_close(struct tail *tail);

#endif
