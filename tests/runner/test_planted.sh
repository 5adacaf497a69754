# shellcheck shell=bash disable=SC2016,SC2034,SC2153 # conditions are evaluated by check
# What a hostile agent plants in its workspace: nothing of it runs with our rights, no file of ours is read, and
# what it did honestly is not lost. Sourced by tests/runner/case.
# shellcheck source=tests/runner/work.sh
source tests/runner/work.sh
work_begin

# Whatever is executed of it says so; whatever is read of the canary is found.
RAN=$TEST_DIR/jobs/ran
CANARY=$TEST_DIR/home/.ssh/id_canary
mkdir -p "${CANARY%/*}"
echo "canary-of-the-account" >"$CANARY"
printf 'machine localhost login x password canary-of-the-account\n' >"$TEST_DIR/home/.netrc"
cp "$TEST_DIR/home/.netrc" "$TEST_DIR/home/.git-credentials"
printf '[user]\nname = canary-of-the-account\n[core]\nfsmonitor = %s/evil home-config\n' "$TEST_DIR/jobs" >"$TEST_DIR/home/.gitconfig"
printf '#!/bin/sh\necho "$0 $*" >>"%s"\ncat\n' "$RAN" >"$TEST_DIR/jobs/evil"
chmod 755 "$TEST_DIR/jobs/evil" "$TEST_DIR/home" "${CANARY%/*}"
chmod 644 "$CANARY" "$TEST_DIR"/home/.[ng]*
EVIL=$TEST_DIR/jobs/evil
nothing_ran() { [[ ! -e $RAN ]] || { cat "$RAN"; rm -f "$RAN"; return 1; }; }
no_canary() { ! grep -rqa "canary-of-the-account" "$SERVER" "$BASE/stages" && ! as git -C "$SERVER" log -p --all | grep -qa canary-of-the-account; }
gone() { [[ ! -e $1 && ! -L $1 ]]; }

# Without the runner: nothing that git itself does at the agent's wish is ours.
harmless() { # NAME WHAT
    check "$2: nothing of it ran" nothing_ran
    check "$2: no canary was taken" no_canary
}
# Both ways in: as what the next attempt finds, too.
survives() { # NAME WHAT FIELD...
    local name=$1 what=$2
    shift 2
    check "$what: harvested" pushes "$name" "$@"
    harmless "$name" "$what"
    check "$what: the next attempt" prepares "$name" 2
    harmless "$name" "$what, next"
}

# --- configuration ---

new_task cfg
agent_commits cfg one one
one=$(head_of cfg)
agent_writes cfg two two
agent_writes cfg .gitattributes '* filter=evil diff=evil ident merge=evil'
for setting in core.fsmonitor core.sshCommand core.pager core.editor core.askPass core.gitProxy filter.evil.clean filter.evil.smudge \
    filter.evil.process diff.evil.textconv diff.evil.command diff.external merge.evil.driver gpg.program gpg.ssh.program credential.helper \
    uploadpack.packObjectsHook alias.push alias.ls-files remote.origin.uploadpack remote.origin.receivepack sequence.editor; do
    agent cfg config "$setting" "$EVIL $setting"
done
agent cfg status >/dev/null 2>&1
check "the agent's own git runs what it planted" test -s "$RAN"
agent cfg config core.hooksPath "$TEST_DIR/jobs/hooks"
agent cfg config extensions.worktreeConfig true
agent cfg config core.worktree "$TEST_DIR/home"
agent cfg config "url.ext::$EVIL insteadof.insteadOf" "$SERVER"
agent cfg config "url.ext::$EVIL insteadof.pushInsteadOf" "$SERVER"
agent cfg config include.path "$TEST_DIR/home/.gitconfig"
as mkdir -p "$TEST_DIR/jobs/hooks" "$TASKS/cfg/.git/hooks"
for hook in pre-push post-checkout post-commit pre-commit post-index-change reference-transaction fsmonitor-watchman post-rewrite; do
    as cp "$EVIL" "$TEST_DIR/jobs/hooks/$hook"
    as cp "$EVIL" "$TASKS/cfg/.git/hooks/$hook"
done
rm -f "$RAN"
survives cfg "configuration, filters, hooks" commits=2 leftovers=2
check "... the agent's commit is under ours" test "$(git -C "$SERVER" rev-parse task/cfg^)" = "$one"
check "... of the old configuration nothing is left" eval '! grep -q evil "$TASKS/cfg/.git/config" && gone "$TASKS/cfg/.git/hooks/pre-push"'

# --- a .git that is none ---

