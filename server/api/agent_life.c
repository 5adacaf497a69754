/* POST /api/v1/agents/register, heartbeat, deregister: an agent's life, as SQL decides it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "server/api/agent_body.h"
#include "server/api/handlers.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/auth.h"
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

/* The token that a registration makes: the database knows its hash only. */
struct registration {
    char token[AUTH_TOKEN_MAX];
};

static void registration_free(void *state)
{
    crypto_wipe(state, sizeof(struct registration));
    free(state);
}

static void answer_registered(struct call *call, const struct db_result *res)
{
    const struct registration *registration = call->state;
    const char *body = db_text(res, 0, "body");
    if (db_int(res, 0, "status", 500) != 200 || body == NULL || body[0] != '{') {
        reply_row(call, res);
        return;
    }
    char *with_token = mem_printf("{\"registry_token\": \"%s\", %s", registration->token, body + 1);
    call_json(call, 200, with_token);
    crypto_wipe(with_token, strlen(with_token));
    free(with_token);
}

static void on_registered(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    if (err != NULL)
        call_db_error(call, err);
    else if (db_rows(res) == 1)
        answer_registered(call, res);
    call_drop(call);
}

void api_agent_register(struct call *call)
{
    struct rhythm rhythm;
    struct buf by, hash;
    uint8_t digest[SHA256_SIZE];
    char prefix[13];
    struct json_object *body;
    if (!agent_body(call, &body))
        return;
    struct registration *registration = mem_alloc(sizeof *registration);
    call->state = registration;
    call->state_free = registration_free;
    rhythm_of(call, &rhythm);
    auth_make(SCOPE_AGENT, registration->token, digest, prefix);
    buf_init(&hash, 128);
    db_bytea(&hash, digest, sizeof digest);
    const char *params[] = {request_by(call, &by), agent_body_text(body), buf_text(&hash), prefix,
                            rhythm.interval,       rhythm.threshold,      rhythm.handover};
    call_hold(call);
    db_query_locking(call_server(call)->db, "lanes", 0,
                     "select status, body, next, location from "
                     "fleet.agent_register($1::fleet.requester, $2::jsonb, $3::bytea, $4, $5::int, "
                     "$6::int, $7::int)",
                     DB_REPEAT, 7, params, on_registered, call);
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
