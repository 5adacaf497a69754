/* GET /api/v1/tasks: its filters, read and checked, go to SQL. */
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/api/value.h"

#define VALUES_MAX 50 /* of one filter: each is read from its own place in an index */

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
    "select status, body, next, location from fleet.task_list(p_by => $1::fleet.requester, "
    "p_limit => $2::int, p_cursor => $3, p_q => $4, "
    "p_created_after => $5::timestamptz, p_created_before => $6::timestamptz, "
    "p_status => $7::text[], p_source => $8::text[], p_repo => $9::text[], "
    "p_host_id => $10::text[], p_agent_id => $11::text[], p_execution_mode => $12::text[], "
    "p_label => $13::text[])";

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
static bool check_counts(struct call *call)
{
    for (size_t i = 0; i < LISTS; i++) {
        int count = filter_count(&call->query, lists[i].name);
        if (count <= VALUES_MAX)
            continue;
        call_error(call, 422, "invalid_value", NULL,
                   "the parameter '%s' may have %d values, not %d", lists[i].name, VALUES_MAX,
                   count);
        return false;
    }
    return true;
}

void api_task_list(struct call *call)
{
    struct buf by, arrays[LISTS];
    struct page page;
    const char *params[6 + LISTS]; /* in the order of list_sql */
    if (!check_words(call) || !check_counts(call) || !page_read(call, &page) ||
        !read_single(call, "q", false, &params[3]) ||
        !read_single(call, "created_after", true, &params[4]) ||
        !read_single(call, "created_before", true, &params[5]))
        return;
    params[0] = request_by(call, &by);
    params[1] = page.limit;
    params[2] = page.cursor;
    for (size_t i = 0; i < LISTS; i++) {
        buf_init(&arrays[i], FILTER_MAX);
        params[6 + i] = filter_array(&arrays[i], &call->query, lists[i].name);
    }
    reply_query(call, list_sql, DB_REPEAT, 6 + LISTS, params);
    for (size_t i = 0; i < LISTS; i++)
        buf_release(&arrays[i]);
    buf_release(&by);
}
