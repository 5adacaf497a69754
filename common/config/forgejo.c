/* The keys of the group forgejo. */
#include <string.h>

#include "common/config/read.h"
#include "common/fetch/address.h"

static const char *check_url(const char *text)
{
    static const char right[] = "the address of the Forgejo, e.g. https://git.example.org";
    const char *rest = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    return *rest != '\0' && *rest != '/' && strpbrk(rest, "@?# ") == NULL ? NULL : right;
}

static const char *check_login(const char *text)
{
    return strcmp(text, "*") == 0 ? NULL
                                  : config_form(text, WORD, 100, "a Forgejo login, or \"*\"");
}

static const char *check_context(const char *text)
{
    return strlen(text) <= 255 ? NULL : "the name of a check, as Forgejo shows it";
}

static const char *check_webhook_url(const char *text)
{
    static const char path[] = "/api/v1/webhooks/forgejo";
    size_t len = strlen(text);
    bool good = (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0) &&
                len > sizeof path + 8 && strcmp(text + len - (sizeof path - 1), path) == 0 &&
                strpbrk(text, "@?# ") == NULL;
    return good ? NULL
                : "the address of this fleet as the Forgejo reaches it, e.g. "
                  "https://fleet.example.org/api/v1/webhooks/forgejo";
}

#define EVENTS                                                                            \
    "issues|issue_assign|issue_label|issue_milestone|issue_comment|pull_request|"         \
    "pull_request_assign|pull_request_label|pull_request_milestone|pull_request_comment|" \
    "pull_request_sync|pull_request_review_request|pull_request_review_approved|"         \
    "pull_request_review_rejected|pull_request_review_comment|push|delete"
#define SIGNER(member) .offset = offsetof(struct config_signer, member)
#define RULE(member) .offset = offsetof(struct config_rule, member)

static const struct config_field signer_fields[] = {
    {"repositories", FIELD_TEXTS, FIELD_REQUIRED, SIGNER(repositories), .min = 1,
     .check = config_check_repository,
     .help = "owner/name or owner/*: whose webhooks are signed with it, and with no other"},
    {"secret", FIELD_TEXT, FIELD_REQUIRED | FIELD_SECRET | FIELD_SERVER_ONLY | FIELD_FORGEJO,
     SIGNER(secret), .help = "the key, the same as in the webhook"},
    {"previous", FIELD_TEXT, FIELD_SECRET | FIELD_SERVER_ONLY | FIELD_FORGEJO, SIGNER(previous),
     .help = "is accepted too, while the secret is being changed"},
    {0},
};

static const struct config_field rule_fields[] = {
    {"repositories", FIELD_TEXTS, FIELD_REQUIRED, RULE(repositories), .min = 1,
     .check = config_check_repository, .help = "owner/name, owner/* or \"*\": for which it is"},
    {"approval", FIELD_TEXT, RULE(approval), .one_of = "none|untrusted|always",
     .help = "as forgejo.approval, for these"},
    {"open_pull_request", FIELD_TEXT, RULE(open_pull_request), .one_of = "true|false",
     .help = "as forgejo.open_pull_request, for these"},
    {"on_ci_failure", FIELD_TEXT, RULE(on_ci_failure), .one_of = "ignore|continue",
     .help = "as forgejo.on_ci_failure, for these"},
    {"required_checks", FIELD_TEXTS, RULE(required_checks), .check = check_context,
     .help = "as forgejo.required_checks, for these"},
    {0},
};

