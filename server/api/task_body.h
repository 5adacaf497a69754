/* The body of POST /api/v1/tasks: one task, a list of them or a line each, and each as
 * fleet.submit_tasks takes it. What is no JSON, has no such member or another type is refused here;
 * what values may be is SQL's to say. Pure. */
#ifndef FLEET_API_TASK_BODY_H
#define FLEET_API_TASK_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/json.h"

#define TASK_BODY_ITEMS 10000
#define TASK_ID_SIZE 15 /* of an id that a node makes: "t-", twelve of base32, and the end */

/* What was sent: a task; a JSON array; newline-delimited JSON. */
enum task_form { TASK_ONE, TASK_LIST, TASK_LINES };

/* A request as fleet.submit_tasks takes it beside its tasks; texts are borrowed. */
struct task_sender {
    int64_t token_id; /* 0: nobody, in open mode */
    const char *address, *request_id;
    const char *key;  /* Idempotency-Key, or NULL */
    const char *hash; /* of the request; only with a key */
    enum task_form form;
    /* what this node's configuration says where a task does not */
    int64_t timeout_secs, max_retries, max_attempts_total;
};

/* Why a body is refused: 400 malformed, 422 well-formed but not to be taken. */
struct task_fault {
    int http;
    const char *code;   /* stable word; a literal */
    struct error text;  /* names the member and what is wrong */
    char details[1024]; /* JSON object */
};

/* The tasks of a body as a JSON array (the caller puts it). *form: whether lines are expected, and
 * what it was. NULL with *fault set when one of them is refused: then none is taken. */
struct json_object *task_body_parse(const char *bytes, size_t len, enum task_form *form,
                                    struct task_fault *fault);

/* A request as an element of fleet.submission[]. */
void task_body_request(struct buf *out, const struct task_sender *sender);

/* A task of that array as one of fleet.wanted_task[], behind a comma unless it is the first in
 * `out`. `id`: what it is called when it does not say so itself. `scratch` is initialised, and
 * reused. */
void task_body_add(struct buf *out, const struct json_object *task, const char *id,
                   struct buf *scratch);

#endif
