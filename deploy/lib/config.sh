# shellcheck shell=bash
# What the quickstart configures: ports, passwords, the nodes' configuration, .fleet/env.
# Functions only; sourced by deploy/quickstart, whose say, die and variables it uses.
# shellcheck disable=SC2154 # root fleet agent model port

# config_ports: fills port[]. A process that lives keeps its port; a port that somebody else has taken
# is moved, and said.
config_ports() {
    local name wanted line
    declare -gA port=([postgres]=9432 [sshd]=9022 [caddy]=9090 [server-1]=9091 [server-2]=9092 [model]=9099 [forgejo]=9098)
    if [[ -f $fleet/etc/ports ]]; then
        while IFS='=' read -r name line; do
            [[ -n ${port[$name]-} && $line =~ ^[0-9]{1,5}$ ]] && port[$name]=$line
        done <"$fleet/etc/ports"
    fi
    for name in postgres sshd caddy server-1 server-2 model forgejo; do
        process_alive "$fleet/run" "$name" && continue
        wanted=${port[$name]}
        port[$name]=$(config_free_port "$name" "$wanted") || die "" "no free port above $wanted"
        [[ ${port[$name]} == "$wanted" ]] || say "port $wanted is taken: $name listens on ${port[$name]}"
    done
    for name in "${!port[@]}"; do echo "$name=${port[$name]}"; done | sort >"$fleet/etc/ports"
}

# Free, and wanted by no other of ours.
config_free_port() {
    local candidate=$2 other
    while candidate=$(process_free_port "$candidate"); do
        for other in "${!port[@]}"; do
            [[ $other != "$1" && ${port[$other]} == "$candidate" ]] && { candidate=$((candidate + 1)); continue 2; }
        done
        echo "$candidate"
        return 0
    done
    return 1
}

