#include <errno.h>
#include <stdarg.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "tests/unit/sshd.h"
#include "worker/exec.h"
#include "worker/runner.h"
#include "worker/ssh_key.h"

/* libssh2 1.10 leaks a bignum at each log-in with an ECDSA key in OpenSSH's form. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define LEAKS_BEGIN() __lsan_disable()
#define LEAKS_END() __lsan_enable()
#else
#define LEAKS_BEGIN() ((void)0)
#define LEAKS_END() ((void)0)
#endif

static struct sshd shared; /* started once, for the tests that do it no harm */

/* One host, and what came back from it. */
struct probe {
    struct loop loop;
    struct exec_host *host;
    struct timer guard;
    int wanted, done, failed;
    bool stopped;
    int status;      /* of the last result */
    struct buf out;  /* of the last result */
    struct buf err;  /* of the last result */
    bool truncated;  /* of the last result */
    char error[512]; /* of the last failure */
    int zeros;       /* results with status 0 */
};

/* A command that does not end, until the test has. */
static const char *hang(void)
{
    static char command[64];
    snprintf(command, sizeof(command), "exec tail --pid=%d -f /dev/null", (int)getpid());
    return command;
}

static void on_guard(void *data)
{
    struct probe *probe = data;
    ck_abort_msg("not done within the time: %d of %d", probe->done, probe->wanted);
}

static void on_stopped(void *data)
{
    struct probe *probe = data;
    probe->stopped = true;
}

static void stop_when_done(struct probe *probe)
{
    if (probe->done < probe->wanted)
        return;
    exec_host_stop(probe->host, on_stopped, probe);
    timer_close(&probe->guard, NULL);
}

static void on_done(void *data, const struct exec_result *res, const struct error *err)
{
    struct probe *probe = data;
    probe->done++;
    ck_assert((res == NULL) != (err == NULL));
    if (err != NULL) {
        probe->failed++;
        snprintf(probe->error, sizeof(probe->error), "%s", err->text);
    } else {
        buf_clear(&probe->out);
        buf_clear(&probe->err);
        buf_add(&probe->out, res->out, res->out_len);
        buf_add(&probe->err, res->err, res->err_len);
        probe->status = res->status;
        probe->truncated = res->truncated;
        probe->zeros += res->status == 0;
    }
    stop_when_done(probe);
}

static void probe_init(struct probe *probe, const struct config_host *config, int secs)
{
    *probe = (struct probe){.status = -2};
    buf_init(&probe->out, 16 << 20);
    buf_init(&probe->err, 8192);
    loop_init(&probe->loop);
    loop_signals(&probe->loop, NULL, NULL, NULL);
    timer_init(&probe->guard, &probe->loop, on_guard, probe);
    timer_start(&probe->guard, (uint64_t)secs * 1000, 0);
    probe->host = exec_host_new(&probe->loop, config);
}

static void probe_run(struct probe *probe, const char *command, const void *input, size_t len,
                      size_t out_max, int timeout_ms)
{
    probe->wanted++;
    exec_run(probe->host, &(struct exec_request){
                              .command = command,
                              .input = input,
                              .input_len = len,
                              .out_max = out_max,
                              .timeout_ms = timeout_ms,
                              .on_done = on_done,
                              .data = probe,
                          });
}

static void probe_finish(struct probe *probe)
{
    loop_run(&probe->loop);
    ck_assert(probe->stopped);
    loop_release(&probe->loop);
    buf_release(&probe->out);
    buf_release(&probe->err);
}

/* One command, to the end. */
static void once(struct probe *probe, const struct config_host *config, const char *command)
{
    probe_init(probe, config, 30);
    probe_run(probe, command, NULL, 0, 65536, 20000);
    loop_run(&probe->loop);
}

static void once_release(struct probe *probe)
{
    ck_assert(probe->stopped);
    loop_release(&probe->loop);
    buf_release(&probe->out);
    buf_release(&probe->err);
}

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
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct probe probe;
        once(&probe, &shared.host, cases[i].command);
        ck_assert_int_eq(probe.failed, 0);
        ck_assert_msg(probe.status == cases[i].status, "%s: %d", cases[i].command, probe.status);
        once_release(&probe);
    }
}
END_TEST

START_TEST(streams_are_separate)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 20);
    probe_run(&probe, "cat; printf 'a\\0b'; echo 'it'\\''s' >&2", "in\n", 3, 100, 10000);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 6);
    ck_assert_mem_eq(probe.out.data, "in\na\0b", 6);
    ck_assert_str_eq(buf_text(&probe.err), "it's\n");
    ck_assert(!probe.truncated);
    once_release(&probe);
}
END_TEST

