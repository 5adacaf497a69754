# shellcheck shell=bash disable=SC2154 # what is measured with, and how long, is of who sources this
# The rows of the table of tests/bench/queue/run: each measures, prints its lines, and adds to LINES. What is compared is measured in
# turns, so that both have the same minutes.

# What the machine can do: one row a commit.
row_limit() {
    local count
    postgres_query base "create table public.bench (id bigint generated always as identity primary key, title text, body text)"
    echo "insert into public.bench (title, body) values ('Do number 1', 'Body of the task 1');" >"$TEST_DIR/insert.sql"
    for count in "${clients[@]}"; do
        note_rate "insert $count" "$(postgres_run "$POSTGRES_BIN/pgbench" -n -M prepared -f "$TEST_DIR/insert.sql" -c "$count" -j 2 \
            -T $(((moment + 999) / 1000)) -h "$POSTGRES_DIR" -U postgres base 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')"
        show "limit: pgbench, one row a commit" "$count" "insert $count"
    done
}

# What the tables can do: the rows of a claim and an end, written without a rule, in a database where no view has to be empty.
row_bare() {
    local batch
    postgres_database bare base
    for batch in "${batches[@]}"; do
        ours "bare $batch" bare bare 1 "$batch"
        show "limit: claim $batch + finish, their rows only" 1 "bare $batch"
    done
}

row_claim() {
    local mode d b
    for d in "${dispatchers[@]}"; do
        for b in "${batches[@]}"; do
            for mode in apart turn; do ours "grid-$b $mode $d $b" fleet "$mode" "$d" "$b"; done
            show "claim $b + finish: two calls" "$d" "grid-$b apart $d $b"
            show "claim $b + finish: in turns" "$d" "grid-$b turn $d $b"
        done
    done
    [[ -z $profile ]] || functions 1 32
    [[ -n $profile ]] || heads
}

# The best of ours beside the best of the peers, singly and in batches.
heads() {
    local single batch g_single g_batch b_single b_batch round
    read -r _ single <<<"$(best 'grid-1 ')"
    read -r _ batch <<<"$(best 'grid-8 ' 'grid-32 ' 'grid-128 ')"
    [[ -n $single && -n $batch ]] || return 0
    peers_grid
    read -r _ g_single <<<"$(best 'graphile-worker single')"
    read -r _ g_batch <<<"$(best 'graphile-worker batch')"
    read -r _ b_single <<<"$(best 'pg-boss single')"
    read -r _ b_batch <<<"$(best 'pg-boss batch')"
    for ((round = 0; round < rounds; round++)); do
        # shellcheck disable=SC2086 # MODE DISPATCHERS BATCH
        ours single fleet $single
        peer graphile-single graphile-worker "$g_single"
        peer boss-single pg-boss "$b_single"
        # shellcheck disable=SC2086
        ours batch fleet $batch
        peer graphile-batch graphile-worker "$g_batch"
        peer boss-batch pg-boss "$b_batch"
    done
    show "claim 1 + finish ($single; ${g_single:-none}; ${b_single:-none})" "" single graphile-single boss-single
    show "claim + finish in batches ($batch; ${g_batch:-none}; ${b_batch:-none})" "" batch graphile-batch boss-batch
    line claim-finish-single single "$(best_of graphile-single boss-single)" "$single beside ${g_single:-nothing}"
    line claim-finish-batch batch "$(best_of graphile-batch boss-batch)" "$batch beside ${g_batch:-nothing}"
}

# Each peer with several settings once: WAY SIZE PROCESSES.
peers_grid() {
    local way name
    for way in "single 8 1" "single 24 1" "single 8 2" "batch 24 1" "batch 100 1" "batch 24 2"; do
        peer "graphile-worker $way" graphile-worker "$way"
    done
    for way in "single 8 1" "single 24 1" "single 8 2" "batch 100 1" "batch 1000 1" "batch 100 2"; do
        peer "pg-boss $way" pg-boss "$way"
    done
    for name in "${!SAMPLES[@]}"; do
        case $name in
        graphile-worker\ *) show "its ${name#* }" "" "" "$name" ;;
        pg-boss\ *) show "its ${name#* }" "" "" "" "$name" ;;
        esac
    done | sort
}

