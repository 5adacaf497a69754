/* The node's own life: registering, beating, claiming, sleeping, dying, adopting, draining; and its
 * hosts. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define PEER "22222222-2222-4222-8222-222222222222"

static bool live(void)
{
    return node_live(&scene.dispatch->node) && sql("renew")->calls > 1;
}

static bool asleep(void)
{
    return sql("sleep_begin")->calls == 1 && sql("claim")->calls >= 2;
}

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && call("watch")->calls > 0;
}

START_TEST(test_registers)
{
    scene_until(live, "live");
    ck_assert_int_eq(sql("node_start")->calls, 1);
    ck_assert_uint_eq(strlen(sql("node_start")->last[0]), 36);
    ck_assert_str_eq(sql("node_start")->last[1], "w1");
    ck_assert_uint_eq(strlen(sql("configure_hosts")->last[1]), 64);
    ck_assert_str_eq(sql("configure_hosts")->last[3],
                     "{\"(\\\"h1\\\",\\\"0\\\",\\\"localhost\\\",\\\"22\\\",\\\"\\\","
                     "\\\"/tmp/scene\\\",\\\"plain\\\",\\\"{\\\\\\\"*\\\\\\\"}\\\",)\"}");
    ck_assert_ptr_nonnull(
        strstr(sql("configure_hosts")->last[4], "(\\\"h1\\\",\\\"demo\\\",\\\"2\\\""));
    ck_assert_str_eq(scene.dispatch->node.fleet_id, "f1");
}
END_TEST

START_TEST(test_claims_up_to_its_slots_then_sleeps)
{
    scene_until(asleep, "asleep");
    ck_assert_str_eq(sql("claim")->last[1], "2");
    int calls = sql("claim")->calls;
    dispatch_notify(scene.dispatch);
    while (sql("claim")->calls == calls)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql("sleep_begin")->calls, 1);
}
END_TEST

static int claims_before;

static bool claimed_one_more(void)
{
    return is_running() && strcmp(sql("claim")->last[1], "1") == 0;
}

START_TEST(test_takes_no_more_than_free)
{
    scene_once("claim", CLAIMED);
    scene_until(claimed_one_more, "claim with one slot left");
}
END_TEST

static bool is_reborn(void)
{
    return sql("node_start")->calls == 2 && sql("configure_hosts")->calls == 2;
}

START_TEST(test_declared_dead)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    char before[37];
    memcpy(before, scene.dispatch->node.id, sizeof before);
    int sent = call("stop")->calls + call("void")->calls + call("raise")->calls;
    sql("renew")->state = "AF002";
    sql("renew")->times = 1;
    scene_until(is_reborn, "a new life");
    ck_assert_str_eq(sql("configure_hosts")->last[2], "{\"all\"}"); /* what is tried again */
    ck_assert_str_ne(before, scene.dispatch->node.id);
    ck_assert_ptr_null(scene_job());
    ck_assert_int_eq(sql("turn")->calls + sql("release")->calls, 0);
    ck_assert_int_eq(call("stop")->calls + call("void")->calls + call("raise")->calls, sent);
}
END_TEST

static bool is_fenced(void)
{
    return scene.dispatch->node.fenced;
}

static bool has_started(void)
{
    return call("start")->calls > 0;
}

static bool waits_for_start(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_START &&
           clock_ms() - scene_job()->since > 400;
}

