# shellcheck shell=bash
# A whole fleet for a test: PostgreSQL, an sshd, server and worker nodes, Caddy; all on loopback, in
# one temporary directory. Sourced by tests/e2e/scenario, after tests/lib/{common,postgres}.sh and
# deploy/lib/{process,sshd}.sh.

BUILD=${BUILD:-$PWD/build/tests}
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"
FLEET_SECRET=end-to-end-secret

# The home of whoever runs things here, over SSH or not: login files of a real one may do anything, and a test that kills a
# login shell may leave their locks behind.
ACCOUNT_HOME=$TEST_DIR/home

# fleet_begin: database, migrations, short intervals, login roles, an sshd, tokens' place.
fleet_begin() {
    E2E=$TEST_DIR/fleet
    mkdir -p "$E2E"/{etc,log,run,work,ledger.d}
    LEDGER=$E2E/ledger
    : >"$LEDGER"
    rm -rf "$E2E/ledger.d"
    mkdir "$E2E/ledger.d"
    postgres_start "$E2E/postgres"
    postgres_database fleet
    local name
    for name in "beat_ms 500" "dead_ms 2000" "open_grace_ms 0" "retry_base_ms 300" "retry_max_ms 2000" \
        "release_base_ms 200"; do
        sql "select fleet.set('${name% *}', ${name#* })" >/dev/null
    done
    sshd_create "$E2E/sshd"
    SSHD_PORT=$(free_port)
    mkdir -p "$ACCOUNT_HOME"
    export HOME=$ACCOUNT_HOME
    sshd_configure "$E2E/sshd" "$SSHD_PORT" "$ACCOUNT_HOME"
    sshd_up
    cp tests/e2e/agent "$E2E/agent"
    at_exit fleet_end
}

sql() { postgres_query fleet "$1"; }

# A port that nothing listens on, most likely another one at each call; below those that the kernel
# hands out to clients (32768 and above).
free_port() { process_free_port "$((20000 + RANDOM % 12000))"; }

sshd_up() { sshd_start "$E2E/run" sshd "$E2E/log/sshd.log" "$E2E/sshd" "$SSHD_PORT"; }

end_children() { # PID
    local child
    for child in $(cat "/proc/$1/task/$1/children"); do kill -KILL "$child"; done
}

# The listener and every session that it serves. It is held meanwhile: a worker whose session ends asks for the next one at once.
sshd_down() {
    local pid
    pid=$(pid_of sshd)
    kill -STOP "$pid"
    end_children "$pid"
    process_stop "$E2E/run" sshd KILL
}

# Adds a host to the configuration of the workers started after: host ID AGENTS(yaml lines). WORKSPACE is its kind.
HOSTS=
host() {
    local id=$1 agents=$2
    mkdir -p "$E2E/work/$id"
    HOSTS+="  - host_id: $id
    hostname: 127.0.0.1
    ssh_user: $(id -un)
    ssh_port: $SSHD_PORT
    ssh_key_path: $E2E/sshd/client_key
    known_hosts: $E2E/sshd/known_hosts
    work_dir: $E2E/work/$id
    workspace: ${WORKSPACE:-plain}
    agents:
$agents
"
}

# One executor line for host().
executor() { # agent_type max capability...
    local type=$1 max=$2
    shift 2
    local IFS=,
    echo "      - { agent_type: $type, max_concurrency: $max, capabilities: [ $* ] }"
}

# How a node's login reaches the database.
node_url() { postgres_url fleet "$1"; }

# config FILE PORT URL: what both kinds of node read. FORGEJO is the Forgejo's address (tests/lib/forgejo.sh sets it),
# FORGEJO_KEYS more of its keys, e.g. "token: fleet-token, lookup_token: lookup-token"; TRIGGER_USERS='' is nobody.
config() {
    cat >"$1" <<YAML
server: { bind: 127.0.0.1, port: $2, max_body_bytes: 1048576${SERVER:+, $SERVER} }
database: { url: "$3"${DATABASE:+, $DATABASE} }
forgejo: { url: "${FORGEJO:-https://git.example.org}", webhook_secret: "\${WEBHOOK_SECRET}",
           repositories: [ ${REPOSITORIES:-'"*"'} ], trigger_users: [ ${TRIGGER_USERS-'"*"'} ]${FORGEJO_KEYS:+, $FORGEJO_KEYS} }
orchestrator: { task_timeout_secs: ${TASK_TIMEOUT:-120}, default_max_retries: ${MAX_RETRIES:-0}, dispatch_interval_secs: ${DISPATCH_INTERVAL:-2}${ORCHESTRATOR:+, $ORCHESTRATOR} }
adapters:
  counter: { command: [ /bin/sh, "$E2E/agent", "$LEDGER" ], output: text }
  other: { command: [ /bin/sh, "$E2E/agent", "$LEDGER" ], output: text }
${ADAPTERS:-}
${GIT:+git: $GIT}
hosts:
${HOSTS:-  []}
YAML
    chmod 600 "$1"
}

