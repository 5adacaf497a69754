/* A sandbox around an agent, made by bubblewrap: its own mounts and processes.
 *
 * The root is read-only but for the task's folder, TMPDIR (as /tmp) and named paths; the fleet's
 * own folders and those of other tasks are not to be seen. /proc, /dev and shared memory are its
 * own; the network is not. When bubblewrap's first process ends, the kernel ends all that is
 * inside; that one ends with its parent. It does not take INT and TERM, which are for those inside.
 */
#ifndef FLEET_RUNNER_SANDBOX_H
#define FLEET_RUNNER_SANDBOX_H

#include <stdbool.h>

#include "worker/runner/frame.h"

struct sandbox {
    const char *base;   /* <work_dir>/.fleet/<fleet id> */
    const char *folder; /* the task's */
    const char *tmp;    /* becomes /tmp */
    /* Paths, one a line; "~/" is home; with "/" at its end a folder below it, made where it is
     * missing. What is not there is left out. */
    const char *writable;
    const char *home; /* NULL: none */
};

/* The command that executes the script at SCENE_SCRIPT within; descriptors and ignored signals are
 * set for it. NULL: there is no bubblewrap. Called once, before an exec. */
char **sandbox_command(const struct sandbox *sandbox);

/* Whether one can be made here. False: `why` is a sentence. Takes SANDBOX_MS at most. */
#define SANDBOX_MS 5000
bool sandbox_try(char why[static RUNNER_SANDBOX_SIZE]);

#endif
