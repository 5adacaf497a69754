# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# The real Codex CLI, Claude Code and OpenCode from npm against the scripted model, by the built-in commands, over SSH, in a
# repository of a real git server: outcome, reason, tokens, session, what is pushed, and that no process is left. With
# --long (CASES=all) every way that a run ends.

# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh

clis=${CLIS:-$PWD/build/clis}
declare -A package=([codex]=@openai/codex [claude]=@anthropic-ai/claude-code [opencode]=opencode-ai)
clis_bring() {
    local cli missing=()
    command -v npm >/dev/null && command -v node >/dev/null || { echo "there is no npm"; return 1; }
    for cli in "${!package[@]}"; do [[ -x $clis/node_modules/.bin/$cli ]] || missing+=("${package[$cli]}"); done
    ((${#missing[@]} == 0)) && return 0
    timeout 300 npm install --no-fund --no-audit --prefix "$clis" "${missing[@]}" >"$TEST_DIR/npm.log" 2>&1 ||
        { echo "npm did not bring them: $(tail -n 1 "$TEST_DIR/npm.log")"; return 1; }
}
reason=$(clis_bring) || { skip "the real CLIs" "$reason"; return; }
git_begin
git_repository acme/rocket
git_serve_ssh || { skip "the real CLIs" "no git server over SSH"; return; }

# The account of the host: an empty home, whose login files say where the programs are, and whose configuration of each CLI
# names the scripted model.
model_port=$(free_port)
at=http://127.0.0.1:$model_port
mkdir -p "$ACCOUNT_HOME"/{.codex,.claude,.config/opencode}
echo "export PATH=$clis/node_modules/.bin:$(dirname "$(command -v node)"):/usr/local/bin:/usr/bin:/bin" >"$ACCOUNT_HOME/.profile"
cat >"$ACCOUNT_HOME/.codex/config.toml" <<END
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "$at/v1"
wire_api = "responses"
END
cat >"$ACCOUNT_HOME/.claude/settings.json" <<END
{ "env": { "ANTHROPIC_BASE_URL": "$at", "CLAUDE_CODE_MAX_RETRIES": "2" } }
END
cat >"$ACCOUNT_HOME/.config/opencode/opencode.json" <<END
{ "provider": { "scripted": { "npm": "@ai-sdk/openai-compatible", "options": { "baseURL": "$at/v1" }, "models": { "demo-1": {} } } } }
END

fleet_begin
process_start "$E2E/run" model "$E2E/log/model.log" node deploy/scripted-model.mjs "$model_port"
# OpenCode keeps a database in its home: it makes it when it starts for the first time, and two at once find it locked.
HOME=$ACCOUNT_HOME OPENCODE_DISABLE_MODELS_FETCH=1 timeout 300 "$clis/node_modules/.bin/opencode" session list >"$E2E/log/opencode.log" 2>&1
# A subscription of Claude's is told apart by its kind of token.
claude="claude, -p, --output-format, stream-json, --verbose, --dangerously-skip-permissions, --setting-sources, user, --strict-mcp-config"
ADAPTERS="  claude-code: { env: { ANTHROPIC_API_KEY: scripted-key-of-claude } }
  opencode: { env: { OPENCODE_DISABLE_MODELS_FETCH: '1' }, silence_timeout_secs: 240 }
  subscription: { command: [ $claude ], resume: [ $claude, --resume, '{session}' ], output: claude-json, versions: true,
                  env: { CLAUDE_CODE_OAUTH_TOKEN: sk-ant-oat01-scripted-token, IS_SANDBOX: '1' } }"
WORKSPACE=git
GIT="{ url: \"$GIT_SSH_URL/{repository}.git\", ssh_key_path: $GIT_SSH_KEY, known_hosts: $GIT_KNOWN_HOSTS, min_free_bytes: 0 }"
ORCHESTRATOR="provider_timeout_secs: 30"
TASK_TIMEOUT=600 # a real CLI on a busy machine
host h1 "      - { agent_type: codex-cli, max_concurrency: 2, capabilities: [ codex ], profile: full, model: demo-1 }
      - { agent_type: claude-code, max_concurrency: 2, capabilities: [ claude ], profile: full }
      - { agent_type: opencode, max_concurrency: 1, capabilities: [ opencode ], profile: full, model: scripted/demo-1 }
      - { agent_type: subscription, max_concurrency: 1, capabilities: [ subscription ] }"
server 1
caddy
token_header
worker 1
wait_for 20 "h1 to be reachable" reachable h1 || return
# One that needs longer than its time for that is asked again, while runs go on.
versions_known() { [[ $(sql "select count(*) from fleet.executor_now where host_id = 'h1' and version ~ '[0-9]+[.][0-9]+[.][0-9]+'") == 4 ]]; }
wait_for 60 "all CLIs to say their versions" versions_known

last() { sql "select $2 from fleet.attempt a join fleet.task t using (task) where task_id = '$1' order by a.number desc limit 1"; }
branch_of() { sql "select branch_name from fleet.task where task_id = '$1'"; }
# Ended, parked, or waiting for later.
settled() {
    [[ $(sql "select t.status in ('completed', 'failed', 'cancelled', 'review_pending') or d.task is not null
              from fleet.task t left join fleet.delayed d using (task) where task_id = '$1'") == t ]]
}

# The cases: who, what the task says, outcome, reason. A case's task is WHO-WORD.
cases=(
    "codex seconds=1 succeeded -" "claude seconds=1 succeeded -" "opencode seconds=1 succeeded -"
    "codex context failed context_overflow" "claude context failed context_overflow" "opencode context failed context_overflow"
    "codex ask no_change needs_input" "claude ask no_change needs_input"
)
[[ -z ${CASES-} ]] || cases+=(
    "codex down failed provider_down" "claude down failed provider_down" "opencode down failed provider_down"
    "codex busy failed provider_down" "claude busy failed provider_down"
    "codex exit=7 failed agent_error" "claude exit=7 failed agent_error" "opencode exit=7 failed agent_error"
    "codex nothing no_change -" "claude nothing no_change -" "opencode nothing no_change -"
    "codex leave succeeded -" "claude leave succeeded -" "opencode leave succeeded -"
    "opencode ask no_change needs_input" "subscription warned succeeded -"
)
ask_for() { # CASE...
    local case who word
    for case in "$@"; do
        read -r who word _ <<<"$case"
        submit '{"task_id": "'"$who-${word%=*}"'", "title": "Fix it", "repo": "acme/rocket", "labels": ["agent:'"$who"'"], "max_retries": 0, "body": "demo: '"$word"'\ndemo: seconds=1"}'
    done
}
ask_for "${cases[@]}"

patience=120 # seconds; of many, the last waits for long
[[ -z ${CASES-} ]] || patience=400
right() { # TASK OUTCOME REASON
    [[ $(last "$1" "outcome || ' ' || coalesce(reason, '-')") == "$2 $3" ]] || {
        last "$1" "outcome, reason, report, work"
        api GET "/api/v1/tasks/$1/logs?stream=stderr&limit_bytes=2000" >/dev/null && cat "$E2E/body"
        false
    }
}
for case in "${cases[@]}"; do
    read -r who word outcome why <<<"$case"
    id=$who-${word%=*}
    wait_for "$patience" "$id to end" settled "$id"
    check "$id comes to $outcome, $why" right "$id" "$outcome" "$why"
    [[ $outcome != succeeded || $why != - ]] || {
        check "... tokens and session are stored" \
            [ "$(last "$id" "(report->'tokens'->>'input')::int > 0, (report->'tokens'->>'output')::int > 0, report->>'session_id' ~ '^[A-Za-z0-9_-]{20,}$'")" = "t|t|t" ]
        check "... the version of the CLI is" [ "$(last "$id" "report->>'agent_version' ~ '[0-9]+[.][0-9]+[.][0-9]+'")" = t ]
        check "... the change is on the server" eval 'git_at acme/rocket show "$(branch_of "$id"):FIXED.txt" | grep -q "scripted model"'
        check "... as what was said to be pushed" [ "$(git_at acme/rocket rev-parse "$(branch_of "$id")")" = "$(last "$id" "work->>'pushed'")" ]
    }
done

# A question is answered: the same session goes on, and Codex's tokens are those of this run alone.
goes_on() { [[ $(sql "select attempt_number from fleet.task where task_id = '$1'") == 2 ]] && settled "$1"; }
for case in "${cases[@]}"; do
    read -r who word outcome why <<<"$case"
    [[ $word == ask ]] || continue
    session=$(last "$who-ask" "report->>'session_id'") input=$(last "$who-ask" "(report->'tokens'->>'input')::int")
    check "an answer to $who is taken" eval '[[ $(api POST "/api/v1/tasks/$who-ask/answer" -H "Content-Type: application/json" -d "{\"text\": \"Green.\"}") == 20* ]] || { cat "$E2E/body"; false; }'
    wait_for 60 "$who to go on" goes_on "$who-ask"
    check "... with its session" [ "$(last "$who-ask" "report->>'session_id'")" = "$session" ]
    check "... and with tokens of its own" [ "$(last "$who-ask" "(report->'tokens'->>'input')::int")" = "${input:-none}" ]
done

# Nobody answers: a run that is stopped is ended with all that it started.
submit '{"task_id": "codex-silence", "title": "Fix it", "repo": "acme/rocket", "labels": ["agent:codex"], "body": "demo: silence"}'
silent=(codex-silence)
[[ -z ${CASES-} ]] || for who in claude opencode; do
    submit '{"task_id": "'"$who"'-silence", "title": "Fix it", "repo": "acme/rocket", "labels": ["agent:'"$who"'"], "body": "demo: silence"}'
    silent+=("$who-silence")
done
for id in "${silent[@]}"; do
    wait_for 60 "$id to run" task_is "$id" running
    wait_for 30 "its CLI to start" eval '[[ -n $(runs_of "$id") ]]'
    check "$id is asked to stop" eval '[[ $(api POST "/api/v1/tasks/$id/cancel" -H "Content-Type: application/json" -d "{}") == 20* ]]'
    wait_for 60 "$id to be cancelled" task_is "$id" cancelled
done

# A rate limit parks the account, for many minutes where no time was told; the task would come again.
[[ -z ${CASES-} ]] || {
    ask_for "codex limit" "claude limit" "opencode limit"
    for who in codex claude opencode; do
        wait_for 60 "$who-limit to end" settled "$who-limit"
        check "$who-limit comes to failed, rate_limited" right "$who-limit" failed rate_limited
        check "... and parks its account" [ "$(sql "select a.state from fleet.accounts a, fleet.attempts t where t.task_id = '$who-limit' and a.account = t.agent_id")" = parked ]
        sql "select fleet.cancel('$who-limit')" >/dev/null
    done
    sql "select fleet.unpark(account) from fleet.accounts where state <> 'open'" >/dev/null
}

# A refused login takes the agent out of service.
[[ -z ${CASES-} ]] || {
    ask_for "codex auth" "claude auth" "opencode auth"
    for who in codex claude opencode; do
        wait_for 60 "$who-auth to end" settled "$who-auth"
        check "$who-auth comes to failed, auth_failed" right "$who-auth" failed auth_failed
    done
    for name in codex-cli claude-code opencode; do sql "select fleet.executor_accept('h1/$name')" >/dev/null; done
}

# A subscription's limit: its task waits until the time that was told, and nothing else goes to that account.
quotas=("codex quota=3000" "subscription quota=3000")
ask_for "${quotas[@]}"
for who in codex subscription; do
    wait_for 60 "$who-quota to end" settled "$who-quota"
    check "$who-quota comes to failed, provider_quota" right "$who-quota" failed provider_quota
    check "... waits until the limit ends, and no retry is burnt" \
        [ "$(sql "select t.status, abs(extract(epoch from d.run_at - now()) - 3000) < 400, t.retry_count from fleet.task t join fleet.delayed d using (task) where task_id = '$who-quota'")" = "created|t|0" ]
done
submit '{"task_id": "after", "title": "Fix it", "labels": ["agent:codex"]}'
explained() { sql "select * from fleet.explain_task('after')" | grep -qi 'quota of account'; }
wait_for 20 "fleet.explain_task to name the account" explained

check "no key in a log, and none in the database" eval '! grep -aE "scripted-key-of-claude|oat01-scripted" "$E2E"/log/* && ! "$POSTGRES_BIN/pg_dump" -d "$(postgres_url fleet)" | grep -aE "scripted-key-of-claude|oat01-scripted"'
wait_for 20 "no process of a run to be left" eval '[[ -z $(runs_of) ]]'
wait_for 10 "invariants to hold" invariants_hold
process_stop "$E2E/run" model
