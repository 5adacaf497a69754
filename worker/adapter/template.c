/* Where an agent's command comes from: what is built in, and what the configuration says. */
#include "worker/adapter/template.h"

#include <string.h>

#include "common/mem.h"

/* Built-in commands are data. Each was checked against the --help, and where it says so against a
 * run, of the version named. Sandboxed: as far as the agent confines itself; full: not at all. A
 * workspace's own configuration of an agent is left out where there is a switch for it. */

/* Codex CLI 0.171.0, run. What stands before `resume` is exec's; it refuses --sandbox after it. */
static const struct template_phrase codex_command[] = {
    {0, "codex exec --json --color never --skip-git-repo-check"},
    {WHEN_SANDBOXED, "--sandbox workspace-write -c approval_policy=\"never\""},
    {WHEN_SANDBOXED, "-c sandbox_workspace_write.network_access=false"},
    {WHEN_FULL, "--sandbox danger-full-access -c approval_policy=\"never\""},
    {WHEN_MODEL, "--model {model}"},
    {WHEN_RESUMED, "resume {session}"},
    {0, "-"},
    {0},
};
static const struct template_phrase codex_environment[] = {{0}};

/* Claude Code 2.1.197, run. Its sandbox is bubblewrap's, with socat: where the host lacks them it
 * would only warn, and run commands without. */
static const struct template_phrase claude_command[] = {
    {0, "claude --print --output-format stream-json --verbose"},
    {0, "--setting-sources user --strict-mcp-config --disallowedTools AskUserQuestion"},
    {WHEN_SANDBOXED, "--permission-mode acceptEdits --allowedTools Bash"},
    {WHEN_SANDBOXED, "--settings {\"sandbox\":{\"enabled\":true,\"failIfUnavailable\":true,"
                     "\"autoAllowBashIfSandboxed\":true,\"allowUnsandboxedCommands\":false}}"},
    {WHEN_FULL, "--permission-mode bypassPermissions"},
    {WHEN_MODEL, "--model {model}"},
    {WHEN_FIRST, "--session-id {session}"},
    {WHEN_RESUMED, "--resume {session}"},
    {0},
};
static const struct template_phrase claude_environment[] = {
    {0, "DISABLE_AUTOUPDATER=1"},
    {0, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"},
    {WHEN_FULL | WHEN_ROOT, "IS_SANDBOX=1"}, /* else root is refused to bypass */
    {0},
};

/* OpenCode 1.18.33, run. It has rules and no sandbox; it looks for its configuration from PWD on.
 */
static const struct template_phrase opencode_command[] = {
    {0, "opencode run --format json --dir {workspace}"},
    {WHEN_FULL, "--auto"},
    {WHEN_MODEL, "--model {model}"},
    {WHEN_RESUMED, "--session {session}"},
    {0},
};
static const struct template_phrase opencode_environment[] = {
    {0, "PWD={workspace}"},
    {0, "OPENCODE_DISABLE_PROJECT_CONFIG=true"},
    {0, "OPENCODE_DISABLE_AUTOUPDATE=true"},
    {WHEN_SANDBOXED,
     "OPENCODE_PERMISSION={\"edit\":\"allow\",\"bash\":\"allow\",\"read\":\"allow\","
     "\"external_directory\":\"deny\",\"webfetch\":\"deny\",\"websearch\":\"deny\","
     "\"question\":\"deny\",\"doom_loop\":\"deny\"}"},
    {WHEN_FULL, "OPENCODE_PERMISSION={\"*\":\"allow\",\"question\":\"deny\"}"},
    {0},
};

/* Gemini CLI 0.61.0, by its --help. Its sandbox is a container, which few hosts have: sandboxed, it
 * edits files and runs no command. A folder that is not trusted ends it. */
static const struct template_phrase gemini_command[] = {
    {0, "gemini --output-format stream-json --skip-trust"},
    {WHEN_SANDBOXED, "--approval-mode auto_edit"},
    {WHEN_FULL, "--approval-mode yolo"},
    {WHEN_MODEL, "--model {model}"},
    {WHEN_FIRST, "--session-id {session}"},
    {WHEN_RESUMED, "--resume {session}"},
    {0},
};
static const struct template_phrase gemini_environment[] = {{0}};

/* Aider, by its documentation. It has no sandbox, runs no command unless it is full, has no
 * sessions, and no switch against a workspace's .aider.conf.yml and .env: what stands here wins
 * over them. What it leaves uncommitted is committed with what others leave. */
static const struct template_phrase aider_command[] = {
    {0, "aider --message-file {prompt_file} --yes-always --no-pretty --no-stream"},
    {0, "--no-check-update --no-show-release-notes --no-show-model-warnings --no-analytics"},
    {0, "--no-auto-commits --no-dirty-commits --no-gitignore --no-detect-urls"},
    {0, "--chat-history-file /dev/null --input-history-file /dev/null"},
    {WHEN_SANDBOXED, "--no-suggest-shell-commands --no-auto-lint --no-auto-test"},
    {WHEN_MODEL, "--model {model}"},
    {0},
};
static const struct template_phrase aider_environment[] = {{0}};

static const struct template_builtin builtins[] = {
    {"codex-cli", "codex-json", codex_command, codex_environment, "codex login status"},
    {"claude-code", "claude-json", claude_command, claude_environment, "claude auth status"},
    {"opencode", "opencode-json", opencode_command, opencode_environment, "opencode auth list"},
    {"gemini-cli", "gemini-json", gemini_command, gemini_environment, NULL},
    {"aider", "aider", aider_command, aider_environment, NULL},
};

/* Output formats by the name that the configuration gives them. */
static const struct template_builtin *find_builtin(const char *agent_type)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        if (strcmp(builtins[i].agent_type, agent_type) == 0)
            return &builtins[i];
    }
    return NULL;
}

