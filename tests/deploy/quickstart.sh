# shellcheck shell=bash
# deploy/quickstart as a user runs it, in a copy of this tree. Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # repository

SERVICES=(postgres sshd server-1 server-2 worker-1 worker-2 caddy)

quickstart_suite() {
    clone=$TEST_DIR/clone
    mkdir "$clone"
    (cd "$repository" && { git ls-files -coz --exclude-standard | grep -zv '^tests/'
        git ls-files -coz --exclude-standard tests/forgejo tests/lib/forgejo.sh; } | tar --null -T - -cf -) |
        tar -xf - -C "$clone" || { fail 'a copy of the tree'; return; }
    at_exit "$clone/deploy/quickstart" destroy
    [[ -z ${CCACHE_BASEDIR-} ]] || export CCACHE_BASEDIR=$clone
    machine_state >"$TEST_DIR/machine"

    check '--help' quickstart --help
    check 'status of nothing is not 0' not quickstart status
    listen 9090
    quickstart_first || return
    quickstart_contract
    quickstart_again
    quickstart_double
    quickstart_clis
    quickstart_stop
    quickstart_destroy
}

quickstart() { timeout 1200 "$clone/deploy/quickstart" "$@" </dev/null >"$TEST_DIR/said" 2>&1; }
said() { grep -qE "$1" "$TEST_DIR/said"; }
pids() { (cd "$clone/.fleet/run" && head -qn 1 "${@/%/.pid}"); }
# "PID START" of each service, by which it is told from whoever has its pid later; and those of such a list that live.
services() { (cd "$clone/.fleet/run" && cut -d' ' -f1,2 "${SERVICES[@]/%/.id}"); }
survivors() {
    local pid start
    while read -r pid start; do ! process_lives "$pid" "$start" || echo "$pid: $(process_comm "$pid")"; done <<<"$1"
}
query() { psql -XqAt -d "$FLEET_DATABASE_URL" -c "$1"; }
branch_of() { query "select branch_name from fleet.task_texts where task_id = 'demo/rocket#$1'"; }
demo_log() { git --git-dir="$FLEET_DEMO_REPOSITORY" log --oneline "$1"; }
saying() { check "$1" grep -E "$2" "$TEST_DIR/said"; }

# Enabled units and init scripts, PostgreSQL clusters; without the clusters that other clones' quickstarts make and remove
# meanwhile, whose names end in eight hex digits of their path.
machine_state() {
    find /etc/systemd/system \( -path '*.wants/*' -o -path '*.requires/*' \) -type l 2>/dev/null | sort
    compgen -G '/etc/rc[2345].d/S*' | sort
    local pattern
    for pattern in /var/lib/postgresql/{'*','*/*'} '/etc/postgresql/*/*'; do compgen -G "$pattern"; done |
        grep -vE '^/var/lib/postgresql/[^/]+-[0-9a-f]{8}(/|$)'
}

# The clusters of this test's clone, outside it, where the quickstart of root puts them.
clusters() { compgen -G "/var/lib/postgresql/*-$(printf %s "$clone" | sha256sum | cut -c1-8)"; }

# listening PID...: the addresses, in the kernel's hex, that these processes listen on.
listening() {
    local pid inodes
    inodes=$(for pid in "$@"; do
        find "/proc/$pid/fd" -type l -printf '%l\n' 2>/dev/null | sed -n 's/^socket:\[\([0-9]*\)\]$/\1/p'
    done | sort -u)
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { print $10, $2 }' | sort |
        join - <(echo "$inodes") | cut -d' ' -f2
}

quickstart_first() {
    quickstart || { fail 'quickstart' "$(cat "$TEST_DIR/said")"; return 1; }
    pass 'quickstart exits 0'
    cp "$TEST_DIR/said" "$TEST_DIR/said.first"
    saying 'a taken port is moved and said' 'port 9090 is taken: caddy listens on [0-9]+'
    saying 'both tasks are completed' 'adopted by worker-[12] after [0-9.]+ s, 0 bytes lost, still attempt 1'
    check 'status is 0' quickstart status
    # shellcheck disable=SC2046 # pids
    listening $(pids "${SERVICES[@]}") >"$TEST_DIR/listening"
    check 'five sockets listen' test "$(wc -l <"$TEST_DIR/listening")" = 5
    check 'all of them on 127.0.0.1' test -z "$(grep -v '^0100007F:' "$TEST_DIR/listening")"
    check '.fleet is closed to others' test "$(stat -c %a "$clone/.fleet")" = 700
    check 'no file in it is open to others' test -z "$(find "$clone/.fleet" -xdev ! -type l -perm /077 ! -type s -print |
        grep -vE "^$clone/.fleet/(work|git)/" | head -n 3)"
    cat "$clone"/.fleet/etc/{password-*,webhook-secret,token} >"$TEST_DIR/secrets"
    check 'there are secrets' test "$(grep -cE '^[A-Za-z0-9_-]{20,}$' "$TEST_DIR/secrets")" -ge 3
    check 'no secret in any argv' not in_argv "$TEST_DIR/secrets"
    echo "$clone/.fleet/etc/fleet.yaml" >>"$TEST_DIR/secrets"
    check 'which would be found there' in_argv "$TEST_DIR/secrets"
}

