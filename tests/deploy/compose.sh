# shellcheck shell=bash
# docker-compose.yml, built and run for real with the profile demo: podman's engine behind docker-compose 1.29. A signed
# webhook through Caddy becomes a completed task on the SSH host; a worker is killed in a run, a server under load; all nodes
# are made anew one by one; the data outlive `down`. Sourced by tests/deploy/part, after deploy/lib/demo.sh.
# shellcheck disable=SC2154 # repository container_reason

# shellcheck source=tests/lib/container.sh
source tests/lib/container.sh

COMPOSE_SERVICES=(postgres server-1 server-2 worker-1 worker-2 caddy demo-host)

compose_suite() {
    if ! command -v docker-compose >/dev/null; then
        skip 'compose' 'docker-compose is not installed (deploy/lib/install.sh lists the packages: container)'
        return
    fi
    if ! container_ready; then
        skip 'compose' "$container_reason"
        return
    fi
    export FLEET_COMPOSE_DIR=$TEST_DIR/compose
    check 'deploy/compose/setup --demo' deploy/compose/setup --demo
    compose_engine || return
    compose_up || return
    compose_looks
    compose_main_job
    compose_worker_killed
    compose_server_killed
    compose_renewed
    compose_again
}

# --- the engine ---

# podman runs health checks by timers of systemd, which need not be there: here a loop does.
compose_engine() {
    export DOCKER_HOST=unix://$TEST_DIR/podman.sock DOCKER_BUILDKIT=0 COMPOSE_PROJECT_NAME=fleet$$ COMPOSE_HTTP_TIMEOUT=180
    export FLEET_VERSION=test FLEET_BASE=$CONTAINER_BASE
    compose_port=$(process_free_port "$((22000 + RANDOM % 9000))")
    export FLEET_PUBLISH=127.0.0.1:$compose_port
    podman system service --time=0 "$DOCKER_HOST" >"$TEST_DIR/service.log" 2>&1 &
    started "$!"
    wait_for 20 "podman's socket" test -S "$TEST_DIR/podman.sock" || return 1
    while compose_checked; do :; done &
    started "$!"
    at_exit compose_end
}

compose_checked() {
    local id
    for id in $(podman ps -q 2>/dev/null); do timeout 20 podman healthcheck run "$id" >/dev/null 2>&1; done
    PATIENCE=1 until_true 1 false || [[ -S $TEST_DIR/podman.sock ]]
}

compose() { timeout 900 docker-compose --profile demo "$@" </dev/null; }
compose_end() {
    compose down -v -t 5
    podman network ls -q --filter "name=$COMPOSE_PROJECT_NAME" | xargs -r podman network rm -f
}
# inside SERVICE COMMAND...
inside() {
    local service=$1
    shift
    podman exec "$(compose_name "$service")" "$@" </dev/null
}
compose_name() { echo "${COMPOSE_PROJECT_NAME}_$1_1"; }
compose_sql() { inside postgres psql -XqAt -d fleet -c "$1"; }
healthy() { [[ $(podman inspect -f '{{.State.Health.Status}}' "$(compose_name "$1")") == healthy ]]; }

compose_up() {
    if ! compose build >"$TEST_DIR/build" 2>&1; then
        fail 'the images are built' "$(tail -n 30 "$TEST_DIR/build")"
        return 1
    fi
    pass 'the images are built'
    if ! compose up -d --no-build >"$TEST_DIR/up" 2>&1; then
        fail 'docker-compose up -d' "$(tail -n 10 "$TEST_DIR/up"; compose logs --tail 5 2>&1 | tail -n 30)"
        return 1
    fi
    pass 'docker-compose up -d'
    local service
    for service in "${COMPOSE_SERVICES[@]}"; do
        wait_for 90 "$service to be healthy" healthy "$service"
    done
    url=http://127.0.0.1:$compose_port
    wait_for 30 'the fleet behind Caddy' curl -fsS -m 5 -o /dev/null "$url/healthz"
    wait_for 60 'the host to be reached' compose_reached
    compose_token
}

compose_reached() { [[ $(compose_sql "select count(*) from fleet.hosts where host_id = 'demo-host' and status = 'online'") == 1 ]]; }

# What deploy/lib/demo.sh takes from its caller: folder, URL, secret, token.
compose_token() {
    fleet=$TEST_DIR/client
    mkdir -p "$fleet"/{etc,tmp}
    cp "$FLEET_COMPOSE_DIR/secrets/webhook-secret" "$fleet/etc/webhook-secret"
    inside server-1 /usr/bin/fleet-server token create --scope admin --name test --config /etc/agent-fleet/fleet.yaml 2>/dev/null |
        grep -o 'aft_d_[A-Za-z0-9_-]*' | head -n 1 >"$fleet/etc/token"
    check 'a token is made in a server' test -s "$fleet/etc/token"
    (umask 077 && echo "Authorization: Bearer $(cat "$fleet/etc/token")" >"$fleet/etc/token-header")
}
say() { echo "     $*" >>"$TEST_DIR/said"; }
die() { shift; echo "     $*" >>"$TEST_DIR/said"; exit 1; }

