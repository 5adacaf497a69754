/* Handlers of the API: each answers its call exactly once, now or later. */
#ifndef FLEET_API_HANDLERS_H
#define FLEET_API_HANDLERS_H

#include "server/http/call.h"

void api_openapi(struct call *call);
void api_healthz(struct call *call);
void api_livez(struct call *call);
void api_readyz(struct call *call);
void api_task_submit(struct call *call);
void api_task_list(struct call *call);
void api_task_detail(struct call *call);
void api_task_events(struct call *call);
void api_task_attempts(struct call *call);
void api_task_logs(struct call *call);
void api_task_log_search(struct call *call);
void api_event_stream(struct call *call);
void api_task_retry(struct call *call);
void api_task_cancel(struct call *call);
void api_task_answer(struct call *call);
void api_task_continue(struct call *call);
void api_task_explain(struct call *call);
void api_task_assign(struct call *call);
void api_agent_register(struct call *call);
void api_agent_heartbeat(struct call *call);
void api_agent_deregister(struct call *call);
void api_task_dequeue(struct call *call);
void api_task_status(struct call *call);
void api_task_append(struct call *call);
void api_task_complete(struct call *call);
void api_agent_list(struct call *call);
void api_agent_detail(struct call *call);
void api_host_list(struct call *call);
void api_host_detail(struct call *call);
void api_host_put(struct call *call);
void api_host_delete(struct call *call);
void api_host_check(struct call *call);
void api_host_cordon(struct call *call);
void api_host_uncordon(struct call *call);
void api_host_drain(struct call *call);
void api_host_declare_dead(struct call *call);
void api_account_list(struct call *call);
void api_account_detail(struct call *call);
void api_account_park(struct call *call);
void api_account_unpark(struct call *call);
void api_node_list(struct call *call);
void api_stats(struct call *call);
void api_metrics(struct call *call);
void api_delivery_list(struct call *call);
void api_delivery_replay(struct call *call);
void api_token_create(struct call *call);
void api_token_list(struct call *call);
void api_token_revoke(struct call *call);

#endif
