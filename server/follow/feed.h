/* What several followers read together. Shared by the files of this room only. */
#ifndef FLEET_FOLLOW_FEED_H
#define FLEET_FOLLOW_FEED_H

#include "common/buf.h"
#include "common/list.h"
#include "server/follow/follow.h"
#include "server/http/stream.h"

struct feed;
struct feed_read;

/* What became of a follower that was served. */
enum served {
    SERVED_LEVEL, /* it has all that there is */
    SERVED_MORE,  /* there is more to read */
    SERVED_APART, /* what was read is not for where it stands: it wants a read of its own */
    SERVED_FULL,  /* its stream has no room */
    SERVED_ENDED, /* by follower_end: it is no more */
};

struct follower {
    struct list link;      /* of its feed, of follow, or of the read that serves it */
    struct feed *feed;     /* borrowed */
    struct follow *follow; /* borrowed */
    struct stream *stream; /* ours to end */
    struct seat seat;
    bool full; /* waits for room */
};

struct feed_kind {
    /* Sends the query of a read: feed_answered is its callback, the read its data. */
    void (*ask)(struct feed *feed, struct feed_read *read);
    /* What was read, decoded once for all; `res` stays until it is dropped. */
    void *(*take)(const struct feed_read *read, const struct db_result *res);
    void (*drop)(void *rows);
    enum served (*serve)(struct follower *follower, void *rows);
    void (*free)(struct follower *follower);
    void (*idle)(struct feed *feed); /* nobody reads it any more; may free it */
};

struct feed {
    const struct feed_kind *kind;
    struct follow *follow;
    struct list level; /* followers that have all that there is, as far as they know */
    struct list full;  /* that wait for room */
    size_t followers;  /* in all */
    size_t reads;      /* under way */
    bool sharing;      /* one of them for all that were level */
    bool again;        /* it was not enough: another one follows at once */
};

/* One query under way, and whom it serves. */
struct feed_read {
    struct feed *feed;     /* borrowed */
    struct list followers; /* may leave meanwhile */
    bool shared;
    void *data; /* of the kind: free()d with the read */
};

struct follow {
    struct db *db;           /* borrowed */
    struct ceiling *ceiling; /* borrowed */
    struct timer timer;      /* runs while there are followers */
    struct list behind;      /* followers that want a page of their own, longest waiting first */
    size_t reads;            /* of such pages under way */
    size_t followers;
    bool paused;         /* a page failed: no other before the next tick */
    struct feed *events; /* owned */
    struct list outputs; /* struct output */
    bool asking;         /* for the heads of all outputs */
};

void feed_init(struct feed *feed, const struct feed_kind *kind, struct follow *follow);
void feed_check_idle(struct feed *feed);
void feed_share(struct feed *feed); /* one read for all that are level, unless one is under way */
void feed_answered(void *data, const struct db_result *res, const struct error *err);

/* Takes a seat and answers the call with a stream. False: the call was answered otherwise, and
 * `follower` is still the caller's. */
bool follower_begin(struct follower *follower, struct follow *follow, struct call *call);
void follower_join(struct follower *follower, struct feed *feed);   /* as one that is behind */
void follower_switch(struct follower *follower, struct feed *feed); /* while it is served */
/* Puts it where it belongs after it was served; it is no more when it has ended. `shared`: the feed
 * of the read that was for all, or NULL. */
void follower_place(struct follower *follower, enum served served, struct feed *shared);
void follower_end(struct follower *follower, const struct buf *last); /* frees it */

void follow_read_pages(struct follow *follow); /* of those that are behind */

struct feed *events_new(struct follow *follow);
void events_free(struct feed *feed);
void outputs_tick(struct follow *follow);

#endif
