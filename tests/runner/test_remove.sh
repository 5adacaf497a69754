# shellcheck shell=bash disable=SC2016,SC2034,SC2153,SC2154 # conditions are evaluated by check
# REMOVE: workspaces that are old go, and nothing is lost with them; harvests that are killed. Sourced by
# tests/runner/case.
# shellcheck source=tests/runner/work.sh
source tests/runner/work.sh
work_begin
gone() { [[ ! -e $TASKS/$1 && ! -e $BASE/stages/$1 ]]; }
stays() { [[ -e $TASKS/$1 && -e $BASE/stages/$1 ]]; }
removes() { answers state=ready reason=- "${@:2}" -- remove "$1" && gone "$1"; }

new_task p
agent_commits p x x
pushes p
check "what was pushed goes" removes p rescue=-
check "... again: it is gone" removes p
check "... its branch stands" server_has task/p "$(git -C "$SERVER" rev-parse task/p)"
check "one that never was, too" removes never
new_task n
check "one in which nothing was done" removes n rescue=-
new_task c
agent_commits c x x
head=$(head_of c)
check "a repository's workspace is not for clean" says 'refused reason=repository' call clean c
check "... and stays" stays c
check "commits that nobody has are rescued" removes c rescue=rescue/c
check "... whole" server_has rescue/c "$head"
new_task rp
agent_commits rp x x
printf 'rescue/*\n' >"$TEST_DIR/jobs/protect"
check "... not to a protected name: it is kept" answers state=kept reason=branch_protected -- remove rp 1 protect="$TEST_DIR/jobs/protect"
check "... here, and nothing is there" eval '[[ -e $TASKS/rp/x ]] && server_has rescue/rp ""'
new_task l
agent_writes l x "left"
check "what was left uncommitted, too" removes l rescue=rescue/l leftovers=1
check "... whole" eval '[[ $(git -C "$SERVER" cat-file -p rescue/l:x) == left ]]'
new_task i
agent_writes i .gitignore "*.o"
agent_commits i .gitignore "*.o"
agent_writes i a.o "built"
pushes i
check "what is ignored is no work" removes i rescue=-
new_task s
agent_writes s .env "PASSWORD=x"
check "what looks like a secret keeps it" answers state=kept reason=uncommitted withheld=1 -- remove s
check "... named" detail_has '[.]env (by its name)'
check "... it stays" stays s
as rm "$TASKS/s/.env"
check "... until that is gone" removes s
new_task r
agent_commits r x x
server_commit rescue/r y "somebody's"
check "a rescue branch of somebody else's is left alone" removes r "rescue=rescue/r-$(head_of r | cut -c 1-12)"
check "... theirs is whole" eval '[[ $(git -C "$SERVER" cat-file -p rescue/r:y) == "somebody'"'"'s" ]]'
new_task u
agent_commits u x x
mv "$SERVER" "$SERVER.away"
check "a server that is away: kept" answers state=kept reason=repository_missing -- remove u
mv "$SERVER.away" "$SERVER"
check "... it stays" stays u
server_hook pre-receive 'echo "no" >&2' 'exit 1'
check "a server that refuses: kept" answers state=kept reason=push_refused -- remove u
server_hook pre-receive 'exit 0'
check "... and goes when it takes it" removes u rescue=rescue/u
new_task wf
agent_commits wf .github/workflows/x.yml "on: push"
check "workflows are not pushed to a rescue branch either" answers state=kept reason=workflow_change -- remove wf
new_task a
agent_writes a x x
as mkdir "$BASE/stages/a/aside.1"
check "a working tree that was put aside keeps it" answers state=kept reason=uncommitted -- remove a
new_task f
prepares f 2
check "an earlier attempt than the last: fenced" answers state=fenced -- remove f 1
new_task v
start v.1 1 "$N" 600 100000 "$hang" >/dev/null
wait_for 20 "the run" is v.1 state running
check "one that a run works in stays" answers state=kept reason=in_use -- remove v
end_host
wait_for 20 "its end" no_process
new_task h
hooked() { answers state=ready -- remove h 1 "hook=$1" && gone h; }
chmod 777 "$TEST_DIR/jobs"
check "before it goes the hook runs in it" hooked "pwd >$TEST_DIR/jobs/hooked"
check "... in the workspace" eval '[[ $(cat "$TEST_DIR/jobs/hooked") == "$TASKS/h" ]]'
new_task h
check "one that hangs is ended" answers state=ready -- remove h 1 hook='exec tail -f /dev/null' hook_secs=1
check "nothing of it is left" no_process

