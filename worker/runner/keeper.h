/* A program in a process group below a keeper: a process of ours that waits for it and ends the
 * whole group as soon as it is done, or its owner says so, or is gone (killed, too). */
#ifndef FLEET_RUNNER_KEEPER_H
#define FLEET_RUNNER_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

struct keeper {
    pid_t pid; /* of the keeper, a child of ours */
    int life;  /* owned; reads as ended once the keeper is gone */
};

/* What is run: all borrowed. The descriptors become its first three; no other is passed on but
 * those without close-on-exec. */
struct kept {
    const char *file;
    char *const *words;
    char *const *variables;
    int in, out, err;
};

bool keeper_start(struct keeper *keeper, const struct kept *kept);
/* Ends the group; keeper_wait() says when it has. */
void keeper_end(struct keeper *keeper);
/* Waits for the keeper: the program's exit, as a shell says it. */
int keeper_wait(struct keeper *keeper);

#endif
