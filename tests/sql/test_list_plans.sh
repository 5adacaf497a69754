# shellcheck shell=bash disable=SC2154 # database: set by run
# What lists really execute, functions within functions too (auto_explain): none reads a table that grows from its beginning to its end.

cat >"$TEST_DIR/list_seed.sql" <<'SQL'
select t.worker('w1', t.host('h1', '{x}', 5));
select t.submit('a' || i, '{agent:x,bug}', '{"repo": "acme/rocket"}') from generate_series(1, 30) i;
select t.submit('later', '{agent:x}', jsonb_build_object('run_at', now() + interval '1 hour'));
select t.claim('w1', 5);
select t.start('w1', 'a1'), t.finish('w1', 'a1');
select t.start('w1', 'a2');
select t.token('bound', 'read', '{acme/rocket}');
analyze;
SQL
postgres_psql "$database" postgres -f "$TEST_DIR/list_seed.sql" >/dev/null

# Every statement that is executed for SQL, with its plan.
plans_of() {
    PGOPTIONS="-c client_min_messages=log" postgres_psql "$database" postgres -c "load 'auto_explain'" \
        -c "set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on; set auto_explain.log_level = log" \
        -c "$1" 2>&1
}
growing='(task|task_label|ended|queue|delayed|attempt|event_[0-9]+|log_[0-9]+|audit|delivery)'
# Reads it no growing table as a whole, and did the plans of at least so many statements come?
reads_little() { # SQL STATEMENTS
    local plans bad
    plans=$(plans_of "$1")
    bad=$(grep -E "(Seq|Sample) Scan on $growing\b" <<<"$plans") || bad=
    [[ -z $bad ]] || { grep -B12 -A3 -E "Seq Scan on $growing" <<<"$plans" | head -60; return 1; }
    (($(grep -c 'Query Text' <<<"$plans") >= $2)) || { echo "too few plans"; echo "$plans" | tail -n 5; return 1; }
}
notices() { ! reads_little "$@" >/dev/null; }

check "a scan of the whole table is noticed" notices "set enable_indexscan = off; set enable_bitmapscan = off; select count(title) from fleet.task" 1
check "... within a function too" notices "do 'begin perform count(title) from fleet.task; end'" 1
by="'(0,192.0.2.7,r)'::fleet.requester"
bound="('(' || (select token_id from fleet.token where name = 'bound') || ',192.0.2.7,r)')::fleet.requester"
for filter in "" "p_status => '{created}'" "p_status => '{running}'" "p_status => '{assigned,agent_lost}'" "p_status => '{completed}'" \
    "p_status => '{failed,cancelled,created,running}'" "p_label => '{bug}'" "p_label => '{bug,none}'" "p_repo => '{acme/rocket}'" \
    "p_source => '{forgejo}'" "p_source => '{api}'" "p_agent_id => '{h1/codex-cli}'" "p_host_id => '{h1}'" \
    "p_execution_mode => '{ssh_cli}'" "p_q => 'a2'" "p_created_after => '2026-01-01Z'" "p_created_before => '2999-01-01Z'" \
    "p_created_after => '2026-01-01Z', p_created_before => '2999-01-01Z', p_status => '{completed}'" \
    "p_status => '{created}', p_label => '{bug}'" "p_status => '{completed}', p_host_id => '{h1}'" "p_repo => '{acme/rocket}', p_label => '{bug}'" \
    "p_status => '{failed}', p_repo => '{acme/rocket}'" "p_agent_id => '{h1/codex-cli}', p_status => '{completed}', p_label => '{bug}'"; do
    check "tasks: ${filter:-all}" reads_little "select fleet.task_list($by, 20, '100000'${filter:+, $filter})" 8
    check "... of a bound token" reads_little "select fleet.task_list($bound, 20, null${filter:+, $filter})" 8
done
for call in "task_detail($by, 'a1')" "task_detail($bound, 'a1')" "task_events($by, 'a1', 9, null)" "task_attempts($by, 'a1', 9, null)" "agent_list($by, 9, null)" \
    "agent_list($by, 9, 'a', p_status => '{online}')" "agent_detail($by, 'h1/codex-cli')" "node_list($by)" "stats($by)"; do
    check "${call%%(*}" reads_little "select fleet.$call" 2
done

# ---- what is measured: a scrape reads what was counted before, and of the history only what is not counted yet
scrape_reads_none() {
    local plans
    plans=$(plans_of "select * from fleet.metrics()")
    (($(grep -c 'Query Text' <<<"$plans") >= 5)) || { echo "too few plans"; echo "$plans" | tail -n 5; return 1; }
    ! grep -E " on $growing\b" <<<"$plans" | grep -v 'Index Scan using event_[0-9]*_xid_event_id_idx'
}
postgres_query "$database" "update fleet.metric_stock set due_at = '-infinity'; select fleet.take_stock(t.node('w1')), fleet.take_checks(t.node('w1'))" >/dev/null
check "a scrape" scrape_reads_none
check "... rolling up" reads_little "update fleet.metric_mark set rolled_at = 'epoch'; select fleet.roll_up(t.node('w1'))" 6
stock_reads_queue() { # the one table that has to be counted as a whole
    local plans
    plans=$(plans_of "update fleet.metric_stock set due_at = '-infinity'; select fleet.take_stock(t.node('w1'))")
    (($(grep -c 'Query Text' <<<"$plans") >= 8)) || { echo "too few plans"; return 1; }
    ! grep -E "(Seq|Sample) Scan on $growing\b" <<<"$plans" | grep -v 'Seq Scan on queue '
}
check "... taking stock, but for the queue" stock_reads_queue
