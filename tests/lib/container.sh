# shellcheck shell=bash
# Containers for tests: podman as root with a storage, a network and a configuration of this clone's own, below
# build/container; no other podman, image or network of the machine is touched. Sourced after tests/lib/common.sh.
#
#   container_ready                       checks, makes the base image, removes what a killed test left; 1 with the reason
#                                         in $container_reason where no engine can run. Call it first, and once
#   container_image NAME DOCKERFILE CONTEXT [OPTION...]   podman build; layers stay between runs
#   container_systemd                     makes the image fleet-systemd: the base with systemd, dbus and logind
#   container_run NAME IMAGE [OPTION...] [-- COMMAND...]  a container in the background, removed at the end of the test
#   container_boot NAME IMAGE [OPTION...] the same with systemd as process 1; waits until it says running
#   container_restart NAME                a power cut and the next boot of such a one
#   container_do NAME COMMAND...          runs it inside, without standard input; its status is the command's
#   container_feed NAME COMMAND...        the same with the caller's standard input
#   container_copy FROM TO                as podman cp: NAME:PATH is a path inside
#   container_address NAME / container_name NAME / container_remove NAME
#   container_mirror                      lines of sources.list for bookworm, as this machine's apt has them
#
# The base is localhost/debian:bookworm-slim, made by debootstrap from this machine's own apt sources, or of the
# tar that FLEET_BASE_TAR names; it is made anew when it is a week old or does not run. NAME is unique in the test; the
# engine knows the container as NAME.PID. Other programs (compose) find the same engine by the exported CONTAINERS_CONF
# and CONTAINERS_STORAGE_CONF, and give what they make the label $CONTAINER_LABEL.

container_reason=
container_store=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/container
CONTAINER_BASE=localhost/debian:bookworm-slim
CONTAINER_LABEL=

