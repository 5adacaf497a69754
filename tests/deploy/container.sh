# shellcheck shell=bash
# tests/lib/container.sh itself: what it says where it cannot work, and that nothing of it stays behind, also of tests that
# were killed. Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # container_reason

container_suite() {
    # shellcheck disable=SC2123 # it is that one
    (PATH=/nowhere && ! container_ready && [[ $container_reason == 'podman is not installed'* ]])
    check 'without an engine it says so' test "$?" = 0
    container_ready || { skip 'container' "$container_reason"; return; }
    container_basics
    container_of_the_killed
    container_of_the_living
}

container_basics() {
    check 'a container runs' container_run one "$CONTAINER_BASE" --network none -- cat /dev/zero
    check 'a command in it' container_do one true
    check 'has its status' not container_do one false
    check 'and takes no standard input' test -z "$(echo word | container_do one cat)"
    check 'unless it is fed' test "$(echo word | container_feed one cat)" = word
    echo text >"$TEST_DIR/a:b"
    check 'copy in' container_copy "$TEST_DIR/a:b" one:/root/
    check 'copy out' container_copy one:/root/a:b "$TEST_DIR/out"
    check 'the same' cmp "$TEST_DIR/a:b" "$TEST_DIR/out"
    check 'removed' container_remove one
    check 'it is gone' not container_do one true
}

# other_test NAME: a test in a process of its own, with a container; sets `other` to its pid.
other_test() {
    # shellcheck disable=SC2016 # expanded inside
    TMPDIR=$TEST_DIR setsid bash -c 'source tests/lib/common.sh; source tests/lib/container.sh; container_ready || exit 1
        container_run "$1" "$CONTAINER_BASE" --network none -- cat /dev/zero || exit 1
        touch "$2"; until_true 100 test -e "$2.end"' other "$1" "$TEST_DIR/$1" >"$TEST_DIR/$1.log" 2>&1 &
    other=$!
    wait_for 60 "the other test to have its container" test -e "$TEST_DIR/$1"
}

exists() { podman container exists "$1"; }

container_of_the_killed() {
    other_test killed || return
    kill -KILL -- "-$other"
    wait "$other" 2>/dev/null
    check 'a killed test leaves its container' exists "killed.$other"
    container_leftovers
    check 'which the next one removes' not exists "killed.$other"
}

container_of_the_living() {
    other_test living || return
    container_leftovers
    check 'that of a living test stays' exists "living.$other"
    kill "$other"
    wait "$other" 2>/dev/null
    check 'until it ends' not exists "living.$other"
}
