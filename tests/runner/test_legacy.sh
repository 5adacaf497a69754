# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# Runs that the shell script of before left on the host, alive or ended: read, followed and stopped as ours.

as mkdir -p "$BASE/bin" "$DIR"
as cp tests/runner/old_supervisor.sh "$BASE/bin/runner-0123.sh"
old_start() { # run epoch job
    as mkdir -p "$DIR/$1/up.$2" "$TASKS"
    as sh -c 'echo "$2" >"$1/nonce"; echo "$3" >"$1/epoch"; : >"$1/lock"; echo "$4" >"$1/up.$3/job.sh"' sh "$DIR/$1" "$N" "$2" "$3"
    (cd "$BASE" && as setsid /bin/sh bin/runner-0123.sh "$BASE" supervise "$1" "$2" "$N" 60 100000 "${1%.*}" </dev/null >/dev/null 2>&1 &)
}

old_start ended.1 2 'seq 1000; echo to-err >&2; exit 7'
old_start lives.1 1 "echo up; $hang"
old_start killed.1 1 "echo up; $hang"
mkfifo "$TEST_DIR/go"
chmod 666 "$TEST_DIR/go"
old_start follow.1 1 "seq 1000; read x <$TEST_DIR/go; seq 1001 2000; exit 3"
wait_for 30 "the end" ended ended.1
check "one that ended is read" fields ended.1 epoch=2 exit=7 reason=exit err=7 eend=7 out=3893 oend=3893
check "... start: exists" says exists start ended.1 2 $N 600 1000 'echo x'
check "... by an old owner: fenced" says 'fenced epoch=2' start ended.1 1 $N 600 1000 'echo x'
check "... void: started" says started call void ended.1 2 $N
fetch ended.1 >/dev/null
check "... its output" cmp <(seq 1000) "$TEST_DIR/jobs/out"
check "... gc removes it" eval 'call gc ended.1 2 $N >/dev/null; [[ ! -e $DIR/ended.1 ]]'

wait_for 30 "output" is lives.1 out 3
check "one that lives is running" fields lives.1 state=running pid="$(supervisor lives.1)"
check "... whatever lies in its file" eval 'as sh -c "echo 1 1 1 1 >\"$DIR/lives.1/go/supervisor\""; fields lives.1 state=running'
check "... is raised" has_fields "$(call raise lives.1 2 $N)" state state=running epoch=2
check "... fences the old owner" says 'fenced epoch=2' call stop lives.1 1 $N 1 1 cancelled
check "... is stopped its own way" says stopping call stop lives.1 2 $N 1 1 cancelled
wait_for 30 "the end" ended lives.1
check "... and says why" fields lives.1 reason=cancelled exit=143

(echo "watch follow.1 $N $TEST_DIR/jobs/follow - until=ended"; echo wait) | channel >"$TEST_DIR/follow" &
some() { [[ -s $TEST_DIR/jobs/follow ]]; }
wait_for 30 "its beginning" some
echo >"$TEST_DIR/go"
wait
check "one that lives is followed to its end" grep -q 'state=ended.* exit=3' "$TEST_DIR/follow"
check "... byte for byte" cmp <(seq 2000) "$TEST_DIR/jobs/follow"
check "... and is never said to be tampered with" eval '! grep -q tampered "$TEST_DIR/follow"'

wait_for 30 "output" is killed.1 out 3
kill -KILL "$(supervisor killed.1)"
check "a script that is killed leaves children that bear its words" pgrep -u "$ACCOUNT" -f 'supervise killed.1'
wait_for 30 "orphaned" is killed.1 state orphaned
pgrep -u "$ACCOUNT" -f 'supervise killed.1' | while read -r pid; do kill -KILL "$pid"; done
check "an orphan of the script is stopped" says stopping call stop killed.1 1 $N 0 1 cancelled
wait_for 30 "lost" is killed.1 state lost

call raise void.1 3 $N >/dev/null
as sh -c 'mkdir "$1/go" && echo 3 >"$1/go/void"' sh "$DIR/void.1"
check "a tombstone of the script" fields void.1 state=void
check "... is one for a start" says void start void.1 3 $N 600 1000 'echo x'
