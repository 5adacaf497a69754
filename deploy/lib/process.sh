# shellcheck shell=bash
# Processes in the background, known by pid file. Functions only; source it.
#
# A process NAME of the run directory DIR has two files:
#   DIR/NAME.pid   its pid, alone on a line
#   DIR/NAME.id    "PID START BOOT COMM EXE": start time in clock ticks since boot, boot id, name and
#                  executable, so that a recycled pid is never taken for it and never signalled

# process_stat PID: prints "STATE START" of a process, nothing and 1 when there is none.
process_stat() {
    local line
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name in brackets may hold anything: what counts follows the last one.
    read -ra line <<<"${line##*) }"
    [[ -n ${line[19]-} ]] || return 1
    echo "${line[0]} ${line[19]}"
}

# process_exe PID: prints the executable's path; 1 when it cannot be read (a process that made itself
# undumpable shows it to root only). A file that was replaced by a newer build counts as the same.
process_exe() {
    local exe
    exe=$(readlink "/proc/$1/exe" 2>/dev/null) && [[ -n $exe ]] || return 1
    echo "${exe% (deleted)}"
}

process_comm() { cat "/proc/$1/comm" 2>/dev/null; }
process_boot() { cat /proc/sys/kernel/random/boot_id; }

# process_lives PID START: true when this very process exists and is no zombie.
process_lives() {
    local stat
    stat=$(process_stat "$1") || return 1
    [[ ${stat#* } == "$2" && ${stat%% *} != [ZX] ]]
}

# process_alive DIR NAME: true when the process that was recorded lives: same pid, start time, boot
# and executable.
process_alive() {
    local pid start boot comm exe now
    read -r pid start boot comm exe 2>/dev/null <"$1/$2.id" || return 1
    [[ $boot == "$(process_boot)" ]] && process_lives "$pid" "$start" || return 1
    if [[ -n $exe ]] && now=$(process_exe "$pid"); then
        [[ $now == "$exe" ]]
    else
        [[ $(process_comm "$pid") == "$comm" ]]
    fi
}

# process_record DIR NAME PID: writes both files.
process_record() {
    local dir=$1 name=$2 pid=$3 stat
    stat=$(process_stat "$pid") || return 1
    echo "$pid ${stat#* } $(process_boot) $(process_comm "$pid") $(process_exe "$pid")" >"$dir/$name.id"
    echo "$pid" >"$dir/$name.pid"
}

process_forget() { rm -f "$1/$2.id" "$1/$2.pid"; }

# process_start DIR NAME LOG COMMAND...: starts a daemon of its own session, output to LOG, and
# records it. Returns as soon as COMMAND itself runs: wait for what it offers with process_wait.
# 1 when it ended at once (LOG says why).
process_start() {
    local dir=$1 name=$2 log=$3 pid tries
    shift 3
    process_forget "$dir" "$name"
    # No process group of its own, hence no fork in setsid: $! is the daemon. No file of the caller's
    # stays open in it, in particular no lock.
    pid=$(
        set +m
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd > 2)) && eval "exec $fd>&-" 2>/dev/null
        done
        setsid -- "$@" </dev/null >>"$log" 2>&1 &
        echo "$!"
    )
    for ((tries = 0; tries < 100; tries++)); do
        case $(process_comm "$pid") in
        '') return 1 ;;
        bash | sh | setsid | setpriv | env) ;;
        *) break ;;
        esac
        sleep 0.05
    done
    process_record "$dir" "$name" "$pid"
}

# process_stop DIR NAME [SIGNAL [SECONDS]]: SIGNAL (TERM), then KILL after SECONDS (10). A pid that is
# another process by now is left alone. 0 when it is gone.
process_stop() {
    local dir=$1 name=$2 signal=${3:-TERM} seconds=${4:-10} pid start _
    if ! process_alive "$dir" "$name"; then
        process_forget "$dir" "$name"
        return 0
    fi
    read -r pid start _ <"$dir/$name.id"
    kill -s "$signal" "$pid" 2>/dev/null
    if ! process_wait "$seconds" process_gone "$pid" "$start"; then
        process_lives "$pid" "$start" && kill -s KILL "$pid" 2>/dev/null
        process_wait 10 process_gone "$pid" "$start" || return 1
    fi
    process_forget "$dir" "$name"
}

process_gone() { ! process_lives "$1" "$2"; }

# process_wait SECONDS COMMAND...: runs COMMAND every 0.1 s until it succeeds; 1 when time is up.
process_wait() {
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/[.,]/} < end)) || return 1
        sleep 0.1
    done
}

# process_port_taken PORT: true when anything listens there, on any address.
process_port_taken() {
    local hex
    printf -v hex '%04X' "$1"
    # Columns: number, local address:port, remote address:port, state (0A is LISTEN).
    [[ $(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) =~ :$hex\ [0-9A-F]+:[0-9A-F]{4}\ 0A\  ]]
}

# process_free_port PORT: prints PORT, or the next free one above it.
process_free_port() {
    local port
    for ((port = $1; port < $1 + 1000 && port < 65536; port++)); do
        process_port_taken "$port" || { echo "$port"; return 0; }
    done
    return 1
}
