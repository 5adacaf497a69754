/* worker/link/local: commands on this machine. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"
#include "tests/unit/lingers.h"
#include "worker/link/local.h"

#define OUT_MAX ((size_t)16 << 20)

static struct probe {
    struct loop loop;
    struct stream *stream;
    int ups, ends, downs;
    int status; /* of the last end */
    struct buf out, err;
    const char *input; /* what is still to be written */
    size_t input_len;
    size_t cut_after; /* bytes of output after which it is cut; 0: never */
    bool close_at_bytes;
} probe;

static void on_up(void *data)
{
    ck_assert_ptr_eq(data, &probe);
    probe.ups++;
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    ck_assert_ptr_eq(data, &probe);
    buf_add(&probe.out, bytes, len);
    if (probe.cut_after > 0 && probe.out.len >= probe.cut_after) {
        probe.cut_after = 0;
        stream_cut(probe.stream);
    } else if (probe.close_at_bytes) {
        stream_close(probe.stream);
        probe.stream = NULL;
    }
}

static void write_more(void)
{
    size_t taken = stream_write(probe.stream, probe.input, probe.input_len);
    ck_assert_uint_le(taken, probe.input_len);
    probe.input += taken;
    probe.input_len -= taken;
    if (probe.input_len == 0)
        stream_end_input(probe.stream);
}

static void on_room(void *data)
{
    ck_assert_ptr_eq(data, &probe);
    write_more();
}

static void on_end(void *data, const struct stream_end *end)
{
    ck_assert_ptr_eq(data, &probe);
    probe.ends++;
    probe.status = end->status;
    buf_clear(&probe.err);
    buf_add(&probe.err, end->err, end->err_len);
}

static void on_down(void *data, const struct error *err)
{
    ck_assert_ptr_eq(data, &probe);
    ck_assert_str_eq(err->state, "runner_failed");
    probe.downs++;
}

static void until(const int *count, int wanted)
{
    int64_t deadline = clock_ms() + 30000;
    while (*count < wanted) {
        ck_assert_msg(clock_ms() < deadline, "not within 30 s");
        uv_run(&probe.loop.uv, UV_RUN_ONCE);
    }
}

static void open_stream(void)
{
    static const struct stream_events events = {.on_up = on_up,
                                                .on_bytes = on_bytes,
                                                .on_room = on_room,
                                                .on_end = on_end,
                                                .on_down = on_down};
    probe = (struct probe){.status = -2};
    buf_init(&probe.out, OUT_MAX);
    buf_init(&probe.err, OUT_MAX);
    loop_init(&probe.loop);
    loop_signals(&probe.loop, NULL, NULL, NULL);
    probe.stream = local_stream_open(&probe.loop, &events, &probe);
    ck_assert_int_eq(probe.ups, 0); /* later */
    ck_assert_str_eq(stream_host_key(probe.stream), "");
    until(&probe.ups, 1);
}

static void begin(const char *command, const char *input, size_t len)
{
    buf_clear(&probe.out);
    probe.input = input;
    probe.input_len = len;
    stream_run(probe.stream, command);
    write_more();
}

static void once(const char *command, const char *input)
{
    int ends = probe.ends;
    begin(command, input, strlen(input));
    until(&probe.ends, ends + 1);
}

static void close_stream(void)
{
    if (probe.stream != NULL)
        stream_close(probe.stream);
    loop_run(&probe.loop);
    loop_release(&probe.loop);
    buf_release(&probe.out);
    buf_release(&probe.err);
}

START_TEST(statuses)
{
    static const struct {
        const char *command;
        int status;
    } cases[] = {
        {"true", 0},           {"exit 7", 7},         {"no-such-command", 127},
        {"kill -KILL $$", -1}, {"kill -TERM $$", -1}, {"exit 255", 255},
    };
    open_stream();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        once(cases[i].command, "");
        ck_assert_msg(probe.status == cases[i].status, "%s: %d", cases[i].command, probe.status);
    }
    close_stream();
}
END_TEST

START_TEST(both_ways)
{
    open_stream();
    once("cat; printf 'a\\0b'; echo err >&2; pwd >&2", "in\n");
    ck_assert_uint_eq(probe.out.len, 6);
    ck_assert_mem_eq(probe.out.data, "in\na\0b", 6);
    ck_assert_str_eq(buf_text(&probe.err), "err\n/\n");
    close_stream();
}
END_TEST

#define MEGABYTES_5 (5 << 20)

