/* A text sought line by line. */
#include "server/api/scan.h"

#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "server/follow/piece.h"

#define HITS_MAX (32 << 20)                  /* bytes */
#define HELD_MAX (SCAN_LINE_MAX + (2 << 20)) /* a line, and what is fed at once */
#define BEFORE 100                           /* bytes before a hit, of a line that is cut */

void scan_init(struct scan *scan, const char *needle, size_t limit)
{
    *scan = (struct scan){.needle = needle, .needle_len = strlen(needle), .limit = limit};
    buf_init(&scan->hits, HITS_MAX);
    for (int i = 0; i < 2; i++)
        buf_init(&scan->lanes[i].held, HELD_MAX);
}

void scan_release(struct scan *scan)
{
    buf_release(&scan->hits);
    for (int i = 0; i < 2; i++)
        buf_release(&scan->lanes[i].held);
}

bool scan_full(const struct scan *scan)
{
    return scan->count >= scan->limit;
}

int64_t scan_next(const struct scan *scan, int stream)
{
    return scan->lanes[stream].at + (int64_t)scan->lanes[stream].held.len;
}

static int64_t lines_in(const char *bytes, size_t len)
{
    int64_t lines = 0;
    const char *end = bytes + len;
    while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        bytes++;
        lines++;
    }
    return lines;
}

/* Of a line from `begin` to `end` what is told: all, or what is around the hit. */
static void tell(struct scan *scan, int stream, size_t begin, size_t hit, size_t end)
{
    const struct scan_lane *lane = &scan->lanes[stream];
    const char *bytes = lane->held.data;
    if (end - begin > SCAN_TEXT) {
        if (hit - begin > BEFORE)
            begin = hit - BEFORE;
        while (begin < hit && ((unsigned char)bytes[begin] & 0xc0) == 0x80)
            begin++; /* no half character */
        if (end - begin > SCAN_TEXT)
            end = begin + SCAN_TEXT - piece_unfinished(bytes + begin, SCAN_TEXT);
    }
    buf_addf(&scan->hits,
             "%s{\"stream\": \"%s\", \"offset\": %" PRId64 ", \"line\": %" PRId64 ", \"text\": ",
             scan->count > 0 ? ", " : "", piece_streams[stream], lane->at + (int64_t)hit,
             lane->line);
    json_quote(&scan->hits, bytes + begin, end - begin);
    buf_adds(&scan->hits, "}");
    scan->count++;
}

static void consume(struct scan_lane *lane, size_t len)
{
    buf_consume(&lane->held, len);
    lane->at += (int64_t)len;
}

/* Goes behind the end of the line that `*at` is in; false when that has not come. */
static bool pass_line(struct scan_lane *lane, size_t *at)
{
    const char *end = memchr(lane->held.data + *at, '\n', lane->held.len - *at);
    lane->told = end == NULL;
    *at = end != NULL ? (size_t)(end - lane->held.data) + 1 : lane->held.len;
    lane->line += end != NULL;
    return end != NULL;
}

/* Where the line begins that the hit is in; those before it are counted. */
static size_t begin_of(struct scan_lane *lane, size_t from, size_t hit)
{
    const char *newline = memrchr(lane->held.data + from, '\n', hit - from);
    size_t begin = newline != NULL ? (size_t)(newline - lane->held.data) + 1 : from;
    lane->line += lines_in(lane->held.data + from, begin - from);
    return begin;
}

/* Tells of what is held; gives up to where it is done with. A line whose end has not come waits. */
static size_t look(struct scan *scan, int stream, bool last)
{
    struct scan_lane *lane = &scan->lanes[stream];
    const char *bytes = lane->held.data, *hit;
    size_t len = lane->held.len, at = 0;
    if (lane->told && !pass_line(lane, &at))
        return len;
    while (!scan_full(scan) &&
           (hit = memmem(bytes + at, len - at, scan->needle, scan->needle_len)) != NULL) {
        size_t where = (size_t)(hit - bytes), begin = begin_of(lane, at, where);
        const char *end = memchr(hit, '\n', len - where);
        at = begin;
        if (end == NULL && !last && len - begin <= SCAN_LINE_MAX)
            return at;
        tell(scan, stream, begin, where, end != NULL ? (size_t)(end - bytes) : len);
        at = where;
        if (!pass_line(lane, &at))
            return at;
    }
    if (!scan_full(scan))
        at = begin_of(lane, at, len);
    /* of a line that is too long, what may be the beginning of a hit */
    if (len - at > SCAN_LINE_MAX && !scan_full(scan))
        at = len - (scan->needle_len - 1);
    return at;
}

static void look_on(struct scan *scan, int stream, bool last)
{
    if (scan->lanes[stream].held.len > 0)
        consume(&scan->lanes[stream], look(scan, stream, last));
}

void scan_feed(struct scan *scan, int stream, int64_t start, int64_t line, const char *bytes,
               size_t len)
{
    struct scan_lane *lane = &scan->lanes[stream];
    if (scan_full(scan))
        return;
    if (!lane->begun || scan_next(scan, stream) != start) {
        look_on(scan, stream, true); /* what follows is not what came next */
        buf_clear(&lane->held);
        lane->at = start;
        lane->line = line;
        lane->told = false;
        lane->begun = true;
    }
    buf_add(&lane->held, bytes, len);
    look_on(scan, stream, false);
}

void scan_end(struct scan *scan)
{
    for (int i = 0; i < 2; i++)
        look_on(scan, i, true);
}
