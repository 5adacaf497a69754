/* worker/runner: calls written and answers read, also hostile ones. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/exec.h"
#include "worker/runner.h"

#define NONCE "00112233445566778899aabbccddeeff"
#define BANNER "fleet-runner 1\n"
#define RECORD                                                                                \
    "run a.1 state=ended epoch=2 pid=12 start=345 boot=b-1 out=5 err=3 oend=5 eend=3 exit=7 " \
    "ms=1200 reason=exit n1=5 n2=3\n"

/* --- names --- */

START_TEST(a_run_is_named_after_its_folder)
{
    char *name = runner_name("acme-app-42-1f0c9a3e", 2147483647);
    ck_assert_str_eq(name, "acme-app-42-1f0c9a3e.2147483647");
    ck_assert_uint_lt(strlen(name), RUNNER_RUN_SIZE);
    free(name);
}
END_TEST

/* --- builders: what is not in our character set is a bug, and ends the process --- */

static const struct runner_place good_place = {.work_dir = "/w", .fleet_id = "f"};

static void build_stop(const char *run, int epoch, const char *nonce, const char *reason)
{
    struct buf command;
    struct runner_key key = {.run = run, .epoch = epoch, .nonce = nonce};
    buf_init(&command, 65536);
    runner_build_stop(&command, &good_place, &key, 1, 1, reason);
    buf_release(&command);
}

static bool aborts(const char *run, int epoch, const char *nonce, const char *reason)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        fclose(stderr);
        signal(SIGABRT, SIG_DFL);
        build_stop(run, epoch, nonce, reason);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status);
}

START_TEST(builders_assert_their_words)
{
    ck_assert(!aborts("a.1", 1, NONCE, "cancelled"));
    ck_assert(aborts("a;b", 1, NONCE, "cancelled"));
    ck_assert(aborts("a b", 1, NONCE, "cancelled"));
    ck_assert(aborts("../a", 1, NONCE, "cancelled"));
    ck_assert(aborts(".a", 1, NONCE, "cancelled"));
    ck_assert(aborts("", 1, NONCE, "cancelled"));
    ck_assert(aborts("a.1", 0, NONCE, "cancelled"));
    ck_assert(aborts("a.1", 1, "0011", "cancelled"));
    ck_assert(aborts("a.1", 1, "00112233445566778899aabbccddee'x", "cancelled"));
    ck_assert(aborts("a.1", 1, NONCE, "a b"));
    ck_assert(aborts("a.1", 1, NONCE, ""));
}
END_TEST

/* --- parsers --- */

static const char hello_text[] =
    BANNER "hello v=1 machine=abc boot=b-1 owner=" NONCE " disk_free=123 missing=\nend\n";

START_TEST(parses_hello)
{
    struct runner_hello hello;
    struct error err;
    ck_assert(runner_parse_hello(hello_text, strlen(hello_text), &hello, &err));
    ck_assert_str_eq(hello.machine, "abc");
    ck_assert_str_eq(hello.boot, "b-1");
    ck_assert_str_eq(hello.owner, NONCE);
    ck_assert_int_eq(hello.disk_free, 123);
    ck_assert_str_eq(hello.missing, "");
    for (size_t len = 0; len < strlen(hello_text); len++)
        ck_assert(!runner_parse_hello(hello_text, len, &hello, &err));
}
END_TEST

