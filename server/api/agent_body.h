/* Bodies that agents send: JSON whatever its type says, with members that we need not know. */
#ifndef FLEET_API_AGENT_BODY_H
#define FLEET_API_AGENT_BODY_H

#include <stdbool.h>

#include "common/json.h"
#include "server/http/call.h"

/* The body as an object; an empty one is an empty object. The caller puts it. False: the call is
 * answered. */
bool agent_body(struct call *call, struct json_object **body);

/* As a parameter for jsonb; borrowed from the body until it is asked again or put. */
const char *agent_body_text(struct json_object *body);

/* A member that has to be a list of texts, or absent, as an array literal; NULL when absent or
 * null. `out` is initialised here and released by the caller. False: the call is answered. */
bool agent_body_texts(struct call *call, const struct json_object *body, const char *name,
                      struct buf *out, const char **array);

/* A member that has to be a whole number from `low` to `high`, or absent. False: the call is
 * answered. */
bool agent_body_int(struct call *call, const struct json_object *body, const char *name,
                    int64_t low, int64_t high, int64_t fallback, int64_t *value);

/* A member that is a text; NULL when absent. False, when it is of another type: the call is
 * answered. Borrowed. */
bool agent_body_string(struct call *call, const struct json_object *body, const char *name,
                       const char **value);

/* Overwrites credentials in every text of the body, before it is stored; but not in names, by which
 * agents and tasks are found. */
void agent_body_redact(const struct call *call, struct json_object *body);

#endif
