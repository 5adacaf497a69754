# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Outages that are ours: a fleet that was away for hours, a database that takes no output for a while. No run pays for them.

TASK_TIMEOUT=120
fleet_begin
sql "alter role fleet_worker_login set statement_timeout = '2s'" >/dev/null
host h1 "$(executor counter 3 code:rust)"
server 1
caddy
token_header
worker 1
wait_for 20 "h1 to be reachable" reachable h1
running() { task_is "$1" running; }
attempts() { sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id = '$1'"; }
ended_on_host() { grep -q "^end $1 " "$LEDGER"; }

# The only worker is away for four hours; one run goes on meanwhile, another ends.
submit '{"title": "T", "task_id": "long", "body": "e2e: lines=150 ms=100", "labels": ["agent:code:rust"]}'
submit '{"title": "T", "task_id": "short", "body": "e2e: lines=30 ms=100", "labels": ["agent:code:rust"]}'
wait_for 20 "both to run" eval 'running long && running short'
stop_node worker-1
wait_for 20 "the short one to end on its host" ended_on_host short
sql "update fleet.node set stopped_at = stopped_at - interval '4 hours', beat_at = beat_at - interval '4 hours' where kind = 'worker';
     update fleet.attempt set unreachable_at = now() - interval '4 hours', looked_at = now() - interval '4 hours', phase = 'unreachable'
     where ended_at is null" >/dev/null
sql "select fleet.reap(node) from fleet.node where kind = 'server'" >/dev/null
check "shown as lost after four hours" [ "$(sql "select string_agg(distinct status, ' ') from fleet.task")" = agent_lost ]
worker 1
for task in long short; do
    wait_for 60 "$task to complete under the next worker" task_is "$task" completed
    check "... in one attempt of two owners" [ "$(attempts "$task")" = "1|2" ]
done
check "... output of the long one whole" output_is_whole long 150
check "... output of the short one whole" output_is_whole short 30

# Nobody may write output for a while around a run's end; no other run writes afterwards.
submit '{"title": "T", "task_id": "last", "body": "e2e: lines=20 ms=50", "labels": ["agent:code:rust"]}'
wait_for 20 "last to run" running last
postgres_query fleet "begin; lock table fleet.log in share mode; select pg_sleep(8); commit" >/dev/null
wait_for 30 "last to complete once output may be written" task_is last completed
check "... in one attempt of one owner" [ "$(attempts last)" = "1|1" ]
check "... output whole" output_is_whole last 20

check "none ran twice" [ "$(grep -c ^double "$LEDGER")" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