static const struct config_adapter *find_configured(const struct config *config,
                                                    const char *agent_type)
{
    for (size_t i = 0; i < config->adapter_count; i++) {
        if (strcmp(config->adapters[i].agent_type, agent_type) == 0)
            return &config->adapters[i];
    }
    return NULL;
}

/* Plain text often comes at the end only: its silence says nothing unless the adapter says so. */
static int silence_secs(const struct config *config, const struct config_adapter *adapter,
                        const struct adapter_kind *kind)
{
    if (adapter != NULL && adapter->silence_timeout_secs > 0)
        return adapter->silence_timeout_secs;
    return kind != &adapter_text ? config->orchestrator.silence_timeout_secs : 0;
}

static void take_configured(struct adapter_template *found, const struct config_adapter *adapter)
{
    found->env = adapter->env;
    found->env_count = adapter->env_count;
    if (adapter->command.count == 0)
        return;
    found->builtin = NULL;
    found->kind = adapter_kind_named(adapter->output);
    found->command = &adapter->command;
    found->resume = &adapter->resume;
    found->version = adapter->versions;
}

bool adapter_find(const struct config *config, const struct config_agent *agent,
                  struct adapter_template *found)
{
    const struct config_adapter *adapter = find_configured(config, agent->agent_type);
    const struct template_builtin *builtin = find_builtin(agent->agent_type);
    if (adapter == NULL && builtin == NULL)
        return false;
    *found = (struct adapter_template){
        .builtin = builtin,
        .kind = adapter_kind_named(builtin != NULL ? builtin->output : NULL),
        .model = agent->model,
        .full = strcmp(agent->profile, "full") == 0,
        .version = true,
        .hooks = {&config->git.after_create, &config->git.before_run, &config->git.after_run,
                  config->git.hook_timeout_secs},
    };
    if (adapter != NULL)
        take_configured(found, adapter);
    found->silence_secs = silence_secs(config, adapter, found->kind);
    return true;
}

const char *adapter_login(const struct adapter_template *template)
{
    return template->builtin != NULL ? template->builtin->login : NULL;
}

/* Of the words of a command, the first counts; what depends on a run or on its folder cannot be
 * looked for before. */
static char *configured_program(const char *word, const char *work_dir)
{
    static const char here[] = "{work_dir}";
    bool in_work_dir = strncmp(word, here, sizeof here - 1) == 0;
    const char *rest = in_work_dir ? word + sizeof here - 1 : word;
    if (strpbrk(rest, "{\r\n") != NULL || word[0] == '\0' || word[0] == '-')
        return NULL;
    if (in_work_dir)
        return mem_printf("%s%s", work_dir, rest);
    return word[0] == '/' || strchr(word, '/') == NULL ? mem_strdup(word) : NULL;
}

char *adapter_program(const struct adapter_template *template, const char *work_dir)
{
    if (template->builtin == NULL)
        return configured_program(template->command->items[0], work_dir);
    const char *words = template->builtin->command[0].words;
    return mem_strndup(words, strcspn(words, " "));
}
