# shellcheck shell=bash disable=SC2154 # database: set by run
# Sixteen claimers on one executor of ten slots: never above the limit, every task once, nothing left over.

clients=16 tasks=400
$LONG && tasks=6000
cat >"$TEST_DIR/claimer.sql" <<'SQL'
select t.take('p' || :client_id);
select 1 / (count(*) <= 10)::int from fleet.attempt where ended_at is null;
select 1 / (count(*) <= 10)::int from fleet.slot where attempt is not null;
select t.give('p' || :client_id);
SQL
postgres_psql "$database" postgres >/dev/null <<SQL
create function t.take(p_node text) returns bigint language sql as \$\$
  select count(*) from fleet.claim(t.node(p_node), 1 + (random() * 4)::int) \$\$;
-- ends most of what the node has; one in ten fails and comes again
create function t.give(p_node text) returns bigint language sql as \$\$
  select count(fleet.finish(a.node, a.attempt, a.epoch, case when a.number = 1 and a.task % 10 = 0 then 'failed' else 'succeeded' end,
                            'exit_nonzero', 0, null))
  from fleet.attempt a where a.node = t.node(p_node) and a.ended_at is null \$\$;
select fleet.set('retry_base_ms', 0);
select t.worker('p' || i, t.host('h', '{code:rust}', 10)) from generate_series(0, $clients - 1) i;
select t.submit('t' || i, '{agent:code:rust}', jsonb_build_object('priority', i % 3)) from generate_series(1, $tasks) i;
SQL

drained() {
    postgres_query "$database" "select fleet.promote(1000)" >/dev/null
    "$POSTGRES_BIN/pgbench" -n -c "$clients" -j 2 -t "$((tasks / 10))" -f "$TEST_DIR/claimer.sql" "$(postgres_url "$database")" >"$TEST_DIR/pgbench.log" 2>&1 || return 2
    [[ $(postgres_query "$database" "select count(*) from fleet.task where status <> 'completed'") == 0 ]]
}
check "16 claimers drain the queue, never above max_concurrency" wait_for 60 "every task to be completed" drained
grep -aE 'ERROR|aborted' "$TEST_DIR/pgbench.log" | head -n 5
answer=$(postgres_query "$database" "select count(*), count(*) filter (where outcome = 'succeeded'), count(distinct task) filter (where outcome = 'succeeded') from fleet.attempt")
check "every task succeeded once, one in ten after a retry" test "$answer" = "$((tasks + tasks / 10))|$tasks|$tasks"
check "no slot is left over" test "$(postgres_query "$database" "select count(*) from fleet.slot where attempt is not null")" = 0
echo "select t.sound('every invariant after a crowd');" >"$TEST_DIR/sound.sql"
run_sql parallel "$database" "$TEST_DIR/sound.sql"
