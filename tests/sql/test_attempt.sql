-- One attempt's calls, told twice, told late, or told of an attempt that was given up.

\echo 'a start told twice'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
update fleet.attempt set started_at = now() - interval '7 min';
select t.start('w1', 'a');
select t.is((select started_at from fleet.attempt), now() - interval '7 min', 'the first start counts');
select t.throws(format('select fleet.void_confirmed(%L, %s, 1, %L)', t.node('w1'), t.attempt('a'), 'voided'), 'AF001',
                'what was seen running cannot have a tombstone');
select t.is(t.status('a'), 'running', 'and goes on');
rollback;

\echo 'out of reach for another reason'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '7 min';
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'refused');
select t.is((select row(phase_reason, unreachable_at)::text from fleet.attempt), row('refused', now() - interval '7 min')::text,
            'is out of reach since the first');
rollback;

\echo 'an attempt that was given up, beside its successor'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 5}');
select t.claim('w1', 1);
select t.keep('old', t.attempt('a'));
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'agent', 'prompt') \g /dev/null
select fleet.retry('a', true, 'nobody knows where it is');
select t.claim('w1', 1);
select fleet.started(t.node('w1'), t.kept('old')::bigint, 1);
select t.is(t.status('a'), 'assigned', 'its start is not the start of the new one');
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.kept('old')::bigint, 1, 'unreachable', 'timeout');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '10 min' where attempt = t.attempt('a');
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'agent_lost', 'the new one is out of reach');
select fleet.phase(t.node('w1'), t.kept('old')::bigint, 1, 'running', null);
select t.is(t.status('a'), 'agent_lost', 'that the old one is back says nothing of it');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'running', null);
select fleet.phase(t.node('w1'), t.kept('old')::bigint, 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '5 hours', unseen_ms = 5 * 3600000 where attempt = t.kept('old')::bigint;
select fleet.reap(t.node('w1'));
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'running', 'nor does its loss');
select t.sound('every invariant with both');
rollback;

\echo 'a start that nobody announced'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.throws(format('select fleet.started(%L, %s, 1)', t.node('w1'), t.attempt('a')), 'AF001', 'is none');
select t.is((select row(phase, started_at)::text from fleet.attempt), '(claimed,)', 'and changes nothing');
select t.is(t.finish('w1', 'a', 'cancelled', 'cancelled'), 'cancelled', 'what was stopped on its host is cancelled, whoever asked');
select t.throws(format($$select fleet.starting(%L, %s, 1, 'r', 'c', 'p')$$, t.node('w1'), t.attempt('a')), 'AF001', 'nor is one announced of what has ended');
select t.is((select count(*) from fleet.jobs(t.node('w1'), array[t.attempt('a')])), 0::bigint, 'which its node owns no more');
rollback;

\echo 'a task that waits again'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is((select row(status, executor)::text from fleet.task), '(created,)', 'is nobody''s');
rollback;

\echo 'what a node owns'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.is((select count(*) from fleet.jobs(t.node('w1'), array[t.attempt('a')])), 1::bigint, 'is answered to it');
select t.is((select count(*) from fleet.jobs(t.node('w2'), array[t.attempt('a')])), 0::bigint, 'and to no other');
rollback;

\echo 'adopted while its host is out of reach'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '10 min';
select fleet.reap(t.node('w2'));
select fleet.node_stop(t.node('w1'));
select t.is(t.adopt('w2', 'w1', 0), 'a/2', 'taken over');
select t.is(t.status('a'), 'agent_lost', 'it stays lost until its host is seen');
rollback;

\echo 'adopted before its start is proven'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a'), t.submit('b');
select t.claim('w1', 2);
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'agent', 'prompt') \g /dev/null
select fleet.node_stop(t.node('w1'));
select t.is(t.adopt('w2', 'w1', 0), 'a/2 b/2', 'both are taken over');
select t.throws($$select fleet.release(t.node('w2'), t.attempt('a'), 2, 'draining')$$, 'AF001', 'whose start another owner announced is not given back');
select t.is(fleet.release(t.node('w2'), t.attempt('b'), 2, 'draining'), 'created', '... what nobody announced is');
rollback;

\echo 'lost'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
update fleet.host set machine = md5('another');
select t.throws($$select t.finish('w1', 'a', 'lost', 'run_lost', null)$$, 'AF006', 'is nothing that another machine can say');
update fleet.host set machine = md5('h');
select t.is(t.finish('w1', 'a', 'lost', 'run_lost', null), 'created', '... but the one on which it ran');
rollback;

\echo 'who may say something of a run'
create function pg_temp.says(p_call text, p_node text, p_epoch int, p_attempt bigint default null) returns text language plpgsql as $$
begin
  execute format('select fleet.' || p_call, format('%L, %s, %s', t.node(p_node), coalesce(p_attempt, t.attempt('a')), p_epoch));
  return 'said';
exception when others then
  return sqlstate;
