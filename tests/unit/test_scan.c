/* Lines that hold a text, fed in pieces of any size. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/scan.h"

static struct scan scan;

static void begin(const char *needle, size_t limit)
{
    scan_init(&scan, needle, limit);
}

/* Feeds the text in pieces of `size` bytes. */
static void feed(int stream, int64_t start, const char *text, size_t size)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += size)
        scan_feed(&scan, stream, start + (int64_t)at, 1, text + at,
                  len - at < size ? len - at : size);
}

static void end(const char *hits)
{
    scan_end(&scan);
    ck_assert_str_eq(buf_text(&scan.hits), hits);
    scan_release(&scan);
}

#define HIT(offset, line, text) \
    "{\"stream\": \"stdout\", \"offset\": " #offset ", \"line\": " #line ", \"text\": \"" text "\"}"

START_TEST(lines_are_found_whatever_the_pieces)
{
    begin("two", 9);
    feed(0, 0, "one\ntwo two\n\nthree\nnot two", (size_t)_i);
    end(HIT(4, 2, "two two") ", " HIT(23, 5, "not two"));
}
END_TEST

START_TEST(a_search_begins_anywhere)
{
    begin("x", 9);
    scan_feed(&scan, 0, 1000, 7, "a\nbx\n", 5);
    end(HIT(1003, 8, "bx"));
}
END_TEST

START_TEST(streams_have_lines_of_their_own)
{
    begin("ab", 9);
    feed(0, 0, "a", 1);
    feed(1, 0, "b\nab\n", 5);
    feed(0, 1, "b\n", 2);
    end("{\"stream\": \"stderr\", \"offset\": 2, \"line\": 2, \"text\": \"ab\"}, " HIT(0, 1, "ab"));
}
END_TEST

/* What follows on a hole is no part of the line before it. */
START_TEST(a_hole_ends_a_line)
{
    begin("ab", 9);
    feed(0, 0, "1 ab\na", 6);
    scan_feed(&scan, 0, 100, 5, "b ab\n", 5);
    end(HIT(2, 1, "1 ab") ", " HIT(102, 5, "b ab"));
}
END_TEST

START_TEST(a_full_search_goes_on_where_it_stopped)
{
    begin("x", 2);
    feed(0, 0, "x1\nx2\nx3\nx4\n", (size_t)_i);
    ck_assert(scan_full(&scan));
    int64_t at = scan.lanes[0].at, line = scan.lanes[0].line;
    ck_assert_int_eq(at, 6);
    end(HIT(0, 1, "x1") ", " HIT(3, 2, "x2"));
    begin("x", 2);
    scan_feed(&scan, 0, at, line, "x3\nx4\n", 6);
    end(HIT(6, 3, "x3") ", " HIT(9, 4, "x4"));
}
END_TEST

START_TEST(of_a_long_line_is_told_what_is_around_the_hit)
{
    static char text[300000];
    memset(text, '.', sizeof text - 1);
    memcpy(text + 150000, "needle", 6);
    memcpy(text + 250000, "needle", 6);
    memcpy(text + 299990, "\nneedle\n", 8);
    begin("needle", 9);
    feed(0, 0, text, (size_t)_i);
    scan_end(&scan);
    const char *hits = buf_text(&scan.hits);
    ck_assert_ptr_nonnull(strstr(hits, "\"offset\": 150000, \"line\": 1, \"text\": \".."));
    ck_assert_ptr_nonnull(strstr(hits, "..needle.."));
    ck_assert_ptr_nonnull(strstr(hits, "\"offset\": 299991, \"line\": 2, \"text\": \"needle\""));
    ck_assert_uint_eq(scan.count, 2);
    ck_assert_uint_lt(strlen(hits), 1000);
    scan_release(&scan);
}
END_TEST

START_TEST(a_cut_line_has_whole_characters)
{
    char text[2001];
    for (int i = 0; i < 1000; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 2);
    text[2000] = '\0';
    memcpy(text + 999, "X", 1); /* half a character beside it */
    begin("X", 9);
    feed(0, 0, text, 700);
    scan_end(&scan);
    const char *hits = buf_text(&scan.hits), *told = strstr(hits, "\"text\": \"");
    ck_assert_int_eq(memcmp(told + 9, "\xc3\xa9", 2), 0);
    ck_assert_int_eq(memcmp(hits + strlen(hits) - 4, "\xc3\xa9\"}", 4), 0);
    scan_release(&scan);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan");
    TCase *tests = tcase_create("scan");
    tcase_add_loop_test(tests, lines_are_found_whatever_the_pieces, 1, 28);
    tcase_add_test(tests, a_search_begins_anywhere);
    tcase_add_test(tests, streams_have_lines_of_their_own);
    tcase_add_test(tests, a_hole_ends_a_line);
    tcase_add_loop_test(tests, a_full_search_goes_on_where_it_stopped, 1, 13);
    tcase_add_loop_test(tests, of_a_long_line_is_told_what_is_around_the_hit, 99990, 99999);
    tcase_add_test(tests, a_cut_line_has_whole_characters);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
