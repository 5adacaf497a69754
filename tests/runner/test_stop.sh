# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# How a run is stopped, by whom and when, and that nothing of it is left.

# What takes its time anyway is started first, and looked at last.
start t.1 1 $N 3 10000 "trap '' INT TERM; echo up; /bin/sleep 1000 & $hang" >/dev/null # payload: sleep
start t.2 1 $N 3 10000 "trap 'exit 9' TERM; echo up; /bin/sleep 1000 & wait" >/dev/null # payload: sleep
start b.1 1 $N 600 1000 "/bin/sleep 1000 & echo hi" >/dev/null # payload: sleep
start b.2 1 $N 600 1000 'env -i setsid /bin/sleep 1000 & echo $! >pid; echo hi' >/dev/null # payload: sleep
start b.3 1 $N 600 1000 "setsid /bin/sleep 1000 >/dev/null 2>&1 & echo hi" >/dev/null # payload: sleep

start s.1 1 $N 600 10000 'trap "echo int" INT; trap "echo term; exit 5" TERM; echo up; /bin/sleep 1000 & while :; do wait; done' >/dev/null # payload: sleep
start s.2 1 $N 600 10000 "trap '' INT TERM; echo up; /bin/sleep 1000 & $hang" >/dev/null # payload: sleep
start s.4 1 $N 600 10000 "trap '' INT TERM; echo up; /bin/sleep 1000 & $hang" >/dev/null # payload: sleep
start s.3 1 $N 600 10000 "echo up; setsid /bin/sleep 1000 & $hang" >/dev/null # payload: sleep
for run in s.1 s.2 s.3 s.4; do wait_for 30 "$run" is $run out 3; done
check "start: its caller's channel is free while the job runs" is s.2 state running
check "stop: fenced" says 'fenced epoch=2' eval 'call raise s.2 2 $N >/dev/null; call stop s.2 1 $N 0 1 cancelled'
check "... changes nothing" is s.2 state running
check "stop by another nonce stops nothing" has_fields "$(call stop s.2 9 $M 0 1 cancelled)" state state=foreign
check "a reason that is none of ours is refused" says 'refused reason=usage' call stop s.2 2 $N 0 1 because
check "stop" says stopping call stop s.1 1 $N 5 5 cancelled
check "stop again keeps the first reason" says stopping call stop s.1 1 $N 1 2 silence_timeout
call stop s.4 1 $N 0 60 silence_timeout >/dev/null # which lasts
began=$EPOCHREALTIME
check "stop without INT" says stopping call stop s.2 2 $N 0 1 silence_timeout
wait_for 30 "the end" ended s.2
took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print int((b - a) * 1000) }')
check "stop: KILL comes no sooner than it should ($took ms)" test "$took" -ge 1000
check "stop: nor later, as for one that has longer" is s.4 state running
check "stop of two sessions" says stopping call stop s.3 1 $N 1 1 cancelled
for run in s.1 s.3; do wait_for 30 "the end" ended $run; done
check "stop: INT, then TERM" stdout_is s.1 $'up\nint\nterm'
check "stop: its reason and the job's exit" fields s.1 reason=cancelled exit=5
check "stop: KILL for what ignores both" fields s.2 reason=silence_timeout exit=137
check "stop: nothing marked is left" unmarked s.2
check "stop: nor in another session" unmarked s.3
check "stop: what was looked at is said" grep -q 'no_child_left.*children.*mark' <<<"$(field s.3 proof)"

# --- the first cause stays ---

start f.1 1 $N 600 50000 'trap "yes" INT TERM; echo up; /bin/sleep 1000 & while :; do wait; done' >/dev/null # payload: sleep
wait_for 30 "f.1" is f.1 out 3
call stop f.1 1 $N 2 1 cancelled >/dev/null
wait_for 30 "the end" ended f.1
check "stopped, then over its cap: cancelled all the same" fields f.1 reason=cancelled out=50000
# Its time-out comes while the ladder is at TERM: that timer is none of the ladder's.
start f.2 1 $N 12 10000 "trap '' TERM; echo up; $hang" >/dev/null
wait_for 30 "f.2" is f.2 out 3
began=$EPOCHREALTIME
call stop f.2 1 $N 0 14 provider_down >/dev/null
wait_for 30 "the end" ended f.2
took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print int((b - a) * 1000) }')
check "an older timer that runs out during a stop shortens nothing ($took ms)" test "$took" -ge 13900
check "... nor changes the reason" fields f.2 reason=provider_down

