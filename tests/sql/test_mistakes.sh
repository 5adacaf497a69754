# shellcheck shell=bash disable=SC2154 # run by tests/sql/run, which sets $database
# An operator's first hour: typical mistakes with both programs, each with the status that it ends with or the word that it waits with,
# and the sentence that names the thing, the place and the way out.

# shellcheck source=deploy/lib/process.sh
source deploy/lib/process.sh
build=${BUILD:-$PWD/build/tests}
dir=$TEST_DIR/mistakes
mkdir -p "$dir"
chmod 755 "$dir"
fine='database: { url: "postgresql:///x" }'
key_of='{ host_id: a, hostname: b, ssh_user: c, work_dir: /d, agents: [], ssh_key_path:'
ssh-keygen -q -t ed25519 -N '' -f "$dir/key" || fail "a key"

# ---- what can never work as it is

yaml() { # NAME LINE...: a configuration, whose path it prints
    printf '%s\n' "${@:2}" >"$dir/$1.yaml"
    chmod 600 "$dir/$1.yaml"
    echo "$dir/$1.yaml"
}
# says NAME STATUS WORDS COMMAND...: it ends so within ten seconds, and says that.
says() {
    local name=$1 status=$2 words=$3 got=0
    shift 3
    timeout -k 1 10 "$@" >"$dir/said" 2>&1 || got=$?
    if [[ $got == "$status" ]] && grep -qF -- "$words" "$dir/said"; then
        pass "$name: $status"
    else
        fail "$name: $status, $words" "$got: $(tail -n 3 "$dir/said")"
    fi
}
never() { says "$1" 78 "$2" "$build/$3" "${@:4}"; } # NAME WORDS PROGRAM ARGUMENT...
nobody=(--reuid nobody --regid nogroup --clear-groups)

never "no file" "cannot open /no/such.yaml: No such file or directory; name the configuration by --config PATH" fleet-server --config /no/such.yaml
never "a folder" "cannot read /etc: Is a directory; name the file in it" fleet-worker --config /etc
never "no env file" "--env-file: cannot open /no/such: No such file" fleet-server --env-file /no/such
never "TOML" "this is TOML; the configuration is YAML" fleet-server --config "$(yaml toml '[server]' 'port = 1')"
never "a tab" ":2:1: found character that cannot start any token while scanning for the next token; YAML is indented with spaces, not tabs" \
    fleet-server --config "$(yaml tab 'server:' $'\tport: 1')"
never "an unknown key" "server.prot: unknown key; did you mean port?" fleet-worker --config "$(yaml unknown "$fine" 'server: { prot: 1 }')"
never "no database" "database.url: missing; it must be given" fleet-server --config "$(yaml empty '')"
# shellcheck disable=SC2016 # it is the configuration's
never "an unset variable" "database.url: environment variable NO_SUCH is not set; set it, or put it in a file for --env-file" \
    fleet-server --config "$(yaml unset 'database: { url: "${NO_SUCH}" }')"
never "no credential" "there is no credential database-url; make one of these files, mode 600: /run/" \
    fleet-worker --config "$(yaml credential 'database: { url: {credential: database-url} }')"
never "a database in the clear" "database.url: the database at db.example.org is not local: its URL needs sslmode=verify-full" \
    fleet-worker --config "$(yaml clear 'database: { url: "postgresql://u@db.example.org/fleet" }')"
never "... which the check finds too" "needs sslmode=verify-full" fleet-server --check-config --config "$dir/clear.yaml"
never "no address of ours" "server.bind: 192.0.2.1 is no address of this machine (ip -br address shows those)" \
    fleet-server --config "$(yaml bind "$fine" 'server: { bind: 192.0.2.1 }')"
never "no ssh key" "hosts[0].ssh_key_path: ssh key: cannot open /no/such: No such file" \
    fleet-worker --check-config --config "$(yaml nokey "$fine" "hosts: [ $key_of /no/such } ]")"
never "no known_hosts" "hosts[0].known_hosts: " \
    fleet-worker --check-config --config "$(yaml known "$fine" "hosts: [ $key_of $dir/key, known_hosts: /no/such } ]")"
cp "$dir/key" "$dir/open_key"
chmod 640 "$dir/open_key"
never "a key that others read" "others may read it (mode 0640); do: chmod 600" \
    fleet-worker --check-config --config "$(yaml openkey "$fine" "hosts: [ $key_of $dir/open_key } ]")"
if ((EUID == 0)) && setpriv "${nobody[@]}" test -x "$build/fleet-server"; then
    chmod 644 "$(yaml low "$fine" 'server: { port: 80 }')"
    if (($(cat /proc/sys/net/ipv4/ip_unprivileged_port_start) > 80)); then
        says "a low port" 78 "server.port: this user may not listen on port 80; give one from 1024 on" setpriv "${nobody[@]}" "$build/fleet-server" --config "$dir/low.yaml"
    fi
    says "a file of somebody else" 78 "unknown.yaml: Permission denied; run this as root, or let this user read it (a service: chmod 640, chgrp agent-fleet" setpriv "${nobody[@]}" "$build/fleet-server" --config "$dir/unknown.yaml"
else
    skip "what another user may" "needs root, and a build directory that others may enter"
fi
for program in fleet-server fleet-worker; do
    says "$program, no option" 2 "see $program --help" "$build/$program" --frob
    says "$program, no argument" 2 "unknown argument: start; see $program --help" "$build/$program" start
