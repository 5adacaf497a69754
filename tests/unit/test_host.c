/* One host as a worker sees it: which way in an answer belongs to, what is told of it, and its
 * agents. */
#include "tests/unit/worker_scene.h"

#define HELLO(machine, rest)                         \
    "hello v=1 machine=" machine " boot=" SCENE_BOOT \
    " owner=0123456789abcdef0123456789abcdef disk_free=1000000 missing=-\n" rest

static struct host *host(void)
{
    return dispatch_host(scene.dispatch, "h1");
}

static bool is_ready(void)
{
    return host_ready(host());
}

static bool is_down(void)
{
    return host_down(host()) && sql("host_report")->calls > 0;
}

static bool hello_sent(void)
{
    return call("hello")->calls >= 1;
}

static bool hello_sent_again(void)
{
    return call("hello")->calls >= 2;
}

static bool one_answered(void)
{
    return scene_answered >= 1;
}

static bool report_sent(void)
{
    return sql("host_report")->calls >= 1;
}

static bool nothing_asked(void)
{
    return list_empty(&scene.queries);
}

static void reload(const char *hostname, const char *agents)
{
    struct error err;
    char *text = mem_printf(
        "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
        "adapters: { demo: { command: [ demo ] } }\n"
        "hosts:\n"
        "  - { host_id: h1, hostname: %s, work_dir: /tmp/scene,\n"
        "      %s agents: [ %s ] }\n",
        hostname, strcmp(hostname, "localhost") == 0 ? "" : "ssh_user: agent, ssh_key_path: /k,",
        agents);
    struct config *config = config_parse(text, strlen(text), "x.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    free(text);
    dispatch_reload(scene.dispatch, config);
}

/* The machine before is asked, the address changes, and only then it answers. */
START_TEST(test_a_hello_of_the_way_before)
{
    call("hello")->hold = 1;
    scene_until(hello_sent, "a hello");
    call("hello")->answer = HELLO("m2", "");
    reload("192.0.2.7", "{ agent_type: demo }");
    ck_assert_int_eq(host()->way, 1);
    scene_until(hello_sent_again, "a hello of the new way");
    call("hello")->hold = 2;
    scene_until(one_answered, "the answer of the old way");
    ck_assert(!host_ready(host()));
    ck_assert_str_eq(host_machine(host()), "");
    ck_assert(host()->checking);
    ck_assert_int_eq(sql("host_report")->calls, 0);
    call("hello")->hold = 0;
    scene_until(is_ready, "ready on its new way");
    ck_assert_str_eq(host_machine(host()), "m2");
    ck_assert_str_eq(sql("host_report")->last[2], "1");
}
END_TEST

START_TEST(test_a_report_of_the_way_before)
{
    sql("host_report")->held = true;
    scene_until(report_sent, "a report");
    ck_assert_str_eq(sql("host_report")->last[2], "0");
    call("hello")->hold = call("hello")->calls + 1;
    reload("192.0.2.7", "{ agent_type: demo }");
    sql("host_report")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(nothing_asked, "its answer");
    ck_assert(!host_ready(host()));
    ck_assert_str_eq(host()->identity, "");
    ck_assert_int_eq(sql("claim")->calls, 0);
    call("hello")->hold = 0;
    scene_until(is_ready, "ready on its new way");
    ck_assert_str_eq(sql("host_report")->last[2], "1");
}
END_TEST

START_TEST(test_a_failed_hello_of_the_way_before)
{
    call("hello")->hold = 1;
    const char *answer = call("hello")->answer;
    call("hello")->answer = NULL;
    scene_until(hello_sent, "a hello");
    call("hello")->answer = answer;
    reload("192.0.2.7", "{ agent_type: demo }");
    scene_until(hello_sent_again, "a hello of the new way");
    call("hello")->hold = 2;
    scene_until(one_answered, "the answer of the old way");
    ck_assert(!host_down(host()));
    call("hello")->hold = 0;
    scene_until(is_ready, "ready on its new way");
}
END_TEST

static bool reported_twice(void)
{
    return sql("host_report")->calls >= 2 && is_ready();
}

START_TEST(test_a_stale_report_is_made_again)
{
    sql("host_report")->rows = "verdict=stale;differs=<null>";
    scene_until(report_sent, "a report");
    ck_assert(!host_ready(host()));
    sql("host_report")->rows = "verdict=ok;differs=<null>";
    scene_until(reported_twice, "ready with the next report");
}
END_TEST

START_TEST(test_another_change_keeps_the_way)
{
    scene_until(is_ready, "ready");
    reload("localhost", "{ agent_type: demo, max_concurrency: 7 }");
    ck_assert_int_eq(host()->way, 0);
    ck_assert(host_ready(host()));
}
END_TEST

START_TEST(test_trouble_is_told_whole_with_its_word)
{
    call("hello")->answer = "hello v=1 machine=m1 boot=b owner=0123456789abcdef0123456789abcdef "
                            "disk_free=1 missing=flock,setsid,prlimit,timeout,sha256sum,stat,head,"
                            "dd,env,grep,mkfifo,mv,ln,sync,cat,id,od,tr,rm,mkdir,sleep\n";
    scene_until(is_down, "down");
    ck_assert_str_eq(sql("host_report")->last[7], "runner_failed");
    ck_assert_ptr_nonnull(strstr(sql("host_report")->last[8], "mkdir,sleep"));
    ck_assert_str_eq(sql("host_report")->last[8], host_reason(host()));
}
END_TEST

START_TEST(test_agents_are_looked_for)
{
    call("hello")->answer = HELLO("m1", "agent found demo 1.2\n");
    scene_until(is_ready, "ready");
    ck_assert_str_eq(sql("host_report")->last[6],
                     "{\"(\\\"demo\\\",\\\"t\\\",\\\"demo 1.2\\\")\"}");
}
END_TEST

START_TEST(test_a_missing_agent_is_told)
{
    call("hello")->answer = HELLO("m1", "agent missing \n");
    scene_until(is_ready, "ready all the same");
    ck_assert_str_eq(sql("host_report")->last[6], "{\"(\\\"demo\\\",\\\"f\\\",)\"}");
}
END_TEST

START_TEST(test_differences_are_heard_once)
{
    sql("host_report")->rows = "verdict=ok;differs=worker w2 has another agents";
    scene_until(is_ready, "ready");
    ck_assert_str_eq(host()->differs, "worker w2 has another agents");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("host");
    TCase *tcase = tcase_create("host");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_a_hello_of_the_way_before);
    tcase_add_test(tcase, test_a_report_of_the_way_before);
    tcase_add_test(tcase, test_a_failed_hello_of_the_way_before);
    tcase_add_test(tcase, test_a_stale_report_is_made_again);
    tcase_add_test(tcase, test_another_change_keeps_the_way);
    tcase_add_test(tcase, test_trouble_is_told_whole_with_its_word);
    tcase_add_test(tcase, test_agents_are_looked_for);
    tcase_add_test(tcase, test_a_missing_agent_is_told);
    tcase_add_test(tcase, test_differences_are_heard_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
