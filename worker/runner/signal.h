/* The only place of this program that signals anybody: never the first process, never ourselves,
 * and never a process that is another by now. */
#ifndef FLEET_RUNNER_SIGNAL_H
#define FLEET_RUNNER_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The process with this number and start time (ticks since boot, as process_read() says). `value`
 * goes with it as sigqueue(3) would send it, -1: none. False with errno EPERM when we may not, with
 * ESRCH when there is no such process. */
bool signal_process(pid_t pid, uint64_t start, int signal, int value);
/* A child of ours that was not reaped yet, so that its number is no other's. */
bool signal_child(pid_t pid, int signal);
/* The whole group of such a child. */
bool signal_group(pid_t group, int signal);
/* Everybody whom this account may signal, in one step that no fork outruns; for accounts that hold
 * nothing but one run. False, with EINVAL, for root. */
bool signal_everybody(int signal);

#endif
