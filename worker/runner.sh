#!/bin/sh
# Agent Fleet's runner: owns run directories on the host of the agents. POSIX sh, coreutils, util-linux.
#
#   sh bin/runner-<sha256>.sh BASE CALL ARGUMENT...      (cwd is BASE = <work_dir>/.fleet/<fleet id>)
#
# Calls: hello, start, void, raise, stop, poll. Each answer: the banner, lines, "end".
# The dispatcher's side of the protocol is worker/runner.h.
#
# ../tmp/<8 hex of the nonce>.<hash>.<number>/   TMPDIR of a run, removed at its end
# runs/<run>/          made in one rename with nonce, epoch and lock inside; never attached to with another nonce
#   lock               flock: serialises the calls about one run; a supervisor holds it until it is past go
#   nonce epoch        one line each; the epoch only grows
#   up.<epoch>/        a complete upload: job.sh, prompt, the reserved status block, pipes
#   go/                mkdir of it is the only compare-and-set that starts or voids
#     supervisor       "pid start_time boot epoch" of its winner; written before anything runs
#     void             a tombstone: never started
#   out err            what the job wrote; only the supervisor's readers have them open
#   stop               "reason grace_secs term_secs" of a stop that was asked for
#   status             "status nonce exit ms reason out_bytes err_bytes .": the run has ended
set -uf # no file name expansion but where it is switched on
umask 077
LC_ALL=C
export LC_ALL

script=$0 base=$1 call=$2
shift 2
junk='' boot=''

# --- answers -----------------------------------------------------------------------------------------

banner() {
    echo 'fleet-runner 1'
}

answer() {
    banner
    echo "$1"
    echo end
    exit 0
}

refuse() {
    answer "refused reason=$1"
}

answer_with_record() { # verdict
    banner
    echo "$1"
    look
    record 0 0
    echo end
    exit 0
}

drop_junk() {
    [ -z "$junk" ] || rm -rf "$junk"
}

# --- words and numbers -------------------------------------------------------------------------------

is_number() {
    case $1 in
    '' | *[!0-9]*) return 1 ;;
    esac
    [ "${#1}" -le 18 ]
}

is_hex() { # text length
    case $1 in
    *[!0-9a-f]*) return 1 ;;
    esac
    [ "${#1}" -eq "$2" ]
}

is_name() {
    case $1 in
    '' | *[!a-z0-9.-]* | .*) return 1 ;;
    esac
    [ "${#1}" -le 71 ]
}

is_word() {
    case $1 in
    '' | *[!a-z_]*) return 1 ;;
    esac
    [ "${#1}" -le 32 ]
}

take_key() { # RUN EPOCH NONCE
    if ! is_name "$1" || ! is_number "$2" || ! is_hex "$3" 32; then
        refuse usage
    fi
    run=$1 mine=$2 nonce=$3 dir=runs/$1 mark=$1.$3
    tmp=${base%/*}/tmp/$(printf %.8s "$3").${1##*-} # short: sockets in it have 107 bytes
}

# First line of a small regular file into `line`; nothing else is ever opened.
line_of() {
    line=
    [ -f "$1" ] && [ ! -L "$1" ] && IFS= read -r line <"$1"
}

# --- processes ---------------------------------------------------------------------------------------

# Sets pstate, pgroup and pstart (field 22) of a process; false when there is none.
process() {
    pstate='' pgroup='' pstart=''
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The name in brackets may hold anything: what counts begins behind the last bracket.
    # shellcheck disable=SC2086 # numbers
    set -- ${line##*) }
    [ "$#" -ge 20 ] || return 1
    pstate=$1 pgroup=$3 pstart=${20}
}

# Zombies of a pid 1 that does not reap are not alive.
lives() { # pid start_time
    process "$1" && [ "$pstart" = "$2" ] && [ "$pstate" != Z ] && [ "$pstate" != X ]
}

find_boot() {
    [ -z "$boot" ] || return 0
    boot=none
    line_of /proc/sys/kernel/random/boot_id && boot=$line
    process 1
    boot=$boot-${pstart:-0}
}

find_now() { # hundredths of a second since boot, suspended time included
    read -r now line </proc/uptime
    now=$((${now%.*} * 100 + 1${now#*.} - 100))
}

# Processes that bear the run's mark: their environ files in `marked`.
find_marked() {
    set +f
    marked=$(grep -lzsxF "FLEET_RUN=$mark" /proc/[0-9]*/environ)
    set -f
    [ -n "$marked" ]
}

