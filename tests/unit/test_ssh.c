/* worker/ssh against a real sshd: many commands at once, refusals, and losses. */
#include "common/log.h"
#include "tests/unit/exec_probe.h"
#include "tests/unit/sshd.h"
#include "worker/runner.h"

static struct sshd shared; /* started once, for the tests that do it no harm */

static void start_shared(void)
{
    sshd_init(&shared, "MaxStartups 100");
    sshd_start(&shared);
}

static void end_shared(void)
{
    sshd_release(&shared);
}

START_TEST(statuses)
{
    static const struct {
        const char *command;
        int status;
    } cases[] = {
        {"true", 0},           {"exit 7", 7},         {"no-such-command", 127},
        {"kill -KILL $$", -1}, {"kill -TERM $$", -1}, {"kill -KILL $PPID; read x", -1},
        {"exit 255", 255},     {"exec false", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe;
        once(&probe, &shared.host, cases[i].command);
        ck_assert_int_eq(probe.failed, 0);
        ck_assert_msg(probe.status == cases[i].status, "%s: %d", cases[i].command, probe.status);
        probe_release(&probe);
    }
}
END_TEST

START_TEST(streams_are_separate)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 20);
    probe_run(&probe, "cat; printf 'a\\0b'; echo 'it'\\''s' >&2", "in\n", 3, 100, 10000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 6);
    ck_assert_mem_eq(probe.out.data, "in\na\0b", 6);
    ck_assert_str_eq(buf_text(&probe.err), "it's\n");
    ck_assert(!probe.truncated);
    probe_release(&probe);
}
END_TEST

START_TEST(two_hundred_at_once)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 60);
    for (int i = 0; i < 200; i++) {
        char command[64];
        snprintf(command, sizeof command, "echo %d; read x; [ \"$x\" = %d ]", i, i);
        char input[16];
        int len = snprintf(input, sizeof input, "%d\n", i);
        probe_run(&probe, command, input, (size_t)len, 100, 50000);
    }
    probe_finish(&probe);
    ck_assert_msg(probe.failed == 0, "%d failed, the last: %s", probe.failed, probe.error);
    ck_assert_int_eq(probe.zeros, 200);
    probe_release(&probe);
}
END_TEST

#define MEGABYTES_5 (5 << 20)

START_TEST(five_megabytes_both_ways)
{
    struct probe probe;
    char *bytes = mem_alloc(MEGABYTES_5);
    for (size_t i = 0; i < MEGABYTES_5; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    probe_init(&probe, &shared.host, 60);
    for (int i = 0; i < 4; i++) /* together, over one session */
        probe_run(&probe, "cat", bytes, MEGABYTES_5, MEGABYTES_5 + 1, 50000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 0);
    ck_assert_int_eq(probe.zeros, 4);
    ck_assert_uint_eq(probe.out.len, MEGABYTES_5);
    ck_assert(memcmp(probe.out.data, bytes, MEGABYTES_5) == 0);
    ck_assert(!probe.truncated);
    free(bytes);
    probe_release(&probe);
}
END_TEST

START_TEST(output_is_bounded)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 30);
    probe_run(&probe, "head -c 3000000 /dev/zero; head -c 20000 /dev/zero >&2", NULL, 0, 1000,
              20000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 1000);
    ck_assert_uint_eq(probe.err.len, 4096);
    ck_assert(probe.truncated);
    probe_release(&probe);
}
END_TEST

START_TEST(input_nobody_reads)
{
    struct probe probe;
    char *bytes = mem_alloc(MEGABYTES_5);
    probe_init(&probe, &shared.host, 30);
    probe_run(&probe, "exit 3", bytes, MEGABYTES_5, 1000, 20000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 0);
    ck_assert_int_eq(probe.status, 3);
    free(bytes);
    probe_release(&probe);
}
END_TEST

START_TEST(output_closed_while_input_goes_on)
{
    struct probe probe;
    char *bytes = mem_alloc(MEGABYTES_5);
    probe_init(&probe, &shared.host, 30);
    probe_run(&probe, "exec >/dev/null 2>&1; [ $(cat | wc -c) -eq 5242880 ] && exit 9", bytes,
              MEGABYTES_5, 1000, 20000);
    probe_finish(&probe);
    ck_assert_int_eq(probe.status, 9);
    free(bytes);
    probe_release(&probe);
}
END_TEST

