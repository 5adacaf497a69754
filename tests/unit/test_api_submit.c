/* POST /api/v1/tasks: from the body to fleet.submit_tasks, and from its verdicts to statuses. */
#include <regex.h>

#include "tests/unit/api_scene.h"

#define TASKS "/api/v1/tasks"
#define ONE "{\"title\": \"T\", \"labels\": [\"agent:x\"]}"
#define LINES "Content-Type: application/x-ndjson\r\n"
#define BEARER "Authorization: Bearer " API_TOKEN "\r\n"

static void says(const char *rows)
{
    api_sql("submit_tasks", rows);
    api_sql("wake", NULL);
}

/* Parameters of the last call: its requests, the request of each task, its tasks. Literals of
 * PostgreSQL, each quote in them behind a backslash. */
static const char *asked(int parameter)
{
    return api_asked("submit_tasks")->last[parameter];
}

#define ROW(status, body, created) \
    "request=1;status=" status ";body=" body ";task_id=a b/c#1;created=" created
#define FAULT(status, code)                                                   \
    "request=1;status=" status ";body={\"error\": \"why\", \"code\": \"" code \
    "\"};task_id=<null>;created=0"

static void looks_like(const char *text, const char *pattern)
{
    regex_t row;
    ck_assert_int_eq(regcomp(&row, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&row, text, 0, NULL, 0) == 0, "%s", text);
    regfree(&row);
}

START_TEST(one_task_is_created)
{
    says(ROW("201", "{\"n\": 1}", "1"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, ONE), 201);
    ck_assert_str_eq(api.body, "{\"n\": 1}");
    api_has("location: /api/v1/tasks/a%20b%2Fc%231");
    /* the token, from where, which request, no key, one task, the node's defaults */
    looks_like(asked(0), "^\\{\"\\(.\"7.\",.\"127.0.0.1.\",.\"[^,]+.\",,,.\"one.\",.\"[0-9]+.\","
                         ".\"[0-9]+.\",.\"[0-9]+.\"\\)\"\\}$");
    ck_assert_str_eq(asked(1), "{1}");
    /* an id that was made, the title */
    looks_like(asked(2), "^\\{\"\\(.\"t.\",.\"t-[a-z2-7]{12}.\",.\"T.\",,.*\\)\"\\}$");
}
END_TEST

START_TEST(dispatchers_are_woken_for_what_is_new)
{
    says(ROW("200", "{}", "0"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, ONE), 200);
    ck_assert_int_eq(api_asked("wake")->calls, 0);
    says(ROW("201", "{}", "1"));
    api_ask("submit", "POST", TASKS, ONE);
    ck_assert_int_eq(api_asked("wake")->calls, 1);
}
END_TEST

START_TEST(a_refusal_is_passed_on)
{
    says(FAULT("422", "invalid_value"));
    api_ask("submit", "POST", TASKS, ONE);
    api_is_error(422, "invalid_value");
    says(FAULT("409", "idempotency_conflict"));
    api_ask("submit", "POST", TASKS, "[" ONE "]");
    api_is_error(409, "idempotency_conflict");
}
END_TEST

START_TEST(many_have_an_answer_each)
{
    says(ROW("207", "[{\"status\": 201}, {\"status\": 422}]", "1"));
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, "[" ONE ", " ONE "]"), 207);
    ck_assert_str_eq(api.body, "[{\"status\": 201}, {\"status\": 422}]");
    ck_assert_ptr_nonnull(strstr(asked(0), "list"));
    ck_assert_str_eq(asked(1), "{1,1}");
    ck_assert_ptr_null(strstr(api.head, "location:"));
}
END_TEST

START_TEST(the_database_does_not_take_it)
{
    says(NULL);
    api_sql_fails("submit_tasks", "08001");
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, ONE), 503);
    ck_assert_int_eq(api_ask("submit", "POST", TASKS, "[" ONE "]"), 503);
    says(NULL); /* and no row for the request */
    ck_assert_int_ge(api_ask("submit", "POST", TASKS, ONE), 500);
}
END_TEST

static int with_headers(const char *headers, const char *body)
{
    char lines[1000];
    api_sql("authenticate", "token_id=9;name=bound;scope=submit;bounded=f;expires_ms=<null>");
    snprintf(lines, sizeof lines, BEARER "%s", headers);
    return api_ask_with("POST", TASKS, lines, body);
}

START_TEST(a_request_has_one_key)
{
    char one[200];
    says(ROW("201", "{}", "1"));
    ck_assert_int_eq(with_headers(API_JSON "Idempotency-Key: k-1\r\n", "[" ONE "]"), 201);
    looks_like(asked(0), "\"k-1.\",.\"[0-9a-f]{64}.\"");
    with_headers(API_JSON "Idempotency-Key: k-1\r\n", ONE);
    looks_like(asked(0), "\"k-1.\",.\"[0-9a-f]{64}.\"");
    snprintf(one, sizeof one, "%s", strstr(asked(0), "k-1"));
    one[20] = '\0';
    ck_assert_int_eq(with_headers(LINES "Idempotency-Key: k-1\r\n", ONE), 201);
    ck_assert_ptr_null(strstr(asked(0), one)); /* the same bytes, read as something else */
}
END_TEST

START_TEST(lines_are_answered_by_lines)
{
    says(ROW("201", "{\"status\": 201}\n{\"status\": 201}\n", "2"));
    ck_assert_int_eq(with_headers(LINES, ONE "\n" ONE "\n"), 201);
    ck_assert_str_eq(api.body, "{\"status\": 201}\n{\"status\": 201}\n");
    api_has("content-type: application/x-ndjson");
    ck_assert_ptr_nonnull(strstr(asked(0), "lines"));
    ck_assert_str_eq(asked(1), "{1,1}");
    says(FAULT("409", "idempotency_conflict"));
    with_headers(LINES, ONE "\n");
    api_is_error(409, "idempotency_conflict");
    api_has("content-type: application/json");
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
    {API_JSON, ONE "\n" ONE, 400, "malformed_json"},
    {LINES, ONE "\n{", 400, "malformed_json"},
    {LINES, "\n", 422, "invalid_value"},
    {API_JSON, "{\"title\": 7}", 400, "wrong_type"},
    {API_JSON, "{\"title\": \"T\", \"colour\": \"red\"}", 400, "unknown_member"},
};

START_TEST(what_is_wrong_is_said_before_the_database)
{
    says(ROW("201", "{}", "1"));
    with_headers(bad[_i].headers, bad[_i].body);
    api_is_error(bad[_i].status, bad[_i].code);
    ck_assert_int_eq(api_asked("submit_tasks")->calls, 0);
}
END_TEST

#define COUNT(array) (int)(sizeof array / sizeof array[0])

int main(void)
{
    TCase *tcase = api_case("submit");
    tcase_add_test(tcase, one_task_is_created);
    tcase_add_test(tcase, dispatchers_are_woken_for_what_is_new);
    tcase_add_test(tcase, a_refusal_is_passed_on);
    tcase_add_test(tcase, many_have_an_answer_each);
    tcase_add_test(tcase, the_database_does_not_take_it);
    tcase_add_test(tcase, a_request_has_one_key);
    tcase_add_test(tcase, lines_are_answered_by_lines);
    tcase_add_loop_test(tcase, what_is_wrong_is_said_before_the_database, 0, COUNT(bad));
    return api_run(tcase);
}
