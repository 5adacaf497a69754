/* One pass over the text. Rules of what is hidden: CommonMark 0.30 (4.6 HTML blocks, 4.7 link
 * reference definitions, 6.3 links, 6.4 images, 6.6 raw HTML) and Forgejo's sanitiser. */
#include "worker/job/shown.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/text.h"

#define OPEN_MAX 64 /* brackets that are open at once; of more the outer ones are only text */
#define LABEL_MAX 100
#define SAID_MAX 100

struct reader {
    const char *text;
    size_t len, at;
    struct buf *out;
    struct {
        size_t place; /* in `out`, behind the bracket */
        bool image;
    } open[OPEN_MAX];
    int depth;
    bool line_start;
    int said;              /* how often something was said to be left out */
    size_t none_from[256]; /* no such byte is from there on: so it is looked for once */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char peek(const struct reader *r, size_t at)
{
    return at < r->len ? r->text[at] : '\0';
}

static bool begins(const struct reader *r, size_t at, const char *word)
{
    size_t len = strlen(word);
    return r->len - at >= len && memcmp(r->text + at, word, len) == 0;
}

/* The place of the next `c` from `at` on; len when there is none. */
static size_t find(struct reader *r, size_t at, char c)
{
    size_t *none_from = &r->none_from[(unsigned char)c];
    const char *found = at < *none_from ? memchr(r->text + at, c, r->len - at) : NULL;
    if (found != NULL)
        return (size_t)(found - r->text);
    if (at < *none_from)
        *none_from = at;
    return r->len;
}

/* --- characters that have no shape --- */

static bool is_invisible(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0xad, 0xad},       {0x34f, 0x34f},   {0x61c, 0x61c},     {0x115f, 0x1160},
        {0x17b4, 0x17b5},   {0x180b, 0x180f}, {0x200b, 0x200f},   {0x202a, 0x202e},
        {0x2060, 0x206f},   {0x3164, 0x3164}, {0xfe00, 0xfe0d},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},   {0xfff0, 0xfff8}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
        {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

static void copy(struct reader *r, size_t until)
{
    while (r->at < until) {
        uint32_t code = 0;
        size_t n = text_character(r->text + r->at, r->len - r->at, &code);
        if (n == 0)
            buf_add(r->out, "?", n = 1); /* not left out: the bytes around it would join */
        else if (!is_invisible(code))
            buf_add(r->out, r->text + r->at, n);
        r->at += n;
    }
}

/* --- HTML --- */

static size_t end_of(struct reader *r, size_t at, const char *close)
{
    while (at < r->len && !begins(r, at, close))
        at = find(r, at + 1, close[0]);
    return at < r->len ? at + strlen(close) : r->len;
}

/* A comment, an instruction, a declaration: to its end, or that of the text. */
static bool skip_hidden(struct reader *r)
{
    size_t at = r->at;
    if (begins(r, at, "<!--"))
        r->at = end_of(r, at + 4, "-->");
    else if (begins(r, at, "<?"))
        r->at = end_of(r, at + 2, "?>");
    else if (begins(r, at, "<![CDATA["))
        r->at = end_of(r, at + 9, "]]>");
    else if (begins(r, at, "<!") && is_letter(peek(r, at + 2)))
        r->at = end_of(r, at + 2, ">");
    else
        return false;
    if (r->said++ < SAID_MAX)
        buf_adds(r->out, "(left out: what is not shown)");
    return true;
}

static size_t skip_space(const struct reader *r, size_t at)
{
    while (at < r->len && is_space(r->text[at]))
        at++;
    return at;
}

static size_t skip_name(const struct reader *r, size_t at)
{
    while (at < r->len && !is_space(r->text[at]) && strchr("\"'<>/=`", r->text[at]) == NULL)
        at++;
    return at;
}

/* Behind the value at `at`; 0: there is none. */
static size_t skip_attribute_value(struct reader *r, size_t at)
{
    char quote = peek(r, at);
    if (quote == '"' || quote == '\'') {
        size_t end = find(r, at + 1, quote);
        return end < r->len ? end + 1 : 0;
    }
    size_t end = at;
    while (end < r->len && !is_space(r->text[end]) && strchr("\"'=<>`", r->text[end]) == NULL)
        end++;
    return end > at ? end : 0;
}

/* Where the address is kept that a link or an image leads to. */
struct address {
    size_t from, to;
};

/* One attribute from `at` on; 0: it is none. */
static size_t skip_attribute(struct reader *r, size_t at, struct address *address)
{
    size_t name = at, end = skip_name(r, at), equal = skip_space(r, end);
    if (end == name)
        return 0;
    if (peek(r, equal) != '=')
        return end;
    size_t value = skip_space(r, equal + 1), after = skip_attribute_value(r, value);
    bool leads = (end - name == 4 && strncmp(r->text + name, "href", 4) == 0) ||
                 (end - name == 3 && strncmp(r->text + name, "src", 3) == 0);
    if (after != 0 && leads && memchr(r->text + value, '<', after - value) == NULL)
        *address = (struct address){name, after};
    return after;
}

/* A tag keeps its name and where it leads. False: it is no tag, and is seen as it is. */
static bool skip_tag(struct reader *r)
{
    struct address address = {0, 0};
    size_t name = r->at + 1 + (peek(r, r->at + 1) == '/');
    if (!is_letter(peek(r, name)))
        return false;
    size_t end = skip_name(r, name), at = skip_space(r, end);
    while (at < r->len && r->text[at] != '>' && r->text[at] != '/') {
        size_t next = skip_attribute(r, at, &address);
        if (next == 0)
            return false;
        at = skip_space(r, next);
    }
    if (peek(r, at) == '/')
        at++;
    if (peek(r, at) != '>')
        return false;
    copy(r, end);
    if (address.to > 0) {
        buf_adds(r->out, " ");
        r->at = address.from;
        copy(r, address.to);
    }
    buf_adds(r->out, ">");
    r->at = at + 1;
    return true;
}

/* --- links and images --- */

static size_t skip_destination(struct reader *r, size_t at)
{
    char next = peek(r, at + 1);
    if (peek(r, at) == '<' && next != '!' && next != '?') {
        size_t end = at + 1;
        while (end < r->len && strchr("<>\n", r->text[end]) == NULL)
            end++;
        return peek(r, end) == '>' ? end + 1 : at;
    }
    int depth = 0;
    for (; at < r->len && !is_space(r->text[at]) && r->text[at] != '<'; at++) {
        depth += r->text[at] == '(';
        if (r->text[at] == ')' && depth-- == 0)
            break;
    }
    return at;
}

/* Behind a title at `at`, which begins with a quote or a parenthesis; 0: there is none. */
static size_t skip_title(struct reader *r, size_t at)
{
    char open = peek(r, at);
    if (open != '"' && open != '\'' && open != '(')
        return 0;
    char close = open == '(' ? ')' : open;
    size_t end = find(r, at + 1, close);
    while (end < r->len && r->text[end - 1] == '\\')
        end = find(r, end + 1, close);
    return end < r->len ? end + 1 : 0;
}

/* At "](": keeps the destination, leaves a title out. */
static void take_destination(struct reader *r)
{
    size_t from = skip_space(r, r->at + 2), to = skip_destination(r, from);
    size_t title = skip_space(r, to), end = title > to ? skip_title(r, title) : 0;
    size_t close = end > 0 ? skip_space(r, end) : 0;
    copy(r, to > from ? to : r->at + 2);
    if (close > 0 && peek(r, close) == ')')
        r->at = close;
}

static void open_bracket(struct reader *r, bool image)
{
    copy(r, r->at + 1 + image);
    if (r->depth == OPEN_MAX)
        memmove(&r->open[0], &r->open[1], (size_t)--r->depth * sizeof r->open[0]);
    r->open[r->depth].place = r->out->len;
    r->open[r->depth].image = image;
    r->depth++;
}

static void close_bracket(struct reader *r)
{
    char next = peek(r, r->at + 1);
    bool image = r->depth > 0 && r->open[r->depth - 1].image;
    if (image && (next == '(' || next == '[') && !r->out->failed) {
        r->out->len = r->open[r->depth - 1].place;
        r->out->data[r->out->len] = '\0';
    }
    r->depth -= r->depth > 0;
    if (next == '(')
        take_destination(r);
    else
        copy(r, r->at + 1);
}

/* "[label]: destination title" at the start of a line is not shown at all. */
static bool skip_definition(struct reader *r)
{
    size_t at = r->at;
    while (at < r->at + 3 && peek(r, at) == ' ')
        at++;
    if (peek(r, at) != '[')
        return false;
    size_t close = find(r, at, ']');
    if (peek(r, close + 1) != ':' || close >= r->len)
        return false;
    if (close - at > LABEL_MAX || memchr(r->text + at, '\n', close - at) != NULL ||
        memchr(r->text + at, '<', close - at) != NULL)
        return false;
    size_t from = skip_space(r, close + 2), to = skip_destination(r, from);
    size_t title = skip_space(r, to), end = title > to ? skip_title(r, title) : 0;
    copy(r, to);
    if (end > 0)
        r->at = end;
    return true;
}

/* --- the pass --- */

static void step(struct reader *r)
{
    char c = r->text[r->at];
    bool line_start = r->line_start;
    r->line_start = c == '\n';
    if (line_start && skip_definition(r))
        return;
    if (c == '\n' && peek(r, r->at + 1) == '\n')
        r->depth = 0; /* no bracket reaches over an empty line */
    if (c == '\\' && r->at + 1 < r->len && strchr("[]!<\\", r->text[r->at + 1]) != NULL)
        copy(r, r->at + 2);
    else if (c == '<' && (skip_hidden(r) || skip_tag(r)))
        return;
    else if (c == '!' && peek(r, r->at + 1) == '[')
        open_bracket(r, true);
    else if (c == '[')
        open_bracket(r, false);
    else if (c == ']')
        close_bracket(r);
    else
        copy(r, r->at + 1);
}

void shown_add(struct buf *out, const char *text, size_t len)
{
    struct reader reader = {.text = text, .len = len, .out = out, .line_start = true};
    for (size_t i = 0; i < 256; i++)
        reader.none_from[i] = len;
    while (reader.at < reader.len)
        step(&reader);
}
