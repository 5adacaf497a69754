/* Lines that hold a text, sought in bytes of two streams as they come. Pure.
 *
 * A line is told once, with the place of its first hit. Lines are joined over the borders of what
 * is fed; of one that is longer than SCAN_LINE_MAX only what is around a hit is known. */
#ifndef FLEET_API_SCAN_H
#define FLEET_API_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define SCAN_LINE_MAX 65536 /* bytes that are kept of a line without an end */
#define SCAN_TEXT 400       /* bytes of a line that are told */

struct scan_lane {
    struct buf held;
    int64_t at;   /* offset of held, or of what comes next: a search goes on from here */
    int64_t line; /* number of the line that `at` is in */
    bool told;    /* the line that `at` is in had its hit */
    bool begun;
};

struct scan {
    const char *needle; /* borrowed; not empty */
    size_t needle_len;
    size_t limit, count; /* of hits */
    struct buf hits;     /* {"stream", "offset", "line", "text"}, separated by ", " */
    struct scan_lane lanes[2];
};

void scan_init(struct scan *scan, const char *needle, size_t limit);
void scan_release(struct scan *scan);
/* Bytes of a stream from `start` on, which is in this line. Nothing is taken once it is full. */
void scan_feed(struct scan *scan, int stream, int64_t start, int64_t line, const char *bytes,
               size_t len);
void scan_end(struct scan *scan); /* nothing comes: lines without an end are lines */
bool scan_full(const struct scan *scan);
int64_t scan_next(const struct scan *scan, int stream); /* offset of the byte to be fed next */

#endif
