# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# A command within its time, and what a job is told of its workspace.

limit() { as "$RUNNER" limit "$@"; }
status_of() { # status command...
    local want=$1
    shift
    "$@" >"$TEST_DIR/limit.out" 2>"$TEST_DIR/limit.err"
    local got=$?
    [[ $got == "$want" ]] || { echo "wanted status $want, got $got: $(cat "$TEST_DIR"/limit.*)"; return 1; }
}

check "limit: a command's status is its own" status_of 7 limit 60 -- sh -c 'exit 7'
check "... and a signal's as a shell says it" status_of 143 limit 60 -- sh -c 'kill -TERM $$'
check "... and that of one that is not there" status_of 127 limit 60 -- /no/such-command
check "... who says so" grep -q "^fleet: /no/such-command: No such file" "$TEST_DIR/limit.err"
check "... or may not be executed" status_of 126 limit 60 -- /etc/passwd
check "limit: words are passed as they are" status_of 0 limit 60 -- printf '[%s]' 'a b' '' '--' '$(id)' $'c\nd'
check "... each" test "$(cat "$TEST_DIR/limit.out")" = $'[a b][][--][$(id)][c\nd]'
for wrong in '0 -- true' '-1 -- true' 'x -- true' '10 true' '10 --' '' '99999999999 -- true'; do
    # shellcheck disable=SC2086 # words
    check "limit $wrong: usage" status_of 2 limit $wrong
done
check "limit: what takes too long is ended" status_of 124 limit 1 -- sleep 1000 # payload: sleep
check "... which is said" grep -qxF "fleet: sleep took longer than 1 s and is ended" "$TEST_DIR/limit.err"
check "... with all that it started, and that takes no TERM" status_of 124 \
    limit 1 -- sh -c 'trap "" TERM; sleep 1000 & sleep 1001 & wait; wait; wait' # payload: sleep
wait_for 10 "no process of it" no_process
printf '%s\n' 'trap "echo hears; exit 9" TERM' 'echo there' 'while :; do sleep 0.1; done' >"$TEST_DIR/listens" # payload: sleep
chmod 755 "$TEST_DIR/listens"
passes_on() {
    local pid
    limit 60 -- sh "$TEST_DIR/listens" >"$TEST_DIR/limit.out" 2>/dev/null &
    wait_for 10 "it to listen" grep -q there "$TEST_DIR/limit.out"
    for pid in $(processes); do
        [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != *" limit 60 "* ]] || kill -TERM "$pid"
    done
    wait $!
}
check "limit: a TERM is passed on, and its end waited for" status_of 9 passes_on
check "... once it was heard" grep -q hears "$TEST_DIR/limit.out"
wait_for 10 "no process of it" no_process

# --- fresh workspaces ---

shows='exec printf %s "${FLEET_FRESH-used}"'
start f.1 1 $N 60 1000 "$shows" >/dev/null
wait_for 20 "the end" ended f.1
check "a run without a stage: fresh" stdout_is f.1 1
start f.2 1 $N 60 1000 "$shows" >/dev/null
wait_for 20 "the end" ended f.2
check "... and again, for nobody could remember" stdout_is f.2 1
as mkdir -p "$BASE/stages/f"
start f.3 1 $N 60 1000 "${shows#exec }; exit 120" >/dev/null
wait_for 20 "the end" ended f.3
start f.4 1 $N 60 1000 "${shows#exec }; exit 120" >/dev/null
wait_for 20 "the end" ended f.4
check "a workspace whose hooks failed stays fresh" stdout_is f.4 1
start f.5 1 $N 60 1000 'trap "" TERM; echo there; while :; do /bin/sleep 1; done' >/dev/null # payload: sleep
wait_for 20 "it to run" grep -q there "$DIR/f.5/out"
call stop f.5 1 $N 0 1 cancelled >/dev/null
wait_for 20 "the end" ended f.5
start f.6 1 $N 60 1000 "${shows#exec }; exit 3" >/dev/null
wait_for 20 "the end" ended f.6
check "... and one whose run was killed" stdout_is f.6 1
start f.7 1 $N 60 1000 "$shows" >/dev/null
wait_for 20 "the end" ended f.7
check "one that an agent worked in is used, whatever came of it" stdout_is f.7 used
as mv "$TASKS/f" "$TASKS/gone"
as mkdir "$TASKS/f"
start f.8 1 $N 60 1000 "$shows" >/dev/null
wait_for 20 "the end" ended f.8
check "one made anew is fresh" stdout_is f.8 1
as mkdir -p "$BASE/stages/g"
as ln -s /etc/passwd "$BASE/stages/g/used"
start g.1 1 $N 60 1000 "$shows" >/dev/null
wait_for 20 "the end" ended g.1
check "a link in place of the line is no line" stdout_is g.1 1
check "... and is replaced" test ! -L "$BASE/stages/g/used" -a -f "$BASE/stages/g/used"
start h.1 1 $N 60 1000 'exec "$FLEET_RUNNER" limit 20 -- echo said' >/dev/null
wait_for 20 "the end" ended h.1
check "a job finds limit" stdout_is h.1 said
