/* worker/adapter/line: the objects of lines that are not quite JSON. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/line.h"

static void on_object(void *data, const struct json_object *object)
{
    struct buf *out = data;
    buf_addf(out, "%s|", json_string(object, "t", "?"));
}

static struct buf found(const char *line, size_t len)
{
    struct buf out;
    buf_init(&out, 1 << 24);
    buf_adds(&out, "");
    line_objects(line, len, on_object, &out);
    return out;
}

static void expect_of(const char *line, size_t len, const char *types)
{
    struct buf out = found(line, len);
    ck_assert_msg(strcmp(buf_text(&out), types) == 0, "%s: %s", line, buf_text(&out));
    buf_release(&out);
}

static void expect(const char *line, const char *types)
{
    expect_of(line, strlen(line), types);
}

#define A "{\"t\":\"a\"}"
#define B "{\"t\":\"b\"}"

START_TEST(what_stands_around)
{
    expect(A, "a|");
    expect(A "\r", "a|");
    expect("\xef\xbb\xbf" A, "a|");
    expect("\x1b[1;31m" A "\x1b[0m", "a|");
    expect("\x1b]0;title {\"t\":\"x\"}\a" A, "a|");
    expect("\x1b]8;;http://x\x1b\\" A, "a|");
    expect("\x1b" A, "a|");
    expect("\\u0000" A "\\u0000", "a|");
    expect("\xff\xfe" A, "a|");
    expect("npm warn {deprecated} [1/2] " A " {", "a|");
    expect("data: " A, "a|");
    expect("C:\\\\" A, "a|");
    expect_of("\0" A "\0", sizeof A + 1, "a|");
}
END_TEST

START_TEST(several)
{
    expect(A B, "a|b|");
    expect(A "," B " " A, "a|b|a|");
    expect(A "\r" B, "a|b|");
    expect("}" A "}{" B, "a|b|");
}
END_TEST

START_TEST(what_got_inside)
{
    expect("{\"t\":\"a\",\"x\":\"1\\u00002\"}", "a|");
    expect("{\"t\":\"\\u0000a\\u0000\"}", "a|");
    expect("{\"t\":\"a\",\"x\":\"\\\\u0000\"}", "a|");
    expect("{\"t\":\"a\",\"x\":\"\\ud83d cut\"}", "a|");
    expect("{\"t\":\"a\",\"x\":\"\\ud83d\\ude00\\udc00\"}", "a|");
    expect("{\"t\":\"a\",\"x\":\"\x1b[31mred\x1b[0m\ttab\x01\"}", "a|");
    expect("{\"t\":\"a\",\"x\":\"\xc3\"}", "a|");
    expect("{\"t\":\"a\",\xef\xbb\xbf\"x\":1}", "a|");
    expect_of("{\"t\":\"a\0\"}", 10, "a|");
    expect("{\"t\":\"a\",\"x\":\"\\\"}{\"}", "a|");
}
END_TEST

/* Another writer's object in the middle of one. */
START_TEST(one_inside_another)
{
    expect("{\"t\":\"a\",\"x\":\"he" B "llo\"}", "b|a|");
    expect("{\"t\":" B "\"a\"}", "b|a|");
    expect("{\"t" B "\":\"a\"}", "b|a|");
    expect("{\"t\":\"a\"" B "}", "b|a|");
    expect("{\"t\":\"a\",\"x\":[1," B B "2]}", "b|b|a|"); /* no comma between */
    expect("{\"t\":\"a\",\"x\":" B "}", "a|");            /* a member of it */
    expect("{\"t\":\"cut off\",\"x\":" B, "b|");
}
END_TEST

START_TEST(what_is_none)
{
    expect("", "");
    expect("plain text", "");
    expect("[" A "]", "");
    expect("[[" A "]] " B, "b|");
    expect("{\"t\":\"a\"", "");
    expect("{t:\"a\"}", "");
    expect("\"{\\\"t\\\":\\\"a\\\"}\"", ""); /* a text */
    expect("{\"t\":\"a\",\"x\":1e999}", "");
}
END_TEST

static char *nested(int depth)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    for (int i = 0; i < depth; i++)
        buf_adds(&out, "{\"x\":");
    buf_adds(&out, A);
    for (int i = 0; i < depth; i++)
        buf_adds(&out, "}");
    return buf_take(&out);
}

START_TEST(depth)
{
    char *fits = nested(JSON_DEPTH_MAX - 1), *deep = nested(JSON_DEPTH_MAX);
    char *beside = mem_printf("%s" B, deep);
    expect(fits, "?|");
    expect(deep, "");
    expect(beside, "b|");
    free(fits);
    free(deep);
    free(beside);
}
END_TEST

/* A line of the largest size is done with in bounded effort, whatever it repeats. */
START_TEST(bounded_effort)
{
    static const char *const pieces[] = {"{",
                                         "[",
                                         "{\"",
                                         "\"{",
                                         "{\"a\":",
                                         "{x}",
                                         "{x} " A,
                                         "{ " A,
                                         "{\"x\" " A,
                                         "{{x}" A,
                                         "\\u0000{\"a",
                                         "{\"a\":\"\x1b]",
                                         "\x1b]0;",
                                         A,
                                         "{\"t\":{\"t\":1} x}"};
    const char *piece = pieces[_i];
    struct buf line;
    buf_init(&line, 1 << 20);
    while (buf_adds(&line, piece))
        ;
    struct buf out = found(line.data, line.len);
    ck_assert(!out.failed);
    buf_release(&out);
    buf_release(&line);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("line");
    TCase *tcase = tcase_create("line");
    tcase_add_test(tcase, what_stands_around);
    tcase_add_test(tcase, several);
    tcase_add_test(tcase, what_got_inside);
    tcase_add_test(tcase, one_inside_another);
    tcase_add_test(tcase, what_is_none);
    tcase_add_test(tcase, depth);
    tcase_add_loop_test(tcase, bounded_effort, 0, 15);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
