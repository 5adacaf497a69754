# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# What an agent may do to its run without making us act wrongly: whatever lies in the files, nobody else is
# signalled, nothing is started a second time, and the run can be stopped.

# At the end of a supervisor the leak sanitizer starts a process that bears the run's mark: a stop of a run that was tampered with would
# end it, and the supervisor wait for it for ever.
ASAN_OPTIONS+=:detect_leaks=0

victim_lives() { kill -0 "$victim"; }
only_victim() { [[ $(processes) == "$victim" ]]; }
as tail -f /dev/null &
host=$!
some_process() { [[ -n $(processes) ]]; }
wait_for 30 "somebody else's process" some_process
victim=$(processes)

# --- a status beside a supervisor that lives ---

forge='d=$(echo "$PWD" | sed "s,/tasks/.*,/.fleet/f1/runs/,")${FLEET_RUN%.*}; n=${FLEET_RUN##*.}; '
start j.1 1 $N 600 10000 "$forge"'echo "status $n 0 1 exit 0 0 ." >"$d/status"; echo up; '"$hang" >/dev/null
start j.2 1 $N 600 10000 "$forge"'echo junk >"$d/status"; echo up; '"$hang" >/dev/null
start j.3 1 $N 600 10000 "$forge"'mkdir "$d/status"; echo up; '"$hang" >/dev/null
start j.4 1 $N 600 10000 "$forge"'echo "status $n 0 1 exit 3 0 ." >"$d/status"; echo up' >/dev/null
for run in j.1 j.2 j.3; do wait_for 30 "$run" stdout_is $run up; done
for run in j.1 j.2 j.3; do
    check "a forged status is no end ($run)" eval '! is '$run' state ended && ! is '$run' state lost'
    check "... start: exists ($run)" says exists start $run 1 $N 600 1000 'echo twice >>../twice'
    check "... gc: stays ($run)" eval "call gc $run 1 $N >/dev/null; [[ -d $DIR/$run ]]"
done
watched() { as timeout 20 "$CLIENT" "$RUNNER" "$BASE" "$HASH" watch "$1" $N - - until=tampered; }
for run in j.1 j.2 j.3; do watched $run >"$TEST_DIR/watched.$run" & done
wait_tampered() { grep -q 'state=tampered reason\|state=tampered' "$TEST_DIR/watched.$1"; }
for run in j.1 j.2 j.3; do wait_for 30 "$run to be said to be tampered with" wait_tampered $run; done
check "it is said what gave it away" grep -q 'state=tampered.* reason=status' "$TEST_DIR/watched.j.1"
for run in j.1 j.2 j.3; do
    check "it is stopped ($run)" says stopping call stop $run 1 $N 0 1 run_tampered
done
for run in j.1 j.2 j.3; do wait_for 30 "the end of $run" ended $run; done
check "... and its supervisor's word replaces the forged one" fields j.1 reason=run_tampered exit=143
check "... whatever lay there" fields j.2 reason=run_tampered
wait_for 30 "the end of j.4" ended j.4
check "a status that was forged before the end is replaced, too" fields j.4 reason=exit exit=0 out=3

# --- the directory ---

start r.1 1 $N 600 10000 "$forge"'echo up; rm -rf "$d"; '"$hang" >/dev/null
start r.2 1 $N 600 10000 "$forge"'echo up; rm -rf "$d"; mkdir "$d"; echo $n >"$d/nonce"; '"$hang" >/dev/null
start r.3 1 $N 600 10000 "$forge"'echo up; mv "$d" "$d.away"; '"$hang" >/dev/null
start r.4 1 $N 600 10000 "$forge"'echo up; rm -rf "$d"; ln -s / "$d"; '"$hang" >/dev/null
start r.5 1 $N 600 10000 "$forge"'echo up; rm -rf "$d/go" "$d/lock" "$d/nonce"; '"$hang" >/dev/null
start r.6 1 $N 600 10000 "$forge"'echo up; rm -rf "$d"; exit 0' >/dev/null
broken() { case $1 in r.1 | r.6) [[ ! -e $DIR/r.1 ]] ;; r.2) [[ ! -e $DIR/r.2/go ]] ;; r.3) [[ -e $DIR/r.3.away ]] ;;
    r.4) [[ -L $DIR/r.4 ]] ;; r.5) [[ ! -e $DIR/r.5/nonce ]] ;; esac; }