new_task file
agent_writes file work work
as rm -rf "$TASKS/file/.git"
printf 'gitdir: %s/evil.git\n' "$TEST_DIR/jobs" | as tee "$TASKS/file/.git" >/dev/null
as git init -q --bare "$TEST_DIR/jobs/evil.git"
as git -C "$TEST_DIR/jobs/evil.git" config core.fsmonitor "$EVIL"
survives file "a .git file" leftovers=1
new_task link
agent_writes link work work
as rm -rf "$TASKS/link/.git"
as ln -s "$TEST_DIR/jobs/evil.git" "$TASKS/link/.git"
survives link "a .git that is a link" leftovers=1
new_task gone
agent_writes gone work work
as rm -rf "$TASKS/gone/.git"
check "no .git: harvested" pushes gone leftovers=1
check "... and said" detail_has '[.]git is gone'
new_task gone2
agent_writes gone2 work work
as rm -rf "$TASKS/gone2/.git"
check "... where leftovers are not committed: kept, and said" answers state=kept reason=workspace_tampered leftovers=1 -- harvest gone2 1 leftovers=0
new_task pipe
agent_writes pipe work work
as rm -rf "$TASKS/pipe/.git"
as mkfifo "$TASKS/pipe/.git"
survives pipe "a .git that is a fifo" leftovers=1
new_task head
agent_commits head x x
as rm "$TASKS/head/.git/HEAD"
as mkfifo "$TASKS/head/.git/HEAD"
as rm -f "$TASKS/head/.git/index"
as mkfifo "$TASKS/head/.git/index"
as rm -f "$TASKS/head/.git/config"
as mkfifo "$TASKS/head/.git/config"
survives head "fifos within" commits=1

# --- pipes where git looks for files ---

new_task fifo
agent_commits fifo x x
agent_writes fifo sub/y y
for name in .gitignore .gitattributes sub/.gitignore sub/.gitattributes; do as mkfifo "$TASKS/fifo/$name"; done
for name in HEAD config commondir; do
    as git init -q "$TASKS/fifo/in.$name"
    as rm -f "$TASKS/fifo/in.$name/.git/$name"
    as mkfifo "$TASKS/fifo/in.$name/.git/$name"
done
as chmod 555 "$TASKS/fifo/sub"
check "pipes where git looks for files: harvested" answers state=pushed -- harvest fifo 1 fetch=30 push=30
check "... the commit, and what lay beside them" eval '[[ $(git -C "$SERVER" cat-file -p task/fifo:sub/y) == y && $(git -C "$SERVER" cat-file -p task/fifo:x) == x ]]'
as mkfifo "$TASKS/fifo/.gitignore"
check "... the next attempt" prepares fifo 2

# --- modes ---

new_task modes
agent_commits modes doc/x x
as chmod 555 "$TASKS/modes/doc" "$TASKS/modes"
as chmod 0 "$TASKS/modes/.git"
survives modes "a workspace that may not be written to" commits=1

# --- links ---

new_task out
as ln -s "${CANARY%/*}" "$TASKS/out/keys"
as ln -s "$CANARY" "$TASKS/out/key"
as rm -r "$TASKS/out/doc"
as mkdir -p "$TEST_DIR/jobs/outside"
echo "canary-of-the-account" | as tee "$TEST_DIR/jobs/outside/old" >/dev/null
as ln -s "$TEST_DIR/jobs/outside" "$TASKS/out/doc"
survives out "links out of the workspace" leftovers=4
check "... they are links" eval '[[ $(git -C "$SERVER" cat-file -p task/out:key) == "$CANARY" ]]'
new_task objects
agent_commits objects x x
as cp -r "$TASKS/objects/.git/objects" "$TEST_DIR/jobs/objects"
as rm -rf "$TASKS/objects/.git/objects"
as ln -s "$TEST_DIR/jobs/objects" "$TASKS/objects/.git/objects"
check "objects that are a link: tampered" answers state=kept reason=workspace_tampered -- harvest objects 1
check "... not pushed" server_has task/objects ""
harmless objects "objects that are a link"
new_task refs
agent_commits refs x x
as mv "$TASKS/refs/.git/refs" "$TEST_DIR/jobs/refs"
as ln -s "$TEST_DIR/jobs/refs" "$TASKS/refs/.git/refs"
check "references that are a link are not followed" pushes refs commits=1 leftovers=1

# --- objects ---

