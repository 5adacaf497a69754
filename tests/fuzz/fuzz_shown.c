/* What people see of any bytes: bounded, and nothing of a comment or without a shape. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/job/shown.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out;
    buf_init(&out, size + SHOWN_MORE);
    shown_add(&out, (const char *)data, size);
    if (out.failed)
        abort();
    bool plain = size == 0 || memchr(data, '\\', size) == NULL;
    for (size_t i = 0; i < size; i++)
        plain = plain && data[i] != 0 && data[i] < 0x80;
    if (plain && out.len >= 4 && memmem(out.data, out.len, "<!--", 4) != NULL)
        abort();
    if (out.len > 0 && memmem(out.data, out.len, "\xe2\x80\x8b", 3) != NULL)
        abort();
    buf_release(&out);
    return 0;
}
