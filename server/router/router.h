/* Which handler answers a request: the raw path is split at '/', each segment percent-decoded once,
 * and looked up in one table. Pure.
 *
 * The raw path, because ids may hold encoded slashes: a normalised path would turn
 * tasks/org%2Frepo%2342 into another resource, and tasks/..%2f..%2fetc into a way out. */
#ifndef FLEET_ROUTER_H
#define FLEET_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "server/identity.h"

struct call;

enum route_kind {
    ROUTE_API,    /* JSON, bearer token, body up to server.max_body_bytes */
    ROUTE_OPEN,   /* no token; what it tells is no secret */
    ROUTE_HEALTH, /* for probes: any Host header, no token */
    ROUTE_HOOK,   /* signed by its sender instead of a token, body up to 5 MiB */
};

typedef void (*route_handle_cb)(struct call *call);

/* What the OpenAPI document says of a route beside the rest of its row. Literals. */
struct route_doc {
    const char *name;    /* operationId, e.g. "task_list" */
    const char *summary; /* a sentence */
    const char *body;    /* schema of the request's body; NULL: it has none */
    /* statuses and schemas that are its own, e.g. "200 TaskList, 404"; those of every route (401,
     * 403, 503, ...) are not named */
    const char *answers;
};

struct route {
    const char *method;  /* "GET" stands for HEAD too */
    const char *pattern; /* "/api/v1/tasks/{}": "{}" takes one whole segment */
    enum route_kind kind;
    enum scope scope;           /* what a person's token needs at least */
    bool agents;                /* agents' tokens too: what of it is theirs, SQL says */
    const char *const *queries; /* borrowed: known query parameters, ended by NULL; NULL = none */
    route_handle_cb handle;
    struct route_doc doc;
};

#define ROUTER_SEGMENTS 8
#define ROUTER_TARGET_MAX 8192 /* bytes of path and query */
#define ROUTER_PATH_MAX 2048   /* bytes of the path alone */

struct router_path {
    int count; /* segments; ROUTER_SEGMENTS + 1 when there are more than any route has */
    const char *segments[ROUTER_SEGMENTS]; /* into text; valid UTF-8, no NUL inside */
    const char *query; /* borrowed from the raw target: after '?', not decoded */
    size_t query_len;
    char text[ROUTER_PATH_MAX + ROUTER_SEGMENTS + 1];
};

/* Splits a raw request target. Returns 0, or the HTTP status (400, 414) with err set. */
int router_split(struct router_path *path, const char *raw, size_t len, struct error *err);

enum router_verdict { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

struct router_match {
    const struct route *route; /* borrowed from the table; when found */
    const char *id;            /* borrowed from the path: what the first "{}" took, or NULL */
    char allow[64];            /* with ROUTER_NO_METHOD: for the Allow header */
};

/* `routes` ends with a row whose method is NULL. No row is of OPTIONS: it finds no method, and
 * what the path answers to. */
enum router_verdict router_find(const struct route *routes, const char *method, size_t method_len,
                                const struct router_path *path, struct router_match *match);

#endif
