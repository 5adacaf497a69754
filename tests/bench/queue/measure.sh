# shellcheck shell=bash disable=SC2154 # moment, rounds and short are of who sources this
# What tests/bench/queue/run measures with: the fleet, the drivers, and the figures they gave.

PEERS=(graphile-worker@0.18.0 pg-boss@12.38.0)
NODES=8 HOSTS=8 SLOTS=64 LANE_COUNT=8 LANES_MOST=64
declare -A SAMPLES=() # by what was measured: rates, each time it was
declare -A CPU=()     # the same: microseconds of the server's processor a task
LINES=()              # what is said once more at the end

# The database server, the programs, and database "base", of which others are copies.
fleet_made() {
    local program
    for program in claim submit wake; do
        cc -O2 -pthread -I"$(pg_config --includedir)" -o "$TEST_DIR/$program" "tests/bench/queue/$program.c" \
            tests/bench/queue/session.c -lpq || return 1
    done
    postgres_start "$TEST_DIR/postgres" "fsync=$fsync" track_functions=none timezone=UTC max_wal_size=4GB shared_buffers=512MB &&
        postgres_database base && postgres_psql base postgres -f tests/sql/t.sql -f tests/bench/queue/fleet.sql >/dev/null &&
        postgres_query base "select bench.fleet($NODES, $HOSTS, $SLOTS, $LANES_MOST)" >/dev/null &&
        postgres_database fleet base
}

machine() {
    local model version
    model=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)
    version=$(postgres_query base "show server_version")
    echo "$(uname -m), $(nproc) cores, $model, PostgreSQL $version, load $(cut -d' ' -f1 /proc/loadavg)"
}

# fill DATABASE LANE_COUNT TASKS: so many wait, in so many lanes. (What is fresh is committed first: the nodes' beats write it, too.)
fill() {
    postgres_query "$1" "select bench.fresh()" >/dev/null
    postgres_query "$1" "select bench.fill('lane', $2, $3)" >/dev/null
}

# another NAME: a fleet of its own, "$database"; the short form has but one.
another() {
    database=fleet
    [[ -z $short ]] || return 0
    database=fleet_$1
    postgres_database "$database" base
}

note_rate() { SAMPLES[$1]+="$2 "; } # KEY RATE

note() { # KEY "RATE CPU …"; nothing when it could not be measured
    local rate cpu
    read -r rate cpu _ <<<"$2"
    [[ -n $rate ]] || { fail "bench: $1" "it could not be measured"; return; }
    SAMPLES[$1]+="$rate "
    CPU[$1]+="$cpu "
}

note_idle() { # NAME "P50 P99"
    local p50 p99
    read -r p50 p99 <<<"$2"
    [[ -n $p99 ]] || { fail "bench: idle, $1" "it could not be measured"; return; }
    SAMPLES[idle $1 50]=$p50 SAMPLES[idle $1 99]=$p99
}

# ours KEY DATABASE MODE DISPATCHERS BATCH [LANE_COUNT]: one measurement of claim + finish, with tasks enough for it.
ours() {
    local wait=$single_wait
    (($5 == 1)) || wait=$batch_wait
    fill "$2" "${6-$LANE_COUNT}" "$wait"
    note "$1" "$("$TEST_DIR/claim" "$(postgres_url "$2" fleet_worker_login)" "$3" "$4" "$5" "$moment")"
}

# submits KEY CONNECTIONS REQUESTS TASKS
submits() {
    note "$1" "$("$TEST_DIR/submit" "$(postgres_url fleet fleet_server_login)" "$2" "$3" "$4" "$moment")"
}

# --- the peers: each in a database of its own ---

peers_made() {
    local name
    npm install --silent --no-audit --no-fund --prefix "$TEST_DIR/npm" "${PEERS[@]}" >"$TEST_DIR/npm.log" 2>&1 ||
        { skip "bench: peers" "npm brought none: $(tail -n 1 "$TEST_DIR/npm.log")"; return; }
    cp tests/bench/queue/work.mjs tests/bench/api/peer.mjs "$TEST_DIR/npm/"
    for name in "${PEERS[@]%%@*}"; do postgres_query postgres "create database \"$name\"" >/dev/null; done
    peers=yes
}