START_TEST(test_without_lease_nothing_is_started)
{
    sql("node_start")->rows = "fleet_id=f1;schema_version=999;beat_ms=50;dead_ms=400;lease_ms=300";
    sql("starting_runs")->state = "08006"; /* the database goes away behind the claim */
    scene_once("claim", CLAIMED);
    while (sql("starting_runs")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("renew")->state = "08006";
    scene_until(is_fenced, "fenced");
    sql("starting_runs")->state = NULL;
    scene_until(waits_for_start, "waiting with a committed start");
    ck_assert_int_eq(call("start")->calls, 0);
    sql("renew")->state = NULL;
    scene_until(has_started, "started under a good lease");
}
END_TEST

static bool adopts(void)
{
    return sql("adopt")->calls > 0;
}

START_TEST(test_adopts_from_a_still_peer)
{
    sql("renew")->rows = "kind=beat;attempt=<null>;epoch=<null>;node=" PEER ";beat=5";
    scene_until(live, "live");
    int64_t since = clock_ms();
    ck_assert_int_eq(sql("adopt")->calls, 0);
    scene_until(adopts, "adopt");
    ck_assert_int_ge(clock_ms() - since, 100);
    ck_assert_str_eq(sql("adopt")->last[1], PEER);
    ck_assert_str_eq(sql("adopt")->last[2], "5");
}
END_TEST

START_TEST(test_adopts_whose_lock_is_gone)
{
    sql("node_start")->rows =
        "fleet_id=f1;schema_version=999;beat_ms=50;dead_ms=9999;lease_ms=60000";
    sql("renew")->rows = "kind=beat;attempt=<null>;epoch=<null>;node=" PEER ";beat=5";
    scene_until(live, "live");
    ck_assert_int_eq(sql("adopt")->calls, 0);
    sql("peers")->rows = "kind=gone;node=" PEER ";beat=5";
    scene_until(adopts, "adopt");
    ck_assert_str_eq(sql("adopt")->last[1], PEER);
}
END_TEST

START_TEST(test_looks_at_once_when_told)
{
    scene_until(live, "live");
    while (scene.dispatch->looking)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    int looks = sql("peers")->calls;
    dispatch_told(scene.dispatch, "");
    ck_assert_int_eq(sql("peers")->calls, looks);
    sql("peers")->rows = "kind=left;node=" PEER ";beat=5";
    dispatch_told(scene.dispatch, "left");
    ck_assert_int_eq(sql("peers")->calls, looks + 1);
    scene_until(adopts, "adopt");
    ck_assert_str_eq(sql("adopt")->last[1], PEER);
}
END_TEST

START_TEST(test_each_life_has_its_lock)
{
    scene_until(live, "live");
    ck_assert_str_eq(scene_kept, scene.dispatch->node.id);
    sql("peers")->state = "AF002";
    sql("peers")->times = 1;
    scene_until(is_reborn, "a new life");
    ck_assert_str_eq(scene_kept, scene.dispatch->node.id);
}
END_TEST

static int beats;

static bool watched_long(void)
{
    static char row[200];
    snprintf(row, sizeof row, "kind=beat;attempt=<null>;epoch=<null>;node=" PEER ";beat=%d",
             beats++);
    sql("renew")->rows = row;
    return sql("renew")->calls > 16;
}

START_TEST(test_leaves_a_beating_peer_alone)
{
    scene_until(watched_long, "many beats");
    ck_assert_int_eq(sql("adopt")->calls, 0);
}
END_TEST

static bool reconnecting(void)
{
    scene.generation++;
    return sql("renew")->calls > 16;
}

START_TEST(test_a_reconnect_is_nobodys_death)
{
    sql("renew")->rows = "kind=beat;attempt=<null>;epoch=<null>;node=" PEER ";beat=5";
    scene_until(reconnecting, "many reconnects");
    ck_assert_int_eq(sql("adopt")->calls, 0);
}
END_TEST

/* No tick comes by itself any more: who waits for one waits for ever. */
static void stop_ticks(void)
{
    timer_stop(&scene.dispatch->tick);
}

static bool claims_hang(void)
{
    return sql("claim")->held && sql("claim")->calls > claims_before;
}

static bool claims_more(void)
{
    return sql("claim")->calls > claims_before;
}

static void let_claims_go(void)
{
    claims_before = sql("claim")->calls;
    sql("claim")->held = false;
    timer_start(&scene.pump, 1, 0);
}

START_TEST(test_there_may_be_more_where_that_came_from)
{
    sql("claim")->held = true;
    claims_before = 0;
    scene_once("claim", CLAIMED);
    scene_until(claims_hang, "a claim");
    stop_ticks();
    let_claims_go();
    scene_until(claims_more, "a second claim at once");
    ck_assert_str_eq(sql("claim")->last[1], "1");
}
END_TEST

START_TEST(test_an_end_is_followed_by_a_claim)
{
    scene_once("claim", CLAIMED);
    scene_until(claimed_one_more, "claim with one slot left");
    while (!scene.dispatch->asleep || scene.dispatch->claim_wanted || scene.dispatch->claiming)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    claims_before = sql("claim")->calls;
    stop_ticks();
    job_finish(scene_job(), "succeeded", NULL);
    scene_until(claims_more, "a claim at once");
    ck_assert_str_eq(sql("claim")->last[1], "2");
}
END_TEST

START_TEST(test_room_that_comes_during_a_claim)
{
    scene_once("claim", CLAIMED);
    scene_until(claimed_one_more, "claim with one slot left");
    while (!scene.dispatch->asleep || scene.dispatch->claim_wanted || scene.dispatch->claiming)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    sql("claim")->held = true;
    claims_before = sql("claim")->calls;
    dispatch_notify(scene.dispatch);
    scene_until(claims_hang, "a claim");
    job_finish(scene_job(), "succeeded", NULL);
    while (scene_job() != NULL || !scene.dispatch->claim_wanted)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    for (int turn = 0; turn < 5; turn++)
        uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    stop_ticks();
    let_claims_go();
    scene_until(claims_more, "a claim for the room");
    ck_assert_str_eq(sql("claim")->last[1], "2");
}
END_TEST

START_TEST(test_lost_claim_answer)
{
    sql("claim")->state = "08006";
    sql("renew")->rows = "kind=ours;attempt=11;epoch=1;node=<null>;beat=<null>";
    scene_once("jobs", CLAIMED);
    sql("claim")->times = 1;
    scene_until(is_running, "running");
    ck_assert_str_eq(sql("jobs")->last[1], "{11}");
}
END_TEST

static bool gone(void)
{
    return scene_job() == NULL;
}

START_TEST(test_gone_is_dropped)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    sql("renew")->rows = "kind=gone;attempt=11;epoch=<null>;node=<null>;beat=<null>";
    scene_until(gone, "gone");
    ck_assert_int_eq(call("stop")->calls, 0);
    ck_assert_int_eq(sql("turn")->calls, 0);
}
END_TEST

