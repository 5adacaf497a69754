/* What the kernel says of processes. Nothing here believes a file that an agent could have written:
 * a pid out of such a file is a hint, to be confirmed by start time and command line. */
#ifndef FLEET_RUNNER_PROCESS_H
#define FLEET_RUNNER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "worker/runner/frame.h"

struct process {
    char state; /* as in proc(5): 'Z' and 'X' are dead */
    pid_t parent, group, session;
    uint64_t start; /* ticks since boot */
};

/* False when there is none. */
bool process_read(pid_t pid, struct process *process);
/* Whether /proc tells of processes: without it nothing is ever proven gone. */
bool process_known(void);
/* Whether /proc hides from an account the processes that do not let it look into them. */
bool process_hides(void);
/* boot_id "-" start time of pid 1. Changes with every boot of machine or container; "none-0"
 * without /proc. Lives for ever. */
const char *process_boot(void);
/* Alive, and bears FLEET_RUN=<run>.<nonce> in its environment (which the kernel shows of our own
 * account only, and to root of all). Calls `each` for every one; returns how many. `each` may be
 * NULL. */
int process_marked(const struct runner_key *key, void (*each)(void *data, pid_t pid), void *data);
/* What stands for a nonce where others can read it. */
#define PROCESS_TAG_SIZE RUNNER_NONCE_SIZE
void process_tag(const char *nonce, char tag[static PROCESS_TAG_SIZE]);
/* The living supervisor of the run: a process of our uid that leads a session and whose command
 * line is that of this run's and nonce's (or its tag's) `supervise`, this program's or the script's
 * that came before it. `hint` (0: none) is looked at first. 0 when there is none. A pid that `key`
 * knows from the database counts by its start time alone, while the boot is the same, and no other
 * does. */
pid_t process_supervisor(const struct runner_key *key, pid_t hint);
/* Whether a process works in a directory, or somewhere below it; nobody else's is seen. */
bool process_works_in(const char *path);
bool process_executes(const struct stat *file); /* by somebody, as far as we see */
/* Alive and of this account, in any of its four numbers. */
int process_count(uid_t uid);
/* Whether anybody alive is in the process group; without /proc nobody is seen. */
bool process_group_lives(pid_t group);
/* It is one of the script that came before this program. */
bool process_is_script(pid_t pid, const struct runner_key *key);

#endif
