/* worker/local: commands on this machine. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/exec_probe.h"

static struct config_host localhost = {.host_id = "here", .hostname = "localhost"};

START_TEST(statuses)
{
    static const struct {
        const char *command;
        int status;
    } cases[] = {
        {"true", 0},           {"exit 7", 7},         {"no-such-command", 127},
        {"kill -KILL $$", -1}, {"kill -TERM $$", -1}, {"exit 255", 255},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe;
        probe_init(&probe, &localhost, 30);
        probe_run(&probe, cases[i].command, NULL, 0, 100, 10000);
        probe_finish(&probe);
        ck_assert_int_eq(probe.failed, 0);
        ck_assert_msg(probe.status == cases[i].status, "%s: %d", cases[i].command, probe.status);
        probe_release(&probe);
    }
}
END_TEST

START_TEST(streams)
{
    struct probe probe;
    probe_init(&probe, &localhost, 30);
    ck_assert_str_eq(exec_host_key(probe.host), "");
    probe_run(&probe, "cat; printf 'a\\0b'; echo err >&2", "in\n", 3, 100, 10000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 6);
    ck_assert_mem_eq(probe.out.data, "in\na\0b", 6);
    ck_assert_str_eq(buf_text(&probe.err), "err\n");
    probe_release(&probe);
}
END_TEST

#define MEGABYTES_5 (5 << 20)

START_TEST(big_streams)
{
    struct probe probe;
    char *bytes = mem_alloc(MEGABYTES_5);
    for (size_t i = 0; i < MEGABYTES_5; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    probe_init(&probe, &localhost, 30);
    probe_run(&probe, "cat", bytes, MEGABYTES_5, MEGABYTES_5, 20000);
    probe_finish(&probe);
    ck_assert_uint_eq(probe.out.len, MEGABYTES_5);
    ck_assert(memcmp(probe.out.data, bytes, MEGABYTES_5) == 0);
    ck_assert(!probe.truncated);
    probe_release(&probe);
    probe_init(&probe, &localhost, 30);
    probe_run(&probe, "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; exit 3", bytes,
              MEGABYTES_5, 1000, 20000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.status, 3);
    ck_assert_uint_eq(probe.out.len, 1000);
    ck_assert_uint_eq(probe.err.len, 4096);
    ck_assert(probe.truncated);
    probe_release(&probe);
    free(bytes);
}
END_TEST

START_TEST(many_at_once)
{
    struct probe probe;
    probe_init(&probe, &localhost, 30);
    for (int i = 0; i < 100; i++)
        probe_run(&probe, "echo x", NULL, 0, 100, 20000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.done, 100);
    ck_assert_int_eq(probe.failed, 0);
    probe_release(&probe);
}
END_TEST

/* Secrets of ours do not become everybody's who runs as our account. */
START_TEST(environment_is_listed)
{
    struct probe probe;
    setenv("FLEET_SECRET", "hidden", 1);
    setenv("LANG", "C.UTF-8", 1);
    probe_init(&probe, &localhost, 30);
    probe_run(&probe, "env", NULL, 0, 65536, 10000);
    probe_finish(&probe);
    ck_assert_ptr_null(strstr(buf_text(&probe.out), "hidden"));
    ck_assert_ptr_nonnull(strstr(buf_text(&probe.out), "LANG=C.UTF-8"));
    ck_assert_ptr_nonnull(strstr(buf_text(&probe.out), "PATH="));
    probe_release(&probe);
}
END_TEST

/* ls has 0, 1, 2 and the folder that it reads. */
START_TEST(no_descriptor_is_inherited)
{
    struct probe probe;
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0); /* without close-on-exec */
    probe_init(&probe, &localhost, 30);
    probe_run(&probe, "ls /proc/self/fd", NULL, 0, 65536, 10000);
    probe_finish(&probe);
    ck_assert_str_eq(buf_text(&probe.out), "0\n1\n2\n3\n");
    probe_release(&probe);
}
END_TEST

/* The whole group goes: what it started would hold the pipe. */
START_TEST(time_out_ends_the_group)
{
    struct probe probe;
    probe_init(&probe, &localhost, 30);
    probe_run(&probe, "tail -f /dev/null & tail -f /dev/null", NULL, 0, 100, 200);
    probe_run(&probe, "echo other", NULL, 0, 100, 10000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_int_eq(probe.unsent, 0); /* it may have run */
    ck_assert_ptr_nonnull(strstr(probe.error, "did not end within 200 ms"));
    ck_assert_str_eq(buf_text(&probe.out), "other\n");
    probe_release(&probe);
}
END_TEST

/* What left the group may hold the output open: then only the time-out ends the wait. */
START_TEST(background_child_holds_the_output)
{
    struct probe probe;
    char command[128];
    snprintf(command, sizeof command, "setsid tail --pid=%d -f /dev/null & echo started",
             (int)getpid());
    probe_init(&probe, &localhost, 30);
    probe_run(&probe, command, NULL, 0, 100, 300);
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 1);
    probe_release(&probe);
}
END_TEST

START_TEST(stop_fails_what_is_in_flight)
{
    struct probe probe;
    probe_init(&probe, &localhost, 30);
    for (int i = 0; i < 5; i++)
        probe_run(&probe, "tail -f /dev/null", NULL, 0, 100, 20000);
    probe.wanted = 100;
    exec_host_stop(probe.host, on_stopped, &probe);
    ck_assert_int_eq(probe.done, 0); /* later, never from inside */
    timer_close(&probe.guard, NULL);
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 5);
    probe_release(&probe);
}
END_TEST

static void on_late(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    on_done(probe, res, err);
    probe->wanted = 1000;
    probe_run(probe, "true", NULL, 0, 100, 1000); /* too late: fails */
}

START_TEST(run_while_stopping_fails)
{
    struct probe probe;
    probe_init(&probe, &localhost, 30);
    probe.wanted = 1;
    exec_run(probe.host,
             &(struct exec_request){
                 .command = "true", .timeout_ms = 9000, .on_done = on_late, .data = &probe});
    probe_finish(&probe);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_int_eq(probe.unsent, 1);
    ck_assert_ptr_nonnull(strstr(probe.error, "being closed"));
    probe_release(&probe);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local");
    TCase *tcase = tcase_create("local");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 40);
    tcase_add_test(tcase, statuses);
    tcase_add_test(tcase, streams);
    tcase_add_test(tcase, big_streams);
    tcase_add_test(tcase, many_at_once);
    tcase_add_test(tcase, environment_is_listed);
    tcase_add_test(tcase, no_descriptor_is_inherited);
    tcase_add_test(tcase, time_out_ends_the_group);
    tcase_add_test(tcase, background_child_holds_the_output);
    tcase_add_test(tcase, stop_fails_what_is_in_flight);
    tcase_add_test(tcase, run_while_stopping_fails);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
