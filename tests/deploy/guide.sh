# shellcheck shell=bash
# The acceptance: deploy/README.md followed line by line on a clean Debian 12 with systemd, from packages to a fleet that is
# updated under load. Each of its blocks is run as it stands; a failure names its line. Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # repository container_reason
# shellcheck source=tests/deploy/blocks.sh
source tests/deploy/blocks.sh

GUIDE=deploy/README.md

guide_suite() {
    container_ready || { skip 'guide' "$container_reason"; return; }
    guide_blocks "$GUIDE" "$TEST_DIR/blocks" >"$TEST_DIR/marks" || { fail 'guide: its marks' "$(cat "$TEST_DIR/marks")"; return; }
    guide_machine >"$TEST_DIR/machine" 2>&1 || { fail 'guide: a clean machine' "$(cat "$TEST_DIR/machine")"; return; }
    local number line
    while read -r number line; do
        guide_step "$number" "$line" || return
    done <"$TEST_DIR/blocks/index"
    guide_stands
}

# Debian 12 as its installer leaves it, with fresh package lists.
guide_machine() {
    container_systemd && container_boot fleet fleet-systemd && container_do fleet apt-get -q update
}

guide_step() { # NUMBER LINE
    local block=$TEST_DIR/blocks/$1 want status load=false
    grep -q '^fleet-rolling-restart' "$block.sh" && load=true
    if $load; then guide_load || return 1; fi
    guide_run "$block" >"$block.out" 2>&1
    status=$?
    if $load; then guide_load_end; fi
    if ((status != 0)); then
        fail "$GUIDE:$2: the block ends with $status" "$(cat "$block.sh"; echo '--'; tail -n 30 "$block.out"; guide_trouble)"
        return 1
    fi
    while read -r want; do
        grep -qF -- "$want" "$block.out" || { fail "$GUIDE:$2: its output holds '$want'" "$(cat "$block.out"; guide_trouble)"; return 1; }
    done <"$block.expect"
    pass "$GUIDE:$2: $(grep -m 1 -v '^ *#' "$block.sh" | cut -c1-70)"
}

guide_run() { # BLOCK
    local user
    if [[ $(cat "$1.on") == build ]]; then
        timeout 1200 bash -euo pipefail "$1.sh" </dev/null || return
        container_copy build/package/. fleet:/root/packages && container_do fleet sh -c 'mv /root/packages/*.deb /root/'
        return
    fi
    user=$(cat "$1.as")
    container_feed fleet runuser -u "$user" -- env -C "$(guide_home "$user")" HOME="$(guide_home "$user")" \
        timeout 600 bash -euo pipefail -s <"$1.sh"
}

guide_home() { if [[ $1 == root ]]; then echo /root; else echo "/home/$1"; fi; }

guide_trouble() {
    echo '-- the last lines of the journal'
    container_do fleet journalctl -q --no-pager -n 25 -o cat
}

# --- the update, while people work ---

# Requests through Caddy one after the other in two lines, and a task every second; until /run/load is away. Not for /readyz,
# which a draining node refuses on purpose.
guide_load() {
    container_feed fleet bash -s <<'END'
touch /run/load
mkdir -p /run/answers
request() { curl -sS -m 20 -o /dev/null -w '%{http_code} %{time_total} s %{errormsg}\n' -H @/root/fleet-header "$@" | sed "s/\$/ at $(date +%T)/"; }
line() { while [[ -e /run/load ]]; do request "http://127.0.0.1:9090$2" >>"/run/answers/$1"; done; }
tasks() {
    local number=0
    while [[ -e /run/load ]]; do
        number=$((number + 1))
        request http://127.0.0.1:9090/api/v1/tasks -H 'Content-Type: application/json' \
            -d "{\"task_id\": \"load-$number\", \"title\": \"Load $number\", \"labels\": [\"agent:code:rust\"]}" >>/run/answers/posts
        read -rt 1 <> <(:) # a pause
    done
}
line healthz /healthz </dev/null >/dev/null 2>&1 &
line list /api/v1/tasks </dev/null >/dev/null 2>&1 &
tasks </dev/null >/dev/null 2>&1 &
END
    wait_for 60 'runs of the load' guide_sql_is "select count(*) > 2 from fleet.running" t
}

guide_load_end() {
    # What was submitted last ran on the new nodes only.
    container_do fleet rm /run/load
    container_do fleet sh -c 'cd /run/answers && grep "" *' >"$TEST_DIR/answers"
    check 'update: requests were made meanwhile' test "$(wc -l <"$TEST_DIR/answers")" -gt 100
    check 'update: none of them failed' not grep -vE '^[a-z]*:20[0-9] ' "$TEST_DIR/answers"
    wait_for 300 'the runs of the load to end' guide_sql_is \
        "select count(*) from fleet.tasks where task_id like 'load-%' and status not in ('completed', 'failed', 'cancelled')" 0
    check 'update: all of them are completed' guide_sql_is \
        "select count(*) from fleet.tasks where task_id like 'load-%' and status <> 'completed'" 0
    check 'update: no run was interrupted' guide_sql_is "select max(attempt) from fleet.attempts where task_id like 'load-%'" 1
    check 'update: some runs changed their worker' guide_sql_is \
        "select count(*) > 0 from fleet.history where task_id like 'load-%' and event_type = 'adopted'" t
}

guide_sql_is() {
    local got
    got=$(container_do fleet runuser -u postgres -- psql -XqAt -d fleet -c "$1")
    [[ $got == "$2" ]] || { echo "$got"; return 1; }
}

# --- what stands at its end ---

guide_verified() {
    container_do fleet systemd-analyze verify --man=no fleet-server@9091.service fleet-worker@1.service fleet-migrate.service \
        agent-fleet.target >"$TEST_DIR/verified" 2>&1
    not grep . "$TEST_DIR/verified"
}

guide_no_errors() {
    container_do fleet journalctl -q --no-pager -o cat -p err -u 'fleet-*' >"$TEST_DIR/errors" || return 1
    not grep . "$TEST_DIR/errors"
}

guide_stands() {
    local unit
    for unit in fleet-server@9091 fleet-server@9092 fleet-worker@1 fleet-worker@2 caddy; do
        check "$unit is active" container_do fleet systemctl is-active "$unit"
        check "$unit was never started again by systemd" test "$(container_do fleet systemctl show -P NRestarts "$unit")" = 0
    done
    check 'systemd has nothing to say about the units' guide_verified
    check "the webhook's task is completed" guide_sql_is "select status from fleet.tasks where task_id = 'acme/rocket#1'" completed
    check 'no invariant is broken' guide_sql_is 'select count(*) from fleet.check_all() where faults > 0' 0
    check 'no line of a node is an error' guide_no_errors
    check 'after a power cut' container_restart fleet
    check 'everything is back' until_true 60 container_do fleet curl -fsS http://127.0.0.1:9090/readyz
}
