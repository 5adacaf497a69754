# shellcheck shell=bash disable=SC2034 # variables are for the tests
# Real git servers on loopback: over SSH (a private sshd with a forced command) and over HTTP with a password
# (git http-backend behind lighttpd). Sourced after tests/lib/common.sh and deploy/lib/{process,sshd}.sh.
#
#   git_begin [DIR]             makes DIR ($TEST_DIR/git); no server yet
#   git_repository NAME [empty] a bare repository NAME ("acme/rocket"), with a first commit on main
#   git_commit NAME BRANCH PATH TEXT [FROM]
#                               a commit on BRANCH (made from FROM, main, where there is none), without a clone
#   git_at NAME ARG...          git, in the server's repository
#   git_hook NAME HOOK LINE...  a server-side hook out of sh lines: `exit 1` refuses
#   git_serve_ssh               sets GIT_SSH_URL ("ssh://user@127.0.0.1:port"), GIT_SSH_KEY, GIT_KNOWN_HOSTS (files)
#   git_serve_http              sets GIT_HTTP_URL, GIT_USER, GIT_PASSWORD. 1 where there is no lighttpd
#   git_served                  lines "BEGUN-or-ENDED pack-command NAME SECONDS", as the servers served them
#   git_hold NAME, git_release NAME   the server answers fetches and pushes of NAME, but no byte until the release
#
# A url is "$GIT_SSH_URL/acme/rocket.git", "$GIT_HTTP_URL/acme/rocket.git" or "$GIT_ROOT/acme/rocket.git".

GIT_USER=fleet
GIT_PASSWORD=canary-password-of-git

git_begin() {
    GIT_DIRECTORY=${1:-$TEST_DIR/git}
    GIT_ROOT=$GIT_DIRECTORY/root
    mkdir -p "$GIT_ROOT" "$GIT_DIRECTORY"/{run,hold}
    : >"$GIT_DIRECTORY/served"
    git_write_served "$GIT_DIRECTORY/pack"
    at_exit git_end
}

git_end() {
    process_stop "$GIT_DIRECTORY/run" git-sshd KILL
    process_stop "$GIT_DIRECTORY/run" git-http KILL
}

# What both servers do with upload-pack and receive-pack of a repository: note it, wait where it is held, run it.
git_write_served() {
    cat >"$1" <<END
#!/bin/bash
# pack COMMAND NAME [GIT-ARGUMENT...]: COMMAND is noted; what follows NAME is run by git.
note() { echo "\$1 \$command \$name \${EPOCHREALTIME/,/.}" >>"$GIT_DIRECTORY/served"; }
command=\$1 name=\$2
shift 2
note begun
trap 'note ended' EXIT
trap 'exit 1' TERM HUP INT
while [[ -e "$GIT_DIRECTORY/hold/\${name//\//+}" ]]; do sleep 0.05; done # payload: sleep
git "\$@"
END
    chmod 755 "$1"
}

git_hold() { : >"$GIT_DIRECTORY/hold/${1//\//+}"; }
git_release() { rm -f "$GIT_DIRECTORY/hold/${1//\//+}"; }
git_served() { cat "$GIT_DIRECTORY/served"; }

# Git as the server's administrator: nothing of the caller's configuration.
git_plain() {
    env -i PATH="$PATH" HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C \
        ${GIT_INDEX:+GIT_INDEX_FILE="$GIT_INDEX"} GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@localhost \
        GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@localhost git -c gc.auto=0 "$@"
}
git_at() {
    local name=$1
    shift
    git_plain --git-dir="$GIT_ROOT/$name.git" "$@"
}

git_repository() {
    git_plain init -q --bare --initial-branch=main "$GIT_ROOT/$1.git"
    git_at "$1" config http.receivepack true
    [[ ${2-} == empty ]] || git_commit "$1" main README.md "# ${1##*/}" >/dev/null
}

# Prints the commit.
git_commit() {
    local name=$1 branch=$2 path=$3 text=$4 from=${5:-main} parent blob tree index=$GIT_DIRECTORY/index.$BASHPID
    parent=$(git_at "$name" rev-parse -q --verify "refs/heads/$branch" ||
        git_at "$name" rev-parse -q --verify "refs/heads/$from")
    blob=$(printf '%s\n' "$text" | git_at "$name" hash-object -w --stdin)
    tree=$(
        GIT_INDEX=$index
        [[ -z $parent ]] || git_at "$name" read-tree "$parent"
        git_at "$name" update-index --add --cacheinfo "100644,$blob,$path"
        git_at "$name" write-tree
    )
    rm -f "$index"
    parent=$(git_at "$name" commit-tree ${parent:+-p "$parent"} -m "$path" "$tree")
    git_at "$name" update-ref "refs/heads/$branch" "$parent"
    echo "$parent"
}

