-- What is measured: counters against the history, what there is now, reports of workers. What commits out of order: tests/isolation.

-- A value of fleet.metrics(); null when it is not shown.
create function t.metric(p_name text, variadic p_labels text[] default '{}') returns int language sql as $$
  select m.value::int from fleet.metrics() m
  where m.name = p_name and (m.le is null or m.le = '+Inf') and array_remove(array[m.l1, m.l2, m.l3, m.l4], null) = p_labels $$;
create function t.roll(p_node text default 'w1') returns bigint language plpgsql as $$
declare v_sum bigint := 0; v_now int;
begin
  loop
    update fleet.metric_mark set rolled_at = 'epoch';
    v_now := fleet.roll_up(t.node(p_node));
    v_sum := v_sum + v_now;
    exit when v_now = 0;
  end loop;
  return v_sum;
end $$;
create function t.stock() returns boolean language plpgsql as $$
begin
  update fleet.metric_stock set due_at = '-infinity';
  return fleet.take_stock(t.node('w1'));
end $$;

select t.worker('w1', t.host('h1', '{x}', 2), t.host('h2', '{y}', 1));
select t.roll();

\echo 'counters'
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 0, 'a counter is there before the first of its kind');
select t.submit('a' || i, '{agent:x}') from generate_series(1, 3) i;
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 0, 'not counted yet');
select t.is(t.roll(), 3::bigint, 'three events');
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 3, 'submitted');
select t.is(t.roll(), 0::bigint, 'once');
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 3, '... and never again');
select t.claim('w1', 9);
select t.start('w1', 'a1'), t.start('w1', 'a2');
select t.finish('w1', 'a1');
select t.finish('w1', 'a2', 'failed', 'agent_error', 1);
select t.roll();
select t.is(t.metric('fleet_claims_total', 'ssh_cli'), 2, 'claims');
select t.is(t.metric('fleet_starts_total', 'ssh_cli'), 2, 'starts');
select t.is(t.metric('fleet_runs_total', 'ssh_cli', 'succeeded', '', ''), 1, 'runs by outcome');
select t.is(t.metric('fleet_runs_total', 'ssh_cli', 'failed', 'agent_error', 'agent'), 1, '... and reason, and its class');
select t.is(t.metric('fleet_retries_total'), 1, 'retries');
select t.is(t.metric('fleet_tasks_ended_total', 'completed'), 1, 'tasks ended');
select t.is(t.metric('fleet_queue_wait_seconds', 'ssh_cli'), 2, 'waits');
select t.is(t.metric('fleet_start_seconds', 'ssh_cli'), 2, 'how long starts took');
select t.is(t.metric('fleet_run_seconds', 'ssh_cli', 'succeeded'), 1, 'how long runs took');
select t.is((select string_agg(m.le, ' ') from fleet.metrics() m where m.name = 'fleet_start_seconds'),
  'sum 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 120 300 600 1800 3600 7200 14400 43200 +Inf', 'a duration by its bounds');
select t.is(fleet.metric_bucket(0), 0, 'at once is within the first bound');
select t.is(fleet.metric_bucket(0.05), 0, '... which itself is');
select t.is(fleet.metric_bucket(0.06), 1, '... and what is longer is not');
select t.is(fleet.metric_bucket(1e9), cardinality(fleet.metric_bounds()), 'what is over the last');
update fleet.attempt set claimed_at = claimed_at - interval '20 s' where number = 1;
insert into fleet.event (task, event_type, from_status, to_status, attempt, at)
  select a.task, 'running', 'assigned', 'running', 1, a.started_at from fleet.attempt a join fleet.task t on t.task = a.task where t.task_id = 'a1';
select t.roll();
select t.is((select string_agg(m.le || '=' || m.value, ' ') from fleet.metrics() m where m.name = 'fleet_start_seconds' and m.le in ('10', '30', '+Inf')),
  '10=2 30=3 +Inf=3', 'bounds count what is at most so long');
