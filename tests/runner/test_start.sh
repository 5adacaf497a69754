# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# A run starts once: races, tombstones, uploads that were cut.

for round in 1 2 3; do
    for i in {1..8}; do
        start "o.$round" "$i" $N 600 1000 "echo ran >>count.$round" >"$TEST_DIR/o.$i" &
    done
    wait
    wait_for 30 "the end" ended "o.$round"
    check "race: eight starts of eight owners, one started ($round)" test "$(cat "$TEST_DIR"/o.? | grep -cx started)" -eq 1
    check "race: and it ran once ($round)" test "$(wc -l <"$TASKS/o/count.$round")" -eq 1
    for i in {1..8}; do
        start "s.$round" 1 $N 600 1000 "echo ran >>count.$round" >"$TEST_DIR/o.$i" &
    done
    wait
    wait_for 30 "the end" ended "s.$round"
    check "race: eight starts of one owner, one started ($round)" test "$(cat "$TEST_DIR"/o.? | grep -cx started)" -eq 1
    check "... the others say that it exists ($round)" test "$(cat "$TEST_DIR"/o.? | grep -cx exists)" -eq 7
    check "race: and it ran once ($round)" test "$(wc -l <"$TASKS/s/count.$round")" -eq 1
done
void_race() {
    local round
    for round in {1..10}; do
        start "v.$round" 1 $N 600 1000 "echo ran >>count.$round" >"$TEST_DIR/o.1" &
        call void "v.$round" 1 $N >"$TEST_DIR/o.2" &
        wait
        if grep -qx void "$TEST_DIR/o.2"; then
            is "v.$round" state void && [[ ! -e $TASKS/v/count.$round ]] && continue
        else
            until_true 30 ended "v.$round" && [[ -s $TASKS/v/count.$round ]] && continue
        fi
        cat "$TEST_DIR/o.1" "$TEST_DIR/o.2"
        record "v.$round"
        return 1
    done
}
check "race: ten starts against ten voids" void_race

printf 'echo $FLEET_RUN >>../ledger; exec /bin/sleep 1000' >"$TEST_DIR/jobs/many" # payload: sleep
many() { for i in {1..64}; do start_line "n$i.1" 1 $N 600 1000 "$TEST_DIR/jobs/many"; done; echo wait; }
check "64 starts at once over one channel: 64 started" test "$(many | channel | grep -c ' started$')" -eq 64
in_ledger() { [[ $(wc -l <"$TASKS/ledger") -ge $1 ]]; }
wait_for 30 "64 jobs" in_ledger 64
check "... none twice" test "$(sort -u "$TASKS/ledger" | wc -l) $(wc -l <"$TASKS/ledger")" = "64 64"
until_true 30 is_many 128
check "... two processes a run" is_many 128
check "... each with its own supervisor" test "$(cat "$DIR"/n*/go/supervisor | cut -d' ' -f1 | sort -u | wc -l)" -eq 64
check "... all said again: they exist" test "$(many | channel | grep -c ' exists$')" -eq 64
if can_stop; then
    (for i in {1..64}; do echo "stop n$i.1 1 $N 0 2 cancelled"; done; echo wait) | channel >/dev/null
    (for i in {1..64}; do echo "watch n$i.1 $N - - until=ended"; done; echo wait) | channel >"$TEST_DIR/ends"
    check "... and are all stopped" test "$(grep -c 'state=ended.* reason=cancelled' "$TEST_DIR/ends")" -ge 64
else
    end_host
fi
wait_for 30 "them to be gone" no_process

# --- tombstones ---

