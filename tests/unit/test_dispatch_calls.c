/* A dispatcher's own calls: what is not asked while another answer is on its way, what is asked
 * again and when, and answers that are nobody's. */
#include "tests/unit/worker_scene.h"

#define PEER "22222222-2222-4222-8222-222222222222"
#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define RUNNING SCENE_JOB("running;proven=t", "2", "t-1-x.1", "0", "<null>", "f")

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING;
}

static bool may_act(void)
{
    return node_may_act(&scene.dispatch->node);
}

static struct scene_sql *told;
static int calls;

static bool was_told(void)
{
    return told->calls > calls;
}

/* Until it was called so many times more. */
static void until_told(const char *name, int more)
{
    told = sql(name);
    calls = told->calls + more - 1;
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

static void let_go(const char *name)
{
    sql(name)->held = false;
    timer_start(&scene.pump, 1, 0);
}

/* What the oldest call in flight will be answered. */
static void answers(const char *name, const char *rows)
{
    list_each(link, &scene.queries)
    {
        struct scene_query *query = list_entry(link, struct scene_query, link);
        if (strcmp(query->sql->name, name) == 0) {
            free(query->rows);
            query->rows = mem_strdup(rows);
            return;
        }
    }
}

static bool is_claiming(void)
{
    return scene.dispatch->claiming;
}

/* A claim in flight. */
static void hold_a_claim(void)
{
    scene_until(may_act, "a lease");
    sql("claim")->held = true;
    dispatch_notify(scene.dispatch);
    scene_until(is_claiming, "a claim");
}

static int jobs_count(void)
{
    int count = 0;
    list_each(link, &scene.dispatch->jobs.list)
    {
        count++;
    }
    return count;
}

START_TEST(what_we_have_is_not_taken_a_second_time)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    uint64_t claims = scene.dispatch->node.counts.claims;
    scene_once("claim", CLAIMED);
    dispatch_notify(scene.dispatch);
    until_told("claim", 2);
    pass(100);
    ck_assert_int_eq(jobs_count(), 1);
    ck_assert_uint_eq(scene.dispatch->node.counts.claims, claims);
}
END_TEST

START_TEST(a_sleep_that_was_not_heard_is_said_again)
{
    sql("sleep_begin")->state = "08006";
    sql("sleep_begin")->times = 1;
    until_told("sleep_begin", 1);
    pass(50);
    dispatch_notify(scene.dispatch);
    until_told("sleep_begin", 1);
    ck_assert(scene.dispatch->asleep);
}
END_TEST

static void a_peer_left(void)
{
    sql("peers")->rows = "kind=left;node=" PEER ";beat=5";
}

START_TEST(a_peer_without_runs_is_not_asked_for_at_once)
{
    a_peer_left();
    until_told("adopt", 1);
    pass(700);
    ck_assert_int_eq(sql("adopt")->calls, 1);
}
END_TEST

/* There may be more of its runs than one answer holds. */
START_TEST(a_peer_with_runs_is_asked_for_at_once)
{
    a_peer_left();
    scene_once("adopt", RUNNING);
    sql("adopt")->held = true;
    until_told("adopt", 1);
    let_go("adopt");
    while (scene_job() == NULL)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(sql("adopt")->calls, 2);
}
END_TEST

/* It is in the answer that is on its way. */
START_TEST(what_a_claim_may_bring_is_not_looked_for)
{
    hold_a_claim();
    sql("renew")->rows = "kind=ours;attempt=11;epoch=<null>;node=<null>;beat=<null>";
    until_told("renew", 3);
    ck_assert_int_eq(sql("jobs")->calls, 0);
    let_go("claim");
    until_told("jobs", 1);
    sql("renew")->rows = NULL;
}
END_TEST

START_TEST(nothing_is_reaped_while_we_adopt)
{
    a_peer_left();
    sql("adopt")->held = true;
    until_told("adopt", 1);
    pass(100);
    int reaps = sql("reap")->calls;
    scene.dispatch->next_reap = 0;
    pass(500);
    ck_assert_int_eq(sql("reap")->calls, reaps);
    let_go("adopt");
    until_told("reap", 1);
}
END_TEST

static bool reaps_soon(void)
{
    return !scene.dispatch->reaping && scene.dispatch->next_reap <= clock_ms() + 1000;
}

START_TEST(where_much_was_reaped_there_is_more)
{
    scene_until(may_act, "a lease");
    sql("reap")->rows = "done=10000";
    scene.dispatch->next_reap = 0;
    until_told("reap", 1);
    scene_until(reaps_soon, "again soon");
}
END_TEST

static bool is_reborn(void)
{
    return sql("node_start")->calls == 2 && may_act();
}

START_TEST(an_answer_of_an_earlier_life)
{
    hold_a_claim();
    sql("renew")->state = "AF002";
    sql("renew")->times = 1;
    scene_until(is_reborn, "a new life");
    answers("claim", CLAIMED);
    let_go("claim");
    until_told("renew", 2);
    ck_assert_int_eq(jobs_count(), 0); /* another node's by now */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatch_calls");
    TCase *tcase = tcase_create("dispatch_calls");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, what_we_have_is_not_taken_a_second_time);
    tcase_add_test(tcase, a_sleep_that_was_not_heard_is_said_again);
    tcase_add_test(tcase, a_peer_without_runs_is_not_asked_for_at_once);
    tcase_add_test(tcase, a_peer_with_runs_is_asked_for_at_once);
    tcase_add_test(tcase, what_a_claim_may_bring_is_not_looked_for);
    tcase_add_test(tcase, nothing_is_reaped_while_we_adopt);
    tcase_add_test(tcase, where_much_was_reaped_there_is_more);
    tcase_add_test(tcase, an_answer_of_an_earlier_life);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
