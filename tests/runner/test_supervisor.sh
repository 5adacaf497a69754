# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# The supervisor: what it survives, that it sleeps, and what is known when it is gone.

start l.1 1 $N 600 10000 "echo up; $hang" >/dev/null
start l.2 1 $N 600 10000 "echo up; trap '' INT TERM; /bin/sleep 1000 & $hang" >/dev/null # payload: sleep
start l.3 1 $N 600 10000 "echo up; $hang" >/dev/null
for run in l.1 l.2 l.3; do wait_for 30 "output" is $run out 3; done

# --- one process, asleep ---

wait_for 30 "one process a run beside the agents" is_many 7
check "it is the leader of a session of its own" test "$(sed 's/.*) //' "/proc/$(supervisor l.1)/stat" | cut -d' ' -f3,4)" = "$(supervisor l.1) $(supervisor l.1)"
check "it holds no file of the channel open" test -z "$(find "/proc/$(supervisor l.1)/fd" -lname 'socket:*')"
check "its working directory is no obstacle" eval '[[ $(readlink "/proc/$(supervisor l.1)/cwd") != "$TASKS"* ]]'
if [[ $KIND == static ]]; then
    pss=$(awk '/^Pss:/ { print $2 }' "/proc/$(supervisor l.1)/smaps_rollup")
    check "its memory is at most 512 KiB ($pss)" test "$pss" -le 512
fi
agent_of() { local pid; read -r pid _ <"/proc/$1/task/$1/children"; echo "$pid"; }
check "the kernel would rather kill the agent" test "$(cat "/proc/$(supervisor l.1)/oom_score_adj")" -lt "$(cat "/proc/$(agent_of "$(supervisor l.1)")/oom_score_adj")"
for signal in HUP INT TERM QUIT PIPE USR1 USR2 ALRM TSTP; do
    kill -$signal "$(supervisor l.1)"
done
kill -RTMIN+3 "$(supervisor l.1)" # that of a stop, which says of no reason here
check "it survives every signal that can be survived" is l.1 state running
if [[ $KIND != static ]] || ! command -v strace >/dev/null; then
    skip "a supervisor makes no system call" "needs strace, and a program without sanitizer"
else
    strace -f -o "$TEST_DIR/calls" -p "$(supervisor l.1)" 2>"$TEST_DIR/strace" &
    strace=$!
    wait_for 30 "strace" grep -q attached "$TEST_DIR/strace"
    PATIENCE=1 until_true "${QUIET_SECS:-5}" false
    check "for ${QUIET_SECS:-5} s it makes no system call" test "$(grep -vc 'restart_syscall\|epoll_wait\|epoll_pwait\|detached' "$TEST_DIR/calls")" -eq 0
    check "... and sleeps in one" test "$(wc -l <"$TEST_DIR/calls")" -le 1
    kill -INT "$strace"
    wait "$strace"
fi

# --- gone ---

boot=$(field l.1 boot)
known="pid=$(supervisor l.2) start=$(field l.2 start) boot=$boot"
kill -KILL "$(supervisor l.1)" "$(supervisor l.2)"
wait_for 30 "orphaned" is l.1 state orphaned
check "start of an orphan: exists" says exists start l.1 1 $N 600 1000 'echo x'
check "void of an orphan: started" says started call void l.1 1 $N
check "gc of an orphan: not removed" eval 'call gc l.1 1 $N >/dev/null; [[ -d $DIR/l.1 ]]'
check "stop of an orphan" says stopping call stop l.1 1 $N 0 1 cancelled
wait_for 30 "lost" is l.1 state lost
check "a lost supervisor: orphaned while marked processes live, then lost" unmarked l.1
check "an orphan that ignores INT and TERM" says stopping call stop l.2 1 $N 1 1 cancelled
wait_for 30 "lost" is l.2 state lost
check "... is killed" unmarked l.2
# shellcheck disable=SC2086 # words
check "what the database knows of a supervisor that is gone changes nothing" has_fields "$(call watch l.2 $N - - until=record $known)" state=lost
check "gc of a lost run removes it" eval 'call gc l.1 1 $N >/dev/null; [[ ! -d $DIR/l.1 ]]'