START_TEST(parses_what_hello_found)
{
    struct runner_hello hello;
    struct error err;
    char *text = mem_printf("%.*sagent found codex-cli 0.46.0\nagent missing \nagent found \nend\n",
                            (int)(strlen(hello_text) - 4), hello_text);
    ck_assert(runner_parse_hello(text, strlen(text), &hello, &err));
    ck_assert_int_eq(hello.seen_count, 3);
    ck_assert(hello.seen[0].found && !hello.seen[1].found && hello.seen[2].found);
    ck_assert_str_eq(hello.seen[0].version, "codex-cli 0.46.0");
    ck_assert_str_eq(hello.seen[1].version, "");
    for (size_t len = 0; len < strlen(text); len++)
        ck_assert(!runner_parse_hello(text, len, &hello, &err));
    free(text);
    static const char *const bad[] = {"agent\n", "agent gone 1\n", "agent found \x1b[2J\n",
                                      "agent found 'x'\n", "agents found 1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        text = mem_printf("%.*s%send\n", (int)(strlen(hello_text) - 4), hello_text, bad[i]);
        ck_assert_msg(!runner_parse_hello(text, strlen(text), &hello, &err), "%s", bad[i]);
        free(text);
    }
}
END_TEST

/* More than asked for is no memory of ours. */
START_TEST(parses_no_more_agents_than_it_has_room_for)
{
    static struct runner_hello hello;
    struct error err;
    struct buf text;
    buf_init(&text, 65536);
    buf_add(&text, hello_text, strlen(hello_text) - 4);
    for (int i = 0; i < RUNNER_LOOKS_MAX; i++)
        buf_adds(&text, "agent found 1\n");
    size_t full = text.len;
    buf_adds(&text, "end\n");
    ck_assert(runner_parse_hello(text.data, text.len, &hello, &err));
    text.len = full;
    buf_adds(&text, "agent found 1\nend\n");
    ck_assert(!runner_parse_hello(text.data, text.len, &hello, &err));
    buf_release(&text);
}
END_TEST

START_TEST(noise_of_a_login_shell_is_skipped)
{
    struct runner_hello hello;
    struct error err;
    char *text = mem_printf("Welcome!\nfleet-runner 1 not yet\n%s", hello_text);
    ck_assert(runner_parse_hello(text, strlen(text), &hello, &err));
    free(text);
    text = mem_printf("%070000d\n%s", 0, hello_text); /* too much of it */
    ck_assert(!runner_parse_hello(text, strlen(text), &hello, &err));
    free(text);
    text = mem_printf("no newline%s", hello_text);
    ck_assert(!runner_parse_hello(text, strlen(text), &hello, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "no answer of the runner"));
    free(text);
    text = mem_printf("%sbehind\n", hello_text);
    ck_assert(!runner_parse_hello(text, strlen(text), &hello, &err));
    free(text);
}
END_TEST

static enum runner_verdict verdict_of(const char *text)
{
    struct runner_reply reply;
    struct error err = {0};
    ck_assert_msg(runner_parse_reply(text, strlen(text), &reply, &err), "%s: %s", text, err.text);
    return reply.verdict;
}

START_TEST(parses_verdicts)
{
    struct runner_reply reply;
    struct error err;
    ck_assert_int_eq(verdict_of(BANNER "void\nend\n"), RUNNER_VOIDED);
    ck_assert_int_eq(verdict_of(BANNER "stopping\nend\n"), RUNNER_STOPPING);
    static const char fenced[] = BANNER "fenced epoch=5\nend\n";
    ck_assert(runner_parse_reply(fenced, strlen(fenced), &reply, &err));
    ck_assert_int_eq(reply.verdict, RUNNER_FENCED);
    ck_assert_int_eq(reply.epoch, 5);
    static const char refused[] = BANNER "refused reason=host_disk_full\nend\n";
    ck_assert(runner_parse_reply(refused, strlen(refused), &reply, &err));
    ck_assert_int_eq(reply.verdict, RUNNER_REFUSED);
    ck_assert_str_eq(reply.reason, "host_disk_full");
    static const char started[] =
        BANNER "started\nrun a.1 state=running epoch=2 pid=12 start=345 boot=b-1 out=0 err=0 "
               "oend=- eend=- exit=- ms=- reason=- n1=0 n2=0\nend\n";
    ck_assert(runner_parse_reply(started, strlen(started), &reply, &err));
    ck_assert_int_eq(reply.verdict, RUNNER_STARTED);
    ck_assert_int_eq(reply.record.state, RUNNER_RUNNING);
    ck_assert_int_eq(reply.record.pid, 12);
    ck_assert_str_eq(reply.record.start, "345");
    ck_assert_int_eq(reply.record.exit, -1);
    ck_assert_str_eq(reply.record.reason, "");
}
END_TEST