/* A command that hangs costs its own time-out only; the connection goes on. */
static void on_timed_out(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    ck_assert_ptr_null(res);
    ck_assert_ptr_nonnull(strstr(err->text, "did not end within 300 ms"));
    probe_run(probe, "echo on", NULL, 0, 100, 10000);
    on_done(data, res, err);
}

START_TEST(time_out)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 30);
    probe.wanted = 1;
    exec_run(probe.host, &(struct exec_request){.command = hang(),
                                                .out_max = 100,
                                                .timeout_ms = 300,
                                                .on_done = on_timed_out,
                                                .data = &probe});
    probe_finish(&probe);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_int_eq(probe.unsent, 0); /* it may have run */
    ck_assert_str_eq(buf_text(&probe.out), "on\n");
    probe_release(&probe);
}
END_TEST

/* The first answer kills the server's process of our connection; what is in flight fails, then a
 * new connection is made. */
static void on_lost(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    ck_assert_ptr_null(res);
    ck_assert_ptr_nonnull(strstr(err->text, "may have run"));
    probe_run(probe, "echo again", NULL, 0, 100, 10000);
    on_done(data, res, err);
}

/* Sends a signal to the sshd process of our own connection. */
#define SIGNAL_SSHD(name)                                                 \
    "p=$PPID; while read -r n s <\"/proc/$p/comm\"; [ \"$n\" != sshd ]; " \
    "do p=$(cut -d' ' -f4 /proc/$p/stat); done; kill -" name " $p; "

START_TEST(killed_connection)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 30);
    probe.wanted = 1;
    exec_run(probe.host, &(struct exec_request){.command = SIGNAL_SSHD("KILL") "exec cat",
                                                .out_max = 100,
                                                .timeout_ms = 20000,
                                                .on_done = on_lost,
                                                .data = &probe});
    probe_finish(&probe);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_int_eq(probe.unsent, 0);
    ck_assert_str_eq(buf_text(&probe.out), "again\n");
    probe_release(&probe);
}
END_TEST

static void on_silent(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    ck_assert_ptr_nonnull(strstr(err->text, "did not end within"));
    probe_run(probe, "echo again", NULL, 0, 100, 10000);
    on_done(data, res, err);
}

/* A connection that stays open and says nothing any more is given up with the first time-out after
 * 15 s: the next command gets a new one. */
START_TEST(half_open_connection)
{
    struct probe probe;
    char command[512];
    snprintf(command, sizeof command, SIGNAL_SSHD("STOP") "echo $p >%s/stopped", shared.folder);
    probe_init(&probe, &shared.host, 40);
    probe.wanted = 1;
    exec_run(probe.host, &(struct exec_request){.command = command,
                                                .out_max = 100,
                                                .timeout_ms = 16500,
                                                .on_done = on_silent,
                                                .data = &probe});
    probe_finish(&probe);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_str_eq(buf_text(&probe.out), "again\n");
    probe_release(&probe);
    shell("kill -KILL $(cat %s/stopped)", shared.folder);
}
END_TEST

START_TEST(long_commands)
{
    struct probe probe;
    char *command = mem_printf("echo %0*d | wc -c", 20000, 1);
    once(&probe, &shared.host, command);
    ck_assert_str_eq(buf_text(&probe.out), "20001\n");
    probe_release(&probe);
    free(command);
    command = mem_printf("echo %0*d | wc -c", 40000, 1);
    once(&probe, &shared.host, command);
    ck_assert_ptr_nonnull(strstr(probe.error, "too long"));
    probe_release(&probe);
    free(command);
}
END_TEST

START_TEST(stop_fails_what_is_in_flight)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 30);
    for (int i = 0; i < 20; i++)
        probe_run(&probe, hang(), NULL, 0, 100, 20000);
    exec_host_stop(probe.host, on_stopped, &probe);
    timer_close(&probe.guard, NULL);
    probe.wanted = 1000;
    probe_finish(&probe);
    ck_assert_int_eq(probe.done, 20);
    ck_assert_int_eq(probe.failed, 20);
    probe_release(&probe);
}
END_TEST

static void on_first(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    ck_assert_ptr_null(err);
    ck_assert_uint_eq(strlen(exec_host_key(probe->host)), 64);
    for (int i = 0; i < 5; i++)
        probe_run(probe, hang(), NULL, 0, 100, 20000);
    probe->wanted = 1000;
    (void)res;
    exec_host_stop(probe->host, on_stopped, probe);
    timer_close(&probe->guard, NULL);
}