check "nor does another process that has its number now" \
    has_fields "$(call watch l.2 $N - - until=record pid="$(supervisor l.3)" start=1 boot="$boot")" state=lost
check "... or had it at another boot" \
    has_fields "$(call watch l.2 $N - - until=record pid="$(supervisor l.3)" start="$(field l.3 start)" boot=none-1)" state=lost

# --- a supervisor is known by what it is, not by what lies in a file ---

start l.5 1 $N 600 10000 "echo up; $hang" >/dev/null
wait_for 30 "output" is l.5 out 3
as rm -r "$DIR/l.5/go"
check "without what tells of its start it is no tombstone" says started call void l.5 1 $N
check "... nor started again" says exists start l.5 1 $N 600 1000 'echo x'
check "... and is stopped" says stopping call stop l.5 1 $N 0 1 cancelled
pid=$(supervisor l.3)
as sed -i "s/^\([0-9]*\) [0-9]*/\1 1/" "$DIR/l.3/go/supervisor"
check "another start time in its file: it runs" has_fields "$(record l.3)" state=running pid="$pid"
as sh -c 'echo "$$ 1 x 1" >"$1/l.3/go/supervisor"' sh "$DIR"
check "another number in its file: it runs" has_fields "$(record l.3)" state=running pid="$pid"
as sh -c 'echo no numbers at all here >"$1/l.3/go/supervisor"' sh "$DIR"
check "no numbers in its file: it runs" has_fields "$(record l.3)" state=running pid="$pid"
as rm "$DIR/l.3/go/supervisor"
check "... nor a file: it is stopped all the same" says stopping call stop l.3 1 $N 0 1 cancelled
gone() { [[ -z $(processes) ]]; }
wait_for 30 "it to be gone" gone

start l.4 1 $N 600 10000 "echo up" >/dev/null
wait_for 30 "the end" ended l.4
as rm "$DIR/l.4/status"
check "no status, nobody lives: lost" is l.4 state lost
as sed -i 's/^[0-9]*/1/' "$DIR/l.4/go/supervisor"
check "the first process is nobody's supervisor" is l.4 state lost
if [[ $ACCOUNT != "$EUID" ]]; then
    setpriv --reuid 60607 --regid 60607 --clear-groups -- \
        setsid bash -c 'exec -a fleet-runner tail -f /dev/null supervise "$@"' bash "$BASE" l.4 1 $N 2>/dev/null &
    forger=$!
    forges() { [[ $(tr '\0' ' ' <"/proc/$forger/cmdline") == "fleet-runner "*" l.4 1 $N " ]]; }
    wait_for 5 "a command line" forges
    check "nor is a process of another account, whatever it calls itself" is l.4 state lost
    kill -KILL "$forger"
fi
as sh -c 'echo "99999999999999999999 1 x 1" >"$1/l.4/go/supervisor"' sh "$DIR"
check "nor is a number that is none" is l.4 state lost

# --- a zombie lives no more ---

# The first process of this namespace waits for nobody.
unshare -pf --mount-proc --kill-child tail -f /dev/null &
namespace=$!
started "$namespace"
inside() { nsenter -t "$(agent_of "$namespace")" -p -m -- "$@"; }
call() { inside setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --clear-groups -- "$CLIENT" "$RUNNER" "$BASE" "$HASH" "$@"; }
if ! until_true 30 inside true; then
    skip "zombies" "needs leave to make another namespace"
else
    start z.1 1 $N 600 10000 "echo up; $hang" >/dev/null
    wait_for 30 "output" is z.1 out 3
    known="pid=$(supervisor z.1) start=$(field z.1 start) boot=$(field z.1 boot)"
    inside sh -c 'kill -KILL "$1"' sh "$(supervisor z.1)"
    check "a supervisor that is a zombie is dead" eval 'until_true 30 is z.1 state orphaned'
    check "... is there all the same" grep -q '^State:.Z' <<<"$(inside cat "/proc/$(supervisor z.1)/status")"
    # shellcheck disable=SC2086 # words
    check "... also for whom the database knows" has_fields "$(call watch z.1 $N - - until=record $known)" state=orphaned
    check "its agent is stopped" says stopping call stop z.1 1 $N 0 1 cancelled
    wait_for 30 "a zombie agent to be nobody" is z.1 state lost
fi
