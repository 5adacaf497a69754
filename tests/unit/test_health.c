/* common/health: what `NODE health` makes of what a node wrote, or did not. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/exit.h"
#include "common/health.h"
#include "common/mem.h"
#include "common/notify.h"

static char folder[32] = "/tmp/test_health.XXXXXX";
static char *path;
static char said[2000];

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = mem_printf("%s/status", folder);
    setenv("FLEET_STATUS_FILE", path, 1);
}

static void finish(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left there */
    free(path);
}

/* Its exit status; what it printed is in said. */
static int health(void)
{
    char *out = mem_printf("%s/out", folder);
    int saved = dup(STDOUT_FILENO), file = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    int status = health_command("fleet-x");
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    ssize_t len = pread(file, said, sizeof said - 1, 0);
    said[len > 0 ? len : 0] = '\0';
    close(file);
    close(saved);
    unlink(out);
    free(out);
    return status;
}

static void age(time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

START_TEST(words)
{
    begin();
    ck_assert_int_eq(health(), 1);
    ck_assert_ptr_nonnull(strstr(said, "fleet-x does not run"));
    health_write(path, true, "serving");
    ck_assert_int_eq(health(), 0);
    ck_assert_str_eq(said, "serving\n");
    health_write(path, false, "waiting for the database");
    ck_assert_int_eq(health(), 1);
    ck_assert_str_eq(said, "waiting for the database\n");
    health_write(path, true, "serving");
    age(10);
    ck_assert_int_eq(health(), 0);
    age(20);
    ck_assert_int_eq(health(), 1);
    ck_assert_ptr_nonnull(strstr(said, "hangs or has ended"));
    ck_assert_ptr_nonnull(strstr(said, "serving\n"));
    finish();
}
END_TEST

START_TEST(a_reader_never_sees_half_of_it)
{
    char line[100] = "";
    begin();
    health_write(path, true, "serving");
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    health_write(path, false, "waiting");
    ck_assert_int_eq(read(reader, line, sizeof line - 1), 11);
    ck_assert_str_eq(line, "ok serving\n");
    close(reader);
    finish();
}
END_TEST

START_TEST(not_a_status)
{
    begin();
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fclose(file); /* empty */
    ck_assert_int_eq(health(), 1);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nothing is waited for */
    ck_assert_int_eq(health(), 1);
    unsetenv("FLEET_STATUS_FILE");
    ck_assert_int_eq(health(), EXIT_USAGE);
    health_write("/no/such/folder/status", true, "nobody reads it");
    finish();
}
END_TEST

static bool works = true;

static void on_work(void *data)
{
    (void)data;
}

static bool status(void *data, char *text, size_t size)
{
    (void)data;
    snprintf(text, size, works ? "one\nline" : "waiting");
    return works;
}

/* Writes after each turn until health says what is expected, for at most 10 s. */
static bool comes_to(struct loop *loop, int expected)
{
    for (int i = 0; i < 1000 && health() != expected; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        poll(NULL, 0, 10);
    }
    return health() == expected;
}

START_TEST(a_node_writes)
{
    struct loop loop;
    struct notify notify;
    struct timer work; /* a node has some: alone, notify's timers let the loop end */
    begin();
    unsetenv("NOTIFY_SOCKET");
    loop_init(&loop);
    timer_init(&work, &loop, on_work, NULL);
    timer_start(&work, 10, 10);
    notify_open(&notify, &loop, status, NULL);
    ck_assert(comes_to(&loop, 0));
    ck_assert_str_eq(said, "one line\n");
    works = false;
    ck_assert(comes_to(&loop, 1));
    ck_assert_str_eq(said, "waiting\n");
    notify_close(&notify);
    timer_close(&work, NULL);
    loop_release(&loop);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tests = tcase_create("health");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, words);
    tcase_add_test(tests, a_reader_never_sees_half_of_it);
    tcase_add_test(tests, not_a_status);
    tcase_add_test(tests, a_node_writes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
