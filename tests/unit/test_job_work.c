/* An attempt of a task with a repository: the workspace before the start, the harvest after the
 * end, with every answer that a host may give. */
#define SCENE_GIT                                                                       \
    "git: { url: 'https://git.example.org/{repository}.git', username: bot, password: " \
    "s3cret-of-git, "                                                                   \
    "protected_branches: [ main ], fetch_timeout_secs: 2, push_timeout_secs: 2 }\n"
#define SCENE_WORKSPACE "    workspace: git\n"
#define SCENE_REPO "acme/app"
#include "tests/unit/worker_scene.h"

#define DONE                                                                                   \
    "{\"type\":\"thread.started\",\"thread_id\":\"th\"}\n"                                     \
    "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"Done.\"}}\n" \
    "{\"type\":\"turn.completed\"}\n"
#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define STARTING SCENE_JOB("starting;proven=f", "2", "t-1-x.1", "0", "<null>", "f")

static bool finished(void)
{
    return sql("turn")->calls > 0;
}

static bool released(void)
{
    return sql("release")->calls > 0;
}

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

static bool gone(void)
{
    return scene_job() == NULL;
}

static bool prepares(void)
{
    return call("prepare")->calls > 0;
}

static bool prepares_again(void)
{
    return call("prepare")->calls > 1;
}

static bool harvests(void)
{
    return call("harvest")->calls > 0;
}

static bool harvests_again(void)
{
    return call("harvest")->calls > 1;
}

static bool gone_dark(void)
{
    return strcmp(sql("phase")->last[3], "unreachable") == 0;
}

static bool started_on_host(void)
{
    return call("start")->calls > 0;
}

static bool all_stored(void)
{
    return scene.stored_len[0] == strlen(DONE);
}

static void expect_finish(const char *outcome, const char *reason)
{
    scene_until(finished, "finish");
    ck_assert_str_eq(sql("turn")->last[3], outcome);
    ck_assert_str_eq(sql("turn")->last[4], reason);
    scene_until(gone, "gone after finish");
}

static void runs_to_its_end(int status)
{
    scene_once("claim", CLAIMED);
    scene_prints(DONE);
    scene_until(is_running, "running");
    scene_ends(status, "exit");
}

START_TEST(test_a_branch_is_pushed)
{
    runs_to_its_end(0);
    ck_assert_int_eq(call("prepare")->calls, 1);
    ck_assert_int_eq(call("harvest")->calls, 0);
    expect_finish("succeeded", "<null>");
    ck_assert_int_eq(call("harvest")->calls, 1);
    ck_assert_str_eq(reported("work.state"), "pushed");
    ck_assert_str_eq(reported("work.head"), SCENE_HEAD);
    ck_assert_str_eq(reported("work.branch"), "task/t1");
    ck_assert_str_eq(reported("work.base_branch"), "main");
    ck_assert_str_eq(reported("isolation"), "shared");
    ck_assert_str_eq(reported("profile"), "sandboxed");
    /* the workspace stood before anything of a start was announced, and SQL knew of it */
    ck_assert_ptr_nonnull(strstr(sql("prepared")->last[3], SCENE_BASE));
    const char *prompt = sql("starting_runs")->last[5];
    ck_assert_ptr_nonnull(strstr(prompt, "on the branch task/t1"));
    ck_assert_ptr_nonnull(strstr(prompt, "Base branch: main"));
    ck_assert_ptr_nonnull(strstr(prompt, "Pushing is not yours"));
}
END_TEST

START_TEST(test_what_the_host_is_told)
{
    scene_once("briefing", "base_branch=release/2;pushed_head=<null>;session_id=<null>;"
                           "follow_up=<null>;earlier_summary=<null>;question=<null>;slot_ordinal=0;"
                           "session_tokens=<null>");
    runs_to_its_end(0);
    const struct runner_work *work = &scene_work.work;
    ck_assert_str_eq(work->url, "https://git.example.org/acme/app.git");
    ck_assert_str_eq(work->folder, "t1");
    ck_assert_str_eq(work->branch, "task/t1");
    ck_assert_str_eq(scene_work.base, "release/2");
    ck_assert_int_eq(work->access, ACCESS_PASSWORD);
    ck_assert_str_eq(work->user, "bot");
    ck_assert_str_eq(scene_work.secret, "s3cret-of-git");
    ck_assert_uint_eq(work->number, 1);
    ck_assert(!work->workflows);
    expect_finish("succeeded", "<null>");
    ck_assert(scene_work.work.leftovers);
    ck_assert_ptr_null(strstr(sql("turn")->last[7], "s3cret-of-git"));
    ck_assert_ptr_null(strstr(sql("starting_runs")->last[4], "s3cret-of-git"));
    ck_assert_ptr_null(strstr(scene_run.job, "s3cret-of-git"));
}
END_TEST

