/* The one table of routes, and what a request passes before its handler. Floor 4. */
#ifndef FLEET_API_ROUTES_H
#define FLEET_API_ROUTES_H

#include "server/http_call.h"
#include "server/router.h"

/* Ends with a row whose method is NULL. */
extern const struct route api_routes[];

/* Takes a call in: host, sizes, route, query, token, scope; then its handler. `data` is the server.
 */
void api_enter(void *data, struct call *call);

/* Is the body within `limit` bytes? False: the call is answered 413. */
bool api_size_fits(struct call *call, int64_t limit);

/* Logs an answer 401: anyone can cause these, so they are counted and a line is written now and
 * then. */
void api_log_refusal(struct call *call, const char *why);

/* Handlers: each answers its call exactly once, now or later. */
void api_healthz(struct call *call);
void api_livez(struct call *call);
void api_readyz(struct call *call);
void api_task_submit(struct call *call);
void api_task_list(struct call *call);
void api_task_detail(struct call *call);
void api_task_logs(struct call *call);
void api_task_retry(struct call *call);
void api_task_cancel(struct call *call);
void api_agent_list(struct call *call);
void api_host_list(struct call *call);
void api_node_list(struct call *call);
void webhook_receive(struct call *call);

#endif
