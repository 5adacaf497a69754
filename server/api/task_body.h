/* The body of POST /api/v1/tasks: one task or a list of them, and each as fleet.submit takes it.
 * What is no JSON, has no such member or another type is refused here; what values may be is SQL's
 * to say. Pure. */
#ifndef FLEET_API_TASK_BODY_H
#define FLEET_API_TASK_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/json.h"

#define TASK_BODY_ITEMS 200

/* What a task is sent with beside its own members; texts are borrowed. */
struct task_sender {
    int64_t token_id; /* 0: nobody, in open mode */
    const char *key;  /* Idempotency-Key, or NULL */
    const char *hash; /* of the request */
    /* what this node's configuration says where the task does not */
    int64_t timeout_secs, max_retries, max_attempts_total;
};

/* Why a body is refused: 400 malformed, 422 well-formed but not to be taken. */
struct task_fault {
    int http;
    const char *code;   /* stable word; a literal */
    struct error text;  /* names the member and what is wrong */
    char details[1024]; /* JSON object */
};

/* The tasks of a body as a JSON array (the caller puts it); *many says whether the body was a list.
 * NULL with *fault set when one of them is refused: then none is taken. */
struct json_object *task_body_parse(const char *bytes, size_t len, bool *many,
                                    struct task_fault *fault);

/* A task of that array as a row literal of fleet.new_task. */
void task_body_row(struct buf *row, const struct json_object *task,
                   const struct task_sender *sender);

#endif
