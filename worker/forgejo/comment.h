/* One comment of ours under an issue or pull request, by convergence: however often this is begun,
 * cut and begun again, one stands in the end.
 *
 * A known id is edited; one that is gone, or is not known, is looked for by its marker among all
 * comments of our own account. Of several the one with the lowest id stays. None is posted before
 * the database knows that it is (announce), and while one may still be on its way (Forgejo commits
 * a slow POST whose answer nobody hears) the next look has to be two time-outs younger than it. */
#ifndef FLEET_FORGEJO_COMMENT_H
#define FLEET_FORGEJO_COMMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/forgejo/client.h"
#include "worker/forgejo/tracker.h"

#define COMMENT_EXTRAS 64 /* that are deleted at once; more go the next time */

enum comment_end {
    COMMENT_STANDS, /* `id` is its id */
    COMMENT_LATER,  /* one may be on its way: again after wait_secs */
    COMMENT_FAILED, /* `why` says so */
};

struct comment {
    struct tracker *tracker; /* borrowed */
    const char *repo;        /* borrowed, as all texts here */
    int64_t number;
    const char *marker, *body;    /* the body begins with the marker */
    int64_t id;                   /* 0: not known */
    int64_t posting_secs;         /* since one was announced; -1: none was */
    bool edits;                   /* one that stands gets this body */
    void (*announce)(void *data); /* → comment_announced(), later or at once */
    void (*done)(void *data, enum comment_end end, const struct forgejo_answer *why);
    void *data;
    bool open; /* at the end: one may be on its way */
    int64_t wait_secs;

    int64_t extras[COMMENT_EXTRAS]; /* of ours, too many */
    size_t extra_count;
};

/* Calls `done` exactly once, later. */
void comment_settle(struct comment *comment);
void comment_announced(struct comment *comment); /* the database knows: it is posted now */

#endif
