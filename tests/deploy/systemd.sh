# shellcheck shell=bash
# The units on a machine with a real systemd: started, watched, killed, hung, misconfigured, without database, rebooted; the
# main job in each. Sourced by tests/deploy/part; needs containers.
# shellcheck disable=SC2154 # repository container_reason
# shellcheck source=tests/deploy/machine.sh
source tests/deploy/machine.sh

systemd_suite() {
    container_ready || { skip 'systemd' "$container_reason"; return; }
    machine_image >"$TEST_DIR/image" 2>&1 || { fail 'systemd: an image of the machine' "$(cat "$TEST_DIR/image")"; return; }
    machine_boot machine >"$TEST_DIR/boot" 2>&1 ||
        { fail 'systemd: a machine with a fleet' "$(cat "$TEST_DIR/boot"; on journalctl --no-pager -n 60)"; return; }
    systemd_looks
    systemd_secrets
    systemd_main_job
    systemd_worker_dies
    systemd_worker_hangs
    systemd_server_hangs
    systemd_misconfigured
    systemd_database_away
    systemd_reload
    systemd_target
    systemd_sandbox
    systemd_localhost
    systemd_reboot
    check 'no invariant is broken' test -z "$(on_sql 'select * from fleet.check_all() where faults > 0')"
}

# --- what people see ---

systemd_looks() {
    local unit
    for unit in "${SERVERS[@]}" "$WORKER"; do
        check "$unit is active" unit_is "$unit" active
        check "$unit says what it does" test -n "$(unit_says "$unit" StatusText)"
    done
    check 'a server names its address' test "$(unit_says "${SERVERS[0]}" StatusText | grep -c 'port 9091')" = 1
    until_true 20 worker_reaches
    check 'the worker counts its hosts' worker_reaches
    on journalctl -q --no-pager -u "${SERVERS[0]}" -u "$WORKER" _COMM=fleet-server _COMM=fleet-worker -o json >"$TEST_DIR/journal"
    check 'its lines have priorities' grep -q '"PRIORITY":"6"' "$TEST_DIR/journal"
    check 'and read as text' grep -q '"MESSAGE":"time=.*listening on 127.0.0.1 port 9091' "$TEST_DIR/journal"
    check 'fleet-migrate made the schema' test "$(unit_says fleet-migrate Result)" = success
    check 'and once more does nothing' on systemctl start fleet-migrate
}

worker_reaches() { unit_says "$WORKER" StatusText | grep -q '1 of 1 hosts ready'; }

# Nobody but root and the node itself comes to know what the credentials hold.
systemd_secrets() {
    on bash -c 'cat /etc/agent-fleet/credentials/*/{database-url,webhook-secret,owner-database-url} 2>/dev/null |
        sed -n "s,.*:\([0-9a-f]\{48\}\)@.*,\1,; /^[0-9a-f]*$/p"; sed -n 3p /etc/agent-fleet/credentials/worker/ssh-key' \
        >"$TEST_DIR/secrets"
    check 'there are five secrets' test "$(grep -cE '^[A-Za-z0-9+/=]{48,}$' "$TEST_DIR/secrets")" = 5 -a \
        "$(wc -l <"$TEST_DIR/secrets")" = 5
    container_copy "$TEST_DIR/secrets" "$MACHINE":/root/secrets
    check 'none in systemctl show' not on sh -c 'systemctl show "*" | grep -Ff /root/secrets'
    check 'none in the journal' not on sh -c 'journalctl -q -o export | grep -aFf /root/secrets'
    check 'none in an environment or a command line' not on sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | grep -aFf /root/secrets'
    check 'the account of the agents reads no credential' not on runuser -u agent -- \
        sh -c 'cat /etc/agent-fleet/credentials/*/* /run/credentials/*/* /etc/agent-fleet/fleet.yaml'
    check 'a server has no key' not on sh -c 'ls /run/credentials/fleet-server@9091.service | grep ssh'
    check 'a worker has no webhook secret' not on sh -c "ls /run/credentials/$WORKER.service | grep webhook"
    on rm /root/secrets
}

systemd_main_job() {
    check 'a signed webhook is accepted' deliver 1 'demo: seconds=2'
    wait_for 60 'the task to be completed' task_is 1 completed && pass 'its task is completed on the SSH host'
    check 'its output is whole' output_is_whole 1
}

