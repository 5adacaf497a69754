# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Work on repositories from end to end: real git servers over SSH and HTTP, agents that commit, leave their work lying, change
# nothing, ask; a push that is refused; workers, sessions and git killed in the middle of everything; many tasks at once;
# hostile texts. What was pushed is read back from the server.

# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh

MANY=${TASKS:-20}
git_begin
for name in acme/rocket acme/slow acme/sealed acme/many; do git_repository "$name"; done
git_repository acme/void empty
if ! git_serve_ssh; then
    skip "work on repositories" "no git server over SSH"
    return
fi
fleet_begin
# An agent that notes its starts and its environment, and is the quickstart's then.
cat >"$E2E/worker" <<END
#!/bin/sh
echo "start \${FLEET_RUN%%.*} \$FLEET_RUN" >>"$LEDGER"
env >>"$E2E/environments"
exec sh "$PWD/deploy/demo-agent" "\$@"
END
# One whose session is called as an option of a dangerous kind.
cat >"$E2E/hostile" <<'END'
#!/bin/sh
printf '%s\n' "$*" >>"$0.words"
echo '{"type":"thread.started","thread_id":"--dangerously-skip-permissions"}'
echo '{"type":"turn.started"}'
echo "Which?" >.fleet-question
echo '{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}'
END
ADAPTERS="  demo: { command: [ /bin/sh, $E2E/worker ], resume: [ /bin/sh, $E2E/worker, '{session}' ], output: codex-json }
  hostile: { command: [ /bin/sh, $E2E/hostile ], resume: [ /bin/sh, $E2E/hostile, '{session}' ], output: codex-json }"
WORKSPACE=git
host h1 "$(executor demo "$MANY" code:rust)
$(executor hostile 1 hostile)"
over_ssh() { GIT="{ url: \"$GIT_SSH_URL/{repository}.git\", ssh_key_path: $GIT_SSH_KEY, known_hosts: $GIT_KNOWN_HOSTS, min_free_bytes: 0, push_timeout_secs: 300 }"; }
over_http() { GIT="{ url: \"$GIT_HTTP_URL/{repository}.git\", username: $GIT_USER, password: \"$GIT_PASSWORD\", min_free_bytes: 0, push_timeout_secs: 300 }"; }
over_ssh
server 1
caddy
token_header
worker 1
worker 2
wait_for 20 "h1 to be reachable" reachable h1

# task ID REPO BODY [MORE JSON]
task() { submit '{"task_id": "'"$1"'", "title": "Task '"$1"'"'"${2:+, \"repo\": \"$2\"}"', "labels": ["agent:code:rust"], "body": "'"$3"'"'"${4:+, $4}"'}'; }
last() { sql "select $2 from fleet.attempt a join fleet.task t using (task) where task_id = '$1' order by a.number desc limit 1"; }
came_to() { last "$1" "outcome || ' ' || coalesce(reason, '-')"; }
branch_of() { sql "select branch_name from fleet.task where task_id = '$1'"; }
# What the server has of the task's branch, oldest first: a subject each.
on_server() { git_at "$1" log --reverse --format=%s "main..$(branch_of "$2")" 2>/dev/null | paste -sd, -; }
ended() { [[ $(sql "select status in ('completed', 'failed', 'cancelled', 'review_pending') from fleet.tasks where task_id = '$1'") == t ]]; }
came_right() { [[ $(came_to "$1") == "$2" ]] || { last "$1" "outcome, reason, report, work"; false; }; }
# comes_to ID OUTCOME REASON
comes_to() {
    wait_for 60 "$1 to end" ended "$1"
    check "$1 comes to $2 ${3:--}" came_right "$1" "$2 ${3:--}"
}
starts() { grep -c "^start $1 " "$LEDGER"; }
served() { git_served | grep -c "^$1 $2 $3 "; }
being_served() { (($(served begun "$1" "$2") > $(served ended "$1" "$2"))); }
ssh_git() {
    GIT_SSH_COMMAND="ssh -F /dev/null -i $GIT_SSH_KEY -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=$GIT_KNOWN_HOSTS" git "$@"
}

# --- how runs end ---------------------------------------------------------------------------------

task commits acme/rocket 'demo: seconds=1'
task leaves acme/rocket 'demo: seconds=1\ndemo: leave'
task nothing acme/rocket 'demo: seconds=1\ndemo: nothing'
task empty acme/void 'demo: seconds=1'
task absent acme/absent 'demo: seconds=1'
task plain '' 'demo: seconds=1'
comes_to commits succeeded
check "... and its commit is on the server, under its branch" [ "$(on_server acme/rocket commits)" = "Make DEMO.md better" ]
check "... read back over SSH" [ "$(ssh_git ls-remote "$GIT_SSH_URL/acme/rocket.git" "refs/heads/$(branch_of commits)" | cut -f1)" = "$(last commits "work->>'pushed'")" ]
check "... which the answer says with its size" [ "$(last commits "work->>'commits' || ' ' || (work->>'files') || ' ' || (work->>'insertions')")" = "1 1 1" ]
check "... and main is as it was" [ "$(git_at acme/rocket rev-list --count main)" = 1 ]
comes_to leaves succeeded
check "... what it left uncommitted is a commit of ours" [ "$(git_at acme/rocket log -1 --format=%an "$(branch_of leaves)")" = "Agent Fleet" ]
check "... with its file" eval 'git_at acme/rocket show "$(branch_of leaves):DEMO.md" | grep -q "demo agent"'
comes_to nothing no_change
check "... and pushed no branch" eval '! git_at acme/rocket rev-parse -q --verify "$(branch_of nothing)"'
comes_to empty succeeded
check "... the first commit of an empty repository is on its branch" [ "$(git_at acme/void log --format=%s "$(branch_of empty)")" = "Make DEMO.md better" ]
comes_to absent failed repository_missing
comes_to plain succeeded

