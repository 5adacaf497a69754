#include "common/config/schema.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define WORD LETTERS "0123456789._-"
#define NOT_YET "not supported by this version yet; remove it"

/* ---- What a text must look like ---- */

static const char *check_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 64 && strspn(text, WORD) == len
               ? NULL
               : "1 to 64 of the characters A-Z a-z 0-9 . _ -";
}

static const char *check_address(const char *text)
{
    unsigned char address[16];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1
               ? NULL
               : "an IPv4 or IPv6 address, e.g. 127.0.0.1";
}

static const char *check_network(const char *text)
{
    static const char right[] = "an address or a network, e.g. 127.0.0.1 or 10.0.0.0/8";
    char address[64];
    unsigned char binary[16];
    size_t len = strcspn(text, "/");
    if (len >= sizeof address)
        return right;
    memcpy(address, text, len);
    address[len] = '\0';
    long most = inet_pton(AF_INET, address, binary) == 1    ? 32
                : inet_pton(AF_INET6, address, binary) == 1 ? 128
                                                            : -1;
    if (most < 0)
        return right;
    if (text[len] == '\0')
        return NULL;
    const char *digits = text + len + 1;
    size_t count = strspn(digits, "0123456789");
    return count > 0 && count <= 3 && digits[count] == '\0' && strtol(digits, NULL, 10) <= most
               ? NULL
               : right;
}

static const char *check_host(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 253 && text[0] != '-' && strspn(text, WORD ":") == len
               ? NULL
               : "a host name or an address, without a scheme";
}

static const char *check_public_host(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 260 && text[0] != '-' && strspn(text, WORD ":[]") == len
               ? NULL
               : "a host name as clients write it, e.g. fleet.example.org, with the port if not "
                 "443";
}

static const char *check_user(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 64 && text[0] != '-' && strspn(text, WORD) == len
               ? NULL
               : "a login name of the characters A-Z a-z 0-9 . _ -";
}

static const char *check_database(const char *text)
{
    return strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0
               ? NULL
               : "a URL that begins with postgresql://";
}

static const char *check_url(const char *text)
{
    static const char right[] = "the address of the Forgejo, e.g. https://git.example.org";
    const char *rest = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    return *rest != '\0' && *rest != '/' && strpbrk(rest, "@?# ") == NULL ? NULL : right;
}

/* "owner/name", "owner/" and "*", or "*". */
static const char *check_repository(const char *text)
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

