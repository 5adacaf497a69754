# shellcheck shell=bash disable=SC2154 # database: set by run
# Every way from one phase of an attempt to another, tried from every phase with every function of its owner, is a row of the table in
# migrations/README.md; and every row of it is such a way.

postgres_psql "$database" postgres >/dev/null <<'SQL'
create table t.way (from_phase text, to_phase text, function text);

create function t.note_way() returns trigger language plpgsql security definer as $$
declare v_context text;
begin
  get diagnostics v_context = pg_context;
  insert into t.way values (case tg_op when 'UPDATE' then old.phase else 'nothing' end, new.phase,
    (select (array_agg(m[1] order by n desc))[1]
     from regexp_matches(v_context, 'function (?:fleet\.)?([a-z_]+)\(', 'g') with ordinality x (m, n)));
  return new;
end $$;
create trigger note_insert after insert on fleet.attempt for each row execute function t.note_way();
create trigger note_update after update of phase on fleet.attempt for each row
  when (old.phase is distinct from new.phase) execute function t.note_way();

-- The calls that lead from a claim to a phase, and each that may be tried there.
create function t.try(p_way text[], p_call text) returns void language plpgsql as $$
declare v_call text; v_id text := 'x' || (select count(*) from fleet.task);
begin
  perform t.submit(v_id);
  perform t.claim('w1', 1);
  foreach v_call in array p_way || p_call loop
    execute format('select fleet.%s', format(v_call, format('%L, %s, 1', t.node('w1'), t.attempt(v_id))));
  end loop;
exception when sqlstate 'AF001' then null;
end $$;

select t.worker('w1', t.host('h', '{code:rust}', 500));
select t.try(w, c) from (values
  ('{}'::text[]),
  (array['starting(%s, ''r'', ''c'', ''p'')']),
  (array['starting(%s, ''r'', ''c'', ''p'')', 'phase(%s, ''unreachable'', ''x'')']),
  (array['starting(%s, ''r'', ''c'', ''p'')', 'started(%s)']),
  (array['starting(%s, ''r'', ''c'', ''p'')', 'started(%s)', 'phase(%s, ''unreachable'', ''x'')']),
  (array['starting(%s, ''r'', ''c'', ''p'')', 'started(%s)', 'phase(%s, ''stopping'', ''x'')'])) a (w),
  (values ('starting(%s, ''r'', ''c'', ''p'')'), ('started(%s)'), ('phase(%s, ''running'', null)'), ('phase(%s, ''unreachable'', ''y'')'),
          ('phase(%s, ''stopping'', ''y'')'), ('finish(%s, ''failed'', ''killed'', 1, null)'), ('release(%s, ''cancelled'')'),
          ('void_confirmed(%s, ''voided'')')) b (c);
SQL
postgres_query "$database" "select distinct format('%s %s %s', from_phase, to_phase, function) from t.way" | sort >"$TEST_DIR/ways"
awk -F'|' '/^  \| *(claimed|starting|running|unreachable|stopping|ended)[ :]/ {
    to = $2; sub(/:.*/, "", to); gsub(/ /, "", to); gsub(/ /, "", $4)
    count = split($3, from, ",")
    for (i = 1; i <= count; i++) { gsub(/ /, "", from[i]); print from[i], to, $4 }
}' migrations/README.md | sort >"$TEST_DIR/table"
check "the table of phases was found" test "$(wc -l <"$TEST_DIR/table")" -gt 10
check "every way of an attempt's phase is in the table, and no other" diff "$TEST_DIR/table" "$TEST_DIR/ways"
