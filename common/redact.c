/* Overwrites credentials of known shape. */
#include "common/redact.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define BODY_MAX 4096 /* of one token */
#define LOOK_MAX 512  /* of a value that may look random */
#define NAME_MAX_LEN 64
#define PEM_MAX ((size_t)12 << 10)
#define GAP_MAX 4 /* quotes, backslashes or blanks between a name and its value */

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define ALNUM LOWER UPPER DIGITS
#define URL64 ALNUM "-_"
#define QUOTES "\"'\\`"

/* One look at a text. `more`: what stands at its end may go on behind it. */
struct scan {
    const char *in;
    size_t len;
    const struct redact_words *words; /* borrowed; or NULL */
    bool more;
};

/* What to overwrite; none when to is 0. */
struct range {
    size_t from, to;
};

static const struct range none = {0, 0};

/* -- Steps ------------------------------------------------------------------------------------- */

/* The byte there, 0 behind the end. */
static char at(struct scan *scan, size_t i)
{
    if (i < scan->len)
        return scan->in[i];
    scan->more = true;
    return '\0';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* How many bytes from i on are in the set, or with `but` are not; at most max. */
static size_t span(struct scan *scan, size_t i, const char *set, bool but, size_t max)
{
    size_t n = 0;
    while (n < max) {
        char c = at(scan, i + n);
        bool printable = c > ' ' && c != 0x7f;
        if (but ? !printable || is_one_of(c, set) : !is_one_of(c, set))
            break;
        n++;
    }
    return n;
}

static bool begins(struct scan *scan, size_t i, const char *word, bool any_case)
{
    for (; *word != '\0'; word++, i++) {
        char c = at(scan, i);
        if (any_case && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != *word)
            return false;
    }
    return true;
}

/* No word goes on here: "\n" in JSON and the end of a colour are no letters of it. */
static bool is_edge(const struct scan *scan, size_t i)
{
    if (i == 0 || !is_word(scan->in[i - 1]))
        return true;
    char before = scan->in[i - 1];
    if (i >= 2 && scan->in[i - 2] == '\\' && is_one_of(before, "nrt"))
        return true;
    size_t from = i - 1;
    while (before == 'm' && from > 0 && is_one_of(scan->in[from - 1], DIGITS ";"))
        from--;
    return before == 'm' && from > 0 && scan->in[from - 1] == '[';
}

/* Nor one with dashes: what is found at such a place only is looked at once for all of its run. */
static bool is_outer_edge(const struct scan *scan, size_t i)
{
    return is_edge(scan, i) && (i == 0 || scan->in[i - 1] != '-');
}

static size_t count_of(const struct scan *scan, size_t from, size_t len, const char *set)
{
    size_t n = 0;
    for (size_t i = from; i < from + len && i < scan->len; i++)
        n += is_one_of(scan->in[i], set);
    return n;
}

/* Made by chance rather than by a person. */
static bool is_random(const struct scan *scan, size_t from, size_t len)
{
    return len >= 16 && count_of(scan, from, len, DIGITS) >= 2 &&
           count_of(scan, from, len, LOWER UPPER) >= 2;
}

/* $TOKEN, <token>, {{token}}, %TOKEN%: only the name of one. */
static bool is_reference(struct scan *scan, size_t i)
{
    return is_one_of(at(scan, i), "$<{(%[*");
}

/* -- Shapes ------------------------------------------------------------------------------------ */

static const struct shape {
    const char *prefix, *set;
    size_t min, max;
    bool edge, random;
} shapes[] = {
    {"aft_", URL64, 45, 45, true, false},
    {"ghp_", ALNUM, 30, BODY_MAX, false, false},
    {"gho_", ALNUM, 30, BODY_MAX, false, false},
    {"ghu_", ALNUM, 30, BODY_MAX, false, false},
    {"ghs_", ALNUM, 30, BODY_MAX, false, false},
    {"ghr_", ALNUM, 30, BODY_MAX, false, false},
    {"github_pat_", ALNUM "_", 22, BODY_MAX, false, false},
    {"glpat-", URL64 ".", 20, BODY_MAX, false, false},
    {"glrt-", URL64 ".", 20, BODY_MAX, true, false},
    {"sk-", URL64, 20, BODY_MAX, true, true},
    {"AKIA", UPPER DIGITS, 16, 16, true, false},
    {"ASIA", UPPER DIGITS, 16, 16, true, false},
    {"AIza", URL64, 35, 35, true, false},
    {"xoxa-", ALNUM "-", 10, BODY_MAX, false, false},
    {"xoxb-", ALNUM "-", 10, BODY_MAX, false, false},
    {"xoxp-", ALNUM "-", 10, BODY_MAX, false, false},
    {"xoxr-", ALNUM "-", 10, BODY_MAX, false, false},
    {"xoxs-", ALNUM "-", 10, BODY_MAX, false, false},
    {"xapp-", ALNUM "-", 10, BODY_MAX, false, false},
    {"npm_", ALNUM, 36, BODY_MAX, true, false},
    {"hf_", ALNUM, 30, BODY_MAX, true, false},
};

/* The first letter of one of the prefixes? Asked of every byte, so not of the table. */
static bool begins_shape(char c)
{
    return c == 'a' || c == 'g' || c == 's' || c == 'A' || c == 'x' || c == 'n' || c == 'h';
}

static struct range match_shape(struct scan *scan, size_t i)
{
    for (size_t n = 0; n < sizeof shapes / sizeof shapes[0]; n++) {
        const struct shape *shape = &shapes[n];
        if (shape->prefix[0] != scan->in[i] || (shape->edge && !is_outer_edge(scan, i)) ||
            !begins(scan, i, shape->prefix, false))
            continue;
        size_t from = i + strlen(shape->prefix);
        size_t len = span(scan, from, shape->set, false, shape->max);
        if (len >= shape->min && (!shape->random || is_random(scan, from, len)))
            return (struct range){from, from + len};
    }
    return none;
}

/* RFC 7519: header and claims are JSON objects, so both begin with {" in base64url. */
static struct range match_jwt(struct scan *scan, size_t i)
{
    size_t end = i;
    if (!is_outer_edge(scan, i))
        return none;
    for (int part = 0; part < 3; part++) {
        if (part < 2 && !begins(scan, end, "eyJ", false))
            return none;
        size_t len = span(scan, end, URL64, false, BODY_MAX);
        end += len;
        if (len < 8 || (part < 2 && at(scan, end++) != '.'))
            return none;
    }
    return (struct range){i + 3, end};
}

/* RFC 7468, and with "\n" for line ends as it stands in JSON. */
static struct range match_pem(struct scan *scan, size_t i)
{
    if (!begins(scan, i, "-----BEGIN ", false))
        return none;
    size_t from = i + strlen("-----BEGIN ");
    size_t len = span(scan, from, UPPER DIGITS " ", false, 40);
    if (!begins(scan, from + len, "-----", false) || len < 11 ||
        memmem(scan->in + from, len, "PRIVATE KEY", 11) == NULL)
        return none;
    from += len + 5;
    size_t to = from;
    while (to - from < PEM_MAX && is_one_of(at(scan, to), ALNUM "+/= \r\n\t\\,:.-_")) {
        if (begins(scan, to, "-----END", false))
            return (struct range){from, to};
        to++;
    }
    while (to > from && scan->in[to - 1] == '\\')
        to--;
    return (struct range){from, to};
}

/* scheme://user:password@ */
static struct range match_url(struct scan *scan, size_t i)
{
    static const char ends[] = "/@" QUOTES "<>";
    if (!begins(scan, i, "://", false))
        return none;
    size_t from = i + 3 + span(scan, i + 3, "/@:" QUOTES "<>", true, 128);
    if (at(scan, from) != ':')
        return none;
    from++;
    size_t len = span(scan, from, ends, true, 256);
    return len > 0 && at(scan, from + len) == '@' ? (struct range){from, from + len} : none;
}

/* -- Values by the name before them ------------------------------------------------------------ */

static const char value_ends[] = QUOTES "<>,;&|(){}[]";

/* Behind `"`, blanks, `:` or `=`, blanks, `"`: where the value begins; 0 when none does. */
static size_t value_at(struct scan *scan, size_t i)
{
    i += span(scan, i, QUOTES, false, GAP_MAX);
    i += span(scan, i, " \t", false, GAP_MAX);
    size_t marks = span(scan, i, ":=>", false, 2);
    if (marks == 0)
        return 0;
    i += marks;
    i += span(scan, i, " \t", false, GAP_MAX);
    return i + span(scan, i, QUOTES, false, GAP_MAX);
}

static bool ends_in(const char *name, size_t len, const char *word, bool any_case)
{
    size_t n = strlen(word);
    if (len < n)
        return false;
    for (size_t i = n; i-- > 0;) { /* most names differ in the last letter */
        char c = name[len - n + i] == '-' ? '_' : name[len - n + i];
        if (any_case && c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c != word[i])
            return false;
    }
    return true;
}

static bool names_a_secret(const char *name, size_t len, bool any_case)
{
    static const char *const words[] = {"TOKEN",       "SECRET",     "PASSWORD",   "PASSWD",
                                        "API_KEY",     "APIKEY",     "ACCESS_KEY", "SECRET_KEY",
                                        "PRIVATE_KEY", "CREDENTIAL", "CREDENTIALS"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (ends_in(name, len, words[i], any_case))
            return true;
    return false;
}

static struct range whole_value(struct scan *scan, size_t from)
{
    return (struct range){from, from + span(scan, from, value_ends, true, BODY_MAX)};
}

/* NAME=value as env prints it; any other way of saying so only for what looks random. */
static struct range match_name(struct scan *scan, size_t i)
{
    size_t len = span(scan, i, URL64, false, NAME_MAX_LEN + 1);
    if (len > NAME_MAX_LEN || !names_a_secret(scan->in + i, len, true))
        return none;
    size_t from = value_at(scan, i + len);
    if (from == 0 || is_reference(scan, from))
        return none;
    size_t value = span(scan, from, value_ends, true, LOOK_MAX);
    bool assigned = at(scan, i + len) == '=' && names_a_secret(scan->in + i, len, false) &&
                    !is_one_of(at(scan, i + len + 1), "= \t");
    bool secret = assigned ? value >= REDACT_WORD_MIN : is_random(scan, from, value);
    return secret ? whole_value(scan, from) : none;
}

/* "Authorization: Bearer x" (RFC 9110 11.6.2), and "Bearer x" alone. */
static struct range match_header(struct scan *scan, size_t i)
{
    static const char *const schemes[] = {"bearer", "basic", "token"};
    bool header = begins(scan, i, "authorization", true);
    size_t from = header ? value_at(scan, i + strlen("authorization")) : i;
    if (header && from == 0)
        return none;
    bool scheme = false;
    for (size_t n = 0; n < (header ? 3 : 1) && !scheme; n++) {
        size_t len = strlen(schemes[n]);
        size_t gap = begins(scan, from, schemes[n], true)
                         ? span(scan, from + len, " \t", false, GAP_MAX)
                         : 0;
        scheme = gap > 0;
        from += scheme ? len + gap : 0;
    }
    if ((!header && !scheme) || is_reference(scan, from))
        return none;
    size_t len = span(scan, from, value_ends, true, LOOK_MAX);
    bool secret = header && scheme ? len >= 8 && count_of(scan, from, len, DIGITS UPPER) > 0
                                   : is_random(scan, from, len);
    return secret ? whole_value(scan, from) : none;
}

static struct range match_word(struct scan *scan, size_t i)
{
    for (size_t n = 0; scan->words != NULL && n < scan->words->count; n++) {
        const char *word = scan->words->items[n];
        if (word[0] == scan->in[i] && strlen(word) >= REDACT_WORD_MIN &&
            begins(scan, i, word, false))
            return (struct range){i, i + strlen(word)};
    }
    return none;
}

static struct range match(struct scan *scan, size_t i)
{
    char c = scan->in[i];
    struct range found = match_word(scan, i);
    if (found.to == 0 && c == ':')
        found = match_url(scan, i);
    if (found.to == 0 && c == '-')
        found = match_pem(scan, i);
    if (found.to == 0 && c == 'e')
        found = match_jwt(scan, i);
    if (found.to > 0 || !is_word(c))
        return found;
    if (begins_shape(c))
        found = match_shape(scan, i);
    bool edge = is_edge(scan, i);
    if (found.to == 0 && edge && is_one_of(c, "aAbB"))
        found = match_header(scan, i);
    return found.to == 0 && edge ? match_name(scan, i) : found;
}

/* -- Texts ------------------------------------------------------------------------------------- */

static void overwrite(char *text, struct range range)
{
    for (size_t i = range.from; i < range.to; i++)
        if (text[i] != '\n' && text[i] != '\r')
            text[i] = '*';
}

/* Overwrites `text`, a copy of the scanned bytes; returns up to where it is decided. */
static size_t decide(struct scan *scan, char *text, bool last)
{
    size_t i = 0, safe = 0;
    struct range ahead = none; /* what was found stands behind its mark, with more in between */
    while (i < scan->len) {
        if (i >= ahead.from && i < ahead.to) {
            i = ahead.to;
            continue;
        }
        scan->more = false;
        struct range found = match(scan, i);
        if (scan->more && !last && scan->len - i <= REDACT_HOLD_MAX)
            break;
        if (found.to > 0)
            overwrite(text, found);
        if (found.from > i)
            ahead = found;
        if (is_blank(scan->in[i]) && ahead.to <= i)
            safe = i + 1;
        i = found.to > i && found.from <= i ? found.to : i + 1;
    }
    /* A word without end is no credential: its front is let go. */
    return last || scan->len - safe > REDACT_HOLD_MAX ? i : safe;
}

size_t redact_add(struct buf *out, const char *bytes, size_t len, const struct redact_words *words,
                  bool last)
{
    struct scan scan = {.in = bytes, .len = len, .words = words};
    if (len == 0)
        return 0;
    char *copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    size_t done = decide(&scan, copy, last);
    bool fits = buf_add(out, copy, done);
    memset(copy, 0, len);
    free(copy);
    return fits ? done : 0;
}

void redact_text(char *text, const struct redact_words *words)
{
    size_t len = strlen(text);
    char *copy = mem_strndup(text, len);
    struct scan scan = {.in = copy, .len = len, .words = words};
    decide(&scan, text, true);
    free(copy);
}
