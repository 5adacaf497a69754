/* GET /api/v1/agents, nodes and statistics. */
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"

static const char statuses[] = "online offline cordoned resting out_of_service disabled";

void api_agent_list(struct call *call)
{
    struct buf by, status, capability, agent_type;
    struct page page;
    char wrong[65];
    if (filter_misspelt(&call->query, "status", statuses, wrong)) {
        call_error(call, 422, "invalid_value", NULL,
                   "the parameter 'status' has to be of %s; '%s' is none of them", statuses, wrong);
        return;
    }
    if (!page_read(call, &page))
        return;
    buf_init(&status, FILTER_MAX);
    buf_init(&capability, FILTER_MAX);
    buf_init(&agent_type, FILTER_MAX);
    const char *params[] = {request_by(call, &by),
                            page.limit,
                            page.cursor,
                            filter_array(&status, &call->query, "status"),
                            filter_array(&capability, &call->query, "capability"),
                            filter_array(&agent_type, &call->query, "agent_type")};
    reply_query(call,
                "select status, body, next, location from fleet.agent_list($1::fleet.requester, "
                "$2::int, $3, p_status => $4::text[], p_capability => $5::text[], "
                "p_agent_type => $6::text[])",
                DB_REPEAT, 6, params);
    buf_release(&status);
    buf_release(&capability);
    buf_release(&agent_type);
    buf_release(&by);
}

void api_agent_detail(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query(call,
                "select status, body, next, location "
                "from fleet.agent_detail($1::fleet.requester, $2)",
                DB_REPEAT, 2, params);
    buf_release(&by);
}

static void answer_whole(struct call *call, const char *sql)
{
    struct buf by;
    const char *params[] = {request_by(call, &by)};
    reply_query(call, sql, DB_REPEAT, 1, params);
    buf_release(&by);
}

void api_node_list(struct call *call)
{
    answer_whole(call, "select status, body, next, location "
                       "from fleet.node_list($1::fleet.requester)");
}

void api_stats(struct call *call)
{
    answer_whole(call, "select status, body, next, location from fleet.stats($1::fleet.requester)");
}