# server N: starts server-N on a free port (kept over restarts of the same N).
declare -A PORT=()
server() {
    local name=server-$1
    PORT[$name]=${PORT[$name]:-$(free_port)}
    config "$E2E/etc/$name.yaml" "${PORT[$name]}" "$(node_url fleet_server_login)"
    process_start "$E2E/run" "$name" "$E2E/log/$name.log" env WEBHOOK_SECRET="$FLEET_SECRET" \
        "$BUILD/fleet-server" --config "$E2E/etc/$name.yaml"
    wait_for 20 "$name to be ready" curl -fsS -o /dev/null "http://127.0.0.1:${PORT[$name]}/readyz"
}

# caddy [VARIABLE=VALUE...]: over the servers that were started; sets URL.
caddy() {
    local port servers
    port=$(free_port)
    servers=$(printf '127.0.0.1:%s ' "${PORT[@]}")
    URL=http://127.0.0.1:$port
    process_start "$E2E/run" caddy "$E2E/log/caddy.log" env HOME="$E2E" XDG_DATA_HOME="$E2E/run" \
        XDG_CONFIG_HOME="$E2E/run" FLEET_SITE=":$port" FLEET_SERVERS="${servers% }" "$@" \
        caddy run --config deploy/Caddyfile --adapter caddyfile
    wait_for 20 "Caddy to serve" curl -fsS -o /dev/null "$URL/healthz"
}

# What Caddy's probes have said of server-N so far: how often that it is back, how often that it is not ready.
ups() { grep -c "host is up.*:${PORT[server-$1]}\"" "$E2E/log/caddy.log"; }
downs() { grep -cE "(request failed|unexpected status code).*:${PORT[server-$1]}\"" "$E2E/log/caddy.log"; }
grown() { (($("$1" "$2") > $3)); }
# server N again, until Caddy has seen it: before that, another one must not go.
server_back() {
    local before
    before=$(ups "$1")
    server "$1"
    wait_for 10 "Caddy to see server-$1" grown ups "$1" "$before"
}

# worker N [VAR=VALUE...]: starts worker-N; does not wait for its hosts.
worker() {
    local name=worker-$1
    shift
    config "$E2E/etc/$name.yaml" 0 "$(node_url fleet_worker_login)"
    process_start "$E2E/run" "$name" "$E2E/log/$name.log" env FLEET_NODE_NAME="$name" "$@" \
        "$BUILD/fleet-worker" --config "$E2E/etc/$name.yaml"
}

pid_of() { cat "$E2E/run/$1.pid"; }
alive() { process_alive "$E2E/run" "$1"; }
state_of() { process_stat "$(pid_of "$1")" | cut -d' ' -f1; }
stop_node() { process_stop "$E2E/run" "$1" "${2:-TERM}" 30; }
kill_node() { kill "-${2:-KILL}" "$(pid_of "$1")"; }

token() { # SCOPE
    WEBHOOK_SECRET=$FLEET_SECRET "$BUILD/fleet-server" token create --scope "$1" --name "$1-$RANDOM" \
        --config "$E2E/etc/server-1.yaml" 2>/dev/null
}
token_header() { printf 'Authorization: Bearer %s\n' "$(token admin)" >"$E2E/etc/header"; }

# api METHOD PATH [curl arguments]: the status goes to stdout, the body to $E2E/body.
api() {
    local method=$1 path=$2
    shift 2
    curl -sS -m 30 -o "$E2E/body" -w '%{http_code}' -X "$method" -H @"$E2E/etc/header" "$@" "$URL$path"
}

submit() { # JSON
    local status
    status=$(api POST /api/v1/tasks -H 'Content-Type: application/json' --data-binary "$1")
    [[ $status == 201 || $status == 200 ]] || { echo "POST /tasks: $status $(cat "$E2E/body")" >&2; return 1; }
}

