# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Agents that poll by HTTP: the original's curl lines through Caddy over two nodes, and what must hold under load.

shared="shared-by-all-agents-of-this-test"
ORCHESTRATOR="heartbeat_interval_secs: 2, heartbeat_timeout_threshold: 1000, handover_ack_secs: 3600, http_pull_token: $shared"
DISPATCH_INTERVAL=3600
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
    curl -sS -m 90 -o "${BODY:-$E2E/body}" -D "${BODY:-$E2E/body}.head" -w '%{http_code}' -X "$method" -H @"$AUTH" ${json:+--data-binary "$json"} \
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
    if [[ $got =~ ^($want)$ ]]; then pass "$name"; else fail "$name" "wanted $want, got $got: $(cat "$E2E/body")"; fi
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

# --- one token for all, as the original had it ---
agent_as "$shared"
says "register by the shared token" 200 1 POST /api/v1/agents/register '{"agent_id": "b1", "capabilities": ["document"]}'
says "... not an id that somebody has: 409" 409 2 POST /api/v1/agents/register '{"agent_id": "b1", "capabilities": ["code:rust"]}'
says "... whose agents go on with it" 200 2 POST /api/v1/tasks/dequeue '{"agent_id": "b1", "capabilities": ["document"]}'
check "... and get what only they can do" [ "$(member task_id)" = o-2 ]
says "... and are done" 200 1 POST /api/v1/tasks/o-2/complete '{"task_id": "o-2", "agent_id": "b1", "status": "completed", "summary": "x"}'
says "... and do not see what others do: 403" 403 1 GET /api/v1/hosts
check "each start warns of it" grep -q "http_pull_token: any holder can be any agent" "$E2E/log/server-1.log"

# --- what must hold under load ---
client=$BUILD/agents-client
admin=$(token admin)
node() { echo "http://127.0.0.1:${PORT[server-$1]}"; }
# agents NAME MODE ARGUMENT...: in the background; $E2E/NAME has what was accepted, $E2E/NAME.err how it went.
agents() {
    local name=$1
    shift
    "$client" "$@" >"$E2E/$name" 2>"$E2E/$name.err" &
    started $!
    agents_pid=$!
}
agents_ended() { pid_gone "$agents_pid" || return 1; wait "$agents_pid"; }
lines() { wc -l <"$E2E/$1"; }
at_least() { (($(lines "$1") >= $2)); }
submit_many() { # NAME FROM TO SKILL
    submit "[$(seq -f '{"task_id": "'"$1"'-%.0f", "title": "T", "labels": ["agent:'"$4"'"]}' "$2" "$3" | paste -sd,)]"
}
in_time() { # NAME SECONDS: of its tasks, how many were claimed within these, and how many there are
    sql "select count(*) filter (where a.claimed_at <= t.created_at + interval '$2 s'), count(*)
         from fleet.task t left join fleet.attempt a on a.task = t.task and a.number = 1 where t.task_id like '$1-%'"
}

# There is no slow poll here: a wake-up that was lost leaves the agent waiting for 30 s, and is counted.
DUELS=${DUELS:-400}
agents duel duel "$(node 1)" "$(node 2)" "$admin" "$DUELS"
wait_for $((60 + DUELS / 20)) "$DUELS duels of a submission and a sleep" agents_ended
check "no wake-up was lost" grep -q "^$DUELS accepted, 0 refused" "$E2E/duel.err"
# A second, as a rule (told, for a busy machine may be slower); what nobody was woken for waits much longer.
check "each was taken as it came ($(in_time duel 1) within a second)" [ "$(in_time duel 10)" = "$DUELS|$DUELS" ]

# Idle agents in a crowd, half of them at each node.
agents crowd work "$URL" "$admin" 20 1 60 30 0
wait_for 20 "the crowd to wait" eval '[[ $(sql "select count(*) from fleet.executor where agent_id like '"'load-%'"' and enabled") == 20 ]]'
for i in $(seq 1 60); do
    submit '{"task_id": "crowd-'"$i"'", "title": "T", "labels": ["agent:load"]}'
done
wait_for 60 "the crowd to have taken all" agents_ended
check "no idle agent waited while a task did ($(in_time crowd 1) within a second)" [ "$(in_time crowd 10)" = "60|60" ]

