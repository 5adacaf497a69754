# shellcheck shell=bash disable=SC2016,SC2034,SC2153 # conditions are evaluated by check
# What nobody committed stays in a workspace, however a later PREPARE ends in the middle; one that is gone is made
# anew. Sourced by tests/runner/case.
# shellcheck source=tests/runner/work.sh
source tests/runner/work.sh
work_begin

# What is left of an attempt that failed: nothing of it is committed.
uncommitted() {
    agent_writes "$1" README.md "changed, and not committed"
    agent_writes "$1" untracked "new, and not committed"
}
has_uncommitted() { [[ $(cat "$TASKS/$1/README.md" "$TASKS/$1/untracked") == $'changed, and not committed\nnew, and not committed' ]]; }
later() { answers "${@:3}" -- work_call prepare "$1" "$2" leftovers=0; }
# PREPARE ends once the tree has been moved, before it is written down; or before all of it is: something of
# root's lies in the way.
ends_early() { # NAME NUMBER PLACE
    local place=$BASE/stages/$1/$3 ended
    mv "$place" "$place.kept"
    mkdir "$place"
    : >"$place/in_the_way"
    later "$1" "$2" state=failed
    ended=$?
    rm -r "$place"
    mv "$place.kept" "$place"
    return "$ended"
}

new_task g
agent_writes g one one
as rm -rf "$TASKS/g"
check "a workspace that somebody removed is made anew" eval 'later g 2 state=ready && [[ -e $TASKS/g/README.md && -z $(agent g status --porcelain) ]]'
check "... nothing of the branch is deleted by it" answers state=no_change leftovers=0 -- harvest g 2

[[ $EUID -eq 0 && $ACCOUNT != 0 ]] || { skip "a PREPARE that ends in the middle" "needs root"; return; }
new_task t
uncommitted t
check "a PREPARE that ends before the tree is written down" ends_early t 2 refs/fleet/trusted
check "... the next one" later t 2 state=ready
check "... nothing uncommitted is lost" has_uncommitted t
check "... and it is a change for the agent's git" eval '[[ $(agent t status --porcelain) == *"M README.md"* ]]'

# The same where the branch moved on at the server.
new_task s
agent_commits s one one
check "an attempt that pushed" pushes s
server_commit task/s two two
uncommitted s
check "a PREPARE that ends before all of it is written down" ends_early s 2 base_branch
check "... the next one" later s 2 state=ready
check "... has the branch's new head" eval '[[ $(cat "$TASKS/s/two") == two && $(head_of s) == "$(git -C "$SERVER" rev-parse task/s)" ]]'
check "... nothing uncommitted is lost" has_uncommitted s
server_commit task/s three three
check "one that ends in the middle of the move" ends_early s 3 refs/fleet/trusted
check "... the next one" later s 3 state=ready
check "... has the branch's new head, clean or with what was uncommitted" eval '[[ $(cat "$TASKS/s/three") == three ]]'
check "... nothing uncommitted is lost" eval 'has_uncommitted s || has_uncommitted "../.fleet/f1/stages/s/aside.3"'