# --- mirrors ---

mirror() { echo "$BASE"/mirrors/*-*[0-9a-f]; }
told=$(echo "$BASE"/mirrors/*/told)
as touch -d '40 days ago' "$told"
call clean >/dev/null
check "a mirror that a stage borrows from stays" test -e "$told"
for stage in "$BASE"/stages/*; do as rm -rf "$stage"; done
as touch "$told"
call clean >/dev/null
check "one that was fetched of late, too" test -e "$told"
as touch -d '40 days ago' "$told"
call clean >/dev/null
check "one that nobody needs goes" test ! -e "$told"

# --- killed on the way ---

# A git that stands still before, or after, what it is told to stop at.
as mkdir "$TEST_DIR/jobs/bin"
cat <<END | as tee "$TEST_DIR/jobs/bin/git" >/dev/null
#!/bin/bash
read -r when at <"$TEST_DIR/jobs/stop" || exec $(command -v git) "\$@"
for word; do [[ \$word == "\$at" ]] && found=yes; done
[[ -n \$found ]] || exec $(command -v git) "\$@"
[[ \$when == before ]] || $(command -v git) "\$@"
: >"$TEST_DIR/jobs/stopped"
exec tail -f /dev/null
END
as chmod 755 "$TEST_DIR/jobs/bin/git"
echo "PATH=$TEST_DIR/jobs/bin:\$PATH" >"$HOME/.profile"
chmod 644 "$HOME/.profile"
: >"$TEST_DIR/jobs/stop"

new_task k
commits=0
killed() { # before|after COMMAND: sets how, head
    local at=$TEST_DIR/jobs/stopped
    agent_commits k "f$commits" "$((commits++))"
    agent_writes k "left$commits" "$commits"
    head=$(head_of k)
    rm -f "$at"
    echo "$1 $2" >"$TEST_DIR/jobs/stop"
    harvest k 1 >"$TEST_DIR/killed" 2>&1 &
    how=killed
    until_true 30 test -e "$at" || how="it never came to $2"
    end_host
    wait $! 2>/dev/null
    : >"$TEST_DIR/jobs/stop"
    ! grep -q worked "$TEST_DIR/killed" || how="it answered"
    until_true 20 no_process || how="processes are left"
}
# The next one finishes it: the commit and what was left are on the server, and everything is whole.
finishes() {
    pushes k || return 1
    git -C "$SERVER" merge-base --is-ancestor "$head" task/k || return 1
    [[ $(git -C "$SERVER" cat-file -p "task/k:left$commits") == "$commits" ]] || return 1
    git -C "$SERVER" fsck --strict >/dev/null 2>&1 && git --git-dir="$BASE/stages/k" fsck --connectivity-only >/dev/null 2>&1 || return 1
    [[ -z $(find "$BASE/stages/k" -name '*.lock' -o -name quarantine -o -name 'tmp_*') ]]
}
for at in "before pack-objects" "after index-pack" "after update-index" "before push" "after push"; do
    # shellcheck disable=SC2086 # two words
    killed $at
    check "killed $at: $how" test "$how" = killed
    pushed=$(pushes_of task/k)
    [[ $at != "after push" ]] || check "... the server has it, and nobody knows" eval '[[ $(git --git-dir="$BASE/stages/k" rev-parse refs/fleet/pushed) != "$(git -C "$SERVER" rev-parse task/k)" ]]'
    check "... the next one finishes, nothing is lost" finishes
    [[ $at != "after push" ]] || check "... and does not push twice" test "$(pushes_of task/k)" -eq "$pushed"
    prepares k 1
done
check "no commit twice" eval '[[ $(git -C "$SERVER" log --format=%s main..task/k | grep -c "^f") -eq $commits ]]'
check "... nor what was left" eval '[[ $(git -C "$SERVER" log --format=%s main..task/k | grep -c "^left over") -eq $commits ]]'
