# shellcheck shell=bash
# Runs things side by side: each with a log of its own, shown whole or not at all, and all of them counted.
#
#   parallel MOST COMMAND ITEM...   runs COMMAND ITEM for each, at most MOST at once, and none beside another while the machine is
#                                   overloaded; its output goes to $LOGS ITEM.log, where it ends with "N passed, N failed[, N
#                                   skipped]". LOGS is a prefix of paths
#   parallel_logs NAME              sets LOGS to a directory that goes with this shell
#   closing                         the same line about all of them; its status says whether nothing failed

passed=0 failed=0 skipped=0

parallel_logs() {
    LOGS=$(mktemp -d "${TMPDIR:-/tmp}/fleet-$1.XXXXXX")/ || exit 1
    trap '[[ $BASHPID != "$$" ]] || rm -rf "$LOGS"' EXIT # and not with a child that is ended before it is anything else
}

parallel() {
    local most=$1 command=$2 item
    shift 2
    local -A running=() began=()
    trap parallel_end INT TERM
    set -m # a process group each, to be ended as one
    for item in "$@"; do
        while ((${#running[@]} >= most)); do parallel_next; done
        while ((${#running[@]})) && parallel_overload; do
            if parallel_ended; then parallel_next; else read -rt 2 <> <(:) || :; fi
        done
        began[$item]=$SECONDS
        "$command" "$item" </dev/null >"$LOGS$item.log" 2>&1 &
        running[$!]=$item
    done
    while ((${#running[@]})); do parallel_next; done
    set +m
    trap - INT TERM
}

# Whether two and more want each processor, or the disk. A mean of looks within half a second: what began just now counts, as it does
# not in the load of the last minute, by which all suites would start something at once, and again.
parallel_overload() {
    local look key count busy=0
    for look in {1..5}; do
        ((look == 1)) || read -rt 0.1 <> <(:) || :
        while read -r key count _; do
            [[ $key != procs_* ]] || ((busy += count))
        done </proc/stat
        ((look > 1 || busy > 1)) || return 1 # ours alone, which looks
    done
    ((busy >= look * (2 * $(nproc) + 1)))
}

# Whether one has ended, for who does not wait.
parallel_ended() {
    local pid
    for pid in "${!running[@]}"; do
        kill -0 "$pid" 2>/dev/null || return 0
    done
    return 1
}

parallel_next() {
    local pid status
    wait -n -p pid "${!running[@]}"
    status=$?
    parallel_count "${running[$pid]}" "$status"
    unset "running[$pid]"
}

parallel_end() {
    local pid
    trap '' INT TERM
    for pid in "${!running[@]}"; do kill -TERM -- "-$pid"; done 2>/dev/null
    wait
    exit 143
}

parallel_count() { # ITEM STATUS
    local log=$LOGS$1.log line bad=0
    line=$(tail -n 1 "$log")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        bad=${BASH_REMATCH[2]}
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
    else
        line="no closing line"
    fi
    (($2 == 0 || bad > 0)) || bad=1
    [[ $line != no* ]] || bad=1
    failed=$((failed + bad))
    if ((bad)); then
        echo "FAIL $1: $line, status $2, $((SECONDS - ${began[$1]})) s"
        sed 's/^/     /' "$log"
    else
        echo "ok   $1: $line, $((SECONDS - ${began[$1]})) s"
        sed -n 's/^skip /     &/p' "$log"
    fi
}

closing() {
    echo "$passed passed, $failed failed$( ((skipped)) && echo ", $skipped skipped")"
    ((failed == 0))
}
