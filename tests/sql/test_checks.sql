-- Every check_* view is empty after a scenario, and fires when its invariant is broken by hand.

create temp table fired (view text);
-- Breaks something, looks at the view, and takes it back.
create function pg_temp.fires(p_view text, p_sql text, p_name text) returns void language plpgsql as $$
declare rows bigint := -1;
begin
  insert into fired values (p_view);
  begin
    execute p_sql;
    execute format('select count(*) from fleet.%I', p_view) into rows;
    raise sqlstate 'ZZ999';
  exception when sqlstate 'ZZ999' then null;
  end;
  perform t.ok(rows > 0, p_view || ' fires: ' || p_name);
end $$;

begin;
select t.worker('w1', t.host('h1', '{code:rust}', 3), t.host('h2', '{code:rust,doc}', 2, 'other'));
select t.worker('w2', t.host('h1', '{code:rust}', 3));
select t.submit(x) from unnest('{done,failed,runs,moved}'::text[]) x;
select t.claim('w1', 9);
select t.start('w1', x) from unnest('{done,failed,runs,moved}'::text[]) x;
select t.finish('w1', 'done');
select t.finish('w1', 'failed', 'failed', 'exit_nonzero', 1);
select fleet.node_stop(t.node('w1'));
select t.adopt('w2', 'w1', 0);
select t.submit('waits');
select t.submit('nobody', '{agent:none}');
select t.submit('later', '{agent:code:rust}', jsonb_build_object('run_at', now() + interval '1 hour'));
select t.sound('every check_* view is empty after a scenario');
select t.none('select * from fleet.check_all() where faults <> 0', 'check_all() says so too');

select pg_temp.fires('check_slot', 'update fleet.slot set attempt = null', 'a live attempt without its slot');
select pg_temp.fires('check_slot', 'update fleet.slot set attempt = (select max(attempt) from fleet.attempt where ended_at is not null) where attempt is null',
  'a slot held by what ended');
select pg_temp.fires('check_slot', 'update fleet.slot s set attempt = a.attempt from fleet.attempt a where a.ended_at is null and s.attempt is null',
  'an attempt in two slots');
select pg_temp.fires('check_slot', 'insert into fleet.slot (executor, ordinal) select executor, 99 from fleet.executor', 'a slot too many');
select pg_temp.fires('check_slot', 'delete from fleet.slot where attempt is null', 'a slot too few');
select pg_temp.fires('check_slot', 'update fleet.slot set retiring = true where attempt is null', 'a free slot that retires');
select pg_temp.fires('check_slot', 'insert into fleet.freed (attempt) select min(attempt) from fleet.attempt', 'a run that is listed as freed and is not');
select pg_temp.fires('check_slot', 'update fleet.slot set attempt = null; update fleet.attempt set (freed_at, freed_by, freed_reason, abandoned_at, abandoned_by, abandoned_reason) = (now(), ''x'', ''x'', now(), ''x'', ''x'') where ended_at is null', 'a freed run that nobody would find');
select pg_temp.fires('check_slot', 'update fleet.attempt set task = task + 999999', 'runs of no task');
select pg_temp.fires('check_live', 'insert into fleet.attempt (task, number, executor, slot_id, node, nonce) select task, number + 1, executor, slot_id, node, nonce from fleet.attempt where ended_at is null',
  'two live attempts');
select pg_temp.fires('check_status_event', 'alter table fleet.task disable trigger user; update fleet.task set status = ''failed'' where task_id = ''runs''',
  'a change of status without its event');
select pg_temp.fires('check_status_event', 'delete from fleet.event where to_status = ''assigned''', 'an event that is missing in the chain');
select pg_temp.fires('check_status_event', 'delete from fleet.event', 'no event at all');
select pg_temp.fires('check_status_event', 'delete from fleet.event e using fleet.task t where t.task = e.task and t.task_id = ''runs'' and e.from_status is null',
  'a chain that begins in the middle');
