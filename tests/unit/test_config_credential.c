/* common/config: {credential: NAME}, where it is looked for and what is said when it is not there.
 */
#include <check.h>
#include <pwd.h>
#include <sys/wait.h>

#include "common/config/read.h"
#include "tests/unit/config_scene.h"

#define SECRET DATABASE "forgejo: { webhook_secret: {credential: webhook-secret} }\n"
#define REMOTE                                                                               \
    DATABASE "hosts:\n- { host_id: a, hostname: b, ssh_user: c, work_dir: /d, agents: [],\n" \
             "    ssh_key_path: {credential: ssh-key}, known_hosts: {credential: known-hosts} }\n"

static void in_credentials(void)
{
    free(scratch(""));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
}

static struct config *read_at(const char *text, const char *path, enum config_node node)
{
    err = (struct error){0};
    return config_parse(text, strlen(text), path, node, &err);
}

START_TEST(its_content)
{
    in_credentials();
    char *single = put("webhook-secret", "0123456789abcdef\n", 17, 0400);
    char *member = put("fleet_webhook-secret", "fedcba9876543210", 16, 0440);
    struct config *c = parse(SECRET, CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->forgejo.webhook_secret, "0123456789abcdef");
    config_free(c);
    unlink(single);
    c = parse(SECRET, CONFIG_SERVER); /* as systemd names the members of a folder */
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->forgejo.webhook_secret, "fedcba9876543210");
    ck_assert(!warned(c, "others may read"));
    config_free(c);
    chmod(member, 0444);
    c = parse(SECRET, CONFIG_SERVER);
    ck_assert(warned(c, "forgejo.webhook_secret.credential: a secret that others may read"));
    config_free(c);
    free(single);
    drop(member);
}
END_TEST

START_TEST(a_path_where_a_path_is_meant)
{
    in_credentials();
    char *key = put("fleet_ssh-key", "x", 1, 0400);
    char *hosts = put("fleet_known-hosts", "", 0, 0400);
    struct config *c = parse(REMOTE, CONFIG_WORKER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->hosts[0].ssh_key_path, key);
    ck_assert_str_eq(c->hosts[0].known_hosts, hosts);
    config_free(c);
    drop(key);
    drop(hosts);
}
END_TEST

START_TEST(beside_the_configuration)
{
    unsetenv("CREDENTIALS_DIRECTORY");
    char *config = scratch("f.yaml");
    char *tree[] = {scratch("credentials"), scratch("credentials/server"),
                    scratch("credentials/worker")};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(mkdir(tree[i], 0700), 0);
    char *secret = put("credentials/server/webhook-secret", "0123456789abcdef", 16, 0600);
    char *key = put("credentials/worker/ssh-key", "x", 1, 0600);
    char *hosts = put("credentials/worker/known-hosts", "", 0, 0600);
    struct config *c = read_at(SECRET, config, CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->forgejo.webhook_secret, "0123456789abcdef");
    config_free(c);
    ck_assert_int_eq(chdir(folder), 0); /* a relative path is not made relative twice */
    c = read_at(REMOTE, "f.yaml", CONFIG_WORKER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->hosts[0].ssh_key_path, "credentials/worker/ssh-key");
    config_free(c);
    c = read_at(REMOTE, "f.yaml", CONFIG_VISITOR); /* check-hosts takes the worker's */
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->hosts[0].known_hosts, "credentials/worker/known-hosts");
    config_free(c);
    drop(secret);
    drop(key);
    drop(hosts);
    for (size_t i = 3; i > 0; i--) {
        rmdir(tree[i - 1]);
        free(tree[i - 1]);
    }
    free(config);
    rmdir(folder);
}
END_TEST

START_TEST(missing)
{
    in_credentials();
    refuse(SECRET, "2:41: forgejo.webhook_secret.credential: there is no credential webhook-secret",
           "make one of these files");
    char *places = mem_printf("600: %s/webhook-secret, /run/secrets/webhook-secret, "
                              "/etc/credentials/server/webhook-secret",
                              folder);
    ck_assert_msg(strstr(err.text, places) != NULL, "%s", err.text);
    free(places);
    /* each place once */
    setenv("CREDENTIALS_DIRECTORY", "/etc/credentials/server", 1);
    refuse(SECRET,
           "2:41: ", "600: /etc/credentials/server/webhook-secret, /run/secrets/webhook-secret");
    ck_assert_ptr_null(strstr(err.text, "webhook-secret, /etc"));
    /* nobody makes files in the service manager's own folder */
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/fleet-server@9091.service", 1);
    refuse(SECRET, "2:41: ",
           "there is no credential webhook-secret; make the file "
           "/etc/agent-fleet/credentials/server/webhook-secret, mode 600 (its folder is the one "
           "that the unit's LoadCredential names), and start it again");
    unsetenv("CREDENTIALS_DIRECTORY");
    refuse(SECRET, "2:41: ", "mode 600: /run/secrets/webhook-secret, /etc/cred");
    setenv("CREDENTIALS_DIRECTORY", "relative", 1); /* whoever made it was no service manager */
    refuse(SECRET, "2:41: ", "mode 600: /run/secrets/webhook-secret, /etc/cred");
    setenv("CREDENTIALS_DIRECTORY", "/proc/version", 1); /* nor is a file a folder */
    refuse(SECRET, "2:41: ", "there is no credential webhook-secret");
    rmdir(folder);
}
END_TEST

