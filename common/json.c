/* Strict reading and careful writing of JSON around json-c. */
#include "common/json.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

/* The grammar of RFC 8259, checked before json-c sees the bytes: json-c 0.16 also takes raw
 * control characters, "TRUE", lone surrogates and 1e999, and cuts names at a NUL. */

struct scan {
    const char *bytes; /* borrowed */
    size_t len;
    size_t at;
    struct error *err; /* borrowed */
};

static bool scan_fail(struct scan *scan, const char *what)
{
    error_set(scan->err, "invalid JSON at byte %zu: %s", scan->at, what);
    return false;
}

static int scan_peek(const struct scan *scan)
{
    return scan->at < scan->len ? (unsigned char)scan->bytes[scan->at] : -1;
}

static void scan_space(struct scan *scan)
{
    int c;
    while ((c = scan_peek(scan)) == ' ' || c == '\t' || c == '\n' || c == '\r')
        scan->at++;
}

static bool scan_unit(struct scan *scan, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        int c = scan_peek(scan);
        if (c >= '0' && c <= '9')
            *unit = *unit << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            *unit = *unit << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return scan_fail(scan, "\\u must be followed by four hex digits");
    }
    return true;
}

/* Behind "\u". A high surrogate must be followed by a low one. */
static bool scan_unicode(struct scan *scan)
{
    uint32_t unit, low;
    if (!scan_unit(scan, &unit))
        return false;
    if (unit == 0)
        return scan_fail(scan, "NUL (\\u0000) is not accepted in text");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit < 0xdc00 && scan->len - scan->at >= 6 && scan->bytes[scan->at] == '\\' &&
        scan->bytes[scan->at + 1] == 'u') {
        scan->at += 2;
        if (!scan_unit(scan, &low))
            return false;
        if (low >= 0xdc00 && low <= 0xdfff)
            return true;
    }
    return scan_fail(scan, "an unpaired surrogate is no character");
}

static bool scan_escape(struct scan *scan)
{
    int c = scan_peek(scan);
    if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
        return scan_fail(scan, "unknown escape; a backslash is written \\\\");
    scan->at++;
    return c != 'u' || scan_unicode(scan);
}

static bool scan_string(struct scan *scan)
{
    scan->at++;
    for (;;) {
        int c = scan_peek(scan);
        uint32_t code;
        if (c < 0)
            return scan_fail(scan, "text without its closing quote");
        if (c < 0x20)
            return scan_fail(scan, "a control character in text must be escaped");
        size_t step = text_character(scan->bytes + scan->at, scan->len - scan->at, &code);
        if (step == 0)
            return scan_fail(scan, "not valid UTF-8");
        scan->at += step;
        if (c == '"')
            return true;
        if (c == '\\' && !scan_escape(scan))
            return false;
    }
}

static bool scan_digits(struct scan *scan)
{
    size_t start = scan->at;
    while (scan_peek(scan) >= '0' && scan_peek(scan) <= '9')
        scan->at++;
    return scan->at > start;
}

static bool scan_number(struct scan *scan)
{
    size_t start = scan->at;
    if (scan_peek(scan) == '-')
        scan->at++;
    if (scan_peek(scan) == '0')
        scan->at++;
    else if (!scan_digits(scan))
        return scan_fail(scan, "a digit must follow \"-\"");
    if (scan_peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan))
            return scan_fail(scan, "a digit must follow \".\"");
    }
    if (scan_peek(scan) == 'e' || scan_peek(scan) == 'E') {
        scan->at++;
        if (scan_peek(scan) == '+' || scan_peek(scan) == '-')
            scan->at++;
        if (!scan_digits(scan))
            return scan_fail(scan, "a number's exponent has no digits");
    }
    char text[64];
    if (scan->at - start >= sizeof text)
        return scan_fail(scan, "a number of more than 63 characters");
    memcpy(text, scan->bytes + start, scan->at - start);
    text[scan->at - start] = '\0';
    return isfinite(strtod(text, NULL)) ? true : scan_fail(scan, "a number out of range");
}

static bool scan_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if (scan->len - scan->at < len || memcmp(scan->bytes + scan->at, word, len) != 0)
        return scan_fail(scan, "expected a JSON value");
    scan->at += len;
    return true;
}

static bool scan_value(struct scan *scan, int depth);

static bool scan_name(struct scan *scan)
{
    scan_space(scan);
    if (scan_peek(scan) != '"')
        return scan_fail(scan, "expected a member's name in double quotes");
    if (!scan_string(scan))
        return false;
    scan_space(scan);
    if (scan_peek(scan) != ':')
        return scan_fail(scan, "expected \":\"");
    scan->at++;
    return true;
}

