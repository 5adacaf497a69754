# shellcheck shell=bash disable=SC2154 # database: set by run
# Every table has a rule by which its rows go, in fleet.storage and in migrations/README.md; readers see it, and who is in the way.

answer() { [[ $(postgres_query "$database" "$1" "${3:-postgres}") == "$2" ]] || { postgres_query "$database" "$1"; false; }; } # SQL WANTED [ROLE]
tables="select c.relname from pg_class c where c.relnamespace = 'fleet'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1"
check "every table has a rule in fleet.storage" answer \
    "select string_agg(t.relname, ' ') from ($tables) t left join fleet.storage s on s.name = t.relname where s.rule is null or s.grows_by is null" ""
check "... once" answer "select count(*) - count(distinct name) from fleet.storage" 0
missing=
while read -r table; do
    rule=$(postgres_query "$database" "select format('| %s | %s | %s |', name, grows_by, rule) from fleet.storage where name = '$table'")
    grep -qxF "$rule" migrations/README.md || missing+="$rule"$'\n'
done < <(postgres_query "$database" "$tables")
check "... and the same row in migrations/README.md" test -z "$missing"
[[ -z $missing ]] || fail "rows that migrations/README.md lacks" "$missing"
check "a reader sees it" answer "select bool_and(bytes > 0) from fleet.storage where name in ('log', 'event')" t fleet_reader_login
check "partitions are summed" answer "select partitions >= 15 and oldest < current_date and newest > current_date from fleet.storage where name = 'log'" t
check "nothing is behind" answer "select count(*) from fleet.storage where behind is not null" 0

# ---- somebody is in the way
postgres_query "$database" "select fleet.make_partition('log', 'log_20250101', '2025-01-01', '2025-01-02')"
check "what should be gone is behind" answer "select behind > interval '1 month' from fleet.storage where name = 'log'" t
coproc READER { postgres_psql "$database" fleet_reader_full_login 2>&1; }
# shellcheck disable=SC2153 # set by coproc
reader=$READER_PID
echo "begin; select count(*) from fleet.logs; select 'reading';" >&"${READER[1]}"
until read -r line <&"${READER[0]}" && [[ $line == reading ]]; do :; done
retain() { postgres_query "$database" "update fleet.latch set due_at = '-infinity' where name = 'retain'; select fleet.retain(now(), 100)" >/dev/null; }
gone() { answer "select to_regclass('fleet.log_20250101') is null" t; }
stands() { ! gone >/dev/null; }
told() { retain && answer "select held_by ~ 'of fleet_reader_full_login, in a transaction since' from fleet.storage where name = 'log'" t fleet_reader_login; }
check "a reader's open transaction only delays it, and is named" until_true 10 told
check "... nothing is gone" stands
check "... and nobody waits behind" answer "set lock_timeout = '1ms'; select count(*) from fleet.log" 0
echo "commit;" >&"${READER[1]}"
removed() { retain && gone; }
check "once that has ended it goes" until_true 10 removed
check "... nobody is in the way any more" answer "select held_by is null and behind is null from fleet.storage where name = 'log'" t
echo "\\q" >&"${READER[1]}"
wait "$reader" 2>/dev/null || true
