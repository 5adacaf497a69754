# shellcheck shell=bash
# The shell libraries of deploy/lib, the demo agent and the Caddyfile. Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # repository

lib_suite() {
    local run=$TEST_DIR/run
    mkdir -p "$run"
    lib_processes "$run"
    lib_ports
    lib_texts
    lib_agent
    check 'Caddyfile is valid' env HOME="$TEST_DIR" FLEET_SITE=:1 FLEET_SERVERS='127.0.0.1:2 127.0.0.1:3' \
        caddy validate --config deploy/Caddyfile --adapter caddyfile
    lib_rolling
}

lib_rolling() {
    check 'rolling-restart explains itself' grep -q -- --compose <(deploy/rolling-restart --help)
    check '... refuses what it does not know' test "$(deploy/rolling-restart --nothing 2>&1)" = \
        'fleet-rolling-restart: there is no option --nothing (see --help)'
    check '... finds the services of a Compose file' test "$(deploy/rolling-restart --dry-run --compose docker-compose.yml |
        sed -nE 's/^would restart ([^ ]+) .*/\1/p' | paste -sd' ')" = 'server-1 server-2 worker-1 worker-2'
    check '... takes only the named ones' test "$(deploy/rolling-restart --dry-run --compose docker-compose.yml worker-2)" = \
        'would restart worker-2 (1 of 1)'
    check '... needs a file' test "$(deploy/rolling-restart --dry-run --compose nowhere.yml 2>&1)" = \
        'fleet-rolling-restart: there is no file nowhere.yml that could be read'
    check '... wants numbers' test "$(deploy/rolling-restart --timeout soon 2>&1)" = 'fleet-rolling-restart: --timeout needs a number of seconds'
    lib_rolling_order
}

# One after the other, with an engine that only tells what it is asked: a service is healthy when file NAME in `healthy` is there,
# server-2 at the third look.
lib_rolling_order() {
    local tools=$TEST_DIR/rolling
    mkdir -p "$tools/healthy"
    cat >"$tools/docker" <<'END'
#!/bin/bash
cd "$(dirname "$0")" || exit
case "$*" in
*version) exit ;;
*" up -d --no-deps --force-recreate "*) echo "up ${!#}" >>asked; [[ ! -e unmade ]]; exit ;;
esac
echo "${*: -3}" >>asked
[[ $6 != server-2 || $(grep -c "^$6 .*health" asked) -ge 3 ]] && [[ -e healthy/$6 ]] || { echo waiting for the database; exit 1; }
END
    printf '#!/bin/sh\necho "pause $1" >>"${0%%/*}/asked"\n' >"$tools/sleep"
    chmod 755 "$tools/docker" "$tools/sleep"
    touch "$tools/healthy/"{server-1,server-2,worker-1,worker-2}
    rolls 0 --settle 7
    check 'rolling-restart: servers, then workers, each waited for, with a pause between two' test "$(paste -sd, "$tools/asked")" = "$(paste -sd, <<END
up server-1
server-1 /usr/bin/fleet-server health
pause 7
up server-2
server-2 /usr/bin/fleet-server health
pause 0.5
server-2 /usr/bin/fleet-server health
pause 0.5
server-2 /usr/bin/fleet-server health
pause 7
up worker-1
worker-1 /usr/bin/fleet-worker health
pause 7
up worker-2
worker-2 /usr/bin/fleet-worker health
END
)"
    rm "$tools/healthy/server-2"
    rolls 1 --timeout 0
    check '... the first that does not come back is the last' test "$(grep ^up "$tools/asked" | paste -sd,)" = 'up server-1,up server-2'
    check '... and what it says is told' grep -qF \
        'server-2 did not come back: not ready within 0 s: waiting for the database. Stopped here' "$tools/said"
    touch "$tools/unmade"
    rolls 1 worker-1 server-1
    check '... as is one that cannot be made' test "$(grep ^up "$tools/asked")" = 'up worker-1'
    check '... by a sentence' grep -qF 'worker-1 did not come back: it could not be made anew. Stopped here' "$tools/said"
}

# rolls STATUS ARGUMENT...
rolls() {
    local wanted=$1 status=0
    shift
    rm -f "$tools/asked"
    PATH=$tools:$PATH timeout 60 deploy/rolling-restart --compose docker-compose.yml "$@" >"$tools/said" 2>&1 || status=$?
    check "rolling-restart $*: status $wanted" test "$status" = "$wanted"
}

