/* One host as a worker sees it: which way in an answer belongs to, what is told of it, and its
 * agents. */
#include "tests/unit/worker_scene.h"

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

static bool opened(void)
{
    return call("open")->calls >= 1;
}

static bool opened_again(void)
{
    return call("open")->calls >= 2;
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

/* The machine before is being asked, and the address changes: what it would say is nobody's. */
START_TEST(test_a_channel_of_the_way_before)
{
    call("open")->hold = 1;
    scene_until(opened, "a channel");
    reload("192.0.2.7", "{ agent_type: demo }");
    ck_assert_int_eq(host()->way, 1);
    ck_assert_ptr_null(host()->channel);
    call("open")->hold = 0;
    scene_run.machine = "m2";
    scene_until(is_ready, "ready on its new way");
    ck_assert_int_eq(call("open")->calls, 2);
    ck_assert_str_eq(host_machine(host()), "m2");
    ck_assert_int_eq(sql("host_report")->calls, 1);
    ck_assert_str_eq(sql("host_report")->last[2], "1");
}
END_TEST

START_TEST(test_a_report_of_the_way_before)
{
    sql("host_report")->held = true;
    scene_until(report_sent, "a report");
    ck_assert_str_eq(sql("host_report")->last[2], "0");
    call("open")->hold = call("open")->calls + 1;
    reload("192.0.2.7", "{ agent_type: demo }");
    sql("host_report")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(nothing_asked, "its answer");
    ck_assert(!host_ready(host()));
    ck_assert_str_eq(host()->identity, "");
    ck_assert_int_eq(sql("claim")->calls, 0);
    call("open")->hold = 0;
    scene_until(is_ready, "ready on its new way");
    ck_assert_str_eq(sql("host_report")->last[2], "1");
}
END_TEST

static bool answers_again(void)
{
    return opened_again() && is_ready();
}

/* A connection that served and comes back at once is nobody's news. */
START_TEST(test_a_cut_channel_is_opened_again)
{
    scene_until(is_ready, "ready");
    host()->opened = 0; /* long ago */
    int reports = sql("host_report")->calls;
    call("hello")->answer = NULL;
    call("open")->hold = 2;
    scene_until(opened_again, "opened again");
    ck_assert_int_eq(host()->state, HOST_CHECKING);
    call("hello")->answer = "greeting";
    call("open")->hold = 0;
    scene_until(answers_again, "ready again");
    ck_assert_str_eq(sql("host_report")->last[3], "t");
    ck_assert_int_le(sql("host_report")->calls, reports + 1);
}
END_TEST

/* One that is cut as soon as it was opened is not opened without pause. */
START_TEST(test_a_channel_that_does_not_last)
{
    scene_until(is_ready, "ready");
    call("hello")->answer = NULL;
    scene_until(is_down, "down");
    ck_assert_str_eq(host_reason(host()), "the host is away");
    ck_assert_int_eq(call("open")->calls, 1);
    call("hello")->answer = "greeting";
    scene_until(answers_again, "ready with the next try");
}
END_TEST

static bool told_down(void)
{
    return strcmp(sql("host_report")->last[3], "f") == 0;
}

START_TEST(test_a_failed_try_after_a_cut_is_told)
{
    scene_until(is_ready, "ready");
    host()->opened = 0;
    call("hello")->answer = NULL;
    scene_until(told_down, "down");
    ck_assert_str_eq(sql("host_report")->last[7], "connection_lost");
    ck_assert_str_eq(sql("host_report")->last[8], "the host is away");
    ck_assert_int_eq(call("open")->calls, 2);
}
END_TEST

static bool reported_twice(void)
{
    return sql("host_report")->calls >= 2 && is_ready();
}

START_TEST(test_a_stale_report_is_made_again)
{
    sql("host_report")->rows = "verdict=stale;differs=<null>;told=<null>";
    scene_until(report_sent, "a report");
    ck_assert(!host_ready(host()));
    sql("host_report")->rows = "verdict=ok;differs=<null>;told=<null>";
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
    scene_run.lacks = "/proc is not mounted: nobody could say which processes a run has left";
    scene_until(is_down, "down");
    ck_assert_str_eq(sql("host_report")->last[7], "runner_failed");
    ck_assert_ptr_nonnull(strstr(sql("host_report")->last[8], "/proc is not mounted"));
    ck_assert_str_eq(sql("host_report")->last[8], host_reason(host()));
}
END_TEST

START_TEST(test_agents_are_looked_for)
{
    scene_run.version = "demo 1.2";
    scene_until(is_ready, "ready");
    ck_assert_str_eq(sql("host_report")->last[6],
                     "{\"(\\\"demo\\\",\\\"t\\\",\\\"demo 1.2\\\")\"}");
}
END_TEST

static bool says_hello_again(void)
{
    return call("hello")->calls > scene_run.pushed;
}

static bool is_version(const char *wanted)
{
    const char *version = host_agent_version(host(), "codex-cli");
    return version != NULL && strcmp(version, wanted) == 0;
}

static bool is_version_1(void)
{
    return is_version("codex 1");
}

static bool is_version_2(void)
{
    return is_version("codex 2");
}

START_TEST(test_a_program_is_asked_once)
{
    scene_run.stamp = 1;
    scene_run.version = "codex 1";
    scene_until(is_ready, "ready");
    ck_assert_ptr_null(host_agent_version(host(), "codex-cli"));
    ck_assert_int_eq(scene_run.asked, 0); /* demo says nothing of versions */
    reload("localhost", "{ agent_type: codex-cli }");
    host_check(host());
    scene_until(is_version_1, "what it says");
    ck_assert_int_eq(scene_run.asked, 1);
    scene_run.version = "codex 2"; /* it is not asked, so it cannot say so */
    scene_run.pushed = call("hello")->calls;
    host_check(host());
    scene_until(says_hello_again, "one more");
    ck_assert_int_eq(scene_run.asked, 1);
    ck_assert(!is_version_2());
    scene_run.stamp = 2; /* updated */
    host_check(host());
    scene_until(is_version_2, "the new version");
    ck_assert_int_eq(scene_run.asked, 2);
}
END_TEST

static bool asked_for_its_version(void)
{
    return scene_run.asked >= 1;
}

static struct host_program *program_of(const char *agent_type)
{
    struct host_program *program = host()->programs;
    while (strcmp(program->agent_type, agent_type) != 0)
        program++;
    return program;
}

static void say_hello_once_more(void)
{
    scene_run.pushed = call("hello")->calls;
    host_check(host());
    scene_until(says_hello_again, "one more");
}

static bool is_asked_soon(void)
{
    return program_of("codex-cli")->pause_ms == 20000;
}

/* A host may have been busy: soon, and then more and more rarely. */
START_TEST(test_a_silent_program_is_asked_again)
{
    int pause_ms = 20000;
    scene_run.stamp = 1;
    scene_run.version = "";
    scene_until(is_ready, "ready");
    reload("localhost", "{ agent_type: codex-cli }");
    host_check(host());
    scene_until(asked_for_its_version, "what it says");
    struct host_program *program = program_of("codex-cli");
    for (int asked = 1; asked < 8; asked++) {
        say_hello_once_more();
        ck_assert_int_eq(scene_run.asked, asked);
        ck_assert_int_eq(program->pause_ms, pause_ms);
        ck_assert_int_le(program->again, clock_ms() + pause_ms);
        program->again = clock_ms();
        say_hello_once_more();
        ck_assert_int_eq(scene_run.asked, asked + 1);
        pause_ms = pause_ms * 2 < 600000 ? pause_ms * 2 : 600000;
    }
    scene_run.stamp = 2; /* updated, just as it is to be asked */
    program->again = clock_ms();
    say_hello_once_more();
    scene_until(is_asked_soon, "a short pause");
}
END_TEST

START_TEST(test_where_a_command_was_looked_for)
{
    struct buf text;
    buf_init(&text, 4096);
    reload("localhost", "{ agent_type: codex-cli }, { agent_type: demo }");
    scene_until(is_ready, "ready");
    snprintf(host()->hello.path, sizeof host()->hello.path, "/usr/bin:/opt/x");
    snprintf(host()->hello.shell, sizeof host()->hello.shell, "zsh");
    host_missing(host(), "codex-cli", &text);
    ck_assert_str_eq(buf_text(&text), "codex was not found in the PATH of the account's login "
                                      "shell (zsh): /usr/bin:/opt/x");
    buf_release(&text);
}
END_TEST

START_TEST(test_a_missing_agent_is_told)
{
    scene_run.agent = false;
    scene_until(is_ready, "ready all the same");
    ck_assert_str_eq(sql("host_report")->last[6], "{\"(\\\"demo\\\",\\\"f\\\",)\"}");
}
END_TEST

START_TEST(test_differences_are_heard_once)
{
    sql("host_report")->rows = "verdict=ok;differs=worker w2 has another agents;told=<null>";
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
    tcase_add_test(tcase, test_a_channel_of_the_way_before);
    tcase_add_test(tcase, test_a_report_of_the_way_before);
    tcase_add_test(tcase, test_a_cut_channel_is_opened_again);
    tcase_add_test(tcase, test_a_channel_that_does_not_last);
    tcase_add_test(tcase, test_a_failed_try_after_a_cut_is_told);
    tcase_add_test(tcase, test_a_stale_report_is_made_again);
    tcase_add_test(tcase, test_another_change_keeps_the_way);
    tcase_add_test(tcase, test_trouble_is_told_whole_with_its_word);
    tcase_add_test(tcase, test_agents_are_looked_for);
    tcase_add_test(tcase, test_a_program_is_asked_once);
    tcase_add_test(tcase, test_a_silent_program_is_asked_again);
    tcase_add_test(tcase, test_where_a_command_was_looked_for);
    tcase_add_test(tcase, test_a_missing_agent_is_told);
    tcase_add_test(tcase, test_differences_are_heard_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
