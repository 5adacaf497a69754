/* server/api/task_body and server/auth: bodies of POST /tasks, and tokens. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "server/api/task_body.h"
#include "server/auth.h"

static struct task_fault fault;

static struct json_object *parse_as(enum task_form form, const char *text)
{
    return task_body_parse(text, strlen(text), &form, &fault);
}

static struct json_object *parse(const char *text)
{
    return parse_as(TASK_ONE, text);
}

/* The status it is refused with; 0 when it is taken. */
static int refused(const char *text)
{
    struct json_object *list = parse(text);
    int status = list == NULL ? fault.http : 0;
    ck_assert(list != NULL || fault.text.text[0] != '\0');
    json_object_put(list);
    return status;
}

/* The tasks of a body, as elements of an array; one without an id is called t-made. */
static void expect_tasks(enum task_form form, const char *body, const char *want)
{
    struct json_object *list = parse_as(form, body);
    struct buf out, scratch;
    buf_init(&out, 10000);
    buf_init(&scratch, 10000);
    ck_assert_msg(list != NULL, "%s", fault.text.text);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        task_body_add(&out, json_object_array_get_idx(list, i), "t-made", &scratch);
    ck_assert_str_eq(buf_text(&out), want);
    buf_release(&scratch);
    buf_release(&out);
    json_object_put(list);
}

START_TEST(a_task_becomes_a_row)
{
    expect_tasks(TASK_ONE, "{\"title\": \"x\", \"body\": null, \"max_retries\": 0}",
                 "\"(\\\"t\\\",\\\"t-made\\\",\\\"x\\\",,,,,,,,,\\\"0\\\",,,,)\"");
    expect_tasks(
        TASK_ONE, "{\"title\": \"a\\\"b\", \"task_id\": \"mine\", \"labels\": [\"a,b\"]}",
        "\"(,\\\"mine\\\",\\\"a\\\\\\\"b\\\",,\\\"{\\\\\\\"a,b\\\\\\\"}\\\",,,,,,,,,,,)\"");
}
END_TEST

#define ROW(title) "\"(\\\"t\\\",\\\"t-made\\\",\\\"" title "\\\",,,,,,,,,,,,,)\""

START_TEST(a_list_and_lines_have_a_row_each)
{
    expect_tasks(TASK_ONE, "[{\"title\": \"x\"}, {\"title\": \"y\"}]", ROW("x") "," ROW("y"));
    expect_tasks(TASK_LINES, "{\"title\": \"x\"}\n\r\n  \n{\"title\": \"y\"}",
                 ROW("x") "," ROW("y"));
    expect_tasks(TASK_LINES, "{\"title\": \"x\"}\r\n", ROW("x"));
}
END_TEST

static const struct {
    const char *body;
    int status;
    const char *says;
} bad_lines[] = {
    {"", 422, "1 to"},
    {"\n\n", 422, "1 to"},
    {"{\"title\": \"x\"}\n{\"title\":\n", 400, "line 2"},
    {"{\"title\": \"x\"} {\"title\": \"y\"}\n", 400, "line 1"},
    {"[{\"title\": \"x\"}]\n", 400, "an object"},
    {"{\"title\": \"x\"}\n{\"titel\": \"y\"}\n", 400, "titel"},
};

START_TEST(lines_are_refused_by_line)
{
    ck_assert_ptr_null(parse_as(TASK_LINES, bad_lines[_i].body));
    ck_assert_int_eq(fault.http, bad_lines[_i].status);
    ck_assert_msg(strstr(fault.text.text, bad_lines[_i].says) != NULL, "%s", fault.text.text);
}
END_TEST

START_TEST(too_many_are_refused)
{
    struct buf list, lines;
    buf_init(&list, 1 << 20);
    buf_init(&lines, 1 << 20);
    for (int i = 0; i <= TASK_BODY_ITEMS; i++) {
        buf_adds(&list, i == 0 ? "[{}" : ",{}");
        buf_adds(&lines, "{}\n");
    }
    buf_adds(&list, "]");
    ck_assert_int_eq(refused(buf_text(&list)), 422);
    ck_assert_ptr_null(parse_as(TASK_LINES, buf_text(&lines)));
    ck_assert_int_eq(fault.http, 422);
    buf_release(&list);
    buf_release(&lines);
}
END_TEST

START_TEST(a_request_becomes_a_row)
{
    struct task_sender sender = {
        .form = TASK_LIST, .timeout_secs = 1800, .max_retries = 2, .max_attempts_total = 10};
    struct buf out;
    task_body_request(&out, &sender);
    ck_assert_str_eq(buf_text(&out),
                     "\"(\\\"0\\\",,,,,\\\"list\\\",\\\"1800\\\",\\\"2\\\",\\\"10\\\")\"");
    buf_release(&out);
    sender = (struct task_sender){.token_id = 7,
                                  .address = "::1",
                                  .request_id = "r",
                                  .key = "k",
                                  .hash = "ab",
                                  .form = TASK_LINES};
    task_body_request(&out, &sender);
    ck_assert_str_eq(buf_text(&out), "\"(\\\"7\\\",\\\"::1\\\",\\\"r\\\",\\\"k\\\",\\\"ab\\\","
                                     "\\\"lines\\\",\\\"0\\\",\\\"0\\\",\\\"0\\\")\"");
    buf_release(&out);
}
END_TEST

START_TEST(numbers_beyond_64_bits_stay_out_of_every_limit)
{
    expect_tasks(
        TASK_ONE, "{\"title\": \"x\", \"priority\": 99999999999999999999}",
        "\"(\\\"t\\\",\\\"t-made\\\",\\\"x\\\",,,,\\\"9223372036854775807\\\",,,,,,,,,)\"");
}
END_TEST

