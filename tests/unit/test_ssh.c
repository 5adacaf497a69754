/* worker/ssh against a real sshd: commands in a stream, back-pressure, cuts and losses. */
#include "common/log.h"
#include "tests/unit/ssh_probe.h"

static struct sshd shared; /* one session at a time; started once, for tests that do it no harm */

static void start_shared(void)
{
    sshd_init(&shared, "MaxSessions 1");
    sshd_start(&shared);
}

static void end_shared(void)
{
    sshd_release(&shared);
}

/* Each is a channel of its own, on one connection with room for one. */
START_TEST(one_after_another)
{
    static int expected[] = {0, 7, 127, 126, 255, 1, 137};
    static const char *const commands[] = {"true",
                                           "exit 7",
                                           "no-such-command",
                                           "/etc/passwd",
                                           "exit 255",
                                           "exec false",
                                           "sh -c 'kill -KILL $$'; exit $?",
                                           NULL};
    struct probe probe;
    probe_init(&probe, commands, 30);
    probe_ssh(&probe, &shared.host);
    ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
    ck_assert_int_eq(probe.ends, 7);
    for (int i = 0; i < 7; i++)
        ck_assert_msg(probe.first[i] == expected[i], "%s: %d", commands[i], probe.first[i]);
    probe_release(&probe);
}
END_TEST

START_TEST(two_hundred_commands)
{
    struct probe probe;
    const char *commands[201] = {NULL};
    for (int i = 0; i < 200; i++)
        commands[i] = "cat";
    probe_init(&probe, commands, 60);
    probe.input = "over and over\n";
    probe.input_len = strlen(probe.input);
    probe_ssh(&probe, &shared.host);
    ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
    ck_assert_int_eq(probe.ends, 200);
    ck_assert_str_eq(buf_text(&probe.out), probe.input);
    probe_release(&probe);
}
END_TEST

START_TEST(streams_are_separate)
{
    struct probe probe;
    const char *const commands[] = {"cat; printf 'a\\0b'; echo 'it'\\''s' >&2", NULL};
    probe_init(&probe, commands, 20);
    probe.input = "in\n";
    probe.input_len = 3;
    probe_ssh(&probe, &shared.host);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 6);
    ck_assert_mem_eq(probe.out.data, "in\na\0b", 6);
    ck_assert_str_eq(buf_text(&probe.err), "it's\n");
    probe_release(&probe);
}
END_TEST

#define MEGABYTES_5 ((size_t)5 << 20)

START_TEST(five_megabytes_both_ways)
{
    struct probe probe;
    const char *const commands[] = {"cat", NULL};
    char *bytes = mem_alloc(MEGABYTES_5);
    for (size_t i = 0; i < MEGABYTES_5; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    probe_init(&probe, commands, 60);
    probe.input = bytes;
    probe.input_len = MEGABYTES_5;
    probe_ssh(&probe, &shared.host);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, MEGABYTES_5);
    ck_assert(memcmp(probe.out.data, bytes, MEGABYTES_5) == 0);
    free(bytes);
    probe_release(&probe);
}
END_TEST

START_TEST(stderr_is_bounded)
{
    struct probe probe;
    once(&probe, &shared.host, "head -c 3000000 /dev/zero >&2; head -c 20000 /dev/zero");
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 20000);
    ck_assert_uint_eq(probe.err.len, 4096);
    probe_release(&probe);
}
END_TEST

/* No more than a few hundred KiB are taken off the caller's hands. */
static void note_taken(struct probe *probe)
{
    ck_assert_uint_lt(probe->input_at, 4 << 20);
    if (strstr(buf_text(&probe->out), "waits") != NULL && probe->ends == 0)
        stream_cut(probe->stream);
}

