/* Who waits for a turn. */
#include "server/turns.h"

void turns_init(struct turns *turns, const struct db *db, int connections)
{
    turns->db = db;
    list_init(&turns->waiting);
    turns->most = connections > 1 ? connections - 1 : 1;
    turns->taken = 0;
}

static void on_gone(struct call *call)
{
    struct turn *turn = call->state;
    list_remove(&turn->link);
    call_drop(call);
}

static void call_next(struct turns *turns)
{
    struct turn *next = list_entry(turns->waiting.next, struct turn, link);
    struct call *call = next->call;
    list_remove(&next->link);
    call->on_gone = NULL;
    turns->taken++;
    if (!next->go(call)) {
        turns->taken--;
        call_drop(call);
    }
}

static void call_on(struct turns *turns)
{
    while (!list_empty(&turns->waiting) && (turns->taken < turns->most || !db_up(turns->db)))
        call_next(turns);
}

void turns_take(struct turns *turns, struct call *call, bool (*go)(struct call *call))
{
    struct turn *turn = call->state;
    *turn = (struct turn){.call = call, .go = go};
    call_hold(call);
    call->on_gone = on_gone;
    list_append(&turns->waiting, &turn->link);
    call_on(turns);
}

void turns_end(struct turns *turns, struct call *call)
{
    turns->taken--;
    call_drop(call);
    call_on(turns);
}
