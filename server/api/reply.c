/* A row of fleet.reply becomes an answer. */
#include "server/api/reply.h"

#include <string.h>

#include "server/api/filter.h"
#include "server/server.h"

#define LINK_MAX 32768

/* The page after this one: the request's own path and query, with another cursor. */
static void add_next_link(struct call *call, const char *cursor)
{
    struct buf link;
    size_t len;
    const char *target = call_target(call, &len);
    const char *query = memchr(target, '?', len);
    buf_init(&link, LINK_MAX);
    buf_addf(&link, "<%.*s?", (int)(query != NULL ? (size_t)(query - target) : len), target);
    filter_next_query(&link, &call->query, cursor);
    buf_adds(&link, ">; rel=\"next\"");
    if (!link.failed)
        call_add_header(call, "link", buf_text(&link));
    buf_release(&link);
}

void reply_body(struct call *call, const struct db_result *res, const char *body)
{
    const char *next = db_text(res, 0, "next"), *location = db_text(res, 0, "location");
    int status = (int)db_int(res, 0, "status", 500);
    if (call_gone(call))
        return;
    if (next != NULL)
        add_next_link(call, next);
    if (location != NULL)
        call_add_header(call, "location", location);
    if (body == NULL)
        call_answer(call, status, "application/json", "", 0);
    else
        call_json(call, status, body);
}

void reply_row(struct call *call, const struct db_result *res)
{
    if (db_rows(res) == 1) /* else the call's end says so */
        reply_body(call, res, db_text(res, 0, "body"));
}

static void on_reply(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    if (err != NULL)
        call_db_error(call, err);
    else
        reply_row(call, res);
    call_drop(call);
}

void reply_query(struct call *call, const char *sql, enum db_repeat repeat, int count,
                 const char *const *params)
{
    call_hold(call);
    db_query(call_server(call)->db, sql, repeat, count, params, on_reply, call);
}

void reply_query_locking(struct call *call, const char *key, const char *sql, enum db_repeat repeat,
                         int count, const char *const *params)
{
    call_hold(call);
    db_query_locking(call_server(call)->db, key, 0, sql, repeat, count, params, on_reply, call);
}
