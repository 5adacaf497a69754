# shellcheck shell=bash disable=SC2154 # database: set by run
# People read tasks, running, attempts and hosts in a terminal: at most 10 columns and 160 characters, with values as a fleet has them.

cat >"$TEST_DIR/width.sql" <<'SQL'
select t.worker('worker-1', t.host('demo-host', '{code:rust,code:go,docs}', 12), t.host('worker-02.lab', '{code:rust,review}', 4, 'claude-code'));
select t.deliver('d' || i, 'opened', '{agent:code:rust}', '2026-01-01T10:00:00Z', jsonb_build_object('number', 1230 + i)) from generate_series(1, 9) i;
select fleet.submit_tasks(array[row('n', 'h', null, 0, 0, 10)::fleet.submission], array[1], t.items(t.item(null, '{agent:code:rust}'))) where false;
select t.claim('worker-1', 8);
select t.start('worker-1', task_id) from fleet.task where status = 'assigned' and task % 4 <> 0;
select t.finish('worker-1', task_id, 'failed', 'host_unreachable', 1) from fleet.task where status = 'running' and task % 4 = 1;
select t.finish('worker-1', task_id, 'failed', 'output_tampered', 1) from fleet.task where status = 'running' and task % 4 = 2;
select fleet.phase(t.node('worker-1'), a.attempt, a.epoch, 'unreachable', 'host_unreachable') from fleet.attempt a where a.phase = 'running';
select t.report_down('worker-1', 'worker-02.lab', 'host_key_changed', 'the key of the host is another one than known_hosts has, ' || repeat('and so on ', 30));
SQL
sed -i '/fleet.submission/d' "$TEST_DIR/width.sql"
postgres_psql "$database" postgres -f "$TEST_DIR/width.sql" >/dev/null

fits() { # VIEW
    local columns widest
    columns=$(postgres_query "$database" "select count(*) from pg_attribute where attrelid = 'fleet.$1'::regclass and attnum > 0")
    PAGER='' psql -X -d "$(postgres_url "$database" fleet_reader_login)" -c "table fleet.$1" >"$TEST_DIR/$1.wide" || return 1
    widest=$(LC_ALL=C.UTF-8 awk '{ if (length($0) > w) w = length($0) } END { print w }' "$TEST_DIR/$1.wide")
    (($(wc -l <"$TEST_DIR/$1.wide") > 4)) || { echo "$1 is empty"; return 1; }
    ((columns <= 10 && widest <= 160)) || { echo "$columns columns, $widest characters"; head -n 4 "$TEST_DIR/$1.wide"; return 1; }
}
too_wide() { ! fits "$1" >/dev/null; }
for view in tasks running attempts hosts; do
    check "fleet.$view fits a line" fits "$view"
done
for view in task_details attempt_details host_details; do
    check "fleet.$view has the rest, and is noticed to be wide" too_wide "$view"
done
