/* What the fleet writes to Forgejo about a task, made of its story (fleet.story) as it is now.
 *
 * Always true, whatever the story holds: each text in it is foreign and passes
 * common/forgejo/words; the first line is the marker; nobody is mentioned but by render_call; links
 * lead to the configured Forgejo only, built anew from names and numbers. */
#ifndef FLEET_FORGEJO_RENDER_H
#define FLEET_FORGEJO_RENDER_H

#include "common/buf.h"
#include "common/json.h"
#include "common/redact.h"

#define RENDER_MAX ((size_t)48 << 10) /* bytes of a comment */
#define RENDER_TITLE_MAX 255          /* Forgejo's own limit */
#define RENDER_STATUS_MAX 140

/* The tracking comment. */
void render_comment(struct buf *out, const struct json_object *story,
                    const struct redact_words *secrets);
/* The comment that calls the requester for the story's need: the only text with a mention. */
void render_call(struct buf *out, const struct json_object *story,
                 const struct redact_words *secrets);
void render_pull_title(struct buf *out, const struct json_object *story,
                       const struct redact_words *secrets);
void render_pull_body(struct buf *out, const struct json_object *story,
                      const struct redact_words *secrets);
void render_status(struct buf *out, const struct json_object *story);
/* Where the issue is; "" when the story has no address that can be one. */
void render_issue_url(struct buf *out, const struct json_object *story);

/* Their markers; `text` holds MARKER_SIZE. False: the story has no need. */
void render_marker(char *text, const struct json_object *story);
bool render_call_marker(char *text, const struct json_object *story);

#endif
