/* Finds JSON objects in lines that are not quite JSON. */
#include "worker/adapter/line.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/text.h"

#define EFFORT 8          /* bytes looked at for each byte of a line, at most */
#define SEQUENCE_MAX 4096 /* bytes of an escape sequence */

/* --- A line in which every character may stand in JSON --- */

/* Bytes of the terminal's escape sequence at `at` (ESC), 1 when it is none. ECMA-48 5.4, 5.6 */
static size_t sequence(const char *at, size_t len)
{
    size_t max = len < SEQUENCE_MAX ? len : SEQUENCE_MAX, i = 2;
    if (len < 2)
        return 1;
    if (at[1] == '[') {
        while (i < max && (unsigned char)at[i] >= 0x20 && (unsigned char)at[i] < 0x40)
            i++;
        return i < max && (unsigned char)at[i] >= 0x40 && (unsigned char)at[i] < 0x7f ? i + 1 : 1;
    }
    if (at[1] != ']')
        return 1;
    for (; i < max; i++) {
        if (at[i] == '\a')
            return i + 1;
        if (at[i] == '\x1b')
            return i + 1 < max && at[i + 1] == '\\' ? i + 2 : 1;
    }
    return 1;
}

/* The four hex digits behind "\u"; -1 when they are none. */
static int32_t unit_at(const char *at, size_t len)
{
    int32_t unit = 0;
    if (len < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int c = at[i] | 0x20;
        bool digit = at[i] >= '0' && at[i] <= '9';
        if (!digit && (c < 'a' || c > 'f'))
            return -1;
        unit = unit * 16 + (digit ? at[i] - '0' : c - 'a' + 10);
    }
    return unit;
}

/* Takes the escape at `at` (a backslash), without what is no character; returns its bytes. */
static size_t tidy_escape(struct buf *out, const char *at, size_t len)
{
    int32_t unit = unit_at(at, len);
    int32_t next = len > 6 ? unit_at(at + 6, len - 6) : -1;
    size_t size = len < 2 ? 1 : 2;
    if (unit == 0)
        return 6;
    if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
        size = 12;
    } else if (unit >= 0xd800 && unit < 0xe000) {
        buf_adds(out, "\xef\xbf\xbd");
        return 6;
    }
    buf_add(out, at, size);
    return size;
}

/* Takes one character or escape; returns its bytes. */
static size_t tidy_one(struct buf *out, const char *at, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of the byte order */
    uint32_t code;
    if (*at == '\\')
        return tidy_escape(out, at, len);
    if (*at == '\x1b')
        return sequence(at, len);
    size_t size = text_character(at, len, &code);
    if (size == 0)
        buf_adds(out, "\xef\xbf\xbd");
    else if (code == '\t')
        buf_adds(out, " ");
    else if (code >= 0x20 && (size != 3 || memcmp(at, mark, 3) != 0))
        buf_add(out, at, size);
    return size == 0 ? 1 : size;
}

static void tidy(struct buf *out, const char *line, size_t len)
{
    buf_init(out, 3 * len + 16);
    for (size_t at = 0; at < len;)
        at += tidy_one(out, line + at, len - at);
}

/* --- Its objects --- */

struct search {
    struct buf text;
    size_t effort; /* bytes that may still be looked at */
    line_object_cb on_object;
    void *data;
};

/* Behind the value that opens at `at`, and how deep it is; 0 when it does not close. */
static size_t closes(struct search *search, size_t at, size_t *deepest)
{
    const char *text = search->text.data;
    size_t depth = 0;
    bool quoted = false;
    *deepest = 0;
    for (size_t i = at; i < search->text.len && search->effort > 0; i++, search->effort--) {
        char c = text[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '{' || c == '[')
            *deepest = ++depth > *deepest ? depth : *deepest;
        else if ((c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return 0;
}

static size_t opens(const struct search *search, size_t at)
{
    while (at < search->text.len && search->text.data[at] != '{' && search->text.data[at] != '[')
        at++;
    return at;
}

/* The value that opens at `at`; NULL when there is none. *end is behind it, or where what opens
 * there ends without being one, 0 when it does not; *deep: then it is too deep to be looked into.
 */
static struct json_object *value_at(struct search *search, size_t at, size_t *end, bool *deep)
{
    struct error err;
    size_t deepest;
    *end = closes(search, at, &deepest);
    *deep = *end > 0 && deepest > JSON_DEPTH_MAX;
    return *end > 0 && !*deep ? json_parse(search->text.data + at, *end - at, &err) : NULL;
}

static void cut(struct search *search, size_t from, size_t to)
{
    struct buf *text = &search->text;
    size_t rest = text->len - to;
    memmove(text->data + from, text->data + to, rest + 1);
    text->len -= to - from;
    search->effort -= rest < search->effort ? rest : search->effort;
}

/* Gives away the first object that lies between two places, and cuts it out. */
static bool take_inner(struct search *search, size_t from, size_t before)
{
    size_t at = opens(search, from), end;
    bool deep, taken = false;
    while (!taken && at < before && search->effort > 0) {
        struct json_object *value = value_at(search, at, &end, &deep);
        taken = json_object_is_type(value, json_type_object);
        if (taken) {
            search->on_object(search->data, value);
            cut(search, at, end);
        }
        at = opens(search, value != NULL || deep ? end : at + 1);
        json_object_put(value);
    }
    return taken;
}

static void search_all(struct search *search)
{
    size_t at = opens(search, 0), end;
    bool deep;
    while (at < search->text.len && search->effort > 0) {
        struct json_object *value = value_at(search, at, &end, &deep);
        bool known = value != NULL || deep;
        if (json_object_is_type(value, json_type_object))
            search->on_object(search->data, value);
        json_object_put(value);
        if (!known && take_inner(search, at + 1, end > 0 ? end : search->text.len))
            continue; /* it may be whole now */
        at = opens(search, known ? end : at + 1);
    }
}

void line_objects(const char *line, size_t len, line_object_cb on_object, void *data)
{
    struct error err;
    struct json_object *whole = line[0] == '{' ? json_parse(line, len, &err) : NULL;
    if (whole != NULL) {
        on_object(data, whole);
        json_object_put(whole);
        return;
    }
    struct search search = {.effort = EFFORT * len + 64, .on_object = on_object, .data = data};
    tidy(&search.text, line, len);
    if (search.text.len > 0)
        search_all(&search);
    buf_release(&search.text);
}
