/* common/config: what each fault of a file is answered with. */
#include "tests/unit/config_scene.h"

START_TEST(wrong_keys)
{
    refuse(DATABASE "servr: {}\n", "2:1: servr: ", "did you mean server?");
    refuse(DATABASE "server:\n  prot: 1\n", "3:3: server.prot: ", "did you mean port?");
    refuse(DATABASE "server:\n  Port: 1\n", "3:3: server.Port: ", "did you mean port?");
    refuse(DATABASE "server:\n  zzzzzzz: 1\n",
           "3:3: server.zzzzzzz: ", "here may stand bind, port, max_body_bytes");
    refuse(DATABASE "server:\n  port: 1\n  port: 2\n", "4:3: port: duplicate key", "line 3");
    refuse("server: {}\n", "1:1: database.url: ", "missing");
    refuse("database: {}\n", "1:11: database.url: ", "missing");
    refuse("", "1:1: database.url: ", "missing");
    refuse("# only a comment\n", "1:1: database.url: ", "missing");
    refuse(DATABASE "hosts:\n  - host_id: a\n", "3:5: hosts[0].hostname: ", "missing");
    refuse(DATABASE "? [a]\n: b\n", "2:3: ", "key must be one word");
    refuse(DATABASE "<<: {}\n", "2:1: <<: ", "unknown key");
}
END_TEST

START_TEST(keys_of_later_versions)
{
    static const char *const keys[] = {"on_lost", "reattach_window_secs"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char *text = mem_printf(DATABASE "orchestrator:\n  %s: 1\n", keys[i]);
        char *place = mem_printf("3:3: orchestrator.%s: ", keys[i]);
        refuse(text, place, "not supported by this version yet");
        free(text);
        free(place);
    }
    refuse("database: { db_path: x }\n", "1:13: database.db_path: ", "database.url");
}
END_TEST

/* What reaches git is neither an option nor a password in a URL. */
START_TEST(repositories_of_git)
{
    static const char *const urls[] = {"git.example.org/{repository}",
                                       "ext::sh -c x{repository}",
                                       "https://git.example.org/a",
                                       "https://a:b@git.example.org/{repository}",
                                       "ssh://-oProxyCommand=x/{repository}",
                                       "https://git.example.org/{repository} --x",
                                       "",
                                       "ftp://x/{repository}"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char *text = mem_printf(DATABASE "git: { url: '%s' }\n", urls[i]);
        refuse(text, "2:13: git.url: ", "{repository}");
        free(text);
    }
    static const char *const authors[] = {"nobody", "a<b>", "a <b", "a <>", "a <b> c", "<b>"};
    for (size_t i = 0; i < sizeof authors / sizeof authors[0]; i++) {
        char *text = mem_printf(DATABASE "git: { author: '%s' }\n", authors[i]);
        refuse(text, "2:16: git.author: ", "a name and an address");
        free(text);
    }
    refuse(DATABASE HOST_HEAD "    agents: []\n    workspace: git\n",
           "7:16: hosts[0].workspace: ", "set git.url, or forgejo.url");
    refuse(DATABASE "git: { url: 'ssh://git@h/{repository}', ssh_key_path: /k }\n",
           "2:6: git: ", "known_hosts is missing");
    refuse(DATABASE "git: { url: 'https://h/{repository}', ssh_key_path: /k }\n",
           "2:53: ", "is for an ssh:// URL");
    refuse(DATABASE "git: { url: '/srv/{repository}', password: x }\n",
           "2:44: ", "is for an https:// URL");
    refuse(DATABASE "git: { protected_branches: [ '-d' ] }\n", "2:30: git.protected_branches[0]",
           "a branch or a pattern");
    refuse(DATABASE "git: { fetch_timeout_secs: 0 }\n",
           "2:28: git.fetch_timeout_secs: ", "1 to 86400");
    refuse(DATABASE HOST_HEAD "    agents: []\n    workspace: worktree\n",
           "7:16: hosts[0].workspace: ", "plain|git");
    refuse(DATABASE "adapters: { a: { command: [x], output: json } }\n",
           "2:40: adapters.a.output: ", "claude-json");
}
END_TEST

