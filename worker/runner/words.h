/* The last words of a program: what it wrote to stderr, as far as they fit, the latest. */
#ifndef FLEET_RUNNER_WORDS_H
#define FLEET_RUNNER_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_SIZE 1000
#define WORDS_LINE_SIZE 400

struct words {
    char *text; /* borrowed; WORDS_SIZE, NUL-ended: lines with " | " between, printable ASCII */
    size_t text_len;
    char line[WORDS_LINE_SIZE]; /* that is not ended yet; what is longer is cut */
    size_t len;
    bool returned; /* the last byte was a carriage return */
};

/* What follows a return is written over the line, and progress is no word. */
void words_hear(struct words *words, const char *bytes, size_t len);
/* Asterisks for every `secret` in it; NULL or "": nothing. */
void words_mask(char *text, const char *secret);

#endif
