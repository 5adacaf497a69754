/* common/config: what a good file gives, and where values come from. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/config.h"
#include "common/mem.h"
#include "tests/unit/config_scene.h"

/* ---- Good files ---- */

START_TEST(defaults)
{
    struct config *c = parse(DATABASE, CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->server.bind, "127.0.0.1");
    ck_assert_int_eq(c->server.port, 9090);
    ck_assert_int_eq(c->server.max_body_bytes, 1048576);
    ck_assert_str_eq(c->database.url, "postgresql:///fleet");
    ck_assert_ptr_null(c->database.listen_url);
    ck_assert_int_eq(c->database.connections, 4);
    ck_assert_uint_eq(c->forgejo.repositories.count, 0);
    ck_assert_int_eq(c->orchestrator.task_timeout_secs, 1800);
    ck_assert_int_eq(c->orchestrator.default_max_retries, 2);
    ck_assert_uint_eq(c->orchestrator.retry_on.count, 1);
    ck_assert_str_eq(c->orchestrator.retry_on.items[0], "all");
    ck_assert_int_eq(c->orchestrator.dispatch_interval_secs, 10);
    ck_assert_int_eq(c->orchestrator.heartbeat_interval_secs, 60);
    ck_assert_int_eq(c->orchestrator.heartbeat_timeout_threshold, 3);
    ck_assert_int_eq(c->orchestrator.handover_ack_secs, 60);
    ck_assert_ptr_null(c->orchestrator.http_pull_token);
    ck_assert_int_eq(c->orchestrator.start_timeout_secs, 300);
    ck_assert_int_eq(c->orchestrator.silence_timeout_secs, 900);
    ck_assert_int_eq(c->orchestrator.max_attempts_total, 10);
    ck_assert_int_eq(c->orchestrator.max_output_bytes, 268435456);
    ck_assert_uint_eq(c->host_count, 0);
    ck_assert_uint_eq(strlen(c->hash), 64);
    ck_assert_str_eq(c->path, "/etc/f.yaml");
    config_free(c);
}
END_TEST

static const char full[] =
    "# everything\n"
    "server: { bind: '::1', port: 0, max_body_bytes: 2048, trusted_proxies: [127.0.0.1, "
    "10.0.0.0/8],\n"
    "  public_hosts: [fleet.example.org, 'localhost:8443'] }\n"
    "database:\n  url: postgresql://fleet@db1,db2:5433/fleet?sslmode=verify-full\n"
    "  listen_url: postgres://fleet@db1/fleet\n  connections: 16\n  insecure_plaintext: true\n"
    "forgejo:\n  url: https://git.example.org\n  webhook_secret: 0123456789abcdef\n"
    "  repositories: [acme/rocket, 'tools/*']\n  trigger_users:\n    - octo\n    - \"*\"\n"
    "orchestrator: { task_timeout_secs: 60, default_max_retries: 0, retry_on: [ limit, timed_out "
    "],\n"
    "  max_output_bytes: 1099511627776 }\n"
    "adapters:\n  my-agent: { command: [run, '--in', '{prompts}', '${HOME} x {branch}', ''], "
    "output: "
    "codex-json }\n"
    "  other: { command: [true], env: { API_KEY: 'x y', PLACE: '${HOME}', _1: a } }\n"
    "hosts:\n  - host_id: worker-01\n    hostname: 192.168.1.100\n    ssh_user: agent\n    "
    "ssh_port: 2222\n"
    "    ssh_key_path: keys/id\n    known_hosts: ~/kh\n    work_dir: /opt/agent workspace\n"
    "    workspace: plain\n    repositories: [acme/rocket]\n    agents:\n"
    "      - { agent_type: codex-cli, max_concurrency: 2, profile: full,\n"
    "          capabilities: [code:rust, 'agent:review', 'agent:agent:x'] }\n"
    "      - agent_type: my-agent\n";

