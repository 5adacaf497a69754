/* worker/known_host: which key a host must show, and what cannot be judged. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"
#include "worker/ssh/known_host.h"

#define ED1 "AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER"
#define ED2 "AAAAC3NzaC1lZDI1NTE5AAAAICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi"
#define RSA "AAAAB3NzaC1yc2EAAAADAQABAAAAAREB"
#define HASHED_NAME "box.example"

static uint8_t key1[64], key2[64];
static size_t len1 = sizeof key1, len2 = sizeof key2;

static struct known_hosts *parse(const char *text)
{
    struct error err = {0};
    struct known_hosts *known = known_hosts_parse(text, strlen(text), "file", &err);
    ck_assert_msg(known != NULL, "%s", err.text);
    return known;
}

static enum known_verdict check(const char *text, const char *host, int port)
{
    struct known_hosts *known = parse(text);
    enum known_verdict verdict = known_hosts_check(known, host, port, key1, len1);
    known_hosts_free(known);
    return verdict;
}

static void setup(void)
{
    ck_assert(crypto_unbase64(ED1, strlen(ED1), key1, &len1));
    ck_assert(crypto_unbase64(ED2, strlen(ED2), key2, &len2));
}

START_TEST(plain_names)
{
    ck_assert_int_eq(check("host ssh-ed25519 " ED1 "\n", "host", 22), KNOWN_MATCH);
    ck_assert_int_eq(check("host ssh-ed25519 " ED1, "HOST", 22), KNOWN_MATCH);
    ck_assert_int_eq(check("Host\tssh-ed25519\t" ED1 " a comment\n", "host", 22), KNOWN_MATCH);
    ck_assert_int_eq(check("# c\n\n  \na,host,1.2.3.4 ssh-ed25519 " ED1 "\n", "host", 22),
                     KNOWN_MATCH);
    ck_assert_int_eq(check("a,host,1.2.3.4 ssh-ed25519 " ED1 "\n", "1.2.3.4", 22), KNOWN_MATCH);
    ck_assert_int_eq(check("hosts,xhost ssh-ed25519 " ED1 "\n", "host", 22), KNOWN_ABSENT);
    ck_assert_int_eq(check("host ssh-ed25519 " ED2 "\n", "host", 22), KNOWN_OTHER);
    ck_assert_int_eq(check("host ssh-ed25519 " ED2 "\nhost ssh-ed25519 " ED1 "\n", "host", 22),
                     KNOWN_MATCH);
    ck_assert_int_eq(check("host ssh-rsa " RSA "\n", "host", 22), KNOWN_OTHER);
    ck_assert_int_eq(check("", "host", 22), KNOWN_ABSENT);
}
END_TEST

START_TEST(ports_count)
{
    ck_assert_int_eq(check("[host]:2222 ssh-ed25519 " ED1 "\n", "host", 2222), KNOWN_MATCH);
    ck_assert_int_eq(check("[host]:2222 ssh-ed25519 " ED1 "\n", "host", 22), KNOWN_ABSENT);
    ck_assert_int_eq(check("[host]:2222 ssh-ed25519 " ED1 "\n", "host", 222), KNOWN_ABSENT);
    ck_assert_int_eq(check("host ssh-ed25519 " ED1 "\n", "host", 2222), KNOWN_ABSENT);
}
END_TEST

START_TEST(hashed_names)
{
    char line[256], folder[] = "/tmp/fleet-known.XXXXXX", command[512];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(command, sizeof command,
             "cd %s && echo '[" HASHED_NAME "]:2222 ssh-ed25519 " ED1
             "' >f && ssh-keygen -q -H -f f >/dev/null 2>&1",
             folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command, "%s/f", folder);
    struct error err = {0};
    struct known_hosts *known = known_hosts_read(command, &err);
    ck_assert_msg(known != NULL, "%s", err.text);
    FILE *file = fopen(command, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    fclose(file);
    ck_assert(strncmp(line, "|1|", 3) == 0);
    ck_assert_int_eq(known_hosts_check(known, HASHED_NAME, 2222, key1, len1), KNOWN_MATCH);
    ck_assert_int_eq(known_hosts_check(known, HASHED_NAME, 2222, key2, len2), KNOWN_OTHER);
    ck_assert_int_eq(known_hosts_check(known, HASHED_NAME, 22, key1, len1), KNOWN_ABSENT);
    ck_assert_int_eq(known_hosts_check(known, "other", 2222, key1, len1), KNOWN_ABSENT);
    known_hosts_free(known);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(types_are_those_of_the_host)
{
    struct known_hosts *known = parse("host ssh-rsa " RSA "\n"
                                      "host ssh-ed25519 " ED1 "\n"
                                      "rsa ssh-rsa " RSA "\n"
                                      "both,host ecdsa-sha2-nistp256 "
                                      "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAB\n");
    struct buf types;
    buf_init(&types, 256);
    known_hosts_types(known, "host", 22, &types);
    ck_assert_str_eq(buf_text(&types), "ssh-ed25519,ecdsa-sha2-nistp256");
    buf_clear(&types);
    known_hosts_types(known, "both", 22, &types);
    ck_assert_str_eq(buf_text(&types), "ecdsa-sha2-nistp256");
    buf_clear(&types);
    known_hosts_types(known, "rsa", 22, &types);
    known_hosts_types(known, "absent", 22, &types);
    ck_assert_uint_eq(types.len, 0);
    buf_release(&types);
    known_hosts_free(known);
}
END_TEST

START_TEST(faults_are_errors)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"@revoked host ssh-ed25519 " ED1, "file:1: a @cert-authority or @revoked"},
        {"\n@cert-authority *.x ssh-ed25519 " ED1, "file:2: a @cert-authority or @revoked"},
        {"*.example ssh-ed25519 " ED1, "pattern"},
        {"host? ssh-ed25519 " ED1, "pattern"},
        {"a,!b ssh-ed25519 " ED1, "pattern"},
        {"host", "ends too early"},
        {"host ssh-ed25519", "ends too early"},
        {"host 1024 35 1234567", "unknown type"},
        {"host sk-ssh-ed25519@openssh.com " ED1, "unknown type"},
        {"host ssh-ed25519 " ED1 "A", "broken key"},
        {"host ssh-ed25519 AAAA", "broken key"},
        {"host ssh-ed25519 !!!!", "broken key"},
        {"host ssh-rsa " ED1, "broken key"},
        {"host ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBER", "broken key"},
        {"|2|aaaa|bbbb ssh-ed25519 " ED1, "unknown way"},
        {"|1|aaaa|bbbb ssh-ed25519 " ED1, "broken hashed"},
        {"|1|AQEBAQEBAQEBAQEBAQEBAQEBAQE= ssh-ed25519 " ED1, "broken hashed"},
        {"host ssh-ed25519 " ED1 "\r\n", "carriage return"},
        {"h\x01st ssh-ed25519 " ED1, "printable"},
        {",host ssh-ed25519 " ED1, "empty host"},
        {"a,,b ssh-ed25519 " ED1, "empty host"},
        {"good ssh-ed25519 " ED1 "\nbad", "file:2:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct known_hosts *known =
            known_hosts_parse(cases[i].text, strlen(cases[i].text), "file", &err);
        ck_assert_msg(known == NULL, "%s", cases[i].text);
        ck_assert_msg(strstr(err.text, cases[i].error) != NULL, "%s: %s", cases[i].text, err.text);
    }
}
END_TEST

START_TEST(nul_and_long_lines)
{
    struct error err = {0};
    static char line[20000];
    memset(line, 'a', sizeof line);
    ck_assert_ptr_null(known_hosts_parse("a\0b", 3, "file", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "NUL"));
    ck_assert_ptr_null(known_hosts_parse(line, sizeof line, "file", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "too long"));
    /* At the very edge: 16383 bytes fit, 16384 do not. */
    memcpy(line, "host ssh-ed25519 ", 17);
    for (size_t len = 16383; len <= 16385; len++) {
        ck_assert_ptr_null(known_hosts_parse(line, len, "file", &err));
        ck_assert_ptr_nonnull(strstr(err.text, len == 16383 ? "a broken key" : "too long"));
    }
}
END_TEST

