/* POST /api/v1/tasks/{}/logs: an agent's output, redacted and appended.
 *
 * Credentials are overwritten before anything is stored, also those that were cut in two: what may
 * go on with the next bytes is not taken yet, and the answer's next_offset says from where on to
 * send again. So a node keeps nothing between two calls, and they may go to different nodes. Text
 * that ends with a line end is as a rule taken whole; with `last` all is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "common/redact.h"
#include "server/api/agent_body.h"
#include "server/api/handlers.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/server.h"

/* What was sent: by query with the bytes as body, or all of it as JSON. */
struct piece {
    const char *agent_id, *stream; /* borrowed */
    int64_t attempt;               /* 0: not said */
    int64_t offset;                /* -1: not said */
    bool last;                     /* no more will come of this stream */
    const char *bytes;             /* borrowed */
    size_t len;
    char *decoded; /* owned: where bytes lie when they came as base64 */
};

static bool refuse(struct call *call, const char *member, const char *wanted)
{
    char details[100];
    snprintf(details, sizeof details, "{\"member\": \"%s\"}", member);
    call_error(call, 422, "invalid_value", details, "'%s' has to be %s", member, wanted);
    return false;
}

/* --- as JSON --- */

static bool decode(struct call *call, struct piece *piece, const char *base64)
{
    size_t len = strlen(base64);
    piece->decoded = mem_alloc(len + 1);
    piece->len = len;
    piece->bytes = piece->decoded;
    return crypto_unbase64(base64, len, (uint8_t *)piece->decoded, &piece->len) ||
           refuse(call, "base64", "base64 with padding");
}

static bool read_json(struct call *call, struct json_object *body, struct piece *piece)
{
    const char *text, *base64;
    if (!agent_body_string(call, body, "agent_id", &piece->agent_id) ||
        !agent_body_string(call, body, "stream", &piece->stream) ||
        !agent_body_string(call, body, "text", &text) ||
        !agent_body_string(call, body, "base64", &base64) ||
        !agent_body_int(call, body, "attempt", 1, INT32_MAX, 0, &piece->attempt) ||
        !agent_body_int(call, body, "offset", 0, INT64_MAX, -1, &piece->offset))
        return false;
    piece->last = json_flag(body, "last", false);
    if (text != NULL && base64 != NULL)
        return refuse(call, "base64", "left out when 'text' is given");
    if (base64 != NULL)
        return decode(call, piece, base64);
    piece->bytes = text != NULL ? text : "";
    piece->len = strlen(piece->bytes);
    return true;
}

/* --- as bytes --- */

static bool read_query(struct call *call, struct piece *piece)
{
    struct error err = {0};
    const struct query *query = &call->query;
    const char *last = NULL;
    piece->bytes = call_body(call, &piece->len);
    if (!query_text(query, "agent_id", &piece->agent_id, &err) ||
        !query_text(query, "stream", &piece->stream, &err) ||
        !query_text(query, "last", &last, &err) ||
        !query_int(query, "attempt", 1, INT32_MAX, 0, &piece->attempt, &err) ||
        !query_int(query, "offset", 0, INT64_MAX, -1, &piece->offset, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return false;
    }
    piece->last = last != NULL && strcmp(last, "true") == 0;
    if (last != NULL && !piece->last && strcmp(last, "false") != 0)
        return refuse(call, "last", "true or false");
    return true;
}

/* --- both --- */

static void append(struct call *call, const struct piece *piece, const struct buf *clean)
{
    struct buf by, bytes;
    char attempt[24], offset[24];
    snprintf(attempt, sizeof attempt, "%lld", (long long)piece->attempt);
    snprintf(offset, sizeof offset, "%lld", (long long)piece->offset);
    buf_init(&bytes, 2 * clean->len + 16);
    db_bytea(&bytes, clean->data, clean->len);
    const char *params[] = {request_by(call, &by),
                            call->match.id,
                            piece->agent_id,
                            piece->attempt > 0 ? attempt : NULL,
                            piece->stream != NULL ? piece->stream : "stdout",
                            offset,
                            buf_text(&bytes)};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.agent_log($1::fleet.requester, $2, $3, $4::int, $5, $6::bigint, "
                        "$7::bytea)",
                        DB_REPEAT, 7, params);
    buf_release(&by);
    buf_release(&bytes);
}

static void take(struct call *call, const struct piece *piece)
{
    struct buf clean;
    const char *shared = call_server(call)->config->orchestrator.http_pull_token;
    const struct redact_words words = {.items = &shared, .count = shared != NULL ? 1 : 0};
    if (piece->offset < 0) {
        refuse(call, "offset", "the number of the first byte in its stream, from 0 on");
        return;
    }
    buf_init(&clean, piece->len + 1);
    redact_add(&clean, piece->bytes, piece->len, &words, piece->last);
    append(call, piece, &clean);
    buf_release(&clean);
}

/* JSON is told by its type; agents without one (curl -d) give the offset in the query or not. */
static bool is_json(const struct call *call)
{
    static const char json[] = "application/json";
    size_t len, count;
    const char *type = call_header(call, "content-type", &len, &count), *offset = NULL;
    struct error err;
    if (type != NULL && len >= strlen(json) && strncasecmp(type, json, strlen(json)) == 0)
        return true;
    return query_text(&call->query, "offset", &offset, &err) && offset == NULL;
}

void api_task_append(struct call *call)
{
    struct piece piece = {.offset = -1};
    struct json_object *body = NULL;
    bool good = is_json(call) ? agent_body(call, &body) && read_json(call, body, &piece)
                              : read_query(call, &piece);
    if (good)
        take(call, &piece);
    free(piece.decoded);
    json_object_put(body);
}