const struct config_field config_forgejo_fields[] = {
    {"url", FIELD_TEXT, FIELD_URL, AT(forgejo.url), .check = check_url,
     .help = "http:// or https:// URL at which people and agents find the Forgejo"},
    {"token", FIELD_TEXT, FIELD_SECRET | FIELD_WORKER_ONLY | FIELD_FORGEJO, AT(forgejo.token),
     .help = "of the fleet's own account, with write:issue, write:repository and read:user: issues "
             "are read back and told what happens; without it only trigger_users start work, and "
             "nothing is written to the Forgejo"},
    {"lookup_token", FIELD_TEXT, FIELD_SECRET | FIELD_WORKER_ONLY | FIELD_FORGEJO,
     AT(forgejo.lookup_token),
     .help = "of a repository or site admin, with read:repository: asks what people may do, which "
             "Forgejo tells admins only; when not given the token does"},
    {"ca_file", FIELD_TEXT, FIELD_WORKER_ONLY | FIELD_PATH | FIELD_FORGEJO, AT(forgejo.ca_file),
     .help =
         "certificates (PEM) by which its certificate is verified; when not given the system's"},
    {"insecure_http", FIELD_FLAG, AT(forgejo.insecure_http), .text = "false",
     .help = "true: the token may be sent to an http:// URL that is not loopback"},
    {"timeout_secs", FIELD_INT, AT(forgejo.timeout_secs), RANGE(1, 600, "30", "seconds"),
     .help = "how long an answer of the Forgejo may take"},
    {"connections", FIELD_INT, AT(forgejo.connections), RANGE(1, 32, "4", "connections"),
     .help = "how many each worker has to the Forgejo"},
    {"webhook_secret", FIELD_TEXT, FIELD_SECRET | FIELD_SERVER_ONLY | FIELD_FORGEJO,
     AT(forgejo.webhook_secret),
     .help = "the key that signs webhooks, the same as in Forgejo; without one every webhook is "
             "refused"},
    {"webhook_secret_previous", FIELD_TEXT, FIELD_SECRET | FIELD_SERVER_ONLY | FIELD_FORGEJO,
     AT(forgejo.webhook_secret_previous),
     .help = "is accepted too, while the secret is being changed"},
    {"webhook_secrets", FIELD_ITEMS, AT(forgejo.signers), .fields = signer_fields,
     .size = sizeof(struct config_signer),
     .count_offset = offsetof(struct config, forgejo.signer_count),
     .max = 64, /* each is tried on up to 5 MiB that nobody may have signed */
     .help = "keys of single repositories or owners; webhook_secret is for those that none names"},
    {"webhook_url", FIELD_TEXT, AT(forgejo.webhook_url), .check = check_webhook_url,
     .help = "where the Forgejo reaches the webhook, for fleet-server forgejo doctor"},
    {"repositories", FIELD_TEXTS, AT(forgejo.repositories), .check = config_check_repository,
     .help = "owner/name, owner/* or \"*\": whose issues are taken; empty: none"},
    {"trigger_users", FIELD_TEXTS, AT(forgejo.trigger_users), .check = check_login,
     .help = "logins or \"*\": whose labels start work, without a question to the Forgejo; empty: "
             "with a token whoever may write to the repository, without one nobody"},
    {"events", FIELD_TEXTS, AT(forgejo.events), .one_of = EVENTS,
     .help = "which webhook events are taken, by event type; when not given all that are of use"},
    {"poll_only", FIELD_FLAG, AT(forgejo.poll_only), .text = "false",
     .help = "true: no webhook is expected, the repositories are read every poll_interval_secs"},
    {"poll_interval_secs", FIELD_INT, AT(forgejo.poll_interval_secs),
     RANGE(30, 86400, "300", "seconds"),
     .help = "time between two looks at a repository for what no webhook told"},
    {"approval", FIELD_TEXT, AT(forgejo.approval), .text = "none",
     .one_of = "none|untrusted|always",
     .help = "what waits for a person's /agent approve: nothing that somebody labelled who may "
             "start work; untrusted: what others labelled too; always: everything"},
    {"open_pull_request", FIELD_FLAG, AT(forgejo.open_pull_request), .text = "false",
     .help = "true: after a run that pushed commits the fleet opens a draft pull request"},
    {"on_ci_failure", FIELD_TEXT, AT(forgejo.on_ci_failure), .text = "ignore",
     .one_of = "ignore|continue",
     .help = "continue: a failed check of a task's pull request starts one more run for that "
             "commit"},
    {"required_checks", FIELD_TEXTS, AT(forgejo.required_checks), .check = check_context,
     .help = "which checks count for on_ci_failure; when not given all"},
    {"comments", FIELD_FLAG, AT(forgejo.comments), .text = "true",
     .help = "false: no comment tells on the issue what happens"},
    {"state_labels", FIELD_FLAG, AT(forgejo.state_labels), .text = "true",
     .help = "false: issues get no label fleet/queued, running, review, done or failed"},
    {"commit_statuses", FIELD_FLAG, AT(forgejo.commit_statuses), .text = "true",
     .help = "false: pushed commits get no status agent-fleet/AGENT"},
    {"rules", FIELD_ITEMS, AT(forgejo.rules), .fields = rule_fields,
     .size = sizeof(struct config_rule),
     .count_offset = offsetof(struct config, forgejo.rule_count),
     .help = "what differs for some repositories; the first entry that names one counts"},
    {0},
};

