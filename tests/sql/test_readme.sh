# shellcheck shell=bash disable=SC2154 # database: set by run
# Every query of the table "question -> query" in migrations/README.md runs, as the roles that it is meant for.

cat >"$TEST_DIR/seed.sql" <<'SQL'
select t.worker('w1', t.host('worker-01', '{x}', 3));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"number": 41}');
select t.deliver('d2', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select fleet.cancel('acme/rocket#42');
select t.claim('w1', 2);
SQL
postgres_psql "$database" postgres -f "$TEST_DIR/seed.sql" >/dev/null
runs() { postgres_psql "$database" "$1" -c begin -c "$2" -c rollback; }
count=0
# shellcheck disable=SC2016 # backticks of Markdown
while IFS= read -r query; do
    [[ $query == *'…'* ]] && continue
    count=$((count + 1))
    role=fleet_reader_full_login
    [[ $query =~ fleet\.([a-z_]+\(|sessions|audit_trail) ]] && role=fleet_operator_login
    check "README as $role: $query" runs "$role" "$query"
done < <(grep -E '^\|.*\|.*\|$' migrations/README.md | grep -oE '`(select|table) [^`]*`' | tr -d '`')
check "the table holds queries" test "$count" -gt 5
