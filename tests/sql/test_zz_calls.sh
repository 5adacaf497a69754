# shellcheck shell=bash disable=SC2154 # database: set by run
# Every function that a role may execute, and every PL/pgSQL one, was called by the tests before this one (track_functions = all).
# SQL functions without security definer may be inlined, and then are not counted.

wanted="select p.proname from pg_proc p join pg_language l on l.oid = p.prolang
        where p.pronamespace = 'fleet'::regnamespace and (l.lanname = 'plpgsql' or p.prosecdef) order by 1"
for other in $(postgres_query postgres "select datname from pg_database where datname like 'test\\_%'"); do
    postgres_query "$other" "select funcname from pg_stat_user_functions where schemaname = 'fleet' and calls > 0"
done | sort -u >"$TEST_DIR/called"
postgres_query "$database" "$wanted" | sort -u >"$TEST_DIR/wanted"
missing=$(comm -23 "$TEST_DIR/wanted" "$TEST_DIR/called")
check "every function was called ($(wc -l <"$TEST_DIR/wanted"))" test -z "$missing"
[[ -z $missing ]] || fail "functions that no test called" "$missing"