START_TEST(refuses_malformed_replies)
{
    static const char *const cases[] = {
        "",
        BANNER,
        BANNER "end\n",
        BANNER "void\n",
        BANNER "void\nend",
        BANNER "void\nend\nmore",
        BANNER "void \nend\n",
        BANNER "fenced epoch=\nend\n",
        BANNER "fenced epoch=-\nend\n",
        BANNER "fenced epoch=99999999999\nend\n",
        BANNER "fenced epoch=1 x\nend\n",
        BANNER "fenced epoch=+1\nend\n",
        BANNER "refused reason=\nend\n",
        BANNER "refused reason=a;b\nend\n",
        BANNER "refused reason=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nend\n",
        BANNER "started\nend\n",
        BANNER "started\nrun a.1 state=running\nend\n",
        BANNER "state\nrun a.1 state=strange epoch=2 pid=12 start=345 boot=b-1 out=0 err=0 oend=- "
               "eend=- exit=- ms=- reason=- n1=0 n2=0\nend\n",
        BANNER "state\nrun a.1 state=ended epoch=2 pid=12 start=345 boot=b-1 out=0 err=0 oend=- "
               "eend=- exit=256 ms=- reason=exit n1=0 n2=0\nend\n",
        BANNER "state\nrun a.1 state=ended epoch=2 pid=12 start=345 boot=b-1 out=0 err=0 oend=- "
               "eend=- exit=- ms=- reason=- n1=0 n2=0\nend\n",
        BANNER
        "state\nrun - state=lost epoch=2 pid=12 start=345 boot=b-1 out=0 err=0 oend=- eend=- "
        "exit=- ms=- reason=- n1=0 n2=0\nend\n",
        BANNER
        "state\nrun a.1 state=lost epoch=2 pid=12 start=345 boot=b-1 out=9999999999999999999 "
        "err=0 oend=- eend=- exit=- ms=- reason=- n1=0 n2=0\nend\n",
        BANNER
        "state\nrun a.1 state=lost epoch=2 pid=12 start=345 boot=b-1 out=0 err=0 oend=- eend=- "
        "exit=- ms=- reason=- n1=7 n2=0\nend\n",
        BANNER "missing\nend\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct runner_reply reply;
        struct error err = {0};
        ck_assert_msg(!runner_parse_reply(cases[i], strlen(cases[i]), &reply, &err), "%s",
                      cases[i]);
        ck_assert_str_ne(err.text, "");
    }
}
END_TEST

START_TEST(missing_and_installed)
{
    struct error err;
    ck_assert(runner_missing(BANNER "missing\nend\n", strlen(BANNER "missing\nend\n")));
    ck_assert(!runner_missing("missing\nend\n", 12));
    ck_assert(!runner_missing(BANNER "missing\n", strlen(BANNER "missing\n")));
    ck_assert(
        runner_parse_installed(BANNER "installed\nend\n", strlen(BANNER "installed\nend\n"), &err));
    ck_assert(!runner_parse_installed("", 0, &err));
}
END_TEST

