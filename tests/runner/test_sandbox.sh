# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # texts are for jobs; variables are of, or for, tests/runner/lib.sh
# An agent in bubblewrap's sandbox: what it sees, where it may write, how it is stopped, and a host that has none.

try_sandbox() { as bwrap --ro-bind / / --dev /dev --proc /proc --unshare-pid true; }
if ! command -v bwrap >/dev/null || ! try_sandbox 2>/dev/null; then
    skip "sandboxes" "needs bubblewrap, and a kernel that lets it make namespaces"
    return 0
fi
# A host that does not lie below /tmp, which sandboxes have of their own.
mount -t tmpfs -o mode=755 fleet /srv || { fail "a place for a host"; return 0; }
WORK=/srv/host BASE=/srv/host/.fleet/f1 TASKS=/srv/host/tasks DIR=/srv/host/.fleet/f1/runs
export HOME=/srv/home
mkdir -p "$WORK" "$HOME"
[[ $ACCOUNT == "$EUID" ]] || chown "$ACCOUNT:$ACCOUNT" "$WORK" "$HOME"
as mkdir -p "$TASKS" "$BASE/bin"
RUNNER=$BASE/bin/fleet-runner-$HASH
as cp "$PROGRAM" "$RUNNER"
start_words=(sandbox=1)

# --- what it sees ---

as mkdir -p "$BASE/mirrors/secret-00112233445566778899aabbccddeeff/objects" "$BASE/stages/other/objects" "$TASKS/other" "$HOME/.agent"
as sh -c 'echo canary >"$1/mirrors/secret-00112233445566778899aabbccddeeff/objects/file"; echo canary >"$2/other/file"; echo own >"$3/.agent/login"' sh "$BASE" "$TASKS" "$HOME"
as mkdir -p "$BASE/mirrors/mine-ffeeddccbbaa99887766554433221100/objects" "$BASE/stages/s/objects" "$TASKS/s/.git/objects/info"
as sh -c 'printf "%s\n" "$1/stages/s/objects" "$1/mirrors/mine-ffeeddccbbaa99887766554433221100/objects" "$1/runs/x/objects" "$1/stages/other/objects" "$1/mirrors/../runs/objects" >"$2/s/.git/objects/info/alternates"' \
    sh "$BASE" "$TASKS"
as sh -c 'echo mine >"$1/mirrors/mine-ffeeddccbbaa99887766554433221100/objects/file"' sh "$BASE"
echo outside >"$TEST_DIR/outside" && chmod 666 "$TEST_DIR/outside"
cat >"$TEST_DIR/look.sh" <<'EOF'
work=${PWD%/tasks/*} base=${PWD%/tasks/*}/.fleet/f1
exec 2>/dev/null
echo "pwd ${PWD##*/}"
cat
echo x >here && echo "writes here"
echo x >"$TMPDIR/tmp" && echo "writes TMPDIR $TMPDIR"
touch "$HOME/.agent/new" && echo "writes ~/.agent"
for d in "$HOME" /etc /usr /var/tmp "$work" "$base/bin"; do touch "$d/new" && echo "got: writes $d"; done
ls -A "$base" | tr '\n' ' '; echo
ls -A "$base/mirrors" "$base/stages" "$work/tasks" | tr '\n' ' '; echo
cat "$base/mirrors/mine-ffeeddccbbaa99887766554433221100/objects/file"
ls -A /tmp | tr '\n' ' '; echo
[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 8 ] && echo "own processes"
cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep '[s]upervise ' && echo "got: a supervisor"
grep -rs canary "$work" && echo "got: canary"
ls /proc/self/fd | tr '\n' ' '; echo
kill -KILL 1 && kill -0 1 && echo "its first process stays"
trap 'echo term' TERM; kill -TERM $$
[ "$(sh -c 'kill -INT $$; echo on')" = on ] || echo "takes INT"
exit 9
EOF
# shellcheck disable=SC2088 # for the runner
start_words=(sandbox=1 writable='~/.agent')
check "a run in a sandbox starts" says started start s.1 1 $N 60 100000 "$(cat "$TEST_DIR/look.sh")" 'the prompt
'
wait_for 20 "its end" ended s.1
check "... and ends as it says" fields s.1 state=ended reason=exit exit=9
check "... in its folder, with its prompt, its own /tmp and processes, and what its repository borrows" stdout_is s.1 "pwd s
the prompt
writes here
writes TMPDIR /tmp
writes ~/.agent
bin mirrors stages 
$BASE/mirrors: mine-ffeeddccbbaa99887766554433221100  $BASE/stages: s  $TASKS: s 
mine
tmp 
own processes
0 1 2 3 
its first process stays
term
takes INT"
check "... what it wrote is there" eval '[[ -f $TASKS/s/here && -f $HOME/.agent/new ]]'
check "... its script lies nowhere, and its TMPDIR is gone" eval '[[ -z $(find "$DIR/s.1" -name job.sh) && -z $(ls -A "${BASE%/*}/tmp") ]]'
start_words=(sandbox=1 writable='~/new/folder/')
start f.1 1 $N 60 100000 'echo x >"$HOME/new/folder/file" && echo made' >/dev/null
wait_for 20 "its end" ended f.1
check "a folder that is named with a slash is made" stdout_is f.1 made
start_words=(sandbox=1)

