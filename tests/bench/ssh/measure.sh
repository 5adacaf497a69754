# shellcheck shell=bash
# What tests/bench/ssh/run measures with: submits, times from the database, CPU and memory of /proc.

now() { echo "${EPOCHREALTIME/[.,]/}"; }
show() { printf 'bench: %-58s %s\n' "$1" "$2"; }
adapter() { # NAME ARGUMENT...
    local name=$1 words
    shift
    printf -v words ', "%s"' "$@"
    echo "  $name: { command: [ \"$AGENT\"$words ], output: text }"
}

# A task whose title is the time of its submit, over a connection that stands: what a client needs to begin is not ours.
single() { # TASK_ID CAPABILITY
    local body line connection length=0 rest=', "task_id": "'"$1"'", "labels": ["agent:'"$2"'"], "timeout_secs": 3600}'
    exec {connection}<>"/dev/tcp/127.0.0.1/${PORT[server-1]}"
    printf -v body '{"title": "%s"%s' "$(now)" "$rest"
    printf 'POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
        "${PORT[server-1]}" "$(<"$E2E/etc/header")" "${#body}" "$body" >"$E2E/request"
    cat "$E2E/request" >&"$connection" # in one segment: bash would write it by lines, and wait for each to be acknowledged
    while read -r line <&"$connection" && [[ $line != $'\r' ]]; do
        [[ ${line,,} == content-length:* ]] && length=${line#*: } length=${length%$'\r'}
    done
    read -r -N "$length" line <&"$connection"
    exec {connection}>&-
    [[ $line == *'"task_id"'* ]] || fail "submit of $1" "$line"
}

# N tasks over one connection.
many() { # PREFIX N CAPABILITY
    local i
    for ((i = 0; i < $2; i++)); do
        ((i == 0)) || echo next
        cat <<END
url = "$URL/api/v1/tasks"
header = "@$E2E/etc/header"
header = "Content-Type: application/json"
output = "/dev/null"
silent
data = "{\"title\": \"$(now)\", \"task_id\": \"$1$i\", \"labels\": [\"agent:$3\"], \"timeout_secs\": 3600}"
END
    done >"$E2E/many"
    curl -fsS -K "$E2E/many" || fail "submit of $1"
}

completed() { # PREFIX N
    [[ $(sql "select count(*) from fleet.tasks where task_id like '$1%' and status = 'completed'") == "$2" ]]
}

# --- times, in milliseconds, of the tasks whose ids begin so ---

of_tasks() { # EXPRESSION PREFIX
    echo "select ($1) / 1000.0 as ms from fleet.attempt a join fleet.task t using (task) where t.task_id ~ '^$2[0-9-]*\$'"
}
us() { printf "extract(epoch from %s) * 1e6" "$1"; }
said() { # WORD: when the agent said it
    echo "(select substring(string_agg(convert_from(l.bytes, 'UTF8'), '' order by l.start) from '$1 ([0-9]+)')::numeric
           from fleet.log l where l.attempt = a.attempt and l.stream = 'stdout')"
}
claims() { of_tasks "$(us a.claimed_at) - t.title::numeric" "$1"; }
starts() { of_tasks "$(said start) - $(us a.claimed_at)" "$1"; }
ends() { of_tasks "$(us a.ended_at) - $(said end)" "$1"; }
bytes_to_rows() {
    echo "select ($(us l.at) - (regexp_matches(convert_from(l.bytes, 'UTF8'), 'at ([0-9]{16})', 'g'))[1]::numeric) / 1000.0 as ms
          from fleet.log l join fleet.attempt a using (attempt) join fleet.task t using (task)
          where l.stream = 'stdout' and t.task_id ~ '^$1[0-9-]*\$'"
}
spread() { # QUERY
    sql "select format('p50 %s ms, p99 %s ms (%s)', round(percentile_cont(0.5) within group (order by ms)::numeric, 1),
                       round(percentile_cont(0.99) within group (order by ms)::numeric, 1), count(ms)) from ($1) x"
}
start_rate() {
    sql "select format('%s/s', round((count(*) - 1) / greatest(max(at) - min(at), 0.001), 0))
         from (select $(said start) / 1e6 as at from fleet.attempt a join fleet.task t using (task) where t.task_id ~ '^$1[0-9]') x"
}
log_rate() {
    sql "select format('%s MB/s', round((a.stdout_bytes / 1e6) / greatest(extract(epoch from a.ended_at) - $(said start) / 1e6, 0.001), 1))
         from fleet.attempt a join fleet.task t using (task) where t.task_id = '$1'"
}