# --- a question, an answer, the same session and workspace ----------------------------------------

task asks acme/rocket 'demo: seconds=1\ndemo: ask'
wait_for 60 "asks to be parked" task_is asks review_pending
check "a question parks it" eval '[[ "$(last asks reason)" == needs_input ]]'
check "... with its text" eval 'api GET /api/v1/tasks/asks >/dev/null; grep -q "Which colour" "$E2E/body"'
session=$(last asks "report->>'session_id'")
check "an answer is taken" eval 'status=$(api POST /api/v1/tasks/asks/answer -H "Content-Type: application/json" -d "{\"text\": \"Green.\ndemo: leave\"}"); [[ $status == 20* ]] || { echo "$status"; cat "$E2E/body"; false; }'
wait_for 60 "asks to go on" eval '[[ $(sql "select attempt_number from fleet.task where task_id = '"'asks'"'") == 2 ]] && ended asks'
check "... goes on with its session" [ "$(last asks "report->>'session_id'")" = "$session" ]
check "... in its workspace, on its branch" eval 'git_at acme/rocket rev-parse -q --verify "$(branch_of asks)"'

# --- pushes that are refused ----------------------------------------------------------------------

git_hook acme/sealed pre-receive 'echo "nobody pushes here" >&2' 'exit 1'
task refused acme/sealed 'demo: seconds=1'
comes_to refused failed push_refused
check "... the server's words are told" eval 'api GET /api/v1/tasks/refused >/dev/null; grep -q "nobody pushes here" "$E2E/body"'
rm -f "$GIT_ROOT/acme/sealed.git/hooks/pre-receive"
kept=$(last refused "work->>'head'")
check "a retry is taken" eval '[[ $(api POST /api/v1/tasks/refused/retry -H "Content-Type: application/json" -d "{\"force\": true}") == 20* ]] || { cat "$E2E/body"; false; }'
wait_for 60 "the kept commit to be on the server" eval 'git_at acme/sealed merge-base --is-ancestor '"${kept:-none}"' "$(branch_of refused)"'

# --- workers, sessions and git die in the middle ---------------------------------------------------

owner() { sql "select node from fleet.running where task_id = '$1'"; }
revive() {
    local n
    for n in 1 2; do alive worker-$n || worker $n; done
}
# One commit of each run on the server, and each started once.
whole() {
    comes_to "$1" succeeded
    check "... with one commit, pushed once" [ "$(on_server "$2" "$1")" = "Make DEMO.md better" ]
    check "... by one start" [ "$(starts "$1")" = 1 ]
}
claimed_by() { [[ -n $(sql "select node from fleet.attempt a join fleet.task t using (task) where task_id = '$1' and a.ended_at is null") ]]; }
# A hook of the server waits while the gate is shut.
git_hook acme/slow pre-receive "flock '$E2E/gate' true"
gate_shut() { exec {gate}>"$E2E/gate" && flock "$gate"; }
gate_open() { exec {gate}>&-; }
killer() { # ID: whoever holds the attempt
    local node
    node=$(sql "select n.name from fleet.attempt a join fleet.task t using (task) join fleet.node n using (node) where task_id = '$1' and a.ended_at is null")
    kill_node "${node:-worker-1}"
}
git_hold acme/slow
task fetch acme/slow 'demo: seconds=1'
wait_for 30 "its fetch" being_served upload-pack acme/slow
killer fetch
git_release acme/slow
whole fetch acme/slow
revive
task run acme/slow 'demo: seconds=6'
wait_for 30 "it to run" task_is run running
killer run
whole run acme/slow
revive
gate_shut
task push acme/slow 'demo: seconds=1'
wait_for 30 "its push" being_served receive-pack acme/slow
killer push
gate_open
whole push acme/slow
revive

# The runner's processes and git's on the host, while they fetch and while they push.
of_ours() { pgrep -f "$1" | while read -r pid; do [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) == *"$E2E/work"* ]] && echo "$pid"; done; }
slay() {
    local pid
    for pid in $(of_ours 'git|fleet-runner-[0-9a-f]* serve '); do kill -KILL "$pid"; done 2>/dev/null
}
git_hold acme/slow
task fetch-host acme/slow 'demo: seconds=3'
wait_for 30 "its fetch" being_served upload-pack acme/slow
slay
gate_shut
git_release acme/slow
wait_for 30 "its push" being_served receive-pack acme/slow
slay
gate_open
whole fetch-host acme/slow
check "the mirror is whole" eval 'for mirror in "$E2E"/work/h1/.fleet/*/mirrors/slow-*[0-9a-f]; do git --git-dir="$mirror" fsck --connectivity-only || exit 1; done'

