/* common/json: what is taken, what is refused and where, members, and quoting. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

static struct json_object *parse(const char *text)
{
    struct error err;
    return json_parse(text, strlen(text), &err);
}

START_TEST(good_values)
{
    static const char *const good[] = {
        "{}",
        "[]",
        "null",
        "true",
        " 1 ",
        "-0",
        "0",
        "1e3",
        "-1.5E-2",
        "\"\"",
        "[1,[2,{}]]",
        "\r\n\t[ ]",
        "{\"a\":{\"b\":[null]}}",
        "\"\\u00e9\"",
        "\"\xc3\xa9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "9223372036854775807",
        "\"\x7f\"",
        "0.1",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct error err = {0};
        struct json_object *value = json_parse(good[i], strlen(good[i]), &err);
        ck_assert_msg(err.text[0] == '\0', "%s: %s", good[i], err.text);
        ck_assert(value != NULL || strcmp(good[i], "null") == 0);
        json_object_put(value);
    }
}
END_TEST

START_TEST(bad_values)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "'a'",
        "nul",
        "TRUE",
        "True",
        "NaN",
        "Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x10",
        "1 2",
        "{} x",
        "[] []",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "\"\t\"",
        "// c\n1",
        "/* c */ 1",
        "1e999",
        "-1e999",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x82\"",
        "{\"a\" 1}",
        "{\"a\":}",
        "{:1}",
        "[1 2]",
        "\xef\xbb\xbf{}",
        "{\"a\":1 \"b\":2}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = {0};
        struct json_object *value = json_parse(bad[i], strlen(bad[i]), &err);
        ck_assert_msg(value == NULL && err.text[0] != '\0', "%s was taken", bad[i]);
        ck_assert_msg(strstr(err.text, "at byte ") != NULL, "%s: %s", bad[i], err.text);
    }
}
END_TEST

START_TEST(nul_bytes)
{
    struct error err;
    ck_assert_ptr_null(json_parse("{}\0", 3, &err));
    ck_assert_ptr_null(json_parse("\"a\0b\"", 5, &err));
    ck_assert_ptr_null(json_parse("\0", 1, &err));
    ck_assert_ptr_null(json_parse("1\0", 2, &err));
}
END_TEST

START_TEST(error_names_the_byte)
{
    struct error err;
    ck_assert_ptr_null(json_parse("{\"a\":1,\"b\":\x01}", 13, &err));
    ck_assert_str_eq(err.text, "invalid JSON at byte 11: expected a JSON value");
}
END_TEST

static struct json_object *nested(size_t depth, struct error *err)
{
    char text[400];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return json_parse(text, 2 * depth, err);
}

START_TEST(depth_is_bounded)
{
    struct error err;
    struct json_object *value = nested(JSON_DEPTH_MAX, &err);
    ck_assert_ptr_nonnull(value);
    json_object_put(value);
    ck_assert_ptr_null(nested(JSON_DEPTH_MAX + 1, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "too deeply"));
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    ck_assert_ptr_null(json_parse(deep, 1 << 20, &err));
    free(deep);
}
END_TEST

START_TEST(members)
{
    struct json_object *o = parse("{\"s\":\"x\",\"i\":7,\"b\":true,\"n\":null,\"d\":1.5,"
                                  "\"big\":99999999999999999999,\"twice\":1,\"twice\":2}");
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(json_string(o, "s", "?"), "x");
    ck_assert_str_eq(json_string(o, "i", "?"), "?");
    ck_assert_str_eq(json_string(o, "n", "?"), "?");
    ck_assert_ptr_null(json_string(o, "absent", NULL));
    ck_assert_int_eq(json_int(o, "i", -1), 7);
    ck_assert_int_eq(json_int(o, "d", -1), -1);
    ck_assert_int_eq(json_int(o, "s", -1), -1);
    ck_assert_int_eq(json_int(o, "big", -1), INT64_MAX);
    ck_assert_int_eq(json_int(o, "twice", -1), 2);
    ck_assert(json_flag(o, "b", false));
    ck_assert(json_flag(o, "i", true));
    ck_assert(!json_flag(o, "absent", false));
    ck_assert_ptr_null(json_member(o, "n"));
    ck_assert_ptr_null(json_member(NULL, "n"));
    ck_assert_ptr_null(json_member(json_member(o, "s"), "n"));
    json_object_put(o);
}
END_TEST

static const char *quoted(const char *bytes, size_t len)
{
    static char text[256];
    struct buf buf;
    buf_init(&buf, sizeof text - 1);
    json_quote(&buf, bytes, len);
    ck_assert(!buf.failed);
    strcpy(text, buf_text(&buf));
    buf_release(&buf);
    return text;
}

START_TEST(quoting)
{
    ck_assert_str_eq(quoted("", 0), "\"\"");
    ck_assert_str_eq(quoted("a\"b\\c/\n\r\t\b\f", 11), "\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\"");
    ck_assert_str_eq(quoted("a\0b\x1b[2J\x7f", 8), "\"a\\u0000b\\u001b[2J\\u007f\"");
    ck_assert_str_eq(quoted("\xc3\xa9\xf0\x9f\x98\x80", 6), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
    ck_assert_str_eq(quoted("a\xff\xc3", 3), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    ck_assert_str_eq(quoted("\xed\xa0\x80", 3), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    ck_assert_str_eq(quoted("\xc2\x9b\xe2\x80\xae", 5), "\"\\u009b\\u202e\""); /* CSI, RLO */
}
END_TEST

START_TEST(what_is_quoted_can_be_read)
{
    char all[255];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    struct buf buf;
    buf_init(&buf, 4096);
    json_quote(&buf, all, sizeof all);
    struct json_object *value = parse(buf_text(&buf));
    ck_assert(json_object_is_type(value, json_type_string));
    ck_assert_int_eq(strncmp(json_object_get_string(value), all, 127), 0);
    json_object_put(value);
    buf_release(&buf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_test(tests, good_values);
    tcase_add_test(tests, bad_values);
    tcase_add_test(tests, nul_bytes);
    tcase_add_test(tests, error_names_the_byte);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, members);
    tcase_add_test(tests, quoting);
    tcase_add_test(tests, what_is_quoted_can_be_read);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
