-- Ends that are told together with the wish for more: their slots are filled again in the same call.
set jit = off;

-- The ends of these tasks' runs, as "task status" or a fault; then the tasks that came for their slots, as "task@host.slot".
create function pg_temp.turn(p_tasks text, p_want int, p_outcome text default 'succeeded', p_node text default 'w1') returns text language plpgsql as $$
declare
  n text[] := string_to_array(p_tasks, ' ');
  v_ends text[];
  v_new bigint[];
begin
  select array_agg(n[x.ord] || ' ' || coalesce(x.fault, x.status)) filter (where x.ord is not null), array_agg((x.job).attempt) filter (where x.ord is null)
  into v_ends, v_new
  from fleet.turn(t.node(p_node), array(select t.attempt(x) from unnest(n) x), array(select t.epoch(x) from unnest(n) x),
    array(select p_outcome from unnest(n)), array(select null::text from unnest(n)), array(select 0 from unnest(n)), array(select null::int from unnest(n)),
    array(select '{}'::jsonb from unnest(n)), array(select null::bigint from unnest(n)), array(select 'p' from unnest(n)), p_want) x;
  return array_to_string(v_ends || array(
    select format('%s@%s.%s', k.task_id, e.host_id, s.ordinal)
    from unnest(v_new) with ordinality i (attempt, place) join fleet.attempt a using (attempt) join fleet.task k using (task)
    join fleet.executor e on e.executor = a.executor join fleet.slot s on s.attempt = a.attempt order by i.place), ', ');
end $$;
create function pg_temp.slots() returns text language sql as $$
  select string_agg(format('%s.%s %s', e.host_id, s.ordinal, coalesce((select k.task_id from fleet.attempt a join fleet.task k using (task) where a.attempt = s.attempt), '-')),
                    ', ' order by e.host_id, s.ordinal) from fleet.slot s join fleet.executor e using (executor) $$;
create function pg_temp.submits(p_ids text, p_labels text[], p_priority int default 0) returns void language sql as $$
  select t.submit(x, p_labels, jsonb_build_object('priority', p_priority)) from unnest(string_to_array(p_ids, ' ')) x $$;

\echo 'one'
begin;
select t.worker('w1', t.host('h', '{a}', 1));
select pg_temp.submits('t1 t2 t3', '{agent:a}');
select t.claim('w1', 1);
select t.is(pg_temp.turn('t1', 1), 't1 completed, t2@h.0', 'its slot has the next task');
select t.is((select string_agg(concat_ws(' ', k.task_id, e.event_type, e.from_status, e.to_status, e.attempt, e.actor), ', ' order by e.event_id)
  from fleet.event e join fleet.task k using (task) where e.event_type not in ('created', 'queued') and k.task_id in ('t1', 't2')),
  't1 assigned created assigned 1 node:w1, t2 assigned created assigned 1 node:w1, t1 attempt_ended 1 node:w1, t1 completed assigned completed 1 node:w1',
  'what history says');
select t.is((select e.payload::text from fleet.event e where e.event_type = 'attempt_ended'),
  '{"epoch": 1, "proof": "p", "outcome": "succeeded", "exit_status": 0}', 'and of the run');
select t.is(pg_temp.turn('t1', 1), 't1 completed', 'told once more: the answer, and nothing more');
select t.is(pg_temp.slots(), 'h.0 t2', 'whose slot it is by now');
select t.is(pg_temp.turn('t2', 0), 't2 completed', 'without the wish');
select t.is(pg_temp.slots(), 'h.0 -', 'it is free');
select t.is(t.claim('w1', 5), 't3', 'for a claim');
select t.is(pg_temp.turn('t3', 3), 't3 completed', 'and when nothing waits');
select t.is(pg_temp.slots(), 'h.0 -', 'it is free as well');
select t.sound();
rollback;
begin;
select t.worker('w1', t.host('h', '{a}', 1));
select pg_temp.submits('t1 t2 t3', '{agent:a}');
select t.claim('w1', 1);
select t.is(pg_temp.turn('t1 t1', 2), 't1 completed, t1 completed, t2@h.0', 'told twice at once: one slot, one task');
select t.sound();
rollback;

