/* common/log, error and clock: one line per event that a program can read and a terminal survives.
 */
#include <check.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"
#include "common/log.h"

static char line[200000];
static int from = -1;

/* Check forks every test: stderr of this process is ours. */
static void capture(enum log_level level)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    from = ends[0];
    log_open("fleet-test", level);
}

static const char *captured(void)
{
    ssize_t got = read(from, line, sizeof line - 1);
    line[got > 0 ? got : 0] = '\0';
    return line;
}

static struct json_object *captured_object(void)
{
    struct error err;
    size_t len = strlen(captured());
    ck_assert_uint_gt(len, 0);
    ck_assert_ptr_eq(strchr(line, '\n'), line + len - 1);
    struct json_object *event = json_parse(line, len, &err);
    ck_assert_msg(event != NULL, "%s: %s", err.text, line);
    return event;
}

START_TEST(one_json_object_per_event)
{
    capture(LOG_INFO_LEVEL);
    log_warn("task=acme/r#1 attempt=2 note=a=b", "it took %d ms\nand \"more\"\x1b[2J", 12);
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "level", ""), "warn");
    ck_assert_str_eq(json_string(event, "program", ""), "fleet-test");
    ck_assert_str_eq(json_string(event, "message", ""), "it took 12 ms\nand \"more\"\x1b[2J");
    ck_assert_str_eq(json_string(event, "task", ""), "acme/r#1");
    ck_assert_str_eq(json_string(event, "attempt", ""), "2");
    ck_assert_str_eq(json_string(event, "note", ""), "a=b");
    ck_assert_uint_eq(strlen(json_string(event, "time", "")), 27);
    ck_assert_ptr_null(strchr(line, '\x1b'));
    json_object_put(event);
}
END_TEST

START_TEST(levels)
{
    capture(LOG_WARN_LEVEL);
    log_debug(NULL, "no");
    log_info("", "no");
    log_error(NULL, "yes");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "level", ""), "error");
    json_object_put(event);
}
END_TEST

START_TEST(subject_cannot_replace_our_members)
{
    capture(LOG_INFO_LEVEL);
    log_info("message=forged bare =empty", "true words");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "message", ""), "true words");
    ck_assert_ptr_nonnull(strstr(line, "\"subject\":\"message=forged\""));
    ck_assert_ptr_nonnull(strstr(line, "\"subject\":\"bare\""));
    json_object_put(event);
}
END_TEST

START_TEST(long_messages_are_cut)
{
    char *text = malloc(100001);
    memset(text, 1, 100000); /* six bytes each when escaped */
    text[100000] = '\0';
    capture(LOG_INFO_LEVEL);
    log_info(NULL, "%s", text);
    struct json_object *event = captured_object();
    const char *message = json_string(event, "message", "");
    ck_assert_uint_eq(strlen(message), 8191);
    ck_assert_str_eq(message + 8188, "...");
    json_object_put(event);
    free(text);
}
END_TEST

START_TEST(a_huge_subject_does_not_lose_the_message)
{
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    capture(LOG_INFO_LEVEL);
    log_info(text, "kept");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "message", ""), "kept");
    json_object_put(event);
    free(text);
}
END_TEST

START_TEST(logfmt_on_a_terminal)
{
    int master, slave;
    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    dup2(slave, STDERR_FILENO);
    from = master;
    log_open("fleet-test", LOG_INFO_LEVEL);
    log_info("host=h1", "red \x1b[31m");
    captured();
    ck_assert_ptr_nonnull(strstr(
        line, "level=\"info\" program=\"fleet-test\" message=\"red \\u001b[31m\" host=\"h1\""));
    ck_assert_ptr_null(strchr(line, '\x1b'));
}
END_TEST

START_TEST(errors)
{
    struct error err;
    error_set_state(&err, "AF0021", "fenced out of %s", "task 1");
    ck_assert_str_eq(err.state, "AF002");
    ck_assert_str_eq(err.text, "fenced out of task 1");
    error_set(&err, "cannot go on: %s", err.text);
    ck_assert_str_eq(err.text, "cannot go on: fenced out of task 1");
    ck_assert_str_eq(err.state, "");
    char text[1200];
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    error_set(&err, "x%s", text);
    ck_assert(json_valid_utf8(err.text, strlen(err.text)));
    ck_assert_str_eq(err.text + strlen(err.text) - 3, "...");
    error_clear(&err);
    ck_assert_str_eq(err.text, "");
    error_set(NULL, "nobody listens");
}
END_TEST

START_TEST(clocks)
{
    char text[32];
    int64_t before = clock_ms();
    clock_format(text, sizeof text);
    ck_assert_uint_eq(strlen(text), strlen("2024-01-01T00:00:00.000000Z"));
    ck_assert(text[10] == 'T' && text[19] == '.' && text[26] == 'Z');
    ck_assert_int_ge(clock_ms(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_test(tests, one_json_object_per_event);
    tcase_add_test(tests, levels);
    tcase_add_test(tests, subject_cannot_replace_our_members);
    tcase_add_test(tests, long_messages_are_cut);
    tcase_add_test(tests, a_huge_subject_does_not_lose_the_message);
    tcase_add_test(tests, logfmt_on_a_terminal);
    tcase_add_test(tests, errors);
    tcase_add_test(tests, clocks);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