delete from fleet.event where event_id = (select max(event_id) from fleet.event);
select t.keep('starts', t.metric('fleet_starts_total', 'ssh_cli')::text);
insert into fleet.event (task, event_type, from_status, to_status, attempt)
  select task, 'running', 'agent_lost', 'running', 1 from fleet.task where task_id = 'a1';
select t.roll();
select t.is(t.metric('fleet_starts_total', 'ssh_cli')::text, t.kept('starts'), 'a run that is seen again has not started again');
delete from fleet.event where event_id = (select max(event_id) from fleet.event);
select t.claim('w1', 1);
select t.start('w1', 'a3'), t.finish('w1', 'a3', 'failed', 'what is "this"', 1);
select t.roll();
select t.is(t.metric('fleet_runs_total', 'ssh_cli', 'failed', 'other', ''), 1, 'a reason that is no reason of ours is another');

\echo 'pages'
select t.submit('b' || i, '{agent:x}') from generate_series(1, 30) i;
begin;
update fleet.metric_mark set rolled_at = 'epoch';
select t.is(fleet.roll_events(7), 7, 'a page');
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 10, '... counts as much');
rollback;
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 3, 'what was rolled back was not counted');
select t.is(fleet.roll_events(7), 7, 'again');
select t.is(fleet.roll_events(100), 23, '... and the rest');
select t.is(t.metric('fleet_tasks_submitted_total', 'api'), 33, 'each once');
select t.is(fleet.roll_up(t.node('w1')) >= 0 and fleet.roll_up(t.node('w1')) = 0, true, 'twice within half a second is once');
select t.is(t.metric('fleet_history_behind_seconds'), 0, 'nothing is left');
begin;
insert into fleet.event (task, event_type) select (select min(task) from fleet.task), 'noted' from generate_series(1, 2001);
update fleet.metric_mark set rolled_at = 'epoch';
select t.is(fleet.roll_up(t.node('w1')), 0, 'a transaction that is open is not counted, nor what comes behind it');
select t.is(current_setting('synchronous_commit'), 'off', '... and nothing waits for the disk');
rollback;
begin;
insert into fleet.event (task, event_type) select (select min(task) from fleet.task), 'noted' from generate_series(1, 2001);
commit;
begin;
update fleet.metric_mark set rolled_at = 'epoch';
select t.is(fleet.roll_up(t.node('w1')), 2000, 'as much as fits into a page');
select t.is(current_setting('synchronous_commit'), 'on', '... which no crash takes back');
select t.is(fleet.roll_up(t.node('w1')), 1, 'the rest of it at once');
select t.is(current_setting('synchronous_commit'), 'on', '... nor that');
select t.is(fleet.roll_up(t.node('w1')), 0, '... and then there is time');
commit;

\echo 'history that is gone'
select t.submit('gone', '{agent:x}');
delete from fleet.event where task = (select task from fleet.task where task_id = 'gone');
select t.is(t.roll(), 0::bigint, 'what was removed before is not counted, and nothing breaks');
select t.submit('after', '{agent:x}');
select t.is(t.roll(), 1::bigint, '... what comes then is');

\echo 'another cluster'
update fleet.metric_mark set system = '0', xid = '99999999999';
select t.submit('there', '{agent:x}');
select t.roll();
select t.is((select count(*) from fleet.metric_mark where system <> '0' and xid < '99999999999' and since > now() - interval '1 min'), 2::bigint,
  'a dump that was restored begins anew');
select t.submit('here', '{agent:x}');
select t.is(t.roll(), 1::bigint, '... with what comes');
update fleet.metric_mark set system = '0';
select t.roll();
-- in the dump, by a transaction whose number is yet to come here
insert into fleet.event (task, event_type, xid, at)
  select t.task, 'noted', (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + 3)::text::xid8, m.since - interval '1 ms'
  from fleet.task t, fleet.metric_mark m where t.task_id = 'here' and m.source = 'event';
