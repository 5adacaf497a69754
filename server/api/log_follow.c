/* GET /api/v1/tasks/{}/logs?follow=1: output as it is stored. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "server/api/filter.h"
#include "server/api/last_event.h"
#include "server/api/log.h"
#include "server/api/request.h"
#include "server/server.h"

static void on_open(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    struct follow_log *from = call->state;
    if (call_gone(call)) {
        /* nobody waits any more */
    } else if (err != NULL) {
        call_db_error(call, err);
    } else if (db_rows(res) == 1 && db_text(res, 0, "gone") != NULL) {
        log_answer_gone(call, res);
    } else if (db_rows(res) == 1) {
        from->task = db_int(res, 0, "task", 0);
        from->attempt = db_int(res, 0, "attempt", 0);
        from->place.number = (int)db_int(res, 0, "number", 0);
        from->place.at[0] = db_int(res, 0, "stdout", 0);
        from->place.at[1] = db_int(res, 0, "stderr", 0);
        follow_log(call_server(call)->follow, call, from);
    }
    call_drop(call);
}

/* Where it goes on. False: the call is answered. */
static bool read_last(struct call *call, const struct log_query *query, struct log_place *place)
{
    const char *last;
    size_t len;
    *place = (struct log_place){0};
    if (!last_event(call, &last, &len))
        return false;
    if (last == NULL)
        return true;
    if (!log_place_read(place, last, len)) {
        last_event_refuse(call, "output");
        return false;
    }
    if (query->attempt > 0 && place->number != query->attempt) {
        call_error(call, 422, "invalid_value", "{\"member\": \"attempt\"}",
                   "the Last-Event-ID is of attempt %d, not of attempt %lld", place->number,
                   (long long)query->attempt);
        return false;
    }
    return true;
}

void log_follow(struct call *call, const struct log_query *query)
{
    struct log_place last;
    struct buf by;
    char texts[5][24];
    if (!read_last(call, query, &last))
        return;
    struct follow_log *from = mem_alloc(sizeof *from);
    from->one = query->attempt > 0;
    memcpy(from->wanted, query->wanted, sizeof from->wanted);
    call->state = from;
    call->state_free = free;
    bool on = last.number > 0; /* goes on */
    const char *params[] = {request_by(call, &by),
                            call->match.id,
                            log_parameter(on ? last.number : query->attempt, texts[0]),
                            query->streams,
                            log_parameter(on ? -1 : query->offset, texts[1]),
                            log_parameter(on ? -1 : query->tail, texts[2]),
                            log_parameter(on ? last.at[0] : -1, texts[3]),
                            log_parameter(on ? last.at[1] : -1, texts[4])};
    call_hold(call);
    db_query(call_server(call)->db,
             "select task, attempt, number, stdout, stderr, gone, next from fleet.log_open("
             "$1::fleet.requester, $2, $3::int, $4::text[], $5::bigint, $6::bigint, $7::bigint, "
             "$8::bigint)",
             DB_REPEAT, 8, params, on_open, call);
    buf_release(&by);
}
