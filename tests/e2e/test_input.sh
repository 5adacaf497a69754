# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Hostile and broken requests: a clear 4xx;
# the node lives, and through Caddy neither node is taken out.

fleet_begin
server 1
server 2
caddy
token_header
direct=http://127.0.0.1:${PORT[server-1]}
json=(-H 'Content-Type: application/json')
auth=(-H @"$E2E/etc/header")

# refuses NAME STATUS curl-arguments…: the answer has that status and a JSON error with a code.
refuses() {
    local name=$1 want=$2 got
    shift 2
    got=$(curl -sS -m 30 -o "$E2E/body" -w '%{http_code}' "${auth[@]}" "$@" 2>"$E2E/curl")
    [[ $got =~ ^($want)$ ]] || { echo "     got $got: $(head -c 300 "$E2E/body") $(cat "$E2E/curl")"; }
    check "$name is answered $want" eval "[[ $got =~ ^($want)\$ ]]"
    # Caddy answers for itself when the node closed in the middle of a request body.
    [[ $got =~ ^4 ]] && check "... with a code" grep -q '"code"' "$E2E/body"
    return 0
}
post() { refuses "$1" "$2" "${json[@]}" --data-binary "$3" "$URL/api/v1/tasks"; }

post "malformed JSON" 400 '{"title": '
post "no body" '400|411' ''
post "another type" 400 '{"title": 7}'
post "an array of numbers" 400 '[1, 2]'
post "an unknown member" 400 '{"title": "T", "colour": "red"}'
check "... which it names" grep -q colour "$E2E/body"
post "a value out of range" 422 '{"title": "T", "priority": 99999999}'
check "... which it names" grep -q priority "$E2E/body"
post "an empty title" 422 '{"title": ""}'
post "no label that names an agent" 422 '{"title": "T", "labels": ["code:rust"]}'
check "... with the way out" grep -q any_agent "$E2E/body"
post "a list with one bad task" 207 '[{"title": "T", "labels": ["agent:nobody-has-this"], "run_at": "2027-01-01T00:00:00Z"}, {"title": "T"}]'
check "... the others stand, and say what keeps everybody from taking them" \
    grep -qE '^\[\{"status": 201, .*"warnings": \[".*, \{"status": 422, .*"member": "labels"' "$E2E/body"
post "an id of Forgejo's form" 422 '{"title": "T", "task_id": "acme/rocket#1"}'
post "requirements longer than an index entry" 422 \
    "{\"title\": \"T\", \"labels\": [$(for i in $(seq 50); do printf '"agent:%s",' "$(openssl rand -hex 100)"; done)\"x\"]}"
post "an id that clients take for a folder" 422 '{"title": "T", "task_id": ".."}'
post "trailing text" 400 '{"title": "T"} x'
post "an escaped NUL" 400 '{"title": "a\u0000b"}'
post "deep nesting" 400 "{\"title\": \"T\", \"metadata\": $(printf '[%.0s' {1..40})$(printf ']%.0s' {1..40})}"
printf '{"title": "\xff\xfe"}' >"$E2E/utf8"
post "invalid UTF-8" 400 "@$E2E/utf8"
printf '{"title": "a\0b"}' >"$E2E/nul"
post "a NUL" 400 "@$E2E/nul"
refuses "another content type" 415 -H 'Content-Type: text/plain' --data-binary '{}' "$URL/api/v1/tasks"
refuses "another method" 405 -X DELETE "$URL/api/v1/tasks"
refuses "an unknown path" 404 "$URL/api/v1/nothing"
refuses "an unknown query parameter" 400 "$URL/api/v1/tasks?colour=red"
for name in token access_token; do
    refuses "a token in the URL, $name=" 400 "$URL/api/v1/tasks?$name=x"
    check "... as such" grep -q token_in_query "$E2E/body"
done
refuses "an unknown status" 422 "$URL/api/v1/tasks?status=created,runing"
check "... which it names" grep -q runing "$E2E/body"
refuses "a limit out of range" '400|422' "$URL/api/v1/tasks?limit=100000"
for id in a%2Fb%2399 %2E%2E ..%2f..%2fetc %25 %23 100%25; do
    refuses "task id $id" 404 --path-as-is "$URL/api/v1/tasks/$id"
done
for id in %00 %ff %; do
    refuses "task id $id" '400|404' --path-as-is "$direct/api/v1/tasks/$id"
