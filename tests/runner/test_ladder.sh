# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# What tries to outrun its supervisor, to hold it, or to spoil its last steps.

forge='d=$(echo "$PWD" | sed "s,/tasks/.*,/.fleet/f1/runs/,")${FLEET_RUN%.*}; '

# --- 40 chains: each process starts another in a session of its own, without the mark, and ends ---

# Whatever goes wrong, there are not many: the limit counts the dead that nobody reaped, too.
printf '%s\n' 'ulimit -u 1000 || exit 9' "trap '' INT TERM" 'echo up' \
    "for _ in {1..40}; do /bin/sh $TEST_DIR/jobs/chain & done" "$hang" >"$TEST_DIR/jobs/chains"
printf '%s\n' '/bin/sleep 0.9' 'env -i setsid /bin/sh "$0" &' >"$TEST_DIR/jobs/chain" # payload: sleep
start f.1 1 $N 600 10000 "exec bash $TEST_DIR/jobs/chains" >/dev/null
wait_for 10 "f.1" is f.1 out 3
many() { [[ $(processes | wc -l) -ge 40 ]]; }
wait_for 20 "the chains" many
# The first links have ended: those that live are known by nothing but who is above them.
second_links() { [[ $(pgrep -u "$ACCOUNT" -P "$(supervisor f.1)" -f jobs/chain | wc -l) -ge 20 ]]; }
wait_for 20 "the second links" second_links
check "chains that shed session, group and mark: stop" says stopping call stop f.1 1 $N 0 1 cancelled
wait_for 60 "their end" ended f.1
check "... cancelled, proven" eval 'fields f.1 reason=cancelled exit=137 && field f.1 proof | grep -q no_child_left'
check "... and no process is left" eval 'until_true 5 no_process || no_process'

# --- below the agent, and in nothing else of it ---

printf '%s\n' "trap 'echo term >$TEST_DIR/jobs/heard; exit' TERM" 'echo up' \
    '/bin/sleep 1000 & wait' >"$TEST_DIR/jobs/listens" # payload: sleep
start d.1 1 $N 60 10000 "trap : TERM; env -i setsid /bin/sh $TEST_DIR/jobs/listens & wait; wait; exit 3" >/dev/null
wait_for 10 "d.1" is d.1 out 3
check "a child's child that shed session, group and mark: stop" says stopping call stop d.1 1 $N 0 5 cancelled
wait_for 20 "its end" ended d.1
check "... is asked first, as the agent is" test -s "$TEST_DIR/jobs/heard"
check "... which ends behind it" fields d.1 reason=cancelled exit=3

# --- a supervisor that its agent stopped ---

start s.1 1 $N 60 10000 'echo up; kill -STOP $PPID; '"$hang" >/dev/null
stopped() { grep -q '^State:.*T' "/proc/$(supervisor s.1)/status"; }
wait_for 10 "the supervisor to be stopped" stopped
check "a supervisor that its agent stopped: stop" says stopping call stop s.1 1 $N 1 1 cancelled
wait_for 10 "its end" ended s.1
check "... is heard" fields s.1 reason=cancelled exit=130

# --- what bears the mark, and is nobody's descendant ---

start o.1 1 $N 60 10000 "echo up; $hang" >/dev/null
wait_for 10 "o.1" is o.1 out 3
as env FLEET_RUN=o.1.$N sh -c 'trap "" INT TERM; echo up; exec tail -f /dev/null' >"$TEST_DIR/jobs/marked" &
wait_for 5 "it" test -s "$TEST_DIR/jobs/marked"
as env OF=FLEET_RUN=o.1.$N sh -c 'echo $$; exec tail -f /dev/null' >"$TEST_DIR/jobs/other" &
wait_for 5 "it" test -s "$TEST_DIR/jobs/other"
check "a run with a marked process beside it: stop" says stopping call stop o.1 1 $N 0 1 cancelled
wait_for 10 "its end" ended o.1
check "... ends both" fields o.1 reason=cancelled
check "... and nobody who has its mark within other words" kill -KILL "$(cat "$TEST_DIR/jobs/other")"
check "... nothing else is left" eval 'until_true 5 no_process || no_process'
ends="until [ -e $TEST_DIR/jobs/ends ]; do /bin/sleep 0.1; done" # payload: sleep
printf '%s\n' "trap 'echo term; exit' TERM" 'echo up' "$ends" '/bin/sleep 0.6' 'echo done' >"$TEST_DIR/jobs/lingers" # payload: sleep
start o.2 1 $N 60 10000 "echo up; $ends" >/dev/null
wait_for 10 "o.2" is o.2 out 3
as env FLEET_RUN=o.2.$N sh "$TEST_DIR/jobs/lingers" >"$TEST_DIR/jobs/lingered" &
wait_for 5 "it" test -s "$TEST_DIR/jobs/lingered"
: >"$TEST_DIR/jobs/ends"
wait_for 20 "the end" ended o.2
check "a marked process that an agent leaves: it is looked for again, and has time to end" test "$(tail -n 1 "$TEST_DIR/jobs/lingered")" = 'done'

# --- what it writes at the end ---

start t.1 1 $N 60 10000 "$forge"'echo one; until [ -s "$d/out" ]; do :; done; echo two >>"$d/out"; '"$hang" >/dev/null
start t.2 1 $N 60 10000 "$forge"'echo one; until [ -s "$d/out" ]; do :; done; : >"$d/out"; echo two; '"$hang" >/dev/null
start t.3 1 $N 60 10000 "$forge"'echo one; until [ -s "$d/out" ]; do :; done; rm "$d/out"; echo two >"$d/out"' >/dev/null
start t.4 1 $N 60 10000 "$forge"'rm -r "$d"/up.*; mkdir -p "$d/status/a/b"; echo x >"$d/status/a/b/c"; chmod 0 "$d/status/a"' >/dev/null
start t.5 1 $N 60 10000 'cd "$TMPDIR" && for i in $(seq 400); do mkdir d && cd d; done; chmod 0 "$TMPDIR/d"; ln -s / "$TMPDIR/root"' >/dev/null
wait_for 10 "the end" ended t.2
wait_for 10 "the end" ended t.3
wait_for 10 "the end" ended t.4
wait_for 20 "the end" ended t.5
check "output that an agent cut is written no further" fields t.2 reason=output_tampered
check "output that it replaced is said" fields t.3 reason=output_tampered exit=0
check "its status goes over whatever lies there, without its reserve" fields t.4 reason=exit exit=0
check "a TMPDIR of 400 levels is removed" test -z "$(find "${BASE%/*}/tmp" -name '*.t.5')"
check "output that grew: it runs until it writes" fields t.1 state=running
call stop t.1 1 $N 0 1 run_lost >/dev/null
wait_for 10 "the end" ended t.1
check "... and its first reason stays" fields t.1 reason=run_lost