signal_marked() { # name; those of the group are skipped: one Ctrl-C is enough for them
    find_marked
    for environ in $marked; do
        environ=${environ#/proc/}
        process "${environ%/environ}" || continue
        [ "$pgroup" = "$group" ] || kill "-$1" "${environ%/environ}" 2>/dev/null
    done
}

signal_all() { # name
    [ -z "$group" ] || kill "-$1" "-$group" 2>/dev/null
    signal_marked "$1"
}

# --- run directories ---------------------------------------------------------------------------------

# Makes the directory complete, in one rename. Losing the race is no failure.
make_directory() {
    if [ -e "$dir" ] || [ -L "$dir" ]; then
        return 1
    fi
    mkdir -p runs || refuse host_disk_full
    junk=runs/.new.$run.$$
    if ! { rm -rf "$junk" && mkdir "$junk" && echo "$nonce" >"$junk/nonce" && echo "$mine" >"$junk/epoch" &&
        true >"$junk/lock" && sync "$junk/nonce" "$junk/epoch" "$junk"; } 2>/dev/null; then
        refuse host_disk_full
    fi
    if mv -T "$junk" "$dir" 2>/dev/null; then
        junk=
        sync runs
        return 0
    fi
    drop_junk
    junk=
    return 1
}

lock() {
    if [ -L "$dir" ] || [ -L "$dir/lock" ] || [ ! -f "$dir/lock" ]; then
        refuse nonce
    fi
    exec 9<>"$dir/lock"
    flock -w 20 9 || refuse busy
}

unlock() {
    exec 9>&-
}

# Under the lock: ours by nonce, and not fenced out. A higher epoch is kept.
enter() {
    lock
    line_of "$dir/nonce"
    [ "$line" = "$nonce" ] || refuse nonce
    line_of "$dir/epoch"
    is_number "$line" || refuse nonce
    [ "$mine" -ge "$line" ] || answer "fenced epoch=$line"
    if [ "$mine" -gt "$line" ]; then
        { echo "$mine" >"$dir/epoch.new" && sync "$dir/epoch.new" && mv "$dir/epoch.new" "$dir/epoch" &&
            sync "$dir"; } 2>/dev/null || refuse host_disk_full
    fi
    # Whoever made go and died before it wrote into it has started nothing: it held this lock.
    if [ -d "$dir/go" ] && [ ! -e "$dir/go/supervisor" ] && [ ! -e "$dir/go/void" ]; then
        write_void
    fi
}

write_void() {
    { echo "$mine" >"$dir/go/void.new" && sync "$dir/go/void.new" &&
        mv "$dir/go/void.new" "$dir/go/void" && sync "$dir/go" "$dir"; } 2>/dev/null || refuse host_disk_full
}

# The run's TMPDIR goes with it, whatever modes its files have.
remove_tmp() {
    [ -L "$tmp" ] || chmod -R u+rwx "$tmp" 2>/dev/null
    rm -rf "$tmp" 2>/dev/null
}

# --- how a run is ------------------------------------------------------------------------------------

# The files that are measured, the status before the streams: where it stands, they are final.
add_files() {
    files="$files $dir/nonce $dir/epoch $dir/status $dir/go/void $dir/go/supervisor $dir/out $dir/err"
}

# Sizes of the streams, and in `has` the control files: regular, small ones only.
measure() {
    has=' ' out=- err=- files=''
    add_files
    # shellcheck disable=SC2086 # words
    for entry in $(stat -c '%f:%s:%n' $files 2>/dev/null); do
        take_entry "$entry"
    done
}

take_entry() { # mode:size:file
    case $1 in
    8???:*) ;; # S_IFREG
    *) return ;;
    esac
    size=${1#*:}
    size=${size%%:*}
    case $1 in
    */out) out=$size ;;
    */err) err=$size ;;
    *) [ "$size" -gt 4096 ] || has="$has${1##*/} " ;;
    esac
}

# Sets how and what belongs to it for $run and $nonce; changes nothing.
look() {
    measure
    judge
}

judge() {
    judge_files
    [ "$how" != foreign ] || out=- err=- # not ours to read
}

