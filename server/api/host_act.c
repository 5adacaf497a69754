/* What people do with hosts and accounts: check, cordon, uncordon, drain, declare_dead; park and
 * unpark. */
#include <stdio.h>

#include "common/json.h"
#include "server/api/handlers.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/api/value.h"

#define DEADLINE_MAX 31536000 /* seconds: a year */

/* False: the call is answered. */
static bool has_reason(struct call *call, const struct json_object *body)
{
    if (json_string(body, "reason", "")[0] != '\0')
        return true;
    call_error(call, 422, "invalid_value", "{\"member\": \"reason\"}",
               "'reason' is missing: say why, for those who come after");
    return false;
}

/* "deadline_secs" as text, or NULL when it is not given. False: the call is answered. */
static bool read_deadline(struct call *call, const struct json_object *body, char text[24],
                          const char **deadline)
{
    struct json_object *value = json_member(body, "deadline_secs");
    int64_t secs = json_int(body, "deadline_secs", -1);
    *deadline = NULL;
    if (value == NULL)
        return true;
    if (!json_object_is_type(value, json_type_int) || secs < 0 || secs > DEADLINE_MAX) {
        call_error(call, 422, "invalid_value", "{\"member\": \"deadline_secs\"}",
                   "'deadline_secs' has to be a whole number from 0 to %d; left out, what runs "
                   "there is waited for",
                   DEADLINE_MAX);
        return false;
    }
    snprintf(text, 24, "%lld", (long long)secs);
    *deadline = text;
    return true;
}

static void act(struct call *call, const char *verb, const char *const *members, bool reasoned)
{
    struct json_object *body;
    struct buf by;
    char text[24];
    const char *deadline;
    if (!request_object(call, members, &body))
        return;
    if ((!reasoned || has_reason(call, body)) && read_deadline(call, body, text, &deadline)) {
        const char *params[] = {request_by(call, &by), verb, call->match.id,
                                json_string(body, "reason", NULL), deadline};
        reply_query_locking(call, call->match.id,
                            "select status, body, next, location from "
                            "fleet.host_act($1::fleet.requester, $2, $3, $4, $5::int)",
                            DB_ONCE, 5, params);
        buf_release(&by);
    }
    json_object_put(body);
}

static const char *const no_members[] = {NULL};
static const char *const reason_members[] = {"reason", NULL};
static const char *const drain_members[] = {"deadline_secs", "reason", NULL};

void api_host_check(struct call *call)
{
    act(call, "check", no_members, false);
}

void api_host_cordon(struct call *call)
{
    act(call, "cordon", reason_members, true);
}

void api_host_uncordon(struct call *call)
{
    act(call, "uncordon", reason_members, false);
}

void api_host_drain(struct call *call)
{
    act(call, "drain", drain_members, true);
}

void api_host_declare_dead(struct call *call)
{
    act(call, "declare_dead", reason_members, true);
}

/* --- accounts --- */

void api_account_list(struct call *call)
{
    page_list(call, "select status, body, next, location from "
                    "fleet.account_list($1::fleet.requester, $2::int, $3)");
}

void api_account_detail(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query(call,
                "select status, body, next, location from "
                "fleet.account_detail($1::fleet.requester, $2)",
                DB_REPEAT, 2, params);
    buf_release(&by);
}

static const char *const park_members[] = {"until", "reason", NULL};

/* "until" is a time, or NULL when it is not given. False: the call is answered. */
static bool read_until(struct call *call, const struct json_object *body, const char **until)
{
    struct json_object *value = json_member(body, "until");
    *until = json_string(body, "until", NULL);
    if (value == NULL || (*until != NULL && value_is_time(*until)))
        return true;
    call_error(call, 422, "invalid_value", "{\"member\": \"until\"}",
               "'until' has to be an RFC 3339 time with its zone; left out, it is parked until "
               "somebody unparks it");
    return false;
}

void api_account_park(struct call *call)
{
    struct json_object *body;
    struct buf by;
    const char *until;
    if (!request_object(call, park_members, &body))
        return;
    if (has_reason(call, body) && read_until(call, body, &until)) {
        const char *params[] = {request_by(call, &by), call->match.id, until,
                                json_string(body, "reason", NULL)};
        reply_query_locking(call, call->match.id,
                            "select status, body, next, location from "
                            "fleet.account_park($1::fleet.requester, $2, $3::timestamptz, $4)",
                            DB_ONCE, 4, params);
        buf_release(&by);
    }
    json_object_put(body);
}

void api_account_unpark(struct call *call)
{
    struct json_object *body;
    struct buf by;
    if (!request_object(call, reason_members, &body))
        return;
    const char *params[] = {request_by(call, &by), call->match.id,
                            json_string(body, "reason", NULL)};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.account_unpark($1::fleet.requester, $2, $3)",
                        DB_ONCE, 3, params);
    buf_release(&by);
    json_object_put(body);
}
