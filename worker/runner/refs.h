/* What an agent's `.git` says of its branches: HEAD, loose references, packed-refs. All of it is
 * hostile: read with bounds by our own code, regular files only, no link followed on any level. */
#ifndef FLEET_RUNNER_REFS_H
#define FLEET_RUNNER_REFS_H

#include <stdbool.h>
#include <stddef.h>

#define REFS_COMMIT_SIZE 65 /* of a commit's name with its NUL: 40 or 64 hex digits */
#define REFS_NAME_SIZE 256  /* of a reference's name with its NUL; a longer one is none */
#define REFS_PACKED_MAX ((size_t)16 << 20) /* bytes of packed-refs; a larger one is none */

/* A reference's text: another one's name, or a commit's; the other is "". */
struct ref {
    char name[REFS_NAME_SIZE];
    char commit[REFS_COMMIT_SIZE];
};

/* Proper as git has it, below refs/, and nothing that a path could leave its folder by. */
bool refs_is_name(const char *name);
/* 40 or 64 hex digits in lower case. */
bool refs_is_commit(const char *text, size_t len);
/* Of HEAD, or of a loose reference. False: it is neither. */
bool refs_parse(const char *text, size_t len, struct ref *ref);
/* A reference of packed-refs. False: it is not in it. */
bool refs_packed(const char *text, size_t len, const char *name,
                 char commit[static REFS_COMMIT_SIZE]);

/* The commit that `name` means in the repository `git`; symbolic ones are followed five times.
 * False: there is none, or nothing readable. */
bool refs_commit(int git, const char *name, char commit[static REFS_COMMIT_SIZE]);
/* HEAD: the branch that it is on ("": detached) and its commit ("": unborn). False: it is none. */
bool refs_head(int git, struct ref *head);

#endif
