/* What a host's answer to a call means for what comes next, and what a job does not do though it
 * could. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define STARTING SCENE_JOB("starting;proven=f", "2", "t-1-x.1", "0", "<null>", "f")
#define RUNNING SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f")

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && scene_job()->watch != NULL &&
           scene_job()->looked > 0;
}

static struct job *run(void)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    return scene_job();
}

static void adopt(const char *row)
{
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_once("adopt", row);
}

static struct scene_call *asked;

static bool was_asked(void)
{
    return asked->calls > 0;
}

static void until_asked(const char *name)
{
    asked = call(name);
    scene_until(was_asked, name);
}

static struct scene_sql *told;

static bool was_told(void)
{
    return told->calls > 0;
}

static void until_told(const char *name)
{
    told = sql(name);
    scene_until(was_told, name);
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

static bool has_rested(void)
{
    return scene_job() != NULL && scene_job()->unanswered > 0;
}

/* --- start --- */

/* Another one is at it, or the upload was cut: that passes. */
START_TEST(a_start_that_is_refused_for_a_while)
{
    static const char *const words[] = {"refused busy", "refused upload"};
    scene_once("claim", CLAIMED);
    call("start")->answer = words[_i];
    scene_until(has_rested, "a rest");
    ck_assert_int_eq(scene_job()->state, JOB_START);
    ck_assert_int_gt(scene_job()->retry_at, clock_ms() - 1000);
    ck_assert_ptr_null(scene_job()->missing); /* once is no silence */
    ck_assert_int_eq(sql("release")->calls + call("void")->calls, 0);
    call("start")->answer = "started";
    scene_until(is_running, "running");
}
END_TEST

START_TEST(a_start_that_is_refused_for_good)
{
    static const struct {
        const char *answer, *reason;
    } words[] = {{"refused host_disk_full", "host_disk_full"},
                 {"refused sandbox_missing", "sandbox_missing"},
                 {"refused account_busy", "account_busy"},
                 {"refused account_failed", "account_failed"},
                 {"refused supervisor", "start_refused"}};
    scene_once("claim", CLAIMED);
    call("start")->answer = words[_i].answer;
    until_told("void_confirmed");
    ck_assert_str_eq(sql("void_confirmed")->last[3], words[_i].reason);
}
END_TEST

/* The same word where nothing is to be started any more is only a host that cannot now. */
START_TEST(a_raise_that_is_refused)
{
    call("raise")->answer = "refused host_disk_full";
    adopt(STARTING);
    scene_until(has_rested, "a rest");
    ck_assert_int_eq(scene_job()->state, JOB_RAISE);
    ck_assert_int_eq(call("void")->calls, 0);
    call("raise")->answer = "state";
    scene_until(is_running, "running");
}
END_TEST

/* Whoever sent one before cannot say that it is the first. */
START_TEST(only_the_first_start_says_so)
{
    call("start")->hold = 1;
    scene_once("claim", CLAIMED);
    until_asked("start");
    ck_assert(scene_run.first);
    call("start")->hold = 0;
    call("start")->answer = "refused busy";
    scene_until(has_rested, "a rest");
    scene_run.first = true;
    call("start")->answer = "started";
    scene_until(is_running, "running");
    ck_assert(!scene_run.first);
}
END_TEST

/* --- raise --- */

START_TEST(nothing_to_start_it_with)
{
    scene_run.state = RUNNER_ABSENT;
    /* its command never came to be stored */
    adopt("attempt=11;task_id=t-1;number=1;epoch=2;nonce=00112233445566778899aabbccddeeff;"
          "phase=starting;proven=f;run=t-1-x.1;host_id=h1;agent_type=demo;title=T;body=B;"
          "labels={agent:x};requirements={x};repo=<null>;issue_number=<null>;slug=t1;"
          "branch_name=task/t1;timeout_secs=60;prompt=<null>;command=<null>;stdout_bytes=0;"
          "stderr_bytes=0;checkpoint=<null>;cancel=f;adopted_from=w0;adopted_silence_ms=4200;"
          "pid=<null>;start=<null>;boot=<null>;machine=<null>");
    until_told("void_confirmed");
    ck_assert_int_eq(call("start")->calls, 0);
    ck_assert_int_eq(call("void")->calls, 1);
}
END_TEST

