-- Slots held by runs that nobody sees, and how a person frees one, whatever its phase.
create function pg_temp.scene() returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{code:rust}', 1));
  perform t.submit('a');
  perform t.claim('w1', 1);
end $$;
create function pg_temp.phase(p_phase text, p_reason text default null) returns void language sql as $$
  select fleet.phase(t.node('w1'), t.attempt('a'), 1, p_phase, p_reason) $$;
create function pg_temp.task() returns text language sql as $$
  select row(status, phase, failure_reason)::text from fleet.tasks where task_id = 'a' $$;
create function pg_temp.lost() returns void language sql as $$
  update fleet.attempt set unseen_ms = 99999999 $$;
create function pg_temp.free() returns bigint language sql as $$ select free from fleet.agents $$;

\echo 'what is shown'
begin;
select pg_temp.scene();
select t.start('w1', 'a');
select t.none('select * from fleet.held_slots', 'a run that its worker sees holds its slot rightly');
select pg_temp.phase('unreachable', 'rundir_missing');
select t.is((select row(host_id, task_id, attempt, status, phase, reason, advice <> '')::text from fleet.held_slots),
  '(h,a,1,running,unreachable,rundir_missing,t)', 'one that it does not see is shown, with the reason');
select t.is((select freed_with from fleet.held_slots), $$select fleet.free_slot('a', 1, 'say why');$$, 'and the call that frees it');
select fleet.node_stop(t.node('w1'));
update fleet.attempt set unreachable_at = null, phase = 'running', phase_reason = null;
select t.is((select reason from fleet.held_slots), 'its worker is gone, and no other took it over', 'and what nobody took over');
rollback;

\echo 'in every phase'
create function pg_temp.try(p_name text, p_calls text[], p_reads text) returns void language plpgsql as $$
declare v_call text;
begin
  perform pg_temp.scene();
  foreach v_call in array p_calls loop
    execute 'select ' || v_call;
  end loop;
  perform t.is(fleet.free_slot('a', 1, 'host burnt down'), 'freed', p_name || ': freed');
  perform t.is(pg_temp.task(), p_reads, '... what is said of the task');
  perform t.is(pg_temp.free(), 1::bigint, '... the slot is free');
  perform t.none('select * from fleet.held_slots', '... and shown no more');
  perform t.none('select * from fleet.running', '... nor among what runs');
  perform t.is((select row(e.actor, e.payload ->> 'reason')::text from fleet.history e where event_type = 'slot_freed'),
    format('(psql:%s,"host burnt down")', session_user), '... the history has who and why');
  perform t.is((select freed_reason from fleet.attempt_details where task_id = 'a' and attempt = 1), 'host burnt down', '... and the attempt');
  perform t.sound('... sound');
  perform t.is((select string_agg(kind, ' ' order by kind) from fleet.renew(t.node('w1'), array[(select min(attempt) from fleet.attempt)])), 'cancel freed',
    '... whoever owns it is to stop it where it finds it');
  perform t.is(fleet.free_slot('a', 1, 'again'), 'freed', '... once is enough');
  perform t.submit('b', '{agent:code:rust}', '{"priority": 1000}');
  perform t.is(t.claim('w1', 9), 'b', '... the slot serves another');
  perform t.sound('... sound while it does');
  raise sqlstate 'ZZ999';
exception when sqlstate 'ZZ999' then null;
end $$;
select pg_temp.try(n, c, r) from (values
  ('claimed', '{}'::text[], '(failed,claimed,abandoned)'),
  ('starting', array[$$fleet.starting(t.node('w1'), t.attempt('a'), 1, 'r', 'c', 'p')$$], '(failed,starting,abandoned)'),
  ('running', array[$$t.start('w1', 'a')$$], '(failed,running,abandoned)'),
  ('stopping', array[$$t.start('w1', 'a')$$, $$pg_temp.phase('stopping')$$], '(failed,stopping,abandoned)'),
  ('unreachable', array[$$t.start('w1', 'a')$$, $$pg_temp.phase('unreachable', 'host_unreachable')$$], '(failed,unreachable,abandoned)'),
  ('start unproven and out of sight', array[$$fleet.starting(t.node('w1'), t.attempt('a'), 1, 'r', 'c', 'p')$$,
    $$pg_temp.phase('unreachable', 'host_unreachable')$$], '(failed,unreachable,abandoned)'),
  ('cancelled, but out of sight', array[$$t.start('w1', 'a')$$, $$pg_temp.phase('unreachable', 'x')$$, $$fleet.cancel('a', 'stop')$$],
    '(cancelled,unreachable,cancelled)'),
  ('given up by its task', array[$$t.start('w1', 'a')$$, $$pg_temp.phase('unreachable', 'x')$$, $$fleet.set('reattach_ms', 180000)$$,
    $$pg_temp.lost()$$, $$fleet.reap(t.node('w1'))$$], '(failed,unreachable,host_lost)'),
  ('abandoned for another run', array[$$t.start('w1', 'a')$$, $$pg_temp.phase('unreachable', 'x')$$, $$fleet.retry('a', true, 'elsewhere')$$],
    '(created,unreachable,)'),
  ('of a replaced host', array[$$t.start('w1', 'a')$$, $$t.report('w1', 'h', t.identity('other'))$$, $$pg_temp.phase('unreachable', 'host_replaced')$$,
    $$fleet.host_accept('h')$$, $$t.report('w1', 'h', t.identity('other'))$$], '(failed,unreachable,abandoned)')) v (n, c, r);

