/* Assigning a waiting task: the forms that are read, and what of them reaches SQL. */
#include "tests/unit/api_scene.h"

#define ASSIGN "/api/v1/tasks/acme%2Frocket%2342/assign"

static const struct {
    const char *body;
    const char *agent, *mode; /* parameters; NULL: not asked */
    int status;
    const char *code;
} forms[] = {
    {"{\"agent_id\": \"laptop\"}", "laptop", "<null>", 200, NULL},
    {"{\"agent_id\": \"h/codex-cli\", \"execution_mode\": \"ssh_cli\"}", "h/codex-cli", "ssh_cli",
     200, NULL},
    {"{\"agent_id\": \"a\", \"execution_mode\": null}", "a", "<null>", 200, NULL},
    {"{}", NULL, NULL, 422, "invalid_value"},
    {NULL, NULL, NULL, 422, "invalid_value"},
    {"{\"agent_id\": 7}", NULL, NULL, 422, "invalid_value"},
    {"{\"agent_id\": null}", NULL, NULL, 422, "invalid_value"},
    {"{\"agent_id\": \"a\", \"execution_mode\": 1}", NULL, NULL, 400, "wrong_type"},
    {"{\"agent_id\": \"a\", \"host\": \"h\"}", NULL, NULL, 400, "unknown_member"},
    {"[]", NULL, NULL, 400, "wrong_type"},
    {"{", NULL, NULL, 400, "malformed_json"},
};

START_TEST(a_form_is_read_or_refused)
{
    api_sql("task_assign", "status=200;body={\"status\": \"created\"};next=<null>;location=<null>");
    ck_assert_int_eq(api_ask("operate", "POST", ASSIGN, forms[_i].body), forms[_i].status);
    struct api_sql *asked = api_asked("task_assign");
    ck_assert_int_eq(asked->calls, forms[_i].code == NULL);
    if (forms[_i].code != NULL) {
        api_is_error(forms[_i].status, forms[_i].code);
        return;
    }
    ck_assert_str_eq(asked->last[1], "acme/rocket#42");
    ck_assert_str_eq(asked->last[2], forms[_i].agent);
    ck_assert_str_eq(asked->last[3], forms[_i].mode);
}
END_TEST

START_TEST(only_an_operator_assigns)
{
    api_sql("task_assign", "status=200;body={};next=<null>;location=<null>");
    ck_assert_int_eq(api_ask("submit", "POST", ASSIGN, "{\"agent_id\": \"a\"}"), 403);
    ck_assert_int_eq(api_ask("agent", "POST", ASSIGN, "{\"agent_id\": \"a\"}"), 403);
    ck_assert_int_eq(api_asked("task_assign")->calls, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("assign");
    tcase_add_loop_test(tcase, a_form_is_read_or_refused, 0, sizeof forms / sizeof forms[0]);
    tcase_add_test(tcase, only_an_operator_assigns);
    return api_run(tcase);
}
