/* The body of POST /api/v1/tasks: one task or a list of them, checked member by member. Pure. */
#ifndef FLEET_API_TASK_BODY_H
#define FLEET_API_TASK_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/json.h"

#define TASK_BODY_ITEMS 200

/* What a task gets when its body does not say. */
struct task_defaults {
    int64_t max_retries;
    int64_t timeout_secs;
    int64_t max_attempts_total;
};

/* Why a body is refused: 400 malformed, 422 well-formed but a value that is not allowed. */
struct task_fault {
    int http;
    const char *code;   /* stable word; a literal */
    struct error text;  /* names member, limit and value */
    char details[1024]; /* JSON object */
};

/* The tasks of a body as a JSON array of checked tasks with defaults filled in (the caller puts
 * it); *many says whether the body was a list. NULL with *fault set when anything is wrong. */
struct json_object *task_body_parse(const char *bytes, size_t len,
                                    const struct task_defaults *defaults, bool *many,
                                    struct task_fault *fault);

#endif