# in_argv FILE: a line of FILE stands in an argv of this machine.
in_argv() { grep -qalFf "$1" /proc/[0-9]*/cmdline 2>/dev/null; }

quickstart_contract() {
    # shellcheck source=/dev/null
    source "$clone/.fleet/env"
    local name
    for name in "${SERVICES[@]}"; do
        check "pid file and log of $name" test -s "$clone/.fleet/run/$name.pid" -a -e "$clone/.fleet/log/$name.log"
    done
    # shellcheck disable=SC2016 # for the shell of the login
    check 'logins of the demo host have a home of their own' test "$(sshd_try "$clone/.fleet/sshd" \
        "$(sed -n 's/^sshd=//p' "$clone/.fleet/etc/ports")" 'echo "$HOME"')" = "$clone/.fleet/home"
    check 'FLEET_URL answers' test "$(curl -fsS "$FLEET_URL/healthz")" = ok
    check 'FLEET_SERVER_URLS answer' test "$(for name in $FLEET_SERVER_URLS; do curl -fsS "$name/healthz"; done)" = okok
    echo "Authorization: Bearer $FLEET_TOKEN" >"$TEST_DIR/header"
    check 'FLEET_TOKEN is good' curl -fsS -o /dev/null -H @"$TEST_DIR/header" "$FLEET_URL/api/v1/nodes"
    check 'two tasks, both completed' test "$(query "select count(*) from fleet.tasks where status = 'completed'")" = 2
    check 'one attempt each' test "$(query 'select count(*) from fleet.attempts')" = 2
    check 'the reader writes nothing' not query 'update fleet.task set title = title'
    check 'the reader calls nothing' not query "select fleet.cancel('demo/rocket#1')"
    check 'the operator may' psql -XqAt -d "$FLEET_OPERATOR_DATABASE_URL" -c 'select count(*) from fleet.tasks'
    check 'the admin may' psql -XqAt -d "$FLEET_ADMIN_DATABASE_URL" -c "select fleet.set('dead_ms', 11000)"
    check 'FLEET_DEMO_REPOSITORY is a repository' test "$(demo_log main | wc -l)" = 1
    check 'the branch of the first task is pushed to it' test "$(demo_log "$(branch_of 1)" | wc -l)" = 2
    check 'and its log is shown at the end' test "$(tail -n 2 "$TEST_DIR/said.first")" = "$(demo_log "$(branch_of 2)" | sed 's/^/        /')"
    check 'a wrong signature is 401' test "$(curl -sS -o /dev/null -w '%{http_code}' -X POST -d '{}' \
        -H 'Content-Type: application/json' -H 'X-Forgejo-Event: issues' -H 'X-Forgejo-Event-Type: issues' \
        -H 'X-Forgejo-Delivery: 1b4e28ba-2fa1-41d2-883f-0016d3cca427' -H 'X-Forgejo-Signature: 00' \
        "$FLEET_URL/api/v1/webhooks/forgejo")" = 401
}

# What lives is reused, what died comes back, nothing is configured twice.
quickstart_again() {
    local lived died
    lived=$(pids postgres sshd server-2 worker-1 worker-2 caddy)
    died=$(pids server-1)
    kill -KILL "$died"
    wait_for 5 'the server to be gone' not process_alive "$clone/.fleet/run" server-1
    check 'status is not 0 with a dead server' not quickstart status
    saying 'and names it' '^server-1 +DOWN'
    check 'Caddy serves without it' curl -fsS -m 5 -o /dev/null "$FLEET_URL/healthz"
    check 'a second run exits 0' quickstart --no-demo
    check 'and keeps what lived' test "$(pids postgres sshd server-2 worker-1 worker-2 caddy)" = "$lived"
    check 'and starts the dead one' test "$(pids server-1)" != "$died"
    check 'the token stays' grep -qF "$FLEET_TOKEN" "$clone/.fleet/env"
}

