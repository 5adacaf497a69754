/* What the database has to know of the configuration to decide what Forgejo's issues may start. */
#include <string.h>
#include <strings.h>

#include "common/config/config.h"
#include "common/json.h"

bool config_list_covers(const struct config_list *list, const char *repository)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *entry = list->items[i];
        size_t len = strlen(entry);
        bool owner = len > 2 && strcmp(entry + len - 2, "/*") == 0;
        if (strcmp(entry, "*") == 0 || strcasecmp(entry, repository) == 0 ||
            (owner && strncasecmp(entry, repository, len - 1) == 0))
            return true;
    }
    return false;
}

static void add_name(struct buf *out, const char *name)
{
    if (out->len > 0 && strchr("{[", buf_text(out)[out->len - 1]) == NULL)
        buf_adds(out, ", ");
    buf_addf(out, "\"%s\": ", name);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    add_name(out, name);
    json_quote(out, text, strlen(text));
}

static void add_number(struct buf *out, const char *name, int number)
{
    add_name(out, name);
    buf_addf(out, "%d", number);
}

/* `value` as JSON writes it: true or false. */
static void add_flag(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    add_name(out, name);
    buf_adds(out, value);
}

static void add_list(struct buf *out, const char *name, const struct config_list *list)
{
    add_name(out, name);
    buf_adds(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        buf_adds(out, i > 0 ? ", " : "");
        json_quote(out, list->items[i], strlen(list->items[i]));
    }
    buf_adds(out, "]");
}

static const char *word(bool flag)
{
    return flag ? "true" : "false";
}

static void add_rules(struct buf *out, const struct config *config)
{
    add_name(out, "rules");
    buf_adds(out, "[");
    for (size_t i = 0; i < config->forgejo.rule_count; i++) {
        const struct config_rule *rule = &config->forgejo.rules[i];
        buf_adds(out, i > 0 ? ", {" : "{");
        add_list(out, "repositories", &rule->repositories);
        add_text(out, "approval", rule->approval);
        add_flag(out, "open_pull_request", rule->open_pull_request);
        add_text(out, "on_ci_failure", rule->on_ci_failure);
        if (rule->required_checks.count > 0)
            add_list(out, "required_checks", &rule->required_checks);
        buf_adds(out, "}");
    }
    buf_adds(out, "]");
}

void config_policy(const struct config *config, struct buf *out)
{
    buf_adds(out, "{");
    add_text(out, "url", config->forgejo.url);
    add_flag(out, "reads", word(config->forgejo.reads));
    add_list(out, "repositories", &config->forgejo.repositories);
    add_list(out, "trigger_users", &config->forgejo.trigger_users);
    add_flag(out, "poll_only", word(config->forgejo.poll_only));
    add_number(out, "poll_interval_secs", config->forgejo.poll_interval_secs);
    add_text(out, "approval", config->forgejo.approval);
    add_flag(out, "open_pull_request", word(config->forgejo.open_pull_request));
    add_text(out, "on_ci_failure", config->forgejo.on_ci_failure);
    add_list(out, "required_checks", &config->forgejo.required_checks);
    add_flag(out, "comments", word(config->forgejo.comments));
    add_flag(out, "state_labels", word(config->forgejo.state_labels));
    add_flag(out, "commit_statuses", word(config->forgejo.commit_statuses));
    add_number(out, "max_reviews", config->orchestrator.max_reviews);
    add_number(out, "task_timeout_secs", config->orchestrator.task_timeout_secs);
    add_number(out, "default_max_retries", config->orchestrator.default_max_retries);
    add_number(out, "max_attempts_total", config->orchestrator.max_attempts_total);
    add_rules(out, config);
    buf_adds(out, "}");
}
