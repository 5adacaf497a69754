/* Output cut anywhere: its pieces hold every byte once, in order, as JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/text.h"
#include "server/follow/piece.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

/* The bytes of an event, as a client takes them. */
static void read_piece(struct buf *got, const struct buf *event)
{
    struct error err = {0};
    struct json_object *object = json_parse(event->data, event->len, &err);
    /* a NUL is one that our own reader takes from nobody */
    if (object == NULL && strstr(event->data, "\\u0000") != NULL) {
        got->failed = true;
        return;
    }
    expect(object != NULL);
    const char *base64 = json_string(object, "base64", NULL),
               *text = json_string(object, "text", NULL);
    uint8_t bytes[PIECE_BYTES + 3];
    size_t len = sizeof bytes;
    if (base64 != NULL) {
        expect(crypto_unbase64(base64, strlen(base64), bytes, &len));
        expect(!text_is_utf8((const char *)bytes, len));
        buf_add(got, bytes, len);
    } else {
        buf_adds(got, text);
    }
    json_object_put(object);
}

static void send_row(struct buf *got, const struct piece_rows *rows, const struct piece_row *row)
{
    struct buf event;
    const char *bytes = rows->bytes.data + row->at;
    buf_init(&event, 1 << 20);
    for (size_t at = 0; at < row->len;) {
        size_t len = piece_length(bytes + at, row->len - at);
        expect(len > 0 && len <= PIECE_BYTES && at + len <= row->len);
        buf_clear(&event);
        piece_write(&event, row->stream, row->start + (int64_t)at, 1, bytes + at, len);
        expect(!event.failed && memchr(event.data, '\n', event.len) == NULL);
        read_piece(got, &event);
        at += len;
    }
    buf_release(&event);
}

/* The first byte of each chunk says how long it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct piece_rows rows;
    struct buf sent, got;
    buf_init(&sent, 1 << 22);
    buf_init(&got, 1 << 22);
    piece_rows_init(&rows, (int)size);
    for (size_t at = 0; at < size;) {
        size_t len = (size_t)data[at++] * (size % 7 == 0 ? 100 : 1);
        size_t from = rows.bytes.len, offset = sent.len;
        len = len < size - at ? len : size - at;
        buf_add(&sent, data + at, len);
        buf_add(&rows.bytes, data + at, len);
        piece_rows_add(&rows, PIECE_STDERR, (int64_t)offset, 1, from);
        at += len;
    }
    for (int i = 0; i < rows.count; i++) {
        expect(i + 1 == rows.count || rows.rows[i].held == 0 || rows.rows[i + 1].len == 0);
        send_row(&got, &rows, &rows.rows[i]);
    }
    if (!got.failed)
        expect(got.len == sent.len && (sent.len == 0 || memcmp(got.data, sent.data, got.len) == 0));
    buf_release(&sent);
    buf_release(&got);
    piece_rows_release(&rows);
    return 0;
}
