/* Reads of much output take turns at the database: so few of them are there at once that any other
 * query finds a connection with nothing long before it. The others wait here, in their order, and
 * leave when their call is answered meanwhile or its client goes. While no connection stands nobody
 * is held up: all are told so. */
#ifndef FLEET_TURNS_H
#define FLEET_TURNS_H

#include <stdbool.h>

#include "common/db/db.h"
#include "common/list.h"
#include "server/http/call.h"

struct turns {
    const struct db *db; /* borrowed */
    struct list waiting;
    int most, taken;
};

/* The state of a call that reads begins with it. */
struct turn {
    struct list link;
    struct call *call; /* held */
    bool (*go)(struct call *call);
};

/* `connections`: those of the database. Nothing is to be released once no call is left. */
void turns_init(struct turns *turns, const struct db *db, int connections);
/* Calls `go` when it is the call's turn, from within or later; never when the call is gone by then.
 * True: it reads, and says turns_end when it has. False: the turn is somebody else's. */
void turns_take(struct turns *turns, struct call *call, bool (*go)(struct call *call));
void turns_end(struct turns *turns, struct call *call);

#endif
