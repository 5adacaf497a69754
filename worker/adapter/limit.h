/* When an agent's usage limit ends, as its words tell. Pure. */
#ifndef FLEET_LIMIT_H
#define FLEET_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* `text` is what the agent or its provider said about the limit, at the time `now` (seconds since
 * 1970, as *end). Understood are "try again in 3 days 6 hours 57 minutes" and the provider's
 * members resets_at and resets_in_seconds. A clock time says neither its zone nor its
 * day: false. */
bool limit_end(const char *text, int64_t now, int64_t *end);

#endif
