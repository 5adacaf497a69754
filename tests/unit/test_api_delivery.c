/* Deliveries by REST: who may see them, what reaches SQL. */
#include "tests/unit/api_scene.h"

#define DELIVERIES "/api/v1/deliveries"
#define ID "c10f7832-0001-4002-8003-123456789abc"

START_TEST(a_page_is_shown_to_operators)
{
    api_sql("delivery_list", "status=200;body=[];next=7;location=<null>");
    ck_assert_int_eq(api_ask("operate", "GET", DELIVERIES "?limit=3&cursor=12", NULL), 200);
    api_has("cursor=7");
    ck_assert_str_eq(api_asked("delivery_list")->last[1], "3");
    ck_assert_str_eq(api_asked("delivery_list")->last[2], "12");
    ck_assert_int_eq(api_ask("submit", "GET", DELIVERIES, NULL), 403);
    ck_assert_int_eq(api_ask("read", "GET", DELIVERIES, NULL), 403);
    ck_assert_int_eq(api_asked("delivery_list")->calls, 1);
}
END_TEST

START_TEST(one_is_taken_again)
{
    api_sql("delivery_replay",
            "status=202;body={\"result\": \"accepted\"};next=<null>;location=<null>");
    ck_assert_int_eq(api_ask("operate", "POST", DELIVERIES "/" ID "/replay", ""), 202);
    ck_assert_str_eq(api_asked("delivery_replay")->last[1], ID);
    ck_assert_int_eq(api_ask("submit", "POST", DELIVERIES "/" ID "/replay", ""), 403);
    ck_assert_int_eq(api_ask("operate", "POST", DELIVERIES "/" ID "/replay", "{\"x\": 1}"), 400);
    ck_assert_int_eq(api_asked("delivery_replay")->calls, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("delivery");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, api_setup, api_teardown);
    tcase_add_test(tcase, a_page_is_shown_to_operators);
    tcase_add_test(tcase, one_is_taken_again);
    return api_run(tcase);
}
