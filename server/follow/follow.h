/* Followers: clients that get what is new as a stream, and what they read together.
 *
 * A feed is one thing that grows: the history, or the output of one attempt. Its followers that are
 * level with it are served by one query for all of them; one that is behind (it resumes, or reads
 * slowly) reads pages of its own until it is level. Each keeps its own place, which moves only with
 * what its stream has taken: nothing is left out or sent twice, whatever fails in between. A
 * follower whose stream has no room waits until it has: its memory is that of its stream.
 *
 * Feeds are looked at every FOLLOW_MS while there are followers, and never without. */
#ifndef FLEET_FOLLOW_H
#define FLEET_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/db/db.h"
#include "common/loop.h"
#include "server/ceiling.h"
#include "server/follow/place.h"
#include "server/http/call.h"

#define FOLLOW_MS 25

struct follow;
struct follow *follow_new(struct loop *loop, struct db *db, struct ceiling *ceiling);
/* http and db are stopped: no follower is left. The memory goes when the loop has turned once more.
 */
void follow_free(struct follow *follow);

/* Answers the call with a stream of events behind `place`, of this task or this repository (NULL:
 * of all). Texts are copied. */
void follow_events(struct follow *follow, struct call *call, const struct event_place *place,
                   const char *task_id, const char *repo);

struct follow_log {
    int64_t task;
    int64_t attempt;        /* 0: none yet */
    struct log_place place; /* in it */
    bool wanted[2];         /* stdout, stderr */
    bool one;               /* ends with this attempt; else goes on with the task's next one */
};
/* Answers the call with a stream of output. */
void follow_log(struct follow *follow, struct call *call, const struct follow_log *from);

#endif
