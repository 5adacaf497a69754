/* Foreign text (of agents, of people, of git) in what we write to Forgejo: comments, titles and
 * bodies of pull requests, descriptions of statuses.
 *
 * Always true of what is added here, whatever the bytes were: valid UTF-8 without controls, bidi
 * and zero-width characters; known credentials overwritten; nothing that Forgejo reads as a
 * mention, a reference to an issue (so no closing keyword works), a link, an image or HTML; at most
 * `max` bytes, cut between characters, "…" where it was cut. */
#ifndef FLEET_FORGEJO_WORDS_H
#define FLEET_FORGEJO_WORDS_H

#include "common/buf.h"
#include "common/redact.h"

/* One line for a place that is not Markdown: a title, a description. White space becomes one
 * blank. `secrets` may be NULL. */
void words_plain(struct buf *out, const char *bytes, size_t len, size_t max,
                 const struct redact_words *secrets);

/* The same inside Markdown, as a `span` of code that ends where it says, also in a table's cell;
 * nothing for no text. max counts the text alone. */
void words_span(struct buf *out, const char *bytes, size_t len, size_t max,
                const struct redact_words *secrets);

/* A block of many lines, folded under `summary` (words of ours, no Markdown): fenced by more
 * backticks than the text has in a row, each line begins with "│ ". Nothing for no text. max counts
 * the text with its "│ ". Begins and ends with a new line of its own. */
void words_block(struct buf *out, const char *summary, const char *bytes, size_t len, size_t max,
                 const struct redact_words *secrets);

#endif
