/* What a failed answer means for who wanted to read. */
#include "worker/forgejo/setback.h"
#include "worker/forgejo/tracker.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"

#define SAY_MS 10000

void setback_say(const struct setback *setback, int64_t *next, const char *repository,
                 const char *what)
{
    bool due = clock_ms() >= *next;
    if (due)
        *next = clock_ms() + SAY_MS;
    log_write(due ? LOG_INFO_LEVEL : LOG_DEBUG_LEVEL,
              LOG_ABOUT(LOG_FIELD("repository", repository)), "%s was not read: %s", what,
              setback->why);
}

void setback_clear(struct setback *setback)
{
    *setback = (struct setback){.retry_secs = -1};
}

static const char *word_of(enum forgejo_verdict verdict)
{
    switch (verdict) {
    case FORGEJO_GONE:
        return "missing";
    case FORGEJO_DENIED:
        return "denied";
    case FORGEJO_MOVED:
        return "renamed"; /* since we found it: the next try finds it again */
    case FORGEJO_LOCKED:
        return "locked";
    case FORGEJO_OK:
    case FORGEJO_GARBLED:
        return "garbled";
    case FORGEJO_REFUSED:
        return "refused";
    case FORGEJO_AWAY:
        break;
    }
    return "away";
}

void setback_take(struct setback *setback, const struct tracker *tracker, const char *what,
                  const struct forgejo_answer *answer)
{
    bool away = answer->verdict == FORGEJO_AWAY;
    if (setback->any && !away)
        return;
    setback->any = true;
    setback->retry_secs = answer->retry_secs;
    const char *word = away && !tracker_ready(tracker) ? "dropped" : word_of(answer->verdict);
    snprintf(setback->why, sizeof setback->why, "%s: %s: %s", word, what, answer->text);
}

void setback_set(struct setback *setback, const char *word, const char *format, ...)
{
    va_list args;
    setback->any = true;
    setback->retry_secs = -1;
    int at = snprintf(setback->why, sizeof setback->why, "%s: ", word);
    va_start(args, format);
    vsnprintf(setback->why + at, sizeof setback->why - (size_t)at, format, args);
    va_end(args);
}