START_TEST(test_nothing_changed)
{
    call("harvest")->answer = "no_change";
    runs_to_its_end(0);
    expect_finish("no_change", "<null>");
}
END_TEST

static const char *const refused[] = {"push_refused", "push_conflict", "workflow_change",
                                      "workspace_tampered"};

START_TEST(test_what_was_not_pushed_is_no_success)
{
    char answer[64];
    snprintf(answer, sizeof answer, "%s %s", _i == 3 ? "failed" : "kept", refused[_i]);
    call("harvest")->answer = answer;
    runs_to_its_end(0);
    expect_finish("failed", refused[_i]);
    ck_assert_int_eq(call("harvest")->calls, 1);
}
END_TEST

/* Its commits are pushed, and what it left is not committed; the outcome is the run's. */
START_TEST(test_a_failed_run_is_harvested)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_ends(3, "exit");
    expect_finish("failed", "exit_nonzero");
    ck_assert_int_eq(call("harvest")->calls, 1);
    ck_assert(!scene_work.work.leftovers);
    ck_assert_str_eq(reported("work.state"), "pushed");
}
END_TEST

/* The server is away for a while: as long as a push may take, and no longer. */
START_TEST(test_a_server_that_is_away)
{
    call("harvest")->answer = "kept push_failed";
    runs_to_its_end(0);
    scene_until(harvests_again, "a second push");
    ck_assert(!finished());
    if (_i == 0) {
        call("harvest")->answer = "pushed";
        expect_finish("succeeded", "<null>");
    } else {
        expect_finish("failed", "push_failed");
    }
}
END_TEST

START_TEST(test_no_workspace)
{
    call("prepare")->answer = "failed git_auth_failed";
    scene_once("claim", CLAIMED);
    expect_finish("failed", "git_auth_failed");
    ck_assert_int_eq(sql("starting_runs")->calls + call("start")->calls, 0);
    ck_assert_int_eq(call("harvest")->calls, 0);
}
END_TEST

START_TEST(test_a_workspace_in_use)
{
    call("prepare")->answer = _i == 0 ? "failed workspace_busy" : "fenced";
    scene_once("claim", CLAIMED);
    scene_until(prepares_again, "asked again");
    ck_assert_int_eq(sql("starting_runs")->calls, 0);
    call("prepare")->answer = "ready";
    scene_prints(DONE);
    scene_until(is_running, "running");
}
END_TEST

/* A process in it that never ends, or a host that says so for ever, holds no slot for ever. */
START_TEST(test_a_workspace_in_use_for_ever)
{
    static const char *const answers[] = {"failed workspace_busy", "fenced"};
    call(_i < 2 ? "prepare" : "harvest")->answer = answers[_i % 2];
    if (_i < 2)
        scene_once("claim", CLAIMED);
    else
        runs_to_its_end(0);
    expect_finish("failed", "workspace_busy");
    ck_assert_int_gt(call(_i < 2 ? "prepare" : "harvest")->calls, 1);
}
END_TEST

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

/* A clone takes as long as it takes: it is asked for once. */
START_TEST(test_a_clone_is_asked_for_once)
{
    call("prepare")->hold = 1;
    scene_once("claim", CLAIMED);
    scene_until(prepares, "prepare");
    pass(500);
    ck_assert_int_eq(call("prepare")->calls, 1);
    call("prepare")->hold = 0;
    scene_until(is_running, "running");
    ck_assert_int_eq(call("prepare")->calls, 1);
}
END_TEST

static bool briefing_hangs(void)
{
    return sql("briefing")->calls > 0;
}

START_TEST(test_no_clone_without_a_lease)
{
    sql("briefing")->held = true;
    scene_once("claim", CLAIMED);
    scene_until(briefing_hangs, "briefing");
    sql("renew")->held = true;
    pass(100);
    scene.dispatch->node.renewed = clock_ms() - scene.dispatch->node.lease_ms - 1;
    sql("briefing")->held = false;
    timer_start(&scene.pump, 1, 0);
    pass(400);
    ck_assert_int_eq(scene_job()->state, JOB_PREPARING);
    ck_assert_int_eq(call("prepare")->calls, 0);
    sql("renew")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(prepares, "prepare under a good lease");
}
END_TEST

/* Who cancels does not wait for a clone. */
START_TEST(test_cancel_while_it_clones)
{
    call("prepare")->hold = 1;
    scene_once("claim", CLAIMED);
    scene_until(prepares, "prepare");
    job_cancel(scene_job());
    scene_until(released, "released");
    ck_assert_str_eq(sql("release")->last[3], "cancelled");
    call("prepare")->hold = 0;
    scene_until(gone, "gone");
    ck_assert_int_eq(sql("starting_runs")->calls, 0);
}
END_TEST

