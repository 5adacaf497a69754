/* Taking in what an agent committed: its objects are copied into a quarantine, its references are
 * read by our own code, and what is new of them is packed there and unpacked into the stage, every
 * object checked. Nothing else of its repository is read: no configuration, hook, alternates. */
#ifndef FLEET_RUNNER_TAKE_H
#define FLEET_RUNNER_TAKE_H

#include "worker/runner/git.h"
#include "worker/runner/stage.h"

#define TAKE_NOTE_SIZE 400

enum take_end {
    TAKE_DONE,     /* `head` */
    TAKE_NONE,     /* there is no repository any more: `note` says what stands there */
    TAKE_TAMPERED, /* objects are broken or too many: `head` is what could be kept */
    TAKE_FULL,     /* the disk is */
    TAKE_FAILED,   /* of our side: git->end and words */
};

struct take {
    struct git *git;             /* borrowed */
    const struct stage *stage;   /* borrowed; locked */
    int tree;                    /* borrowed; the workspace's folder */
    const char *branch;          /* borrowed; "task/<slug>" */
    char head[REFS_COMMIT_SIZE]; /* of the branch in the stage, afterwards; "": it has none */
    char note[TAKE_NOTE_SIZE];   /* what was out of the ordinary, a sentence; "" nothing */
    bool astray; /* its files are those of an older commit: what they differ in is no change */
};

/* The branch in the stage is moved to what counts: the agent's own branch; HEAD instead of it where
 * it is detached, or on another branch that descends from the base. What is older than the
 * stage's head moves nothing. Idempotent. */
enum take_end take_in(struct take *take);

/* The folder of new objects within a stage, emptied by take_quarantine(): -1, errno, or its
 * descriptor. */
#define TAKE_QUARANTINE "quarantine"
int take_quarantine(const struct stage *stage);
/* A commit of the quarantine into the stage, with all that is new of it, each object checked.
 * TAKE_TAMPERED: it is broken, or nothing that a server should be given; git->words. */
enum take_end take_bring(struct git *git, const struct stage *stage, const char *branch,
                         const char *commit);

#endif