has_peers() { [[ -n ${peers-} ]]; }

peer_url() { echo "postgresql://postgres@localhost/$1?host=$(postgres_percent "$POSTGRES_DIR")"; }

peer_run() { # NAME WAY SIZE PROCESSES JOBS [MILLISECONDS]
    node "$TEST_DIR/npm/work.mjs" "$1" "$(peer_url "$1")" "$2" "$3" "$4" "${6-$moment}" "$5"
}

# peer KEY NAME "WAY SIZE PROCESSES"
peer() {
    local way size processes per_ms=12
    read -r way size processes <<<"$3"
    [[ $way == single ]] || per_ms=90
    has_peers && note "$1" "$(peer_run "$2" "$way" "$size" "$processes" "$(((moment + 1000) * per_ms))")"
}

# adds KEY NAME CLIENTS BATCH
adds() {
    has_peers && note_rate "$1" "$(node "$TEST_DIR/npm/peer.mjs" "$2" "$(peer_url "$2")" "$3" "$moment" "$4" | tail -n 1)"
}

# --- figures ---

median() { # NUMBER...
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { if (NR > 0) print v[int((NR + 1) / 2)] }'
}
# shellcheck disable=SC2086 # words
rate() { [[ -z $1 ]] || median ${SAMPLES[$1]-}; }
# shellcheck disable=SC2086
cpu() { [[ -z $1 ]] || median ${CPU[$1]-}; }

# The key with the highest figure, or, where less is better, the lowest.
best_of() { by_figure "$@" | tail -n 1; }    # KEY...
lowest_of() { by_figure "$@" | head -n 1; } # KEY...
by_figure() {
    local key
    for key in "$@"; do [[ -z $(rate "$key") ]] || echo "$(rate "$key") $key"; done | sort -g | cut -d' ' -f2-
}

# best PREFIX...: the same of all keys that begin so.
best() {
    local prefix key keys=()
    for prefix in "$@"; do
        for key in "${!SAMPLES[@]}"; do [[ $key != "$prefix"* ]] || keys+=("$key"); done
    done
    best_of "${keys[@]}"
}

# line NAME KEY PEER-KEY WHAT: one of the closing lines.
line() {
    local ratio
    ratio=$(ratio "$2" "$3")
    [[ -z $ratio ]] || LINES+=("bench: $1 ours=$(rate "$2") peer=$(rate "$3") ratio=$ratio ($4)")
}

table_head() {
    echo
    echo "Tasks per second (microseconds of the database server's processor a task):"
    echo
    echo "| what | connections | ours | graphile-worker | pg-boss | ours / best peer |"
    echo "|---|---|---|---|---|---|"
}

cell() { # KEY
    local cpu
    cpu=$(cpu "$1")
    echo "$(rate "$1")${cpu:+ ($cpu)}"
}

# show WHAT CONNECTIONS KEY [GRAPHILE-KEY BOSS-KEY [BEST]]
show() {
    local graphile=${4-} boss=${5-} ratio
    ratio=$(ratio "$3" "$("${6-best_of}" "$graphile" "$boss")")
    echo "| $1 | $2 | $(cell "$3") | $(cell "$graphile") | $(cell "$boss") | $ratio |"
}

ratio() { # KEY PEER-KEY; nothing unless both were measured
    awk -v ours="$(rate "$1")" -v peer="$(rate "$2")" 'BEGIN { if (ours != "" && peer > 0) printf "%.2f", ours / peer }'
}

# functions BATCH...: the self time of each function, of runs that are slower for being watched.
functions() {
    local batch tasks
    postgres_query fleet "alter database fleet set track_functions = 'all'" >/dev/null
    for batch in "$@"; do
        fill fleet "$LANE_COUNT" "$batch_wait"
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
