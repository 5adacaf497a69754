/* A growing byte buffer with a mandatory ceiling.
 *
 * Always true: data[len] == '\0' once anything was added; len <= max; after a failed addition the
 * buffer is unchanged and `failed` is set, so a chain of additions needs one check at its end. */
#ifndef FLEET_BUF_H
#define FLEET_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;  /* owned; NULL while nothing was added */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* ceiling of len in bytes */
    bool failed; /* an addition would have passed max */
};

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf); /* frees; the buffer is as after buf_init */
void buf_clear(struct buf *buf);   /* keeps the memory, clears `failed` */
bool buf_add(struct buf *buf, const void *bytes, size_t len);
bool buf_adds(struct buf *buf, const char *text);
bool buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_addvf(struct buf *buf, const char *format, va_list args);
void buf_consume(struct buf *buf, size_t len); /* drops len bytes from the front */
const char *buf_text(const struct buf *buf);   /* "" when empty */
char *buf_take(struct buf *buf);               /* the caller owns the (NUL-ended) bytes */

#endif
