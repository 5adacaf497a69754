# shellcheck shell=bash disable=SC2034 # variables are for tests/e2e/lib.sh
# What strangers and thieves try: every endpoint with tokens that may not, an agent with another one's tasks, a storm of
# wrong tokens, of bodies and of clients that do not read, while those who may go on working.

SERVER='trusted_proxies: [ 127.0.0.1 ]'
export ASAN_OPTIONS=quarantine_size_mb=16:${ASAN_OPTIONS-} # what is freed counts as memory of the node
fleet_begin
server 1
FLEET_AUTH_CACHE_MS=3600000 server 2 # a revocation can reach this one by NOTIFY only
caddy
token_header
direct() { echo "http://127.0.0.1:${PORT[server-$1]}"; }

# token_of NAME OPTION...: makes one, keeps it in $E2E/etc/NAME.token; and its number.
token_of() {
    local name=$1
    shift
    "$BUILD/fleet-server" token create --database "$(postgres_url fleet fleet_server_login)" --name "$name" "$@" \
        >"$E2E/etc/$name.token" 2>/dev/null
}
number_of() { sql "select token_id from fleet.token where name = '$1'"; }
bearer() { printf 'Authorization: Bearer %s\n' "$(cat "$E2E/etc/$1.token")"; }
# as NAME URL CURL-ARGUMENT...: the status; the body goes to $E2E/body.
as() {
    local name=$1 url=$2
    shift 2
    curl -sS -m 30 -o "$E2E/body" -w '%{http_code}' -H @<(bearer "$name") "$@" "$url"
}
code() { jq -r .code "$E2E/body"; }

for scope in read submit operate admin agent; do token_of $scope --scope $scope; done
token_of bound --scope operate --repository nobody/nothing
token_of other --scope agent --agent-id b
token_of revoked --scope admin
token_of expired --scope admin --expires 1
"$BUILD/fleet-server" token revoke --database "$(postgres_url fleet fleet_server_login)" "$(number_of revoked)" >/dev/null
sql "update fleet.token set expires_at = now() where name = 'expired'" >/dev/null
echo "aft_r_$(printf 'w%.0s' {1..43})" >"$E2E/etc/garbage.token"
echo 'Basic xyz' | tr -d ' ' >"$E2E/etc/formless.token"
submit '{"task_id": "secret", "title": "Secret plan", "repo": "acme/rocket", "labels": ["agent:x"], "execution_mode": "http_pull"}'

curl -fsS "$URL/api/v1/openapi.json" >"$E2E/openapi.json"
for name in garbage formless expired revoked bound other read submit operate admin agent; do
    echo "$name $(cat "$E2E/etc/$name.token")"
done >"$E2E/etc/tokens"
check "no endpoint answers a token that may not" tests/e2e/walk "$(direct 1)" "$E2E/openapi.json" "$E2E/etc/tokens" secret
check "... and the trail has nothing of it" test "$(sql "select string_agg(concat_ws(' ', actor, action, object, after), '; ') from fleet.audit where actor !~ '^(token:admin|psql:)'")" = ""

# --- a revoked token
token_of gone --scope read
for n in 1 2; do check "a token is known to server $n" test "$(as gone "$(direct $n)/api/v1/tasks")" = 200; done
check "it is revoked" test "$(as admin "$(direct 1)/api/v1/tokens/$(number_of gone)" -X DELETE)" = 200
refused() { [[ $(as gone "$(direct 2)/api/v1/tasks") == 401 ]]; }
check "... and a server that would remember it for an hour refuses it" until_true 10 refused

# --- agents
json=(-H 'Content-Type: application/json' --data-binary)
post() { # TOKEN PATH BODY
    as "$1" "$URL/api/v1/$2" -X POST "${json[@]}" "$3"
}
token_of mine --scope agent --agent-id a1
token_of thief --scope agent
check "an agent registers" test "$(post mine agents/register '{"agent_id": "a1", "agent_type": "x", "hostname": "h", "capabilities": ["x"], "max_concurrency": 1}')" = 200
check "... and takes the task" test "$(post mine tasks/dequeue '{"agent_id": "a1"}')" = 200
attempt=$(jq .attempt "$E2E/body")
check "... which it sees" test "$(as mine "$URL/api/v1/tasks/secret")" = 200
check "... and alone in its list" test "$(as mine "$URL/api/v1/tasks") $(jq -r '[.[].task_id] | join(",")' "$E2E/body")" = "200 secret"
post thief agents/register '{"agent_id": "t1", "agent_type": "x", "hostname": "h", "capabilities": ["x"], "max_concurrency": 1}' >/dev/null
for name in thief other; do
    check "$name does not see it" test "$(as $name "$URL/api/v1/tasks/secret")" = 404
    check "... nor its output" test "$(as $name "$URL/api/v1/tasks/secret/logs")" = 404
    check "... nor in a list" test "$(as $name "$URL/api/v1/tasks") $(cat "$E2E/body")" = "200 []"
    for call in "agents/register {\"agent_id\": \"a1\", \"capabilities\": [\"x\", \"root\"]}" 'agents/heartbeat {"agent_id": "a1"}' \
        'agents/deregister {"agent_id": "a1"}' 'tasks/dequeue {"agent_id": "a1"}' \
        "tasks/secret/status {\"agent_id\": \"a1\", \"status\": \"running\", \"attempt\": $attempt}" \
        "tasks/secret/complete {\"agent_id\": \"a1\", \"status\": \"completed\", \"attempt\": $attempt}" \
        "tasks/secret/complete {\"agent_id\": \"t1\", \"status\": \"completed\", \"attempt\": $attempt}" \
        "tasks/secret/cancel {}" "tasks/secret/retry {}"; do
        status=$(post $name "${call%% *}" "${call#* }")
        check "... may not: ${call%% *} (${status} $(code))" eval '[[ $status == 403 || $status == 404 || $status == 409 ]]'
    done
    status=$(as $name "$URL/api/v1/tasks/secret/logs?agent_id=a1&attempt=$attempt&stream=stdout&offset=0" -X POST --data-binary forged)
    check "... nor write its output ($status)" eval '[[ $status == 403 || $status == 404 ]]'
