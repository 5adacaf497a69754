/* What must be true of foreign text behind common/forgejo/words, whatever it was before; written
 * from what Forgejo acts on (references, mentions, Markdown), not from how words.c goes about it.
 * For unit tests and the fuzz target. */
#ifndef FLEET_WORDS_RULES_H
#define FLEET_WORDS_RULES_H

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/forgejo/words.h"
#include "common/text.h"

static inline bool rules_invisible(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || /* controls */
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||    /* bidi, joiners */
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfe00 && c <= 0xfe0f) ||
           (c >= 0xe0000 && c <= 0xe0fff) || c == 0x180e || c == 0x3164 || c == 0x115f ||
           c == 0x1160 || c == 0xffa0 || (c >= 0xfff9 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe;
}

/* The first rule that one line of foreign text breaks; NULL for none. */
static inline const char *rules_line(const char *text, size_t len)
{
    uint32_t code = 0;

    for (size_t at = 0, step; at < len; at += step) {
        const char *now = text + at;
        size_t left = len - at;
        char next = left > 1 ? now[1] : '\0';
        if ((step = text_character(now, left, &code)) == 0)
            return "not UTF-8";
        if (rules_invisible(code))
            return "a character that cannot be seen";
        if (*now == '@')
            return "a mention, or a reference to a commit";
        if ((*now == '#' || *now == '!') && isdigit((unsigned char)next))
            return "a reference, which a closing keyword may stand before";
        if (*now == '<' && (isalpha((unsigned char)next) || (next && strchr("/!?", next))))
            return "HTML";
        if (*now == '&' && (next == '#' || isalpha((unsigned char)next)))
            return "a character by its name";
        if (left >= 3 && strncmp(now, "://", 3) == 0)
            return "a link";
        if (left >= 4 && strncasecmp(now, "www.", 4) == 0)
            return "a link";
        if ((*now == '!' && next == '[') || (*now == ']' && next && strchr("([:", next)))
            return "an image or a link";
    }
    return NULL;
}

static inline const char *rules_plain(const char *out, size_t len, size_t max)
{
    return len > max ? "longer than asked for" : rules_line(out, len);
}

static inline const char *rules_span(const char *out, size_t len, size_t max)
{
    if (len == 0)
        return NULL;
    if (len < 3 || out[0] != '`' || out[len - 1] != '`')
        return "no span";
    if (memchr(out + 1, '`', len - 2) || memchr(out, '|', len))
        return "a span that ends before its end";
    return rules_plain(out + 1, len - 2, max);
}

/* `out` ends with NUL. */
static inline const char *rules_block(const char *out, size_t len, size_t max, const char *summary)
{
    char head[256], end[8192];
    size_t fence, all = 0;

    if (len == 0)
        return NULL;
    snprintf(head, sizeof head, "\n<details><summary>%s</summary>\n\n", summary);
    if (strncmp(out, head, strlen(head)) != 0)
        return "no head";
    out += strlen(head);
    fence = strspn(out, "`");
    if (fence < 3 || fence > 8000 || strncmp(out + fence, "text\n", 5) != 0)
        return "no fence";
    memset(end, '`', fence);
    snprintf(end + fence, sizeof end - fence, "\n\n</details>\n");
    for (out += fence + 5; strcmp(out, end) != 0;) {
        size_t line = strcspn(out, "\n");
        if (out[line] == '\0')
            return "no end";
        if (strncmp(out, "│ ", 4) != 0)
            return "a line without its bar";
        for (size_t i = 0, run = 0; i < line; i++) {
            run = out[i] == '`' ? run + 1 : 0;
            if (run >= fence)
                return "a fence as long as the one around it";
        }
        const char *broken = rules_line(out, line);
        if (broken)
            return broken;
        all += line + 1;
        out += line + 1;
    }
    return all - 1 > max && all - 1 > strlen("│ …") ? "longer than asked for" : NULL;
}

#endif