START_TEST(parses_polls)
{
    static const char text[] = BANNER RECORD "ab\nende\nf" RECORD "12345678end\n";
    struct runner_poll poll;
    struct runner_record record;
    struct error err;
    ck_assert(runner_poll_begin(&poll, text, strlen(text), &err));
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), 1);
    ck_assert_str_eq(record.run, "a.1");
    ck_assert_int_eq(record.state, RUNNER_ENDED);
    ck_assert_int_eq(record.exit, 7);
    ck_assert_int_eq(record.signal, 0);
    ck_assert_int_eq(record.elapsed_ms, 1200);
    ck_assert_uint_eq(record.out_len, 5);
    ck_assert_mem_eq(record.out, "ab\nen", 5);
    ck_assert_uint_eq(record.err_len, 3);
    ck_assert_mem_eq(record.err, "de\n", 3);
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), -1); /* "f" is in the way */
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), -1);
    static const char whole[] = BANNER RECORD "end\nrun " RECORD "\0\xff...endend\n";
    ck_assert(runner_poll_begin(&poll, whole, sizeof whole - 1, &err));
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), 1);
    ck_assert_mem_eq(record.out, "end\nr", 5);
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), 1);
    ck_assert_mem_eq(record.out, "\0\xff...", 5);
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), 0);
    ck_assert_int_eq(runner_poll_next(&poll, &record, &err), 0);
    for (size_t len = strlen(BANNER); len < sizeof whole - 1; len++) { /* a cut answer is seen */
        int more;
        ck_assert(runner_poll_begin(&poll, whole, len, &err));
        while ((more = runner_poll_next(&poll, &record, &err)) == 1)
            ;
        ck_assert_int_eq(more, -1);
    }
}
END_TEST

START_TEST(signals_and_tampering)
{
    struct runner_record record = {.state = RUNNER_ENDED, .exit = 0};
    record.out_size = record.out_final = 100;
    record.err_size = record.err_final = 10;
    ck_assert(!runner_tampered(&record, 100, 10));
    ck_assert(runner_tampered(&record, 101, 10));
    ck_assert(runner_tampered(&record, 100, 11));
    record.out_size = 120; /* grew behind the end */
    ck_assert(runner_tampered(&record, 100, 10));
    record.state = RUNNER_RUNNING;
    ck_assert(!runner_tampered(&record, 100, 10));
    record.out_size = -1; /* replaced by something that is no file */
    ck_assert(runner_tampered(&record, 0, 0));
    record.state = RUNNER_PREPARED;
    ck_assert(!runner_tampered(&record, 0, 0));
    ck_assert_str_eq(runner_state_name(RUNNER_ORPHANED), "orphaned");
    ck_assert_str_eq(runner_state_name((enum runner_state)99), "unknown");
}
END_TEST

/* --- with the script itself, in a folder with an ugly name --- */

struct trip {
    struct loop loop;
    struct exec_host *host;
    char folder[128];
    struct runner_place place;
    struct buf command, input, answer;
    bool stopped;
};

static void on_stopped(void *data)
{
    struct trip *trip = data;
    trip->stopped = true;
}

static void on_done(void *data, const struct exec_result *res, const struct error *err)
{
    struct trip *trip = data;
    ck_assert_msg(err == NULL, "%s", err != NULL ? err->text : "");
    buf_add(&trip->answer, res->out, res->out_len);
    exec_host_stop(trip->host, on_stopped, trip);
}

/* Runs trip->command, and begins the next one. */
static void go(struct trip *trip)
{
    static struct config_host localhost = {.host_id = "here", .hostname = "localhost"};
    loop_init(&trip->loop);
    buf_clear(&trip->answer);
    ck_assert(!trip->command.failed && !trip->input.failed);
    trip->host = exec_host_new(&trip->loop, &localhost);
    exec_run(trip->host, &(struct exec_request){.command = buf_text(&trip->command),
                                                .input = trip->input.data,
                                                .input_len = trip->input.len,
                                                .out_max = 1 << 20,
                                                .timeout_ms = 20000,
                                                .on_done = on_done,
                                                .data = trip});
    loop_run(&trip->loop);
    loop_release(&trip->loop);
    ck_assert(trip->stopped);
    trip->stopped = false;
    buf_clear(&trip->command);
    buf_clear(&trip->input);
}