/* It was out of sight, and the host has found it: SQL is told that it runs. */
START_TEST(a_run_that_is_found_again)
{
    call("raise")->answer = "refused busy";
    adopt(RUNNING);
    scene_until(has_rested, "a rest");
    scene_job()->missing = JOB_NO_ANSWER;
    scene_job()->retry_at = 0;
    scene_run.ignored = true;
    call("raise")->answer = "state";
    int raises = call("raise")->calls;
    job_step(scene_job());
    while (call("raise")->calls == raises || scene_job()->busy)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_ptr_null(scene_job()->missing);
    scene_run.ignored = false;
    scene_until(is_running, "running");
    ck_assert_int_eq(sql("started_runs")->calls, 0); /* which SQL knows */
}
END_TEST

/* An epoch that nobody gave comes back after it was replaced: something makes it. */
START_TEST(an_epoch_that_cannot_be_replaced)
{
    adopt(RUNNING);
    call("raise")->answer = "fenced 900";
    sql("jobs")->rows = RUNNING;
    scene_until(has_rested, "a rest");
    ck_assert_uint_eq(scene_job()->forged, 900);
    ck_assert_int_eq(sql("jobs")->calls, 1);
    ck_assert_int_eq(scene_job()->state, JOB_RAISE);
    ck_assert_uint_eq(scene_run.forged, 900);
    call("raise")->answer = "state";
    sql("jobs")->rows = NULL;
    until_asked("stop");
    ck_assert_str_eq(scene_job()->stop_reason, "run_tampered");
}
END_TEST

/* --- stop --- */

START_TEST(a_stop_that_is_answered_is_no_failure)
{
    struct job *job = run();
    job->unanswered = 4;
    job->retry_ms = 8000;
    job_stop(job, "cancelled");
    job->unanswered = 4; /* a state begins anew */
    job->retry_ms = 8000;
    until_asked("stop");
    while (job->busy)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(job->unanswered, 0);
    ck_assert_int_eq(job->retry_ms, 0);
    ck_assert_int_gt(job->stop_sent, 0);
}
END_TEST

START_TEST(a_stop_that_is_refused_is_sent_again)
{
    struct job *job = run();
    call("stop")->answer = "refused host_disk_full";
    job_stop(job, "cancelled");
    job_step(job);
    scene_until(has_rested, "a rest");
    ck_assert_int_eq(job->stop_sent, 0);
    ck_assert_int_gt(job->retry_at, 0);
}
END_TEST

START_TEST(the_first_reason_stays)
{
    struct job *job = run();
    call("stop")->hold = 1;
    job_stop(job, "silence_timeout");
    job_stop(job, "cancelled");
    ck_assert_str_eq(job->stop_reason, "silence_timeout");
    call("stop")->hold = 0;
}
END_TEST

/* --- What is not proven, and what is --- */

static void at_the_start(const char *row)
{
    scene_run.state = RUNNER_ABSENT;
    call("start")->answer = "refused busy";
    adopt(row);
    until_asked("start");
    scene_until(has_rested, "a rest");
    ck_assert_int_eq(scene_job()->state, JOB_START);
}

START_TEST(a_start_without_proof_ends)
{
    at_the_start(STARTING);
    scene_job()->taken = clock_ms() - 59000;
    scene_job()->retry_at = 0;
    job_step(scene_job());
    ck_assert_int_eq(scene_job()->state, JOB_START);
    while (scene_job()->busy)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    scene_job()->taken = clock_ms() - 60001;
    scene_job()->retry_at = 0;
    job_step(scene_job());
    ck_assert_str_eq(scene_job()->give_up, "start_timeout");
    ck_assert_int_eq(scene_job()->state, JOB_VOIDING); /* it may have come */
}
END_TEST

START_TEST(a_start_without_proof_is_cancelled)
{
    at_the_start(STARTING);
    scene_job()->retry_at = 0;
    job_cancel(scene_job());
    ck_assert_str_eq(scene_job()->give_up, "cancelled");
}
END_TEST

/* --- Without a lease --- */

static bool is_live(void)
{
    return scene.dispatch->node.state == NODE_LIVE;
}

static bool may_act(void)
{
    return node_may_act(&scene.dispatch->node);
}

