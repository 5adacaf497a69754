/* What one row of the schema cannot see. Runs on a tree that was read without problems, so list
 * entries of the tree and of struct config stand at the same index. */
#include <string.h>

#include "common/config/read.h"
#include "common/network.h"
#include "common/text.h"

#define COMMAND_MAX 65536 /* bytes: it travels with every attempt, and execve has a limit */

/* "user:password@" or a password parameter in a database URL. */
bool config_url_has_password(const char *url)
{
    const char *scheme = strstr(url, "://");
    if (scheme == NULL)
        return false;
    const char *rest = scheme + 3;
    size_t user = strcspn(rest, "@/"); /* as libpq's conninfo_uri_parse_options */
    bool inside = rest[user] == '@' && memchr(rest, ':', user) != NULL;
    return inside || strstr(rest, "password=") != NULL;
}

static const struct tree_node *child(const struct tree_node *map, const char *key)
{
    return map != NULL && map->kind == TREE_MAP ? tree_child(map, key) : NULL;
}

static const struct tree_node *entry(const struct tree_node *list, size_t index)
{
    const struct tree_node *node = list != NULL ? list->first : NULL;
    while (node != NULL && index-- > 0)
        node = node->next;
    return node;
}

/* ---- Adapters and the agents that use them ---- */

#define KNOWN_AGENTS "codex-cli, claude-code, opencode, gemini-cli and aider"

static bool is_built_in(const char *agent_type)
{
    static const char *const known[] = {"codex-cli",  "claude-code", "opencode",
                                        "gemini-cli", "aider",       NULL};
    return text_listed(agent_type, known);
}

/* NULL: it has no entry. */
static const struct config_adapter *find_adapter(const struct config_reading *reading,
                                                 const char *agent_type)
{
    const struct config *config = reading->beside != NULL ? reading->beside : reading->config;
    for (size_t i = 0; i < config->adapter_count; i++) {
        if (strcmp(config->adapters[i].agent_type, agent_type) == 0)
            return &config->adapters[i];
    }
    return NULL;
}

static bool names(const struct config_list *command, const char *placeholder)
{
    for (size_t i = 0; i < command->count; i++) {
        if (strstr(command->items[i], placeholder) != NULL)
            return true;
    }
    return false;
}

/* A worker leaves out what it cannot start of a host that the API made: others may know it. */
static void check_adapter_of(struct config_reading *reading, const struct config_agent *agent,
                             const struct tree_node *node)
{
    const struct config_adapter *adapter = find_adapter(reading, agent->agent_type);
    bool elsewhere = reading->beside != NULL && reading->node == CONFIG_WORKER;
    if (adapter == NULL && !elsewhere && !is_built_in(agent->agent_type))
        config_problem(reading, tree_child(node, "agent_type"),
                       "no adapter is known for %s; use one of " KNOWN_AGENTS
                       ", or describe its command under adapters: { %s: { command: [ … ] } }",
                       agent->agent_type, agent->agent_type);
    if (adapter == NULL || adapter->command.count == 0)
        return;
    bool named = names(&adapter->command, "{model}") || names(&adapter->resume, "{model}");
    if (named && agent->model == NULL)
        config_problem(reading, node,
                       "no model is given, and the command of adapters.%s names {model}; say "
                       "model: … here, or take {model} out there",
                       agent->agent_type);
    if (!named && agent->model != NULL)
        config_problem(reading, tree_child(node, "model"),
                       "%s would never hear of it: the command of adapters.%s names no {model}",
                       agent->agent_type, agent->agent_type);
}

static bool is_another_slots(const struct config_host *host, size_t agent, const char *name)
{
    for (size_t i = 0; i < agent; i++) {
        const struct config_list *names = &host->agents[i].run_as;
        for (size_t j = 0; j < names->count; j++) {
            if (strcmp(names->items[j], name) == 0)
                return true;
        }
    }
    return false;
}

/* An account for each slot, which nobody else has. */
static void check_accounts(struct config_reading *reading, const struct config_host *host,
                           size_t index, const struct tree_node *node)
{
    const struct config_agent *agent = &host->agents[index];
    const struct tree_node *at = tree_child(node, "run_as");
    bool separate = strcmp(agent->isolation, "separate") == 0;
    if (separate && agent->run_as.count < (size_t)agent->max_concurrency)
        config_problem(reading, at != NULL ? at : node,
                       "isolation: separate needs an account for each slot: run_as names %zu, "
                       "max_concurrency is %d",
                       agent->run_as.count, agent->max_concurrency);
    if (!separate && agent->run_as.count > 0)
        config_problem(reading, at, "run_as is for isolation: separate");
    if (strcmp(agent->sandbox, "bwrap") != 0 && agent->writable.count > 0)
        config_problem(reading, tree_child(node, "writable"), "writable is for sandbox: bwrap");
    for (size_t i = 0; i < agent->run_as.count; i++) {
        const char *name = agent->run_as.items[i];
        if (is_another_slots(host, index, name))
            config_problem(reading, entry(at, i), "%s is another slot's already", name);
        if (strcmp(name, "root") == 0 || name[0] == '-' || name[0] == '.' ||
            (host->ssh_user != NULL && strcmp(name, host->ssh_user) == 0))
            config_problem(reading, entry(at, i), "%s cannot be the account of a slot", name);
    }
}

