/* Text of foreign origin (issues, agents, hosts) made harmless for prompts, JSON and
 * the database. */
#ifndef FLEET_CLEAN_H
#define FLEET_CLEAN_H

#include <stddef.h>

#include "common/buf.h"

/* Adds `bytes` as valid UTF-8: each broken sequence becomes one U+FFFD, control characters (C0,
 * DEL, C1) other than \n and \t are left out. Stops after `max_chars` characters, so never inside
 * one. */
void clean_add(struct buf *out, const char *bytes, size_t len, size_t max_chars);

/* The same for text that must stay on one line: \n and \t become spaces. */
void clean_line(struct buf *out, const char *bytes, size_t len, size_t max_chars);

/* The same, as a new string that the caller owns. */
char *clean_copy(const char *bytes, size_t len, size_t max_chars);

#endif
