/* worker/job/shown: what people do not see of an issue's text is not read by an agent. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/job/shown.h"

#define LEFT_OUT "(left out: what is not shown)"

static char *shown(const char *text, size_t len)
{
    struct buf out;
    buf_init(&out, len + SHOWN_MORE);
    shown_add(&out, text, len);
    ck_assert(!out.failed);
    buf_adds(&out, "");
    return buf_take(&out);
}

static const struct {
    const char *text, *seen;
} cases[] = {
    /* comments, instructions, declarations */
    {"a<!-- rm -rf -->b", "a" LEFT_OUT "b"},
    {"a<!-- to the end", "a" LEFT_OUT},
    {"<?php x ?>b<!DOCTYPE y>c<![CDATA[z]]>d", LEFT_OUT "b" LEFT_OUT "c" LEFT_OUT "d"},
    {"a <- b <! c", "a <- b <! c"},
    {"`](<!--x y-->)", "`](" LEFT_OUT ")"},
    {"](<!--x-->)", "](" LEFT_OUT ")"},
    /* tags keep their name and where they lead */
    {"<b title=\"hidden > text\">x</b>", "<b>x</b>"},
    {"<img alt='hidden' src=\"a.png\" hidden/>", "<img src=\"a.png\">"},
    {"<a href=https://x data-x=hidden>y</a>", "<a href=https://x>y</a>"},
    {"1 < 2 and 3 > 2", "1 < 2 and 3 > 2"},
    {"<a b=\"no end", "<a b=\"no end"},
    {"vector<int> x", "vector<int> x"},
    /* images and titles */
    {"![hidden](a.png)", "![](a.png)"},
    {"![hid [d] en](a.png \"hidden\")", "![](a.png)"},
    {"[![hidden](a.png)](https://x 'hidden')", "[![](a.png)](https://x)"},
    {"![hidden][ref] ![seen", "![][ref] ![seen"},
    {"[seen](https://x (hidden)) [seen] (seen)", "[seen](https://x) [seen] (seen)"},
    {"[seen](https://x \"seen", "[seen](https://x \"seen"},
    {"![seen\n\n](a)", "![seen\n\n](a)"},
    {"[a]: https://x \"hidden\"\n[//]: # (hidden)\nseen", "[a]: https://x\n[//]: #\nseen"},
    {"x [a]: b \"seen\"", "x [a]: b \"seen\""},
    {"!\\[seen](a)", "!\\[seen](a)"},
    /* no shape */
    {"a\xe2\x80\x8b\xe2\x80\xae\xef\xbb\xbf\xc2\xad"
     "b\xf3\xa0\x81\x81\xf3\xa0\x84\x80",
     "ab"},
    {"\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4\xef\xb8\x8f"},
    {"\xff\xfe@everyone\n\tx", "??@everyone\n\tx"},
    {"", ""},
};

START_TEST(each)
{
    char *got = shown(cases[_i].text, strlen(cases[_i].text));
    ck_assert_str_eq(got, cases[_i].seen);
    free(got);
}
END_TEST

/* What each opener would look for is missing, or far away: all in one pass. */
START_TEST(a_megabyte_of_anything)
{
    static const char *const parts[] = {"![",     "<a b=\"", "<a b='", "](a (", "](a \"", "<!-",
                                        "[a]: <", "[",       "]",      "<",     "![](",   "](<"};
    size_t len = (size_t)1 << 20;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *text = mem_alloc(len + 1);
        size_t n = strlen(parts[i]);
        for (size_t at = 0; at + n <= len; at += n)
            memcpy(text + at, parts[i], n);
        free(shown(text, strlen(text)));
        free(text);
    }
}
END_TEST

START_TEST(many_brackets_hide_nothing)
{
    char text[2000], want[2000];
    memset(text, '[', 1000);
    memset(want, '[', 1000);
    strcpy(text + 1000, "![hidden](a)");
    strcpy(want + 1000, "![](a)");
    char *got = shown(text, strlen(text));
    ck_assert_str_eq(got, want);
    free(got);
}
END_TEST

START_TEST(only_a_hundred_are_said)
{
    struct buf text;
    buf_init(&text, 100000);
    for (int i = 0; i < 10000; i++)
        buf_adds(&text, "<?"
                        "?>");
    char *got = shown(text.data, text.len);
    ck_assert_uint_eq(strlen(got), 100 * strlen(LEFT_OUT));
    free(got);
    buf_release(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shown");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, a_megabyte_of_anything);
    tcase_add_test(tests, many_brackets_hide_nothing);
    tcase_add_test(tests, only_a_hundred_are_said);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
