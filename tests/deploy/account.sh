# shellcheck shell=bash
# What the guide says about the accounts of hosts, on a machine with a real logind, sshd and PAM: runs and the end of an SSH
# session, lingering, locked passwords. Sourced by tests/deploy/part; needs containers.
# shellcheck disable=SC2154 # repository container_reason
# shellcheck source=tests/deploy/machine.sh
source tests/deploy/machine.sh

account_suite() {
    container_ready || { skip 'account' "$container_reason"; return; }
    machine_image >"$TEST_DIR/image" 2>&1 || { fail 'account: an image of the machine' "$(cat "$TEST_DIR/image")"; return; }
    machine_boot host >"$TEST_DIR/boot" 2>&1 ||
        { fail 'account: a machine with a fleet' "$(cat "$TEST_DIR/boot"; on journalctl --no-pager -n 60)"; return; }
    on_sql "select fleet.set('retry_base_ms', 1000)" >/dev/null
    account_debian
    account_kills
    account_excluded
    account_lingers
    account_locked
}

# session_ends NUMBER: a task in the middle of which the worker, and with it the SSH session, goes and comes back.
session_ends() {
    local before
    deliver "$1" 'demo: seconds=15' >/dev/null
    wait_for 60 "task $1 to speak" running_since "$1" 1000 || return 1
    until_true 10 has_session || { fail 'the worker has a session of logind'; return 1; }
    before=$(on loginctl --no-legend list-sessions)
    on systemctl stop "$WORKER"
    until_true 20 session_over "$before" || { fail 'the session ends with the worker' "$(on loginctl --no-legend list-sessions)"; return 1; }
    on systemctl start "$WORKER"
    wait_for 120 "task $1 to be completed" task_is "$1" completed
}

has_session() { on loginctl --no-legend list-sessions | grep -qw agent; }
# Closing (something of it lives on), or gone.
session_over() {
    local id
    for id in $(awk '$3 == "agent" { print $1 }' <<<"$1"); do
        [[ $(on loginctl show-session -P State "$id" 2>/dev/null) != active ]] || return 1
    done
}
# Sessions that only runs of before keep are no news for the next test.
logind() { # LINE...
    on mkdir -p /etc/systemd/logind.conf.d
    printf '%s\n' '[Login]' "$@" | container_feed "$MACHINE" sh -c 'cat >/etc/systemd/logind.conf.d/test.conf'
    on systemctl restart systemd-logind "$WORKER"
    wait_for 30 'the worker to reach its host' worker_reaches
}
worker_reaches() { unit_says "$WORKER" StatusText | grep -q '1 of 1 hosts ready'; }

# hosts_say TEXT: in the JSON of check-hosts, whose status says whether the host can run work.
hosts_say() { { on /opt/agent-fleet/bin/fleet-worker check-hosts --json || :; } | grep -F "$1"; }

account_debian() {
    check 'check-hosts: the host can run work' hosts_say '"can_run_work": true'
    check '... and logind lets runs go on' hosts_say '"check": "logind", "result": "ok", "text": "lets the runs of agent go on'
    session_ends 1 || return
    check "as Debian is: the run lives on" test "$(attempts_of 1)" = 1
    check 'and loses no byte' output_is_whole 1
}

account_kills() {
    logind KillUserProcesses=yes
    check 'check-hosts doubts a logind that kills' hosts_say '"check": "logind", "result": "doubtful"'
    session_ends 2 || return
    check 'KillUserProcesses=yes ends the run with the session' test "$(attempts_of 2)" = 2
    check 'which is known as such' test "$(on_sql "select outcome from fleet.attempts where task_id = 'demo/rocket#2' and attempt = 1")" != succeeded
}

account_excluded() {
    local remedy
    remedy=$(on /opt/agent-fleet/bin/fleet-worker check-hosts | grep -F KillExcludeUsers=)
    check 'what it says to paste' on sh -c "$remedy"
    check '... helps' until_true 10 hosts_say '"check": "logind", "result": "ok"'
    on rm /etc/systemd/logind.conf.d/agent-fleet.conf
    logind KillUserProcesses=yes KillExcludeUsers=agent
    session_ends 3 || return
    check 'KillExcludeUsers=agent: the run lives on' test "$(attempts_of 3)" = 1
    check 'and loses no byte all the same' output_is_whole 3
}

account_lingers() {
    local dir
    dir=/run/user/$(on id -u agent)
    on systemctl stop "$WORKER"
    check 'without lingering /run/user goes with the last session' until_true 40 not on test -d "$dir"
    on loginctl enable-linger agent
    check 'with it, it is there' until_true 20 on test -d "$dir"
    on systemctl start "$WORKER"
    wait_for 30 'the worker to reach its host' worker_reaches
    on systemctl stop "$WORKER"
    until_true 20 not has_session
    check 'and stays' on test -d "$dir"
    on systemctl start "$WORKER"
}

# `useradd` leaves "!" in the place of the password.
account_locked() {
    check 'the account is locked' on sh -c 'getent shadow agent | cut -d: -f2 | grep -q "^!"'
    check 'with PAM its key opens' account_ssh
    on sh -c 'echo "UsePAM no" >/etc/ssh/sshd_config.d/test.conf && systemctl restart ssh'
    check 'UsePAM no: its key is refused' not account_ssh
    check 'check-hosts has the reason among the usual ones' hosts_say "usermod -p '*' agent"
    check 'the log of sshd says why' logged ssh 'agent not allowed because account is locked'
    on usermod -p '*' agent
    check "usermod -p '*': its key opens" account_ssh
}

account_ssh() {
    on ssh -F /dev/null -i /etc/agent-fleet/credentials/worker/ssh-key -o BatchMode=yes -o StrictHostKeyChecking=yes \
        -o UserKnownHostsFile=/etc/agent-fleet/credentials/worker/known-hosts agent@127.0.0.1 true
}
