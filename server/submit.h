/* Submissions on their way into the database. What arrives while one statement is under way goes
 * into the next one together: one commit for many tasks, and a verdict for each. */
#ifndef FLEET_SUBMIT_H
#define FLEET_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/db/db.h"
#include "common/error.h"

struct submit;

/* Borrowed during the callback. */
struct submit_verdict {
    const char *verdict; /* created, exists, conflict or refused */
    const char *code;    /* of a conflict or refusal; may be NULL */
    const char *detail;  /* a sentence; may be NULL */
    const char *details; /* of a refusal: member, limit and value as JSON; may be NULL */
    const char *task_id;
    const char *answer; /* the task as JSON, of created and exists */
};

/* Exactly once, later: err when the database did not take it. */
typedef void (*submit_done_cb)(void *data, const struct submit_verdict *verdict,
                               const struct error *err);

struct submit *submit_new(struct db *db);
void submit_free(struct submit *submit); /* after db_stop: nothing waits any more */

/* `row` is a fleet.new_task as a row literal; copied. False with err when too much waits: the
 * callback is not called then. */
bool submit_add(struct submit *submit, const char *row, submit_done_cb on_done, void *data,
                struct error *err);

/* Tells waiting dispatchers that there may be work. In a transaction of its own that starts after
 * the submitting one has committed: looked at inside of it, a waiter that comes in between is
 * missed. */
void submit_wake(struct submit *submit);

#endif
