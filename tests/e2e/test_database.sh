# shellcheck shell=bash disable=SC2016 # texts are for eval and psql
# What people do in the database while a fleet is at work: open transactions, full tables of locks, a new version of the code, logins
# that are not right. No request pays for somebody else's.

fleet_begin
server 1
server 2
caddy
token_header
nodes=("http://127.0.0.1:${PORT[server-1]}" "http://127.0.0.1:${PORT[server-2]}")

# timed NAME CURL-ARGUMENT...: one line "STATUS SECONDS" to $E2E/NAME.
timed() {
    local name=$1
    shift
    curl -sS -m 20 -o /dev/null -w '%{http_code} %{time_total}\n' -H @"$E2E/etc/header" "$@" >>"$E2E/$name" 2>&1
}
# Asks both servers for everything but the issue that is held, until file $E2E/go is gone.
others() {
    local n=0 url
    while [[ -e $E2E/go ]]; do
        url=${nodes[n % 2]}
        n=$((n + 1))
        timed reads "$url/api/v1/tasks?limit=5"
        timed submits -H 'Content-Type: application/json' --data-binary "{\"title\": \"T\", \"labels\": [\"agent:load-$((n % 7))\"]}" "$url/api/v1/tasks"
        issue opened acme/rocket $((1000 + n)) agent:code:rust 2026-11-02T10:00:00Z >"$E2E/other"
        URL=$url deliver "$E2E/other" issues >/dev/null
        timed probes "$url/readyz"
        curl -sS -m 20 -o /dev/null -w '%{http_code} %{time_total}\n' -H 'Content-Type: application/json' -H 'X-Forgejo-Event: issues' \
            -H 'X-Forgejo-Event-Type: issues' -H "X-Forgejo-Delivery: $(cat /proc/sys/kernel/random/uuid)" \
            -H "X-Forgejo-Signature: $(signature "$E2E/other")" --data-binary @"$E2E/other" "$url/api/v1/webhooks/forgejo" >>"$E2E/webhooks"
    done
}
begin_others() {
    rm -f "$E2E"/{reads,submits,probes,webhooks}
    touch "$E2E/go"
    others &
    OTHERS=$!
    wait_for 20 "the others to be at work" test -s "$E2E/webhooks"
}
end_others() {
    rm "$E2E/go"
    wait "$OTHERS"
}
all_served() { # [MORE]: what the others asked, each kind; more statuses that count, as a pattern
    local kind
    for kind in reads submits probes webhooks; do
        ! grep -vE "^(200|201|202${1-}) " "$E2E/$kind" | sort | uniq -c || return 1
    done
}
tell_times() {
    local kind
    for kind in reads submits probes webhooks; do
        echo "     $kind: $(wc -l <"$E2E/$kind"), the slowest took $(sort -k2 -n "$E2E/$kind" | tail -1 | cut -d' ' -f2) s"
    done
}
# Whether half of them took less than the second for which somebody waits for a lock.
waits_not() { sort -k2 -n "$E2E/$1" | awk '{ took[NR] = $2 } END { exit !(NR && took[int((NR + 1) / 2)] < 1) }'; }

# ---- one transaction on one task stays open
issue opened acme/rocket 42 agent:code:rust 2026-11-01T10:00:00Z >"$E2E/first"
deliver "$E2E/first" issues >/dev/null
PGAPPNAME=forgotten postgres_psql fleet fleet_operator_login -c begin -c "select fleet.cancel('acme/rocket#42')" \
    -c "select pg_sleep(300)" >/dev/null 2>&1 &
started $!
wait_for 20 "the transaction to be open" eval '[[ $(sql "select count(*) from fleet.sessions where application = '"'forgotten'"' and doing like '"'%pg_sl%'"'") == 1 ]]'
begin_others
pids=()
for i in $(seq 8); do
    issue label_updated acme/rocket 42 agent:code:rust,bug "2026-11-01T10:00:1${i}Z" >"$E2E/held.$i"
    URL=${nodes[i % 2]} deliver "$E2E/held.$i" issue_label >"$E2E/held.$i.status" &
    pids+=($!)
done
wait "${pids[@]}"
check "eight deliveries about a held issue give up while it is held, with 503" [ "$(cat "$E2E"/held.*.status | fold -w 3 | sort | uniq -c | tr -s ' ')" = " 8 503" ]
told() { [[ $(cat "$E2E"/log/server-?.log | grep -c 'Forgejo does not send it again') == 8 ]]; }
check "... each told in the log, as Forgejo does not come again" until_true 5 told
end_others
check "meanwhile everything else was served" all_served
tell_times
for kind in reads submits probes webhooks; do
    check "... and $kind did not wait for it, as a rule" waits_not "$kind"
