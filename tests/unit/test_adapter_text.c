/* worker/adapter: agents that only print. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/adapter/adapter.h"

START_TEST(test_status_decides)
{
    struct adapter adapter;
    const char *why;
    adapter_init(&adapter, &adapter_text);
    adapter_feed(&adapter, "hello\n", 6);
    ck_assert_str_eq(adapter_judge(&adapter, 0, &why), "succeeded");
    ck_assert_str_eq(adapter_judge(&adapter, 3, &why), "failed");
    ck_assert_str_eq(why, "exit_nonzero");
    ck_assert_str_eq(adapter_judge(&adapter, -1, &why), "failed");
    adapter_judge(&adapter, 127, &why);
    ck_assert_str_eq(why, "adapter_missing");
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_summary_is_the_tail)
{
    struct adapter adapter;
    adapter_init(&adapter, &adapter_text);
    for (int i = 0; i < 5000; i++)
        adapter_feed(&adapter, "€", 3);
    adapter_feed(&adapter, "end\x1b\n", 5);
    adapter_end(&adapter);
    ck_assert_int_eq(adapter_next(&adapter), 15005);
    ck_assert_uint_le(strlen(adapter.facts.summary), ADAPTER_TAIL_MAX);
    ck_assert(strncmp(adapter.facts.summary, "€", 3) == 0);
    ck_assert_str_eq(strstr(adapter.facts.summary, "end"), "end\n");
    adapter_release(&adapter);
}
END_TEST

START_TEST(test_adopter_reads_the_same_tail)
{
    char text[10000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    struct adapter first, second;
    adapter_init(&first, &adapter_text);
    adapter_feed(&first, text, 7000);
    struct buf point;
    buf_init(&point, 10000);
    adapter_checkpoint(&first, &point);
    adapter_init(&second, &adapter_text);
    ck_assert(adapter_restore(&second, buf_text(&point)));
    size_t from = (size_t)adapter_next(&second);
    ck_assert_uint_eq(from, 7000 - ADAPTER_TAIL_MAX);
    adapter_feed(&first, text + 7000, 3000);
    adapter_feed(&second, text + from, sizeof text - from);
    adapter_end(&first);
    adapter_end(&second);
    ck_assert_str_eq(first.facts.summary, second.facts.summary);
    adapter_release(&first);
    adapter_release(&second);
    buf_release(&point);
}
END_TEST

START_TEST(test_summary_without_secrets)
{
    static const char *const said[] = {"open sesame"};
    struct adapter adapter;
    adapter_init(&adapter, &adapter_text);
    adapter.secrets = (struct redact_words){said, 1};
    adapter_feed(&adapter, "I said open sesame.\n", 20);
    adapter_end(&adapter);
    ck_assert_str_eq(adapter.facts.summary, "I said ***********.\n");
    adapter_release(&adapter);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adapter_text");
    TCase *tcase = tcase_create("adapter_text");
    tcase_add_test(tcase, test_status_decides);
    tcase_add_test(tcase, test_summary_is_the_tail);
    tcase_add_test(tcase, test_summary_without_secrets);
    tcase_add_test(tcase, test_adopter_reads_the_same_tail);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