for run in r.1 r.2 r.3 r.4 r.5; do wait_for 30 "$run to be broken" broken $run; done
for run in r.1 r.2 r.3 r.4 r.5; do
    check "a run without its directory lives on ($run)" grep -qE ' state=(running|tampered)$' <<<"$(record $run | grep -oE ' state=[a-z]*')"
    check "... is not started again ($run)" eval '! start '$run' 1 $N 600 1000 "echo twice >>../twice" | grep -qx started'
    check "... nor voided ($run)" eval '! call void '$run' 1 $N | grep -qx void'
    check "... and can be stopped ($run)" says stopping call stop $run 1 $N 0 1 run_tampered
done
dead() { [[ $(record "$1") != *' state=running '* && $(record "$1") != *' state=tampered '* && $(record "$1") != *' state=orphaned '* ]]; }
for run in r.1 r.2 r.3 r.4 r.5 r.6; do wait_for 30 "the end of $run" dead $run; done
check "rm -rf, then nothing lives: absent" eval 'is r.1 state absent && is r.6 state absent'
check "nothing was started twice" test ! -e "$TASKS/twice"
wait_for 30 "nothing of them to live" only_victim
start r.7 1 $N 600 10000 "$forge"'echo up; rm -rf "$d"; kill -KILL $PPID; '"$hang" >/dev/null
wait_for 30 "an orphan without directory" is r.7 state orphaned
check "... is stopped" says stopping call stop r.7 1 $N 0 1 run_tampered
wait_for 30 "... and absent" is r.7 state absent

# --- the epoch ---

start e.1 1 $N 600 10000 "$forge"'echo 999999999999 >"$d/epoch"; echo up; '"$hang" >/dev/null
wait_for 30 "e.1" stdout_is e.1 up
check "a huge epoch fences" says 'fenced epoch=999999999999' call stop e.1 1 $N 0 1 run_tampered
check "... until it is called forged" has_fields "$(call raise e.1 2 $N forged=999999999999)" state epoch=2 state=running
check "... and by no other number" eval 'as sh -c "echo 7777777 >\"$DIR/e.1/epoch\""; [[ $(call raise e.1 2 $N forged=999999999999) == "fenced epoch=7777777" ]]'
check "... again" has_fields "$(call raise e.1 2 $N forged=7777777)" state epoch=2
for junk in '' -1 1x 999999999999999999999999999 'a b'; do
    as sh -c 'echo "$2" >"$1/e.1/epoch"' sh "$DIR" "$junk"
    check "epoch '$junk' is raised again" eval 'call raise e.1 2 $N forged=$(($(record e.1 | grep -oE " epoch=[0-9]+" | cut -d= -f2) + 0)) >/dev/null; has_fields "$(call raise e.1 2 $N)" state epoch=2'
done
as sh -c 'rm "$1/e.1/epoch" && ln -s /proc/1/limits "$1/e.1/epoch"' sh "$DIR"
check "a link for an epoch is no obstacle" eval 'call raise e.1 2 $N forged=9223372036854775807 >/dev/null; call raise e.1 2 $N >/dev/null; says stopping call stop e.1 2 $N 0 1 run_tampered'
wait_for 30 "the end" dead e.1

# --- the lock ---

start k.1 1 $N 600 10000 "$forge"'exec 5>>"$d/lock"; flock 5; echo up; '"$hang" >/dev/null
start k.2 1 $N 600 10000 "$forge"'rm "$d/lock"; echo up; '"$hang" >/dev/null
start k.3 1 $N 600 10000 "$forge"'rm "$d/lock"; mkfifo "$d/lock"; echo up; '"$hang" >/dev/null
start k.4 1 $N 600 10000 "$forge"'rm "$d/lock"; mkdir "$d/lock"; echo up; '"$hang" >/dev/null
for run in k.1 k.2 k.3 k.4; do wait_for 30 "$run" stdout_is $run up; done
for run in k.1 k.2 k.3 k.4; do call stop $run 1 $N 0 1 run_tampered >"$TEST_DIR/stop.$run" & done
for pid in $(jobs -p); do [[ $pid == "$host" ]] || wait "$pid"; done
for run in k.1 k.2 k.3 k.4; do
    check "a run whose lock is held, or gone, is stopped ($run)" grep -qx stopping "$TEST_DIR/stop.$run"
    wait_for 30 "the end of $run" dead $run
