# shellcheck shell=bash disable=SC2154 # database: set by run
# migrations/apply where a fleet is at work: other people's transactions, calls under way, and databases that cannot be used.

catalogue() { # NAME: what pg_dump says of the schema
    pg_dump -s -d "$(postgres_url "$1")" -n fleet | sed '/^\\\(un\)\?restrict/d'
}
same() { [[ "$1" == "$2" ]] || { diff <(echo "$1") <(echo "$2") | head -n 20; false; }; }
apply() { # NAME [DIRECTORY]: with at most APPLY_SECS of patience
    FLEET_APPLY_SECS=${APPLY_SECS:-60} "${2:-migrations}/apply" "$(postgres_url "$1")" >"$TEST_DIR/apply.log" 2>&1
}
refuses_apply() { ! apply "$@"; }
said() { grep -qE -- "$1" "$TEST_DIR/apply.log" || { cat "$TEST_DIR/apply.log"; false; }; }
answer() { same "$(postgres_query "$1" "$2")" "$3"; }
made_at_once() { # NAME: every function, with the last version
    answer "$1" "select string_agg(distinct p.xmin::text, ' ') = m.xmin::text from pg_proc p, fleet.migration m
        where p.pronamespace = 'fleet'::regnamespace and m.number = 0 group by m.xmin::text" t
}
copy() { rm -rf "$TEST_DIR/copy" && cp -r migrations "$TEST_DIR/copy"; }

# ---- databases that cannot be used
postgres_query postgres "create database latin encoding 'LATIN1' locale 'C' template template0"
check "a database in LATIN1 is refused" refuses_apply latin
check "... named, with the encoding" said '"latin" stores LATIN1'
check "... and how to make a right one" said "create database .* encoding 'UTF8'.* template template0;"
postgres_query postgres "create database fixed"
postgres_query postgres "alter database fixed set default_transaction_read_only = on"
check "a read-only one is refused" refuses_apply fixed
check "... and says so" said 'default_transaction_read_only'
check "nothing was made in either" answer latin "select to_regnamespace('fleet') is null" t

# ---- a reader's transaction stays open
postgres_query postgres "create database busy"
apply busy
PGAPPNAME=thinker psql -XqAt -d "$(postgres_url busy fleet_reader_login)" -c begin -c "select count(*) from fleet.tasks" \
    -c "select count(*) from fleet.running" -c "select pg_sleep(3000)" >/dev/null 2>&1 &