START_TEST(input_nobody_reads)
{
    struct probe probe;
    static const char *const commands[] = {"exit 3", NULL};
    static const char *const waiting[] = {
        "timeout 1 tail -f /dev/null; echo waits; exec timeout 20 tail -f /dev/null", "cat", NULL};
    char *bytes = mem_alloc(MEGABYTES_5);
    probe_init(&probe, commands, 30);
    probe.input = bytes;
    probe.input_len = MEGABYTES_5;
    probe_ssh(&probe, &shared.host);
    ck_assert_int_eq(probe.downs, 0);
    ck_assert_int_eq(probe.status, 3);
    probe_release(&probe);
    probe_init(&probe, waiting, 40);
    probe.input = bytes;
    probe.input_len = MEGABYTES_5;
    probe.on_event = note_taken;
    probe.stream = ssh_stream_open(&probe.loop, &shared.host, &probe_events, &probe);
    while (probe.ends == 0)
        uv_run(&probe.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(probe.status, -1);
    probe_close(&probe);
    probe_finish(&probe);
    probe_release(&probe);
    free(bytes);
}
END_TEST

START_TEST(output_closed_while_input_goes_on)
{
    struct probe probe;
    const char *const commands[] = {
        "exec >/dev/null 2>&1; [ $(cat | wc -c) -eq 5242880 ] && exit 9", NULL};
    char *bytes = mem_alloc(MEGABYTES_5);
    probe_init(&probe, commands, 30);
    probe.input = bytes;
    probe.input_len = MEGABYTES_5;
    probe_ssh(&probe, &shared.host);
    ck_assert_int_eq(probe.status, 9);
    free(bytes);
    probe_release(&probe);
}
END_TEST

/* Ends at once, without waiting for the command, and the one session is free for the next. */
START_TEST(cut)
{
    struct probe probe;
    const char *const commands[] = {"echo a; exec cat", "echo b; exec cat", "echo c; exec cat",
                                    NULL};
    probe_init(&probe, commands, 30);
    probe.keep_input = true;
    probe.cut_after = 2;
    probe_ssh(&probe, &shared.host);
    ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
    ck_assert_int_eq(probe.ends, 3);
    ck_assert_int_eq(probe.status, -1);
    ck_assert_str_eq(buf_text(&probe.out), "c\n");
    probe_release(&probe);
}
END_TEST

/* The cut command still lives for a moment, and so does its session: the next waits for it. */
START_TEST(cut_of_one_that_lingers)
{
    struct probe probe;
    const char *const commands[] = {"echo a; exec timeout 2 tail -f /dev/null", "echo b", NULL};
    probe_init(&probe, commands, 30);
    probe.cut_after = 2;
    probe_ssh(&probe, &shared.host);
    ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
    ck_assert_int_eq(probe.ends, 2);
    ck_assert_str_eq(buf_text(&probe.out), "b\n");
    probe_release(&probe);
}
END_TEST

/* Cut from its first step on, whatever that waits for. */
START_TEST(cut_at_any_step)
{
    for (int turns = 0; turns < 12; turns++) {
        struct probe probe;
        const char *const commands[] = {hang(), "echo on", NULL};
        probe_init(&probe, commands, 30);
        probe.stream = ssh_stream_open(&probe.loop, &shared.host, &probe_events, &probe);
        while (probe.ups == 0)
            uv_run(&probe.loop.uv, UV_RUN_ONCE);
        for (int i = 0; i < turns; i++)
            uv_run(&probe.loop.uv, UV_RUN_NOWAIT);
        stream_cut(probe.stream);
        probe_finish(&probe);
        ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
        ck_assert_int_eq(probe.ends, 2);
        ck_assert_str_eq(buf_text(&probe.out), "on\n");
        probe_release(&probe);
    }
}
END_TEST

/* Somebody else holds its output open: a failure is told all the same. */
START_TEST(output_held_open)
{
    struct probe probe;
    const char *const commands[] = {"timeout 25 tail -f /dev/null & echo a; exit 126", "echo b",
                                    NULL};
    probe_init(&probe, commands, 15);
    probe_ssh(&probe, &shared.host);
    ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
    ck_assert_int_eq(probe.ends, 2);
    ck_assert_int_eq(probe.first[0], 126);
    probe_release(&probe);
}
END_TEST

static void close_now(struct probe *probe)
{
    probe_close(probe);
}

START_TEST(closed_at_any_time)
{
    for (int turns = 0; turns < 40; turns += 3) {
        struct probe probe;
        const char *const commands[] = {"head -c 300000 /dev/zero", hang(), NULL};
        probe_init(&probe, commands, 30);
        probe.stream = ssh_stream_open(&probe.loop, &shared.host, &probe_events, &probe);
        LEAKS_BEGIN(); /* libssh2 1.10 leaks what it had of a handshake */
        for (int i = 0; i < turns && probe.ends == 0; i++)
            uv_run(&probe.loop.uv, UV_RUN_ONCE);
        probe_close(&probe);
        LEAKS_END();
        probe_finish(&probe);
        probe_release(&probe);
    }
    struct probe probe;
    const char *const commands[] = {"head -c 30000000 /dev/zero", NULL};
    probe_init(&probe, commands, 30);
    probe.on_event = close_now; /* from inside its callback */
    probe_ssh(&probe, &shared.host);
    ck_assert_uint_gt(probe.out_len, 0);
    probe_release(&probe);
}
END_TEST

/* Sends a signal to the sshd process of our own connection. */
#define SIGNAL_SSHD(name)                                                 \
    "p=$PPID; while read -r n s <\"/proc/$p/comm\"; [ \"$n\" != sshd ]; " \
    "do p=$(cut -d' ' -f4 /proc/$p/stat); done; kill -" name " $p; "

START_TEST(killed_connection)
{
    struct probe probe;
    const char *const commands[] = {SIGNAL_SSHD("KILL") "exec cat", NULL};
    probe_init(&probe, commands, 30);
    probe.keep_input = true;
    probe_ssh(&probe, &shared.host);
    ck_assert_int_eq(probe.ends, 0);
    ck_assert_int_eq(probe.downs, 1);
    ck_assert_str_eq(probe.error.state, "connection_lost");
    probe_release(&probe);
}
END_TEST

/* New keys after each megabyte, in both directions. */
START_TEST(keys_are_exchanged_again)
{
    struct sshd sshd;
    struct probe probe;
    const char *const commands[] = {"cat", "cat", NULL};
    char *bytes = mem_alloc(MEGABYTES_5);
    memset(bytes, 'k', MEGABYTES_5);
    sshd_init(&sshd, "RekeyLimit 1M");
    sshd_start(&sshd);
    probe_init(&probe, commands, 60);
    probe.input = bytes;
    probe.input_len = MEGABYTES_5;
    LEAKS_BEGIN(); /* libssh2 1.10 leaks a name of 51 bytes at each exchange but the first */
    probe_ssh(&probe, &sshd.host);
    LEAKS_END();
    ck_assert_msg(probe.downs == 0, "%s", probe.error.text);
    ck_assert_int_eq(probe.ends, 2);
    ck_assert_uint_eq(probe.out.len, MEGABYTES_5);
    ck_assert(memcmp(probe.out.data, bytes, MEGABYTES_5) == 0);
    free(bytes);
    probe_release(&probe);
    sshd_release(&sshd);
}
END_TEST

START_TEST(host_key_of_the_connection)
{
    struct probe probe;
    const char *const commands[] = {"true", NULL};
    probe_init(&probe, commands, 30);
    probe.stream = ssh_stream_open(&probe.loop, &shared.host, &probe_events, &probe);
    ck_assert_str_eq(stream_host_key(probe.stream), "");
    while (probe.ups == 0)
        uv_run(&probe.loop.uv, UV_RUN_ONCE);
    ck_assert_uint_eq(strlen(stream_host_key(probe.stream)), 64);
    probe_finish(&probe);
    probe_release(&probe);
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
    tcase_add_test(tcase, one_after_another);
    tcase_add_test(tcase, two_hundred_commands);
    tcase_add_test(tcase, streams_are_separate);
    tcase_add_test(tcase, five_megabytes_both_ways);
    tcase_add_test(tcase, stderr_is_bounded);
    tcase_add_test(tcase, input_nobody_reads);
    tcase_add_test(tcase, output_closed_while_input_goes_on);
    tcase_add_test(tcase, cut);
    tcase_add_test(tcase, cut_of_one_that_lingers);
    tcase_add_test(tcase, cut_at_any_step);
    tcase_add_test(tcase, output_held_open);
    tcase_add_test(tcase, closed_at_any_time);
    tcase_add_test(tcase, killed_connection);
    tcase_add_test(tcase, keys_are_exchanged_again);
    tcase_add_test(tcase, host_key_of_the_connection);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