judge_files() {
    how=absent epoch=- pid=- start=- booted=- out_end=- err_end=- code=- ms=- why=-
    if [ ! -e "$dir" ] && [ ! -L "$dir" ]; then
        return
    fi
    how=foreign
    if [ -L "$dir" ] || [ -L "$dir/go" ]; then
        return
    fi
    case $has in
    *' nonce epoch '*) ;;
    *) return ;;
    esac
    line_of "$dir/nonce"
    [ "$line" = "$nonce" ] || return
    line_of "$dir/epoch"
    is_number "$line" || return
    epoch=$line how=prepared
    case $has in
    *' void '*) how='void' ;;
    *' status '*) look_at_status ;;
    *' supervisor '*) look_at_supervisor ;;
    esac
}

read_supervisor() {
    line_of "$dir/go/supervisor"
    # shellcheck disable=SC2086 # words
    set -- $line
    if [ "$#" -ne 4 ] || ! is_number "$1" || ! is_number "$2"; then
        return 1
    fi
    case $3 in
    *[!0-9a-z-]*) return 1 ;;
    esac
    [ "${#3}" -lt 80 ] || return 1
    pid=$1 start=$2 booted=$3
}

look_at_status() {
    how=ended why=status_invalid
    read_supervisor
    case $has in
    *' status '*) line_of "$dir/status" ;;
    *) return ;; # not a regular file, or too large
    esac
    # shellcheck disable=SC2086 # words
    set -- $line
    if [ "$#" -eq 8 ] && [ "$1 $2 $8" = "status $nonce ." ] && is_number "$3" && is_number "$4" &&
        is_word "$5" && is_number "$6" && is_number "$7"; then
        code=$3 ms=$4 why=$5 out_end=$6 err_end=$7
    fi
}

look_at_supervisor() {
    how=lost
    read_supervisor || return
    find_boot
    [ "$boot" = "$booted" ] || return
    if lives "$pid" "$start"; then
        how=running
    elif [ -e "$dir/status" ] || [ -L "$dir/status" ]; then # it ended while we looked
        measure
        look_at_status
    elif find_marked; then
        how=orphaned
    fi
}

record() { # bytes that follow: n1 n2
    echo "run $run state=$how epoch=$epoch pid=$pid start=$start boot=$booted out=$out err=$err" \
        "oend=$out_end eend=$err_end exit=$code ms=$ms reason=$why n1=$1 n2=$2"
}

# --- calls -------------------------------------------------------------------------------------------

missing_tools() {
    missing=
    for tool in flock setsid prlimit timeout sha256sum stat head dd env grep mkfifo mv ln sync cat id od tr rm mkdir sleep; do
        command -v "$tool" >/dev/null || missing=${missing:+$missing,}$tool
    done
    env --default-signal true 2>/dev/null || missing=${missing:+$missing,}env--default-signal
    [ -r /proc/self/stat ] || missing=${missing:+$missing,}proc
}

find_machine() {
    machine=none
    for file in /etc/machine-id /var/lib/dbus/machine-id; do
        if [ -r "$file" ] && read -r line <"$file" && is_hex "$line" 32; then
            machine=$line
            return
        fi
    done
}

# The owner file is made once: ln refuses where one stands.
find_owner() {
    if [ ! -e ../owner ]; then
        head -c 16 /dev/urandom | od -An -tx1 | tr -d ' ' >"../owner.$$" 2>/dev/null
        line_of "../owner.$$" && is_hex "$line" 32 && sync "../owner.$$" && ln "../owner.$$" ../owner 2>/dev/null
        rm -f "../owner.$$"
        sync ..
    fi
    owner=none
    if line_of ../owner && is_hex "$line" 32; then
        owner=$line
    fi
}

