# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Forgejo is away for AWAY seconds (6; 600 in the long form), a third each: connections are refused, then a proxy answers 502,
# then its answers come slowly or too late. Runs go on, what is asked for meanwhile is not lost, and when it is back everything
# is told, in order.

# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh
AWAY=${AWAY:-6}

fleet_begin
forgejo_start "$E2E"
for setting in "tell_ms 0" "tell_max_ms 1000" "look_retry_ms 200" "look_retry_max_ms 1000" "runs_per_sender_day 0"; do
    sql "select fleet.set('${setting% *}', ${setting#* })" >/dev/null
done
FORGEJO_KEYS="token: fleet-token, lookup_token: lookup-token, timeout_secs: 2, poll_interval_secs: 30"
TRIGGER_USERS=
host h1 "$(executor counter 4 code:rust)"
server 1
forgejo_world acme/rocket "http://127.0.0.1:${PORT[server-1]}/api/v1/webhooks/forgejo" "$FLEET_SECRET"
worker 1
wait_for 20 "h1 to be reachable" reachable h1

asks() { # BODY: sets NUMBER
    NUMBER=$(forgejo_do open "{\"repo\": \"acme/rocket\", \"as\": \"writer\", \"title\": \"T\", \"body\": \"$1\", \"labels\": [\"agent:code:rust\"]}" |
        node -p 'JSON.parse(require("fs").readFileSync(0)).number')
}
ended() { grep -q "^end acme-rocket-$1-" "$LEDGER"; }
ours() { echo "comments('acme/rocket', $1).filter((c) => c.by === 'fleet')"; }
says() { forgejo_is true "$(ours "$1").some((c) => c.body.includes('Agent Fleet: $2'))"; }
over() { (($(date +%s) >= $1)); }

asks "e2e: lines=20 ms=$((AWAY * 50))"
long=$NUMBER
wait_for 30 "the long run to be told of" says "$long" running

third=$((AWAY / 3))
forgejo_do refuse "{\"ms\": $((third * 1000))}" >/dev/null
began=$(date +%s)
check "Forgejo refuses" eval '! curl -s -m 5 -o /dev/null "$FORGEJO/api/v1/version"'
until_true $((third + 20)) curl -fs -m 5 -o /dev/null "$FORGEJO/api/v1/version"
forgejo_do fault '{"mode": "bad_gateway"}' >/dev/null
# Deliveries come from a Forgejo whose API is behind a broken proxy.
asks "e2e: lines=1 ms=0"
second=$NUMBER
wait_for 10 "what is asked for to be known" eval '[[ $(sql "select count(*) from fleet.task") == 2 ]]'
check "... and to wait for what only Forgejo knows" [ "$(sql "select hold from fleet.task where task_id = 'acme/rocket#$second'")" = permission_pending ]
until_true "$third" over $((began + 2 * third))
forgejo_do clear_faults >/dev/null
forgejo_do fault '{"mode": "slow", "ms": 400, "match": "^GET"}' >/dev/null
forgejo_do fault '{"mode": "slow", "ms": 2500, "match": "^(POST|PATCH)"}' >/dev/null
wait_for 60 "the second to be permitted by slow answers" ended "$second"
wait_for $((AWAY + 20)) "the long run to end meanwhile" ended "$long"
until_true "$AWAY" over $((began + AWAY))
forgejo_do clear_faults >/dev/null

everything_told() { [[ $(sql "select count(*) from fleet.tellings where state <> 'told'") == 0 ]]; }
wait_for 60 "all to be told" everything_told
for number in "$long" "$second"; do
    check "issue $number has one comment" forgejo_is 1 "$(ours "$number").length"
    check "... that tells of the end" says "$number" "done"
    check "... and one state label" forgejo_is fleet/done "issue('acme/rocket', $number).labels.filter((l) => l.startsWith('fleet/')).join()"
done
# Each text that was written, in the order in which Forgejo took it.
forgejo_do log '{"match": "^(POST|PATCH) .*comments"}' >"$E2E/told"
in_order() {
    node -e '
        const rank = { "on hold": 0, queued: 1, starting: 2, running: 3, done: 4 };
        const last = {};
        for (const { path, body, status } of JSON.parse(require("fs").readFileSync(process.argv[1]))) {
            const state = /\*\*Agent Fleet: ([^*]+)\*\*/.exec(JSON.stringify(body))?.[1];
            if (state === undefined || status >= 300) continue;
            if (!(state in rank)) throw new Error(`no state: ${state}`);
            const of = path.replace(/\?.*/, "");
            if (rank[state] < (last[of] ?? 0)) throw new Error(`${of}: ${state} after ${last[of]}`);
            last[of] = rank[state];
        }
        if (!Object.values(last).includes(4)) throw new Error("nothing was told");
    ' "$E2E/told"
}
check "no older state was told after a newer one" in_order
check "each ran once" [ "$(grep -c ^start "$LEDGER")" = 2 ]
check "Forgejo is not what a run waits for" [ "$(sql "select max(retry_count) from fleet.task")" = 0 ]
check "invariants hold" invariants_hold