START_TEST(stop_when_up)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 30);
    ck_assert_str_eq(exec_host_key(probe.host), "");
    exec_run(probe.host,
             &(struct exec_request){
                 .command = "true", .timeout_ms = 9000, .on_done = on_first, .data = &probe});
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 5);
    probe_release(&probe);
}
END_TEST

/* The runner's calls through sshd, a login shell and its quoting. What a start leaves running holds
 * neither the channel nor the connection. */
static void call(struct probe *probe, struct buf *command, struct buf *input)
{
    ck_assert(!command->failed && !input->failed);
    probe_init(probe, &shared.host, 20);
    probe_run(probe, buf_text(command), input->data, input->len, 1 << 20, 10000);
    probe_finish(probe);
    ck_assert_msg(probe->failed == 0, "%s", probe->error);
    ck_assert_int_eq(probe->status, 0);
    buf_clear(command);
    buf_clear(input);
}

static struct runner_reply reply_to(struct buf *command, struct buf *input)
{
    struct probe probe;
    struct runner_reply reply;
    struct error err = {0};
    call(&probe, command, input);
    ck_assert_msg(runner_parse_reply(probe.out.data, probe.out.len, &reply, &err), "%s", err.text);
    probe_release(&probe);
    return reply;
}

START_TEST(runner_over_ssh)
{
    struct probe probe;
    struct buf command, input;
    struct runner_place place = {.work_dir = shared.folder, .fleet_id = "f"};
    struct runner_key key = {
        .run = "a-00000000.1", .epoch = 1, .nonce = "00112233445566778899aabbccddeeff"};
    struct runner_start start = {.folder = "a-00000000",
                                 .timeout_secs = 60,
                                 .cap_bytes = 1000,
                                 .job = hang(),
                                 .job_len = strlen(hang()),
                                 .prompt = "",
                                 .prompt_len = 0};
    buf_init(&command, 1 << 20);
    buf_init(&input, 1 << 20);
    runner_build_hello(&command, &place, NULL, 0);
    call(&probe, &command, &input);
    ck_assert(runner_missing(probe.out.data, probe.out.len));
    probe_release(&probe);
    runner_build_install(&command, &place);
    buf_add(&input, runner_script, runner_script_size);
    call(&probe, &command, &input);
    ck_assert(runner_parse_installed(probe.out.data, probe.out.len, NULL));
    probe_release(&probe);
    runner_build_start(&command, &input, &place, &key, &start);
    ck_assert_int_eq(reply_to(&command, &input).verdict, RUNNER_STARTED);
    runner_build_raise(&command, &place, &key);
    ck_assert_int_eq(reply_to(&command, &input).record.state, RUNNER_RUNNING);
    runner_build_stop(&command, &place, &key, 0, 5, "cancelled");
    ck_assert_int_eq(reply_to(&command, &input).verdict, RUNNER_STOPPING);
    struct runner_reply reply = {.record.state = RUNNER_RUNNING};
    for (int i = 0; i < 300 && reply.record.state != RUNNER_ENDED; i++) {
        runner_build_raise(&command, &place, &key);
        reply = reply_to(&command, &input);
    }
    ck_assert_str_eq(reply.record.reason, "cancelled");
    ck_assert_int_eq(reply.record.signal, SIGTERM);
    buf_release(&command);
    buf_release(&input);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ssh");
    TCase *tcase = tcase_create("ssh");
    SRunner *runner = srunner_create(suite);
    log_open("test", LOG_ERROR_LEVEL);
    tcase_set_timeout(tcase, 90);
    tcase_add_unchecked_fixture(tcase, start_shared, end_shared);
    tcase_add_test(tcase, statuses);
    tcase_add_test(tcase, streams_are_separate);
    tcase_add_test(tcase, two_hundred_at_once);
    tcase_add_test(tcase, five_megabytes_both_ways);
    tcase_add_test(tcase, output_is_bounded);
    tcase_add_test(tcase, input_nobody_reads);
    tcase_add_test(tcase, output_closed_while_input_goes_on);
    tcase_add_test(tcase, time_out);
    tcase_add_test(tcase, killed_connection);
    tcase_add_test(tcase, half_open_connection);
    tcase_add_test(tcase, long_commands);
    tcase_add_test(tcase, stop_fails_what_is_in_flight);
    tcase_add_test(tcase, stop_when_up);
    tcase_add_test(tcase, runner_over_ssh);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
