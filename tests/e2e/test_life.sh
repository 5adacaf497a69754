# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Cancel, retry, time-out, failure and hand-over of runs, on a host behind SSH and on localhost.

TASK_TIMEOUT=4
ADAPTERS="  teller: { command: [ /bin/sh, -c, 'echo the word is \$E2E_WORD' ], output: text, env: { E2E_WORD: open-sesame-12345 } }"
fleet_begin
host h1 "$(executor counter 2 code:rust)
$(executor teller 1 tell)"
HOSTS+="  - host_id: here
    hostname: localhost
    work_dir: $E2E/work/here
    agents:
$(executor other 2 review)
"
mkdir -p "$E2E/work/here"
server 1
server 2
caddy
token_header
worker 1
wait_for 20 "hosts to be reachable" eval 'reachable h1 && reachable here'
post() { api POST "/api/v1/tasks/$1" -H 'Content-Type: application/json' --data-binary "${2:-{\}}"; }
running() { [[ $(sql "select status from fleet.tasks where task_id = '$1'") == running ]]; }
marked() { [[ -n $(runs_of "$1") ]]; }

for capability in code:rust review; do
    id=${capability//:/-}
    label='"labels": ["agent:'$capability'"]'
    submit '{"title": "T", "task_id": "fail-'$id'", "body": "e2e: lines=2 ms=0 exit=7", '"$label"', "max_retries": 1}'
    wait_for 30 "fail-$id to fail after its retry" task_is "fail-$id" failed
    check "... with two attempts, exit 7" [ "$(sql "select count(*), max(exit_status), max(outcome) from fleet.attempt join fleet.task using (task) where task_id = 'fail-$id'")" = "2|7|failed" ]
    check "retry is accepted with force" eval "[[ \$(post fail-$id/retry '{\"force\": true}') == 200 ]]"
    wait_for 30 "fail-$id to fail again" eval '[ "$(grep -c "^end fail-'$id' " "$LEDGER")" -ge 3 ]'

    submit '{"title": "T", "task_id": "hang-'$id'", "body": "e2e: hang", "timeout_secs": 3600, '"$label"'}'
    wait_for 20 "hang-$id to run" running "hang-$id"
    wait_for 10 "its process to be there" marked "hang-$id"
    check "retry of a live run is refused" [ "$(post "hang-$id/retry")" = 409 ]
    check "cancel of a live run is accepted" [ "$(post "hang-$id/cancel")" = 202 ]
    wait_for 40 "hang-$id to be cancelled" task_is "hang-$id" cancelled
    check "... and its processes to be gone" eval "! marked hang-$id"

    submit '{"title": "T", "task_id": "slow-'$id'", "body": "e2e: lines=1000 ms=100", "max_retries": 0, "timeout_secs": 3, '"$label"'}'
    wait_for 40 "slow-$id to time out" task_is "slow-$id" failed
    check "... with that outcome" [ "$(sql "select outcome from fleet.attempt join fleet.task using (task) where task_id = 'slow-$id'")" = timed_out ]

    submit '{"title": "T", "task_id": "hand-'$id'", "body": "e2e: lines=40 ms=100", "timeout_secs": 60, '"$label"'}'
    wait_for 20 "hand-$id to run" running "hand-$id"
    kill_node worker-1 TERM
    worker 2
    wait_for 30 "hand-$id to complete under worker-2" task_is "hand-$id" completed
    check "... in one attempt" [ "$(sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id = 'hand-$id'")" = "1|2" ]
    check "... output whole" output_is_whole "hand-$id" 40
    stop_node worker-2
    worker 1
    wait_for 20 "hosts to be reachable" eval 'reachable h1 && reachable here'
done

# What an adapter's env gives a run is nobody else's to read.
submit '{"title": "T", "task_id": "tell", "labels": ["agent:tell"]}'
wait_for 30 "an agent to tell its secret" task_is tell completed
check "... which is overwritten in its output" [ "$(sql "select convert_from(bytes, 'UTF8') from fleet.logs where task_id = 'tell'")" = "the word is *****************" ]
check "... and in its summary" [ "$(sql "select report ->> 'summary' from fleet.attempt_texts where task_id = 'tell'" | head -1)" = "the word is *****************" ]
check "... stands nowhere in the database" eval '! pg_dump "$(postgres_url fleet)" | grep -q open-sesame'
check "... in no log" eval '! grep -qs open-sesame "$E2E"/*.log'
check "... and on the host only in what the agent printed" [ "$(grep -rl open-sesame "$E2E/work" | sed 's,.*/,,')" = out ]

submit '{"title": "T", "task_id": "later", "labels": ["agent:document"]}'
check "cancel of a waiting task ends it at once" [ "$(post later/cancel)" = 200 ]
check "... as cancelled" task_is later cancelled
submit '{"title": "T", "task_id": "later", "labels": ["agent:document"]}'
check "the same task again is the same" [ "$(sql "select count(*) from fleet.task where task_id = 'later'")" = 1 ]

# sshd dies in mid-run: the run goes on, nothing is lost, no retry is burnt.
submit '{"title": "T", "task_id": "cut", "body": "e2e: lines=60 ms=100", "timeout_secs": 60, "labels": ["agent:code:rust"]}'
wait_for 20 "cut to run" running cut
sshd_down
wait_for 20 "h1 to be unreachable" eval '! reachable h1'
sshd_up
wait_for 60 "cut to complete" task_is cut completed
check "... in one attempt" [ "$(sql "select count(*) from fleet.attempt join fleet.task using (task) where task_id = 'cut'")" = 1 ]
check "... output whole" output_is_whole cut 60

# PostgreSQL restarts in mid-run.
submit '{"title": "T", "task_id": "database", "body": "e2e: lines=60 ms=100", "timeout_secs": 60, "labels": ["agent:code:rust"]}'
wait_for 20 "database to run" running database
postgres_restart "$E2E/postgres"
wait_for 60 "database to complete" task_is database completed
check "... in one attempt of one owner" [ "$(sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id = 'database'")" = "1|1" ]
check "... output whole" output_is_whole database 60
check "none ran twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
for name in server-1 worker-1; do
    kill_node "$name" TERM
    wait_for 30 "$name to end on TERM" eval "! alive $name"
done
