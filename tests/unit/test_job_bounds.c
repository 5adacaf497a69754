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
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
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
    scene.dispatch->node.renewed = clock_ms() - scene.dispatch->node.lease_ms - 1;
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
    return scene.dispatch->node.renewed >= sent;
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
    ck_assert_int_eq(scene.dispatch->node.renewed, sent);
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
    scene_job()->stop_sent -= JOB_STOP_AGAIN_MS;
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
    call("start")->answer = "refused host_disk_full";
    call("void")->answer = "started";
    run();
    ck_assert_int_eq(sql("void_confirmed")->calls, 0);
    ck_assert_int_eq(call("raise")->calls, 1);
}
END_TEST

static bool finish_hangs(void)
{
    return sql("turn")->calls > 0;
}

START_TEST(test_gone_while_its_end_is_on_its_way)
{
    run();
    sql("turn")->held = true;
    scene_ends(0, "exit");
    scene_until(finish_hangs, "turn");
    sql("renew")->rows = "kind=gone;attempt=11;epoch=<null>;node=<null>;beat=<null>";
    pass(300);
    ck_assert_ptr_nonnull(scene_job());
    let_go("turn");
    scene_until(gone, "gone");
    ck_assert_int_eq(sql("turn")->calls, 1);
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
    struct config *config = (struct config *)node_settings(&scene.dispatch->node);
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
    ck_assert_int_eq(sql("turn")->calls, 0);
    scene_job()->quiet_ms = 60001;
    scene_until(gone, "turn");
    ck_assert_str_eq(sql("turn")->last[4], "output_tampered");
}
END_TEST

static bool was_looked_at(void)
{
    return scene_job()->looked > 0 && clock_ms() - scene_job()->looked < 5000;
}

START_TEST(test_a_machine_that_slept_is_no_silence)
{
    run();
    scene_until(was_looked_at, "a first look");
    scene_job()->looked = clock_ms() - 10 * 3600 * (int64_t)1000;
    scene_until(was_looked_at, "a look after the sleep");
    ck_assert_int_ge(scene_job()->quiet_ms, 60000);
    ck_assert_int_le(scene_job()->quiet_ms, 70000);
}
END_TEST

static bool stored_all(void)
{
    return scene.stored_len[0] == scene_run.out_len && scene_job()->out.pending.len == 0;
}

/* Rows were lost in the database: the host is asked from there. */
START_TEST(test_output_that_has_to_come_again)
{
    run();
    int watches = call("watch")->calls;
    sql("append")->rows = "ord=1;verdict=gap;next_offset=0";
    sql("append")->times = 1;
    scene_prints("hello world\n");
    scene_until(stored_all, "stored");
    ck_assert_int_eq(call("watch")->calls, watches + 1);
    scene_is_stored("hello world\n");
}
END_TEST

static bool taken_all_granted(void)
{
    return scene_job()->out.pending.len + scene_job()->err.pending.len == scene_run.out_len;
}

/* What the database does not take grants no more. */
START_TEST(test_credit_comes_with_what_is_stored)
{
    run();
    sql("append")->held = true;
    while (scene_run.out_len < sizeof scene_run.out - 8)
        scene_prints("1234567\n");
    int64_t granted = scene_run.granted;
    scene_until(taken_all_granted, "taken");
    ck_assert_int_eq(scene_run.granted, granted);
    ck_assert_int_eq((int64_t)JOB_CREDIT, granted);
    ck_assert_uint_eq(scene_job()->credit, JOB_CREDIT - scene_run.out_len);
    scene_job()->credit = 100; /* as if there had been more */
    let_go("append");
    scene_until(stored_all, "stored");
    ck_assert_uint_eq(scene_job()->credit, JOB_CREDIT);
}
END_TEST

/* Without credit it is us who are silent. */
START_TEST(test_no_credit_is_no_silence)
{
    run();
    scene_until(was_looked_at, "a first look");
    scene_job()->credit = 0;
    scene_job()->looked = clock_ms() - 30000;
    job_step(scene_job());
    ck_assert_int_lt(scene_job()->quiet_ms, 20000);
    scene_job()->credit = 1;
    scene_job()->looked = clock_ms() - 30000;
    job_step(scene_job());
    ck_assert_int_ge(scene_job()->quiet_ms, 30000);
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
    sql("turn")->held = true;
    job_finish(scene_job(), "succeeded", NULL);
    let_go("append");
    pass(200);
    ck_assert_ptr_nonnull(scene_job()); /* its end is on its way, and was what fenced it */
    let_go("turn");
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
    return scene_job() != NULL && jobs_find(&scene.dispatch->jobs, 12) != NULL;
}

START_TEST(test_whoever_was_served_goes_to_the_end)
{
    sql("starting_runs")->held = true;
    sql("append")->held = true;
    scene_once("claim", CLAIMED SECOND);
    scene_until(have_two, "two jobs");
    struct job *first = list_entry(scene.dispatch->jobs.list.next, struct job, link);
    struct job *other = first == scene_job() ? jobs_find(&scene.dispatch->jobs, 12) : scene_job();
    buf_adds(&first->out.pending, "a\n");
    buf_adds(&other->out.pending, "b\n");
    struct output *output = &scene.dispatch->jobs.output;
    output_soon(output, first);
    output_soon(output, other);
    output->one_by_one = 1;
    output_flush(output);
    ck_assert_ptr_eq(output->jobs.next, &other->to_store);
    ck_assert_ptr_eq(output->jobs.prev, &first->to_store);
    buf_clear(&first->out.pending);
    buf_clear(&other->out.pending);
    job_drop(other, "the test is over");
    job_drop(first, "the test is over");
    let_go("append");
    let_go("starting_runs");
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
    tcase_add_test(tcase, test_output_that_has_to_come_again);
    tcase_add_test(tcase, test_credit_comes_with_what_is_stored);
    tcase_add_test(tcase, test_no_credit_is_no_silence);
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
