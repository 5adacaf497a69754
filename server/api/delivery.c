/* GET /api/v1/deliveries and POST /api/v1/deliveries/{id}/replay: what came from Forgejo, shown and
 * taken again. */
#include "common/json.h"
#include "server/api/handlers.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"

void api_delivery_list(struct call *call)
{
    page_list(call, "select status, body, next, location from "
                    "fleet.delivery_list($1::fleet.requester, $2::int, $3)");
}

void api_delivery_replay(struct call *call)
{
    static const char *const members[] = {NULL};
    struct json_object *body;
    struct buf by;
    if (!request_object(call, members, &body))
        return;
    json_object_put(body);
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.delivery_replay($1::fleet.requester, $2)",
                        DB_REPEAT, 2, params);
    buf_release(&by);
}
