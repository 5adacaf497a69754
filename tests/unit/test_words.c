/* common/forgejo/words: what becomes of foreign text before it is written to Forgejo. */
#include <check.h>
#include <stdlib.h>

#include "common/mem.h"
#include "tests/unit/words_rules.h"

static struct buf out;

static const char *plain(const char *text, size_t len, size_t max)
{
    buf_release(&out);
    buf_init(&out, 1 << 24);
    words_plain(&out, text, len, max, NULL);
    const char *broken = rules_plain(buf_text(&out), out.len, max);
    ck_assert_msg(!broken, "%s: %s", broken, buf_text(&out));
    return buf_text(&out);
}

static const char *span(const char *text, size_t max)
{
    buf_release(&out);
    buf_init(&out, 1 << 24);
    words_span(&out, text, strlen(text), max, NULL);
    const char *broken = rules_span(buf_text(&out), out.len, max);
    ck_assert_msg(!broken, "%s: %s", broken, buf_text(&out));
    return buf_text(&out);
}

static const char *block(const char *text, size_t len, size_t max)
{
    buf_release(&out);
    buf_init(&out, 1 << 24);
    words_block(&out, "What it said", text, len, max, NULL);
    const char *broken = rules_block(buf_text(&out), out.len, max, "What it said");
    ck_assert_msg(!broken, "%s: %s", broken, buf_text(&out));
    return buf_text(&out);
}

