/* One stream of an agent: what comes through its pipe goes into its file, at our own offset, up to
 * the cap. */
#ifndef FLEET_RUNNER_OUTPUT_H
#define FLEET_RUNNER_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct output {
    const char *name; /* static; of the file in the run's directory */
    int file;         /* owned */
    int pipe;         /* owned; read end; -1: at its end, or given up */
    int agent;        /* owned; the agent's end until it has it, else -1 */
    int64_t offset;   /* bytes written */
    int64_t cap;
    struct stat made; /* of the file, when it was opened */
};

/* The file that the caller of a start made: regular, empty, ours. */
bool output_open(struct output *output, int run, const char *name, int64_t cap);
bool output_make_pipe(struct output *output);
/* Takes what is there, one buffer of it. NULL, or the reason why the run has to end; the pipe is
 * closed then, and at its end. *more: there may be more at once. */
const char *output_take(struct output *output, bool *more);
/* Takes what is in the pipe now, and closes it, whoever may still hold its other end. */
const char *output_drain(struct output *output);
/* Whether the file under the name is still the one that we write, as long as we left it. */
bool output_intact(const struct output *output, int run);

#endif
