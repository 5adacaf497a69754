-- The gate before the claim of an issue's task: it was read lately, and the day's limits leave room. Nobody else passes it.

create function pg_temp.fleet(p_policy jsonb default '{}') returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{x,y}', 9));
  perform t.reads(p_policy);
end $$;
create function pg_temp.asks(p_number int, p_by text default 'ann') returns text language plpgsql as $$
begin
  perform t.opens('ann', p_number), t.labels(p_by, 'agent:x', p_number);
  return t.look(p_number);
end $$;
create function pg_temp.asks_anew(p_number int, p_by text default 'ann') returns text language plpgsql as $$
begin
  perform t.unlabels(p_by, 'agent:x', p_number), t.labels(p_by, 'agent:x', p_number);
  return t.look(p_number);
end $$;
create function pg_temp.runs(p_number int) returns text language plpgsql as $$
declare v_id text := 'acme/rocket#' || p_number;
begin
  if strpos(t.claim('w1', 9), v_id) = 0 then return 'not claimed'; end if;
  perform t.start('w1', v_id);
  return t.finish('w1', v_id);
end $$;

\echo 'read again before it starts'
begin;
select pg_temp.fleet();
select pg_temp.asks(42);
update fleet.issue set read_at = now() - interval '6 minutes';
select t.is(t.claim('w1', 9), '', 'what was not read lately is not started');
select t.is(t.stands(), 'created reading', '... but read again');
select t.is((select seq - done from fleet.look), 1::bigint, '... which is wanted');
select t.is((select attempt_number from fleet.task), 0, '... and no attempt is made of it');
select t.none($$select event_type from fleet.event where event_type = 'held'$$, '... nor history');
select t.sound();
select t.edits('Something else');
select t.look();
select t.is(t.claim('w1', 9), 'acme/rocket#42', 'read, and it starts');
select t.is((select hold from fleet.task), null, '... with nothing that holds it');
select t.is((select body from fleet.task), 'Something else', '... as it is by now');
rollback;
begin;
select pg_temp.fleet();
select pg_temp.asks(42);
update fleet.issue set read_at = null;
select t.claim('w1', 9);
select t.unlabels('bob', 'agent:x');
select t.is(t.look(), 'label_removed', 'what was taken back meanwhile does not start');
rollback;
begin;
select pg_temp.fleet();
select pg_temp.asks(42);
update fleet.issue set read_at = null;
select t.claim('w1', 9);
update t.person set permission = 'read' where login = 'ann';
select t.is(t.look(), 'not_permitted', 'nor what somebody asked for who may not any more');
select t.is(t.stands(), 'cancelled not_permitted', '... which is said');
rollback;
begin;
select pg_temp.fleet();
select pg_temp.asks(42);
update fleet.issue set read_at = null;
select t.claim('w1', 9);
update fleet.look set done = seq;
select t.due();
select t.is(t.claim('w1', 9), '', 'a look that was lost');
select t.is((select seq - done from fleet.look), 1::bigint, '... is wanted again');
select t.reads('{"reads": false}');
select t.due();
select t.is(t.claim('w1', 9), 'acme/rocket#42', 'a fleet that reads nothing asks nobody');
rollback;

\echo 'runs of an issue within a day'
begin;
select pg_temp.fleet();
select fleet.set('runs_per_issue_day', 2);
select t.is(pg_temp.asks(42) || ' ' || pg_temp.runs(42), 'submitted completed', 'one');
select t.is(pg_temp.asks_anew(42) || ' ' || pg_temp.runs(42), 'resubmitted completed', 'two');
select t.is(pg_temp.asks_anew(42) || ' ' || pg_temp.runs(42), 'resubmitted not claimed', 'the third');
select t.is(t.stands(), 'created daily_limit', '... waits');
select t.is((select run_at from fleet.task), now() + interval '1 day', '... for the end of the day of the first');
select t.is(pg_temp.asks(43) || ' ' || pg_temp.runs(43), 'submitted completed', 'another issue has its own');
select t.sound();
update fleet.spent set at = at - interval '1 day';
select t.due();
select t.is(pg_temp.runs(42), 'completed', '... and it goes on by itself');
select t.is((select count(*)::int from fleet.event where event_type = 'held'), 1, 'history has it once');
select t.sound();
rollback;

