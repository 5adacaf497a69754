/* common/config: the command line, what --check-config looks at, and what --explain-config prints.
 */
#include <check.h>
#include <fcntl.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/schema.h"
#include "tests/unit/config_scene.h"

static char said[20000];
static struct config_program program = {.name = "fleet-x",
                                        .usage = "Usage: fleet-x\n",
                                        .node = CONFIG_SERVER,
                                        .level = LOG_INFO_LEVEL,
                                        .unchecked = "not checked: x\n",
                                        .carries = "x86_64, aarch64"};

/* Runs the command line with stdout and stderr in one file; Check forks every test. */
static int run(struct config **config, const char *first, ...)
{
    char *argv[16] = {(char *)(void *)"fleet-x"};
    int argc = 1;
    va_list args;
    va_start(args, first);
    for (const char *word = first; word != NULL; word = va_arg(args, const char *))
        argv[argc++] = mem_strdup(word);
    va_end(args);
    FILE *file = tmpfile();
    int out = dup(STDOUT_FILENO), complain = dup(STDERR_FILENO);
    fflush(NULL);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int status = config_command_line(argc, argv, &program, config);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(complain, STDERR_FILENO);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    close(out);
    close(complain);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return status;
}

START_TEST(command_line)
{
    struct config *config;
    const char *text = DATABASE "forgejo: { repositories: ['*'] }\n";
    char *path = put("f.yaml", text, strlen(text), 0600);
    ck_assert_int_eq(run(&config, "--config", path, NULL), -1);
    ck_assert_ptr_nonnull(config);
    config_free(config);
    setenv("FLEET_CONFIG", path, 1);
    ck_assert_int_eq(run(&config, NULL), -1);
    config_free(config);
    ck_assert_int_eq(run(&config, "--check-config", NULL), 0);
    ck_assert_ptr_null(config);
    char *ok = mem_printf("%s: ok\n", path);
    ck_assert_ptr_nonnull(strstr(said, ok));
    ck_assert_ptr_nonnull(strstr(said, "fleet-x: warning: "));
    ck_assert_ptr_nonnull(strstr(said, "not checked: x"));
    free(ok);
    ck_assert_int_eq(run(&config, "--config=/no/such", NULL), 78);
    ck_assert_ptr_nonnull(strstr(said, "/no/such"));
    ck_assert_int_eq(run(&config, "--version", NULL), 0);
    char first[100];
    snprintf(first, sizeof first, "fleet-x " FLEET_VERSION "\nschema %d\n", FLEET_SCHEMA);
    ck_assert_int_eq(strncmp(said, first, strlen(first)), 0);
    ck_assert_str_eq(said + strlen(first),
                     "runs agents on Linux hosts of these machines: x86_64, aarch64\n");
    ck_assert_int_eq(run(&config, "--help", NULL), 0);
    ck_assert_ptr_nonnull(strstr(said, "--env-file PATH"));
    ck_assert_ptr_nonnull(strstr(said, "Exit status:"));
    ck_assert_int_eq(run(&config, "-h", NULL), 0);
    ck_assert_int_eq(run(&config, "--nonsense", NULL), 2);
    ck_assert_int_eq(run(&config, "nonsense", NULL), 2);
    ck_assert_ptr_nonnull(strstr(said, "unknown argument: nonsense"));
    drop(path);
}
END_TEST

/* What a line of the log looks like: the option wins, then the environment. */
START_TEST(log_format)
{
    struct config *config;
    ck_assert_int_eq(run(&config, "--config=/no/such", NULL), 78);
    ck_assert_int_eq(said[0], '{');
    ck_assert_int_eq(run(&config, "--config=/no/such", "--log-format", "text", NULL), 78);
    ck_assert_int_eq(strncmp(said, "time=", 5), 0);
    setenv("FLEET_LOG_FORMAT", "text", 1);
    ck_assert_int_eq(run(&config, "--config=/no/such", NULL), 78);
    ck_assert_int_eq(strncmp(said, "time=", 5), 0);
    ck_assert_int_eq(run(&config, "--config=/no/such", "--log-format=json", NULL), 78);
    ck_assert_int_eq(said[0], '{');
    setenv("FLEET_LOG_FORMAT", "logfmt", 1);
    ck_assert_int_eq(run(&config, "--config=/no/such", NULL), 78);
    ck_assert_ptr_nonnull(strstr(said, "FLEET_LOG_FORMAT is auto, text or json, not logfmt"));
    ck_assert_int_eq(run(&config, "--log-format", "logfmt", NULL), 2);
}
END_TEST

