# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# The main job: signed deliveries through Caddy and through each server become one task, run once.

# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh

fleet_begin
FORGEJO_KEYS='webhook_secrets: [ { repositories: [ acme/moon ], secret: the-secret-of-acme-moon } ]'
host h1 "$(executor counter 2 code:rust)"
server 1
server 2
caddy
token_header
worker 1
wait_for 20 "h1 to be reachable" reachable h1

at() { echo "2026-11-01T10:00:$1Z"; }
issue opened acme/rocket 42 agent:code:rust "$(at 00)" "e2e: lines=5 ms=10" >"$E2E/opened"
issue label_updated acme/rocket 42 agent:code:rust "$(at 00)" "e2e: lines=5 ms=10" >"$E2E/labelled"

# 24 deliveries, both bodies, both servers, half with ids of their own, all at once.
same=$(cat /proc/sys/kernel/random/uuid)
pids=()
for i in $(seq 24); do
    (
        file=$E2E/delivery.$i
        if ((i % 2)); then cp "$E2E/opened" "$file"; else cp "$E2E/labelled" "$file"; fi
        type=$( ((i % 2)) && echo issues || echo issue_label)
        id=$same
        ((i % 4 < 2)) && id=$(cat /proc/sys/kernel/random/uuid)
        URL=http://127.0.0.1:${PORT[server-$((i / 2 % 2 + 1))]}
        deliver "$file" "$type" "$id" >"$file.status"
    ) &
    pids+=($!)
done
wait "${pids[@]}"
statuses=$(cat "$E2E"/delivery.*.status | fold -w 3 | sort | uniq -c | tr -s ' ')
check "24 deliveries are answered 202" [ "$statuses" = " 24 202" ]
check "... make one task" [ "$(sql 'select count(*) from fleet.tasks')" = 1 ]
wait_for 30 "the task to complete" task_is acme/rocket#42 completed
check "... with one attempt" [ "$(sql "select count(*) from fleet.attempt")" = 1 ]
check "... that ran once on the host" [ "$(grep -c ^start "$LEDGER")" = 1 ]
check "... and whose output is whole" output_is_whole acme%2Frocket%2342 5
check "... one delivery submits it" [ "$(grep -l '"submitted"' "$E2E"/delivery.*.answer | wc -l)" = 1 ]

issue label_updated acme/rocket 42 agent:code:rust,bug "$(at 10)" >"$E2E/bug"
check "label bug after completion is answered 202" [ "$(deliver "$E2E/bug" issue_label)" = 202 ]
check "... and starts nothing" task_is acme/rocket#42 completed
issue label_updated acme/rocket 42 bug "$(at 20)" >"$E2E/removed"
deliver "$E2E/removed" issue_label >/dev/null
check "agent label taken away starts nothing" task_is acme/rocket#42 completed
deliver "$E2E/labelled" issue_label >/dev/null
check "an old delivery replayed starts nothing" task_is acme/rocket#42 completed
issue label_updated acme/rocket 42 agent:code:rust,bug "$(at 30)" "e2e: lines=5 ms=10" >"$E2E/again"
deliver "$E2E/again" issue_label >/dev/null
wait_for 30 "the task to run again" eval '[ "$(grep -c ^end "$LEDGER")" = 2 ]'
wait_for 30 "the task to complete again" task_is acme/rocket#42 completed
check "agent label added again resubmits the same task" \
    [ "$(sql "select count(*), max(number) from fleet.task join fleet.attempt using (task)")" = "2|2" ]

rows() { sql 'select count(*) from fleet.delivery'; }
before=$(rows)
issue opened acme/rocket 43 agent:code:rust "$(at 40)" >"$E2E/next"
good=$(signature "$E2E/next")
for header in "" "X-Forgejo-Signature;" "X-Forgejo-Signature: ${good%?}" \
    "X-Forgejo-Signature: $(tr 0-9a-f 1-9a-f0 <<<"$good")" "X-Hub-Signature-256: sha256=" \
    "X-Hub-Signature: sha1=${good:0:40}"; do
    check "signature '${header:0:40}' is refused" [ "$(deliver "$E2E/next" issues "$same" "$header")" = 401 ]
done
sed 's/Issue 43/Issue 44/' "$E2E/next" >"$E2E/changed"
check "a changed body is refused" \
    [ "$(deliver "$E2E/changed" issues "$same" "X-Forgejo-Signature: $good")" = 401 ]
check "refused deliveries leave no row" [ "$(rows)" = "$before" ]
check "... and no task" [ "$(sql "select count(*) from fleet.task")" = 1 ]
check "X-Hub-Signature-256 alone is accepted" \
    [ "$(deliver "$E2E/next" issues '' "X-Hub-Signature-256: sha256=$good")" = 202 ]

