/* Who we are: one worker node as the database knows it, and what it may do now.
 *
 * Life: node_init, node_set as its calls are answered (worker/dispatch/life.c makes them),
 * node_reborn when others declared it dead, node_release. Hosts, jobs and output borrow it. */
#ifndef FLEET_NODE_H
#define FLEET_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/db/db.h"
#include "common/db/trouble.h"
#include "common/error.h"
#include "common/forgejo/client.h"
#include "common/loop.h"
#include "worker/node/settings.h"

enum node_state {
    NODE_OFFLINE,    /* node_start() has to commit */
    NODE_REGISTERED, /* configure() has to commit */
    NODE_LIVE,
    NODE_DRAINING, /* nothing new; what is pending is stored */
    NODE_STOPPED,
};

/* What it did since the program began; only grows. */
struct node_counts {
    uint64_t claims, adoptions;
    uint64_t channels, channel_losses;  /* ways in to hosts: opened; broken, or not to be opened */
    uint64_t checks;                    /* looks at hosts */
    uint64_t output_bytes;              /* stored */
    uint64_t answers[FORGEJO_VERDICTS]; /* of the Forgejo, by verdict */
};

struct node {
    struct loop *loop;         /* borrowed */
    struct db *db;             /* borrowed */
    struct settings *settings; /* a use of it: the newest configuration */
    enum node_state state;     /* set by node_set() only */
    char id[37];               /* random uuid of this life */
    uint64_t life;             /* number of this life: answers to an earlier one are not used */
    char name[64];             /* for people */
    char fleet_id[65];         /* "" before the first node_start() */
    int beat_ms, dead_ms, lease_ms;
    int64_t renewed;           /* clock_ms of the sending of the last good renew; 0 = none */
    bool fenced;               /* the lease ran out; said once */
    struct db_trouble trouble; /* what our calls met */
    struct node_counts counts;
    void (*on_dead)(void *data, const char *why); /* others declared this life dead */
    void *data;                                   /* borrowed */
};

/* Owns config from now on. `name` is copied. */
void node_init(struct node *node, struct loop *loop, struct db *db, struct config *config,
               const char *name);
void node_release(struct node *node);
void node_set(struct node *node, enum node_state state); /* the only place where it changes */
void node_take_config(struct node *node, struct config *config); /* owns config */
void node_reborn(struct node *node);                /* a new life under a new id, offline */
void node_renewed(struct node *node, int64_t sent); /* a renew sent at that clock_ms was good */

const struct config *node_settings(const struct node *node);
bool node_live(const struct node *node);
bool node_draining(const struct node *node);
/* False when our lease may have run out: no start, stop, raise or void, only looking. */
bool node_may_act(struct node *node);
/* A call in the node's own name failed: logged; AF002 ends this life (on_dead). */
void node_failed(struct node *node, const char *what, const struct error *err);

/* Test hook: with FLEET_BREAKPOINT=after-claim or after-starting in the environment the process
 * stops itself (SIGSTOP) once, at that point, so that a test can let its work be taken over before
 * it goes on. */
void node_breakpoint(const char *point);

#endif
