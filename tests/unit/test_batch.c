/* worker/job/batch: what travels together, and what becomes of one when another fails. */
#include "tests/unit/worker_scene.h"

#define REFUSED "22P05" /* untranslatable_character */
#define HELD "55P03"

static char rows[4 << 20];

/* So many claimed tasks, attempts 21 and up, each with a body of so many bytes. */
static void claim(int count, int body)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(
            rows + len, sizeof rows - len,
            "%sattempt=%d;task_id=t-%d;number=1;epoch=1;nonce=00112233445566778899aabbccddeeff;"
            "phase=claimed;proven=f;run=<null>;host_id=h1;agent_type=demo;title=T;body=%0*d;"
            "labels={};requirements={x};repo=<null>;issue_number=<null>;slug=t%d;branch_name=b;"
            "timeout_secs=60;prompt=<null>;command=<null>;stdout_bytes=0;stderr_bytes=0;"
            "checkpoint=<null>;cancel=f;adopted_from=<null>;adopted_silence_ms=<null>;pid=<null>;"
            "start=<null>;boot=<null>;machine=<null>",
            i > 0 ? "|" : "", 21 + i, 21 + i, body, 7, i);
    scene_once("claim", rows);
}

static struct job *job_of(int attempt)
{
    return jobs_find(&scene.dispatch->jobs, attempt);
}

static struct batch *starting(void)
{
    return &scene.dispatch->jobs.batches[JOB_CALL_STARTING];
}

static void let_go(const char *name)
{
    sql(name)->held = false;
    timer_start(&scene.pump, 1, 0);
}

static bool runs(int attempt)
{
    return job_of(attempt) != NULL && job_of(attempt)->state == JOB_RUNNING;
}

static bool starting_said(void)
{
    return sql("starting_runs")->calls > 0;
}

static bool first_runs(void)
{
    return runs(21);
}

static bool all_run(void)
{
    return runs(21) && runs(22) && runs(23);
}

static bool both_run(void)
{
    return runs(21) && runs(22);
}

static bool neighbours_run(void)
{
    return runs(21) && runs(23);
}

static bool second_gone(void)
{
    return job_of(21) != NULL && job_of(22) == NULL;
}

/* 22 is refused, as one of many or with all of them. */
static void refuse_second(const char *name, const char *state, bool whole)
{
    sql(name)->state = state;
    sql(name)->only = "22";
    sql(name)->whole = whole;
}

/* --- Together --- */