# config_write FILE: stdin into FILE, unless it holds that already (nodes whose files are newer than
# they are get started again). In one step: a killed run leaves no half file.
config_write() {
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

# config_secret FILE: a random secret, made once.
config_secret() {
    [[ -s $1 ]] || { openssl rand -hex 24 >"$1.new" && mv "$1.new" "$1"; }
}

# config_quoted TEXT: a YAML scalar.
config_quoted() { printf "'%s'" "${1//\'/\'\'}"; }

# config_file_url PATH: whatever its directories are called.
config_file_url() {
    local LC_ALL=C i char out=
    for ((i = 0; i < ${#1}; i++)); do
        char=${1:i:1}
        [[ $char == [A-Za-z0-9/._-] ]] || printf -v char '%%%02X' "'$char"
        out+=$char
    done
    echo "file://$out"
}

config_list() {
    local word out=
    for word in "$@"; do out+="${out:+, }$(config_quoted "$word")"; done
    echo "[ $out ]"
}

# config_nodes: one configuration for all four nodes, and what differs between them, with the secrets,
# in an environment file for each. agent_command[] and agent_resume[] are the agent's argv.
config_nodes() {
    local name role
    config_write "$fleet/etc/fleet.yaml" <<END
# Written by deploy/quickstart, and again at each run of it. All four nodes read this file; values
# in \${...} come from server-1.env, server-2.env, worker-1.env, worker-2.env beside it.
server:
  bind: 127.0.0.1
  port: \${FLEET_NODE_PORT}
  trusted_proxies: [ 127.0.0.1 ]
database:
  url: \${FLEET_NODE_DATABASE_URL}
forgejo:
  webhook_secret: \${FLEET_NODE_WEBHOOK_SECRET}
$(config_forgejo)
orchestrator:
  task_timeout_secs: 900
  dispatch_interval_secs: 2
git:
  url: $(config_quoted "$(config_file_url "$fleet/git")/{repository}.git")
adapters:
  $agent_type:
    command: $(config_list "${agent_command[@]}")
    resume: $(config_list "${agent_resume[@]}")
    output: $agent_output
hosts:
  - host_id: demo-host
    hostname: 127.0.0.1
    ssh_port: ${port[sshd]}
    ssh_user: $(config_quoted "$(id -un)")
    ssh_key_path: $(config_quoted "$fleet/sshd/client_key")
    known_hosts: $(config_quoted "$fleet/sshd/known_hosts")
    work_dir: $(config_quoted "$fleet/work")
    workspace: git
    repositories: [ "*" ]
    agents: [ { agent_type: $agent_type, max_concurrency: 8, capabilities: [ code:rust ] } ]
END
    for name in server-1 server-2 worker-1 worker-2; do
        role=fleet_${name%-*}_login
        {
            echo "FLEET_NODE_NAME=$name"
            echo "FLEET_NODE_PORT=${port[$name]-0}"
            echo "FLEET_NODE_DATABASE_URL=$(config_url "$role")"
            config_node_secrets "$name"
        } | config_write "$fleet/etc/$name.env"
    done
}

# Whose deliveries are believed: of the double what Forgejo says of each person, else everybody who knows the secret.
config_forgejo() {
    if $double; then
        cat <<END
  url: http://127.0.0.1:${port[forgejo]}
  webhook_url: $url/api/v1/webhooks/forgejo
  token: \${FLEET_NODE_FORGEJO_TOKEN}
  lookup_token: \${FLEET_NODE_FORGEJO_LOOKUP_TOKEN}
  repositories: [ $(config_quoted "$DEMO_REPO") ]
  open_pull_request: true
END
    else
        cat <<END
  url: https://git.example.org
  # "*" admits every repository and every sender that knows the secret: right for a demonstration only.
  repositories: [ "*" ]
  trigger_users: [ "*" ]
END
    fi
}

config_node_secrets() { # NAME
    [[ $1 != server-* ]] || echo "FLEET_NODE_WEBHOOK_SECRET=$(cat "$fleet/etc/webhook-secret")"
    $double || return 0
    # The servers have them for fleet-server forgejo doctor only.
    echo "FLEET_NODE_FORGEJO_TOKEN=$(cat "$fleet/etc/forgejo-token")"
    echo "FLEET_NODE_FORGEJO_LOOKUP_TOKEN=$(cat "$fleet/etc/forgejo-lookup-token")"
}

# config_url ROLE [DATABASE]: the password is in a file of its own, not in the URL.
config_url() { postgres_url "${port[postgres]}" "$1" "${2:-fleet}" "$fleet/etc/pgpass-$1"; }

# config_logins: the login roles, one for each group of rights, with passwords made once.
config_logins() {
    local group role
    for group in fleet_server fleet_worker fleet_operator fleet_reader fleet_reader_full; do
        role=${group}_login
        config_secret "$fleet/etc/password-$role"
        postgres_passfile "$fleet/etc/pgpass-$role" "$role" "$(cat "$fleet/etc/password-$role")"
        postgres_login "$admin_url" "$role" "$(cat "$fleet/etc/password-$role")" "$group" || return 1
    done
    # People: a forgotten transaction would hold back vacuum, a runaway query the machine.
    for role in fleet_operator_login fleet_reader_login fleet_reader_full_login; do
        echo "alter role $role connection limit 20;"
        echo "alter role $role set statement_timeout = '60s';"
        echo "alter role $role set idle_in_transaction_session_timeout = '60s';"
    done | psql -XqAt -v ON_ERROR_STOP=1 -d "$admin_url" -f -
}

# config_settings: for a demonstration a failed run is tried again soon; `table fleet.settings` shows it,
# `select fleet.set(...)` changes it.
config_settings() {
    psql -XqAt -v ON_ERROR_STOP=1 -d "$admin_url" -f - >/dev/null <<'END'
select fleet.set('retry_base_ms', 2000);   -- first retry after 2 s (10 s)
END
}

# config_env: the contract for other tools and for the shell.
config_env() {
    local name value
    {
        echo "# For the shell: . .fleet/env    Written by deploy/quickstart; it holds secrets."
        while IFS='=' read -r name value; do
            printf "%s='%s'\n" "$name" "${value//\'/\'\\\'\'}"
        done <<END
FLEET_URL=$url
FLEET_SERVER_URLS=http://127.0.0.1:${port[server-1]} http://127.0.0.1:${port[server-2]}
FLEET_TOKEN=$(cat "$fleet/etc/token")
FLEET_WEBHOOK_SECRET=$(cat "$fleet/etc/webhook-secret")
FLEET_DATABASE_URL=$reader_url
FLEET_OPERATOR_DATABASE_URL=$(config_url fleet_operator_login)
FLEET_ADMIN_DATABASE_URL=$admin_url
FLEET_DEMO_REPOSITORY=$repository
END
    } | config_write "$fleet/env"
}