reader=$!
started "$reader"
wait_for 20 "the reader to think" eval '[[ $(postgres_query busy "select count(*) from fleet.sessions where application = '"'thinker'"' and doing like '"'%pg_sl%'"'") == 1 ]]'
oid=$(postgres_query busy "select 'fleet.submit(fleet.submission[], int[], fleet.new_task[])'::regprocedure::oid")
copy
for file in "$TEST_DIR"/copy/functions/*.sql; do echo "-- another version" >>"$file"; done
cat >>"$TEST_DIR/copy/functions/token.sql" <<'SQL'
create function fleet.token_count(p_scope text) returns bigint language plpgsql as $$ begin return (select count(*) from fleet.token where scope = p_scope); end $$;
SQL
check "changed functions are made over an open transaction of a reader" apply busy "$TEST_DIR/copy"
check "... in place" answer busy "select 'fleet.submit(fleet.submission[], int[], fleet.new_task[])'::regprocedure::oid" "$oid"
check "... all of them in one transaction" made_at_once busy
check "... without a warning" same "$(cat "$TEST_DIR/apply.log")" "made the code"
sed -i 's/fleet.token_count(p_scope text)/fleet.token_count(p_scope text, p_more int)/; s/select fleet.host_accept(text)/&/' "$TEST_DIR/copy/functions/token.sql"
sed -i 's/, fleet.host_accept(text)//' "$TEST_DIR/copy/grants.sql"
check "... another signature too" apply busy "$TEST_DIR/copy"
postgres_query postgres "create database fresh"
apply fresh "$TEST_DIR/copy"
check "... which leaves what a new database gets: no old overload, no old right" same "$(catalogue fresh)" "$(catalogue busy)"
cp migrations/functions/token.sql "$TEST_DIR/copy/functions/"
cp migrations/grants.sql "$TEST_DIR/copy/"
check "... and a function that no file makes any more" apply busy "$TEST_DIR/copy"
check "... is gone" answer busy "select count(*) from pg_proc where proname = 'token_count'" 0

# What needs the very view that is being read has to wait, and nobody behind it.
sed -i 's/^create view fleet.running as/create view fleet.running as /' "$TEST_DIR/copy/views/people.sql"
before=$(catalogue busy)
APPLY_SECS=12 apply busy "$TEST_DIR/copy" &
waiter=$!
slow=0
while kill -0 "$waiter" 2>/dev/null; do
    from=${EPOCHREALTIME/[.,]/}
    postgres_query busy "select status from fleet.submit('{\"(0,,,,,one,9,0,1)\"}', '{1}', '{\"(t,t-$RANDOM$RANDOM,T,,,true,,,,,,,,,)\"}'); select count(*) from fleet.tasks" >/dev/null || slow=failed
    ((${EPOCHREALTIME/[.,]/} - from < 6000000)) || slow=$((${EPOCHREALTIME/[.,]/} - from))
done
check "while a changed view waits for its readers, nobody waits behind it for long" test "$slow" = 0
wait "$waiter"
check "it gives up in the end" test $? != 0
check "... says who is in the way" said 'fleet_reader_login has held locks for .*thinker'
check "... and the call that ends it" said 'select pg_terminate_backend\([0-9]+\);'
check "... and changes nothing" same "$before" "$(catalogue busy)"
postgres_query busy "select fleet.end_session(pid) from fleet.sessions where application = 'thinker'" fleet_operator_login >/dev/null
wait "$reader"
check "then it does it" apply busy "$TEST_DIR/copy"

# ---- what cannot be replaced in place is made anew
sed -i 's/^create function fleet.schema_version() returns int$/create function fleet.schema_version() returns bigint/' "$TEST_DIR/copy/functions/setting.sql"
sed -i 's/r.schema_version int/&/; s/select max(number) from/select max(number)::bigint from/' "$TEST_DIR/copy/functions/setting.sql"
sed -i 's/returns table (schema_version int, login/returns table (schema_version bigint, login/' "$TEST_DIR/copy/functions/setting.sql"
sed -i 's/returns table (fleet_id text, schema_version int,/returns table (fleet_id text, schema_version bigint,/' "$TEST_DIR/copy/functions/node.sql"
check "another result" apply busy "$TEST_DIR/copy"
check "... is made" answer busy "select pg_typeof(fleet.schema_version())" bigint
postgres_query postgres "drop database fresh"
postgres_query postgres "create database fresh"
apply fresh "$TEST_DIR/copy"
check "... and everything is as in a new database" same "$(catalogue fresh)" "$(catalogue busy)"

# ---- types and the code beside them
sed -i -E '/^create type fleet.bounds /s/$/ -- as in f(x);/; /^create type fleet.wanted_task /s/$/ -- (a, b);/' "$TEST_DIR"/copy/functions/*.sql
check "comments in and behind a type" apply busy "$TEST_DIR/copy"
for file in "$TEST_DIR"/copy/functions/*.sql; do echo "-- and another" >>"$file"; done
oid=$(postgres_query busy "select 'fleet.submit(fleet.submission[], int[], fleet.new_task[])'::regprocedure::oid")
check "... leave the code beside it" apply busy "$TEST_DIR/copy"
check "... in place" answer busy "select 'fleet.submit(fleet.submission[], int[], fleet.new_task[])'::regprocedure::oid" "$oid"
check "... all of it in one transaction" made_at_once busy
sed -i '$ a commit; begin;' "$TEST_DIR/copy/functions/attempt.sql"
check "a file that ends the transaction is not taken for a success" refuses_apply busy "$TEST_DIR/copy"
check "... and says so" said 'a file ended the transaction'
sed -i '$ d' "$TEST_DIR/copy/functions/attempt.sql"
check "... and without it" apply busy "$TEST_DIR/copy"
check "... everything is as in a new database" same "$(catalogue fresh)" "$(catalogue busy)"
