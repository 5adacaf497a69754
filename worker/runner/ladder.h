/* Who belongs to a run, and how all of them are ended: INT, TERM, KILL. */
#ifndef FLEET_RUNNER_LADDER_H
#define FLEET_RUNNER_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/runner/frame.h"

struct member {
    pid_t pid, parent, group;
    uint64_t start;
    bool ours, dead, stopped;
};

/* Belongs: what is below `root`, what bears the run's mark, and what is below that. Never the first
 * process, never we. */
struct ladder {
    const struct runner_key *key; /* borrowed */
    pid_t root;                   /* we, when we are the run's subreaper; 0: there is none */
    pid_t group;              /* the agent's, until it is reaped; 0: its number may be another's */
    bool signalled_group;     /* ever */
    bool looked;              /* ever: at the tree and at the marks */
    void (*reap)(void *data); /* NULL: none of them is our child */
    void *data;               /* of reap; borrowed */
    struct member *all;       /* owned; of the last look, sorted by pid */
    size_t count, size;
};

/* Looks anew; how many live. */
size_t ladder_look(struct ladder *ladder);
/* One signal to all of them, once to each. Who is stopped is continued, so that it hears it. */
void ladder_signal(struct ladder *ladder, int signal);
/* KILL for all of them. Stops them first until nobody new is found, so that a loop of forks is
 * outrun. */
void ladder_kill(struct ladder *ladder);
void ladder_release(struct ladder *ladder);

#endif