START_TEST(one_line)
{
    static const struct {
        const char *text, *plain;
    } cases[] = {
        {"Fix the login", "Fix the login"},
        {"  a \t b\r\n\r\nc  ", "a b c"},
        {"", ""},
        {" \n\t ", ""},
        {"grüße, 日本語, 🙂", "grüße, 日本語, 🙂"},
        {"a\x01\x1b[31mred\x1b[0m\x7f\xc2\x85z", "ared z"},
        {"a\x1b]0;title\x07z", "a]0;titlez"},
        {"\xe2\x80\xae"
         "evil\xe2\x80\x8b\xe2\x81\xa6"
         "x\xef\xbb\xbf",
         "evilx"},
        {"a\xf3\xa0\x81\x81z", "az"},
        {"\xff\xfe"
         "a\xc3",
         "��a�"},
        {"\xed\xa0\x80", "���"},
        {"\xc0\x80", "��"},
        {"closes #1", "closes ＃1"},
        {"Fixes: o/r#12, resolves !3", "Fixes: o/r＃12, resolves ！3"},
        {"fix https://git.example.org/o/r/issues/1", "fix https：//git.example.org/o/r/issues/1"},
        {"C# and #include", "C# and ＃include"},
        {"@everyone ask @team/all", "＠everyone ask ＠team/all"},
        {"@\xe2\x80\x8b"
         "everyone",
         "＠everyone"},
        {"#\xe2\x80\x8b"
         "1",
         "＃1"},
        {"o/r@0123abcd", "o/r＠0123abcd"},
        {"<img src=x onerror=y>", "‹img src=x onerror=y>"},
        {"</details><!-- x --><?y", "‹/details>‹!-- x -->‹?y"},
        {"<\xe2\x80\x8b"
         "b>",
         "‹b>"},
        {"a < b <3", "a < b <3"},
        {"[x](y) ![a](b) [c][d] [e]: f", "[x］(y) ！[a］(b) [c］[d] [e］: f"},
        {"www.example.org WWW.x", "www．example.org WWW．x"},
        {"&#64;all &commat;all AT&T", "＆＃64;all ＆commat;all AT＆T"},
        {"javascript:alert(1)", "javascript:alert(1)"},
        {"a ! b!c #", "a ! b!c #"},
        {"wow!", "wow!"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(plain(cases[i].text, strlen(cases[i].text), 200), cases[i].plain);
    ck_assert_str_eq(plain("a\0b", 3, 200), "ab");
}
END_TEST

START_TEST(credentials)
{
    static const char *const own[] = {"correct horse battery"};
    static const struct redact_words secrets = {own, 1};
    static const char *const texts[] = {
        "key ghp_0123456789abcdefghijABCDEFGHIJ012345 x",
        "key ghp_0123456789\xe2\x80\x8b"
        "abcdefghijABCDEFGHIJ012345 x", /* taken apart */
        "https://user:hunter22hunter@git.example.org/",
        "Authorization: Bearer abcdefghijklmnop0123456789",
        "the words correct horse battery",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buf_release(&out);
        buf_init(&out, 4096);
        words_plain(&out, texts[i], strlen(texts[i]), 500, &secrets);
        words_block(&out, "x", texts[i], strlen(texts[i]), 500, &secrets);
        words_span(&out, texts[i], strlen(texts[i]), 500, &secrets);
        ck_assert_ptr_nonnull(strstr(out.data, "******"));
        ck_assert_msg(!strstr(out.data, "abcdefghij") && !strstr(out.data, "hunter22") &&
                          !strstr(out.data, "horse"),
                      "%s", out.data);
    }
    /* One that the cut goes through. */
    char text[300] = "";
    memset(text, 'x', 190);
    strcpy(text + 190, " ghp_0123456789abcdefghijABCDEFGHIJ012345");
    ck_assert_ptr_null(strstr(plain(text, strlen(text), 200), "ghp_0123"));
}
END_TEST

START_TEST(cuts)
{
    char text[64];

    for (size_t max = 0; max < 40; max++) {
        ck_assert_uint_le(strlen(plain("日本語日本語日本語", 27, max)), max);
        ck_assert_uint_le(strlen(plain("@@@@@@@@@@@@@@@", 15, max)), max);
        block("日本語\n日本語\n\n日本語", 29, max);
        span("日本語日本語", max);
    }
    ck_assert_str_eq(plain("abcdefgh", 8, 8), "abcdefgh");
    ck_assert_str_eq(plain("abcdefgh", 8, 7), "abcd…");
    ck_assert_str_eq(plain("日本語", 9, 8), "日…");
    snprintf(text, sizeof text, "%s", plain("abc", 3, 2));
    ck_assert_str_eq(text, "ab");
}
END_TEST

START_TEST(spans)
{
    ck_assert_str_eq(span("main", 50), "`main`");
    ck_assert_str_eq(span("a`b``c|d", 50), "`a'b''c¦d`");
    ck_assert_str_eq(span("<|b>", 50), "`<¦b>`");
    ck_assert_str_eq(span("", 50), "");
    ck_assert_str_eq(span(" \n", 50), "");
    ck_assert_str_eq(span("[x](y)\n@z", 50), "`[x］(y) ＠z`");
}
END_TEST

#define HEAD "\n<details><summary>What it said</summary>\n\n"
#define TAIL "\n\n</details>\n"

START_TEST(blocks)
{
    static const struct {
        const char *text, *block;
    } cases[] = {
        {"done", HEAD "```text\n│ done\n```" TAIL},
        {"", ""},
        {" \n \n", ""},
        {"a\r\nb\rc\n\n  d\te\n", HEAD "```text\n│ a\n│ b\n│ c\n│ \n│   d    e\n```" TAIL},
        {"```\n/agent cancel\n@all\n```",
         HEAD "````text\n│ ```\n│ /agent cancel\n│ ＠all\n│ ```\n````" TAIL},
        {"``````` x\n```", HEAD "````````text\n│ ``````` x\n│ ```\n````````" TAIL},
        {"```\n</details>\n<!-- fleet -->\ncloses #1",
         HEAD "````text\n│ ```\n│ ‹/details>\n│ ‹!-- fleet -->\n│ closes ＃1\n````" TAIL},
        {"a\xe2\x80\xa8"
         "b\xe2\x80\xa9"
         "c\xc2\x85"
         "d",
         HEAD "```text\n│ a\n│ b\n│ c\n│ d\n```" TAIL},
        {"`\xe2\x80\x8b`\xe2\x80\x8b`", HEAD "````text\n│ ```\n````" TAIL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(block(cases[i].text, strlen(cases[i].text), 2000), cases[i].block);
    ck_assert_str_eq(block("abcdef\nghijkl\nmnopqr", 20, 25),
                     HEAD "```text\n│ abcdef\n│ gh\n│ …\n```" TAIL);
}
END_TEST

/* 1 MB that is all to be replaced is as quick as any other, and cut. */
START_TEST(much)
{
    size_t len = 1 << 20;
    char *text = mem_alloc(len + 1);

    for (size_t i = 0; i < len; i++)
        text[i] = "@<!-`#1\n\xff"[i % 9];
    ck_assert_uint_le(strlen(plain(text, len, 255)), 255);
    block(text, len, 20000);
    memset(text, '`', len);
    block(text, len, 3000);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("words");
    TCase *tests = tcase_create("words");
    tcase_add_test(tests, one_line);
    tcase_add_test(tests, credentials);
    tcase_add_test(tests, cuts);
    tcase_add_test(tests, spans);
    tcase_add_test(tests, blocks);
    tcase_add_test(tests, much);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
