/* Whatever an agent prints: no crash, bounded facts, and an adopter that goes on from any
 * checkpoint ends where an undisturbed reader does. The first byte says where the first reader
 * dies. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/adapter/adapter.h"
#include "worker/adapter/limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct adapter *one, const struct adapter *two)
{
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    adapter_checkpoint(one, &a);
    adapter_checkpoint(two, &b);
    if (a.failed || strcmp(buf_text(&a), buf_text(&b)) != 0)
        abort();
    buf_release(&a);
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1, cut = len * data[0] / 255;
    struct adapter whole, first, second;
    struct buf point;
    const char *reason;
    buf_init(&point, 1 << 20);
    adapter_init(&whole, &adapter_codex);
    adapter_init(&first, &adapter_codex);
    adapter_init(&second, &adapter_codex);
    adapter_feed(&whole, text, len);
    adapter_feed(&first, text, cut);
    adapter_checkpoint(&first, &point);
    if (!adapter_restore(&second, buf_text(&point)))
        abort();
    size_t from = (size_t)adapter_next(&second);
    adapter_feed(&second, text + from, len - from);
    adapter_end(&whole);
    adapter_end(&second);
    expect_same(&whole, &second);
    adapter_judge(&whole, 0, &reason);
    int64_t end;
    char *sentence = strndup(text, len);
    if (limit_end(sentence, 1000, &end) && end <= 1000)
        abort();
    free(sentence);
    adapter_release(&whole);
    adapter_release(&first);
    adapter_release(&second);
    buf_release(&point);
    return 0;
}
