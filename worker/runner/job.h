/* The agent's process: its surroundings, and its start. */
#ifndef FLEET_RUNNER_JOB_H
#define FLEET_RUNNER_JOB_H

#include <sys/types.h>

#include "worker/runner/frame.h"
#include "worker/runner/run.h"

struct job {
    const struct base *base; /* borrowed, like all below */
    const struct runner_key *key;
    const char *folder;  /* under <work_dir>/tasks: its cwd */
    const char *path;    /* PATH; "": a plain one; another account has its own */
    const char *account; /* that it gets; "": ours */
    bool sandbox;
    int up;            /* up.<epoch>: job.sh, prompt and writable */
    int out, err;      /* write ends */
    int oom_score_adj; /* its own; INT_MIN: as it is */
    bool fresh;        /* no agent ever worked in `folder` */
};

/* Forks it, in a session and group of its own whose number is its pid. -1: no process. What cannot
 * be executed ends as a shell says it: 126, 127. */
pid_t job_start(const struct job *job);

/* Out of memory, an agent goes before its supervisor: lowers this process's oom_score_adj where
 * that is permitted, and says what its agent's is to be; INT_MIN: as it is. */
int job_oom_score(void);

/* TMPDIR of the run: made anew, of its account only (which makes it itself where it is not ours);
 * removed whatever modes its files have, and no link is followed. `account`: "": ours. */
void job_make_tmp(const struct base *base, const struct runner_key *key, const char *account);
void job_remove_tmp(const struct base *base, const struct runner_key *key, const char *account);

#endif
