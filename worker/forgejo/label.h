/* The label that shows a task's state on its issue: one of five with the scope "fleet/", of which
 * an issue has one at most. Set and cleared by id, for a repository may have several of one name:
 * the lowest id is ours. One that is missing is made. */
#ifndef FLEET_FORGEJO_LABEL_H
#define FLEET_FORGEJO_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/forgejo/client.h"
#include "common/list.h"
#include "worker/forgejo/tracker.h"

#define LABEL_COUNT 5

/* The ids of a repository's labels as they were last seen; 0: not seen. */
struct label_set {
    struct list link;
    char *repo; /* owned */
    int64_t ids[LABEL_COUNT];
};
void label_sets_release(struct list *sets);

struct label {
    struct tracker *tracker; /* borrowed */
    struct list *sets;       /* borrowed: of struct label_set */
    const char *repo;        /* borrowed */
    int64_t number;
    const char *name; /* borrowed: the one to be set; NULL: none of ours stays */
    /* answer: NULL, it is so now. */
    void (*done)(void *data, const struct forgejo_answer *answer);
    void *data;

    int which;         /* of the five; -1: none */
    int64_t made;      /* id of the one that we made just now */
    bool again;        /* the ids were looked up once more */
    int64_t drops[16]; /* of ours, on the issue, that go */
    size_t drop_count;
};

/* Calls `done` exactly once, later. */
void label_settle(struct label *label);

#endif
