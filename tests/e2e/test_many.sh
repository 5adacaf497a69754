# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Many tasks over two servers, two executors with different capabilities and two workers: each runs
# exactly once, never more than the slots allow; also with a worker killed while it owns live runs,
# and a server killed.

COUNT=${COUNT:-120} # --long: 500
fleet_begin
host h1 "$(executor counter 4 code:rust)
$(executor other 4 review)"
server 1
server 2
caddy
token_header
worker 1
worker 2
wait_for 20 "h1 to be reachable" reachable h1

submit_many() { # PREFIX COUNT LINES MS
    local batch i labels
    for batch in $(seq 0 20 $(($2 - 1))); do
        (
            URL=http://127.0.0.1:${PORT[server-$((batch / 20 % 2 + 1))]}
            items=
            for i in $(seq $((batch + 1)) $((batch + 20))); do
                ((i > $2)) && break
                labels=$( ((i % 2)) && echo '"agent:code:rust"' || echo '"agent:review"')
                items+=${items:+,}'{"title": "Task", "task_id": "'$1-$i'", "labels": ['$labels'], "body": "e2e: lines='$3' ms='$4'"}'
            done
            E2E_BODY=$E2E/body.$batch
            curl -sS -m 30 -o "$E2E_BODY" -H @"$E2E/etc/header" -H 'Content-Type: application/json' \
                --data-binary "[$items]" "$URL/api/v1/tasks"
        ) &
        submitting+=($!)
    done
}

# The highest number of runs alive at once, of the executor whose task numbers have this parity.
concurrency() { # PREFIX PARITY
    awk -v prefix="$1" -v parity="$2" '
        { n = $2; sub("^" prefix "-", "", n); sub("-.*", "", n); if (n % 2 != parity) next }
        $1 == "start" { if (++now > most) most = now } $1 == "end" { now-- }
        END { print most + 0 }' "$LEDGER"
}
all_end() { [[ $(sql "select count(*) from fleet.tasks where task_id like '$1-%' and status = 'completed'") == "$2" ]]; }

submitting=()
submit_many first "$COUNT" 8 100
submit '{"title": "Nobody", "task_id": "nobody", "labels": ["agent:document"]}'
wait "${submitting[@]}"
check "all are accepted" [ "$(sql "select count(*) from fleet.task where task_id like 'first-%'")" = "$COUNT" ]
wait_for 240 "all $COUNT to complete" all_end first "$COUNT"
check "each ran exactly once" [ "$(grep -c '^start first-' "$LEDGER") $(sort -u "$LEDGER" | grep -c '^start first-')" = "$COUNT $COUNT" ]
check "... none twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
check "... with one attempt each" [ "$(sql "select count(*) from fleet.attempt join fleet.task using (task) where task_id like 'first-%'")" = "$COUNT" ]
for parity in 0 1; do
    most=$(concurrency first "$parity")
    check "at most 4 at once on executor $parity ($most)" [ "$most" -ge 2 -a "$most" -le 4 ]
done
check "a task that nobody can do stays created" task_is nobody created
wait_for 10 "invariants to hold" invariants_hold

# Again, with a worker killed while it owns at least 4 live runs, and server 2 killed.
half=$((COUNT / 4))
submitting=()
submit_many second "$half" 40 100
# A worker that owns at least 4 live runs. Standing still it hears of no end of them before it is killed; what it had said
# before may still arrive.
owner() { sql "select node from fleet.running where status = 'running' group by node having count(*) >= 4 order by count(*) desc limit 1"; }
left_by() {
    sql "select string_agg(a.attempt::text, ',') from fleet.attempt a join fleet.node n using (node)
         where n.name = '$1' and n.stopped_at is null and a.ended_at is null"
}
stands() {
    victim=$(owner) && [[ -n $victim ]] || return 1
    kill_node "$victim" STOP
    left=$(left_by "$victim")
    [[ $left == *,*,*,* ]] && return
    kill_node "$victim" CONT
    return 1
}
left_now() { sql "select count(*) from fleet.attempt where attempt in (${left:-0}) and $1"; }
wait_for 60 "a worker to own 4 live runs" stands
kill_node "$victim"
kill_node server-2
wait "${submitting[@]}" || true
server 2
missing=$((half - $(sql "select count(*) from fleet.task where task_id like 'second-%'")))
((missing == 0)) || { submitting=(); submit_many second "$half" 40 100; wait "${submitting[@]}"; }
wait_for 30 "the dead worker's runs to be adopted" eval '[[ $(left_now "epoch = 1 and ended_at is null") == 0 ]]'
worker "${victim#worker-}"
wait_for 300 "all $half to complete" all_end second "$half"
adopted=$(left_now "epoch > 1")
check "the runs that it left changed owner ($adopted of attempts $left)" [ "$adopted" -ge 1 ]
echo "     adopted $adopted runs; silence of the old owner, s: $(sql "select string_agg(distinct round((payload->>'silence_ms')::numeric / 1000, 1)::text, ' ') from fleet.event where event_type = 'adopted'")"
check "every task has one attempt" [ "$(sql "select max(number) from fleet.attempt join fleet.task using (task) where task_id like 'second-%'")" = 1 ]
check "none ran twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
check "each ran once" [ "$(grep -c '^start second-' "$LEDGER")" = "$half" ]
whole=0
for i in $(seq "$half"); do output_is_whole "second-$i" 40 && whole=$((whole + 1)); done
check "output of each run is byte for byte ($whole of $half)" [ "$whole" = "$half" ]
wait_for 10 "invariants to hold" invariants_hold