# --- how they run ---

compose_looks() {
    local service
    for service in "${COMPOSE_SERVICES[@]}"; do
        check "$service is no root, has no rights and a read-only root" compose_confined "$service"
        check "$service shows no secret" compose_silent "$service"
    done
    check 'only Caddy is published, on the loopback' test "$(podman ps --format '{{.Ports}}' --filter "name=$COMPOSE_PROJECT_NAME" |
        grep -v '^$')" = "127.0.0.1:$compose_port->9090/tcp"
    check 'the database listens on no network' test "$(inside postgres cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ')" = 0
    check 'no secret is in an image' compose_layers
    check 'a node without its secrets says so and ends' compose_without
    check 'a worker whose loop hangs is not healthy' compose_hangs
}

compose_confined() {
    local status
    status=$(inside "$1" cat /proc/1/status) || return 1
    [[ $(awk '/^Uid:/ { print $2 }' <<<"$status") -ge 10001 ]] || { echo "uid"; return 1; }
    [[ $(awk '/^Cap(Prm|Eff|Bnd|Inh|Amb):/ { print $2 }' <<<"$status" | sort -u) == 0000000000000000 ]] || { echo "rights"; return 1; }
    [[ $(awk '/^NoNewPrivs:/ { print $2 }' <<<"$status") == 1 ]] || { echo "new privileges"; return 1; }
    [[ $(inside "$1" cat /proc/1/mounts | awk '$2 == "/" { print substr($4, 1, 2) }') == ro ]] || { echo "root is writable"; return 1; }
    ! inside "$1" touch /usr/bin/x 2>/dev/null
}

