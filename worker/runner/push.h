/* Pushing from the stage: exactly one commit to exactly one branch of the task's, never over what
 * somebody else put there, and the head read back. A push whose answer was lost is found done. */
#ifndef FLEET_RUNNER_PUSH_H
#define FLEET_RUNNER_PUSH_H

#include "worker/runner/access.h"
#include "worker/runner/git.h"
#include "worker/runner/stage.h"
#include "worker/runner/work.h"

struct push {
    struct git *git;                /* borrowed */
    const struct stage *stage;      /* borrowed; locked */
    const struct runner_work *work; /* borrowed */
    const struct access *access;    /* borrowed */
    struct runner_worked *worked;   /* borrowed; filled in */
    char base_branch[REFS_NAME_SIZE];
    /* Of the stage; "": there is none. */
    char base[REFS_COMMIT_SIZE], start[REFS_COMMIT_SIZE], head[REFS_COMMIT_SIZE];
};

/* Reads from the stage what is to be pushed, and its size against the base into `worked`. False:
 * `worked` says why. */
bool push_open(struct push *push);
/* The task's branch. `worked` says how it went: PUSHED, NO_CHANGE, KEPT or FAILED. */
void push_branch(struct push *push);
/* The head to rescue/<slug>, or, where that is something else, rescue/<slug>-<12 hex>:
 * worked->rescue. False: `worked` says why. */
bool push_rescue(struct push *push);

#endif
