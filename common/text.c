/* UTF-8, lists of words, quoting. */
#include "common/text.h"

#include <string.h>

size_t text_character(const char *bytes, size_t left, uint32_t *code)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (left == 0)
        return 0;
    if (at[0] < 0x80) {
        *code = at[0];
        return 1;
    }
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < len)
        return 0;
    uint32_t value = at[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3fu);
    }
    if (value < least[len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return len;
}

size_t text_utf8_prefix(const char *bytes, size_t len)
{
    uint32_t code;
    size_t at = 0;
    size_t step = 1;
    while (at < len && step > 0) {
        step = text_character(bytes + at, len - at, &code);
        at += step;
    }
    return at;
}

bool text_is_utf8(const char *bytes, size_t len)
{
    return text_utf8_prefix(bytes, len) == len;
}

size_t text_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

size_t text_cut(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len <= max)
        return len;
    for (len = max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;
    return len;
}

bool text_listed(const char *text, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, text) == 0)
            return true;
    }
    return false;
}

/* What some shell understands inside quotes (fish the backslash, tcsh the exclamation mark) ends
 * the quoting, is escaped, and begins it again. */
void text_shell_quote(struct buf *out, const char *text)
{
    buf_adds(out, "'");
    for (size_t plain; text[plain = strcspn(text, "'\\!")] != '\0'; text += plain + 1) {
        buf_add(out, text, plain);
        buf_addf(out, "'\\%c'", text[plain]);
    }
    buf_adds(out, text);
    buf_adds(out, "'");
}