START_TEST(check_config_says_everything)
{
    struct config *config;
    const char *text = "servr: {}\nserver: { port: x }\n";
    char *path = put("f.yaml", text, strlen(text), 0600);
    ck_assert_int_eq(run(&config, "--config", path, "--check-config", NULL), 78);
    ck_assert_ptr_nonnull(strstr(said, ":1:1: servr: "));
    ck_assert_ptr_nonnull(strstr(said, ":2:17: server.port: "));
    ck_assert_ptr_nonnull(strstr(said, "database.url: missing"));
    ck_assert_ptr_null(strstr(said, ": ok"));
    drop(path);
    char *many = malloc(2000); /* more than 20 are too many to read */
    size_t len = 0, lines = 0;
    for (int i = 0; i < 60; i++)
        len += (size_t)sprintf(many + len, "k%d: 1\n", i);
    path = put("f.yaml", many, len, 0600);
    ck_assert_int_eq(run(&config, "--config", path, "--check-config", NULL), 78);
    for (const char *at = said; (at = strstr(at, "unknown key")) != NULL; at++)
        lines++;
    ck_assert_uint_eq(lines, 20);
    drop(path);
    free(many);
}
END_TEST

START_TEST(env_file)
{
    struct config *config;
    static const char lines[] = "# comment\n\nexport T_A='x # y'  # note\nT_B=\"a b\\\"\r\n"
                                "  T_C = no\n";
    static const char good[] =
        "T_A='x # \"y'\nexport\tT_B=\"a b\\n\"\r\nT_D= plain#x # note\nT_E= # none\n"
        "T_F=from file\nT_PORT=77";
    setenv("T_F", "from outside", 1);
    const char *text = "database: { url: postgresql:///x }\nserver: { port: \"${T_PORT}\" }\n";
    char *path = put("f.yaml", text, strlen(text), 0600);
    char *env = put("env", lines, sizeof lines - 1, 0600);
    ck_assert_int_eq(run(&config, "--config", path, "--env-file", env, NULL), 78);
    ck_assert_ptr_nonnull(strstr(said, "/env:5:1: no KEY=VALUE"));
    unsetenv("T_A");
    unsetenv("T_B");
    free(put("env", good, sizeof good - 1, 0600));
    ck_assert_int_eq(run(&config, "--config", path, "--env-file", env, NULL), -1);
    ck_assert_int_eq(config->server.port, 77);
    config_free(config);
    ck_assert_str_eq(getenv("T_A"), "x # \"y");
    ck_assert_str_eq(getenv("T_B"), "a b\\n"); /* as it stands there */
    ck_assert_str_eq(getenv("T_D"), "plain#x");
    ck_assert_str_eq(getenv("T_E"), "");
    ck_assert_str_eq(getenv("T_F"), "from outside");
    free(put("env", "A='x\n", 5, 0600));
    ck_assert_int_eq(run(&config, "--env-file", env, NULL), 78);
    ck_assert_ptr_nonnull(strstr(said, "quote must close"));
    free(put("env", "A=\"x\" y\n", 8, 0600));
    ck_assert_int_eq(run(&config, "--env-file", env, NULL), 78);
    free(put("env", "A=x\n", 4, 0644));
    ck_assert_int_eq(run(&config, "--env-file", env, NULL), 78);
    ck_assert_ptr_nonnull(strstr(said, "chmod 600"));
    unlink(env);
    free(env);
    drop(path);
}
END_TEST

/* ---- The log ---- */

START_TEST(log_level)
{
    struct config *config;
    char *path = put("f.yaml", DATABASE, strlen(DATABASE), 0600);
    ck_assert_int_eq(run(&config, "--log-level", "error", "--config", path, NULL), -1);
    config_free(config);
    ck_assert_int_eq(run(&config, "--log-level", "loud", "--config", path, NULL), 2);
    ck_assert_str_eq(said, "fleet-x: --log-level is debug, info, warn or error, not loud; see "
                           "fleet-x --help\n");
    drop(path);
}
END_TEST

