/* What is old on hosts goes: only what SQL names, only while the lease holds, and SQL is told. */
#define SCENE_GIT                                                                            \
    "git: { url: 'https://git.example.org/{repository}.git', before_remove: [make, 'a b'], " \
    "username: bot, password: "                                                              \
    "s3cret-of-git, "                                                                        \
    "protected_branches: [ main ], push_timeout_secs: 2 }\n"
#define SCENE_WORKSPACE "    workspace: git\n"
#define SCENE_REPO "acme/app"
#include "tests/unit/worker_scene.h"

#define NONCE "00112233445566778899aabbccddeeff"
#define RUN(number, attempt)                                                                 \
    "what=run;name=t1." number ";attempt=" attempt ";epoch=3;nonce=" NONCE ";pid=7;start=9;" \
    "boot=boot-1"
#define FOLDER \
    "what=folder;name=t1;attempt=12;epoch=<null>;nonce=<null>;pid=<null>;start=<null>;boot=<null>"
#define STRANGER                                                                                   \
    "what=unknown;name=x.1;attempt=<null>;epoch=<null>;nonce=<null>;pid=<null>;start=<null>;boot=" \
    "<null>"

static bool live(void)
{
    struct host *host = dispatch_host(scene.dispatch, "h1");
    return node_live(&scene.dispatch->node) && sql("renew")->calls > 1 && host_ready(host);
}

static bool over(void)
{
    return sql("sweep_begin")->calls > 0 && !scene.dispatch->sweep.busy;
}

static void sweeps(const char *rows)
{
    scene_until(live, "live");
    snprintf(scene_run.key.run, sizeof scene_run.key.run, "t1.1");
    scene_run.state = RUNNER_ABSENT;
    scene_once("sweep_begin", "host_id=h1;wait_ms=100");
    sql("sweep")->rows = rows;
    scene.dispatch->sweep.next = 0;
    scene_until(over, "swept");
}

START_TEST(test_what_sql_names_goes)
{
    sweeps(RUN("1", "11") "|" RUN("2", "13") "|" FOLDER "|" STRANGER);
    ck_assert_str_eq(sql("sweep")->last[1], "h1");
    ck_assert_str_eq(sql("sweep")->last[2], "{\"t1.1\"}");
    ck_assert_str_eq(sql("sweep")->last[5], "t");
    ck_assert_int_eq(call("gc")->calls, 2);
    ck_assert_str_eq(scene_run.key.run, "t1.2");
    ck_assert_uint_eq(scene_run.key.epoch, 3);
    ck_assert_int_eq(scene_run.key.pid, 7);
    ck_assert_int_eq(call("clean")->calls, 2); /* the folder, and what is nobody's */
    ck_assert_str_eq(scene_cleaned, "t1");
    ck_assert_str_eq(sql("swept")->last[2], "{11,13}");
    ck_assert_str_eq(sql("swept")->last[3], "{12}");
    ck_assert_str_eq(dispatch_host(scene.dispatch, "h1")->unknown, " x.1");
}
END_TEST

START_TEST(test_no_host_is_due)
{
    scene_until(live, "live");
    scene.dispatch->sweep.next = 0;
    scene_until(over, "asked");
    ck_assert_int_eq(call("list")->calls + sql("sweep")->calls, 0);
}
END_TEST

START_TEST(test_names_that_are_none)
{
    sweeps("what=run;name=../x;attempt=11;epoch=3;nonce=" NONCE ";pid=7;start=9;boot=b|"
           "what=run;name=..;attempt=11;epoch=3;nonce=" NONCE ";pid=7;start=9;boot=b|"
           "what=run;name=t1.1;attempt=11;epoch=0;nonce=" NONCE ";pid=7;start=9;boot=b|"
           "what=run;name=t1.1;attempt=11;epoch=3;nonce=12;pid=7;start=9;boot=b|"
           "what=folder;name=a/b;attempt=12;epoch=<null>;nonce=<null>;pid=<null>;start=<null>;"
           "boot=<null>");
    ck_assert_int_eq(call("gc")->calls, 0);
    ck_assert_int_eq(call("clean")->calls, 1);
    ck_assert_int_eq(sql("swept")->calls, 0);
}
END_TEST

START_TEST(test_what_the_host_keeps_is_not_told_as_gone)
{
    call("gc")->answer = "refused busy";
    call("clean")->answer = "refused in_use";
    sweeps(RUN("1", "11") "|" FOLDER);
    ck_assert_int_eq(call("gc")->calls, 1);
    ck_assert_int_eq(sql("swept")->calls, 0);
}
END_TEST

START_TEST(test_a_run_that_is_there_still)
{
    scene_until(live, "live");
    call("gc")->answer = "state";
    scene_run.state = RUNNER_RUNNING;
    snprintf(scene_run.key.run, sizeof scene_run.key.run, "t1.1");
    scene_once("sweep_begin", "host_id=h1;wait_ms=100");
    sql("sweep")->rows = RUN("1", "11");
    scene.dispatch->sweep.next = 0;
    scene_until(over, "swept");
    ck_assert_int_eq(call("gc")->calls, 1);
    ck_assert_int_eq(sql("swept")->calls, 0);
}
END_TEST

