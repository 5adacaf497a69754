# shellcheck shell=bash disable=SC2154 # run by tests/sql/run, which sets $database
# What nodes call is there, unchanged, for as long as a release that calls it is served: tests/sql/interface.txt has a line for each
# function, each column of its result, and each member of the types that go in. More is fine. RECORD=1 adds what is new.

recorded=tests/sql/interface.txt

# One fact a line, of all that fleet_server or fleet_worker may execute.
interface() {
    postgres_query "$database" "
        with called as (
            select distinct p.oid, p.proname || '(' || replace(oidvectortypes(p.proargtypes), ', ', ',') || ')' as name, p.*
            from pg_proc p cross join aclexplode(p.proacl) a
            where p.pronamespace = 'fleet'::regnamespace and a.privilege_type = 'EXECUTE'
              and a.grantee::regrole::text in ('fleet_server', 'fleet_worker')),
        members as (
            select t.typname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) as type
            from pg_type t join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0
            where t.typtype = 'c' and not a.attisdropped
              and exists (select from called c, unnest(c.proargtypes) x join pg_type y on y.oid = x
                          where t.oid in (y.oid, y.typelem)))
        select format('call %s %s%s', name, case when proretset then 'set of ' else '' end, format_type(prorettype, null)) from called
        union all
        select format('result %s %s %s', name, o.argname, format_type(o.type, null))
        from called cross join lateral unnest(proallargtypes, proargmodes, proargnames) o (type, mode, argname) where o.mode in ('o', 't')
        union all
        select format('result %s %s %s', name, a.attname, format_type(a.atttypid, a.atttypmod))
        from called join pg_type t on t.oid = prorettype and t.typtype = 'c'
        join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all
        select format('type %s %s: %s %s', typname, attnum, attname, type) from members
        union all
        select format('type %s has %s members', typname, count(*)) from members group by typname" | sed 's/fleet\.//g' | LC_ALL=C sort -u
}

gone() { LC_ALL=C comm -23 "$recorded" "$TEST_DIR/interface"; }
keeps() {
    [[ -z $(gone) ]] && return
    echo "nodes that run call this, and it is gone or changed:"
    gone
    echo "keep it for a release, and give what differs another name (migrations/README.md: Changing it while nodes work)"
    return 1
}

interface >"$TEST_DIR/interface"
check "there is one" test "$(wc -l <"$TEST_DIR/interface")" -gt 100
if [[ -n ${RECORD-} ]]; then
    LC_ALL=C sort -u "$TEST_DIR/interface" "$recorded" -o "$recorded"
fi
check "what nodes call stays" keeps
postgres_query "$database" "drop function fleet.made_hosts()"
interface >"$TEST_DIR/interface"
check "... and what is taken away is seen" test "$(gone | grep -c 'made_hosts()')" -gt 1
