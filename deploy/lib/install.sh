# shellcheck shell=bash
# Debian packages: what each purpose needs, and an installation that changes nothing else on the
# machine. Functions only; source it.
#
# Rules: what is there is not touched. Of packages that were not there before no service is started
# (a temporary policy-rc.d), no unit stays enabled, and PostgreSQL makes no cluster.

# install_list PURPOSE: prints the packages: `build` builds the programs, `package` adds what packs them, `run` what runs the
# fleet, `test` what tests/run needs, `container` what tests/deploy/run --long needs more, `bench` what the benches compare
# with, `npm` what the installation of an agent's CLI needs, `scripted` the scripted model, `sandbox` Claude Code's own sandbox.
install_list() {
    case $1 in
    build | package | run | test)
        echo build-essential cmake pkgconf libpq-dev libh2o-dev libuv1-dev libssh2-1-dev libjson-c-dev \
            libyaml-dev libssl-dev libcurl4-openssl-dev
        ;;&
    run | test) echo postgresql-15 postgresql-client-15 caddy openssh-server openssh-client curl openssl git ca-certificates ;;&
    test)
        echo check clang libclang-rt-14-dev clang-format clang-tidy cppcheck shellcheck \
            postgresql-15-plpgsql-check procps sudo bubblewrap fish tcsh zsh strace lighttpd python3-jsonschema python3-yaml pgbouncer prometheus
        ;;&
    package) echo dpkg-dev file git ;;&
    test | package)
        # The runner for hosts of the other kind.
        case $(dpkg --print-architecture) in
        amd64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
        arm64) echo gcc-x86-64-linux-gnu libc6-dev-amd64-cross ;;
        esac
        ;;&
    test)
        # What executes it here.
        [[ $(dpkg --print-architecture) != amd64 ]] || echo qemu-user-static
        # The double of Forgejo, and its check with a client from npm.
        command -v npm >/dev/null || echo nodejs npm
        ;;
    container)
        echo podman runc netavark aardvark-dns iptables debootstrap podman-compose docker-compose lintian fakeroot dpkg-dev busybox-static
        ;;
    bench)
        echo nginx-light
        command -v npm >/dev/null || echo nodejs npm
        ;;
    npm) command -v npm >/dev/null || echo nodejs npm ;;
    sandbox) echo bubblewrap socat ;;
    scripted) command -v node >/dev/null || echo nodejs ;;
    esac
}

# install_missing PACKAGE...: prints those that are not installed.
install_missing() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

# install_packages PURPOSE...: installs what is missing. Needs root or sudo; with neither it prints
# the line to run and returns 1.
install_packages() {
    local wanted missing purpose
    command -v apt-get >/dev/null || {
        echo "This needs Debian 12: there is no apt-get here." >&2
        return 1
    }
    wanted=$(for purpose in "$@"; do install_list "$purpose"; done)
    # shellcheck disable=SC2086 # words
    missing=$(install_missing $wanted)
    [[ -z $missing ]] && return 0
    echo "Packages to install with apt (compilers and libraries to build the two nodes; PostgreSQL,"
    echo "sshd and Caddy to run them privately on 127.0.0.1; no service is started or enabled):"
    echo "    ${missing//$'\n'/ }"
    # shellcheck disable=SC2086
    install_with_rights $missing || return 1
    # shellcheck disable=SC2086
    missing=$(install_missing $wanted)
    [[ -z $missing ]] && return 0
    echo "apt did not bring: ${missing//$'\n'/ }" >&2
    return 1
}

install_with_rights() {
    local script prefix=()
    # The functions travel as text: root reads no file of this directory.
    script="$(declare -f install_as_root install_policy_on install_policy_off install_cluster_off \
        install_cluster_on install_undo install_snapshot install_disable_new); install_as_root \"\$@\""
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
            prefix=(sudo --)
        else
            echo "This needs root, or sudo, once. Without them, ask for this line to be run, and come back:" >&2
            echo "    apt-get update && apt-get install --no-install-recommends $*" >&2
            echo "(That line alone starts the services of these packages, as apt does; run by root or with" >&2
            echo "sudo, this script would install them without.)" >&2
            return 1
        fi
    fi
    "${prefix[@]}" bash -c "$script" install "$@"
}

