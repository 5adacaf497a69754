# shellcheck shell=bash
# The packages on a clean Debian 12 with systemd: installed by apt with what they depend on, upgraded under nodes that run, removed,
# purged. Sourced by tests/deploy/part; needs containers. What the update does to requests and runs is the guide's part.
# shellcheck disable=SC2154 # repository container_reason
# shellcheck source=tests/deploy/package.sh
source tests/deploy/package.sh

UPGRADE_NODES=(fleet-server@9091 fleet-worker@1)

upgrade_suite() {
    container_ready || { skip 'upgrade' "$container_reason"; return; }
    upgrade_packages >"$TEST_DIR/packages" 2>&1 || { fail 'upgrade: packages' "$(cat "$TEST_DIR/packages")"; return; }
    upgrade_machine >"$TEST_DIR/machine" 2>&1 || { fail 'upgrade: a clean machine' "$(cat "$TEST_DIR/machine")"; return; }
    check 'upgrade: older packages come with all that they need' upgrade_apt install --no-install-recommends /root/old/*.deb
    upgrade_clean
    upgrade_start || { fail 'upgrade: nodes are started' "$(in_there journalctl --no-pager -n 40)"; return; }
    upgrade_upgrade
    upgrade_remove
}

in_there() { container_do fresh "$@"; }
upgrade_apt() { in_there sh -c "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Options::=--force-confold $* >/root/apt 2>&1 || { cat /root/apt; exit 1; }"; }
upgrade_pids() { for unit in "${UPGRADE_NODES[@]}"; do in_there systemctl show -P MainPID "$unit"; done | xargs; }
upgrade_all() { # STATE
    local unit
    for unit in "${UPGRADE_NODES[@]}"; do
        [[ $(in_there systemctl show -P ActiveState "$unit") == "$1" ]] || { in_there systemctl status --no-pager "$unit"; return 1; }
    done
}

upgrade_packages() {
    deploy/package --no-install && package_old "$TEST_DIR/old" && mkdir "$TEST_DIR/new" && cp build/package/*.deb "$TEST_DIR/new"
}

upgrade_machine() {
    container_systemd && container_boot fresh fleet-systemd && in_there apt-get -q update &&
        container_copy "$TEST_DIR/old" fresh:/root/old && container_copy "$TEST_DIR/new" fresh:/root/new
}

upgrade_clean() {
    check 'upgrade: nothing of ours runs after that' test -z "$(in_there systemctl list-units --plain --no-legend 'fleet-*' 'agent-fleet*')"
    check 'upgrade: nor will it after a boot' not in_there sh -c 'find /etc/systemd/system -lname "*fleet*" | grep .'
    check 'upgrade: psql came too' in_there psql --version
    check 'upgrade: programs find their libraries' not in_there sh -c 'ldd /usr/bin/fleet-server /usr/bin/fleet-worker | grep "not found"'
}

# Without a database they wait: enough to be told from others.
upgrade_start() {
    container_feed fresh bash -euo pipefail -s <<'END' || return 1
sed -i '/^hosts:/,$d' /etc/agent-fleet/fleet.yaml
for node in server worker; do echo postgresql://login@127.0.0.1/fleet >/etc/agent-fleet/credentials/$node/database-url; done
echo 'a secret of more than twenty characters' >/etc/agent-fleet/credentials/server/webhook-secret
systemctl enable --now fleet-server@9091 fleet-worker@1
END
    until_true 20 upgrade_all active
    check 'upgrade: nodes run with the template' upgrade_all active
}

upgrade_upgrade() {
    local before
    before=$(upgrade_pids)
    check 'upgrade: to the new version' upgrade_apt install --no-install-recommends /root/new/*.deb
    check 'upgrade: it really is' not in_there sh -c 'dpkg-query -W "agent-fleet-*" | grep -w 0.0.9'
    check 'upgrade: no node was restarted' test "$(upgrade_pids)" = "$before"
    check 'upgrade: it says how they are' test "$(in_there grep -c 'as version 0.0.9.*fleet-rolling-restart' /root/apt)" = 2
    check 'upgrade: systemd knows the new units' test "$(in_there systemctl show -P NeedDaemonReload fleet-server@9091)" = no
    check 'upgrade: a changed configuration stays' not in_there grep -q '^hosts:' /etc/agent-fleet/fleet.yaml
    check 'upgrade: a restart brings the new version' in_there systemctl restart "${UPGRADE_NODES[@]}"
    check 'upgrade: they run' upgrade_all active
    check 'upgrade: as other processes' test "$(upgrade_pids)" != "$before"
}

upgrade_remove() {
    local before
    before=$(upgrade_pids)
    check 'remove: it succeeds' upgrade_apt remove agent-fleet-server agent-fleet-worker
    check 'remove: nodes were stopped' not in_there sh -c "ls -d /proc/${before// / /proc/} | grep ."
    check 'remove: credentials and configuration stay' in_there test -s /etc/agent-fleet/credentials/server/database-url -a -s /etc/agent-fleet/fleet.yaml
    check 'purge: it succeeds' upgrade_apt purge agent-fleet-server agent-fleet-worker agent-fleet-common
    check 'purge: no unit is left' not in_there sh -c 'systemctl list-unit-files --plain --no-legend "fleet-*" "agent-fleet*" | grep .'
    check 'purge: no link is left' not in_there sh -c 'find /etc/systemd/system -name "*fleet*" | grep .'
    check "purge: the operator's secrets stay" in_there test -s /etc/agent-fleet/credentials/worker/database-url
    check 'purge: the machine is well' test "$(in_there systemctl is-system-running)" = running
}
