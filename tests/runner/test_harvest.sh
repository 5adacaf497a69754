# shellcheck shell=bash disable=SC2016,SC2034,SC2153 # conditions are evaluated by check
# HARVEST: what agents committed and left is taken in, pushed, and read back. Sourced by tests/runner/case.
# shellcheck source=tests/runner/work.sh
source tests/runner/work.sh
work_begin

# --- what an agent committed ---

new_task a
agent_commits a src/a.c "int a;"
head=$(head_of a)
check "a commit is pushed" pushes a "head=$head" "pushed=$head" base_branch=main commits=1 files=1 insertions=1 deletions=0 leftovers=0 withheld=0
check "... and is what the server has" server_has task/a "$head"
check "... once more: it is found there" pushes a "head=$head"
check "... not pushed twice" test "$(pushes_of task/a)" -eq 1
check "a later attempt that does nothing: no change" eval 'prepares a 2 && answers state=no_change "head=$head" -- harvest a 2'
check "an earlier attempt than the last: fenced" answers state=fenced -- harvest a 1
agent_commits a src/b.c "int b;"
new_task ep
agent_commits ep x x
call raise ep.1 7 "$N" >/dev/null
check "an earlier owner of the attempt: fenced" answers state=fenced -- harvest ep 1
check "... nothing is pushed" server_has task/ep ""
check "... not the later one" answers state=pushed -- call harvest ep.1 7 "$N" ep 1 "$SERVER" author="A <a@b>" message=m
check "one that goes on" pushes a.2 "head=$(head_of a)" commits=2 files=2
agent a commit -q --amend -m "another message" --author "Someone Else <else@localhost>"
check "our own last head may be amended" pushes a.2 "head=$(head_of a)" commits=2
check "... on the server too" server_has task/a "$(head_of a)"

new_task n
check "nothing done: no change" answers state=no_change reason=- commits=0 leftovers=0 -- harvest n 1
check "... nothing pushed" server_has task/n ""
new_task many
for i in {1..40}; do agent_commits many "f$i" "$i"; done
agent many gc -q
agent many pack-refs --all
check "out of packs and packed references" pushes many "head=$(head_of many)" commits=40 files=40

new_task d
agent d checkout -q --detach
agent_commits d x "x"
check "HEAD detached: its commit counts" pushes d "head=$(head_of d)" commits=1
check "... and it is said" detail_has 'HEAD was detached'
new_task d2
agent_commits d2 x x
newest=$(head_of d2)
agent d2 checkout -q --detach HEAD^
check "... detached at an older one than the branch: what the branch has is taken" eval \
    'pushes d2 && git -C "$SERVER" merge-base --is-ancestor "$newest" task/d2'
check "... and nothing of it is undone by the files of the older one" test "$(git -C "$SERVER" rev-parse task/d2)" = "$newest"
check "... which is said" detail_has 'an older commit than task/d2'
new_task e
agent e checkout -q -b feature
agent_commits e x "x"
check "HEAD on another branch: its commits count" pushes e "head=$(head_of e)" commits=1
check "... and it is said" detail_has 'HEAD was on refs/heads/feature'
check "... on the task's branch, and no other" eval 'server_has task/e "$(head_of e)" && server_has feature ""'
new_task o
agent_commits o kept "kept"
kept=$(head_of o)
agent o checkout -q --orphan elsewhere
agent_commits o y "y"
check "HEAD on what does not descend from the base: the branch counts" pushes o commits=2 leftovers=1
check "... and it is said" detail_has 'does not descend from the base'
check "... with its commit" eval '[[ $(git -C "$SERVER" rev-parse task/o^) == "$kept" ]]'
new_task w
agent_commits w one one
one=$(head_of w)
agent w checkout -q -b other main 2>/dev/null || agent w checkout -q -b other "$base"
agent_commits w two two
check "two ways: HEAD counts, the other one stays" pushes w "head=$(head_of w)" commits=1
check "... in the stage, for whoever asks for it" eval '[[ $(git --git-dir="$BASE/stages/w" rev-parse refs/fleet/left) == "$one" ]]'
check "... and is said" detail_has "${one:0:12} of the branch stays on the host"

# --- what it left ---