START_TEST(two_hundred_at_once)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 60);
    for (int i = 0; i < 200; i++) {
        char command[64];
        snprintf(command, sizeof(command), "echo %d; read x; [ \"$x\" = %d ]", i, i);
        char input[16];
        int len = snprintf(input, sizeof(input), "%d\n", i);
        probe_run(&probe, command, input, (size_t)len, 100, 50000);
    }
    probe_finish(&probe);
    ck_assert_int_eq(probe.failed, 0);
    ck_assert_int_eq(probe.zeros, 200);
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
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.failed, 0);
    ck_assert_int_eq(probe.zeros, 4);
    ck_assert_uint_eq(probe.out.len, MEGABYTES_5);
    ck_assert(memcmp(probe.out.data, bytes, MEGABYTES_5) == 0);
    ck_assert(!probe.truncated);
    free(bytes);
    once_release(&probe);
}
END_TEST

START_TEST(output_is_bounded)
{
    struct probe probe;
    probe_init(&probe, &shared.host, 30);
    probe_run(&probe, "head -c 3000000 /dev/zero; head -c 20000 /dev/zero >&2", NULL, 0, 1000,
              20000);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.status, 0);
    ck_assert_uint_eq(probe.out.len, 1000);
    ck_assert_uint_eq(probe.err.len, 4096);
    ck_assert(probe.truncated);
    once_release(&probe);
}
END_TEST

START_TEST(input_nobody_reads)
{
    struct probe probe;
    char *bytes = mem_alloc(MEGABYTES_5);
    probe_init(&probe, &shared.host, 30);
    probe_run(&probe, "exit 3", bytes, MEGABYTES_5, 1000, 20000);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.failed, 0);
    ck_assert_int_eq(probe.status, 3);
    free(bytes);
    once_release(&probe);
}
END_TEST

START_TEST(output_closed_while_input_goes_on)
{
    struct probe probe;
    char *bytes = mem_alloc(MEGABYTES_5);
    probe_init(&probe, &shared.host, 30);
    probe_run(&probe, "exec >/dev/null 2>&1; [ $(cat | wc -c) -eq 5242880 ] && exit 9", bytes,
              MEGABYTES_5, 1000, 20000);
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.status, 9);
    free(bytes);
    once_release(&probe);
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
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_str_eq(buf_text(&probe.out), "on\n");
    once_release(&probe);
}
END_TEST

static void fails_with(const struct config_host *config, const char *text)
{
    struct probe probe;
    once(&probe, config, "true");
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_msg(strstr(probe.error, text) != NULL, "%s", probe.error);
    once_release(&probe);
}

START_TEST(host_key_is_said)
{
    struct probe probe;
    char line[512], known[96];
    snprintf(known, sizeof(known), "%s/empty", shared.folder);
    struct config_host host = shared.host;
    host.known_hosts = known;
    shell("ssh-keygen -lf %s.pub | cut -d' ' -f2 >%s/print", shared.host_key, shared.folder);
    snprintf(line, sizeof(line), "%s/print", shared.folder);
    FILE *file = fopen(line, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    once(&probe, &host, "true");
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_ptr_nonnull(strstr(probe.error, line));
    ck_assert_ptr_nonnull(strstr(probe.error, "ssh-keyscan -p"));
    once_release(&probe);
}
END_TEST

START_TEST(wrong_host_key)
{
    struct config_host host = shared.host;
    char known[96];
    snprintf(known, sizeof(known), "%s/wrong", shared.folder);
    host.known_hosts = known;
    shell("sed 's/^/[127.0.0.1]:%d /' %s.pub >%s", shared.port, shared.user_key, known);
    fails_with(&host, "is not the one in");
    shell("sed 's/^/[127.0.0.2]:%d /' %s.pub >%s", shared.port, shared.host_key, known);
    fails_with(&host, "is not known");
    shell("sed 's/^/127.0.0.1 /' %s.pub >%s", shared.host_key, known); /* of port 22 */
    fails_with(&host, "is not known");
}
END_TEST

START_TEST(known_hosts_faults_are_errors)
{
    static const struct {
        const char *prefix, *text;
    } cases[] = {
        {"@revoked ", "@cert-authority or @revoked"},
        {"*,", "pattern"},
        {"broken\\n", ":1: a line that ends too early"},
    };
    struct config_host host = shared.host;
    char known[96];
    snprintf(known, sizeof(known), "%s/faulty", shared.folder);
    host.known_hosts = known;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shell("{ printf '%s'; cat %s; } >%s", cases[i].prefix, shared.known_hosts, known);
        fails_with(&host, cases[i].text);
    }
}
END_TEST

