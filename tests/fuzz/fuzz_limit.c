/* What a provider says of a limit, and a file of zoneinfo: no crash, and an end that is to come. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/adapter/failure.h"
#include "worker/adapter/limit.h"
#include "worker/adapter/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct limit_clock clock = {.now = INT64_C(1800000000), .utc_offset_secs = 7200};
    int64_t end;
    int offset;
    bool guessed;
    char *text = strndup((const char *)data, size);
    clock.offset_known = size % 2 == 0;
    if (limit_end(text, &clock, &end, &guessed) && (end <= clock.now || !limit_tells(text)))
        abort();
    if (failure_named(failure_of((int)(size % 600), text)) == NULL || limit_window(text) == NULL)
        abort();
    free(text);
    zone_offset_of(data, size, INT64_C(1800000000), &offset);
    return 0;
}