lib_processes() {
    local run=$1 pid start other rest
    process_start "$run" steady "$TEST_DIR/steady.log" sleep 300 # payload: sleep
    pid=$(cat "$run/steady.pid")
    started "$pid"
    check 'a started process is alive' process_alive "$run" steady
    check 'and a session of its own' test "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid"
    check 'its pid file holds the pid alone' grep -qxE '[0-9]+' "$run/steady.pid"

    # The pid of `steady`, as if written by a process that is long gone.
    read -r _ start rest <"$run/steady.id"
    echo "$pid" >"$run/recycled.pid"
    echo "$pid $((start + 1)) $rest" >"$run/recycled.id"
    check 'another start time is another process' not process_alive "$run" recycled
    check 'stop leaves a recycled pid alone' process_stop "$run" recycled
    check 'and forgets it' test ! -e "$run/recycled.pid"
    echo "$pid $start ${rest%% *} sleep /usr/bin/other" >"$run/other.id" # payload: sleep
    check 'another executable is another process' not process_alive "$run" other
    echo "$pid $start 0-0 ${rest#* }" >"$run/boot.id"
    check 'another boot is another process' not process_alive "$run" boot
    check 'none of that ended it' process_alive "$run" steady

    check 'stop ends it' process_stop "$run" steady
    check 'really' not process_lives "$pid" "$start"
    # shellcheck disable=SC2016 # Perl's variable
    process_start "$run" stubborn "$TEST_DIR/stubborn.log" perl -e '$SIG{TERM} = "IGNORE"; sleep 1 while 1' # payload: sleep
    other=$(cat "$run/stubborn.pid")
    started "$other"
    wait_for 5 'the process to ignore TERM' grep -qE '^SigIgn:.*4...$' "/proc/$other/status"
    check 'stop kills what ignores TERM' process_stop "$run" stubborn TERM 1
    check 'a program that is not there does not start' not process_start "$run" absent "$TEST_DIR/absent.log" /no/such/program
    check 'a lock of the caller stays behind' lib_lock "$run"
}

# What is started holds no file of the caller's.
lib_lock() {
    (
        exec 9>"$TEST_DIR/lock"
        flock 9
        process_start "$1" holder "$TEST_DIR/holder.log" sleep 300 # payload: sleep
    )
    local free=1
    flock -n "$TEST_DIR/lock" true && free=0
    process_stop "$1" holder
    return "$free"
}

lib_ports() {
    local taken
    taken=$(process_free_port 29000)
    listen "$taken"
    check 'a listening port counts as taken' process_port_taken "$taken"
    check 'and is passed over' test "$(process_free_port "$taken")" -gt "$taken"
}

lib_texts() {
    local secret
    check 'percent-encoding' test "$(postgres_percent '/a b/ä%?&#')" = '/a%20b/%C3%A4%25%3F%26%23'
    printf 'body\n\0with %%s \\n' >"$TEST_DIR/body"
    for secret in secret 'six 6 and \ and %' "$(printf '6%.0s' {1..64})"; do
        check "HMAC with ${secret:0:8}" test "$(demo_hmac "$TEST_DIR/body" "$secret")" = \
            "$(openssl dgst -sha256 -hmac "$secret" -r "$TEST_DIR/body" | cut -d' ' -f1)"
    done
    printf 'line 1\nline 2\n' >"$TEST_DIR/lines"
    check 'consecutive lines' demo_numbered "$TEST_DIR/lines"
    printf 'line 1\nline 3\n' >"$TEST_DIR/lines"
    check 'a gap is seen' not demo_numbered "$TEST_DIR/lines"
    check 'of what goes on a step is a piece' test "$(lib_follow running)" = 1
    check 'of what has ended it is the rest' test "$(lib_follow completed)" = 20
}

# lib_follow STATUS: how many lines a step takes of a log that has another one each time, 20 in all.
lib_follow() {
    # shellcheck disable=SC2034 # variables of deploy/lib/demo.sh
    local fleet=$TEST_DIR said=$1 given=0 status offset rest deadline
    mkdir -p "$fleet/tmp"
    demo_get() {
        if [[ $1 != *logs* ]] || ((given == 20)); then : >"$2"; else echo "line $((++given))" >"$2"; fi
    }
    demo_json() { echo "$said"; }
    demo_follow_begin 1 60
    demo_follow_step >/dev/null
    wc -l <"$fleet/tmp/output"
}

lib_agent() {
    local out=$TEST_DIR/agent.out pid
    mkdir -p "$TEST_DIR/agent"
    printf 'Goal\r\n| demo: seconds=01\r\nend\n' | agent_says "$out"
    check 'the demo agent succeeds' test "${PIPESTATUS[1]}" = 0
    check 'in JSON lines' lib_json "$out"
    check 'with the lines it was asked for' test "$(grep -c '"text":"line [0-9]*"' "$out")" = 10
    check 'and a closing event' grep -q '^{"type":"turn.completed"' "$out"
    check 'it edits a file' grep -q 'demo agent' "$TEST_DIR/agent/DEMO.md"
    printf 'demo: exit=7\ndemo: seconds=0\n' | agent_says "$out"
    check 'exit=7 exits with 7' test "${PIPESTATUS[1]}" = 7
    check 'and says that the turn failed' grep -q '"turn.failed"' "$out"
    printf 'demo: hang\ndemo: seconds=0\n' >"$TEST_DIR/hang"
    (cd "$TEST_DIR/agent" && exec setsid sh "$repository/deploy/demo-agent" <"$TEST_DIR/hang" >"$out" 2>&1) &
    pid=$!
    disown "$pid"
    at_exit kill -KILL -- "-$pid"
    wait_for 5 'the agent to speak' grep -q file_change "$out"
    check 'hang hangs' kill -0 "$pid"
    kill -KILL -- "-$pid"
}

agent_says() { (cd "$TEST_DIR/agent" && exec sh "$repository/deploy/demo-agent" >"$1" 2>&1); }

lib_json() {
    perl -MJSON::PP -ne 'decode_json($_)->{type} or die' "$1"
}
