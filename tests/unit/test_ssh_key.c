/* worker/ssh_key: which private keys are let through, and what is said of the others. */
#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/ssh/key.h"
#include "worker/ssh/ssh.h"

static char folder[] = "/tmp/test_ssh_key.XXXXXX";
static char path[64];

static void shell(const char *format, ...)
{
    char command[600];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
}

static void remove_folder(void)
{
    shell("rm -r %s", folder);
}

static void takes(const char *make)
{
    struct error err = {0};
    shell("rm -f %s; %s -f %s </dev/null >/dev/null", path, make, path);
    ck_assert_msg(ssh_key_check(path, &err), "%s: %s", make, err.text);
}

static void refuses(const char *words)
{
    struct error err = {0};
    ck_assert_msg(!ssh_key_check(path, &err), "was taken, wanted: %s", words);
    ck_assert_msg(strstr(err.text, words) != NULL, "wanted %s, got %s", words, err.text);
    ck_assert_ptr_nonnull(strstr(err.text, path));
}

START_TEST(keys_that_are_taken)
{
    takes("ssh-keygen -q -N '' -t ed25519");
    takes("ssh-keygen -q -N '' -t ecdsa -b 256");
    takes("ssh-keygen -q -N '' -t ecdsa -b 384");
    takes("ssh-keygen -q -N '' -t ecdsa -b 521");
    takes("ssh-keygen -q -N '' -t ecdsa -m PEM");
    takes("ssh-keygen -q -N '' -t ecdsa -m PKCS8");
    shell("openssl genpkey -algorithm ed25519 -out %s 2>/dev/null", path);
    struct error err = {0};
    ck_assert_msg(ssh_key_check(path, &err), "%s", err.text);
}
END_TEST

START_TEST(kinds_that_are_refused)
{
    static const struct {
        const char *make, *words;
    } cases[] = {
        {"ssh-keygen -q -N '' -t rsa -b 2048", "it is an RSA key"},
        {"ssh-keygen -q -N '' -t rsa -b 2048 -m PEM", "it is an RSA key"},
        {"ssh-keygen -q -N '' -t rsa -b 2048 -m PKCS8", "it is an RSA key"},
        {"ssh-keygen -q -N secret -t rsa -b 2048", "it is an RSA key"},
        {"ssh-keygen -q -N secret -t rsa -b 2048 -m PEM", "it is an RSA key"},
        {"ssh-keygen -q -N secret -t ed25519", "passphrase"},
        {"ssh-keygen -q -N secret -t ecdsa", "passphrase"},
        {"ssh-keygen -q -N secret -t ecdsa -m PEM", "passphrase"},
        {"ssh-keygen -q -N secret -t ecdsa -m PKCS8", "passphrase"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        shell("rm -f %s; %s -f %s </dev/null >/dev/null", path, cases[i].make, path);
        refuses(cases[i].words);
    }
    shell("openssl genpkey -algorithm ed448 -out %s 2>/dev/null", path);
    refuses("neither ed25519 nor ECDSA");
}
END_TEST

START_TEST(what_is_no_private_key)
{
    shell("ssh-keygen -q -N '' -t ed25519 -f %s && mv %s.pub %s && chmod 600 %s", path, path, path,
          path);
    refuses("the public half of a key");
    ck_assert_int_eq(chmod(path, 0644), 0); /* as ssh-keygen leaves it: chmod is no help */
    refuses("the public half of a key");
    ck_assert_int_eq(chmod(path, 0600), 0);
    shell("openssl genpkey -algorithm ed25519 2>/dev/null | openssl pkey -pubout >%s", path);
    refuses("the public half of a key");
    shell("echo words >%s", path);
    refuses("no private key in OpenSSH or PEM form");
    shell("true >%s", path);
    refuses("no private key in OpenSSH or PEM form");
    shell("openssl req -x509 -newkey ed25519 -nodes -subj /CN=x -keyout /dev/null -out %s "
          "2>/dev/null",
          path);
    refuses("no private key in OpenSSH or PEM form");
    shell("head -c 20000 /dev/zero >%s", path);
    refuses("larger than 16384 bytes");
    shell("rm %s && mkdir %s", path, path);
    refuses("not a regular file");
    shell("rmdir %s && mkfifo -m 600 %s", path, path);
    refuses("not a regular file");
    shell("rm %s", path);
    refuses(strerror(ENOENT));
}
END_TEST

START_TEST(damaged_keys)
{
    static const char *const damage[] = {"head -n 2 %s.good >%s", "sed 's/^b3/!!/' %s.good >%s",
                                         "sed '2s/.*/AAAA/;3,4d' %s.good >%s"};
    shell("ssh-keygen -q -N '' -t ed25519 -f %s && mv %s %s.good && touch %s && chmod 600 %s", path,
          path, path, path, path);
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        char command[200];
        snprintf(command, sizeof command, damage[i], path, path); /* NOLINT */
        shell("%s", command);
        refuses("it is damaged");
    }
    shell("printf -- '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' >%s", path);
    refuses("it is damaged");
}
END_TEST

