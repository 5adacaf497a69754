/* A query string taken apart, and its parameters by name. */
#include "server/router/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "common/text.h"

/* Decodes raw[0, len) to `out`; the length, or -1 on a bad escape or NUL. */
static long decode(const char *raw, size_t len, char *out)
{
    size_t used = 0;
    for (size_t at = 0; at < len; at++) {
        uint8_t byte = (uint8_t)raw[at];
        if (raw[at] == '+') {
            byte = ' ';
        } else if (raw[at] == '%') {
            if (len - at < 3 || !crypto_unhex(raw + at + 1, 2, &byte))
                return -1;
            at += 2;
        }
        if (byte == 0)
            return -1;
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return text_is_utf8(out, used) ? (long)used : -1;
}

/* One "name=value" to query->items; returns the bytes used of `out`, or -1. */
static long add_parameter(struct query *query, const char *raw, size_t len, char *out)
{
    const char *equals = memchr(raw, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - raw) : len;
    long name_used = decode(raw, name_len, out);
    if (name_used < 0)
        return -1;
    char *value = out + name_used + 1;
    size_t value_at = equals != NULL ? name_len + 1 : len;
    long value_used = decode(raw + value_at, len - value_at, value);
    if (value_used < 0)
        return -1;
    query->items[query->count++] = (struct query_parameter){out, value};
    return name_used + value_used + 2;
}

bool query_parse(struct query *query, const char *raw, size_t len, struct error *err)
{
    query->count = 0;
    query->text = mem_alloc(len + (size_t)2 * QUERY_PARAMETERS + 2);
    char *out = query->text;
    for (size_t begin = 0; begin < len;) {
        const char *mark = memchr(raw + begin, '&', len - begin);
        size_t end = mark != NULL ? (size_t)(mark - raw) : len;
        if (end > begin) {
            if (query->count == QUERY_PARAMETERS) {
                error_set(err, "the query has more than %d parameters", QUERY_PARAMETERS);
                return false;
            }
            long used = add_parameter(query, raw + begin, end - begin, out);
            if (used < 0) {
                error_set(err, "the query has a bad percent escape, a NUL byte or invalid UTF-8");
                return false;
            }
            out += used;
        }
        begin = end + 1;
    }
    return true;
}

void query_release(struct query *query)
{
    free(query->text);
    query->text = NULL;
    query->count = 0;
}

const char *query_unknown(const struct query *query, const char *const *known)
{
    for (int i = 0; i < query->count; i++) {
        const char *const *name = known;
        while (name != NULL && *name != NULL && strcmp(*name, query->items[i].name) != 0)
            name++;
        if (name == NULL || *name == NULL)
            return query->items[i].name;
    }
    return NULL;
}

bool query_text(const struct query *query, const char *name, const char **value, struct error *err)
{
    *value = NULL;
    for (int i = 0; i < query->count; i++) {
        if (strcmp(query->items[i].name, name) != 0)
            continue;
        if (*value != NULL) {
            error_set(err, "the parameter '%s' is given twice", name);
            return false;
        }
        *value = query->items[i].value;
    }
    return true;
}

bool query_int(const struct query *query, const char *name, int64_t min, int64_t max,
               int64_t fallback, int64_t *value, struct error *err)
{
    const char *text;
    *value = fallback;
    if (!query_text(query, name, &text, err))
        return false;
    if (text == NULL)
        return true;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    bool digits = text[0] != '\0' &&
                  strspn(text + (text[0] == '-'), "0123456789") == strlen(text) - (text[0] == '-');
    if (!digits || *end != '\0' || errno != 0 || number < min || number > max) {
        error_set(err, "the parameter '%s' has to be a whole number from %lld to %lld, not '%.64s'",
                  name, (long long)min, (long long)max, text);
        return false;
    }
    *value = number;
    return true;
}

int query_each(const struct query *query, const char *name,
               void (*visit)(void *data, const char *part, size_t len), void *data)
{
    int count = 0;
    for (int i = 0; i < query->count; i++) {
        if (strcmp(query->items[i].name, name) != 0)
            continue;
        for (const char *at = query->items[i].value; *at != '\0';) {
            size_t len = strcspn(at, ",");
            if (len > 0) {
                visit(data, at, len);
                count++;
            }
            at += len + (at[len] == ',');
        }
    }
    return count;
}
