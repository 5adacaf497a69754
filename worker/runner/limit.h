/* A command within its time: `fleet-runner limit SECS -- WORD...`, for the hooks of a job script.
 */
#ifndef FLEET_RUNNER_LIMIT_H
#define FLEET_RUNNER_LIMIT_H

#define LIMIT_EXPIRED 124 /* the status then, as of timeout(1) */

/* The command leads a group of its own. INT, TERM and HUP are passed on to it; when its time is up,
 * the group gets TERM, then KILL, and a line on stderr says so. Returns the command's status, as a
 * shell says it. */
int limit_main(int argc, char **argv);

#endif
