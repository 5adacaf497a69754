# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # variables and texts are for tests/e2e/lib.sh
# Output and history as streams: of work done elsewhere, over a server that is killed, a database that is restarted and a node that
# drains; a thousand followers; readers that do not read.
export FLEET_STREAM_QUIET_MS=500 FLEET_STREAM_STALL_MS=4000 FLEET_LAME_DUCK_MS=300
FOLLOWERS=${FOLLOWERS:-1000}
fleet_begin
HOSTS="  - host_id: here
    hostname: localhost
    work_dir: $E2E/work/here
    agents:
$(executor other 6 review)
"
mkdir -p "$E2E/work/here"
server 1
server 2
caddy
token_header
worker 1
wait_for 20 "the host to be reachable" reachable here

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$(pid_of "$1")/status"; }
# follow NAME OPTIONS... PATH PORT...: in the background; says what it saw in $E2E/NAME
follow() {
    local name=$1
    shift
    "$BUILD/stream-client" -H "$E2E/etc/header" "$@" >"$E2E/$name" 2>&1 &
    followers[$name]=$!
    started $!
}
declare -A followers=()
is_open() { grep -q '^open' "$E2E/$1"; }
saw() { # NAME WORD: the number behind it
    sed -nE "s/^streams .*\b$2 ([0-9.]+).*/\1/p; s/^streams ([0-9]+) .*/\1/p" "$E2E/$1" | head -n 1
}
lines_stored() { [[ $(sql "select coalesce(max(stdout_lines), 0) from fleet.attempt") -ge $1 ]]; }

# ---- a run, followed through everything

submit '{"title": "T", "task_id": "acme/long", "labels": ["agent:review"], "body": "e2e: lines=240 ms=25", "timeout_secs": 60}'
follow output -t 120 -o "$E2E/output.bytes" "/api/v1/tasks/acme%2Flong/logs?follow=1" "${PORT[server-1]}" "${PORT[server-2]}"
follow history -t 120 -o "$E2E/history.lines" "/api/v1/events" "${PORT[server-1]}" "${PORT[server-2]}"
wait_for 10 "the history to be open" is_open history
wait_for 10 "the first lines" lines_stored 20
kill_node server-1
wait_for 10 "lines without the first server" lines_stored 60
postgres_restart "$E2E/postgres"
server 1
wait_for 15 "lines after the database's restart" lines_stored 120
submit '{"title": "T", "task_id": "meanwhile", "labels": ["agent:review"], "body": "e2e: lines=3 ms=10"}'
stop_node server-2
server 2
wait_for 20 "the stream to end" pid_gone "${followers[output]}"
api GET "/api/v1/tasks/acme%2Flong/logs?limit_bytes=1048576" >/dev/null
check "what was followed is what is stored, byte for byte" cmp "$E2E/output.bytes" "$E2E/body"
check "... all of it ($(wc -c <"$E2E/body") bytes)" output_is_whole 'acme/long' 240
check "... it ended with the run" grep -q '^end .*"outcome": "succeeded".*"status": "completed"' "$E2E/output"
check "... the client had to come back ($(saw output returns) times)" eval '(($(saw output returns) >= 2))'

search() { api GET "/api/v1/tasks/acme%2Flong/logs/search?$1"; }
check "a text is found" eval '[[ $(search "q=line+23&limit=5") == 200 ]]'
lines_found() { [[ $(grep -o '"line": [0-9]*' "$E2E/body" | tr -dc '0-9\n' | tr '\n' ' ') == "$1 " ]]; }
check "... in its lines" lines_found "23 230 231 232 233"
cursor=$(sed -nE 's/.*"complete": false, "cursor": "([0-9-]+)".*/\1/p' "$E2E/body")
check "... and goes on where it stopped" eval '[[ $(search "q=line+23&cursor=$cursor") == 200 ]]'
check "... to the end" eval 'lines_found "234 235 236 237 238 239" && grep -q "complete.: true" "$E2E/body"'

# ---- the history, over the same

