/* common/config: what a good file gives, and what each fault of a bad one is answered with. */
#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "common/mem.h"

#define DATABASE "database: { url: postgresql:///fleet }\n"
#define HOST_HEAD "hosts:\n  - host_id: h1\n    hostname: localhost\n    work_dir: /srv/a\n"

static struct error err;

static struct config *parse(const char *text, enum config_node node)
{
    err = (struct error){0};
    return config_parse(text, strlen(text), "/etc/f.yaml", node, &err);
}

/* `text` alone is refused with a message that begins with "/etc/f.yaml:" + place and holds `what`.
 */
static void refuse(const char *text, const char *place, const char *what)
{
    struct config *config = parse(text, CONFIG_SERVER);
    ck_assert_msg(config == NULL, "was taken: %s", text);
    char *start = mem_printf("/etc/f.yaml:%s", place);
    ck_assert_msg(strncmp(err.text, start, strlen(start)) == 0 && strstr(err.text, what) != NULL,
                  "wanted %s … %s\n   got %s", start, what, err.text);
    free(start);
}

static void take(const char *text, enum config_node node)
{
    struct config *config = parse(text, node);
    ck_assert_msg(config != NULL, "%s", err.text);
    config_free(config);
}

static bool warned(const struct config *config, const char *what)
{
    for (size_t i = 0; i < config->warnings.count; i++) {
        if (strstr(config->warnings.items[i], what) != NULL)
            return true;
    }
    return false;
}

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
    ck_assert_str_eq(c->orchestrator.retry_on, "all");
    ck_assert_int_eq(c->orchestrator.dispatch_interval_secs, 10);
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
    "orchestrator: { task_timeout_secs: 60, default_max_retries: 0, retry_on: all,\n"
    "  max_output_bytes: 1099511627776 }\n"
    "adapters:\n  my-agent: { command: [run, '--in', '{prompt_file}', '${HOME} x {branch}', ''], "
    "output: "
    "codex-json }\n"
    "  other: { command: [true] }\n"
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
    ck_assert_str_eq(c->server.bind, "::1");
    ck_assert_int_eq(c->server.port, 0);
    ck_assert(config_list_has(&c->server.trusted_proxies, "10.0.0.0/8"));
    ck_assert(c->database.insecure_plaintext);
    ck_assert_ptr_null(c->forgejo.webhook_secret); /* a worker needs none */
    ck_assert(config_list_has(&c->forgejo.repositories, "tools/*"));
    ck_assert_int_eq(c->orchestrator.max_output_bytes, INT64_C(1) << 40);
    ck_assert_uint_eq(c->adapter_count, 2);
    ck_assert_str_eq(c->adapters[0].agent_type, "my-agent");
    ck_assert_uint_eq(c->adapters[0].command.count, 5);
    ck_assert_str_eq(c->adapters[0].command.items[3], "${HOME} x {branch}");
    ck_assert_str_eq(c->adapters[0].command.items[4], "");
    ck_assert_str_eq(c->adapters[0].output, "codex-json");
    ck_assert_str_eq(c->adapters[1].output, "text");
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
    ck_assert(warned(c, "adapters.my-agent.command[2]: {prompt_file} is passed as it is"));
    ck_assert(!warned(c, "{branch} is"));
    config_free(c);
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
    refuse(DATABASE "forgejo: { webhook_secret: \"${NO_SUCH_KEY}\" }\n",
           "2:28: forgejo.webhook_secret: ", "NO_SUCH_KEY is not set");
    take(DATABASE "hosts: [{host_id: a, hostname: b, ssh_user: c, work_dir: /d, agents: [],\n"
                  "  ssh_key_path: \"${NO_SUCH_KEY}\"}]\n",
         CONFIG_SERVER);
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
    ck_assert_int_eq(c->server.port, 9090);
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

static char folder[32]; /* "" while none stands */

static char *scratch(const char *name)
{
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/test_config.XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
    }
    return mem_printf("%s/%s", folder, name);
}

