/* The workspace of a task, <work_dir>/tasks/<slug>: a working tree, kept over attempts, whose
 * `.git` is made anew for each. Its objects are those of the stage and of the mirror, by
 * alternates; it has no remote, no hook, and of references the task's branch, the base's and the
 * tags.
 *
 * In the stage lies what we know of it:
 *   refs/fleet/tree     the tree that the last attempt found in it (trusted.h)
 *   refs/fleet/trusted  the commit of the base that its configuration is of
 *   moving              the tree is being changed, or ("moved") is what refs/fleet/tree says while
 *                       `.git` is still to be made: what is new in it is not the agent's
 *   index               of the tree, with what the kernel said of the files then
 *   aside.<number>/     a whole working tree that uncommitted changes kept from being moved on;
 *                       others of the same number have a suffix */
#ifndef FLEET_RUNNER_WORKSPACE_H
#define FLEET_RUNNER_WORKSPACE_H

#include <stdbool.h>

#include "worker/runner/git.h"
#include "worker/runner/stage.h"
#include "worker/runner/trusted.h"
#include "worker/runner/work.h"

#define WORKSPACE_TREE "refs/fleet/tree"
#define WORKSPACE_TRUSTED "refs/fleet/trusted"
#define WORKSPACE_QUESTION ".fleet-question" /* in the tree: of the agent to us, never work */

struct workspace {
    struct git *git;                /* borrowed */
    const struct stage *stage;      /* borrowed; locked */
    const struct runner_work *work; /* borrowed */
    int tasks, tree;                /* owned; <work_dir>/tasks, and the folder in it */
    char path[4352];                /* of the tree, absolute */
    const char *mirror;             /* borrowed; absolute */
    int mirror_dir;                 /* borrowed */
    bool sha256;
    bool fresh;     /* nothing in it is of an attempt: there was none, or it is empty */
    bool moving;    /* whoever moved it on last did not come to the end */
    bool moved;     /* ... but to that of the tree: it is what refs/fleet/tree says */
    char aside[64]; /* afterwards: where the old tree is kept, within the stage; "": it is not */
};

/* Opens the folder, which is made where it is missing. False: errno. */
bool workspace_open(struct workspace *workspace, int work_dir);
void workspace_close(struct workspace *workspace);
/* Reads what is known of the working tree: fresh, moving, moved. */
void workspace_look(struct workspace *workspace);

/* Moves the working tree on, from what the agent left on `from` to `to` ("": nothing, an empty
 * repository), with the configuration of `base`. What is uncommitted stays. */
bool workspace_move(struct workspace *workspace, const char *from, const char *to, const char *base,
                    struct trusted_paths *paths);
/* Makes `.git` anew: on the task's branch, at `head` ("": unborn). `base_name`: "refs/heads/…".
 * Both false: git->end and words, or git->end is GIT_DONE and errno says why. */
bool workspace_make_git(struct workspace *workspace, const char *head, const char *base_name,
                        const char *base, const struct trusted_paths *paths);

#endif
