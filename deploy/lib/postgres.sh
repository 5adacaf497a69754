# shellcheck shell=bash
# A private PostgreSQL cluster, apart from whatever PostgreSQL the machine has. Functions only;
# source it, with process.sh.
#
# HOME of a cluster holds data/ and, where its path is short enough, socket/. PostgreSQL refuses to
# run as root: started by root, it runs as user postgres, who must be able to enter HOME.
# Everything that is done in HOME is done as that user.

# postgres_bin: prints the directory of the server's programs (15, else the newest above).
postgres_bin() {
    local dir best=
    for dir in /usr/lib/postgresql/*/bin; do
        [[ -x $dir/initdb ]] || continue
        [[ $dir == /usr/lib/postgresql/15/bin ]] && { echo "$dir"; return 0; }
        ((${dir//[!0-9]/} > 15)) && best=$dir
    done
    [[ -n $best ]] && echo "$best"
}

# postgres_run COMMAND...: runs it as the cluster's user, in a directory that this user may enter.
postgres_run() {
    if ((EUID == 0)); then
        (cd / && exec setpriv --reuid postgres --regid postgres --init-groups --reset-env -- "$@")
    else
        (cd / && exec "$@")
    fi
}

# postgres_password: prints a new random password.
postgres_password() { openssl rand -hex 24; }

# postgres_create HOME PASSWORD: makes a cluster whose superuser is `postgres` with PASSWORD
# (never in an argv). Passwords by SCRAM everywhere, no `trust`.
postgres_create() {
    local home=$1 password=$2 bin
    bin=$(postgres_bin) || { echo "no PostgreSQL 15 or newer under /usr/lib/postgresql" >&2; return 1; }
    if ((EUID == 0)) && [[ ! -d $home ]]; then
        # In a directory of user postgres root creates nothing itself.
        postgres_run mkdir -p -m 0700 "$home" 2>/dev/null ||
            install -d -m 0700 -o postgres -g postgres "$home" || return 1
    fi
    # shellcheck disable=SC2016 # expanded by the inner sh
    postgres_run sh -c '
        umask 077
        mkdir -p "$1" && cat >"$1/password" || exit 1
        "$2/initdb" --pgdata="$1/data.new" --username=postgres --pwfile="$1/password" \
            --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
            >"$1/initdb.log" 2>&1
        status=$?
        rm -f "$1/password"
        if [ "$status" != 0 ]; then
            cat "$1/initdb.log" >&2
            rm -rf "$1/data.new"
            exit "$status"
        fi
        echo "include_if_exists = '\''fleet.conf'\''" >>"$1/data.new/postgresql.conf" &&
            mv "$1/data.new" "$1/data"
    ' sh "$home" "$bin" <<<"$password"
}

# postgres_configure HOME PORT [NAME=VALUE...]: listens on 127.0.0.1:PORT and, where the path allows,
# on the socket in HOME/socket; readable by nobody else.
postgres_configure() {
    local home=$1 port=$2 sockets="" setting
    shift 2
    # sun_path has 108 bytes.
    ((${#home} + ${#port} + 17 < 107)) && sockets=$home/socket
    {
        echo "listen_addresses = '127.0.0.1'"
        echo "port = $port"
        echo "unix_socket_directories = '${sockets//\'/\'\'}'"
        echo "unix_socket_permissions = 0700"
        echo "timezone = 'UTC'"
        echo "log_timezone = 'UTC'"
        echo "log_line_prefix = '%m [%p] %q%u@%d '"
        for setting in "$@"; do
            echo "${setting%%=*} = '${setting#*=}'"
        done
    } | postgres_write_as_owner "$home"
}

postgres_write_as_owner() {
    # shellcheck disable=SC2016 # expanded by the inner sh
    postgres_run sh -c 'umask 077; mkdir -p "$1/socket" && cat >"$1/data/fleet.conf"' sh "$1"
}

# postgres_start DIR NAME LOG HOME PORT: starts the configured cluster and waits until it answers.
postgres_start() {
    local dir=$1 name=$2 log=$3 home=$4 port=$5 bin command
    bin=$(postgres_bin) || return 1
    command=("$bin/postgres" -D "$home/data")
    ((EUID == 0)) && command=(setpriv --reuid postgres --regid postgres --init-groups --reset-env
        -- "${command[@]}")
    (cd / && process_start "$dir" "$name" "$log" "${command[@]}") || return 1
    process_wait 60 postgres_settled "$dir" "$name" "$bin" "$port" && process_alive "$dir" "$name"
}

# Answers, or has ended.
postgres_settled() {
    ! process_alive "$1" "$2" || "$3/pg_isready" -q -h 127.0.0.1 -p "$4" -t 2
}

# postgres_stop DIR NAME: a fast shutdown (open transactions are rolled back).
postgres_stop() { process_stop "$1" "$2" INT "${3:-30}"; }

# postgres_remove HOME
postgres_remove() {
    [[ -n $1 && -d $1 ]] || return 0
    postgres_run rm -rf -- "$1/data" "$1/data.new" "$1/socket" "$1/initdb.log" || return 1
    postgres_run rmdir -- "$1" 2>/dev/null || rmdir -- "$1"
}

# postgres_passfile FILE ROLE PASSWORD: a libpq password file for ROLE on 127.0.0.1, any port.
postgres_passfile() {
    (umask 077 && printf '127.0.0.1:*:*:%s:%s\n' "$2" "$3" >"$1.new" && mv "$1.new" "$1")
}

# postgres_url PORT ROLE DATABASE PASSFILE: prints a URL without a password in it.
postgres_url() {
    echo "postgresql://$2@127.0.0.1:$1/$3?passfile=$(postgres_percent "$4")"
}

# postgres_percent TEXT: percent-encodes all bytes but unreserved ones and "/".
postgres_percent() {
    local LC_ALL=C text=$1 byte i out=
    for ((i = 0; i < ${#text}; i++)); do
        byte=${text:i:1}
        case $byte in
        [A-Za-z0-9._~/-]) out+=$byte ;;
        *) printf -v byte '%%%02X' "$(($(printf '%d' "'$byte") & 255))" && out+=$byte ;;
        esac
    done
    echo "$out"
}

# postgres_login URL ROLE PASSWORD GROUP...: makes or renews a login role, member of the group roles.
# The statement travels on stdin and is not logged when it fails.
postgres_login() {
    local url=$1 role=$2 password=$3 group
    shift 3
    {
        echo "set log_min_error_statement = panic;"
        echo "set client_min_messages = warning;"
        echo "do \$\$ begin create role \"$role\" login; exception when duplicate_object then null; end \$\$;"
        echo "alter role \"$role\" login password '$password';"
        for group in "$@"; do
            echo "grant \"$group\" to \"$role\";"
        done
    } | psql -XqAt -v ON_ERROR_STOP=1 -d "$url" -f - >/dev/null
}
