/* Pieces of output: cut between characters, written as JSON. */
#include "server/follow/piece.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/text.h"

#define BYTES_MAX (64 << 20)

const char *const piece_streams[2] = {"stdout", "stderr"};

void piece_rows_init(struct piece_rows *rows, int max)
{
    *rows = (struct piece_rows){0};
    rows->rows = mem_alloc((size_t)(max > 0 ? max : 1) * 2 * sizeof *rows->rows);
    buf_init(&rows->bytes, BYTES_MAX);
}

void piece_rows_release(struct piece_rows *rows)
{
    free(rows->rows);
    buf_release(&rows->bytes);
}

size_t piece_unfinished(const char *bytes, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char byte = (unsigned char)bytes[len - back];
        if ((byte & 0xc0) == 0x80)
            continue;
        size_t size = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
        return byte <= 0xf4 && size > back ? back : 0;
    }
    return 0;
}

static struct piece_row *last_of(const struct piece_rows *rows, int stream)
{
    for (int i = rows->count - 1; i >= 0; i--) {
        if (rows->rows[i].stream == stream)
            return &rows->rows[i];
    }
    return NULL;
}

void piece_rows_add(struct piece_rows *rows, int stream, int64_t start, int64_t line, size_t at)
{
    struct piece_row *before = last_of(rows, stream), *row = &rows->rows[rows->count++];
    *row = (struct piece_row){.stream = stream, .start = start, .line = line, .at = at};
    if (before != NULL && before->held > 0 && before->start + (int64_t)before->len == start) {
        char begun[4];
        size_t held = before->held;
        memcpy(begun, rows->bytes.data + before->at + before->len - held, held);
        before->len -= held;
        before->held = 0;
        row->start -= (int64_t)held;
        buf_add(&rows->bytes, begun, held); /* room; then all of the row moves behind it */
        memmove(rows->bytes.data + at + held, rows->bytes.data + at, rows->bytes.len - at - held);
        memcpy(rows->bytes.data + at, begun, held);
    }
    row->len = rows->bytes.len - at;
    row->held = piece_unfinished(rows->bytes.data + at, row->len);
}

size_t piece_length(const char *bytes, size_t len)
{
    if (len <= PIECE_BYTES)
        return len;
    return PIECE_BYTES - piece_unfinished(bytes, PIECE_BYTES);
}

static void write_base64(struct buf *out, const char *bytes, size_t len)
{
    char text[4 * ((PIECE_BYTES + 2) / 3) + 1];
    crypto_base64(bytes, len, text);
    buf_addf(out, ", \"base64\": \"%s\"", text);
}

void piece_write(struct buf *out, int stream, int64_t offset, int64_t line, const char *bytes,
                 size_t len)
{
    buf_addf(out, "{\"stream\": \"%s\", \"offset\": %" PRId64 ", \"line\": %" PRId64 ", \"text\": ",
             piece_streams[stream], offset, line);
    json_quote(out, bytes, len);
    if (!text_is_utf8(bytes, len))
        write_base64(out, bytes, len);
    buf_adds(out, "}");
}
