/* How git tells a server who we are. The secret came in a frame: it lies in memory files that end
 * with our process, and is in no file, no argument and no environment. Git asks this very program,
 * as its GIT_ASKPASS or its GIT_SSH, which reads it there. */
#ifndef FLEET_RUNNER_ACCESS_H
#define FLEET_RUNNER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/runner/work.h"

#define ACCESS_VARIABLES 8

struct access {
    const char *scheme; /* of the url: "https", "http", "ssh" or "file"; lives for ever */
    const char *variables[ACCESS_VARIABLES]; /* of git's environment: paths only; NULL at the end */
    int secret, known_hosts;                 /* owned; -1: none */
    char *mask; /* owned; what must never be shown; NULL: nothing that could be */
    char text[ACCESS_VARIABLES][192];
};

/* False: the url is none that git may be given, or there is no memory; `why` is a sentence. */
bool access_open(struct access *access, const struct runner_work *work, char why[static 256]);
void access_close(struct access *access);

/* This program was started by git, to be asked. */
bool access_is_asked(void);
int access_main(int argc, char **argv);

#endif
