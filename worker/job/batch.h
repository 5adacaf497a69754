/* Calls of one kind that jobs have to make, gathered: what is due together travels as one call, and
 * each job has an answer of its own. One is in flight; what becomes due meanwhile goes with the
 * next. While none is, nobody waits for others. */
#ifndef FLEET_BATCH_H
#define FLEET_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/db/db.h"
#include "common/list.h"
#include "common/loop.h"

struct job;
struct node;

#define BATCH_ITEMS_MAX 200
#define BATCH_COLUMNS_MAX 10

struct batch_kind {
    const char *name;
    /* $1 is the node, then come arrays with an element an item: attempts, epochs, `columns` more.
     * Answers ord, fault and detail of each, and what there is to say when fault is null. */
    const char *sql;
    int columns;
    /* Its last argument is how many tasks are wanted beside the answers: rows without ord. None
     * after a call that failed: whatever ails claims, ends are told. */
    bool refills;
    /* Adds one element to each of them. */
    void (*add)(const struct job *job, struct buf *columns);
    /* What its own call would have been answered: the row of res, or err. */
    void (*on_answer)(struct job *job, const struct db_result *res, int row,
                      const struct error *err);
};

/* A job's place in a batch. Zeroed: in none. */
struct batch_place {
    struct list link;   /* in batch.jobs, while it waits */
    int64_t not_before; /* clock_ms of the next try, while somebody holds its task */
    int64_t held_since; /* clock_ms; 0: nobody does */
    int64_t said;       /* clock_ms at which that was logged; 0 = not yet */
    bool alone;         /* its call was refused by itself: it takes no others with it */
};

/* Who has room when runs end, and takes the tasks that come with the answer. */
struct refill {
    int (*want)(void *data, size_t ends);
    void (*take)(void *data, const struct db_result *res, int row);
    void *data; /* borrowed */
};

struct batch {
    const struct batch_kind *kind;      /* borrowed */
    struct node *node;                  /* borrowed */
    const struct refill *refill;        /* borrowed; of a kind that refills */
    uint64_t life;                      /* that of the node as the call in flight was sent */
    struct list jobs;                   /* of struct job.place: busy with this, not in flight */
    struct timer timer;                 /* the next call */
    struct job *items[BATCH_ITEMS_MAX]; /* busy with this, in flight, in the order of `ord` */
    size_t count;                       /* of items; 0: nothing is in flight */
    size_t one_by_one; /* so many calls carry one item only: a batch failed as a whole */
    bool closed;       /* no timer any more */
};

void batch_init(struct batch *batch, const struct batch_kind *kind, struct node *node,
                const struct refill *refill);
void batch_add(struct batch *batch, struct job *job); /* the job's step is in flight from now on */
bool batch_idle(const struct batch *batch);           /* nobody waits, nothing is in flight */
/* Of what was not sent nothing will be; its jobs are gone. */
void batch_close(struct batch *batch);

#endif