START_TEST(not_of_the_other_node)
{
    unsetenv("CREDENTIALS_DIRECTORY");
    take(SECRET, CONFIG_WORKER);
    take(REMOTE, CONFIG_SERVER);
    ck_assert_ptr_null(parse(REMOTE, CONFIG_WORKER));
    ck_assert_ptr_nonnull(strstr(err.text, "hosts[0].ssh_key_path.credential: there is no"));
}
END_TEST

/* A container's engine gives its files the mode 0444 of its own accord. */
START_TEST(modes)
{
    static const struct {
        const char *path;
        unsigned mode;
        bool loose;
    } files[] = {{"/run/secrets/x", 0444, false}, {"/run/secrets-of/x", 0444, true},
                 {"/etc/x", 0444, true},          {"/etc/x", 0440, false},
                 {"/etc/x", 0402, false},         {"/etc/run/secrets/x", 0604, true}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const struct stat info = {.st_mode = S_IFREG | files[i].mode};
        ck_assert_msg(config_credential_loose(files[i].path, &info) == files[i].loose, "%s %04o",
                      files[i].path, files[i].mode);
    }
}
END_TEST

START_TEST(as_long_as_a_name_may_be)
{
    char name[66] = "";
    in_credentials();
    memset(name, 'a', 64);
    char *text = mem_printf(DATABASE "forgejo: { webhook_secret: {credential: %s} }\n", name);
    refuse(text, "2:41", "there is no credential aaaa");
    free(text);
    name[64] = 'a';
    text = mem_printf(DATABASE "forgejo: { webhook_secret: {credential: %s} }\n", name);
    refuse(text, "2:41", "wrong name");
    free(text);
    rmdir(folder);
}
END_TEST

START_TEST(wrong_forms)
{
    in_credentials();
    static const char *const names[] = {"../x", ".x", "-x", "a/b", "\"\"", "a b", "\"${HOME}\""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *text =
            mem_printf(DATABASE "forgejo: { webhook_secret: {credential: %s} }\n", names[i]);
        refuse(text, "2:41: forgejo.webhook_secret.credential: wrong name", "A-Z");
        free(text);
    }
    refuse(DATABASE "forgejo: { webhook_secret: {credential: [a]} }\n", "2:28", "not a mapping");
    refuse(DATABASE "forgejo: { webhook_secret: {credential: } }\n", "2:28", "{credential: NAME}");
    refuse(DATABASE "forgejo: { webhook_secret: {credential: a, file: b} }\n", "2:28",
           "not a mapping");
    char *path = put("webhook-secret", "\n", 1, 0400);
    refuse(SECRET, "2:41", "/webhook-secret is empty");
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refuse(SECRET, "2:41", "is not a regular file");
    rmdir(path);
    free(path);
    rmdir(folder);
}
END_TEST

static bool says_to_nobody(const char *config, const char *words, const struct passwd *nobody)
{
    pid_t child = fork();
    if (child == 0) {
        if (setuid(nobody->pw_uid) != 0)
            _exit(9);
        struct config *c = read_at(SECRET, config, CONFIG_SERVER);
        _exit(c == NULL && strstr(err.text, words) != NULL ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0;
}

/* Folders of mode 0700 of somebody else: not "there is none". */
START_TEST(not_allowed_to_look)
{
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL)
        return;
    in_credentials();
    chmod(folder, 0700);
    ck_assert(says_to_nobody("/etc/f.yaml", "Permission denied; run this as root", nobody));
    rmdir(folder);
}
END_TEST

/* A service whose folder lacks one: the folder that it was copied from is root's. For a person that
 * folder may hold it. */
START_TEST(not_among_those_of_the_service)
{
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL)
        return;
    in_credentials();
    chmod(folder, 0755);
    char *config = scratch("f.yaml");
    char *beside = scratch("credentials");
    ck_assert_int_eq(mkdir(beside, 0700), 0);
    ck_assert(says_to_nobody(config, "there is no credential webhook-secret", nobody));
    unsetenv("CREDENTIALS_DIRECTORY");
    ck_assert(says_to_nobody(config, "Permission denied; run this as root", nobody));
    rmdir(beside);
    rmdir(folder);
    free(beside);
    free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_credential");
    TCase *tests = tcase_create("config_credential");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, its_content);
    tcase_add_test(tests, a_path_where_a_path_is_meant);
    tcase_add_test(tests, beside_the_configuration);
    tcase_add_test(tests, missing);
    tcase_add_test(tests, not_of_the_other_node);
    tcase_add_test(tests, modes);
    tcase_add_test(tests, as_long_as_a_name_may_be);
    tcase_add_test(tests, wrong_forms);
    tcase_add_test(tests, not_allowed_to_look);
    tcase_add_test(tests, not_among_those_of_the_service);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
