# shellcheck shell=bash disable=SC2154 # moment, rounds and short are of who sources this
# Measures of tests/bench/api/run and lists, which source this.

declare -A RATE=() # by name of a request and its connections

stop_all() {
    local name
    for name in caddy server-1 nginx; do process_stop "$E2E/run" "$name" TERM 5; done
}

# request FILE METHOD PATH [TYPE BODY-FILE]: the bytes of a request.
request() {
    {
        printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n' "$2" "$3" "$AUTHORIZATION"
        [[ $# == 3 ]] || printf 'Content-Type: %s\r\nContent-Length: %s\r\n' "$4" "$(wc -c <"$5")"
        printf '\r\n'
        [[ $# == 3 ]] || cat "$5"
    } >"$E2E/etc/$1"
}

requests() {
    local task='{"title": "Do number %d", "body": "Body of the task %d", "labels": ["agent:bench"]}' i
    # shellcheck disable=SC2059 # the format is ours
    for ((i = 0; i < 1000; i++)); do printf "$task\n" "$i" "$i"; done >"$E2E/etc/lines.body"
    head -n 1 "$E2E/etc/lines.body" >"$E2E/etc/one.body"
    { echo '[' && paste -sd, "$E2E/etc/lines.body" && echo ']'; } >"$E2E/etc/list.body"
    request healthz GET /healthz
    request one POST /api/v1/tasks application/json "$E2E/etc/one.body"
    request list POST /api/v1/tasks application/json "$E2E/etc/list.body"
    request lines POST /api/v1/tasks application/x-ndjson "$E2E/etc/lines.body"
}

# per_second PORT CONNECTIONS REQUEST TIMES: "rate p50 p99" of the things that a request is TIMES of; a refused one is counted as bad.
per_second() {
    local out
    out=$("$E2E/load" "$1" "$2" "$moment" "$E2E/etc/$3") || { echo "0 0 0"; return 1; }
    awk -v times="$4" '{ printf "%.0f %.2f %.2f %d\n", $1 * times, $2 / 1000, $3 / 1000, $4 }' <<<"$out"
}

# both NAME CONNECTIONS REQUEST [TIMES]: a line of the table.
both() {
    local direct caddy
    direct=$(per_second "$DIRECT" "$2" "$3" "${4:-1}")
    caddy=$(per_second "$CADDY" "$2" "$3" "${4:-1}")
    row "$1" "$2" "$direct" "$caddy"
    RATE[$3-$2]=${direct%% *}
}

row() { # NAME CONNECTIONS DIRECT CADDY; a measure that failed is empty
    [[ -n $3 && -n $4 ]] || { fail "bench: $1" "it could not be measured"; return; }
    local a b
    read -ra a <<<"$3"
    read -ra b <<<"$4"
    echo "| $1 | $2 | ${a[0]} | ${a[1]} / ${a[2]} | ${b[0]} | ${b[1]} / ${b[2]} |"
    ((${a[3]:-0} + ${b[3]:-0} == 0)) || fail "bench: $1" "$((${a[3]:-0} + ${b[3]:-0})) answers were not 2xx"
}

# fill COUNT: that many more tasks, by the API's own way; the newest is asked for by its id.
fill() {
    local left=$(($1 / 1000)) id
    for (( ; left > 0; left--)); do
        curl -fsS -o "$E2E/etc/filled" -H @"$E2E/etc/header" -H 'Content-Type: application/x-ndjson' \
            --data-binary @"$E2E/etc/lines.body" "$URL/api/v1/tasks" || { fail "bench: fill"; return 1; }
    done
    id=$(tail -n 1 "$E2E/etc/filled" | sed -n 's/.*"task_id": "\([^"]*\)".*/\1/p')
    request detail GET "/api/v1/tasks/$id"
}

# Tasks wait by now: agents take them; and one waits while a task is submitted, of a label that nobody else asks for.
agents() {
    local direct caddy
    direct=$(agents_line "$DIRECT" drain 8 "$moment")
    caddy=$(agents_line "$CADDY" drain 8 "$moment")
    row "dequeue + complete, tasks" 8 "$direct" "$caddy"
    RATE[drain-8]=${direct%% *}
    sql "delete from fleet.queue" >/dev/null
    direct=$(agents_line "$DIRECT" wake "$rounds")
    caddy=$(agents_line "$CADDY" wake "$rounds")
    row "idle: submitted -> dequeue answered" 1 "- ${direct#* }" "- ${caddy#* }"
}

agents_line() { # PORT ARGUMENT...
    local port=$1
    shift
    "$E2E/agents" "$port" "$AUTHORIZATION" "$@" | awk '{ printf "%.0f %.2f %.2f\n", $1, $2 / 1000, $3 / 1000 }'
}

# --- what the machine can do ---

limits() {
    local clients
    if command -v nginx >/dev/null; then
        nginx_up
        read -r "RATE[nginx]" _ < <(per_second "$NGINX" 24 healthz 1)
        echo "limit: nginx, return 200, 24 connections: ${RATE[nginx]}/s"
        process_stop "$E2E/run" nginx TERM 5
    fi
    sql "create table public.bench (id bigint generated always as identity primary key, title text, body text)" >/dev/null
    echo "insert into public.bench (title, body) values ('Do number 1', 'Body of the task 1');" >"$E2E/etc/insert.sql"
    for clients in 24 32; do
        RATE[insert-$clients]=$(postgres_run pgbench -n -M prepared -f "$E2E/etc/insert.sql" -c "$clients" -j 2 -T $(((moment + 999) / 1000)) \
            -h "$E2E/postgres" -U postgres fleet 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')
        echo "limit: pgbench, one row a commit, $clients clients: ${RATE[insert-$clients]}/s"
    done
    RATE[copy]=$(copied)
    echo "limit: psql \\copy: ${RATE[copy]} rows/s"
    sql "drop table public.bench" >/dev/null
}

nginx_up() {
    NGINX=$(free_port)
    cat >"$E2E/etc/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $E2E/run/nginx.own; error_log stderr crit;
events { }
http { access_log off; client_body_temp_path $E2E/run; proxy_temp_path $E2E/run; fastcgi_temp_path $E2E/run;
       uwsgi_temp_path $E2E/run; scgi_temp_path $E2E/run; keepalive_requests 10000000;
       server { listen 127.0.0.1:$NGINX; location / { return 200 "ok"; } } }
CONF
    process_start "$E2E/run" nginx "$E2E/log/nginx.log" nginx -c "$E2E/etc/nginx.conf" -e stderr
    wait_for 10 "nginx to answer" curl -fsS -o /dev/null "http://127.0.0.1:$NGINX/"
}

copied() {
    local rows=$((moment * 100)) began
    seq "$rows" | sed 's/.*/Do number &\tBody of the task &/' >"$E2E/etc/copy"
    began=${EPOCHREALTIME/[.,]/}
    postgres_psql fleet postgres -c "\\copy public.bench (title, body) from '$E2E/etc/copy'" >/dev/null
    echo $((rows * 1000000 / (${EPOCHREALTIME/[.,]/} - began)))
}

# --- the peers ---

# Each alone in a database of its own of the same server; one by one with 24 clients, and 1,000 a call with 4.
peers() {
    local name
    npm install --silent --no-audit --no-fund --prefix "$E2E/npm" "${PEERS[@]}" >"$E2E/log/npm.log" 2>&1 ||
        { skip "bench: peers" "npm brought none: $(tail -n 1 "$E2E/log/npm.log")"; return; }
    cp tests/bench/api/peer.mjs "$E2E/npm/"
    for name in "${PEERS[@]%%@*}"; do
        postgres_query postgres "create database \"$name\"" >/dev/null
        RATE[$name-one]=$(peer "$name" 24 1)
        RATE[$name-many]=$(peer "$name" 4 1000)
        echo "peer: $name by library call: ${RATE[$name-one]}/s one by one, 24 clients; ${RATE[$name-many]}/s in batches of 1,000, 4 clients"
    done
    RATE[one-again]=$(per_second "$DIRECT" 24 one 1 | cut -d' ' -f1) # after the peers as before: minutes differ
    echo "POST /tasks, 24 connections, once more: ${RATE[one-again]}/s"
}

peer() { # NAME CLIENTS BATCH
    node "$E2E/npm/peer.mjs" "$1" "postgresql://postgres@localhost/$1?host=$(postgres_percent "$E2E/postgres")" "$2" "$moment" "$3" |
        tail -n 1
}

# --- the closing lines ---

ratio() { # NAME OURS PEER WHAT
    [[ -n ${2-} && -n ${3-} && ${3-0} != 0 ]] || return 0
    awk -v name="$1" -v ours="$2" -v peer="$3" -v what="$4" \
        'BEGIN { printf "bench: %s ours=%d/s peer=%d/s (%s) ratio=%.2f\n", name, ours, peer, what, ours / peer }'
}

ratios() {
    local name
    ratio healthz "${RATE[healthz-24]}" "${RATE[nginx]-}" "nginx, return 200"
    ratio post-24 "${RATE[one-24]}" "${RATE[insert-24]}" "pgbench, one row a commit"
    ratio post-256 "${RATE[one-256]}" "${RATE[insert-32]}" "pgbench, 32 clients"
    ratio post-list "${RATE[list-4]}" "${RATE[copy]}" "psql copy of bare rows"
    for name in "${PEERS[@]%%@*}"; do
        ratio post-24 "${RATE[one-again]-}" "${RATE[$name-one]-}" "$name"
        ratio post-list "${RATE[list-4]}" "${RATE[$name-many]-}" "$name"
    done
}