START_TEST(faults_are_logged_under_the_programs_name)
{
    struct config *config;
    ck_assert_int_eq(run(&config, "--config", "/no/such", NULL), 78);
    ck_assert_ptr_nonnull(
        strstr(said, "\"program\":\"fleet-x\",\"message\":\"cannot open /no/such"));
    ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1); /* once */
}
END_TEST

START_TEST(faults_are_text_on_a_terminal)
{
    int master, slave;
    char *argv[] = {(char *)(void *)"fleet-x", (char *)(void *)"--config=/no/such", NULL};
    struct config *config;
    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    int complain = dup(STDERR_FILENO);
    dup2(slave, STDERR_FILENO);
    int status = config_command_line(2, argv, &program, &config);
    dup2(complain, STDERR_FILENO);
    ssize_t got = read(master, said, sizeof said - 1);
    said[got > 0 ? got : 0] = '\0';
    ck_assert_int_eq(status, 78);
    ck_assert_ptr_nonnull(strstr(said, "program=\"fleet-x\" message=\"cannot open /no/such"));
}
END_TEST

/* ---- What --check-config looks at ---- */

static bool no_file_is_right(const struct config_host *host, const char *key, struct error *why)
{
    const char *path = strcmp(key, "ssh_key_path") == 0 ? host->ssh_key_path : host->known_hosts;
    error_set(why, "%s of %s: %s", key, host->host_id, path);
    return false;
}

START_TEST(the_files_of_hosts_are_looked_at)
{
    struct config *config;
    const char *text =
        DATABASE "hosts:\n"
                 "  - { host_id: a, hostname: far, ssh_user: u, work_dir: /w,\n"
                 "      ssh_key_path: keys/id, agents: [] }\n"
                 "  - { host_id: b, hostname: localhost, work_dir: /w, agents: [] }\n";
    setenv("HOME", "/home/octo", 1);
    char *path = put("f.yaml", text, strlen(text), 0600);
    program.node = CONFIG_WORKER;
    program.check_host = no_file_is_right;
    ck_assert_int_eq(run(&config, "--config", path, "--check-config", NULL), 78);
    char *key = mem_printf(
        "fleet-x: %s:4:21: hosts[0].ssh_key_path: ssh_key_path of a: %s/keys/id\n", path, folder);
    char *known = mem_printf(
        "fleet-x: %s:3:5: hosts[0]: known_hosts of a: /home/octo/.ssh/known_hosts\n", path);
    ck_assert_msg(strstr(said, key) != NULL, "%s", said);
    ck_assert_msg(strstr(said, known) != NULL, "%s", said);
    ck_assert_ptr_null(strstr(said, " of b"));
    ck_assert_ptr_nonnull(strstr(said, "not checked: x"));
    ck_assert_int_eq(run(&config, "--config", path, NULL), -1); /* a start looks at none */
    config_free(config);
    program.node = CONFIG_SERVER; /* a server has no keys to look at */
    ck_assert_int_eq(run(&config, "--config", path, "--check-config", NULL), 0);
    free(key);
    free(known);
    drop(path);
}
END_TEST

START_TEST(paths_are_relative_to_the_configuration)
{
    struct config *config;
    const char *text = DATABASE "forgejo: { webhook_secret: {file: secret}, trigger_users: [o],\n"
                                "  repositories: [a/b] }\n";
    char *path = put("f.yaml", text, strlen(text), 0600);
    char *secret = put("secret", "0123456789abcdef", 16, 0600);
    char here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(run(&config, "--config", "f.yaml", "--check-config", NULL), 0);
    ck_assert_str_eq(said, "f.yaml: ok\nnot checked: x\n");
    ck_assert_int_eq(run(&config, "--config", "./f.yaml", "--check-config", NULL), 0);
    ck_assert_int_eq(chdir("/"), 0);
    char *relative = mem_printf("%s/f.yaml", folder + 1);
    ck_assert_int_eq(run(&config, "--config", relative, "--check-config", NULL), 0);
    ck_assert_int_eq(chdir(here), 0);
    free(relative);
    unlink(secret);
    free(secret);
    drop(path);
}
END_TEST

