-- In which order tasks are given to which slots: urgent and old ones first, into the least loaded executor, where they ran before.
set jit = off;

-- A claim as "task@host.slot", in the order in which it is answered.
create function pg_temp.gives(p_want int, p_node text default 'w1') returns text language plpgsql as $$
declare v_got bigint[] := array(select j.attempt from fleet.claim(t.node(p_node), p_want) with ordinality j order by ordinality);
begin
  return (select coalesce(string_agg(format('%s@%s.%s', k.task_id, e.host_id, a.ordinal), ' ' order by o), '')
    from unnest(v_got) with ordinality x (id, o) join fleet.attempt a on a.attempt = x.id join fleet.task k using (task) join fleet.executor e on e.executor = a.executor);
end $$;
create function pg_temp.submits(p_prefix text, p_count int, p_labels text[], p_priority int default 0) returns void language sql as $$
  select t.submit(p_prefix || i, p_labels, jsonb_build_object('priority', p_priority)) from generate_series(1, p_count) i $$;

\echo 'the least loaded first'
begin;
select t.worker('w1', t.host('big', '{a}', 4), t.host('small', '{a}', 2));
select pg_temp.submits('t', 9, '{agent:a}');
select t.is(pg_temp.gives(1), 't1@big.0', 'a quarter is less than a half');
select t.is(pg_temp.gives(1), 't2@big.1', 'of two that are alike the first');
select t.is(pg_temp.gives(1), 't3@small.0', 'a half is less than three quarters');
select t.is(pg_temp.gives(9), 't4@big.2 t5@big.3 t6@small.1', 'all that is left');
rollback;

begin;
select t.worker('w1', t.host('big', '{a}', 4), t.host('small', '{a}', 2));
select pg_temp.submits('t', 9, '{agent:a}');
select t.is(pg_temp.gives(4), 't1@big.0 t2@big.1 t3@small.0 t4@big.2', 'many at once are spread as when they come one by one');
rollback;

begin;
select t.worker('w1', t.host('h1', '{a,b,c}', 3), t.host('h2', '{a}', 3), t.host('h3', '{a,b}', 3));
select pg_temp.submits('t', 9, '{agent:a}');
select t.is(pg_temp.gives(7), 't1@h2.0 t2@h3.0 t3@h1.0 t4@h2.1 t5@h3.1 t6@h1.1 t7@h2.2', 'who knows less first, round by round');
rollback;

begin;
select t.worker('w1', t.host('h1', '{a}', 3), t.host('h2', '{a}', 2));
select pg_temp.submits('t', 9, '{agent:a}');
select t.claim('w1', 4);
select t.finish('w1', x) from unnest('{t1,t2}'::text[]) x;
select t.configure('w1', t.host('h1', '{a}', 1), t.host('h2', '{a}', 2));
select t.is((select string_agg(e.host_id || '.' || s.ordinal || ' ' || (s.attempt is not null) || ' ' || s.retiring, ', ' order by e.host_id, s.ordinal)
  from fleet.slot s join fleet.executor e using (executor)), 'h1.1 true false, h1.2 true true, h2.0 false false, h2.1 false false', 'two run where one may');
select t.is(pg_temp.gives(9), 't5@h2.0 t6@h2.1', 'and it gets nothing more');
rollback;

begin;
select t.worker('w1', t.host('h1', '{a}', 3), t.host('h2', '{a}', 3));
select pg_temp.submits('t', 9, '{agent:a}');
select t.claim('w1', 6);
select t.configure('w1', t.host('h1', '{a}', 2), t.host('h2', '{a}', 3));
update fleet.slot set attempt = null where retiring; -- as between its end and its going
select t.is(pg_temp.gives(9), '', 'a slot that retires gets nothing, free or not');
rollback;

\echo 'its own lane only'
begin;
select t.worker('w1', t.host('h1', '{a}', 2), t.host('h2', '{b}', 2), t.host('h3', '{a,b}', 2));
select pg_temp.submits('a', 2, '{agent:a}', 1);
select pg_temp.submits('b', 3, '{agent:b}');
select pg_temp.submits('ab', 2, '{agent:a,agent:b}', -1);
select t.is(pg_temp.gives(9), 'a1@h1.0 a2@h3.0 b1@h2.0 b2@h2.1 b3@h3.1', 'each where it can run');
select t.finish('w1', x) from unnest('{a1,b1,b3}'::text[]) x;
select t.is(pg_temp.gives(9), 'ab1@h3.1', 'what needs both, where both are');
rollback;

