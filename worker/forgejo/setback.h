/* Why something that was to be read from Forgejo was not: for SQL (fleet.look_failed), for people,
 * and when to come again. */
#ifndef FLEET_FORGEJO_SETBACK_H
#define FLEET_FORGEJO_SETBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/forgejo/client.h"

struct tracker;

struct setback {
    bool any;
    char why[480];      /* "word: sentence"; the words are those of fleet.look_failed */
    int64_t retry_secs; /* as Forgejo named it; -1: it did not */
};

/* Says it in the log, but not more often than once in ten seconds (*next, clock_ms): when Forgejo
 * is away, everything is. */
void setback_say(const struct setback *setback, int64_t *next, const char *repository,
                 const char *what);
void setback_clear(struct setback *setback);
/* Notes a failed answer; `what` was asked for. The first one stays, but that Forgejo is away wins:
 * then nothing else that it said counts. */
void setback_take(struct setback *setback, const struct tracker *tracker, const char *what,
                  const struct forgejo_answer *answer);
/* The same by a word of our own; wins over what was noted. */
void setback_set(struct setback *setback, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
