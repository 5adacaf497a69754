/* The JSON objects of a line, whatever stands around them or got into them. */
#ifndef FLEET_LINE_H
#define FLEET_LINE_H

#include <stddef.h>

#include "common/json.h"

typedef void (*line_object_cb)(void *data, const struct json_object *object);

/* Gives each object of the line to `on_object`, in their order. Forgiven are text, escape sequences
 * and a byte order mark around an object, several in one line, and inside of it control characters,
 * NUL as \u0000, lone surrogates and bytes that are no UTF-8. An object that was written into the
 * middle of another is taken out of it, and comes first. What is deeper than JSON_DEPTH_MAX, and
 * what lies inside an array, is none. */
void line_objects(const char *line, size_t len, line_object_cb on_object, void *data);

#endif
