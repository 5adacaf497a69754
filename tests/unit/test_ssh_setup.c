/* The way to a connection: host keys, our keys, limits of the host. */
#include <errno.h>

#include "common/log.h"
#include "tests/unit/ssh_probe.h"
#include "worker/ssh/kexinit.h"

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
    fails_with(&host, "host_key_unknown", line);
    fails_with(&host, "host_key_unknown", "ssh-keyscan -p");
}
END_TEST

START_TEST(wrong_host_key)
{
    struct config_host host = shared.host;
    char known[96];
    snprintf(known, sizeof known, "%s/wrong", shared.folder);
    host.known_hosts = known;
    shell("sed 's/^/[127.0.0.1]:%d /' %s.pub >%s", shared.port, shared.user_key, known);
    fails_with(&host, "host_key_changed", "is not the one in");
    shell("sed 's/^/[127.0.0.2]:%d /' %s.pub >%s", shared.port, shared.host_key, known);
    fails_with(&host, "host_key_unknown", "is not known");
    shell("sed 's/^/127.0.0.1 /' %s.pub >%s", shared.host_key, known); /* of port 22 */
    fails_with(&host, "host_key_unknown", "is not known");
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
        fails_with(&host, "key_unusable", cases[i].text);
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
    ck_assert_int_eq(probe.status, 0);
    probe_release(&probe);
    shell("sed 's/^/[127.0.0.1]:%d /' %s/host_rsa.pub >%s", sshd.port, sshd.folder,
          sshd.known_hosts);
    fails_with(&sshd.host, "host_key_changed", "is not the one in");
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
    LEAKS_BEGIN(); /* libssh2 1.10 leaks a bignum at each log-in with an ECDSA key */
    once(&probe, &host, "true");
    LEAKS_END();
    ck_assert_int_eq(probe.status, 0);
    probe_release(&probe);
    shell("rm %s && ssh-keygen -q -t ed25519 -N '' -f %s </dev/null", key, key);
    fails_with(&host, "auth_failed", "refuses the key");
    shell("rm %s && ssh-keygen -q -t rsa -b 2048 -N '' -f %s", key, key);
    fails_with(&host, "key_unusable", "RSA");
    shell("rm %s && ssh-keygen -q -t rsa -m PEM -b 2048 -N '' -f %s", key, key);
    fails_with(&host, "key_unusable", "RSA");
    shell("rm %s && ssh-keygen -q -t ed25519 -N secret -f %s", key, key);
    fails_with(&host, "key_unusable", "passphrase");
    shell("rm %s && ssh-keygen -q -t ecdsa -m PEM -N secret -f %s", key, key);
    fails_with(&host, "key_unusable", "passphrase");
    shell("rm %s && ssh-keygen -q -t ecdsa -m PEM -N '' -f %s && chmod 644 %s", key, key, key);
    fails_with(&host, "key_unusable", "others may read it");
    snprintf(key, sizeof key, "%s.pub", shared.user_key);
    fails_with(&host, "key_unusable", "public half");
    snprintf(key, sizeof key, "%s/none", shared.folder);
    fails_with(&host, "key_unusable", strerror(ENOENT));
}
END_TEST

START_TEST(nobody_listens)
{
    struct config_host host = shared.host;
    host.ssh_port = free_port();
    fails_with(&host, "refused", "Connection refused");
    host.hostname = "no-such-host.invalid";
    fails_with(&host, "unreachable", "cannot connect to no-such-host.invalid");
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
    fails_with(&host, "timeout", "no handshake within 20 s");
    close(fd);
}
END_TEST

START_TEST(no_sessions_at_all)
{
    struct sshd sshd;
    sshd_init(&sshd, "MaxSessions 0");
    sshd_start(&sshd);
    fails_with(&sshd.host, "runner_failed", "refuses to open a session channel");
    sshd_release(&sshd);
}
END_TEST

/* Many connections at once to a sshd that drops those above its MaxStartups. */
START_TEST(few_startups)
{
    struct sshd sshd;
    struct probe probes[20];
    static const char *const commands[] = {"echo hello", NULL};
    struct loop loop;
    sshd_init(&sshd, "MaxStartups 3:100:6");
    sshd_start(&sshd);
    loop_init(&loop);
    for (int i = 0; i < 20; i++) {
        probe_init(&probes[i], commands, 60);
        probes[i].stream = ssh_stream_open(&loop, &sshd.host, &probe_events, &probes[i]);
    }
    loop_run(&loop);
    loop_release(&loop);
    for (int i = 0; i < 20; i++) {
        probe_finish(&probes[i]);
        ck_assert_msg(probes[i].status == 0, "%s", probes[i].error.text);
        probe_release(&probes[i]);
    }
    sshd_stop(&sshd);
    shell("sed -i 's/MaxStartups.*/MaxStartups 1:100:1/' %s", sshd.config);
    sshd_start(&sshd);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)sshd.port);
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* has the only place, and says nothing */
    char byte;
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    fails_with(&sshd.host, "connection_lost", "see MaxStartups");
    close(fd);
    sshd_release(&sshd);
}
END_TEST

