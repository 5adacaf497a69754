# shellcheck shell=bash disable=SC2034 # variables are for the cases
# The runner on a host of its own, driven through one channel a call (tests/runner/client.c). Sourced by
# tests/runner/case after tests/lib/common.sh.
#
#   RUNNER   the program, as words; WORK and BASE: its work_dir and base; TASKS: where jobs work
#   N, M     two nonces of this run alone
#   as ...   a command as the account that the runs belong to; of nobody else in this process namespace

# What we inherited would be counted as a descriptor of the job.
for fd in /proc/$$/fd/*; do
    ((${fd##*/} <= 2 || ${fd##*/} == 255)) || eval "exec ${fd##*/}>&-"
done

N=$(openssl rand -hex 16)
M=$(openssl rand -hex 16)
CLIENT=$BUILD/runner-client
hang='exec /bin/sleep 1000' # payload: sleep
export ASAN_OPTIONS="log_path=$TEST_DIR/sanitizer/report:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="log_path=$TEST_DIR/sanitizer/report:print_stacktrace=1"

# Root lends the runs an account that nobody else has; others have only their own.
account() { [[ $EUID -ne 0 || $KIND == emulated ]] && id -u || echo 60606; }
as() {
    if [[ $ACCOUNT == "$EUID" ]]; then
        "$@"
    else
        setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --clear-groups -- "$@"
    fi
}

# ssh wants its account to have a name: one in this mount namespace only.
name_account() {
    [[ $ACCOUNT != "$EUID" ]] || return 0
    { cat /etc/passwd && echo "runner:x:$ACCOUNT:$ACCOUNT::$HOME:/bin/sh"; } >"$TEST_DIR/passwd"
    mount --bind "$TEST_DIR/passwd" /etc/passwd
}

runner_begin() {
    ACCOUNT=$(account)
    mkdir -p "$TEST_DIR"/{sanitizer,home,jobs}
    chmod 777 "$TEST_DIR"/{sanitizer,home,jobs}
    export HOME=$TEST_DIR/home
    RUNNER=$TEST_DIR/fleet-runner
    cp "$PROGRAM" "$RUNNER"
    chmod 755 "$RUNNER"
    HASH=$(sha256sum <"$RUNNER" | cut -c 1-64)
    new_host host
    at_exit end_host
}

# A host of its own: a work_dir with nothing in it.
new_host() { # name
    WORK=$TEST_DIR/$1 BASE=$TEST_DIR/$1/.fleet/f1 TASKS=$TEST_DIR/$1/tasks
    mkdir -p "$WORK"
    [[ $ACCOUNT == "$EUID" ]] || chown "$ACCOUNT:$ACCOUNT" "$WORK"
    DIR=$BASE/runs
}

# --- calls: what the client says, a verdict and mostly a record ---------------------------------------

call() { as "$CLIENT" "$RUNNER" "$BASE" "$HASH" "$@"; }
# Commands from stdin, over one channel; each line of an answer begins with its command's number.
channel() { as "$CLIENT" "$RUNNER" "$BASE" "$HASH"; }

job_files=0
start_words=() # of every start: run_as=ACCOUNT and the like
start() { # run epoch nonce timeout cap job [prompt]
    local file=$TEST_DIR/jobs/$BASHPID.$((job_files++))
    printf %s "$6" >"$file.job"
    printf %s "${7-}" >"$file.prompt"
    call start "$1" "$2" "$3" "$4" "$5" "$(folder_of "$1")" "$file.job" "$file.prompt" "${start_words[@]}"
}
# A line for channel(): the same, with files that stand.
start_line() { # run epoch nonce timeout cap job_file [prompt_file]
    echo "start $1 $2 $3 $4 $5 $(folder_of "$1") $6 ${7:-/dev/null}"
}
folder_of() { echo "${1%.*}"; }

record() { call watch "$1" "${2:-$N}" - - credit=0 until=record epoch="${3:-1}"; }
# Whatever a stream holds from an offset on, once the run has ended, into $TEST_DIR/out and err.
fetch() { # run [out_offset [err_offset]]
    rm -f "$TEST_DIR"/jobs/{out,err}
    call watch "$1" "$N" "$TEST_DIR/jobs/out" "$TEST_DIR/jobs/err" out="${2:-0}" err="${3:-0}" until=ended
}

field() { record "$1" | grep -aoE " $2=[^ ]*" | cut -d= -f2; }
is() { [[ $(field "$1" "$2") == "$3" ]]; }
# Waits for it, 60 s.
ended() { CLIENT_DEADLINE=60 call watch "$1" "$N" - - until=ended >/dev/null; }
says() { # text command...
    local want=$1 got
    shift
    got=$("$@")
    [[ ${got%%$'\n'*} == "$want" ]] || { echo "wanted '$want', got '$got'"; return 1; }
}
fields() { # run name=value...
    local run=$1 got
    shift
    got=$(record "$run")
    has_fields "$got" "$@"
}
has_fields() { # text name=value...
    local got=$1 pair
    shift
    for pair in "$@"; do
        [[ " ${got//$'\n'/ } " == *" $pair "* ]] || { echo "wanted $pair in: $got"; return 1; }
    done
}
stdout_is() { # run text
    local got
    got=$(cat "$DIR/$1/out")
    [[ $got == "$2" ]] || { echo "wanted '$2', got '$got'"; return 1; }
}

# A stop is a real-time signal that waits for a signalfd: qemu-user takes it before.
can_stop() { [[ $KIND != emulated ]]; }

# --- processes -----------------------------------------------------------------------------------------

marked() { grep -lzsxF "FLEET_RUN=$1.$N" /proc/[0-9]*/environ >/dev/null; }
unmarked() { ! marked "$1"; }
supervisor() { cut -d' ' -f1 "$DIR/$1/go/supervisor"; }

# Processes of the runs' account, without forking one; where it is ours too: all but the test's shells.
processes() {
    local dir line uid words
    for dir in /proc/[0-9]*; do
        [[ ${dir##*/} != 1 ]] || continue
        uid=
        while read -r line; do
            case $line in
            State:*[ZX]*) continue 2 ;;
            Uid:*) uid=${line#Uid:?} && uid=${uid%%[!0-9]*} && break ;;
            esac
        done 2>/dev/null <"$dir/status"
        [[ $uid == "$ACCOUNT" ]] || continue
        mapfile -t -d '' words 2>/dev/null <"$dir/cmdline"
        [[ ${words[1]-} == */case ]] || echo "${dir##*/}"
    done
    return 0
}
# Without a pipe: where the account is the test's own, the one that counts would be counted.
is_many() {
    local all
    mapfile -t all < <(processes)
    [[ ${#all[@]} -eq $1 ]] || { echo "${#all[@]} processes"; return 1; }
}
no_process() {
    local left
    left=$(processes)
    [[ -z $left ]] || { for pid in $left; do echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"; done; return 1; }
}
# Leaves no process of this host behind, however the test ended.
end_host() {
    local pid
    for _ in 1 2 3 4 5; do
        for pid in $(processes); do
            ((pid > 1)) && kill -KILL "$pid" 2>/dev/null
        done
    done
}

# What every case ends with: nobody of ours lives, and no sanitizer has said a word.
runner_end() {
    wait_for 30 "no process of a run" no_process || no_process
    end_host
    check "no sanitizer has said anything" eval '! cat "$TEST_DIR"/sanitizer/* 2>/dev/null | grep -m 20 .'
}

# answers NAME=VALUE... -- COMMAND...: members of an answer, after it was stored in `answer`.
answers() {
    local wanted=()
    while [[ $1 != -- ]]; do wanted+=("$1") && shift; done
    shift
    "$@" >"$TEST_DIR/answer" 2>&1
    has_fields "$(cat "$TEST_DIR/answer")" "${wanted[@]}"
}
# detail_has PATTERN: of the last answer.
detail_has() { grep -qa "^detail .*$1" "$TEST_DIR/answer" || { cat "$TEST_DIR/answer"; return 1; }; }
