/* Paths of the API, made of words that others chose. */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "common/forgejo/client.h"

/* A word that is "." or ".." would be another place. */
static bool word_add(struct buf *path, const char *word, size_t len)
{
    static const char unreserved[] = "-._~"; /* RFC 3986 2.3 */

    if (len == 0 || (len <= 2 && strspn(word, ".") >= len))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)word[i];
        if (isalnum(c) || strchr(unreserved, c))
            buf_add(path, word + i, 1);
        else
            buf_addf(path, "%%%02X", c);
    }
    return true;
}

static bool repository_add(struct buf *path, const char *name)
{
    const char *slash = strchr(name, '/');

    if (!slash || strchr(slash + 1, '/') || !word_add(path, name, (size_t)(slash - name)))
        return false;
    buf_adds(path, "/");
    return word_add(path, slash + 1, strlen(slash + 1));
}

bool forgejo_path(struct buf *path, const char *format, ...)
{
    va_list args;
    bool fits = true;

    va_start(args, format);
    for (const char *at = format; fits && *at; at++) {
        const char *word;
        if (*at != '%') {
            buf_add(path, at, 1);
            continue;
        }
        switch (*++at) {
        case 's':
            word = va_arg(args, const char *);
            fits = word_add(path, word, strlen(word));
            break;
        case 'r':
            fits = repository_add(path, va_arg(args, const char *));
            break;
        case 'd':
            buf_addf(path, "%lld", (long long)va_arg(args, int64_t));
            break;
        default:
            fits = false;
        }
    }
    va_end(args);
    if (!fits) {
        buf_clear(path);
        path->failed = true;
    }
    return !path->failed;
}
