/* GET /api/v1/agents, hosts and nodes: lists that SQL writes. */
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
    struct buf status, capability, agent_type;
    buf_init(&status, FILTER_MAX);
    buf_init(&capability, FILTER_MAX);
    buf_init(&agent_type, FILTER_MAX);
    const char *params[] = {filter_array(&status, &call->query, "status"),
                            filter_array(&capability, &call->query, "capability"),
                            filter_array(&agent_type, &call->query, "agent_type")};
    call_hold(call);
    db_query(call_server(call)->db,
             "select fleet.agent_list(p_status => $1::text[], p_capability => $2::text[], "
             "p_agent_type => $3::text[]) as body",
             DB_REPEAT, 3, params, on_body, call);
    buf_release(&status);
    buf_release(&capability);
    buf_release(&agent_type);
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
