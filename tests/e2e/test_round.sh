# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh and the double
# The whole round, as people see it in their Forgejo (a double of it, with a real git server behind): a label starts a task, a
# comment tells of it, the agent's branch is pushed, a draft pull request is opened, changes are asked for, made in the same
# workspace, the merge completes the task. And what must not start anything.

# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh
# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh

git_begin
git_repository acme/rocket
if ! git_serve_ssh; then
    skip "the whole round" "no git server over SSH"
    return
fi
fleet_begin
forgejo_start "$E2E" --git "$GIT_ROOT"
sql "select fleet.set('tell_ms', 500)" >/dev/null
cat >"$E2E/worker" <<END
#!/bin/sh
echo "start \${FLEET_RUN%%.*} \$FLEET_RUN" >>"$LEDGER"
exec sh "$PWD/deploy/demo-agent" "\$@"
END
ADAPTERS="  demo: { command: [ /bin/sh, $E2E/worker ], resume: [ /bin/sh, $E2E/worker, '{session}' ], output: codex-json }"
WORKSPACE=git
host h1 "$(executor demo 4 code:rust)"
GIT="{ url: \"$GIT_SSH_URL/{repository}.git\", ssh_key_path: $GIT_SSH_KEY, known_hosts: $GIT_KNOWN_HOSTS, min_free_bytes: 0, push_timeout_secs: 300 }"
TRIGGER_USERS='' REPOSITORIES=acme/rocket
FORGEJO_KEYS='token: fleet-token, lookup_token: lookup-token, open_pull_request: true'
server 1
caddy
token_header
forgejo_world acme/rocket "$URL/api/v1/webhooks/forgejo" "$FLEET_SECRET"
worker 1
worker 2
wait_for 20 "h1 to be reachable" reachable h1

# by LOGIN VERB NUMBER [MORE JSON]
by() { forgejo_do "$2" "{\"as\": \"$1\", \"repo\": \"acme/rocket\", \"issue\": $3${4:+, $4}}" >/dev/null; }
opened() { forgejo_do open "{\"as\": \"$1\", \"repo\": \"acme/rocket\", \"title\": \"$2\", \"body\": \"$3\"${4:+, $4}}" | grep -oP '"number": ?\K[0-9]+'; }
id_of() { echo "acme/rocket#$1"; }
status_is() { task_is "$(id_of "$1")" "$2"; }
ours() { forgejo_state "comments('acme/rocket', $1).filter((c) => c.by === 'fleet').map((c) => c.body).join('\n')"; }
tells() { ours "$1" | grep -qiE "$2"; }
labelled() { forgejo_is "$2" "issue('acme/rocket', $1).labels.filter((l) => l.startsWith('fleet/')).join()"; }
run_count() { sql "select count(*) from fleet.attempt a join fleet.task t using (task) where t.task_id = '$(id_of "$1")'"; }
pull_of() { forgejo_state "(repo('acme/rocket').issues.find((i) => i.pull && i.by === 'fleet' && i.pull.head.ref === '$1') ?? {}).number ?? ''"; }
branch_of() { sql "select branch_name from fleet.task where task_id = '$(id_of "$1")'"; }
draft_there() { [[ -n $(pull_of "$(branch_of "$1")") ]]; }
hold_of() { sql "select hold from fleet.task where task_id = '$(id_of "$1")'"; }

# --- a label by somebody who may write ------------------------------------------------------------

first=$(opened writer "The door squeaks" 'demo: seconds=1')
by writer label "$first" '"label": "agent:code:rust"'
wait_for 60 "the run to end and its draft to be there" draft_there "$first"
pull=$(pull_of "$(branch_of "$first")")
check "one run" [ "$(run_count "$first")" = 1 ]
check "the branch is on the server" git_at acme/rocket rev-parse -q --verify "$(branch_of "$first")"
check "the pull request is a draft" forgejo_is true "issue('acme/rocket', $pull).pull.draft"
wait_for 30 "the pull request to be linked" status_is "$first" review_pending
wait_for 30 "the state label" labelled "$first" fleet/review
wait_for 30 "the comment to say so" tells "$first" review
check "there is one comment of ours" forgejo_is 1 "comments('acme/rocket', $first).filter((c) => c.by === 'fleet').length"
wait_for 30 "the commit status" forgejo_is success "repo('acme/rocket').statuses.filter((s) => s.context.startsWith('agent-fleet/')).at(-1)?.state ?? ''"