# --- what may happen to a node ---

systemd_worker_dies() {
    local before
    deliver 2 'demo: seconds=20' >/dev/null
    wait_for 40 'the second task to speak' running_since 2 1000 || return
    before=$(main_pid "$WORKER")
    on kill -KILL "$before"
    wait_for 20 'systemd to start the worker again' new_pid "$WORKER" "$before"
    systemd_goes_on 2 'killed worker'
}

systemd_worker_hangs() {
    local before
    deliver 3 'demo: seconds=25' >/dev/null
    wait_for 40 'the third task to speak' running_since 3 1000 || return
    before=$(main_pid "$WORKER")
    on kill -STOP "$before"
    wait_for 60 'the watchdog to end the hung worker' new_pid "$WORKER" "$before"
    check 'the journal says that it was the watchdog' logged "$WORKER" 'Watchdog timeout'
    systemd_goes_on 3 'hung worker'
}

new_pid() {
    local pid
    pid=$(main_pid "$1")
    [[ $pid != 0 && $pid != "$2" ]] && unit_is "$1" active
}

systemd_goes_on() { # NUMBER WHAT
    wait_for 90 "the run of the $2 to end" task_is "$1" completed && pass "the run of the $2 ends well"
    check "in one attempt" test "$(attempts_of "$1")" = 1
    check "and no byte is lost" output_is_whole "$1"
}

systemd_server_hangs() {
    local before
    before=$(main_pid "${SERVERS[0]}")
    on kill -STOP "$before"
    # What was sent to it before its health was asked waits for the watchdog; what comes later does not.
    check 'Caddy soon serves without the hung server' until_true 10 on_api /healthz -f -m 1
    wait_for 40 'the watchdog to end the hung server' new_pid "${SERVERS[0]}" "$before"
    check 'it serves again' until_true 20 on curl -fsS http://127.0.0.1:9091/readyz
}

# A node that can never work is not started again and again, and its last line says why.
systemd_misconfigured() {
    systemd_never_works 'a broken configuration' 'fleet\.yaml:[0-9]+' \
        'sed -i.kept "s/^server:.*/server: { port: many }/" /etc/agent-fleet/fleet.yaml' \
        'mv /etc/agent-fleet/fleet.yaml.kept /etc/agent-fleet/fleet.yaml'
    systemd_never_works 'a missing credential' 'no credential webhook-secret.*agent-fleet/credentials/server/webhook-secret' \
        'mv /etc/agent-fleet/credentials/server/webhook-secret /root/kept' \
        'mv /root/kept /etc/agent-fleet/credentials/server/webhook-secret'
    systemd_never_works 'a missing folder of credentials' 'no credential database-url.*agent-fleet/credentials/server/database-url' \
        'mv /etc/agent-fleet/credentials/server /root/kept' \
        'mv /root/kept /etc/agent-fleet/credentials/server'
    systemd_never_works "an address that is not this machine's" '192\.0\.2\.1' \
        'sed -i.kept "s/bind: 127.0.0.1/bind: 192.0.2.1/" /etc/agent-fleet/fleet.yaml' \
        'mv /etc/agent-fleet/fleet.yaml.kept /etc/agent-fleet/fleet.yaml'
    check 'mended, it starts' on systemctl start fleet-server@9093
    on systemctl stop fleet-server@9093
}

systemd_never_works() { # WHAT SENTENCE BREAK MEND
    local unit=fleet-server@9093
    on systemctl reset-failed "$unit" 2>/dev/null
    on sh -c "$3"
    check "$1: does not start" not on systemctl start "$unit"
    check "$1: failed" unit_is "$unit" failed
    check "$1: status 78" test "$(unit_says "$unit" ExecMainStatus)" = 78
    check "$1: not started again" test "$(unit_says "$unit" NRestarts)" = 0
    check "$1: the log says so" logged "$unit" "$2"
    on sh -c "$4"
}

