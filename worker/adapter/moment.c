/* Reads spans and times out of sentences, and finds the next such time. */
#include "worker/adapter/moment.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "worker/adapter/zone.h"

#define DAY INT64_C(86400)
#define NUMBER_MAX INT64_C(9999999999) /* seconds: three centuries */
#define JUST_PAST 600                  /* seconds: said when it was still to come */

static bool take_digits(const char **at, size_t max, int *number)
{
    const char *c = *at;
    *number = 0;
    while (isdigit((unsigned char)*c) && (size_t)(c - *at) < max)
        *number = *number * 10 + (*c++ - '0');
    bool taken = c > *at && !isdigit((unsigned char)*c);
    if (taken)
        *at = c;
    return taken;
}

static bool take_char(const char **at, char c)
{
    bool there = **at == c;
    *at += there;
    return there;
}

static void skip(const char **at, const char *set)
{
    *at += strspn(*at, set);
}

static size_t letters(const char *at)
{
    size_t len = 0;
    while (isalpha((unsigned char)at[len]))
        len++;
    return len;
}

/* --- Spans --- */

/* Milliseconds of the unit at *at ("days", "h"); 0 when it is none. */
static int64_t take_unit(const char **at)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", DAY * 1000},  {"day", DAY * 1000}, {"days", DAY * 1000},
                 {"h", 3600000},     {"hr", 3600000},     {"hrs", 3600000},
                 {"hour", 3600000},  {"hours", 3600000},  {"m", 60000},
                 {"min", 60000},     {"mins", 60000},     {"minute", 60000},
                 {"minutes", 60000}, {"s", 1000},         {"sec", 1000},
                 {"secs", 1000},     {"second", 1000},    {"seconds", 1000},
                 {"ms", 1}};
    skip(at, " ");
    size_t len = letters(*at);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (len == strlen(units[i].name) && strncasecmp(*at, units[i].name, len) == 0) {
            *at += len;
            return units[i].ms;
        }
    }
    return 0;
}

/* A number of units, in milliseconds; -1 when there is none, or an absurd one. */
static int64_t take_part(const char **at)
{
    const char *c = *at;
    int64_t number = 0, thousandths = 0;
    if (!isdigit((unsigned char)*c))
        return -1;
    for (; isdigit((unsigned char)*c); c++) {
        number = number * 10 + (*c - '0');
        if (number > NUMBER_MAX)
            return -1;
    }
    if (*c == '.' && isdigit((unsigned char)c[1])) {
        thousandths = 1000; /* a begun unit counts */
        c += 1 + strspn(c + 1, "0123456789");
    }
    int64_t unit = take_unit(&c);
    if (unit == 0 || number > NUMBER_MAX * 1000 / unit)
        return -1;
    *at = c;
    return number * unit + thousandths * unit / 1000;
}

int64_t moment_span(const char *text)
{
    int64_t sum = 0, part;
    while ((part = take_part(&text)) >= 0) {
        sum += part;
        if (sum > NUMBER_MAX * 1000)
            return 0;
        skip(&text, ", ");
        if (strncasecmp(text, "and ", 4) == 0)
            text += 4;
    }
    return (sum + 999) / 1000;
}

/* --- Times --- */

static bool take_month(const char **at, int *month)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    size_t len = letters(*at);
    for (int i = 0; i < 12; i++) {
        if (len >= 3 && len <= strlen(names[i]) && strncasecmp(*at, names[i], len) == 0) {
            *month = i + 1;
            *at += len;
            return true;
        }
    }
    return false;
}

/* "Apr 28th, 2026" */
static bool take_day(const char **at, struct moment *moment)
{
    const char *c = *at;
    int month, day, year;
    if (!take_month(&c, &month))
        return false;
    skip(&c, ". ");
    if (!take_digits(&c, 2, &day) || day < 1 || day > 31)
        return false;
    if (letters(c) == 2)
        c += 2;
    *at = c;
    moment->month = month;
    moment->day = day;
    skip(&c, ", ");
    if (take_digits(&c, 4, &year) && year >= 1970 && *c != ':') {
        moment->year = year;
        *at = c;
    }
    return true;
}

/* The half of the day, "PM" or "p.m.". */
static bool take_half(const char **at, bool *pm)
{
    const char *c = *at;
    skip(&c, " ");
    int half = tolower((unsigned char)*c);
    if (half != 'a' && half != 'p')
        return false;
    c++;
    take_char(&c, '.');
    if (tolower((unsigned char)*c) != 'm' || isalnum((unsigned char)c[1]))
        return false;
    c++;
    take_char(&c, '.');
    *pm = half == 'p';
    *at = c;
    return true;
}

