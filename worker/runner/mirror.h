/* Mirrors: one bare repository of ours for each url, from which all tasks of it have their objects.
 *
 *   <base>/mirrors/                0711: whoever does not know a name does not get in
 *     secret                       makes the names
 *     <name>-<32 hex>/             heads and tags as the server has them; objects are never pruned
 *       told                       what the last fetch found: "boot began_ms ok …", or a reason
 *     <name>-<32 hex>.lock         flock: one fetch at a time
 *
 * The lock is inherited by git's keeper: nobody fetches while a git lives on. */
#ifndef FLEET_RUNNER_MIRROR_H
#define FLEET_RUNNER_MIRROR_H

#include <stdbool.h>

#include "worker/runner/access.h"
#include "worker/runner/base.h"
#include "worker/runner/git.h"
#include "worker/runner/refs.h"
#include "worker/runner/work.h"

struct mirror {
    const struct base *base;        /* borrowed */
    const struct runner_work *work; /* borrowed */
    const struct access *access;    /* borrowed */
    struct git *git;                /* borrowed */
    struct runner_worked *worked;   /* borrowed; says what failed */
    int mirrors, dir, lock;         /* owned; -1: not open */
    char name[192];
    char path[4608];           /* absolute */
    char head[REFS_NAME_SIZE]; /* "refs/heads/…", the server's default branch; "": there is none */
    bool sha256;               /* its objects' names */
};

/* Its heads are those of the server, as they were after this was called: fetched, or found fetched
 * by somebody who began later. A damaged one is made anew. False: `worked` says why. */
bool mirror_open(struct mirror *mirror);
/* The same, from nothing: somebody found it damaged. It stays open. */
bool mirror_remake(struct mirror *mirror);
void mirror_close(struct mirror *mirror);

#endif
