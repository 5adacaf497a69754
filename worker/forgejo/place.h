/* Where things are in Forgejo: addresses for people, made of the configured one, names and numbers.
 * Nothing is added where the story has no address that can be one, or a name that is none. */
#ifndef FLEET_FORGEJO_PLACE_H
#define FLEET_FORGEJO_PLACE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"

#define PLACE_MAX 4096 /* bytes of an address */

/* An issue or pull request: kind is "issues" or "pulls". */
void place_numbered(struct buf *out, const struct json_object *story, const char *kind,
                    int64_t number);
/* It has the branch's slashes, and nothing else of its name as it is. */
void place_branch(struct buf *out, const struct json_object *story, const char *branch);
/* `text` in Markdown, as a link where there is an address. */
void place_link(struct buf *out, const char *text, const struct buf *url);

#endif