done

# ---- what may work later

declare -A NODE=() PORT=()
# runs NAME PROGRAM URL: in the background; NODE[NAME] is its pid, PORT[NAME] its port.
runs() {
    local name=$1
    PORT[$name]=${PORT[$name]:-$(process_free_port "$((20000 + RANDOM % 12000))")}
    yaml "$name" "server: { port: ${PORT[$name]} }" "database: { url: \"$3\" }" >/dev/null
    FLEET_NODE_NAME=$name FLEET_LAME_DUCK_MS=${LAME_DUCK_MS:-300} "$build/$2" --config "$dir/$name.yaml" >"$dir/$name.log" 2>&1 &
    NODE[$name]=$!
    started $!
}
word() { [[ $(curl -sS -m 5 "http://127.0.0.1:${PORT[$1]}/readyz") == *"\"reason\": \"$2\""* ]]; }
ready() { curl -fsS -m 5 -o /dev/null "http://127.0.0.1:${PORT[$1]}/readyz"; }
tells() { grep -qF -- "$2" "$dir/$1.log"; }
# waits NAME WORDS [WORD]: it says so, lives on, and /readyz of a server has the word.
waits() {
    wait_for 30 "$1 to say what is wrong" tells "$1" "$2"
    [[ -z ${3-} ]] || wait_for 30 "$1 to be not ready: $3" word "$1" "$3"
    check "$1 waits" kill -0 "${NODE[$1]}"
}
ends() { # NAME STATUS
    local status=0
    wait_for 40 "$1 to end" pid_gone "${NODE[$1]}"
    wait "${NODE[$1]}" || status=$?
    check "$1 ends with $2" test "$status" = "$2"
}
later() { postgres_query later "$1"; }
as_server=fleet_server_login as_worker=fleet_worker_login

sed -i '1i local all pw_login scram-sha-256' "$POSTGRES_DIR/data/pg_hba.conf"
postgres_query "$database" "create role pw_login login password 'right' in role fleet_server"
postgres_query "$database" "create role stranger login"
postgres_query "$database" "select pg_reload_conf()" >/dev/null
runs wrong-password fleet-server "postgresql://pw_login:wrong@/$database?host=$POSTGRES_DIR"
runs stranger fleet-worker "$(postgres_url "$database" stranger)"
runs later fleet-server "$(postgres_url later $as_server)"
runs later-worker fleet-worker "$(postgres_url later $as_worker)"
waits wrong-password 'password authentication failed for user \"pw_login\" (name a login that may, and its password, in database.url)' database
waits stranger 'name its own in database.url, or an administrator runs: grant fleet_worker to LOGIN;'
waits later 'database \"later\" does not exist (create it and run fleet-migrate, or name another one in database.url)' database
waits later-worker 'database \"later\" does not exist'
for name in later later-worker; do
    check "$name leaves no core" grep -qE '^Max core file size +0 +0 ' "/proc/${NODE[$name]}/limits"
done
says "a taken port" 1 "port ${PORT[later]} of 127.0.0.1 is taken by another process, which this shows: ss -ltnp 'sport = :${PORT[later]}'" \
    "$build/fleet-server" --config "$dir/later.yaml"
kill "${NODE[wrong-password]}" "${NODE[stranger]}"
ends wrong-password 0
ends stranger 0
postgres_query postgres "create database later"
waits later 'the database has no schema of Agent Fleet: as its owner run fleet-migrate' schema
migrations/apply "$(postgres_url later)" >"$dir/apply.log" 2>&1 || fail "migrations" "$(cat "$dir/apply.log")"
wait_for 60 "the server to be ready by itself" ready later
wait_for 60 "the worker to register by itself" tells later-worker 'registered as later-worker'

# ---- the schema of another release
newest=$(later "select max(number) from fleet.migration")
later "create table kept as table fleet.migration"
later "delete from fleet.migration where number = $newest"
LAME_DUCK_MS=5000 runs early fleet-server "$(postgres_url later $as_server)" # it lives on as it is told to stop
runs early-worker fleet-worker "$(postgres_url later $as_worker)"
waits early "this program needs $newest: as its owner run fleet-migrate" schema
waits early-worker "this program needs $newest: as its owner run fleet-migrate"
later "insert into fleet.migration select * from kept where number = $newest"
wait_for 60 "the server to take the newer schema" ready early
wait_for 60 "the worker to take it" tells early-worker 'registered as early-worker'

outdated="the database serves programs of schema 9000 and later, and this one is of schema $newest: install the release"
later "create or replace function fleet.oldest_node() returns int language sql stable begin atomic select 9000; end" >/dev/null
# Whoever restarts them meanwhile cuts nothing: they are about to end.
wait_for 40 "the server to say so" tells early "$outdated"
kill "${NODE[early]}"
for name in later later-worker early early-worker; do
    ends "$name" 78
    check "$name says why, once" test "$(grep -cF "$outdated" "$dir/$name.log")" = 1
done
check "all of them took their leave" test "$(later "select count(*) from fleet.node where stopped_at is null or dead_at is not null")" = 0
runs late fleet-server "$(postgres_url later $as_server)"
runs late-worker fleet-worker "$(postgres_url later $as_worker)"
for name in late late-worker; do
    ends "$name" 78
    check "$name says why" tells "$name" "$outdated"
done
