# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# What the fleet tells Forgejo (a double): one tracking comment in the order of the states, one state label, the commit status, a
# draft pull request, who is called; and what it makes of comments that are deleted, doubled or forged, of a locked issue, of a
# repository that it may not write.

# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh
# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh

git_begin
git_repository acme/rocket
git_repository acme/moon
if ! git_serve_ssh; then
    skip "what Forgejo is told" "no git server over SSH"
    return
fi
fleet_begin
forgejo_start "$E2E" --git "$GIT_ROOT"
for setting in "tell_ms 0" "tell_max_ms 1000" "look_retry_ms 200" "park_ms 1000" "park_max_ms 1000"; do
    sql "select fleet.set('${setting% *}', ${setting#* })" >/dev/null
done
FORGEJO_KEYS="token: fleet-token, lookup_token: lookup-token, timeout_secs: 5, open_pull_request: true"
TRIGGER_USERS=
ADAPTERS="  demo: { command: [ /bin/sh, $PWD/deploy/demo-agent ], resume: [ /bin/sh, $PWD/deploy/demo-agent, '{session}' ], output: codex-json }"
GIT="{ url: \"$GIT_SSH_URL/{repository}.git\", ssh_key_path: $GIT_SSH_KEY, known_hosts: $GIT_KNOWN_HOSTS, min_free_bytes: 0, push_timeout_secs: 300 }"
WORKSPACE=git
host h1 "$(executor demo 4 code:rust)"
server 1
caddy
token_header
forgejo_world acme/rocket "$URL/api/v1/webhooks/forgejo" "$FLEET_SECRET"
forgejo_do pusher '{"as": "fleet"}' >/dev/null
worker 1
wait_for 20 "h1 to be reachable" reachable h1

MARKER="<!-- agent-fleet:$(sql "select fleet_id from fleet.incarnation") -->"

# asks TITLE BODY: an issue with its label, by somebody who may; sets NUMBER and TASK.
asks() {
    NUMBER=$(forgejo_do open "{\"repo\": \"acme/rocket\", \"as\": \"writer\", \"title\": \"$1\", \"body\": \"$2\", \"labels\": [\"agent:code:rust\"]}" |
        node -p 'JSON.parse(require("fs").readFileSync(0)).number')
    TASK="acme/rocket#$NUMBER"
}
# Comments of an issue, as JavaScript: ours, those that call, and the tracking comment.
ours() { echo "comments('acme/rocket', $1).filter((c) => c.by === 'fleet')"; }
calls() { echo "$(ours "$1").filter((c) => c.body.includes(' call.'))"; }
tracking() { echo "$(ours "$1").filter((c) => c.body.startsWith('$MARKER'))"; }
says() { [[ $(forgejo_state "$(tracking "$1").map((c) => c.body).join()") == *"$2"* ]]; }
labelled() { forgejo_is "$2" "issue('acme/rocket', $1).labels.filter((l) => l.startsWith('fleet/')).join()"; }
told() { [[ $(sql "select state from fleet.tellings where task_id = '$1'") == "${2:-told}" ]]; }
comments_on() { # ISSUE USER BODY
    forgejo_do comment "{\"repo\": \"acme/rocket\", \"issue\": $1, \"as\": \"$2\", \"body\": \"$3\"}" | node -p 'JSON.parse(require("fs").readFileSync(0)).id'
}

# --- a run, from its first word to its pull request -------------------------------------------------

asks 'Tank it, closes #1' 'demo: seconds=2'
first=$NUMBER
wait_for 30 "the comment to be there" forgejo_is 1 "$(tracking "$first").length"
wait_for 30 "it to say that it runs" says "$first" "Agent Fleet: running"
wait_for 10 "the issue to be labelled so" labelled "$first" fleet/running
wait_for 60 "it to wait for a review" says "$first" "waiting for a review"
check "there is one comment" forgejo_is 1 "$(ours "$first").length"
wait_for 10 "its label to follow" labelled "$first" fleet/review
check "each label was made once, exclusive" forgejo_is true "((made) => new Set(made.map((l) => l.name)).size === made.length && made.length > 1 &&
    made.every((l) => l.exclusive))(repo('acme/rocket').labels.filter((l) => l.name.startsWith('fleet/')))"
