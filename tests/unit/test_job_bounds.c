/* How often, how late and how much: pauses, leases, repeated stops, bytes that may not be trusted,
 * and the order of appends. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define SECOND                                                                               \
    "|attempt=12;task_id=t-2;number=1;epoch=1;nonce=00112233445566778899aabbccddeeff;"       \
    "phase=claimed;proven=f;run=<null>;host_id=h1;agent_type=demo;title=T;body=B;labels={};" \
    "requirements={x};repo=<null>;issue_number=<null>;branch_name=<null>;timeout_secs=60;"   \
    "prompt=<null>;command=<null>;stdout_bytes=0;stderr_bytes=0;checkpoint=<null>;cancel=f;" \
    "adopted_from=<null>;adopted_silence_ms=<null>"

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("poll")->calls > 0;
}

static void run(void)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
}

static bool gone(void)
{
    return scene_job() == NULL;
}

static bool stopped_on_host(void)
{
    return call("stop")->calls > 0;
}

static bool stopped_twice(void)
{
    return call("stop")->calls == 2;
}

static int64_t pause_until;

static bool pause_is_over(void)
{
    return clock_ms() >= pause_until;
}

static void pass(int ms)
{
    pause_until = clock_ms() + ms;
    scene_until(pause_is_over, "time");
}

static void let_go(const char *name)
{
    sql(name)->held = false;
    timer_start(&scene.pump, 1, 0);
}

/* --- Leases and pauses --- */

static bool told_stopping(void)
{
    return strcmp(sql("phase")->last[3], "stopping") == 0;
}

START_TEST(test_no_stop_without_a_lease)
{
    run();
    sql("renew")->state = "08006";
    pass(100);
    scene.dispatch->renewed = clock_ms() - scene.dispatch->lease_ms - 1;
    job_cancel(scene_job());
    scene_until(told_stopping, "stopping, as a word");
    pass(300);
    ck_assert_int_eq(call("stop")->calls, 0);
    sql("renew")->state = NULL;
    scene_until(stopped_on_host, "stop under a good lease");
}
END_TEST

static int64_t sent;

static bool is_renewing(void)
{
    return scene.dispatch->renewing;
}

static bool is_renewed(void)
{
    return scene.dispatch->renewed >= sent;
}

START_TEST(test_a_lease_counts_from_its_sending)
{
    run();
    sql("renew")->held = true;
    scene_until(is_renewing, "a renew in flight");
    sent = scene.dispatch->renew_sent;
    pass(200);
    let_go("renew");
    scene_until(is_renewed, "renewed");
    ck_assert_int_eq(scene.dispatch->renewed, sent);
}
END_TEST

START_TEST(test_pauses_double_up_to_a_bound)
{
    run();
    for (int ms = 250; ms < 15000; ms *= 2) {
        job_again(scene_job(), "test", "told to");
        ck_assert_int_eq(scene_job()->retry_ms, ms);
        ck_assert_int_ge(scene_job()->retry_at, clock_ms() + ms / 2 - 50);
    }
    for (int i = 0; i < 3; i++)
        job_again(scene_job(), "test", "told to");
    ck_assert_int_eq(scene_job()->retry_ms, 15000);
    ck_assert_int_le(scene_job()->retry_at, clock_ms() + 15000);
}
END_TEST

START_TEST(test_a_stop_without_effect_is_sent_again)
{
    run();
    job_cancel(scene_job());
    scene_until(stopped_on_host, "stop");
    pass(300);
    ck_assert_int_eq(call("stop")->calls, 1);
    scene_job()->stop_sent -= DISPATCH_STOP_AGAIN_MS;
    scene_until(stopped_twice, "stop again");
}
END_TEST

static bool has_claimed(void)
{
    return sql("claim")->calls > 0;
}

START_TEST(test_a_claim_that_failed_is_not_repeated_at_once)
{
    sql("claim")->state = "08006";
    scene_until(has_claimed, "claim");
    dispatch_notify(scene.dispatch);
    pass(350); /* the shortest pause is half a second */
    ck_assert_int_eq(sql("claim")->calls, 1);
}
END_TEST

