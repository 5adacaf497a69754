/* Watches: how runs are and what they write, told when it changes. */
#ifndef FLEET_RUNNER_WATCH_H
#define FLEET_RUNNER_WATCH_H

#include "worker/runner/channel.h"
#include "worker/runner/eye.h"
#include "worker/runner/run.h"
#include "worker/runner/tail.h"

#define WATCHES_MAX 16384
#define WATCH_BUCKETS 1024
#define WATCH_RESCAN_MS 30000
#define WATCH_POOR_MS 2000 /* between looks at a run of which nothing tells us */
#define WATCH_ODD_MS 5000  /* that something may lie beside a living supervisor */

struct watches {
    struct channel *channel; /* borrowed */
    const struct base *base; /* borrowed; base->dir may be -1 */
    int epoll;               /* borrowed */
    struct eyes eyes;
    struct eye runs; /* on the folder of all runs */
    struct tails tails;
    struct list all;
    struct list looks; /* those to be looked at */
    struct list odd;   /* oldest first */
    struct list over;  /* to be freed once no event of this round can name them */
    struct list bucket[WATCH_BUCKETS];
    int count;
    uint32_t last_id; /* no watch had a higher one */
    int64_t rescan;   /* when the next is due */
    int64_t poor;     /* the same of those that are */
    int poor_count;
};

void watches_init(struct watches *watches, struct channel *channel, const struct base *base,
                  int epoll);
void watches_release(struct watches *watches);
void watches_rebase(struct watches *watches); /* the base was opened anew */
/* WATCH, CREDIT and UNWATCH. False: the frame is none. Of a watch that is no more,
 * nothing happens. */
bool watches_take(struct watches *watches, struct frame *frame);
void watches_nudge(struct watches *watches, const char *run); /* a call about it was carried out */
/* Looks and tells as far as the channel has room. Returns when it wants to be called again
 * (clock_now), INT64_MAX: never. */
int64_t watches_tick(struct watches *watches, int64_t now);

struct list *watches_bucket(struct watches *watches, uint32_t id); /* where that id is */

/* --- One of them --- */

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

bool watch_open(struct watches *watches, uint32_t id, const struct runner_key *key,
                const uint64_t offsets[2], uint64_t credit);
void watch_close(struct watch *watch); /* it is freed with the round */
void watch_look_soon(struct watch *watch);
/* Looks, and tells what is new. */
void watch_look(struct watch *watch, int64_t now);

#endif
