/* What people do to a task: the forms that are read, and what of them reaches SQL. */
#include "tests/unit/api_scene.h"

#define TASK "/api/v1/tasks/acme%2Frocket%2342"
#define GRANTED "status=200;body={\"status\": \"created\"};next=<null>;location=<null>"

/* A row of fleet.requester of token 7, that asks from here. */
static void asked_by_token(const char *function)
{
    const char *by = api_asked(function)->last[0];
    static const char wanted[] = "(\"7\",\"127.0.0.1\",\"";
    ck_assert_msg(strncmp(by, wanted, sizeof wanted - 1) == 0, "asked by %s", by);
}

START_TEST(an_answer_is_passed_on_as_sql_says_it)
{
    api_sql("task_cancel",
            "status=202;body={\"status\": \"cancelling\"};next=<null>;location=<null>");
    ck_assert_int_eq(api_ask("submit", "POST", TASK "/cancel", NULL), 202);
    ck_assert_str_eq(api.body, "{\"status\": \"cancelling\"}");
    asked_by_token("task_cancel");
    api_sql("task_retry",
            "status=400;body={\"code\": \"retries_exhausted\"};next=<null>;location=<null>");
    api_ask("operate", "POST", TASK "/retry", NULL);
    api_is_error(400, "retries_exhausted");
    asked_by_token("task_retry");
}
END_TEST

START_TEST(cancel_reads_its_reason)
{
    api_sql("task_cancel", GRANTED);
    api_ask("submit", "POST", TASK "/cancel", "{\"reason\": \"not needed\"}");
    ck_assert_str_eq(api_asked("task_cancel")->last[1], "acme/rocket#42");
    ck_assert_str_eq(api_asked("task_cancel")->last[2], "not needed");
    api_ask("submit", "POST", TASK "/cancel", NULL);
    ck_assert_str_eq(api_asked("task_cancel")->last[2], "<null>");
}
END_TEST

static const struct {
    const char *body;
    const char *force, *abandon; /* parameters; NULL: not asked */
    int status;
    const char *code;
} retries[] = {
    {NULL, "false", "<null>", 200, NULL},
    {"{}", "false", "<null>", 200, NULL},
    {"{\"force\": null}", "false", "<null>", 200, NULL},
    {"{\"force\": true}", "true", "<null>", 200, NULL},
    {"{\"force\": false, \"reason\": \"x\"}", "false", "<null>", 200, NULL},
    {"{\"force\": \"abandon\", \"reason\": \"burnt\"}", "true", "burnt", 200, NULL},
    {"{\"force\": \"abandon\"}", NULL, NULL, 422, "invalid_value"},
    {"{\"force\": \"abandon\", \"reason\": \"\"}", NULL, NULL, 422, "invalid_value"},
    {"{\"force\": \"yes\"}", NULL, NULL, 422, "invalid_value"},
    {"{\"force\": 1}", NULL, NULL, 422, "invalid_value"},
    {"{\"forced\": true}", NULL, NULL, 400, "unknown_member"},
    {"{\"reason\": 7}", NULL, NULL, 400, "wrong_type"},
    {"[]", NULL, NULL, 400, "wrong_type"},
    {"null", NULL, NULL, 400, "wrong_type"},
    {"{", NULL, NULL, 400, "malformed_json"},
};

START_TEST(retry_reads_its_force)
{
    api_sql("task_retry", GRANTED);
    ck_assert_int_eq(api_ask("operate", "POST", TASK "/retry", retries[_i].body),
                     retries[_i].status);
    ck_assert_int_eq(api_asked("task_retry")->calls, retries[_i].code == NULL);
    if (retries[_i].code != NULL)
        api_is_error(retries[_i].status, retries[_i].code);
    else {
        ck_assert_str_eq(api_asked("task_retry")->last[2], retries[_i].force);
        ck_assert_str_eq(api_asked("task_retry")->last[3], retries[_i].abandon);
    }
}
END_TEST

START_TEST(a_lost_answer_is_no_verdict)
{
    api_sql_fails("task_cancel", "08006");
    api_ask("submit", "POST", TASK "/cancel", NULL);
    api_is_error(503, "unavailable");
    api_has("retry-after: ");
}
END_TEST

static const struct {
    const char *body;
    int status;
    const char *code;
} answers[] = {
    {"{\"text\": \"the second one\"}", 200, NULL},  {NULL, 422, "invalid_value"},
    {"{\"text\": \"\"}", 422, "invalid_value"},     {"{\"text\": 7}", 422, "invalid_value"},
    {"{\"answer\": \"x\"}", 400, "unknown_member"},
};

static void expect_text(const char *path, const char *kind, int i)
{
    api_sql("task_say", GRANTED);
    int calls = api_asked("task_say")->calls;
    ck_assert_int_eq(api_ask("operate", "POST", path, answers[i].body), answers[i].status);
    ck_assert_int_eq(api_asked("task_say")->calls - calls, answers[i].code == NULL);
    if (answers[i].code != NULL) {
        api_is_error(answers[i].status, answers[i].code);
        return;
    }
    ck_assert_str_eq(api_asked("task_say")->last[1], kind);
    ck_assert_str_eq(api_asked("task_say")->last[3], "the second one");
    ck_assert_str_eq(api_asked("task_say")->last[5], "<null>");
}

START_TEST(what_is_said_is_a_text)
{
    expect_text(TASK "/answer", "answer", _i);
    expect_text(TASK "/continue", "continue", _i);
}
END_TEST

/* The agent is told all of it, the history shows it without. */
START_TEST(an_answer_with_a_secret)
{
    static const char secret[] = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    char body[100];
    api_sql("task_say", GRANTED);
    snprintf(body, sizeof body, "{\"text\": \"%s\"}", secret);
    ck_assert_int_eq(api_ask("submit", "POST", TASK "/answer", body), 200);
    ck_assert_str_eq(api_asked("task_say")->last[3], secret);
    ck_assert_str_eq(api_asked("task_say")->last[4], "ghp_************************************");
}
END_TEST

START_TEST(an_explanation_is_passed_on)
{
    api_sql("task_explain", GRANTED);
    ck_assert_int_eq(api_ask("read", "GET", TASK "/explain", NULL), 200);
    ck_assert_str_eq(api_asked("task_explain")->last[1], "acme/rocket#42");
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("task_act");
    tcase_add_test(tcase, an_answer_is_passed_on_as_sql_says_it);
    tcase_add_test(tcase, cancel_reads_its_reason);
    tcase_add_loop_test(tcase, retry_reads_its_force, 0, sizeof retries / sizeof retries[0]);
    tcase_add_test(tcase, a_lost_answer_is_no_verdict);
    tcase_add_loop_test(tcase, what_is_said_is_a_text, 0, sizeof answers / sizeof answers[0]);
    tcase_add_test(tcase, an_answer_with_a_secret);
    tcase_add_test(tcase, an_explanation_is_passed_on);
    return api_run(tcase);
}