START_TEST(test_void_that_came_too_late)
{
    call("start")->answer = "refused reason=host_disk_full\n";
    call("void")->answer = "started\n" SCENE_LIVE "\n";
    run();
    ck_assert_int_eq(sql("void_confirmed")->calls, 0);
    ck_assert_int_eq(call("raise")->calls, 1);
}
END_TEST

static bool finish_hangs(void)
{
    return sql("finish")->calls > 0;
}

START_TEST(test_gone_while_its_end_is_on_its_way)
{
    run();
    sql("finish")->held = true;
    scene_ends(0, "exit");
    scene_until(finish_hangs, "finish");
    sql("renew")->rows = "kind=gone;attempt=11;epoch=<null>;node=<null>;beat=<null>";
    pass(300);
    ck_assert_ptr_nonnull(scene_job());
    let_go("finish");
    scene_until(gone, "gone");
    ck_assert_int_eq(sql("finish")->calls, 1);
}
END_TEST

/* --- Bytes --- */

static void expect_tampered(void)
{
    scene_until(stopped_on_host, "stop");
    ck_assert_str_eq(scene_job()->stop_reason, "output_tampered");
}

/* The parser of an adopter stands before what is stored: what it asks for is there. */
START_TEST(test_file_shorter_than_what_is_stored)
{
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_prints("0123456789");
    scene_once("adopt", SCENE_JOB("running;proven=t", "2", "t-1-x.1", "60", "<null>", "f"));
    expect_tampered();
}
END_TEST

START_TEST(test_file_over_its_cap)
{
    run();
    struct config *config = (struct config *)dispatch_config(scene.dispatch);
    config->orchestrator.max_output_bytes = 4 - (1 << 20); /* the slack takes the rest */
    scene_prints("12345678");
    expect_tampered();
}
END_TEST

static bool is_ending(void)
{
    return scene_job()->state == JOB_ENDING;
}

START_TEST(test_promised_bytes_that_never_come)
{
    run();
    scene_run.chunk = 0;
    scene_prints("never shown\n");
    scene_ends(0, "exit");
    scene_until(is_ending, "ending");
    pass(500);
    ck_assert_int_eq(sql("finish")->calls, 0);
    scene_job()->quiet_ms = 60001;
    scene_until(gone, "finish");
    ck_assert_str_eq(sql("finish")->last[4], "output_tampered");
}
END_TEST

static bool was_polled(void)
{
    return clock_ms() - scene_job()->polled < 5000;
}

START_TEST(test_a_machine_that_slept_is_no_silence)
{
    run();
    scene_job()->polled = clock_ms() - 10 * 3600 * (int64_t)1000;
    scene_until(was_polled, "a poll after the sleep");
    ck_assert_int_le(scene_job()->quiet_ms, 70000);
}
END_TEST

static bool stored_five(void)
{
    return scene.stored_len[0] == 5 && scene_job()->out.pending.len == 0;
}

START_TEST(test_bytes_begin_where_they_were_asked_for)
{
    run();
    scene_prints("hell\n");
    scene_until(stored_five, "stored");
    struct runner_record record = {
        .state = RUNNER_RUNNING, .out_size = 11, .out = "hell\n world", .out_len = 11, .exit = -1};
    scene_job()->asked_out = 0; /* by a poll that left before that was read */
    job_on_record(scene_job(), &record);
    ck_assert_uint_eq(scene_job()->out.pending.len, 6);
    ck_assert_mem_eq(scene_job()->out.pending.data, " world", 6);
}
END_TEST

/* --- Appends --- */

static bool append_hangs(void)
{
    return sql("append")->calls > 0;
}

static bool both_stored(void)
{
    return scene.stored_len[0] == scene_run.out_len && scene.stored_len[1] == scene_run.err_len;
}

