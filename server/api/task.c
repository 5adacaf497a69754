/* GET /api/v1/tasks, one task, and the wishes about it: retry and cancel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/api/request.h"
#include "server/api/value.h"
#include "server/server.h"

#define LIST_DEFAULT 50
#define LIST_MAX 200
#define LINK_MAX 32768

/* --- list --- */

static void add_next_link(struct call *call, const char *cursor)
{
    struct buf link;
    buf_init(&link, LINK_MAX);
    buf_adds(&link, "</api/v1/tasks?");
    filter_next_query(&link, &call->query, cursor);
    buf_adds(&link, ">; rel=\"next\"");
    if (!link.failed)
        call_add_header(call, "link", buf_text(&link));
    buf_release(&link);
}

static void on_list(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    if (err != NULL) {
        call_db_error(call, err);
    } else {
        const char *body = db_rows(res) > 0 ? db_text(res, 0, "body") : NULL;
        const char *cursor = db_rows(res) > 0 ? db_text(res, 0, "next_cursor") : NULL;
        if (cursor != NULL)
            add_next_link(call, cursor);
        call_json(call, 200, body != NULL ? body : "[]");
    }
    call_drop(call);
}

/* What may be given several times; the words that it may be, when they are known. */
static const struct {
    const char *name, *words;
} lists[] = {
    {"status", "created assigned running agent_lost review_pending completed failed cancelled"},
    {"source", "api forgejo"},
    {"repo", NULL},
    {"host_id", NULL},
    {"agent_id", NULL},
    {"execution_mode", "ssh_cli http_pull undecided"},
    {"label", NULL},
};
#define LISTS (sizeof lists / sizeof lists[0])

static const char list_sql[] =
    "select body, next_cursor from fleet.task_list(p_limit => $1::int, p_cursor => $2, p_q => $3, "
    "p_created_after => $4::timestamptz, p_created_before => $5::timestamptz, "
    "p_status => $6::text[], p_source => $7::text[], p_repo => $8::text[], "
    "p_host_id => $9::text[], p_agent_id => $10::text[], p_execution_mode => $11::text[], "
    "p_label => $12::text[])";

/* One value, not a list; NULL when it is not given. False: the call is answered. */
static bool read_single(struct call *call, const char *name, bool time, const char **value)
{
    struct error err = {0};
    if (!query_text(&call->query, name, value, &err)) {
        call_error(call, 400, "malformed_query", NULL, "%s", err.text);
        return false;
    }
    if (*value == NULL || !time || value_is_time(*value))
        return true;
    call_error(call, 422, "invalid_value", NULL,
               "the parameter '%s' has to be an RFC 3339 time with its zone, not '%.64s'", name,
               *value);
    return false;
}

/* False: the call is answered. */
static bool check_words(struct call *call)
{
    char wrong[65];
    for (size_t i = 0; i < LISTS; i++) {
        if (lists[i].words == NULL ||
            !filter_misspelt(&call->query, lists[i].name, lists[i].words, wrong))
            continue;
        call_error(call, 422, "invalid_value", NULL,
                   "the parameter '%s' has to be of %s; '%s' is none of them", lists[i].name,
                   lists[i].words, wrong);
        return false;
    }
    return true;
}