static void check_agents(struct config_reading *reading, const struct config_host *host,
                         const struct tree_node *node)
{
    const struct tree_node *list = tree_child(node, "agents");
    if (host->agent_count == 0)
        config_warning(reading, list, "no agents; this host runs nothing");
    for (size_t i = 0; i < host->agent_count; i++) {
        const struct config_agent *agent = &host->agents[i];
        const struct tree_node *at = entry(list, i);
        const struct tree_node *type = tree_child(at, "agent_type");
        for (size_t j = 0; j < i; j++) {
            if (strcmp(host->agents[j].agent_type, agent->agent_type) == 0)
                config_problem(reading, type,
                               "%s stands in agents[%zu] already; give one entry with a higher "
                               "max_concurrency",
                               agent->agent_type, j);
        }
        check_adapter_of(reading, agent, at);
        check_accounts(reading, host, i, at);
        if (strcmp(agent->profile, "full") == 0)
            config_warning(reading, tree_child(at, "profile"),
                           "full: %s runs on this host without a sandbox", agent->agent_type);
    }
}

/* What SSH needs. */
static void check_way_in(struct config_reading *reading, const struct config_host *host,
                         const struct tree_node *node)
{
    static const char *const needed[] = {"ssh_user", "ssh_key_path"};
    static const char *const files[] = {"ssh_key_path", "known_hosts"};
    struct error err;
    for (size_t i = 0; i < 2; i++) {
        if (tree_child(node, needed[i]) == NULL)
            config_problem(reading, node, "%s is missing; every host but localhost needs it",
                           needed[i]);
    }
    for (size_t i = 0; i < 2 && reading->check_host != NULL && host->ssh_key_path != NULL; i++) {
        const struct tree_node *at = tree_child(node, files[i]);
        if (!reading->check_host(host, files[i], &err))
            config_problem(reading, at != NULL ? at : node, "%s", err.text);
    }
}

/* A clone needs somewhere to come from. */
static void check_workspace(struct config_reading *reading, const struct config_host *host,
                            const struct tree_node *node)
{
    const struct config *config = reading->beside != NULL ? reading->beside : reading->config;
    if (strcmp(host->workspace, "git") == 0 && config->git.url == NULL &&
        config->forgejo.url == NULL)
        config_problem(reading, node,
                       "git needs to know where repositories are: set git.url, or forgejo.url");
}

/* What is read where the URL's scheme does not ask for it is a mistake. */
static void check_git(struct config_reading *reading, const struct tree_node *root)
{
    const struct config *config = reading->config;
    const struct tree_node *git = child(root, "git");
    const char *url = config->git.url != NULL ? config->git.url : config->forgejo.url;
    if (git == NULL || url == NULL)
        return;
    bool http = strncmp(url, "http", 4) == 0, ssh = strncmp(url, "ssh:", 4) == 0;
    if (!http && child(git, "password") != NULL)
        config_problem(reading, child(git, "password"), "is for an https:// URL, not for %s", url);
    if (!ssh && child(git, "ssh_key_path") != NULL)
        config_problem(reading, child(git, "ssh_key_path"), "is for an ssh:// URL, not for %s",
                       url);
    if (ssh && child(git, "ssh_key_path") != NULL && child(git, "known_hosts") == NULL)
        config_problem(reading, git,
                       "known_hosts is missing: the server's key could not be verified; "
                       "ssh-keyscan shows it, compare it there");
    if (http && child(git, "password") != NULL && strncmp(url, "http:", 5) == 0)
        config_warning(reading, child(git, "password"),
                       "the URL is not https: whoever is on the way can read it");
}

void config_check_host(struct config_reading *reading, size_t index, const struct tree_node *node)
{
    const struct config *config = reading->config;
    const struct config_host *host = &config->hosts[index];
    for (size_t i = 0; i < index; i++) {
        if (strcmp(config->hosts[i].host_id, host->host_id) == 0)
            config_problem(reading, tree_child(node, "host_id"),
                           "%s is the name of hosts[%zu] already; names must differ", host->host_id,
                           i);
    }
    if (strcmp(host->hostname, "localhost") != 0)
        check_way_in(reading, host, node);
    check_workspace(reading, host, tree_child(node, "workspace"));
    check_agents(reading, host, node);
}

static void check_server(struct config_reading *reading, const struct tree_node *root)
{
    const struct config *config = reading->config;
    const struct tree_node *open = child(child(root, "server"), "insecure_open");
    const char *bind = config->server.bind;
    if (open == NULL || !config->server.insecure_open || reading->node != CONFIG_SERVER)
        return;
    config_warning(reading, open, "true: everybody who reaches the port may do everything");
    if (!network_is_loopback(bind))
        config_problem(reading, open,
                       "true wants a loopback address in server.bind, not %s; set 127.0.0.1 or "
                       "false",
                       bind);
}

