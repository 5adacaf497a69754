/* The way to a connection: host keys, our keys, limits of the host. */
#include <errno.h>

#include "common/log.h"
#include "tests/unit/exec_probe.h"
#include "tests/unit/sshd.h"

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

static void start_shared(void)
{
    sshd_init(&shared, "MaxStartups 100");
    sshd_start(&shared);
}

static void end_shared(void)
{
    sshd_release(&shared);
}

START_TEST(host_key_is_said)
{
    struct probe probe;
    char line[512], known[96];
    snprintf(known, sizeof known, "%s/empty", shared.folder);
    struct config_host host = shared.host;
    host.known_hosts = known;
    shell("ssh-keygen -lf %s.pub | cut -d' ' -f2 >%s/print", shared.host_key, shared.folder);
    snprintf(line, sizeof line, "%s/print", shared.folder);
    FILE *file = fopen(line, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    once(&probe, &host, "true");
    ck_assert_int_eq(probe.failed, 1);
    ck_assert_ptr_nonnull(strstr(probe.error, line));
    ck_assert_ptr_nonnull(strstr(probe.error, "ssh-keyscan -p"));
    probe_release(&probe);
}
END_TEST

START_TEST(wrong_host_key)
{
    struct config_host host = shared.host;
    char known[96];
    snprintf(known, sizeof known, "%s/wrong", shared.folder);
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
    snprintf(known, sizeof known, "%s/faulty", shared.folder);
    host.known_hosts = known;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
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
    probe_release(&probe);
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
    snprintf(key, sizeof key, "%s/k_ecdsa", shared.folder);
    shell("ssh-keygen -q -t ecdsa -N '' -f %s && cat %s.pub >>%s/authorized_keys", key, key,
          shared.folder);
    struct probe probe;
    LEAKS_BEGIN();
    once(&probe, &host, "true");
    LEAKS_END();
    ck_assert_msg(probe.status == 0, "%s", probe.error);
    probe_release(&probe);
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
    snprintf(key, sizeof key, "%s.pub", shared.user_key);
    shell("chmod 600 %s", key);
    fails_with(&host, "public half");
    snprintf(key, sizeof key, "%s/none", shared.folder);
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
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    struct config_host host = shared.host;
    host.ssh_port = ntohs(address.sin_port);
    struct probe probe;
    probe_init(&probe, &host, 10);
    probe_run(&probe, "true", NULL, 0, 10, 500);
    probe_finish(&probe);
    ck_assert_ptr_nonnull(strstr(probe.error, "no free connection within 500 ms"));
    probe_release(&probe);
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
    probe_finish(&probe);
    ck_assert_msg(probe.failed == 0, "%s", probe.error);
    ck_assert_int_eq(probe.zeros, 30);
    probe_release(&probe);
    shell("sed -i 's/MaxSessions 2/MaxSessions 0/' %s", sshd.config);
    sshd_stop(&sshd);
    sshd_start(&sshd);
    fails_with(&sshd.host, "refuses to open a session channel");
    sshd_release(&sshd);
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

int main(void)
{
    Suite *suite = suite_create("ssh setup");
    TCase *tcase = tcase_create("ssh setup");
    SRunner *runner = srunner_create(suite);
    log_open("test", LOG_ERROR_LEVEL);
    tcase_set_timeout(tcase, 90);
    tcase_add_unchecked_fixture(tcase, start_shared, end_shared);
    tcase_add_test(tcase, host_key_is_said);
    tcase_add_test(tcase, wrong_host_key);
    tcase_add_test(tcase, known_hosts_faults_are_errors);
    tcase_add_test(tcase, hashed_known_hosts_and_ecdsa);
    tcase_add_test(tcase, user_keys);
    tcase_add_test(tcase, nobody_listens);
    tcase_add_test(tcase, silent_listener);
    tcase_add_test(tcase, max_sessions_is_learned);
    tcase_add_test(tcase, many_hosts_and_few_startups);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