#define FORGEJO DATABASE "forgejo:\n  "

START_TEST(a_token_goes_to_its_forgejo_only)
{
    refuse(FORGEJO "token: x\n", "3:10: forgejo.token: ", "set forgejo.url");
    refuse(FORGEJO "url: http://git.example.org\n  token: x\n",
           "4:10: forgejo.token: ", "would be sent to http://git.example.org");
    refuse(FORGEJO "url: http://127.0.0.1.example.org\n  token: x\n",
           "4:10: forgejo.token: ", "would be sent to");
    refuse(FORGEJO "url: https://git.example.org\n  lookup_token: x\n",
           "4:17: forgejo.lookup_token: ", "beside a token");
    refuse(FORGEJO "url: https://git.example.org\n  poll_only: true\n",
           "4:14: forgejo.poll_only: ", "needs a token");
    take(FORGEJO "url: https://git.example.org\n  token: x\n", CONFIG_WORKER);
    take(FORGEJO "url: http://git.example.org\n  insecure_http: true\n  token: x\n", CONFIG_WORKER);
    take(FORGEJO "url: http://127.0.0.1:3000\n  token: x\n", CONFIG_WORKER);
    take(FORGEJO "url: \"http://[::1]:3000/forge\"\n  token: x\n", CONFIG_WORKER);
    take(FORGEJO "url: http://localhost\n  token: x\n", CONFIG_WORKER);
}
END_TEST

START_TEST(keys_of_the_forgejo)
{
    refuse(FORGEJO "poll_interval_secs: 29\n", "3:23: ", "from 30 to 86400");
    refuse(FORGEJO "approval: some\n", "3:13: ", "none|untrusted|always");
    refuse(FORGEJO "events: [issue]\n", "3:12: ", "issues|issue_assign");
    refuse(FORGEJO "webhook_url: https://fleet.example.org\n",
           "3:16: ", "/api/v1/webhooks/forgejo");
    refuse(FORGEJO "webhook_secrets: [ { secret: 0123456789abcdef } ]\n",
           "3:22: ", "repositories: missing");
    refuse(FORGEJO "webhook_secrets: [ { repositories: [a/b] } ]\n", "3:22: ", "secret: missing");
    refuse(FORGEJO "rules: [ { approval: none } ]\n", "3:12: ", "repositories: missing");
}
END_TEST

START_TEST(the_shared_token)
{
    static const char right[] = "20 to 256 visible ASCII characters";
    static const char place[] = "2:34: orchestrator.http_pull_token: ";
    refuse(DATABASE "orchestrator: { http_pull_token: 0123456789abcdefghi }\n", place, right);
    refuse(DATABASE "orchestrator: { http_pull_token: '0123456789 abcdefghij' }\n", place, right);
    refuse(DATABASE "orchestrator: { http_pull_token: '0123456789-abcdefghi\xc3\xa4' }\n", place,
           right);
    ck_assert_ptr_null(strstr(err.text, "0123456789"));
    char *text = mem_printf(DATABASE "orchestrator: { http_pull_token: %0257d }\n", 1);
    refuse(text, place, right);
    free(text);
    refuse(DATABASE "orchestrator: { heartbeat_interval_secs: 0 }\n",
           "2:42: orchestrator.heartbeat_interval_secs: ", "1 to 3600");
    refuse(DATABASE "orchestrator: { handover_ack_secs: 3601 }\n",
           "2:36: orchestrator.handover_ack_secs: ", "1 to 3600");
}
END_TEST

