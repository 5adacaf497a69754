/* A program of which one line is wanted. It is a child with a pipe, in a session of its own, so
 * that nothing it asks for reaches a terminal; and it has a bound in time.
 *
 * Life: `line`, `size` and perhaps `mark` are set, the rest is zero; ask_begin, ask_hear whenever
 * its fd can be read, ask_end. */
#ifndef FLEET_RUNNER_ASK_H
#define FLEET_RUNNER_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ASK_GRACE_MS 3000 /* who is killed before may leave a lock in the account's home */
#define ASK_REST_MS 1000  /* for what goes on behind the whole line */

struct asked {
    char *line; /* borrowed; what was heard of the line, NUL-ended, cut at `size` */
    size_t size, len;
    const char *mark;  /* what the line begins with; NULL: it is the first one */
    pid_t pid;         /* leads a group of its own; 0: none */
    int fd;            /* owned */
    int64_t deadline;  /* clock_now */
    int64_t killed_at; /* hung up on; then it is killed. 0: not yet */
    bool whole;        /* the line is there */
};

/* With the environment of a session: HOME and the like of ours, and `path`. False: it did not
 * begin. */
bool ask_begin(struct asked *asked, const char *file, char *const argv[], const char *path,
               int64_t ms);
/* True once the line is whole, or there will be no more of it. */
bool ask_hear(struct asked *asked);
/* Until then, or until its deadline. */
void ask_wait(struct asked *asked);
/* Hangs up on it and on what it left in its group, and does not wait: for several at once. */
void ask_hang_up(struct asked *asked);
/* Once it was hung up on: true when nobody of it goes on, or its time is over. */
bool ask_is_over(const struct asked *asked);
/* Hangs up, waits until that is over, and kills who goes on. */
void ask_end(struct asked *asked);

#endif
