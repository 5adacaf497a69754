/* common/measure: each chore comes again, one at a time, at once where there is more; nothing
 * without a node; and how late the loop was. */
#include "tests/unit/api_scene.h"

#include "common/measure.h"
#include "common/process.h"

static struct measure *measure;
static const char *id;

static const char *node(void *data)
{
    (void)data;
    return id;
}

static void say(void *data, struct buf *out)
{
    (void)data;
    buf_adds(out, "{\"runs\": 3}");
}

static void begin(const char *rolled)
{
    api_sql("roll_up", rolled);
    api_sql("take_stock", "done=1");
    api_sql("take_checks", "done=0");
    api_sql("node_report", "done=0");
    measure = measure_new(&api.server.loop, api.server.db,
                          &(struct measure_node){.id = node, .say = say, .data = NULL});
}

static void setup(void)
{
    api_setup();
    id = "00000000-0000-4000-8000-000000000001";
}

static void teardown(void)
{
    measure_stop(measure);
    api_teardown();
    measure_free(measure);
}

static void until_called(const char *name, int calls)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (api_asked(name)->calls < calls) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "fleet.%s is not asked", name);
    }
}

START_TEST(each_is_asked_in_the_name_of_the_node)
{
    begin("done=0");
    until_called("roll_up", 1);
    until_called("take_stock", 1);
    until_called("take_checks", 1);
    until_called("node_report", 1);
    api_was_asked("roll_up", (const char *const[]){id});
    api_was_asked("node_report", (const char *const[]){id, "{\"runs\": 3}"});
}
END_TEST

START_TEST(a_full_page_is_followed_at_once)
{
    begin("done=2000");
    until_called("roll_up", 1);
    int64_t at = clock_ms();
    until_called("roll_up", 50); /* 50 pauses would take 37 s */
    ck_assert_int_lt(clock_ms() - at, 30000);
}
END_TEST

START_TEST(one_at_a_time)
{
    begin("done=2000");
    api_asked("roll_up")->held = true;
    until_called("roll_up", 1);
    until_called("take_stock", 2);
    ck_assert_int_eq(api_asked("roll_up")->calls, 1);
}
END_TEST

START_TEST(a_failure_is_tried_again_later)
{
    begin("done=0");
    api_sql_fails("roll_up", "XX000");
    until_called("roll_up", 2);
}
END_TEST

START_TEST(nothing_is_asked_without_a_node)
{
    id = NULL;
    begin("done=2000");
    uint64_t turns = measure_lag(measure)->count;
    while (measure_lag(measure)->count < turns + 4)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(api_asked("roll_up")->calls, 0);
    id = "00000000-0000-4000-8000-000000000002";
    until_called("roll_up", 1);
}
END_TEST

START_TEST(a_loop_that_stood_still_was_late)
{
    id = NULL;
    begin("done=0");
    while (measure_lag(measure)->count < 1)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    uint64_t before = measure_lag(measure)->sum_us, turns = measure_lag(measure)->count;
    for (int64_t end_ms = clock_ms() + 1600; clock_ms() < end_ms;)
        ; /* busy instead of a turn */
    while (measure_lag(measure)->count == turns)
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_ge((int)(measure_lag(measure)->sum_us - before), 1000000);
}
END_TEST

START_TEST(durations_go_into_the_lowest_bound_that_holds_them)
{
    struct histogram histogram = {0};
    measure = measure_new(&api.server.loop, api.server.db, &(struct measure_node){.id = node});
    id = NULL;
    histogram_add(&histogram, -5);
    histogram_add(&histogram, 1000);
    histogram_add(&histogram, 1001);
    histogram_add(&histogram, 31000000);
    ck_assert_int_eq((int)histogram.counts[0], 2);
    ck_assert_int_eq((int)histogram.counts[1], 1);
    ck_assert_int_eq((int)histogram.counts[HISTOGRAM_BOUNDS], 1);
    ck_assert_int_eq((int)histogram.count, 4);
    ck_assert_int_eq((int)histogram.sum_us, 31002001);
}
END_TEST

START_TEST(the_process_knows_what_it_uses)
{
    begin("done=0");
    struct process_use use = process_use();
    int fd = dup(0);
    ck_assert_int_eq(process_use().fds, use.fds + 1);
    close(fd);
    ck_assert_int_gt(use.fds_max, use.fds);
    ck_assert(use.resident_bytes > 1 << 20 && use.virtual_bytes > use.resident_bytes);
    double now = (double)time(NULL);
    ck_assert(use.start_seconds > now - 3600 && use.start_seconds < now + 2);
    ck_assert(use.cpu_seconds >= 0 && use.cpu_seconds < 600);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("measure");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, each_is_asked_in_the_name_of_the_node);
    tcase_add_test(tcase, a_full_page_is_followed_at_once);
    tcase_add_test(tcase, one_at_a_time);
    tcase_add_test(tcase, a_failure_is_tried_again_later);
    tcase_add_test(tcase, nothing_is_asked_without_a_node);
    tcase_add_test(tcase, a_loop_that_stood_still_was_late);
    tcase_add_test(tcase, durations_go_into_the_lowest_bound_that_holds_them);
    tcase_add_test(tcase, the_process_knows_what_it_uses);
    return api_run(tcase);
}