START_TEST(types)
{
    refuse(DATABASE "server: 1\n", "2:9: server: ", "must be a mapping");
    refuse(DATABASE "server: [a]\n", "2:9: server: ", "not a list");
    refuse(DATABASE "hosts: {}\n", "2:8: hosts: ", "must be a list");
    refuse(DATABASE "hosts: [1]\n", "2:9: hosts[0]: ", "must be a mapping");
    refuse(DATABASE "adapters: [a]\n", "2:11: adapters: ", "must be a mapping of names");
    refuse(DATABASE "server: { port: [1] }\n", "2:17: server.port: ", "not a list");
    refuse(DATABASE "server: { port: {a: 1} }\n", "2:17: server.port: ", "not a mapping");
    refuse(DATABASE "server: { port: }\n", "2:17: server.port: ", "has no value");
    refuse(DATABASE "server: { port: null }\n", "2:17: server.port: ", "has no value");
    refuse(DATABASE "server: { port: \"80\" }\n", "2:17: server.port: \"80\"", "without quotes");
    refuse(DATABASE "server: { insecure_open: yes }\n", "2:26: server.insecure_open: \"yes\"",
           "true or false");
    refuse(DATABASE "server: { bind: '' }\n", "2:17: server.bind: ", "an IPv4");
    refuse(DATABASE "server: { trusted_proxies: 10.0.0.1 }\n",
           "2:28: server.trusted_proxies: ", "must be a list");
    refuse(DATABASE "server:\n  port = 90\n", "3:3: server: ", "not \"key = value\"");
    refuse("[1, 2]\n", "1:1: must be a mapping", "");
    refuse("text\n", "1:1: must be a mapping", "");
}
END_TEST

START_TEST(ranges)
{
    static const char *const numbers[] = {
        "-1", "65536", "1.5", "0x50", "1_000", "1e3", "9999999999999999999999", "+1", "8 0", "."};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char *text = mem_printf(DATABASE "server: { port: %s }\n", numbers[i]);
        refuse(text, "2:17: server.port: ", "a whole number from 0 to 65535");
        free(text);
    }
    refuse(DATABASE "orchestrator: { max_output_bytes: 1099511627777 }\n",
           "2:35: ", "4096 to 109951");
    refuse(DATABASE "orchestrator: { retry_on: never }\n", "2:27: orchestrator.retry_on: \"never\"",
           "one of: all");
    refuse(DATABASE "orchestrator: { retry_on: al }\n", "2:27", "one of");
    refuse(DATABASE "adapters: { x: { command: [ y ], env: { 1A: b } } }\n", "2:41", "no digit");
    refuse(DATABASE "adapters: { x: { command: [ y ], env: { FLEET_X: b } } }\n", "2:41", "ours");
    refuse(DATABASE "adapters: { x: { command: [ y ], env: [ A ] } }\n", "2:39", "names to values");
    refuse(DATABASE "adapters: { x: { command: [ y ], env: { A: { b: c } } } }\n", "2:", "A");
    refuse(DATABASE "orchestrator: { retry_on: [ limit, auth ] }\n", "2:36", "auth_failed");
    refuse(DATABASE "orchestrator: { retry_on: cancelled }\n", "2:27", "one of");
    refuse(DATABASE "orchestrator: { retry_on: 'all|none' }\n", "2:27", "one of");
}
END_TEST

START_TEST(forms)
{
    refuse("database: { url: 'host=x password=hidden' }\n",
           "1:18: database.url: ", "postgresql://");
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    refuse(DATABASE "server: { bind: localhost }\n", "2:17: server.bind: \"localhost\"",
           "IPv4 or IPv6");
    refuse(DATABASE "server: { trusted_proxies: [10.0.0.0/33] }\n", "2:29", "a network");
    refuse(DATABASE "server: { trusted_proxies: ['::/129'] }\n", "2:29", "a network");
    refuse(DATABASE "server: { trusted_proxies: [10.0.0.0/] }\n", "2:29", "a network");
    refuse(DATABASE "server: { public_hosts: ['http://x'] }\n", "2:26", "a host name");
    refuse(DATABASE "forgejo: { url: ftp://x }\n", "2:17: forgejo.url: ", "https://");
    refuse(DATABASE "forgejo: { url: 'https://u:hidden@x' }\n", "2:17: forgejo.url: ", "https://");
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    static const char *const repositories[] = {"acme", "acme/", "/x",   "a/b/c",
                                               "*/x",  "a/x*",  "a b/c"};
    for (size_t i = 0; i < sizeof repositories / sizeof repositories[0]; i++) {
        char *text = mem_printf(DATABASE "forgejo: { repositories: ['%s'] }\n", repositories[i]);
        refuse(text, "2:27: forgejo.repositories[0]: ", "owner/name");
        free(text);
    }
    refuse(DATABASE "forgejo: { repositories: [a/b, a/b] }\n",
           "2:32: forgejo.repositories[1]: ", "in the list already");
    refuse(DATABASE "forgejo: { trigger_users: ['a b'] }\n", "2:28", "login");
    refuse(DATABASE "adapters: { a b: { command: [x] } }\n", "2:13: adapters.a b: ", "wrong name");
    refuse(DATABASE "adapters: { a: { command: [] } }\n",
           "2:27: adapters.a.command: ", "0 entries");
    refuse(DATABASE "adapters: { a: { } }\n", "2:16: adapters.a: command is missing", "built in");
    refuse(DATABASE "server: { bind: \"127.0.0.1\\n\" }\n", "2:17", "control characters");
}
END_TEST