# What follows runs as root, in a bash of its own.

install_as_root() {
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
    local apt=(apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    umask 022
    cd / || return 1
    # In a place where nobody but root makes files.
    exec 9>/run/agent-fleet-install.lock || return 1
    flock -w 600 9 || { echo "another installation has been running for 10 minutes" >&2; return 1; }
    work=$(mktemp -d) || return 1
    trap 'install_undo' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    install_snapshot >"$work/before"
    "${apt[@]}" update || echo "apt-get update failed; going on with the package lists that are there" >&2
    install_policy_on || return 1
    # Not all at once: createcluster.conf must be there before the server's package is configured.
    if [[ " $* " == *" postgresql-15 "* ]]; then
        [[ -f /etc/postgresql-common/createcluster.conf ]] ||
            "${apt[@]}" install --no-install-recommends postgresql-common 9>&- || return 1
        install_cluster_off || return 1
    fi
    "${apt[@]}" install --no-install-recommends "$@" 9>&-
    # The exit trap puts everything back and disables what is new, also after a failure.
}

# The services of new packages are not started: 101 is "forbidden by policy". One that is there is
# kept, and so is one that a killed run of ours left behind.
install_policy_on() {
    policy=/usr/sbin/policy-rc.d kept=/usr/sbin/policy-rc.d.agent-fleet-kept
    if grep -qs 'temporary, of agent-fleet' "$policy"; then
        rm -f "$policy"
        [[ -e $kept || -L $kept ]] && mv -f "$kept" "$policy"
    fi
    if [[ -e $policy || -L $policy ]]; then
        mv "$policy" "$kept" || return 1
    fi
    policy_set=yes
    printf '#!/bin/sh\n# temporary, of agent-fleet\nexit 101\n' >"$policy" && chmod 0755 "$policy"
}

install_policy_off() {
    [[ ${policy_set-} == yes ]] || return 0
    rm -f "$policy"
    if [[ -e $kept || -L $kept ]]; then mv -f "$kept" "$policy"; fi
    policy_set=
}

# PostgreSQL's package makes and starts a cluster unless its settings say otherwise.
install_cluster_off() {
    clusters=/etc/postgresql-common/createcluster.conf
    cp -a "$clusters" "$work/createcluster.conf" || return 1
    cluster_set=yes
    printf '\ncreate_main_cluster = false # temporary, of agent-fleet\n' >>"$clusters"
}

install_cluster_on() {
    [[ ${cluster_set-} == yes ]] || return 0
    cp -a "$work/createcluster.conf" "$clusters"
    cluster_set=
}

install_undo() {
    # A child that is ended before its exec runs the traps of its parent.
    [[ $BASHPID == "$$" ]] || return 0
    trap '' HUP INT TERM
    install_cluster_on
    install_disable_new
    install_policy_off
    rm -rf "$work"
}

install_snapshot() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u; }

# Units and init scripts of the packages that are new: off. They were never started.
install_disable_new() {
    local package file name
    install_snapshot | comm -13 "$work/before" - | while read -r package; do
        dpkg -L "$package" 2>/dev/null
    done | sort -u | while read -r file; do
        name=${file##*/}
        case $file in
        /lib/systemd/system/*@.* | /usr/lib/systemd/system/*@.*) ;;
        /lib/systemd/system/*.* | /usr/lib/systemd/system/*.*)
            # Enabled, or known by another name (ssh.service is sshd.service too).
            [[ -n $(find /etc/systemd/system -type l -lname "*/$name" -print -quit 2>/dev/null) ]] || continue
            if command -v systemctl >/dev/null; then
                systemctl --quiet disable "$name" 2>/dev/null
            else
                # It does nothing unless a package's script seems to call it.
                DPKG_MAINTSCRIPT_PACKAGE=agent-fleet deb-systemd-helper disable "$name" >/dev/null 2>&1
            fi
            ;;
        /etc/init.d/*)
            compgen -G "/etc/rc[2345].d/S[0-9][0-9]$name" >/dev/null && update-rc.d "$name" disable >/dev/null 2>&1
            ;;
        esac
    done
    return 0
}
