/* common/buf: growth, the ceiling, and that a failed addition changes nothing. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

START_TEST(grows_and_stays_terminated)
{
    struct buf buf;
    buf_init(&buf, 100000);
    ck_assert_str_eq(buf_text(&buf), "");
    for (int i = 0; i < 10000; i++)
        ck_assert(buf_addf(&buf, "%d,", i % 10));
    ck_assert_uint_eq(buf.len, 20000);
    ck_assert_int_eq(buf.data[buf.len], '\0');
    ck_assert_uint_eq(strlen(buf_text(&buf)), 20000);
    buf_release(&buf);
    ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(ceiling_is_exact)
{
    struct buf buf;
    buf_init(&buf, 4);
    ck_assert(buf_adds(&buf, "abcd"));
    ck_assert(buf_add(&buf, "", 0));
    ck_assert(!buf_adds(&buf, "e"));
    ck_assert(buf.failed);
    ck_assert_str_eq(buf_text(&buf), "abcd");
    buf_release(&buf);
}
END_TEST

START_TEST(failure_sticks_until_cleared)
{
    struct buf buf;
    buf_init(&buf, 4);
    buf_adds(&buf, "ab");
    ck_assert(!buf_addf(&buf, "%d", 12345));
    ck_assert(!buf_adds(&buf, "c")); /* would fit, but the text would have a hole */
    ck_assert_str_eq(buf_text(&buf), "ab");
    buf_clear(&buf);
    ck_assert(!buf.failed);
    ck_assert_str_eq(buf_text(&buf), "");
    ck_assert(buf_adds(&buf, "cdef"));
    buf_release(&buf);
}
END_TEST

START_TEST(huge_length_is_refused)
{
    struct buf buf;
    buf_init(&buf, 10);
    buf_adds(&buf, "abc");
    ck_assert(!buf_add(&buf, "x", (size_t)-1));
    ck_assert_uint_eq(buf.len, 3);
    buf_release(&buf);
}
END_TEST

START_TEST(consumes_from_the_front)
{
    struct buf buf;
    buf_init(&buf, 100);
    buf_consume(&buf, 5); /* empty: nothing happens */
    buf_add(&buf, "a\0bcd", 5);
    buf_consume(&buf, 2);
    ck_assert_str_eq(buf_text(&buf), "bcd");
    buf_consume(&buf, 50);
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_str_eq(buf_text(&buf), "");
    buf_release(&buf);
}
END_TEST

START_TEST(take_hands_over)
{
    struct buf buf;
    buf_init(&buf, 100);
    char *empty = buf_take(&buf);
    ck_assert_str_eq(empty, "");
    free(empty);
    buf_adds(&buf, "text");
    char *text = buf_take(&buf);
    ck_assert_str_eq(text, "text");
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.max, 100);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tests = tcase_create("buf");
    tcase_add_test(tests, grows_and_stays_terminated);
    tcase_add_test(tests, ceiling_is_exact);
    tcase_add_test(tests, failure_sticks_until_cleared);
    tcase_add_test(tests, huge_length_is_refused);
    tcase_add_test(tests, consumes_from_the_front);
    tcase_add_test(tests, take_hands_over);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