START_TEST(files)
{
    struct error err = {0};
    struct known_hosts *known = known_hosts_read("/nonexistent/known_hosts", &err);
    ck_assert_ptr_nonnull(known);
    ck_assert_int_eq(known_hosts_check(known, "host", 22, key1, len1), KNOWN_ABSENT);
    known_hosts_free(known);
    ck_assert_ptr_null(known_hosts_read("/tmp", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/tmp"));
    char folder[] = "/tmp/test_known_host.XXXXXX", pipe[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    ck_assert_ptr_null(known_hosts_read(pipe, &err)); /* and waits for nobody */
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    unlink(pipe);
    rmdir(folder);
}
END_TEST

START_TEST(fingerprint)
{
    char text[64];
    known_host_fingerprint("", 0, text);
    ck_assert_str_eq(text, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("known_host");
    TCase *tcase = tcase_create("known_host");
    SRunner *runner = srunner_create(suite);
    tcase_add_unchecked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, plain_names);
    tcase_add_test(tcase, ports_count);
    tcase_add_test(tcase, hashed_names);
    tcase_add_test(tcase, types_are_those_of_the_host);
    tcase_add_test(tcase, faults_are_errors);
    tcase_add_test(tcase, nul_and_long_lines);
    tcase_add_test(tcase, files);
    tcase_add_test(tcase, fingerprint);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
