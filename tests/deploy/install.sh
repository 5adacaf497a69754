# shellcheck shell=bash
# Installing packages leaves no trace on a machine but the packages. Runs on a copy of this machine's
# file system (an overlay) from which the packages were taken away, so that nothing here is changed.
# Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # overlay_reason

INSTALL_REMOVED=(caddy postgresql-15 postgresql-common openssh-server)

install_suite() {
    overlay_ready || { skip 'installation' "$overlay_reason"; return; }
    overlay_checks installation bash "$PWD/tests/deploy/install_inside" "$PWD" "${INSTALL_REMOVED[@]}"
}
