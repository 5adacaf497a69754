/* The worker's side towards Forgejo: who we are there, what the database knows of that, and the
 * parts that read issues and pull requests and tell what happens.
 *
 * Life: tracker_new, tracker_start, tracker_told at each NOTIFY, tracker_reload behind each reading
 * of the configuration, tracker_stop, on_stopped, tracker_free after the database was stopped.
 *
 * Without forgejo.token it tells the database the configuration and does nothing else. With one it
 * asks Forgejo who its account is, and once that is told, too (tracker_ready), its parts work.
 * What is under way when the configuration changes or the worker stops ends with an answer
 * "stopped", as a Forgejo that is away does. */
#ifndef FLEET_TRACKER_H
#define FLEET_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fetch/fetch.h"
#include "common/forgejo/client.h"
#include "common/loop.h"
#include "worker/forgejo/backfill.h"
#include "worker/forgejo/look.h"
#include "worker/forgejo/outbox.h"
#include "worker/node/node.h"

enum tracker_state {
    TRACKER_OFF,     /* no token, or one that cannot be used: said once */
    TRACKER_ASKING,  /* who we are, again and again until Forgejo answers */
    TRACKER_READY,   /* the parts work */
    TRACKER_CLOSING, /* the connections of an older configuration end */
    TRACKER_STOPPED,
};

struct tracker {
    struct node *node; /* borrowed */
    enum tracker_state state;
    struct fetch *fetch;     /* owned; NULL when OFF or STOPPED */
    struct forgejo *forgejo; /* owned; as fetch */
    int64_t user_id;         /* of our account; 0: not known */
    char login[256];
    struct timer tick;
    bool asking;              /* GET /user is under way */
    unsigned failures;        /* of it, in a row */
    int64_t next_ask;         /* clock_ms */
    bool telling, tell_due;   /* fleet.forgejo_configure */
    uint64_t told_life;       /* the node's, in which it was told; 0: never */
    int64_t next_tell;        /* clock_ms */
    struct looks looks;       /* what single issues and pull requests say */
    struct backfill backfill; /* what was missed */
    struct outbox outbox;     /* what Forgejo has to be told */
    void (*on_stopped)(void *data);
    void *data; /* borrowed */
};

struct tracker *tracker_new(struct node *node);
void tracker_start(struct tracker *tracker);
void tracker_told(struct tracker *tracker, const char *word); /* a NOTIFY: "look", "tell", "" */
void tracker_reload(struct tracker *tracker);                 /* the node has new settings */
void tracker_stop(struct tracker *tracker, void (*on_stopped)(void *data), void *data);
void tracker_free(struct tracker *tracker);

/* May a part begin something: the node lives, Forgejo knows us, the database knows by what it
 * judges what we find there, and nothing is being stopped. */
bool tracker_ready(const struct tracker *tracker);

#endif
