# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# The property of tests/forgejo/property.mjs, on two servers and two workers. INTERLEAVINGS (50), SEED (9), ROUNDS (3); use
# tests/forgejo/property to choose them.

shared="shared-by-the-agent-of-this-test"
ORCHESTRATOR="max_reviews: 100, heartbeat_interval_secs: 60, heartbeat_timeout_threshold: 1000, handover_ack_secs: 3600, http_pull_token: $shared"
MAX_RETRIES=0 DISPATCH_INTERVAL=3600
fleet_begin
port=$(free_port)
FORGEJO=http://127.0.0.1:$port
FORGEJO_KEYS="token: fleet-token, lookup_token: lookup-token, poll_interval_secs: 30,
           rules: [ { repositories: [ acme/moon ], approval: untrusted } ]"
TRIGGER_USERS=
for setting in "look_retry_ms 200" "look_retry_max_ms 2000" "tell_ms 100" "tell_max_ms 2000" "runs_per_issue_day 0" "runs_per_sender_day 0" \
    "look_fresh_ms 3600000" "look_lease_ms 5000" "backfill_lease_ms 5000"; do
    sql "select fleet.set('${setting% *}', ${setting#* })" >/dev/null
done
servers='' workers=''
for i in 1 2; do
    server=$(free_port)
    config "$E2E/etc/server-$i.yaml" "$server" "$(node_url fleet_server_login)"
    config "$E2E/etc/worker-$i.yaml" 0 "$(node_url fleet_worker_login)"
    servers+="${servers:+, }{\"name\": \"server-$i\", \"base\": \"http://127.0.0.1:$server\", \"env\": {\"WEBHOOK_SECRET\": \"$FLEET_SECRET\"},
        \"command\": [\"$BUILD/fleet-server\", \"--config\", \"$E2E/etc/server-$i.yaml\"]}"
    workers+="${workers:+, }{\"name\": \"worker-$i\", \"command\": [\"$BUILD/fleet-worker\", \"--config\", \"$E2E/etc/worker-$i.yaml\"],
        \"env\": {\"WEBHOOK_SECRET\": \"$FLEET_SECRET\", \"FLEET_NODE_NAME\": \"worker-$i\"}}"
done
agent=$(WEBHOOK_SECRET=$FLEET_SECRET "$BUILD/fleet-server" token create --scope agent --name here --config "$E2E/etc/server-1.yaml" 2>/dev/null)

cat >"$E2E/property.json" <<JSON
{ "seed": ${SEED:-9}, "interleavings": ${INTERLEAVINGS:-50}, "rounds": ${ROUNDS:-3}, "kills": ${KILL_CHANCE:-0.03},
  "database": "$(postgres_url fleet)", "forgejo_port": $port, "secret": "$FLEET_SECRET", "token": "$agent", "log": "$E2E/log", "told": true,
  "servers": [ $servers ], "workers": [ $workers ] }
JSON
if node tests/forgejo/property.mjs "$E2E/property.json" >"$E2E/log/property.out" 2>"$E2E/log/property.log"; then
    pass "the fleet is as the model: $(tail -n 1 "$E2E/log/property.out")"
else
    fail "the fleet is not as the model" "$(cat "$E2E/log/property.out")"
fi
check "invariants hold" invariants_hold
