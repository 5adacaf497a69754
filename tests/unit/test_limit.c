/* worker/limit: when a limit ends, in the words of the CLIs. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/adapter/limit.h"

#define NOW INT64_C(1800000000) /* 2027-01-15 08:00:00 UTC, a Friday */
#define HOUR 3600
#define DAY 86400

static int64_t wait_at(const char *text, int64_t now, int offset, bool known, bool *guessed)
{
    struct limit_clock clock = {.now = now, .utc_offset_secs = offset, .offset_known = known};
    int64_t end;
    return limit_end(text, &clock, &end, guessed) ? end - now : -1;
}

static int64_t wait_of(const char *text)
{
    bool guessed;
    int64_t wait = wait_at(text, NOW, 0, true, &guessed);
    ck_assert(!guessed);
    return wait;
}

/* Seconds from now on a host whose clock is two hours ahead of UTC: it shows 10:00. */
static int64_t wait_there(const char *text)
{
    bool guessed;
    int64_t wait = wait_at(text, NOW, 2 * HOUR, true, &guessed);
    ck_assert(!guessed);
    return wait;
}

START_TEST(spans)
{
    ck_assert_int_eq(
        wait_of("You've hit your usage limit. Try again in 3 days 6 hours 57 minutes."),
        3 * DAY + 6 * HOUR + 57 * 60);
    ck_assert_int_eq(wait_of("usage limit ... try again in 1 hour, 5 minutes"), 3900);
    ck_assert_int_eq(wait_of("usage limit ... try again in 1 hour and 5 minutes"), 3900);
    ck_assert_int_eq(wait_of("Try again in 45 seconds or buy more"), 45);
    ck_assert_int_eq(wait_of("Your quota will reset after 21h53m56s."), 21 * HOUR + 53 * 60 + 56);
    ck_assert_int_eq(wait_of("google returned 429: Please retry in 12.5s"), 13);
    ck_assert_int_eq(wait_of("Please retry in 250ms"), 1);
    ck_assert_int_eq(wait_of("{\"details\":[{\"retryDelay\":\"34.074824224s\"}]}"), 35);
}
END_TEST