# --- ssh itself ---

ssh_to() {
    ssh -F none -p "$SSHD_PORT" -i "$E2E/sshd/client_key" -o UserKnownHostsFile="$E2E/sshd/known_hosts" \
        -o ControlPath="$E2E/run/control" "$@"
}
ssh_true() { # N
    local i began times=
    ssh_to -o ControlMaster=yes -o ControlPersist=60 127.0.0.1 true
    for ((i = 0; i < $1; i++)); do
        began=$(now)
        ssh_to 127.0.0.1 true
        times+="($(($(now) - began)) / 1000.0), "
    done
    spread "select column1 as ms from (values ${times%, }) v"
}
ssh_cat() { # MEGABYTES
    local began
    head -c "$(($1 * 1000000))" /dev/zero >"$E2E/big"
    began=$(now)
    ssh_to -o ControlPath=none 127.0.0.1 "cat $E2E/big" >/dev/null
    echo "$(($1 * 1000000 / ($(now) - began))) MB/s"
    ssh_to -O exit 127.0.0.1 2>/dev/null
    rm "$E2E/big"
}

# --- processes ---

# Those of this bench whose command line matches.
pids() {
    local file line
    for file in /proc/[0-9]*/cmdline; do
        line=$(tr '\0' ' ' <"$file") 2>/dev/null
        [[ $line =~ $1 ]] && { file=${file#/proc/}; echo "${file%/*}"; }
    done 2>/dev/null
}
# Of a sshd: its children, and theirs.
sessions() { pgrep -P "$(pgrep -d, -P "$1")" "^sshd$"; pgrep -P "$1"; }
live_runs() { # N that have said something
    [[ $(sql "select count(*) from fleet.attempt where phase = 'running' and stdout_bytes > 0") == "$1" ]]
}
pss() { # PIDS: of one, on average
    local pid
    for pid in $1; do cat "/proc/$pid/smaps_rollup"; done 2>/dev/null | awk '/^Pss:/ { n++; sum += $2 } END { print int(sum / (n ? n : 1)) }'
}
# Nanoseconds of CPU that the processes have had.
cpu() {
    local pid
    for pid in $1; do cat "/proc/$pid/schedstat"; done 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
usage() { # SECONDS: per cent of one core
    local name before after out=
    declare -A group=(
        [supervisors]=$(pids "^fleet-runner supervise $BASE ") [serve]=$(pids "$BASE/bin/.* serve ")
        [worker]=$(pid_of worker-1) [sshd]=$(sessions "$(pid_of sshd)") [server]=$(pid_of server-1)
        [PostgreSQL]=$(pgrep -P "$(head -1 "$E2E/postgres/data/postmaster.pid")")
    )
    declare -A began
    for name in "${!group[@]}"; do began[$name]=$(cpu "${group[$name]}"); done
    before=$(now)
    sleep "$1" # payload: sleep, the time that is measured
    after=$(now)
    for name in supervisors serve sshd worker server PostgreSQL; do
        out+="$name $(awk -v ns=$(($(cpu "${group[$name]}") - began[$name])) -v us=$((after - before)) \
            'BEGIN { printf "%.2f %%", ns / us / 10 }'), "
    done
    echo "${out%, } of a core"
}
