# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# What is old goes, on real nodes: directories on the host, output and history in the database, while a run lives on; what is kept stays;
# a worker that is killed in the middle of a sweep leaves nothing undone.

fleet_begin
HOSTS=''
host h1 "$(executor counter 4 code:rust)"
sql "select fleet.set('sweep_ms', 1000)" >/dev/null
server 1
caddy
token_header
worker 1

WORK=$E2E/work/h1
runs() { find "$WORK/.fleet/"*/runs -mindepth 1 -maxdepth 1 -name "$1.*" 2>/dev/null; }
has_run() { [[ -n $(runs "$1") ]]; }
has_folder() { [[ -d $WORK/tasks/$1 ]]; }
without() { ! "$@"; }
running() { task_is "$1" running; }
logs() { api GET "/api/v1/tasks/$1/logs?$2"; }
# All about an ended task was so many days ago.
past() { # DAYS TASK_ID...
    local days=$1 list
    shift
    list=$(printf "'%s'," "$@")
    sql "set role fleet_owner;
         select fleet.make_partition('log', 'log_' || to_char(d, 'YYYYMMDD'), d, d + interval '1 day'),
             fleet.make_partition('event', 'event_' || to_char(d, 'YYYYMM'), date_trunc('month', d), date_trunc('month', d) + interval '1 month')
         from (select date_trunc('day', now() at time zone 'UTC') - interval '$days days' as d) x;
         update fleet.attempt a set claimed_at = a.claimed_at - interval '$days days', ended_at = a.ended_at - interval '$days days',
             output_at = a.output_at - interval '$days days'
         from fleet.task t where t.task = a.task and t.task_id in (${list%,}) and a.ended_at is not null;
         update fleet.task set created_at = created_at - interval '$days days', changed_at = changed_at - interval '$days days',
             completed_at = completed_at - interval '$days days' where task_id in (${list%,});
         update fleet.event e set at = e.at - interval '$days days' from fleet.task t where t.task = e.task and t.task_id in (${list%,});
         update fleet.log l set at = l.at - interval '$days days' from fleet.attempt a join fleet.task t using (task)
         where a.attempt = l.attempt and t.task_id in (${list%,})" >/dev/null
}

for name in old young kept; do
    submit "{\"title\": \"T\", \"task_id\": \"$name\", \"body\": \"e2e: lines=50 ms=0\", \"labels\": [\"agent:code:rust\"]}"
done
submit '{"title": "T", "task_id": "live", "body": "e2e: hang", "labels": ["agent:code:rust"], "timeout_secs": 3600}'
for name in old young kept; do wait_for 40 "$name" task_is "$name" completed; done
wait_for 20 "a run that lives" running live
check "a task is kept" test "$(sql "select fleet.keep('kept', 'evidence')")" = kept
mkdir -p "$(dirname "$(runs old)")/stranger.1"
printf '0123456789abcdef0123456789abcdef\n' >"$(dirname "$(runs old)")/stranger.1/nonce"
past 200 old kept
sql "update fleet.latch set due_at = '-infinity' where name = 'retain'" >/dev/null
check "before: the output is there" eval '[[ $(logs old "") == 200 ]]'

wait_for 40 "the run directory of an old run to go" without has_run old
wait_for 40 "the working directory of an old task to go" without has_folder old
check "a young one's stay" eval 'has_run young && has_folder young'
check "a kept one's stay" eval 'has_run kept && has_folder kept'
check "a live one's stay" eval 'has_run live && has_folder live && running live'
check "one that nobody knows stays" has_run stranger
check "... and is said once" test "$(grep -c 'run directories that no task knows of' "$E2E/log/worker-1.log")" = 1
wait_for 20 "SQL to know of it" eval '[[ $(sql "select count(*) from fleet.attempt a join fleet.task using (task) where task_id = '"'old'"' and run_removed_at is not null and folder_removed_at is not null") == 1 ]]'
check "... and of none else" test "$(sql "select count(*) from fleet.attempt where run_removed_at is not null or folder_removed_at is not null")" = 1

# A worker that is killed in the middle: the next sweep ends it.
mkdir -p "$WORK/tasks/young/many"
(cd "$WORK/tasks/young/many" && seq 30000 | xargs touch)
past 20 young
wait_for 90 "it to be put aside" without has_folder young
kill_node worker-1
worker 2
gone_aside() { [[ -z $(find "$WORK/tasks" -maxdepth 1 -name '.gone.*') ]]; }
wait_for 60 "the rest of it to go" gone_aside
wait_for 60 "its run directory to go" without has_run young
check "the run that lives goes on under the other worker" running live

# The house-keeping of a node drops partitions; what was in them is told.
wait_for 150 "old output to go" eval '[[ $(sql "select before is not null from fleet.horizon where name = '"'log'"'") == t ]]'
wait_for 60 "old history to go" eval '[[ $(sql "select before is not null from fleet.horizon where name = '"'event'"'") == t ]]'
check "by offset: 410, with the date" eval '[[ $(logs old "offset=0") == 410 ]] && grep -q "\"written_before\"" "$E2E/body"'
check "its tail: 410" eval '[[ $(logs old "tail=10") == 410 ]]'
check "followed: 410" eval '[[ $(logs old "follow=1&offset=0") == 410 ]]'
check "searched: 410" eval '[[ $(api GET "/api/v1/tasks/old/logs/search?q=line") == 410 ]]'
check "what is kept is whole" output_is_whole kept 50
check "... and its history" test "$(sql "select count(*) > 3 from fleet.history where task_id = 'kept'")" = t
check "a kept task says so" eval '[[ $(api GET /api/v1/tasks/kept) == 200 ]] && grep -q "\"reason\" *: *\"evidence\"" "$E2E/body"'
check "what it takes is shown" test "$(sql "select count(*) from fleet.storage where behind is not null and name in ('log', 'event')")" = 0
check "no invariant is broken" invariants_hold
api POST /api/v1/tasks/live/cancel >/dev/null
wait_for 60 "the live run to end" task_is live cancelled
