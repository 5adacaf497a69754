/* Where an attempt begins: the base branch, and the commit that the task's branch goes on from. */
#ifndef FLEET_RUNNER_ORIGIN_H
#define FLEET_RUNNER_ORIGIN_H

#include <stdbool.h>

#include "worker/runner/git.h"
#include "worker/runner/mirror.h"
#include "worker/runner/stage.h"
#include "worker/runner/work.h"

struct origin {
    char base_name[REFS_NAME_SIZE + 16]; /* "refs/heads/…" */
    char base[REFS_COMMIT_SIZE];         /* its head; "": the repository is empty */
    char server[REFS_COMMIT_SIZE];       /* the task's branch on the server; "": none */
    char ours[REFS_COMMIT_SIZE];         /* what we took in last; "": none */
    char start[REFS_COMMIT_SIZE];        /* "": unborn */
    char began[REFS_COMMIT_SIZE];        /* where start and base part */
    bool diverged;                       /* `ours` is neither in `start` nor in the base */
};

/* The base branch: the one that is asked for, or the server's default. One that is gone by now is
 * still that of a task that began on it. */
bool origin_find_base(struct origin *origin, struct git *git, const struct mirror *mirror,
                      const struct stage *stage);
/* Our own branch where the server's is in it, or the server has none; the server's where ours is
 * in it, or where both went their ways; else the base. Both false: the mirror's `worked` says why,
 * unless git->end is not GIT_DONE. */
bool origin_find_start(struct origin *origin, struct git *git, const struct mirror *mirror,
                       const struct stage *stage);

#endif
