/* The job script: how an agent's command gets onto the host without any value becoming code. */
#include <string.h>

#include "common/mem.h"
#include "worker/adapter/adapter.h"

#include "common/text.h"

static char *const codex_sandboxed[] = {
    "codex",           "exec", "--json", "--color", "never", "--skip-git-repo-check", "-s",
    "workspace-write", "-"};
static char *const codex_full[] = {"codex",  "exec",
                                   "--json", "--color",
                                   "never",  "--skip-git-repo-check",
                                   "-s",     "danger-full-access",
                                   "-"};

/* Plain text often comes at the end only: its silence says nothing unless the adapter says so. */
static int silence_secs(const struct config *config, const struct config_adapter *adapter,
                        bool speaks)
{
    if (adapter->silence_timeout_secs > 0)
        return adapter->silence_timeout_secs;
    return speaks ? config->orchestrator.silence_timeout_secs : 0;
}

bool adapter_find(const struct config *config, const struct config_agent *agent,
                  struct adapter_template *found)
{
    *found = (struct adapter_template){.kind = &adapter_codex, .profile = agent->profile};
    for (size_t i = 0; i < config->adapter_count; i++) {
        const struct config_adapter *adapter = &config->adapters[i];
        if (strcmp(adapter->agent_type, agent->agent_type) != 0)
            continue;
        bool codex = adapter->output != NULL && strcmp(adapter->output, "codex-json") == 0;
        found->kind = codex ? &adapter_codex : &adapter_text;
        found->command = &adapter->command;
        found->silence_secs = silence_secs(config, adapter, codex);
        found->env = adapter->env;
        found->env_count = adapter->env_count;
        return true;
    }
    found->silence_secs = config->orchestrator.silence_timeout_secs;
    return strcmp(agent->agent_type, "codex-cli") == 0;
}

/* The value of the placeholder at the front of `text` and its length, or NULL. */
static const char *placeholder(const char *text, const struct adapter_values *values, size_t *len)
{
    const struct {
        const char *name, *value;
    } known[] = {{"{work_dir}", values->work_dir},
                 {"{task_id}", values->task_id},
                 {"{branch}", values->branch},
                 {"{run_dir}", values->run_dir}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        *len = strlen(known[i].name);
        if (strncmp(text, known[i].name, *len) == 0)
            return known[i].value != NULL ? known[i].value : "";
    }
    return NULL;
}

static void add_word(struct buf *out, const char *word, const struct adapter_values *values)
{
    struct buf text;
    buf_init(&text, out->max);
    buf_adds(&text, "");
    while (*word != '\0') {
        size_t len = 0;
        const char *value = *word == '{' ? placeholder(word, values, &len) : NULL;
        if (value != NULL) {
            buf_adds(&text, value);
            word += len;
        } else {
            buf_add(&text, word++, 1);
        }
    }
    text_shell_quote(out, buf_text(&text));
    out->failed = out->failed || text.failed;
    buf_release(&text);
}

static void add_export(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(out, "export %s=", name);
    text_shell_quote(out, value);
    buf_adds(out, "\n");
}

void adapter_environment(struct buf *out, const struct adapter_template *template)
{
    buf_adds(out, template->env_count > 0 ? "rm -f -- \"$0\"\n" : "");
    for (size_t i = 0; i < template->env_count; i++)
        add_export(out, template->env[i].name, template->env[i].value);
}

/* Of the words of a command, the first counts; what depends on a run or on its folder cannot be
 * looked for before. */
char *adapter_program(const struct adapter_template *template, const char *work_dir, bool *version)
{
    static const char here[] = "{work_dir}";
    *version = template->command == NULL;
    const char *word = template->command != NULL ? template->command->items[0] : codex_full[0];
    bool in_work_dir = strncmp(word, here, sizeof here - 1) == 0;
    const char *rest = in_work_dir ? word + sizeof here - 1 : word;
    if (strpbrk(rest, "{\r\n") != NULL || word[0] == '\0' || word[0] == '-')
        return NULL;
    if (in_work_dir)
        return mem_printf("%s%s", work_dir, rest);
    return word[0] == '/' || strchr(word, '/') == NULL ? mem_strdup(word) : NULL;
}

bool adapter_script(struct buf *out, const struct adapter_template *template,
                    const struct adapter_values *values)
{
    bool full = template->profile != NULL && strcmp(template->profile, "full") == 0;
    char *const *words = full ? codex_full : codex_sandboxed;
    size_t count = sizeof codex_full / sizeof codex_full[0];
    if (template->command != NULL) {
        words = template->command->items;
        count = template->command->count;
    }
    add_export(out, "FLEET_TASK_ID", values->task_id);
    add_export(out, "FLEET_BRANCH", values->branch);
    add_export(out, "FLEET_RUN_DIR", values->run_dir);
    buf_adds(out, "exec");
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, " ");
        add_word(out, words[i], values);
    }
    buf_adds(out, "\n");
    return !out->failed;
}
