/* The ids of streams: where a follower stands, as text and back. Pure. */
#ifndef FLEET_FOLLOW_PLACE_H
#define FLEET_FOLLOW_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACE_TEXT 80 /* bytes that any place fits in, with NUL */

/* In the history: "<incarnation>-<xid>-<event>". */
struct event_place {
    char incarnation[9]; /* 8 hex digits; "": from now on */
    uint64_t xid;
    int64_t event; /* 0: all events of earlier transactions are known */
};

/* In the output of a task: "<attempt>-<offset in stdout>-<offset in stderr>". */
struct log_place {
    int number; /* of the attempt; 0: none yet */
    int64_t at[2];
};

/* False: `text` is none. A place that is read has its text written again. */
bool event_place_read(struct event_place *place, const char *text, size_t len);
bool log_place_read(struct log_place *place, const char *text, size_t len);
void event_place_write(const struct event_place *place, char text[PLACE_TEXT]);
void log_place_write(const struct log_place *place, char text[PLACE_TEXT]);

/* Of one incarnation: < 0 when a stands before b. */
int event_place_compare(const struct event_place *a, const struct event_place *b);

#endif
