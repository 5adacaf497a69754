/* The Range header of a request: RFC 9110 14.2. Pure. */
#ifndef FLEET_API_RANGE_H
#define FLEET_API_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One range of bytes: from `first` to `last`, both counted; last -1: to the end; first -1: the
 * `last` last ones. */
struct range {
    int64_t first, last;
};

/* False: it is none of bytes, malformed, or more than one: the header is then to be ignored. */
bool range_read(const char *text, size_t len, struct range *range);

#endif
