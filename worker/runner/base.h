/* The folders that all runs of a fleet on this host lie in; worker/runner/run.h shows them. */
#ifndef FLEET_RUNNER_BASE_H
#define FLEET_RUNNER_BASE_H

#include <stdbool.h>

struct base {
    int dir, runs;   /* owned */
    int fleet;       /* owned; <work_dir>/.fleet */
    int work;        /* owned; <work_dir> */
    char path[4096]; /* absolute, of the base */
};

/* Makes what is missing, and what was replaced by something else than a folder. False: `why` is a
 * sentence. */
bool base_open(struct base *base, const char *path, char why[static 256]);
void base_close(struct base *base);

#endif