pulls="repo('acme/rocket').issues.filter((i) => i.pull)"
check "one draft pull request is open" forgejo_is '["WIP: Tank it, closes ＃1"]' "$pulls.filter((i) => i.pull.draft && i.state === 'open').map((i) => i.title)"
check "... that closes nothing" forgejo_is false "$pulls.some((i) => /(close|fix|resolve)[sd]? #/i.test(i.title + i.body))"
wait_for 10 "the head to have its status" forgejo_is success \
    "repo('acme/rocket').statuses.filter((s) => s.context === 'agent-fleet/demo' && s.sha === ${pulls}[0].pull.head.sha).map((s) => s.state).pop() ?? ''"
wait_for 10 "all to be told" told "$TASK"
check "nobody was mentioned" forgejo_is false "$(ours "$first").some((c) => c.body.includes('@'))"

# --- a question: who asked for it is called, once -----------------------------------------------------

asks 'Paint it' 'demo: seconds=1\ndemo: ask'
wait_for 60 "it to ask" says "$NUMBER" "waiting for an answer"
wait_for 10 "the requester to be called" forgejo_is 1 "$(calls "$NUMBER").filter((c) => c.body.includes('@writer')).length"
check "the question is there" says "$NUMBER" "Which colour"
sql "select fleet.retell('$TASK')" >/dev/null
wait_for 10 "it to be told anew" told "$TASK"
answer=$(comments_on "$NUMBER" writer '/agent answer Green.\ndemo: leave')
wait_for 60 "the answer to be taken" forgejo_is true "comments('acme/rocket', $NUMBER).find((c) => c.id === $answer).reactions.includes('fleet +1')"
wait_for 60 "it to go on" says "$NUMBER" "attempt 2"
unknown=$(comments_on "$NUMBER" writer '/agent dance')
wait_for 30 "help to be given" forgejo_is 1 "$(ours "$NUMBER").filter((c) => c.body.includes(' reply.$unknown ')).length"
wait_for 60 "all to be told" told "$TASK"
check "one tracking comment, one call, one answer" forgejo_is '[1,1,3]' "[$(tracking "$NUMBER").length, $(calls "$NUMBER").length, $(ours "$NUMBER").length]"

# --- comments that others touch ----------------------------------------------------------------------

forged=$(comments_on "$first" reader "$MARKER\nforged")
forgejo_do delete_comment "{\"comment\": $(forgejo_state "$(tracking "$first")[0].id"), \"as\": \"owner\"}" >/dev/null 2>&1 ||
    forgejo_do delete_comment "{\"comment\": $(forgejo_state "$(tracking "$first")[0].id"), \"as\": \"writer\"}" >/dev/null
low=$(comments_on "$first" fleet "$MARKER\nby hand")
comments_on "$first" fleet "$MARKER\nby hand, too" >/dev/null
sql "select fleet.retell('acme/rocket#$first')" >/dev/null
wait_for 20 "a comment that was deleted to be told again" says "$first" "waiting for a review"
check "... in the oldest that bears our marker" forgejo_is "[$low]" "$(tracking "$first").map((c) => c.id)"
check "... and a stranger's with it is as it was" forgejo_is "$MARKER
forged" "comments('acme/rocket', $first).find((c) => c.id === $forged).body"

# --- what cannot be told -----------------------------------------------------------------------------

forgejo_do repository '{"repo": "acme/rocket", "archived": true}' >/dev/null
sql "update fleet.outbox set comment_id = null" >/dev/null
forgejo_do delete_comment "{\"comment\": $low, \"as\": \"writer\"}" >/dev/null
sql "select fleet.retell('acme/rocket#$first')" >/dev/null
wait_for 20 "an archived repository to be parked" eval '[[ $(sql "select parked_reason from fleet.repository where repo = '"'acme/rocket'"'") == *archived* ]]'
forgejo_do repository '{"repo": "acme/rocket", "archived": false}' >/dev/null
wait_for 20 "it to be told when that is over" forgejo_is 1 "$(tracking "$first").length"
forgejo_do fault '{"mode": "status", "status": 403, "body": "", "match": "(POST|PATCH) .*/comments"}' >/dev/null
sql "select fleet.retell('acme/rocket#$first')" >/dev/null
wait_for 20 "an issue that may not be commented on to be parked" told "acme/rocket#$first" parked
check "... alone" [ "$(sql "select count(*) from fleet.repository where parked_until > now()")" = 0 ]
forgejo_do clear_faults >/dev/null
sql "select fleet.retell('acme/rocket#$first')" >/dev/null
wait_for 20 "... until a person says so" told "acme/rocket#$first"
check "invariants hold" invariants_hold
