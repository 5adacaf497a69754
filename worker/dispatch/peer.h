/* The beats of the other workers, as this one sees them. Pure: time is given.
 *
 * A peer is dead when its beat stood still for dead_ms, watched on an unbroken connection by a
 * process that was itself awake: after a reconnect or a pause of our own every watch starts anew.
 * Or when a look at the database says so: that it stopped, was declared dead, or that the lock of
 * its session is gone. Each answer to renew() brings the beats, each look the
 * other three. */
#ifndef FLEET_PEER_H
#define FLEET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer {
    char node[37];
    int64_t beat;     /* the last one seen */
    int64_t since;    /* clock_ms when that beat was first seen */
    uint64_t seen;    /* round in which the database last named it */
    bool left;        /* the database itself says that it stopped or was declared dead */
    bool gone;        /* the database says that its session's lock is: no need to watch its beat */
    int64_t next_try; /* clock_ms before which no adoption is tried again */
};

struct peers {
    struct peer *items; /* owned */
    size_t count;
    uint64_t round;      /* answers seen */
    uint64_t generation; /* of the database's connections, at the last answer */
    int64_t answered;    /* clock_ms of the last answer; 0 = none */
    int64_t max_gap;     /* ms between two answers that still count as watching */
};

void peers_release(struct peers *peers);
void peers_forget(struct peers *peers);

/* A renew was answered: called before the rows of that answer are noted. A gap over max_gap_ms to
 * the answer before, or another generation, starts every watch anew. */
void peers_begin(struct peers *peers, int64_t now, uint64_t generation, int64_t max_gap_ms);
void peers_beat(struct peers *peers, const char *node, int64_t beat, int64_t now);
void peers_end(struct peers *peers); /* forgets whom neither this answer nor the last look names */

/* A look was answered: called before its rows are noted. What the look before said is forgotten. */
void peers_look(struct peers *peers);
void peers_left(struct peers *peers, const char *node, int64_t beat, int64_t now);
void peers_gone(struct peers *peers, const char *node, int64_t beat, int64_t now);

/* A peer whose runs can be taken over now, or NULL. */
struct peer *peers_next_dead(struct peers *peers, int64_t now, int64_t dead_ms);
struct peer *peers_find(struct peers *peers, const char *node);

#endif
