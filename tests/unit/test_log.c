/* common/log, error and clock: one line per event that a program can read and a terminal survives.
 */
#include <check.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

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
    log_warn(LOG_ABOUT(LOG_FIELD("task", "acme/r#1"), LOG_FIELD("attempt", "2"),
                       LOG_FIELD("note", "a=b")),
             "it took %d ms\nand \"more\"\x1b[2J", 12);
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

START_TEST(a_quoted_credential_is_overwritten)
{
    capture(LOG_INFO_LEVEL);
    log_warn(LOG_ABOUT(LOG_FIELD("url", "https://me:secret@h/x")), "it said: %s",
             "API_TOKEN=hunter2222");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "message", ""), "it said: API_TOKEN=**********");
    ck_assert_str_eq(json_string(event, "url", ""), "https://me:******@h/x");
    json_object_put(event);
}
END_TEST

START_TEST(levels)
{
    capture(LOG_WARN_LEVEL);
    log_debug(NULL, "no");
    log_info(NULL, "no");
    log_error(NULL, "yes");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "level", ""), "error");
    json_object_put(event);
}
END_TEST

/* What somebody may put into a task id, a host's answer or a header to write a line of their own.
 */
static const char *const forgeries[] = {
    "x attempt=9 host=other",
    "message=forged",
    "x\",\"message\":\"forged",
    "x\n{\"time\":\"0\",\"level\":\"info\",\"message\":\"forged\"}",
    "x\r\nlevel=error",
    "",
    " ",
    "=",
    "\\",
    "\"",
    "\x1b]0;title\x07\x1b[2J",
    "\xc2\x9b[2J", /* CSI as one C1 character */
    "a\xe2\x80\xae"
    "b", /* right-to-left override */
    "a\xe2\x81\xa6"
    "b", /* left-to-right isolate */
    "a\xd8\x9c"
    "b", /* Arabic letter mark */
    "a\xe2\x80\x8b"
    "b", /* zero width space */
    "a\xe2\x81\xa0"
    "b", /* word joiner */
    "a\xf3\xa0\x81\x81"
    "b" /* tag A: shown as nothing */
};

#define FORGERIES (int)(sizeof forgeries / sizeof forgeries[0])

START_TEST(a_value_is_one_member_whatever_it_holds)
{
    const char *value = forgeries[_i];
    capture(LOG_INFO_LEVEL);
    log_info(LOG_ABOUT(LOG_FIELD("task", value), LOG_FIELD("attempt", "2")), "true words");
    struct json_object *event = captured_object();
    ck_assert_int_eq(json_object_object_length(event), 6);
    ck_assert_str_eq(json_string(event, "message", ""), "true words");
    ck_assert_str_eq(json_string(event, "level", ""), "info");
    ck_assert_str_eq(json_string(event, "task", "?"), value);
    ck_assert_str_eq(json_string(event, "attempt", ""), "2");
    for (const char *at = line; *at != '\0'; at++)
        ck_assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
    json_object_put(event);
}
END_TEST

START_TEST(a_value_that_is_missing_or_no_text_is_still_a_member)
{
    capture(LOG_INFO_LEVEL);
    log_info(LOG_ABOUT(LOG_FIELD("task", NULL), LOG_FIELD("host", "\xff\xfe")), "words");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "task", "?"), "");
    ck_assert_str_eq(json_string(event, "host", "?"), "\xef\xbf\xbd\xef\xbf\xbd");
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

START_TEST(huge_values_are_cut_and_lose_nothing_else)
{
    char *text = malloc(100001);
    memset(text, 1, 100000);
    text[100000] = '\0';
    capture(LOG_INFO_LEVEL);
    log_info(LOG_ABOUT(LOG_FIELD("task", text), LOG_FIELD("host", "h1")), "kept");
    struct json_object *event = captured_object();
    ck_assert_str_eq(json_string(event, "message", ""), "kept");
    ck_assert_str_eq(json_string(event, "host", ""), "h1");
    const char *task = json_string(event, "task", "");
    ck_assert_uint_eq(strlen(task), 1027);
    ck_assert_str_eq(task + 1024, "...");
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
    log_info(LOG_ABOUT(LOG_FIELD("host", "h1")), "red \x1b[31m");
    captured();
    ck_assert_ptr_nonnull(strstr(
        line, "level=\"info\" program=\"fleet-test\" message=\"red \\u001b[31m\" host=\"h1\""));
    ck_assert_ptr_null(strchr(line, '\x1b'));
}
END_TEST

START_TEST(a_value_on_a_terminal_moves_nothing)
{
    int master, slave;
    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    dup2(slave, STDERR_FILENO);
    from = master;
    log_open("fleet-test", LOG_INFO_LEVEL);
    log_info(LOG_ABOUT(LOG_FIELD("task", forgeries[_i])), "words");
    captured();
    size_t len = strlen(line);
    ck_assert(len > 2 && strcmp(line + len - 2, "\r\n") == 0); /* the terminal's own end of line */
    for (const char *at = line; at < line + len - 2; at++)
        ck_assert(*at >= ' ' && *at <= '~');
    const char *task = strstr(line, " message=\"words\" task=\"");
    ck_assert_ptr_nonnull(task);
    ck_assert_int_eq(line[len - 3], '"');
    struct error err;
    const char *value = strchr(task + 2, ' ') + strlen(" task=");
    struct json_object *read = json_parse(value, (size_t)(line + len - 2 - value), &err);
    ck_assert_str_eq(json_object_get_string(read), forgeries[_i]); /* one quoted word to the end */
    json_object_put(read);
}
END_TEST

