/* Commands on this machine, as worker/exec.h has them, without SSH. */
#ifndef FLEET_LOCAL_H
#define FLEET_LOCAL_H

#include "worker/exec_job.h"

/* Runs the job with /bin/sh -c in a session of its own; it ends at the end of the process and of
 * its output. A time-out or local_kill ends the whole process group. The environment is HOME USER
 * LOGNAME PATH LANG SHELL TMPDIR and nothing else: ours may hold secrets. */
void local_run(struct loop *loop, struct exec_job *job);
/* Ends a job that local_run holds, with an error. */
void local_kill(struct exec_job *job, const char *why);

#endif
