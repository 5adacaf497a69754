/* POST /api/v1/agents/register, heartbeat, deregister: an agent's life, as SQL decides it. */
#include <stdio.h>

#include "server/api/agent_body.h"
#include "server/api/handlers.h"
#include "server/api/new_token.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/server.h"

/* What agents are told about time: how often to send heartbeats, how many may be missed, and how
 * soon to acknowledge a task. */
struct rhythm {
    char interval[16], threshold[16], handover[16];
};

static void rhythm_of(const struct call *call, struct rhythm *rhythm)
{
    const struct config *config = call_server(call)->config;
    snprintf(rhythm->interval, sizeof rhythm->interval, "%d",
             config->orchestrator.heartbeat_interval_secs);
    snprintf(rhythm->threshold, sizeof rhythm->threshold, "%d",
             config->orchestrator.heartbeat_timeout_threshold);
    snprintf(rhythm->handover, sizeof rhythm->handover, "%d",
             config->orchestrator.handover_ack_secs);
}

/* --- register --- */

void api_agent_register(struct call *call)
{
    struct rhythm rhythm;
    struct buf by, hash;
    char prefix[13];
    struct json_object *body;
    if (!agent_body(call, &body))
        return;
    agent_body_redact(call, body);
    rhythm_of(call, &rhythm);
    new_token(call, SCOPE_AGENT, &hash, prefix);
    const char *params[] = {request_by(call, &by), agent_body_text(body), buf_text(&hash), prefix,
                            rhythm.interval,       rhythm.threshold,      rhythm.handover};
    new_token_query(call, "lanes", "registry_token",
                    "select status, body, next, location from "
                    "fleet.agent_register($1::fleet.requester, $2::jsonb, $3::bytea, $4, $5::int, "
                    "$6::int, $7::int)",
                    7, params);
    buf_release(&by);
    buf_release(&hash);
    json_object_put(body);
}

/* --- heartbeat, deregister --- */

void api_agent_heartbeat(struct call *call)
{
    struct rhythm rhythm;
    struct buf by;
    struct json_object *body;
    if (!agent_body(call, &body))
        return;
    rhythm_of(call, &rhythm);
    const char *params[] = {request_by(call, &by), agent_body_text(body), rhythm.interval,
                            rhythm.threshold, rhythm.handover};
    reply_query(call,
                "select status, body, next, location from "
                "fleet.agent_heartbeat($1::fleet.requester, $2::jsonb, $3::int, $4::int, $5::int)",
                DB_REPEAT, 5, params);
    buf_release(&by);
    json_object_put(body);
}

void api_agent_deregister(struct call *call)
{
    struct buf by;
    struct json_object *body;
    if (!agent_body(call, &body))
        return;
    const char *params[] = {request_by(call, &by), agent_body_text(body)};
    reply_query_locking(call, "lanes",
                        "select status, body, next, location from "
                        "fleet.agent_deregister($1::fleet.requester, $2::jsonb)",
                        DB_REPEAT, 2, params);
    buf_release(&by);
    json_object_put(body);
}