# A shell of sshd has read no profile: agents live in ~/.local/bin and the like, so the profile is asked for its
# PATH, and for nothing else.
find_path() { # file to write it to
    [ -r "${HOME:-}/.profile" ] || return 0
    # shellcheck disable=SC2016 # expanded by that shell
    timeout --foreground -k 1 5 /bin/sh -c '. "$HOME/.profile"; printf "%s\n" "$PATH" >"$1"' sh "$1" \
        </dev/null >/dev/null 2>&1
    if line_of "$1"; then
        case $line in
        /*) PATH=$line ;;
        esac
    fi
}

# A line for each pair "look|version COMMAND": is it there for a job, and what does it call itself.
look_for_agents() (
    find_path ".path.$$"
    rm -f ".path.$$"
    while [ "$#" -ge 2 ]; do
        seen=missing version=
        # shellcheck disable=SC2016 # not a function of this script
        if /bin/sh -c 'command -v -- "$1"' sh "$2" >/dev/null 2>&1; then
            seen=found
            [ "$1" = look ] || version=$(timeout -k 1 5 "$2" --version </dev/null 2>/dev/null | head -n 1 |
                tr -cd 'A-Za-z0-9._+ -' | head -c 60)
        fi
        echo "agent $seen $version"
        shift 2
    done
)

call_hello() {
    mkdir -p runs
    missing_tools
    find_machine
    find_boot
    find_owner
    space=$(stat -f -c '%a %S' .)
    banner
    echo "hello v=1 machine=$machine boot=$boot owner=$owner disk_free=$((${space% *} * ${space#* })) missing=$missing"
    look_for_agents "$@"
    echo end
}

call_raise() {
    take_key "$@"
    if make_directory; then
        look
        how=absent
        banner
        echo state
        record 0 0
        echo end
        exit 0
    fi
    enter
    answer_with_record state
}

call_void() {
    take_key "$@"
    make_directory
    enter
    if mkdir "$dir/go" 2>/dev/null; then
        write_void
    fi
    if [ -e "$dir/go/void" ]; then
        answer 'void'
    fi
    [ -e "$dir/go/supervisor" ] || refuse host_disk_full
    answer_with_record started
}

call_stop() {
    take_key "$1" "$2" "$3"
    if ! is_number "$4" || ! is_number "$5" || ! is_word "$6"; then
        refuse usage
    fi
    if [ ! -e "$dir" ]; then
        answer_with_record state
    fi
    enter
    look
    case $how in
    running) ask_supervisor "$6 $4 $5" ;;
    orphaned)
        setsid /bin/sh "$script" "$base" slay "$run" "$mine" "$nonce" "$4" "$5" \
            </dev/null >/dev/null 2>&1 9>&- &
        ;;
    *) answer_with_record state ;;
    esac
    answer stopping
}

# The file says it, the pipe wakes. Opened for both, the pipe never blocks.
ask_supervisor() {
    if [ ! -e "$dir/stop" ]; then
        { echo "$1" >"$dir/stop.new" && mv "$dir/stop.new" "$dir/stop"; } 2>/dev/null || refuse host_disk_full
    fi
    set +f
    for pipe in "$dir"/up.*/ctl; do
        [ ! -p "$pipe" ] || echo stop 1<>"$pipe"
    done
    set -f
}

# What is left of a run without supervisor.
call_slay() {
    take_key "$1" "$2" "$3"
    group=
    if [ "$4" -gt 0 ]; then
        signal_marked INT
        wait_unmarked "$4" && remove_tmp && exit 0
    fi
    signal_marked TERM
    wait_unmarked "$5"
    while find_marked; do
        signal_marked KILL
        sleep 0.2
    done
    remove_tmp
}

wait_unmarked() { # seconds
    tries=$(($1 * 5))
    while find_marked; do
        [ "$tries" -gt 0 ] || return 1
        tries=$((tries - 1))
        sleep 0.2
    done
}

# --- poll --------------------------------------------------------------------------------------------

clamp() { # size offset: bytes to send in n
    n=0
    if [ "$1" != - ] && [ "$1" -gt "$2" ]; then
        n=$(($1 - $2))
        [ "$n" -le "$max" ] || n=$max
    fi
}

# Exactly n bytes of a stream: what vanished since it was measured is sent as NULs, so that the frame holds.
send() { # file offset n
    [ "$3" -gt 0 ] || return 0
    moved=$({ dd if="$1" bs="$3" count=1 skip="$2" iflag=skip_bytes,fullblock,nofollow,nonblock conv=sync \
        status=noxfer >&4; } 2>&1)
    case $moved in
    *'1+0 records out'*) ;;
    *) head -c "$3" /dev/zero ;;
    esac
}

# RUN:NONCE:OUT_OFFSET:ERR_OFFSET of each proper line in `asks`, their files in `files`.
read_asks() {
    asks='' files='' asked=0
    while read -r run nonce from_out from_err && [ "$asked" -lt 256 ]; do
        asked=$((asked + 1))
        if is_name "$run" && is_hex "$nonce" 32 && is_number "$from_out" && is_number "$from_err"; then
            asks="$asks $run:$nonce:$from_out:$from_err" dir=runs/$run
            add_files
        fi
    done
}

