# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# What people do with hosts and accounts by curl: a host made by the API takes work, also when its
# worker is killed in between; it is drained, declared dead, removed.

fleet_begin
MAX_RETRIES=2
server 1
server 2
caddy
token_header
worker 1
call() { api "$1" "/api/v1/$2" -H 'Content-Type: application/json' ${3:+--data-binary "$3"}; }
post() { call POST "$1" "${2:-{\}}"; }
said() { grep -q "$1" "$E2E/body"; }
running() { task_is "$1" running; }
# entry ID [MORE]: a host behind our sshd, as under hosts of a configuration.
entry() {
    mkdir -p "$E2E/work/$1"
    cat <<JSON
{"hostname": "127.0.0.1", "ssh_user": "$(id -un)", "ssh_port": $SSHD_PORT, "ssh_key_path": "$E2E/sshd/client_key",
 "known_hosts": "$E2E/sshd/known_hosts", "work_dir": "$E2E/work/$1",
 "agents": [{"agent_type": "counter", "max_concurrency": 2, "capabilities": ["code:rust"]}]${2-}}
JSON
}

check 'a host is made by PUT' [ "$(call PUT hosts/made "$(entry made)")" = 201 ]
check 'an entry that is wrong is refused' [ "$(call PUT hosts/wrong '{"hostname": "h", "work_dir": "relative", "agents": []}')" = 422 ]
check '... by the name of the member' said '"work_dir: '
wait_for 20 'the worker to reach it' reachable made
submit '{"title": "T", "task_id": "one", "body": "e2e: lines=3 ms=0", "labels": ["agent:code:rust"]}'
wait_for 30 'a task to run there' task_is one completed
check '... its output whole' output_is_whole one 3

# The worker is killed while a run goes on; the next one knows the host from the database alone.
submit '{"title": "T", "task_id": "two", "body": "e2e: lines=60 ms=100", "labels": ["agent:code:rust"], "timeout_secs": 60}'
wait_for 20 'another to run' running two
check 'a host with a run is not removed' [ "$(call DELETE hosts/made)" = 409 ]
kill_node worker-1
worker 2
wait_for 40 'it to complete under another worker' task_is two completed
check '... in one attempt' [ "$(sql "select count(*) from fleet.attempt join fleet.task using (task) where task_id = 'two'")" = 1 ]
check '... its output whole' output_is_whole two 60

# A key that the worker cannot use is said as the host's reason.
check 'changed to a key that is not there' [ "$(call PUT hosts/made "$(entry made ', "ssh_key_path": "/nowhere/key"')")" = 200 ]
wait_for 20 'the reason to be told' eval '[[ $(sql "select reason_code from fleet.hosts where host_id = '"'made'"'") == key_unusable ]]'
check '... with its name, by REST' eval '[[ $(call GET hosts/made) == 200 ]] && said /nowhere/key'
check 'changed back' [ "$(call PUT hosts/made "$(entry made)")" = 200 ]
wait_for 20 'it to be reached again' reachable made
seen=$(sql "select max(reported_at) from fleet.node_host")
check 'a check is asked for' [ "$(post hosts/made/check)" = 202 ]
wait_for 10 'the worker to look' eval '[[ $(sql "select max(reported_at) from fleet.node_host") > "$seen" ]]'

# Drain: at the deadline what runs is stopped and waits again.
submit '{"title": "T", "task_id": "three", "body": "e2e: hang", "labels": ["agent:code:rust"], "timeout_secs": 3600}'
wait_for 20 'a run that hangs' running three
check 'the host is drained' [ "$(post hosts/made/drain '{"deadline_secs": 1, "reason": "new disk"}')" = 200 ]
wait_for 40 'the run to be stopped and wait again' task_is three created
check '... given back, no retry burnt' [ "$(sql "select a.outcome, a.reason, t.retry_count from fleet.attempt a join fleet.task t using (task) where task_id = 'three'")" = 'released|drained|0' ]
check '... its processes are gone' eval '[[ -z $(runs_of three) ]]'
check 'explain says why it waits' eval '[[ $(sql "select string_agg(reason, chr(10)) from fleet.explain_task('"'three'"')") == *cordoned* ]]'
check 'uncordoned' [ "$(post hosts/made/uncordon)" = 200 ]
wait_for 30 'it to run again' running three

# An account is parked: what runs goes on, nothing new comes.
check 'the account is parked' [ "$(post accounts/made%2Fcounter/park '{"reason": "bill"}')" = 200 ]
submit '{"title": "T", "task_id": "four", "body": "e2e: lines=1 ms=0", "labels": ["agent:code:rust"]}'
check '... which is listed' eval '[[ $(call GET accounts) == 200 ]] && said bill'
check '... and shown' eval '[[ $(call GET accounts/made%2Fcounter) == 200 ]] && said bill'
check '... nothing new comes' task_is four created
check 'unparked' [ "$(post accounts/made%2Fcounter/unpark)" = 200 ]
wait_for 30 'the task to run' task_is four completed

# A person declares the host dead: its task is tried again elsewhere.
check 'another host is made' [ "$(call PUT hosts/other "$(entry other)")" = 201 ]
wait_for 20 'the worker to reach it' reachable other
check 'the first is declared dead' [ "$(post hosts/made/declare_dead '{"reason": "fire"}')" = 200 ]
wait_for 40 'its task to run on the other' eval '[[ $(sql "select host_id from fleet.tasks where task_id = '"'three'"' and status = '"'running'"'") == other ]]'
wait_for 30 'the old run to be stopped all the same' eval '[[ $(sql "select count(*) from fleet.running where host_id = '"'made'"'") == 0 ]]'
check 'cancelled' [ "$(post tasks/three/cancel)" = 202 ]
wait_for 40 'the run to be stopped' task_is three cancelled
for name in made other; do
    check "$name is removed" [ "$(call DELETE "hosts/$name")" = 204 ]
done
check 'then it is not there' [ "$(call GET hosts/made)" = 404 ]
wait_for 20 'the worker to let both go' eval '[[ $(grep -c "closed" "$E2E/log/worker-2.log") -ge 2 ]]'
check 'the trail has it all' [ "$(sql "select count(*) from fleet.audit where action ~ '^(host|account)_'")" = 12 ]
check 'invariants hold' invariants_hold