systemd_database_away() {
    local pids
    pids=$(main_pid "${SERVERS[0]}")+$(main_pid "$WORKER")
    on systemctl stop postgresql
    wait_for 30 'a server to say that the database is away' says_trouble "${SERVERS[0]}"
    wait_for 30 'the worker to say so' says_trouble "$WORKER"
    check 'the server stays' unit_is "${SERVERS[0]}" active
    check 'the worker stays' unit_is "$WORKER" active
    check 'a server that is started meanwhile waits' on systemctl start fleet-server@9094
    check 'and says for what' until_true 10 says_trouble fleet-server@9094
    on systemctl start postgresql
    check 'it serves when the database is back' until_true 40 on curl -fsS http://127.0.0.1:9094/readyz
    check 'so do the others' until_true 40 on_api /readyz -f
    check 'nobody was started anew' test "$(main_pid "${SERVERS[0]}")+$(main_pid "$WORKER")" = "$pids"
    check 'the status says that too' until_true 20 not says_trouble "${SERVERS[0]}"
    on systemctl stop fleet-server@9094
}

says_trouble() { unit_says "$1" StatusText | grep -qi 'database'; }

systemd_reload() {
    local pids
    pids=$(main_pid "${SERVERS[0]}")+$(main_pid "$WORKER")
    on sed -i 's/capabilities: \[ code:rust \]/capabilities: [ code:rust, code:c ]/' /etc/agent-fleet/fleet.yaml
    check 'reload' on systemctl reload "${SERVERS[@]}" "$WORKER"
    wait_for 20 'the new capability' grep_sql 'code:c' "select capabilities from fleet.agents"
    check 'the server says so' until_true 10 logged "${SERVERS[0]}" 'configuration was reloaded'
    check 'in the same processes' test "$(main_pid "${SERVERS[0]}")+$(main_pid "$WORKER")" = "$pids"
    check 'which are active' unit_is "${SERVERS[0]}" active
}
grep_sql() { on_sql "$2" | grep -q -- "$1"; }

# The target reaches all instances, also when nobody ever started it.
systemd_target() {
    local pid unit
    pid=$(main_pid "$WORKER")
    check 'restart of the target' on systemctl restart agent-fleet.target
    check 'restarts the nodes' until_true 60 new_pid "$WORKER" "$pid"
    check 'stop of the target' on systemctl stop agent-fleet.target
    for unit in "${SERVERS[@]}" "$WORKER"; do
        check "stops $unit" until_true 60 unit_is "$unit" inactive
        check "which ended by itself" test "$(unit_says "$unit" Result)" = success
    done
    check 'start of the target' on systemctl start agent-fleet.target
    check 'starts them' on_api_soon
}
on_api_soon() { until_true 40 on_api /readyz -f; }

# --- the sandbox: the same unit with another program ---

systemd_sandbox() {
    local kind name want
    on_sql 'create role "agent-fleet" login; create role root login' # known by the account that asks, without password
    on_script <<'END'
cat >/usr/local/bin/probe <<'PROBE'
#!/bin/sh
# What a node's process could do, one line each: NAME yes or no.
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "probe $name yes"; else echo "probe $name no"; fi; }
try itself test -r "$CREDENTIALS_DIRECTORY/fleet_database-url"
try config test -r /etc/agent-fleet/fleet.yaml
try names getent hosts localhost
try database bash -c '</dev/tcp/127.0.0.1/5432'
try socket psql -XqAt -d fleet -c 'select 1'
try write-etc touch /etc/agent-fleet/probe
try write-usr touch /usr/local/probe
try write-var touch /var/lib/probe
try write-run touch /run/probe
try see-agent ls /home/agent
try see-root ls /root
try see-shadow cat /etc/shadow
try see-others test -d /proc/1
try see-kernel cat /proc/sys/kernel/random/boot_id
try other-credentials ls /etc/agent-fleet/credentials/server
try device test -e /dev/kmsg
try mount mount -t tmpfs none /mnt
try namespace unshare --user true
try packets perl -e 'socket(my $s, 17, 3, 0) or exit 1'
try netlink perl -e 'socket(my $s, 16, 3, 0) or exit 1'
try setuid perl -e '$> = 0; exit($> != 0)'
try set-user-id sh -c 'cp /bin/true /tmp/t && chmod 4755 /tmp/t'
try real-time chrt --fifo 1 true
try host-name hostname probe
try clock date -s @0
touch /tmp/probe
PROBE
chmod 755 /usr/local/bin/probe
for kind in server worker; do
    sed -e 's,^ExecStart=.*,ExecStart=/usr/local/bin/probe,' -e 's/^Type=.*/Type=oneshot/' -e '/^Watchdog/d; /^Restart/d' \
        "/opt/agent-fleet/lib/systemd/system/fleet-$kind@.service" >"/etc/systemd/system/probe-$kind@.service"
