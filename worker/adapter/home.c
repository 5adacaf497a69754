/* What agents keep in the home of their account. */
#include <string.h>

#include "worker/adapter/adapter.h"

static const struct {
    const char *agent_type, *login, *paths;
} homes[] = {
    {"codex-cli", "~/.codex/auth.json", "~/.codex/\n~/.cache/\n"},
    {"claude-code", "~/.claude/.credentials.json",
     "~/.claude/\n~/.claude.json\n~/.cache/\n~/.config/claude/\n~/.local/share/claude/\n"},
    {"opencode", "~/.local/share/opencode/auth.json",
     "~/.local/share/opencode/\n~/.local/state/opencode/\n~/.config/opencode/\n~/.cache/\n"},
    {"gemini-cli", "~/.gemini/oauth_creds.json", "~/.gemini/\n~/.cache/\n"},
    {"aider", NULL, "~/.aider/\n~/.cache/\n"},
};

const char *adapter_home(const char *agent_type)
{
    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++) {
        if (strcmp(homes[i].agent_type, agent_type) == 0)
            return homes[i].paths;
    }
    return "";
}

const char *adapter_login_file(const char *agent_type)
{
    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++) {
        if (strcmp(homes[i].agent_type, agent_type) == 0)
            return homes[i].login;
    }
    return NULL;
}