START_TEST(secrets_in_files_that_others_may_read_are_warned_of)
{
    char *secret = put("secret", "0123456789abcdef\n", 17, 0640);
    setenv("T_SECRET", secret, 1);
    const char *text = DATABASE "forgejo: { webhook_secret: {file: \"${T_SECRET}\"} }\n";
    struct config *c = parse(text, CONFIG_SERVER);
    ck_assert(warned(c, "/etc/f.yaml:2:35: forgejo.webhook_secret.file: a secret in a file"));
    ck_assert(warned(c, "chmod 600 /tmp/test_config."));
    config_free(c);
    chmod(secret, 0604);
    c = parse(text, CONFIG_SERVER);
    ck_assert(warned(c, "a secret in a file"));
    config_free(c);
    chmod(secret, 0600);
    c = parse(text, CONFIG_SERVER);
    ck_assert(!warned(c, "a secret in a file"));
    config_free(c);
    chmod(secret, 0644);
    c = parse(DATABASE "server: { public_hosts: [{file: \"${T_SECRET}\"}] }\n", CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert(!warned(c, "a secret in a file")); /* a host's name is none */
    config_free(c);
    c = parse(text, CONFIG_WORKER); /* a worker does not open it */
    ck_assert(!warned(c, "a secret in a file"));
    config_free(c);
    drop(secret);
}
END_TEST

START_TEST(the_shared_token_is_warned_of)
{
    const char *text = DATABASE "orchestrator: { http_pull_token: 0123456789abcdefghij }\n";
    struct config *c = parse(text, CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert(warned(c, "2:34: orchestrator.http_pull_token: any holder can be any agent"));
    ck_assert_str_eq(c->orchestrator.http_pull_token, "0123456789abcdefghij");
    config_free(c);
    c = parse(text, CONFIG_WORKER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert(!warned(c, "http_pull_token"));
    ck_assert_ptr_null(c->orchestrator.http_pull_token); /* a worker needs none */
    config_free(c);
}
END_TEST

START_TEST(a_webhook_secret_alone_is_warned_of)
{
    static const struct {
        const char *lists;
        bool repositories, users; /* warned of */
    } cases[] = {
        {"", true, true},
        {", repositories: [a/b]", false, true},
        {", trigger_users: [o]", true, false},
        {", repositories: [], trigger_users: []", true, true},
        {", repositories: ['*'], trigger_users: ['*']", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = mem_printf(DATABASE "forgejo: { webhook_secret: 0123456789abcdef%s }\n",
                                cases[i].lists);
        struct config *c = parse(text, CONFIG_SERVER);
        ck_assert_msg(c != NULL, "%s", err.text);
        ck_assert(warned(c, "2:10: forgejo: no repositories; every webhook is ignored") ==
                  cases[i].repositories);
        ck_assert(warned(c, "2:10: forgejo: no trigger_users; nobody's label starts work") ==
                  cases[i].users);
        config_free(c);
        c = parse(text, CONFIG_WORKER); /* not its business */
        ck_assert(!warned(c, "2:10: forgejo: "));
        config_free(c);
        free(text);
    }
    struct config *c = parse(DATABASE "forgejo: { url: 'https://x' }\n", CONFIG_SERVER);
    ck_assert(warned(c, "no token; nothing is read") && warned(c, "no webhook_secret"));
    ck_assert_uint_eq(c->warnings.count, 2); /* each once */
    config_free(c);
    c = parse(DATABASE, CONFIG_SERVER); /* no Forgejo at all is no fault */
    ck_assert_uint_eq(c->warnings.count, 0);
    config_free(c);
}
END_TEST

START_TEST(commands_that_no_kernel_takes_are_refused)
{
    char *text = malloc(200000);
    int len = sprintf(text, DATABASE "adapters: { a: { command: [x");
    for (int i = 0; i < 3; i++) {
        len += sprintf(text + len, ", ");
        memset(text + len, 'y', 30000);
        len += 30000;
    }
    strcpy(text + len, "] } }\n");
    refuse(text, "2:27: adapters.a.command: ", "has 90005 bytes; a command has at most 65536");
    free(text);
}
END_TEST

/* ---- What --explain-config prints ---- */

/* What was said, its lines joined: they are broken where they are full. */
static void join_lines(char *joined)
{
    for (const char *at = said; *at != '\0';) {
        size_t blanks = strspn(at, "\n ");
        if (at[0] == '\n' && blanks > 1 && at[1] != '\n')
            *joined++ = ' ';
        if (at[0] == '\n') {
            at += blanks;
            continue;
        }
        *joined++ = *at++;
    }
    *joined = '\0';
}

static void key_is_explained(const struct config_field *field, const char *path, const char *joined)
{
    char *start = mem_printf("\n  %s: ", path);
    ck_assert_msg(strstr(said, start) != NULL, "%s", path);
    ck_assert_msg(field->help != NULL && *field->help != '\0', "%s has no help", path);
    ck_assert_msg(strstr(joined, field->help) != NULL, "%s: %s", path, field->help);
    free(start);
    if (field->type != FIELD_INT && field->type != FIELD_INT64)
        return;
    ck_assert_msg(field->unit != NULL, "%s: a number of what?", path);
    long long standard = field->text != NULL ? atoll(field->text) : field->min;
    ck_assert_msg(field->min <= standard && standard <= field->max && field->min < field->max,
                  "%s: its default lies outside of its bounds", path);
    char *bounds = mem_printf("%s: whole number (%s), %lld to %lld; %s%s", path, field->unit,
                              (long long)field->min, (long long)field->max,
                              field->text != NULL ? "default " : "no default",
                              field->text != NULL ? field->text : "");
    ck_assert_msg(strstr(joined, bounds) != NULL, "%s", bounds);
    free(bounds);
}

static void every_key_is_explained(const struct config_field *fields, const char *prefix,
                                   const char *joined)
{
    for (const struct config_field *field = fields; field->key != NULL; field++) {
        char *path = mem_printf("%s%s%s", prefix, *prefix != '\0' ? "." : "", field->key);
        char *inside = mem_printf("%s%s", path,
                                  field->type != FIELD_ITEMS   ? ""
                                  : field->flags & FIELD_NAMED ? ".NAME"
                                                               : "[]");
        if (field->type != FIELD_GROUP && field->type != FIELD_LATER)
            key_is_explained(field, path, joined);
        if (*prefix == '\0' && field->type != FIELD_LATER)
            ck_assert_msg(field->about != NULL && strstr(said, field->about) != NULL, "%s", path);
        if (field->fields != NULL && !(field->flags & FIELD_PLAIN))
            every_key_is_explained(field->fields, inside, joined);
        free(inside);
        free(path);
    }
}

START_TEST(explain_config)
{
    struct config *config;
    ck_assert_int_eq(run(&config, "--explain-config", NULL), 0);
    char *joined = mem_alloc(strlen(said) + 1);
    join_lines(joined);
    every_key_is_explained(config_fields, "", joined);
    ck_assert_ptr_nonnull(strstr(joined,
                                 "server.port: whole number (TCP port), 0 to 65535; default "
                                 "9090; read by servers only; needs a restart "));
    ck_assert_ptr_nonnull(strstr(said, "\n  database.url: text of at most 4096 bytes; required; "
                                       "never shown; needs a restart\n"));
    ck_assert_ptr_nonnull(strstr(said, "\n  hosts[].agents[].profile: sandboxed or full; default"));
    ck_assert_ptr_nonnull(strstr(said, "\n  adapters.NAME.command: list of texts of at most"));
    ck_assert_ptr_nonnull(strstr(said, "never shown; read by servers only\n"));
    ck_assert_ptr_null(strstr(said, "reattach_window_secs")); /* not taken yet */
    for (const char *line = said; line != NULL; line = strchr(line + 1, '\n'))
        ck_assert_uint_le(strcspn(line + 1, "\n"), 100);
    free(joined);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config command");
    TCase *tests = tcase_create("config command");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, command_line);
    tcase_add_test(tests, log_format);
    tcase_add_test(tests, check_config_says_everything);
    tcase_add_test(tests, env_file);
    tcase_add_test(tests, log_level);
    tcase_add_test(tests, faults_are_logged_under_the_programs_name);
    tcase_add_test(tests, faults_are_text_on_a_terminal);
    tcase_add_test(tests, the_files_of_hosts_are_looked_at);
    tcase_add_test(tests, paths_are_relative_to_the_configuration);
    tcase_add_test(tests, secrets_in_files_that_others_may_read_are_warned_of);
    tcase_add_test(tests, the_shared_token_is_warned_of);
    tcase_add_test(tests, a_webhook_secret_alone_is_warned_of);
    tcase_add_test(tests, commands_that_no_kernel_takes_are_refused);
    tcase_add_test(tests, explain_config);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
