/* What people do to a task: retry, cancel, answer, continue; and why it does not run. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "server/api/handlers.h"
#include "server/api/reply.h"
#include "server/api/request.h"

static const char *const retry_members[] = {"force", "reason", NULL};

/* "force" is absent, a boolean, or "abandon", which needs a reason. False: the call is answered. */
static bool read_force(struct call *call, const struct json_object *body, bool *force,
                       const char **abandon)
{
    struct json_object *value = json_member(body, "force");
    const char *reason = json_string(body, "reason", NULL);
    *force = json_flag(body, "force", false);
    *abandon = NULL;
    if (value == NULL || json_object_is_type(value, json_type_boolean))
        return true;
    if (strcmp(json_string(body, "force", ""), "abandon") != 0) {
        call_error(call, 422, "invalid_value", "{\"member\": \"force\"}",
                   "'force' has to be true, false or \"abandon\"");
        return false;
    }
    if (reason == NULL || reason[0] == '\0') {
        call_error(call, 422, "invalid_value", "{\"member\": \"reason\"}",
                   "'reason' is missing: abandoning a run that may still live needs one");
        return false;
    }
    *abandon = reason;
    return true;
}

void api_task_retry(struct call *call)
{
    struct json_object *body;
    struct buf by;
    bool force;
    const char *abandon;
    if (!request_object(call, retry_members, &body))
        return;
    if (read_force(call, body, &force, &abandon)) {
        const char *params[] = {request_by(call, &by), call->match.id,
                                force || abandon != NULL ? "true" : "false", abandon};
        reply_query_locking(call, call->match.id,
                            "select status, body, next, location from "
                            "fleet.task_retry($1::fleet.requester, $2, $3::boolean, $4)",
                            DB_ONCE, 4, params);
        buf_release(&by);
    }
    json_object_put(body);
}

static const char *const cancel_members[] = {"reason", NULL};

void api_task_cancel(struct call *call)
{
    struct json_object *body;
    struct buf by;
    if (!request_object(call, cancel_members, &body))
        return;
    const char *params[] = {request_by(call, &by), call->match.id,
                            json_string(body, "reason", NULL)};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.task_cancel($1::fleet.requester, $2, $3)",
                        DB_ONCE, 3, params);
    buf_release(&by);
    json_object_put(body);
}

/* --- what people say to a task --- */

#define TEXT_MAX 65536 /* bytes */

static const char *const text_members[] = {"text", NULL};

/* With a key of the client's it may be said again. */
static void say(struct call *call, const char *kind, const char *text, const char *key)
{
    struct buf by;
    char *shown = mem_strdup(text);
    request_redact(call, shown);
    const char *params[] = {request_by(call, &by), kind, call->match.id, text, shown, key};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.task_say($1::fleet.requester, $2, $3, $4, $5, $6)",
                        key != NULL ? DB_REPEAT : DB_ONCE, 6, params);
    buf_release(&by);
    free(shown);
}

static void read_text(struct call *call, const char *kind)
{
    struct json_object *body;
    char *key;
    if (!request_object(call, text_members, &body))
        return;
    const char *text = json_string(body, "text", "");
    if (text[0] == '\0' || strlen(text) > TEXT_MAX)
        call_error(call, 422, "invalid_value", "{\"member\": \"text\"}",
                   "'text' has to be a text of 1 to %d bytes", TEXT_MAX);
    else if (request_key(call, &key)) {
        say(call, kind, text, key);
        free(key);
    }
    json_object_put(body);
}

void api_task_answer(struct call *call)
{
    read_text(call, "answer");
}

void api_task_continue(struct call *call)
{
    read_text(call, "continue");
}

void api_task_explain(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query(call,
                "select status, body, next, location from "
                "fleet.task_explain($1::fleet.requester, $2)",
                DB_REPEAT, 2, params);
    buf_release(&by);
}