done
head -c 1000000 /dev/zero | tr '\0' x >"$E2E/output"
check "the agent writes a megabyte" test "$(as mine "$URL/api/v1/tasks/secret/logs?agent_id=a1&attempt=$attempt&stream=stdout&offset=0" -X POST --data-binary @"$E2E/output")" = 200
check "the agent is what it was" test "$(sql "select capabilities || status from fleet.executor_now where agent_id = 'a1'")" = '{x,online}'
check "... and has its task" test "$(post mine tasks/secret/complete "{\"agent_id\": \"a1\", \"status\": \"completed\", \"attempt\": $attempt}")" = 200

# --- 10,000 wrong tokens through Caddy
for ((i = 0; i < 10000; i++)); do
    printf 'url = "%s/api/v1/tasks"\nheader = "Authorization: Bearer aft_r_%043d"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\nnext\n' "$URL" $i
done | sed '$d' >"$E2E/storm"
good_client() { # counts its answers that are no 200
    local bad=0 done=0
    until [[ -e $E2E/storm.over ]]; do
        [[ $(curl -sS -m 20 -o /dev/null -w '%{http_code}' -H @"$E2E/etc/good.header" "$1/api/v1/tasks?limit=1") == 200 ]] || bad=$((bad + 1))
        done=$((done + 1))
    done
    echo "$bad $done"
}
token_of good --scope read
bearer good >"$E2E/etc/good.header"
good_client "$URL" >"$E2E/good.same" &
same=$!
good_client "$(direct 1)" >"$E2E/good.direct" &
beside=$!
curl -sS -Z --parallel-max 50 -K "$E2E/storm" 2>/dev/null | sort | uniq -c >"$E2E/storm.answers"
touch "$E2E/storm.over"
wait $same $beside
read -r bad good <"$E2E/good.same"
check "10,000 wrong tokens: a good client at the same address has $good answers, $bad bad" test "$bad" = 0 -a "$good" -gt 3
read -r bad good <"$E2E/good.direct"
check "... one beside Caddy $good, $bad bad" test "$bad" = 0 -a "$good" -gt 3
check "... and none was let in: $(tr -s ' \n' ' ' <"$E2E/storm.answers")" eval \
    '[[ $(awk "{ n += \$1 } \$2 != 401 && \$2 != 429 { bad = 1 } END { print n, bad + 0 }" "$E2E/storm.answers") == "10000 0" ]]'

# --- bodies and clients that do not read
peak() { awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$(pid_of server-1)/status"; }
tests/e2e/flood bodies "${PORT[server-1]}" 500 >"$E2E/flood"
check "500 unsigned bodies of 5 MiB at once ($(cat "$E2E/flood")): the node had $(peak) MiB at most" test "$(peak)" -lt 256
check "... and goes on" test "$(as good "$(direct 1)/api/v1/tasks")" = 200
check "... no delivery was stored" test "$(sql 'select count(*) from fleet.delivery')" = 0
tests/e2e/flood mute "${PORT[server-1]}" 1000 "/api/v1/tasks/secret/logs?limit_bytes=1000000" "$(cat "$E2E/etc/admin.token")" >"$E2E/flood" &
flood=$!
wait_for 60 "1,000 clients to have asked" grep -q asked "$E2E/flood"
served() { [[ $(as good "$(direct 1)/api/v1/tasks") == 200 ]]; }
check "while 1,000 clients do not read ($(head -1 "$E2E/flood")), others are served" until_true 15 served
check "... and the node had $(peak) MiB at most" test "$(peak)" -lt 384
kill "$flood"
wait "$flood" 2>/dev/null
check "the node lives" test "$(as good "$(direct 1)/readyz?deep=1")" = 200
check "every invariant holds" invariants_hold