select t.submit('later1', '{agent:x}');
select t.submit('later2', '{agent:x}');
select t.submit('later3', '{agent:x}');
select t.submit('later4', '{agent:x}');
select t.is(t.roll(), 4::bigint, '... and nothing of the dump, whatever its number');

\echo 'deliveries, deaths'
select t.deliver('d1', 'opened', '{agent:x}', to_char(now() at time zone 'UTC' - interval '3 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T00:00:00Z');
select t.roll();
select t.is(t.metric('fleet_deliveries_total', 'accepted', 'submitted'), 1, 'deliveries by verdict');
select t.is(t.metric('fleet_deliveries_total', 'duplicate', 'seen_before'), 1, '... and reason');
select t.is(t.metric('fleet_delivery_lag_seconds'), 1, 'the lag of those that counted');
select t.is((select m.value between 3 and 10 from fleet.metrics() m where m.name = 'fleet_delivery_lag_seconds' and m.le = 'sum'), true, '... by the issue''s clock');
select t.keep('lag', (select m.value::text from fleet.metrics() m where m.name = 'fleet_delivery_lag_seconds' and m.le = 'sum'));
select t.deliver('d3', 'opened', '{agent:x}', to_char(now() at time zone 'UTC' + interval '1 h', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '{"number": 44}');
select t.roll();
select t.is((select m.value::text from fleet.metrics() m where m.name = 'fleet_delivery_lag_seconds' and m.le = 'sum'), t.kept('lag'),
  'a clock that is ahead lowers no counter');
select t.deliver('d2', 'opened', '{agent:x}', '2026-01-01T00:00:00Z', '{"number": 43}');
update fleet.delivery set reason = 'what is "this"' where number = 43;
select t.roll();
select t.is(t.metric('fleet_deliveries_total', 'accepted', 'other'), 1, 'a reason that is no word is another');
select fleet.node_start(t.node('w2'), 'worker', 'w2', '0.1.0', '');
update fleet.node set dead_at = now() where name = 'w2';
select t.is(t.roll() > 0, true, 'a death is told');
select t.is(t.roll(), 0::bigint, '... once');
select t.is(t.metric('fleet_nodes_died_total', 'worker'), 1, '... and counted');

\echo 'what waits for people only'
select t.reset();
select t.worker('w1', t.host('h1', '{x}', 1));
select t.submit('held', '{agent:x}');
select fleet.put_hold(task, 'needs_approval', 'forgejo:octo') from fleet.task;
select t.ok(t.stock(), 'stock is taken');
select t.is(t.metric('fleet_queue_tasks', 'x', 'delayed', 'free'), 1, 'it waits');
select t.is(t.metric('fleet_queue_overdue_seconds'), 0, '... and is not late, for it has no time');

\echo 'what there is'
select t.reset();
select t.worker('w1', t.host('h1', '{x}', 2), t.host('h2', '{y}', 1));
select t.submit('q' || i, '{agent:x}') from generate_series(1, 5) i;
select t.submit('n' || i, '{agent:nobody}') from generate_series(1, 2) i;
select t.submit('later', '{agent:x}', jsonb_build_object('run_at', now() + interval '1 hour'));
update fleet.queue set since = now() - interval '1 hour' where task = (select task from fleet.task where task_id = 'q3');
select t.ok(t.stock(), 'stock is taken');
select t.is(fleet.take_stock(t.node('w1')), false, '... not again before it is due');
select t.is(t.metric('fleet_queue_tasks', 'x', 'ready', 'free'), 5, 'what waits, by requirements and what there is for it');
select t.is(t.metric('fleet_queue_tasks', 'nobody', 'ready', 'none'), 2, '... that nobody takes');
select t.is(t.metric('fleet_queue_tasks', 'x', 'delayed', 'free'), 1, '... that may not start yet');
select t.is(t.metric('fleet_queue_oldest_seconds', 'x', 'free') between 3600 and 3700, true, 'the oldest of them');
select t.is(t.metric('fleet_tasks', 'created'), 8, 'tasks that wait');
select t.is(t.metric('fleet_slots', 'ssh_cli', 'free'), 3, 'slots');
select t.claim('w1', 2);
select t.stock();
select t.is(t.metric('fleet_queue_tasks', 'x', 'ready', 'busy'), 3, 'all that could take them are busy');
select t.is(t.metric('fleet_slots', 'ssh_cli', 'used'), 2, '... with slots that are used');
select t.is(t.metric('fleet_host_slots', 'h1', 'used'), 2, '... by host');
select t.is(t.metric('fleet_tasks', 'assigned'), 2, '... by tasks that live');
select fleet.phase(t.node('w1'), a.attempt, a.epoch, 'unreachable', 'host_unreachable')
  from fleet.attempt a, fleet.starting(t.node('w1'), a.attempt, a.epoch, 'r', 'c', 'p') where a.attempt = (select min(attempt) from fleet.attempt);
select t.report_down('w1', 'h1', 'refused', 'Connection refused');
select fleet.cordon('h2', 'new disk');
select t.stock();
select t.is(t.metric('fleet_slots', 'ssh_cli', 'held'), 1, 'a slot of a run that nobody sees');
select t.is(t.metric('fleet_host_up', 'h1'), 0, 'a host that is not reached');
select t.is(t.metric('fleet_hosts', 'offline'), 1, '... is counted');
select t.is(t.metric('fleet_hosts', 'cordoned'), 1, '... as is one that a person took out');
select t.is(t.metric('fleet_agents', 'ssh_cli', 'offline'), 1, '... and their agents');
select t.is(t.metric('fleet_host_disk_free_bytes', 'h1'), 1000000000, 'free disk');
select fleet.uncordon('h2'), fleet.park('h2/codex-cli', 'bill', now() + interval '1 day');
select t.stock();
select t.is(t.metric('fleet_accounts_parked', 'parked'), 1, 'a login that is parked');
select t.is(t.metric('fleet_account_opens_seconds', 'h2/codex-cli') between 86000 and 86400, true, '... and for how long');
select t.is(t.metric('fleet_agents', 'ssh_cli', 'resting'), 1, '... and its agent');
select t.is(t.metric('fleet_partitions_ahead_seconds', 'log') / 86400 between 13 and 16, true, 'partitions of output ahead');
select t.is(t.metric('fleet_partitions_ahead_seconds', 'event') / 86400 between 80 and 130, true, '... and of history');
select t.is(t.metric('fleet_stock_age_seconds', 'fleet') between 0 and 60, true, 'how old that is');
select t.is(fleet.take_checks(t.node('w1')), true, 'invariants are looked at');
select t.is(t.metric('fleet_check_faults', 'check_slot'), 0, '... and hold');
select t.is(t.metric('fleet_database_bytes') > 1e6, true, 'the size of the database');

\echo 'labels are bounded'
select t.submit('many' || i, array['agent:m' || i]) from generate_series(1, 60) i;
select t.stock();
select t.is((select count(distinct m.l1) <= 51 and bool_or(m.l1 = 'other') from fleet.metrics() m where m.name = 'fleet_queue_tasks'), true,
  'no more than 50 sets of requirements, and the others as one');
select t.is((select sum(m.value) from fleet.metrics() m where m.name = 'fleet_queue_tasks'), (select count(*) from fleet.task where status = 'created')::float8,
  'nothing is left out');

\echo 'nodes'
select t.is(t.metric('fleet_node_up', 'w1', 'worker', '0.1.0'), 1, 'a node that lives');
select t.silent('w1', '11 s');
select t.is(t.metric('fleet_node_up', 'w1', 'worker', '0.1.0'), 0, '... one that is silent');
select fleet.node_start(gen_random_uuid(), 'worker', 'w1', '0.1.0', '');
select t.is(t.metric('fleet_node_up', 'w1', 'worker', '0.1.0'), 1, 'two of a name are shown as one');
select fleet.node_report(t.node('w1'), '{"claims_total": 7, "db_errors_total": {"08": 2}, "text": "no", "list": [1]}');
insert into fleet.look (kind, id, due_at, tries) values ('issue', 1, now() - interval '1 minute', 0), ('pull', 1, now() + interval '1 hour', 3);
insert into fleet.look (kind, id, done) values ('issue', 2, 1);
select t.stock();
select t.is(t.metric('fleet_forgejo_looks', 'due'), 1, 'an issue that is to be read');
select t.is(t.metric('fleet_forgejo_looks', 'failing'), 1, '... one that could not be');
select t.is(t.metric('fleet_forgejo_look_oldest_seconds') between 59 and 90, true, '... since when');
select t.is(t.metric('fleet_forgejo_tellings', 'parked'), 0, 'nothing to tell');
select t.is(t.metric('fleet_forgejo_repositories_parked'), 0, 'no repository that is closed to us');
select t.is(t.metric('fleet_worker_claims_total', 'w1'), 7, 'what a worker says of itself');
select t.is(t.metric('fleet_worker_db_errors_total', 'w1', '08'), 2, '... by a label');
select t.is((select count(*) from fleet.metrics() m where m.name in ('fleet_worker_text', 'fleet_worker_list')), 0::bigint, '... only numbers');
select t.is(t.metric('fleet_worker_report_age_seconds', 'w1') < 60, true, '... and when');
begin;
update fleet.node set stopped_at = now() where node = t.node('w1');
select t.is(t.metric('fleet_worker_claims_total', 'w1'), null, '... not when it has stopped');
rollback;
begin;
select fleet.stock_put('fleet', clock_timestamp() - interval '10 s', '5 s', '[]');
select t.is((select due_at > clock_timestamp() + interval '8 min' from fleet.metric_stock where name = 'fleet'), true,
  'a count that takes 10 s is made every 500');
rollback;
select t.throws($$select fleet.node_report(t.node('w1'), '[]')$$, 'AF007', 'a report is an object');
select t.throws($$select fleet.node_report(t.node('w1'), jsonb_build_object('a', repeat('x', 20000)))$$, 'AF007', '... of so many bytes');
select t.throws($$select fleet.node_report(gen_random_uuid(), '{}')$$, 'AF002', '... of a node that lives');
select t.none($$select m.name from fleet.metrics() m group by m.name, m.l1, m.l2, m.l3, m.l4, m.le having count(*) > 1$$, 'nothing is told twice');
select t.sound();

\echo 'what is dear, and what takes too long'
begin;
create view fleet.check_dear as select 1 as fault from generate_series(1, 1000) a, generate_series(1, 1000) b, generate_series(1, 1000) c;
grant select on fleet.check_dear to fleet_owner;
update fleet.metric_stock set due_at = '-infinity' where name = 'checks';
select t.is(fleet.take_checks(t.node('w1')), true, 'an invariant that costs much');
select t.is(t.metric('fleet_check_left_out', 'check_dear'), 1, '... is left out');
select t.is(t.metric('fleet_check_left_out', 'check_slot'), 0, '... and no other');
select t.none($$select * from fleet.metrics() m where m.name = 'fleet_check_faults' and m.l1 = 'check_dear'$$, '... nothing is said of it');
rollback;
begin;
create view fleet.check_slow as select pg_sleep(60)::text as slept; grant select on fleet.check_slow to fleet_owner;
update fleet.metric_stock set due_at = '-infinity', taken_at = now() - interval '2 hours' where name = 'checks';
set local statement_timeout = '1s';
select t.is(fleet.take_checks(t.node('w1')), false, 'the invariants took longer than a node waits');
set local statement_timeout = 0;
select t.is((select due_at > now() + interval '50 min' from fleet.metric_stock where name = 'checks'), true, '... are not looked at again at once');
select t.is(t.metric('fleet_stock_age_seconds', 'checks') > 7000, true, '... and it shows how old the last look is');
rollback;
