/* GET /metrics: who may read it, and that it is what Prometheus reads. */
#include "tests/unit/api_scene.h"

#include "server/metrics/table.h"

#define ROW "name=%s;l1=%s;l2=%s;l3=<null>;l4=<null>;le=%s;value=%s"

static int scrape(const char *scope)
{
    return api_ask(scope, "GET", "/metrics", NULL);
}

static void setup(void)
{
    api_setup();
    api_sql("metrics", NULL);
}

static void open_to_all(void)
{
    api.server.config->metrics.is_public = true;
}

START_TEST(whoever_may_read)
{
    ck_assert_int_eq(scrape("read"), 200);
    ck_assert_ptr_nonnull(
        strstr(api.head, "content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    ck_assert_int_eq(api_ask_with("GET", "/metrics", "", NULL), 401);
    ck_assert_int_eq(scrape("agent"), 403);
    ck_assert_int_eq(api_ask("read", "POST", "/metrics", NULL), 405);
    ck_assert_int_eq(api_ask("read", "GET", "/metrics?a=b", NULL), 400);
}
END_TEST

START_TEST(a_bound_token_may_not)
{
    api_sql("authenticate", "token_id=7;name=ci;scope=read;bounded=t;expires_ms=<null>");
    ck_assert_int_eq(
        api_ask_with("GET", "/metrics", "Authorization: Bearer " API_TOKEN "\r\n", NULL), 403);
    api_has("token_is_bound");
}
END_TEST

START_TEST(everybody_where_it_is_public)
{
    open_to_all();
    ck_assert_int_eq(api_ask_with("GET", "/metrics", "", NULL), 200);
    api_has("fleet_db_up 1\n");
    ck_assert_int_eq(api_ask_with("GET", "/api/v1/tasks", "", NULL), 401);
}
END_TEST

START_TEST(without_the_database_it_tells_of_itself)
{
    open_to_all();
    api.down = true;
    ck_assert_int_eq(api_ask_with("GET", "/metrics", "", NULL), 200);
    api_has("fleet_db_up 0\n");
    api_has("fleet_db_connections{state=\"up\"} 0\n");
    api_has("fleet_db_connections{state=\"wanted\"} 4\n");
    api_has("process_resident_memory_bytes ");
    ck_assert_ptr_null(strstr(api.body, "fleet_tasks"));
    api.down = false;
    api_sql_fails("metrics", "57014");
    ck_assert_int_eq(api_ask_with("GET", "/metrics", "", NULL), 200);
    api_has("process_open_fds ");
}
END_TEST

START_TEST(rows_become_lines)
{
    api_sql(
        "metrics",
        "name=fleet_tasks;l1=created;l2=<null>;l3=<null>;l4=<null>;le=<null>;value=7|"
        "name=fleet_unheard_of;l1=x;l2=<null>;l3=<null>;l4=<null>;le=<null>;value=1|"
        "name=fleet_run_seconds;l1=ssh_cli;l2=failed;l3=<null>;l4=<null>;le=sum;value=1.5|"
        "name=fleet_run_seconds;l1=ssh_cli;l2=failed;l3=<null>;l4=<null>;le=0.05;value=0|"
        "name=fleet_run_seconds;l1=ssh_cli;l2=failed;l3=<null>;l4=<null>;le=+Inf;value=3|"
        "name=fleet_claims_total;l1=x;l2=<null>;l3=<null>;l4=<null>;le=<null>;value=1234567890123|"
        "name=fleet_tasks;l1=a\"b\\c\nd;l2=<null>;l3=<null>;l4=<null>;le=<null>;value=1");
    ck_assert_int_eq(scrape("read"), 200);
    api_has("# HELP fleet_tasks Tasks that wait, run, or wait for a person, by status.\n"
            "# TYPE fleet_tasks gauge\n"
            "fleet_tasks{status=\"created\"} 7\n"
            "fleet_tasks{status=\"a\\\"b\\\\c\\nd\"} 1\n");
    api_has("# TYPE fleet_run_seconds histogram\n"
            "fleet_run_seconds_sum{kind=\"ssh_cli\",outcome=\"failed\"} 1.5\n"
            "fleet_run_seconds_bucket{kind=\"ssh_cli\",outcome=\"failed\",le=\"0.05\"} 0\n"
            "fleet_run_seconds_bucket{kind=\"ssh_cli\",outcome=\"failed\",le=\"+Inf\"} 3\n"
            "fleet_run_seconds_count{kind=\"ssh_cli\",outcome=\"failed\"} 3\n");
    api_has("fleet_claims_total{kind=\"x\"} 1234567890123\n"); /* each of its digits */
    ck_assert_ptr_null(strstr(api.body, "unheard"));
    ck_assert_ptr_null(strstr(api.body, "fleet_slots")); /* nothing is told of what has no row */
}
END_TEST

START_TEST(requests_by_pattern_never_by_path)
{
    api_sql_fails("task_detail", "AF003");
    api_ask("read", "GET", "/api/v1/tasks/one", NULL);
    api_ask("read", "GET", "/api/v1/tasks/two", NULL);
    api_ask("read", "GET", "/no/such/path", NULL);
    api_ask_with("HEAD", "/healthz", "", NULL);
    ck_assert_int_eq(scrape("read"), 200);
    api_has(
        "fleet_http_requests_total{route=\"/api/v1/tasks/{}\",method=\"GET\",code=\"404\"} 2\n");
    api_has("fleet_http_requests_total{route=\"none\",method=\"any\",code=\"404\"} 1\n");
    api_has("fleet_http_requests_total{route=\"/healthz\",method=\"GET\",code=\"200\"} 1\n");
    api_has("fleet_http_request_seconds_count{route=\"/api/v1/tasks/{}\",method=\"GET\"} 2\n");
    api_has("fleet_http_request_seconds_bucket{route=\"/healthz\",method=\"GET\",le=\"30\"} 1\n");
    api_has("fleet_http_requests_in_flight 1\n"); /* this one */
    ck_assert_ptr_null(strstr(api.body, "tasks/one"));
}
END_TEST

START_TEST(durations_become_bounds_in_seconds)
{
    static const struct metric metric = {"x_seconds", "a", "X.", METRIC_HISTOGRAM};
    static const char *const values[] = {"\"b\""};
    struct histogram histogram = {0};
    struct buf out;
    histogram_add(&histogram, 1000);
    histogram_add(&histogram, 2500000);
    histogram_add(&histogram, 60000000);
    buf_init(&out, 10000);
    metrics_histogram(&out, &metric, values, &histogram);
    ck_assert_ptr_nonnull(
        strstr(buf_text(&out), "x_seconds_bucket{a=\"\\\"b\\\"\",le=\"0.001\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "le=\"1\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "le=\"2.5\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "le=\"30\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "le=\"+Inf\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "x_seconds_sum{a=\"\\\"b\\\"\"} 62.501\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "x_seconds_count{a=\"\\\"b\\\"\"} 3\n"));
    buf_release(&out);
}
END_TEST

START_TEST(refusals_are_counted)
{
    api_ask_with("GET", "/api/v1/tasks", "", NULL);
    api_ask_with("POST", "/api/v1/tasks", API_JSON, "{}");
    api_ask_with("POST", "/api/v1/webhooks/forgejo", API_JSON, "{}");
    ck_assert_int_eq(scrape("read"), 200);
    api_has("fleet_http_tokens_refused_total 2\n");
    api_has("fleet_http_requests_total{route=\"/api/v1/tasks\",method=\"GET\",code=\"401\"} 1\n");
    api_has("fleet_http_requests_total{route=\"/api/v1/tasks\",method=\"POST\",code=\"401\"} 1\n");
    api_has("fleet_http_requests_total{route=\"/api/v1/webhooks/forgejo\",method=\"POST\",code=");
}
END_TEST

/* Each name once, with the suffix that its type asks for, and a sentence. */
START_TEST(the_table_is_well_formed)
{
    for (const struct metric_entry *entry = metrics_table; entry->metric.name != NULL; entry++) {
        const char *name = entry->metric.name;
        size_t len = strlen(name);
        bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
        ck_assert_msg(total == (entry->metric.type == METRIC_COUNTER), "%s", name);
        ck_assert_msg(entry->metric.help[strlen(entry->metric.help) - 1] == '.', "%s", name);
        ck_assert_msg((entry->write != NULL) == (entry->scope == METRIC_OF_SERVER), "%s", name);
        for (const struct metric_entry *other = metrics_table; other < entry; other++)
            ck_assert_str_ne(other->metric.name, name);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("metrics");
    tcase_add_checked_fixture(tcase, setup, api_teardown);
    tcase_add_test(tcase, whoever_may_read);
    tcase_add_test(tcase, a_bound_token_may_not);
    tcase_add_test(tcase, rows_become_lines);
    tcase_add_test(tcase, requests_by_pattern_never_by_path);
    tcase_add_test(tcase, durations_become_bounds_in_seconds);
    tcase_add_test(tcase, refusals_are_counted);
    tcase_add_test(tcase, everybody_where_it_is_public);
    tcase_add_test(tcase, without_the_database_it_tells_of_itself);
    tcase_add_test(tcase, the_table_is_well_formed);
    return api_run(tcase);
}