START_TEST(hashed_known_hosts_and_ecdsa)
{
    struct sshd sshd;
    struct probe probe;
    sshd_init(&sshd, "HostKey /dev/null");
    shell("ssh-keygen -q -t ecdsa -b 384 -N '' -f %s/host_ecdsa", sshd.folder);
    shell("ssh-keygen -q -t rsa -b 2048 -N '' -f %s/host_rsa", sshd.folder);
    shell("sed -i 's,/dev/null,%s/host_ecdsa,; $aHostKey %s/host_rsa' %s", sshd.folder, sshd.folder,
          sshd.config);
    /* Only the ECDSA key is listed, though the host has ed25519 and RSA too. */
    shell("sed 's/^/[127.0.0.1]:%d /' %s/host_ecdsa.pub >%s && ssh-keygen -q -H -f %s >/dev/null "
          "2>&1",
          sshd.port, sshd.folder, sshd.known_hosts, sshd.known_hosts);
    sshd_start(&sshd);
    once(&probe, &sshd.host, "true");
    ck_assert_msg(probe.status == 0, "%s", probe.error);
    once_release(&probe);
    shell("sed 's/^/[127.0.0.1]:%d /' %s/host_rsa.pub >%s", sshd.port, sshd.folder,
          sshd.known_hosts);
    fails_with(&sshd.host, "is not the one in");
    sshd_release(&sshd);
}
END_TEST

START_TEST(user_keys)
{
    struct config_host host = shared.host;
    char key[128];
    host.ssh_key_path = key;
    snprintf(key, sizeof(key), "%s/k_ecdsa", shared.folder);
    shell("ssh-keygen -q -t ecdsa -N '' -f %s && cat %s.pub >>%s/authorized_keys", key, key,
          shared.folder);
    struct probe probe;
    LEAKS_BEGIN();
    once(&probe, &host, "true");
    LEAKS_END();
    ck_assert_msg(probe.status == 0, "%s", probe.error);
    once_release(&probe);
    shell("rm %s && ssh-keygen -q -t ed25519 -N '' -f %s </dev/null", key, key);
    fails_with(&host, "refuses the key");
    shell("rm %s && ssh-keygen -q -t rsa -b 2048 -N '' -f %s", key, key);
    fails_with(&host, "RSA");
    shell("rm %s && ssh-keygen -q -t rsa -m PEM -b 2048 -N '' -f %s", key, key);
    fails_with(&host, "RSA");
    shell("rm %s && ssh-keygen -q -t ed25519 -N secret -f %s", key, key);
    fails_with(&host, "passphrase");
    shell("rm %s && ssh-keygen -q -t ecdsa -m PEM -N secret -f %s", key, key);
    fails_with(&host, "passphrase");
    shell("rm %s && ssh-keygen -q -t ecdsa -m PEM -N '' -f %s && chmod 644 %s", key, key, key);
    fails_with(&host, "others may read it");
    snprintf(key, sizeof(key), "%s.pub", shared.user_key);
    shell("chmod 600 %s", key);
    fails_with(&host, "public half");
    snprintf(key, sizeof(key), "%s/none", shared.folder);
    fails_with(&host, strerror(ENOENT));
}
END_TEST

START_TEST(nobody_listens)
{
    struct config_host host = shared.host;
    host.ssh_port = free_port();
    fails_with(&host, "Connection refused");
    host.hostname = "no-such-host.invalid";
    fails_with(&host, "cannot connect to no-such-host.invalid");
}
END_TEST

/* A listener that says nothing, as one whose machine hangs. */
START_TEST(silent_listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    struct config_host host = shared.host;
    host.ssh_port = ntohs(address.sin_port);
    struct probe probe;
    probe_init(&probe, &host, 10);
    probe_run(&probe, "true", NULL, 0, 10, 500);
    loop_run(&probe.loop);
    ck_assert_ptr_nonnull(strstr(probe.error, "no free connection within 500 ms"));
    once_release(&probe);
    close(fd);
}
END_TEST

