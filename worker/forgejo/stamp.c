/* Forgejo's times as seconds since 1970, and back. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "worker/forgejo/backfill.h"

/* Seconds east of UTC: "Z", "+05:45", "-03:00"; false for anything else. */
static bool zone(const char *text, int64_t *east)
{
    struct tm tm = {0};
    *east = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    const char *rest = text[0] == '+' || text[0] == '-' ? strptime(text + 1, "%H:%M", &tm) : NULL;
    *east = (text[0] == '-' ? -60 : 60) * (int64_t)(tm.tm_hour * 60 + tm.tm_min);
    return rest != NULL && *rest == '\0';
}

int64_t stamp_parse(const char *text)
{
    struct tm tm = {0};
    int64_t east;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL)
        return 0;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    return zone(rest, &east) ? (int64_t)timegm(&tm) - east : 0;
}

void stamp_format(int64_t stamp, char *text, size_t size)
{
    time_t time = (time_t)stamp;
    struct tm tm;
    text[0] = '\0';
    if (gmtime_r(&time, &tm) != NULL)
        strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
