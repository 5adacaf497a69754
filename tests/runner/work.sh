# shellcheck shell=bash disable=SC2016,SC2034 # variables are for the cases
# Tasks of a repository on the runner's host, their agents, and a server whose repository is a folder. Sourced by
# test_harvest.sh, test_planted.sh and others after tests/runner/lib.sh.
#
#   work_begin                  SERVER (a bare repository of the account's) with a commit `base` on main
#   new_task NAME               prepares its first attempt
#   prepares NAME NUMBER        a later one
#   harvest NAME[.NUMBER] [NUMBER] [OPTION...], pushes NAME[.NUMBER] FIELD...
#   remove NAME [NUMBER] [OPTION...]
#   agent NAME ARG...           git as the agent, in its workspace
#   agent_commits NAME PATH TEXT, agent_writes NAME PATH TEXT
#   answers FIELD... -- COMMAND...   fields of an answer, which is then in $TEST_DIR/answer

work_begin() {
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$TEST_DIR/gitconfig
    printf '[user]\nname = Ada\nemail = ada@localhost\n[safe]\ndirectory = *\n[init]\ndefaultBranch = main\n' >"$GIT_CONFIG_GLOBAL"
    chmod 644 "$GIT_CONFIG_GLOBAL"
    SERVER=$TEST_DIR/jobs/server.git
    as git init -q --bare "$SERVER"
    as mkdir "$TEST_DIR/jobs/first"
    as git init -q "$TEST_DIR/jobs/first"
    as mkdir "$TEST_DIR/jobs/first/doc"
    echo "# rocket" | as tee "$TEST_DIR/jobs/first/README.md" >/dev/null
    echo "of the base" | as tee "$TEST_DIR/jobs/first/AGENTS.md" >/dev/null
    echo "old" | as tee "$TEST_DIR/jobs/first/doc/old" >/dev/null
    as git -C "$TEST_DIR/jobs/first" add .
    as git -C "$TEST_DIR/jobs/first" commit -q -m first
    as git -C "$TEST_DIR/jobs/first" push -q "$SERVER" HEAD:refs/heads/main
    base=$(as git -C "$TEST_DIR/jobs/first" rev-parse HEAD)
    server_hook post-receive 'while read -r _ _ ref; do echo "$ref" >>pushed; done'
}

server_hook() { # HOOK LINE...
    local hook=$SERVER/hooks/$1
    shift
    printf '%s\n' '#!/bin/sh' "$@" | as tee "$hook" >/dev/null
    as chmod 755 "$hook"
}
pushes_of() { grep -cxF "refs/heads/$1" "$SERVER/pushed" || true; }
server_has() { # BRANCH COMMIT|""
    local is
    is=$(git -C "$SERVER" rev-parse -q --verify "refs/heads/$1")
    [[ $is == "$2" ]] || { echo "$1 is '$is'"; return 1; }
}
server_commit() { # BRANCH PATH TEXT
    local clone=$TEST_DIR/jobs/somebody.$RANDOM
    as git clone -q "$SERVER" "$clone" 2>/dev/null
    as git -C "$clone" checkout -q "$1" 2>/dev/null || as git -C "$clone" checkout -q -b "$1"
    echo "$3" | as tee "$clone/$2" >/dev/null
    as git -C "$clone" add "$2"
    as git -C "$clone" commit -q -m "somebody's $2"
    as git -C "$clone" push -q origin HEAD
    as rm -rf "$clone"
}

work_call() { # WHAT NAME NUMBER OPTION...
    local what=$1 name=$2 number=$3
    shift 3
    call "$what" "$name.$number" 1 "$N" "$name" "$number" "$SERVER" author="Agent Fleet <fleet@localhost>" message="left over" "$@"
}
new_task() { prepares "$1" 1; }
prepares() { answers state=ready -- work_call prepare "$1" "$2" || { fail "task $1 is prepared" "$(cat "$TEST_DIR/answer")"; return 1; }; }
harvest() {
    local name=${1%.*} number=1
    [[ $1 != *.* ]] || number=${1##*.}
    shift
    if [[ ${1-} =~ ^[0-9]+$ ]]; then number=$1 && shift; fi
    work_call harvest "$name" "$number" "$@"
}
remove() { work_call remove "$1" "${2:-1}" "${@:3}"; }
pushes() { answers state=pushed reason=- "${@:2}" -- harvest "$1"; }

agent() { (cd "$TASKS/$1" && as git "${@:2}"); }
head_of() { agent "$1" rev-parse HEAD; }
agent_writes() {
    local file=$TASKS/$1/$2
    as mkdir -p "${file%/*}"
    printf '%s\n' "$3" | as tee "$file" >/dev/null
}
agent_commits() {
    agent_writes "$@"
    agent "$1" add -f "$2"
    agent "$1" commit -q -m "$2"
}
