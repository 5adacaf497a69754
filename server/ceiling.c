/* Seats counted by kind and by token, and their tokens looked at. */
#include "server/ceiling.h"

#include <stdlib.h>

#include "common/mem.h"

#define CHECK_MS 60000
#define SHELVES 256 /* of holders, by their token */

/* The seats of one token. */
struct holder {
    struct list link; /* of its shelf */
    int64_t token_id;
    size_t taken[SEAT_KINDS];
    struct list seats;
};

struct ceiling {
    struct db *db; /* borrowed */
    struct timer timer;
    size_t most, most_of_kind, most_of_token; /* the last: of one kind */
    size_t taken[SEAT_KINDS];
    struct list shelves[SHELVES]; /* holders with at least one seat */
    bool asking;                  /* a query is on its way */
    bool again;                   /* and another one is wanted */
};

static struct list *shelf_of(struct ceiling *ceiling, int64_t token_id)
{
    return &ceiling->shelves[(uint64_t)token_id % SHELVES];
}

static struct holder *find_holder(struct ceiling *ceiling, int64_t token_id)
{
    list_each(link, shelf_of(ceiling, token_id))
    {
        struct holder *holder = list_entry(link, struct holder, link);
        if (holder->token_id == token_id)
            return holder;
    }
    return NULL;
}

static struct holder *make_holder(struct ceiling *ceiling, int64_t token_id)
{
    struct holder *holder = mem_alloc(sizeof *holder);
    holder->token_id = token_id;
    list_init(&holder->seats);
    list_append(shelf_of(ceiling, token_id), &holder->link);
    return holder;
}

bool seat_take(struct ceiling *ceiling, struct seat *seat, enum seat_kind kind, struct call *call,
               void (*on_revoked)(void *data), void *data)
{
    int64_t token_id = call->who.token_id;
    struct holder *holder = find_holder(ceiling, token_id);
    size_t all = ceiling->taken[SEAT_STREAM] + ceiling->taken[SEAT_POLL];
    if (all >= ceiling->most || ceiling->taken[kind] >= ceiling->most_of_kind) {
        call_error(call, 503, "busy", NULL,
                   "this node serves as many streams and waiting calls as it can; ask another one");
        return false;
    }
    /* the agents' shared token and open mode are many */
    if (token_id > 0 && holder != NULL && holder->taken[kind] >= ceiling->most_of_token) {
        call_add_header(call, "retry-after", "1");
        call_error(call, 429, "too_many_streams", NULL,
                   "this token has %zu streams or waiting calls open; no more are taken",
                   ceiling->most_of_token);
        return false;
    }
    if (holder == NULL)
        holder = make_holder(ceiling, token_id);
    *seat =
        (struct seat){.kind = kind, .token_id = token_id, .on_revoked = on_revoked, .data = data};
    list_append(&holder->seats, &seat->link);
    holder->taken[kind]++;
    ceiling->taken[kind]++;
    return true;
}

void seat_leave(struct ceiling *ceiling, struct seat *seat)
{
    if (!list_linked(&seat->link))
        return;
    struct holder *holder = find_holder(ceiling, seat->token_id);
    list_remove(&seat->link);
    holder->taken[seat->kind]--;
    ceiling->taken[seat->kind]--;
    if (list_empty(&holder->seats)) {
        list_remove(&holder->link);
        free(holder);
    }
}

size_t ceiling_taken(const struct ceiling *ceiling, enum seat_kind kind)
{
    return ceiling->taken[kind];
}

/* --- whose token holds no more --- */

/* Each is told once; told ones stand behind. What is told may leave, the last one with its holder.
 */
static void tell(struct ceiling *ceiling, int64_t token_id)
{
    struct holder *holder;
    while ((holder = find_holder(ceiling, token_id)) != NULL) {
        struct seat *seat = list_entry(holder->seats.next, struct seat, link);
        void (*on_revoked)(void *data) = seat->on_revoked;
        if (on_revoked == NULL)
            return;
        seat->on_revoked = NULL;
        list_remove(&seat->link);
        list_append(&holder->seats, &seat->link);
        on_revoked(seat->data);
    }
}

static void ask(struct ceiling *ceiling);

static void on_ended(void *data, const struct db_result *res, const struct error *err)
{
    struct ceiling *ceiling = data;
    ceiling->asking = false;
    for (int row = 0; err == NULL && row < db_rows(res); row++)
        tell(ceiling, db_int(res, row, "token_id", 0));
    if (ceiling->again)
        ask(ceiling);
}

static void ask(struct ceiling *ceiling)
{
    struct buf ids;
    size_t count = 0;
    ceiling->again = false;
    buf_init(&ids, 1 << 20);
    db_array_begin(&ids);
    for (size_t i = 0; i < SHELVES; i++) {
        list_each(link, &ceiling->shelves[i])
        {
            const struct holder *holder = list_entry(link, struct holder, link);
            if (holder->token_id <= 0)
                continue;
            db_array_int(&ids, holder->token_id);
            count++;
        }
    }
    db_array_end(&ids);
    const char *params[] = {buf_text(&ids)};
    ceiling->asking = count > 0;
    if (ceiling->asking)
        db_query(ceiling->db, "select token_id from fleet.tokens_ended($1::bigint[]) x (token_id)",
                 DB_REPEAT, 1, params, on_ended, ceiling);
    buf_release(&ids);
}

void ceiling_check(struct ceiling *ceiling)
{
    if (ceiling->asking)
        ceiling->again = true; /* what is on its way may have been asked too early */
    else
        ask(ceiling);
}

static void on_time(void *data)
{
    ceiling_check(data);
}

/* --- life --- */

struct ceiling *ceiling_new(struct loop *loop, struct db *db, size_t connections)
{
    struct ceiling *ceiling = mem_alloc(sizeof *ceiling);
    ceiling->db = db;
    ceiling->most = connections * 3 / 4;
    ceiling->most_of_kind = connections / 2;
    ceiling->most_of_token = connections * 3 / 8;
    for (size_t i = 0; i < SHELVES; i++)
        list_init(&ceiling->shelves[i]);
    timer_init(&ceiling->timer, loop, on_time, ceiling);
    timer_start(&ceiling->timer, CHECK_MS, CHECK_MS);
    return ceiling;
}

void ceiling_free(struct ceiling *ceiling)
{
    if (ceiling != NULL)
        timer_close(&ceiling->timer, free);
}
