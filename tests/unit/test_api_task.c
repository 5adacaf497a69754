/* GET of tasks: what is asked of SQL, and what its answers become. */
#include "tests/unit/api_scene.h"

#define TASKS "/api/v1/tasks"
#define ROW "status=200;body="
#define END ";next=<null>;location=<null>"
#define TASK TASKS "/acme%2Frocket%2342"

/* --- lists --- */

START_TEST(a_list_without_filters)
{
    api_sql("task_list", ROW "[{\"task_id\": \"t-1\"}]" END);
    ck_assert_int_eq(api_ask("read", "GET", TASKS, NULL), 200);
    ck_assert_str_eq(api.body, "[{\"task_id\": \"t-1\"}]");
    ck_assert_ptr_null(strstr(api.head, "link:"));
    api_was_asked("task_list",
                  (const char *[]){API_BY, "50", "<null>", "<null>", "<null>", "<null>", "<null>",
                                   "<null>", "<null>", "<null>", "<null>", "<null>", "<null>"});
}
END_TEST

START_TEST(each_filter_has_its_parameter)
{
    api_sql("task_list", ROW "[]" END);
    ck_assert_int_eq(api_ask("read", "GET",
                             TASKS "?limit=7&cursor=99&q=fuel&created_after=2026-01-01T00:00:00Z"
                                   "&created_before=2026-02-01T00:00:00%2B01:00&status=created,"
                                   "running&status=failed&source=api&repo=acme/rocket&host_id=h"
                                   "&agent_id=h/codex&execution_mode=ssh_cli&label=bug",
                             NULL),
                     200);
    api_was_asked("task_list", (const char *[]){API_BY, "7", "99", "fuel", "2026-01-01T00:00:00Z",
                                                "2026-02-01T00:00:00+01:00",
                                                "{\"created\",\"running\",\"failed\"}", "{\"api\"}",
                                                "{\"acme/rocket\"}", "{\"h\"}", "{\"h/codex\"}",
                                                "{\"ssh_cli\"}", "{\"bug\"}"});
}
END_TEST

START_TEST(a_next_page_has_its_link)
{
    api_sql("task_list", ROW "[];next=123;location=<null>");
    ck_assert_int_eq(api_ask("read", "GET", TASKS "?label=a%26b&cursor=200", NULL), 200);
    api_has("link: </api/v1/tasks?label=a%26b&cursor=123>; rel=\"next\"");
}
END_TEST

#define TEN "a,b,c,d,e,f,g,h,i,j,"
#define FIFTY_ONE TEN TEN TEN TEN TEN "k"

static const struct {
    const char *query;
    int status;
    const char *code, *text;
} bad_lists[] = {
    {"?status=runing", 422, "invalid_value", "'runing' is none of them"},
    {"?source=forgejo,github", 422, "invalid_value", "'github'"},
    {"?execution_mode=ssh", 422, "invalid_value", "'ssh'"},
    {"?created_after=yesterday", 422, "invalid_value", "created_after"},
    {"?created_before=2026-02-30T00:00:00Z", 422, "invalid_value", "created_before"},
    {"?limit=0", 422, "invalid_value", "limit"},
    {"?limit=201", 422, "invalid_value", "limit"},
    {"?label=" FIFTY_ONE, 422, "invalid_value", "50 values, not 51"},
    {"?q=a&q=b", 400, "malformed_query", "'q' is given twice"},
};

START_TEST(bad_filters_are_not_asked)
{
    char target[400];
    api_sql("task_list", ROW "[]" END);
    snprintf(target, sizeof target, TASKS "%s", bad_lists[_i].query);
    api_ask("read", "GET", target, NULL);
    api_is_error(bad_lists[_i].status, bad_lists[_i].code);
    api_has(bad_lists[_i].text);
    ck_assert_int_eq(api_asked("task_list")->calls, 0);
}
END_TEST

/* --- one task --- */

START_TEST(one_task)
{
    api_sql("task_detail", ROW "{\"task_id\": \"acme/rocket#42\"}" END);
    ck_assert_int_eq(api_ask("read", "GET", TASK, NULL), 200);
    ck_assert_str_eq(api.body, "{\"task_id\": \"acme/rocket#42\"}");
    api_was_asked("task_detail", (const char *[]){API_BY, "acme/rocket#42"});
    api_sql_fails("task_detail", "XX000");
    api_ask("read", "GET", TASK, NULL);
    api_is_error(500, "internal");
    ck_assert_ptr_null(strstr(api.body, "told to fail")); /* what SQL says is for the log */
}
END_TEST

START_TEST(its_history_in_pages)
{
    static const char *const functions[] = {"task_events", "task_attempts"};
    const char *function = functions[_i], *word = function + strlen("task_");
    char target[200], link[200];
    api_sql(function, ROW "[1];next=17;location=<null>");
    snprintf(target, sizeof target, "%s/%s?limit=1&cursor=99", TASK, word);
    ck_assert_int_eq(api_ask("read", "GET", target, NULL), 200);
    ck_assert_str_eq(api.body, "[1]");
    snprintf(link, sizeof link, "link: <%s/%s?limit=1&cursor=17>; rel=\"next\"", TASK, word);
    api_has(link);
    api_was_asked(function, (const char *[]){API_BY, "acme/rocket#42", "1", "99"});
    snprintf(target, sizeof target, "%s/%s?limit=0", TASK, word);
    api_ask("read", "GET", target, NULL);
    api_is_error(422, "invalid_value");
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("task");
    tcase_add_test(tcase, a_list_without_filters);
    tcase_add_test(tcase, each_filter_has_its_parameter);
    tcase_add_test(tcase, a_next_page_has_its_link);
    tcase_add_loop_test(tcase, bad_filters_are_not_asked, 0,
                        sizeof bad_lists / sizeof bad_lists[0]);
    tcase_add_test(tcase, one_task);
    tcase_add_loop_test(tcase, its_history_in_pages, 0, 2);
    return api_run(tcase);
}
