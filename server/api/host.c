/* GET, PUT and DELETE of one host. */
#include "server/api/handlers.h"
#include "server/api/reply.h"
#include "server/api/request.h"

void api_host_detail(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query(call,
                "select status, body, next, location from "
                "fleet.host_detail($1::fleet.requester, $2)",
                DB_REPEAT, 2, params);
    buf_release(&by);
}

void api_host_delete(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.host_delete($1::fleet.requester, $2)",
                        DB_ONCE, 2, params);
    buf_release(&by);
}
