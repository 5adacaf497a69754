/* What went wrong, for a human and for the program. */
#ifndef FLEET_ERROR_H
#define FLEET_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

struct error {
    /* SQLSTATE when it comes from the database (class AF is ours); a word of fleet.reason for the
     * kind of trouble when it comes from a host; else "", or a word of its maker */
    char state[24];
    bool unsent;    /* of a command for a host: not a byte left us, so it never runs */
    char text[487]; /* one sentence that names the thing, the place and the way out */
};

void error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_set_state(struct error *err, const char *state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void error_clear(struct error *err);

#endif