/* --- Hosts --- */

static bool told_unreachable(void)
{
    return strcmp(sql("phase")->last[3], "unreachable") == 0 &&
           strcmp(sql("host_report")->last[3], "f") == 0;
}

static bool told_running(void)
{
    return strcmp(sql("phase")->last[3], "running") == 0 &&
           strcmp(sql("host_report")->last[3], "t") == 0;
}

START_TEST(test_unreachable_host_keeps_its_runs)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    const char *hello = call("hello")->answer;
    call("hello")->answer = NULL;
    scene_until(told_unreachable, "unreachable");
    ck_assert_str_eq(sql("phase")->last[4], "the host is away");
    ck_assert_ptr_nonnull(scene_job());
    call("hello")->answer = hello;
    scene_until(told_running, "running again");
    ck_assert_int_eq(sql("turn")->calls, 0);
    ck_assert_int_eq(call("start")->calls, 1);
}
END_TEST

static bool is_down(void)
{
    return sql("host_report")->calls > 0 &&
           host_down(list_entry(scene.dispatch->hosts.next, struct host, link));
}

START_TEST(test_replaced_host_gets_nothing)
{
    sql("host_report")->rows = "verdict=host_replaced;differs=<null>;told=<null>";
    scene_once("claim", CLAIMED);
    scene_until(is_down, "down");
    ck_assert_int_eq(sql("claim")->calls, 0);
}
END_TEST

START_TEST(test_host_that_lacks_something)
{
    scene_run.lacks = "there is no /proc";
    scene_until(is_down, "down");
    ck_assert_str_eq(sql("host_report")->last[7], "runner_failed");
    ck_assert_ptr_nonnull(strstr(sql("host_report")->last[8], "there is no /proc"));
}
END_TEST

