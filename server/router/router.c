/* A raw path split and decoded, and found in the table of routes. */
#include "server/router/router.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* The byte that "%XX" at raw[at] stands for; -1 when it is no escape. */
static int decode_escape(const char *raw, size_t len, size_t at)
{
    if (len - at < 3)
        return -1;
    int high = hex_value(raw[at + 1]), low = hex_value(raw[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* One segment, decoded once and ended with NUL, to `out`. Returns its length, or -1 with err set.
 */
static long decode_segment(const char *raw, size_t len, char *out, struct error *err)
{
    size_t used = 0;
    for (size_t at = 0; at < len; at += raw[at] == '%' ? 3 : 1) {
        int byte = raw[at] == '%' ? decode_escape(raw, len, at) : (unsigned char)raw[at];
        if (byte <= 0) {
            error_set(err, byte < 0 ? "the path has a %% that two hexadecimal digits do not follow"
                                    : "the path holds a NUL byte");
            return -1;
        }
        out[used++] = (char)byte;
    }
    if (!text_is_utf8(out, used)) {
        error_set(err, "a segment of the path is not valid UTF-8");
        return -1;
    }
    out[used] = '\0';
    return (long)used;
}

/* Cuts the query off; the length of the path, or 0 with *status and err set. */
static size_t path_length(struct router_path *path, const char *raw, size_t len, int *status,
                          struct error *err)
{
    const char *mark = memchr(raw, '?', len);
    size_t path_len = mark != NULL ? (size_t)(mark - raw) : len;

    *status = 414;
    if (len > ROUTER_TARGET_MAX || path_len > ROUTER_PATH_MAX) {
        error_set(err, "the request target has %zu bytes; at most %d, of which %d for the path",
                  len, ROUTER_TARGET_MAX, ROUTER_PATH_MAX);
        return 0;
    }
    *status = 400;
    if (path_len == 0 || raw[0] != '/') {
        error_set(err, "the request target has to be a path that begins with '/'");
        return 0;
    }
    if (memchr(raw, '#', len) != NULL) {
        error_set(err, "the request target holds a bare '#': write it as %%23");
        return 0;
    }
    path->query = mark != NULL ? mark + 1 : raw + len;
    path->query_len = mark != NULL ? len - path_len - 1 : 0;
    return path_len;
}

int router_split(struct router_path *path, const char *raw, size_t len, struct error *err)
{
    int status = 0;
    path->count = 0;
    path->query = NULL;
    path->query_len = 0;
    size_t path_len = path_length(path, raw, len, &status, err);
    if (path_len == 0)
        return status;

    char *out = path->text;
    for (size_t begin = 1; begin <= path_len;) {
        const char *slash = memchr(raw + begin, '/', path_len - begin);
        size_t end = slash != NULL ? (size_t)(slash - raw) : path_len;
        if (path->count >= ROUTER_SEGMENTS) {
            path->count = ROUTER_SEGMENTS + 1; /* longer than any route */
            return 0;
        }
        long used = decode_segment(raw + begin, end - begin, out, err);
        if (used < 0)
            return 400;
        path->segments[path->count++] = out;
        out += used + 1;
        begin = end + 1;
    }
    return 0;
}

/* *id is what "{}" took, when the pattern has one. */
static bool pattern_fits(const char *pattern, const struct router_path *path, const char **id)
{
    int count = 0;
    *id = NULL;
    while (*pattern == '/') {
        const char *begin = pattern + 1;
        size_t len = strcspn(begin, "/");
        if (count >= path->count || count >= ROUTER_SEGMENTS)
            return false;
        const char *segment = path->segments[count++];
        if (len == 2 && memcmp(begin, "{}", 2) == 0) {
            if (segment[0] == '\0')
                return false;
            *id = *id == NULL ? segment : *id;
        } else if (strlen(segment) != len || memcmp(segment, begin, len) != 0) {
            return false;
        }
        pattern = begin + len;
    }
    return count == path->count;
}

static bool method_fits(const char *wanted, const char *method, size_t len)
{
    if (strlen(wanted) == len && memcmp(wanted, method, len) == 0)
        return true;
    return strcmp(wanted, "GET") == 0 && len == 4 && memcmp(method, "HEAD", 4) == 0;
}

static void allow_add(struct router_match *match, const char *method)
{
    size_t used = strlen(match->allow);
    snprintf(match->allow + used, sizeof match->allow - used, "%s%s%s", used > 0 ? ", " : "",
             method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum router_verdict router_find(const struct route *routes, const char *method, size_t method_len,
                                const struct router_path *path, struct router_match *match)
{
    *match = (struct router_match){0};
    for (const struct route *route = routes; route->method != NULL; route++) {
        const char *id;
        if (!pattern_fits(route->pattern, path, &id))
            continue;
        if (method_fits(route->method, method, method_len)) {
            match->route = route;
            match->id = id;
            return ROUTER_FOUND;
        }
        allow_add(match, route->method);
    }
    if (match->allow[0] == '\0')
        return ROUTER_NO_PATH;
    allow_add(match, "OPTIONS");
    return ROUTER_NO_METHOD;
}
