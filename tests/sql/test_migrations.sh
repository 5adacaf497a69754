# shellcheck shell=bash
# migrations/apply: many times, from many places, by little rights, and never with an edited file.

catalogue() { # NAME: what pg_dump says of the schema
    pg_dump -s -d "$(postgres_url "$1")" | sed '/^\\\(un\)\?restrict/d'
}
apply() { # NAME [ROLE [DIRECTORY]]
    "${3:-migrations}/apply" "$(postgres_url "$1" "${2:-postgres}")" >"$TEST_DIR/apply.log" 2>&1
}
said() { grep -qE -- "$1" "$TEST_DIR/apply.log"; }
refuses_apply() { ! apply "$@"; }
same() { [[ "$1" == "$2" ]] || { diff <(echo "$1") <(echo "$2") | head -n 20; false; }; }
answer() { same "$(postgres_query "$1" "$2")" "$3"; } # NAME SQL WANTED

first=$POSTGRES_DIR
postgres_start "$TEST_DIR/second" || fail "a second cluster, without our roles"

# ---- little rights
for statement in "create role owner1 login" "create database little owner owner1" "create database foreign1"; do
    postgres_query postgres "$statement"
done
check "without CREATEROLE and roles: refused" refuses_apply little owner1
check "... and the statements are printed" said '^ *create role fleet_owner nologin;'
check "... for every role" test "$(grep -cE '^ *create role fleet_(owner|server|worker|operator|reader|reader_full) nologin;' "$TEST_DIR/apply.log")" = 6
grep -E '^ *(create|grant) ' "$TEST_DIR/apply.log" >"$TEST_DIR/statements.sql"
check "... nothing else happened" answer little "select to_regnamespace('fleet') is null" t
check "an administrator runs them" postgres_psql postgres postgres -f "$TEST_DIR/statements.sql"
check "then it works for the owner of the database" apply little owner1
check "... who is no superuser" answer little "select rolsuper or rolcreaterole from pg_roles where rolname = 'owner1'" f
check "a login that does not own the database is refused" refuses_apply foreign1 owner1
check "... with what to do" said 'alter database "foreign1" owner to "owner1"'

# ---- twice, and many at once
postgres_query postgres "create database fresh"
check "an empty database" apply fresh
before=$(catalogue fresh)
check "again" apply fresh
check "... says nothing" test ! -s "$TEST_DIR/apply.log"
check "... and changes nothing" same "$before" "$(catalogue fresh)"
check "a submission works before any node was there" answer fresh \
    "select status from fleet.submit('{\"(0,,,,,one,9,0,1)\"}', '{1}', '{\"(t,t-one,T,,,true,,,,,,,,,)\"}')" 201
check "PUBLIC has no TEMP and no CREATE" answer fresh \
    "select has_database_privilege('public', current_database(), 'temp'), has_database_privilege('public', current_database(), 'create'), has_schema_privilege('public', 'public', 'create')" 'f|f|f'

at_once() { # NAME COUNT: that many apply it at the same time; all must succeed
    local name=$1 pid pids=() status=0
    for _ in $(seq "$2"); do
        migrations/apply "$(postgres_url "$name")" >>"$TEST_DIR/at_once.log" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    ((status == 0)) || cat "$TEST_DIR/at_once.log"
    return "$status"
}
postgres_query postgres "create database crowd"
check "eight at once on an empty database" at_once crowd 8
check "... make the same as one" same "$before" "$(catalogue crowd)"
check "... each migration once" answer crowd "select count(*) = count(distinct number) and max(number) >= 1 from fleet.migration" t
check "eight at once on a finished one" at_once crowd 8
check "... leave it as it is" same "$before" "$(catalogue crowd)"

# ---- edited, newer, broken, new
copy() { rm -rf "$TEST_DIR/copy" && cp -r migrations "$TEST_DIR/copy"; }
copy
landed=("$TEST_DIR"/copy/0001_*.sql)
echo "-- a harmless comment" >>"${landed[0]}"
check "an edited migration is refused" refuses_apply fresh postgres "$TEST_DIR/copy"
check "... by name" said "$(basename "${landed[0]}" .sql)"
check "... and changes nothing" same "$before" "$(catalogue fresh)"

copy
echo "create table fleet.half (x int); select 1/0;" >"$TEST_DIR/copy/0900_broken.sql"
check "a migration that fails" refuses_apply fresh postgres "$TEST_DIR/copy"
check "... takes everything back" same "$before" "$(catalogue fresh)"

copy
cat >"$TEST_DIR/copy/0900_column.sql" <<'SQL'
-- columns that functions in begin atomic and views read
alter table fleet.setting alter column comment type varchar(200);
alter table fleet.task alter column title type varchar(2000);
SQL
postgres_query fresh "set role fleet_owner; create function fleet.claim(p_node uuid, p_want int, p_more boolean default true) returns int language sql as 'select 1'; grant execute on function fleet.claim(uuid, int, boolean) to public"
check "a migration that alters columns which code reads" apply fresh postgres "$TEST_DIR/copy"
check "... keeps the rows" answer fresh "select count(*) from fleet.task" 1
check "... and leaves no old overload" answer fresh "select count(*) from pg_proc where proname = 'claim' and pronamespace = 'fleet'::regnamespace" 1
check "... and the grants" answer fresh "select has_function_privilege('fleet_worker', 'fleet.claim(uuid, int)', 'execute'), has_function_privilege('public', 'fleet.claim(uuid, int)', 'execute')" 't|f'
check "an older version refuses a newer database" refuses_apply fresh postgres
check "... and says so" said newer

# ---- nodes go on calling while the code is made anew
prepared() {
    local answer
    answer=$(postgres_psql crowd postgres <<SQL
select fleet.node_start('00000000-0000-0000-0000-000000000001', 'worker', 'w', 'v', 'c') \g /dev/null
prepare claim as select count(*) from fleet.claim('00000000-0000-0000-0000-000000000001', 1);
prepare jobs as select * from fleet.jobs('00000000-0000-0000-0000-000000000001', '{}');
prepare renew as select * from fleet.renew('00000000-0000-0000-0000-000000000001', '{}');
execute claim; execute jobs; execute renew;
\! $TEST_DIR/copy/apply '$(postgres_url crowd)' >/dev/null 2>&1 || echo apply failed
execute claim; execute jobs; execute renew;
SQL
    ) && same "$answer" $'0\n0'
}
copy
echo "-- another version" >>"$TEST_DIR/copy/functions/claim.sql"
check "prepared statements outlive a new version of the code" prepared
check "... which was made" answer crowd "select count(*) from fleet.migration where number = 0 and applied_at > (select applied_at from fleet.migration where number = 1)" 1

postgres_stop "$POSTGRES_DIR"
POSTGRES_DIR=$first