/* With room for two sessions, ten commands still all run. */
START_TEST(max_sessions_is_learned)
{
    struct sshd sshd;
    struct probe probe;
    sshd_init(&sshd, "MaxSessions 2");
    sshd_start(&sshd);
    probe_init(&probe, &sshd.host, 40);
    for (int i = 0; i < 30; i++)
        probe_run(&probe, "echo x", NULL, 0, 100, 30000);
    loop_run(&probe.loop);
    ck_assert_msg(probe.failed == 0, "%s", probe.error);
    ck_assert_int_eq(probe.zeros, 30);
    once_release(&probe);
    shell("sed -i 's/MaxSessions 2/MaxSessions 0/' %s", sshd.config);
    sshd_stop(&sshd);
    sshd_start(&sshd);
    fails_with(&sshd.host, "refuses to open a session channel");
    sshd_release(&sshd);
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
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_str_eq(buf_text(&probe.out), "again\n");
    once_release(&probe);
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
    snprintf(command, sizeof(command), SIGNAL_SSHD("STOP") "echo $p >%s/stopped", shared.folder);
    probe_init(&probe, &shared.host, 40);
    probe.wanted = 1;
    exec_run(probe.host, &(struct exec_request){.command = command,
                                                .out_max = 100,
                                                .timeout_ms = 16500,
                                                .on_done = on_silent,
                                                .data = &probe});
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.done, 2);
    ck_assert_str_eq(buf_text(&probe.out), "again\n");
    once_release(&probe);
    shell("kill -KILL $(cat %s/stopped)", shared.folder);
}
END_TEST

START_TEST(long_commands)
{
    struct probe probe;
    char *command = mem_printf("echo %0*d | wc -c", 20000, 1);
    once(&probe, &shared.host, command);
    ck_assert_str_eq(buf_text(&probe.out), "20001\n");
    once_release(&probe);
    free(command);
    command = mem_printf("echo %0*d | wc -c", 40000, 1);
    once(&probe, &shared.host, command);
    ck_assert_ptr_nonnull(strstr(probe.error, "too long"));
    once_release(&probe);
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
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.done, 20);
    ck_assert_int_eq(probe.failed, 20);
    once_release(&probe);
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
    loop_run(&probe.loop);
    ck_assert_int_eq(probe.failed, 5);
    once_release(&probe);
}
END_TEST

/* More hosts than set-ups at once, on a sshd that drops connections early. */
START_TEST(many_hosts_and_few_startups)
{
    struct sshd sshd;
    struct probe probes[20];
    sshd_init(&sshd, "MaxStartups 5:100:6");
    sshd_start(&sshd);
    struct loop loop;
    loop_init(&loop);
    for (int i = 0; i < 20; i++) {
        probes[i] = (struct probe){.status = -2};
        buf_init(&probes[i].out, 100);
        buf_init(&probes[i].err, 100);
        timer_init(&probes[i].guard, &loop, on_guard, &probes[i]);
        timer_start(&probes[i].guard, 30000, 0);
        probes[i].host = exec_host_new(&loop, &sshd.host);
        probe_run(&probes[i], "echo hello", NULL, 0, 100, 20000);
    }
    loop_run(&loop);
    for (int i = 0; i < 20; i++) {
        ck_assert_msg(probes[i].status == 0, "%s", probes[i].error);
        buf_release(&probes[i].out);
        buf_release(&probes[i].err);
    }
    loop_release(&loop);
    sshd_release(&sshd);
}
END_TEST

/* The runner's calls through sshd, a login shell and its quoting. What a start leaves running holds
 * neither the channel nor the connection. */
static void call(struct probe *probe, struct buf *command, struct buf *input)
{
    ck_assert(!command->failed && !input->failed);
    probe_init(probe, &shared.host, 20);
    probe_run(probe, buf_text(command), input->data, input->len, 1 << 20, 10000);
    loop_run(&probe->loop);
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
    once_release(&probe);
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
    runner_build_hello(&command, &place);
    call(&probe, &command, &input);
    ck_assert(runner_missing(probe.out.data, probe.out.len));
    once_release(&probe);
    runner_build_install(&command, &place);
    buf_add(&input, runner_script, runner_script_size);
    call(&probe, &command, &input);
    ck_assert(runner_parse_installed(probe.out.data, probe.out.len, NULL));
    once_release(&probe);
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
    tcase_add_test(tcase, host_key_is_said);
    tcase_add_test(tcase, wrong_host_key);
    tcase_add_test(tcase, known_hosts_faults_are_errors);
    tcase_add_test(tcase, hashed_known_hosts_and_ecdsa);
    tcase_add_test(tcase, user_keys);
    tcase_add_test(tcase, nobody_listens);
    tcase_add_test(tcase, silent_listener);
    tcase_add_test(tcase, max_sessions_is_learned);
    tcase_add_test(tcase, killed_connection);
    tcase_add_test(tcase, half_open_connection);
    tcase_add_test(tcase, long_commands);
    tcase_add_test(tcase, stop_fails_what_is_in_flight);
    tcase_add_test(tcase, stop_when_up);
    tcase_add_test(tcase, runner_over_ssh);
    tcase_add_test(tcase, many_hosts_and_few_startups);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
