/* What goes wrong between a dispatcher, its database and its hosts: answers that are lost or late,
 * and configurations that change under live runs. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")

static bool live(void)
{
    return node_live(&scene.dispatch->node) && sql("renew")->calls > 1;
}

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

static bool released(void)
{
    return sql("release")->calls > 0;
}

static bool told_unreachable(void)
{
    return strcmp(sql("phase")->last[3], "unreachable") == 0;
}

static struct host *first_host(void)
{
    return list_entry(scene.dispatch->hosts.next, struct host, link);
}

/* Answers what was held back. */
static void let_go(const char *name)
{
    sql(name)->held = false;
    timer_start(&scene.pump, 1, 0);
}

static void while_away(void)
{
    call("hello")->answer = call("start")->answer = NULL;
}

static void reload(const char *text)
{
    struct error err;
    struct config *config = config_parse(text, strlen(text), "x.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    dispatch_reload(scene.dispatch, config);
}

#define HOST(id, slots)                                                   \
    "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"           \
    "adapters: { demo: { command: [ demo ], output: codex-json } }\n"     \
    "hosts:\n"                                                            \
    "  - { host_id: " id ", hostname: localhost, work_dir: /tmp/scene,\n" \
    "      agents: [ { agent_type: demo, max_concurrency: " slots " } ] }\n"

/* --- Answers of the database --- */

/* The run is announced, but by us, and we have sent nothing. */
START_TEST(test_cancel_behind_a_lost_starting)
{
    sql("starting_runs")->state = "08006";
    scene_once("claim", CLAIMED);
    while (sql("starting_runs")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("starting_runs")->state = NULL;
    sql("starting_runs")->rows = "verdict=cancel;run=t-1-x.1;command=c;prompt=p";
    scene_until(released, "release");
    ck_assert_int_eq(call("void")->calls + call("start")->calls, 0);
    ck_assert_str_eq(sql("release")->last[3], "cancelled");
}
END_TEST

static bool phase_told_twice(void)
{
    return sql("phase")->calls >= 2 && told_unreachable();
}

START_TEST(test_lost_phase_is_told_again)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    sql("phase")->state = "08006";
    sql("phase")->times = 1;
    while_away();
    scene_until(phase_told_twice, "unreachable told again");
}
END_TEST

static bool is_reborn(void)
{
    return sql("node_start")->calls >= 2 && node_live(&scene.dispatch->node);
}

static int renews;

static bool beats_on(void)
{
    return sql("renew")->calls > renews + 5;
}

static void late_answer(const char *name)
{
    sql("renew")->state = "AF002";
    sql("renew")->times = 1;
    scene_until(is_reborn, "a new life");
    list_each(link, &scene.queries)
    {
        struct scene_query *query = list_entry(link, struct scene_query, link);
        if (strcmp(query->sql->name, name) == 0)
            query->state = "AF002";
    }
    let_go(name);
    renews = sql("renew")->calls;
    scene_until(beats_on, "more beats");
    ck_assert_int_eq(sql("node_start")->calls, 2);
}

static bool append_hangs(void)
{
    return sql("append")->calls > 0;
}

START_TEST(test_late_append_of_an_earlier_life)
{
    sql("append")->held = true;
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_prints("x\n");
    scene_until(append_hangs, "append");
    late_answer("append");
}
END_TEST

static bool report_hangs(void)
{
    return live() && sql("host_report")->calls > 0;
}

START_TEST(test_late_report_of_an_earlier_life)
{
    sql("host_report")->held = true;
    scene_until(report_hangs, "report");
    late_answer("host_report");
}
END_TEST

/* --- Hosts --- */

static bool first_host_is_ready(void)
{
    return host_ready(first_host()) && strcmp(sql("host_report")->last[3], "t") == 0;
}

static bool first_host_is_down(void)
{
    return host_down(first_host()) && sql("host_report")->calls > 0;
}

START_TEST(test_host_that_was_down_at_first)
{
    const char *hello = call("hello")->answer;
    call("hello")->answer = NULL;
    scene_until(first_host_is_down, "down");
    call("hello")->answer = hello;
    scene_until(first_host_is_ready, "ready");
}
END_TEST

static bool claim_hangs(void)
{
    return sql("claim")->calls > 0;
}

/* What is claimed for it meanwhile goes back: another host may do it. */
START_TEST(test_claim_on_a_host_that_went_down)
{
    sql("claim")->held = true;
    scene_until(claim_hangs, "claim");
    while_away();
    scene_until(first_host_is_down, "down");
    list_each(link, &scene.queries)
    {
        struct scene_query *query = list_entry(link, struct scene_query, link);
        if (strcmp(query->sql->name, "claim") == 0) {
            free(query->rows);
            query->rows = mem_strdup(CLAIMED);
        }
    }
    let_go("claim");
    scene_until(released, "released");
    ck_assert_str_eq(sql("release")->last[3], "host_unreachable");
    ck_assert_int_eq(sql("starting_runs")->calls, 0);
}
END_TEST

START_TEST(test_another_machine_gets_nothing_before_the_verdict)
{
    scene_until(first_host_is_ready, "ready");
    scene_run.machine = "m2";
    int reports = sql("host_report")->calls;
    sql("host_report")->held = true;
    first_host()->next_hello = 0;
    while (sql("host_report")->calls == reports)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert(!host_ready(first_host()));
    let_go("host_report");
    scene_until(first_host_is_ready, "ready when accepted");
}
END_TEST

START_TEST(test_tombstone_of_a_proven_run_is_no_end)
{
    scene_run.state = RUNNER_VOID;
    scene_run.machine = "m2";
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_once("adopt", SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(told_unreachable, "unreachable");
    ck_assert_str_eq(sql("phase")->last[4], "rundir_foreign");
    ck_assert_int_eq(sql("void_confirmed")->calls + sql("turn")->calls, 0);
}
END_TEST

START_TEST(test_output_of_a_foreign_directory_is_not_ours)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_run.state = RUNNER_FOREIGN;
    scene_prints("theirs\n");
    while (sql("turn")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_str_eq(sql("turn")->last[3], "lost");
    ck_assert_str_eq(sql("turn")->last[4], "run_tampered");
    ck_assert_int_eq(sql("append")->calls, 0);
}
END_TEST

/* --- Another configuration --- */

static bool claims_five(void)
{
    return strcmp(sql("claim")->last[1], "5") == 0;
}

START_TEST(test_more_slots_after_a_reload)
{
    scene_until(live, "live");
    reload(HOST("h1", "5"));
    scene_until(claims_five, "claim of five");
}
END_TEST

static bool claims_most(void)
{
    return strcmp(sql("claim")->last[1], "32") == 0;
}

START_TEST(test_no_claim_of_more_than_the_most)
{
    scene_until(live, "live");
    reload(HOST("h1", "33"));
    scene_until(claims_most, "claim of the most");
}
END_TEST

static bool claims_two_beside_it(void)
{
    return scene_job() != NULL && scene_job()->freed && strcmp(sql("claim")->last[1], "2") == 0;
}

/* A person gave its slot to others; it is looked for all the same. */
START_TEST(test_a_slot_that_was_freed_is_claimed_for)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    snprintf(sql("claim")->last[1], 8, "none");
    sql("renew")->rows = "kind=freed;attempt=11;epoch=<null>;node=<null>;beat=<null>";
    scene_until(live, "live");
    while (!scene_job()->freed)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    dispatch_notify(scene.dispatch);
    scene_until(claims_two_beside_it, "a claim of both slots");
}
END_TEST

static bool configured_again(void)
{
    return sql("configure_hosts")->calls >= 2 && dispatch_host(scene.dispatch, "h2") != NULL;
}

START_TEST(test_claim_on_a_host_that_leaves)
{
    sql("claim")->held = true;
    scene_once("claim", CLAIMED);
    scene_until(claim_hangs, "claim");
    reload(HOST("h2", "1"));
    scene_until(configured_again, "configured again");
    let_go("claim");
    scene_until(released, "given back");
}
END_TEST

static int reports_of_h1;

static bool renewed_often(void)
{
    reports_of_h1 += strcmp(sql("host_report")->last[1], "h1") == 0;
    return sql("renew")->calls > renews + 10;
}

START_TEST(test_a_host_that_leaves_is_not_reported)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    reload(HOST("h2", "1"));
    scene_until(configured_again, "configured again");
    dispatch_host(scene.dispatch, "h1")->report_due = true;
    sql("host_report")->last[1][0] = '\0';
    renews = sql("renew")->calls;
    reports_of_h1 = 0;
    scene_until(renewed_often, "many beats");
    ck_assert_int_eq(reports_of_h1, 0);
    ck_assert_ptr_nonnull(scene_job());
}
END_TEST

