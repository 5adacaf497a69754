/* Array and bytea literals as text, for parameters. */
#include <inttypes.h>
#include <string.h>

#include "common/db/db.h"

/* Literals of arrays (PostgreSQL 8.15.6), rows (8.16.6) and bytea (8.4) for parameters. */

static void separate(struct buf *out)
{
    /* An element never ends with a bare '{': texts are quoted. */
    if (out->len > 0 && out->data[out->len - 1] != '{')
        buf_adds(out, ",");
}

static void add_hex(struct buf *out, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *byte = bytes;
    char piece[512];
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        piece[used++] = digits[byte[i] >> 4];
        piece[used++] = digits[byte[i] & 15];
        if (used == sizeof piece) {
            buf_add(out, piece, used);
            used = 0;
        }
    }
    buf_add(out, piece, used);
}

void db_array_begin(struct buf *out)
{
    buf_adds(out, "{");
}

/* In double quotes, with a backslash before quotes and backslashes. */
static void add_quoted(struct buf *out, const char *text)
{
    buf_adds(out, "\"");
    while (*text) {
        size_t plain = strcspn(text, "\"\\");

        buf_add(out, text, plain);
        text += plain;
        if (*text) {
            char escaped[2] = {'\\', *text++};

            buf_add(out, escaped, sizeof escaped);
        }
    }
    buf_adds(out, "\"");
}

void db_array_text(struct buf *out, const char *text)
{
    separate(out);
    if (text)
        add_quoted(out, text);
    else
        buf_adds(out, "NULL");
}

void db_array_int(struct buf *out, int64_t value)
{
    separate(out);
    buf_addf(out, "%" PRId64, value);
}

void db_array_bytes(struct buf *out, const void *bytes, size_t len)
{
    separate(out);
    buf_adds(out, "\"\\\\x");
    add_hex(out, bytes, len);
    buf_adds(out, "\"");
}

void db_array_end(struct buf *out)
{
    buf_adds(out, "}");
}

void db_bytea(struct buf *out, const void *bytes, size_t len)
{
    buf_adds(out, "\\x");
    add_hex(out, bytes, len);
}

void db_row_begin(struct buf *out)
{
    buf_adds(out, "(");
}

void db_row_text(struct buf *out, const char *text)
{
    if (text)
        add_quoted(out, text);
    buf_adds(out, ",");
}

void db_row_end(struct buf *out)
{
    if (!out->failed)
        out->data[out->len - 1] = ')';
}

void db_array_row(struct buf *out, int count, const char *const *fields)
{
    struct buf row;
    buf_init(&row, out->max);
    db_row_begin(&row);
    for (int i = 0; i < count; i++)
        db_row_text(&row, fields[i]);
    db_row_end(&row);
    db_array_text(out, buf_text(&row));
    out->failed = out->failed || row.failed;
    buf_release(&row);
}
