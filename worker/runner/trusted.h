/* What agents read of a repository as their configuration: it comes from the base branch. While an
 * agent runs, its workspace holds the base's version of these files, whatever the task's branch
 * has; its index flags them (skip-worktree), so that they are no change.
 *
 * The tree that the workspace holds is an overlay: that of a commit, without these files, and those
 * of the base in their place; without submodules. */
#ifndef FLEET_RUNNER_TRUSTED_H
#define FLEET_RUNNER_TRUSTED_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/runner/git.h"
#include "worker/runner/refs.h"

/* A file, or one in a folder, that agents take for their configuration: in the top folder, but
 * AGENTS.md and the like anywhere. */
bool trusted_is(const char *path);
/* The nth name in the top folder that is one; NULL: there are no more. */
const char *trusted_name(size_t n);

/* Paths, each followed by a NUL; owned: git_text_release(). */
struct trusted_paths {
    struct git_text links;   /* submodules of the commit */
    struct git_text put;     /* configuration in the overlay */
    struct git_text flagged; /* of the commit: the overlay has another version, or none */
    struct git_text added;   /* in the overlay, and not in the commit */
};

/* Makes the overlay of `commit` with what `base` has ("": nothing) in the repository `dir`, by an
 * index file of its own, `index`. False: git->end and words. `paths`: NULL, or filled in. */
bool trusted_overlay(struct git *git, const char *dir, const char *index, const char *commit,
                     const char *base, char tree[static REFS_COMMIT_SIZE],
                     struct trusted_paths *paths);
void trusted_release(struct trusted_paths *paths);

/* The files for agents in the base's top folder, as "AGENTS.md CLAUDE.md". */
bool trusted_instructions(struct git *git, const char *dir, const char *base, char *names,
                          size_t size);

#endif