/* The path, for drop(). */
static char *put(const char *name, const char *text, size_t len, mode_t mode)
{
    char *path = scratch(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fwrite(text, 1, len, file);
    fclose(file);
    chmod(path, mode);
    return path;
}

static void drop(char *path)
{
    unlink(path);
    free(path);
    if (rmdir(folder) == 0) /* it was the last */
        folder[0] = '\0';
}

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
    ck_assert_str_eq(err.text, "cannot open /no/such/file: No such file or directory");
    ck_assert_ptr_null(config_load("/", CONFIG_SERVER, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "cannot read /"));
    ck_assert_ptr_null(config_load("/dev/zero", CONFIG_SERVER, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "larger than"));
}
END_TEST

/* ---- Bad files ---- */

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
    refuse(DATABASE "forgejo: { token: x }\n",
           "2:12: forgejo.token: ", "not supported by this version");
    static const char *const keys[] = {"heartbeat_interval_secs",
                                       "heartbeat_timeout_threshold",
                                       "on_lost",
                                       "reattach_window_secs",
                                       "max_reviews",
                                       "http_pull_token"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char *text = mem_printf(DATABASE "orchestrator:\n  %s: 1\n", keys[i]);
        char *place = mem_printf("3:3: orchestrator.%s: ", keys[i]);
        refuse(text, place, "not supported by this version yet");
        free(text);
        free(place);
    }
    refuse(DATABASE "metrics: {}\n", "2:1: metrics: ", "not supported");
    refuse("database: { db_path: x }\n", "1:13: database.db_path: ", "database.url");
    refuse(DATABASE HOST_HEAD "    agents: []\n    workspace: git\n",
           "7:16: hosts[0].workspace: git",
           "not supported by this version yet; must be one of: plain");
    refuse(DATABASE "adapters: { a: { command: [x], output: opencode-json } }\n",
           "2:40: adapters.a.output: ", "not supported by this version yet");
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
    refuse(DATABASE "adapters: { a: { } }\n", "2:16: adapters.a.command: ", "missing");
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

START_TEST(open_mode_is_local)
{
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
    refuse(DATABASE "server: &a { port: 1 }\n", "2:9: ", "anchors");
    refuse(DATABASE "server: *a\n", "2:9: ", "aliases");
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
    free(text);
}
END_TEST

START_TEST(toml)
{
    refuse("# old\n[server]\nport = 9090\n", "2:1: this is TOML", "write this line as: server:");
    refuse("[[hosts]]\nhost_id = \"a\"\n", "1:1: this is TOML", "hosts: with one \"- \" entry");
    refuse("[orchestrator.limits] # x\na = 1\n", "1:1: this is TOML",
           "(under orchestrator) limits:");
    refuse("port = 9090\n", "1:1: this is TOML", "write this line as: port: 9090");
    refuse("a.bind = { x = 1 }\n", "1:1: this is TOML", "write this line as: bind: { x: 1 }");
    refuse("webhook_secret = \"hidden\"\n", "1:1: this is TOML",
           "webhook_secret: \"${WEBHOOK_SECRET}\"");
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    refuse("server:\n  port: 1\n  bind = x\n", "3:3: this is TOML", "bind: x");
}
END_TEST

/* ---- The command line ---- */

static char said[20000];

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
    int status =
        config_command_line(argc, argv, "fleet-x", "Usage: fleet-x\n", CONFIG_SERVER, config);
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
    free(ok);
    ck_assert_int_eq(run(&config, "--config=/no/such", NULL), 1);
    ck_assert_ptr_nonnull(strstr(said, "/no/such"));
    ck_assert_int_eq(run(&config, "--version", NULL), 0);
    ck_assert_str_eq(said, "fleet-x " FLEET_VERSION "\n");
    ck_assert_int_eq(run(&config, "--help", NULL), 0);
    ck_assert_ptr_nonnull(strstr(said, "--env-file PATH"));
    ck_assert_int_eq(run(&config, "--nonsense", NULL), 2);
    ck_assert_int_eq(run(&config, "nonsense", NULL), 2);
    ck_assert_ptr_nonnull(strstr(said, "unknown argument: nonsense"));
    drop(path);
}
END_TEST

