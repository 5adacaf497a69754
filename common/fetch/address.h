/* The address of a foreign server that is called over HTTP, as a person wrote it into the
 * configuration: what it may be, and what may be asked below it. */
#ifndef FLEET_FETCH_ADDRESS_H
#define FLEET_FETCH_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define ADDRESS_PATH_MAX ((size_t)8 << 10) /* bytes of a path with its query */

/* "https://host[:port][/path]"; http for loopback, or for all where allow_http. *base (may be NULL)
 * is the address in its plain form without a last "/"; the caller frees it. Errors do not show the
 * text, which may hold a password. */
bool address_read(const char *text, bool allow_http, char **base, struct error *err);

/* Is this a path with or without query, percent-encoded, without "." and ".." between slashes? */
bool address_path_fits(const char *path);

#endif