static bool is_back(void)
{
    struct host *host = dispatch_host(scene.dispatch, "h1");
    return host != NULL && host_ready(host) && scene.dispatch->hosts_closing == 0;
}

START_TEST(test_host_that_comes_back_while_it_is_closed)
{
    scene_until(live, "live");
    sql("host_report")->held = true;
    first_host()->report_due = true;
    while (!first_host()->reporting)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    reload(HOST("h2", "1"));
    while (first_host()->on_stopped == NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    reload(HOST("h1", "1"));
    ck_assert_ptr_nonnull(dispatch_host(scene.dispatch, "h1"));
    let_go("host_report");
    scene_until(is_back, "back");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_faults");
    TCase *tcase = tcase_create("job_faults");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_cancel_behind_a_lost_starting);
    tcase_add_test(tcase, test_lost_phase_is_told_again);
    tcase_add_test(tcase, test_late_append_of_an_earlier_life);
    tcase_add_test(tcase, test_late_report_of_an_earlier_life);
    tcase_add_test(tcase, test_host_that_was_down_at_first);
    tcase_add_test(tcase, test_claim_on_a_host_that_went_down);
    tcase_add_test(tcase, test_another_machine_gets_nothing_before_the_verdict);
    tcase_add_test(tcase, test_tombstone_of_a_proven_run_is_no_end);
    tcase_add_test(tcase, test_output_of_a_foreign_directory_is_not_ours);
    tcase_add_test(tcase, test_more_slots_after_a_reload);
    tcase_add_test(tcase, test_no_claim_of_more_than_the_most);
    tcase_add_test(tcase, test_a_slot_that_was_freed_is_claimed_for);
    tcase_add_test(tcase, test_claim_on_a_host_that_leaves);
    tcase_add_test(tcase, test_a_host_that_leaves_is_not_reported);
    tcase_add_test(tcase, test_host_that_comes_back_while_it_is_closed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