select pg_temp.fires('check_epoch', 'update fleet.attempt set epoch = epoch + 1 where attempt = t.attempt(''done'')', 'an epoch that nobody adopted');
select pg_temp.fires('check_epoch', 'update fleet.attempt set epoch = 1', 'an epoch that fell');
select pg_temp.fires('check_epoch', 'update fleet.task set attempt_number = attempt_number + 1 where task_id = ''done''',
  'a number that was skipped');
select pg_temp.fires('check_epoch', 'update fleet.task set attempt_number = 0', 'a number that fell');
select pg_temp.fires('check_queue', 'delete from fleet.queue', 'a created task that waits nowhere');
select pg_temp.fires('check_queue', 'delete from fleet.delayed', 'a delayed task that waits nowhere');
select pg_temp.fires('check_queue', 'insert into fleet.delayed (run_at, task) select now(), task from fleet.queue', 'a task that waits twice');
select pg_temp.fires('check_queue', 'insert into fleet.queue (lane, prio, task) select lane, prio + 1, task from fleet.queue', 'a task that waits twice in its lane');
select pg_temp.fires('check_queue', 'insert into fleet.delayed (run_at, task) values (now(), 999999)', 'a task that does not exist waits for its time');
select pg_temp.fires('check_queue', 'insert into fleet.queue (lane, prio, task) select lane, -priority, task from fleet.task where task_id = ''done''',
  'a completed task that waits');
select pg_temp.fires('check_queue', 'insert into fleet.queue (lane, prio, task) values (1, 0, 999999)', 'a task that does not exist waits');
select pg_temp.fires('check_queue', 'update fleet.queue set prio = prio + 1', 'a wrong rank');
select pg_temp.fires('check_queue', 'update fleet.queue set lane = lane + 1000', 'a wrong lane');
select pg_temp.fires('check_executor_lane', 'delete from fleet.executor_lane', 'a pair that is missing');
select pg_temp.fires('check_executor_lane', 'insert into fleet.executor_lane select e.executor, l.lane from fleet.executor e, fleet.lane l on conflict do nothing',
  'a pair too many');
select pg_temp.fires('check_executor_lane', 'update fleet.executor set capabilities = ''{none}''', 'other capabilities');
select pg_temp.fires('check_executor_lane', 'update fleet.executor set enabled = false', 'a disabled executor');
select pg_temp.fires('check_status', 'update fleet.attempt set ended_at = now(), phase = ''ended'', outcome = ''failed'' where ended_at is null',
  'running, and nothing lives');
select pg_temp.fires('check_status', 'alter table fleet.task disable trigger user; update fleet.task set status = ''completed'', completed_at = now() where task_id = ''runs''',
  'completed, and something lives');
select pg_temp.fires('check_status', 'update fleet.task set completed_at = null', 'ended without a time');
select pg_temp.fires('check_status', 'update fleet.task set completed_at = now()', 'not ended, with a time');
select pg_temp.fires('check_status', 'update fleet.task set attempts = max_attempts_total where status = ''created''',
  'waiting for an attempt that it may not have');
select pg_temp.fires('check_status', 'update fleet.attempt set started_at = null where ended_at is null', 'running, and never seen started');
select pg_temp.fires('check_outbox', 'insert into fleet.outbox (task) values (0)', 'told, and of no task');
select pg_temp.fires('check_outbox', 'insert into fleet.outbox (task) select task from fleet.task where status = ''running''', 'told, and of no issue');
select pg_temp.fires('check_outbox', 'insert into fleet.outbox (task, tell_at) select task, ''infinity'' from fleet.task', 'to be told, and never due');
select pg_temp.fires('check_pull', 'insert into fleet.pull (repository_id, number, task, head_ref, state) select 5, 7, task, ''x'', ''open'' from fleet.task where task_id = ''done''',
  'completed, and its pull request is open');
select pg_temp.fires('check_pull', 'insert into fleet.pull (repository_id, number, task, head_ref, state, merged, closed_round) select 5, 7, task, ''x'', ''closed'', true, 0 from fleet.task where task_id = ''failed''',
  'failed, and its pull request was merged');