\echo 'priorities, lane by lane'
begin;
select t.worker('w1', t.host('h', '{a,b,c}', 20));
select pg_temp.submits('a', 2, '{agent:a}', 3);
select pg_temp.submits('b', 2, '{agent:b}', 2);
select pg_temp.submits('a-late', 2, '{agent:a}', 1);
select pg_temp.submits('c', 2, '{agent:c}', 2);
select pg_temp.submits('b-late', 1, '{agent:b}', 0);
select t.is(t.claim('w1', 1), 'a1', 'the most urgent');
select t.is(t.claim('w1', 2), 'a2 b1', 'then the next lane');
select t.is(t.claim('w1', 3), 'b2 c1 c2', 'of one priority before any of the next');
select t.is(t.claim('w1', 2), 'a-late1 a-late2', 'back in the first lane');
select t.is(t.claim('w1', 9), 'b-late1', 'to the last');
rollback;

begin;
select t.worker('w1', t.host('h', '{a,b}', 20));
select t.submit(x, array['agent:' || left(x, 1)]) from unnest('{a1,b1,a2,b2}'::text[]) x;
select t.is(t.claim('w1', 1) || ' ' || t.claim('w1', 1) || ' ' || t.claim('w1', 1) || ' ' || t.claim('w1', 1), 'a1 b1 a2 b2', 'of one priority the oldest, whatever its lane');
rollback;

begin;
select t.worker('w1', t.host('h', '{a}', 20));
select pg_temp.submits('t', 3, '{agent:a}');
select t.submit('u', '{agent:a}', '{"priority": 5}');
select t.is(pg_temp.gives(9), 'u@h.0 t1@h.1 t2@h.2 t3@h.3', 'the urgent one takes the first slot');
rollback;

begin;
select t.worker('w1', t.host('h', '{a}', 20));
select pg_temp.submits('t', 3, '{agent:a}');
select t.submit('u', '{agent:a}', '{"priority": 5}');
select t.is(pg_temp.gives(1), 'u@h.0', 'and is the first of its lane, though it came last');
rollback;

\echo 'what may not be claimed holds nobody up'
begin;
select t.worker('w1', t.host('h', '{a,b}', 20));
select pg_temp.submits('a', 3, '{agent:a}', 1);
select pg_temp.submits('b', 2, '{agent:b}');
update fleet.task set attempts = max_attempts_total where task_id in ('a1', 'a3');
select t.is(t.claim('w1', 9), 'a2 b1 b2', 'who has had all attempts is passed over, and the next lane is looked at');
update fleet.task set attempts = max_attempts_total - 1 where task_id = 'a1';
select t.is(t.claim('w1', 9), 'a1', 'who has one left, has it');
rollback;

begin;
select t.worker('w1', t.host('h', '{a,b}', 20));
select pg_temp.submits('a', 1, '{agent:a}', 2), pg_temp.submits('b', 1, '{agent:b}', 1), pg_temp.submits('late', 1, '{agent:a}');
update fleet.task set attempts = max_attempts_total where task_id = 'a1';
select t.is(t.claim('w1', 1), 'b1', 'what is passed over makes no room for what is less urgent than another lane''s next');
rollback;

begin;
select t.worker('w1', t.host('h', '{a,b}', 20));
select pg_temp.submits('a', 1, '{agent:a}', 2), pg_temp.submits('b', 1, '{agent:b}', 1), pg_temp.submits('late', 2, '{agent:a}');
select t.is(t.claim('w1', 9), 'a1 b1 late1 late2', 'a lane is come back to');
rollback;

begin;
select t.worker('w1', t.host('h', '{a}', 3));
select pg_temp.submits('t', 3, '{agent:a}');
select t.claim('w1', 1), t.finish('w1', 't1');
insert into fleet.queue (lane, prio, task) select lane, -priority, task from fleet.task where task_id = 't1';
select t.is(t.claim('w1', 9), 't2 t3', 'what does not wait is not given, whatever the queue says');
rollback;

\echo 'who is not asked for'
begin;
select t.worker('w1', t.host('h1', '{a}', 2), t.host('h2', '{a}', 2));
select pg_temp.submits('t', 3, '{agent:a}');
update fleet.executor set enabled = false where host_id = 'h1';
select t.is(pg_temp.gives(1), 't1@h2.0', 'an executor that is disabled gets nothing');
update fleet.executor set enabled = true;
update fleet.executor set out_since = now(), out_reason = 'provider_down', out_until = now() + interval '1 min' where host_id = 'h1';
select t.is(pg_temp.gives(9), 't2@h2.1', 'nor one that rests');
update fleet.executor set out_until = now() where host_id = 'h1';
select t.is(pg_temp.gives(9), 't3@h1.0', 'until now');
select t.is(t.claim('w1', null), '', 'who does not say how many gets none');
rollback;

