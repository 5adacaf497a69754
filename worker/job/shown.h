/* What people see of a text in Markdown, so that an agent reads no more than they did: what Forgejo
 * renders without showing it (HTML comments, the alternative text of images, titles of links,
 * attributes of HTML, invisible characters) is left out. Pure. */
#ifndef FLEET_SHOWN_H
#define FLEET_SHOWN_H

#include <stddef.h>

#include "common/buf.h"

#define SHOWN_MORE 4096 /* bytes that it may be longer than the text */

/* Adds it; where an HTML comment was it says so, at most a hundred times. In time linear in `len`.
 * Any bytes will do; a byte that is no UTF-8 becomes "?". */
void shown_add(struct buf *out, const char *text, size_t len);

#endif
