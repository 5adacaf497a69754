/* worker/limit: when a limit ends, in the words of the CLIs. */
#include <check.h>
#include <stdlib.h>

#include "worker/adapter/limit.h"

#define NOW INT64_C(1800000000)

static int64_t wait_of(const char *text)
{
    int64_t end;
    return limit_end(text, NOW, &end) ? end - NOW : -1;
}

START_TEST(what_is_told)
{
    ck_assert_int_eq(
        wait_of("You've hit your usage limit. Try again in 3 days 6 hours 57 minutes."),
        3 * 86400 + 6 * 3600 + 57 * 60);
    ck_assert_int_eq(wait_of("usage limit ... try again in 1 hour, 5 minutes"), 3900);
    ck_assert_int_eq(wait_of("Try again in 45 seconds or buy more"), 45);
    ck_assert_int_eq(wait_of("{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":120}"), 120);
    ck_assert_int_eq(wait_of("{\"type\":\"usage_limit_reached\", \"resets_at\" : 1800000300}"),
                     300);
}
END_TEST

START_TEST(what_is_not)
{
    ck_assert_int_eq(wait_of(NULL), -1);
    ck_assert_int_eq(wait_of(""), -1);
    ck_assert_int_eq(wait_of("try again at 3:28 PM"), -1);
    ck_assert_int_eq(wait_of("Try again at Apr 28th, 2026 10:03 PM"), -1);
    ck_assert_int_eq(wait_of("exceeded retry limit, last status: 429 Too Many Requests"), -1);
    ck_assert_int_eq(wait_of("try again in a while"), -1);
    ck_assert_int_eq(wait_of("try again in 5 parsecs"), -1);
    ck_assert_int_eq(wait_of("try again in 0 minutes"), -1);
    ck_assert_int_eq(wait_of("resets_at"), -1);
    ck_assert_int_eq(wait_of("resets_at 1799999999"), -1); /* it is over */
    ck_assert_int_eq(wait_of("resets_at 99999999999999999999"), -1);
    ck_assert_int_eq(wait_of("try again in 9999999999 days"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limit");
    TCase *tcase = tcase_create("limit");
    tcase_add_test(tcase, what_is_told);
    tcase_add_test(tcase, what_is_not);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