/* ---- What one row cannot see ---- */

static void warn_star(struct config_reading *reading, const struct tree_node *forgejo,
                      const char *key, const struct config_list *list, const char *what)
{
    if (config_list_has(list, "*"))
        config_warning(reading, tree_child(forgejo, key), "\"*\" %s", what);
}

/* What goes to the Forgejo is not for the ears of others. */
static void check_token(struct config_reading *reading, const struct tree_node *forgejo)
{
    const struct config *config = reading->config;
    const struct tree_node *token = tree_child(forgejo, "token");
    if (token == NULL) {
        if (config->forgejo.url != NULL)
            config_warning(reading, forgejo,
                           "no token; nothing is read from the Forgejo or told there, and only "
                           "trigger_users start work");
        if (config->forgejo.poll_only)
            config_problem(reading, tree_child(forgejo, "poll_only"),
                           "true needs a token: nothing can be read without one");
        if (tree_child(forgejo, "lookup_token") != NULL)
            config_problem(reading, tree_child(forgejo, "lookup_token"),
                           "is of use only beside a token");
        return;
    }
    struct error err = {0};
    if (config->forgejo.url == NULL)
        config_problem(reading, token, "needs to know whose it is: set forgejo.url");
    else if (!address_read(config->forgejo.url, true, NULL, &err))
        config_problem(reading, tree_child(forgejo, "url"), "%s", err.text);
    else if (!address_read(config->forgejo.url, config->forgejo.insecure_http, NULL, &err))
        config_problem(reading, token,
                       "would be sent to %s, where whoever is on the way can read it; give an "
                       "https:// URL, or set insecure_http: true",
                       config->forgejo.url);
}

static void check_secret(struct config_reading *reading, const struct tree_node *node,
                         const char *secret)
{
    if (secret != NULL && strlen(secret) < 16)
        config_warning(reading, node,
                       "shorter than 16 characters, so it can be guessed; openssl rand -hex 32 "
                       "makes a good one");
}

static const struct tree_node *entry(const struct tree_node *list, size_t index)
{
    const struct tree_node *node = list->first;
    while (index-- > 0)
        node = node->next;
    return node;
}

static void check_signers(struct config_reading *reading, const struct tree_node *forgejo)
{
    const struct config *config = reading->config;
    const struct tree_node *list = tree_child(forgejo, "webhook_secrets");
    for (size_t i = 0; i < config->forgejo.signer_count; i++)
        check_secret(reading, tree_child(entry(list, i), "secret"),
                     config->forgejo.signers[i].secret);
}

static void check_webhooks(struct config_reading *reading, const struct tree_node *forgejo)
{
    const struct config *config = reading->config;
    if (config->forgejo.webhook_secret == NULL && config->forgejo.signer_count == 0) {
        if (!config->forgejo.poll_only)
            config_warning(reading, forgejo, "no webhook_secret; every webhook is refused");
        return;
    }
    check_secret(reading, tree_child(forgejo, "webhook_secret"), config->forgejo.webhook_secret);
    check_signers(reading, forgejo);
    if (config->forgejo.repositories.count == 0)
        config_warning(reading, forgejo,
                       "no repositories; every webhook is ignored. List owner/name, owner/* or "
                       "\"*\"");
    if (config->forgejo.trigger_users.count == 0 && !config->forgejo.reads)
        config_warning(reading, forgejo,
                       "no trigger_users; nobody's label starts work. List the logins whose labels "
                       "count");
}

void config_check_forgejo(struct config_reading *reading, const struct tree_node *forgejo)
{
    struct config *config = reading->config;
    if (forgejo == NULL || forgejo->kind != TREE_MAP)
        return;
    config->forgejo.reads = tree_child(forgejo, "token") != NULL;
    warn_star(reading, forgejo, "repositories", &config->forgejo.repositories,
              "admits every repository whose webhook knows the secret");
    warn_star(reading, forgejo, "trigger_users", &config->forgejo.trigger_users,
              "lets everybody who may label an issue start agents");
    check_token(reading, forgejo);
    if (reading->node == CONFIG_SERVER)
        check_webhooks(reading, forgejo);
}