done

# --- every file of the run ---

for i in {0..7}; do start "h$i.1" 1 $N 600 10000 "echo up; $hang" >/dev/null; done
for i in {0..7}; do wait_for 30 "h$i" is "h$i.1" out 3; done
junk=('printf "group 1\n"' 'head -c 2000000 /dev/urandom' 'printf "1 1 x 1\n"' 'yes 1' 'printf "\0\0\0"' "echo stop $victim" "printf -- '-1 -1 -1 -1'" 'printf "%s\n" ../../../..')
for i in {0..7}; do
    for file in $(cd "$DIR/h$i.1" && find . -type f ! -name nonce ! -name out ! -name err); do
        as sh -c "${junk[i]} 2>/dev/null | head -c 1000000 >\"\$1\"" sh "$DIR/h$i.1/$file"
    done
    as sh -c 'mkfifo "$1/ctl" "$1/stop" "$1/go/ctl" && echo "cancelled 0 1" >"$1/stop.new"' sh "$DIR/h$i.1"
done
check "a nonce is as long as ours" is h1.1 state running
for i in {0..7}; do
    check "junk in every file ($i): it runs" grep -qE ' state=(running|tampered) ' <<<"$(record "h$i.1")"
    epoch=$(record "h$i.1" | grep -oE ' epoch=[0-9]+' | cut -d= -f2)
    call raise "h$i.1" 2 $N forged="${epoch:-0}" >/dev/null
    check "... and is stopped ($i)" says stopping call stop "h$i.1" 2 $N 0 1 run_tampered
done
for i in {0..7}; do wait_for 30 "h$i to end" dead "h$i.1"; done
check "nobody else was signalled" victim_lives
wait_for 30 "nothing of them to live" only_victim

# --- output ---

for i in 1 2 3 4 5 6; do
    start "q$i.1" 1 $N 600 100000 'printf 0123456789; printf "a\0b" >&2; '"$hang" >/dev/null
done
for i in 1 2 3 4 5 6; do wait_for 30 "q$i" is "q$i.1" err 3; done
as truncate -s 5 "$DIR/q1.1/out"
check "a file that shrank is said" fields q1.1 out=5
as ln -sf /etc/passwd "$DIR/q2.1/out"
as sh -c 'rm "$1" && mkfifo "$1"' sh "$DIR/q3.1/out"
as sh -c 'cp "$1" "$1.new" && echo and more >>"$1.new" && mv "$1.new" "$1"' sh "$DIR/q4.1/out"
as sh -c 'cat /dev/zero | head -c 300000 >"$1.new" && mv "$1.new" "$1"' sh "$DIR/q5.1/err"
as rm "$DIR/q6.1/out"
for i in 2 3 4; do
    as timeout 5 "$CLIENT" "$RUNNER" "$BASE" "$HASH" watch "q$i.1" $N "$TEST_DIR/jobs/q$i" - until=tampered >"$TEST_DIR/q$i" &
done
for i in 1 2 3 4 5 6; do call stop "q$i.1" 1 $N 0 1 cancelled >/dev/null; done
for i in 1 2 3 4 5 6; do wait_for 30 "the end" ended "q$i.1"; done
wait_for 30 "the watches to be over" eval '! jobs -r | grep -q watch'
check "a link in its place is not followed" eval '! grep -q root: "$TEST_DIR/jobs/q2"'
check "a pipe in its place does not hang" ended q3.1
check "a larger file in its place is not read" eval '! grep -q "and more" "$TEST_DIR/jobs/q4"'
for i in 2 3 4 5 6; do
    check "output that was replaced ends as such (q$i)" eval 'is '"q$i.1"' reason output_tampered || is '"q$i.1"' reason cancelled'
done

# --- status and nonce afterwards, when nothing lives ---

