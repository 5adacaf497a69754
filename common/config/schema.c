/* Which keys there are, what each may hold, and what it does. */
#include "common/config/schema.h"

#include <string.h>

#include "common/network.h"

#define NOT_YET "not supported by this version yet; remove it"

/* ---- What a text must look like ---- */

/* 1 to `max` of the characters, the first no "-": nothing that a program takes for an option. */
const char *config_form(const char *text, const char *characters, size_t max, const char *right)
{
    size_t len = strlen(text);
    bool good = len > 0 && len <= max && text[0] != '-' && strspn(text, characters) == len;
    return good ? NULL : right;
}

static const char *check_name(const char *text)
{
    return config_form(text, WORD, 64,
                       "1 to 64 of the characters A-Z a-z 0-9 . _ -, no - in front");
}

static const char *check_address(const char *text)
{
    return network_is_address(text) ? NULL : "an IPv4 or IPv6 address, e.g. 127.0.0.1";
}

static const char *check_network(const char *text)
{
    struct network network;
    return network_parse(text, &network) ? NULL
                                         : "an address or a network, e.g. 127.0.0.1 or 10.0.0.0/8";
}

static const char *check_host(const char *text)
{
    const char *colon = strchr(text, ':'); /* an IPv6 address has two and more */
    if (colon != NULL && strchr(colon + 1, ':') == NULL)
        return "a host name or an address without a port, which is ssh_port";
    return config_form(text, WORD ":", 253, "a host name or an address, without a scheme");
}

static const char *check_public_host(const char *text)
{
    return config_form(
        text, WORD ":[]", 260,
        "a host name as clients write it, e.g. fleet.example.org, with the port if not "
        "443");
}

static const char *check_user(const char *text)
{
    return config_form(text, WORD, 64, "a login name of the characters A-Z a-z 0-9 . _ -");
}

static const char *check_database(const char *text)
{
    return strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0
               ? NULL
               : "a URL that begins with postgresql://";
}

/* "owner/name", "owner/" and "*", or "*". */
const char *config_check_repository(const char *text)
{
    static const char right[] = "owner/name, owner/* or \"*\"";
    if (strcmp(text, "*") == 0)
        return NULL;
    size_t owner = strspn(text, WORD);
    if (owner == 0 || text[owner] != '/')
        return right;
    const char *name = text + owner + 1;
    size_t len = strspn(name, WORD);
    return strcmp(name, "*") == 0 || (len > 0 && name[len] == '\0') ? NULL : right;
}

/* "none" too: tasks of no repository. */
static const char *check_host_repository(const char *text)
{
    if (strcmp(text, "none") == 0 || config_check_repository(text) == NULL)
        return NULL;
    return "owner/name, owner/*, \"*\", or none for tasks of no repository";
}

static const char *check_branch_pattern(const char *text)
{
    return config_form(text, WORD "/*?+@", 200, "a branch or a pattern with *, e.g. release/*");
}

/* It travels in a header: visible ASCII. */
static const char *check_shared_token(const char *text)
{
    size_t len = 0;
    while (text[len] > 0x20 && text[len] < 0x7f)
        len++;
    return text[len] == '\0' && len >= 20 && len <= 256
               ? NULL
               : "20 to 256 visible ASCII characters without a blank";
}

static const char *check_variable(const char *name)
{
    static const char right[] =
        "A-Z a-z 0-9 _, no digit in front, and not of ours (FLEET_, TMPDIR)";
    bool ours = strncmp(name, "FLEET_", 6) == 0 || strcmp(name, "TMPDIR") == 0;
    bool good = strlen(name) <= 64 && name[strspn(name, LETTERS "0123456789_")] == '\0' &&
                name[0] != '\0' && strchr("0123456789", name[0]) == NULL;
    return good && !ours ? NULL : right;
}

static const char *check_model(const char *text)
{
    return config_form(text, WORD "/:@+", 200, "a model's name, e.g. gpt-5 or provider/model");
}

