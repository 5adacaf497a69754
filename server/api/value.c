/* Times and UUIDs: whether a text has the shape. */
#include "server/api/value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Two digits as a number; -1 when they are none. */
static int two_digits(const char *at)
{
    if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
        return -1;
    return (at[0] - '0') * 10 + (at[1] - '0');
}

static bool in_range(int value, int min, int max)
{
    return value >= min && value <= max;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "Z" or "+hh:mm"; PostgreSQL takes zones up to 15:59. */
static bool zone_is_valid(const char *at)
{
    if ((at[0] == 'Z' || at[0] == 'z') && at[1] == '\0')
        return true;
    return (at[0] == '+' || at[0] == '-') && strlen(at) == 6 && at[3] == ':' &&
           in_range(two_digits(at + 1), 0, 15) && in_range(two_digits(at + 4), 0, 59);
}

bool value_is_time(const char *text)
{
    size_t len = strlen(text);
    if (len < 20 || len > 40 || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
        text[16] != ':' || (text[10] != 'T' && text[10] != 't'))
        return false;
    int century = two_digits(text), rest = two_digits(text + 2), month = two_digits(text + 5);
    if (century < 0 || rest < 0 || !in_range(month, 1, 12))
        return false;
    int year = century * 100 + rest;
    if (year < 1 || !in_range(two_digits(text + 8), 1, days_of(year, month)))
        return false;
    if (!in_range(two_digits(text + 11), 0, 23) || !in_range(two_digits(text + 14), 0, 59) ||
        !in_range(two_digits(text + 17), 0, 59))
        return false;
    const char *at = text + 19;
    if (*at == '.') {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits == 0)
            return false;
        at += 1 + digits;
    }
    return zone_is_valid(at);
}

bool value_is_uuid(const char *text, size_t len)
{
    if (len != 36)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}