new_task alt
agent_writes alt secret/file "x"
as git init -q "$TEST_DIR/jobs/foreign"
echo "canary-of-the-account" | as tee "$TEST_DIR/jobs/foreign/file" >/dev/null
as git -C "$TEST_DIR/jobs/foreign" add .
as git -C "$TEST_DIR/jobs/foreign" commit -q -m foreign
foreign=$(as git -C "$TEST_DIR/jobs/foreign" rev-parse HEAD)
echo "$TEST_DIR/jobs/foreign/.git/objects" | as tee -a "$TASKS/alt/.git/objects/info/alternates" >/dev/null
agent alt update-ref refs/heads/task/alt "$foreign"
check "an alternates file: what is borrowed is not taken" answers state=kept reason=workspace_tampered -- harvest alt 1
check "... not pushed" server_has task/alt ""
harmless alt "an alternates file"
new_task broken
agent_commits broken two "of this task alone"
blob=$(agent broken rev-parse HEAD:two)
as chmod 644 "$TASKS/broken/.git/objects/${blob:0:2}/${blob:2}"
printf 'garbage' | as tee "$TASKS/broken/.git/objects/${blob:0:2}/${blob:2}" >/dev/null
check "a broken object: tampered" answers state=kept reason=workspace_tampered -- harvest broken 1
check "... and said" detail_has 'is broken'
check "... what was in its files is kept" eval '[[ $(git --git-dir="$BASE/stages/broken" cat-file -p task/broken:two) == "of this task alone" ]]'
new_task lying
agent_commits lying x "another of this task alone"
blob=$(agent lying rev-parse HEAD:x)
other=$(echo "canary-of-the-account" | agent lying hash-object -w --stdin)
as cp -f "$TASKS/lying/.git/objects/${other:0:2}/${other:2}" "$TASKS/lying/.git/objects/${blob:0:2}/${blob:2}"
check "an object under another's name: tampered" answers state=kept reason=workspace_tampered -- harvest lying 1
harmless lying "an object under another's name"
new_task blob
agent_commits blob x x
blob=$(agent blob rev-parse HEAD:x)
echo "$blob" | as tee "$TASKS/blob/.git/refs/heads/task/blob" >/dev/null
check "a branch that is no commit: tampered" answers state=kept reason=workspace_tampered -- harvest blob 1
check "... not pushed, nor taken" eval 'server_has task/blob "" && [[ $(git --git-dir="$BASE/stages/blob" cat-file -t task/blob) == commit ]]'
new_task huge
agent_commits huge x x
as truncate -s 20G "$TASKS/huge/.git/objects/pack/pack-$(printf 'a%.0s' {1..40}).pack"
check "a sparse pack of 20 GB is not taken, what is whole is" pushes huge commits=1
check "... and said" detail_has 'has more than'
new_task sub
printf '[submodule "x"]\n\tpath = x\n\turl = -u%s\n' "$EVIL" | as tee "$TASKS/sub/.gitmodules" >/dev/null
agent sub add .gitmodules
agent sub update-index --add --cacheinfo "160000,$base,x"
agent sub commit -q -m sub
check "a submodule URL that is a command: not taken" answers state=kept reason=workspace_tampered -- harvest sub 1
harmless sub "a submodule URL that is a command"
check "... nor by the next attempt" eval 'prepares sub 2 && server_has task/sub ""'
new_task full
printf '[submodule "x"]\n\tpath = x\n\turl = "-No space left on device"\n' | as tee "$TASKS/full/.gitmodules" >/dev/null
agent full add .gitmodules
agent full update-index --add --cacheinfo "160000,$base,x"
agent full commit -q -m full
check "... nor is the host's disk full because it says so" answers state=kept reason=workspace_tampered -- harvest full 1
new_task sub2
printf '[submodule "x"]\n\tpath = x\n\turl = ext::%s\n\tupdate = !%s\n' "$EVIL" "$EVIL" | as tee "$TASKS/sub2/.gitmodules" >/dev/null
check "one that is left uncommitted" eval 'harvest sub2 1 >"$TEST_DIR/answer"; ! grep -q state=failed "$TEST_DIR/answer"'
harmless sub2 "one that is left uncommitted"
check "... nor is it pushed" server_has task/sub2 ""

# --- repositories within ---

new_task nest
as git init -q "$TASKS/nest/inner"
agent_writes nest inner/file "inner"
as git -C "$TASKS/nest/inner" add .
as git -C "$TASKS/nest/inner" commit -q -m inner
for setting in core.fsmonitor filter.evil.clean core.sshCommand diff.external; do as git -C "$TASKS/nest/inner" config "$setting" "$EVIL $setting"; done
as git -C "$TASKS/nest/inner" config core.worktree "${CANARY%/*}"
printf '* filter=evil\n' | as tee "$TASKS/nest/inner/.gitattributes" >/dev/null
agent_writes nest beside "beside"
rm -f "$RAN"
survives nest "a repository within" leftovers=1
check "... stays what it is" test -e "$TASKS/nest/inner/.git/HEAD"
new_task nest2
as git init -q "$TASKS/nest2/inner"
agent_writes nest2 inner/file "inner"
check "one is named, for nothing of it is taken" answers state=no_change withheld=1 -- harvest nest2 1
check "... as what it is" detail_has 'inner/ (a repository of its own)'