take_ask() { # RUN:NONCE:OUT_OFFSET:ERR_OFFSET
    run=${1%%:*} from_err=${1##*:}
    nonce=${1#*:} from_out=${1%:*}
    nonce=${nonce%%:*} from_out=${from_out##*:}
    dir=runs/$run mark=$run.$nonce has=' ' out=- err=-
}

answer_ask() {
    judge
    clamp "$out" "$from_out"
    n1=$n
    clamp "$err" "$from_err"
    record "$n1" "$n"
    send "$dir/out" "$from_out" "$n1"
    send "$dir/err" "$from_err" "$n"
}

# One stat measures the files of all runs: it names them in the order of the asks.
call_poll() {
    max=$1
    is_number "$max" || refuse usage
    exec 4>&1
    banner
    read_asks
    # shellcheck disable=SC2046,SC2086 # words
    set -- $(stat -c '%f:%s:%n' $files 2>/dev/null)
    for ask in $asks; do
        take_ask "$ask"
        while [ "$#" -gt 0 ]; do
            case $1 in
            *":$dir/"*) take_entry "$1" ;;
            *) break ;;
            esac
            shift
        done
        answer_ask
    done
    echo end
}

# --- start -------------------------------------------------------------------------------------------

take_start() { # TIMEOUT CAP FOLDER JOBLEN JOBSHA PROMPTLEN PROMPTSHA
    if [ "$#" -ne 7 ] || ! is_number "$1" || ! is_number "$2" || ! is_name "$3" || ! is_number "$4" ||
        ! is_hex "$5" 64 || ! is_number "$6" || ! is_hex "$7" 64; then
        refuse usage
    fi
    timeout=$1 cap=$2 folder=$3 job_len=$4 job_sha=$5 prompt_len=$6 prompt_sha=$7
}

# Under the lock: somebody was here before.
answer_started() {
    if [ -e "$dir/go/void" ]; then
        answer 'void'
    elif [ -e "$dir/go" ]; then
        answer_with_record exists
    fi
}

# Without the lock, for a half-open connection may hang here for hours.
upload() {
    junk=$dir/in.$$
    { rm -rf "$junk" && mkdir "$junk"; } 2>/dev/null || refuse host_disk_full
    { head -c "$job_len" >"$junk/job.sh" && head -c "$prompt_len" >"$junk/prompt" &&
        printf '%4095s\n' '' >"$junk/reserve" && mkfifo "$junk/ctl" "$junk/out" "$junk/err" "$junk/hold" &&
        sync "$junk/job.sh" "$junk/prompt" "$junk/reserve" "$junk"; } 2>/dev/null || refuse host_disk_full
    sums="$job_len $(stat -c %s "$junk/job.sh") $prompt_len $(stat -c %s "$junk/prompt")"
    [ "$sums" = "$job_len $job_len $prompt_len $prompt_len" ] || refuse upload
    printf '%s  %s\n' "$job_sha" "$junk/job.sh" "$prompt_sha" "$junk/prompt" | sha256sum -c --status 2>/dev/null ||
        refuse upload
    [ "$(stat -c %s "$junk/reserve")" -eq 4096 ] || refuse host_disk_full
}

call_start() {
    [ "$#" -ge 3 ] || refuse usage
    take_key "$1" "$2" "$3"
    shift 3
    take_start "$@"
    make_directory
    enter
    answer_started
    unlock
    mkdir -p "${base%/.fleet/*}/tasks/$folder" 2>/dev/null || refuse folder
    upload
    enter
    answer_started
    up=$dir/up.$mine
    # Nobody uses an older upload: its supervisor would hold the lock, or go would stand.
    set +f
    { rm -rf "$dir"/up.* && mv -T "$junk" "$up" && true >"$dir/out" && true >"$dir/err"; } 2>/dev/null ||
        refuse host_disk_full
    set -f
    junk=
    said=$(
        setsid /bin/sh "$script" "$base" supervise "$run" "$mine" "$nonce" "$timeout" "$cap" "$folder" \
            </dev/null 2>/dev/null &
    )
    unlock
    case $said in
    started) answer_with_record started ;;
    exists) answer_with_record exists ;;
    *) refuse supervisor ;;
    esac
}