static const char *check_account(const char *text)
{
    return config_form(text, WORD "/@+", 129, "1 to 129 of the characters A-Z a-z 0-9 . _ - / @ +");
}

static const char *check_capability(const char *text)
{
    return *text != '\0' && strlen(text) <= 100 ? NULL : "1 to 100 characters after \"agent:\"";
}

static const char *check_work_dir(const char *text)
{
    static const char right[] = "an absolute path without \"..\", e.g. /opt/agent-workspace";
    if (text[0] != '/' || text[strspn(text, "/")] == '\0')
        return right;
    for (const char *at = strstr(text, "/.."); at != NULL; at = strstr(at + 1, "/..")) {
        if (at[3] == '/' || at[3] == '\0')
            return right;
    }
    return NULL;
}

static const char *check_writable(const char *text)
{
    bool below_home = strncmp(text, "~/", 2) == 0 && text[2] != '\0';
    const char *wrong = below_home ? check_work_dir(text + 1) : check_work_dir(text);
    return wrong == NULL && strpbrk(text, "\r\n") == NULL
               ? NULL
               : "an absolute path, or one below the home of the agent's account: ~/.cache/";
}

/* ---- The tables ---- */

#define HOST(member) .offset = offsetof(struct config_host, member)
#define AGENT(member) .offset = offsetof(struct config_agent, member)
#define ADAPTER(member) .offset = offsetof(struct config_adapter, member)
/* clang-format off */
#define LATER(name) {name, FIELD_LATER, .text = NOT_YET}
/* clang-format on */

static const struct config_field server_fields[] = {
    {"bind", FIELD_TEXT, FIELD_SERVER_ONLY | FIELD_RESTART, AT(server.bind), .text = "127.0.0.1",
     .check = check_address,
     .help = "IPv4 or IPv6 address that the API listens on; a proxy with TLS stands in front"},
    {"port", FIELD_INT, FIELD_SERVER_ONLY | FIELD_RESTART, AT(server.port),
     RANGE(0, 65535, "9090", "TCP port"),
     .help = "where the API listens; 0 takes a free one, which the log names"},
    {"max_body_bytes", FIELD_INT64, AT(server.max_body_bytes),
     RANGE(1024, 16 << 20, "1048576", "bytes"),
     .help = "size of a request body that is taken; a larger one is answered 413"},
    {"trusted_proxies", FIELD_TEXTS, AT(server.trusted_proxies), .check = check_network,
     .help = "addresses and networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed"},
    {"public_hosts", FIELD_TEXTS, AT(server.public_hosts), .check = check_public_host,
     .help = "names that a request may carry as Host, when not empty; others are answered 421"},
    {"insecure_open", FIELD_FLAG, AT(server.insecure_open), .text = "false",
     .help = "true: no token is asked for; taken only with a loopback bind"},
    {"db_path", FIELD_LATER, .text = "replaced; give database.url, a PostgreSQL URL"},
    {0},
};

static const struct config_field database_fields[] = {
    {"url", FIELD_TEXT, FIELD_REQUIRED | FIELD_URL | FIELD_RESTART | FIELD_DATABASE,
     AT(database.url), .max = 4096, .check = check_database,
     .help = "postgresql:// URL of the node's login; not local: with sslmode=verify-full"},
    {"listen_url", FIELD_TEXT, FIELD_URL | FIELD_RESTART, AT(database.listen_url), .max = 4096,
     .check = check_database,
     .help = "URL for the connection that listens, where url leads to a pooler"},
    {"connections", FIELD_INT, FIELD_RESTART, AT(database.connections),
     RANGE(1, 16, "4", "connections"),
     .help = "how many of each node carry queries; one more listens"},
    {"insecure_plaintext", FIELD_FLAG, FIELD_RESTART | FIELD_DATABASE,
     AT(database.insecure_plaintext), .text = "false",
     .help = "true: a database that is not local may be reached without verify-full"},
    {"db_path", FIELD_LATER, .text = "replaced; give database.url, a PostgreSQL URL"},
    {0},
};

