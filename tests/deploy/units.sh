# shellcheck shell=bash
# The units without a system manager: what systemd-analyze says about them, in the place where they are installed.
# Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # repository

UNITS=(fleet-server@.service fleet-worker@.service fleet-migrate.service)

units_suite() {
    if ! command -v systemd-analyze >/dev/null; then
        skip 'units' 'systemd-analyze is not installed (package systemd)'
        return
    fi
    local unit prefix
    units_install || { fail 'units: an installation to look at' "$(cat "$TEST_DIR/install")"; return; }
    for prefix in /usr /opt/agent-fleet; do
        for unit in "${UNITS[@]}" agent-fleet.target; do
            check "$prefix: $unit: systemd has nothing to say" units_verified "$prefix" "$unit"
        done
    done
    for unit in "${UNITS[@]}"; do
        check "$unit: exposure of 2.0 or less" units_closed "deploy/systemd/$unit"
        check "$unit: its manual pages are installed" units_pages "$unit"
        check "$unit: reads what the packages make" units_paths "$unit"
    done
    units_can_fail
    units_drop_in
}

# Both prefixes of what is in build/tests, whose programs are only named here, not run.
units_install() {
    local prefix
    for prefix in /usr /opt/agent-fleet; do
        DESTDIR=$TEST_DIR$prefix.root cmake --install "${BUILD:-build/tests}" --prefix "$prefix" || return 1
        # What the units call beside our programs.
        mkdir -p "$TEST_DIR$prefix.root"/{bin,usr/bin,etc}
        cp -L /bin/sh "$TEST_DIR$prefix.root/bin/sh"
        cp -L /bin/sh "$TEST_DIR$prefix.root/usr/bin/sh"
        # What every unit stands on.
        mkdir -p "$TEST_DIR$prefix.root/lib/systemd/system"
        cp /lib/systemd/system/*.{target,slice} "$TEST_DIR$prefix.root/lib/systemd/system"
    done >"$TEST_DIR/install" 2>&1
}

# systemd-analyze ends with 0 whatever it finds: any line is a finding. Units of others are none of ours.
units_verified() {
    local root=$TEST_DIR$1.root name=${2/@./@9091.} file found
    file=$root$1/lib/systemd/system/$2
    [[ -f $file ]] || { echo "not installed: ${file#"$root"}"; return 1; }
    mkdir -p "$root/etc/systemd/system"
    # Where it is a link on a machine, as the guide makes it for a prefix of its own.
    [[ $1 == /usr ]] || cp "$file" "$root/etc/systemd/system/$2"
    found=$(SYSTEMD_LOG_LEVEL=info systemd-analyze verify --root="$root" --man=no "$name" 2>&1)
    [[ -z $found ]] || { echo "$found"; return 1; }
}

units_closed() { systemd-analyze security --offline=yes --threshold=20 "$1"; }

units_pages() {
    local page section
    for page in $(sed -n 's/^Documentation=//p' "deploy/systemd/$1"); do
        page=${page#man:}
        section=${page#*\(}
        section=${section%\)}
        compgen -G "$TEST_DIR/usr.root/usr/share/man/man$section/${page%\(*}.$section*" >/dev/null ||
            { echo "no page $page"; return 1; }
    done
}

units_paths() {
    local path
    for path in $(grep -v '^#' "deploy/systemd/$1" | grep -oE '/(etc|usr)/[^ ]*' | sort -u); do
        case $path in
        /etc/agent-fleet/fleet.yaml | /usr/bin/fleet-*) [[ -e $TEST_DIR/usr.root$path || -L $TEST_DIR/usr.root$path ]] ;;
        /etc/agent-fleet/credentials/*) grep -qF "$path" deploy/debian/common.postinst ;;
        *) false ;;
        esac || { echo "nobody makes $path"; return 1; }
    done
}

# What the checks are for.
units_can_fail() {
    local unit=$TEST_DIR/usr.root/usr/lib/systemd/system/fleet-server@.service
    cp "$unit" "$TEST_DIR/kept"
    for line in 'Typ=notify' 'Type=notified' 'RestartPreventExitStatus=many'; do
        sed "s/^Type=notify$/&\n$line/" "$TEST_DIR/kept" >"$unit"
        check "a unit with $line is refused" not units_verified /usr fleet-server@.service
    done
    grep -v '^Capability\|^Restrict\|^SystemCall\|^Private' "$TEST_DIR/kept" >"$TEST_DIR/fleet-open@.service"
    check 'an open unit is refused' not units_closed "$TEST_DIR/fleet-open@.service"
    cp "$TEST_DIR/kept" "$unit"
}

# The worker's drop-in for the host "localhost" is known to systemd too, line by line.
units_drop_in() {
    local folder=$TEST_DIR/usr.root/etc/systemd/system/fleet-worker@.service.d
    mkdir -p "$folder"
    cp deploy/systemd/localhost.conf "$folder"
    check 'the drop-in for "localhost"' units_verified /usr fleet-worker@.service
    echo 'ReadWritePath=/var/lib/agent-fleet' >>"$folder/localhost.conf"
    check 'a mistake in a drop-in would be seen' not units_verified /usr fleet-worker@.service
    rm -r "$folder"
}