START_TEST(test_a_forged_epoch)
{
    call("gc")->answer = "fenced 99";
    sweeps(RUN("1", "11") "|" FOLDER);
    ck_assert_int_eq(call("gc")->calls, 2); /* and no third time */
    ck_assert_int_eq(call("raise")->calls, 1);
    ck_assert_uint_eq(scene_run.forged, 99);
    ck_assert_str_eq(sql("swept")->last[2], "{}");
    ck_assert_str_eq(sql("swept")->last[3], "{12}");
}
END_TEST

START_TEST(test_a_channel_that_is_cut)
{
    call("clean")->answer = NULL;
    sweeps(RUN("1", "11") "|" FOLDER);
    ck_assert_str_eq(sql("swept")->last[2], "{11}");
    ck_assert_str_eq(sql("swept")->last[3], "{}");
}
END_TEST

static bool listed(void)
{
    return sql("sweep")->calls > 0;
}

START_TEST(test_without_lease_nothing_goes)
{
    scene_until(live, "live");
    sql("sweep")->held = true;
    scene_once("sweep_begin", "host_id=h1;wait_ms=100");
    sql("sweep")->rows = RUN("1", "11") "|" FOLDER;
    scene.dispatch->sweep.next = 0;
    scene_until(listed, "listed");
    scene.dispatch->node.lease_ms = 1;
    sql("renew")->state = "08006";
    for (int64_t until = clock_ms() + 200; clock_ms() < until;)
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    sql("sweep")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(over, "given up");
    ck_assert_int_eq(call("gc")->calls + call("clean")->calls, 0);
}
END_TEST

#define WORK(attempt)                                                                            \
    "attempt=" attempt ";folder=t1;run=t1.1;epoch=3;nonce=" NONCE ";pid=7;start=9;boot=boot-1;"  \
    "task_id=t-1;repo=acme/app;branch=task/t1;base_branch=<null>;number=2;agent_type=codex-cli;" \
    "ordinal=0"

START_TEST(test_workspaces_are_removed_one_by_one)
{
    sql("removals")->rows = WORK("11") "|" WORK("12");
    sweeps("");
    ck_assert_str_eq(sql("removals")->last[1], "h1");
    ck_assert_int_eq(call("remove")->calls, 2);
    ck_assert_str_eq(scene_run.key.run, "t1.1");
    ck_assert_str_eq(scene_work.work.url, "https://git.example.org/acme/app.git");
    ck_assert_str_eq(scene_work.work.branch, "task/t1");
    ck_assert_str_eq(scene_work.secret, "s3cret-of-git");
    ck_assert_str_eq(scene_work.hook, "exec 'make' 'a b'");
    ck_assert_int_eq(sql("removed")->calls, 2);
    ck_assert_str_eq(sql("removed")->last[2], "12");
    ck_assert_str_eq(sql("removed")->last[3], "<null>");
    ck_assert_int_eq(call("clean")->calls, 1); /* what is nobody's, after them */
}
END_TEST

START_TEST(test_a_workspace_that_stays)
{
    sql("removals")->rows = WORK("11");
    call("remove")->answer = "kept push_refused";
    sweeps("");
    ck_assert_str_eq(sql("removed")->last[2], "11");
    ck_assert_str_eq(sql("removed")->last[3], "push_refused");
    ck_assert_int_eq(call("clean")->calls, 1);
}
END_TEST

START_TEST(test_a_channel_that_is_cut_under_a_removal)
{
    sql("removals")->rows = WORK("11");
    call("remove")->answer = NULL;
    sweeps("");
    ck_assert_int_eq(sql("removed")->calls, 0);
}
END_TEST

START_TEST(test_removals_cannot_be_asked_for)
{
    sql("removals")->state = "42501";
    sweeps("");
    ck_assert_int_eq(call("remove")->calls, 0);
    ck_assert_int_eq(call("clean")->calls, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep");
    TCase *tcase = tcase_create("sweep");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_what_sql_names_goes);
    tcase_add_test(tcase, test_no_host_is_due);
    tcase_add_test(tcase, test_names_that_are_none);
    tcase_add_test(tcase, test_what_the_host_keeps_is_not_told_as_gone);
    tcase_add_test(tcase, test_a_run_that_is_there_still);
    tcase_add_test(tcase, test_a_forged_epoch);
    tcase_add_test(tcase, test_a_channel_that_is_cut);
    tcase_add_test(tcase, test_without_lease_nothing_goes);
    tcase_add_test(tcase, test_workspaces_are_removed_one_by_one);
    tcase_add_test(tcase, test_a_workspace_that_stays);
    tcase_add_test(tcase, test_a_channel_that_is_cut_under_a_removal);
    tcase_add_test(tcase, test_removals_cannot_be_asked_for);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