wait_for 10 "the tasks to end" none_waiting
submit '{"title": "T", "task_id": "last", "labels": ["agent:review"], "body": "e2e: lines=1 ms=1"}'
wait_for 10 "the last task" task_is last completed
wait_for 10 "its event" grep -q '"task_id" : "last", "event_type" : "completed"' "$E2E/history.lines"
kill "${followers[history]}"
first=$(sed -nE '1s/.*"event_id" : ([0-9]+),.*/\1/p' "$E2E/history.lines")
sql "select event_id from fleet.event where (xid, event_id) >= (select xid, event_id from fleet.event where event_id = $first) order by xid, event_id" >"$E2E/history.want"
sed -E 's/.*"event_id" : ([0-9]+),.*/\1/' "$E2E/history.lines" >"$E2E/history.got"
check "every event once, in order ($(wc -l <"$E2E/history.want"))" cmp "$E2E/history.got" "$E2E/history.want"

# ---- many, on one node

before=$(rss server-2)
follow many -n "$FOLLOWERS" -t 120 -e 4 "/api/v1/events?task_id=many" "${PORT[server-2]}"
wait_for 20 "$FOLLOWERS followers" is_open many
after=$(rss server-2)
echo "# $FOLLOWERS followers: $(((after - before) / 1)) KiB more, $(((after - before) * 1024 / FOLLOWERS)) bytes each (RSS $after KiB)"
submit '{"title": "T", "task_id": "many", "labels": ["agent:review"], "body": "e2e: lines=40 ms=50"}'
follow crowd -n "$FOLLOWERS" -t 120 "/api/v1/tasks/many/logs?follow=1" "${PORT[server-1]}"
wait_for 20 "the crowd to see the end" pid_gone "${followers[crowd]}"
check "each of $FOLLOWERS saw the run's end" eval "[[ $(saw crowd ended) == $FOLLOWERS ]]"
wait_for 20 "the others to be done" pid_gone "${followers[many]}"
check "each of $FOLLOWERS saw the task's events" eval "[[ $(saw many ended) == $FOLLOWERS ]]"
check "nobody had to come back" eval "[[ $(saw many returns)$(saw many gaps)$(saw many broken) == 000 ]]"
grep -h '^streams' "$E2E/many" "$E2E/crowd" | sed 's/^/# /'

# ---- who does not read

sql "insert into fleet.log (attempt, stream, start, pos, bytes, line, pos_line)
     select a.attempt, 'stderr', (i - 1) * 16384, a.stdout_bytes + (i - 1) * 16384, convert_to(repeat('0123456789abcdef', 1024), 'utf8'), 0, a.stdout_lines
     from fleet.attempt a join fleet.task t using (task), generate_series(1, 128) i where t.task_id = 'many'" >/dev/null
sql "update fleet.attempt a set stderr_bytes = 128 * 16384 from fleet.task t where t.task = a.task and t.task_id = 'many'" >/dev/null
follow slow -n 20 -s 20 -t 120 -o "$E2E/slow.bytes" "/api/v1/tasks/many/logs?follow=1&stream=stderr" "${PORT[server-2]}"
dropped() { [[ $(grep -c 'does not read its stream' "$E2E/log/server-2.log") == 20 ]]; }
wait_for 12 "those that do not read to be dropped" dropped
wait_for 12 "the others to be done" pid_gone "${followers[slow]}"
check "those that read are unharmed" eval "[[ $(saw slow ended)$(saw slow returns) == 200 && $(wc -c <"$E2E/slow.bytes") == $((128 * 16384)) ]]"
kept=$(rss server-2)
echo "# after them: RSS $kept KiB"

# ---- the end of a node

follow drained -n 50 -t 120 -e 4 "/api/v1/events" "${PORT[server-1]}" "${PORT[server-2]}"
wait_for 10 "followers" is_open drained
stop_node server-1
check "a node with followers stops in good order" grep -q '"message":"stopped"' "$E2E/log/server-1.log"
URL=http://127.0.0.1:${PORT[server-2]}
submit '{"title": "T", "task_id": "late", "labels": ["agent:review"], "body": "e2e: lines=1 ms=1"}'
wait_for 20 "the followers to be done" pid_gone "${followers[drained]}"
check "they were told, and went to the other one" eval "grep -q 'draining' '$E2E/drained' && (($(saw drained returns) >= 25 && $(saw drained ended) == 50 && $(saw drained gaps) == 0))"
check "every check_* view is empty" invariants_hold
