/* How an agent's process gets into another account: what it is made of travels as a file in memory
 * on stdin, so that nobody else can read it and sudo has nothing to say about it. */
#ifndef FLEET_RUNNER_BECOME_H
#define FLEET_RUNNER_BECOME_H

#include <stdbool.h>
#include <stdint.h>

#define BECOME_WORDS   \
    {                  \
        "become", NULL \
    }

/* Texts and bytes are borrowed. */
struct parcel {
    const char *folder; /* path of the task's, which is that account's */
    const char *tmp;    /* path of TMPDIR, which is made */
    const char *mark;   /* FLEET_RUN */
    const char *base;   /* path of the fleet's folder */
    bool sandbox;
    bool fresh;           /* no agent ever worked in `folder` */
    const char *writable; /* of a sandbox, as struct scene has it */
    const void *job, *prompt;
    uint32_t job_len, prompt_len;
};

/* Read from its beginning; -1 on failure. */
int become_pack(const struct parcel *parcel);

/* `fleet-runner become`, as that account: turns into the agent. */
int become_main(int argc, char **argv);

#endif
