# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# A dead worker is seen by the lock of its session: at the default beat, and with the slow rule switched off, so that whoever is adopted
# here was not judged by its beat. And whose locks are gone without being dead: when the database restarts, when only a session is lost.

RESTARTS=${COUNT:+50} # --long
RESTARTS=${RESTARTS:-3}
fleet_begin
for name in "dead_ms 10000" "beat_ms 3000" "open_grace_ms 1000000000" "lock_grace_ms 5000"; do
    sql "select fleet.set('${name% *}', ${name#* })" >/dev/null
done
host h1 "$(executor counter 20 code:rust)"
server 1
caddy
token_header

# Both hold their locks, and have for long enough to judge.
watching() {
    [[ $(sql "select count(*) from fleet.node where lock_at < clock_timestamp() - fleet.ms('lock_grace_ms') - interval '1 s'
              and gone_at is null and dead_at is null and stopped_at is null") == 2 ]]
}
reaching() {
    [[ $(sql "select count(*) from fleet.node_host nh join fleet.node n using (node)
              where nh.reachable and n.dead_at is null and n.stopped_at is null") == 2 ]]
}
pair() {
    local number
    for number in 1 2; do
        alive "worker-$number" || worker "$number"
    done
    wait_for 40 "two workers that reach the host and watch each other" eval 'reaching && watching'
}
task() { submit '{"title": "T", "task_id": "'"$1"'", "labels": ["agent:code:rust"], "timeout_secs": 3600, "body": "e2e: lines='"$2"' ms=100"}'; }
running() { task_is "$1" running; }
owner() { sql "select node from fleet.running where task_id = '$1'"; }
owners() { sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id = '$1'"; }
adopted() { [[ $(owners "$1") == "1|2" ]]; }

pair
check "fleet.nodes says what tells of their death" [ "$(sql "select string_agg(distinct watched_by, ' ') from fleet.nodes where kind = 'worker'")" = "lock, beat" ]
for signal in KILL TERM; do
    task "$signal" 120
    wait_for 20 "$signal to run" running "$signal"
    kill_node "$(owner "$signal")" "$signal"
    wait_for 30 "it to be adopted behind SIG$signal" adopted "$signal"
    wait_for 60 "it to complete" task_is "$signal" completed
    check "... in one attempt of two owners" [ "$(owners "$signal")" = "1|2" ]
    check "... output whole" output_is_whole "$signal" 120
    wait_for 20 "its old owner to be gone" eval '! { alive worker-1 && alive worker-2; }'
    pair
done

# A worker that only lost the session that listens, and gets no other for 5 s: it may be adopted, and then is fenced.
task cut 150
wait_for 20 "cut to run" running cut
first=$(sql "select node from fleet.node n where exists (select from fleet.attempt a where a.node = n.node and a.ended_at is null)")
sql "alter role fleet_worker_login connection limit 0;
     select pg_terminate_backend(lock_pid) from fleet.node where node = '$first'" >/dev/null
began=$SECONDS
wait_for 20 "five seconds to pass" eval '((SECONDS - began >= 5))'
sql "alter role fleet_worker_login connection limit -1" >/dev/null
wait_for 90 "cut to complete" task_is cut completed
check "... in one attempt of one or two owners ($(owners cut))" eval '[[ $(owners cut) == "1|"[12] ]]'
check "... output whole" output_is_whole cut 150
pair

# The database restarts under 20 runs: all locks are gone at once, and nobody is dead.
for number in $(seq 20); do task "restart-$number" 1000000; done
all_are() { [[ $(sql "select count(*) from fleet.tasks where task_id like 'restart-%' and status = '$1'") == 20 ]]; }
wait_for 60 "20 to run" all_are running
began=$(sql "select now()")
for number in $(seq "$RESTARTS"); do
    wait_for 60 "locks that have stood for long enough (restart $number)" watching
    postgres_restart "$E2E/postgres"
done
wait_for 60 "locks that have stood for long enough" watching
check "20 runs have the owner that they had, over $RESTARTS restarts" \
    [ "$(sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id like 'restart-%'")" = "20|1" ]
check "no worker was declared dead" [ "$(sql "select count(*) from fleet.node where kind = 'worker' and dead_at > '$began'")" = 0 ]
# Every stored byte of a run in its place: line 1, line 2, ... up to where it was when we looked.
whole() { # TASK_ID
    sql "select encode(string_agg(bytes, '' order by pos), 'escape') from fleet.logs where task_id = '$1' and stream = 'stdout'" >"$E2E/stored"
    local lines
    lines=$(sed '$d' "$E2E/stored" | wc -l)
    [[ $lines -gt 10 ]] && sed '$d' "$E2E/stored" | cmp -s - <(seq -f 'line %.0f' 1 "$lines")
}
for number in 1 10 20; do check "output of restart-$number whole" whole "restart-$number"; done
sql "select fleet.cancel(task_id) from fleet.tasks where status = 'running'" >/dev/null
wait_for 60 "all to be cancelled" all_are cancelled
check "no process is left" [ -z "$(runs_of)" ]
check "none ran twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