/* Turns of the loop without any waiting: whoever waits for a clock is not through. */
START_TEST(test_a_lone_call_goes_at_once)
{
    claim(1, 1);
    while (job_of(21) == NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    for (int turn = 0; turn < 2; turn++)
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    ck_assert_int_eq(sql("starting_runs")->calls, 1);
}
END_TEST

START_TEST(test_what_is_due_together_is_one_call)
{
    claim(3, 1);
    scene_until(all_run, "all running");
    ck_assert_int_eq(sql("starting_runs")->calls, 1);
    ck_assert_int_eq(sql("starting_runs")->items, 3);
    ck_assert_str_eq(sql("starting_runs")->last[1], "23");
    ck_assert_str_eq(sql("starting_runs")->last[3], "t2.1");
}
END_TEST

START_TEST(test_what_comes_meanwhile_goes_with_the_next)
{
    sql("starting_runs")->held = true;
    claim(1, 1);
    scene_until(starting_said, "starting");
    claim(3, 1);
    dispatch_notify(scene.dispatch);
    while (job_of(23) == NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    for (int turn = 0; turn < 5; turn++)
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    ck_assert_int_eq(sql("starting_runs")->calls, 1);
    let_go("starting_runs");
    scene_until(all_run, "all running");
    ck_assert_int_eq(sql("starting_runs")->calls, 2);
    ck_assert_int_eq(sql("starting_runs")->items, 2);
}
END_TEST

START_TEST(test_so_many_and_no_more)
{
    sql("starting_runs")->held = true;
    claim(BATCH_ITEMS_MAX + 1, 1);
    scene_until(starting_said, "starting");
    ck_assert_int_eq(sql("starting_runs")->items, BATCH_ITEMS_MAX);
    ck_assert(job_of(20 + BATCH_ITEMS_MAX + 1)->busy);
    jobs_drop(&scene.dispatch->jobs, "the test is over");
    let_go("starting_runs");
}
END_TEST

START_TEST(test_so_many_bytes_and_no_more)
{
    sql("starting_runs")->held = true;
    claim(3, 600000);
    scene_until(starting_said, "starting");
    ck_assert_int_eq(sql("starting_runs")->items, 2);
    let_go("starting_runs");
    scene_until(all_run, "all running");
    ck_assert_int_eq(sql("starting_runs")->calls, 2);
    ck_assert_int_eq(sql("starting_runs")->items, 1);
}
END_TEST

/* --- One fails --- */

START_TEST(test_each_has_an_answer_of_its_own)
{
    refuse_second("starting_runs", "AF002", false);
    claim(3, 1);
    scene_until(second_gone, "22 dropped");
    scene_until(neighbours_run, "the others running");
    ck_assert_int_eq(sql("starting_runs")->calls, 1);
}
END_TEST

#define ORD(ord, fault) \
    "ord=" ord ";fault=" fault ";detail=d;verdict=go;run=<null>;command=<null>;prompt=<null>"

static bool third_gone(void)
{
    return runs(21) && job_of(23) == NULL;
}

/* By its place, in any order, the first that comes; whoever is left out asks again. */
START_TEST(test_an_answer_is_found_by_its_place)
{
    sql("starting_runs")->said =
        ORD("3", "AF002") "|" ORD("0", "AF002") "|" ORD("1", "<null>") "|" ORD("1", "AF002");
    claim(3, 1);
    scene_until(third_gone, "21 running, 23 dropped");
    ck_assert_int_eq(job_of(22)->refusals, 1);
    ck_assert_int_eq(sql("starting_runs")->calls, 1);
    scene_until(both_run, "22 running");
}
END_TEST

START_TEST(test_one_that_fails_all_fails_no_neighbour)
{
    refuse_second("starting_runs", REFUSED, true);
    claim(3, 1);
    scene_until(neighbours_run, "the others running");
    ck_assert_int_eq(sql("release")->calls, 0);
    ck_assert_uint_eq(starting()->one_by_one, 0); /* what follows goes together again */
    scene_until(second_gone, "22 given up after three refusals");
    /* All, then each in the order in which they came. */
    ck_assert_str_eq(sql("starting_runs")->asked, "{21,22,23}{21}{22}{23}{22}{22}");
    ck_assert_str_eq(sql("release")->last[3], "start_refused");
}
END_TEST

/* Whoever failed by itself takes no others with it the next time. */
START_TEST(test_who_failed_alone_travels_alone)
{
    refuse_second("starting_runs", REFUSED, true);
    sql("starting_runs")->held = true;
    claim(3, 1);
    scene_until(starting_said, "starting");
    job_of(21)->place.alone = true;
    let_go("starting_runs");
    scene_until(neighbours_run, "the others running");
    while (sql("starting_runs")->calls < 4)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert(job_of(22)->place.alone);
    ck_assert(!job_of(21)->place.alone && !job_of(23)->place.alone);
    sql("starting_runs")->state = NULL;
    scene_until(all_run, "22 as well");
    ck_assert(!job_of(22)->place.alone);
}
END_TEST

START_TEST(test_the_rest_goes_behind_who_travels_alone)
{
    sql("starting_runs")->held = true;
    claim(1, 1);
    scene_until(starting_said, "starting");
    claim(3, 1);
    dispatch_notify(scene.dispatch);
    while (job_of(23) == NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    job_of(22)->place.alone = true;
    let_go("starting_runs");
    scene_until(all_run, "all running");
    ck_assert_str_eq(sql("starting_runs")->asked, "{21}{22}{23}");
}
END_TEST

START_TEST(test_who_travels_alone_joins_nobody)
{
    sql("starting_runs")->held = true;
    claim(1, 1);
    scene_until(starting_said, "starting");
    claim(3, 1);
    dispatch_notify(scene.dispatch);
    while (job_of(23) == NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    job_of(23)->place.alone = true;
    let_go("starting_runs");
    scene_until(all_run, "all running");
    ck_assert_str_eq(sql("starting_runs")->asked, "{21}{22}{23}");
}
END_TEST

static bool all_rest(void)
{
    return job_of(21) != NULL && job_of(21)->retry_ms > 0 && job_of(22)->retry_ms > 0 &&
           job_of(23)->retry_ms > 0;
}

START_TEST(test_a_lost_connection_is_nobodys_fault)
{
    sql("starting_runs")->state = "08006";
    sql("starting_runs")->times = 1;
    claim(3, 1);
    scene_until(all_rest, "each resting");
    scene_until(all_run, "all running");
    ck_assert_int_le(sql("starting_runs")->calls, 4); /* each after its own rest */
    ck_assert(!job_of(21)->place.alone && !job_of(22)->place.alone && !job_of(23)->place.alone);
    ck_assert_uint_eq(starting()->one_by_one, 0);
}
END_TEST

/* --- Somebody holds the task --- */

static bool was_held(void)
{
    return job_of(22) != NULL && job_of(22)->place.held_since > 0;
}

static bool was_said(void)
{
    return job_of(22)->place.said > 0;
}

START_TEST(test_a_held_task_holds_up_no_other)
{
    refuse_second("starting_runs", HELD, false);
    claim(3, 1);
    scene_until(was_held, "held");
    ck_assert_int_ge(job_of(22)->place.not_before, job_of(22)->place.held_since + 200);
    ck_assert_int_eq(job_of(22)->refusals + job_of(22)->retry_ms, 0);
    ck_assert(job_of(22)->busy);
    scene_until(neighbours_run, "the others running");
    sql("starting_runs")->state = NULL;
    scene_until(all_run, "22 when it is let go");
    ck_assert_int_eq((int)(job_of(22)->place.held_since + job_of(22)->place.said), 0);
}
END_TEST

START_TEST(test_who_is_held_for_long_is_said_once_a_minute)
{
    refuse_second("starting_runs", HELD, false);
    claim(3, 1);
    scene_until(was_held, "held");
    ck_assert(!was_said());
    job_of(22)->place.held_since -= 5000;
    scene_until(was_said, "in the log");
    int64_t said = job_of(22)->place.said;
    int calls = sql("starting_runs")->calls;
    while (sql("starting_runs")->calls < calls + 2)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(job_of(22)->place.said, said);
    job_of(22)->place.said -= 60001;
    said = job_of(22)->place.said;
    while (job_of(22)->place.said == said)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
}
END_TEST

START_TEST(test_dropped_while_held)
{
    refuse_second("starting_runs", HELD, false);
    claim(3, 1);
    scene_until(was_held, "held");
    int calls = sql("starting_runs")->calls;
    job_drop(job_of(22), "the test says so");
    while (!batch_idle(starting()))
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql("starting_runs")->calls, calls);
}
END_TEST

START_TEST(test_dropped_while_in_flight)
{
    sql("starting_runs")->held = true;
    claim(3, 1);
    scene_until(starting_said, "starting");
    job_drop(job_of(22), "the test says so");
    let_go("starting_runs");
    scene_until(neighbours_run, "the others running");
    ck_assert_int_eq(sql("starting_runs")->calls, 1);
}
END_TEST

/* --- Ends, and tasks for their slots --- */

#define NO_JOB                                                                                 \
    "attempt=<null>;task_id=<null>;number=<null>;epoch=<null>;nonce=<null>;phase=<null>;"      \
    "proven=<null>;run=<null>;host_id=<null>;agent_type=<null>;title=<null>;body=<null>;"      \
    "labels=<null>;requirements=<null>;repo=<null>;issue_number=<null>;slug=<null>;"           \
    "branch_name=<null>;timeout_secs=<null>;prompt=<null>;command=<null>;stdout_bytes=<null>;" \
    "stderr_bytes=<null>;checkpoint=<null>;cancel=<null>;adopted_from=<null>;"                 \
    "adopted_silence_ms=<null>;pid=<null>;start=<null>;boot=<null>;machine=<null>"
#define NEXT_JOB                                                                               \
    "attempt=31;task_id=t-31;number=1;epoch=1;nonce=00112233445566778899aabbccddeeff;"         \
    "phase=claimed;proven=f;run=<null>;host_id=h1;agent_type=demo;title=T;body=B;labels={};"   \
    "requirements={x};repo=<null>;issue_number=<null>;slug=t31;branch_name=b;timeout_secs=60;" \
    "prompt=<null>;command=<null>;stdout_bytes=0;stderr_bytes=0;checkpoint=<null>;cancel=f;"   \
    "adopted_from=<null>;adopted_silence_ms=<null>;pid=<null>;start=<null>;boot=<null>;"       \
    "machine=<null>"
static const char ended_and_next[] =
    "ord=1;fault=<null>;detail=<null>;status=completed;" NO_JOB
    "|ord=<null>;fault=<null>;detail=<null>;status=<null>;" NEXT_JOB;

static bool turn_said(void)
{
    return sql("turn")->calls > 0;
}

/* 21 runs and ends; the answer waits. */
static void end_first(void)
{
    claim(1, 1);
    scene_until(first_runs, "running");
    sql("turn")->held = true;
    sql("turn")->said = ended_and_next;
    job_finish(job_of(21), "succeeded", NULL);
    scene_until(turn_said, "its end");
}

static bool next_runs(void)
{
    return runs(31) && job_of(21) == NULL;
}

START_TEST(test_an_end_brings_a_task_for_its_slot)
{
    uint64_t claims = scene.dispatch->node.counts.claims;
    end_first();
    ck_assert_str_eq(sql("turn")->last[10], "1");
    let_go("turn");
    scene_until(next_runs, "the next task's run");
    ck_assert_uint_eq(scene.dispatch->node.counts.claims, claims + 2);
}
END_TEST

START_TEST(test_no_task_is_wanted_by_who_may_not_act)
{
    claim(1, 1);
    scene_until(first_runs, "running");
    scene.dispatch->claim_pause = clock_ms() + 60000;
    sql("turn")->held = true;
    job_finish(job_of(21), "succeeded", NULL);
    scene_until(turn_said, "its end");
    ck_assert_str_eq(sql("turn")->last[10], "0");
    let_go("turn");
}
END_TEST

static bool told_again(void)
{
    return sql("turn")->calls > 1;
}

/* What ails claims keeps no end from being told. */
START_TEST(test_after_a_failure_no_task_is_wanted)
{
    claim(1, 1);
    scene_until(first_runs, "running");
    sql("turn")->state = REFUSED;
    sql("turn")->whole = true;
    sql("turn")->times = 1;
    job_finish(job_of(21), "succeeded", NULL);
    scene_until(turn_said, "its end");
    ck_assert_str_eq(sql("turn")->last[10], "1");
    scene_until(told_again, "its end once more");
    ck_assert_str_eq(sql("turn")->last[10], "0");
}
END_TEST

START_TEST(test_a_task_that_another_life_was_given_is_not_taken)
{
    end_first();
    dispatch_end_life(scene.dispatch, "the test says so");
    let_go("turn");
    for (int turn = 0; turn < 20; turn++)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_ptr_null(job_of(31));
}
END_TEST

START_TEST(test_a_task_that_comes_while_it_leaves_is_not_taken)
{
    end_first();
    uint64_t claims = scene.dispatch->node.counts.claims;
    dispatch_drain(scene.dispatch, scene_drained, NULL);
    let_go("turn");
    scene_until(scene_is_drained, "drained");
    ck_assert_ptr_null(job_of(31));
    ck_assert_uint_eq(scene.dispatch->node.counts.claims, claims);
}
END_TEST

/* --- The end --- */

static bool stop_said(void)
{
    return sql("node_stop")->calls > 0;
}

START_TEST(test_what_is_on_its_way_is_said_before_the_node_leaves)
{
    claim(1, 1);
    scene_until(first_runs, "running");
    sql("turn")->held = true;
    job_finish(job_of(21), "succeeded", NULL);
    dispatch_drain(scene.dispatch, scene_drained, NULL);
    while (sql("turn")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    for (int turn = 0; turn < 3; turn++)
        uv_run(&scene.loop.uv, UV_RUN_ONCE); /* a tick each, at most */
    ck_assert(!stop_said());
    let_go("turn");
    scene_until(scene_is_drained, "drained");
    ck_assert(stop_said());
}
END_TEST

START_TEST(test_what_was_not_said_is_let_go)
{
    refuse_second("starting_runs", HELD, false);
    claim(3, 1);
    scene_until(was_held, "held");
    dispatch_drain(scene.dispatch, scene_drained, NULL);
    scene.dispatch->drain_until = 0;
    scene_until(scene_is_drained, "drained"); /* and nothing is leaked */
}
END_TEST

/* Its answer comes when all is closed: every job is gone, and nothing may be asked again. */
START_TEST(test_what_is_answered_behind_the_end)
{
    static const struct {
        const char *state;
        bool whole;
    } answers[] = {{HELD, false}, {REFUSED, true}, {NULL, false}};
    sql("starting_runs")->state = answers[_i].state;
    sql("starting_runs")->whole = answers[_i].whole;
    sql("starting_runs")->held = true;
    claim(3, 1);
    scene_until(starting_said, "starting");
    dispatch_drain(scene.dispatch, scene_drained, NULL);
    scene.dispatch->drain_until = 0;
    scene_until(scene_is_drained, "drained");
    sql("starting_runs")->held = false; /* as the scene is put away; nothing is leaked */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tcase = tcase_create("batch");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_a_lone_call_goes_at_once);
    tcase_add_test(tcase, test_what_is_due_together_is_one_call);
    tcase_add_test(tcase, test_what_comes_meanwhile_goes_with_the_next);
    tcase_add_test(tcase, test_so_many_and_no_more);
    tcase_add_test(tcase, test_so_many_bytes_and_no_more);
    tcase_add_test(tcase, test_each_has_an_answer_of_its_own);
    tcase_add_test(tcase, test_an_answer_is_found_by_its_place);
    tcase_add_test(tcase, test_one_that_fails_all_fails_no_neighbour);
    tcase_add_test(tcase, test_who_failed_alone_travels_alone);
    tcase_add_test(tcase, test_the_rest_goes_behind_who_travels_alone);
    tcase_add_test(tcase, test_who_travels_alone_joins_nobody);
    tcase_add_test(tcase, test_a_lost_connection_is_nobodys_fault);
    tcase_add_test(tcase, test_a_held_task_holds_up_no_other);
    tcase_add_test(tcase, test_who_is_held_for_long_is_said_once_a_minute);
    tcase_add_test(tcase, test_dropped_while_held);
    tcase_add_test(tcase, test_dropped_while_in_flight);
    tcase_add_test(tcase, test_what_is_on_its_way_is_said_before_the_node_leaves);
    tcase_add_test(tcase, test_what_was_not_said_is_let_go);
    tcase_add_test(tcase, test_an_end_brings_a_task_for_its_slot);
    tcase_add_test(tcase, test_no_task_is_wanted_by_who_may_not_act);
    tcase_add_test(tcase, test_after_a_failure_no_task_is_wanted);
    tcase_add_test(tcase, test_a_task_that_another_life_was_given_is_not_taken);
    tcase_add_test(tcase, test_a_task_that_comes_while_it_leaves_is_not_taken);
    tcase_add_loop_test(tcase, test_what_is_answered_behind_the_end, 0, 3);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