# issue ACTION REPO NUMBER LABELS(comma) UPDATED_AT [BODY]: an issue event as Forgejo writes it.
issue() {
    local action=$1 repo=$2 number=$3 labels=$4 at=$5 body=${6:-Please do it.} json="" id=0 label repo_id
    repo_id=$(cksum <<<"$repo" | cut -d" " -f1) # ids are what tells repositories and issues apart
    IFS=, read -ra names <<<"$labels"
    for label in "${names[@]}"; do
        id=$((id + 1))
        json+="${json:+, }{\"id\": $id, \"name\": \"$label\", \"color\": \"00aabb\"}"
    done
    cat <<JSON
{
  "action": "$action",
  "number": $number,
  "issue": {
    "id": $((repo_id * 1000000 + number)), "number": $number, "title": "Issue $number", "body": "$body",
    "html_url": "https://git.example.org/$repo/issues/$number",
    "user": { "id": 7, "login": "octo" }, "labels": [ $json ], "assignees": null, "state": "${STATE:-open}",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "$at", "closed_at": null, "pull_request": null,
    "repository": { "id": $repo_id, "name": "${repo#*/}", "owner": "${repo%/*}", "full_name": "$repo" }
  },
  "repository": { "id": $repo_id, "name": "${repo#*/}", "full_name": "$repo",
                  "owner": { "id": 2, "login": "${repo%/*}" }, "private": false },
  "sender": { "id": 7, "login": "${SENDER:-octo}", "username": "${SENDER:-octo}" },
  "commit_id": ""
}
JSON
}

signature() { openssl dgst -sha256 -hmac "$FLEET_SECRET" -r "$1" | cut -d' ' -f1; }

# deliver FILE TYPE [DELIVERY [SIGNATURE-HEADER]]: status on stdout, body in FILE.answer.
deliver() {
    local file=$1 type=$2 delivery=${3:-$(cat /proc/sys/kernel/random/uuid)} header=${4-}
    [[ $# -ge 4 ]] || header="X-Forgejo-Signature: $(signature "$file")"
    curl -sS -m 20 -o "$file.answer" -w '%{http_code}' -X POST -H 'Content-Type: application/json' \
        -H 'X-Forgejo-Event: issues' -H "X-Forgejo-Event-Type: $type" \
        -H "X-Forgejo-Delivery: $delivery" ${header:+-H "$header"} \
        --data-binary @"$file" "$URL/api/v1/webhooks/forgejo"
}

task_is() { # TASK_ID STATUS
    [[ $(sql "select status from fleet.tasks where task_id = '$1'") == "$2" ]]
}
none_waiting() { # statuses that must be gone
    [[ $(sql "select count(*) from fleet.tasks where status in ('created', 'assigned', 'running')") == "${1:-0}" ]]
}

# Every check_* view is empty.
invariants_hold() {
    local view rows all=0
    for view in $(sql "select table_name from information_schema.views
                       where table_schema = 'fleet' and table_name like 'check\\_%' order by 1"); do
        rows=$(sql "select count(*) from fleet.$view")
        [[ $rows == 0 ]] || { echo "fleet.$view: $rows rows: $(sql "select * from fleet.$view limit 3")"; all=1; }
    done
    return $all
}

# The stored output of a task is exactly `line 1` … `line N`.
output_is_whole() { # TASK_ID N
    local got want
    got=$(api GET "/api/v1/tasks/${1//\//%2F}/logs?stream=stdout&limit_bytes=1048576" >/dev/null &&
        sha256sum <"$E2E/body")
    want=$(seq -f 'line %.0f' 1 "$2" | sha256sum)
    [[ $got == "$want" ]]
}

# runs_of [TASK_ID]: the processes that bear the mark of a run (of that task), of this test alone.
# shellcheck disable=SC2120 # the id is for scenarios
runs_of() {
    local file
    for file in $(grep -lsa "FLEET_RUN=${1+$1[.]}" /proc/[0-9]*/environ); do
        file=${file#/proc/}
        [[ $(readlink "/proc/${file%/*}/cwd") == "$E2E"/* ]] && echo "${file%/*}"
    done
    return 0 # whatever the last one was
}

runs_end() {
    local pid
    for pid in $(runs_of); do kill -KILL "$pid"; done
}

reachable() { [[ $(sql "select distinct status from fleet.hosts where host_id = '$1'") == online ]]; }

fleet_end() {
    local file name
    for file in "$E2E/run"/*.pid; do
        name=${file##*/}
        [[ $name == sshd.pid ]] || process_stop "$E2E/run" "${name%.pid}" KILL
    done
    sshd_down
    runs_end
}
