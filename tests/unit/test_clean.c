/* worker/clean: foreign text made harmless. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "worker/clean.h"

static void expect(const char *in, size_t len, size_t max, const char *out)
{
    char *text = clean_copy(in, len, max);
    ck_assert_str_eq(text, out);
    ck_assert(text_is_utf8(text, strlen(text)));
    free(text);
}

START_TEST(test_keeps_text)
{
    expect("a\tb\nß€😀", strlen("a\tb\nß€😀"), 100, "a\tb\nß€😀");
}
END_TEST

START_TEST(test_drops_controls)
{
    expect("a\0b\r\n\x1b[31m\x7f\xc2\x9b", 13, 100, "ab\n[31m");
}
END_TEST

START_TEST(test_replaces_broken)
{
    expect("\xff\xc3", 2, 100, "\xef\xbf\xbd\xef\xbf\xbd");
    expect("\xed\xa0\x80", 3, 100, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
    expect("\xc0\xaf", 2, 100, "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
}
END_TEST

START_TEST(test_cuts_between_characters)
{
    expect("ßßß", 6, 2, "ßß");
}
END_TEST

START_TEST(test_one_line)
{
    struct buf out;
    buf_init(&out, 100);
    clean_line(&out, "a\nb\tc", 5, 100);
    ck_assert_str_eq(buf_text(&out), "a b c");
    buf_release(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clean");
    TCase *tcase = tcase_create("clean");
    tcase_add_test(tcase, test_keeps_text);
    tcase_add_test(tcase, test_drops_controls);
    tcase_add_test(tcase, test_replaces_broken);
    tcase_add_test(tcase, test_cuts_between_characters);
    tcase_add_test(tcase, test_one_line);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
