/* Spans and times as people write them. Pure. */
#ifndef FLEET_MOMENT_H
#define FLEET_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* What stands there: a day, a time of day, or both, and a zone or none. */
struct moment {
    int year, month, day; /* 0: not said; a day has its month */
    int hour, minute, second;
    bool timed;      /* a time of day was said */
    bool utc;        /* "UTC", "GMT" or "Z" was */
    bool shifted;    /* "+02:00" was: offset_secs */
    int offset_secs; /* east is positive */
    char zone[65];   /* "Area/City", as it was; "" = none */
};

/* Reads "2pm (Area/City)", "3:28 PM", "Apr 28th, 2026 10:03 PM", "Aug 20", "15:00",
 * "2026-04-28T22:03:00Z" at the beginning of `text`. */
bool moment_read(const char *text, struct moment *moment);

/* Reads "3 days 6 hours 57 minutes", "5h30m22s", "34.07s" at the beginning of `text`; seconds, a
 * begun one counts. 0 when it does not begin so. */
int64_t moment_span(const char *text);

/* Seconds since 1970 of a civil time without a zone. */
int64_t moment_civil(int year, int month, int day, int64_t second_of_day);

/* The next time that the moment means, at the earliest a little before `now`. `offset_secs` is the
 * zone's where the moment names none that is known; *known becomes false when it was needed. */
int64_t moment_next(const struct moment *moment, int64_t now, int offset_secs, bool *known);

#endif