static const char *check_git_url(const char *text)
{
    static const char right[] =
        "https://, ssh://, http://, file:// or an absolute path, with {repository} where "
        "owner/name stands, and without a password";
    static const char *const schemes[] = {"https://", "http://", "ssh://", "file:///", "/"};
    const char *rest = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && rest == NULL; i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            rest = text + strlen(schemes[i]);
    }
    if (rest == NULL || *rest == '\0' || *rest == '-' || strstr(text, "{repository}") == NULL)
        return right;
    size_t host = strcspn(rest, "/");
    const char *at = memchr(rest, '@', host);
    if (at != NULL && memchr(rest, ':', (size_t)(at - rest)) != NULL)
        return right;
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return right;
    return NULL;
}

static const char *check_author(const char *text)
{
    static const char right[] = "a name and an address, e.g. \"Agent Fleet <fleet@example.org>\"";
    const char *open = strchr(text, '<'), *close = strchr(text, '>');
    bool good = open != NULL && open > text + 1 && open[-1] == ' ' && close != NULL &&
                close > open + 1 && close[1] == '\0' && strchr(open + 1, '<') == NULL;
    return good ? NULL : right;
}

static const struct config_field git_fields[] = {
    {"url", FIELD_TEXT, AT(git.url), .max = 900, .check = check_git_url,
     .help = "where hosts clone from and push to, {repository} is owner/name; when not given "
             "forgejo.url/{repository}.git"},
    {"username", FIELD_TEXT, AT(git.username), .max = 127,
     .help = "login for https; with a Forgejo token as password any will do"},
    {"password", FIELD_TEXT, FIELD_SECRET | FIELD_WORKER_ONLY, AT(git.password), .max = 4096,
     .help = "password or token for https; only git's own fetch and push are given it"},
    {"ssh_key_path", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH, AT(git.ssh_key_path),
     .help = "private key for ssh, as OpenSSH writes it, without passphrase, mode 600"},
    {"known_hosts", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH, AT(git.known_hosts),
     .help = "file with the git server's own host key, for ssh"},
    {"author", FIELD_TEXT, AT(git.author), .text = "Agent Fleet <agent-fleet@localhost>",
     .max = 200, .check = check_author, .help = "of the commits that are made for an agent"},
    {"commit_leftovers", FIELD_FLAG, AT(git.commit_leftovers), .text = "true",
     .help = "true: what an agent changed and did not commit becomes a commit of its own"},
    {"allow_workflows", FIELD_TEXTS, AT(git.allow_workflows), .check = config_check_repository,
     .help =
         "owner/name, owner/* or \"*\": where agents may change .forgejo/workflows and the like"},
    {"protected_branches", FIELD_TEXTS, AT(git.protected_branches), .check = check_branch_pattern,
     .help = "patterns of branches that are never pushed to, beside the default and base branch"},
    {"fetch_timeout_secs", FIELD_INT, AT(git.fetch_timeout_secs),
     RANGE(1, 86400, "1800", "seconds"), .help = "how long fetching a repository may take"},
    {"push_timeout_secs", FIELD_INT, AT(git.push_timeout_secs), RANGE(1, 86400, "600", "seconds"),
     .help = "how long a push may take, and how long one that finds no server is tried again"},
    {"min_free_bytes", FIELD_INT64, AT(git.min_free_bytes),
     RANGE(0, (int64_t)1 << 50, "1073741824", "bytes"),
     .help = "free space on the host below which no repository is fetched"},
    {"hook_timeout_secs", FIELD_INT, AT(git.hook_timeout_secs), RANGE(1, 86400, "300", "seconds"),
     .help = "how long each hook may take"},
    {"after_create", FIELD_TEXTS, FIELD_RAW, AT(git.after_create), .max = 32768,
     .help = "command that runs in a workspace once it was made, as the agent does"},
    {"before_run", FIELD_TEXTS, FIELD_RAW, AT(git.before_run), .max = 32768,
     .help = "command that runs before each agent; when it fails the agent does not start"},
    {"after_run", FIELD_TEXTS, FIELD_RAW, AT(git.after_run), .max = 32768,
     .help = "command that runs after each agent, whatever came of it"},
    {"before_remove", FIELD_TEXTS, FIELD_RAW, AT(git.before_remove), .max = 32768,
     .help = "command that runs before a workspace is removed"},
    {0},
};

