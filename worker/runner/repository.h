/* Repositories of ours, made by our own code: what git init would make, without templates and
 * without anybody's configuration. */
#ifndef FLEET_RUNNER_REPOSITORY_H
#define FLEET_RUNNER_REPOSITORY_H

#include <stdbool.h>

struct repository {
    bool bare;
    bool sha256;
    const char *head;          /* "refs/heads/…" */
    const char *alternates[2]; /* absolute paths of objects; NULL: none */
    const char *more;          /* lines of its configuration; NULL: none */
};

/* Fills in the folder `dir`: what is missing of a repository is made; HEAD, configuration and
 * alternates are written anew. Everybody who gets at the folder may read it. False: errno. */
bool repository_make(int dir, const struct repository *repository);
/* The list of commits at which the history of a shallow repository ends, from one to another;
 * nothing where there is none. False: errno. */
bool repository_copy_shallow(int from, int to);
/* What a git that was killed left behind in it: locks, and halves of packs. Nothing may be running
 * in it. */
void repository_tidy(int dir);
/* How many packs it has. */
int repository_packs(int dir);

#endif