START_TEST(hosts)
{
    static const char *const work_dirs[] = {"tmp/x", "/", "//", "/a/../b", "/a/..", "~/x"};
    for (size_t i = 0; i < sizeof work_dirs / sizeof work_dirs[0]; i++) {
        char *text = mem_printf(DATABASE "hosts: [{host_id: a, hostname: localhost, agents: [],\n"
                                         " work_dir: '%s'}]\n",
                                work_dirs[i]);
        refuse(text, "3:12: hosts[0].work_dir: ", "an absolute path");
        free(text);
    }
    take(DATABASE "hosts: [{host_id: a, hostname: localhost, agents: [], work_dir: /a/..b}]\n",
         CONFIG_SERVER);
    refuse(DATABASE "hosts: [{host_id: a/b, hostname: localhost, agents: [], work_dir: /a}]\n",
           "2:19: hosts[0].host_id: ", "1 to 64");
    refuse(DATABASE "hosts: [{host_id: a, hostname: -oProxyCommand=x, agents: [], work_dir: /a}]\n",
           "2:32: hosts[0].hostname: ", "a host name");
    refuse(DATABASE "hosts: [{host_id: a, hostname: \"box:2222\", agents: [], work_dir: /a}]\n",
           "2:32: hosts[0].hostname: ", "without a port, which is ssh_port");
    refuse(DATABASE
           "hosts: [{host_id: a, hostname: h, agents: [], work_dir: /a, ssh_key_path: k}]\n",
           "2:9: hosts[0]: ssh_user is missing", "localhost");
    refuse(DATABASE "hosts: [{host_id: a, hostname: h, agents: [], work_dir: /a, ssh_user: u}]\n",
           "2:9: hosts[0]: ssh_key_path is missing", "");
    refuse(DATABASE HOST_HEAD "    agents: []\n  - host_id: h1\n    hostname: localhost\n"
                              "    work_dir: /b\n    agents: []\n",
           "7:14: hosts[1].host_id: h1 is the name of hosts[0]", "differ");
    refuse(DATABASE HOST_HEAD
           "    agents:\n      - agent_type: codex-cli\n      - agent_type: codex-cli\n",
           "8:21: hosts[0].agents[1].agent_type: codex-cli stands in agents[0]", "max_concurrency");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: codex-cli, isolation: separate}]\n",
           "6:14: hosts[0].agents[0]: isolation: separate needs an account for each slot", "is 1");
    refuse(DATABASE HOST_HEAD
           "    agents: [{agent_type: codex-cli, isolation: separate, run_as: [a]}, {agent_type: "
           "opencode, isolation: separate, run_as: [a]}]\n",
           "6:126: hosts[0].agents[1].run_as[0]: a is another slot's already", "");
    refuse(DATABASE HOST_HEAD
           "    agents: [{agent_type: codex-cli, isolation: separate, run_as: [root]}]\n",
           "6:68: hosts[0].agents[0].run_as[0]: root cannot be the account", "");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: codex-cli, run_as: [a]}]\n",
           "6:46: hosts[0].agents[0].run_as: run_as is for isolation: separate", "");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: codex-cli, writable: [/x]}]\n",
           "6:48: hosts[0].agents[0].writable: writable is for sandbox: bwrap", "");
    refuse(DATABASE HOST_HEAD
           "    agents: [{agent_type: codex-cli, sandbox: bwrap, writable: [x]}]\n",
           "6:65: hosts[0].agents[0].writable[0]: ", "~/.cache/");
    refuse(DATABASE HOST_HEAD "    agents:\n      - agent_type: claude\n",
           "7:21: hosts[0].agents[0].agent_type: no adapter is known for claude", "adapters:");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: codex-cli, capabilities: ['agent:']}]\n",
           "6:53: hosts[0].agents[0].capabilities[0]: ", "1 to 100");
    refuse(DATABASE HOST_HEAD
           "    agents: [{agent_type: codex-cli, capabilities: ['agent:a', a]}]\n",
           "6:64: ", "already");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: codex-cli, max_concurrency: 257}]\n",
           "6:55: ", "1 to 256");
}
END_TEST

