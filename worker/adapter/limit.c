/* Finds in the sentences and JSON of the CLIs when a limit ends. */
#include "worker/adapter/limit.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "worker/adapter/moment.h"

#define NUMBER_MAX INT64_C(99999999999999) /* more is absurd, in seconds as in milliseconds */
#define MILLISECONDS INT64_C(99999999999)  /* larger times are told in milliseconds */

/* The whole number at `at`, behind blanks, quotes and colons; false when there is none, or an
 * absurd one. */
static bool read_number(const char *at, int64_t *number)
{
    at += strspn(at, " \t\"':\\=");
    if (!isdigit((unsigned char)*at))
        return false;
    *number = 0;
    for (; isdigit((unsigned char)*at); at++) {
        *number = *number * 10 + (*at - '0');
        if (*number > NUMBER_MAX)
            return false;
    }
    return true;
}

/* What follows the first such word; NULL when it is not there. */
static const char *behind(const char *text, const char *word)
{
    const char *at = strcasestr(text, word);
    return at != NULL ? at + strlen(word) : NULL;
}

static bool read_moment(const char *at, const struct limit_clock *clock, int64_t *end,
                        bool *guessed)
{
    struct moment moment;
    bool known = clock->offset_known;
    if (!moment_read(at, &moment))
        return false;
    if (moment.utc || moment.shifted || moment.zone[0] != '\0')
        known = true;
    *end = moment_next(&moment, clock->now, clock->utc_offset_secs, &known);
    *guessed = !known;
    return true;
}

/* "resets_at": 1773113950, or in milliseconds, or as a text. */
static bool read_epoch(const char *at, const struct limit_clock *clock, int64_t *end, bool *guessed)
{
    if (at == NULL)
        return false;
    if (read_moment(at + strspn(at, " \t\"':\\="), clock, end, guessed))
        return true;
    if (!read_number(at, end))
        return false;
    *end = *end > MILLISECONDS ? *end / 1000 : *end;
    return true;
}

static bool read_span(const char *at, const struct limit_clock *clock, int64_t *end)
{
    int64_t span = at != NULL ? moment_span(at + strspn(at, " \t\"':\\")) : 0;
    *end = clock->now + span;
    return span > 0;
}

/* The members by which providers say it. */
static bool read_members(const char *text, const struct limit_clock *clock, int64_t *end,
                         bool *guessed)
{
    static const char *const absolute[] = {"resets_at", "resetsAt", "quotaResetTimeStamp",
                                           "reached|", NULL};
    for (const char *const *name = absolute; *name != NULL; name++)
        if (read_epoch(behind(text, *name), clock, end, guessed))
            return true;
    const char *at = behind(text, "resets_in_seconds");
    if (at != NULL && read_number(at, end)) {
        *end += clock->now;
        return true;
    }
    return read_span(behind(text, "retryDelay"), clock, end);
}

/* Behind "try again", "resets" and the like. */
static bool read_sentence(const char *at, const struct limit_clock *clock, int64_t *end,
                          bool *guessed)
{
    static const char *const small[] = {"in ", "at ", "after ", "on ", "by ", NULL};
    at += strspn(at, " :");
    for (const char *const *word = small; *word != NULL; word++) {
        if (strncasecmp(at, *word, strlen(*word)) == 0) {
            at += strlen(*word);
            break;
        }
    }
    return read_span(at, clock, end) || read_moment(at, clock, end, guessed);
}

static bool read_text(const char *text, const struct limit_clock *clock, int64_t *end,
                      bool *guessed)
{
    static const char *const words[] = {"try again", "resets",          "reset",
                                        "retry",     "available again", NULL};
    *guessed = false;
    if (text == NULL)
        return false;
    if (read_members(text, clock, end, guessed))
        return true;
    for (const char *const *word = words; *word != NULL; word++)
        for (const char *at = behind(text, *word); at != NULL; at = behind(at, *word))
            if (read_sentence(at, clock, end, guessed))
                return true;
    return false;
}

bool limit_end(const char *text, const struct limit_clock *clock, int64_t *end, bool *guessed)
{
    return read_text(text, clock, end, guessed) && *end > clock->now;
}

bool limit_tells(const char *text)
{
    struct limit_clock clock = {0};
    int64_t end;
    bool guessed;
    return read_text(text, &clock, &end, &guessed);
}

const char *limit_window(const char *text)
{
    static const struct {
        const char *word, *window;
    } words[] = {{"weekly", "seven_day"},    {"7-day", "seven_day"},        {"7 day", "seven_day"},
                 {"seven-day", "seven_day"}, {"5-hour", "five_hour"},       {"5 hour", "five_hour"},
                 {"five-hour", "five_hour"}, {"session limit", "five_hour"}};
    static const char *const members[] = {"window_minutes", "windowDurationMins", NULL};
    if (text == NULL)
        return "";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(text, words[i].word) != NULL)
            return words[i].window;
    for (const char *const *name = members; *name != NULL; name++) {
        const char *at = behind(text, *name);
        int64_t minutes = 0;
        if (at != NULL && read_number(at, &minutes))
            return minutes == 300 ? "five_hour" : minutes == 10080 ? "seven_day" : "";
    }
    return "";
}
