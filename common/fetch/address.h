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

/* The path of a URL that lies below `base` (of address_read): from the "/" behind it on, without
 * query and fragment; NULL when it lies elsewhere. The caller frees it. Nothing is to be called by
 * a URL that others wrote: take from the path what is needed, and build another. */
char *address_below(const char *base, const char *url);

#endif
