# shellcheck shell=bash
# The Debian packages: built, judged by lintian, the same bytes twice, and installed, upgraded and removed on a copy of this
# machine's file system. Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # repository overlay_reason

package_suite() {
    local built=$TEST_DIR/built old=$TEST_DIR/old
    if ! deploy/package --no-install >"$TEST_DIR/package" 2>&1; then
        fail 'packages: they are built' "$(cat "$TEST_DIR/package")"
        return
    fi
    mkdir -p "$built"
    cp build/package/*.deb "$built"
    check 'packages: deploy/package names three' test "$(grep -c '^build/package/agent-fleet-.*\.deb$' "$TEST_DIR/package")" = 3
    check 'packages: and says which hosts the worker has a runner for' grep -qE "of these machines: .*$(uname -m)" "$TEST_DIR/package"
    package_again
    package_lintian "$built"
    package_depends "$built"
    package_prefix
    overlay_ready || { skip 'packages: installed, upgraded, removed' "$overlay_reason"; return; }
    package_old "$old" || { fail 'packages: older ones to upgrade from' "$(cat "$TEST_DIR/cpack")"; return; }
    overlay_checks packages bash "$repository/tests/deploy/package_inside" "$old" "$built"
}

# package_pack DIRECTORY [OPTION...]: packs what was built once more.
package_pack() {
    local directory=$1
    shift
    cpack --config build/package/CPackConfig.cmake -B "$directory" "$@" >"$TEST_DIR/cpack" 2>&1
}

package_again() {
    check 'packages: they are packed again' package_pack "$TEST_DIR/again"
    local file
    for file in "$TEST_DIR/again"/*.deb; do
        check "packages: the same bytes again: ${file##*/}" cmp "$file" "$built/${file##*/}"
    done
}

package_lintian() {
    command -v lintian >/dev/null || { skip 'packages: lintian' 'it is not installed'; return; }
    local file
    for file in "$1"/*.deb; do
        check "packages: lintian finds nothing: ${file##*/}" lintian --allow-root --fail-on error,warning "$file"
    done
}

package_field() { dpkg-deb -f "$1"/"$2"_*.deb "$3"; }
package_depends() {
    local version
    version=$(package_field "$1" agent-fleet-common Version)
    check 'packages: the server wants the common package of its version' \
        grep -qF "agent-fleet-common (= $version), " <(package_field "$1" agent-fleet-server Depends)
    check 'packages: the worker wants it too, and a libssh2 that was mended' \
        grep -qF "agent-fleet-common (= $version), libssh2-1 (>= 1.10.0-3+deb12u1), " <(package_field "$1" agent-fleet-worker Depends)
    check 'packages: the common one wants psql, and is of no architecture' \
        grep -q '^all$' <(package_field "$1" agent-fleet-common Architecture)
    check 'packages: a later build has a higher version' dpkg --compare-versions "$version" gt 0.0.9
}

# The same installation in another place works from there.
package_prefix() {
    local tree=$TEST_DIR/tree prefix=/opt/agent-fleet
    check 'prefix: it is installed' env DESTDIR="$tree" cmake --install build/package --prefix "$prefix"
    check 'prefix: fleet-migrate finds its files' "$tree$prefix/bin/fleet-migrate" --help
    check 'prefix: units name its programs' grep -q "^ExecStart=$prefix/bin/fleet-server " "$tree$prefix/lib/systemd/system/fleet-server@.service"
    check 'prefix: no unit names others' not grep -rq '/usr/bin/fleet' "$tree$prefix/lib/systemd"
    check 'prefix: nothing is put elsewhere' test "$(ls "$tree" "$tree/opt")" = "$(printf '%s\n' "$tree:" opt '' "$tree/opt:" agent-fleet)"
    check 'prefix: the template is there' test -f "$tree$prefix/share/agent-fleet/fleet.yaml"
}

# Older packages: a lower version, and another template.
package_old() {
    package_pack "$TEST_DIR/older" -D CPACK_FLEET_FORCED=0.0.9 || return 1
    local tree=$TEST_DIR/common
    mkdir -p "$1"
    dpkg-deb -R "$TEST_DIR/older"/agent-fleet-common_0.0.9_all.deb "$tree" &&
        echo '# of an older version' >>"$tree/etc/agent-fleet/fleet.yaml" &&
        dpkg-deb --root-owner-group -b "$tree" "$1" >/dev/null &&
        mv "$TEST_DIR/older"/agent-fleet-{server,worker}_0.0.9_*.deb "$1"
}
