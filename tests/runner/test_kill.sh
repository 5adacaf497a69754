# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# Channels that end at any byte and at any moment, with serve, with its calls, or with the supervisor: each run
# starts at most once, its output arrives byte for byte, and nothing of it is left. SEED and KILLS may be set.

SEED=${SEED:-$RANDOM} KILLS=${KILLS:-$([[ $KIND == static ]] && echo 500 || echo 100)}
RUNS=$((KILLS / 10))
echo "# SEED=$SEED KILLS=$KILLS RUNS=$RUNS"
LEDGER=$TEST_DIR/jobs/ledger
as mkdir "$LEDGER"
JOB=$TEST_DIR/jobs/job
printf '%s\n' "echo \"\$\$\" >>$LEDGER/\${FLEET_RUN%.*}" 'seq 3000; /bin/sleep 0.3; seq 3001 4000; echo bye >&2; exit 5' >"$JOB" # payload: sleep
head -c 5000 /dev/urandom >"$TEST_DIR/jobs/prompt"
job_output() { seq 4000; }

# One channel: one thing is asked and cut, then the channel ends in one of its ways.
way() { case $((RANDOM % 5)) in 0 | 1) echo hangup ;; 2 | 3) echo kill ;; 4) echo killall ;; esac; }
strike() { # command line
    local cut=-1
    ((RANDOM % 3)) || cut=$((RANDOM % 6000))
    printf '%s\n' "cut $cut" "$1" "pause $((RANDOM % 25))" "$(way)" | channel 2>&1
}

# The life of one run under owners that are cut off at every step: RUNS of these, a few at a time.
life() { # number
    local run=k$1.1 epoch=1 strikes want=$((RANDOM % 4)) out=$TEST_DIR/jobs/out.$1 err=$TEST_DIR/jobs/err.$1 size
    for ((strikes = 0; strikes < 5; strikes++)); do
        strike "$(start_line "$run" $epoch $N 600 100000 "$JOB" "$TEST_DIR/jobs/prompt")"
        ((RANDOM % 3)) || strike "raise $run $((++epoch)) $N"
        strikes=$((strikes + (RANDOM % 3 == 0)))
    done
    case $want in
    0) for _ in 1 2 3; do strike "void $run $epoch $N"; done ;;
    1) for _ in 1 2 3; do strike "stop $run $epoch $N 0 1 cancelled"; done ;;
    2) ((RANDOM % 4)) || kill -KILL "$(supervisor "$run" 2>/dev/null)" 2>/dev/null ;;
    esac
    : >"$out"
    : >"$err"
    chmod 666 "$out" "$err"
    for ((strikes = 0; strikes < 4; strikes++)); do
        size=$(stat -c %s "$out")
        printf '%s\n' "watch $run $N $out $err out=$size" "pause $((RANDOM % 60))" "$(way)" | channel
    done
    call raise "$run" $((epoch + 1)) "$N"
    # Whoever could not be started up to here is started now, or found to be voided.
    start "$run" $((epoch + 1)) "$N" 60 100000 "$(cat "$JOB")"
    # A channel that was cut may have left a record that is not the last one: ended, void or lost.
    until_true 30 over "$run"
    size=$(stat -c %s "$out")
    call watch "$run" "$N" "$out" "$err" out="$size" until="$(field "$run" state)"
}
over() { case $(field "$1" state) in ended | void | lost) ;; orphaned) call stop "$1" 1000 "$N" 0 1 run_lost; false ;; *) false ;; esac; }

lives() { # first
    local i
    RANDOM=$((SEED + $1))
    for ((i = $1; i <= RUNS; i += 16)); do life "$i"; done
}
for worker in {1..16}; do
    lives $worker >"$TEST_DIR/lives.$worker" 2>&1 &
done
wait

states() { for ((i = 1; i <= RUNS; i++)); do record "k$i.1"; done >"$TEST_DIR/states"; }
states
check "$RUNS runs are over: $(grep -oE 'state=[a-z]*' "$TEST_DIR/states" | sort | uniq -c | tr -s ' \n' ' ')" \
    test "$(grep -cE 'state=(ended|void|lost) ' "$TEST_DIR/states")" -eq "$RUNS"
check "none started twice" test "$(cat "$LEDGER"/* | wc -l) " = "$(ls "$LEDGER" | wc -l) "
voided_and_started() { grep -oE '^run k[0-9]*\.1 state=void' "$TEST_DIR/states" | while read -r _ run _; do [[ -e $LEDGER/${run%.1} || -e $LEDGER/$run ]] && echo "$run"; done; }
check "none that was voided started" test -z "$(voided_and_started)"
ended_whole() {
    local i
    for ((i = 1; i <= RUNS; i++)); do
        grep -qE "^run k$i\.1 state=ended .* exit=5 .* reason=exit" "$TEST_DIR/states" || continue
        cmp <(job_output) "$TEST_DIR/jobs/out.$i" || { echo "k$i.1"; return 1; }
        [[ $(cat "$TEST_DIR/jobs/err.$i") == bye ]] || { echo "k$i.1: stderr"; return 1; }
        whole=$((whole + 1))
    done
}
whole=0
check "output of those that ended is whole, byte for byte" ended_whole
check "whatever was followed is what lies there" eval 'for ((i = 1; i <= RUNS; i++)); do [[ ! -e $DIR/k$i.1/out ]] || cmp "$DIR/k$i.1/out" "$TEST_DIR/jobs/out.$i" || exit 1; done'
grep -hm 5 -E 'no frame|no proper|instead of|an answer to nothing' "$TEST_DIR"/lives.*
check "no channel said what is none" eval '! grep -qE "no frame|no proper|instead of|an answer to nothing" "$TEST_DIR"/lives.*'
