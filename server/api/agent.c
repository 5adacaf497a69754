#include "common/json.h"
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/server.h"

static void on_body(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    const char *body = err == NULL && db_rows(res) == 1 ? db_text(res, 0, "body") : NULL;
    if (err != NULL)
        call_db_error(call, err);
    else
        call_json(call, 200, body != NULL ? body : "[]");
    call_drop(call);
}

void api_agent_list(struct call *call)
{
    static const char *const names[] = {"status", "capability", "agent_type", NULL};
    struct json_object *filter = filter_build(&call->query, names);
    const char *params[] = {json_object_to_json_string_ext(filter, JSON_C_TO_STRING_PLAIN)};
    call_hold(call);
    db_query(call_server(call)->db, "select fleet.agent_list($1::jsonb) as body", DB_REPEAT, 1,
             params, on_body, call);
    json_object_put(filter);
}

void api_host_list(struct call *call)
{
    call_hold(call);
    db_query(call_server(call)->db, "select fleet.host_list() as body", DB_REPEAT, 0, NULL, on_body,
             call);
}

void api_node_list(struct call *call)
{
    call_hold(call);
    db_query(call_server(call)->db, "select fleet.node_list() as body", DB_REPEAT, 0, NULL, on_body,
             call);
}
