/* What an agent left uncommitted: found, and committed by us, with an index of ours and without
 * git in its workspace. Of the workspace's configuration only .gitignore and .gitattributes count,
 * and of these nothing that is executed. */
#ifndef FLEET_RUNNER_LEFTOVER_H
#define FLEET_RUNNER_LEFTOVER_H

#include "worker/runner/git.h"
#include "worker/runner/stage.h"
#include "worker/runner/take.h"
#include "worker/runner/work.h"

#define LEFTOVER_NAMES_SIZE 400
#define LEFTOVER_FILE_MAX (INT64_C(100) << 20) /* bytes; a larger file is withheld */
#define LEFTOVER_BYTES_MAX (INT64_C(1) << 30)  /* of all; what comes later is withheld */

struct leftover {
    struct git *git;                    /* borrowed */
    const struct stage *stage;          /* borrowed; locked */
    int tree;                           /* borrowed; the workspace's folder */
    const char *tree_path;              /* borrowed; absolute */
    const char *branch;                 /* borrowed; "task/<slug>" */
    bool commit;                        /* else it is only counted */
    struct runner_blob author, message; /* borrowed */
    int64_t files, withheld;            /* afterwards: paths changed; of others, left out */
    char names[LEFTOVER_NAMES_SIZE];    /* of what was withheld; printable ASCII, quoted */
};

/* The branch in the stage moves on by a commit where there is something. Idempotent. TAKE_TAMPERED:
 * it is nothing that a server should be given, and stays uncommitted. TAKE_FAILED: git->end and
 * words, or git->end is GIT_DONE and errno says why. */
enum take_end leftover_take(struct leftover *leftover);

#endif
