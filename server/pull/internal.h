/* Shared by the files of this room only. */
#ifndef FLEET_PULL_INTERNAL_H
#define FLEET_PULL_INTERNAL_H

#include "common/db/trouble.h"
#include "common/list.h"
#include "server/pull/pull.h"

#define SHELVES 1024 /* of waiting calls, by their executor */

/* One call that waits: its call's state. */
struct puller {
    struct list link;  /* pull_class.waiting; not linked once it is answered or gone */
    struct list shelf; /* pull.shelves */
    struct pull *pull; /* borrowed */
    struct pull_class *class;
    struct call *call; /* borrowed; held while it waits */
    struct seat seat;
    int executor;
    int64_t until_ms; /* clock_ms at which it is answered with nothing */
    bool asked;       /* the claim under way is for it too */
    bool tried;       /* a claim for it was answered */
    bool rests;       /* and it began when this node was a waiter: it need not ask by itself */
    /* what it was answered with: given back when the answer is lost */
    char node[37];
    int64_t attempt;
    int epoch; /* 0: nothing */
};

/* Calls of equal narrowing. */
struct pull_class {
    struct list link;    /* pull.classes */
    struct pull *pull;   /* borrowed */
    char *capabilities;  /* owned: an array literal; NULL: no narrowing */
    struct list waiting; /* longest waiting first */
    size_t count;        /* of waiting */
    bool claiming;       /* a claim is under way */
    bool all;            /* for all that wait, not only for those that do not rest yet */
    bool again;          /* another one is wanted behind it */
    bool again_all;      /* for all */
    bool covered;        /* it began when this node was a waiter */
    size_t want;         /* of the claim under way */
};

struct pull {
    struct db *db;           /* borrowed */
    struct node *node;       /* borrowed */
    struct ceiling *ceiling; /* borrowed */
    struct list classes;     /* those with waiting calls, or a claim under way */
    struct list shelves[SHELVES];
    int poll_secs;
    bool draining;
    bool closed;
    struct timer alarm; /* the end of the first call's time */
    int64_t alarm_ms;   /* clock_ms */
    struct timer poll;  /* the slow poll, or the next try after a failure */
    struct timer look;  /* the second look after a notification */
    bool listed;        /* this node is one of fleet.waiter */
    bool listing;       /* a query that changes this is under way */
    struct db_trouble trouble;
    size_t waiting;    /* calls */
    uint64_t claims;   /* sent */
    uint64_t handed;   /* tasks */
    uint64_t returned; /* given back */
};

/* pull.c */
void puller_serve(struct puller *puller, const struct db_result *res, int row);
void puller_end(struct puller *puller); /* its time is over, or the node's */
/* The longest waiting call of this agent in a class; NULL: none. */
struct puller *pull_find(struct pull *pull, const struct pull_class *class, int executor);
void pull_give_back(struct pull *pull, const char *node, int64_t attempt, int epoch);

/* claim.c */
/* Now, or once more behind the one under way: for all, or for those that came lately. */
void class_claim(struct pull_class *class, bool all);
void pull_sweep(struct pull *pull); /* frees classes that nobody needs */
void pull_claim_all(struct pull *pull);
void pull_on_poll(void *data);

#endif