begin;
select t.worker('w1', t.host('h1', '{a}', 600), t.host('h2', '{a}', 600));
select t.submits(array(select t.item('t' || i, '{agent:a}') from generate_series(1, 1100) i)) \g /dev/null
select t.is((select count(*) from fleet.claim(t.node('w1'), 100000)), 1000::bigint, 'a thousand is the most');
rollback;

\echo 'half-open accounts'
begin;
select t.worker('w1', t.host('h1', '{a,b}', 2) || '{"account": "k1"}', t.host('h2', '{a,b}', 2) || '{"account": "k1"}', t.host('h3', '{a}', 2) || '{"account": "k2"}',
  t.host('h4', '{b}', 1));
update fleet.account set state = 'half_open', parks = 1, parked_at = now(), parked_until = now(), reason = 'provider_quota', reported_by = 'ann' where account in ('k1', 'k2');
select pg_temp.submits('a', 5, '{agent:a}');
select pg_temp.submits('b', 3, '{agent:b}', -1);
select t.is(pg_temp.gives(1), 'b1@h4.0', 'who is open comes first');
select t.is(pg_temp.gives(1), 'a1@h1.0', 'then one for the first that is half open');
select t.is((select t.rows('select account, probe = (select max(attempt) from fleet.attempt) from fleet.account order by 1')), '(h4/codex-cli,) (k1,t) (k2,)', 'which is its probe');
select t.is(pg_temp.gives(9), 'a2@h3.0', 'one for the other, and none for the first');
select t.is(pg_temp.gives(9), '', 'no more');
select t.none('select from fleet.account where state = ''half_open'' and probe is null', 'both have their probe');
select t.sound();
rollback;

begin;
select t.worker('w1', t.host('h1', '{a}', 2) || '{"account": "k1"}', t.host('h2', '{b}', 2) || '{"account": "k2"}');
update fleet.account set state = 'half_open', parks = 1, parked_at = now(), parked_until = now(), reason = 'provider_quota', reported_by = 'ann';
select pg_temp.submits('b', 1, '{agent:b}');
select t.is(pg_temp.gives(9), 'b1@h2.0', 'a probe is of who has something to do');
select t.is((select t.rows('select account, probe is null from fleet.account order by 1')), '(k1,t) (k2,f)', '... and the other waits for its own');
rollback;

\echo 'where its workspace is'
begin;
select t.worker('w1', t.host('h', '{a}', 3));
select pg_temp.submits('t', 3, '{agent:a}');
select pg_temp.gives(3);
select t.start('w1', x) from unnest('{t1,t2,t3}'::text[]) x;
select t.finish('w1', 't1');
select t.finish('w1', 't2');
select fleet.finish_run(t.node('w1'), t.attempt('t3'), 1, 'succeeded', 'needs_input', 0, null, '{"question": "which?"}', null, null);
select fleet.answer('t3', 'left');
select t.is(pg_temp.gives(1), 't3@h.2', 'in the slot of its own account, though others are free before it');
select t.submit('n', '{agent:a}');
select t.is(pg_temp.gives(1), 'n@h.0', 'others have the first');
rollback;

begin;
select t.worker('w1', t.host('h', '{a}', 3));
select pg_temp.submits('t', 3, '{agent:a}');
select pg_temp.gives(3);
select t.start('w1', x) from unnest('{t1,t2,t3}'::text[]) x;
select fleet.finish_run(t.node('w1'), t.attempt('t3'), 1, 'succeeded', 'needs_input', 0, null, '{"question": "which?"}', null, null);
select t.submit('n', '{agent:a}');
select t.is(pg_temp.gives(1), 'n@h.2', 'its slot is taken by another');
select fleet.answer('t3', 'left');
select t.finish('w1', 't1');
select t.is(pg_temp.gives(1), 't3@h.0', 'then it runs in another slot there');
rollback;

\echo 'HTTP agents'
begin;
select t.agent('p', '{a,b}', 3);
select t.agent('q', '{b}', 1);
select t.submit(x, array['agent:' || left(x, 1)], jsonb_build_object('execution_mode', 'http_pull', 'priority', case when x like 'b%' then 2 else 1 end)) from unnest('{a1,a2,b1}'::text[]) x;
select t.is(t.pull('p', 'q', 'p', 'p'), 'p:b1 p:a1 p:a2', 'the longest waiting gets the most urgent, and one task a call');
select t.is((select string_agg(e.agent_id || s.ordinal || ' ' || (s.attempt is not null), ', ' order by e.agent_id, s.ordinal) from fleet.slot s join fleet.executor e using (executor)), 'p0 true, p1 true, p2 true, q0 false', 'in a slot each');
rollback;