container_ready() {
    local program
    ((EUID == 0)) || { container_reason='containers need root'; return 1; }
    for program in podman runc debootstrap iptables; do
        command -v "$program" >/dev/null ||
            { container_reason="$program is not installed (deploy/lib/install.sh lists the packages: container)"; return 1; }
    done
    CONTAINER_LABEL=agent-fleet.test=$$.$(container_start_of "$$")
    mkdir -p "$container_store"
    container_share
    container_configure
    container_reason=$(podman info 2>&1 >/dev/null) || { container_reason="podman: $container_reason"; return 1; }
    at_exit container_end
    container_leftovers
    # One at a time: several parts of the tests may begin together.
    container_reason=$(flock "$container_store/lock" bash -c "$(declare -f); $(declare -p TEST_DIR container_store CONTAINER_BASE)
        container_base" 2>&1) || return 1
    container_reason=
}

# --- the engine ---

# The bridge and its addresses are this clone's too: two clones may run their tests at the same time.
container_configure() {
    local id number
    id=$(printf %s "$container_store" | sha256sum | cut -c1-6)
    number=$((16#$id))
    container_bridge=fleet$id # the network's name too: the engine names its chains by that
    # After a boot of the machine nothing of the engine's state is true any more.
    if [[ $(cat "$container_store/boot" 2>/dev/null) != "$(cat /proc/sys/kernel/random/boot_id)" ]]; then
        rm -rf "$container_store"/{run,tmp}
        cat /proc/sys/kernel/random/boot_id >"$container_store/boot"
    fi
    mkdir -p "$container_store"/{graph,run,tmp,net,volumes}
    cat >"$container_store/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$container_store/graph"
runroot = "$container_store/run"
END
    cat >"$container_store/containers.conf" <<END
[containers]
default_ulimits = ["nofile=$(container_limit n):$(container_limit n)", "nproc=$(container_limit u):$(container_limit u)"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$container_store/tmp"
volume_path = "$container_store/volumes"
[network]
network_backend = "netavark"
network_config_dir = "$container_store/net"
default_network = "$container_bridge"
default_subnet_pools = [{"base" = "10.$((number % 50 + 200)).0.0/16", "size" = 24}]
END
    cat >"$container_store/net/$container_bridge.json" <<END
{ "name": "$container_bridge", "id": "$(printf %s "$container_store" | sha256sum | cut -c1-64)", "driver": "bridge",
  "network_interface": "$container_bridge", "created": "2024-01-01T00:00:00Z", "ipv6_enabled": false, "internal": false,
  "subnets": [ { "subnet": "10.$((number % 100 + 100)).$((number / 100 % 256)).0/24",
                 "gateway": "10.$((number % 100 + 100)).$((number / 100 % 256)).1" } ],
  "dns_enabled": false, "ipam_options": { "driver": "host-local" } }
END
    export CONTAINERS_CONF=$container_store/containers.conf CONTAINERS_STORAGE_CONF=$container_store/storage.conf
}

# The engine's own default is above the hard limit of some machines, whose root may not raise it; and it lowers its own
# number of processes to 32768.
container_limit() {
    local most
    most=$(ulimit "-H$1")
    if [[ $most == unlimited ]] || ((most > 32768)); then most=32768; fi
    echo "$most"
}

container_start_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# container_leftovers: removes the containers of tests that are no more.
container_leftovers() {
    local id owner
    podman ps -a --filter label=agent-fleet.test --format '{{.ID}} {{index .Labels "agent-fleet.test"}}' 2>/dev/null |
        while read -r id owner; do
            [[ $(container_start_of "${owner%.*}") == "${owner#*.}" ]] || podman rm -f -t 0 "$id" >/dev/null 2>&1
        done
}

# The engine shares the chains of iptables with all other engines of the machine, and leaves them behind. Who uses them holds
# a shared lock; whoever is the last of all clones' tests takes away what was not there before the first.
container_share() {
    exec {container_lock}<>/run/agent-fleet-test.lock
    flock -s "$container_lock"
    [[ -n $(container_chain_list) ]] || echo ours >/run/agent-fleet-test.lock
}

container_end() {
    podman ps -aq --filter "label=$CONTAINER_LABEL" | xargs -r podman rm -f -t 0 -v
    [[ -n $(podman ps -q) ]] || ip link delete "$container_bridge"
    flock -n -x "$container_lock" && grep -q ours /run/agent-fleet-test.lock && container_chains_off
    flock -u "$container_lock" # conmon may still have it open
}

container_chain_list() {
    local table
    for table in filter nat; do
        iptables -w -t "$table" -S 2>/dev/null | sed -n "s/^-N \(NETAVARK[^ ]*\)$/$table \1/p"
    done
}

# Unless a network of somebody else uses them by now.
container_chains_off() {
    local table chain rule
    container_chain_list | grep -qE '^nat NETAVARK-[0-9A-F]{8,}$' && return 0
    container_chain_list | while read -r table chain; do
        iptables -w -t "$table" -S | sed -n "s/^-A \(.*-j $chain\( .*\)\?\)$/\1/p" | while read -r rule; do
            eval "iptables -w -t $table -D $rule" # the rules are quoted as for a shell
        done
        iptables -w -t "$table" -F "$chain"
    done
    container_chain_list | while read -r table chain; do iptables -w -t "$table" -X "$chain"; done
    : >/run/agent-fleet-test.lock
}

# --- images ---

# Prints why not when it fails.
container_base() {
    local tar=${FLEET_BASE_TAR:-$container_store/bookworm.tar}
    if [[ -n ${FLEET_BASE_TAR-} ]]; then
        [[ -s $tar ]] || { echo "FLEET_BASE_TAR names no file: $tar"; return 1; }
    elif [[ ! -s $tar || -n $(find "$tar" -mtime +6) ]]; then
        # Without a network the old one does.
        container_debootstrap "$tar" >"$TEST_DIR/debootstrap" 2>&1 || [[ -s $tar ]] ||
            { echo "debootstrap: $(tail -n 1 "$TEST_DIR/debootstrap")"; return 1; }
    fi
    podman image prune -f >/dev/null 2>&1 # what earlier builds of the same name left
    [[ -f $container_store/base && ! $tar -nt $container_store/base ]] && container_runs >/dev/null && return 0
    podman import -c CMD=/bin/bash "$tar" "$CONTAINER_BASE" >"$TEST_DIR/import" 2>&1 ||
        { echo "podman import: $(tail -n 1 "$TEST_DIR/import")"; return 1; }
    container_runs && touch "$container_store/base"
}

container_runs() {
    podman run --rm --pull=never --label "agent-fleet.test=$$.$(container_start_of "$$")" "$CONTAINER_BASE" true \
        >"$TEST_DIR/container.probe" 2>&1 ||
        { echo "no container runs here: $(tail -n 1 "$TEST_DIR/container.probe")"; return 1; }
}

container_mirror() {
    # shellcheck disable=SC2016 # apt's variables
    apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)' 2>/dev/null |
        sed -nE 's/^Packages Debian ([^ ]+ bookworm(-updates|-security)? main)$/deb \1/p' | sort -u
}

container_debootstrap() { # TAR
    local root=$container_store/root site file
    site=$(container_mirror | awk '$3 == "bookworm" { print $2; exit }')
    [[ -n $site ]] || { echo "this machine's apt knows no Debian 12 (FLEET_BASE_TAR may name a tar of one)"; return 1; }
    rm -rf "$root" "$1.new"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$site" || return 1
    container_mirror >"$root/etc/apt/sources.list"
    # A proxy or the like of this machine counts inside too.
    apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries|ForceIPv)' >"$root/etc/apt/apt.conf.d/00test" || true
    for file in /var/cache/apt/archives /var/lib/apt/lists; do find "$root$file" -type f -delete; done
    tar -C "$root" -cf "$1.new" . && mv "$1.new" "$1" && rm -rf "$root"
}

container_image() {
    local name=$1 file=$2 context=$3
    shift 3
    podman build --network=host --pull-never -t "$name" -f "$file" "$@" "$context"
}

# Nothing in it reaches for the machine's own devices, terminals and kernel settings, to which a privileged container
# has access.
container_systemd() {
    mkdir -p "$container_store/empty"
    cat >"$container_store/systemd.Dockerfile" <<'END'
FROM localhost/debian:bookworm-slim
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -y -q install --no-install-recommends \
        systemd systemd-sysv dbus libpam-systemd procps iproute2 && apt-get clean && \
    systemctl mask getty.target console-getty.service getty@tty1.service systemd-udevd.service systemd-sysctl.service \
        systemd-modules-load.service systemd-udev-trigger.service proc-sys-fs-binfmt_misc.automount \
        sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount \
        apt-daily.timer apt-daily-upgrade.timer && \
    : >/etc/machine-id
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
END
    container_image fleet-systemd "$container_store/systemd.Dockerfile" "$container_store/empty"
}

# --- containers ---

container_name() { echo "$1.$$"; }

container_run() {
    local name=$1 image=$2 options=()
    shift 2
    while (($#)) && [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift || true
    at_exit container_remove "$name"
    podman run -d --pull=never --name "$(container_name "$name")" --hostname "$name" --label "$CONTAINER_LABEL" \
        "${options[@]}" "$image" "$@" >/dev/null
}

container_boot() {
    local name=$1 image=$2
    shift 2
    # Mounts are shared, as the kernel's systemd has them on a machine: without, units get no credentials.
    container_run "$name" "$image" --privileged --systemd=always "$@" -- \
        sh -c 'mount --make-rshared / && exec /sbin/init' || return 1
    container_booted "$name"
}

# container_booted NAME: waits until systemd inside has started all that it starts; 1 when it does not, or a unit failed.
container_booted() {
    until_true 90 container_settled "$1" && [[ $container_state == running ]] && return 0
    container_do "$1" systemctl --failed --no-pager >&2
    return 1
}

container_settled() {
    container_state=$(container_do "$1" systemctl is-system-running 2>/dev/null)
    [[ $container_state == running || $container_state == degraded ]]
}

# container_restart NAME: what a power cut and the next boot are to a machine; waits until it runs again.
container_restart() { podman restart -t 0 "$(container_name "$1")" >/dev/null && container_booted "$1"; }

container_do() {
    local name=$1
    shift
    podman exec "$(container_name "$name")" "$@" </dev/null
}

container_feed() {
    local name=$1
    shift
    podman exec -i "$(container_name "$name")" "$@"
}

container_copy() {
    local paths=() path
    for path in "$@"; do
        [[ $path != [!./]*:* ]] || path=$(container_name "${path%%:*}"):${path#*:}
        paths+=("$path")
    done
    podman cp "${paths[@]}"
}

container_address() { podman inspect -f "{{.NetworkSettings.Networks.$container_bridge.IPAddress}}" "$(container_name "$1")"; }

container_remove() { podman rm -f -t 0 -v "$(container_name "$1")" >/dev/null 2>&1; }
