/* Credentials in text that others wrote, overwritten before it is stored or logged.
 *
 * Known shapes only: tokens with a prefix of their maker, JWTs, private keys in PEM, what follows
 * "Authorization:", "Bearer", "://user:" or a name like API_KEY, and words that the caller knows to
 * be secret. What is overwritten keeps its length, each byte becomes '*', so offsets stay true;
 * digests and commit ids, which look as random, stay.
 *
 * Always true: a stream may be cut anywhere. redact_add() takes no more than up to a point behind a
 * blank that no credential spans; given the rest of the bytes from there (by whoever, with no state
 * but the offset) it writes what it would have written of the whole. */
#ifndef FLEET_REDACT_H
#define FLEET_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define REDACT_HOLD_MAX ((size_t)16 << 10) /* bytes that may have to wait for what follows them */
#define REDACT_WORD_MIN 8                  /* shorter secret words would hit ordinary text */

/* Words that are secret whatever they look like. */
struct redact_words {
    const char *const *items; /* borrowed */
    size_t count;
};

/* Adds the bytes that are decided to `out`, redacted, and returns how many of `bytes` these are:
 * the others have to come again with what follows them. `last`: nothing follows, all are decided.
 * `words` may be NULL. */
size_t redact_add(struct buf *out, const char *bytes, size_t len, const struct redact_words *words,
                  bool last);

/* A whole text, in place. */
void redact_text(char *text, const struct redact_words *words);

#endif
