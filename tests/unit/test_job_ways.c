/* Every state of a job has its way on: whatever the database refuses for good, whatever the host
 * does not say. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define DONE "{\"type\":\"thread.started\",\"thread_id\":\"th\"}\n{\"type\":\"turn.completed\"}\n"
#define FOR_GOOD "22P05" /* untranslatable_character */

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

static bool gone(void)
{
    return scene_job() == NULL;
}

static bool released(void)
{
    return sql("release")->calls > 0;
}

static bool voided(void)
{
    return sql("void_confirmed")->calls > 0;
}

static bool told(const char *phase, const char *reason)
{
    return strcmp(sql("phase")->last[3], phase) == 0 && strcmp(sql("phase")->last[4], reason) == 0;
}

static bool told_away(void)
{
    return told("unreachable", "the host is away");
}

static bool told_no_answer(void)
{
    return told("unreachable", JOB_NO_ANSWER);
}

static bool told_running(void)
{
    return told("running", "<null>");
}

static bool stopped_on_host(void)
{
    return call("stop")->calls > 0;
}

static void until_called(const char *name)
{
    while (call(name)->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
}

static void wish_cancel(void)
{
    sql("renew")->rows = "kind=cancel;attempt=11;epoch=1;node=<null>;beat=<null>";
}

static void adopt(const char *row)
{
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_once("adopt", row);
}

/* --- A start that nobody has proof of --- */

START_TEST(test_a_start_that_may_have_come_is_out_of_reach)
{
    const char *hello = call("hello")->answer;
    call("start")->answer = NULL;
    scene_once("claim", CLAIMED);
    until_called("start");
    call("hello")->answer = NULL;
    scene_until(told_away, "unreachable");
    ck_assert_int_eq(sql("release")->calls, 0);
    ck_assert(!scene_job()->proven);
    call("hello")->answer = hello;
    call("start")->answer = "exists";
    scene_until(told_running, "in reach again");
    scene_until(is_running, "running");
    ck_assert_int_eq(sql("started_runs")->calls, 1);
}
END_TEST

START_TEST(test_a_start_that_never_left_us_is_given_back)
{
    call("start")->answer = NULL;
    call("start")->unsent = true;
    scene_once("claim", CLAIMED);
    until_called("start");
    call("hello")->answer = NULL;
    scene_until(released, "release");
    ck_assert_str_eq(sql("release")->last[3], "host_unreachable");
    ck_assert_int_eq(call("void")->calls, 0);
}
END_TEST

static bool started_twice(void)
{
    return call("start")->calls >= 2;
}

START_TEST(test_one_start_that_may_have_come_is_enough)
{
    call("start")->answer = NULL;
    scene_once("claim", CLAIMED);
    until_called("start");
    while (call("start")->calls < 1 || scene_job()->busy)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    call("start")->unsent = true;
    scene_until(started_twice, "a start that did not leave us");
    call("hello")->answer = NULL;
    scene_until(told_away, "unreachable");
    ck_assert_int_eq(sql("release")->calls, 0);
}
END_TEST

START_TEST(test_adopted_out_of_reach_and_unproven)
{
    scene_run.state = RUNNER_ABSENT;
    adopt(SCENE_JOB("unreachable;proven=f", "2", "t-1-x.1", "0", "<null>", "f"));
    until_called("start");
    ck_assert_int_eq(call("raise")->calls, 1);
    scene_run.state = RUNNER_RUNNING;
    scene_until(is_running, "running");
}
END_TEST

START_TEST(test_release_that_sql_knows_better)
{
    sql("release")->state = "AF001"; /* an owner before us announced a start */
    scene_once("claim", SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "t"));
    while (sql("release")->calls == 0 || scene_job() != NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("renew")->rows = "kind=ours;attempt=11;epoch=1;node=<null>;beat=<null>";
    sql("jobs")->rows = SCENE_JOB("starting;proven=f", "1", "t-1-x.1", "0", "<null>", "t");
    scene_run.state = RUNNER_ABSENT;
    scene_until(voided, "the host is asked");
    ck_assert_int_eq(call("raise")->calls, 1);
}
END_TEST

static bool told_foreign(void)
{
    return told("unreachable", "rundir_foreign");
}

START_TEST(test_tombstone_that_sql_knows_better)
{
    sql("void_confirmed")->state = "AF001"; /* it was seen running */
    call("start")->answer = "voided";
    scene_run.state = RUNNER_FOREIGN;
    scene_run.machine = "m2";
    scene_once("claim", CLAIMED);
    scene_until(told_foreign, "unreachable");
    ck_assert_int_eq(sql("turn")->calls, 0);
}
END_TEST

START_TEST(test_start_refused_by_sql_for_good)
{
    sql("starting_runs")->state = FOR_GOOD;
    scene_once("claim", CLAIMED);
    scene_until(released, "release");
    ck_assert_str_eq(sql("release")->last[3], "start_refused");
    ck_assert_int_eq(sql("starting_runs")->calls, 3);
    ck_assert_int_eq(call("start")->calls, 0);
}
END_TEST

START_TEST(test_attempt_that_ended_meanwhile)
{
    sql("starting_runs")->state = "AF001";
    scene_once("claim", CLAIMED);
    while (sql("starting_runs")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    scene_until(gone, "dropped");
    ck_assert_int_eq(sql("release")->calls, 0);
}
END_TEST

START_TEST(test_what_the_host_says_is_refused)
{
    sql("started_runs")->state = FOR_GOOD;
    sql("started_runs")->times = 3;
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    ck_assert_str_eq(sql("started_runs")->last[4], "<null>");
    ck_assert_str_eq(sql("started_runs")->last[3], "7");
}
END_TEST

/* --- An end that SQL refuses --- */

static void run_to_end(void)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_prints(DONE);
    scene_ends(0, "exit");
}

START_TEST(test_words_refused_at_the_end)
{
    sql("turn")->state = FOR_GOOD;
    sql("turn")->times = 3;
    run_to_end();
    scene_until(gone, "recorded");
    ck_assert_int_eq(sql("turn")->calls, 4);
    ck_assert_str_eq(sql("turn")->last[3], "succeeded");
    ck_assert_str_eq(reported("session_id"), "<null>");
    ck_assert_ptr_nonnull(strstr(reported("error"), "the database refused"));
}
END_TEST

START_TEST(test_an_outage_at_the_end_costs_no_words)
{
    sql("turn")->state = "57014"; /* statement_timeout */
    sql("turn")->times = 4;
    run_to_end();
    scene_until(gone, "recorded");
    ck_assert_int_eq(sql("turn")->calls, 5);
    ck_assert_str_eq(reported("session_id"), "th");
    ck_assert_str_eq(reported("error"), "<null>");
}
END_TEST

START_TEST(test_an_end_that_is_known_otherwise)
{
    static const char *const states[] = {"AF004", "AF003", "AF002"};
    sql("turn")->state = states[_i];
    run_to_end();
    scene_until(gone, "dropped");
    ck_assert_int_eq(sql("turn")->calls, 1);
}
END_TEST

START_TEST(test_a_phase_refused_for_good_holds_up_no_stop)
{
    sql("phase")->state = FOR_GOOD;
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    wish_cancel();
    scene_until(stopped_on_host, "stop");
    scene_ends(130, "cancelled");
    scene_until(gone, "finish");
    ck_assert_str_eq(sql("turn")->last[3], "cancelled");
}
END_TEST

/* --- Output that SQL refuses --- */

START_TEST(test_an_append_that_failed_once_comes_again)
{
    static const char *const states[] = {"XX000", "57014", "08006"};
    sql("append")->state = states[_i];
    sql("append")->times = 1;
    run_to_end();
    scene_until(gone, "finish, though no other run writes");
    ck_assert_str_eq(sql("turn")->last[3], "succeeded");
    scene_is_stored(DONE);
}
END_TEST

static bool append_was_refused(void)
{
    return scene_job()->refused_since > 0;
}

START_TEST(test_output_refused_for_good_holds_up_no_end)
{
    sql("append")->state = FOR_GOOD;
    run_to_end();
    scene_until(append_was_refused, "refused");
    ck_assert_int_eq(sql("turn")->calls, 0);
    scene_job()->refused_since -= 3600 * 1000;
    scene_until(gone, "finish");
    ck_assert_str_eq(sql("turn")->last[3], "succeeded");
    ck_assert_ptr_nonnull(strstr(reported("error"), "could not be stored: SQLSTATE " FOR_GOOD));
}
END_TEST

/* --- A host that answers, but nothing of this run --- */

START_TEST(test_a_watch_that_says_nothing_of_a_run)
{
    scene_run.ignored = true;
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_job()->watched -= 3600 * 1000;
    scene_until(told_no_answer, "out of sight");
    scene_run.ignored = false;
    scene_until(told_running, "in sight again");
}
END_TEST

START_TEST(test_a_host_that_does_not_do_what_it_is_asked)
{
    static const char *const answers[] = {"refused busy", "stopping", "refused host_disk_full"};
    call("raise")->answer = answers[_i];
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(told_no_answer, "out of sight");
    call("raise")->answer = "state";
    scene_until(is_running, "running");
    scene_until(told_running, "in sight again");
}
END_TEST

START_TEST(test_rest_of_the_output_on_a_host_that_is_away)
{
    scene_run.chunk = 10;
    run_to_end();
    while (scene_job()->state != JOB_ENDING)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    call("hello")->answer = NULL;
    scene_until(told_away, "unreachable");
    ck_assert_int_eq(sql("turn")->calls, 0);
}
END_TEST

/* --- The node itself --- */

static bool is_live(void)
{
    return node_live(&scene.dispatch->node);
}

START_TEST(test_buried_before_it_knew_that_it_lives)
{
    sql("node_start")->state = "AF002"; /* the first one committed, and its answer was lost */
    char before[37];
    memcpy(before, scene.dispatch->node.id, sizeof before);
    while (strcmp(before, scene.dispatch->node.id) == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("node_start")->state = NULL;
    scene_until(is_live, "live");
    ck_assert_str_ne(before, scene.dispatch->node.id);
}
END_TEST

static bool has_adopted(void)
{
    return scene_job() != NULL;
}

START_TEST(test_adopts_before_it_reaps)
{
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(has_adopted, "adopted");
    ck_assert_int_eq(sql("reap")->calls, 0);
}
END_TEST

static bool has_reaped(void)
{
    return sql("reap")->calls > 0;
}

START_TEST(test_reaps_when_it_is_time)
{
    scene_until(is_live, "live");
    scene.dispatch->next_reap = clock_ms();
    scene_until(has_reaped, "reap");
}
END_TEST

static TCase *starts(void)
{
    TCase *tcase = tcase_create("start");
    tcase_add_test(tcase, test_a_start_that_may_have_come_is_out_of_reach);
    tcase_add_test(tcase, test_a_start_that_never_left_us_is_given_back);
    tcase_add_test(tcase, test_one_start_that_may_have_come_is_enough);
    tcase_add_test(tcase, test_adopted_out_of_reach_and_unproven);
    tcase_add_test(tcase, test_release_that_sql_knows_better);
    tcase_add_test(tcase, test_tombstone_that_sql_knows_better);
    tcase_add_test(tcase, test_start_refused_by_sql_for_good);
    tcase_add_test(tcase, test_attempt_that_ended_meanwhile);
    tcase_add_test(tcase, test_what_the_host_says_is_refused);
    return tcase;
}

static TCase *ends(void)
{
    TCase *tcase = tcase_create("end");
    tcase_add_test(tcase, test_words_refused_at_the_end);
    tcase_add_test(tcase, test_an_outage_at_the_end_costs_no_words);
    tcase_add_loop_test(tcase, test_an_end_that_is_known_otherwise, 0, 3);
    tcase_add_test(tcase, test_a_phase_refused_for_good_holds_up_no_stop);
    tcase_add_loop_test(tcase, test_an_append_that_failed_once_comes_again, 0, 3);
    tcase_add_test(tcase, test_output_refused_for_good_holds_up_no_end);
    return tcase;
}

static TCase *others(void)
{
    TCase *tcase = tcase_create("other");
    tcase_add_test(tcase, test_a_watch_that_says_nothing_of_a_run);
    tcase_add_loop_test(tcase, test_a_host_that_does_not_do_what_it_is_asked, 0, 3);
    tcase_add_test(tcase, test_rest_of_the_output_on_a_host_that_is_away);
    tcase_add_test(tcase, test_buried_before_it_knew_that_it_lives);
    tcase_add_test(tcase, test_adopts_before_it_reaps);
    tcase_add_test(tcase, test_reaps_when_it_is_time);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("job_ways");
    TCase *cases[] = {starts(), ends(), others()};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tcase_set_timeout(cases[i], 40);
        tcase_add_checked_fixture(cases[i], scene_setup, scene_teardown);
        suite_add_tcase(suite, cases[i]);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
