#include "worker/clean.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at the front of `p` (RFC 3629 4), 0 when it is none;
 * *code is its character. */
static size_t sequence(const unsigned char *p, size_t len, uint32_t *code)
{
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    size_t need = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len < need)
        return 0;
    uint32_t value = p[0] & (0xffu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[need] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return need;
}

static bool is_control(uint32_t code)
{
    return (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code <= 0x9f);
}

static void add(struct buf *out, const char *bytes, size_t len, size_t max_chars, bool one_line)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t at = 0, chars = 0; at < len && chars < max_chars;) {
        uint32_t code = 0;
        size_t n = sequence(p + at, len - at, &code);
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