/* What each of them lacks is named, with the line that helps; and with that line it works. */
START_TEST(nothing_in_common)
{
    static const struct {
        const char *config, *text, *mended;
    } cases[] = {
        {"MACs hmac-sha2-256-etm@openssh.com",
         "offers only encrypt-then-MAC algorithms, which libssh2 1.10 lacks; the line for its "
         "sshd_config: MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-256",
         "MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-256"},
        {"MACs hmac-sha2-512-etm@openssh.com,umac-128@openssh.com",
         "none of the MACs that libssh2 1.10 has; the line for its sshd_config: MACs "
         "hmac-sha2-512-etm@openssh.com,umac-128@openssh.com,hmac-sha2-256",
         "MACs hmac-sha2-512-etm@openssh.com,umac-128@openssh.com,hmac-sha2-256"},
        {"Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",
         "none of the ciphers that libssh2 1.10 has; the line for its sshd_config: Ciphers "
         "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes256-ctr",
         "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes256-ctr"},
        {"KexAlgorithms sntrup761x25519-sha512@openssh.com",
         "none of the key exchange methods that libssh2 1.10 has; the line for its sshd_config: "
         "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256",
         "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sshd sshd;
        struct probe probe;
        sshd_init(&sshd, cases[i].config);
        sshd_start(&sshd);
        fails_with(&sshd.host, "protocol", cases[i].text);
        sshd_stop(&sshd);
        shell("sed -i 's/^%s$/%s/' %s", cases[i].config, cases[i].mended, sshd.config);
        sshd_start(&sshd);
        once(&probe, &sshd.host, "true");
        probe_release(&probe);
        sshd_release(&sshd);
    }
}
END_TEST

START_TEST(host_keys_of_another_type)
{
    struct sshd sshd;
    sshd_init(&sshd, "PubkeyAuthentication yes");
    shell("ssh-keygen -q -t rsa -b 2048 -N '' -f %s/host_rsa", sshd.folder);
    shell("sed -i 's,^HostKey .*,HostKey %s/host_rsa,' %s", sshd.folder, sshd.config);
    sshd_start(&sshd);
    fails_with(&sshd.host, "protocol",
               "shows host keys of the types rsa-sha2-512,rsa-sha2-256 only, and ed25519 or ECDSA "
               "is needed");
    sshd_stop(&sshd);
    shell("ssh-keygen -q -t ecdsa -b 256 -N '' -f %s/host_ecdsa", sshd.folder);
    shell("sed -i 's,^HostKey .*,HostKey %s/host_ecdsa,' %s", sshd.folder, sshd.config);
    sshd_start(&sshd);
    fails_with(&sshd.host, "host_key_unknown",
               "shows host keys of the types ecdsa-sha2-nistp256, and");
    sshd_release(&sshd);
}
END_TEST

/* A server's first bytes, cut anywhere or made up. */
START_TEST(broken_offers)
{
    static const char good[] = "hello\r\nSSH-2.0-x\r\n"
                               "\0\0\0\x3a\4\x14"
                               "0123456789abcdef"
                               "\0\0\0\1k\0\0\0\1h\0\0\0\1c\0\0\0\1d\0\0\0\3m,n\0\0\0\0";
    struct kexinit kex;
    size_t len = sizeof good - 1;
    char *bytes = mem_alloc(len);
    memcpy(bytes, good, len);
    bytes[21] = (char)(len - 22); /* of the packet */
    ck_assert(kexinit_read(bytes, len, &kex));
    ck_assert(kexinit_shares(&kex, KEXINIT_MACS_IN, "x,n"));
    ck_assert(!kexinit_shares(&kex, KEXINIT_MACS_IN, "mn,,x"));
    ck_assert(!kexinit_shares(&kex, KEXINIT_MACS_OUT, "m"));
    for (size_t i = 0; i < len; i++) {
        char *cut = mem_alloc(i > 0 ? i : 1); /* its end is the end of memory */
        memcpy(cut, bytes, i);
        ck_assert(!kexinit_read(cut, i, &kex));
        free(cut);
    }
    for (size_t i = 18; i < len; i++) {
        char was = bytes[i];
        bytes[i] = (char)0xff;
        kexinit_read(bytes, len, &kex);
        bytes[i] = was;
    }
    free(bytes);
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
    tcase_add_test(tcase, no_sessions_at_all);
    tcase_add_test(tcase, few_startups);
    tcase_add_test(tcase, nothing_in_common);
    tcase_add_test(tcase, host_keys_of_another_type);
    tcase_add_test(tcase, broken_offers);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
