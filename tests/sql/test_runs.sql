-- What a worker says of many runs at once: an answer for each, and none touches its neighbour.
select t.worker('w1', t.host('h1', '{code}', 9));
select t.worker('w2', t.host('h1', '{code}', 9));
select t.submit('r' || i, '{agent:code}') from generate_series(1, 4) i;
select t.is(t.claim('w1', 4), 'r1 r2 r3 r4', 'four are claimed');

create function t.all(out attempts bigint[], out epochs int[]) language sql as $$
  select array_agg(attempt order by attempt), array_agg(epoch order by attempt) from fleet.attempt $$;

select t.is(t.rows($$ select ord, fault, verdict, run, command, prompt from t.all() a, fleet.starting_runs(t.node('w1'), a.attempts || 77::bigint,
  array(select e + (o = 3)::int from unnest(a.epochs) with ordinality x (e, o)) || 1, '{a,b,c,d,e}', '{k,k,k,k,k}', '{p,p,p,p,p}') $$),
  '(1,,go,a,k,p) (2,,go,b,k,p) (3,AF002,,,,) (4,,go,d,k,p) (5,AF003,,,,)', 'an answer each');
select t.is(t.rows($$ select ord, fault, verdict, run from t.all() a, fleet.starting_runs(t.node('w1'), a.attempts[3:3] || a.attempts[3:3], '{1,1}',
  '{c,c}', '{k,k}', '{p,p}') $$), '(1,,go,c) (2,,go,c)', 'said twice at once: the same answer');
select t.is(t.rows($$ select ord, fault, verdict, run from t.all() a, fleet.starting_runs(t.node('w1'), a.attempts, a.epochs,
  '{x,x,c,x}', '{k,k,k,k}', '{p,p,p,p}') $$), '(1,,go,a) (2,,go,b) (3,,go,c) (4,,go,d)', 'repeated: the first stays');
select t.is(t.rows($$ select ord, fault from t.all() a, fleet.started_runs(t.node('w1'), a.attempts || 77::bigint, a.epochs || 1, '{1,2,3,4,5}',
  '{s,s,s,s,s}', '{b,b,b,b,b}', '{m,m,m,m,m}') $$), '(1,) (2,) (3,) (4,) (5,AF003)', 'started, each');
select t.is(t.rows($$ select distinct status from fleet.task $$), '(running)', 'all run');
select t.is(t.rows($$ select ord, fault, status from t.all() a, fleet.finish_runs(t.node('w1'), a.attempts, a.epochs,
  '{succeeded,failed,no_such,succeeded}', '{null,agent_failed,null,needs_input}', '{0,1,0,0}', '{null,null,null,null}',
  array['{"summary": "done"}', null, null, '{"question": "which?"}']::jsonb[], '{null,null,null,null}', '{p,p,p,p}') $$),
  '(1,,completed) (2,,created) (3,AF007,) (4,,review_pending)', 'each ends in its own way');
select t.is(t.rows($$ select ord, fault, status from t.all() a, fleet.finish_runs(t.node('w1'), a.attempts, a.epochs,
  '{succeeded,succeeded,succeeded,succeeded}', '{null,null,null,needs_input}', '{0,0,0,0}', '{null,null,null,null}',
  array[null, null, null, null]::jsonb[], '{null,null,null,null}', '{p,p,p,p}') $$),
  '(1,,completed) (2,AF004,) (3,,completed) (4,,review_pending)', 'repeated: the same answer, or another end');
select t.is(t.rows($$ select ord, fault from fleet.finish_runs(t.node('w2'), (select array_agg(attempt order by attempt) from fleet.attempt),
  '{1,1,1,1}', '{succeeded,succeeded,succeeded,succeeded}', '{null,null,null,null}', '{0,0,0,0}', '{null,null,null,null}',
  array[null, null, null, null]::jsonb[], '{null,null,null,null}', '{p,p,p,p}') $$), '(1,AF002) (2,AF002) (3,AF002) (4,AF002)', 'not for another node');
select t.sound();

\echo 'an end that leaves more to do than its own'
create function pg_temp.ends(p_task text, p_outcome text default 'succeeded', p_reason text default null, p_report jsonb default null)
returns text language sql as $$
  select f.status from fleet.attempt a, fleet.finish_runs(a.node, array[a.attempt], array[a.epoch], array[p_outcome], array[p_reason], '{0}', '{null}',
    array[p_report], '{null}', '{p}') f where a.attempt = t.attempt(p_task) $$;
