/* The outbox: what the database says Forgejo has to be told is told by this worker, several issues
 * at once and each in order, and what came of it goes back.
 *
 * A row is had by one worker at a time; which step of it is under way nobody has to remember, for
 * each begins with what stands in Forgejo. So nothing here is kept, and a worker that is killed has
 * lost nothing. */
#ifndef FLEET_FORGEJO_OUTBOX_H
#define FLEET_FORGEJO_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"

struct tracker;

#define OUTBOX_TELLS 8 /* issues at once */

struct outbox {
    struct tracker *tracker; /* borrowed */
    struct list tells;       /* of struct tell: under way */
    struct list labels;      /* of struct label_set */
    int count;
    bool asking;      /* fleet.tells() is under way, */
    uint64_t life;    /* asked in this life of the node */
    bool wanted;      /* somebody said that there is something */
    int64_t next_ask; /* clock_ms: slow poll */
};

void outbox_init(struct outbox *outbox, struct tracker *tracker);
void outbox_tick(struct outbox *outbox, int64_t now);
void outbox_wake(struct outbox *outbox);   /* NOTIFY "tell": begins at once */
void outbox_forget(struct outbox *outbox); /* it may be another Forgejo from now on */
bool outbox_idle(const struct outbox *outbox);
void outbox_release(struct outbox *outbox); /* after the database was stopped */

#endif
