# shellcheck shell=bash
# A whole machine for the long tests: Debian 12 in a container with systemd as process 1, PostgreSQL, Caddy and sshd from
# apt, our programs below /opt/agent-fleet, the account `agent` that runs the demo agent. Sourced by the parts that need it.
#
#   machine_image               builds the programs and the image fleet-machine (layers stay between runs)
#   machine_boot NAME           boots it, installs and configures a fleet; the functions below are about this machine
#   on COMMAND...               runs there
#   on_sql STATEMENT            psql as the database's superuser: rows as a|b
#   on_api PATH [CURL OPTION...]    a request through Caddy with an administrator's token; the body on stdout
#   deliver NUMBER BODY         a signed webhook about demo/rocket#NUMBER; the answer on stdout
#   task_is NUMBER STATUS / unit_is UNIT STATE / main_pid UNIT / unit_says UNIT PROPERTY / logged UNIT PATTERN
# shellcheck disable=SC2154 # repository

MACHINE=
SERVERS=(fleet-server@9091 fleet-server@9092)
WORKER='fleet-worker@1'

machine_image() {
    container_systemd || return 1
    cmake -S . -B build/deploy -DFLEET_TESTS=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo && cmake --build build/deploy -j"$(nproc)" ||
        return 1
    mkdir -p "$TEST_DIR/machine"
    DESTDIR=$TEST_DIR/machine/root cmake --install build/deploy --prefix /opt/agent-fleet || return 1
    cp deploy/demo-agent "$TEST_DIR/machine/"
    cat >"$TEST_DIR/machine/Dockerfile" <<'END'
FROM localhost/fleet-systemd
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && \
    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -y -q install --no-install-recommends postgresql-15 caddy \
        openssh-server openssl curl libpq5 libh2o0.13 libssh2-1 libjson-c5 libyaml-0-2 libcurl4 && \
    apt-get clean && rm /usr/sbin/policy-rc.d && \
    useradd --create-home --shell /bin/bash agent && install -d -m 0700 -o agent -g agent /home/agent/.ssh /home/agent/fleet
COPY demo-agent /usr/local/bin/demo-agent
COPY root/opt/agent-fleet /opt/agent-fleet
END
    container_image fleet-machine "$TEST_DIR/machine/Dockerfile" "$TEST_DIR/machine"
}

on() { container_do "$MACHINE" "$@"; }
on_script() { container_feed "$MACHINE" bash -euo pipefail -s; }
on_sql() { on runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -d fleet -c "$1"; }
on_api() {
    local path=$1
    shift
    on curl -sS -m 30 -H @/root/header "$@" "http://127.0.0.1:9090$path"
}

machine_boot() {
    MACHINE=$1
    container_boot "$MACHINE" fleet-machine || return 1
    machine_install && machine_database && machine_files && machine_start
}

