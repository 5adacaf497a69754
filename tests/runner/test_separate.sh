# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # texts are for jobs; variables are of, or for, tests/runner/lib.sh
# Agents in accounts of their own: what they can reach, that they end, and that their folders come and go.
# Accounts and sudo's rules are those of a private world: this mount namespace has an /etc/passwd of its own.

if [[ $EUID -ne 0 ]] || ! command -v sudo >/dev/null; then
    skip "accounts of slots" "needs root, to lend the test accounts, and sudo"
    return 0
fi

# --- the world ---

slots=(slot-1 slot-2)
uid_of() { echo $((60700 + ${1#slot-})); }
make_world() {
    local slot etc=$TEST_DIR/etc
    mkdir -p "$etc/sudoers.d" "$TEST_DIR/homes"
    chmod 755 "$etc" "$TEST_DIR/homes"
    {
        echo "root:*:0:0::/root:/bin/bash"
        echo "agent:*:$ACCOUNT:$ACCOUNT::$HOME:/bin/sh"
        for slot in "${slots[@]}"; do echo "$slot:*:$(uid_of "$slot"):$(uid_of "$slot")::$TEST_DIR/homes/$slot:/bin/sh"; done
    } >"$etc/passwd"
    {
        echo "root:*:0:"
        echo "agent:*:$ACCOUNT:"
        for slot in "${slots[@]}"; do echo "$slot:*:$(uid_of "$slot"):"; done
    } >"$etc/group"
    echo "agent ALL=(slot-1,slot-2) NOPASSWD: ALL" >"$etc/sudoers"
    chmod 440 "$etc/sudoers"
    for slot in "${slots[@]}"; do
        install -d -m 700 -o "$(uid_of "$slot")" -g "$(uid_of "$slot")" "$TEST_DIR/homes/$slot"
    done
    mount --bind "$etc/passwd" /etc/passwd && mount --bind "$etc/group" /etc/group &&
        mount --bind "$etc/sudoers" /etc/sudoers && mount --bind "$etc/sudoers.d" /etc/sudoers.d
}
make_world || { fail "a private world"; return 0; }
visudo -cq || fail "the rules of sudo are right"

# As it is installed: in folders that are closed to others.
as mkdir -p "$BASE/bin" "$TASKS"
as chmod 700 "$WORK" "${BASE%/*}" "$BASE" "$BASE/bin"
RUNNER=$BASE/bin/fleet-runner-$HASH
install -o "$ACCOUNT" -m 700 "$PROGRAM" "$RUNNER"


nothing_of() { ! living_of "$(uid_of "$1")"; }
owner_is() { [[ $(stat -c %u "$1") == "$2" ]]; } # PATH UID
outs() { cat "$DIR/$1/out" "$DIR/$1/err"; }
start_words=(run_as=slot-1)

# --- a run ---

check "a run in an account starts" says started start a.1 1 $N 60 100000 'echo "$(id -un) $HOME $USER $LOGNAME $(umask)"; pwd
    cat; stat -c "%a %U" . "$TMPDIR"; ls /proc/self/fd | tr "\n" " "; echo "$0"; echo e >&2; exit 7' 'the prompt
'
wait_for 20 "its end" ended a.1
check "... and ends as it says" fields a.1 state=ended reason=exit exit=7
check "... nothing of its account is left, which is the proof" grep -q 'proof=no_child_left,uid$' <<<"$(record a.1)"
check "... it is that account's, in the task's folder, with the prompt, and no descriptor of ours" stdout_is a.1 \
    "slot-1 $TEST_DIR/homes/slot-1 slot-1 slot-1 0022
$TASKS/a
the prompt
700 slot-1
700 slot-1
0 1 2 3 /proc/self/fd/3"
check "... what it says on stderr is its own" test "$(cat "$DIR/a.1/err")" = e
check "... its TMPDIR is gone" eval '[[ -z $(ls -A "${BASE%/*}/tmp") ]]'
check "... its script lies nowhere" eval '[[ -z $(find "$DIR/a.1" -name job.sh) ]]'
check "... and its folder is its account's" owner_is "$TASKS/a" "$(uid_of slot-1)"
check "an account that sudo does not give: refused" eval 'start_words=(run_as=root); says "refused reason=account_failed" start b.1 1 $N 60 1000 true'
check "one that there is not: refused" eval 'start_words=(run_as=slot-9); says "refused reason=account_failed" start b.1 1 $N 60 1000 true'
check "our own: refused" eval 'start_words=(run_as=agent); says "refused reason=account_failed" start b.1 1 $N 60 1000 true'
check "... and nothing was started" is b.1 state prepared

# --- what an agent can reach ---

mkdir -p "$BASE/mirrors/other-00112233445566778899aabbccddeeff" "$BASE/stages/other" "$TASKS/elsewhere"
echo canary >"$BASE/mirrors/other-00112233445566778899aabbccddeeff/HEAD"
echo canary >"$BASE/stages/other/HEAD"
echo canary >"$TASKS/elsewhere/file"
chown -R "$ACCOUNT:$ACCOUNT" "$BASE/mirrors" "$BASE/stages" "$TASKS/elsewhere"
chmod 711 "$BASE/mirrors"
chmod 755 "$BASE/mirrors"/*
chmod 700 "$BASE/stages" "$TASKS/elsewhere"
start_words=(run_as=slot-2)
start o.1 1 $N 600 100000 "echo canary >own; echo canary; $hang" 'canary of a prompt' >/dev/null
wait_for 20 "another run" is o.1 out 7
start_words=(run_as=slot-1)
cat >"$TEST_DIR/attack.sh" <<'EOF'
exec 2>/dev/null
work=${PWD%/tasks/*} base=${PWD%/tasks/*}/.fleet/f1
say() { echo "got $*"; }
for d in "$work" "$work/.fleet" "$base" "$base/bin" "$base/runs" "$base/mirrors" "$base/stages" "$work/tasks" "$work/.fleet/tmp" "$work/.fleet/seats"; do
    ls "$d" >/dev/null && say "ls $d"
    touch "$d/mine" && [ "$d" != "$work/tasks" ] && [ "$d" != "$work/.fleet/tmp" ] && say "touch $d"
    rm -f "$d/mine"
    mv "$d" "$d.moved" && say "mv $d"
    chmod 777 "$d" && say "chmod $d"
done
for f in "$base/runs/o.1/nonce" "$base/runs/o.1/out" "$base/runs/o.1/up.1/prompt" "$base/runs/o.1/go/supervisor" \
    "$base/runs/$1/nonce" "$base/runs/$1/up.1/prompt" "$base/runs/$1/out" "$base/runs/$1/lock" "$base/stages/other/HEAD" "$work/tasks/elsewhere/file" "$work/tasks/o/own" "$work/.fleet/owner" "$work/.fleet/seats/slot-1"; do
    cat "$f" >/dev/null && say "cat $f"
    echo x >>"$f" && say "write $f"
    (flock -n 9 && say "lock $f") 9<"$f"
done
echo "status x 0 1 exit 0 0 ." >"$base/runs/$1/status" && say status
mkdir "$base/runs/next.1" && say next
echo x >>"$FLEET_RUNNER" && say "write the program"
rm -f "$FLEET_RUNNER" && say "rm the program"
(flock -n 9 && say "lock the work") 9<"$work"
(flock -n 9 && say "lock the fleet") 9<"$work/.fleet"
for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    owner=$(stat -c %u "$dir")
    case $(tr "\0" " " <"$dir/cmdline") in fleet-runner*) tr "\0" " " <"$dir/cmdline"; echo ;; esac
    tr "\0" " " <"$dir/cmdline" | grep -i canary && say "canary in ps"
    [ "$owner" = "$(id -u)" ] && continue
    cat "$dir/environ" >/dev/null && say "environ of $pid"
    ls "$dir/fd" && say "fds of $pid"
    kill -0 "$pid" && say "may signal $pid"
    kill -KILL "$pid" && say "killed $pid"
done
sudo -n true && say sudo
sudo -n -u slot-2 true && say "sudo slot-2"
su -c true && say su
"$FLEET_RUNNER" every 60606 9 && say "every"
rm -rf "$work/tasks/o" "$work/tasks/elsewhere" && say "rm of another's"
mv "$work/tasks/o" "$work/tasks/p" && say "mv of another's"
grep -rl canary /proc/self/fd/ && say "canary in a descriptor"
echo done
EOF
start c.1 1 $N 60 1000000 "set -- c.1; $(cat "$TEST_DIR/attack.sh")" >/dev/null
wait_for 60 "the attacks" ended c.1
check "they came to their end" grep -qx "done" "$DIR/c.1/out"
check "nothing of the runner's is read, written, locked, signalled or forged" eval '! grep "^got" "$DIR/c.1/out"'
check "no nonce is to be seen in a command line" eval '! grep -F "$N" "$DIR/c.1/out"'
check "... nor in the environment" eval 'start d.1 1 $N 60 100000 "env; cat /proc/self/environ" >/dev/null; ended d.1; grep -q FLEET_RUN= "$DIR/d.1/out" && ! grep -F "$N" "$DIR/d.1/out"'
check "the end is the supervisor's word" fields c.1 state=ended reason=exit exit=0
check "the other run goes on" fields o.1 state=running reason=-
check "... with its folder" test -f "$TASKS/o/own"
check "what is another's is whole" test -f "$TASKS/elsewhere/file"

# --- one at a time, and its end ---

start_words=(run_as=slot-2)
check "a second run in an account: refused" says 'refused reason=account_busy' start e.1 1 $N 60 1000 true
check "... and prepared" is e.1 state prepared
check "the first one is stopped" says stopping call stop o.1 1 $N 1 1 cancelled
wait_for 20 "its end" ended o.1
check "... by the signals of a stop" fields o.1 reason=cancelled exit=130
check "the account is free" says started start e.1 1 $N 60 1000 true
wait_for 20 "its end" ended e.1
start_words=(run_as=slot-1)
start f.1 1 $N 60 100000 'trap "echo int; exit 5" INT; echo up; while :; do sleep 1000 & wait; done' >/dev/null # payload: sleep
wait_for 20 "it runs" is f.1 out 3
call stop f.1 1 $N 2 1 cancelled >/dev/null
wait_for 20 "its end" ended f.1
check "INT comes to the agent, which ends as it likes" eval 'fields f.1 reason=cancelled exit=5 && stdout_is f.1 $'"'up\\nint'"
start g.1 1 $N 60 100000 'trap "" INT TERM; (setsid env -i sh -c "trap \"\" INT TERM HUP; while :; do sleep 1; done" &) ; echo up; while :; do sleep 1; done' >/dev/null # payload: sleep
wait_for 20 "it runs" is g.1 out 3
call stop g.1 1 $N 1 1 cancelled >/dev/null
wait_for 20 "its end" ended g.1
check "what takes no signal, and what shed session and mark, are killed" eval 'fields g.1 reason=cancelled exit=137 && nothing_of slot-1'
start h.1 1 $N 2 100000 "$hang" >/dev/null
wait_for 30 "the end by its time" ended h.1
check "the time holds" fields h.1 reason=timed_out
start i.1 1 $N 60 100000 '(setsid sleep 1000 &); exit 3' >/dev/null # payload: sleep
wait_for 30 "its end" ended i.1
check "what is left behind is ended, too" eval 'fields i.1 reason=exit exit=3 && nothing_of slot-1'

# --- a supervisor that was killed ---

start k.1 1 $N 600 100000 "echo up; $hang" >/dev/null
wait_for 20 "it runs" is k.1 out 3
kill -KILL "$(supervisor k.1)"
wait_for 20 "an orphan" is k.1 state orphaned
check "an orphan is found by its account, and stopped" says stopping call stop k.1 1 $N 1 1 cancelled
wait_for 20 "... and lost" is k.1 state lost
check "... whole" nothing_of slot-1
start l.1 1 $N 600 100000 "echo up; $hang" >/dev/null
wait_for 20 "it runs" is l.1 out 3
kill -KILL "$(supervisor l.1)"
wait_for 20 "an orphan" is l.1 state orphaned
check "a new run ends first what lives in its account" says started start m.1 1 $N 600 100000 "echo up; $hang"
wait_for 20 "it runs" is m.1 out 3
check "... so that the old one is lost" is l.1 state lost
check "... and a stop of that one ends nothing of the new one" eval 'call stop l.1 1 $N 0 1 cancelled >/dev/null; is m.1 state running'
call stop m.1 1 $N 0 1 cancelled >/dev/null
wait_for 20 "its end" ended m.1

# --- folders ---

start n.1 1 $N 60 100000 'mkdir -p a/b "we ird"; echo x >a/b/file; chmod 640 a/b/file; echo "#!/bin/sh" >run; chmod 755 run; ln -s /etc/shadow link; ln -s a/b d
    mkfifo pipe; printf "" >empty; truncate -s 5G sparse; echo end >>sparse; echo s >secret; chmod 0 secret; mkdir shut; echo y >shut/in; chmod 0 shut; touch -d 2001-01-01 a/b/file' >/dev/null
wait_for 20 "its end" ended n.1
start_words=(run_as=slot-2)
check "a folder goes over to another account" says started start n.2 1 $N 60 100000 'find . ! -name . | LC_ALL=C sort; cat a/b/file shut/in secret; readlink link; stat -c "%a %U %Y" a/b/file run; stat -c %s sparse; tail -c 4 sparse; du -k sparse | cut -f 1'
wait_for 20 "its end" ended n.2
check "... with all that is in it, its modes and times, and its holes" eval '[[ $(cat "$DIR/n.2/out") == "./a
./a/b
./a/b/file
./d
./empty
./link
./run
./secret
./shut
./shut/in
./sparse
./we ird
x
y
s
/etc/shadow
640 slot-2 978307200
755 slot-2 "*"
5368709124
end
"[0-9] ]]'
check "... it is that one's" owner_is "$TASKS/n" "$(uid_of slot-2)"
check "... and no other is left" eval '[[ -z $(find "$TASKS" -name ".*" 2>/dev/null | grep "/tasks/\.") ]]'
start_words=()
check "a run of ours gets it back" says started start n.3 1 $N 60 100000 'cat a/b/file'
wait_for 20 "its end" ended n.3
check "... as it was" eval 'owner_is "$TASKS/n" "$ACCOUNT" && stdout_is n.3 x'
start_words=(run_as=slot-1)
as ln -s /etc "$TASKS/q"
check "a link in place of a folder is none" says started start q.1 1 $N 60 100000 'pwd'
wait_for 20 "its end" ended q.1
check "... and is replaced" stdout_is q.1 "$TASKS/q"
start r.1 1 $N 60 100000 'i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i + 1)); done' >/dev/null
wait_for 20 "its end" ended r.1
start_words=(run_as=slot-2)
check "one that is too deep stays where it is" says 'refused reason=folder' start r.2 1 $N 60 1000 true
check "... whole" owner_is "$TASKS/r" "$(uid_of slot-1)"
check "... and goes all the same" says state call clean r
check "a folder of another account goes" eval 'says state call clean q && [[ ! -e $TASKS/q ]]'
check "... and what was left of it" says state call clean

# --- a repository ---

# shellcheck source=deploy/lib/process.sh
source deploy/lib/process.sh
# shellcheck source=deploy/lib/sshd.sh
source deploy/lib/sshd.sh
# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh
git_begin
git_repository acme/rocket
git_commit acme/rocket main src/a.c "int a;" >/dev/null
git_repository acme/other
repository=$GIT_ROOT/acme/rocket.git
chown -R "$ACCOUNT:$ACCOUNT" "$GIT_ROOT"
work() { call "$1" "w.$2" 1 "$N" w "$2" "$repository" run_as="$3" "${@:4}"; } # prepare|harvest NUMBER ACCOUNT
worked() { has_fields "$(work "${@:2}" 2>&1)" state="$1"; }
agent_git='export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b; '
start_words=(run_as=slot-1)
check "a workspace is prepared for an account" worked ready prepare 1 slot-1
check "... and is its" owner_is "$TASKS/w" "$(uid_of slot-1)"
start w.1 1 $N 60 100000 "$agent_git"'git status --porcelain && git log --oneline | wc -l && cat src/a.c && echo b >>src/a.c && git commit -qam "by the agent" && echo left >left && git fsck 2>&1 | head -n 3
    cat ../../.fleet/f1/stages/w/HEAD; ls ../../.fleet/f1/mirrors' >/dev/null
wait_for 20 "its end" ended w.1
check "git of the agent works there, and sees no stage and no list of mirrors" eval '[[ $(cat "$DIR/w.1/out") == "2
int a;" ]] && [[ $(grep -c "Permission denied" "$DIR/w.1/err") == 2 ]]'
check "what it did is taken in and pushed" worked pushed harvest 1 slot-1 leftovers=1
check "... its commit, and what it left" eval '[[ $(git_at acme/rocket show task/w:src/a.c) == "int a;
b" && $(git_at acme/rocket show task/w:left) == left ]]'
check "... and the workspace is ours" owner_is "$TASKS/w" "$ACCOUNT"
start_words=(run_as=slot-2)
check "the next attempt has another account" worked ready prepare 2 slot-2
start w.2 1 $N 60 100000 "$agent_git"'git log --oneline | wc -l; cat left; echo c >>src/a.c; git commit -qam more; git gc -q; git status --porcelain' >/dev/null
wait_for 20 "its end" ended w.2
check "... which goes on from there" stdout_is w.2 "4
left"
check "... and is pushed" eval 'worked pushed harvest 2 slot-2 && [[ $(git_at acme/rocket show task/w:src/a.c) == *c ]]'
check "what is removed is taken over, too, and nothing of it is lost" eval 'worked ready prepare 3 slot-1 && work remove 3 slot-1 >"$TEST_DIR/removed" && [[ ! -e $TASKS/w ]] || { cat "$TEST_DIR/removed"; false; }'

# --- check-hosts ---

cat >"$TEST_DIR/check.yaml" <<END
database: { url: "postgresql://nobody@127.0.0.1:1/none" }
adapters:
  my-agent: { command: [ my-agent ], output: text }
hosts:
  - { host_id: h, hostname: localhost, work_dir: $TEST_DIR/checked, agents: [
      { agent_type: my-agent, isolation: separate, run_as: [ slot-1, slot-2 ], max_concurrency: 2, sandbox: bwrap } ] }
END
install -d -o "$ACCOUNT" -m 700 "$TEST_DIR/checked"
checks() { as env USER=agent "$BUILD/fleet-worker" --config "$TEST_DIR/check.yaml" check-hosts --timeout 60 >"$TEST_DIR/checked.text" 2>&1; }
shows() { tr -s ' \n' ' ' <"$TEST_DIR/checked.text" | grep -qF "$1" || { cat "$TEST_DIR/checked.text"; return 1; }; }
check "check-hosts: an agent that no account finds" eval '! checks && shows "FAILED accounts my-agent: slot-1 does not find my-agent"'
for slot in "${slots[@]}"; do
    mkdir -p "$TEST_DIR/homes/$slot/bin"
    printf '#!/bin/sh\n' >"$TEST_DIR/homes/$slot/bin/my-agent"
    chmod 755 "$TEST_DIR/homes/$slot/bin/my-agent"
    echo 'PATH=$HOME/bin:$PATH' >"$TEST_DIR/homes/$slot/.profile"
done
mv "$TEST_DIR/homes/slot-1/.profile" "$TEST_DIR/homes/slot-1/.profile.good"
echo 'trap "" HUP; exec sleep 1000' >"$TEST_DIR/homes/slot-1/.profile" # payload: sleep
check "... a login file of one that hangs" eval '! checks && shows "FAILED accounts my-agent: slot-1 does not find my-agent"'
mv "$TEST_DIR/homes/slot-1/.profile.good" "$TEST_DIR/homes/slot-1/.profile"
check "... all is well" eval 'checks && shows "ok accounts my-agent: each of 2 can be used, finds its agent, and reads nothing of"'
grep -oE "echo '.* NOPASSWD: ALL'" "$TEST_DIR/checked.text" | cut -d"'" -f2 >"$TEST_DIR/etc/rule"
check "... its line is one of sudo's" eval '[[ -s $TEST_DIR/etc/rule ]] && visudo -cqf "$TEST_DIR/etc/rule"'
check "... and nothing is left of the check" eval '[[ -z $(find "$TEST_DIR/checked/.fleet" -mindepth 1 -name "check-*") ]]'
as chmod 755 "$TEST_DIR/checked/.fleet"
check "... a folder that an account can read" eval '! checks && shows "FAILED accounts my-agent: slot-1 can read, or write to,"'
as chmod 711 "$TEST_DIR/checked/.fleet"
echo "agent ALL=(slot-1) NOPASSWD: ALL" >"$TEST_DIR/etc/sudoers"
check "... an account that sudo does not give" eval '! checks && shows "FAILED accounts my-agent: slot-2 cannot be used: sudo: a password is required"'