START_TEST(members)
{
    ck_assert_int_eq(wait_of("{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":120}"), 120);
    ck_assert_int_eq(wait_of("{\"type\":\"usage_limit_reached\", \"resets_at\" : 1800000300}"),
                     300);
    ck_assert_int_eq(wait_of("429: Some(\"{\\\"error\\\":{\\\"type\\\":\\\"usage_limit_reached\\\","
                             "\\\"resets_at\\\":1800467439,\\\"eligible_promo\\\":null,"
                             "\\\"resets_in_seconds\\\":467439}}\")"),
                     467439);
    ck_assert_int_eq(wait_of("{\"resets_at\":1800000300000}"), 300); /* milliseconds */
    ck_assert_int_eq(wait_of("quotaResetTimeStamp: '2027-01-15T09:00:08Z'"), HOUR + 8);
    ck_assert_int_eq(wait_of("Claude AI usage limit reached|1800003600"), HOUR);
}
END_TEST

/* The host's clock, which is what a time without a zone means. */
START_TEST(times_of_the_host)
{
    ck_assert_int_eq(wait_of("try again at 3:28 PM"), 7 * HOUR + 28 * 60);
    ck_assert_int_eq(wait_there("or try again at 3:28 PM."), 5 * HOUR + 28 * 60);
    ck_assert_int_eq(wait_there("try again at 9:00 AM."), 23 * HOUR); /* tomorrow */
    ck_assert_int_eq(wait_there("try again at 12:05 AM."), 14 * HOUR + 5 * 60);
    ck_assert_int_eq(wait_there("try again at 12:05 PM."), 2 * HOUR + 5 * 60);
    ck_assert_int_eq(wait_there("5-hour limit reached, resets 15:00"), 5 * HOUR);
    ck_assert_int_eq(wait_there("try again at Jan 28th, 2027 10:03 PM."),
                     13 * DAY + 12 * HOUR + 180);
    ck_assert_int_eq(wait_there("try again at February 2nd, 2027 1:07 PM."),
                     18 * DAY + 3 * HOUR + 420);
    ck_assert_int_eq(wait_there("resets Jan 16, 10am"), DAY);
    ck_assert_int_eq(wait_there("resets Jan 16 at 10am"), DAY);
    ck_assert_int_eq(wait_there("Weekly limit reached. resets Jan 20"), 4 * DAY + 14 * HOUR);
    ck_assert_int_eq(wait_there("resets Jan 2, 10am"), 352 * DAY);              /* of next year */
    ck_assert_int_eq(wait_there("try again at 2027-01-15T11:00:00+03:00"), -1); /* now */
    ck_assert_int_eq(wait_there("try again at 2027-01-15T12:00:00+03:00"), HOUR);
    ck_assert_int_eq(wait_there("try again at 9:55 AM."), -1); /* it was to come a moment ago */
}
END_TEST

START_TEST(times_of_a_zone)
{
    ck_assert_int_eq(wait_there("You've hit your limit \xc2\xb7 resets 2pm (UTC)"), 6 * HOUR);
    bool guessed;
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
        return;
    ck_assert_int_eq(wait_of("You've hit your limit \xc2\xb7 resets 2pm (Europe/Berlin)"),
                     5 * HOUR);
    ck_assert_int_eq(wait_of("resets Jul 15, 2027 at 2pm (Europe/Berlin)"), 181 * DAY + 4 * HOUR);
    ck_assert_int_eq(wait_of("limit resets 4am (America/New_York)"), HOUR);
    ck_assert_int_eq(wait_of("limit resets 2:30am (America/Argentina/Buenos_Aires)"),
                     21 * HOUR + 1800);
    ck_assert_int_eq(wait_at("resets 2pm (Nowhere/Land)", NOW, 0, true, &guessed), 6 * HOUR);
    ck_assert(guessed);
    ck_assert_int_eq(wait_of("resets 2pm (../../etc/passwd)"), 6 * HOUR);
}
END_TEST

START_TEST(a_zone_that_nobody_knows)
{
    bool guessed;
    ck_assert_int_eq(wait_at("try again at 9:00 AM", NOW, 0, false, &guessed), HOUR);
    ck_assert(guessed);
    ck_assert_int_eq(wait_at("try again in 1 hour", NOW, 0, false, &guessed), HOUR);
    ck_assert(!guessed);
    ck_assert_int_eq(wait_at("resets 9am (UTC)", NOW, 0, false, &guessed), HOUR);
    ck_assert(!guessed);
}
END_TEST

START_TEST(what_is_not)
{
    static const char *const texts[] = {"",
                                        "exceeded retry limit, last status: 429 Too Many Requests",
                                        "try again in a while",
                                        "try again in 5 parsecs",
                                        "try again in 0 minutes",
                                        "Your quota will reset after 0s.",
                                        "resets_at",
                                        "resets_at 1799999999", /* it is over */
                                        "resets_at 99999999999999999999",
                                        "try again in 9999999999 days",
                                        "Limits reset every 5h and every week.",
                                        "try again at 25:00",
                                        "try again at 13 PM",
                                        "try again at 3",
                                        "rate limit reached, try again later",
                                        "resets Foo 20"};
    ck_assert_int_eq(wait_of(NULL), -1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(wait_of(texts[i]) == -1, "%s", texts[i]);
}
END_TEST

START_TEST(windows)
{
    ck_assert_str_eq(limit_window("Weekly limit reached"), "seven_day");
    ck_assert_str_eq(limit_window("5-hour limit reached"), "five_hour");
    ck_assert_str_eq(limit_window("{\"window_minutes\":300}"), "five_hour");
    ck_assert_str_eq(limit_window("{\"window_minutes\": 10080}"), "seven_day");
    ck_assert_str_eq(limit_window("{\"window_minutes\": 7}"), "");
    ck_assert_str_eq(limit_window("You've hit your usage limit."), "");
    ck_assert_str_eq(limit_window(NULL), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limit");
    TCase *tcase = tcase_create("limit");
    tcase_add_test(tcase, spans);
    tcase_add_test(tcase, members);
    tcase_add_test(tcase, times_of_the_host);
    tcase_add_test(tcase, times_of_a_zone);
    tcase_add_test(tcase, a_zone_that_nobody_knows);
    tcase_add_test(tcase, what_is_not);
    tcase_add_test(tcase, windows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
