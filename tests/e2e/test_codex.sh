# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# The real Codex CLI from npm against the scripted model: events, summary, tokens, and how a failed
# turn ends.

codex=$PWD/build/codex
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    skip "the real Codex CLI" "there is no npm"
    return
fi
if [[ ! -x $codex/node_modules/.bin/codex ]] &&
    ! timeout 300 npm install --no-fund --no-audit --prefix "$codex" @openai/codex >"$TEST_DIR/npm.log" 2>&1; then
    skip "the real Codex CLI" "npm did not bring it: $(tail -1 "$TEST_DIR/npm.log")"
    return
fi

fleet_begin
model_port=$(free_port)
process_start "$E2E/run" model "$E2E/log/model.log" node deploy/scripted-model.mjs "$model_port"
at_exit process_stop "$E2E/run" model
mkdir -p "$E2E/codex-home"
ADAPTERS="  codex:
    command: [ env, \"CODEX_HOME=$E2E/codex-home\", \"$codex/node_modules/.bin/codex\", exec, --json, --color, never,
      --skip-git-repo-check, -s, danger-full-access, -c, model_provider=local,
      -c, 'model_providers.local={name=\"local\",base_url=\"http://127.0.0.1:$model_port/v1\",wire_api=\"responses\"}',
      -m, demo-1, '-' ]
    output: codex-json"
host h1 "$(executor codex 2 code:rust)"
server 1
caddy
token_header
worker 1
wait_for 20 "h1 to be reachable" reachable h1
submit '{"title": "Fix it", "task_id": "good", "labels": ["agent:code:rust"]}'
submit '{"title": "Fix it", "task_id": "bad", "labels": ["agent:code:rust"], "body": "demo: exit=7"}'
wait_for 60 "the real Codex CLI to complete" task_is good completed
check "... its turn edited a file in the task's directory" eval 'compgen -G "$E2E/work/h1/tasks/good/FIXED.txt"'
check "... session, tokens and summary are stored" \
    [ "$(sql "select report->>'session_id' ~ '^[0-9a-f-]{36}$', (report->'tokens'->>'input')::int > 0, report->>'summary' <> '' from fleet.attempt join fleet.task using (task) where task_id = 'good'")" = "t|t|t" ]
wait_for 60 "a failed turn to fail the task" task_is bad failed
check "... for the agent's reason" [ "$(sql "select outcome from fleet.attempt join fleet.task using (task) where task_id = 'bad' limit 1")" = failed ]
wait_for 10 "invariants to hold" invariants_hold
process_stop "$E2E/run" model
