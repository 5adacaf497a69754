# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Workers, SSH sessions and the runner's channels die at random while runs start, go on and are cancelled: at
# most one start an attempt, output byte for byte, no process left, every check view empty. SEED, BLOWS and TASKS
# may be set; the runner alone gets hundreds of blows in tests/runner/test_kill.sh.

SEED=${SEED:-$RANDOM} BLOWS=${BLOWS:-100} TASKS=${TASKS:-64}
RANDOM=$SEED
echo "# SEED=$SEED BLOWS=$BLOWS TASKS=$TASKS"
fleet_begin
host h1 "$(executor counter 10 code:rust)"
HOSTS+="  - host_id: here
    hostname: localhost
    work_dir: $E2E/work/here
    agents:
$(executor other 6 review)
"
mkdir -p "$E2E/work/here"
server 1
caddy
token_header
worker 1
worker 2
wait_for 20 "hosts to be reachable" eval 'reachable h1 && reachable here'

ids=()
more() { # TASKS
    local n capability
    for ((n = 0; n < $1; n++)); do
        ids+=("k$((${#ids[@]} + 1))")
        capability=$( ((${#ids[@]} % 3)) && echo code:rust || echo review)
        submit '{"title": "T", "task_id": "'"${ids[-1]}"'", "labels": ["agent:'"$capability"'"], "body": "e2e: lines=120 ms=50", "timeout_secs": 100}'
    done
}
more "$TASKS"

# The processes of this test alone whose command line matches.
of_ours() { pgrep -f "$1" | while read -r pid; do [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) == *"$E2E"* ]] && echo "$pid"; done; }
any() { shuf -n 1 --random-source=<(yes "$RANDOM"); }
declare -A hits=([worker]=0 [session]=0 [serve]=0 [cancel]=0)
blow() {
    local pid n=$((1 + RANDOM % 2))
    case $((RANDOM % 8)) in
    0 | 1 | 2)
        if alive "worker-$n"; then kill_node "worker-$n" && hits[worker]=$((hits[worker] + 1)); fi
        until_true 10 eval "! alive worker-$n"
        worker $n
        ;;
    3)
        pid=$(tr ' ' '\n' <"/proc/$(pid_of sshd)/task/$(pid_of sshd)/children" | grep . | any)
        [[ -n $pid ]] && end_children "$pid" && kill -KILL "$pid" && hits[session]=$((hits[session] + 1))
        ;;
    4 | 5 | 6)
        pid=$(of_ours 'fleet-runner-[0-9a-f]* serve ' | any)
        [[ -n $pid ]] && kill -KILL "$pid" && hits[serve]=$((hits[serve] + 1))
        ;;
    7)
        api POST "/api/v1/tasks/${ids[RANDOM % ${#ids[@]}]}/cancel" -H 'Content-Type: application/json' --data-binary '{}' >/dev/null
        hits[cancel]=$((hits[cancel] + 1))
        ;;
    esac 2>/dev/null
}
hard() { echo $((hits[worker] + hits[session] + hits[serve])); }
for ((blows = 0; blows < BLOWS; blows++)); do
    blow
    PATIENCE=1 until_true $((RANDOM % 3 / 2)) none_waiting || continue
    # A machine that is slow to strike has work to strike at until it has struck ten times.
    (($(hard) < 10)) || break
    more 16
done
for n in 1 2; do alive worker-$n || worker $n; done
wait_for 90 "all to be over" none_waiting
count() { grep -c "^$1 " "$LEDGER"; }
echo "# $blows blows: ${hits[*]@K}; $(sql "select string_agg(status || ' ' || n, ', ') from (select status, count(*) n from fleet.tasks group by 1 order by 1) s"); $(sql "select count(*), max(epoch) from fleet.attempt")"
check "enough blows hit" [ "$(hard)" -ge 10 ]
check "none started twice" [ "$(count double)" = 0 ]
check "each that completed started once" [ "$(for id in $(sql "select task_id from fleet.tasks where status = 'completed'"); do grep -c "^start $id " "$LEDGER"; done | sort -u)" = 1 ]
whole() {
    local id
    for id in $(sql "select task_id from fleet.tasks where status = 'completed'"); do
        output_is_whole "$id" 120 || { echo "$id: $(head -c 300 "$E2E/body")"; return 1; }
    done
}
check "output whole of all that completed" whole
# One that was given back before a byte of its start left is no retry.
check "no retry was burnt" [ "$(sql "select max(retry_count) from fleet.task")" = 0 ]
check "... and no attempt but one that never started was followed by another" \
    [ "$(sql "select count(*) from fleet.attempt a join fleet.task t using (task) where a.number < t.attempt_number and a.outcome <> 'released'")" = 0 ]
check "none failed" [ "$(sql "select count(*) from fleet.tasks where status not in ('completed', 'cancelled')")" = 0 ]
wait_for 10 "no process of a run to be left" eval '[[ -z $(runs_of) ]]'
wait_for 10 "no supervisor to be left" eval '[[ -z $(of_ours "fleet-runner.* supervise ") ]]'
wait_for 10 "invariants to hold" invariants_hold
check "no slot is held" [ "$(sql "select count(*) from fleet.slot where attempt is not null")" = 0 ]
