/* Whatever is printed: the length stays, what is held back is bounded, and a text that is cut
 * anywhere and read on from what was taken comes out as the whole does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const own[] = {"secret words", "aaaaaaaab"};
    static const struct redact_words words = {own, 2};
    if (size == 0 || size > REDACT_HOLD_MAX)
        return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1, cut = len * data[0] / 255;
    struct buf whole, parts;
    buf_init(&whole, size);
    buf_init(&parts, size);
    if (redact_add(&whole, text, len, &words, true) != len || whole.len != len)
        abort();
    size_t done = redact_add(&parts, text, cut, &words, false);
    if (done > cut || parts.len != done)
        abort();
    redact_add(&parts, text + done, len - done, &words, true);
    if (parts.len != len || (len > 0 && memcmp(parts.data, whole.data, len) != 0))
        abort();
    buf_release(&whole);
    buf_release(&parts);
    return 0;
}
