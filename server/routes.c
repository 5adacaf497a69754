/* Every path of the API, and who may ask for it. */
#include "server/routes.h"

#include "server/api/handlers.h"
#include "server/webhook/webhook.h"

static const char *const list_queries[] = {
    "status", "agent_id",      "host_id",        "label", "repo",   "source", "execution_mode",
    "q",      "created_after", "created_before", "limit", "cursor", NULL};
static const char *const log_queries[] = {"attempt",     "stream", "offset",
                                          "limit_bytes", "tail",   NULL};
static const char *const agent_queries[] = {"status", "capability", "agent_type", NULL};

const struct route server_routes[] = {
    {"GET", "/healthz", ROUTE_HEALTH, SCOPE_NONE, NULL, api_healthz},
    {"GET", "/livez", ROUTE_HEALTH, SCOPE_NONE, NULL, api_livez},
    {"GET", "/readyz", ROUTE_HEALTH, SCOPE_NONE, NULL, api_readyz},
    {"POST", "/api/v1/tasks", ROUTE_API, SCOPE_SUBMIT, NULL, api_task_submit},
    {"GET", "/api/v1/tasks", ROUTE_API, SCOPE_READ, list_queries, api_task_list},
    {"GET", "/api/v1/tasks/{}", ROUTE_API, SCOPE_READ, NULL, api_task_detail},
    {"GET", "/api/v1/tasks/{}/logs", ROUTE_API, SCOPE_READ, log_queries, api_task_logs},
    {"POST", "/api/v1/tasks/{}/retry", ROUTE_API, SCOPE_OPERATE, NULL, api_task_retry},
    {"POST", "/api/v1/tasks/{}/cancel", ROUTE_API, SCOPE_SUBMIT, NULL, api_task_cancel},
    {"GET", "/api/v1/agents", ROUTE_API, SCOPE_READ, agent_queries, api_agent_list},
    {"GET", "/api/v1/hosts", ROUTE_API, SCOPE_READ, NULL, api_host_list},
    {"GET", "/api/v1/nodes", ROUTE_API, SCOPE_READ, NULL, api_node_list},
    {"POST", "/api/v1/webhooks/forgejo", ROUTE_HOOK, SCOPE_NONE, NULL, webhook_receive},
    {0},
};