# --- changes are asked for, and made where the session is -----------------------------------------

by writer review "$pull" '"state": "REQUEST_CHANGES", "body": "And the hinge, please.\ndemo: leave", "comments": [{"path": "DEMO.md", "line": 1, "body": "Oil it."}]'
again() { [[ $(run_count "$1") == 2 ]] && status_is "$1" review_pending; }
wait_for 60 "a run that follows the review" again "$first"
check "... was told the review and its places" eval '[[ $(sql "select prompt from fleet.attempt_texts where task_id = '"'$(id_of "$first")'"' and attempt = 2") == *"the hinge"*DEMO.md*"Oil it"* ]]'
check "... in the same session" eval '[[ $(sql "select count(distinct report ->> '"'session_id'"') from fleet.attempt a join fleet.task t using (task) where t.task_id = '"'$(id_of "$first")'"'") == 1 ]]'
check "the review is counted" eval '[[ $(sql "select review_count from fleet.task where task_id = '"'$(id_of "$first")'"'") == 1 ]]'

# --- the merge ------------------------------------------------------------------------------------

by writer edit "$pull" '"title": "The door is quiet"' # no draft any more
by writer merge "$pull"
wait_for 30 "the merge to complete it" status_is "$first" completed
wait_for 30 "the label" labelled "$first" fleet/done
wait_for 30 "the comment" tells "$first" "fleet: done"
check "still one comment of ours" forgejo_is 1 "comments('acme/rocket', $first).filter((c) => c.by === 'fleet').length"
check "the REST answer names the pull request" eval '[[ $(api GET "/api/v1/tasks/acme%2Frocket%23$first") == 200 ]] && grep -q "\"pr_number\": $pull" "$E2E/body"'

# --- what starts nothing --------------------------------------------------------------------------

second=$(opened reader "Strange" 'demo: seconds=1' '"labels": ["agent:code:rust"]')
refused() { [[ $(sql "select count(*) from fleet.task where task_id = '$(id_of "$1")' and (status = 'cancelled' or hold = 'needs_approval')") == 1 ]]; }
wait_for 30 "a stranger's label to be refused" refused "$second"
by writer label "$second" '"label": "bug"'
by writer edit "$second" '"title": "Stranger"'
by writer close "$first"
by writer reopen "$first"
by writer label "$first" '"label": "bug"'
forgejo_do quiet >/dev/null
looked() { [[ $(sql "select count(*) from fleet.look where seq > done") == 0 ]]; }
wait_for 30 "all of it to be looked at" looked
check "none of these started a run" eval '[[ $(run_count "$second") == 0 && $(run_count "$first") == 2 ]]'
by writer unlabel "$second" '"label": "agent:code:rust"'
by writer label "$second" '"label": "agent:code:rust"'
wait_for 60 "the same label by somebody who may write" eval '(($(run_count "$second") == 1))'

# --- commands -------------------------------------------------------------------------------------

third=$(opened writer "Ask" 'demo: seconds=1\ndemo: ask')
by writer label "$third" '"label": "agent:code:rust"'
wait_for 60 "a question" status_is "$third" review_pending
wait_for 30 "the comment to ask it" tells "$third" "which colour"
check "the requester is called" eval 'ours "$third" | grep -q "@writer"'
by reader comment "$third" '"body": "Red."'
by writer comment "$third" '"body": "/agent answer Green.\ndemo: leave"'
wait_for 60 "the answer to be followed" eval '(($(run_count "$third") == 2))'
check "... by the right person" eval '[[ $(sql "select string_agg(f.shown, '"'|'"') from fleet.follow f join fleet.task t using (task) where t.task_id = '"'$(id_of "$third")'"'") == Green.* ]]'
wait_for 60 "its end" eval '[[ $(sql "select count(*) from fleet.tasks where status in ('"'created', 'assigned', 'running'"')") == 0 ]]'
check "every invariant holds" invariants_hold