START_TEST(nothing_is_claimed_without_a_lease)
{
    scene_until(may_act, "a lease");
    sql("renew")->held = true;
    pass(100);
    scene.dispatch->node.renewed = clock_ms() - scene.dispatch->node.lease_ms - 1;
    int claims = sql("claim")->calls;
    dispatch_notify(scene.dispatch);
    pass(400);
    ck_assert_int_eq(sql("claim")->calls, claims);
    sql("renew")->held = false;
    timer_start(&scene.pump, 1, 0);
    told = sql("claim");
    told->calls = 0;
    scene_until(was_told, "a claim under a good lease");
}
END_TEST

static bool is_reborn(void)
{
    return sql("node_start")->calls == 2 && is_live();
}

/* A lease is one life's. */
START_TEST(a_new_life_has_no_lease_yet)
{
    scene_until(may_act, "a lease");
    scene_once("renew", NULL);
    sql("renew")->state = "AF002";
    sql("renew")->times = 1;
    int renews = sql("renew")->calls;
    uint64_t life = scene.dispatch->node.life;
    while (sql("renew")->calls == renews)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("node_start")->held = true;
    while (scene.dispatch->node.life == life)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("renew")->held = true;
    sql("node_start")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(is_reborn, "a new life");
    ck_assert(!may_act());
    sql("renew")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(may_act, "a lease of its own");
}
END_TEST

/* --- Sight --- */

/* What a former owner had stopped stays so, though it still runs. */
START_TEST(stopping_is_not_told_to_be_running)
{
    adopt(SCENE_JOB("stopping;proven=t", "2", "t-1-x.1", "0", "<null>", "f"));
    scene_until(is_running, "followed");
    pass(100);
    ck_assert_int_eq(sql("phase")->calls, 0);
    ck_assert_int_eq(scene_job()->told, PHASE_STOPPING);
}
END_TEST

START_TEST(a_phase_is_told_once)
{
    struct job *job = run();
    job->missing = "rundir_missing";
    job_step(job);
    until_told("phase");
    ck_assert_str_eq(sql("phase")->last[3], "unreachable");
    ck_assert_str_eq(sql("phase")->last[4], "rundir_missing");
    pass(100);
    job_step(job);
    pass(100);
    ck_assert_int_eq(sql("phase")->calls, 1);
    job->missing = NULL;
}
END_TEST

/* --- The end --- */

static bool is_ending(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_ENDING;
}

/* All of both streams is stored before its end is told. */
START_TEST(stderr_is_stored_before_the_end)
{
    struct job *job = run();
    memcpy(scene_run.err, "e\n", 2);
    scene_run.err_len = 2;
    sql("append")->held = true;
    scene_ends(0, "exit");
    scene_until(is_ending, "ending");
    pass(200);
    ck_assert_int_eq(job->state, JOB_ENDING);
    ck_assert_int_eq(sql("turn")->calls, 0);
    sql("append")->held = false;
    timer_start(&scene.pump, 1, 0);
    until_told("turn");
    ck_assert_uint_eq(scene.stored_len[1], 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_calls");
    TCase *tcase = tcase_create("job_calls");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_loop_test(tcase, a_start_that_is_refused_for_a_while, 0, 2);
    tcase_add_loop_test(tcase, a_start_that_is_refused_for_good, 0, 5);
    tcase_add_test(tcase, a_raise_that_is_refused);
    tcase_add_test(tcase, only_the_first_start_says_so);
    tcase_add_test(tcase, nothing_to_start_it_with);
    tcase_add_test(tcase, a_run_that_is_found_again);
    tcase_add_test(tcase, an_epoch_that_cannot_be_replaced);
    tcase_add_test(tcase, a_stop_that_is_answered_is_no_failure);
    tcase_add_test(tcase, a_stop_that_is_refused_is_sent_again);
    tcase_add_test(tcase, the_first_reason_stays);
    tcase_add_test(tcase, a_start_without_proof_ends);
    tcase_add_test(tcase, a_start_without_proof_is_cancelled);
    tcase_add_test(tcase, nothing_is_claimed_without_a_lease);
    tcase_add_test(tcase, a_new_life_has_no_lease_yet);
    tcase_add_test(tcase, stopping_is_not_told_to_be_running);
    tcase_add_test(tcase, a_phase_is_told_once);
    tcase_add_test(tcase, stderr_is_stored_before_the_end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
