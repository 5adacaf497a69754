# shellcheck shell=bash
# A private PostgreSQL 15 for tests: a unix socket in a directory of its own, no TCP, no fsync.
# Sourced after tests/lib/common.sh; run as root, the cluster belongs to user postgres. Takes from
# deploy/lib/postgres.sh where PostgreSQL is and how to run as its user; starting, stopping and URLs
# are simpler here and replace the ones of that file.
#
#   postgres_start DIR [SETTING=VALUE...]   one cluster; stopped at the end of the test
#   postgres_pattern [SETTING=VALUE...]     one cluster with database "pattern", all migrations and schema t (tests/sql/t.sql), to be
#                                           copied; or the one in directory POSTGRES_AT, which has it
#   postgres_mould DIR                      makes DIR/data, database "mould" with all migrations, and stops: where POSTGRES_MOULD
#                                           names that, postgres_start and postgres_database copy it, which is quicker
#   postgres_stop DIR / postgres_restart DIR
#   postgres_database NAME [TEMPLATE]       with all migrations, or as a copy; makes the login roles
#   postgres_url NAME [ROLE]                libpq URL (ROLE: default the superuser postgres)
#   postgres_query NAME SQL [ROLE]          one statement; rows as a|b
#   postgres_psql NAME ROLE ARGUMENT...     psql, quiet, stops at the first error
#   postgres_logins NAME                    a login role for each group: fleet_server_login …

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lib/postgres.sh
source "$repository/deploy/lib/postgres.sh"
POSTGRES_BIN=$(postgres_bin)
PATH=$POSTGRES_BIN:$PATH # the program psql: Debian's is a script around it, which takes longer than most queries
POSTGRES_DIR=

postgres_start() {
    local dir=$1 setting options
    shift
    options="-k $dir -c listen_addresses= -c fsync=off -c shared_buffers=64MB -c max_connections=100"
    options+=" -c deadlock_timeout=300ms -c track_functions=all -c timezone=Asia/Kathmandu"
    for setting in "$@"; do options+=" -c $setting"; done
    mkdir -p "$dir"
    ((EUID != 0)) || chown postgres: "$dir"
    chmod 700 "$dir"
    postgres_data "$dir" >"$TEST_DIR/initdb.log" 2>&1 || { cat "$TEST_DIR/initdb.log"; return 1; }
    echo "$options" >"$dir/options"
    POSTGRES_DIR=$dir
    at_exit postgres_stop "$dir"
    postgres_up "$dir"
}

postgres_data() {
    if [[ -n ${POSTGRES_MOULD-} ]]; then
        postgres_run cp -R "$POSTGRES_MOULD" "$1/data"
    else
        postgres_run "$POSTGRES_BIN/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
    fi
}

postgres_mould() {
    postgres_start "$1" && postgres_database mould && postgres_stop "$1" fast
}

postgres_up() {
    postgres_run "$POSTGRES_BIN/pg_ctl" -D "$1/data" -l "$1/log" -o "$(cat "$1/options")" -w start \
        >/dev/null || { tail -n 20 "$1/log"; return 1; }
}

# postgres_stop DIR [fast|immediate]
postgres_stop() {
    postgres_run "$POSTGRES_BIN/pg_ctl" -D "$1/data" -m "${2:-immediate}" -w stop >/dev/null 2>&1
}

postgres_restart() {
    postgres_stop "$1" "${2:-fast}" && postgres_up "$1"
}

postgres_url() {
    echo "postgresql://${2:-postgres}@/$1?host=$(postgres_percent "$POSTGRES_DIR")"
}

postgres_psql() {
    local database=$1 role=$2
    shift 2
    psql -XqAt -v ON_ERROR_STOP=1 -d "$(postgres_url "$database" "$role")" "$@"
}

postgres_query() {
    postgres_psql "$1" "${3:-postgres}" -c "$2"
}

postgres_logins() {
    local group statements=
    for group in server worker operator reader reader_full; do
        statements+="do \$\$ begin
            if to_regrole('fleet_${group}_login') is null then
                create role fleet_${group}_login login in role fleet_$group;
            end if; end \$\$;"
    done
    postgres_query "$1" "$statements"
}

postgres_database() {
    [[ -z ${POSTGRES_MOULD-} || -n ${2-} ]] || set -- "$1" mould
    postgres_query postgres "create database \"$1\"${2:+ template \"$2\" strategy file_copy}" || return 1
    [[ -z ${2-} ]] || return 0
    "$repository/migrations/apply" "$(postgres_url "$1")" >"$TEST_DIR/apply.log" 2>&1 ||
        { cat "$TEST_DIR/apply.log"; return 1; }
    postgres_logins "$1"
}

postgres_pattern() {
    if [[ -n ${POSTGRES_AT-} ]]; then
        POSTGRES_DIR=$POSTGRES_AT
    else
        postgres_start "$TEST_DIR/postgres" "$@" && postgres_database pattern &&
            postgres_psql pattern postgres -f tests/sql/t.sql
    fi
}
