/* Foreign text, character by character. */
#include "worker/clean.h"

#include <stdint.h>
#include <string.h>

#include "common/text.h"

static bool is_control(uint32_t code)
{
    return (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code <= 0x9f);
}

static void add(struct buf *out, const char *bytes, size_t len, size_t max_chars, bool one_line)
{
    for (size_t at = 0, chars = 0; at < len && chars < max_chars;) {
        uint32_t code = 0;
        size_t n = text_character(bytes + at, len - at, &code);
        if (n == 0) {
            buf_adds(out, "\xef\xbf\xbd");
            at++, chars++;
            continue;
        }
        if (one_line && (code == '\n' || code == '\t')) {
            buf_adds(out, " ");
            chars++;
        } else if (!is_control(code)) {
            buf_add(out, bytes + at, n);
            chars++;
        }
        at += n;
    }
}

void clean_add(struct buf *out, const char *bytes, size_t len, size_t max_chars)
{
    add(out, bytes, len, max_chars, false);
}

void clean_line(struct buf *out, const char *bytes, size_t len, size_t max_chars)
{
    add(out, bytes, len, max_chars, true);
}

char *clean_copy(const char *bytes, size_t len, size_t max_chars)
{
    struct buf out;
    buf_init(&out, 4 * max_chars + 16);
    buf_adds(&out, "");
    clean_add(&out, bytes, len, max_chars);
    return buf_take(&out);
}
