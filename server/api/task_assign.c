/* POST /api/v1/tasks/{id}/assign: a waiting task is for one agent alone. */
#include "common/json.h"
#include "server/api/handlers.h"
#include "server/api/reply.h"
#include "server/api/request.h"

static const char *const assign_members[] = {"agent_id", "execution_mode", NULL};

/* False: the call is answered. */
static bool read_members(struct call *call, const struct json_object *body)
{
    struct json_object *mode = json_member(body, "execution_mode");
    if (json_string(body, "agent_id", NULL) == NULL)
        call_error(call, 422, "invalid_value", "{\"member\": \"agent_id\"}",
                   "'agent_id' has to be the id of an agent; over SSH that is host_id/agent_type");
    else if (mode != NULL && !json_object_is_type(mode, json_type_string))
        call_error(call, 400, "wrong_type", NULL, "'execution_mode' has to be a string");
    else
        return true;
    return false;
}

void api_task_assign(struct call *call)
{
    struct json_object *body;
    struct buf by;
    if (!request_object(call, assign_members, &body))
        return;
    if (read_members(call, body)) {
        const char *params[] = {request_by(call, &by), call->match.id,
                                json_string(body, "agent_id", NULL),
                                json_string(body, "execution_mode", NULL)};
        reply_query_locking(call, call->match.id,
                            "select status, body, next, location from "
                            "fleet.task_assign($1::fleet.requester, $2, $3, $4)",
                            DB_ONCE, 4, params);
        buf_release(&by);
    }
    json_object_put(body);
}