static const struct config_field orchestrator_fields[] = {
    {"task_timeout_secs", FIELD_INT, AT(orchestrator.task_timeout_secs),
     RANGE(1, 604800, "1800", "seconds"),
     .help = "how long a run may take, unless its task says otherwise; then it is stopped"},
    {"default_max_retries", FIELD_INT, AT(orchestrator.default_max_retries),
     RANGE(0, 100, "2", "runs"),
     .help = "how many follow failed ones, unless the task says otherwise"},
    {"retry_on", FIELD_TEXTS, FIELD_ONE, AT(orchestrator.retry_on), .text = "all",
     .one_of = FLEET_RETRY_WORDS,
     .help = "which failures are tried again, by class or reason; what cannot help is never"},
    {"dispatch_interval_secs", FIELD_INT, AT(orchestrator.dispatch_interval_secs),
     RANGE(1, 3600, "10", "seconds"),
     .help = "time between two looks for work when no notification comes"},
    {"start_timeout_secs", FIELD_INT, AT(orchestrator.start_timeout_secs),
     RANGE(1, 86400, "300", "seconds"),
     .help = "time from the claim until the run must be proven started; then it is given back"},
    {"silence_timeout_secs", FIELD_INT, AT(orchestrator.silence_timeout_secs),
     RANGE(1, 604800, "900", "seconds"),
     .help = "time without output or progress after which a run is stopped (four times that while "
             "a tool "
             "call runs); an adapter may differ"},
    {"provider_timeout_secs", FIELD_INT, AT(orchestrator.provider_timeout_secs),
     RANGE(1, 604800, "300", "seconds"),
     .help = "how long an agent may ask its provider in vain; then its run is stopped"},
    {"max_attempts_total", FIELD_INT, AT(orchestrator.max_attempts_total),
     RANGE(1, 1000, "10", "runs"),
     .help =
         "how many a task may have, for whatever reason, unless it says otherwise; then it fails"},
    {"max_output_bytes", FIELD_INT64, AT(orchestrator.max_output_bytes),
     RANGE(4096, (int64_t)1 << 40, "268435456", "bytes"),
     .help = "size of one stream of output at which a run is stopped"},
    {"heartbeat_interval_secs", FIELD_INT, AT(orchestrator.heartbeat_interval_secs),
     RANGE(1, 3600, "60", "seconds"),
     .help = "time between two heartbeats of an agent that polls by HTTP"},
    {"heartbeat_timeout_threshold", FIELD_INT, AT(orchestrator.heartbeat_timeout_threshold),
     RANGE(1, 1000, "3", "heartbeats"),
     .help = "how many may be missed; then such an agent is offline and its tasks go back"},
    {"handover_ack_secs", FIELD_INT, AT(orchestrator.handover_ack_secs),
     RANGE(1, 3600, "60", "seconds"),
     .help = "time in which an agent has to report running for a task that it was handed; then the "
             "task "
             "goes back"},
    {"http_pull_token", FIELD_TEXT, FIELD_SECRET | FIELD_SERVER_ONLY,
     AT(orchestrator.http_pull_token), .check = check_shared_token,
     .help =
         "20 characters or more: one token for all agents that poll by HTTP, so any holder can be "
         "any agent"},
    LATER("on_lost"),
    LATER("reattach_window_secs"),
    {"max_reviews", FIELD_INT, AT(orchestrator.max_reviews), RANGE(0, 100, "3", "runs"),
     .help = "how many may follow reviews and failed checks of a pull request, until a person says "
             "continue"},
    {0},
};

