/* Submissions on their way into the database. What arrives while two statements are under way goes
 * into the next one together: one commit for many requests, and an answer for each. A list of many
 * tasks is a statement of its own. */
#ifndef FLEET_SUBMIT_H
#define FLEET_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/db/db.h"
#include "common/error.h"

struct submit;

/* A request with tasks, as fleet.submit_tasks takes it. */
struct submit_request {
    struct buf row;   /* owned: an element of fleet.submission[] */
    struct buf tasks; /* owned: elements of fleet.wanted_task[], separated by commas */
    int count;        /* of tasks */
};

/* Borrowed during the callback. */
struct submit_answer {
    int status;          /* HTTP */
    const char *body;    /* JSON */
    const char *task_id; /* the first task that stands; NULL when none does */
};

/* Exactly once, later: err when the database did not take it. */
typedef void (*submit_done_cb)(void *data, const struct submit_answer *answer,
                               const struct error *err);

struct submit *submit_new(struct db *db);
void submit_free(struct submit *submit); /* after db_stop: nothing waits any more */

/* Takes over the buffers of `request`, in any case. False with err when too much waits: the
 * callback is not called then. */
bool submit_add(struct submit *submit, struct submit_request *request, submit_done_cb on_done,
                void *data, struct error *err);

/* Tells waiting dispatchers that there may be work. In a transaction of its own that starts after
 * the submitting one has committed: looked at inside of it, a waiter that comes in between is
 * missed. */
void submit_wake(struct submit *submit);

#endif