end $$;
create function pg_temp.all_say(p_node text, p_epoch int, p_attempt bigint default null) returns text language sql as $$
  select string_agg(distinct pg_temp.says(c, p_node, p_epoch, p_attempt), ' ') from unnest(array['starting(%s, ''r'', ''c'', ''p'')', 'started(%s)', 'phase(%s, ''unreachable'', ''x'')',
    'finish(%s, ''failed'', ''killed'', 1, null)', 'finish_run(%s, ''failed'', ''killed'', 1, null, null, null, null)', 'release(%s, ''cancelled'')', 'void_confirmed(%s, ''voided'')',
    'prepared(%s, ''{}'')']) c $$;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.is(pg_temp.all_say('w2', 1), 'AF002', 'nobody but its owner');
select t.is(pg_temp.all_say('w1', 2), 'AF002', 'in its epoch');
select t.is(pg_temp.all_say('w1', 0), 'AF002', '... and no earlier one');
select t.is(pg_temp.all_say('w1', 1, -7), 'AF003', 'of a run that there is');
update fleet.node set dead_at = now() where name = 'w1';
select t.is(pg_temp.all_say('w1', 1), 'AF002', 'while it lives');
update fleet.node set dead_at = null, stopped_at = now() where name = 'w1';
select t.is(pg_temp.all_say('w1', 1), 'AF002', '... and has not stopped');
select t.is((select row(phase, outcome)::text from fleet.attempt), '(claimed,)', 'all else changes nothing');
rollback;

\echo 'what is not to run'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 4));
select t.submit(x) from unnest('{a,b,c,d}'::text[]) x;
select t.claim('w1', 4);
create function pg_temp.unwanted() returns text language sql as $$
  select string_agg(format('%s %s %s', j.task_id, j.cancel, (select s.verdict from fleet.starting(t.node('w1'), j.attempt, 1, 'r', 'c', 'p') s)), ', ' order by j.task_id)
  from fleet.jobs(t.node('w1'), array(select attempt from fleet.attempt order by attempt desc)) j $$;
select fleet.cancel('b', 'stop');
select fleet.retry('c', true, 'gone');
update fleet.attempt set drained_at = now() where attempt = t.attempt('d');
select t.is(pg_temp.unwanted(), 'a f go, b t cancel, c t cancel, d t cancel', 'what is cancelled, given up, or on a host that is emptied');
select t.is((select string_agg(task_id || ' ' || phase, ', ' order by task_id) from fleet.attempt join fleet.task using (task)),
  'a starting, b claimed, c claimed, d claimed', 'of that no start is announced');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'x');
update fleet.attempt set unseen_ms = 99999999 where attempt = t.attempt('a');
select fleet.reap(t.node('w1'));
select t.is(t.status('a') || ' ' || left(pg_temp.unwanted(), 10), 'failed a t cancel', 'and what its task did not wait for');
rollback;

\echo 'how far a run is'
create function pg_temp.phase(p_phase text default null) returns text language plpgsql as $$
begin
  perform fleet.phase(t.node('w1'), t.attempt('a'), 1, p_phase, null) where p_phase is not null;
  return (select phase from fleet.attempt where attempt = t.attempt('a'));
end $$;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.is(pg_temp.phase('unreachable'), 'claimed', 'before its start is announced it is nowhere to be seen');
select t.is(pg_temp.phase('running'), 'claimed', '... nor seen running');
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'r', 'c', 'p') \g /dev/null
select t.is(pg_temp.phase('running'), 'starting', 'nor before that is proven');
select t.is(pg_temp.phase('stopping'), 'starting', '... nor to be stopped');
select fleet.started(t.node('w1'), t.attempt('a'), 1);
select t.is(pg_temp.phase('running'), 'running', 'it runs');
select t.is(pg_temp.phase('stopping'), 'stopping', 'a stop was sent');
select t.is(pg_temp.phase('running'), 'stopping', 'which stays so when it is seen running');
select fleet.started(t.node('w1'), t.attempt('a'), 1);
select t.is(pg_temp.phase(), 'stopping', '... or its start is told again');
select t.finish('w1', 'a');
select fleet.started(t.node('w1'), t.attempt('a'), 1, 9);
select t.is(pg_temp.phase('running'), 'ended', 'what has ended runs no more');
select t.is(t.status('a'), 'completed', '... whatever is told of it');
select t.sound();
rollback;

\echo 'what is told of runs'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 4));
select t.submit(x, p_more => jsonb_build_object('priority', case x when 'c' then 1 else 0 end)) from unnest('{a,b,c,d}'::text[]) x;
select t.claim('w1', 4);
select t.start('w1', 'b');
select t.is((select string_agg(j.task_id || ' ' || j.proven, ', ' order by j.task_id)
  from fleet.jobs(t.node('w1'), array[t.attempt('d'), t.attempt('b'), t.attempt('c')]) j), 'b true, c false, d false', 'is of those that are named, and whether their start is proven');
rollback;
