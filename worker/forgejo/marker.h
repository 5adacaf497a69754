/* The hidden line by which the fleet finds its own comments again: an HTML comment that begins the
 * text. It counts only in comments of our own account, and only as the very first thing: who quotes
 * it makes none. */
#ifndef FLEET_FORGEJO_MARKER_H
#define FLEET_FORGEJO_MARKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"

#define MARKER_SIZE 200

/* "<!-- agent-fleet:FLEET -->", or with `what` behind the fleet's id: which of several it is. What
 * is not made of [a-z0-9.] in either is left out. */
void marker_make(char text[MARKER_SIZE], const char *fleet, const char *what);

/* A forgejo_shape_cb: of a timeline only comments that begin as a marker does are kept, and of
 * these only what tells whose they are and which. */
struct json_object *marker_shape(const struct json_object *item);

/* Ids of the comments of such a list that bear the marker and are of account `user_id`, each once,
 * ascending; how many, at most `max`. */
size_t marker_find(const struct json_object *comments, const char *marker, int64_t user_id,
                   int64_t *ids, size_t max);

#endif