# --- how it ends ---

start i.1 1 $N 60 100000 'trap "echo int; exit 5" INT; echo up; while :; do sleep 0.1; done' >/dev/null # payload: sleep
wait_for 20 "it runs" is i.1 out 3
call stop i.1 1 $N 20 1 cancelled >/dev/null
wait_for 15 "its end" ended i.1
check "INT comes to the agent, which ends as it likes" eval 'fields i.1 reason=cancelled exit=5 && stdout_is i.1 $'"'up\\nint'"
start t.1 1 $N 60 100000 'trap "" INT TERM; (trap "" INT TERM; setsid env -i sleep 1000 &); echo up; while :; do sleep 1; done' >/dev/null # payload: sleep
wait_for 20 "it runs" is t.1 out 3
call stop t.1 1 $N 1 1 cancelled >/dev/null
wait_for 20 "its end" ended t.1
check "what takes no signal is killed, with all of it" eval 'fields t.1 reason=cancelled exit=137 && until_true 10 no_process'
start k.1 1 $N 60 100000 'trap "" INT TERM; echo up; while :; do kill -KILL -1 2>/dev/null; done' >/dev/null
wait_for 20 "it runs" is k.1 out 3
call stop k.1 1 $N 1 1 cancelled >/dev/null
wait_for 20 "its end" ended k.1
check "one that kills whatever it sees does not see us" eval 'fields k.1 reason=cancelled exit=137 && until_true 10 no_process'
start l.1 1 $N 60 100000 '(setsid sleep 1000 &); exit 3' >/dev/null # payload: sleep
wait_for 20 "its end" ended l.1
check "what is left behind ends with it" eval 'fields l.1 reason=exit exit=3 && until_true 10 no_process'
start o.1 1 $N 60 100000 "echo up; $hang" >/dev/null
wait_for 20 "it runs" is o.1 out 3
kill -KILL "$(supervisor o.1)"
wait_for 20 "the end of all of it with its supervisor" no_process
check "... which is lost" is o.1 state lost

# --- a host without ---

printf '%s\n' '#!/bin/sh' 'echo "bwrap: setting up uid map: Permission denied" >&2; exit 1' >"$TEST_DIR/bwrap"
chmod 755 "$TEST_DIR/bwrap"
mount --bind "$TEST_DIR/bwrap" "$(readlink -f "$(command -v bwrap)")"
check "a kernel that forbids it: refused" says 'refused reason=sandbox_missing' start n.1 1 $N 60 1000 true
check "... the greeting says why" eval 'call hello look bwrap | grep -qx "sandbox bubblewrap cannot make one here: bwrap: setting up uid map: Permission denied"'
check "... and nothing was started" is n.1 state prepared
start_words=()
check "... without one it runs" says started start n.1 1 $N 60 1000 true
umount "$(readlink -f "$(command -v bwrap)")"
wait_for 20 "its end" ended n.1
check "a host that can: the greeting says so" eval 'call hello look bwrap | grep -qx "sandbox -"'
