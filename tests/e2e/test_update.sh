# shellcheck shell=bash disable=SC2034,SC2154 # variables and texts are for tests/e2e/lib.sh
# An update without downtime: all nodes are restarted one by one, a migration is applied beside them, and they are restarted
# again, under submissions, reads, long polls, followers and runs, all through Caddy. No request fails, no run is interrupted.
# ROUNDS says how often.
ROUNDS=${ROUNDS:-1} RUNS=${RUNS:-6}
unset FLEET_LAME_DUCK_MS # the real one
fleet_begin
sql "select fleet.set('dead_ms', 45000)" >/dev/null # nobody dies here: who is slow is not dead
host h1 "$(executor counter 4 code:rust)"
HOSTS+="  - host_id: here
    hostname: localhost
    work_dir: $E2E/work/here
    agents:
$(executor other 4 review)
"
mkdir -p "$E2E/work/here" "$E2E/seen"
server 1
server 2
caddy
token_header
worker 1
worker 2
wait_for 20 "hosts to be reachable" eval 'reachable h1 && reachable here'

# ---- what goes on meanwhile

lines=$((300 * ROUNDS + 100))
for ((i = 1; i <= RUNS; i++)); do
    capability=$( ((i % 2)) && echo code:rust || echo review)
    submit '{"title": "T", "task_id": "acme/run'$i'", "labels": ["agent:'$capability'"], "body": "e2e: lines='$lines' ms=100 until='"$E2E/rolled"'", "timeout_secs": 3600}'
done
running() { [[ $(sql "select count(*) from fleet.tasks where status = 'running' and task_id like 'acme/%'") == "$RUNS" ]]; }
wait_for 20 "the runs to run" running
for i in 1 2; do
    "$BUILD/stream-client" -H "$E2E/etc/header" -t 3600 -o "$E2E/seen/output.$i" "/api/v1/tasks/acme%2Frun$i/logs?follow=1" "${URL##*:}" >"$E2E/seen/stream.$i" 2>&1 &
    started $!
    streams[i]=$!
done
tests/e2e/load "$URL" "$E2E/etc/header" read=3 fresh=2 submit=2 single=1 poll=2 follow=3 pause="${PAUSE:-0.06}" into="$E2E/seen" >"$E2E/seen/load" 2>&1 &
load=$!
started "$load"
wait_for 20 "the load to go" grep -q '^going' "$E2E/seen/load"

# ---- one node after the other

ends() { # NAME: by itself, on TERM
    kill_node "$1" TERM
    wait_for 40 "$1 to be gone" eval "! alive $1"
}
# A worker has registered once its process has said so.
registered() { [[ $(grep -c 'registered as' "$E2E/log/$1.log") -gt $2 ]]; }
roll() {
    local n before
    for n in 1 2; do
        ends "server-$n"
        server_back $n
    done
    for n in 1 2; do
        before=$(grep -c 'registered as' "$E2E/log/worker-$n.log")
        ends "worker-$n"
        worker $n
        wait_for 20 "worker-$n to be back" registered "worker-$n" "$before"
    done
}
# The next version's migrations: a column, a function that knows it, and a file that changed.
next_migrations() { # DIRECTORY NUMBER
    local name
    name=$(printf '%04d_e2e_%d' "$2" "$2")
    [[ -d $1 ]] || cp -r migrations "$1"
    echo "alter table fleet.task add column e2e_note_$2 text;" >"$1/$name.sql"
    cat >>"$1/functions/stats.sql" <<SQL
create function fleet.e2e_notes_$2() returns bigint language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select count(fleet.task.e2e_note_$2) from fleet.task;
end;
SQL
}
migrate() {
    local newest
    newest=$(sql "select max(number) from fleet.migration")
    next_migrations "$E2E/migrations" $((newest + 1))
    "$E2E/migrations/apply" "$(postgres_url fleet)" || return 1
    [[ $(sql "select fleet.e2e_notes_$((newest + 1))()") == 0 ]]
}
for ((round = 1; round <= ROUNDS; round++)); do
    roll
    check "a migration is applied beside the old nodes" migrate
    roll
done
touch "$E2E/rolled"

# ---- what they saw

kill -TERM "$load"
wait_for 60 "the load to end" pid_gone "$load"
sed 's/^/# /' "$E2E/seen/load"
summary=$(tail -n 1 "$E2E/seen/load")
check "no request failed" grep -qE '^requests [0-9]{3,} failed 0 repeated 0 ' <<<"$summary"
check "the streams were told to go to another server, and went" eval "((\${summary##* } >= 3))"
titles() { [[ $(sort "$E2E/seen/accepted") == "$(postgres_query fleet "select title from fleet.task_texts where title like 'load %'" | sort)" ]]; }
check "each task that was accepted is there once ($(wc -l <"$E2E/seen/accepted"))" titles
# As many as it read, from its first one on, in their order.
same_events() {
    local got want
    got=$(sed -E 's/.*"event_id" : ([0-9]+),.*/\1/' "$1")
    want=$(sql "select event_id from fleet.event e where (xid, event_id) >= (select xid, event_id from fleet.event where event_id = $(head -n 1 <<<"$got"))
                order by xid, event_id limit $(wc -l <<<"$got")")
    diff <(echo "$got") <(echo "$want")
}
for file in "$E2E"/seen/follow.*; do
    check "each event once, in order ($(wc -l <"$file"))" same_events "$file"
done
ended() { [[ $(sql "select count(*) from fleet.tasks where status = 'completed' and task_id like 'acme/%'") == "$RUNS" ]]; }
wait_for 120 "the runs to end" ended
for i in 1 2; do
    wait_for 20 "their output to be followed to its end" pid_gone "${streams[i]}"
    api GET "/api/v1/tasks/acme%2Frun$i/logs?limit_bytes=1048576" >/dev/null
    check "a follower of a run has its output, byte for byte" cmp "$E2E/seen/output.$i" "$E2E/body"
done
for ((i = 1; i <= RUNS; i++)); do
    check "run $i: output whole" output_is_whole "acme/run$i" "$lines"
done
check "each run had one attempt, and succeeded" \
    [ "$(sql "select count(*), count(distinct task), min(outcome), max(outcome) from fleet.attempt join fleet.task using (task) where task_id like 'acme/%'")" = "$RUNS|$RUNS|succeeded|succeeded" ]
check "... and was handed from worker to worker" [ "$(sql "select min(epoch) > 1 from fleet.attempt join fleet.task using (task) where task_id like 'acme/%'")" = t ]
check "none ran twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