START_TEST(adapters_that_cannot_be_meant)
{
    static const char *const known[] = {"codex-cli", "claude-code", "opencode", "gemini-cli",
                                        "aider"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char *text = mem_printf(DATABASE HOST_HEAD "    agents: [{agent_type: %s, model: m}]\n"
                                                   "adapters: { %s: { env: { K: v } } }\n",
                                known[i], known[i]);
        take(text, CONFIG_WORKER);
        free(text);
    }
    refuse(DATABASE "adapters: { mine: { env: { K: v } } }\n",
           "2:19: adapters.mine: command is missing", "gemini-cli and aider are built in");
    refuse(DATABASE "adapters: { aider: { output: text } }\n",
           "2:30: adapters.aider.output: output goes with a command", "built in");
    refuse(DATABASE "adapters: { a: { command: [x], resume: [x, '{sesion}'] } }\n",
           "2:40: adapters.a.resume: names no {session}", "goes on");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: a}]\n"
                              "adapters: { a: { command: [x, '--model={model}'] } }\n",
           "6:14: hosts[0].agents[0]: no model is given", "names {model}");
    refuse(DATABASE HOST_HEAD "    agents: [{agent_type: a, model: m}]\n"
                              "adapters: { a: { command: [x] } }\n",
           "6:37: hosts[0].agents[0].model: a would never hear of it", "names no {model}");
    take(DATABASE HOST_HEAD
         "    agents: [{agent_type: a, model: m}]\n"
         "adapters: { a: { command: [x], resume: [x, '{session}', '{model}'] } }\n",
         CONFIG_WORKER);
    struct config *c =
        parse(DATABASE "git: { before_run: [x, '{model}', '{branch}'] }\n", CONFIG_WORKER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert(warned(c, "git.before_run[1]: {model} is passed as it is"));
    ck_assert(!warned(c, "git.before_run[2]"));
    config_free(c);
}
END_TEST

START_TEST(open_mode_is_local)
{
    take(DATABASE "server: { insecure_open: true, bind: '::1' }\n", CONFIG_SERVER);
    take(DATABASE "server: { insecure_open: true, bind: 127.7.7.7 }\n", CONFIG_SERVER);
    refuse(DATABASE "server: { insecure_open: true, bind: '::' }\n",
           "2:26: server.insecure_open: ", "loopback");
    refuse(DATABASE "server: { insecure_open: true, bind: 0.0.0.0 }\n",
           "2:26: server.insecure_open: ", "loopback");
    struct config *c = parse(DATABASE "server: { insecure_open: true }\n", CONFIG_SERVER);
    ck_assert_msg(c != NULL, "%s", err.text);
    ck_assert(warned(c, "server.insecure_open: true"));
    config_free(c);
}
END_TEST

