# shellcheck shell=bash disable=SC2154 # moment, rounds and short are of who sources this
# What tests/bench/queue/run measures with: the fleet, the drivers, and the figures they gave.

NODES=8 HOSTS=8 SLOTS=64 LANES=8
declare -A SAMPLES=() # by what was measured: rates, each time it was
declare -A CPU=()     # the same: microseconds of the server's processor a task
LINES=()              # what is said once more at the end

# The database server, the programs, and database "base", of which others are copies.
fleet_made() {
    local program
    for program in claim; do
        cc -O2 -pthread -I"$(pg_config --includedir)" -o "$TEST_DIR/$program" "tests/bench/queue/$program.c" tests/bench/queue/session.c -lpq ||
            return 1
    done
    postgres_start "$TEST_DIR/postgres" fsync=on track_functions=none timezone=UTC max_wal_size=4GB shared_buffers=512MB &&
        postgres_database base && postgres_psql base postgres -f tests/sql/t.sql -f tests/bench/queue/fleet.sql >/dev/null &&
        postgres_query base "select bench.fleet($NODES, $HOSTS, $SLOTS, 64)" >/dev/null &&
        postgres_database fleet base
}

machine() {
    echo "$(uname -m), $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), PostgreSQL $(postgres_query base 'show server_version'), load $(cut -d' ' -f1 /proc/loadavg)"
}

# fill DATABASE LANES TASKS: so many wait, in so many lanes.
fill() {
    postgres_query "$1" "select bench.fresh(), bench.fill('lane', $2, $3)" >/dev/null
}

# ours KEY DATABASE MODE DISPATCHERS BATCH [LANES]: one measurement of claim + finish, with tasks enough for it.
ours() {
    local answer rate cpu per_ms=25
    (($5 == 1)) || per_ms=120
    fill "$2" "${6-$LANES}" "$((moment * per_ms))"
    answer=$("$TEST_DIR/claim" "$(postgres_url "$2" fleet_worker_login)" "$3" "$4" "$5" "$moment") || { fail "bench: $1" "the driver failed"; return; }
    read -r rate cpu _ <<<"$answer"
    SAMPLES[$1]+="$rate "
    CPU[$1]+="$cpu "
}

median() { # NUMBER...
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { if (NR > 0) print v[int((NR + 1) / 2)] }'
}
# shellcheck disable=SC2086 # words
rate() { median ${SAMPLES[$1]-}; }
# shellcheck disable=SC2086
cpu() { median ${CPU[$1]-}; }

# best PREFIX...: of what was measured under keys that begin so, the one with the highest rate.
best() {
    local prefix key
    for prefix in "$@"; do
        for key in "${!SAMPLES[@]}"; do
            [[ $key != "$prefix"* ]] || echo "$(rate "$key") $key"
        done
    done | sort -g | tail -n 1 | cut -d' ' -f2-
}

line() { # NAME OURS PEER WHAT
    [[ -n ${2-} && -n ${3-} ]] || return 0
    LINES+=("$(awk -v name="$1" -v ours="$2" -v peer="$3" -v what="$4" \
        'BEGIN { printf "bench: %s ours=%d peer=%d ratio=%.2f (%s)", name, ours, peer, peer > 0 ? ours / peer : 0, what }')")
}

table_head() {
    echo
    echo "| what | connections | ours, tasks/s | CPU of the server, µs a task | graphile-worker | pg-boss | ours / best peer |"
    echo "|---|---|---|---|---|---|---|"
}

# show WHAT CONNECTIONS KEY [GRAPHILE-KEY BOSS-KEY]
show() {
    awk -v what="$1" -v n="$2" -v ours="$(rate "$3")" -v cpu="$(cpu "$3")" -v g="$(rate "${4-none}")" -v b="$(rate "${5-none}")" \
        'BEGIN { peer = (g + 0 > b + 0) ? g : b; ratio = (peer > 0) ? sprintf("%.2f", ours / peer) : ""
                printf "| %s | %s | %d | %s | %s | %s | %s |\n", what, n, ours, cpu, g, b, ratio }'
}

# functions BATCH...: the self time of each function, of runs that are slower for being watched.
functions() {
    local batch tasks
    postgres_query fleet "alter database fleet set track_functions = 'all'" >/dev/null
    for batch in "$@"; do
        fill fleet "$LANES" "$((moment * 40))"
        postgres_query fleet "select pg_stat_reset()" >/dev/null
        read -r _ _ tasks _ <<<"$("$TEST_DIR/claim" "$(postgres_url fleet fleet_worker_login)" apart 1 "$batch" "$moment")"
        echo
        echo "self time of functions, µs a task, claim $batch + finish, 1 connection, of $tasks tasks"
        postgres_query fleet "select format('%10s  %-22s %8s calls', round((self_time * 1000 / $tasks)::numeric, 1), funcname, calls)
                              from pg_stat_user_functions order by self_time desc limit 14"
    done
    postgres_query fleet "alter database fleet reset track_functions" >/dev/null
}

sound() {
    local database
    for database in $(postgres_query postgres "select datname from pg_database where datname like 'fleet%'"); do
        check "$database: every check_* view is empty" \
            [ -z "$(postgres_query "$database" "select * from fleet.check_all() where faults > 0")" ]
    done
}