static void trip_init(struct trip *trip)
{
    char base[] = "/tmp/fleet-runner.XXXXXX";
    *trip = (struct trip){0};
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(trip->folder, sizeof trip->folder, "%s/it's $HOME `x` \"y\" \\ *", base);
    trip->place = (struct runner_place){.work_dir = trip->folder, .fleet_id = "fleet-1"};
    buf_init(&trip->command, 1 << 20);
    buf_init(&trip->input, 1 << 20);
    buf_init(&trip->answer, 1 << 20);
}

static void trip_release(struct trip *trip)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf %.24s", trip->folder);
    ck_assert_int_eq(system(command), 0);
    buf_release(&trip->command);
    buf_release(&trip->input);
    buf_release(&trip->answer);
}

static void install(struct trip *trip)
{
    struct error err = {0};
    runner_build_install(&trip->command, &trip->place);
    buf_add(&trip->input, runner_script, runner_script_size);
    go(trip);
    ck_assert_msg(runner_parse_installed(trip->answer.data, trip->answer.len, &err), "%s",
                  err.text);
}

static struct runner_reply reply_of(struct trip *trip)
{
    struct runner_reply reply;
    struct error err = {0};
    go(trip);
    ck_assert_msg(runner_parse_reply(buf_text(&trip->answer), trip->answer.len, &reply, &err),
                  "%s\n%s", err.text, buf_text(&trip->answer));
    return reply;
}

/* Polls until the run has ended; the streams are borrowed from trip->answer. */
static struct runner_record wait_for_end(struct trip *trip, const char *run)
{
    struct runner_record record = {0};
    for (int i = 0; i < 1000; i++) {
        struct runner_poll poll;
        struct error err;
        runner_build_poll(&trip->command, &trip->place, 4096);
        runner_add_ask(&trip->input, &(struct runner_ask){.run = run, .nonce = NONCE});
        go(trip);
        ck_assert(runner_poll_begin(&poll, trip->answer.data, trip->answer.len, &err));
        ck_assert_int_eq(runner_poll_next(&poll, &record, &err), 1);
        struct runner_record end;
        ck_assert_int_eq(runner_poll_next(&poll, &end, &err), 0);
        if (record.state == RUNNER_ENDED)
            return record;
    }
    ck_abort_msg("the run did not end");
    return record;
}

START_TEST(round_trip)
{
    struct trip trip;
    struct runner_hello hello;
    struct error err = {0};
    const char *folder = "acme-app-1-0a1b2c3d";
    char *run = runner_name(folder, 1);
    struct runner_key key = {.run = run, .epoch = 1, .nonce = NONCE};
    static const char job[] = "printf '%s\\n' 'it'\\''s'; cat; echo bad >&2; exit 3\n";
    struct runner_start start = {.folder = folder,
                                 .timeout_secs = 60,
                                 .cap_bytes = 100000,
                                 .job = job,
                                 .job_len = strlen(job),
                                 .prompt = "prompt\0end",
                                 .prompt_len = 10};
    trip_init(&trip);
    runner_build_hello(&trip.command, &trip.place, NULL, 0);
    go(&trip);
    ck_assert(runner_missing(buf_text(&trip.answer), trip.answer.len));
    install(&trip);
    runner_build_hello(&trip.command, &trip.place, NULL, 0);
    go(&trip);
    ck_assert_msg(runner_parse_hello(trip.answer.data, trip.answer.len, &hello, &err), "%s",
                  err.text);
    ck_assert_str_eq(hello.missing, "");
    ck_assert_uint_eq(strlen(hello.owner), 32);
    ck_assert_int_gt(hello.disk_free, 0);
    runner_build_start(&trip.command, &trip.input, &trip.place, &key, &start);
    ck_assert_int_eq(reply_of(&trip).verdict, RUNNER_STARTED);
    struct runner_record record = wait_for_end(&trip, run);
    ck_assert_int_eq(record.exit, 3);
    ck_assert_str_eq(record.reason, "exit");
    ck_assert_uint_eq(record.out_len, 5 + 10);
    ck_assert_mem_eq(record.out, "it's\nprompt\0end", 15);
    ck_assert_mem_eq(record.err, "bad\n", 4);
    ck_assert(!runner_tampered(&record, 0, 0));
    runner_build_start(&trip.command, &trip.input, &trip.place, &key, &start);
    ck_assert_int_eq(reply_of(&trip).verdict, RUNNER_EXISTS);
    runner_build_void(&trip.command, &trip.place, &key);
    ck_assert_int_eq(reply_of(&trip).verdict, RUNNER_STARTED);
    key.epoch = 3;
    runner_build_raise(&trip.command, &trip.place, &key);
    struct runner_reply raised = reply_of(&trip);
    ck_assert_int_eq(raised.verdict, RUNNER_STATE);
    ck_assert_int_eq(raised.record.state, RUNNER_ENDED);
    ck_assert_int_eq(raised.record.epoch, 3);
    key.epoch = 2;
    runner_build_stop(&trip.command, &trip.place, &key, 1, 1, "cancelled");
    struct runner_reply fenced = reply_of(&trip);
    ck_assert_int_eq(fenced.verdict, RUNNER_FENCED);
    ck_assert_int_eq(fenced.epoch, 3);
    trip_release(&trip);
    free(run);
}
END_TEST