row_lanes() {
    local lanes round database
    local -A of=()
    for lanes in 1 "$LANES_MOST"; do another "lanes_$lanes" && of[$lanes]=$database; done
    for ((round = 0; round < rounds; round++)); do
        for lanes in 1 "$LANES_MOST"; do
            ours "lanes $lanes singly" "${of[$lanes]}" turn 8 1 "$lanes"
            ours "lanes $lanes" "${of[$lanes]}" turn 4 32 "$lanes"
        done
    done
    for lanes in 1 "$LANES_MOST"; do
        show "claim 1 + finish, $lanes lanes" 8 "lanes $lanes singly"
        show "claim 32 + finish, $lanes lanes" 4 "lanes $lanes"
    done
}

# All slots of one executor.
row_hot() {
    local round database
    another hot
    postgres_query "$database" "select fleet.cordon('h' || h, 'bench') from generate_series(2, $HOSTS) h" >/dev/null
    for ((round = 0; round < rounds; round++)); do
        ours "hot 1" "$database" turn 8 1
        ours "hot 32" "$database" turn 4 32
    done
    postgres_query "$database" "select fleet.uncordon('h' || h) from generate_series(2, $HOSTS) h" >/dev/null
    show "claim 1 + finish, one executor of $SLOTS" 8 "hot 1"
    show "claim 32 + finish, one executor of $SLOTS" 4 "hot 32"
}

# Tasks wait that nobody here can take.
row_foreign() {
    local count name database near far
    another near && near=$database
    another far && far=$database
    for count in "${foreign[@]}"; do
        postgres_query "$far" "select bench.fill('foreign', 8, $count)" >/dev/null
        postgres_query "$far" "vacuum analyze" >/dev/null
        foreign_round "$count"
    done
    peers_foreign "$count"
    for name in 1 32; do
        show "claim $name + finish, nothing foreign waits" 4 "near $name $count"
        for count in "${foreign[@]}"; do
            [[ $count == "${foreign[-1]}" ]] || show "claim $name + finish, $count foreign wait" 4 "far $name $count"
        done
    done
    show "claim 1 + finish, $count foreign wait" 4 "far 1 $count" "graphile-worker foreign single" "pg-boss foreign single"
    show "claim 32 + finish, $count foreign wait" 4 "far 32 $count" "graphile-worker foreign batch" "pg-boss foreign batch"
    line foreign-1m "far 32 $count" "near 32 $count" "ours without, batches"
    line foreign-1m-single "far 1 $count" "near 1 $count" "ours without, singly"
}

foreign_round() { # COUNT
    local round batch
    for ((round = 0; round < rounds; round++)); do
        for batch in 1 32; do
            ours "near $batch $1" "$near" turn 4 "$batch"
            ours "far $batch $1" "$far" turn 4 "$batch"
        done
    done
}

peers_foreign() { # COUNT
    local name
    for name in "${PEERS[@]%%@*}"; do
        has_peers || return 0
        peer_run "$name" foreign 1 1 "$1" >/dev/null
        peer "$name foreign single" "$name" "single 8 1"
        peer "$name foreign batch" "$name" "batch 100 1"
    done
}

row_submit() {
    local round
    for ((round = 0; round < rounds; round++)); do
        submits "submit 1" 1 1 1
        submits "submit 8" 8 1 1
        submits "submit 24" 24 1 1
        submits "submit gathered" 2 12 1
        adds "graphile add 24" graphile-worker 24 1
        adds "boss add 24" pg-boss 24 1
        submits "submit list 1" 1 1 "$list"
        submits "submit list" 4 1 "$list"
        adds "graphile add list" graphile-worker 4 "$list"
        adds "boss add list" pg-boss 4 "$list"
    done
    show "submit singly" 1 "submit 1"
    show "submit singly" 8 "submit 8"
    show "submit singly" 24 "submit 24" "graphile add 24" "boss add 24"
    show "submit by 24 clients, gathered as a server does: 12 a statement" 2 "submit gathered" "graphile add 24" "boss add 24"
    show "submit $list a statement" 1 "submit list 1"
    show "submit $list a statement" 4 "submit list" "graphile add list" "boss add list"
    line submit-single "$(best_of "submit 24" "submit gathered")" "$(best_of "graphile add 24" "boss add 24")" "24 clients"
    line submit-batch "submit list" "$(best_of "graphile add list" "boss add list")" "$list a statement, 4 connections"
}

