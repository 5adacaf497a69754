/* "bytes=0-99", "bytes=100-" and "bytes=-100". */
#include "server/api/range.h"

#include <string.h>

#define NUMBER_MAX (INT64_MAX / 10 - 1)

/* The digits at *at; -1 when there are none or too many. */
static int64_t number_at(const char **at, const char *end)
{
    int64_t value = 0;
    const char *begin = *at;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (value > NUMBER_MAX)
            return -1;
        value = value * 10 + (**at - '0');
    }
    return *at == begin ? -1 : value;
}

bool range_read(const char *text, size_t len, struct range *range)
{
    static const char unit[] = "bytes=";
    const char *at = text + strlen(unit), *end = text + len;
    if (len < strlen(unit) || memcmp(text, unit, strlen(unit)) != 0)
        return false;
    range->first = number_at(&at, end);
    if (at == end || *at++ != '-')
        return false;
    bool open = at == end;
    range->last = number_at(&at, end);
    if (at != end || (range->last < 0 && (!open || range->first < 0)))
        return false;
    return range->first < 0 || range->last < 0 || range->first <= range->last;
}
