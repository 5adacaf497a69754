/* What many nouns do with text: UTF-8 (RFC 3629 4: no surrogates, no overlongs), words of a list,
 * quoting for a shell. */
#ifndef FLEET_TEXT_H
#define FLEET_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/* Length of the character at `at`, its code point in *code; 0 when there is none. */
size_t text_character(const char *at, size_t left, uint32_t *code);
size_t text_utf8_prefix(const char *bytes, size_t len); /* length of the valid beginning */
bool text_is_utf8(const char *bytes, size_t len);
size_t text_characters(const char *text); /* how many, of valid UTF-8 */
/* Length of the longest beginning of at most `max` bytes that cuts no character. */
size_t text_cut(const char *text, size_t max);

bool text_listed(const char *text, const char *const *list); /* ended by NULL */

/* 'text' for a POSIX shell, fish or tcsh, whatever it holds (no NUL; of tcsh, no newline). */
void text_shell_quote(struct buf *out, const char *text);

#endif