START_TEST(test_busy_is_sent_again_after_a_rest)
{
    sql("append")->rows = "ord=1;verdict=busy;next_offset=0";
    sql("append")->times = 1;
    run();
    scene_prints("x\n");
    scene_until(append_hangs, "append");
    pass(300);
    ck_assert_int_eq(sql("append")->calls, 1);
    scene_until(both_stored, "stored");
}
END_TEST

START_TEST(test_fenced_while_finishing)
{
    sql("append")->rows = "ord=1;verdict=fenced;next_offset=<null>";
    sql("append")->held = true;
    run();
    scene_prints("x\n");
    scene_until(append_hangs, "append");
    sql("finish")->held = true;
    job_finish(scene_job(), "succeeded", NULL);
    let_go("append");
    pass(200);
    ck_assert_ptr_nonnull(scene_job()); /* its end is on its way, and was what fenced it */
    let_go("finish");
    scene_until(gone, "finished");
}
END_TEST

START_TEST(test_one_bad_chunk_of_a_batch)
{
    sql("append")->state = "22P05";
    sql("append")->times = 1;
    run();
    memcpy(scene_run.err, "e\n", 2);
    scene_run.err_len = 2;
    scene_prints("x\n");
    scene_until(append_hangs, "append");
    ck_assert_str_eq(sql("append")->last[1], "{11,11}");
    scene_until(both_stored, "stored");
    ck_assert_int_eq(sql("append")->calls, 3);
    ck_assert_str_eq(sql("append")->last[1], "{11}");
}
END_TEST

static bool have_two(void)
{
    return scene_job() != NULL && dispatch_job(scene.dispatch, 12) != NULL;
}

START_TEST(test_whoever_was_served_goes_to_the_end)
{
    sql("starting")->held = true;
    sql("append")->held = true;
    scene_once("claim", CLAIMED SECOND);
    scene_until(have_two, "two jobs");
    struct job *first = list_entry(scene.dispatch->jobs.next, struct job, link);
    struct job *other = first == scene_job() ? dispatch_job(scene.dispatch, 12) : scene_job();
    buf_adds(&first->out.pending, "a\n");
    buf_adds(&other->out.pending, "b\n");
    scene.dispatch->output.one_by_one = 1;
    output_flush(&scene.dispatch->output);
    ck_assert_ptr_eq(scene.dispatch->jobs.next, &other->link);
    ck_assert_ptr_eq(scene.dispatch->jobs.prev, &first->link);
    buf_clear(&first->out.pending);
    buf_clear(&other->out.pending);
    job_drop(other, "the test is over");
    job_drop(first, "the test is over");
    let_go("append");
    let_go("starting");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_bounds");
    TCase *tcase = tcase_create("job_bounds");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_no_stop_without_a_lease);
    tcase_add_test(tcase, test_a_lease_counts_from_its_sending);
    tcase_add_test(tcase, test_pauses_double_up_to_a_bound);
    tcase_add_test(tcase, test_a_stop_without_effect_is_sent_again);
    tcase_add_test(tcase, test_a_claim_that_failed_is_not_repeated_at_once);
    tcase_add_test(tcase, test_void_that_came_too_late);
    tcase_add_test(tcase, test_gone_while_its_end_is_on_its_way);
    tcase_add_test(tcase, test_file_shorter_than_what_is_stored);
    tcase_add_test(tcase, test_file_over_its_cap);
    tcase_add_test(tcase, test_promised_bytes_that_never_come);
    tcase_add_test(tcase, test_a_machine_that_slept_is_no_silence);
    tcase_add_test(tcase, test_bytes_begin_where_they_were_asked_for);
    tcase_add_test(tcase, test_busy_is_sent_again_after_a_rest);
    tcase_add_test(tcase, test_fenced_while_finishing);
    tcase_add_test(tcase, test_one_bad_chunk_of_a_batch);
    tcase_add_test(tcase, test_whoever_was_served_goes_to_the_end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
