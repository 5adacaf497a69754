# shellcheck shell=bash disable=SC2016,SC2034 # texts and variables are for tests/e2e/lib.sh
# Work in accounts of slots and in sandboxes, from end to end: claimed, prepared, run by another account, harvested, pushed, and said.
# Accounts and sudo's rules are those of a mount namespace of its own.

if [[ $EUID -ne 0 ]] || ! command -v sudo >/dev/null || ! command -v bwrap >/dev/null; then
    skip "runs in accounts of slots" "needs root, to lend the test accounts, sudo and bubblewrap"
    return
fi
if [[ -z ${E2E_ALONE-} ]]; then
    if ! unshare -mpf --mount-proc --kill-child true 2>/dev/null; then
        skip "runs in accounts of slots" "needs leave to make namespaces"
        return
    fi
    rm -rf "$TEST_DIR"
    E2E_ALONE=yes exec unshare -mpf --mount-proc --kill-child bash -c '"$0" "$@"; exit $?' bash tests/e2e/scenario separate
fi
# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh

slots=(fleet-slot-1 fleet-slot-2)
make_world() {
    local etc=$TEST_DIR/etc i uid
    mkdir -p "$etc" && chmod 755 "$etc" && cp /etc/passwd /etc/group "$etc" && mount -t tmpfs -o mode=755 fleet /srv
    for i in 0 1; do
        uid=$((60801 + i))
        echo "${slots[i]}:*:$uid:$uid::/srv/${slots[i]}:/bin/sh" >>"$etc/passwd"
        echo "${slots[i]}:*:$uid:" >>"$etc/group"
        install -d -m 700 -o "$uid" -g "$uid" "/srv/${slots[i]}"
    done
    echo "root ALL=(fleet-slot-1,fleet-slot-2) NOPASSWD: ALL" >"$etc/sudoers" && chmod 440 "$etc/sudoers"
    mount --bind "$etc/passwd" /etc/passwd && mount --bind "$etc/group" /etc/group && mount --bind "$etc/sudoers" /etc/sudoers
    cp deploy/demo-agent /srv/demo-agent
    printf '%s\n' '#!/bin/sh' 'echo "$(id -un) $FLEET_RUN" >&2' 'exec sh /srv/demo-agent "$@"' >/srv/agent
    chmod 755 /srv/demo-agent /srv/agent
}
make_world || { fail "a private world"; return; }
git_begin
git_repository acme/rocket
git_serve_ssh || { skip "runs in accounts of slots" "no git server over SSH"; return; }
fleet_begin
chmod 711 "$E2E" "$E2E/work" # a way to work_dir
ADAPTERS="  demo: { command: [ /srv/agent ], resume: [ /srv/agent, '{session}' ], output: codex-json }"
WORKSPACE=git
host h1 "      - { agent_type: demo, max_concurrency: 2, capabilities: [ code ], isolation: separate, run_as: [ fleet-slot-1, fleet-slot-2 ], sandbox: bwrap, writable: [ ~/.cache/ ] }"
GIT="{ url: \"$GIT_SSH_URL/{repository}.git\", ssh_key_path: $GIT_SSH_KEY, known_hosts: $GIT_KNOWN_HOSTS, min_free_bytes: 0 }"
server 1
caddy
token_header
worker 1
wait_for 20 "h1 to be reachable" reachable h1

task() { submit '{"task_id": "'"$1"'", "title": "Task '"$1"'", "repo": "acme/rocket", "labels": ["agent:code"], "body": "'"$2"'"}'; }
ended() { [[ $(sql "select status in ('completed', 'failed', 'cancelled', 'review_pending') from fleet.tasks where task_id = '$1'") == t ]]; }
last() { sql "select $2 from fleet.attempt a join fleet.task t using (task) where task_id = '$1' order by a.number desc limit 1"; }
is_said() { [[ $2 == "$(last "$1" "$3")" ]] || { last "$1" "outcome, reason, report, work"; tail -n 5 "$E2E"/log/worker-1.log; false; }; }
account_of() { sql "select convert_from(bytes, 'utf8') from fleet.log l join fleet.attempt a using (attempt) join fleet.task t using (task) where task_id = '$1' and stream = 'stderr' limit 1" | cut -d' ' -f1; }
no_process_of_slots() { ! living_of 60801,60802; }

for id in one two; do task $id 'demo: seconds=2'; done
for id in one two; do wait_for 90 "$id to end" ended $id; done
for id in one two; do
    check "$id succeeded" is_said $id "succeeded -" "outcome || ' ' || coalesce(reason, '-')"
    check "... and its commit is on the server" [ "$(git_at acme/rocket log -1 --format=%s "$(sql "select branch_name from fleet.task where task_id = '$id'")" 2>&1)" = "Make DEMO.md better" ]
    check "... and it is said how far it was kept apart" is_said $id "separate bwrap" "(report->>'isolation') || ' ' || (report->>'sandbox')"
done
check "two at once have an account each" eval '[[ $(printf "%s\n" "$(account_of one)" "$(account_of two)" | sort | paste -sd, -) == fleet-slot-1,fleet-slot-2 ]] || { account_of one; account_of two; false; }'
check "nothing of them lives" no_process_of_slots
task long 'demo: seconds=60'
runs() { [[ $(sql "select phase from fleet.attempt a join fleet.task t using (task) where task_id = 'long'") == running ]]; }
wait_for 60 "it runs" runs
api POST /api/v1/tasks/long/cancel >/dev/null
wait_for 60 "its end" ended long
check "one that is cancelled ends" is_said long cancelled outcome
check "... whole, as its account proves" no_process_of_slots