new_task l
agent_writes l new/file "new"
agent_writes l README.md "changed"
agent_writes l 'a b' "blank"
agent_writes l $'new\nline' "newline"
agent_writes l $'\xff\xfe' "no UTF-8"
agent_writes l run.sh "exit"
as chmod +x "$TASKS/l/run.sh"
as ln -s /etc/passwd "$TASKS/l/link"
as rm "$TASKS/l/doc/old"
agent_writes l .gitignore "*.log"
agent_writes l noise.log "noise"
check "what is uncommitted is committed by us" pushes l commits=1 leftovers=9 withheld=0
tree_of() { git -C "$SERVER" ls-tree -r -z "task/$1" | tr '\0' '\n'; }
check "... names as they are" eval '[[ $(git -C "$SERVER" ls-tree -r -z --name-only task/l | sort -z | tr "\0" "|") == *"a b|"* && $(tree_of l) == *$'"'"'\tnew\nline'"'"'* && $(git -C "$SERVER" cat-file -p task/l:$'"'"'\xff\xfe'"'"') == "no UTF-8" ]]'
check "... executable" eval 'tree_of l | grep -q "^100755 .*run.sh$"'
check "... a link is a link" eval 'tree_of l | grep -q "^120000 .*link$" && [[ $(git -C "$SERVER" cat-file -p task/l:link) == /etc/passwd ]]'
check "... what was deleted is" eval '! tree_of l | grep -q doc/old'
check "... .gitignore holds" eval '! tree_of l | grep -q noise.log'
check "... by our author, with our message" eval '[[ $(git -C "$SERVER" log -1 --format="%an <%ae> %cn %s" task/l) == "Agent Fleet <fleet@localhost> Agent Fleet left over" ]]'
check "... once more: the same" pushes l commits=1 "head=$(git -C "$SERVER" rev-parse task/l)" leftovers=0
check "... the next attempt begins there, clean" eval 'prepares l 2 && [[ -z $(agent l status --porcelain) ]] && [[ $(head_of l) == "$(git -C "$SERVER" rev-parse task/l)" ]]'
new_task b
agent_commits b one one
agent_writes b two two
check "commits of both" pushes b commits=2 files=2 leftovers=1
new_task nl
agent_writes nl x x
check "leftovers that are not to be committed are counted" answers state=no_change leftovers=1 commits=0 -- harvest nl 1 leftovers=0
check "... and stay" test -e "$TASKS/nl/x"
new_task ty
as rm "$TASKS/ty/README.md"
as mkdir "$TASKS/ty/README.md"
agent_writes ty README.md/in "in"
as rm -r "$TASKS/ty/doc"
as ln -s .. "$TASKS/ty/doc"
check "a file that became a folder, a folder that became a link" pushes ty leftovers=4
check "... as they are" eval '[[ $(tree_of ty | cut -d" " -f1,2 | sort | uniq -c | tr -s " \n" " ") == " 2 100644 blob 1 120000 blob "* ]] || { tree_of ty; false; }'

new_task enc
agent_commits enc one one
agent_writes enc .gitattributes '*.txt working-tree-encoding=UTF-16'
agent_writes enc two.txt two
check "what is not of the encoding that it is said to have: kept" answers state=kept reason=workspace_tampered commits=1 -- harvest enc 1
check "... and said" detail_has 'stays so: .*BOM is required'
as rm "$TASKS/enc/two.txt"
check "... pushed without it" pushes enc commits=2

new_task hid
agent_writes hid x x
as chmod 0 "$TASKS/hid/doc"
check "what lies in a folder that cannot be read is not deleted" pushes hid files=1 leftovers=1
as chmod 755 "$TASKS/hid/doc"

# --- secrets ---

new_task s
agent_writes s .env "PASSWORD=canary"
agent_writes s deep/id_rsa "canary"
agent_writes s server.pem "canary"
agent_writes s .env.example "PASSWORD="
agent_writes s notes.txt "the token is ghp_$(printf 'a%.0s' {1..36}) of mine"
agent_writes s key.txt $'-----BEGIN OPENSSH PRIVATE KEY-----\ncanary'
agent_writes s fine.txt "risk-assessment and sk-learn are words"
as bash -c 'head -c 70000 /dev/zero | tr "\0" x >"$1"; echo " glpat-$2" >>"$1"' bash "$TASKS/s/far.txt" "$(printf 'b%.0s' {1..20})"
check "what looks like a secret is withheld" pushes s leftovers=2 withheld=6
check "... and named" eval 'detail_has "\.env (by its name)" && detail_has "notes.txt (by its content)"'
check "... nothing of it is on the server" eval '! git -C "$SERVER" log -p task/s | grep -qE "canary|ghp_a|glpat-"'
check "... what does not is there" eval 'tree_of s | grep -q "[.]env[.]example$" && tree_of s | grep -q "fine[.]txt$"'
check "... it stays where it is" eval '[[ -e $TASKS/s/.env && -e $TASKS/s/key.txt ]]'
new_task big
as truncate -s 10G "$TASKS/big/sparse"
agent_writes big small "small"
check "a huge sparse file is withheld" pushes big leftovers=1 withheld=1
check "... and named" detail_has 'sparse (too large)'
as mkfifo "$TASKS/big/pipe"
agent_writes big more "more"
check "a fifo is nothing" pushes big leftovers=1 withheld=1