# --- the supervisor ----------------------------------------------------------------------------------
#
# Its processes tell it what happened through one pipe, up.<epoch>/ctl, a line each. The keeper leads the
# job's session and group and outlives the job, so that the group's number cannot be given to others.
#
#   supervisor ─┬─ sh ── keeper (setsid) ── job, with the run's mark in its environment
#               ├─ reader of out, reader of err (each in a session of its own)
#               └─ timer, if one is armed
#
# Descriptors: 3 ctl; 4, 5 the job's pipes until the keeper has them; 6 write end of hold, which only the
# supervisor has; 7 its read end: a read ends when the supervisor does; 8 a reader's end, while it is forked.

go() {
    find_boot
    process $$
    echo "$$ $pstart $boot $mine" >"$up/supervisor" && sync "$up/supervisor" "$up" "$dir" || exit 1
    if ! mkdir "$dir/go" 2>/dev/null; then
        echo exists
        exit 0
    fi
    mv "$up/supervisor" "$dir/go/supervisor" && sync "$dir/go" "$dir" || exit 1
    echo started
    exec >/dev/null 9>&-
}

call_supervise() {
    take_key "$1" "$2" "$3"
    timeout=$4 cap=$5 folder=$6 up=$dir/up.$2
    trap '' HUP INT TERM
    go
    # shellcheck disable=SC2094 # on purpose
    exec 3<>"$up/ctl" 4<>"$up/out" 5<>"$up/err" 6<>"$up/hold" 7<"$up/hold"
    phase=run cause='' code='' group='' timer='' serial=0 readers=2 ticks=0
    read_stream out
    out_reader=$!
    read_stream err
    err_reader=$!
    find_now
    began=$now ended=$now
    (
        setsid /bin/sh "$script" "$base" keep "$run" "$mine" "$nonce" "$folder"
        echo "keeper $?" >&3
    ) 4<&- 5<&- 6<&- &
    keeper=$!
    arm "$timeout"
    [ ! -e "$dir/stop" ] || on_stop
    while [ "$phase" != over ] && read -r word value <&3; do
        on_event "$word" "$value"
    done
    finish
}

# Bytes as they come; the kernel stops the file at its cap. The pipe is opened before the fork: a job that is
# faster than its readers must not die of a pipe that nobody reads.
read_stream() { # name
    exec 8<"$up/$1"
    # shellcheck disable=SC2016 # expanded by that shell
    setsid /bin/sh -c 'prlimit --core=0 --fsize="$1:$1" cat >>"$2" 2>/dev/null; echo "$3 $?" >&3' reader \
        "$cap" "$dir/$1" "$1" <&8 4<&- 5<&- 6<&- 7<&- 8<&- &
    exec 8<&-
}

arm() { # seconds
    disarm
    serial=$((serial + 1))
    # shellcheck disable=SC2016 # expanded by that shell
    setsid /bin/sh -c 'timeout --foreground -s KILL "$1" cat <&7 >/dev/null 2>&1; echo "time $2" >&3' timer \
        "$1" "$serial" 4<&- 5<&- 6<&- &
    timer=$!
}

disarm() {
    [ -n "$timer" ] || return 0
    kill -KILL "-$timer" 2>/dev/null || kill -KILL "$timer" 2>/dev/null
    wait "$timer" 2>/dev/null
    timer=
}

on_event() { # word value
    case $1 in
    group)
        is_number "$2" && group=$2
        exec 4<&- 5<&-
        ;;
    out | err) on_reader "$1" "$2" ;;
    job) on_job "$2" ;;
    keeper) # the job killed it, with all of its group
        group=
        exec 4<&- 5<&-
        on_job 137
        ;;
    time)
        if [ "$2" = "$serial" ]; then
            timer=''
            on_time
        fi
        ;;
    stop) on_stop ;;
    esac
}

on_reader() { # stream status; its process is gone, and its number may soon be another's
    readers=$((readers - 1))
    case $1 in
    out) out_reader='' ;;
    err) err_reader='' ;;
    esac
    if [ "$2" != 0 ]; then
        if [ "$(stat -c %s "$dir/$1")" -ge "$cap" ]; then
            quit output_limit 0 10
        else
            quit host_disk_full 0 10
        fi
    fi
    [ "$phase" != drain ] || drain
}