START_TEST(everything)
{
    setenv("HOME", "/home/octo", 1);
    struct config *c = parse(full, CONFIG_WORKER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_ptr_null(c->server.bind); /* nor an address */
    ck_assert_int_eq(c->server.port, 0);
    ck_assert(config_list_has(&c->server.trusted_proxies, "10.0.0.0/8"));
    ck_assert(c->database.insecure_plaintext);
    ck_assert_ptr_null(c->forgejo.webhook_secret); /* a worker needs none */
    ck_assert(config_list_has(&c->forgejo.repositories, "tools/*"));
    ck_assert_int_eq(c->orchestrator.max_output_bytes, INT64_C(1) << 40);
    ck_assert_uint_eq(c->orchestrator.retry_on.count, 2);
    ck_assert(config_list_has(&c->orchestrator.retry_on, "limit"));
    ck_assert_uint_eq(c->adapter_count, 2);
    ck_assert_str_eq(c->adapters[0].agent_type, "my-agent");
    ck_assert_uint_eq(c->adapters[0].command.count, 5);
    ck_assert_str_eq(c->adapters[0].command.items[3], "${HOME} x {branch}");
    ck_assert_str_eq(c->adapters[0].command.items[4], "");
    ck_assert_str_eq(c->adapters[0].output, "codex-json");
    ck_assert_str_eq(c->adapters[1].output, "text");
    const struct config_variable *env = c->adapters[1].env;
    ck_assert_uint_eq(c->adapters[1].env_count, 3);
    ck_assert_str_eq(env[0].name, "API_KEY");
    ck_assert_str_eq(env[0].value, "x y");
    ck_assert_str_eq(env[1].value, "/home/octo");
    const struct config_host *host = &c->hosts[0];
    ck_assert_int_eq(host->ssh_port, 2222);
    ck_assert_str_eq(host->ssh_key_path, "/etc/keys/id");
    ck_assert_str_eq(host->known_hosts, "/home/octo/kh");
    ck_assert_str_eq(host->work_dir, "/opt/agent workspace");
    ck_assert_uint_eq(host->agent_count, 2);
    const struct config_agent *agent = &host->agents[0];
    ck_assert_int_eq(agent->max_concurrency, 2);
    ck_assert(config_list_has(&agent->capabilities, "code:rust"));
    ck_assert(config_list_has(&agent->capabilities, "review"));
    ck_assert(
        config_list_has(&agent->capabilities, "agent:x")); /* one prefix is stripped, no more */
    ck_assert_str_eq(agent->profile, "full");
    ck_assert_int_eq(host->agents[1].max_concurrency, 1);
    ck_assert_str_eq(host->agents[1].profile, "sandboxed");
    ck_assert(warned(c, "forgejo.trigger_users: \"*\""));
    ck_assert(warned(c, "database.insecure_plaintext"));
    ck_assert(warned(c, "agents[0].profile: full"));
    ck_assert(warned(c, "adapters.my-agent.command[2]: {prompts} is passed as it is"));
    ck_assert(!warned(c, "{branch} is"));
    config_free(c);
}
END_TEST

/* By their names alone, with variables alone, or with a command of one's own. */
START_TEST(agents_that_are_built_in)
{
    static const char *const types[] = {"codex-cli", "claude-code", "opencode", "gemini-cli",
                                        "aider"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char *text =
            mem_printf(DATABASE "adapters: { %s: { env: { A: b } } }\n"
                                "hosts: [ { host_id: a, hostname: localhost, work_dir: /w,\n"
                                "           agents: [ { agent_type: %s } ] } ]\n",
                       types[i], types[i]);
        struct config *c = parse(text, CONFIG_WORKER);
        ck_assert_msg(c != NULL, "%s", err.text);
        ck_assert_uint_eq(c->adapters[0].command.count, 0);
        ck_assert_uint_eq(c->adapters[0].env_count, 1);
        config_free(c);
        free(text);
    }
}
END_TEST

START_TEST(a_server_needs_no_host_keys)
{
    unsetenv("NO_SUCH_KEY");
    struct config *c = parse(full, CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->forgejo.webhook_secret, "0123456789abcdef");
    ck_assert_ptr_null(c->hosts[0].ssh_key_path);
    ck_assert_ptr_null(c->hosts[0].known_hosts);
    config_free(c);
    take(DATABASE "forgejo: { webhook_secret: \"${NO_SUCH_KEY}\" }\n", CONFIG_WORKER);
    take(DATABASE "forgejo: { webhook_secret: {file: /no/such} }\n", CONFIG_WORKER);
    take(DATABASE "server: { port: \"${NO_SUCH_KEY}\" }\n", CONFIG_WORKER);
    refuse(DATABASE "server: { port: \"${NO_SUCH_KEY}\" }\n",
           "2:17: server.port: ", "NO_SUCH_KEY is not set");
    refuse(DATABASE "forgejo: { webhook_secret: \"${NO_SUCH_KEY}\" }\n",
           "2:28: forgejo.webhook_secret: ", "NO_SUCH_KEY is not set");
    take(DATABASE "hosts: [{host_id: a, hostname: b, ssh_user: c, work_dir: /d, agents: [],\n"
                  "  ssh_key_path: \"${NO_SUCH_KEY}\"}]\n",
         CONFIG_SERVER);
}
END_TEST

/* fleet-server token: a person's shell has neither the service's variables nor its secrets. */
START_TEST(a_command_needs_the_database_and_nothing_else)
{
    static const char text[] =
        "database: { url: \"${T_URL}\", connections: \"${NO_SUCH}\", listen_url: {file: /no/such} "
        "}\n"
        "server: { port: \"${NO_SUCH}\", bind: {file: /no/such}, insecure_open: \"${NO_SUCH}\",\n"
        "  public_hosts: [ \"${NO_SUCH}\" ] }\n"
        "forgejo: { webhook_secret: {credential: none}, repositories: [ {file: /no/such} ] }\n"
        "hosts: [{host_id: \"${NO_SUCH}\", hostname: b, ssh_user: c, work_dir: /d, agents: [],\n"
        "  ssh_key_path: {credential: none}}]\n";
    setenv("T_URL", "postgresql:///x", 1);
    unsetenv("NO_SUCH");
    struct config *c = parse(text, CONFIG_COMMAND);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->database.url, "postgresql:///x");
    config_free(c);
    unsetenv("T_URL");
    ck_assert_ptr_null(parse(text, CONFIG_COMMAND));
    ck_assert_ptr_nonnull(strstr(err.text, "T_URL is not set"));
    take(DATABASE "server: { port: \"${NO_SUCH}\", bind: {file: /no/such} }\n", CONFIG_WORKER);
}
END_TEST