# Clients that leave while they wait, before and as a task comes: handover_ack_secs is an hour, so what is stuck stays stuck.
agents vanish vanish "$(node 1)" "$admin" 100
wait_for 60 "clients to vanish" agents_ended
agent_as "$admin"
says "another agent of their kind" 200 0 POST /api/v1/agents/register '{"agent_id": "stays", "capabilities": ["vanish"], "max_concurrency": 100}'
nothing_left() { # takes what there is
    local status
    until status=$(ask 0 POST /api/v1/tasks/dequeue '{"agent_id": "stays"}') && [[ $status != 200 ]]; do :; done
    [[ $(sql "select count(*) from fleet.task t join fleet.executor e using (executor)
              where t.task_id like 'vanish-%' and t.status = 'assigned' and e.agent_id = 'stays'") == 100 ]]
}
wait_for 30 "what vanished clients were handed to reach another agent" nothing_left
wait_for 10 "invariants to hold" invariants_hold

# Load: a server is killed and comes back, the database is killed and comes back.
stop_node server-1
stop_node server-2
ORCHESTRATOR="heartbeat_interval_secs: 5, handover_ack_secs: 3"
server 1
server 2
both_served() { for _ in 1 2 3 4 5 6; do [[ $(AUTH=/dev/null ask 0 GET /readyz) == 200 ]] || return 1; done; }
wait_for 20 "Caddy to find both nodes again" both_served
read -r count slots tasks <<<"${LOAD:-30 4 600}"
for ((i = 1; i <= tasks; i += 500)); do
    submit_many load "$i" $((i + 499 < tasks ? i + 499 : tasks)) load
done
# Each takes a second, so that what is killed meanwhile hits some.
agents load work "$URL" "$admin" "$count" "$slots" "$tasks" 2 1000
overfull() { # as often as the database answers, until the load is over: agents with more runs than slots
    until pid_gone "$agents_pid"; do
        sql "select count(*) filter (where x.n > x.max_concurrency) from pg_sleep(0.1),
             (select e.max_concurrency, count(*) as n from fleet.attempt a join fleet.executor e using (executor)
              where a.ended_at is null group by e.executor) x" 2>/dev/null
    done >"$E2E/overfull"
}
overfull &
started $!
wait_for 120 "a sixth of the load" at_least load $((tasks / 6))
kill_node server-2
wait_for 120 "two sixths, by one node" at_least load $((tasks / 3))
server 2
# One that waits through the outage to come, at a node that lives through it.
agent_as "$admin"
says "one more agent" 200 1 POST /api/v1/agents/register '{"agent_id": "patient", "capabilities": ["patience"]}'
agent_as "$(member registry_token)"
BODY=$E2E/patient.body ask 1 POST /api/v1/tasks/dequeue '{"agent_id": "patient", "wait_secs": 60}' >"$E2E/patient" &
patient=$!
started $patient
asked() { [[ $(sql "select bool_or(last_used_at is not null) from fleet.token where agent_id = 'patient'") == t ]]; }
wait_for 30 "its call to arrive" asked
wait_for 120 "three sixths" at_least load $((tasks / 2))
postgres_stop "$E2E/postgres"
AUTH=$E2E/etc/header says "the database is away: 503" 503 1 GET /api/v1/tasks/o-1
check "... with Retry-After" grep -qi '^retry-after: ' "$E2E/body.head"
postgres_up "$E2E/postgres"
wait_for 20 "both nodes to be ready again" both_served
says "its agent has not beaten for long" 200 1 POST /api/v1/agents/heartbeat '{"agent_id": "patient"}'
submit '{"task_id": "patience-1", "title": "T", "labels": ["agent:patience"]}'
wait_for 30 "the call that waited through the outage to end" pid_gone "$patient"
check "... with the task that came after it: $(cat "$E2E/patient" "$E2E/patient.body")" grep -q '"patience-1"' "$E2E/patient.body"
wait_for $((120 + tasks / 10)) "the load to be done" agents_ended
cat "$E2E/load.err"
check "no agent was above its slots" eval '(($(wc -l <"$E2E/overfull") > 5)) && ! grep -qv "^0$" "$E2E/overfull"'
check "each task was accepted once" [ "$(cut -d' ' -f1 "$E2E/load" | sort -u | wc -l)" = "$(lines load)" ]
check "... and is completed" [ "$(sql "select count(*) from fleet.task where task_id like 'load-%' and status = 'completed'")" = "$tasks" ]
check "... once" [ "$(sql "select max(n) from (select count(*) as n from fleet.event e join fleet.task t using (task)
    where t.task_id like 'load-%' and e.to_status = 'completed' group by t.task) x")" = 1 ]
wait_for 10 "invariants to hold" invariants_hold
