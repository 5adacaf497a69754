# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Every curl line of server/README.md, in its order, as a user would run it; and what is answered
# against the OpenAPI document.

REPOSITORIES='demo/rocket'
fleet_begin
ADAPTERS="  demo: { command: [ /bin/sh, '$E2E/agent', '$LEDGER' ], output: text }" # as the quickstart's
host demo-host "$(executor demo 4 code:rust)"
server 1
server 2
worker 1
caddy
token_header
root=$PWD
issue opened demo/rocket 1 agent:nobody 2026-01-01T00:00:00Z >"$E2E/issue.json"
mkdir -p "$E2E/user/.fleet/etc"
cd "$E2E/user" || exit 1
cp "$E2E/etc/header" .fleet/etc/token-header
cp "$E2E/issue.json" .
export FLEET_URL=$URL WEBHOOK_SECRET=$FLEET_SECRET
wait_for 30 "the host to be reachable" eval '[[ $(sql "select status from fleet.host_now where host_id = '"'demo-host'"'") == online ]]'

# The lines of the document, each whole.
mapfile -t lines < <(awk '/^    curl/ { inside = 1 } inside { sub(/^ +/, ""); more = sub(/ *\\$/, " "); printf "%s", $0; if (!more) { print ""; inside = 0 } }' "$root/server/README.md")
check "the document has lines (${#lines[@]})" test "${#lines[@]}" -ge 12

# As curl, but what was asked and answered is kept: status, method, URL, body.
asked=0
curl() {
    local status
    asked=$((asked + 1))
    command curl -o "$E2E/answer.$asked" -D "$E2E/head.$asked" -w '%{http_code} %{method} %{url}\n' "$@" >"$E2E/asked" 2>"$E2E/curl"
    status=$?
    echo "$(cat "$E2E/asked") $E2E/answer.$asked" >>"$E2E/answers"
    [[ ! -f $E2E/answer.$asked ]] && : >"$E2E/answer.$asked"
    cat "$E2E/answer.$asked"
    return $status
}
: >"$E2E/answers"

# What a line may wait for, so that the next finds what it needs.
before() {
    case $1 in
    *readme-1/logs | *readme-1/continue*) wait_for 30 "the run to end" task_is readme-1 completed ;;
    esac
}

for line in "${lines[@]}"; do
    before "$line"
    eval "$line" >"$E2E/out"
    status=$?
    # A stream is left by the client's own time-out.
    [[ $status == 28 && $line == *'curl -'*N* ]] && status=0
    ((status == 0)) || sed 's/^/     /' "$E2E/curl" "$E2E/out"
    check "$line" test "$status" == 0
done

sql "insert into fleet.forgejo (policy, told_by) values ('{\"reads\": true, \"repositories\": [\"*\"]}', 'a worker with a token')
     on conflict (one) do update set policy = excluded.policy" >/dev/null
curl -fsS -H @.fleet/etc/token-header -X POST "$FLEET_URL/api/v1/deliveries/11111111-2222-4333-8444-555555555555/replay" >/dev/null
curl -fsS "$FLEET_URL/api/v1/openapi.json" >"$E2E/openapi.json"
# Refusals have a schema as well.
for path in tasks/none tasks tasks?limit=0 agents nothing; do
    curl -sS "$FLEET_URL/api/v1/$path" >/dev/null
    curl -sS -H @.fleet/etc/token-header "$FLEET_URL/api/v1/$path" >/dev/null
done
sed -i '/\/nothing /d' "$E2E/answers"
cd "$root" || exit 1
tests/e2e/openapi_check "$E2E/openapi.json" "$E2E/answers" >"$E2E/faults"
status=$?
sed 's/^/     /' "$E2E/faults"
check "$asked answers are as the document says, and each operation was seen" test "$status" == 0
