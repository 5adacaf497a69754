# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# What an agent may do to its own run, seen from the database: it is stopped first, then judged, its slot is free
# again, and nothing of it is left.

TASK_TIMEOUT=600
there='d=$(echo "$PWD"/../../.fleet/*/runs/"${FLEET_RUN%.*}");'
vandal() { # NAME WHAT: an agent that does it to its run's directory and goes on working
    ADAPTERS+="  $1: { command: [ /bin/sh, -c, '$there $2; while :; do sleep 1; done' ], output: text } # payload: sleep
"
}
vandal remover 'rm -rf "$d"'
vandal forger 'echo "status 1 exit 0" >"$d/status"'
vandal elder 'echo 4000000000 >"$d/epoch"'
vandal wrecker 'echo junk >"$d/epoch"'
vandal borrower 'echo 00112233445566778899aabbccddeeff >"$d/nonce"'
fleet_begin
HOSTS="  - host_id: here
    hostname: localhost
    work_dir: $E2E/work/here
    agents:
$(for agent in remover forger elder wrecker borrower; do executor $agent 1 $agent; done)
"
mkdir -p "$E2E/work/here"
server 1
caddy
token_header
worker 1
wait_for 20 "the host to be reachable" reachable here
ends() { [[ $(sql "select count(*) from fleet.attempt join fleet.task using (task) where task_id = '$1' and ended_at is not null") == 1 ]]; }
left() { [[ -n $(runs_of "$1") ]]; }
running() { [[ $(sql "select status from fleet.tasks where task_id = '$1'") == running ]]; }
did() { cat "$E2E"/work/here/.fleet/*/runs/"$1".*/epoch | grep -qxE "4000000000|junk"; }
post() { api POST "/api/v1/tasks/$1" -H 'Content-Type: application/json' --data-binary '{}'; }

for agent in remover forger elder wrecker borrower; do
    submit '{"title": "T", "task_id": "'$agent'", "max_retries": 0, "labels": ["agent:'$agent'"]}'
done
for agent in remover forger elder wrecker borrower; do
    wait_for 30 "$agent to be claimed" eval "! task_is $agent created"
done
# An epoch is looked at when something is asked of the run: the cancel is what meets it.
for agent in elder wrecker; do
    wait_for 20 "$agent to run" running $agent
    wait_for 10 "its process to be there" left $agent
    wait_for 10 "... and to have done it" did $agent
done
for agent in elder wrecker; do
    ends $agent || check "cancel of $agent is accepted" [ "$(post $agent/cancel)" = 202 ]
done
for agent in remover forger elder wrecker borrower; do
    wait_for 60 "$agent to end" ends "$agent"
    check "... nothing of it is left" eval "! left $agent"
    echo "     $(sql "select outcome, reason, proof from fleet.attempt_details where task_id = '$agent'")"
done
check "a removed run is lost or tampered with" [ "$(sql "select count(*) from fleet.attempts where task_id = 'remover' and reason in ('run_tampered', 'rundir_missing')")" = 1 ]
check "a status beside a living supervisor is tampering" [ "$(sql "select reason from fleet.attempts where task_id = 'forger'")" = run_tampered ]
check "an epoch that nobody gave keeps nobody from stopping it" [ "$(sql "select count(*) from fleet.attempts where task_id in ('elder', 'wrecker') and reason in ('cancelled', 'run_tampered')")" = 2 ]
check "a run whose directory became another's is tampering" [ "$(sql "select reason from fleet.attempts where task_id = 'borrower'")" = run_tampered ]
check "each slot is free" [ "$(sql "select sum(free) from fleet.agents")" = 5 ]
wait_for 10 "invariants to hold" invariants_hold
fleet_end
