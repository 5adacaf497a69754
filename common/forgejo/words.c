/* Foreign text made harmless: what cannot be seen goes, credentials are overwritten, and what
 * Forgejo would act on is written with a character that looks alike and means nothing. */
#include "common/forgejo/words.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

#define ELLIPSIS "…"
#define BAR "│ "

/* --- what cannot be seen --- */

/* Characters that show nothing or turn what is around them: bidi (Unicode TR 9), joiners and other
 * zero-width ones, fillers, variation selectors, tags, interlinear marks, noncharacters. */
static bool is_unseen(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0, 0x1f},      {0x7f, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},
        {0x61c, 0x61c},   {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
        {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
        {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
        {0xfff0, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };

    if ((code & 0xfffe) == 0xfffe)
        return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    }
    return false;
}

/* Length of a terminal's "ESC [ … letter" (ECMA-48 5.4) at `at`; 0 when there is none. */
static size_t escape_length(const char *at, size_t left)
{
    size_t len = 2;

    if (left < 3 || at[0] != 0x1b || at[1] != '[')
        return 0;
    while (len < left && at[len] >= 0x20 && at[len] <= 0x3f)
        len++;
    return len < left && at[len] >= 0x40 && at[len] <= 0x7e ? len + 1 : len;
}

static bool is_break(uint32_t code)
{
    return code == '\n' || code == '\r' || code == 0x85 || code == 0x2028 || code == 0x2029;
}

/* One character, or a terminal's sequence; returns how many bytes these were. */
static size_t clean_one(struct buf *out, const char *at, size_t left)
{
    uint32_t code = 0;
    size_t len = escape_length(at, left);

    if (len > 0)
        return len;
    len = text_character(at, left, &code);
    if (len == 0) {
        buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no text */
        return 1;
    }
    if (code == '\r' && left > 1 && at[1] == '\n')
        return 1;
    if (is_break(code))
        buf_adds(out, "\n");
    else if (code == '\t')
        buf_adds(out, "    ");
    else if (!is_unseen(code))
        buf_add(out, at, len);
    return len;
}

/* Text without what cannot be seen and without credentials: first the one, since a credential may
 * be taken apart by the other. A little more than `max`, so that one at the cut is known, too. */
static void clean(struct buf *out, const char *bytes, size_t len, size_t max,
                  const struct redact_words *secrets)
{
    struct buf seen;
    size_t enough = max + REDACT_HOLD_MAX;

    buf_init(&seen, enough + 8);
    for (size_t at = 0; at < len && seen.len < enough;)
        at += clean_one(&seen, bytes + at, len - at);
    while (seen.len > 0 && isspace((unsigned char)seen.data[seen.len - 1]))
        seen.data[--seen.len] = '\0';
    buf_init(out, enough + 8);
    redact_add(out, buf_text(&seen), seen.len, secrets, true);
    buf_release(&seen);
}

/* --- what would be acted on --- */

/* What stands for the character at `at`, of a text that ends with NUL; NULL: itself. */
static const char *instead(const char *at)
{
    unsigned char next = (unsigned char)at[1];

    switch (*at) {
    case '@':
        return "＠"; /* mentions, and "owner/name@commit" */
    case '#':
        return isalnum(next) ? "＃" : NULL;
    case '!':
        return isdigit(next) || next == '[' ? "！" : NULL;
    case '<':
        return isalpha(next) || (next && strchr("/!?", next)) ? "‹" : NULL;
    case ':':
        return next == '/' && at[2] == '/' ? "：" : NULL;
    case ']':
        return next && strchr("([:", next) ? "］" : NULL;
    case '&':
        return next == '#' || isalpha(next) ? "＆" : NULL;
    }
    return NULL;
}

/* "www." is a link without any scheme. */
static bool is_host(const char *text, size_t at)
{
    return at >= 3 && text[at] == '.' && strncasecmp(text + at - 3, "www", 3) == 0;
}

static void defuse(struct buf *out, const char *text, size_t at)
{
    const char *other = is_host(text, at) ? "．" : instead(text + at);

    if (other)
        buf_adds(out, other);
    else
        buf_add(out, text + at, 1);
}

/* Cuts to `max` bytes between two characters. */
static void cut(struct buf *text, size_t max)
{
    size_t mark = strlen(ELLIPSIS), len;

    if (text->len <= max)
        return;
    len = text_cut(buf_text(text), max < mark ? max : max - mark);
    text->data[text->len = len] = '\0';
    if (max >= mark)
        buf_adds(text, ELLIPSIS);
}

/* Room for each byte as the longest that may stand instead of it, and some. */
static size_t room(size_t len)
{
    return 4 * len + 64;
}

/* --- the three places --- */

/* What would end a span of code, or a table's cell, also in code. */
static const char *in_span(char c)
{
    return c == '`' ? "'" : c == '|' ? "¦" : NULL;
}

static void one_line(struct buf *line, const char *bytes, size_t len, size_t max,
                     const struct redact_words *secrets, bool span)
{
    struct buf text;

    clean(&text, bytes, len, max, secrets);
    buf_init(line, room(text.len));
    for (size_t i = 0; i < text.len; i++) {
        if (span && in_span(text.data[i]))
            buf_adds(line, in_span(text.data[i]));
        else if (!isspace((unsigned char)text.data[i]))
            defuse(line, text.data, i);
        else if (line->len > 0 && line->data[line->len - 1] != ' ')
            buf_adds(line, " ");
    }
    buf_release(&text);
    cut(line, max);
}

void words_plain(struct buf *out, const char *bytes, size_t len, size_t max,
                 const struct redact_words *secrets)
{
    struct buf line;

    one_line(&line, bytes, len, max, secrets, false);
    buf_add(out, buf_text(&line), line.len);
    buf_release(&line);
}

void words_span(struct buf *out, const char *bytes, size_t len, size_t max,
                const struct redact_words *secrets)
{
    struct buf line;

    one_line(&line, bytes, len, max, secrets, true);
    if (line.len > 0) {
        buf_adds(out, "`");
        buf_add(out, line.data, line.len);
        buf_adds(out, "`");
    }
    buf_release(&line);
}

/* Backticks in a row, the most. */
static size_t longest_fence(const char *text)
{
    size_t most = 0;

    for (size_t run; *text; text += run + (*text && run == 0)) {
        run = strspn(text, "`");
        if (run > most)
            most = run;
    }
    return most;
}

static void many_lines(struct buf *lines, const struct buf *text, size_t max)
{
    const char *last = "\n" BAR ELLIPSIS;
    char *end;

    buf_adds(lines, BAR);
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] == '\n')
            buf_adds(lines, "\n" BAR);
        else
            defuse(lines, text->data, i);
    }
    if (lines->len <= max)
        return;
    lines->len = text_cut(lines->data, max < strlen(last) ? 0 : max - strlen(last));
    lines->data[lines->len] = '\0';
    end = strrchr(lines->data, '\n'); /* what is left of a line that has not its whole bar goes */
    if (strlen(end ? end + 1 : lines->data) < strlen(BAR))
        lines->data[lines->len = end ? (size_t)(end - lines->data) : 0] = '\0';
    buf_adds(lines, lines->len > 0 ? last : last + 1);
}

void words_block(struct buf *out, const char *summary, const char *bytes, size_t len, size_t max,
                 const struct redact_words *secrets)
{
    struct buf text, lines;
    size_t fence;

    clean(&text, bytes, len, max, secrets);
    buf_init(&lines, room(text.len) + 4 * text.len);
    if (text.len > 0) {
        many_lines(&lines, &text, max);
        fence = longest_fence(lines.data) + 1;
        buf_addf(out, "\n<details><summary>%s</summary>\n\n", summary);
        for (size_t i = 0; i < (fence < 3 ? 3 : fence); i++)
            buf_adds(out, "`");
        buf_addf(out, "text\n%s\n", lines.data);
        for (size_t i = 0; i < (fence < 3 ? 3 : fence); i++)
            buf_adds(out, "`");
        buf_adds(out, "\n\n</details>\n");
    }
    buf_release(&text);
    buf_release(&lines);
}
