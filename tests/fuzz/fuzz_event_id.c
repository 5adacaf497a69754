/* A Last-Event-ID of both kinds of streams: read or refused, and what is read is written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/follow/place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

static void is_text(const char *text, const uint8_t *data, size_t size)
{
    expect(strlen(text) == size && memcmp(text, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_place event;
    struct log_place log;
    char text[PLACE_TEXT];
    if (event_place_read(&event, (const char *)data, size)) {
        event_place_write(&event, text);
        is_text(text, data, size);
        expect(event.event >= 0 && event_place_compare(&event, &event) == 0);
    }
    if (log_place_read(&log, (const char *)data, size)) {
        log_place_write(&log, text);
        is_text(text, data, size);
        expect(log.number >= 0 && log.at[0] >= 0 && log.at[1] >= 0);
    }
    return 0;
}
