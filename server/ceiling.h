/* Requests that stay, streams and long polls: how many of them there may be, and whether their
 * tokens still hold.
 *
 * Each takes a seat before it begins and leaves it at its end. There are so many seats on the node,
 * so many of each kind, and no token has them all. The tokens of all seats are looked at every 60 s
 * and at once when one was revoked, in one query; whose token holds no more is told by on_revoked,
 * and leaves. */
#ifndef FLEET_CEILING_H
#define FLEET_CEILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/db/db.h"
#include "common/list.h"
#include "common/loop.h"
#include "server/http/call.h"

enum seat_kind { SEAT_STREAM, SEAT_POLL };
#define SEAT_KINDS 2

/* Zeroed: not taken. Inside what has it; freed after seat_leave only. */
struct seat {
    struct list link;
    enum seat_kind kind;
    int64_t token_id;
    void (*on_revoked)(void *data); /* once, never from within a function of this module */
    void *data;                     /* borrowed */
};

struct ceiling;
/* `connections`: how many the node takes at all. */
struct ceiling *ceiling_new(struct loop *loop, struct db *db, size_t connections);
/* No seat is taken and db is stopped. The memory goes when the loop has turned once more. */
void ceiling_free(struct ceiling *ceiling);

/* False: there is none left, the call is answered 503 (the node's) or 429 (this token's). */
bool seat_take(struct ceiling *ceiling, struct seat *seat, enum seat_kind kind, struct call *call,
               void (*on_revoked)(void *data), void *data);
void seat_leave(struct ceiling *ceiling, struct seat *seat); /* also of one not taken */
size_t ceiling_taken(const struct ceiling *ceiling, enum seat_kind kind);

/* A token may have been revoked: looks at all of them now. */
void ceiling_check(struct ceiling *ceiling);

#endif