# --- the configuration of agents ---

new_task c
check "it lies there as the base has it" eval '[[ $(cat "$TASKS/c/AGENTS.md") == "of the base" ]]'
agent_writes c AGENTS.md "of the agent"
agent_writes c CLAUDE.md "new"
check "what the agent makes of it is work" pushes c leftovers=2
check "the next attempt has the base's again" eval 'prepares c 2 && [[ $(cat "$TASKS/c/AGENTS.md") == "of the base" && ! -e $TASKS/c/CLAUDE.md ]]'
agent_writes c other "other"
check "... and the branch keeps its own" pushes c.2 leftovers=1 commits=2
check "... whole" eval '[[ $(git -C "$SERVER" cat-file -p task/c:AGENTS.md) == "of the agent" && $(git -C "$SERVER" cat-file -p task/c:CLAUDE.md) == new ]]'
prepares c 3
agent_writes c AGENTS.md "of the agent, again"
check "... unless it is changed again" eval 'pushes c.3 leftovers=1 && [[ $(git -C "$SERVER" cat-file -p task/c:AGENTS.md) == "of the agent, again" ]]'

# --- questions ---

new_task q
agent_writes q .fleet-question "which one?"
check "a question is taken" eval 'answers state=no_change leftovers=0 -- harvest q 1 && grep -q "which one" "$TEST_DIR/answer"'
check "... away" test ! -e "$TASKS/q/.fleet-question"
check "... and answered again when it is asked again" eval 'harvest q 1 >"$TEST_DIR/answer"; grep -q "which one" "$TEST_DIR/answer"'
check "... of that attempt" eval 'prepares q 2; harvest q 2 >"$TEST_DIR/answer"; ! grep -q "which one" "$TEST_DIR/answer"'
new_task qc
agent_commits qc .fleet-question "which one?"
check "one that the agent committed is taken" eval 'harvest qc 1 >"$TEST_DIR/answer"; grep -q "which one" "$TEST_DIR/answer"'
as rm -rf "$TASKS/qc"
rm -rf "$BASE/stages/qc"
check "... and is none of the next attempt, on another host" eval 'prepares qc 2; harvest qc 2 >"$TEST_DIR/answer"; ! grep -q "which one" "$TEST_DIR/answer"'

# --- what may be pushed ---

new_task wf
agent_commits wf .github/workflows/ci.yml "on: push"
check "a change of workflows is kept" answers state=kept reason=workflow_change commits=1 -- harvest wf 1
check "... not pushed" server_has task/wf ""
check "... unless it is allowed" answers state=pushed -- harvest wf 1 workflows=1
number=0
for folder in .forgejo/workflows .gitea/workflows .GitHub/Workflows; do
    new_task "wf$((++number))"
    agent_commits "wf$number" "$folder/ci.yml" "on: push"
    check "... nor one below $folder" answers state=kept reason=workflow_change -- harvest "wf$number" 1
    check "... not pushed" server_has "task/wf$number" ""
done
new_task wm
agent_commits wm x x
pushes wm
as mkdir -p "$TEST_DIR/jobs/first/.github/workflows"
echo "on: push" | as tee "$TEST_DIR/jobs/first/.github/workflows/new.yml" >/dev/null
as git -C "$TEST_DIR/jobs/first" add .
as git -C "$TEST_DIR/jobs/first" commit -q -m workflow
as git -C "$TEST_DIR/jobs/first" push -q "$SERVER" HEAD:refs/heads/main
check "one that the base branch has by now, merged" eval 'prepares wm 2 && agent wm merge -q -m merge origin/main && pushes wm.2 "head=$(head_of wm)"'
agent wm rm -q .github/workflows/new.yml
agent wm commit -q -m away
check "... is not to be taken away, either" answers state=kept reason=workflow_change -- harvest wm 2
check "... once a person allowed it, it is in the branch, which goes on" eval \
    'answers state=pushed -- harvest wm 2 workflows=1 && agent_commits wm y y && pushes wm.2 "head=$(head_of wm)"'
printf 'main\ntask/p*\n' >"$TEST_DIR/jobs/protect"
new_task pr
agent_commits pr x x
check "a protected branch is not pushed to" answers state=kept reason=branch_protected -- harvest pr 1 protect="$TEST_DIR/jobs/protect"
check "... the commits are kept" eval '[[ $(git --git-dir="$BASE/stages/pr" rev-parse task/pr) == "$(head_of pr)" ]]'
new_task self
as git -C "$SERVER" update-ref refs/heads/task/self "$base"
answers state=ready -- work_call prepare self 1 base=task/self
agent_commits self x x
check "nor the base branch, whatever its name" answers state=kept reason=branch_protected -- harvest self 1 base=task/self
new_task hd
agent_commits hd x x
server_commit task/hd z "the default branch"
as git -C "$SERVER" symbolic-ref HEAD refs/heads/task/hd
check "nor the server's HEAD" answers state=kept reason=branch_protected -- harvest hd 1
as git -C "$SERVER" symbolic-ref HEAD refs/heads/main

