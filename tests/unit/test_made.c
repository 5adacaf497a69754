/* Hosts that the API made: a worker takes them beside those of its file, and lets them go. */
#include "tests/unit/worker_scene.h"

#define ENTRY(id, more)                                                                    \
    "{\"host_id\": \"" id "\", \"hostname\": \"localhost\", \"work_dir\": \"/tmp/made\", " \
    "\"agents\": [{\"agent_type\": \"demo\"}]" more "}"

static bool live(void)
{
    return node_live(&scene.dispatch->node);
}

static const char *wanted; /* in the list of the last configure() */

static bool listed(void)
{
    return strstr(sql("configure_hosts")->last[3], wanted) != NULL;
}

static bool not_listed(void)
{
    return !listed();
}

static void until_listed(const char *text)
{
    wanted = text;
    scene_until(listed, text);
}

static bool ready(void)
{
    struct host *host = dispatch_host(scene.dispatch, "made");
    return host != NULL && host_ready(host);
}

START_TEST(one_is_taken_at_the_start_and_let_go)
{
    sql("made_hosts")->rows = "host_id=made;revision=3;entry=" ENTRY("made", "");
    scene_until(live, "live");
    ck_assert_int_eq(sql("configure_hosts")->calls, 1); /* with the first list already whole */
    until_listed("(\\\"made\\\",\\\"0\\\",\\\"localhost\\\",\\\"22\\\",\\\"\\\",\\\"/tmp/made\\\","
                 "\\\"plain\\\",\\\"{\\\\\\\"*\\\\\\\"}\\\",\\\"3\\\")");
    until_listed("(\\\"h1\\\"");
    scene_until(ready, "ready");
    sql("made_hosts")->rows = NULL;
    dispatch_told(scene.dispatch, "host");
    wanted = "(\\\"made\\\"";
    scene_until(not_listed, "gone");
    while (dispatch_host(scene.dispatch, "made") != NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
}
END_TEST

START_TEST(a_changed_one_is_taken_again)
{
    scene_until(live, "live");
    sql("made_hosts")->rows = "host_id=made;revision=1;entry=" ENTRY("made", "");
    dispatch_told(scene.dispatch, "host");
    until_listed("\\\"1\\\")");
    sql("made_hosts")->rows =
        "host_id=made;revision=2;entry=" ENTRY("made", ", \"ssh_port\": 2222");
    scene_once("configure_hosts", "host_id=made;verdict=changed;reason=x");
    dispatch_told(scene.dispatch, "host");
    until_listed("\\\"2222\\\",");
    until_listed("\\\"2\\\")");
}
END_TEST

static bool asked_again(void)
{
    return sql("made_hosts")->calls >= 3;
}

START_TEST(one_that_changed_meanwhile_is_asked_for)
{
    scene_until(live, "live");
    sql("made_hosts")->rows = "host_id=made;revision=1;entry=" ENTRY("made", "");
    scene_once("configure_hosts", "host_id=made;verdict=changed;reason=x");
    dispatch_told(scene.dispatch, "host");
    scene_until(asked_again, "asked for again");
}
END_TEST

START_TEST(the_file_wins)
{
    sql("made_hosts")->rows = "host_id=h1;revision=3;entry=" ENTRY("h1", "");
    scene_until(live, "live");
    ck_assert_ptr_nonnull(strstr(sql("configure_hosts")->last[3], "\\\"/tmp/scene\\\""));
    ck_assert_ptr_null(strstr(sql("configure_hosts")->last[3], "\\\"/tmp/made\\\""));
    ck_assert_int_eq(dispatch_host(scene.dispatch, "h1")->revision, 0);
}
END_TEST

START_TEST(one_that_cannot_be_used_is_left_out)
{
    sql("made_hosts")->rows = "host_id=bad;revision=1;entry={\"host_id\": \"bad\"}"
                              "|host_id=made;revision=1;entry=" ENTRY("made", "");
    scene_until(live, "live");
    until_listed("(\\\"made\\\"");
    ck_assert_ptr_null(dispatch_host(scene.dispatch, "bad"));
}
END_TEST

static int reports;

static bool reported_again(void)
{
    return sql("host_report")->calls > reports;
}

static bool one_report(void)
{
    return sql("host_report")->calls >= 1 && host_ready(dispatch_host(scene.dispatch, "h1"));
}

START_TEST(a_check_looks_and_reports_at_once)
{
    scene_until(live, "live");
    scene_until(one_report, "reported");
    for (int i = 0; i < 2; i++) {
        reports = sql("host_report")->calls;
        dispatch_told(scene.dispatch, "check h1");
        scene_until(reported_again, "reported again");
    }
    dispatch_told(scene.dispatch, "check nobody");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("made");
    TCase *tcase = tcase_create("made");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, one_is_taken_at_the_start_and_let_go);
    tcase_add_test(tcase, a_changed_one_is_taken_again);
    tcase_add_test(tcase, one_that_changed_meanwhile_is_asked_for);
    tcase_add_test(tcase, the_file_wins);
    tcase_add_test(tcase, one_that_cannot_be_used_is_left_out);
    tcase_add_test(tcase, a_check_looks_and_reports_at_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