for i in 1 2 3 4 5 6; do start "p$i.1" 1 $N 600 100000 'echo up' >/dev/null; done
for i in 1 2 3 4 5 6; do wait_for 30 "the end" ended "p$i.1"; done
as sed -i "1s/$N/$M/" "$DIR/p1.1/status"
check "a status with another nonce is invalid" fields p1.1 state=ended reason=status_invalid exit=-
as sh -c 'head -c 5000 /dev/zero >>"$1"' sh "$DIR/p2.1/status"
check "a status of the wrong size is invalid" fields p2.1 state=ended reason=status_invalid exit=-
as sh -c 'cp "$1/status" "$1/other" && ln -sf other "$1/status"' sh "$DIR/p3.1"
check "a link to a proper status is invalid" fields p3.1 state=ended reason=status_invalid exit=-
as sh -c 'cp "$1/nonce" "$1/other" && ln -sf other "$1/nonce"' sh "$DIR/p4.1"
check "a link to our nonce is not ours" fields p4.1 state=foreign
as sh -c 'head -c 1000000 /dev/zero | tr "\0" "\n" >>"$1"' sh "$DIR/p5.1/nonce"
check "a nonce of a megabyte is not ours" fields p5.1 state=foreign
as sed -i '1s/ 0 / 99999999999999999999 /' "$DIR/p6.1/status"
check "a number that is none is invalid" fields p6.1 state=ended reason=status_invalid exit=-

# --- the next run ---

as sh -c 'mkdir "$1/next.1" && truncate -s 1T "$1/next.1/nonce" && echo 1 >"$1/next.1/epoch" && : >"$1/next.1/lock"' sh "$DIR"
began=$SECONDS
check "a directory made beforehand, with a nonce of 1 TiB: refused" says 'refused reason=nonce' start next.1 1 $N 600 1000 'echo x'
check "... and foreign" fields next.1 state=foreign
check "... at once" test $((SECONDS - began)) -le 15
as sh -c 'mkdir "$1/next.2" && mkfifo "$1/next.2/nonce" "$1/next.2/lock"' sh "$DIR"
check "... with pipes: refused" says 'refused reason=nonce' as timeout 20 "$CLIENT" "$RUNNER" "$BASE" "$HASH" void next.2 1 $N
as sh -c 'mkdir "$1/next.3" && echo "$2" >"$1/next.3/nonce" && echo 1 >"$1/next.3/epoch" && : >"$1/next.3/lock" && chmod 0 "$1/next.3"' sh "$DIR" "$N"
check "... without rights: does not hang" eval 'timeout 20 true; call void next.3 1 $N >/dev/null; true'
as chmod 700 "$DIR/next.3"
check "list stands all of it" eval 'call list | tail -n 1 | grep -qx state'
as sh -c 'rm -rf "$1"; echo x >"$1"' sh "${BASE%/*}/tmp"
check "a file in place of tmp/: runs all the same" says started start next.4 1 $N 600 1000 'echo x'

# --- whoever calls itself our supervisor ---

start a.1 1 $N 600 10000 "$forge"'cd /; (exec -a fleet-runner setsid env -i bash -c "trap \"\" INT TERM; exec -a fleet-runner tail -f /dev/null" & ) ; echo up' >/dev/null
wait_for 30 "the end" ended a.1
as sh -c 'printf "%s\n" "#!/bin/bash" "trap \"\" INT TERM HUP; while :; do read -r -t 1000 x <>/dev/null; done" >"$1" && chmod +x "$1"' sh "$TEST_DIR/jobs/supervise"
(cd "$TEST_DIR/jobs" && as env -i setsid bash supervise "$BASE" a.1 1 $N >/dev/null 2>&1 &)
fake() { pgrep -u "$ACCOUNT" -f "bash supervise $BASE a.1" >/dev/null; }
wait_for 30 "a process that calls itself the supervisor" fake
call stop a.1 1 $N 0 1 run_tampered >/dev/null
wait_for 30 "what calls itself a supervisor is no end's obstacle" ended a.1
check "nobody else was signalled" victim_lives
pgrep -u "$ACCOUNT" -f "bash supervise" | while read -r pid; do kill -KILL "$pid"; done
kill -KILL "$victim"
