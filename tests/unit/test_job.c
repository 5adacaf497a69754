/* The way of one attempt, hop by hop, with every answer that a host may give. */
#include <time.h>

#include "common/crypto.h"
#include "tests/unit/worker_scene.h"

#define DONE                                                                                   \
    "{\"type\":\"thread.started\",\"thread_id\":\"th\"}\n"                                     \
    "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"Done.\"}}\n" \
    "{\"type\":\"turn.completed\"}\n"
#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")

static bool finished(void)
{
    return sql("turn")->calls > 0;
}

static bool released(void)
{
    return sql("release")->calls > 0;
}

static bool voided(void)
{
    return sql("void_confirmed")->calls > 0;
}

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

static bool is_dropped(void)
{
    return (sql("claim")->calls + sql("adopt")->calls + sql("jobs")->calls) > 0 &&
           call("hello")->calls > 0 && sql("starting_runs")->calls + call("raise")->calls > 0 &&
           scene_job() == NULL;
}

static bool gone(void)
{
    return scene_job() == NULL;
}

static bool stopped_on_host(void)
{
    return call("stop")->calls > 0;
}

static bool told_stopping(void)
{
    return strcmp(sql("phase")->last[3], "stopping") == 0;
}

static void expect_finish(const char *outcome, const char *reason)
{
    scene_until(finished, "finish");
    ck_assert_str_eq(sql("turn")->last[3], outcome);
    ck_assert_str_eq(sql("turn")->last[4], reason);
    scene_until(gone, "gone after finish");
}

START_TEST(test_success)
{
    scene_once("claim", CLAIMED);
    scene_prints(DONE);
    scene_run.chunk = 7; /* through many polls */
    scene_until(is_running, "running");
    ck_assert_int_eq(call("start")->calls, 1);
    ck_assert_str_eq(sql("starting_runs")->last[1], "11");
    ck_assert_ptr_nonnull(strstr(sql("starting_runs")->last[4], "exec 'demo' 't-1'"));
    ck_assert_ptr_nonnull(strstr(sql("starting_runs")->last[5], "# Task text"));
    scene_run.chunk = 4096;
    scene_ends(0, "exit");
    expect_finish("succeeded", "<null>");
    ck_assert_str_eq(sql("turn")->last[5], "0");
    ck_assert_str_eq(reported("session_id"), "th");
    ck_assert_str_eq(reported("summary"), "Done.");
    scene_is_stored(DONE);
}
END_TEST

START_TEST(test_fails_by_exit)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_ends(3, "exit");
    expect_finish("failed", "exit_nonzero");
    ck_assert_str_eq(sql("turn")->last[5], "3");
}
END_TEST

START_TEST(test_missing_command_says_where_it_was_looked_for)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_ends(127, "exit");
    expect_finish("failed", "adapter_missing");
    ck_assert_ptr_nonnull(strstr(reported("error"), "was not found"));
}
END_TEST

START_TEST(test_limit_that_ends)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    ck_assert_str_eq(sql("turn")->last[8], "");
    scene_prints("{\"type\":\"turn.failed\",\"error\":{\"message\":\"You've hit your usage limit. "
                 "Try again in 2 hours 30 minutes.\"}}\n");
    scene_ends(1, "exit");
    expect_finish("failed", "provider_quota");
    int64_t wait = strtoll(sql("turn")->last[8], NULL, 10) - (int64_t)time(NULL);
    ck_assert_int_ge(wait, 9000 - 60);
    ck_assert_int_le(wait, 9000);
}
END_TEST

/* A time of day is that of the host's clock, which is two hours ahead of UTC here. */
START_TEST(test_limit_by_the_clock_of_the_host)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    time_t there = time(NULL) + 5 * 3600; /* in three hours */
    struct tm tm;
    char clock[32];
    strftime(clock, sizeof clock, "%I:%M %p", gmtime_r(&there, &tm));
    char *text =
        mem_printf("{\"type\":\"turn.failed\",\"error\":{\"message\":\"You've hit your usage "
                   "limit, try again at %s.\"}}\n",
                   clock);
    scene_prints(text);
    free(text);
    scene_ends(1, "exit");
    expect_finish("failed", "provider_quota");
    int64_t wait = strtoll(sql("turn")->last[8], NULL, 10) - (int64_t)time(NULL);
    ck_assert_int_gt(wait, 3 * 3600 - 120);
    ck_assert_int_le(wait, 3 * 3600);
}
END_TEST