# What inspect and the environment say, against each secret (the passwords out of the URLs, too).
compose_secrets() {
    cat "$FLEET_COMPOSE_DIR"/secrets/{owner-password,webhook-secret,server-database-url,worker-database-url}
    sed -n 's|.*:\([^:@]*\)@.*|\1|p' "$FLEET_COMPOSE_DIR"/secrets/*-database-url
    sed -n 2p "$FLEET_COMPOSE_DIR"/secrets/ssh-key
}
compose_silent() {
    compose_secrets >"$TEST_DIR/secrets"
    { podman inspect "$(compose_name "$1")"; inside "$1" cat /proc/1/environ | tr '\0' '\n'; inside "$1" cat /proc/1/cmdline; } >"$TEST_DIR/shown"
    ! grep -qFf "$TEST_DIR/secrets" "$TEST_DIR/shown"
}
compose_layers() {
    compose_secrets >"$TEST_DIR/secrets"
    podman save --multi-image-archive agent-fleet-{postgres,migrate,server,worker,caddy,demo-host}:test >"$TEST_DIR/images.tar" &&
        grep -qa 'This is the demo agent' "$TEST_DIR/images.tar" && ! grep -qaFf "$TEST_DIR/secrets" "$TEST_DIR/images.tar"
    local status=$?
    rm -f "$TEST_DIR/images.tar"
    return "$status"
}
compose_without() {
    local status=0
    timeout 60 podman run --rm --network none -e PORT=9090 -v "$FLEET_COMPOSE_DIR/fleet.yaml:/etc/agent-fleet/fleet.yaml:ro" \
        agent-fleet-server:test >"$TEST_DIR/err" 2>&1 || status=$?
    ((status == 78)) && grep -q 'there is no credential database-url' "$TEST_DIR/err" || { echo "$status"; cat "$TEST_DIR/err"; return 1; }
}
compose_hangs() {
    local name status
    name=$(compose_name worker-2)
    inside worker-2 /usr/bin/fleet-worker health || return 1
    podman kill -s STOP "$name" >/dev/null
    until_true 60 compose_says_hangs
    status=$?
    podman kill -s CONT "$name" >/dev/null
    until_true 30 inside worker-2 /usr/bin/fleet-worker health && return "$status"
}
compose_says_hangs() { [[ $(inside worker-2 /usr/bin/fleet-worker health || true) == *hangs* ]]; }

# --- the main job ---

# `check` runs what it checks in a process of its own: the task is named before.
compose_deliver() { (demo_deliver "${task#*#}" "$1"); }
compose_status() { compose_sql "select status from fleet.tasks where task_id = '$task'"; }
compose_is() { [[ $(compose_status) == "$1" ]]; }
# What its end is to be: completed in one attempt, every line said once.
compose_whole() { # LINES
    until_true 180 compose_is completed || { echo "it is $(compose_status)"; return 1; }
    [[ $(compose_sql "select count(*) from fleet.attempts where task_id = '$task'") == 1 ]] || { echo 'more than one attempt'; return 1; }
    task_path=tasks/${task/\//%2F}
    task_path=${task_path/\#/%23}
    demo_stdout "$TEST_DIR/stdout" && demo_numbered "$TEST_DIR/stdout" && ((demo_lines == $1)) || { echo "$demo_lines lines"; return 1; }
}

compose_main_job() {
    task="$DEMO_REPO#1"
    check 'a signed webhook through Caddy is accepted' compose_deliver 'demo: seconds=2'
    check 'its task is completed on the SSH host' compose_whole 20
    sed 's/^/x/' "$FLEET_COMPOSE_DIR/secrets/webhook-secret" >"$fleet/etc/webhook-secret"
    check 'another secret is refused' not compose_deliver 'demo: seconds=1'
    cp "$FLEET_COMPOSE_DIR/secrets/webhook-secret" "$fleet/etc/webhook-secret"
}

# The other worker takes the run over; the engine starts the killed one again (restart: unless-stopped does not count
# a kill by the engine's own command, so the process is killed).
compose_worker_killed() {
    local victim name
    task="$DEMO_REPO#3"
    compose_deliver 'demo: seconds=25' || { fail 'a second webhook'; return; }
    until_true 60 compose_running || { fail 'it runs'; return; }
    # Workers that have just come to know each other judge nobody by a lost connection (lock_grace_ms, 15 s).
    victim=$(compose_sql "select node from fleet.running where task_id = '$task'")
    name=$(compose_name "$victim")
    check "the worker that runs it ($victim) is killed with -9" kill -KILL "$(podman inspect -f '{{.State.Pid}}' "$name")"
    check 'another one takes the run over: one attempt, no line lost' compose_whole 250
    check 'it was taken over' test -n "$(compose_sql "select 1 from fleet.history where task_id = '$task' and event_type = 'adopted'")"
    until_true 30 compose_works "$victim" || podman start "$name" >/dev/null
    check "$victim is back" until_true 60 compose_works "$victim"
}
compose_running() { [[ $(compose_sql "select node from fleet.running where task_id = '$task' and status = 'running'") == worker-* ]]; }
compose_works() {
    local kind=${1%-*}
    inside "$1" "/usr/bin/fleet-$kind" health
}

# Reads through Caddy while something happens. A read is repeated by Caddy; none may fail.
compose_load_on() {
    : >"$TEST_DIR/load"
    (
        trap 'exit 0' TERM
        while [[ -e $TEST_DIR/load ]]; do
            curl -sS -m 20 -o /dev/null -w '%{http_code}\n' -H @"$fleet/etc/token-header" "$url/api/v1/tasks" >>"$TEST_DIR/answers" 2>&1
        done
    ) &
    loader=$!
    started "$loader"
}
compose_load_off() {
    rm -f "$TEST_DIR/load"
    wait "$loader" 2>/dev/null
    sort "$TEST_DIR/answers" | uniq -c >"$TEST_DIR/counts"
    grep -q ' 200$' "$TEST_DIR/counts" && [[ $(wc -l <"$TEST_DIR/counts") == 1 ]] || { cat "$TEST_DIR/counts"; return 1; }
}

compose_server_killed() {
    local name
    name=$(compose_name server-1)
    : >"$TEST_DIR/answers"
    compose_load_on
    until_true 20 eval "(( \$(wc -l <'$TEST_DIR/answers') > 20 ))"
    check 'a server is killed with -9 under load' kill -KILL "$(podman inspect -f '{{.State.Pid}}' "$name")"
    until_true 30 compose_works server-1 || podman start "$name" >/dev/null
    check 'it is back' until_true 60 compose_works server-1
    check "every read through Caddy was answered" compose_load_off
}

# Each node made anew, one after the other, while a task runs and clients read.
compose_renewed() {
    task="$DEMO_REPO#4"
    compose_deliver 'demo: seconds=20' && until_true 60 compose_running || { fail 'a run to be handed over'; return; }
    : >"$TEST_DIR/answers"
    compose_load_on
    check 'fleet-rolling-restart --compose' deploy/rolling-restart --compose docker-compose.yml
    check 'no request failed meanwhile' compose_load_off
    check 'no run was interrupted' compose_whole 200
}

compose_again() {
    check 'down' compose down -t 30
    check 'leaves the volumes' test "$(podman volume ls -q --filter "name=$COMPOSE_PROJECT_NAME" | wc -l)" = 4
    check 'up again' compose up -d --no-build
    until_true 60 curl -fsS -m 5 -o /dev/null "$url/healthz"
    task="$DEMO_REPO#1"
    check 'with the data' compose_is completed
    check 'and the tokens' curl -fsS -m 10 -o /dev/null -H @"$fleet/etc/token-header" "$url/api/v1/nodes"
}
