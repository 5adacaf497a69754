/* Any command: the exit status decides, the last bytes of its output are the summary. */
#include <string.h>

#include "worker/adapter/adapter.h"
#include "worker/clean.h"

/* Keeps the tail. A checkpoint says where the tail begins, so an adopter reads the same
 * tail again. */
static void on_bytes(struct adapter *adapter, const char *bytes, size_t len)
{
    struct buf *tail = &adapter->line;
    if (len > ADAPTER_TAIL_MAX) {
        bytes += len - ADAPTER_TAIL_MAX;
        len = ADAPTER_TAIL_MAX;
    }
    if (tail->len + len > ADAPTER_TAIL_MAX)
        buf_consume(tail, tail->len + len - ADAPTER_TAIL_MAX);
    buf_add(tail, bytes, len);
    adapter->settled = adapter->next - (int64_t)tail->len;
}

static const char *judge(const struct adapter *adapter, int status)
{
    (void)adapter;
    if (status == 0)
        return NULL;
    return status == 127 ? "adapter_missing" : "exit_nonzero"; /* 127: sh found no such command */
}

const struct adapter_kind adapter_text = {
    .name = "text",
    .on_bytes = on_bytes,
    .judge = judge,
};
