# shellcheck shell=bash disable=SC2016,SC2034 # variables and texts are for tests/e2e/lib.sh, JavaScript in single quotes
# A Forgejo that sends nothing (poll_only): labels start work by reading alone, once each, also those that were put there while no
# node lived; what Forgejo refuses parks a repository; a renamed one goes on. The poll is hurried by hand, but for one (--long: CASES).

# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh
fleet_begin
forgejo_start "$E2E"
forgejo_world acme/rocket
REPOSITORIES='"acme/*"' TRIGGER_USERS=''
FORGEJO_KEYS="token: fleet-token, lookup_token: lookup-token, poll_only: true, poll_interval_secs: 30"
host h1 "$(executor counter 2 code:rust)"

# open TITLE [LABEL [USER]]: prints its number
open() {
    forgejo_do open "{\"repo\": \"acme/rocket\", \"as\": \"${3:-writer}\", \"title\": \"$1\", \"body\": \"e2e: lines=2 ms=10\"
        ${2:+, \"labels\": [\"$2\"]}}" | node -pe 'JSON.parse(require("fs").readFileSync(0, "utf8")).number'
}
act() { # VERB NUMBER [LABEL [USER]]
    forgejo_do "$1" "{\"repo\": \"acme/rocket\", \"as\": \"${4:-writer}\", \"issue\": $2 ${3:+, \"label\": \"$3\"}}" >/dev/null
}
poll() { sql "update fleet.repository set read_due = now()" >/dev/null; }
runs() { sql "select count(*) from fleet.attempt a join fleet.task t using (task) where t.issue_number = $1"; }
ran() { [[ $(runs "$1") == "$2" ]] && [[ $(sql "select status from fleet.task where issue_number = $1") == completed ]]; }
read_behind() { [[ $(sql "select count(*) from fleet.repository where read_at > '$1'") == 1 ]]; }
nothing_due() { [[ $(sql "select count(*) from fleet.readings where state <> 'read'") == 0 ]]; }
# Until a reading that begins from now on is over, and what it wanted was looked at.
polled() {
    local now
    now=$(sql 'select clock_timestamp()')
    poll
    wait_for 30 "the repository to be read" read_behind "$now"
    wait_for 30 "its issues to be read" nothing_due
}

agent=agent:code:rust
first=$(open first $agent)
open plain bug >/dev/null
worker 1
worker 2
wait_for 30 "h1 to be reachable" reachable h1
wait_for 60 "an issue that was labelled before the first start to run" ran "$first" 1
check "... and no other" [ "$(sql 'select count(*) from fleet.task')" = 1 ]

second=$(open second)
polled
act label "$second" $agent
poll
wait_for 60 "a label to start a run" ran "$second" 1
stranger=$(open stranger $agent reader)
polled
check "a stranger's label starts nothing" [ "$(runs "$stranger")" = 0 ]
polled
check "reading again starts nothing" [ "$(sql 'select count(*) from fleet.attempt')" = 2 ]

# A pull request from a task's branch is found by its head, and what becomes of it too.
branch=$(sql "select coalesce(branch_name, 'task/' || task_id) from fleet.task where issue_number = $second")
forgejo_do push "{\"repo\": \"acme/rocket\", \"as\": \"writer\", \"branch\": \"$branch\", \"message\": \"work\"}" >/dev/null
forgejo_do open_pull "{\"repo\": \"acme/rocket\", \"as\": \"writer\", \"head\": \"$branch\", \"title\": \"Second\"}" >/dev/null
pull=$(forgejo_state 'repo("acme/rocket").issues.find((i) => i.pull).number')
status_is() { [[ $(sql "select status from fleet.task where issue_number = $1") == "$2" ]]; }
polled
check "its task is under review" status_is "$second" review_pending
act merge "$pull"
polled
check "... and completed when it was merged" status_is "$second" completed

# Nobody lives: what happens meanwhile is caught up with, once each.
waits=$(open waits)
sql "select fleet.cordon('h1', 'test')" >/dev/null
act label "$waits" $agent
polled
check "what cannot run waits" [ "$(sql "select status from fleet.task where issue_number = $waits")" = created ]
stop_node worker-1
stop_node worker-2
act close "$waits"
late=$(open late $agent)
flapped=$(open flapped)
act label "$flapped" $agent
act unlabel "$flapped" $agent
act unlabel "$first" $agent
act label "$first" $agent
for i in 1 2 3 4; do
    act label "$second" bug
    act unlabel "$second" bug
done
sql "select fleet.uncordon('h1')" >/dev/null
sql "update fleet.issue set read_at = read_at - interval '1 day'" >/dev/null
forgejo_do fault '{"mode": "bad_gateway", "match": "GET .*/issues.*since=", "times": 2}' >/dev/null
worker 1
worker 2
poll
wait_for 60 "an issue of that time to run" ran "$late" 1
wait_for 60 "one that was labelled again to run again" ran "$first" 2
polled
check "one that was closed is cancelled" [ "$(sql "select status, failure_reason from fleet.task where issue_number = $waits")" = "cancelled|issue_closed" ]
check "one whose label went again never ran" [ "$(runs "$flapped")" = 0 ]
check "one with other labels did not run again" [ "$(runs "$second")" = 1 ]
check "a page that failed was asked for again" [ "$(forgejo_state state.faulted)" = 2 ]

# Our account loses its rights: seen, not guessed at; nothing is cancelled.
sql "select fleet.cordon('h1', 'test')" >/dev/null
kept=$(open kept $agent)
polled
forgejo_do repository '{"repo": "acme/rocket", "private": true}' >/dev/null
forgejo_do collaborator '{"repo": "acme/rocket", "as": "fleet", "mode": "none"}' >/dev/null
poll
wait_for 30 "the repository to be parked" eval '[[ $(sql "select state || reason from fleet.repositories") == "parkedmissing: "* ]]'
check "... which cancels nothing" [ "$(sql "select status from fleet.task where issue_number = $kept")" = created ]
forgejo_do collaborator '{"repo": "acme/rocket", "as": "fleet", "mode": "write"}' >/dev/null
forgejo_do rename_repo '{"repo": "acme/rocket", "to": "acme/shuttle"}' >/dev/null
check "a person unparks it" [ "$(sql "select fleet.unpark_repository('acme/rocket')")" = unparked ]
wait_for 30 "its new name to be known" eval '[[ $(sql "select task_id from fleet.task where issue_number = $kept") == "acme/shuttle#$kept" ]]'
sql "select fleet.uncordon('h1')" >/dev/null
wait_for 60 "its task to run" ran "$kept" 1
check "an issue is one task, whatever its repository is called" \
    [ "$(sql "select count(*), count(distinct issue_number) from fleet.task where repo = 'acme/shuttle'")" = "5|5" ]

if [[ -n ${CASES-} ]]; then
    forgejo_do label "{\"repo\": \"acme/shuttle\", \"as\": \"writer\", \"issue\": $flapped, \"label\": \"$agent\"}" >/dev/null
    wait_for 60 "a label to start a run within the poll's own time" ran "$flapped" 1
fi
check "Forgejo sent nothing" [ "$(sql 'select count(*) from fleet.delivery')" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
