/* The query string of a request: decoded once, looked up by name. Pure. */
#ifndef FLEET_ROUTER_QUERY_H
#define FLEET_ROUTER_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define QUERY_PARAMETERS 64

struct query_parameter {
    const char *name;  /* into text */
    const char *value; /* into text; "" when the parameter had none */
};

struct query {
    int count;
    struct query_parameter items[QUERY_PARAMETERS];
    char *text; /* owned: decoded, valid UTF-8, no NUL inside a name or value */
};

/* '+' and %20 are blanks. False with err set on a bad escape, NUL, bad UTF-8 or too many. A query
 * that was parsed, or failed to, is released. */
bool query_parse(struct query *query, const char *raw, size_t len, struct error *err);
void query_release(struct query *query);

/* The first parameter that is not in `known` (ended by NULL; NULL = none); NULL when all are. */
const char *query_unknown(const struct query *query, const char *const *known);

/* The value; NULL when absent. False with err set when it is given twice. */
bool query_text(const struct query *query, const char *name, const char **value, struct error *err);

/* A decimal number; `fallback` when absent. False with err naming member, limits and value. */
bool query_int(const struct query *query, const char *name, int64_t min, int64_t max,
               int64_t fallback, int64_t *value, struct error *err);

/* Walks the values of a filter, which may be repeated and comma-separated: calls `visit` for each
 * non-empty part and returns how many there were. The part is not NUL-ended. */
int query_each(const struct query *query, const char *name,
               void (*visit)(void *data, const char *part, size_t len), void *data);

#endif
