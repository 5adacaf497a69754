/* What a worker may ask: every payload is read in full before anything is done with it. */
#ifndef FLEET_RUNNER_QUESTION_H
#define FLEET_RUNNER_QUESTION_H

#include <stdbool.h>

#include "worker/runner/work.h"

#define QUESTION_COMMAND_SIZE 4096

struct question_looks {
    int count;
    struct runner_look look[RUNNER_LOOKS_MAX]; /* commands lie in `text` */
    char text[RUNNER_LOOKS_MAX][QUESTION_COMMAND_SIZE];
};

/* Of a HELLO. False: it is none, or of another version. */
bool question_looks(struct frame_in payload, struct question_looks *looks);
/* HELLO START RAISE VOID STOP GC LIST CLEAN PREPARE HARVEST REMOVE. `run`: which one it is about;
 * "" without. */
bool question_is_proper(const struct frame *frame, char run[static RUNNER_RUN_SIZE]);
/* Of a PREPARE, HARVEST or REMOVE; texts are borrowed from the payload. False: it is none. */
bool question_work(struct frame_in payload, struct runner_key *key, struct runner_work *work);

#endif
