/* Output as events of a stream: rows of bytes, joined where a character was cut, and pieces of
 * them as text. */
#ifndef FLEET_FOLLOW_PIECE_H
#define FLEET_FOLLOW_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum { PIECE_STDOUT, PIECE_STDERR };
extern const char *const piece_streams[2]; /* their names */

#define PIECE_BYTES 8192 /* of output in one event */

/* Bytes of one stream that follow on each other, in the order of arrival among others. */
struct piece_row {
    int stream;
    int64_t start;  /* offset in its stream */
    int64_t line;   /* number of the line that `start` is in */
    size_t at, len; /* of its bytes in `bytes` */
    size_t held;    /* of len: a character at the end that is not whole yet */
};

struct piece_rows {
    int count;
    struct piece_row *rows; /* owned */
    struct buf bytes;
};

void piece_rows_init(struct piece_rows *rows, int max);
void piece_rows_release(struct piece_rows *rows);
/* Adds a row whose bytes stand at the end of `bytes`, from `at` on; takes the beginning of its
 * first character from the row before of the same stream. */
void piece_rows_add(struct piece_rows *rows, int stream, int64_t start, int64_t line, size_t at);

/* The bytes at the end that may be the beginning of one character: 0 to 3. */
size_t piece_unfinished(const char *bytes, size_t len);
/* How many of these bytes one event carries: no character is cut, unless nothing else is there. */
size_t piece_length(const char *bytes, size_t len);
/* {"stream", "offset", "line", "text"}, and "base64" where the bytes are not UTF-8. */
void piece_write(struct buf *out, int stream, int64_t offset, int64_t line, const char *bytes,
                 size_t len);

#endif