# The secret of one repository signs for that one; a form is signed as the JSON in it.
hub() { echo "X-Hub-Signature-256: sha256=$(FLEET_SECRET=$2 signature "$1")"; }
issue opened acme/moon 1 "" "$(at 50)" >"$E2E/moon"
issue opened acme/rocket 44 "" "$(at 50)" >"$E2E/rocket"
check "the secret of acme/moon signs for acme/moon" \
    [ "$(deliver "$E2E/moon" issues '' "$(hub "$E2E/moon" the-secret-of-acme-moon)")" = 202 ]
check "... and not for acme/rocket" \
    [ "$(deliver "$E2E/rocket" issues '' "$(hub "$E2E/rocket" the-secret-of-acme-moon)")" = 401 ]
check "... and no other signs for acme/moon" [ "$(deliver "$E2E/moon" issues)" = 401 ]
type=application/x-www-form-urlencoded
check "a form is taken" [ "$(curl -sS -o "$E2E/form.answer" -w '%{http_code}' -H "Content-Type: $type" \
    -H 'X-Gogs-Event: issues' -H "X-Gogs-Delivery: $same" -H "X-Gogs-Signature: $(signature "$E2E/rocket")" \
    --data-urlencode "payload@$E2E/rocket" "$URL/api/v1/webhooks/forgejo")" = 202 ]
api GET '/api/v1/deliveries?limit=1' >/dev/null
check "deliveries are shown, the newest first" grep -q '"repo": "acme/rocket", .*"number": 44' "$E2E/body"
check "one is taken again where Forgejo can be read only" [ "$(api POST "/api/v1/deliveries/$same/replay")" = 409 ]
wait_for 30 "the second task to complete" task_is acme/rocket#43 completed
wait_for 10 "invariants to hold" invariants_hold

# All that a Forgejo tells of an issue and its pull request, as forms, to a server that leaves it to workers to read.
forgejo_start "$E2E"
FORGEJO_KEYS='token: fleet-token'
server 3
forgejo_world acme/double
forgejo_do make_hook "{\"repo\": \"acme/double\", \"url\": \"http://127.0.0.1:${PORT[server-3]}/api/v1/webhooks/forgejo\",
    \"content_type\": \"form\", \"secret\": \"$FLEET_SECRET\", \"events\": [\"issues\", \"pull_request\", \"push\", \"delete\"]}" >/dev/null
does() { # VERB MEMBERS: an act of a user
    local verb=$1
    shift
    forgejo_do "$verb" "{\"repo\": \"acme/double\", \"as\": \"writer\", $*}" >"$E2E/did" && forgejo_do quiet >/dev/null
}
id_of() { node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).id' "$E2E/did"; }
on_issue='"issue": 1' on_pull='"issue": 2'
does make_milestone '"title": "1.0"'
does open '"title": "Tank it", "labels": ["agent:code:rust"]'
branch=$(sql "select branch_name from fleet.task where task_id = 'acme/double#1'")
does label "$on_issue, \"label\": \"bug\""
does unlabel "$on_issue, \"label\": \"bug\""
does milestone "$on_issue, \"title\": \"1.0\""
does assign "$on_issue, \"assignee\": \"writer\""
does edit "$on_issue, \"title\": \"Tank it now\""
does comment "$on_issue, \"body\": \"/agent status\""
comment=$(id_of)
does edit_comment "\"comment\": $comment, \"body\": \"please\""
does delete_comment "\"comment\": $comment"
does push "\"branch\": \"$branch\", \"message\": \"Tank\""
does open_pull "\"head\": \"$branch\", \"title\": \"Tank it\""
does push "\"branch\": \"$branch\", \"message\": \"Tank more\""
does comment "$on_pull, \"body\": \"looks good\""
does label "$on_pull, \"label\": \"bug\""
for state in APPROVED REQUEST_CHANGES COMMENT; do does review "$on_pull, \"as\": \"acme\", \"state\": \"$state\", \"body\": \"so\""; done
does merge "$on_pull"
does close "$on_issue"
does reopen "$on_issue"
does clear_labels "$on_issue"
does delete_branch "\"branch\": \"$branch\""
curl -sS "$FORGEJO/-/deliveries" >"$E2E/deliveries"
told=$(node -e 'for (const d of JSON.parse(require("fs").readFileSync(process.argv[1])))
    console.log(d.result, JSON.parse(d.answer).result, d.type, d.action)' "$E2E/deliveries" | sort -u)
echo "$told" | sed 's/^/     /'
check "each of a Forgejo's deliveries is answered 202" eval '! grep -v "^202 " <<<"$told"'
# (What is changed back within a second has the body that was there before.)
check "... and taken, or is about another branch" eval '! grep -v "^202 accepted\|^202 duplicate issue_label\|ignored push $" <<<"$told"'
check "... whatever the kind" [ "$(cut -d' ' -f3 <<<"$told" | sort -u | wc -l)" -ge 14 ]
check "... wants a look" [ "$(sql "select string_agg(kind, ' ' order by kind) from fleet.look")" = "issue pull" ]
check "... and decides nothing" [ "$(sql "select status, hold from fleet.task where task_id = 'acme/double#1'")" = "created|permission_pending" ]
forgejo_stop