# --- names ---

names=0
for name in '--upload-pack=touch${IFS}ran' '-x' 'a"b' "it's" '$(touch${IFS}ran)' 'a;b'; do
    new_task "br$((++names))"
    agent "br$names" update-ref "refs/heads/$name" HEAD
    agent "br$names" symbolic-ref HEAD "refs/heads/$name" 2>/dev/null ||
        printf 'ref: refs/heads/%s\n' "$name" | as tee "$TASKS/br$names/.git/HEAD" >/dev/null
    agent_commits "br$names" x x
    check "a branch named $name: its commits count" pushes "br$names" "head=$(head_of "br$names")" commits=1
    check "... under the task's name alone" eval '[[ $(git -C "$SERVER" for-each-ref --format="%(refname)" | grep -c "^refs/heads/task/br$names\$") == 1 ]] && ! git -C "$SERVER" for-each-ref --format="%(refname)" | grep -qF -- "$name"'
done
new_task trav
agent_commits trav x x
printf 'ref: refs/heads/../../../../../home/.ssh/id_canary\n' | as tee "$TASKS/trav/.git/HEAD" >/dev/null
check "a HEAD that leads out: the branch counts" pushes trav commits=1
agent trav update-ref --no-deref HEAD "$base" 2>/dev/null
as bash -c 'head -c 100000 /dev/zero | tr "\0" a >"$1"' bash "$TASKS/trav/.git/HEAD"
check "a HEAD of 100 kB: the branch counts" answers state=pushed -- harvest trav 1
new_task packed
agent_commits packed x x
agent packed pack-refs --all
as truncate -s 5G "$TASKS/packed/.git/packed-refs"
check "packed-refs of 5 GB are none: what is in the files is taken" pushes packed leftovers=1
new_task odd
as bash -c 'cd "$1" && mkdir -p -- "-rf" "--exec=x" && : >"-rf/--" && : >"--exec=x/a" && : >":(top)b" && : >":!c" && mkdir -p "git~1" && : >"git~1/config" && : >$'"'"'\e[31m'"'" bash "$TASKS/odd"
check "names that are options, pathspecs, escapes" pushes odd
check "... taken as they are" eval '[[ $(git -C "$SERVER" cat-file -t "task/odd:-rf/--") == blob ]] && git -C "$SERVER" ls-tree --name-only -z task/odd | tr "\0" "\n" | grep -qF ":(top)b"'
harmless odd "names"
check "nothing in an answer but printable text" eval '! LC_ALL=C grep -qaP "[^\x20-\x7e\n]" "$TEST_DIR/answer"'

new_task enc
agent_commits enc x x
agent_writes enc .gitattributes '* working-tree-encoding=UTF-16'
agent_writes enc y "no UTF-16"
check "an encoding that the files have not: kept, and said" eval 'answers state=kept reason=workspace_tampered commits=1 -- harvest enc 1 && detail_has "stays so"'
check "... the next attempt has it all, and may mend it" eval 'prepares enc 2 && [[ -e $TASKS/enc/y && -e $TASKS/enc/x ]] && as rm "$TASKS/enc/.gitattributes" && pushes enc.2 commits=2'

# --- nothing else is executed ---

if ! command -v strace >/dev/null; then
    skip "what is executed" "needs strace"
else
    new_task st
    agent_commits st x x
    agent_writes st y y
    as git init -q "$TASKS/st/inner"
    agent_writes st .gitattributes '* filter=evil ident text=auto'
    agent st config filter.evil.clean "$EVIL"
    programs() { # of a harvest: what was executed, and where it worked
        strace -f -q -e trace=execve,chdir,fchdir -o "$TEST_DIR/trace" setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --clear-groups -- \
            "$CLIENT" "$RUNNER" "$BASE" "$HASH" harvest st.1 1 "$N" st 1 "$SERVER" author="A <a@b>" message=m >"$TEST_DIR/answer"
        grep -o 'execve("[^"]*"' "$TEST_DIR/trace" | sort -u
    }
    if [[ $EUID -eq 0 && $KIND == static ]]; then
        check "it is pushed under strace, too" eval 'programs >"$TEST_DIR/programs"; grep -q state=pushed "$TEST_DIR/answer"'
        check "git and its parts, the runner, and the server's hooks: nothing else is executed" eval \
            '! grep -vE "/git(-[a-z-]+)?\"|/fleet-runner\"|/runner-client\"|setpriv\"|"hooks/post-receive"|/(ba)?sh\"|/cat\"|/id\"" "$TEST_DIR/programs"'
        check "... nor anything that lies in the workspace" eval '! grep -E "execve\(\"[^\"]*(tasks/|evil)" "$TEST_DIR/trace"'
    fi
fi
