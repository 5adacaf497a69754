# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# A worker stopped between claim and start, whose work another took over, starts and reports nothing
# when it goes on. Once stopped before it said `starting`, once after; on two hosts.

fleet_begin
host h1 "$(executor counter 1 code:rust)"
host h2 "$(executor other 1 review)"
server 1
caddy
token_header
stopped() { [[ $(state_of worker-1) == T ]]; }

for point in after-claim after-starting; do
    for capability in code:rust review; do
        id=$point-${capability//:/-}
        worker 1 FLEET_BREAKPOINT=$point
        wait_for 20 "hosts to be reachable" eval 'reachable h1 && reachable h2'
        submit '{"title": "T", "task_id": "'"$id"'", "labels": ["agent:'$capability'"], "body": "e2e: lines=5 ms=20"}'
        wait_for 20 "worker-1 to stop itself at $point" stopped
        worker 2
        wait_for 30 "worker-2 to complete $id" task_is "$id" completed
        kill_node worker-1 CONT
        # It must find out that it was fenced: a new claim by it is the proof that it went on.
        stop_node worker-2
        submit '{"title": "T", "task_id": "'"$id"'-after", "labels": ["agent:'$capability'"], "body": "e2e: lines=1 ms=0"}'
        wait_for 40 "worker-1 to be back at work" task_is "$id-after" completed
        check "$id ran once" [ "$(grep -c "^start $id " "$LEDGER")" = 1 ]
        check "... with one attempt of two owners" [ "$(sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id = '$id'")" = "1|2" ]
        check "... output whole" output_is_whole "$id" 5
        stop_node worker-1
    done
done
check "none ran twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