select pg_temp.fires('check_pull', 'insert into fleet.pull (repository_id, number, task, head_ref, state, closed_round) select 5, 7, task, ''x'', ''closed'', 0 from fleet.task where task_id = ''waits''',
  'waiting, and its pull request was closed');
select pg_temp.fires('check_pull', 'alter table fleet.task disable trigger user; insert into fleet.ended select ''review_pending'', task from fleet.task where task_id = ''failed''',
  'under review, and of nothing');
select pg_temp.fires('check_list', 'delete from fleet.ended', 'an ended task that is not listed');
select pg_temp.fires('check_list', 'update fleet.ended set status = ''cancelled''', 'listed under another status');
select pg_temp.fires('check_list', 'insert into fleet.ended select status, task from fleet.task where status = ''running''', 'a running one among the ended');
select pg_temp.fires('check_list', 'delete from fleet.task_label', 'a label that is not listed');
select pg_temp.fires('check_list', 'insert into fleet.task_label select ''foreign'', task from fleet.task', 'a label that it has not');
select t.agent('a1', '{http}', 2);
select t.submit('pulled', '{agent:http}', '{"execution_mode": "http_pull"}');
select t.pull('a1');
select t.says('a1', 'pulled', 'running');
select t.sound('an agent''s run keeps every invariant');
select pg_temp.fires('check_hold', 'update fleet.task set hold = ''needs_approval'' where status = ''created''', 'a held task that could be taken');
select pg_temp.fires('check_hold', 'update fleet.task set hold = ''reading'' where status = ''completed''', 'a hold on a task that has ended');
select pg_temp.fires('check_hold', 'update fleet.delayed set run_at = ''infinity''', 'a task that never starts and nobody holds');
select pg_temp.fires('check_hold', 'update fleet.task set hold = ''mood'' where status = ''created''', 'a hold that nobody knows');
select pg_temp.fires('check_agent', 'update fleet.attempt set node = t.node(''w2'') where attempt = t.attempt(''pulled'')', 'an agent''s run that a worker owns');
select pg_temp.fires('check_agent', 'update fleet.attempt set due_at = null', 'an agent''s run that nothing ends');
select pg_temp.fires('check_agent', 'update fleet.attempt set node = (select node from fleet.executor where agent_id = ''a1'') where attempt = t.attempt(''runs'')',
  'a host''s run that an agent owns');
select pg_temp.fires('check_agent', 'update fleet.node set dead_due = null', 'an agent whose silence nobody would find');
select t.none($$select relname from pg_class where relnamespace = 'fleet'::regnamespace and relname like 'check\_%' and relkind = 'v' and relname not in (select view from fired)$$,
  'every check_* view was shown to fire');

\echo 'guards that stand in the tables'
select t.throws($$update fleet.task set status = 'running' where task_id = 'waits'$$, 'AF001', 'an edge that is not listed raises');
savepoint listed;
insert into fleet.transition (from_status, to_status, comment) values ('created', 'running', 'for once');
update fleet.task set status = 'running' where task_id = 'waits';
select t.is(t.status('waits'), 'running', 'one that is listed since counts at once');
rollback to listed;
select t.throws($$insert into fleet.queue select * from fleet.queue$$, '23505', 'nor the same task twice in a lane');
select t.none($$select distinct to_status from fleet.transition where to_status <> 'created' except select distinct status from unnest('{assigned,running,agent_lost,review_pending,completed,failed,cancelled}'::text[]) status$$,
  'transitions name known statuses only');
select t.none($$select status from unnest('{assigned,running,agent_lost,completed,failed,cancelled}'::text[]) status where status not in (
  with recursive reach(s) as (values ('created') union select to_status from fleet.transition join reach on from_status = s) select s from reach)$$, 'every status can be reached');
select t.none($$select from_status from fleet.transition where from_status not in (
  with recursive back(s) as (select unnest('{completed,failed,cancelled}'::text[]) union select from_status from fleet.transition join back on to_status = s) select s from back)$$, 'and left for an end');
rollback;