static bool take_time(const char **at, struct moment *moment)
{
    const char *c = *at;
    int hour, minute = 0, second = 0;
    bool pm;
    if (!take_digits(&c, 2, &hour))
        return false;
    bool colon = take_char(&c, ':');
    if (colon && !take_digits(&c, 2, &minute))
        return false;
    if (colon && take_char(&c, ':') && !take_digits(&c, 2, &second))
        return false;
    if (take_half(&c, &pm)) {
        if (hour < 1 || hour > 12)
            return false;
        hour = hour % 12 + (pm ? 12 : 0);
    } else if (!colon) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    moment->hour = hour;
    moment->minute = minute;
    moment->second = second;
    moment->timed = true;
    *at = c;
    return true;
}

static void take_zone(const char *at, struct moment *moment)
{
    skip(&at, " (");
    size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
    bool named = memchr(at, '/', len) != NULL && len < sizeof moment->zone;
    moment->utc = len == 3 && (strncmp(at, "UTC", 3) == 0 || strncmp(at, "GMT", 3) == 0);
    if (named)
        snprintf(moment->zone, sizeof moment->zone, "%.*s", (int)len, at);
}

/* "+02:00" or "Z" behind a time of ISO 8601. */
static void take_shift(const char *at, struct moment *moment)
{
    int hour, minute = 0;
    bool east = *at == '+';
    moment->utc = *at == 'Z';
    if (*at != '+' && *at != '-')
        return;
    at++;
    if (!take_digits(&at, 2, &hour) || (take_char(&at, ':') && !take_digits(&at, 2, &minute)))
        return;
    moment->shifted = true;
    moment->offset_secs = (hour * 60 + minute) * (east ? 60 : -60);
}

/* "2026-04-28T22:03:00Z" */
static bool read_iso(const char *at, struct moment *moment)
{
    int year, month, day;
    if (!take_digits(&at, 4, &year) || !take_char(&at, '-') || !take_digits(&at, 2, &month) ||
        !take_char(&at, '-') || !take_digits(&at, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    if (*at != 'T' && *at != ' ')
        return false;
    at++;
    if (!take_time(&at, moment))
        return false;
    if (take_char(&at, '.'))
        skip(&at, "0123456789");
    moment->year = year;
    moment->month = month;
    moment->day = day;
    take_shift(at, moment);
    return true;
}

bool moment_read(const char *text, struct moment *moment)
{
    *moment = (struct moment){0};
    if (read_iso(text, moment))
        return true;
    *moment = (struct moment){0};
    bool dated = take_day(&text, moment);
    skip(&text, ", ");
    if (dated && strncasecmp(text, "at ", 3) == 0)
        text += 3;
    bool timed = take_time(&text, moment);
    if (!dated && !timed)
        return false;
    take_zone(text, moment);
    return true;
}

/* --- On the calendar --- */

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t moment_civil(int year, int month, int day, int64_t second_of_day)
{
    return days(year, month, day) * DAY + second_of_day;
}

static int year_of(int64_t seconds)
{
    int year = 1970 + (int)(seconds / (366 * DAY));
    while (days(year + 1, 1, 1) * DAY <= seconds)
        year++;
    return year;
}

/* Seconds east of UTC at this local time, by what the moment says of its zone, or else as given. */
static int offset_at(const struct moment *moment, int64_t local, int offset_secs, bool *known)
{
    int offset = 0;
    if (moment->utc)
        return 0;
    if (moment->shifted)
        return moment->offset_secs;
    if (moment->zone[0] != '\0' && zone_offset(moment->zone, local, &offset))
        return offset;
    *known = moment->zone[0] != '\0' ? false : *known;
    return moment->zone[0] != '\0' ? 0 : offset_secs;
}

int64_t moment_next(const struct moment *moment, int64_t now, int offset_secs, bool *known)
{
    int64_t second = ((int64_t)moment->hour * 60 + moment->minute) * 60 + moment->second;
    int here = offset_at(moment, now, offset_secs, known);
    int64_t today = (now + here) / DAY * DAY, local = today + second;
    int year = moment->year != 0 ? moment->year : year_of(now + here);
    if (moment->month != 0)
        local = moment_civil(year, moment->month, moment->day, second);
    int64_t end = local - offset_at(moment, local, offset_secs, known);
    if (moment->month == 0 && end + JUST_PAST < now)
        local += DAY;
    else if (moment->month != 0 && moment->year == 0 && end + DAY < now)
        local = moment_civil(year + 1, moment->month, moment->day, second);
    return local - offset_at(moment, local, offset_secs, known);
}
