# shellcheck shell=bash
# Installing packages leaves no trace on a machine but the packages. Runs on a copy of this machine's
# file system (an overlay) from which the packages were taken away, so that nothing here is changed.
# Sourced by tests/deploy/part; needs root and the right to mount.

INSTALL_REMOVED=(caddy postgresql-15 postgresql-common openssh-server)

install_suite() {
    if ((EUID != 0)); then
        skip 'installation' 'needs root, for an overlay of the file system'
        return
    fi
    if ! overlay_run true 2>/dev/null; then
        skip 'installation' 'this kernel or container allows no overlay mount'
        return
    fi
    if ! overlay_run apt-get -q update >"$TEST_DIR/apt" 2>&1; then
        skip 'installation' "apt-get update does not work here: $(tail -n 1 "$TEST_DIR/apt")"
        return
    fi
    local line name
    overlay_run bash "$PWD/tests/deploy/install_inside" "$PWD" "${INSTALL_REMOVED[@]}" >"$TEST_DIR/inside" 2>&1
    while read -r line; do
        name=${line#* }
        case $line in
        'ok '*) pass "installation: $name" ;;
        'FAIL '*) fail "installation: $name" "$(cat "$TEST_DIR/inside")" ;;
        esac
    done < <(grep -E '^(ok|FAIL) ' "$TEST_DIR/inside")
    grep -q '^done$' "$TEST_DIR/inside" || fail 'installation: came to its end' "$(cat "$TEST_DIR/inside")"
}

# overlay_run COMMAND...: runs it on a copy of the file system, with processes and mounts of its own.
# What it changes is gone afterwards.
overlay_run() {
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --pid --fork --kill-child sh -c '
        mkdir -p "$1" && mount -t tmpfs overlay "$1" && mkdir "$1/up" "$1/work" "$1/root" &&
            mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root" &&
            mount -t proc proc "$1/root/proc" && mount --rbind /dev "$1/root/dev" || exit 1
        root=$1/root
        shift
        exec chroot "$root" "$@"
    ' sh "$TEST_DIR/overlay" "$@"
}