START_TEST(a_changed_script_is_not_run)
{
    struct trip trip;
    char command[512];
    struct stat status;
    trip_init(&trip);
    install(&trip);
    snprintf(command, sizeof command,
             "cd %.24s/*/.fleet/fleet-1/bin && echo 'touch ../touched' >>$(echo runner-*.sh)",
             trip.folder);
    ck_assert_int_eq(system(command), 0);
    runner_build_hello(&trip.command, &trip.place, NULL, 0);
    go(&trip);
    ck_assert(runner_missing(buf_text(&trip.answer), trip.answer.len));
    snprintf(command, sizeof command, "%s/.fleet/fleet-1/touched", trip.folder);
    ck_assert_int_ne(stat(command, &status), 0);
    install(&trip);
    runner_build_hello(&trip.command, &trip.place, NULL, 0);
    go(&trip);
    ck_assert(!runner_missing(buf_text(&trip.answer), trip.answer.len));
    trip_release(&trip);
}
END_TEST

/* A cut or changed installation is none. */
START_TEST(a_cut_script_is_not_installed)
{
    struct trip trip;
    struct error err;
    trip_init(&trip);
    runner_build_install(&trip.command, &trip.place);
    buf_add(&trip.input, runner_script, runner_script_size - 1);
    go(&trip);
    ck_assert(!runner_parse_installed(buf_text(&trip.answer), trip.answer.len, &err));
    runner_build_hello(&trip.command, &trip.place, NULL, 0);
    go(&trip);
    ck_assert(runner_missing(buf_text(&trip.answer), trip.answer.len));
    trip_release(&trip);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runner");
    TCase *tcase = tcase_create("runner");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_run_is_named_after_its_folder);
    tcase_add_test(tcase, builders_assert_their_words);
    tcase_add_test(tcase, parses_hello);
    tcase_add_test(tcase, parses_what_hello_found);
    tcase_add_test(tcase, parses_no_more_agents_than_it_has_room_for);
    tcase_add_test(tcase, noise_of_a_login_shell_is_skipped);
    tcase_add_test(tcase, parses_verdicts);
    tcase_add_test(tcase, refuses_malformed_replies);
    tcase_add_test(tcase, missing_and_installed);
    tcase_add_test(tcase, parses_polls);
    tcase_add_test(tcase, signals_and_tampering);
    tcase_add_test(tcase, round_trip);
    tcase_add_test(tcase, a_changed_script_is_not_run);
    tcase_add_test(tcase, a_cut_script_is_not_installed);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
