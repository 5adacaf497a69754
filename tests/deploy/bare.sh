# shellcheck shell=bash
# A clone and nothing else on a Debian 12 that has git: the packages are built by a person who may use sudo. What
# deploy/lib/install.sh forgets shows here only, as a machine for development has it. Sourced by tests/deploy/part; needs
# containers.
# shellcheck disable=SC2154 # repository container_reason

bare_suite() {
    container_ready || { skip 'bare' "$container_reason"; return; }
    bare_machine >"$TEST_DIR/machine" 2>&1 || { fail 'bare: a machine with a clone' "$(cat "$TEST_DIR/machine")"; return; }
    check 'deploy/package as a person with sudo' bare_do deploy/package
    check '... makes three packages' test "$(container_do bare sh -c 'ls /home/person/agent-fleet/build/package/*.deb' | wc -l)" = 3
    check '... and leaves the clone clean' test -z "$(container_do bare git -c safe.directory=* -C /home/person/agent-fleet status --porcelain)"
}

bare_machine() {
    container_run bare "$CONTAINER_BASE" -- sleep infinity || return 1
    git clone -q --bare . "$TEST_DIR/source.git" && container_copy "$TEST_DIR/source.git" bare:/source.git || return 1
    container_feed bare bash -euo pipefail -s <<'END'
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -y -q install --no-install-recommends git ca-certificates sudo
useradd --create-home --shell /bin/bash person
echo 'person ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/person
chown -R person: /source.git
runuser -u person -- git clone -q /source.git /home/person/agent-fleet
END
}

bare_do() {
    container_do bare runuser -u person -- env -C /home/person/agent-fleet HOME=/home/person timeout 1200 "$@" >"$TEST_DIR/bare" 2>&1 ||
        { tail -n 40 "$TEST_DIR/bare"; return 1; }
}
