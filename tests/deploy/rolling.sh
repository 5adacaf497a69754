# shellcheck shell=bash
# deploy/rolling-restart on a machine with a real systemd: under load, and where a node does not come back. Sourced by
# tests/deploy/part; needs containers.
# shellcheck disable=SC2154 # container_reason
# shellcheck source=tests/deploy/machine.sh
source tests/deploy/machine.sh

rolling_suite() {
    container_ready || { skip 'rolling-restart' "$container_reason"; return; }
    machine_image >"$TEST_DIR/image" 2>&1 || { fail 'rolling-restart: an image of the machine' "$(cat "$TEST_DIR/image")"; return; }
    machine_boot machine >"$TEST_DIR/boot" 2>&1 ||
        { fail 'rolling-restart: a machine with a fleet' "$(cat "$TEST_DIR/boot"; on journalctl --no-pager -n 60)"; return; }
    rolling_dry
    rolling_under_load
    rolling_checks
    rolling_stops
    rolling_waits
}

restart() { on /opt/agent-fleet/bin/fleet-rolling-restart "$@" >"$TEST_DIR/restart" 2>&1; }
said() { grep -qE -- "$1" "$TEST_DIR/restart" || { cat "$TEST_DIR/restart"; return 1; }; }
pids() { local unit; for unit in "${SERVERS[@]}" "$WORKER"; do main_pid "$unit"; done; }
sum() { paste -sd' ' <<<"$(pids)"; }

rolling_dry() {
    local before
    before=$(sum)
    check 'dry: says what it would do' restart --dry-run
    check 'dry: servers first, then workers' test "$(sed -nE 's/^would restart ([^ ]+)\.service .*/\1/p' "$TEST_DIR/restart" | paste -sd' ')" = \
        "${SERVERS[*]} $WORKER"
    check 'dry: does nothing' test "$(sum)" = "$before"
    check 'a unit that is none of ours is refused' not restart caddy
    check '... by a sentence' said 'caddy.service is no fleet-server@PORT'
}

# Statuses of GETs and POSTs through Caddy, until the file /root/stop is there.
rolling_load() {
    on sh -c 'rm -f /root/stop; : >/root/statuses
        while [ ! -e /root/stop ]; do
            curl -sS -m 30 -o /dev/null -w "GET %{http_code}\n" -H @/root/header http://127.0.0.1:9090/api/v1/tasks?limit=1
            curl -sS -m 30 -o /dev/null -w "POST %{http_code}\n" -H @/root/header -H "Content-Type: application/json" \
                -d "{\"title\": \"T\", \"labels\": [\"agent:nobody\"]}" http://127.0.0.1:9090/api/v1/tasks
        done >>/root/statuses 2>&1' &
    load=$!
    started "$load"
}

rolling_under_load() {
    local before changed=0 i
    local -a old new
    deliver 1 'demo: seconds=40' >/dev/null
    wait_for 40 'a task to run' task_is 1 running
    before=$(pids)
    rolling_load
    check 'all nodes are restarted' restart
    on touch /root/stop
    wait_for 60 'the load to end' pid_gone "$load"
    mapfile -t old <<<"$before"
    mapfile -t new < <(pids)
    for i in "${!old[@]}"; do [[ ${old[i]} == "${new[i]}" || ${new[i]} == 0 ]] || changed=$((changed + 1)); done
    check '... each is another process' test "$changed" = 3
    on sort /root/statuses >"$TEST_DIR/statuses"
    check "... no request failed ($(uniq -c "$TEST_DIR/statuses" | paste -sd,))" test "$(grep -cvE '^(GET 200|POST 201)$' "$TEST_DIR/statuses")" = 0
    wait_for 90 'the task to be completed' task_is 1 completed
    check '... and its run not interrupted' test "$(on_sql "select count(*) from fleet.attempts where task_id = 'demo/rocket#1'")" = 1
}

# A configuration that no node takes costs none.
rolling_checks() {
    local before
    before=$(sum)
    on sed -i.kept 's/^server:.*/server: { port: many }/' /etc/agent-fleet/fleet.yaml
    check 'a wrong configuration: refused' not restart
    check '... by the sentence of the node' said 'fleet.yaml:1:.*server.port'
    check '... nothing was touched' test "$(sum)" = "$before"
    on mv /etc/agent-fleet/fleet.yaml.kept /etc/agent-fleet/fleet.yaml
}

# The first that does not come back is the last that is touched.
rolling_stops() {
    local second
    second=$(main_pid "${SERVERS[1]}")
    on sh -c 'd=/run/systemd/system/fleet-server@.service.d; mkdir -p $d
        printf "[Service]\nExecStartPre=/bin/false\n" >$d/stops.conf; systemctl daemon-reload'
    check 'a node that does not come back: refused' not restart
    check '... with its name, and where to look' said "${SERVERS[0]}.*did not come back.*Stopped here.*journalctl -u ${SERVERS[0]}"
    check '... the others are as they were' test "$(main_pid "${SERVERS[1]}")" = "$second"
    check '... and serve' on_api /healthz -f
    on sh -c 'rm -r /run/systemd/system/fleet-server@.service.d; systemctl daemon-reload'
    check 'mended, it goes through' restart
    check '... and begins with the one that had failed' test "$(sed -nE '1s/^restarting ([^ ]+)\.service .*/\1/p' "$TEST_DIR/restart")" = "${SERVERS[0]}"
    check '... which serves again' unit_is "${SERVERS[0]}" active
}

rolling_waits() {
    on systemctl stop postgresql
    check 'a server that is not ready is waited for, in vain' not restart --timeout 5 "${SERVERS[0]}"
    check '... and what it says is told' said '/readyz says: HTTP/1.1 503.*"database"'
    check '... so is a worker' not restart --timeout 5 "$WORKER"
    check '... and what it says' said 'it says: waiting for the database'
    on systemctl start postgresql
    check 'one alone' restart "${SERVERS[0]}"
    check '... and no other' test "$(grep -c '^restarting' "$TEST_DIR/restart")" = 1
}
