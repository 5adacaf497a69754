# shellcheck shell=bash
# A clean Debian 12 in a folder, made by debootstrap and entered by chroot in mount and process namespaces
# of its own. Functions only; source it. Needs root.

ROOT_SUITE=bookworm

# root_mirror SUITE: prints the mirror of Debian's SUITE that this machine's own apt sources name; 1 when they name none.
root_mirror() {
    local found
    # shellcheck disable=SC2016 # apt's variables
    found=$(apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(RELEASE) $(SITE)' 2>/dev/null |
        awk -v suite="$1" '$1 == "Packages" && $2 == "Debian" && $3 == suite && !found++ { print $4 }')
    [[ -n $found ]] && echo "$found"
}

# root_make DIR [SUITE [MIRROR]]: makes it where it is not there yet; a half-made one never gets the name.
root_make() {
    local dir=$1 suite=${2:-$ROOT_SUITE} mirror=${3-} new=$1.new
    [[ -x $dir/usr/bin/apt-get ]] && return 0
    command -v debootstrap >/dev/null || {
        echo "debootstrap is needed: apt-get install --no-install-recommends debootstrap" >&2
        return 1
    }
    [[ -n $mirror ]] || mirror=$(root_mirror "$suite") || mirror=
    rm -rf --one-file-system -- "$new" && mkdir -p "$new" || return 1
    # Without a mirror debootstrap takes its own default.
    # shellcheck disable=SC2086 # nothing, or a word
    debootstrap --variant=minbase "$suite" "$new" $mirror >"$dir.log" 2>&1 </dev/null || {
        tail -n 5 "$dir.log" >&2
        echo "debootstrap $suite failed; all it said is in $dir.log" >&2
        return 1
    }
    root_sources "$new" "$suite" "$mirror" && mv -T "$new" "$dir"
}

# root_sources DIR SUITE [MIRROR]: SUITE with its updates, and its security updates where a mirror of these is known.
root_sources() {
    local dir=$1 suite=$2 mirror=${3-} security
    [[ -n $mirror ]] || read -r _ mirror _ <"$dir/etc/apt/sources.list"
    security=${FLEET_SECURITY_MIRROR-}
    [[ -n $security ]] || security=$(root_mirror "$suite-security") ||
        echo "no mirror of $suite-security in this machine's apt sources; name it in FLEET_SECURITY_MIRROR" >&2
    {
        echo "deb $mirror $suite main"
        echo "deb $mirror $suite-updates main"
        [[ -z $security ]] || echo "deb $security $suite-security main"
    } >"$dir/etc/apt/sources.list"
}

# root_run DIR [--offline] [--instead] [--read-only FROM TO]... -- COMMAND...: runs it in there, as root, with nothing
# of the caller's environment, files or processes but FROM, read-only, at TO; with no network for --offline, and
# instead of the calling shell for --instead, so that a signal to that ends it.
root_run() {
    local dir=$1 enter=(unshare --mount --pid --ipc --uts --fork --kill-child) binds=()
    shift
    while [[ $1 != -- ]]; do
        case $1 in
        --offline) enter+=(--net); shift ;;
        --instead) enter=(exec "${enter[@]}"); shift ;;
        --read-only) binds+=("$2" "$3"); shift 3 ;;
        esac
    done
    shift
    # shellcheck disable=SC2016 # expanded inside
    "${enter[@]}" bash -c '
        set -euo pipefail
        root=$1 count=$2
        shift 2
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=1777 tmp "$root/tmp"
        mount -t tmpfs -o mode=755 dev "$root/dev"
        for name in null zero full random urandom; do
            touch "$root/dev/$name"
            mount --bind "/dev/$name" "$root/dev/$name"
        done
        ln -s /proc/self/fd "$root/dev/fd"
        mkdir -m 1777 "$root/dev/shm"
        for ((; count > 0; count -= 2)); do
            mkdir -p "$root$2"
            mount --bind "$1" "$root$2"
            mount -o remount,bind,ro "$root$2"
            shift 2
        done
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 LC_ALL=C.UTF-8 TERM=dumb \
            DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
    ' root_run "$dir" "${#binds[@]}" "${binds[@]}" "$@" </dev/null
}

# root_packages DIR PACKAGE...: installs them, with all updates of what is there. A mirror that is away is said,
# and does no harm when everything is there already.
root_packages() {
    local dir=$1 apt=(apt-get -y -q -o Dpkg::Use-Pty=0)
    shift
    # What apt on this machine needs to reach a mirror.
    apt-config dump 2>/dev/null | grep -iE '^Acquire::(http|https|ftp)::proxy' >"$dir/etc/apt/apt.conf.d/90machine" || true
    [[ ! -e /etc/resolv.conf ]] || cp -L --remove-destination /etc/resolv.conf "$dir/etc/resolv.conf"
    root_run "$dir" -- "${apt[@]}" update || echo "apt-get update failed; going on with the package lists that are there" >&2
    root_run "$dir" -- "${apt[@]}" --no-install-recommends dist-upgrade &&
        root_run "$dir" -- "${apt[@]}" --no-install-recommends install "$@"
}