/* Sent by nobody here: by a person, the OOM killer, a terminal that went away. */
static const struct {
    int status;
    const char *number, *error;
} signals[] = {{129, "1", "ended by SIGHUP"},
               {130, "2", "ended by SIGINT"},
               {134, "6", "ended by SIGABRT"},
               {137, "9", "ended by SIGKILL"},
               {143, "15", "ended by SIGTERM"}};

START_TEST(test_killed_by_a_signal)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_ends(signals[_i].status, "exit");
    expect_finish("failed", "killed");
    ck_assert_str_eq(sql("turn")->last[6], signals[_i].number);
    ck_assert_str_eq(reported("error"), signals[_i].error);
}
END_TEST

START_TEST(test_host_reasons)
{
    static const char *const cases[][3] = {
        {"timed_out", "timed_out", "timed_out"},
        {"output_limit", "failed", "output_limit"},
        {"host_disk_full", "failed", "host_disk_full"},
        {"output_failed", "failed", "output_failed"},
        {"cancelled", "cancelled", "cancelled"},
        {"silence_timeout", "timed_out", "silence_timeout"},
        {"run_lost", "lost", "run_lost"},
        {"provider_down", "failed", "provider_down"},
        {"auth_failed", "failed", "auth_failed"},
        {"rate_limited", "failed", "rate_limited"},
        {"surprise", "failed", "status_invalid"},
    };
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_ends(143, cases[_i][0]);
    expect_finish(cases[_i][1], cases[_i][2]);
}
END_TEST

START_TEST(test_lost)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_prints("half");
    scene_run.state = RUNNER_LOST;
    expect_finish("lost", "run_lost");
    scene_is_stored("half"); /* what it said is kept */
    ck_assert_str_eq(sql("turn")->last[5], "<null>");
}
END_TEST

START_TEST(test_rebooted)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_run.boot = "boot-0";
    scene_run.state = RUNNER_LOST;
    expect_finish("lost", "host_rebooted");
}
END_TEST

static bool has_stored_five(void)
{
    return scene.stored_len[0] == 5;
}

START_TEST(test_shrunken_output)
{
    scene_once("claim", CLAIMED);
    scene_prints("1234\n");
    scene_until(has_stored_five, "stored");
    scene_run.out_len = 2;
    scene_until(stopped_on_host, "stop");
    scene_ends(0, "output_tampered");
    expect_finish("failed", "output_tampered");
}
END_TEST

START_TEST(test_cancel_of_a_claim)
{
    scene_once("claim", SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "t"));
    scene_until(released, "release");
    ck_assert_str_eq(sql("release")->last[3], "cancelled");
    ck_assert_int_eq(call("start")->calls, 0);
}
END_TEST

START_TEST(test_cancel_found_by_starting)
{
    scene_once("claim", CLAIMED);
    sql("starting_runs")->rows = "verdict=cancel;run=<null>;command=<null>;prompt=<null>";
    scene_until(released, "release");
    ck_assert_int_eq(call("start")->calls, 0);
}
END_TEST

START_TEST(test_cancel_of_a_run)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    sql("renew")->rows = "kind=cancel;attempt=11;epoch=1;node=<null>;beat=<null>";
    scene_until(stopped_on_host, "stop");
    scene_until(told_stopping, "told");
    scene_ends(130, "cancelled");
    expect_finish("cancelled", "cancelled");
}
END_TEST

START_TEST(test_refused_start_is_voided)
{
    call("start")->answer = "refused host_disk_full";
    scene_once("claim", CLAIMED);
    scene_until(voided, "void_confirmed");
    ck_assert_int_eq(call("void")->calls, 1);
    ck_assert_str_eq(sql("void_confirmed")->last[3], "host_disk_full");
}
END_TEST

START_TEST(test_foreign_directory)
{
    call("start")->answer = "refused nonce";
    scene_once("claim", CLAIMED);
    expect_finish("failed", "start_refused");
    ck_assert_int_eq(call("watch")->calls, 0);
}
END_TEST

START_TEST(test_tombstone_found_by_start)
{
    call("start")->answer = "voided";
    scene_once("claim", CLAIMED);
    scene_until(voided, "void_confirmed");
}
END_TEST

