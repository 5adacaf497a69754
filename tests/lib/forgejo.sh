# shellcheck shell=bash disable=SC2016 # JavaScript in single quotes
# The double of Forgejo (tests/forgejo/double.mjs) for test runners; after tests/lib/common.sh.
#
#   forgejo_start DIR [OPTION...]    starts one; its address is FORGEJO; ended by forgejo_stop or at the end
#   forgejo_do VERB [JSON]           an act of tests/forgejo/control.mjs; prints the answer's JSON, a refusal fails
#   forgejo_state EXPRESSION         JavaScript over `state` (and `repo(name)`, `issue(name, n)`), printed: text as it is, else JSON
#   forgejo_is VALUE EXPRESSION      whether that prints VALUE
#   forgejo_world REPO [HOOK_URL SECRET]   users owner, writer, reader (a stranger), fleet, lookup; REPO with labels; tokens fleet-token, lookup-token

forgejo_start() {
    local dir=$1
    shift
    rm -f "$dir/forgejo.ready"
    node tests/forgejo/double.mjs --port 0 --ready "$dir/forgejo.ready" "$@" >"$dir/forgejo.log" 2>&1 &
    FORGEJO_PID=$!
    started "$FORGEJO_PID"
    until_true 20 test -s "$dir/forgejo.ready" || { echo "the double of Forgejo did not start: $dir/forgejo.log" >&2; return 1; }
    FORGEJO=http://127.0.0.1:$(cut -d' ' -f1 "$dir/forgejo.ready")
}

forgejo_stop() { end_process "$FORGEJO_PID"; }

forgejo_do() {
    local answer status
    answer=$(curl -sS -m 30 -w '\n%{http_code}' -H 'Content-Type: application/json' --data-binary "${2:-{\}}" "$FORGEJO/-/$1") || return 1
    status=${answer##*$'\n'}
    printf '%s\n' "${answer%$'\n'*}"
    [[ $status == 200 ]] || { echo "$1 ${2-}: $status ${answer%$'\n'*}" >&2; return 1; }
}

forgejo_state() {
    curl -sS -m 30 "$FORGEJO/-/state" | node -e '
        const state = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const repo = (name) => state.repos.find((r) => r.full_name === name);
        const issue = (name, n) => repo(name)?.issues.find((i) => i.number === Number(n));
        const comments = (name, n) => (issue(name, n)?.timeline ?? []).filter((c) => c.type === "comment");
        const value = new Function("state", "repo", "issue", "comments", `return (${process.argv[1]});`)(state, repo, issue, comments);
        console.log(typeof value === "string" ? value : JSON.stringify(value));
    ' "$1"
}

forgejo_is() { [[ $(forgejo_state "$2") == "$1" ]]; }

forgejo_world() {
    local repo=$1 login
    for login in "${repo%/*}" writer reader fleet lookup; do forgejo_do make_user "{\"login\": \"$login\"}"; done
    forgejo_do make_repo "{\"name\": \"$repo\", \"labels\": [\"bug\", \"agent:code:rust\", \"agent:review\", \"priority:high\"],
        \"collaborators\": {\"writer\": \"write\", \"fleet\": \"write\", \"lookup\": \"admin\"}}"
    forgejo_do make_token '{"login": "fleet", "token": "fleet-token", "scopes": ["write:issue", "write:repository", "read:user"]}'
    forgejo_do make_token '{"login": "lookup", "token": "lookup-token", "scopes": ["read:repository"]}'
    [[ -z ${2-} ]] || forgejo_do make_hook "{\"repo\": \"$repo\", \"url\": \"$2\", \"secret\": \"$3\", \"events\": [\"issues\", \"pull_request\", \"push\"]}"
} >/dev/null
