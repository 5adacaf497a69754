/* common/text and common/pause: characters, words, quoting, waiting. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/pause.h"
#include "common/text.h"

START_TEST(utf8)
{
    static const struct {
        const char *bytes;
        size_t good;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"a\xc3\xa9", 3},
        {"a\xc3", 1},
        {"\x80", 0},
        {"a\xc1\xbf", 1},
        {"\xe0\x9f\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"ab\xfe", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].bytes);
        ck_assert_uint_eq(text_utf8_prefix(cases[i].bytes, len), cases[i].good);
        ck_assert_int_eq(text_is_utf8(cases[i].bytes, len), cases[i].good == len);
    }
}
END_TEST

START_TEST(cutting_and_counting)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* 1, 2, 3, 4, 1 bytes */
    static const size_t cut[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < sizeof cut / sizeof cut[0]; max++)
        ck_assert_uint_eq(text_cut(text, max), cut[max]);
    ck_assert_uint_eq(text_cut("", 5), 0);
    ck_assert_uint_eq(text_characters(text), 5);
    ck_assert_uint_eq(text_characters(""), 0);
}
END_TEST

START_TEST(lists)
{
    static const char *const list[] = {"one", "two", NULL};
    static const char *const none[] = {NULL};
    ck_assert(text_listed("one", list));
    ck_assert(text_listed("two", list));
    ck_assert(!text_listed("tw", list));
    ck_assert(!text_listed("", list));
    ck_assert(!text_listed("one", none));
}
END_TEST

static void reads_back(const char *shell, const char *text)
{
    struct buf command;
    char read_back[100], path[40];
    snprintf(path, sizeof path, "/usr/bin/%s", shell);
    if (access(path, X_OK) != 0)
        return;
    buf_init(&command, 1000);
    buf_adds(&command, "printf %s ");
    text_shell_quote(&command, text);
    setenv("COMMAND", buf_text(&command), 1);
    snprintf(path, sizeof path, "exec %s -c \"$COMMAND\"", shell);
    FILE *pipe = popen(path, "r");
    size_t got = fread(read_back, 1, sizeof read_back - 1, pipe);
    read_back[got] = '\0';
    ck_assert_int_eq(pclose(pipe), 0);
    ck_assert_msg(strcmp(read_back, text) == 0, "%s: %s became %s", shell, text, read_back);
    buf_release(&command);
}

/* Real shells read back what was quoted. */
START_TEST(shell_quoting)
{
    static const char *const shells[] = {"sh", "bash", "fish", "tcsh"};
    static const char *const texts[] = {
        "",   "'",    "''",         "a'b",       "$x",           "`id`",       "a b\n\tc",
        "\\", "\"\"", "-n\x01\xff", "'; exit 1", "!*?[a]~#&|<>", "a\\\\b\\!!'"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t j = 0; j < sizeof shells / sizeof shells[0]; j++) {
            if (strcmp(shells[j], "tcsh") != 0 || strpbrk(texts[i], "\n\xff") == NULL)
                reads_back(shells[j], texts[i]);
        }
    }
}
END_TEST

START_TEST(pauses_double_up_to_a_bound)
{
    static const int wanted[] = {100, 100, 200, 400, 800, 1600, 3000, 3000};
    int ms = 0;
    for (unsigned failures = 0; failures < 8; failures++) {
        ck_assert_int_eq(pause_after(failures, 100, 3000), wanted[failures]);
        if (failures > 0) {
            ms = pause_longer(ms, 100, 3000);
            ck_assert_int_eq(ms, wanted[failures]);
        }
    }
    ck_assert_int_eq(pause_after(4000000000u, 1000, 2000000000), 2000000000);
}
END_TEST

START_TEST(jitter_takes_from_half_to_all)
{
    int least = 1000, most = 0;
    for (int i = 0; i < 2000; i++) {
        int ms = pause_jitter(101);
        ck_assert(ms >= 50 && ms <= 101);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    ck_assert(least < 56 && most > 95);
    ck_assert_int_eq(pause_jitter(0), 0);
    ck_assert_int_eq(pause_jitter(1), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tests = tcase_create("text");
    tcase_add_test(tests, utf8);
    tcase_add_test(tests, cutting_and_counting);
    tcase_add_test(tests, lists);
    tcase_add_test(tests, shell_quoting);
    tcase_add_test(tests, pauses_double_up_to_a_bound);
    tcase_add_test(tests, jitter_takes_from_half_to_all);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
