/* Backfill: each known repository is read from time to time, as far as it has changed since, and
 * the database wants looks of what differs from what it has. So deliveries that were lost, or that
 * never come (poll_only), are made up for.
 *
 * The list moves while it is paged. It is asked for in the order in which issues were made, so that
 * a change moves nothing forward that was not read yet; what changes behind the reader's back is
 * newer than the reading, and the mark up to which all was read is the newest time that Forgejo
 * showed, less what the reading took. Our clock is not part of it. A reading that fails leaves the
 * mark where it was. */
#ifndef FLEET_FORGEJO_BACKFILL_H
#define FLEET_FORGEJO_BACKFILL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "worker/forgejo/home.h"
#include "worker/forgejo/setback.h"

#define BACKFILLS_MAX 2 /* repositories at once */

struct names;

struct backfill {
    struct tracker *tracker; /* borrowed */
    struct list list;        /* of struct reading: under way */
    int count;
    bool asking;         /* fleet.backfills() is under way, */
    uint64_t life;       /* asked in this life of the node */
    int64_t next_ask;    /* clock_ms */
    struct names *names; /* owned: which repositories there are; NULL: not being asked */
    int64_t next_names;  /* clock_ms; 0: at once */
    int64_t next_say;    /* of trouble */
};

void backfill_init(struct backfill *backfill, struct tracker *tracker);
void backfill_tick(struct backfill *backfill, int64_t now);
bool backfill_idle(const struct backfill *backfill);
void backfill_release(struct backfill *backfill); /* after the database was stopped */

/* --- Between the parts --- */

/* names.c: what forgejo.repositories stands for now is told to the database. */
void names_begin(struct backfill *backfill);

/* Times of Forgejo: RFC 3339, whole seconds. 0 for what is none. `text` holds at least 24 bytes. */
int64_t stamp_parse(const char *text);
void stamp_format(int64_t stamp, char *text, size_t size);

#endif
