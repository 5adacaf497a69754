# shellcheck shell=bash
# A copy of this machine's file system (an overlay) for tests that install packages: nothing here is changed. Sourced after
# tests/lib/common.sh; needs root and the right to mount.
#
#   overlay_ready                  1 with the reason in $overlay_reason where none can be made, or apt reaches no mirror
#   overlay_run COMMAND...         runs it there, with processes and mounts of its own; what it changes is gone afterwards
#   overlay_checks NAME COMMAND... the same; its lines "ok WHAT" and "FAIL WHAT" are counted, and its last one must be "done"

# shellcheck disable=SC2034 # for the caller
overlay_reason=

overlay_ready() {
    if ((EUID != 0)); then
        overlay_reason='needs root, for an overlay of the file system'
    elif ! overlay_run true 2>/dev/null; then
        overlay_reason='this kernel or container allows no overlay mount'
    elif ! overlay_run apt-get -q update >"$TEST_DIR/apt" 2>&1; then
        overlay_reason="apt-get update does not work here: $(tail -n 1 "$TEST_DIR/apt")"
    else
        return 0
    fi
    return 1
}

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

overlay_checks() {
    local title=$1 line name
    shift
    overlay_run "$@" >"$TEST_DIR/inside" 2>&1
    while read -r line; do
        name=${line#* }
        case $line in
        'ok '*) pass "$title: $name" ;;
        'FAIL '*) fail "$title: $name" "$(cat "$TEST_DIR/inside")" ;;
        esac
    done < <(grep -E '^(ok|FAIL) ' "$TEST_DIR/inside")
    grep -q '^done$' "$TEST_DIR/inside" || fail "$title: came to its end" "$(cat "$TEST_DIR/inside")"
}