static const struct config_field metrics_fields[] = {
    {"public", FIELD_FLAG, AT(metrics.is_public), .text = "false",
     .help = "true: GET /metrics asks for no token; else for one of scope read"},
    {0},
};

#define VARIABLE(member) .offset = offsetof(struct config_variable, member)

static const struct config_field variable_fields[] = {
    {"value", FIELD_TEXT, FIELD_SECRET | FIELD_WORKER_ONLY, VARIABLE(value), .max = 8192,
     .help = "text without control characters"},
    {0},
};

static const struct config_field adapter_fields[] = {
    {"command", FIELD_TEXTS, FIELD_RAW, ADAPTER(command), .min = 1, .max = 32768,
     .help = "the program and its arguments; {work_dir} {task_id} {branch} {run_dir} {model} "
             "{session} {workspace} {prompt_file} are filled in, the prompt comes on stdin; when "
             "not given that of the agent of this name that is built in"},
    {"resume", FIELD_TEXTS, FIELD_RAW, ADAPTER(resume), .min = 1, .max = 32768,
     .help = "the same, to go on with an earlier {session}; when not given every run begins anew"},
    {"output", FIELD_TEXT, ADAPTER(output), .text = "text",
     .one_of = "text|codex-json|claude-json|opencode-json|gemini-json|aider",
     .help = "how its output is read: as it is, or as the events of that agent"},
    {"versions", FIELD_FLAG, ADAPTER(versions), .text = "false",
     .help = "true: its program is asked for --version, once for each host"},
    {"silence_timeout_secs", FIELD_INT, ADAPTER(silence_timeout_secs),
     RANGE(1, 604800, NULL, "seconds"),
     .help =
         "time without output after which its runs are stopped; when not given the orchestrator's, "
         "and for text none"},
    {"env", FIELD_ITEMS, FIELD_NAMED | FIELD_PLAIN, ADAPTER(env), .max = 64,
     .check = check_variable, .fields = variable_fields, .size = sizeof(struct config_variable),
     .count_offset = offsetof(struct config_adapter, env_count),
     .help = "variables of its runs' environment; values are secret: never shown or stored"},
    {0},
};

static const struct config_field agent_fields[] = {
    {"agent_type", FIELD_TEXT, FIELD_REQUIRED, AGENT(agent_type), .check = check_name,
     .help = "codex-cli, claude-code, opencode, gemini-cli, aider, or a name under adapters"},
    {"max_concurrency", FIELD_INT, AGENT(max_concurrency), RANGE(1, 256, "1", "runs"),
     .help = "how many of it at once on this host"},
    {"capabilities", FIELD_TEXTS, FIELD_CAPABILITY, AGENT(capabilities), .check = check_capability,
     .help = "which agent:X labels it serves, with or without agent: in front"},
    {"profile", FIELD_TEXT, AGENT(profile), .text = "sandboxed", .one_of = "sandboxed|full",
     .help = "sandboxed: with the agent's own sandbox; full: without"},
    {"model", FIELD_TEXT, AGENT(model), .max = 200, .check = check_model,
     .help = "which model it is told to use; when not given its own choice"},
    {"account", FIELD_TEXT, AGENT(account), .max = 129, .check = check_account,
     .help = "name of the provider's account that it uses: who shares one shares its quota; when "
             "not given host_id/agent_type"},
    {"isolation", FIELD_TEXT, AGENT(isolation), .text = "shared", .one_of = "shared|separate",
     .help = "shared: runs as the host's login, all runs can read and forge each other; separate: "
             "each slot has an account of run_as"},
    {"run_as", FIELD_TEXTS, AGENT(run_as), .check = check_user,
     .help = "accounts for isolation: separate, one for each of max_concurrency, used by nobody "
             "else"},
    {"sandbox", FIELD_TEXT, AGENT(sandbox), .text = "none", .one_of = "none|bwrap",
     .help = "bwrap: by bubblewrap, only the workspace and writable can be written to"},
    {"writable", FIELD_TEXTS, AGENT(writable), .check = check_writable,
     .help =
         "of sandbox: bwrap: paths that may be written to, ~/ is the home of the agent's account, "
         "one with / at its end is made; when not given what the agent needs in its home"},
    {0},
};