/* ssh's own rule. */
START_TEST(keys_that_others_may_read)
{
    static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0660, 0666};
    struct error err;
    shell("ssh-keygen -q -N '' -t ed25519 -f %s", path);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char words[80];
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        snprintf(words, sizeof words, "others may read it (mode %04o); do: chmod 600", modes[i]);
        refuses(words);
    }
    ck_assert_int_eq(chmod(path, 0440), 0); /* as systemd's credentials with an access list */
    ck_assert_msg(ssh_key_check(path, &(struct error){0}), "0440");
    ck_assert_int_eq(chmod(path, 0400), 0);
    ck_assert(ssh_key_check(path, &err));
    /* Somebody else's file is theirs to guard, as with ssh: root reads keys of a group so. */
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 12345, 12345), 0);
        ck_assert_int_eq(chmod(path, 0640), 0);
        ck_assert(ssh_key_check(path, &err));
    }
}
END_TEST

START_TEST(known_hosts_must_list_the_host)
{
    char known[64];
    struct error err = {0};
    snprintf(known, sizeof known, "%s/known_hosts", folder);
    struct config_host host = {.host_id = (char *)(void *)"h",
                               .hostname = (char *)(void *)"far.example",
                               .ssh_port = 2222,
                               .ssh_key_path = path,
                               .known_hosts = known};
    shell("ssh-keygen -q -N '' -t ed25519 -f %s", path);
    ck_assert(ssh_check_file(&host, "ssh_key_path", &err));
    ck_assert(!ssh_check_file(&host, "known_hosts", &err)); /* there is no such file yet */
    ck_assert_ptr_nonnull(strstr(err.text, "known_hosts is missing"));
    ck_assert_ptr_nonnull(strstr(err.text, "ssh-keyscan -t ed25519,ecdsa -p 2222 far.example >>"));
    shell("sed 's/^/far.example /' %s.pub >%s", path, known); /* of port 22 */
    ck_assert(!ssh_check_file(&host, "known_hosts", &err));
    shell("sed 's/^/[far.example]:2222 /' %s.pub >>%s", path, known);
    ck_assert_msg(ssh_check_file(&host, "known_hosts", &err), "%s", err.text);
    shell("echo '@revoked x' >>%s", known);
    ck_assert(!ssh_check_file(&host, "known_hosts", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "known_hosts:3: a @cert-authority or @revoked line"));
    shell("rm %s %s.pub; ssh-keygen -q -N '' -t rsa -b 2048 -f %s", path, path, path);
    shell("sed 's/^/[far.example]:2222 /' %s.pub >%s", path, known);
    ck_assert(!ssh_check_file(&host, "known_hosts", &err)); /* libssh2 cannot use it */
    ck_assert_ptr_nonnull(strstr(err.text, "lists no ed25519 or ECDSA key of far.example"));
}
END_TEST

/* As ssh-keygen writes it into the .pub file, without its comment. */
static void has_public_half(const char *make)
{
    char line[SSH_KEY_LINE], wanted[SSH_KEY_LINE + 2];
    shell("rm -f %s*; %s -C '' -f %s >/dev/null", path, make, path);
    char *name = mem_printf("%s.pub", path);
    FILE *file = fopen(name, "r");
    ck_assert_ptr_nonnull(fgets(wanted, sizeof wanted, file));
    fclose(file);
    free(name);
    wanted[strcspn(wanted, "\n")] = '\0';
    while (wanted[strlen(wanted) - 1] == ' ')
        wanted[strlen(wanted) - 1] = '\0';
    ck_assert(ssh_key_public(path, line));
    ck_assert_str_eq(line, wanted);
}

START_TEST(public_halves)
{
    char line[SSH_KEY_LINE];
    has_public_half("ssh-keygen -q -N '' -t ed25519");
    has_public_half("ssh-keygen -q -N 'secret' -t ed25519");
    for (int bits = 256; bits <= 512; bits += 128) {
        char *make = mem_printf("ssh-keygen -q -N '' -t ecdsa -b %d", bits == 512 ? 521 : bits);
        has_public_half(make);
        free(make);
    }
    shell("rm -f %s; ssh-keygen -q -N '' -t ecdsa -m PEM -f %s", path, path);
    ck_assert(!ssh_key_public(path, line));
    shell("rm -f %s", path);
    ck_assert(!ssh_key_public(path, line));
}
END_TEST

/* Any beginning of a key, and a key whose lengths lie. */
START_TEST(public_halves_of_what_is_broken)
{
    char line[SSH_KEY_LINE];
    shell("ssh-keygen -q -N '' -t ed25519 -f %s; cp %s %s.whole", path, path, path);
    for (int bytes = 0; bytes < 120; bytes++) {
        shell("{ head -c %d %s.whole; echo; tail -n 1 %s.whole; } >%s", bytes, path, path, path);
        ck_assert(!ssh_key_public(path, line));
    }
    for (int at = 0; at < 40; at++) {
        shell("{ head -n 1 %s.whole; { printf 'openssh-key-v1\\0'; head -c %d /dev/zero; printf "
              "'\\377\\377\\377\\377'; head -c 40 /dev/zero; } | base64; tail -n 1 %s.whole; } "
              ">%s",
              path, at, path, path);
        ssh_key_public(path, line);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ssh key");
    TCase *tests = tcase_create("ssh key");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, keys_that_are_taken);
    tcase_add_test(tests, kinds_that_are_refused);
    tcase_add_test(tests, what_is_no_private_key);
    tcase_add_test(tests, damaged_keys);
    tcase_add_test(tests, keys_that_others_may_read);
    tcase_add_test(tests, known_hosts_must_list_the_host);
    tcase_add_test(tests, public_halves);
    tcase_add_test(tests, public_halves_of_what_is_broken);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