git_hook() {
    local name=$1 hook=$2
    shift 2
    printf '%s\n' '#!/bin/sh' "$@" >"$GIT_ROOT/$name.git/hooks/$hook"
    chmod 755 "$GIT_ROOT/$name.git/hooks/$hook"
}

git_free_port() { process_free_port "$((20000 + RANDOM % 12000))"; }

# --- over SSH ------------------------------------------------------------------------------------------

git_serve_ssh() {
    local dir=$GIT_DIRECTORY/ssh port
    sshd_create "$dir" || return 1
    cat >"$dir/session" <<END
#!/bin/bash
# The only command of a key: git's two, for repositories below the root.
[[ \$SSH_ORIGINAL_COMMAND =~ ^git-(upload|receive)-pack\ \'/([^\']+)\.git\'\$ ]] || { echo "no such command here" >&2; exit 1; }
cd "$GIT_ROOT" || exit
[[ -d \${BASH_REMATCH[2]}.git ]] || { echo "repository not found" >&2; exit 1; }
exec "$GIT_DIRECTORY/pack" "\${BASH_REMATCH[1]}-pack" "\${BASH_REMATCH[2]}" "\${BASH_REMATCH[1]}-pack" "./\${BASH_REMATCH[2]}.git"
END
    chmod 755 "$dir/session"
    sed "s|^|restrict,command=\"$dir/session\" |" "$dir/client_key.pub" >"$dir/authorized_keys"
    port=$(git_free_port) && sshd_configure "$dir" "$port" "$dir" || return 1
    echo "AcceptEnv GIT_PROTOCOL" >>"$dir/sshd_config"
    echo "MaxStartups 100" >>"$dir/sshd_config"
    sshd_start "$GIT_DIRECTORY/run" git-sshd "$dir/log" "$dir" "$port" || return 1
    GIT_SSH_URL=ssh://$(id -un)@127.0.0.1:$port GIT_SSH_KEY=$dir/client_key GIT_KNOWN_HOSTS=$dir/known_hosts
}

# --- over HTTP -----------------------------------------------------------------------------------------

git_serve_http() {
    local dir=$GIT_DIRECTORY/http port
    [[ -x /usr/sbin/lighttpd ]] || return 1
    mkdir -p "$dir/uploads"
    port=$(git_free_port)
    printf '%s:%s\n' "$GIT_USER" "$GIT_PASSWORD" >"$dir/users"
    # Of the pieces of a conversation the ones that carry a pack are noted.
    cat >"$dir/backend" <<END
#!/bin/bash
export GIT_PROJECT_ROOT="$GIT_ROOT" GIT_HTTP_EXPORT_ALL=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_PROTOCOL=\$HTTP_GIT_PROTOCOL
if [[ \$PATH_INFO =~ ^/(.+)\.git/git-(upload|receive)-pack\$ ]]; then
    exec "$GIT_DIRECTORY/pack" "\${BASH_REMATCH[2]}-pack" "\${BASH_REMATCH[1]}" http-backend
fi
exec git http-backend
END
    chmod 755 "$dir/backend"
    cat >"$dir/lighttpd.conf" <<END
server.modules = ("mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi")
server.document-root = "$dir"
server.bind = "127.0.0.1"
server.port = $port
server.upload-dirs = ("$dir/uploads")
server.max-request-size = 0
server.stream-request-body = 1
server.stream-response-body = 1
auth.backend = "plain"
auth.backend.plain.userfile = "$dir/users"
auth.require = ("/" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
alias.url = ("/" => "$dir/backend/")
cgi.assign = ("" => "")
END
    process_start "$GIT_DIRECTORY/run" git-http "$dir/log" /usr/sbin/lighttpd -D -f "$dir/lighttpd.conf" || return 1
    process_wait 10 process_port_taken "$port" || return 1
    GIT_HTTP_URL=http://127.0.0.1:$port
}
