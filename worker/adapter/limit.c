/* Reads when a limit ends out of the sentences and JSON of the CLIs. */
#include "worker/adapter/limit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_MAX INT64_C(9999999999) /* seconds: the year 2286, or three centuries from now */

/* The whole number at *at, behind blanks, quotes and colons; false when there is none, or an absurd
 * one. */
static bool take_number(const char **at, int64_t *number)
{
    const char *c = *at + strspn(*at, " \t\":");
    if (!isdigit((unsigned char)*c))
        return false;
    *number = 0;
    for (; isdigit((unsigned char)*c); c++) {
        *number = *number * 10 + (*c - '0');
        if (*number > NUMBER_MAX)
            return false;
    }
    *at = c;
    return true;
}

/* Seconds of the unit at *at ("days", "hour,"); 0 when it is none. */
static int64_t take_unit(const char **at)
{
    static const struct {
        const char *name;
        int64_t secs;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    const char *c = *at + strspn(*at, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t len = strlen(units[i].name);
        if (strncasecmp(c, units[i].name, len) != 0)
            continue;
        c += len + (c[len] == 's');
        *at = c + strspn(c, ", ");
        return units[i].secs;
    }
    return 0;
}

/* "3 days 6 hours 57 minutes"; 0 when it does not begin so. */
static int64_t take_span(const char *at)
{
    int64_t sum = 0, number;
    while (take_number(&at, &number)) {
        int64_t unit = take_unit(&at);
        if (unit == 0)
            break;
        sum += number * unit;
        if (sum > NUMBER_MAX)
            return 0;
    }
    return sum;
}

static bool member(const char *text, const char *name, int64_t *number)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        return false;
    at += strlen(name);
    return take_number(&at, number);
}

bool limit_end(const char *text, int64_t now, int64_t *end)
{
    static const char again[] = "try again in ";
    int64_t number;
    if (text == NULL)
        return false;
    if (member(text, "resets_at", &number)) {
        *end = number;
    } else if (member(text, "resets_in_seconds", &number)) {
        *end = now + number;
    } else {
        const char *at = strcasestr(text, again);
        int64_t span = at != NULL ? take_span(at + sizeof again - 1) : 0;
        *end = now + span;
        return span > 0;
    }
    return *end > now;
}