create function pg_temp.slots() returns text language sql as $$
  select t.rows($q$select s.ordinal, s.retiring, s.attempt is not null from fleet.slot s join fleet.executor e using (executor)
    where e.host_id = 'h' order by 1$q$) $$;
create function pg_temp.scene() returns void language plpgsql as $$
begin
  perform t.reset();
  perform t.worker('w1', t.host('h', '{code}', 3));
  perform t.submit(x, '{agent:code}', '{"repo": "acme/rocket"}') from unnest('{a,b,c}'::text[]) x;
  perform t.claim('w1', 3);
  perform t.start('w1', x) from unnest('{a,b,c}'::text[]) x;
end $$;

begin;
select pg_temp.scene();
select t.configure('w1', t.host('h', '{code}', 2));
select t.is(pg_temp.slots(), '(0,f,t) (1,f,t) (2,t,t)', 'one is too many');
savepoint s;
select t.is(pg_temp.ends('c'), 'completed', 'the run in it ends well');
select t.is(pg_temp.slots(), '(0,f,t) (1,f,t)', 'and takes its slot along');
select t.sound();
rollback to s;
select t.is(pg_temp.ends('a'), 'completed', 'another ends well');
select t.is(pg_temp.slots(), '(1,f,t) (2,f,t)', 'and goes instead of it');
select t.sound();
rollback;

-- Several at once, told of together.
create function pg_temp.end_all(variadic p_tasks text[]) returns text language sql as $$
  select string_agg(f.status, ' ' order by f.ord) from fleet.finish_runs(t.node('w1'), array(select t.attempt(x) from unnest(p_tasks) x),
    array_fill(1, array[cardinality(p_tasks)]), array_fill('succeeded'::text, array[cardinality(p_tasks)]),
    array_fill(null::text, array[cardinality(p_tasks)]), array_fill(0, array[cardinality(p_tasks)]), array_fill(null::int, array[cardinality(p_tasks)]),
    array_fill(null::jsonb, array[cardinality(p_tasks)]), array_fill(null::bigint, array[cardinality(p_tasks)]),
    array_fill('p'::text, array[cardinality(p_tasks)])) f $$;
begin;
select pg_temp.scene();
savepoint s;
select t.configure('w1', t.host('h', '{code}', 2));
select t.is(pg_temp.end_all('a', 'b'), 'completed completed', 'two end well where one is too many');
select t.is(pg_temp.slots(), '(1,f,f) (2,f,t)', 'one goes instead of it, the other is free');
select t.sound();
rollback to s;
select t.is(pg_temp.ends('a'), 'completed', 'one ends well');
select t.configure('w1', t.host('h', '{code}', 2));
select t.is(pg_temp.slots(), '(1,f,t) (2,f,t)', 'its slot goes with the limit');
select t.is(pg_temp.end_all('b', 'c'), 'completed completed', 'the other two end well');
select t.is(pg_temp.slots(), '(0,f,f) (1,f,f)', 'and their slots have the first numbers');
select t.sound();
rollback;

begin;
select pg_temp.scene();
select fleet.prepared(a.node, a.attempt, a.epoch, '{"state": "ready"}') from fleet.attempt a where a.attempt = t.attempt('a');
select t.is(pg_temp.ends('a', 'failed', 'exit_nonzero'), 'created', 'a run that has a workspace fails');
select t.is((select count(*) from fleet.pin), 1::bigint, 'and is tried again where that is');
select t.due();
select t.is(t.claim('w1', 1), 'a', 'there');
select t.start('w1', 'a');
select t.is(pg_temp.ends('a'), 'completed', 'it ends well');
select t.none('select from fleet.pin', 'and is bound to nothing any more');
select t.sound();
rollback;

begin;
select pg_temp.scene();
select t.is(pg_temp.ends('a', 'succeeded', 'needs_input'), 'review_pending', 'what ends well and asks waits for a person');
update fleet.task set max_retries = 0;
select t.is(pg_temp.ends('b', 'succeeded', null, '{"work": {"state": "kept", "reason": "push_refused"}}'), 'failed', 'what was not pushed is not done');
select fleet.want_follow(t, 'continue', 'continued', 'the tests too', 'forgejo:ann') from fleet.task t where t.task_id = 'c';
select t.is(pg_temp.ends('c'), 'created', 'of what more was said meanwhile there is another run');
select t.sound();
rollback;
