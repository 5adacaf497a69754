/* Wrong tokens, counted by the address that they come from.
 *
 * An address with too many is hot until they have leaked away. No valid token is ever refused for
 * it: what is asked about tokens from hot addresses only goes one at a time on the whole node, the
 * addresses in turn, so that they cost others nothing. An IPv6 address stands for its /64. Memory
 * is bounded: of too many addresses those that failed least lately are forgotten. */
#ifndef FLEET_LIMIT_H
#define FLEET_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"

#define LIMIT_HOT 20       /* failures that make an address hot */
#define LIMIT_MOST 60      /* no more are counted */
#define LIMIT_LEAK_MS 3000 /* one is forgotten each */

/* What waits for its turn. Inside what has it, until `go` was called or limit_take gave it. */
struct limit_turn {
    struct list link;
    struct line *line;                   /* borrowed: the one it waits in */
    void (*go)(struct limit_turn *turn); /* ends by limit_done */
};

struct limit;
struct limit *limit_new(void);
void limit_free(struct limit *limit); /* nothing waits any more: see limit_take */

/* One more of this address. How many seconds until it is hot no more; 0: it is not. */
int limit_failed(struct limit *limit, const char *address);
bool limit_is_hot(const struct limit *limit, const char *address);

/* `go` comes from within when nobody is before it. */
void limit_queue(struct limit *limit, const char *address, struct limit_turn *turn);
void limit_done(struct limit *limit);
/* It waits no more, and `go` does not come; false: it has come already. */
bool limit_leave(struct limit_turn *turn);
/* What waits longest, without its turn; NULL: nothing. */
struct limit_turn *limit_take(struct limit *limit);

#endif