START_TEST(test_fenced_on_the_host)
{
    call("start")->answer = "fenced 2";
    scene_once("claim", CLAIMED);
    scene_until(is_dropped, "dropped");
    ck_assert(!finished() && !released() && !voided());
}
END_TEST

START_TEST(test_fenced_in_sql)
{
    sql("starting_runs")->state = "AF002";
    scene_once("claim", CLAIMED);
    scene_until(is_dropped, "dropped");
    ck_assert_int_eq(call("start")->calls, 0);
    ck_assert(!finished() && !released() && !voided());
}
END_TEST

START_TEST(test_cut_start_is_repeated)
{
    call("start")->answer = NULL; /* the connection broke: it may have been carried out */
    scene_once("claim", CLAIMED);
    while (call("start")->calls < 1 || scene_job()->busy)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert(scene_run.first);
    call("start")->answer = "exists";
    scene_until(is_running, "running");
    ck_assert(!scene_run.first); /* so that the host looks for what may live already */
    scene_prints(DONE);
    scene_ends(0, "exit");
    expect_finish("succeeded", "<null>");
}
END_TEST

/* --- Adopted --- */

static void adopt(const char *row)
{
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_once("adopt", row);
}

START_TEST(test_adopted_run_goes_on)
{
    memcpy(scene.stored[0], DONE, 60);
    scene.stored_len[0] = 60;
    scene_prints(DONE);
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "60", "<null>", "f"));
    scene_until(is_running, "running");
    ck_assert_int_eq(call("raise")->calls, 1);
    ck_assert_int_eq((int)scene_run.key.epoch, 2);
    ck_assert_int_eq(call("start")->calls, 0);
    ck_assert_int_eq(sql("started_runs")->calls, 0);
    scene_ends(0, "exit");
    expect_finish("succeeded", "<null>");
    scene_is_stored(DONE); /* once, byte for byte, though parsed from the beginning */
}
END_TEST