/* check-hosts needs no database, and shows no secret because it has none. */
START_TEST(a_visitor_needs_the_way_to_hosts_only)
{
    static const char text[] =
        "database: { url: \"${NO_SUCH}\" }\n"
        "forgejo: { webhook_secret: {credential: none} }\n"
        "adapters: { mine: { command: [a], output: text, env: { K: {file: /no/such} } } }\n"
        "hosts: [{host_id: a, hostname: b, ssh_user: c, work_dir: /d, agents: [],\n"
        "  ssh_key_path: /key, known_hosts: /known}]\n";
    unsetenv("NO_SUCH");
    struct config *c = parse(text, CONFIG_VISITOR);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_ptr_null(c->database.url);
    ck_assert_ptr_null(c->adapters[0].env[0].value);
    ck_assert_str_eq(c->hosts[0].ssh_key_path, "/key");
    ck_assert_str_eq(c->hosts[0].known_hosts, "/known");
    config_free(c);
    ck_assert_ptr_null(parse("hosts: [{host_id: a, hostname: b, ssh_user: c, work_dir: /d, "
                             "agents: [], ssh_key_path: \"${NO_SUCH}\"}]\n",
                             CONFIG_VISITOR));
}
END_TEST

START_TEST(empty_lists_admit_none)
{
    struct config *c = parse(DATABASE "forgejo:\n  repositories: []\n  trigger_users:\nhosts:\n"
                                      "server:\nadapters: {}\n",
                             CONFIG_WORKER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_uint_eq(c->forgejo.repositories.count, 0);
    ck_assert_uint_eq(c->forgejo.trigger_users.count, 0);
    ck_assert_int_eq(c->orchestrator.default_max_retries, 2);
    ck_assert(warned(c, "no hosts"));
    config_free(c);
}
END_TEST

START_TEST(byte_order_mark)
{
    take("\xef\xbb\xbf" DATABASE, CONFIG_SERVER);
    take("---\n" DATABASE "...\n", CONFIG_SERVER);
}
END_TEST

/* ---- Where a value comes from ---- */

START_TEST(environment)
{
    setenv("T_URL", "postgresql://u:p@h/d", 1);
    setenv("T_PORT", "8080", 1);
    setenv("T_FLAG", "true", 1);
    setenv("T_REPO", "acme/x", 1);
    setenv("T_EMPTY", "", 1);
    setenv("T_BAD", "s3cret", 1);
    struct config *c =
        parse("database:\n  url: ${T_URL}\n  insecure_plaintext: \"${T_FLAG}\"\n"
              "server: { port: \"${T_PORT}\" }\nforgejo:\n  repositories:\n  - ${T_REPO}\n",
              CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->database.url, "postgresql://u:p@h/d");
    ck_assert_int_eq(c->server.port, 8080);
    ck_assert(c->database.insecure_plaintext);
    ck_assert(config_list_has(&c->forgejo.repositories, "acme/x"));
    config_free(c);
    refuse("database:\n  url: ${T_UNSET}\n", "2:8: database.url: ", "T_UNSET is not set");
    refuse("database:\n  url: ${T_EMPTY}\n", "2:8: database.url: ", "T_EMPTY is empty");
    refuse("database:\n  url: postgresql://u:${T_BAD}@h/d\n", "2:8: database.url: ", "whole value");
    refuse("database:\n  url: ${9}\n", "2:8: database.url: ", "whole value");
    refuse(DATABASE "server:\n  port: ${T_BAD}\n", "3:9: server.port: ", "a whole number from 0");
    ck_assert_ptr_null(strstr(err.text, "s3cret"));
}
END_TEST

START_TEST(files)
{
    char *secret = put("secret", "0123456789abcdef\n", 17, 0644);
    char *config_path = scratch("f.yaml");
    const char *text = DATABASE "forgejo: { webhook_secret: {file: secret} }\n";
    struct config *c = config_parse(text, strlen(text), config_path, CONFIG_SERVER, &err);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert_str_eq(c->forgejo.webhook_secret, "0123456789abcdef"); /* beside the configuration */
    config_free(c);
    setenv("T_FOLDER", folder, 1);
    take(DATABASE "forgejo: { webhook_secret: {file: \"${T_FOLDER}/secret\"} }\n", CONFIG_SERVER);
    refuse(DATABASE "forgejo: { webhook_secret: {file: /no/such} }\n",
           "2:35: forgejo.webhook_secret.file: cannot open /no/such", "No such file");
    free(put("secret", "two\nlines\n", 10, 0600));
    refuse(DATABASE "forgejo: { webhook_secret: {file: \"${T_FOLDER}/secret\"} }\n", "2:28",
           "line ends");
    free(put("secret", "a\0b", 3, 0600));
    refuse(DATABASE "forgejo: { webhook_secret: {file: \"${T_FOLDER}/secret\"} }\n", "2:35", "NUL");
    free(put("secret", "\n", 1, 0600));
    refuse(DATABASE "forgejo: { webhook_secret: {file: \"${T_FOLDER}/secret\"} }\n", "2:35",
           "is empty");
    refuse(DATABASE "forgejo: { webhook_secret: {file: a, b: c} }\n", "2:28", "not a mapping");
    refuse(DATABASE "forgejo: { webhook_secret: {file: [a]} }\n", "2:28", "not a mapping");
    drop(secret);
    free(config_path);
}
END_TEST

START_TEST(literal_secrets_want_a_private_file)
{
    static const char *const secret[] = {
        DATABASE "forgejo: { webhook_secret: 0123456789abcdef }\n",
        "database: { url: 'postgresql://u:pw@h/d' }\n",
        "database: { url: 'postgresql://h/d?user=u&password=pw' }\n",
    };
    for (size_t i = 0; i < 3; i++) {
        for (int node = CONFIG_SERVER; node <= CONFIG_WORKER; node++) {
            char *path = put("f.yaml", secret[i], strlen(secret[i]), 0640);
            ck_assert_ptr_null(config_load(path, (enum config_node)node, &err));
            ck_assert_ptr_nonnull(strstr(err.text, "chmod 600"));
            ck_assert_ptr_null(strstr(err.text, "pw@"));
            chmod(path, 0600);
            struct config *c = config_load(path, (enum config_node)node, &err);
            ck_assert_msg(c != NULL, "%s", err.text);
            config_free(c);
            drop(path);
        }
    }
    setenv("T_SECRET", "0123456789abcdef", 1);
    const char *fine = "database: { url: 'postgresql://u@h:5432/d?options=a:b@c' }\n"
                       "forgejo: { webhook_secret: \"${T_SECRET}\" }\n";
    char *path = put("f.yaml", fine, strlen(fine), 0644);
    struct config *c = config_load(path, CONFIG_SERVER, &err);
    ck_assert_msg(c != NULL, "%s", err.text);
    config_free(c);
    drop(path);
}
END_TEST

START_TEST(unreadable)
{
    ck_assert_ptr_null(config_load("/no/such/file", CONFIG_SERVER, &err));
    ck_assert_str_eq(err.text, "cannot open /no/such/file: No such file or directory; name the "
                               "configuration by --config PATH or FLEET_CONFIG");
    ck_assert_ptr_null(config_load("/", CONFIG_SERVER, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "cannot read /"));
    ck_assert_ptr_null(config_load("/dev/zero", CONFIG_SERVER, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "larger than"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, everything);
    tcase_add_test(tests, agents_that_are_built_in);
    tcase_add_test(tests, a_server_needs_no_host_keys);
    tcase_add_test(tests, a_command_needs_the_database_and_nothing_else);
    tcase_add_test(tests, a_visitor_needs_the_way_to_hosts_only);
    tcase_add_test(tests, empty_lists_admit_none);
    tcase_add_test(tests, byte_order_mark);
    tcase_add_test(tests, environment);
    tcase_add_test(tests, files);
    tcase_add_test(tests, literal_secrets_want_a_private_file);
    tcase_add_test(tests, unreadable);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