# --- texts that are no code -----------------------------------------------------------------------

evil='$(touch '"$E2E"'/pwned); \"; rm -rf '"$E2E"'/canary; #'
mkdir "$E2E/canary"
submit '{"task_id": "evil", "title": "'"$evil"'", "repo": "acme/rocket", "labels": ["agent:code:rust"], "body": "`touch '"$E2E"'/pwned`\n'"$evil"'\ndemo: leave\ndemo: seconds=0"}'
comes_to evil succeeded
check "... its title is what was submitted" [ "$(sql "select title from fleet.task where task_id = 'evil'")" = "${evil//\\/}" ]
for branch in '--upload-pack=touch '"$E2E"'/pwned' '-q' 'a..b' 'x\ny' '\"; true'; do
    status=$(api POST /api/v1/tasks -H 'Content-Type: application/json' -d '{"title": "T", "repo": "acme/rocket", "labels": ["agent:code:rust"], "base_branch": "'"$branch"'"}')
    check "base_branch $branch is refused" [ "$status" = 422 ]
done
submit '{"task_id": "session", "title": "T", "repo": "acme/rocket", "labels": ["agent:hostile"]}'
wait_for 30 "session to be parked" task_is session review_pending
api POST /api/v1/tasks/session/answer -H 'Content-Type: application/json' -d '{"text": "that one"}' >/dev/null
wait_for 30 "it to go on" eval '(($(wc -l <"$E2E/hostile.words") >= 2))'
check "a session id that is an option never comes to a command line" eval '! grep -q dangerously "$E2E/hostile.words"'
check "nothing of it was executed" eval '[[ ! -e $E2E/pwned && -d $E2E/canary ]]'

# --- many at once, over HTTP -----------------------------------------------------------------------

if git_serve_http; then
    over_http
    stop_node worker-1
    stop_node worker-2
    worker 1
    worker 2
    wait_for 20 "h1 to be reachable" reachable h1
    head -c 6000000 /dev/urandom | base64 -w 0 >"$E2E/bulk"
    git_commit acme/many main BULK "$(cat "$E2E/bulk")" >/dev/null
    for ((i = 1; i <= MANY; i++)); do task "many$i" acme/many 'demo: seconds=1'; done
    wait_for 120 "$MANY tasks of one repository to end" eval '[[ $(sql "select count(*) from fleet.tasks where task_id like '"'many%'"' and status in ('"'completed', 'failed'"')") == '"$MANY"' ]]'
    check "all of them pushed" [ "$(sql "select count(*) from fleet.attempt a join fleet.task using (task) where task_id like 'many%' and a.work->>'pushed' is not null")" = "$MANY" ]
    check "... as the server has it" [ "$(git_at acme/many for-each-ref 'refs/heads/task/*' | wc -l)" = "$MANY" ]
    check "... read back over HTTP" eval '[[ $(git ls-remote "${GIT_HTTP_URL/\/\//\/\/$GIT_USER:$GIT_PASSWORD@}/acme/many.git" "refs/heads/task/*" | wc -l) == '"$MANY"' ]]'
    bytes() { find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { print int(sum / 1024) }'; }
    size=$(bytes "$GIT_ROOT/acme/many.git")
    beside=$(bytes "$E2E"/work/h1/.fleet/*/mirrors/many-* "$E2E"/work/h1/.fleet/*/stages/many* "$E2E"/work/h1/tasks/many*/.git)
    check "they share their objects: $beside KB beside the trees, the repository has $size KB" [ $((beside * 10)) -le $((size * 12)) ]
else
    skip "repositories over HTTP" "lighttpd is not installed"
fi

# --- secrets, and what is left ---------------------------------------------------------------------

sed -n '3p' "$GIT_SSH_KEY" >"$E2E/etc/secrets"
echo "$GIT_PASSWORD" >>"$E2E/etc/secrets"
chmod 600 "$E2E/etc/secrets"
check "no credential in a log" eval '! grep -aFf "$E2E/etc/secrets" "$E2E"/log/*'
check "... in an agent's environment" eval '! grep -aFf "$E2E/etc/secrets" "$E2E/environments"'
check "... in a file on the host" eval '! grep -rqaFf "$E2E/etc/secrets" "$E2E/work"'
check "... or in the database" eval '! "$POSTGRES_BIN/pg_dump" -d "$(postgres_url fleet)" | grep -aFf "$E2E/etc/secrets"'
check "... which would be found" grep -qFf "$E2E/etc/secrets" "$GIT_SSH_KEY"
wait_for 20 "no process of a run to be left" eval '[[ -z $(runs_of) ]]'
wait_for 20 "no git to be left" eval '[[ -z $(of_ours "(^|/)git( |$)") ]]'
wait_for 10 "invariants to hold" invariants_hold