done
auth=()
refuses "no token" 401 "$URL/api/v1/tasks"
auth=(-H 'Authorization: Bearer aft_d_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')
refuses "a wrong token" 401 "$URL/api/v1/tasks"
printf 'Authorization: Bearer %s\n' "$(token read)" >"$E2E/etc/reader"
auth=(-H @"$E2E/etc/reader")
refuses "submitting with a reading token" 403 "${json[@]}" --data-binary '{"title": "T"}' "$URL/api/v1/tasks"
auth=(-H @"$E2E/etc/header")

for megabytes in 2 20; do
    { printf '{"title": "T", "body": "'; head -c ${megabytes}000000 /dev/zero | tr '\0' a; printf '"}'; } >"$E2E/big"
    refuses "a body of $megabytes MB" '413' "${json[@]}" -H 'Expect:' --data-binary @"$E2E/big" "$URL/api/v1/tasks"
    refuses "a body of $megabytes MB, direct" 413 "${json[@]}" -H 'Expect:' --data-binary @"$E2E/big" "$direct/api/v1/tasks"
done
head -c 400000 /dev/zero | tr '\0' a | sed 's/^/X-Long: /' >"$E2E/long"
refuses "400 KB of headers" '431|400' -H @"$E2E/long" "$direct/api/v1/tasks"
head -c 70000 /dev/zero | tr '\0' a | sed 's/^/X-Long: /' >"$E2E/long"
refuses "70 KB of headers" 431 -H @"$E2E/long" "$direct/api/v1/tasks"

# raw NAME BYTES: the node answers these bytes with 400, closes, and lives.
raw() {
    local answer
    exec 5<>"/dev/tcp/127.0.0.1/${PORT[server-1]}"
    # shellcheck disable=SC2059 # the bytes are a format
    printf "$2" >&5 2>/dev/null
    answer=$(timeout 20 cat <&5 | tr -d '\0'; echo "cat: ${PIPESTATUS[0]}")
    exec 5>&-
    check "$1 is answered 400 and closed" grep -qzE '^HTTP/1\.1 400 .*cat: 0' <<<"$answer"
    check "... and the node lives" alive server-1
}
raw "a NUL in a header" 'GET / HTTP/1.1\r\nHost: a\r\n\0\r\n\r\n'
raw "a chunk without a size" \
    'POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n'
raw "TLS" '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
raw "HTTP/2" 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
for name in server-1 server-2; do
    check "$name lives" alive "$name"
    check "... and is ready" curl -fsS -m 5 -o /dev/null "http://127.0.0.1:${PORT[$name]}/readyz"
done
ready=0
for _ in $(seq 20); do [[ $(curl -fsS -m 5 "$URL/healthz") == ok ]] && ready=$((ready + 1)); done
check "both nodes serve through Caddy" [ "$ready" = 20 ]

# A token that could not be written is no success.
check "token create into a full disk fails" eval '! token admin >/dev/full'

# What the file gives a task unless the task says otherwise is what the database takes.
"$BUILD/fleet-server" --explain-config >"$E2E/keys"
for pair in timeout_secs:task_timeout_secs max_retries:default_max_retries max_attempts_total:max_attempts_total; do
    bounds=$(sql "select at_least || ' to ' || at_most from fleet.task_limits() where member = '${pair%:*}'")
    check "orchestrator.${pair#*:} has the bounds of the database: $bounds" \
        grep -qE "^ *orchestrator\.${pair#*:}: whole number \([a-z]+\), $bounds; default" "$E2E/keys"
done

# Open mode has no token to ask for, so a page of another site must not get through a browser.
config "$E2E/etc/server-3.yaml" "${PORT[server-3]:=$(free_port)}" "$(postgres_url fleet fleet_server_login)"
sed -i 's/^server: { /&insecure_open: true, /' "$E2E/etc/server-3.yaml"
process_start "$E2E/run" server-3 "$E2E/log/server-3.log" env WEBHOOK_SECRET="$FLEET_SECRET" \
    "$BUILD/fleet-server" --config "$E2E/etc/server-3.yaml"
open=http://127.0.0.1:${PORT[server-3]}
wait_for 20 "server-3 to be ready" curl -fsS -o /dev/null "$open/readyz"
auth=()
check "open mode needs no token" curl -fsS -o /dev/null "$open/api/v1/tasks"
refuses "open mode under another name" 421 -H 'Host: rebound.example.org' "$open/api/v1/tasks"
refuses "open mode from another site's page" 403 -X POST -H 'Origin: https://evil.example.org' \
    "$open/api/v1/tasks/t-1/cancel"
process_stop "$E2E/run" server-3 TERM 30
