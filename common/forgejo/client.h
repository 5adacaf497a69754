/* Forgejo's REST API (/api/v1), versions 7 and later: one call, or one list of many pages, and what
 * the answer means for us. Retries are the caller's business. */
#ifndef FLEET_FORGEJO_CLIENT_H
#define FLEET_FORGEJO_CLIENT_H

#include "common/buf.h"
#include "common/fetch/fetch.h"
#include "common/json.h"

#define FORGEJO_PAGE 50 /* items asked for at once: Forgejo's own ceiling, silently cut by some */

enum forgejo_verdict {
    FORGEJO_OK,      /* 2xx */
    FORGEJO_GONE,    /* 404, 410; also "not yours to see" */
    FORGEJO_DENIED,  /* 401, 403 */
    FORGEJO_MOVED,   /* 3xx: the repository or its owner was renamed; nothing was followed */
    FORGEJO_LOCKED,  /* 423: archived */
    FORGEJO_REFUSED, /* any other 4xx: repeating it changes nothing */
    FORGEJO_AWAY,    /* network, time, 5xx, 408, 425, 429: to be tried again */
    FORGEJO_GARBLED, /* 2xx, but no JSON of the kind asked for */
};

/* Everything borrowed until the callback returns. */
struct forgejo_answer {
    enum forgejo_verdict verdict;
    int status;               /* of HTTP; 0: no whole answer came */
    struct json_object *json; /* of FORGEJO_OK; NULL: an empty body (204) */
    int64_t retry_secs;       /* Retry-After; -1: not said */
    int64_t date;             /* by the clock of the Forgejo; -1: not said */
    bool sent;                /* not OK: it may have happened all the same, look before repeating */
    bool more;                /* of a list: it goes on behind max_items */
    char text[300];           /* not OK: one sentence for people, without secrets, valid UTF-8 */
};
typedef void (*forgejo_done_cb)(void *data, const struct forgejo_answer *answer);

#define FORGEJO_VERDICTS 8

struct forgejo;
/* Tokens are copied; an empty or missing token: calls without one. lookup_token NULL or "": none,
 * token is used for look-ups, too. fetch is borrowed. */
struct forgejo *forgejo_new(struct fetch *fetch, const char *token, const char *lookup_token);
/* From now on each answer is counted by its verdict; borrowed. */
void forgejo_count(struct forgejo *forgejo, uint64_t counts[FORGEJO_VERDICTS]);
void forgejo_free(struct forgejo *forgejo); /* after fetch_stop has called back; NULL is fine */

/* Appends a path: forgejo_path(&path, "/repos/%r/issues/%d/comments?since=%s", repo, number,
 * since). %s: const char *, one word, percent-encoded whole; %r: const char *, "owner/name", each
 * encoded; %d: int64_t. A word is never "", "." or "..". False, and the buf failed, when one is
 * none that may stand there. The path begins behind /api/v1, but for one that begins with "/api/".
 */
bool forgejo_path(struct buf *path, const char *format, ...);

/* body: JSON text, or NULL. lookup: with the look-up token. `done` is called exactly once, later.
 */
void forgejo_call(struct forgejo *forgejo, const char *method, const char *path, const char *body,
                  bool lookup, forgejo_done_cb done, void *data);
/* GET of a list, page after page, as one array of at most max_items; pages are counted here, Link
 * is never read. `path` may have a query, but no page and limit. An item may come twice when the
 * list moved meanwhile: tell them apart by id. */
void forgejo_list(struct forgejo *forgejo, const char *path, size_t max_items, forgejo_done_cb done,
                  void *data);
/* The same of a list that may be long: of each item only what `shape` makes of it is kept. It owns
 * nothing and answers a new object, or NULL for none. */
typedef struct json_object *(*forgejo_shape_cb)(const struct json_object *item);
void forgejo_list_shaped(struct forgejo *forgejo, const char *path, size_t max_items,
                         forgejo_shape_cb shape, forgejo_done_cb done, void *data);

const char *forgejo_verdict_word(enum forgejo_verdict verdict); /* "ok", "gone", "denied", … */

#endif