\echo 'which tasks'
begin;
select t.worker('w1', t.host('h1', '{a}', 2), t.host('h2', '{b}', 1));
select pg_temp.submits('a1 a2', '{agent:a}', 9);
select pg_temp.submits('b1', '{agent:b}', 9);
select t.claim('w1', 9);
select pg_temp.submits('a3 a4', '{agent:a}');
select pg_temp.submits('b2', '{agent:b}', 5);
select pg_temp.submits('a5', '{agent:a}', 2);
savepoint s;
select t.is(pg_temp.turn('a1 a2 b1', 9), 'a1 completed, a2 completed, b1 completed, b2@h2.0, a5@h1.0, a3@h1.1', 'each slot by what it can do: urgent ones, then old ones');
select t.is(pg_temp.slots(), 'h1.0 a5, h1.1 a3, h2.0 b2', 'where they run');
select t.sound();
rollback to s;
select t.is(pg_temp.turn('a1 a2 b1', 1), 'a1 completed, a2 completed, b1 completed, b2@h2.0', 'as many as are wanted, the most urgent');
select t.is(pg_temp.slots(), 'h1.0 -, h1.1 -, h2.0 b2', 'the others are free');
select t.sound();
rollback to s;
select t.is(pg_temp.turn('a1', 9), 'a1 completed, a5@h1.0', 'one slot, one task; one that it cannot serve is left, however urgent');
select t.is(pg_temp.turn('b1', 9), 'b1 completed, b2@h2.0', 'that is for another');
select t.sound();
rollback to s;
select pg_temp.submits('a6 a7', '{agent:a}', 8);
select t.is(pg_temp.turn('a1 b1', 9), 'a1 completed, b1 completed, a6@h1.0, b2@h2.0', 'who is full leaves the others to theirs');
rollback to s;
select fleet.cancel(x, 'not this one') from unnest('{b2,a3,a4,a5}'::text[]) x;
select pg_temp.submits('b3', '{agent:b}', 8);
select t.is(pg_temp.turn('a1 a2', 9), 'a1 completed, a2 completed', 'nothing that they can serve');
rollback;

\echo 'where nothing may be placed'
create function pg_temp.scene() returns void language sql as $$
  select t.worker('w1', t.host('h', '{a}', 2));
  select pg_temp.submits('t1 t2 t3 t4', '{agent:a}');
  select t.claim('w1', 2);
$$;
begin;
select pg_temp.scene();
savepoint s;
select fleet.cordon('h', 'a new disk');
select t.is(pg_temp.turn('t1 t2', 2), 't1 completed, t2 completed', 'a cordoned host');
select t.is(pg_temp.slots(), 'h.0 -, h.1 -', 'its slots are free');
rollback to s;
update fleet.node_host set reachable = false;
select t.is(pg_temp.turn('t1', 1), 't1 completed', 'a host that is not reached');
rollback to s;
update fleet.node_host set reported_at = now() - interval '1 hour';
select t.is(pg_temp.turn('t1', 1), 't1 completed', 'one that was reached long ago');
rollback to s;
update fleet.executor set out_since = now(), out_until = now() + interval '1 hour', out_reason = 'start_failed';
select t.is(pg_temp.turn('t1', 1), 't1 completed', 'an agent out of service');
rollback to s;
update fleet.executor set out_since = now() - interval '1 hour', out_until = now(), out_reason = 'start_failed';
select t.is(pg_temp.turn('t1', 1), 't1 completed, t3@h.0', 'one that was');
rollback to s;
select fleet.park('h/codex-cli', 'the bill', now() + interval '1 day');
select t.is(pg_temp.turn('t1', 1), 't1 completed', 'an account that is parked');
rollback to s;
update fleet.account set state = 'half_open', reason = 'provider_quota', detail = '', parked_at = now(), parked_until = now(), reported_by = 'h/codex-cli';
select t.is(pg_temp.turn('t1', 1), 't1 completed', 'an account that opens again: one run goes first, and a claim gives it');
rollback to s;
select t.configure('w1', t.host('h', '{a}', 1));
select t.is(pg_temp.turn('t2', 1), 't2 completed', 'a slot that is one too many');
select t.is(pg_temp.slots(), 'h.0 t1', 'goes');
select t.sound();
rollback to s;
select t.is(pg_temp.turn('t1 t2', 2, 'failed'), 't1 created, t2 created', 'ends by all the rules: a claim fills their slots');
select t.is(pg_temp.slots(), 'h.0 -, h.1 -', 'which are free');
rollback to s;
select t.worker('w2', t.host('h', '{a}', 2));
select t.is(pg_temp.turn('t1 t2', 2, 'succeeded', 'w2'), 't1 AF002, t2 AF002', 'told by somebody else');
select t.is(pg_temp.slots(), 'h.0 t1, h.1 t2', 'nothing is changed');
rollback to s;
select fleet.node_stop(t.node('w1'));
select t.throws($$ select pg_temp.turn('t1', 1) $$, 'AF002', 'a node that has stopped');
rollback;