begin;
select pg_temp.fleet();
select fleet.set('runs_per_issue_day', 1);
select pg_temp.asks(42);
select t.claim('w1', 1);
select fleet.release(t.node('w1'), t.attempt('acme/rocket#42'), 1, 'draining');
select t.none('select * from fleet.spent', 'what was given back before it started is not counted');
select t.due();
select t.is(t.claim('w1', 1), 'acme/rocket#42', '... and may start after all');
rollback;

\echo 'a run that was counted and not claimed'
begin;
select pg_temp.fleet();
select fleet.set('runs_per_issue_day', 1), fleet.set('runs_per_sender_day', 1), fleet.set('runs_per_day', 1);
select pg_temp.asks(42);
insert into fleet.spent (task, number, sender, at) select task, 1, 1, now() - interval '1 hour' from fleet.task;
select t.is(t.claim('w1', 9), 'acme/rocket#42', 'does not stand in its own way');
select t.is((select count(*) from fleet.spent where at >= now() - interval '1 minute'), 1::bigint, '... and is counted from then on');
rollback;

\echo 'runs of a person, and of all'
begin;
select pg_temp.fleet();
select fleet.set('runs_per_sender_day', 2);
select pg_temp.asks(n) from generate_series(1, 4) n;
select pg_temp.asks(5, 'carl');
select t.is(t.claim('w1', 9), 'acme/rocket#1 acme/rocket#2 acme/rocket#5', 'one claim does not take more than a person has left');
select t.is(t.stands(3) || ', ' || t.stands(4), 'created daily_limit, created daily_limit', '... the others wait');
select t.sound();
rollback;
begin;
select pg_temp.fleet();
select fleet.set('runs_per_day', 3);
select pg_temp.asks(n, case when n % 2 = 0 then 'ann' else 'carl' end) from generate_series(1, 5) n;
select t.submit('t-1', '{agent:x}');
select t.is(t.claim('w1', 9), 'acme/rocket#1 acme/rocket#2 acme/rocket#3 t-1', 'nor than all have; tasks of REST are not counted');
select t.is((select count(*)::int from fleet.spent), 3, '... nor kept');
select fleet.set('runs_per_day', 0);
select t.due();
select t.is(t.claim('w1', 9), 'acme/rocket#4 acme/rocket#5', '0 is no limit');
rollback;

begin;
select pg_temp.fleet();
select fleet.set('runs_per_sender_day', 1);
select pg_temp.asks(n) from generate_series(1, 150) n;
select t.is(t.claim('w1', 9), 'acme/rocket#1', 'of many that a limit keeps');
select t.is((select count(*)::int from fleet.task where hold = 'daily_limit'), 100, '... one claim puts aside no more than 100');
select set_config('fleet.gated', '', true); -- as the next transaction
select t.is(t.claim('w1', 9), '', '... the next one goes on');
select t.is((select count(*)::int from fleet.task where hold = 'daily_limit'), 149, '... with the rest');
select t.sound();
rollback;

\echo 'a label that is put there and taken away for ever'
begin;
select pg_temp.fleet();
select fleet.set('runs_per_issue_day', 5);
select pg_temp.asks(42);
do $$ begin for n in 1..200 loop perform pg_temp.runs(42), pg_temp.asks_anew(42); end loop; end $$;
select t.is((select attempt_number from fleet.task), 5, 'by somebody who may: so many runs, and no more');
select t.is(t.stands(), 'created daily_limit', '... and it waits for the next day') from t.claim('w1', 9);
select t.sound();
rollback;
begin;
select pg_temp.fleet();
select t.opens();
do $$ begin
  for n in 1..200 loop
    perform t.labels('bob', 'agent:x');
    perform fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:bob') from fleet.issue i;
    perform t.look(), t.claim('w1', 9), t.unlabels('bob', 'agent:x'), t.look();
  end loop;
end $$;
select t.is((select row(count(*), max(attempt_number))::text from fleet.task), '(1,0)', 'by a stranger: no run');
select t.ok((select count(*) < 10 from fleet.event), '... and hardly any history');
select t.is((select count(*)::int from fleet.spent) + (select count(*)::int from fleet.attempt), 0, '... nor anything else');
rollback;
