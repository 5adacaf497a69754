/* Every path of the API, and who may ask for it. */
#include "server/routes.h"

#include "server/api/handlers.h"
#include "server/webhook/webhook.h"

static const char *const list_queries[] = {
    "status", "agent_id",      "host_id",        "label", "repo",   "source", "execution_mode",
    "q",      "created_after", "created_before", "limit", "cursor", NULL};
static const char *const log_queries[] = {"attempt", "stream", "offset",        "limit_bytes",
                                          "tail",    "follow", "last_event_id", NULL};
static const char *const search_queries[] = {"q", "attempt", "stream", "limit", "cursor", NULL};
static const char *const event_queries[] = {"task_id", "repo", "last_event_id", NULL};
static const char *const append_queries[] = {"agent_id", "attempt", "stream",
                                             "offset",   "last",    NULL};
static const char *const ready_queries[] = {"deep", NULL};
static const char *const page_queries[] = {"limit", "cursor", NULL};
static const char *const agent_queries[] = {"status", "capability", "agent_type",
                                            "limit",  "cursor",     NULL};
static const char *const revoke_queries[] = {"force", NULL};

/* Who may ask beside people of the scope that is named. */
#define NO_AGENTS false
#define ALSO_AGENTS true
/* An endpoint of agents: their tokens, and an administrator's. */
#define AGENTS SCOPE_ADMIN, true