on_stop() {
    line_of "$dir/stop" || return 0
    # shellcheck disable=SC2086 # words
    set -- $line
    if [ "$#" -eq 3 ] && [ "$phase" = run ] && is_word "$1" && is_number "$2" && is_number "$3"; then
        quit "$1" "$2" "$3"
    fi
}

# The first cause stays. In drain it only names why the output is not whole.
quit() { # cause grace_secs term_secs
    [ -z "$cause" ] || return 0
    cause=$1 term=$3
    [ "$phase" = run ] || return 0
    if [ "$2" -gt 0 ]; then
        phase=int
        signal_all INT
        arm "$2"
    else
        terminate
    fi
}

terminate() {
    phase=term
    signal_all TERM
    arm "$term"
}

on_time() {
    case $phase in
    run)
        find_now
        if [ $((now - began)) -ge $((timeout * 100)) ]; then
            quit timed_out 0 10
        else
            arm 1
        fi
        ;;
    int) terminate ;;
    term)
        signal_all KILL
        on_job 137
        ;;
    drain)
        ticks=$((ticks + 1))
        drain
        ;;
    esac
}

on_job() { # exit status
    [ -n "$code" ] || code=$1
    if [ "$phase" != drain ]; then
        find_now
        ended=$now phase=drain
    fi
    drain
}

# Readers at the end of their pipes and nothing marked: done. 5 s are given to what the job left behind,
# then it is killed; 2 s later a pipe that is still held open by what shed the mark is given up.
drain() {
    if [ "$readers" -le 0 ] && ! find_marked; then
        phase=over
        return
    fi
    [ "$ticks" -lt 25 ] || signal_all KILL
    if [ "$ticks" -ge 35 ] && [ "$readers" -gt 0 ]; then
        kill_readers
        readers=0
    fi
    if [ "$ticks" -lt 100 ]; then
        arm 0.2
    else
        arm 5
    fi
}

kill_readers() {
    for reader in $out_reader $err_reader; do
        kill -KILL "-$reader" 2>/dev/null
    done
}

finish() {
    disarm
    [ -z "$group" ] || kill -KILL "-$group" 2>/dev/null
    exec 6>&-
    kill_readers
    # shellcheck disable=SC2086 # words
    wait $keeper $out_reader $err_reader 2>/dev/null
    remove_tmp
    is_number "$code" || code=137
    sizes=$(stat -c %s "$dir/out" "$dir/err" 2>/dev/null | tr '\n' ' ')
    echo "status $nonce $code $(((ended - began) * 10)) ${cause:-exit} ${sizes:-0 0 }." 1<>"$up/reserve"
    sync "$dir/out" "$dir/err" "$up/reserve"
    mv "$up/reserve" "$dir/status"
    sync "$dir"
    rm -f "$up/ctl" "$up/out" "$up/err" "$up/hold"
}

# --- the keeper and the job --------------------------------------------------------------------------

call_keep() {
    take_key "$1" "$2" "$3"
    folder=$4 up=$dir/up.$2
    trap '' HUP INT TERM QUIT
    exec 4>"$up/out" 5>"$up/err"
    mkdir -p "${tmp%/*}" && mkdir "$tmp"
    env -i --default-signal HOME="${HOME:-/}" USER="${USER:-$(id -un)}" LOGNAME="${LOGNAME:-$(id -un)}" \
        PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" LANG="${LANG:-C.UTF-8}" SHELL="${SHELL:-/bin/sh}" \
        TMPDIR="$tmp" FLEET_RUN="$mark" /bin/sh "$script" "$base" job "$run" "$2" "$3" "$folder" \
        <"$up/prompt" >&4 2>&5 3>&- 4>&- 5>&- 7<&- &
    job=$!
    exec 4>&- 5>&-
    echo "group $$" >&3
    wait "$job"
    echo "job $?" >&3
    read -r line <&7
}

# In the job's own environment.
call_job() {
    take_key "$1" "$2" "$3"
    folder=$4 up=$base/$dir/up.$2
    unset LC_ALL
    umask 022
    find_path "$up/path"
    cd "${base%/.fleet/*}/tasks/$folder" || exit 126
    exec /bin/sh "$up/job.sh"
}

case $call in
supervise | keep | job) ;;
*)
    trap drop_junk EXIT
    trap 'exit 1' HUP INT TERM
    ;;
esac
case $call in
hello | start | void | raise | stop | slay | poll | supervise | keep | job) "call_$call" "$@" ;;
*) refuse usage ;;
esac
