# shellcheck shell=bash
# What every test runner needs: a temporary directory that goes away, waiting, and counting.
#
#   TEST_DIR                           made when this file is sourced, removed at the end
#   at_exit COMMAND...                 run at the end, the last one first
#   started PID                        a process that the end must not leave behind
#   living_of UID[,UID...]             lists the processes of accounts; false: there is none, but for those that wait to be reaped
#   wait_for SECONDS WHAT COMMAND...   until COMMAND succeeds; a failure is counted when it does not in PATIENCE times as long
#   check NAME COMMAND...              counts a pass or a failure by COMMAND's status
#   pass NAME / fail NAME [DETAIL] / skip NAME REASON
#   finish                             the closing line; its status is the suite's

passed=0 failed=0 skipped=0
exit_commands=()
TEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/fleet-test.XXXXXX") || exit 1
SLEEPER=$TEST_DIR/sleeper # nobody writes to it: who reads from it sleeps, without a process of its own
mkfifo "$SLEEPER"
chmod 711 "$TEST_DIR" # user postgres passes through when the tests run as root

at_exit() { exit_commands+=("$(printf '%q ' "$@")"); }

test_end() {
    local status=$? i
    [[ $BASHPID == "$$" ]] || exit "$status" # a `&` child that ended before its exec: the test goes on
    trap - EXIT INT TERM
    for ((i = ${#exit_commands[@]} - 1; i >= 0; i--)); do
        eval "${exit_commands[i]}" >/dev/null 2>&1
    done
    rm -rf "$TEST_DIR"
    exit "$status"
}
trap test_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

pid_gone() { ! kill -0 "$1" 2>/dev/null; }

# Ends one process: TERM, and KILL when that does not help.
end_process() {
    kill "$1" 2>/dev/null || return 0
    until_true 5 pid_gone "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    return 0
}

started() { at_exit end_process "$1"; }

living_of() { ps -o stat=,pid=,args= -U "$1" | grep -v '^Z'; }

# until_true SECONDS COMMAND...: the waiting helper, the only place in the tests that sleeps. The SECONDS are those of a machine that
# is not busy: PATIENCE times as many are waited. After each look it sleeps for as long as the look took, and for no less than a tenth
# of the wait: who waits leaves the machine to those who work.
until_true() {
    local until_began=${EPOCHREALTIME/[.,]/} until_now until_look until_pause until_secs=$(($1 * ${PATIENCE:-4}))
    shift
    until
        until_look=${EPOCHREALTIME/[.,]/}
        "$@" >/dev/null 2>&1
    do
        until_now=${EPOCHREALTIME/[.,]/}
        ((until_now < until_began + until_secs * 1000000)) || return 1
        ((until_pause = (until_now - until_began) / 10, until_look = until_now - until_look,
            until_pause = until_pause > until_look ? until_pause : until_look,
            until_pause = until_pause < 10000 ? 10000 : until_pause > 500000 ? 500000 : until_pause)) || :
        printf -v until_pause '0.%06d' "$until_pause"
        if [[ -p $SLEEPER ]]; then read -rt "$until_pause" <>"$SLEEPER" || :; else sleep "$until_pause"; fi
    done
    return 0
}

wait_for() {
    local seconds=$1 what=$2
    shift 2
    until_true "$seconds" "$@" && return 0
    fail "waited $((seconds * ${PATIENCE:-4})) s in vain for $what"
    return 1
}

pass() {
    passed=$((passed + 1))
    echo "ok   $1"
}

fail() {
    failed=$((failed + 1))
    echo "FAIL $1"
    [[ -z ${2-} ]] || printf '%s\n' "$2" | tail -n 40 | sed 's/^/     /'
}

skip() {
    skipped=$((skipped + 1))
    echo "skip $1: $2"
}

check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$name"
    else
        fail "$name" "$output"
    fi
}

finish() {
    local note=
    ((skipped == 0)) || note=", $skipped skipped"
    echo "$passed passed, $failed failed$note"
    ((failed == 0))
}
