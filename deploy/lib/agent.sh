# shellcheck shell=bash
# Which agent the quickstart's host runs. Functions only; sourced by deploy/quickstart, whose say,
# die and variables it uses.
# shellcheck disable=SC2034,SC2154

# agent_choose: sets agent_type and agent_command[] by the options, installs what it needs.
agent_choose() {
    if [[ $agent == demo ]]; then
        agent_type=demo
        agent_command=("$root/deploy/demo-agent")
        return 0
    fi
    agent_type='codex-cli'
    agent_find_codex
    # sshd gives a short PATH; codex may be a script that looks for node, and runs tools.
    agent_command=(/usr/bin/env "PATH=$PATH")
    if [[ $model == scripted ]]; then
        agent_scripted
        # The script only writes a file and counts: no sandbox, which some containers cannot give.
        agent_command+=("CODEX_HOME=$fleet/codex-home" "$codex" exec --json --color never
            --skip-git-repo-check -s danger-full-access -)
    else
        [[ -n ${CODEX_HOME-} ]] && agent_command+=("CODEX_HOME=$CODEX_HOME")
        agent_login
        agent_command+=("$codex" exec --json --color never --skip-git-repo-check -s workspace-write -)
    fi
}

agent_find_codex() {
    if codex=$(command -v codex); then
        say "using $codex"
    elif codex=$fleet/codex/node_modules/.bin/codex && [[ ! -x $codex ]]; then
        agent_packages codex
        say "installing the Codex CLI from npm into .fleet/codex ..."
        npm_config_cache=$fleet/codex/cache timeout 600 \
            npm install --no-audit --no-fund --prefix "$fleet/codex" @openai/codex >"$fleet/log/npm.log" 2>&1 ||
            die npm "npm could not install @openai/codex"
    fi
    say "Codex CLI: $("$codex" --version 2>/dev/null)"
}

agent_packages() {
    local before
    before=$(packages_missing "$1")
    install_packages "$1" || exit 1
    packages_note "$before"
}

agent_login() {
    "$codex" login status >/dev/null 2>&1 ||
        die "" "the Codex CLI is not logged in: run \"$codex login\" once; or try it free and offline:" \
            "deploy/quickstart --agent codex --model scripted"
    say "The real model is used, with your login: both tasks together cost a little of your quota."
}

# The scripted model on loopback, and a Codex configuration of its own that names it.
agent_scripted() {
    agent_packages scripted
    mkdir -p "$fleet/codex-home"
    config_write "$fleet/codex-home/config.toml" <<END
model = "demo-1"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "http://127.0.0.1:${port[model]}/v1"
wire_api = "responses"
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
    if [[ $agent == codex && $model != scripted ]]; then
        echo "Create a file NOTES.md with one sentence about this demonstration. Then run exactly this command," \
            "and nothing else: for i in \$(seq 1 ${seconds}0); do echo line \$i; sleep 0.1; done"
    elif [[ $1 == long ]]; then
        echo "Please count for a while.\\r\\n\\r\\ndemo: seconds=$seconds"
    else
        echo "Please make DEMO.md better."
    fi
}