/* As systemd does: JOURNAL_STREAM names what stderr is; `off` makes it name something else. */
static void capture_as_journal(unsigned off)
{
    struct stat info;
    char stream[64];
    capture(LOG_INFO_LEVEL);
    ck_assert_int_eq(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino + off);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("fleet-test", LOG_DEBUG_LEVEL);
}

START_TEST(priorities_for_the_journal)
{
    capture_as_journal(0);
    log_debug(NULL, "d");
    ck_assert_int_eq(strncmp(captured(), "<7>time=\"", 9), 0);
    log_info(LOG_ABOUT(LOG_FIELD("host", "h1")), "two\nlines\n<0>third");
    captured();
    ck_assert_int_eq(strncmp(line, "<6>time=\"", 9), 0);
    ck_assert_ptr_nonnull(strstr(line, "message=\"two\\nlines\\n<0>third\" host=\"h1\"\n"));
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1); /* one record */
    log_warn(NULL, "w");
    ck_assert_int_eq(strncmp(captured(), "<4>", 3), 0);
    log_use(LOG_JSON);
    log_error(NULL, "e");
    ck_assert_int_eq(strncmp(captured(), "<3>{\"time\":\"", 12), 0);
    struct error err;
    struct json_object *event = json_parse(line + 3, strlen(line + 3), &err);
    ck_assert_str_eq(json_string(event, "message", ""), "e");
    json_object_put(event);
}
END_TEST

START_TEST(no_priorities_for_others)
{
    capture_as_journal(1); /* inherited: stderr leads elsewhere */
    log_info(NULL, "x");
    json_object_put(captured_object());
    log_use(LOG_TEXT);
    log_info(NULL, "x");
    ck_assert_int_eq(strncmp(captured(), "time=\"", 6), 0);
    setenv("JOURNAL_STREAM", "nonsense", 1);
    log_open("fleet-test", LOG_INFO_LEVEL);
    log_info(NULL, "x");
    json_object_put(captured_object());
}
END_TEST

START_TEST(format_names)
{
    enum log_format format;
    ck_assert(log_format_parse("auto", &format) && format == LOG_AUTO);
    ck_assert(log_format_parse("text", &format) && format == LOG_TEXT);
    ck_assert(log_format_parse("json", &format) && format == LOG_JSON);
    ck_assert(!log_format_parse("", &format));
    ck_assert(!log_format_parse("logfmt", &format));
}
END_TEST

START_TEST(level_names)
{
    enum log_level level;
    ck_assert(log_level_parse("debug", &level) && level == LOG_DEBUG_LEVEL);
    ck_assert(log_level_parse("error", &level) && level == LOG_ERROR_LEVEL);
    ck_assert(!log_level_parse("", &level));
    ck_assert(!log_level_parse("INFO", &level));
    ck_assert(!log_level_parse("warning", &level));
}
END_TEST

START_TEST(errors)
{
    struct error err;
    error_set_state(&err, "AF002", "fenced out of %s", "task 1");
    ck_assert_str_eq(err.state, "AF002");
    ck_assert_str_eq(err.text, "fenced out of task 1");
    error_set(&err, "cannot go on: %s", err.text);
    ck_assert_str_eq(err.text, "cannot go on: fenced out of task 1");
    ck_assert_str_eq(err.state, "");
    error_set_state(&err, "a_word_that_has_no_room_in_it", "cut");
    ck_assert_str_eq(err.state, "a_word_that_has_no_room");
    char text[1200];
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    error_set(&err, "x%s", text);
    ck_assert(text_is_utf8(err.text, strlen(err.text)));
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
    tcase_add_test(tests, a_quoted_credential_is_overwritten);
    tcase_add_test(tests, levels);
    tcase_add_loop_test(tests, a_value_is_one_member_whatever_it_holds, 0, FORGERIES);
    tcase_add_test(tests, a_value_that_is_missing_or_no_text_is_still_a_member);
    tcase_add_test(tests, long_messages_are_cut);
    tcase_add_test(tests, huge_values_are_cut_and_lose_nothing_else);
    tcase_add_test(tests, logfmt_on_a_terminal);
    tcase_add_loop_test(tests, a_value_on_a_terminal_moves_nothing, 0, FORGERIES);
    tcase_add_test(tests, priorities_for_the_journal);
    tcase_add_test(tests, no_priorities_for_others);
    tcase_add_test(tests, format_names);
    tcase_add_test(tests, level_names);
    tcase_add_test(tests, errors);
    tcase_add_test(tests, clocks);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
