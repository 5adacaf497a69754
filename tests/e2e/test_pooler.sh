# shellcheck shell=bash disable=SC2034 # variables are for tests/e2e/lib.sh
# The database through PgBouncer in session mode: all works, with database.listen_url even what needs a session of its own.

if [[ ! -x /usr/sbin/pgbouncer ]]; then
    skip 'pooler' 'pgbouncer is not installed'
    return 0
fi
fleet_begin
POOLER=$(free_port)
cat >"$E2E/pooler.ini" <<INI
[databases]
fleet = host=$POSTGRES_DIR
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $POOLER
unix_socket_dir =
auth_type = trust
auth_file = $E2E/pooler.users
pool_mode = session
default_pool_size = 10
INI
printf '"%s" ""\n' fleet_server_login fleet_worker_login >"$E2E/pooler.users"
if ((EUID == 0)); then chown postgres: "$E2E"/pooler.*; chmod 711 "$E2E"; fi
if ((EUID == 0)); then
    as=(setpriv --reuid postgres --regid postgres --init-groups --reset-env --)
else
    as=()
fi
process_start "$E2E/run" pooler "$E2E/log/pooler.log" "${as[@]}" /usr/sbin/pgbouncer "$E2E/pooler.ini"
wait_for 20 'the pooler to listen' process_port_taken "$POOLER"
node_url() { echo "postgresql://$1@127.0.0.1:$POOLER/fleet"; }

host h1 "$(executor counter 2 code:rust)"
server 1
caddy
token_header
worker 1
wait_for 20 "h1 to be reachable" reachable h1
check 'without listen_url the worker says what is missing' grep -q 'give database.listen_url' "$E2E/log/worker-1.log"
stop_node worker-1
DATABASE="listen_url: \"$(postgres_url fleet fleet_worker_login)\""
worker 2
worker 3
watched() { [[ $(sql "select count(*) from fleet.nodes where kind = 'worker' and status = 'live' and watched_by = 'lock, beat'") == 2 ]]; }
wait_for 20 'both workers to hold their locks' watched
submit '{"title": "T", "task_id": "pooled", "body": "e2e: lines=40 ms=50", "labels": ["agent:code:rust"]}'
wait_for 20 'the task to run' task_is pooled running
owner() { sql "select node from fleet.tasks where task_id = 'pooled'"; }
kill_node "$(owner)"
wait_for 60 'the task to complete under the other worker' task_is pooled completed
check '... output whole' output_is_whole pooled 40
check 'all of it went through the pooler' [ "$(grep -c 'login attempt: db=fleet user=fleet_worker_login' "$E2E/log/pooler.log")" -gt 8 ]
