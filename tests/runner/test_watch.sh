# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# What a channel pushes: records when something changes, output as it comes, and no more than was granted.

# --- latency: pushed, not polled ---

pipe() { rm -f "$TEST_DIR/$1" && mkfifo "$TEST_DIR/$1" && chmod 666 "$TEST_DIR/$1"; }
pipe go
start a.1 1 $N 600 100000 "echo up; read x <$TEST_DIR/go; echo two; read x <$TEST_DIR/go; exit 3" >/dev/null
(echo "watch a.1 $N $TEST_DIR/jobs/a - until=ended"; echo wait) | channel >"$TEST_DIR/a" &
holds() { [[ $(cat "$TEST_DIR/jobs/a") == "$1" ]]; }
wait_for 30 "its first line" holds up
exec 8<>"$TEST_DIR/go" # for both: whoever reads finds no end between two lines
began=$EPOCHREALTIME
echo >&8
wait_for 30 "its second" holds $'up\ntwo'
took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print int((b - a) * 1000) }')
check "a line comes when it is written, not at the next rescan ($took ms)" test "$took" -lt 15000
echo >&8
wait_for 30 "its end" grep -q 'state=ended.* exit=3' "$TEST_DIR/a"
exec 8>&-
wait
check "records: one when it is watched, one when it ended, few between" test "$(grep -c '^1 run' "$TEST_DIR/a")" -le 4

# --- credit ---

start b.1 1 $N 600 2000000 'seq 200000' >/dev/null
wait_for 30 "the end" ended b.1
size=$(field b.1 out)
rm -f "$TEST_DIR/jobs/b"
printf '%s\n' "watch b.1 $N $TEST_DIR/jobs/b - credit=1000" 'pause 500' ping wait hangup | channel >/dev/null
check "no more comes than was granted" test "$(stat -c %s "$TEST_DIR/jobs/b")" -eq 1000
rm -f "$TEST_DIR/jobs/b"
printf '%s\n' "watch b.1 $N $TEST_DIR/jobs/b - credit=1000" 'pause 200' 'credit 1 500000' 'pause 500' ping wait hangup | channel >/dev/null
check "... nor when more is granted" test "$(stat -c %s "$TEST_DIR/jobs/b")" -eq 501000
rm -f "$TEST_DIR/jobs/b"
printf '%s\n' "watch b.1 $N $TEST_DIR/jobs/b - credit=1 until=ended" "credit 1 $((size - 1))" wait | channel >/dev/null
check "... until all is there, byte for byte" cmp <(seq 200000) "$TEST_DIR/jobs/b"

# --- a loud neighbour ---

start loud.1 1 $N 600 1000000000 'yes' >/dev/null
start quiet.1 1 $N 600 100000 'for i in $(seq 20); do echo line $i; /bin/sleep 0.1; done' >/dev/null # payload: sleep
rm -f "$TEST_DIR/jobs/quiet"
(echo "watch loud.1 $N - - credit=4000000000"; echo "watch quiet.1 $N $TEST_DIR/jobs/quiet - until=ended"; echo wait; echo hangup) | channel >"$TEST_DIR/q"
check "a run that writes as fast as it can starves no neighbour" cmp <(for i in {1..20}; do echo "line $i"; done) "$TEST_DIR/jobs/quiet"
check "... nor the channel" says pong call ping
call stop loud.1 1 $N 0 1 cancelled >/dev/null
wait_for 30 "the end" ended loud.1
rm -f "$DIR/loud.1/out"

# --- a reader that is slow, or gone ---

start slow.1 1 $N 600 30000000 'yes' >/dev/null
(echo "watch slow.1 $N - - credit=4000000000"; cat "$TEST_DIR/go") | channel >/dev/null &
exec 8>"$TEST_DIR/go"
wait_for 30 "the end" ended slow.1
check "a run ends whoever watches it" fields slow.1 reason=output_limit
exec 8>&-
wait
check "serve ends with its channel" eval 'until_true 30 no_process'

# --- many watches, many channels ---

for i in {1..40}; do start "m$i.1" 1 $N 600 1000 "echo $i; read x <$TEST_DIR/go.$i" >/dev/null; done
watch_all() { for i in {1..40}; do echo "watch m$i.1 $N $TEST_DIR/jobs/$1.$i - until=ended"; done; echo wait; }
watch_all one | channel >"$TEST_DIR/one" &
watch_all two | channel >"$TEST_DIR/two" &
wait
check "40 runs watched by two channels: each has all 40" test "$(cat "$TEST_DIR/one" "$TEST_DIR/two" | grep -c state=ended)" -ge 80
check "... and all of their output" cmp <(seq 40) <(for i in {1..40}; do cat "$TEST_DIR/jobs/one.$i"; done)
check "... both" cmp <(seq 40) <(for i in {1..40}; do cat "$TEST_DIR/jobs/two.$i"; done)

# --- a run that comes later ---

(echo "watch late.1 $N $TEST_DIR/jobs/late - until=ended"; echo wait) | channel >"$TEST_DIR/late" &
wait_for 30 "it to be absent" grep -q state=absent "$TEST_DIR/late"
start late.1 1 $N 600 1000 'echo here' >/dev/null
wait
check "a watch of what is not there yet sees it come" grep -q 'state=ended' "$TEST_DIR/late"
check "... with its output" test "$(cat "$TEST_DIR/jobs/late")" = here