\echo 'what comes of it later'
begin;
select pg_temp.scene();
select t.start('w1', 'a');
select pg_temp.phase('unreachable', 'x');
select t.throws($$select fleet.free_slot('a', 1, '')$$, 'AF007', 'there must be a reason');
select t.is(fleet.free_slot('a', 2, 'x'), 'not_found', 'there is no second attempt');
select t.is(fleet.free_slot('nothing', 1, 'x'), 'not_found', 'nor such a task');
select fleet.free_slot('a', 1, 'burnt down');
select t.is(fleet.retry('a', true), 'created', 'its task may run again');
select t.is(t.claim('w1', 1), 'a', 'in the slot that was freed');
select t.put('old', min(attempt)) from fleet.attempt;
select t.is(fleet.finish(t.node('w1'), t.got('old'), 1, 'succeeded', null, 0, null, p_summary => 'late'), 'assigned', 'its result settles nothing');
select t.is((select outcome || ' ' || (report ->> 'summary') from fleet.attempt where attempt = t.got('old')), 'succeeded late', 'but is kept');
select t.is(pg_temp.free(), 0::bigint, 'and frees no slot of another');
select t.is(fleet.free_slot('a', 1, 'x'), 'ended', 'what is proven ended needs nobody');
select t.sound();
select t.start('w1', 'a');
select t.is(t.finish('w1', 'a'), 'completed', 'the second run decides');
select t.sound();
rollback;

\echo 'looked for no more'
begin;
select pg_temp.scene();
select t.start('w1', 'a');
select pg_temp.phase('unreachable', 'x');
select fleet.free_slot('a', 1, 'burnt down');
select fleet.reap(t.node('w1'));
select t.is((select phase from fleet.attempts), 'unreachable', 'it is looked for');
update fleet.attempt set freed_at = now() - interval '4 h', unreachable_at = now() - interval '2 h';
select fleet.reap(t.node('w1'));
select t.is((select phase from fleet.attempts), 'unreachable', 'while somebody saw it lately');
update fleet.attempt set unreachable_at = now() - interval '4 h';
select fleet.reap(t.node('w1'));
select t.is((select row(phase, outcome, reason)::text from fleet.attempts), '(ended,lost,host_lost)', 'after reattach_ms nobody does');
select t.is(pg_temp.task(), '(failed,,abandoned)', 'which decides nothing');
select t.sound();
rollback;

\echo 'a slot that retires'
begin;
select pg_temp.scene();
select t.start('w1', 'a');
select t.configure('w1', t.host('h', '{code:rust}', 0));
select t.configure('w1', t.host('other', '{x}', 1));
select t.throws($$select fleet.forget_host('h')$$, 'AF006', 'its host cannot be forgotten');
select t.is(fleet.free_slot('a', 1, 'burnt down'), 'freed', 'freed');
select t.none($$select * from fleet.slot s join fleet.executor e using (executor) where e.host_id = 'h'$$, 'it is gone');
select fleet.forget_host('h');
select t.none($$select * from fleet.hosts where host_id = 'h'$$, 'and the host can be forgotten');
select t.sound();
rollback;

\echo 'a limit that falls and rises again'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit(x) from unnest('{a,b,c,d,e}'::text[]) x;
select t.claim('w1', 3);
select t.configure('w1', t.host('h', '{code:rust}', 1));
select t.is((select count(*) from fleet.slot where retiring), 2::bigint, 'two that are busy are to go');
select t.configure('w1', t.host('h', '{code:rust}', 4));
select t.is((select row(count(*), count(attempt), count(*) filter (where retiring))::text from fleet.slot), '(4,3,0)', 'they stay, and one is added');
select t.is(t.claim('w1', 9), 'd', 'so no more run than may');
select t.sound();
rollback;
