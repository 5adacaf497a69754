# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Agents that poll by HTTP: the original's curl lines through Caddy over two nodes, and what must hold under load.

ORCHESTRATOR="heartbeat_interval_secs: 2, handover_ack_secs: 3600"
fleet_begin
server 1
server 2
caddy
token_header
umask 077

# ask N METHOD PATH [JSON]: node N of two, 0: through Caddy, with the token in $AUTH; status on stdout, the body in $E2E/body.
AUTH=$E2E/etc/agent
ask() {
    local base=$URL method=$2 path=$3 json=${4-} type=${TYPE:-application/json}
    (($1 == 0)) || base=http://127.0.0.1:${PORT[server-$1]}
    curl -sS -m 90 -o "$E2E/body" -D "$E2E/head" -w '%{http_code}' -X "$method" -H @"$AUTH" ${json:+--data-binary "$json"} \
        ${json:+-H "Content-Type: $type"} "$base$path"
}
# member NAME: of the last body, a text or a number.
member() { grep -oP "\"$1\" ?: *\"?\K[^\",}]*" "$E2E/body" | head -n 1; }
agent_as() { printf 'Authorization: Bearer %s\n' "$1" >"$E2E/etc/agent"; }
# says NAME STATUS N METHOD PATH [JSON]
says() {
    local name=$1 want=$2 got
    shift 2
    got=$(ask "$@")
    if [[ $got == $want ]]; then pass "$name"; else fail "$name" "wanted $want, got $got: $(cat "$E2E/body")"; fi
}

# --- the original's sequence, each line to the other node ---
agent_as "$(token agent)"
AUTH=/dev/null says "no token: 401" 401 0 POST /api/v1/tasks/dequeue '{"agent_id": "a1"}'
says "unknown agent: 404" 404 1 POST /api/v1/agents/heartbeat '{"agent_id": "a1"}'
says "register" 200 2 POST /api/v1/agents/register \
    '{"agent_id": "a1", "agent_type": "openclaw", "hostname": "box", "capabilities": ["code:rust"], "max_concurrency": 1, "metadata": {"version": "1"}}'
check "... the answer has what an agent keeps" eval '[[ $(member agent_id) == a1 && $(member registry_token) == aft_g_* && $(member heartbeat_interval_secs) == 2 ]]'
agent_as "$(member registry_token)"
says "heartbeat" 200 1 POST /api/v1/agents/heartbeat '{"agent_id": "a1"}'
says "nothing to do: 204" 204 2 POST /api/v1/tasks/dequeue '{"agent_id": "a1", "capabilities": ["code:rust"]}'
submit '{"title": "T", "task_id": "o-1", "body": "Do it.", "labels": ["agent:code:rust"]}'
submit '{"title": "T", "task_id": "o-2", "labels": ["agent:document"]}'
submit '{"title": "T", "task_id": "o-3", "labels": ["agent:code:rust"], "execution_mode": "ssh_cli"}'
says "dequeue" 200 1 POST /api/v1/tasks/dequeue '{"agent_id": "a1", "capabilities": ["code:rust"]}'
check "... the task, its text, its attempt" [ "$(member task_id) $(member body) $(member attempt) $(member status)" = "o-1 Do it. 1 assigned" ]
says "one slot, one task: 204" 204 2 POST /api/v1/tasks/dequeue '{"agent_id": "a1"}'
says "status running" 200 2 POST /api/v1/tasks/o-1/status '{"agent_id": "a1", "status": "running"}'
says "of another mode: 400" 400 1 POST /api/v1/tasks/o-3/status '{"agent_id": "a1", "status": "running"}'
TYPE=text/plain says "output" 200 1 POST '/api/v1/tasks/o-1/logs?agent_id=a1&offset=0' $'line 1\nline 2\n'
check "... the next offset" [ "$(member next_offset)" = 14 ]
says "complete" 200 2 POST /api/v1/tasks/o-1/complete \
    '{"task_id": "o-1", "agent_id": "a1", "status": "failed", "duration_seconds": 3, "summary": "no", "artifacts": [], "error": "broke"}'
check "... failed" task_is o-1 failed
AUTH=$E2E/etc/header says "retry beyond max_retries: 400" 400 1 POST /api/v1/tasks/o-1/retry
AUTH=$E2E/etc/header says "retry after failed" 200 2 POST /api/v1/tasks/o-1/retry '{"force": true}'
says "dequeue again" 200 1 POST /api/v1/tasks/dequeue '{"agent_id": "a1"}'
check "... the next attempt" [ "$(member attempt)" = 2 ]
says "which attempt is meant has to be said: 409" 409 2 POST /api/v1/tasks/o-1/status '{"agent_id": "a1", "status": "running"}'
says "status running again" 200 2 POST /api/v1/tasks/o-1/status '{"agent_id": "a1", "status": "running", "attempt": 2}'
says "complete for good" 200 1 POST /api/v1/tasks/o-1/complete \
    '{"task_id": "o-1", "agent_id": "a1", "attempt": 2, "status": "completed", "duration_seconds": 3, "summary": "done", "artifacts": [{"type": "file", "path": "x"}], "error": null}'
check "... completed" task_is o-1 completed
says "deregister" 200 2 POST /api/v1/agents/deregister '{"agent_id": "a1"}'
says "its token is no more" "40[13]" 1 POST /api/v1/agents/heartbeat '{"agent_id": "a1"}'

wait_for 10 "invariants to hold" invariants_hold
