# shellcheck shell=bash disable=SC2154 # run by tests/sql/run, which sets $database
# "fleet-server token …" with nothing but a database: what it makes, shows and takes away, and what it says when it cannot.

binary=${BUILD:-build/tests}/fleet-server
told=$TEST_DIR/token.out said=$TEST_DIR/token.said

# token DATABASE-OR-URL WORD...
token() {
    local url=$1
    shift
    [[ $url == postgresql:* ]] || url=$(postgres_url "$url" "${login:-fleet_server_login}")
    "$binary" token "$@" --database "$url" >"$told" 2>"$said"
}
says() { grep -qF -- "$1" "$said"; }
refuses() { # WORDS-SAID DATABASE WORD...
    local words=$1
    shift
    ! token "$@" && says "$words" && ! says 'FATAL:  ' && [[ $(wc -l <"$said") == 1 ]]
}
first() { postgres_query "$database" "select $1 from fleet.token order by token_id desc limit 1"; }

check "token create prints a token" token "$database" create --scope admin --name boss
check "... alone" grep -qxE 'aft_d_[A-Za-z0-9_-]{43}' "$told"
check "... whose hash is stored" test "$(first "encode(hash, 'hex')")" = "$(tr -d '\n' <"$told" | sha256sum | cut -d' ' -f1)"
boss=$(first token_id)
check "an agent's" token "$database" create --name a1 --scope agent --repository acme/rocket --repository none --agent-id build-1 --capability agent:code:rust
check "... says what it is bound to" says 'bound to acme/rocket, none; agent build-1; code:rust'
check "... and is" test "$(first "concat_ws(' ', repositories, agent_id, capabilities)")" = '{acme/rocket,none} build-1 {code:rust}'
check "one that expires" token "$database" create --scope read --expires 7
check "... does so" test "$(first "expires_at between now() + interval '6 days 23 hours' and now() + interval '7 days'")" = t
check "a repository that is none is refused" refuses "'repositories' lists owner/name, owner/* (all of an owner) or none (tasks of no repository), not 'acme'" \
    "$database" create --scope read --repository acme
check "... so is everything by a star" refuses "not '*'" "$database" create --scope read --repository '*'
check "... and an admin's" refuses 'bound to nothing' "$database" create --scope admin --repository acme/rocket
check "who made it is in the trail" test "$(postgres_query "$database" \
    "select string_agg(concat_ws(' ', who, what, object), ';' order by at) from fleet.audit_trail where object like '%a1#%'")" = \
    "psql:fleet_server_login token_create token:a1#$((boss + 1))"
token "$database" list
check "list shows bounds" grep -qP '\ta1\tagent\taft_g_[^\t]+\tacme/rocket, none; agent build-1; code:rust\tvalid\t-\t-$' "$told"
check "... and none" grep -qP '\tboss\tadmin\taft_d_[^\t]+\t-\tvalid\t-\t-$' "$told"
check "revoke" token "$database" revoke $((boss + 1))
check "... again answers the same" token "$database" revoke $((boss + 1))
check "... of none is an error" refuses 'there is no token 4711' "$database" revoke 4711
check "... not of the last admin token" refuses 'is the last admin token that holds' "$database" revoke "$boss"
check "... unless forced" token "$database" revoke --force "$boss"

postgres_query postgres "create database token_empty" >/dev/null
check "a database that is missing is said" refuses 'database "nowhere" does not exist (create it' "$(postgres_url nowhere fleet_server_login)" list
check "... so is a server that does not answer" refuses 'No such file or directory' "postgresql://x@/x?host=$TEST_DIR" list
check "... a schema that is missing" refuses 'migrations/apply' token_empty list
login=fleet_reader_login
check "... a login that may not" refuses 'grant fleet_server to' "$database" list
login=nobody_at_all
check "... one that is none" refuses 'role "nobody_at_all" does not exist (name a login' "$database" list
unset login