/* --- Output and drain --- */

static bool stored(void)
{
    return scene.stored_len[0] == scene_run.out_len;
}

START_TEST(test_refused_append_is_repeated)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    sql("append")->state = "08006";
    sql("append")->times = 1;
    scene_prints("hello\n");
    scene_until(stored, "stored");
    scene_is_stored("hello\n");
    ck_assert_int_ge(sql("append")->calls, 2);
    ck_assert_ptr_nonnull(strstr(sql("append")->last[6], "\\\"at\\\":6"));
}
END_TEST

static bool drained(void)
{
    return scene.drained;
}

START_TEST(test_drain_stores_and_leaves)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    scene_prints("tail\n");
    while (scene_job()->out.pending.len == 0 && sql("append")->calls == 0)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    dispatch_drain(scene.dispatch, scene_drained, NULL);
    scene_until(drained, "drained");
    scene_is_stored("tail\n");
    ck_assert_int_eq(sql("node_stop")->calls, 1);
    ck_assert_int_eq(sql("turn")->calls + sql("release")->calls, 0);
    ck_assert_int_eq(call("stop")->calls, 0);
}
END_TEST

static bool configured_again(void)
{
    return sql("configure_hosts")->calls >= 2;
}

START_TEST(test_reload)
{
    struct error err;
    static const char text[] = "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
                               "adapters: { demo: { command: [ demo ] } }\n"
                               "hosts:\n"
                               "  - { host_id: h2, hostname: localhost, work_dir: /tmp/other,\n"
                               "      agents: [ { agent_type: demo, account: team } ] }\n";
    scene_until(live, "live");
    ck_assert_str_eq(sql("configure_hosts")->last[5], "{}"); /* each has an account of its own */
    struct config *config = config_parse(text, strlen(text), "x.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    dispatch_reload(scene.dispatch, config);
    scene_until(configured_again, "configured again");
    ck_assert_ptr_nonnull(strstr(sql("configure_hosts")->last[3], "(\\\"h2\\\""));
    ck_assert_ptr_null(strstr(sql("configure_hosts")->last[3], "(\\\"h1\\\""));
    ck_assert_str_eq(sql("configure_hosts")->last[5], "{\"h2/demo\": \"team\"}");
    ck_assert_ptr_nonnull(dispatch_host(scene.dispatch, "h2"));
    while (dispatch_host(scene.dispatch, "h1") != NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *tcase = tcase_create("dispatch");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, test_registers);
    tcase_add_test(tcase, test_claims_up_to_its_slots_then_sleeps);
    tcase_add_test(tcase, test_takes_no_more_than_free);
    tcase_add_test(tcase, test_declared_dead);
    tcase_add_test(tcase, test_without_lease_nothing_is_started);
    tcase_add_test(tcase, test_adopts_from_a_still_peer);
    tcase_add_test(tcase, test_adopts_whose_lock_is_gone);
    tcase_add_test(tcase, test_looks_at_once_when_told);
    tcase_add_test(tcase, test_each_life_has_its_lock);
    tcase_add_test(tcase, test_leaves_a_beating_peer_alone);
    tcase_add_test(tcase, test_a_reconnect_is_nobodys_death);
    tcase_add_test(tcase, test_there_may_be_more_where_that_came_from);
    tcase_add_test(tcase, test_an_end_is_followed_by_a_claim);
    tcase_add_test(tcase, test_room_that_comes_during_a_claim);
    tcase_add_test(tcase, test_lost_claim_answer);
    tcase_add_test(tcase, test_gone_is_dropped);
    tcase_add_test(tcase, test_unreachable_host_keeps_its_runs);
    tcase_add_test(tcase, test_replaced_host_gets_nothing);
    tcase_add_test(tcase, test_host_that_lacks_something);
    tcase_add_test(tcase, test_refused_append_is_repeated);
    tcase_add_test(tcase, test_drain_stores_and_leaves);
    tcase_add_test(tcase, test_reload);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
