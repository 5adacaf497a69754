/* POST /api/v1/tasks: from the body to fleet.submit, and from its verdicts to statuses. */
#include <regex.h>

#include "tests/unit/api_scene.h"

#define TASKS "/api/v1/tasks"
#define ONE "{\"title\": \"T\", \"labels\": [\"agent:x\"]}"
#define BEARER "Authorization: Bearer " API_TOKEN "\r\n"

static void says(const char *rows)
{
    api_sql("submit", rows);
    api_sql("wake", NULL);
}

/* The last call's list of rows: a literal of PostgreSQL, each quote in it behind a backslash. */
static const char *asked(void)
{
    return api_asked("submit")->last[0];
}

#define ROW(ord, verdict, code)                  \
    "ord=" ord ";verdict=" verdict ";code=" code \
    ";detail=why;details=<null>;task_id=a b/c#1;answer={\"n\": " ord "}"

START_TEST(one_task_is_created)
{
    says(ROW("1", "created", "<null>"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, ONE), 201);
    ck_assert_str_eq(api.body, "{\"n\": 1}");
    api_has("location: /api/v1/tasks/a%20b%2Fc%231");
    /* the token, no key, the request's hash, the node's defaults, an id that was made, the title */
    regex_t row;
    ck_assert_int_eq(
        regcomp(&row,
                "^\\{\"\\(.\"7.\",,.\"[0-9a-f]{64}.\",.\"[0-9]+.\",.\"[0-9]+.\",.\"[0-9]+"
                ".\",.\"t-[a-z2-7]{12}.\",.\"T.\",,.*\\)\"\\}$",
                REG_EXTENDED | REG_NOSUB),
        0);
    ck_assert_msg(regexec(&row, asked(), 0, NULL, 0) == 0, "%s", asked());
    regfree(&row);
}
END_TEST

START_TEST(dispatchers_are_woken_for_what_is_new)
{
    says(ROW("1", "exists", "<null>"));
    api_ask("submit", "POST", TASKS, ONE);
    ck_assert_int_eq(api_asked("wake")->calls, 0);
    says(ROW("1", "created", "<null>"));
    api_ask("submit", "POST", TASKS, ONE);
    ck_assert_int_eq(api_asked("wake")->calls, 1);
}
END_TEST

/* An id that this node made exists only because it made it: the first answer was lost. */
START_TEST(what_exists)
{
    says(ROW("1", "exists", "<null>"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, ONE), 201);
    ck_assert_int_eq(
        api_ask("submit", "POST", TASKS,
                "{\"title\": \"T\", \"task_id\": \"mine\", \"labels\": [\"agent:x\"]}"),
        200);
}
END_TEST

static const struct {
    const char *verdict, *code;
    int status;
} refusals[] = {
    {"conflict", "conflict", 409},
    {"refused", "invalid_value", 422},
    {"refused", "repository_not_allowed", 403},
};

START_TEST(each_refusal_has_its_status)
{
    char row[200];
    snprintf(row, sizeof row,
             "ord=1;verdict=%s;code=%s;detail=why;details={\"member\": "
             "\"m\"};task_id=<null>;answer=<null>",
             refusals[_i].verdict, refusals[_i].code);
    says(row);
    api_ask("submit", "POST", TASKS, ONE);
    api_is_error(refusals[_i].status, refusals[_i].code);
    api_has("why");
    api_has("\"member\": \"m\"");
}
END_TEST

START_TEST(many_have_a_status_each)
{
    says(ROW("1", "created", "<null>") "|" ROW("2", "created", "<null>"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, "[" ONE ", " ONE "]"), 201);
    says(ROW("1", "created", "<null>"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, "[" ONE "]"), 201);
    ck_assert_int_eq(api.body[0], '[');
    says(ROW("1", "refused", "invalid_value"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, "[" ONE "]"), 207);
    api_has("\"status\": 422");
    api_has("\"code\": \"invalid_value\"");
}
END_TEST

START_TEST(the_database_does_not_take_it)
{
    says(NULL);
    api_sql_fails("submit", "08001");
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, ONE), 503);
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, "[" ONE "]"), 207);
    api_has("\"status\": 503");
    says(NULL); /* and no row for the item */
    ck_assert_int_ge(api_ask("submit", "POST", TASKS, ONE), 500);
}
END_TEST

static int with_headers(const char *headers, const char *body)
{
    char lines[1000];
    api_sql("authenticate", "token_id=9;name=bound;scope=submit");
    snprintf(lines, sizeof lines, BEARER "%s", headers);
    return api_ask_with("POST", TASKS, lines, body);
}

START_TEST(a_key_of_each_item)
{
    says(ROW("1", "created", "<null>"));
    ck_assert_int_eq(with_headers(API_JSON "Idempotency-Key: k-1\r\n", ONE), 201);
    ck_assert_ptr_nonnull(strstr(asked(), "\\\"k-1\\\","));
    with_headers(API_JSON "Idempotency-Key: k-1\r\n", "[" ONE "]");
    ck_assert_ptr_nonnull(strstr(asked(), "\\\"k-1#0\\\","));
}
END_TEST

static const struct {
    const char *headers, *body;
    int status;
    const char *code;
} bad[] = {
    {API_JSON "Idempotency-Key: a b\r\n", ONE, 422, "invalid_value"},
    {API_JSON "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", ONE, 422, "invalid_value"},
    {"", ONE, 415, "unsupported_media_type"},
    {"Content-Type: text/plain\r\n", ONE, 415, "unsupported_media_type"},
    {API_JSON, "{\"title\": ", 400, "malformed_json"},
    {API_JSON, "{\"title\": 7}", 400, "wrong_type"},
    {API_JSON, "{\"title\": \"T\", \"colour\": \"red\"}", 400, "unknown_member"},
};

START_TEST(what_is_wrong_is_said_before_the_database)
{
    says(ROW("1", "created", "<null>"));
    with_headers(bad[_i].headers, bad[_i].body);
    api_is_error(bad[_i].status, bad[_i].code);
    ck_assert_int_eq(api_asked("submit")->calls, 0);
}
END_TEST

#define COUNT(array) (int)(sizeof array / sizeof array[0])

int main(void)
{
    TCase *tcase = api_case("submit");
    tcase_add_test(tcase, one_task_is_created);
    tcase_add_test(tcase, dispatchers_are_woken_for_what_is_new);
    tcase_add_test(tcase, what_exists);
    tcase_add_loop_test(tcase, each_refusal_has_its_status, 0, COUNT(refusals));
    tcase_add_test(tcase, many_have_a_status_each);
    tcase_add_test(tcase, the_database_does_not_take_it);
    tcase_add_test(tcase, a_key_of_each_item);
    tcase_add_loop_test(tcase, what_is_wrong_is_said_before_the_database, 0, COUNT(bad));
    return api_run(tcase);
}