/* An object or array, by its closing bracket. */
static bool scan_container(struct scan *scan, int depth, char close)
{
    if (depth == JSON_DEPTH_MAX)
        return scan_fail(scan, "nested too deeply (more than 32 levels)");
    scan->at++;
    scan_space(scan);
    if (scan_peek(scan) == close) {
        scan->at++;
        return true;
    }
    for (;;) {
        if (close == '}' && !scan_name(scan))
            return false;
        if (!scan_value(scan, depth + 1))
            return false;
        scan_space(scan);
        int c = scan_peek(scan);
        if (c != ',' && c != close)
            return scan_fail(scan,
                             close == '}' ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
        scan->at++;
        if (c == close)
            return true;
    }
}

static bool scan_value(struct scan *scan, int depth)
{
    scan_space(scan);
    int c = scan_peek(scan);
    if (c == '{' || c == '[')
        return scan_container(scan, depth, c == '{' ? '}' : ']');
    if (c == '"')
        return scan_string(scan);
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(scan);
    if (c < 0)
        return scan_fail(scan, scan->len == 0 ? "it is empty" : "it ends too early");
    return scan_word(scan, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

struct json_object *json_parse(const char *bytes, size_t len, struct error *err)
{
    struct scan scan = {.bytes = bytes, .len = len, .err = err};
    if (!scan_value(&scan, 0))
        return NULL;
    scan_space(&scan);
    if (scan.at < len) {
        scan_fail(&scan, "something follows the value");
        return NULL;
    }
    if (len > INT32_MAX) {
        error_set(err, "JSON of more than 2 GiB");
        return NULL;
    }
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    if (tokener == NULL)
        abort();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *value = json_tokener_parse_ex(tokener, bytes, (int)len);
    /* A number at the end waits for more; a NUL tells json-c that there is none. */
    if (value == NULL && json_tokener_get_error(tokener) == json_tokener_continue)
        value = json_tokener_parse_ex(tokener, "", 1);
    enum json_tokener_error why = json_tokener_get_error(tokener);
    if (why != json_tokener_success) {
        error_set(err, "invalid JSON at byte %zu: %s", json_tokener_get_parse_end(tokener),
                  json_tokener_error_desc(why));
        json_object_put(value);
        value = NULL;
    }
    json_tokener_free(tokener);
    return value;
}

/* ---- Members ---- */

struct json_object *json_member(const struct json_object *object, const char *name)
{
    struct json_object *member = NULL;
    if (json_object_is_type(object, json_type_object))
        json_object_object_get_ex(object, name, &member);
    return member;
}

const char *json_string(const struct json_object *object, const char *name, const char *fallback)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_string) ? json_object_get_string(member)
                                                         : fallback;
}

int64_t json_int(const struct json_object *object, const char *name, int64_t fallback)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_int) ? json_object_get_int64(member) : fallback;
}

bool json_flag(const struct json_object *object, const char *name, bool fallback)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_boolean) ? json_object_get_boolean(member)
                                                          : fallback;
}

/* ---- Writing ---- */

/* What must be escaped, and what could steer a terminal or hide in a line when somebody reads the
 * JSON as text: controls, line separators, marks of direction, of no width and of no shape. */
static bool needs_escape(uint32_t code)
{
    return code < 0x20 || code == '"' || code == '\\' || (code >= 0x7f && code < 0xa0) ||
           code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) ||
           (code >= 0xe0000 && code <= 0xe0fff);
}

static void quote_character(struct buf *out, uint32_t code)
{
    static const char named[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if (code == (unsigned char)named[i]) {
            buf_addf(out, "\\%c", named[i + 1]);
            return;
        }
    }
    if (code < 0x10000)
        buf_addf(out, "\\u%04x", code);
    else
        buf_addf(out, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
}

void json_quote(struct buf *out, const char *bytes, size_t len)
{
    buf_add(out, "\"", 1);
    size_t plain = 0; /* start of what needs no escape */
    for (size_t at = 0; at < len;) {
        uint32_t code = 0xfffd;
        size_t step = text_character(bytes + at, len - at, &code);
        if (step > 0 && !needs_escape(code)) {
            at += step;
            continue;
        }
        if (at > plain)
            buf_add(out, bytes + plain, at - plain);
        if (step > 0)
            quote_character(out, code);
        else
            buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
        at += step > 0 ? step : 1;
        plain = at;
    }
    if (len > plain)
        buf_add(out, bytes + plain, len - plain);
    buf_add(out, "\"", 1);
}