START_TEST(every_member_is_taken)
{
    ck_assert_int_eq(
        refused(
            "{\"title\": \"x\", \"task_id\": \"a/b c\", \"body\": \"\", \"labels\": [\"agent:x\"],"
            "\"any_agent\": false,"
            "\"priority\": -3, \"execution_mode\": \"ssh_cli\", \"task_type\": \"t\","
            "\"repo\": \"a/b\", \"issue_number\": 1, \"max_retries\": 1, \"timeout_secs\": 60,"
            "\"run_at\": \"2026-11-01T10:00:00Z\", \"metadata\": {\"a\": [1, 2.5, null]}}"),
        0);
}
END_TEST

START_TEST(malformed_bodies_are_400)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "null",
                                         "5",
                                         "\"x\"",
                                         "[5]",
                                         "[null]",
                                         "[[]]",
                                         "{\"title\": 5}",
                                         "{\"title\": \"x\", \"foo\": null}",
                                         "{\"title\": \"x\", \"labels\": \"a\"}",
                                         "{\"title\": \"x\", \"labels\": [1]}",
                                         "{\"title\": \"x\", \"priority\": 1.5}",
                                         "{\"title\": \"x\", \"metadata\": []}",
                                         "{\"title\": \"x\", \"max_attempts_total\": 5}",
                                         "{\"title\": \"x\", \"token_id\": 5}",
                                         "{\"title\": \"x\", \"any_agent\": 1}",
                                         "{\"title\": \"a\\u0000b\"}",
                                         "{\"title\": \"\xff\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        ck_assert_msg(refused(bodies[i]) == 400, "%s: %d", bodies[i], fault.http);
}
END_TEST

START_TEST(numbers_that_the_database_cannot_store_are_422)
{
    static const char *const numbers[] = {"1e-99999", "99999999999999999999",
                                          "[-99999999999999999999]"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"title\": \"x\", \"metadata\": {\"a\": %s}}", numbers[i]);
        ck_assert_msg(refused(body) == 422, "%s: %d", body, fault.http);
    }
    ck_assert_int_eq(refused("[]"), 422);
}
END_TEST

START_TEST(a_fault_names_the_member_and_its_task)
{
    ck_assert_int_eq(refused("[{\"title\": \"x\"}, {\"title\": \"x\", \"max_retries\": \"1\"}]"),
                     400);
    ck_assert_str_eq(fault.details, "{\"member\": \"max_retries\", \"index\": 1}");
    ck_assert_str_eq(fault.text.text, "'max_retries' has to be a whole number, not a string");
}
END_TEST

START_TEST(lists_are_bounded)
{
    char body[16 * (TASK_BODY_ITEMS + 2)] = "[";
    for (int i = 0; i < TASK_BODY_ITEMS; i++)
        strcat(body, i > 0 ? ",{\"title\":\"x\"}" : "{\"title\":\"x\"}");
    strcat(body, "]");
    ck_assert_int_eq(refused(body), 0);
    body[strlen(body) - 1] = '\0';
    strcat(body, ",{\"title\":\"x\"}]");
    ck_assert_int_eq(refused(body), 422);
}
END_TEST

START_TEST(long_names_are_cut_when_shown)
{
    static char body[4000];
    strcpy(body, "{\"");
    for (int i = 0; i < 1000; i++)
        strcat(body, "\u20ac");
    strcat(body, "\": 1}");
    ck_assert_int_eq(refused(body), 400);
    ck_assert(text_is_utf8(fault.text.text, strlen(fault.text.text)));
    ck_assert(text_is_utf8(fault.details, strlen(fault.details)));
}
END_TEST

START_TEST(tokens_are_made_and_read)
{
    char token[AUTH_TOKEN_MAX], prefix[13], header[100];
    uint8_t digest[SHA256_SIZE], read[SHA256_SIZE];
    auth_make(SCOPE_OPERATE, token, digest, prefix);
    ck_assert_uint_eq(strlen(token), 49);
    ck_assert(strncmp(token, "aft_o_", 6) == 0 && strncmp(token, prefix, 12) == 0);
    snprintf(header, sizeof header, "bearer  %s ", token);
    ck_assert(auth_parse(header, strlen(header), read));
    ck_assert(memcmp(read, digest, sizeof digest) == 0);
    const char *bad[] = {"Bearer", "Bearer ", "Basic eDp5", token, "Bearer aft_o_short", "", NULL};
    for (size_t i = 0; bad[i] != NULL; i++)
        ck_assert_msg(!auth_parse(bad[i], strlen(bad[i]), read), "%s", bad[i]);
    header[20] = '\0';
    ck_assert(!auth_parse(header, 8 + 49, read));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("task_body");
    TCase *tests = tcase_create("task_body");
    tcase_add_test(tests, a_task_becomes_a_row);
    tcase_add_test(tests, a_list_and_lines_have_a_row_each);
    tcase_add_loop_test(tests, lines_are_refused_by_line, 0,
                        sizeof bad_lines / sizeof bad_lines[0]);
    tcase_add_test(tests, too_many_are_refused);
    tcase_add_test(tests, a_request_becomes_a_row);
    tcase_add_test(tests, numbers_beyond_64_bits_stay_out_of_every_limit);
    tcase_add_test(tests, every_member_is_taken);
    tcase_add_test(tests, malformed_bodies_are_400);
    tcase_add_test(tests, numbers_that_the_database_cannot_store_are_422);
    tcase_add_test(tests, a_fault_names_the_member_and_its_task);
    tcase_add_test(tests, lists_are_bounded);
    tcase_add_test(tests, long_names_are_cut_when_shown);
    tcase_add_test(tests, tokens_are_made_and_read);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