/* The channel is cut under it: asked again, it finds what was done. */
START_TEST(test_cut_while_it_clones)
{
    call("prepare")->hold = 1;
    scene_once("claim", CLAIMED);
    scene_until(prepares, "prepare");
    call("hello")->answer = NULL;
    scene_until(released, "released");
    ck_assert_str_eq(sql("release")->last[3], "host_unreachable");
}
END_TEST

START_TEST(test_cut_while_it_pushes)
{
    call("harvest")->hold = 1;
    runs_to_its_end(0);
    scene_until(harvests, "harvest");
    call("hello")->answer = NULL;
    scene_until(gone_dark, "out of sight");
    ck_assert(!finished());
    call("hello")->answer = "greeting";
    call("harvest")->hold = 0;
    expect_finish("succeeded", "<null>");
}
END_TEST

/* An adopter of a run that was announced knows what its host has to know, and makes no workspace.
 */
START_TEST(test_adopted_before_its_start)
{
    call("raise")->answer = "state";
    scene_run.state = RUNNER_PREPARED;
    sql("peers")->rows = "kind=left;node=22222222-2222-4222-8222-222222222222;beat=5";
    scene_once("adopt", STARTING);
    scene_until(started_on_host, "start");
    ck_assert_int_eq(call("prepare")->calls, 0);
    ck_assert_int_eq(sql("briefing")->calls, 1);
}
END_TEST

/* What an agent asks is told with its end. */
START_TEST(test_a_question)
{
    scene_asks = "Which of the two?";
    call("harvest")->answer = "no_change";
    runs_to_its_end(0);
    expect_finish("no_change", "needs_input");
    ck_assert_str_eq(reported("question"), "Which of the two?");
}
END_TEST

START_TEST(test_a_forged_epoch_is_not_pushed)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_job()->forged = 900;
    scene_ends(0, "exit");
    scene_until(finished, "finish");
    ck_assert_int_eq(call("harvest")->calls, 0);
}
END_TEST

/* A run that was tampered with leaves nothing that is ours to push. */
START_TEST(test_tampered_output_is_not_pushed)
{
    scene_once("claim", CLAIMED);
    scene_prints(DONE);
    scene_until(is_running, "running");
    scene_until(all_stored, "stored");
    scene_run.out_len = 3;
    scene_ends(0, "exit");
    expect_finish("failed", "output_tampered");
    ck_assert_int_eq(call("harvest")->calls, 0);
}
END_TEST

START_TEST(test_a_follow_up)
{
    scene_once("briefing",
               "base_branch=<null>;pushed_head=<null>;session_id=<null>;follow_up=Take the first;"
               "earlier_summary=I stopped there;question=Which of the "
               "two?;slot_ordinal=0;session_tokens=<null>");
    runs_to_its_end(0);
    const char *prompt = sql("starting_runs")->last[5];
    ck_assert_ptr_nonnull(strstr(prompt, "## The answer\n\nTake the first"));
    ck_assert_ptr_nonnull(strstr(prompt, "Which of the two?"));
    ck_assert_ptr_nonnull(strstr(prompt, "I stopped there"));
    expect_finish("succeeded", "<null>");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_work");
    TCase *tests = tcase_create("job_work");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, scene_setup, scene_teardown);
    tcase_add_test(tests, test_a_branch_is_pushed);
    tcase_add_test(tests, test_what_the_host_is_told);
    tcase_add_test(tests, test_nothing_changed);
    tcase_add_loop_test(tests, test_what_was_not_pushed_is_no_success, 0, 4);
    tcase_add_test(tests, test_a_failed_run_is_harvested);
    tcase_add_loop_test(tests, test_a_server_that_is_away, 0, 2);
    tcase_add_test(tests, test_no_workspace);
    tcase_add_loop_test(tests, test_a_workspace_in_use, 0, 2);
    tcase_add_loop_test(tests, test_a_workspace_in_use_for_ever, 0, 4);
    tcase_add_test(tests, test_a_clone_is_asked_for_once);
    tcase_add_test(tests, test_no_clone_without_a_lease);
    tcase_add_test(tests, test_cancel_while_it_clones);
    tcase_add_test(tests, test_cut_while_it_clones);
    tcase_add_test(tests, test_cut_while_it_pushes);
    tcase_add_test(tests, test_adopted_before_its_start);
    tcase_add_test(tests, test_a_question);
    tcase_add_test(tests, test_a_forged_epoch_is_not_pushed);
    tcase_add_test(tests, test_tampered_output_is_not_pushed);
    tcase_add_test(tests, test_a_follow_up);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