static const char *check_login(const char *text)
{
    return strcmp(text, "*") == 0 ||
                   (text[strspn(text, WORD)] == '\0' && strlen(text) <= 100 && text[0] != '\0')
               ? NULL
               : "a Forgejo login, or \"*\"";
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

/* ---- The tables ---- */

#define AT(member) .offset = offsetof(struct config, member)
#define HOST(member) .offset = offsetof(struct config_host, member)
#define AGENT(member) .offset = offsetof(struct config_agent, member)
#define ADAPTER(member) .offset = offsetof(struct config_adapter, member)
#define RANGE(low, high, standard) .min = (low), .max = (high), .fallback = (standard)
/* clang-format off */
#define LATER(name) {name, FIELD_LATER, .text = NOT_YET}
/* clang-format on */

static const struct config_field server_fields[] = {
    {"bind", FIELD_TEXT, AT(server.bind), .text = "127.0.0.1", .check = check_address},
    {"port", FIELD_INT, AT(server.port), RANGE(0, 65535, 9090)},
    {"max_body_bytes", FIELD_INT64, AT(server.max_body_bytes), RANGE(1024, 64 << 20, 1 << 20)},
    {"trusted_proxies", FIELD_TEXTS, AT(server.trusted_proxies), .check = check_network},
    {"public_hosts", FIELD_TEXTS, AT(server.public_hosts), .check = check_public_host},
    {"insecure_open", FIELD_FLAG, AT(server.insecure_open)},
    {"db_path", FIELD_LATER, .text = "replaced; give database.url, a PostgreSQL URL"},
    {0},
};

static const struct config_field database_fields[] = {
    {"url", FIELD_TEXT, FIELD_REQUIRED | FIELD_URL, AT(database.url), .max = 4096,
     .check = check_database},
    {"listen_url", FIELD_TEXT, FIELD_URL, AT(database.listen_url), .max = 4096,
     .check = check_database},
    {"connections", FIELD_INT, AT(database.connections), RANGE(1, 16, 4)},
    {"insecure_plaintext", FIELD_FLAG, AT(database.insecure_plaintext)},
    {"db_path", FIELD_LATER, .text = "replaced; give database.url, a PostgreSQL URL"},
    {0},
};

static const struct config_field forgejo_fields[] = {
    {"url", FIELD_TEXT, FIELD_URL, AT(forgejo.url), .check = check_url},
    {"webhook_secret", FIELD_TEXT, FIELD_SECRET | FIELD_SERVER_ONLY, AT(forgejo.webhook_secret)},
    {"webhook_secret_previous", FIELD_TEXT, FIELD_SECRET | FIELD_SERVER_ONLY,
     AT(forgejo.webhook_secret_previous)},
    {"repositories", FIELD_TEXTS, AT(forgejo.repositories), .check = check_repository},
    {"trigger_users", FIELD_TEXTS, AT(forgejo.trigger_users), .check = check_login},
    LATER("token"),
    {0},
};

static const struct config_field orchestrator_fields[] = {
    {"task_timeout_secs", FIELD_INT, AT(orchestrator.task_timeout_secs), RANGE(1, 604800, 1800)},
    {"default_max_retries", FIELD_INT, AT(orchestrator.default_max_retries), RANGE(0, 100, 2)},
    {"retry_on", FIELD_TEXT, AT(orchestrator.retry_on), .text = "all", .one_of = "all",
     .later = "infrastructure|none"},
    {"dispatch_interval_secs", FIELD_INT, AT(orchestrator.dispatch_interval_secs),
     RANGE(1, 3600, 10)},
    {"start_timeout_secs", FIELD_INT, AT(orchestrator.start_timeout_secs), RANGE(1, 86400, 300)},
    {"silence_timeout_secs", FIELD_INT, AT(orchestrator.silence_timeout_secs),
     RANGE(1, 604800, 900)},
    {"max_attempts_total", FIELD_INT, AT(orchestrator.max_attempts_total), RANGE(1, 1000, 10)},
    {"max_output_bytes", FIELD_INT64, AT(orchestrator.max_output_bytes),
     RANGE(4096, (int64_t)1 << 40, 256 << 20)},
    LATER("heartbeat_interval_secs"),
    LATER("heartbeat_timeout_threshold"),
    LATER("on_lost"),
    LATER("reattach_window_secs"),
    LATER("max_reviews"),
    LATER("http_pull_token"),
    {0},
};

static const struct config_field adapter_fields[] = {
    {"command", FIELD_TEXTS, FIELD_REQUIRED | FIELD_RAW, ADAPTER(command), .min = 1, .max = 32768},
    {"output", FIELD_TEXT, ADAPTER(output), .text = "text", .one_of = "text|codex-json",
     .later = "claude-stream-json|opencode-json|gemini-stream-json"},
    {0},
};

static const struct config_field agent_fields[] = {
    {"agent_type", FIELD_TEXT, FIELD_REQUIRED, AGENT(agent_type), .check = check_name},
    {"max_concurrency", FIELD_INT, AGENT(max_concurrency), RANGE(1, 256, 1)},
    {"capabilities", FIELD_TEXTS, FIELD_CAPABILITY, AGENT(capabilities), .check = check_capability},
    {"profile", FIELD_TEXT, AGENT(profile), .text = "sandboxed", .one_of = "sandboxed|full"},
    {0},
};

static const struct config_field host_fields[] = {
    {"host_id", FIELD_TEXT, FIELD_REQUIRED, HOST(host_id), .check = check_name},
    {"hostname", FIELD_TEXT, FIELD_REQUIRED, HOST(hostname), .check = check_host},
    {"ssh_user", FIELD_TEXT, HOST(ssh_user), .check = check_user},
    {"ssh_port", FIELD_INT, HOST(ssh_port), RANGE(1, 65535, 22)},
    {"ssh_key_path", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH, HOST(ssh_key_path)},
    {"known_hosts", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH, HOST(known_hosts),
     .text = "~/.ssh/known_hosts"},
    {"work_dir", FIELD_TEXT, FIELD_REQUIRED, HOST(work_dir), .check = check_work_dir},
    {"workspace", FIELD_TEXT, HOST(workspace), .text = "plain", .one_of = "plain", .later = "git"},
    {"repositories", FIELD_TEXTS, HOST(repositories), .text = "*", .check = check_repository},
    {"agents", FIELD_ITEMS, FIELD_REQUIRED, HOST(agents), .fields = agent_fields,
     .size = sizeof(struct config_agent),
     .count_offset = offsetof(struct config_host, agent_count)},
    {0},
};

const struct config_field config_fields[] = {
    {"server", FIELD_GROUP, .fields = server_fields},
    {"database", FIELD_GROUP, .fields = database_fields},
    {"forgejo", FIELD_GROUP, .fields = forgejo_fields},
    {"orchestrator", FIELD_GROUP, .fields = orchestrator_fields},
    {"adapters", FIELD_ITEMS, FIELD_NAMED, AT(adapters), .check = check_name,
     .fields = adapter_fields, .size = sizeof(struct config_adapter),
     .count_offset = offsetof(struct config, adapter_count)},
    {"hosts", FIELD_ITEMS, AT(hosts), .fields = host_fields, .size = sizeof(struct config_host),
     .count_offset = offsetof(struct config, host_count)},
    LATER("metrics"),
    {0},
};