START_TEST(yaml_that_is_refused)
{
    refuse(DATABASE "server: &a { port: 1 }\nforgejo: *a\n", "2:9: ", "aliases");
    refuse(DATABASE "server: *a\n", "2:9: ", "aliases");
    refuse(DATABASE "server: &a [*a]\n", "2:9: ", "aliases");
    refuse(DATABASE "forgejo: { repositories: [*] }\n", "2:28: ", "write \"*\" in quotes");
    refuse(DATABASE "server: !x { port: 1 }\n", "2:9: ", "tags");
    refuse(DATABASE "server: { port: !!int 1 }\n", "2:17: ", "tags");
    refuse(DATABASE "---\n" DATABASE, "2:1: ", "a second document");
    refuse("server:\n\tport: 1\n", "2:1: ", "spaces, not tabs");
    refuse("server: { bind: ${X} }\n", "1:18: ", "needs quotes");
    refuse("server: { bind: \"x\n", "2:1: ", "unexpected end of stream");
    refuse("a: \"\\0\"\n", "1:4: ", "NUL");
    refuse("a: b\n# \xff\n", "2:3: ", "UTF-8");
    refuse("a: b\nc: \x01\n", "2:4: ", "control characters");
    refuse("a: [[[[[[[[[[[[1]]]]]]]]]]]]\n", "1:1", "too deeply");
    char *big = malloc(1048578);
    memset(big, '#', 1048577);
    big[1048577] = '\0';
    refuse(big, "1:1: ", "larger than 1 MiB");
    free(big);
}
END_TEST

START_TEST(many_keys_are_refused_quickly)
{
    char *text = malloc(1048000);
    size_t len = 0;
    for (int i = 0; len < 1000000; i++)
        len += (size_t)sprintf(text + len, "k%d:\n", i);
    refuse(text, "1001:1: ", "more than 1000 keys");
    len = (size_t)sprintf(text, "a: [");
    memset(text + len, ',', 1000000);
    strcpy(text + len + 1000000, "]");
    parse(text, CONFIG_SERVER);
    len = (size_t)sprintf(text, "a: [");
    while (len < 1000000)
        len += (size_t)sprintf(text + len, "1,");
    strcpy(text + len, "]\n");
    refuse(text, "1:", "more than 100000 values");
    for (int count = 1000; count <= 1001; count++) {
        len = (size_t)sprintf(text, DATABASE "server: { public_hosts: [");
        for (int i = 0; i < count; i++)
            len += (size_t)sprintf(text + len, "h%d,", i);
        strcpy(text + len, "] }\n");
        if (count == 1000)
            take(text, CONFIG_SERVER);
        else
            refuse(text, "2:25: server.public_hosts: ", "has 1001 entries; must have 0 to 1000");
    }
    free(text);
}
END_TEST

START_TEST(toml)
{
    refuse("# old\n\n[server]\nport = 9090\n", "1:1: this is TOML", "\"server:\" for \"[server]\"");
    refuse("[[hosts]]\nhost_id = \"a\"\n", "1:1: this is TOML", "\"- \" entries");
    refuse("port=9090\n", "1:1: this is TOML", "\"key: value\" for \"key = value\"");
    refuse("webhook_secret = \"hidden\"\n", "1:1: this is TOML", "");
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    refuse("server:\n  port: 1\n  bind = x\n", "4:1: could not find expected ':'", "simple key");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config faults");
    TCase *tests = tcase_create("config faults");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, wrong_keys);
    tcase_add_test(tests, keys_of_later_versions);
    tcase_add_test(tests, repositories_of_git);
    tcase_add_test(tests, a_token_goes_to_its_forgejo_only);
    tcase_add_test(tests, keys_of_the_forgejo);
    tcase_add_test(tests, the_shared_token);
    tcase_add_test(tests, types);
    tcase_add_test(tests, ranges);
    tcase_add_test(tests, forms);
    tcase_add_test(tests, hosts);
    tcase_add_test(tests, adapters_that_cannot_be_meant);
    tcase_add_test(tests, open_mode_is_local);
    tcase_add_test(tests, yaml_that_is_refused);
    tcase_add_test(tests, many_keys_are_refused_quickly);
    tcase_add_test(tests, toml);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