/* clang-format off */
const struct route server_routes[] = {
    /* --- health --- */
    {"GET", "/healthz", ROUTE_HEALTH, SCOPE_NONE, NO_AGENTS, NULL, api_healthz,
     {"healthz", "Does the process answer?", NULL, "200 text"}},
    {"GET", "/livez", ROUTE_HEALTH, SCOPE_NONE, NO_AGENTS, NULL, api_livez,
     {"livez", "Does the node live?", NULL, "200 Health"}},
    {"GET", "/readyz", ROUTE_HEALTH, SCOPE_NONE, NO_AGENTS, ready_queries, api_readyz,
     {"readyz", "Would the node do work? With deep=1 and a token that reads: do the invariants hold?", NULL, "200 Health, 422, 503"}},
    {"GET", "/metrics", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_metrics,
     {"metrics", "What is measured, for Prometheus; open to all where metrics.public says so.", NULL, "200 text"}},

    {"GET", "/api/v1/openapi.json", ROUTE_OPEN, SCOPE_NONE, NO_AGENTS, NULL, api_openapi,
     {"openapi", "This document.", NULL, "200 Object"}},

    /* --- tasks --- */
    {"POST", "/api/v1/tasks", ROUTE_API, SCOPE_SUBMIT, NO_AGENTS, NULL, api_task_submit,
     {"task_submit", "Submits a task, or up to 10,000: an array, or a line each.", "NewTasks|lines", "200 Submitted|lines, 201 Submitted|lines, 207 SubmittedMany|lines, 409, 413, 415, 422"}},
    {"GET", "/api/v1/tasks", ROUTE_API, SCOPE_READ, ALSO_AGENTS, list_queries, api_task_list,
     {"task_list", "Tasks, newest first.", NULL, "200 TaskList, 400, 422"}},
    {"GET", "/api/v1/tasks/{}", ROUTE_API, SCOPE_READ, ALSO_AGENTS, NULL, api_task_detail,
     {"task_detail", "A task with its newest events and its attempts.", NULL, "200 TaskDetail, 404"}},
    {"GET", "/api/v1/tasks/{}/events", ROUTE_API, SCOPE_READ, ALSO_AGENTS, page_queries, api_task_events,
     {"task_events", "The whole history of a task, newest first.", NULL, "200 EventList, 400, 404, 422"}},
    {"GET", "/api/v1/tasks/{}/attempts", ROUTE_API, SCOPE_READ, ALSO_AGENTS, page_queries, api_task_attempts,
     {"task_attempts", "All attempts of a task, newest first.", NULL, "200 AttemptList, 400, 404, 422"}},
    {"GET", "/api/v1/tasks/{}/logs", ROUTE_API, SCOPE_READ, ALSO_AGENTS, log_queries, api_task_logs,
     {"task_logs", "Output of an attempt, a page of it or, with follow=1, as it is stored.", NULL, "200 text|events, 206 text, 400, 404, 410, 416, 422"}},
    {"GET", "/api/v1/tasks/{}/logs/search", ROUTE_API, SCOPE_READ, ALSO_AGENTS, search_queries, api_task_log_search,
     {"task_log_search", "Lines of an attempt's output that hold a text.", NULL, "200 LogHits, 400, 404, 410, 422"}},
    {"POST", "/api/v1/tasks/{}/retry", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_task_retry,
     {"task_retry", "Runs an ended task again.", "Retry", "200 Status, 400, 404, 409"}},
    {"GET", "/api/v1/tasks/{}/explain", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_task_explain,
     {"task_explain", "Why it does not run, per executor, and what would help; or how it runs or ended.", NULL, "200 Explanation, 404"}},
    {"POST", "/api/v1/tasks/{}/answer", ROUTE_API, SCOPE_SUBMIT, NO_AGENTS, NULL, api_task_answer,
     {"task_answer", "Answers a task that asks.", "Answer", "202 Answered, 404, 409, 422"}},
    {"POST", "/api/v1/tasks/{}/continue", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_task_continue,
     {"task_continue", "Asks more of a task that has ended; it goes on where its session and workspace are.", "Answer", "202 Status, 404, 409, 422"}},
    {"POST", "/api/v1/tasks/{}/cancel", ROUTE_API, SCOPE_SUBMIT, NO_AGENTS, NULL, api_task_cancel,
     {"task_cancel", "Cancels a task.", "Reason", "200 Status, 202 Status, 404, 409"}},
    {"POST", "/api/v1/tasks/{}/assign", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_task_assign,
     {"task_assign", "Pins a waiting task to one agent.", "Assign", "200 Assigned, 404, 409, 422"}},

    /* --- agents' own --- */
    {"POST", "/api/v1/agents/register", ROUTE_API, AGENTS, NULL, api_agent_register,
     {"agent_register", "An agent makes itself known, or says anew what it can.", "Registration", "200 Registered, 403, 409, 422"}},
    {"POST", "/api/v1/agents/heartbeat", ROUTE_API, AGENTS, NULL, api_agent_heartbeat,
     {"agent_heartbeat", "An agent lives, and learns what to stop.", "AgentName", "200 Heartbeat, 404"}},
    {"POST", "/api/v1/agents/deregister", ROUTE_API, AGENTS, NULL, api_agent_deregister,
     {"agent_deregister", "An agent takes its leave; what it runs goes back to the queue.", "AgentName", "200 Deregistered, 404"}},
    {"POST", "/api/v1/tasks/dequeue", ROUTE_API, AGENTS, NULL, api_task_dequeue,
     {"task_dequeue", "Hands an agent a task, at once or within wait_secs.", "Dequeue", "200 HandedTask, 204, 404, 409, 422, 429"}},
    {"POST", "/api/v1/tasks/{}/status", ROUTE_API, AGENTS, NULL, api_task_status,
     {"task_status", "An agent says how it stands with its task.", "StatusReport", "200 StatusTaken, 400, 404, 409, 422"}},
    {"POST", "/api/v1/tasks/{}/logs", ROUTE_API, AGENTS, append_queries, api_task_append,
     {"task_append", "Appends output of an agent's task, by offset.", "Output|bytes", "200 OutputTaken, 404, 409, 413, 422"}},
    {"POST", "/api/v1/tasks/{}/complete", ROUTE_API, AGENTS, NULL, api_task_complete,
     {"task_complete", "An agent's receipt: the end of its run.", "Receipt", "200 Status, 404, 409, 422"}},

    /* --- agents, hosts, nodes, accounts --- */
    {"GET", "/api/v1/agents", ROUTE_API, SCOPE_READ, NO_AGENTS, agent_queries, api_agent_list,
     {"agent_list", "What runs tasks, by its id.", NULL, "200 AgentList, 400, 422"}},
    {"GET", "/api/v1/agents/{}", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_agent_detail,
     {"agent_detail", "What runs tasks, with its slots.", NULL, "200 AgentDetail, 404"}},
    {"GET", "/api/v1/hosts", ROUTE_API, SCOPE_READ, NO_AGENTS, page_queries, api_host_list,
     {"host_list", "Hosts and their executors.", NULL, "200 HostList"}},
    {"GET", "/api/v1/hosts/{}", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_host_detail,
     {"host_detail", "A host with its executors, and what each worker sees of it.", NULL, "200 Host, 404"}},
    {"PUT", "/api/v1/hosts/{}", ROUTE_API, SCOPE_ADMIN, NO_AGENTS, NULL, api_host_put,
     {"host_put", "Makes or changes a host, its members as in a configuration file; workers take it at once.", "HostEntry", "200 Host, 201 Host, 409, 422"}},
    {"DELETE", "/api/v1/hosts/{}", ROUTE_API, SCOPE_ADMIN, NO_AGENTS, NULL, api_host_delete,
     {"host_delete", "Takes a host out of the fleet on which nothing runs.", NULL, "204, 404, 409"}},
    {"POST", "/api/v1/hosts/{}/check", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_host_check,
     {"host_check", "Workers look at the host now.", NULL, "202 Host, 404"}},
    {"POST", "/api/v1/hosts/{}/cordon", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_host_cordon,
     {"host_cordon", "Nothing new is placed on the host; what runs there goes on.", "Reason", "200 Host, 404, 422"}},
    {"POST", "/api/v1/hosts/{}/uncordon", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_host_uncordon,
     {"host_uncordon", "The host may be given work again, after a cordon or a drain.", "Reason", "200 Host, 404"}},
    {"POST", "/api/v1/hosts/{}/drain", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_host_drain,
     {"host_drain", "As a cordon; what still runs there at the deadline is stopped and waits again.", "Drain", "200 Host, 404, 422"}},
    {"POST", "/api/v1/hosts/{}/declare_dead", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_host_declare_dead,
     {"host_declare_dead", "Gives up the host and its runs, on a person's word; their tasks are tried again elsewhere.", "Reason", "200 Host, 404, 422"}},
    {"GET", "/api/v1/nodes", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_node_list,
     {"node_list", "Servers and workers.", NULL, "200 NodeList"}},
    {"GET", "/api/v1/accounts", ROUTE_API, SCOPE_READ, NO_AGENTS, page_queries, api_account_list,
     {"account_list", "The agents' logins: parked until when, why, by whom.", NULL, "200 AccountList"}},
    {"GET", "/api/v1/accounts/{}", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_account_detail,
     {"account_detail", "One login.", NULL, "200 Account, 404"}},
    {"POST", "/api/v1/accounts/{}/park", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_account_park,
     {"account_park", "The login gets no work until then, or until it is unparked.", "Park", "200 Account, 404, 422"}},
    {"POST", "/api/v1/accounts/{}/unpark", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_account_unpark,
     {"account_unpark", "The login is given work again at once, and its agents that are out of service are back.", "Reason", "200 Account, 404"}},

    /* --- events, statistics --- */
    {"GET", "/api/v1/events", ROUTE_API, SCOPE_READ, ALSO_AGENTS, event_queries, api_event_stream,
     {"event_stream", "All that happens to tasks, as it happens.", NULL, "200 events, 400, 422, 429"}},
    {"GET", "/api/v1/stats", ROUTE_API, SCOPE_READ, NO_AGENTS, NULL, api_stats,
     {"stats", "Counts, the queue's age, slots and what was done lately.", NULL, "200 Stats"}},

    /* --- tokens --- */
    {"POST", "/api/v1/tokens", ROUTE_API, SCOPE_ADMIN, NO_AGENTS, NULL, api_token_create,
     {"token_create", "Makes a token, whose text is shown this once.", "NewToken", "201 MadeToken, 422"}},
    {"GET", "/api/v1/tokens", ROUTE_API, SCOPE_ADMIN, NO_AGENTS, page_queries, api_token_list,
     {"token_list", "Tokens, newest first.", NULL, "200 TokenList, 400, 422"}},
    {"DELETE", "/api/v1/tokens/{}", ROUTE_API, SCOPE_ADMIN, NO_AGENTS, revoke_queries, api_token_revoke,
     {"token_revoke", "Takes a token's use away, at once on every server.", NULL, "200 Token, 404, 409, 422"}},

    /* --- Forgejo --- */
    {"POST", "/api/v1/webhooks/forgejo", ROUTE_HOOK, SCOPE_NONE, NO_AGENTS, NULL, webhook_receive,
     {"webhook_forgejo", "Takes a signed delivery.", "Object|form", "202 Delivery, 400, 401, 411, 413, 415, 503"}},
    {"GET", "/api/v1/deliveries", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, page_queries, api_delivery_list,
     {"delivery_list", "Signed deliveries and what came of each, newest first.", NULL, "200 DeliveryList, 400, 422"}},
    {"POST", "/api/v1/deliveries/{}/replay", ROUTE_API, SCOPE_OPERATE, NO_AGENTS, NULL, api_delivery_replay,
     {"delivery_replay", "Takes a delivery again: what it was about is read from Forgejo.", NULL, "202 Delivery, 404, 409, 422"}},
    {0},
};
/* clang-format on */