/* False: the call is answered. */
static bool read_page(struct call *call, char limit[24], const char **cursor)
{
    struct error err = {0};
    int64_t number;
    if (!query_int(&call->query, "limit", 1, LIST_MAX, LIST_DEFAULT, &number, &err) ||
        !query_text(&call->query, "cursor", cursor, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return false;
    }
    snprintf(limit, 24, "%lld", (long long)number);
    return true;
}

void api_task_list(struct call *call)
{
    struct buf arrays[LISTS];
    char limit[24];
    const char *params[5 + LISTS] = {limit}; /* in the order of list_sql */
    if (!check_words(call) || !read_page(call, limit, &params[1]) ||
        !read_single(call, "q", false, &params[2]) ||
        !read_single(call, "created_after", true, &params[3]) ||
        !read_single(call, "created_before", true, &params[4]))
        return;
    for (size_t i = 0; i < LISTS; i++) {
        buf_init(&arrays[i], FILTER_MAX);
        params[5 + i] = filter_array(&arrays[i], &call->query, lists[i].name);
    }
    call_hold(call);
    db_query(call_server(call)->db, list_sql, DB_REPEAT, 5 + LISTS, params, on_list, call);
    for (size_t i = 0; i < LISTS; i++)
        buf_release(&arrays[i]);
}

/* --- one task --- */

static void on_detail(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    const char *body = err == NULL && db_rows(res) == 1 ? db_text(res, 0, "body") : NULL;
    if (err != NULL)
        call_db_error(call, err);
    else if (body == NULL)
        call_error(call, 404, "not_found", NULL, "there is no such task");
    else
        call_json(call, 200, body);
    call_drop(call);
}

void api_task_detail(struct call *call)
{
    const char *params[] = {call->match.id};
    call_hold(call);
    db_query(call_server(call)->db, "select fleet.task_detail($1) as body", DB_REPEAT, 1, params,
             on_detail, call);
}

/* --- retry and cancel --- */

/* What fleet.cancel_by_token and fleet.retry_by_token answer, and what that is in HTTP. */
struct verdict {
    const char *word;
    int http;
    const char *code; /* NULL: the wish is granted, and the word is the status */
    const char *text;
};

static const struct verdict verdicts[] = {
    {"cancelled", 200, NULL, NULL},
    {"cancelling", 202, NULL, NULL},
    {"created", 200, NULL, NULL},
    {"not_found", 404, "not_found", "there is no such task"},
    {"forbidden", 403, "repository_not_allowed",
     "this token is not bound to the task's repository"},
    {"ended", 409, "conflict", "the task has ended already"},
    {"waiting", 400, "illegal_transition", "the task waits already"},
    {"completed", 400, "illegal_transition",
     "the task is completed: only with 'force' it runs again"},
    {"not_proven_ended", 409, "not_proven_dead",
     "the task's newest run is not proven ended: cancel it, or abandon it with a reason (it may "
     "then "
     "run twice)"},
    {"retries_exhausted", 400, "retries_exhausted",
     "the task has used its retries: only with 'force' it runs again"},
};

static void answer_granted(struct call *call, const struct verdict *verdict)
{
    struct buf out;
    buf_init(&out, 16384);
    buf_adds(&out, "{\"task_id\": ");
    json_quote(&out, call->match.id, strlen(call->match.id));
    buf_addf(&out, ", \"status\": \"%s\"}", verdict->word);
    call_json(call, verdict->http, buf_text(&out));
    buf_release(&out);
}

static void answer_verdict(struct call *call, const char *word)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        const struct verdict *verdict = &verdicts[i];
        if (word == NULL || strcmp(verdict->word, word) != 0)
            continue;
        if (verdict->code == NULL)
            answer_granted(call, verdict);
        else
            call_error(call, verdict->http, verdict->code, NULL, "%s", verdict->text);
        return;
    }
    call_error(call, 500, "internal", NULL, "internal error in request %s", call->id);
}

static void on_verdict(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    if (err != NULL)
        call_db_error(call, err);
    else
        answer_verdict(call, db_rows(res) == 1 ? db_text(res, 0, "verdict") : NULL);
    call_drop(call);
}

static const char *token_number(const struct call *call, char text[24])
{
    snprintf(text, 24, "%lld", (long long)call->who.token_id);
    return text;
}

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
    bool force;
    const char *abandon;
    if (!request_object(call, retry_members, &body))
        return;
    if (read_force(call, body, &force, &abandon)) {
        char token[24];
        const char *params[] = {token_number(call, token), call->match.id,
                                force || abandon != NULL ? "true" : "false", abandon};
        call_hold(call);
        db_query_locking(call_server(call)->db, call->match.id, 0,
                         "select fleet.retry_by_token($1::bigint, $2, $3::boolean, $4) as verdict",
                         DB_ONCE, 4, params, on_verdict, call);
    }
    json_object_put(body);
}

static const char *const cancel_members[] = {"reason", NULL};

void api_task_cancel(struct call *call)
{
    struct json_object *body;
    if (!request_object(call, cancel_members, &body))
        return;
    char token[24];
    const char *params[] = {token_number(call, token), call->match.id,
                            json_string(body, "reason", NULL)};
    call_hold(call);
    db_query_locking(call_server(call)->db, call->match.id, 0,
                     "select fleet.cancel_by_token($1::bigint, $2, $3) as verdict", DB_ONCE, 3,
                     params, on_verdict, call);
    json_object_put(body);
}