# As the guide has it for a prefix of its own.
machine_install() {
    on_script <<'END'
systemd-sysusers /opt/agent-fleet/lib/sysusers.d/agent-fleet.conf
install -d -m 0700 /etc/agent-fleet/credentials /etc/agent-fleet/credentials/{server,worker,migrate}
ln -s /opt/agent-fleet/lib/systemd/system/*fleet* /etc/systemd/system/
# Seconds instead of half a minute, so that the tests need not wait as long.
for unit in fleet-server@ fleet-worker@; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    printf '[Service]\nWatchdogSec=10\n' >"/etc/systemd/system/$unit.service.d/test.conf"
done
systemctl daemon-reload
END
}

machine_database() {
    on_script <<'END'
runuser -u postgres -- createdb --encoding UTF8 --locale C.UTF-8 --template template0 fleet
umask 077
login() { # ROLE GROUP FILE
    local password
    password=$(openssl rand -hex 24)
    echo "create role $1 login password '$password' in role $2" | runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1 fleet
    echo "postgresql://$1:$password@127.0.0.1:5432/fleet" >"/etc/agent-fleet/credentials/$3"
}
echo 'create role fleet_migrate_login login createrole; alter database fleet owner to fleet_migrate_login' |
    runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1 fleet
password=$(openssl rand -hex 24)
echo "alter role fleet_migrate_login password '$password'" | runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1 fleet
echo "postgresql://fleet_migrate_login:$password@127.0.0.1:5432/fleet" >/etc/agent-fleet/credentials/migrate/owner-database-url
systemctl start fleet-migrate
login fleet_server_login fleet_server server/database-url
login fleet_worker_login fleet_worker worker/database-url
END
}

machine_files() {
    on_script <<'END'
cd /etc/agent-fleet
cat >fleet.yaml <<'YAML'
server: { bind: 127.0.0.1, port: "${PORT}", trusted_proxies: [ 127.0.0.1 ] }
database: { url: { credential: database-url } }
forgejo:
  url: https://git.example.org
  webhook_secret: { credential: webhook-secret }
  repositories: [ demo/rocket ]
  trigger_users: [ visitor ]
adapters:
  demo-agent: { command: [ sh, /usr/local/bin/demo-agent ], output: codex-json }
hosts:
  - host_id: this
    hostname: 127.0.0.1
    ssh_user: agent
    ssh_key_path: { credential: ssh-key }
    known_hosts: { credential: known-hosts }
    work_dir: /home/agent/fleet
    repositories: [ demo/rocket ]
    agents: [ { agent_type: demo-agent, max_concurrency: 4, capabilities: [ code:rust ] } ]
YAML
chown root:agent-fleet fleet.yaml && chmod 0640 fleet.yaml
umask 077
openssl rand -hex 24 >credentials/server/webhook-secret
ssh-keygen -q -t ed25519 -N '' -C fleet -f credentials/worker/ssh-key
install -m 0600 -o agent -g agent /dev/null /home/agent/.ssh/authorized_keys
echo "restrict $(cat credentials/worker/ssh-key.pub)" >/home/agent/.ssh/authorized_keys
rm credentials/worker/ssh-key.pub
echo "127.0.0.1 $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)" >credentials/worker/known-hosts
mkdir -p /etc/systemd/system/caddy.service.d
printf '[Service]\nEnvironment="FLEET_SERVERS=127.0.0.1:9091 127.0.0.1:9092"\n' >/etc/systemd/system/caddy.service.d/fleet.conf
echo 'import /opt/agent-fleet/share/agent-fleet/Caddyfile' >/etc/caddy/Caddyfile
systemctl daemon-reload
END
}

machine_start() {
    on systemctl enable --now "${SERVERS[@]}" "$WORKER" || return 1
    on systemctl restart caddy || return 1
    on_script <<'END' || return 1
umask 077
CREDENTIALS_DIRECTORY=/etc/agent-fleet/credentials/server PORT=0 /opt/agent-fleet/bin/fleet-server token create \
    --scope admin --name test --config /etc/agent-fleet/fleet.yaml >/root/token
echo "Authorization: Bearer $(cat /root/token)" >/root/header
END
    wait_for 30 'Caddy to answer for ready servers' on_api /readyz -f
}

# --- questions ---

unit_says() { on systemctl show -P "$2" "$1"; }
unit_is() { [[ $(unit_says "$1" ActiveState) == "$2" ]]; }
main_pid() { unit_says "$1" MainPID; }
logged() { on journalctl -q --no-pager -u "$1" -o cat | grep -E -- "$2"; }
task_is() { [[ $(on_sql "select status from fleet.tasks where task_id = 'demo/rocket#$1'") == "$2" ]]; }
running_since() { # NUMBER BYTES: it runs, and so much of its output is stored
    [[ $(on_sql "select coalesce(max(stdout_bytes), 0) from fleet.attempt_details where task_id = 'demo/rocket#$1'") -ge $2 ]]
}

deliver() {
    local file=$TEST_DIR/delivery.$1
    demo_issue "$1" "$2" >"$file"
    on cat /etc/agent-fleet/credentials/server/webhook-secret >"$TEST_DIR/secret"
    container_feed "$MACHINE" curl -sS -m 20 -f -X POST -H 'Content-Type: application/json' -H 'X-Forgejo-Event: issues' \
        -H 'X-Forgejo-Event-Type: issue_label' -H "X-Forgejo-Delivery: $(cat /proc/sys/kernel/random/uuid)" \
        -H "X-Forgejo-Signature: $(demo_hmac "$file" "$(cat "$TEST_DIR/secret")")" --data-binary @- \
        http://127.0.0.1:9090/api/v1/webhooks/forgejo <"$file"
}

# The stored output is, byte for byte, what the runner keeps on the host.
output_is_whole() { # NUMBER
    local run
    run=$(on_sql "select run from fleet.attempt_texts where task_id = 'demo/rocket#$1' order by attempt desc limit 1")
    on bash -c "cat /home/agent/fleet/.fleet/*/runs/'$run'/out" >"$TEST_DIR/on-host"
    on_api "/api/v1/tasks/demo%2Frocket%23$1/logs?stream=stdout&limit_bytes=1048576" >"$TEST_DIR/stored"
    [[ -s $TEST_DIR/on-host ]] && cmp "$TEST_DIR/on-host" "$TEST_DIR/stored"
}
attempts_of() { on_sql "select count(*) from fleet.attempts where task_id = 'demo/rocket#$1'"; }