START_TEST(test_adopted_start_is_sent_again)
{
    scene_run.state = RUNNER_ABSENT;
    adopt(SCENE_JOB("starting;proven=f", "2", "t-1-x.1", "0", "<null>", "f"));
    while (call("raise")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    while (call("start")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql("starting_runs")->calls, 0); /* the stored command wins */
    ck_assert(!scene_run.first);
    scene_run.state = RUNNER_RUNNING;
    scene_until(is_running, "running");
    ck_assert_int_eq(sql("started_runs")->calls, 1);
}
END_TEST

START_TEST(test_adopted_start_was_carried_out)
{
    adopt(SCENE_JOB("starting;proven=f", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(is_running, "running");
    ck_assert_int_eq(call("start")->calls, 0);
    ck_assert_int_eq(sql("started_runs")->calls, 1);
}
END_TEST

static bool told_unreachable(void)
{
    return strcmp(sql("phase")->last[3], "unreachable") == 0;
}

/* Nothing of it lives, on the machine that started it: its slot is free. */
START_TEST(test_vanished_run)
{
    scene_run.state = RUNNER_ABSENT;
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    expect_finish("lost", "rundir_missing");
    ck_assert_str_eq(sql("turn")->last[9], "supervisor_gone no_mark");
    ck_assert_int_eq(call("start")->calls, 0);
}
END_TEST

START_TEST(test_vanished_run_is_no_proof_elsewhere)
{
    scene_run.state = RUNNER_ABSENT;
    scene_run.machine = "m2";
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(told_unreachable, "unreachable");
    ck_assert_str_eq(sql("phase")->last[4], "rundir_missing");
    ck_assert_int_eq(call("start")->calls, 0);
    ck_assert(!finished());
}
END_TEST

static bool knows_supervisor(void)
{
    const struct runner_key *key = &scene_run.key;
    return key->pid == 7 && strcmp(key->start, "9") == 0 && strcmp(key->boot, SCENE_BOOT) == 0;
}

/* What started() stored is not the agent's to forge: it goes with every call. */
START_TEST(test_the_supervisor_that_the_database_knows)
{
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    while (call("raise")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert(knows_supervisor());
}
END_TEST

START_TEST(test_the_supervisor_that_we_started)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    ck_assert(knows_supervisor());
}
END_TEST

/* --- Tampering --- */

START_TEST(test_tampered_run_is_stopped_then_judged)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_run.state = RUNNER_TAMPERED;
    scene_until(stopped_on_host, "stop");
    ck_assert_str_eq(scene_run.stop_reason, "run_tampered");
    ck_assert(!finished());
    scene_ends(0, "exit"); /* whatever lies there now */
    expect_finish("failed", "run_tampered");
    ck_assert_str_eq(reported("stopped"), "run_tampered");
}
END_TEST

static bool raised_over(void)
{
    return call("raise")->calls > 0 && scene_run.forged == 4711;
}

/* An epoch that nobody gave: SQL says that we are the owner. */
START_TEST(test_forged_epoch)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    call("stop")->answer = "fenced 4711";
    sql("jobs")->rows = SCENE_JOB("running;proven=t", "1", "t-1-x.1", "0", "<null>", "f");
    sql("renew")->rows = "kind=cancel;attempt=11;epoch=1;node=<null>;beat=<null>";
    scene_until(raised_over, "raise over the forged epoch");
    call("stop")->answer = "stopping";
    while (scene_job()->stop_sent == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    scene_ends(143, "cancelled");
    expect_finish("cancelled", "cancelled");
}
END_TEST

START_TEST(test_forged_epoch_met_by_a_raise)
{
    call("raise")->answer = "fenced 4711";
    sql("jobs")->rows = SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f");
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(raised_over, "raise over the forged epoch");
    call("raise")->answer = "state";
    scene_until(stopped_on_host, "stop");
    ck_assert_str_eq(scene_run.stop_reason, "run_tampered");
    scene_run.state = RUNNER_LOST;
    expect_finish("failed", "run_tampered");
}
END_TEST

START_TEST(test_later_epoch_of_a_later_owner)
{
    call("raise")->answer = "fenced 3";
    sql("jobs")->rows = SCENE_JOB("running;proven=t", "3", "t-1-x.1", "0", "<null>", "f");
    adopt(SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    while (sql("jobs")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    scene_until(is_dropped, "dropped");
    ck_assert_int_eq(call("stop")->calls, 0);
}
END_TEST

START_TEST(test_adopted_tombstone)
{
    scene_run.state = RUNNER_VOID;
    adopt(SCENE_JOB("starting;proven=f", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(voided, "void_confirmed");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job");
    TCase *tcase = tcase_create("job");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_success);
    tcase_add_test(tcase, test_fails_by_exit);
    tcase_add_test(tcase, test_missing_command_says_where_it_was_looked_for);
    tcase_add_test(tcase, test_limit_that_ends);
    tcase_add_test(tcase, test_limit_by_the_clock_of_the_host);
    tcase_add_loop_test(tcase, test_killed_by_a_signal, 0, 5);
    tcase_add_loop_test(tcase, test_host_reasons, 0, 10);
    tcase_add_test(tcase, test_lost);
    tcase_add_test(tcase, test_rebooted);
    tcase_add_test(tcase, test_shrunken_output);
    tcase_add_test(tcase, test_cancel_of_a_claim);
    tcase_add_test(tcase, test_cancel_found_by_starting);
    tcase_add_test(tcase, test_cancel_of_a_run);
    tcase_add_test(tcase, test_refused_start_is_voided);
    tcase_add_test(tcase, test_foreign_directory);
    tcase_add_test(tcase, test_tombstone_found_by_start);
    tcase_add_test(tcase, test_fenced_on_the_host);
    tcase_add_test(tcase, test_fenced_in_sql);
    tcase_add_test(tcase, test_cut_start_is_repeated);
    tcase_add_test(tcase, test_adopted_run_goes_on);
    tcase_add_test(tcase, test_adopted_start_is_sent_again);
    tcase_add_test(tcase, test_adopted_start_was_carried_out);
    tcase_add_test(tcase, test_vanished_run);
    tcase_add_test(tcase, test_vanished_run_is_no_proof_elsewhere);
    tcase_add_test(tcase, test_the_supervisor_that_the_database_knows);
    tcase_add_test(tcase, test_the_supervisor_that_we_started);
    tcase_add_test(tcase, test_tampered_run_is_stopped_then_judged);
    tcase_add_test(tcase, test_forged_epoch);
    tcase_add_test(tcase, test_forged_epoch_met_by_a_raise);
    tcase_add_test(tcase, test_later_epoch_of_a_later_owner);
    tcase_add_test(tcase, test_adopted_tombstone);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
