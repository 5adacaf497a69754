/* GET /api/v1/tasks, and one task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "server/api/filter.h"
#include "server/api/handlers.h"
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