# The round on a double of Forgejo, step by step; then the doctor is content with it.
quickstart_double() {
    if ! quickstart --forgejo-double; then
        fail 'the round on a double of Forgejo' "$(cat "$TEST_DIR/said")"
        return
    fi
    pass 'the round on a double of Forgejo'
    check '... in its order' test "$(grep -oE 'Fleet: (queued|waiting for a review|done)|draft pull request|, pushed$|is (review_pending|completed)$' "$TEST_DIR/said" |
        paste -sd,)" = 'Fleet: queued,, pushed,draft pull request,is review_pending,Fleet: waiting for a review,is completed,Fleet: done'
    check '... its tokens are in no argv' not in_argv <(cat "$clone"/.fleet/etc/forgejo-*token)
    "$clone/build/fleet-server" forgejo doctor --config "$clone/.fleet/etc/fleet.yaml" --env-file "$clone/.fleet/etc/server-1.env" >"$TEST_DIR/said" 2>&1
    saying '... and the doctor finds nothing wrong' ' 0 wrong$'
    check 'status knows the double' quickstart status
    saying '... by its name' '^forgejo +runs'
}

# The real CLIs with the scripted model: Codex through the whole demonstration, the others (CASES=all; each tests/run has them in the
# scenario clis) through one task.
quickstart_clis() {
    if ! command -v codex >/dev/null && ! { command -v npm >/dev/null && timeout 30 npm view @openai/codex version; } >/dev/null 2>&1; then
        skip 'the real CLIs' 'neither codex on PATH nor a way to npm'
        check 'a second demonstration takes new issues' quickstart
        return
    fi
    if quickstart --agent codex --model scripted; then
        pass 'the real Codex CLI with the scripted model'
    else
        fail 'the real Codex CLI with the scripted model' "$(cat "$TEST_DIR/said")"
    fi
    saying 'is adopted too' 'adopted by worker-[12] after [0-9.]+ s, 0 bytes lost'
    check 'its tasks are completed by codex-cli' test "$(query "select count(*) from fleet.tasks
        where agent_type = 'codex-cli' and status = 'completed'")" = 2
    [[ ${CASES-} == all ]] || return 0
    quickstart_cli claude claude-code
    quickstart_cli opencode opencode
}

# By npm, unless tests/e2e brought it already.
quickstart_cli() { # AGENT TYPE
    if ! PATH=$repository/build/clis/node_modules/.bin:$PATH quickstart --agent "$1" --model scripted --no-demo; then
        if grep -q 'npm could not install' "$TEST_DIR/said"; then
            skip "the real CLI of $1" 'npm did not bring it'
        else
            fail "the real CLI of $1 with the scripted model" "$(cat "$TEST_DIR/said")"
        fi
        return
    fi
    curl -fsS -o /dev/null -H @"$TEST_DIR/header" -H 'Content-Type: application/json' "$FLEET_URL/api/v1/tasks" \
        -d '{"task_id": "by-'"$1"'", "title": "Fix it", "repo": "demo/rocket", "labels": ["agent:code:rust"]}'
    wait_for 60 "a task of $1 to be completed" eval '[[ $(query "select status from fleet.tasks where task_id = '"'by-$1'"'") == completed ]]'
    check '... by it' test "$(query "select agent_type from fleet.tasks where task_id = 'by-$1'")" = "$2"
    check '... and pushed' test "$(demo_log "task/by-$1" | wc -l)" = 2
}

quickstart_stop() {
    local all stranger
    all=$(services)
    check 'all of it runs' test "$(survivors "$all" | wc -l)" = ${#SERVICES[@]}
    # A stranger under a pid that the fleet once had.
    sleep 300 & # payload: sleep
    stranger=$!
    started "$stranger"
    kill -KILL "$(pids worker-2)"
    wait_for 5 'the worker to be gone' not process_alive "$clone/.fleet/run" worker-2
    sed -i "s/^[0-9]*/$stranger/" "$clone/.fleet/run/worker-2.id" "$clone/.fleet/run/worker-2.pid"
    check 'stop' quickstart stop
    check 'a recycled pid is not signalled' kill -0 "$stranger"
    check 'nothing of it runs' test -z "$(survivors "$all")"
    check 'status is not 0 after stop' not quickstart status
    check 'up after stop' quickstart up --no-demo
    check 'with the data of before' test "$(query "select count(*) >= 4 from fleet.tasks where status = 'completed'")" = t
}

quickstart_destroy() {
    local all port ports
    all=$(services)
    mapfile -t ports < <(cut -d= -f2 "$clone/.fleet/etc/ports")
    ((EUID != 0)) || check 'there is a cluster to remove' test -n "$(clusters)"
    check 'destroy' quickstart destroy
    saying 'says which packages stay' 'Packages that quickstart installed and that stay: '
    check 'nothing of it runs after destroy' test -z "$(survivors "$all")"
    check '.fleet is gone' test ! -e "$clone/.fleet"
    check 'the cluster is gone' test -z "$(clusters)"
    for port in "${ports[@]}"; do
        check "nothing listens on $port" not process_port_taken "$port"
    done
    machine_state >"$TEST_DIR/after"
    check 'units and clusters are as before' diff "$TEST_DIR/machine" "$TEST_DIR/after"
    check 'destroy again is harmless' quickstart destroy
}
