/* Looks: issues and pull requests that the database wants read are read from Forgejo, several at
 * once, and what was seen is given to the database, which decides.
 *
 * A look that meets trouble says so (fleet.look_failed) and is given out again later; one whose
 * worker vanishes is taken by another. So nothing here is kept, and nothing is tried twice. */
#ifndef FLEET_FORGEJO_LOOK_H
#define FLEET_FORGEJO_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "worker/forgejo/home.h"
#include "worker/forgejo/people.h"
#include "worker/forgejo/setback.h"

struct tracker;

#define LOOKS_MAX 4 /* at once */

struct looks {
    struct tracker *tracker; /* borrowed */
    struct list list;        /* of struct look: under way */
    int count;
    bool asking;      /* fleet.looks() is under way, */
    uint64_t life;    /* asked in this life of the node */
    bool wanted;      /* somebody said that there are some */
    int64_t next_ask; /* clock_ms: slow poll */
    int64_t next_say; /* of trouble */
};

void looks_init(struct looks *looks, struct tracker *tracker);
void looks_tick(struct looks *looks, int64_t now);
void looks_wake(struct looks *looks); /* NOTIFY "look": begins at once */
bool looks_idle(const struct looks *looks);
void looks_release(struct looks *looks); /* after the database was stopped */

/* --- Between the parts: look.c takes and ends them, look_issue.c and look_pull.c read --- */

struct look {
    struct list link;
    struct looks *looks; /* borrowed */
    uint64_t life;       /* the node's, in which it was taken */
    bool pull;           /* else an issue */
    int64_t id, seq;     /* fleet.look */
    int64_t number;      /* in its repository */
    int64_t comment_after, review_after;
    struct home home;
    struct people people;
    struct setback setback;
    struct json_object *seen;    /* owned: what SQL is given */
    struct json_object *reviews; /* borrowed from seen */
    size_t review;               /* whose comments are being read */
    char head_sha[128];
};

void look_issue(struct look *look); /* read it, then look_end() */
void look_pull(struct look *look);
void look_end(struct look *look); /* by its setback, or by what was seen */
/* May it go on? Else it ends now: by its setback, or because the worker's time is over. */
bool look_goes_on(struct look *look);
/* A path begins as that of the look's repository, goes on by forgejo_path, and is asked for, which
 * releases it: one object, or a list. */
void look_path(struct look *look, struct buf *path);
void look_get(struct look *look, struct buf *path, forgejo_done_cb done);
void look_list(struct look *look, struct buf *path, size_t max, forgejo_done_cb done);
/* Takes an answer's setback, or `what` is not complete. */
bool look_got(struct look *look, const char *what, const struct forgejo_answer *answer);
void look_add(struct look *look, const char *name, struct json_object *made); /* owns made */
/* The repository answers, and the thing does not: is it gone, or only hidden from us? */
void look_missing(struct look *look, const struct forgejo_answer *answer);
void look_rest(struct look *look); /* its timeline and the permissions of people; then it ends */

#endif