# Microseconds from the submission to the claim: less is better.
row_idle() {
    local name database
    another idle
    postgres_query "$database" "select bench.fresh()" >/dev/null
    note_idle ours "$("$TEST_DIR/wake" "$(postgres_url "$database" fleet_worker_login)" \
        "$(postgres_url "$database" fleet_server_login)" "$idle_rounds")"
    for name in "${PEERS[@]%%@*}"; do
        ! has_peers || note_idle "$name" "$(peer_run "$name" idle 1 1 0 "$idle_rounds")"
    done
    show "idle: submitted -> claimed, p50, µs" 1 "idle ours 50" "idle graphile-worker 50" "idle pg-boss 50" lowest_of
    show "idle: submitted -> claimed, p99, µs" 1 "idle ours 99" "idle graphile-worker 99" "idle pg-boss 99" lowest_of
}

# A transaction that began before the load holds back vacuum: the later half of the windows, beside those of the same load without it.
row_held() {
    local database
    another free
    windows free "$held_for"
    another held
    holder_begins
    windows held "$held_for"
    postgres_query "$database" "select pg_terminate_backend(pid) from ($holders) h" >/dev/null
    note_end free
    note_end held
    show "claim 8 + finish, the later half of $((held_for / 1000)) s" 4 "free end"
    show "the same with vacuum held back" 4 "held end"
    line vacuum-held "held end" "free end" \
        "each $((held_window / 1000)) s, tasks/s: free ${SAMPLES[free]}held back ${SAMPLES[held]}"
}

note_end() { # KEY: the later half of its windows
    local rates cpu
    read -ra rates <<<"${SAMPLES[$1]}"
    read -ra cpu <<<"${CPU[$1]}"
    note "$1 end" "$(median "${rates[@]:${#rates[@]}/2}") $(median "${cpu[@]:${#cpu[@]}/2}")"
}

holders="select pid from pg_stat_activity where application_name = 'holder' and backend_xmin is not null"
holds_back() { [[ -n $(postgres_query "$database" "$holders") ]]; }
holder_begins() {
    PGAPPNAME=holder psql -Xq -d "$(postgres_url "$database")" -c "begin isolation level repeatable read" \
        -c "select count(*) from fleet.task" -c "select pg_sleep(3600)" >/dev/null 2>&1 &
    started "$!"
    wait_for 10 "a transaction to hold back vacuum" holds_back
}

windows() { # KEY MILLISECONDS: the load, with tasks enough all the time
    local driver word figures
    fill "$database" "$LANE_COUNT" "$batch_wait"
    "$TEST_DIR/claim" "$(postgres_url "$database" fleet_worker_login)" turn 4 8 "$2" "$held_window" >"$TEST_DIR/windows" &
    driver=$!
    until PATIENCE=1 until_true 1 pid_gone "$driver"; do fill "$database" "$LANE_COUNT" "$batch_wait"; done
    wait "$driver" || fail "bench: held" "the driver failed"
    while read -r word figures; do
        [[ $word != window ]] || note "$1" "$figures"
    done <"$TEST_DIR/windows"
}

# What one task leaves: submitted, claimed, ended; nothing was printed.
row_size() {
    local tasks database completed="select count(*) from fleet.task where status = 'completed'"
    another size
    postgres_query "$database" "create table bench.before as table bench.size" >/dev/null
    fill "$database" "$LANE_COUNT" "$size_tasks"
    tasks=$(postgres_query "$database" "$completed")
    "$TEST_DIR/claim" "$(postgres_url "$database" fleet_worker_login)" turn 4 32 600000 >/dev/null || fail "bench: size" "the driver failed"
    postgres_query "$database" "vacuum analyze" >/dev/null
    tasks=$(("$(postgres_query "$database" "$completed")" - tasks))
    note_rate size "$(postgres_query "$database" "select (sum(s.bytes) - sum(b.bytes))::bigint / $tasks
        from bench.size s join bench.before b using (\"table\", index)")"
    show "bytes that one task leaves behind" "" size
    LINES+=("$(postgres_query "$database" "
        select 'bytes that one task leaves, of $tasks: '
               || string_agg(format('%s %s', coalesce(nullif(index, ''), \"table\"), size), ', ' order by size desc)
        from (select \"table\", index, (s.bytes - b.bytes)::bigint / $tasks as size
              from bench.size s join bench.before b using (\"table\", index)) x where size > 0")")
}
