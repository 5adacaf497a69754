/* What an agent is asked: the prompt in sections. Pure functions. */
#ifndef FLEET_PROMPT_H
#define FLEET_PROMPT_H

#include <stdbool.h>

#include "common/buf.h"

#define PROMPT_MAX ((size_t)4 << 20) /* bytes of a whole prompt */
#define PROMPT_FENCE_SIZE 33         /* 128 bits in hex, and NUL */

/* The task as people wrote it; everything is borrowed, NULL where there is none. */
struct prompt_task {
    const char *task_id;
    const char *title;
    const char *body;
    const char *labels; /* joined by ", " */
    const char *repo;   /* "owner/name" */
    int issue_number;   /* 0: none */
    const char *branch; /* as SQL named it */

    bool repository;          /* the current directory is a clone, on that branch */
    const char *base_branch;  /* of it */
    const char *instructions; /* files for agents that the base branch has, "AGENTS.md …" */
    bool resumed;             /* the agent knows the session before */
    const char *summary;      /* of the attempt before; of the agent's making */
    const char *question;     /* that it ended with */
    const char *follow_up;    /* what a person answered, or asks for now */
};

/* A random fence that occurs nowhere in the task's text. */
void prompt_fence(const struct prompt_task *task, char fence[PROMPT_FENCE_SIZE]);

/* True when `fence` occurs nowhere in the task's text. */
bool prompt_fence_fits(const struct prompt_task *task, const char *fence);

/* Adds the whole prompt. Only what stands between the two fence lines comes from other people; it
 * is made valid UTF-8 without control characters. False when it would pass the ceiling of `out`. */
bool prompt_build(struct buf *out, const struct prompt_task *task, const char *fence);

#endif