START_TEST(check_config_says_everything)
{
    struct config *config;
    const char *text = "servr: {}\nserver: { port: x }\n";
    char *path = put("f.yaml", text, strlen(text), 0600);
    ck_assert_int_eq(run(&config, "--config", path, "--check-config", NULL), 1);
    ck_assert_ptr_nonnull(strstr(said, ":1:1: servr: "));
    ck_assert_ptr_nonnull(strstr(said, ":2:17: server.port: "));
    ck_assert_ptr_nonnull(strstr(said, "database.url: missing"));
    ck_assert_ptr_null(strstr(said, ": ok"));
    drop(path);
}
END_TEST

START_TEST(env_file)
{
    struct config *config;
    static const char lines[] = "# comment\n\nexport T_A='x # y'  # note\nT_B=\"a\\\"b\\\\\"\r\n"
                                "  T_C = no\n";
    static const char good[] =
        "T_A='x # y'\nexport\tT_B=\"a\\\"b\\\\\\n\"\r\nT_D= plain#x # note\nT_E=\n"
        "T_F=from file\nT_PORT=77";
    setenv("T_F", "from outside", 1);
    const char *text = "database: { url: postgresql:///x }\nserver: { port: \"${T_PORT}\" }\n";
    char *path = put("f.yaml", text, strlen(text), 0600);
    char *env = put("env", lines, sizeof lines - 1, 0600);
    ck_assert_int_eq(run(&config, "--config", path, "--env-file", env, NULL), 1);
    ck_assert_ptr_nonnull(strstr(said, "/env:5:1: no KEY=VALUE"));
    unsetenv("T_A");
    unsetenv("T_B");
    free(put("env", good, sizeof good - 1, 0600));
    ck_assert_int_eq(run(&config, "--config", path, "--env-file", env, NULL), -1);
    ck_assert_int_eq(config->server.port, 77);
    config_free(config);
    ck_assert_str_eq(getenv("T_A"), "x # y");
    ck_assert_str_eq(getenv("T_B"), "a\"b\\\n");
    ck_assert_str_eq(getenv("T_D"), "plain#x");
    ck_assert_str_eq(getenv("T_E"), "");
    ck_assert_str_eq(getenv("T_F"), "from outside");
    free(put("env", "A='x\n", 5, 0600));
    ck_assert_int_eq(run(&config, "--env-file", env, NULL), 1);
    ck_assert_ptr_nonnull(strstr(said, "quote must close"));
    free(put("env", "A=\"x\" y\n", 8, 0600));
    ck_assert_int_eq(run(&config, "--env-file", env, NULL), 1);
    free(put("env", "A=x\n", 4, 0644));
    ck_assert_int_eq(run(&config, "--env-file", env, NULL), 1);
    ck_assert_ptr_nonnull(strstr(said, "chmod 600"));
    unlink(env);
    free(env);
    drop(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, everything);
    tcase_add_test(tests, a_server_needs_no_host_keys);
    tcase_add_test(tests, empty_lists_admit_none);
    tcase_add_test(tests, byte_order_mark);
    tcase_add_test(tests, environment);
    tcase_add_test(tests, files);
    tcase_add_test(tests, literal_secrets_want_a_private_file);
    tcase_add_test(tests, unreadable);
    tcase_add_test(tests, wrong_keys);
    tcase_add_test(tests, keys_of_later_versions);
    tcase_add_test(tests, types);
    tcase_add_test(tests, ranges);
    tcase_add_test(tests, forms);
    tcase_add_test(tests, hosts);
    tcase_add_test(tests, open_mode_is_local);
    tcase_add_test(tests, yaml_that_is_refused);
    tcase_add_test(tests, many_keys_are_refused_quickly);
    tcase_add_test(tests, toml);
    tcase_add_test(tests, command_line);
    tcase_add_test(tests, check_config_says_everything);
    tcase_add_test(tests, env_file);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
