# shellcheck shell=bash
# Which agent the quickstart's host runs. Functions only; sourced by deploy/quickstart, whose say,
# die and variables it uses.
# shellcheck disable=SC2034,SC2154

# agent_choose: sets agent_type, agent_output, agent_command[] and agent_resume[] by the options, installs what it needs.
agent_choose() {
    local words
    if [[ $agent == demo ]]; then
        agent_type=demo agent_output=codex-json
        agent_command=("$root/deploy/demo-agent")
        agent_resume=("$root/deploy/demo-agent" '{session}')
        return 0
    fi
    agent_find
    if [[ $model == scripted ]]; then agent_scripted; else agent_login; fi
    # sshd gives a short PATH; a CLI may be a script that looks for node, and runs tools.
    words=(/usr/bin/env "PATH=$PATH" "${agent_environment[@]}" "$cli")
    "agent_words_$agent"
}

# What each CLI is called with, to begin and to go on. The scripted model only writes a file and counts: no sandbox then,
# which some containers cannot give.
agent_words_codex() {
    local sandbox=workspace-write options
    [[ $model != scripted ]] || sandbox=danger-full-access
    agent_type=codex-cli agent_output=codex-json
    options=("${words[@]}" exec --json --color never --skip-git-repo-check -s "$sandbox")
    agent_command=("${options[@]}" -)
    agent_resume=("${options[@]}" resume '{session}' -)
}

agent_words_claude() {
    local options
    agent_type=claude-code agent_output=claude-json
    options=("${words[@]}" -p --output-format stream-json --verbose --disallowedTools AskUserQuestion
        --setting-sources user --strict-mcp-config)
    if [[ $model == scripted ]]; then
        options+=(--dangerously-skip-permissions)
    else
        options+=(--permission-mode acceptEdits --settings
            '{"sandbox":{"enabled":true,"autoAllowBashIfSandboxed":true,"allowUnsandboxedCommands":false}}')
    fi
    agent_command=("${options[@]}")
    agent_resume=("${options[@]}" --resume '{session}')
}

agent_words_opencode() {
    local options
    agent_type=opencode agent_output=opencode-json
    options=("${words[@]}" run --format json)
    [[ $model != scripted ]] || options+=(-m scripted/demo-1 --auto)
    agent_command=("${options[@]}")
    agent_resume=("${options[@]}" -s '{session}')
}

# agent_find: sets cli: the program on PATH, else of npm, in .fleet.
agent_find() {
    local -A package=([codex]=@openai/codex [claude]=@anthropic-ai/claude-code [opencode]=opencode-ai)
    if cli=$(command -v "$agent"); then
        say "using $cli"
    elif cli=$fleet/clis/node_modules/.bin/$agent && [[ ! -x $cli ]]; then
        agent_packages npm
        say "installing ${package[$agent]} from npm into .fleet/clis ..."
        npm_config_cache=$fleet/clis/cache timeout 600 \
            npm install --no-audit --no-fund --prefix "$fleet/clis" "${package[$agent]}" >"$fleet/log/npm.log" 2>&1 ||
            die npm "npm could not install ${package[$agent]}"
    fi
    # Its first start may make its home: one of its own.
    say "$agent: $(env "HOME=$(agent_home)" DISABLE_AUTOUPDATER=1 OPENCODE_DISABLE_AUTOUPDATE=1 "$cli" --version 2>/dev/null)"
}

# The home of the demo host's logins; of a CLI, too, unless it works with the login of whoever runs this.
agent_home() { mkdir -p "$fleet/home" && echo "$fleet/home"; }

agent_packages() {
    local before
    before=$(packages_missing "$1")
    install_packages "$1" || exit 1
    packages_note "$before"
}

# The real model, with the login of whoever runs this.
agent_login() {
    local -A status=([codex]='login status' [claude]='auth status' [opencode]='auth list')
    agent_environment=("HOME=$HOME" DISABLE_AUTOUPDATER=1 OPENCODE_DISABLE_AUTOUPDATE=1)
    [[ $agent != claude ]] || agent_packages sandbox
    [[ -z ${CODEX_HOME-} ]] || agent_environment+=("CODEX_HOME=$CODEX_HOME")
    # shellcheck disable=SC2086 # words
    "$cli" ${status[$agent]} >"$fleet/tmp/login" 2>&1 </dev/null && ! grep -q '\b0 credentials' "$fleet/tmp/login" ||
        die "" "$agent is not logged in: run \"$cli\" once and log in; or try it free and offline:" \
            "deploy/quickstart --agent $agent --model scripted"
    say "The real model is used, with your login: both tasks together cost a little of your quota."
}

# The scripted model on loopback, and a home whose configuration names it.
agent_scripted() {
    local at=http://127.0.0.1:${port[model]}
    agent_packages scripted
    agent_environment=("HOME=$(agent_home)" DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 IS_SANDBOX=1
        OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 "CODEX_HOME=$fleet/home/.codex"
        "ANTHROPIC_BASE_URL=$at" ANTHROPIC_API_KEY=scripted)
    mkdir -p "$fleet"/home/{.codex,.config/opencode}
    config_write "$fleet/home/.codex/config.toml" <<END
model = "demo-1"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "$at/v1"
wire_api = "responses"
END
    config_write "$fleet/home/.config/opencode/opencode.json" <<END
{ "provider": { "scripted": { "npm": "@ai-sdk/openai-compatible", "options": { "baseURL": "$at/v1" },
                              "models": { "demo-1": { "name": "scripted" } } } } }
END
    service model model_start
}

model_start() {
    process_start "$fleet/run" model "$fleet/log/model.log" node "$root/deploy/scripted-model.mjs" "${port[model]}" &&
        process_wait 10 process_port_taken "${port[model]}"
}

# demo_body short|long: the issue's text as JSON; for the real model the work itself.
demo_body() {
    local seconds=2
    [[ $1 == long ]] && seconds=25
    if [[ $agent != demo && $model != scripted ]]; then
        echo "Create a file NOTES.md with one sentence about this demonstration, and commit it. Then run exactly this" \
            "command, and nothing else: for i in \$(seq 1 ${seconds}0); do echo line \$i; sleep 0.1; done"
    elif [[ $1 == long ]]; then
        echo "Please count for a while.\\r\\n\\r\\ndemo: seconds=$seconds"
    else
        echo "Please make DEMO.md better."
    fi
}