START_TEST(large)
{
    char *bytes = mem_alloc(MEGABYTES_5);
    for (size_t i = 0; i < MEGABYTES_5; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    open_stream();
    begin("cat", bytes, MEGABYTES_5);
    ck_assert_uint_gt(probe.input_len, 0); /* not all at once: bounded */
    until(&probe.ends, 1);
    ck_assert_uint_eq(probe.out.len, MEGABYTES_5);
    ck_assert(memcmp(probe.out.data, bytes, MEGABYTES_5) == 0);
    begin("head -c 100000 /dev/zero >&2; exit 3", bytes, MEGABYTES_5); /* reads nothing */
    until(&probe.ends, 2);
    ck_assert_int_eq(probe.status, 3);
    ck_assert_uint_eq(probe.err.len, 4096);
    close_stream();
    free(bytes);
}
END_TEST

/* Secrets of ours do not become everybody's who runs as our account. */
START_TEST(environment_is_listed)
{
    static const char *const ours[] = {"FLEET_SECRET",  "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET",
                                       "WATCHDOG_USEC", "JOURNAL_STREAM",        "PGPASSWORD"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        setenv(ours[i], "hidden", 1);
    setenv("LANG", "C.UTF-8", 1);
    open_stream();
    once("env", "");
    ck_assert_ptr_null(strstr(buf_text(&probe.out), "hidden"));
    ck_assert_ptr_nonnull(strstr(buf_text(&probe.out), "LANG=C.UTF-8"));
    ck_assert_ptr_nonnull(strstr(buf_text(&probe.out), "PATH="));
    close_stream();
}
END_TEST

/* ls has 0, 1, 2 and the folder that it reads. */
START_TEST(no_descriptor_is_inherited)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0); /* without close-on-exec */
    open_stream();
    once("ls /proc/self/fd", "");
    ck_assert_str_eq(buf_text(&probe.out), "0\n1\n2\n3\n");
    close_stream();
}
END_TEST

/* Another command may follow at once; what is in the background goes on. */
START_TEST(cut)
{
    char command[200];
    open_stream();
    snprintf(command, sizeof command,
             "setsid tail --pid=%d -f /dev/null & echo $!; exec " LINGERS(1000), (int)getpid());
    probe.cut_after = 1;
    begin(command, "", 0);
    ck_assert_int_eq(probe.ends, 0);
    until(&probe.ends, 1);
    ck_assert_int_eq(probe.status, -1);
    pid_t background = (pid_t)atoi(buf_text(&probe.out));
    ck_assert_int_gt(background, 1);
    once("echo next", "");
    ck_assert_str_eq(buf_text(&probe.out), "next\n");
    int64_t begun = clock_ms();
    close_stream(); /* waits for the sleep to be killed */
    ck_assert_int_le(clock_ms() - begun, 10000);
    ck_assert_int_eq(kill(background, 0), 0);
    kill(background, SIGKILL);
}
END_TEST

/* Who holds the output open delays the end of a command, but not for ever. */
START_TEST(background_child_holds_the_output)
{
    char command[128];
    open_stream();
    snprintf(command, sizeof command, "setsid tail --pid=%d -f /dev/null & echo started",
             (int)getpid());
    once(command, "");
    ck_assert_int_eq(probe.status, 0);
    ck_assert_str_eq(buf_text(&probe.out), "started\n");
    close_stream();
}
END_TEST

START_TEST(closed_inside_and_early)
{
    open_stream();
    probe.close_at_bytes = true;
    begin("echo x; exec cat", "", 0);
    while (probe.stream != NULL)
        uv_run(&probe.loop.uv, UV_RUN_ONCE);
    close_stream();
    ck_assert_int_eq(probe.ends, 0);
    open_stream();
    begin("exec cat", "", 0);
    close_stream(); /* at once */
    ck_assert_int_eq(probe.ends, 0);
    open_stream();
    stream_run(probe.stream, "true");
    stream_cut(probe.stream);
    close_stream();
    ck_assert_int_eq(probe.ends, 0);
}
END_TEST

START_TEST(no_descriptor_left_for_us)
{
    struct rlimit before, few;
    open_stream();
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    stream_run(probe.stream, "true");
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert_int_eq(probe.downs, 0);
    until(&probe.downs, 1);
    close_stream();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_local");
    TCase *tcase = tcase_create("link_local");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, statuses);
    tcase_add_test(tcase, both_ways);
    tcase_add_test(tcase, large);
    tcase_add_test(tcase, environment_is_listed);
    tcase_add_test(tcase, no_descriptor_is_inherited);
    tcase_add_test(tcase, cut);
    tcase_add_test(tcase, background_child_holds_the_output);
    tcase_add_test(tcase, closed_inside_and_early);
    tcase_add_test(tcase, no_descriptor_left_for_us);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