check "void" says void call void w.1 2 $N
check "void again" says void call void w.1 2 $N
check "start after void: void" says void start w.1 2 $N 600 1000 'echo x'
check "start after void by the old owner: fenced" says 'fenced epoch=2' start w.1 1 $N 600 1000 'echo x'
check "void: its state" is w.1 state void
check "raise makes the directory, and says that there was none" has_fields "$(call raise w.2 5 $N)" state state=absent epoch=5
check "... so that a late start is fenced" says 'fenced epoch=5' start w.2 4 $N 600 1000 'echo x'
check "... and a late void" says 'fenced epoch=5' call void w.2 4 $N
check "... and the new owner may start" says started start w.2 5 $N 600 1000 'echo x'
check "raise says how the run is" has_fields "$(wait_for 30 end ended w.2; call raise w.2 6 $N)" state state=ended epoch=6
check "stop of what is not there" has_fields "$(call stop w.9 1 $N 1 1 cancelled)" state state=absent
check "... makes nothing" test ! -e "$DIR/w.9"
as mkdir -p "$DIR/w.3/go"
check "a directory that somebody else made: refused" says 'refused reason=nonce' start w.3 1 $N 600 1000 'echo x'
check "... and foreign" has_fields "$(record w.3)" state=foreign
as mkdir "$DIR/w.7"
check "nor is an empty one taken over: refused" says 'refused reason=nonce' start w.7 1 $N 600 1000 'echo x'
mkdir -m 777 "$TEST_DIR/w4"
as ln -s "$TEST_DIR/w4" "$DIR/w.4"
check "a link in its place: refused" says 'refused reason=nonce' start w.4 1 $N 600 1000 'echo x'
check "... and foreign" has_fields "$(record w.4)" state=foreign
call raise w.6 1 $N >/dev/null
as mv "$DIR/w.6" "$TEST_DIR/jobs/real"
as ln -s "$TEST_DIR/jobs/real" "$DIR/w.6"
check "a link to one with our nonce: refused" says 'refused reason=nonce' start w.6 1 $N 600 1000 'echo x'
check "... and foreign" has_fields "$(record w.6)" state=foreign
call raise w.5 1 $N >/dev/null
as mkdir "$DIR/w.5/go"
check "a supervisor that died right after mkdir go: prepared" is w.5 state prepared
check "... and the next call makes it a tombstone" says void start w.5 1 $N 600 1000 'echo x'
check "a directory that was voided is removed by gc" eval 'call gc w.1 2 $N >/dev/null; [[ ! -e $DIR/w.1 ]]'

# --- uploads ---

printf 'echo cut' >"$TEST_DIR/jobs/u.job"
head -c 200000 /dev/zero >"$TEST_DIR/jobs/u.prompt"
# The last one lacks one byte.
for part in 1 11 12 40 300 100000 200000 200098; do
    printf '%s\n' "cut $part" "$(start_line u.1 1 $N 600 1000 "$TEST_DIR/jobs/u.job" "$TEST_DIR/jobs/u.prompt")" hangup | channel >/dev/null
done
check "a start that is cut anywhere starts nothing" eval '! record u.1 | grep -qE "state=(running|ended)"'
mkfifo "$TEST_DIR/late"
channel <"$TEST_DIR/late" >"$TEST_DIR/late.out" &
late=$!
exec 7>"$TEST_DIR/late"
printf '%s\n' 'cut 100000' "$(start_line u.2 1 $N 600 1000 "$TEST_DIR/jobs/u.job" "$TEST_DIR/jobs/u.prompt")" >&7
check "a half-open upload does not hold up its own owner" says started start u.2 1 $N 600 1000 'echo y'
printf 'cut -1\nwait\n' >&7
wait_for 30 "its answer" grep -q . "$TEST_DIR/late.out"
check "... and comes too late" grep -q ' exists$' "$TEST_DIR/late.out"
wait_for 30 "the end" ended u.2
check "... so that the other job ran, and its output stands" stdout_is u.2 y
printf '%s\n' 'cut 100000' "$(start_line u.3 1 $N 600 1000 "$TEST_DIR/jobs/u.job" "$TEST_DIR/jobs/u.prompt")" >&7
check "a half-open upload does not hold up the next owner" says started start u.3 2 $N 600 1000 'echo z'
printf 'cut -1\nwait\n' >&7
exec 7>&-
wait "$late"
check "... and is fenced" grep -q ' fenced epoch=2$' "$TEST_DIR/late.out"
wait_for 30 "the end" ended u.3
check "... so that the new owner's job ran" stdout_is u.3 z
# What stands when its caller is killed right before it starts the supervisor.
call raise u.6 1 $N >/dev/null
as sh -c 'mkdir "$1/in.7" "$1/up.1" && echo "echo half" | tee "$1/in.7/job.sh" >"$1/up.1/job.sh" && : >"$1/out"' sh "$DIR/u.6"
check "what is left of another upload is in nobody's way" says started start u.6 1 $N 600 1000 'echo w'
wait_for 30 "the end" ended u.6
check "... and is not what ran" stdout_is u.6 w
check "nothing of the uploads is left" test -z "$(find "$DIR" -name 'in.*' -o -name '.new*')"
head -c 4000000 /dev/zero | tr '\0' x >"$TEST_DIR/jobs/large"
printf 'wc -c' >"$TEST_DIR/jobs/wc"
(start_line u.4 1 $N 600 1000 "$TEST_DIR/jobs/wc" "$TEST_DIR/jobs/large"; echo wait) | channel >/dev/null
wait_for 30 "the end" ended u.4
check "a prompt of 4 MB arrives whole" stdout_is u.4 4000000
start u.5 1 $N 600 1000 'exit 3' "$(head -c 1000000 /dev/zero | tr '\0' x)" >/dev/null
wait_for 30 "the end" ended u.5
check "a job that does not read its prompt" fields u.5 exit=3 reason=exit