\echo 'a slot whose row was written anew since it was filled'
begin;
select pg_temp.scene();
update fleet.slot set ordinal = ordinal;
select t.is(pg_temp.turn('t1 t2', 2), 't1 completed, t2 completed', 'ends by all the rules');
select t.is(pg_temp.slots(), 'h.0 -, h.1 -', 'and is free');
select t.is(t.claim('w1', 2), 't3 t4', 'for a claim');
select t.sound();
rollback;

\echo 'while vacuum is held back'
create function pg_temp.marks(p_until text, p_renew text) returns void language sql as $$
  select set_config('fleet.marks', (select row(p_until, p_renew, m.lanes, m.prios, m.tasks)::fleet.marks::text
                                    from (select (current_setting('fleet.marks')::fleet.marks).*) m), false) $$;
create function pg_temp.again(p_task text) returns void language sql as $$
  select t.finish('w1', p_task, 'failed', 'agent_failed');
  select t.due();
$$;
select t.worker('w1', t.host('h', '{a,b}', 1));
insert into fleet.queue (lane, prio, task) select 0, 0, i from generate_series(1, 20001) i;
delete from fleet.queue where lane = 0;
select pg_stat_force_next_flush();
select pg_temp.submits('a1 a2 a3 a4', '{agent:a}');
select pg_temp.submits('b1 b2', '{agent:b}');
select t.is(pg_stat_get_dead_tuples('fleet.queue'::regclass) > 20000, true, 'there are many dead rows');
select t.is(t.claim('w1', 1), 'a1', 'the first');
select t.is(coalesce(current_setting('fleet.marks', true), ''), '', 'a claim keeps nothing in mind');
select t.is(pg_temp.turn('a1', 1), 'a1 completed, a2@h.0', 'a turn looks from the front');
select t.is((select m.until > now() and m.renew > now() and cardinality(m.lanes) = 2 from (select (current_setting('fleet.marks')::fleet.marks).*) m), true,
  'and keeps in mind what it saw');
select pg_temp.marks('infinity', '-infinity');
select t.is(pg_temp.turn('a2', 1), 'a2 completed, a3@h.0', 'the next one goes on from there');
select t.is((select m.tasks[array_position(m.lanes, k.lane)] = k.task from (select (current_setting('fleet.marks')::fleet.marks).*) m, fleet.task k
  where k.task_id = 'a3'), true, 'and keeps in mind what it saw itself, when it is time for that');
select pg_temp.marks('infinity', 'infinity');
select pg_temp.again('a3');
select t.is(t.claim('w1', 1), 'a3', 'one that waits again is found by a claim, whatever is in mind');
select pg_temp.marks('infinity', '-infinity');
select t.is(pg_temp.turn('a3', 1), 'a3 completed, a4@h.0', 'a4 is the next');
select pg_temp.submits('a5', '{agent:a}', 1);
select pg_temp.submits('b3', '{agent:b}', 2);
select t.is(pg_temp.turn('a4', 1), 'a4 completed, b3@h.0', 'more urgent ones are seen at once');
select t.is(pg_temp.turn('b3', 1), 'b3 completed, a5@h.0', 'in their order');
select t.is(pg_temp.turn('a5', 1), 'a5 completed, b1@h.0', 'then the old ones');
select pg_temp.marks('infinity', '-infinity');
select t.is(pg_temp.turn('b1', 1), 'b1 completed, b2@h.0', 'a lane in which nothing waited');
select pg_temp.marks('infinity', 'infinity');
select pg_temp.submits('a6', '{agent:a}');
select t.is(pg_temp.turn('b2', 1), 'b2 completed, a6@h.0', 'has what came since');

\echo 'what waits again behind a mark'
select t.finish('w1', 'a6', 'failed', 'agent_failed');
select t.due();
select set_config('fleet.marks', (select row('infinity', 'infinity', array_agg(lane), array_agg(0), array_agg(1000000000))::fleet.marks::text from fleet.lane), false);
select pg_temp.submits('a7', '{agent:a}', 3);
select t.is(t.claim('w1', 1), 'a7', 'an urgent one');
select t.is(pg_temp.turn('a7', 1), 'a7 completed', 'is not seen by a turn');
select pg_temp.submits('a8', '{agent:a}', 3);
select t.is(t.claim('w1', 1), 'a8', 'an urgent one once more');
select pg_temp.marks('-infinity', 'infinity');
select t.is(pg_temp.turn('a8', 1), 'a8 completed, a6@h.0', 'until the time of the marks is over');
select t.is((select m.until > now() from (select (current_setting('fleet.marks')::fleet.marks).*) m), true, 'there are new ones');
select t.sound();