done
end=$(postgres_query fleet "select ends_with from fleet.sessions where application = 'forgotten'" fleet_operator_login)
postgres_query fleet "$end" fleet_operator_login >/dev/null
wait_for 20 "the delivery to be taken when it is sent again" eval '[[ $(deliver "$E2E/held.8" issue_label) == 202 ]]'

# ---- the table of locks is full: not even a new session is let in. (Where ./apply was run by a superuser only one can do this.)
# Locks of a session outlive the statement that found no room for more of them. What others let go of makes room again: it is
# filled until a delivery was refused.
exec {filler}> >(exec psql -Xq -d "$(postgres_url fleet)" >"$E2E/log/filler" 2>&1)
started $!
issue opened acme/rocket 77 agent:code:rust 2026-11-01T10:00:00Z >"$E2E/full-delivery"
refused() {
    echo "select count(pg_advisory_lock(n)) from generate_series(1, 2000000) n;" >&"$filler"
    [[ $(deliver "$E2E/full-delivery" issues) == 503 ]]
}
wait_for 60 "a delivery to be refused" refused
exec {filler}>&-
for name in server-1 server-2; do
    wait_for 30 "$name to serve again when there is room" curl -fsS -m 5 -o /dev/null -H @"$E2E/etc/header" \
        "http://127.0.0.1:${PORT[$name]}/api/v1/tasks?limit=5"
    check "$name outlived it" alive "$name"
done
wait_for 20 "deliveries to be taken again" eval '[[ $(deliver "$E2E/full-delivery" issues) == 202 ]]'

# ---- new code while it is called
renewed() { # WHAT SED-SCRIPT FILE...: another version of the code, under load
    local what=$1 script=$2
    shift 2
    sed -i "$script" "${@/#/$E2E/code/}"
    check "$what under load" "$E2E/code/apply" "$(postgres_url fleet)"
}
cp -r migrations "$E2E/code"
files=$(cd migrations && echo functions/*.sql)
begin_others
# shellcheck disable=SC2086
for i in 1 2 3; do renewed "functions made in place" "\$ a -- $i" $files; done
renewed "everything dropped and made" '$ a -- once more' code.sql
renewed "and again" '$ a -- once more' code.sql
PGAPPNAME=reader postgres_psql fleet fleet_reader_login -c begin -c 'select count(*) from fleet.tasks' -c 'select pg_sleep(300)' >/dev/null 2>&1 &
started $!
wait_for 20 "a reader to read" eval '[[ $(sql "select count(*) from fleet.sessions where application = '"'reader'"' and doing like '"'%pg_sl%'"'") == 1 ]]'
# shellcheck disable=SC2086
renewed "functions made while somebody reads" '$ a -- at last' $files
end_others
# Making new code takes locks: on a busy machine somebody may be told to come again.
check "no request failed" all_served "|503"
tell_times

# ---- logins and databases that are not right
# wrong NAME PROGRAM URL PATTERN [WORD]: the node says so once, and goes on trying.
wrong() {
    local name=$1 program=$2 url=$3 pattern=$4 word=${5-} port
    port=$(free_port)
    config "$E2E/etc/$name.yaml" "$port" "$url"
    process_start "$E2E/run" "$name" "$E2E/log/$name.log" env WEBHOOK_SECRET="$FLEET_SECRET" FLEET_NODE_NAME="$name" \
        "$BUILD/$program" --config "$E2E/etc/$name.yaml"
    at_exit process_stop "$E2E/run" "$name" KILL
    wait_for 20 "$name to say what is wrong" grep -qE "$pattern" "$E2E/log/$name.log"
    [[ -z $word ]] || wait_for 20 "$name to be not ready because of its $word" eval \
        '[[ $(curl -sS -m 5 "http://127.0.0.1:'"$port"'/readyz") == *"\"reason\": \"'"$word"'\""* ]]'
}
wrong server-role fleet-server "$(postgres_url fleet fleet_worker_login)" 'grant fleet_server to fleet_worker_login' role
wrong worker-role fleet-worker "$(postgres_url fleet fleet_server_login)" 'grant fleet_worker to fleet_server_login'
postgres_query postgres "create database empty"
wrong server-empty fleet-server "$(postgres_url empty fleet_server_login)" 'migrations/apply' schema
wrong worker-empty fleet-worker "$(postgres_url empty fleet_worker_login)" 'migrations/apply'
postgres_query postgres "create database fixed"
postgres_query postgres "alter database fixed set default_transaction_read_only = on"
wrong server-fixed fleet-server "$(postgres_url fixed fleet_server_login)" 'session is read-only' read_only
PATIENCE=1 until_true 3 false # for what would be said again
for name in server-role worker-role server-empty worker-empty server-fixed; do
    check "$name says it once" [ "$(grep -cE '"level":"(warn|error)".*(grant|migrations/apply|read-only)' "$E2E/log/$name.log")" = 1 ]
    stop_node "$name"
done
