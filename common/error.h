/* What went wrong, for a human and for the program. */
#ifndef FLEET_ERROR_H
#define FLEET_ERROR_H

#include <stdarg.h>

struct error {
    /* SQLSTATE when it comes from the database (class AF is ours); else "", or a word of its maker
     */
    char state[6];
    char text[506]; /* one sentence that names the thing, the place and the way out */
};

void error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_set_state(struct error *err, const char *state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void error_clear(struct error *err);

#endif