const struct config_field config_host_fields[] = {
    {"host_id", FIELD_TEXT, FIELD_REQUIRED, HOST(host_id), .check = check_name,
     .help = "its name in the fleet; for ever the same"},
    {"hostname", FIELD_TEXT, FIELD_REQUIRED, HOST(hostname), .check = check_host,
     .help = "name or address; \"localhost\" needs no SSH"},
    {"ssh_user", FIELD_TEXT, HOST(ssh_user), .check = check_user,
     .help = "login on the host; every host but localhost needs it"},
    {"ssh_port", FIELD_INT, HOST(ssh_port), RANGE(1, 65535, "22", "TCP port"),
     .help = "where its sshd listens"},
    {"ssh_key_path", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH, HOST(ssh_key_path),
     .help = "ed25519 or ECDSA private key without passphrase, mode 600; every host but localhost "
             "needs it"},
    {"known_hosts", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH, HOST(known_hosts),
     .text = "~/.ssh/known_hosts",
     .help = "file with the host's own key, which is checked strictly"},
    {"work_dir", FIELD_TEXT, FIELD_REQUIRED, HOST(work_dir), .check = check_work_dir,
     .help = "absolute path on the host; everything of the fleet lies in it"},
    {"workspace", FIELD_TEXT, HOST(workspace), .text = "plain", .one_of = "plain|git",
     .help = "plain: a directory of its own for each task; git: a clone of the task's repository "
             "in it, whose branch is pushed"},
    {"repositories", FIELD_TEXTS, HOST(repositories), .text = "*", .check = check_host_repository,
     .help = "owner/name, owner/* or \"*\", and none (no repository): whose tasks it takes"},
    {"agents", FIELD_ITEMS, FIELD_REQUIRED, HOST(agents), .fields = agent_fields,
     .size = sizeof(struct config_agent), .count_offset = offsetof(struct config_host, agent_count),
     .help = "what runs there"},
    {0},
};

const struct config_field config_fields[] = {
    {"server", FIELD_GROUP, .fields = server_fields,
     .about = "where servers listen, and whom they believe"},
    {"database", FIELD_GROUP, .fields = database_fields,
     .about = "the PostgreSQL that holds all state"},
    {"forgejo", FIELD_GROUP, .fields = config_forgejo_fields, .about = "whose issues become tasks"},
    {"git", FIELD_GROUP, .fields = git_fields,
     .about = "how hosts with workspace: git come to a task's repository, and what is pushed"},
    {"orchestrator", FIELD_GROUP, .fields = orchestrator_fields,
     .about = "limits of runs, and of agents that poll by HTTP"},
    {"adapters", FIELD_ITEMS, FIELD_NAMED, AT(adapters), .check = check_name,
     .fields = adapter_fields, .size = sizeof(struct config_adapter),
     .count_offset = offsetof(struct config, adapter_count),
     .about =
         "agents beside codex-cli, claude-code, opencode, gemini-cli and aider, which are known",
     .help = "how each is called; its name is what agents[].agent_type says"},
    {"hosts", FIELD_ITEMS, AT(hosts), .fields = config_host_fields,
     .size = sizeof(struct config_host), .count_offset = offsetof(struct config, host_count),
     .about = "the machines that run agents, beside those that the API makes",
     .help = "an entry for each; a host that the API made by the same name is hidden by it"},
    {"metrics", FIELD_GROUP, .fields = metrics_fields,
     .about = "what GET /metrics of the servers shows"},
    {0},
};