# --- what is left in memory ---

new_task core
agent_commits core x x
server_hook pre-receive 'ulimit -c >cores'
(ulimit -Sc "$(ulimit -Hc)"; pushes core) >"$TEST_DIR/core"
check "nobody who may hold a credential leaves a core" test "$(cat "$SERVER/cores")" = 0
server_hook pre-receive 'exit 0'

# --- what the server refuses ---

new_task hk
agent_commits hk x x
server_hook pre-receive 'echo "no pushes on Thursdays" >&2' 'exit 1'
check "refused by a hook: kept, with its words" answers state=kept reason=push_refused -- harvest hk 1
check "... said" detail_has 'no pushes on Thursdays'
server_hook pre-receive 'echo "error: GH006: Protected branch update failed" >&2' 'exit 1'
check "protected by the server" answers state=kept reason=branch_protected -- harvest hk 1
server_hook pre-receive 'exit 0'
check "pushed once it may be" pushes hk "head=$(head_of hk)"
new_task sp
agent_commits sp x x
server_commit task/sp y "somebody else's"
check "somebody else pushed: a conflict" answers state=kept reason=push_conflict -- harvest sp 1
check "... theirs is whole" eval '[[ $(git -C "$SERVER" cat-file -p task/sp:y) == "somebody else'"'"'s" ]]'
check "... ours is kept" eval '[[ $(git --git-dir="$BASE/stages/sp" rev-parse task/sp) == "$(head_of sp)" ]]'
# Between our look and our push: a git of the login shell's PATH that lets somebody in.
new_task race
agent_commits race x x
as mkdir -p "$TEST_DIR/jobs/bin"
theirs=$(git -C "$SERVER" rev-parse task/sp)
printf '%s\n' '#!/bin/sh' "case \" \$* \" in *' push '*) $(command -v git) --git-dir='$SERVER' update-ref refs/heads/task/race $theirs ;; esac" \
    "exec $(command -v git) \"\$@\"" | as tee "$TEST_DIR/jobs/bin/git" >/dev/null
as chmod 755 "$TEST_DIR/jobs/bin/git"
echo "PATH=$TEST_DIR/jobs/bin:$PATH" >"$HOME/.profile"
check "somebody pushed while we did: a conflict" answers state=kept reason=push_conflict -- harvest race 1
rm "$HOME/.profile"
check "... theirs is whole" server_has task/race "$theirs"
new_task back
agent_commits back x x
server_hook post-receive "git update-ref refs/heads/task/back $base"
check "a server that takes it, and has something else: not pushed" answers state=kept reason=push_failed -- harvest back 1
server_hook post-receive 'while read -r _ _ ref; do echo "$ref" >>pushed; done'
check "... pushed once it has it" pushes back "head=$(head_of back)"
new_task die
agent_commits die x x
pushes die
rm -f "$BASE/stages/die/refs/fleet/pushed"
agent_commits die y y
check "killed before what was pushed was written down: it goes on from there" pushes die "head=$(head_of die)" commits=2
new_task am
agent_commits am x x
pushes am
as git -C "$SERVER" config receive.denyNonFastForwards true
agent am commit -q --amend -m again
check "a server that refuses what is no fast-forward" answers state=kept reason=push_refused -- harvest am 1
as git -C "$SERVER" config --unset receive.denyNonFastForwards
new_task go
agent_commits go x x
pushes go
ours=$(head_of go)
rm -f "$BASE/stages/go/refs/fleet/pushed"
server_commit task/go y "on top"
check "gone on by somebody before the answer: it was pushed" answers state=pushed "head=$ours" -- harvest go 1
new_task gone
agent_commits gone x x
mv "$SERVER" "$SERVER.away"
check "no repository any more" answers state=kept reason=repository_missing -- harvest gone 1
mv "$SERVER.away" "$SERVER"
check "... pushed once there is" pushes gone "head=$(head_of gone)"

# --- what is not there ---

check "a task that was never prepared" answers state=failed reason=workspace_failed -- harvest never 1
new_task ws
as rm -rf "$TASKS/ws"
as ln -s /etc "$TASKS/ws"
check "a workspace that is a link" answers state=failed reason=workspace_tampered -- harvest ws 1
