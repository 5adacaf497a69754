/* POST, GET and DELETE /api/v1/tokens: administrators make, look at and revoke tokens. */
#include <string.h>

#include "server/api/agent_body.h"
#include "server/api/handlers.h"
#include "server/api/new_token.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/api/value.h"
#include "server/server.h"

static const char *const members[] = {
    "name", "scope", "repositories", "agent_id", "capabilities", "expires_at", NULL};

/* What is asked for, borrowed from the body; arrays are owned. */
struct wish {
    const char *name, *scope, *agent_id, *expires;
    struct buf repositories_text, capabilities_text;
    const char *repositories, *capabilities;
};

/* False: the call is answered. The buffers are to be released either way. */
static bool read_wish(struct call *call, const struct json_object *body, struct wish *wish)
{
    *wish = (struct wish){0};
    if (!agent_body_string(call, body, "name", &wish->name) ||
        !agent_body_string(call, body, "scope", &wish->scope) ||
        !agent_body_string(call, body, "agent_id", &wish->agent_id) ||
        !agent_body_string(call, body, "expires_at", &wish->expires))
        return false;
    if (wish->expires != NULL && !value_is_time(wish->expires)) {
        call_error(call, 422, "invalid_value", "{\"member\": \"expires_at\"}",
                   "'expires_at' has to be a time like 2030-12-31T00:00:00Z, not '%.64s'",
                   wish->expires);
        return false;
    }
    return agent_body_texts(call, body, "repositories", &wish->repositories_text,
                            &wish->repositories) &&
           agent_body_texts(call, body, "capabilities", &wish->capabilities_text,
                            &wish->capabilities);
}

static void create(struct call *call, const struct wish *wish)
{
    struct buf by, hash;
    char prefix[13];
    enum scope scope = scope_of(wish->scope);
    new_token(call, scope, &hash, prefix);
    const char *params[] = {
        request_by(call, &by), wish->name,     wish->scope,        buf_text(&hash), prefix,
        wish->repositories,    wish->agent_id, wish->capabilities, wish->expires};
    new_token_query(call, NULL, "token",
                    "select status, body, next, location from fleet.token_create("
                    "$1::fleet.requester, $2, $3, $4::bytea, $5, $6::text[], $7, $8::text[], "
                    "$9::timestamptz)",
                    9, params);
    buf_release(&by);
    buf_release(&hash);
}

void api_token_create(struct call *call)
{
    struct json_object *body;
    struct wish wish;
    if (!request_object(call, members, &body))
        return;
    if (read_wish(call, body, &wish))
        create(call, &wish);
    buf_release(&wish.repositories_text);
    buf_release(&wish.capabilities_text);
    json_object_put(body);
}

void api_token_list(struct call *call)
{
    page_list(call, "select status, body, next, location from "
                    "fleet.token_list($1::fleet.requester, $2::int, $3)");
}

void api_token_revoke(struct call *call)
{
    struct error err = {0};
    struct buf by;
    const char *force, *id = call->match.id;
    if (!query_text(&call->query, "force", &force, &err) ||
        (force != NULL && strcmp(force, "true") != 0 && strcmp(force, "false") != 0)) {
        call_error(call, 422, "invalid_value", NULL, "'force' has to be true or false, once");
        return;
    }
    if (strlen(id) > 18 || strspn(id, "0123456789") != strlen(id)) {
        call_error(call, 404, "not_found", NULL, "there is no token %.100s", id);
        return;
    }
    const char *params[] = {request_by(call, &by), id, force};
    reply_query(call,
                "select status, body, next, location from "
                "fleet.token_revoke($1::fleet.requester, $2::bigint, $3::boolean)",
                DB_REPEAT, 3, params);
    buf_release(&by);
}
