/* When an agent's usage limit ends, and which one it is, as its words tell. Pure, but for the zones
 * of the system. */
#ifndef FLEET_LIMIT_H
#define FLEET_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* When and where a text was read. */
struct limit_clock {
    int64_t now;         /* seconds since 1970 */
    int utc_offset_secs; /* of the host, for times without a zone */
    bool offset_known;   /* else UTC is taken */
};

/* `text` is what the agent or its provider said about the limit; *end is in seconds since 1970, and
 * behind now. Understood are a span ("try again in 3 days 6 hours", "reset after 5h30m"), a time
 * ("resets 2pm (Area/City)", "try again at Apr 28th, 2026 10:03 PM", "15:00"), "reached|<epoch>"
 * and the members resets_at, resets_in_seconds and retryDelay. A time without a day is the next
 * such time. *guessed: it is a time of a zone that is not known. */
bool limit_end(const char *text, const struct limit_clock *clock, int64_t *end, bool *guessed);

/* It says when, if perhaps in the past. */
bool limit_tells(const char *text);

/* The window that the text names: "five_hour", "seven_day", or "" when it names none. */
const char *limit_window(const char *text);

#endif