static void check_orchestrator(struct config_reading *reading, const struct tree_node *root)
{
    const struct tree_node *token = child(child(root, "orchestrator"), "http_pull_token");
    if (token != NULL && reading->node == CONFIG_SERVER)
        config_warning(reading, token,
                       "any holder can be any agent; tokens of single agents are "
                       "made by fleet-server token create --scope agent");
}

/* "{word}" in an argument that nobody fills in: perhaps a typing error, perhaps meant so. */
static void check_command(struct config_reading *reading, const struct config_list *command,
                          const struct tree_node *list, const char *known)
{
    size_t bytes = 0;
    for (size_t i = 0; i < command->count; i++)
        bytes += strlen(command->items[i]) + 1;
    if (bytes > COMMAND_MAX)
        config_problem(reading, list, "has %zu bytes; a command has at most %d", bytes,
                       COMMAND_MAX);
    for (size_t i = 0; i < command->count; i++) {
        const char *word = strchr(command->items[i], '{');
        for (; word != NULL; word = strchr(word + 1, '{')) {
            size_t len = 1 + strspn(word + 1, "abcdefghijklmnopqrstuvwxyz_");
            if (len == 1 || len > 30 || word[len] != '}' ||
                memmem(known, strlen(known), word, len + 1) != NULL)
                continue;
            config_warning(reading, entry(list, i), "%.*s is passed as it is; placeholders are %s",
                           (int)len + 1, word, known);
        }
    }
}

#define PLACEHOLDERS "{work_dir} {task_id} {branch} {run_dir} {workspace}"

static void check_adapter(struct config_reading *reading, const struct config_adapter *adapter,
                          const struct tree_node *node)
{
    static const char known[] = PLACEHOLDERS " {model} {session} {prompt_file}";
    static const char *const its_own[] = {"resume", "output", "versions"};
    const struct tree_node *resume = child(node, "resume");
    check_command(reading, &adapter->command, child(node, "command"), known);
    check_command(reading, &adapter->resume, resume, known);
    if (adapter->command.count == 0 && !is_built_in(adapter->agent_type))
        config_problem(reading, node, "command is missing; those of " KNOWN_AGENTS " are built in");
    for (size_t i = 0; adapter->command.count == 0 && i < 3; i++) {
        if (child(node, its_own[i]) != NULL && is_built_in(adapter->agent_type))
            config_problem(reading, child(node, its_own[i]),
                           "%s goes with a command; that of %s is built in, and so is this",
                           its_own[i], adapter->agent_type);
    }
    if (adapter->resume.count > 0 && !names(&adapter->resume, "{session}"))
        config_problem(reading, resume,
                       "names no {session}; with it, it says which session goes on");
}

static void check_hooks(struct config_reading *reading, const struct tree_node *root)
{
    const struct config *config = reading->config;
    const struct {
        const char *key;
        const struct config_list *command;
    } hooks[] = {{"after_create", &config->git.after_create},
                 {"before_run", &config->git.before_run},
                 {"after_run", &config->git.after_run},
                 {"before_remove", &config->git.before_remove}};
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++)
        check_command(reading, hooks[i].command, child(child(root, "git"), hooks[i].key),
                      PLACEHOLDERS);
}

static void check_database(struct config_reading *reading, const struct tree_node *root)
{
    const struct config *config = reading->config;
    const struct tree_node *database = child(root, "database");
    const char *const urls[][2] = {{"url", config->database.url},
                                   {"listen_url", config->database.listen_url}};
    struct error err;
    if (config->database.insecure_plaintext)
        config_warning(reading, child(database, "insecure_plaintext"),
                       "true: unless the database is local, whoever is on the way can read and "
                       "change what is sent");
    for (size_t i = 0; i < 2 && reading->check_url != NULL; i++) {
        if (urls[i][1] != NULL &&
            !reading->check_url(urls[i][1], config->database.insecure_plaintext, &err))
            config_problem(reading, child(database, urls[i][0]), "%s", err.text);
    }
}

void config_check(struct config_reading *reading, const struct tree_node *root)
{
    const struct config *config = reading->config;
    const struct tree_node *hosts = child(root, "hosts");
    check_database(reading, root);
    if (reading->node == CONFIG_COMMAND)
        return;
    config_check_forgejo(reading, tree_child(root, "forgejo"));
    if (reading->node == CONFIG_DOCTOR)
        return;
    check_server(reading, root);
    check_orchestrator(reading, root);
    check_git(reading, root);
    for (size_t i = 0; i < config->adapter_count; i++)
        check_adapter(reading, &config->adapters[i], entry(child(root, "adapters"), i));
    check_hooks(reading, root);
    for (size_t i = 0; i < config->host_count; i++)
        config_check_host(reading, i, entry(hosts, i));
    if (config->host_count == 0 && reading->node == CONFIG_WORKER)
        config_warning(reading, hosts != NULL ? hosts : root, "no hosts; this worker runs nothing");
}