# --- limits ---

start c.1 1 $N 600 100000 'yes' >/dev/null
start c.2 1 $N 600 5000 'echo x; yes >&2' >/dev/null
start c.3 1 $N 600 5 'printf 12345' >/dev/null
start c.4 1 $N 600 100000 'yes & yes >&2 & wait' >/dev/null
for run in c.1 c.2 c.3 c.4; do wait_for 30 "the end" ended $run; done
check "the cap stops the run, and the file has exactly its size" fields c.1 reason=output_limit out=100000 oend=100000
check "the cap of stderr" fields c.2 reason=output_limit err=5000 out=2
check "output of just the cap" fields c.3 out=5
check "both at once" eval 'fields c.4 reason=output_limit; [[ $(field c.4 out) -le 100000 && $(field c.4 err) -le 100000 ]]'
check "what lies below the cap is what was written" cmp <(yes | head -c 100000) "$DIR/c.1/out"

# --- what agents try: no process may be left, whoever it says it is ---

# shellcheck disable=SC2016
escapes=(
    'env -i setsid sh -c "(trap \"\" INT TERM HUP; /bin/sleep 1000) & (/bin/sleep 1000 &) ; exit 0" &' # double fork, no mark # payload: sleep
    'exec 0<&- 1>&- 2>&-; env -i setsid -f /bin/sleep 1000; trap "" INT TERM; while :; do /bin/sleep 1000; done' # payload: sleep
    'for i in $(seq 200); do (env -i setsid /bin/sleep 1000 &) & done; wait; trap "" INT TERM; /bin/sleep 1000 & wait' # payload: sleep
    'f() { trap "" INT TERM; while :; do (env -i setsid sh -c "trap \"\" INT TERM; sleep 0.02" &) ; sleep 0.01; done; }; f & f & f & wait' # payload: sleep
    'env -i setsid sh -c "kill -STOP \$\$; /bin/sleep 1000" & kill -STOP $$' # payload: sleep
    'cp /bin/sleep ./innocent; env -i setsid ./innocent 1000 & trap "" INT TERM; wait; /bin/sleep 1000' # payload: sleep
)
for i in "${!escapes[@]}"; do
    start "x$i.1" 1 $N 600 10000 "echo up; ${escapes[i]}
        $hang" >/dev/null
done
for i in "${!escapes[@]}"; do wait_for 30 "x$i" is "x$i.1" out 3; done
children() { [[ $(processes | wc -l) -ge 200 ]]; }
wait_for 30 "the escaped to be many" children
for i in "${!escapes[@]}"; do
    call stop "x$i.1" 1 $N 1 1 cancelled >/dev/null
done
for i in "${!escapes[@]}"; do wait_for 30 "the end of x$i" ended "x$i.1"; done
for i in "${!escapes[@]}"; do
    check "escape $i: cancelled, proven" eval 'fields x'"$i"'.1 reason=cancelled && field x'"$i"'.1 proof | grep -q no_child_left'
done

# --- leftovers, time-outs ---

for run in b.1 b.2 b.3; do wait_for 30 "the end" ended $run; done
check "a background child that holds the pipe is killed" fields b.1 exit=0 reason=exit out=3
check "... by its mark" unmarked b.1
check "one that shed mark and session, too" fields b.2 exit=0 out=3
check "... is gone" pid_gone "$(cat "$TASKS/b/pid")"
check "a silent background child is killed too" unmarked b.3
for run in t.1 t.2 s.4; do wait_for 60 "the end" ended $run; done
check "time-out: TERM, then KILL for what ignores it" fields t.1 reason=timed_out exit=137
check "time-out: not before its time" test "$(field t.1 ms)" -ge 13000
check "time-out: the whole group is gone" unmarked t.1
check "time-out: TERM is enough for what obeys" fields t.2 reason=timed_out exit=9
check "nothing of all of them is left" eval 'until_true 5 no_process || no_process'
