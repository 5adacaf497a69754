# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# A worker is killed between its POST of a tracking comment and the answer, ONCE times (5; 100 in the long form): the comment is
# there, or comes to be there while the next worker looks. One comment an issue in the end, each time, and it tells of the end.

# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh
ONCE=${ONCE:-5}

fleet_begin
forgejo_start "$E2E"
for setting in "tell_ms 0" "tell_max_ms 1000" "look_retry_ms 200" "look_retry_max_ms 1000" "runs_per_sender_day 0"; do
    sql "select fleet.set('${setting% *}', ${setting#* })" >/dev/null
done
FORGEJO_KEYS="token: fleet-token, lookup_token: lookup-token, timeout_secs: 3"
TRIGGER_USERS=
host h1 "$(executor counter 4 code:rust)"
server 1
forgejo_world acme/rocket "http://127.0.0.1:${PORT[server-1]}/api/v1/webhooks/forgejo" "$FLEET_SECRET"
worker 1
wait_for 20 "h1 to be reachable" reachable h1

# A worker has looked for a comment that was announced, in vain, and waits before it looks again.
looked_in_vain() { [[ $(sql "select count(*) from fleet.outbox where posting = 'comment' and taken_by is null and tell_at > now() + interval '1 s'") != 0 ]]; }
dead() { ! alive worker-1; }

# blow MODE: a new issue, whose comment meets that fault; the worker dies on it.
blow() {
    forgejo_do fault "{\"mode\": \"$1\", \"match\": \"^POST .*/issues/[0-9]*/comments\$\", \"times\": 1}" >/dev/null
    forgejo_do open '{"repo": "acme/rocket", "as": "writer", "title": "T", "body": "e2e: lines=1 ms=0", "labels": ["agent:code:rust"]}' >/dev/null
    wait_for 30 "a comment to be on its way" forgejo_is 1 state.held || return 1
    kill_node worker-1
    until_true 10 dead
    worker 1
    # That which had not arrived comes when the next worker has looked for it in vain.
    [[ $1 == hold ]] || wait_for 30 "the next worker to look" looked_in_vain
    forgejo_do release >/dev/null
}
blows=0
for ((i = 0; i < ONCE; i++)); do
    if ((i % 2)); then blow hold_before; else blow hold; fi || break
    blows=$((blows + 1))
done
check "a worker died $ONCE times on an answer" [ "$blows" = "$ONCE" ]
wait_for 60 "all runs to end" none_waiting
all_told() { [[ $(sql "select count(*) from fleet.tellings where state <> 'told'") == 0 ]]; }
wait_for $((60 + ONCE)) "all to be told" all_told
ours='repo("acme/rocket").issues.map((i) => i.timeline.filter((c) => c.type === "comment" && c.by === "fleet"))'
check "each issue has one comment of ours" forgejo_is "$ONCE" "$ours.filter((all) => all.length === 1).length"
check "... that tells of the end" forgejo_is "$ONCE" "$ours.filter((all) => /Agent Fleet: done/.test(all[0].body)).length"
check "... and the label says so" forgejo_is "$ONCE" 'repo("acme/rocket").issues.filter((i) => i.labels.filter((l) => l.startsWith("fleet/")).join() === "fleet/done").length'
check "nothing ran twice" [ "$(grep -c ^start "$LEDGER")" = "$ONCE" ]
check "invariants hold" invariants_hold