done
systemctl daemon-reload
systemctl start probe-server@1 probe-worker@1
END
    for kind in server worker; do
        logged "probe-$kind@1" '^probe ' >"$TEST_DIR/probe.$kind"
        check "the probe in the $kind's sandbox ran" test "$(wc -l <"$TEST_DIR/probe.$kind")" = 25
        while read -r _ name want; do
            case $name in
            itself | config | names | database | socket) check "$kind: $name is allowed" test "$want" = yes ;;
            *) check "$kind: $name is refused" test "$want" = no ;;
            esac
        done <"$TEST_DIR/probe.$kind"
    done
    check 'its /tmp is its own' not on test -e /tmp/probe
    check 'the probe would succeed outside' systemd_probe_outside
}

systemd_probe_outside() {
    on /usr/local/bin/probe | grep ' no$' >"$TEST_DIR/probe.root"
    on rm -f /etc/agent-fleet/probe /usr/local/probe /var/lib/probe /run/probe /tmp/probe /tmp/t
    on umount /mnt
    on hostname machine
    ! grep -vE ' (itself|clock|real-time) ' "$TEST_DIR/probe.root"
}

# --- agents in the worker's own sandbox, with the drop-in for them ---

systemd_localhost() {
    on_script <<'END'
cat >>/etc/agent-fleet/fleet.yaml <<'YAML'
  - host_id: own
    hostname: localhost
    work_dir: /var/lib/agent-fleet/work
    repositories: [ none ]
    agents: [ { agent_type: demo-agent, max_concurrency: 1, capabilities: [ own ] } ]
YAML
END
    on systemctl restart "$WORKER"
    check 'without the drop-in, localhost is no host' until_true 20 grep_sql '^own|[^|]' "select host_id, reason from fleet.host_details"
    on_script <<'END'
install -D -m 0644 -t /etc/systemd/system/fleet-worker@.service.d /opt/agent-fleet/share/agent-fleet/systemd/localhost.conf
install -d -m 0700 -o agent-fleet -g agent-fleet /var/lib/agent-fleet /var/lib/agent-fleet/work
systemctl daemon-reload
END
    on systemctl restart "$WORKER"
    check 'with it, it is one' until_true 30 grep_sql '^own|online$' "select host_id, status from fleet.host_details"
    on_api /api/v1/tasks -H 'Content-Type: application/json' -o /dev/null \
        -d '{"task_id": "own-1", "title": "Here", "body": "demo: seconds=12", "labels": ["agent:own"]}'
    wait_for 40 'the run on localhost to speak' grep_sql '^[0-9]*[0-9][0-9][0-9]$' \
        "select stdout_bytes from fleet.attempt_details where task_id = 'own-1'"
    on systemctl restart "$WORKER"
    wait_for 60 'the run on localhost to end' grep_sql completed "select status from fleet.tasks where task_id = 'own-1'"
    check 'it outlived a restart of its worker' test "$(on_sql "select count(*) from fleet.attempts where task_id = 'own-1'")" = 1
}

# --- a power cut of the machine, and of the host with it ---

systemd_reboot() {
    on_sql "select fleet.set('retry_base_ms', 1000)" >/dev/null
    deliver 4 'demo: seconds=15' >/dev/null
    wait_for 60 'a task to be under way' running_since 4 1000
    check 'the machine boots again' container_restart "$MACHINE"
    check 'servers and Caddy are back by themselves' on_api_soon
    check 'the worker too' until_true 30 unit_is "$WORKER" active
    wait_for 180 'the task that was under way' task_is 4 completed && pass 'the task that was under way is completed'
    check 'in a second attempt' test "$(attempts_of 4)" = 2
    check 'the first one was proven ended' grep_sql 'host' "select reason from fleet.attempts where task_id = 'demo/rocket#4' and attempt = 1"
    check 'the second one is whole' output_is_whole 4
}
