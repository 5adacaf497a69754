-- A simulated year: output, history and tasks of 400 days, and the house-keeping of each day. What a person keeps, what has not ended and
-- what may still run stays; all else goes, by whole partitions; and what reads the history stands that.

create function t.day(p_day int) returns timestamptz language sql immutable as $$ select timestamptz '2025-01-01 12:00:00+00' + p_day * interval '1 day' $$;

select t.worker('w1', t.host('h', '{code:rust}', 9));

-- A day's task: submitted, claimed, run, with output in both streams, ended.
create temp table lives (task_id text, day int, ends boolean);
create function t.lived(p_task text, p_day int, p_ends boolean default true) returns void language plpgsql as $$
begin
  insert into lives values (p_task, p_day, p_ends);
  perform t.submit(p_task);
  perform t.claim('w1', 1);
  perform t.start('w1', p_task);
  perform t.append('w1', p_task, 'stdout', 0, convert_to('out of ' || p_task, 'UTF8'));
  perform t.append('w1', p_task, 'stderr', 0, 'err');
  if p_ends then
    perform t.finish('w1', p_task);
  end if;
end $$;

-- Then all of it was on its day, in partitions as the nodes of that day make them.
create function t.long_ago(p_day int) returns void language plpgsql as $$
declare d timestamp := date_trunc('day', t.day(p_day) at time zone 'UTC');
begin
  perform fleet.make_partition('event', 'event_' || to_char(d, 'YYYYMM'), date_trunc('month', d), date_trunc('month', d) + interval '1 month');
  perform fleet.make_partition('log', 'log_' || to_char(d, 'YYYYMMDD'), d, d + interval '1 day');
  update fleet.event e set at = t.day(p_day) from lives l join fleet.task t using (task_id) where t.task = e.task and l.day = p_day;
  update fleet.log g set at = t.day(p_day) from lives l join fleet.task t using (task_id) join fleet.attempt a using (task)
  where g.attempt = a.attempt and l.day = p_day;
  update fleet.attempt a set claimed_at = t.day(l.day), starting_at = t.day(l.day), started_at = t.day(l.day), output_at = t.day(l.day),
    ended_at = case when l.ends then t.day(l.day) end, run_removed_at = case when l.ends and l.task_id <> 'on-the-host' then t.day(l.day + 7) end
  from lives l join fleet.task t using (task_id) where t.task = a.task and l.day = p_day;
  update fleet.task t set created_at = t.day(l.day), assigned_at = t.day(l.day), started_at = t.day(l.day), changed_at = t.day(l.day),
    completed_at = case when t.completed_at is not null then t.day(l.day) end, run_at = t.day(l.day) from lives l
  where t.task_id = l.task_id and l.day = p_day;
end $$;

-- The house-keeping of a day, to its end.
create function t.house(p_day int) returns int language plpgsql as $$
declare v_step int; v_steps int := 0;
begin
  update fleet.latch set due_at = '-infinity' where name = 'retain';
  loop
    v_step := fleet.retain(t.day(p_day), 50);
    v_steps := v_steps + 1;
    exit when v_step < 10000 or v_steps > 500;
  end loop;
  return v_steps;
end $$;
create function t.partitions(p_parent text) returns int language sql as $$
  select count(*)::int from fleet.partition_list(p_parent) where low < '2026-04-01' $$;
create function t.prints(p_task text) returns text language sql as $$
  select concat_ws(' ', nullif(convert_from(bytes, 'UTF8'), ''), left(gone, 10)) from fleet.task_logs(t.by(), p_task, 1, null, 0, 1000, null) $$;
create function t.events(p_task text) returns bigint language sql as $$
  select count(*) from fleet.event e join fleet.task t using (task) where t.task_id = p_task $$;

\echo 'before'
select t.lived('day-' || d, d) from generate_series(0, 3) d;
select t.lived('kept', 3);
select t.is(fleet.keep('kept', 'the first one'), 'kept', 'a person keeps a task');
select t.is(fleet.keep('kept', 'again'), 'kept', '... once');
select t.is(fleet.keep('nobody', 'x'), 'not_found', '... that is there');
select t.throws($$select fleet.keep('kept', '')$$, 'AF007', '... and says why');
select t.is((select row(kept_by, kept_reason)::text from fleet.task_details where task_id = 'kept'), '(psql:postgres,"the first one")', 'who and why are shown');
select t.is(fleet.task_json(task) -> 'kept' ->> 'reason', 'the first one', '... by REST as well') from fleet.task where task_id = 'kept';
select t.is(fleet.task_json(task) ->> 'kept', null, '... and null else') from fleet.task where task_id = 'day-1';
select t.is((select string_agg(what || ' ' || changes, ', ') from fleet.audit_trail where object = 'kept' and what <> 'task_submit'),
  'task_keep kept: the first one', 'and it is in the trail');
select t.lived('day-' || d, d) from generate_series(4, 5) d;
select t.lived('running', 5, false);
select t.lived('day-6', 6);
select t.lived('freed', 6, false);
select t.is(fleet.free_slot('freed', 1, 'host burnt down'), 'freed', 'a run that nobody can prove ended');
select t.lived('day-' || d, d) from generate_series(7, 8) d;
select t.lived('on-the-host', 8);
select t.submit('waiting', '{agent:nobody}');
select t.submit('delayed', '{agent:nobody}', jsonb_build_object('run_at', now() + interval '1 hour'));
insert into lives values ('waiting', 8, false), ('delayed', 8, false);
select t.lived('day-' || d, d) from generate_series(9, 399) d;
select t.long_ago(0);
select t.keep('first', (select row(xid, event_id)::text from fleet.event order by xid, event_id limit 1));
select t.sound('every invariant before');
select t.house(0);
select t.is(array[t.partitions('log'), t.partitions('event')], array[1, 1], 'on the first day nothing goes');

\echo 'day by day'
-- On day d what is there: output of d-30 and younger (whole days), history of the months that reach into the last 90 days, tasks of 365.
create temp table seen (day int, steps int, logs int, events int, tasks int, oldest int, young text, old text, broken text);
do $$
begin
  for d in 1..410 loop
    perform t.long_ago(d);
    insert into seen values (d, t.house(d), t.partitions('log'), t.partitions('event'));
    update seen set (tasks, oldest) = (select count(*), min(substr(task_id, 5)::int) from fleet.task where task_id like 'day-%') where day = d;
    continue when d % 15 <> 0;
    update seen set young = t.prints('day-' || greatest(d - 29, 0)), old = case when d < 365 then t.prints('day-' || greatest(d - 31, 0)) end where day = d;
    continue when d % 30 <> 0;
    update seen set broken = coalesce((select string_agg(b, ', ') from t.broken() b), '') where day = d;
  end loop;
end $$;
select t.is((select array_agg(distinct broken) || array[count(broken)::text] from seen where broken is not null), '{"",13}', 'every invariant, month by month');
select t.none($$select day, young from seen where day % 15 = 0 and day between 30 and 399 and young is distinct from 'out of day-' || day - 29 || 'err' limit 3$$,
  'output of 29 days ago is there');
select t.none($$select day, old from seen where day % 15 = 0 and day between 32 and 364 and old is distinct from to_char(t.day(day - 31), 'YYYY-MM-DD') limit 3$$,
  'that of 31 days ago is gone, and it is said when it was written');
select t.is((select array[max(logs), max(events)] from seen), '{32,5}', 'the number of partitions is bounded: what stays of a month lies in one');
select t.none($$select day, steps from seen where steps > 5 limit 3$$, 'in few steps');
select t.is((select array[min(day), max(day)] from seen where tasks = 400), array[1, 365], 'tasks stay a year');
select t.none($$select day, oldest from seen where day > 366 and oldest not between day - 366 and day - 364 limit 3$$, '... and go then, day by day');

\echo 'a year later'
select t.is(t.prints('kept'), 'out of kepterr', 'the kept task has its output');
select t.ok(t.events('kept') >= 5, '... and its history');
select t.is(t.prints('running'), 'out of runningerr', 'so has what still runs');
select t.is(t.prints('freed'), 'out of freederr', '... what may still run');
select t.is(t.status('waiting'), 'created', '... and what waits');
select t.is(t.events('waiting') + t.events('delayed'), 2::bigint, '... with its history, now or later');
select t.is(t.prints('on-the-host'), '2025-01-09', 'a task of which something lies on a host has lost its output');
select t.is(t.events('on-the-host'), 0::bigint, '... and its history');
select t.is((select array[t.partitions('log') <= 35, t.partitions('event') <= 6]), '{t,t}', 'the number of partitions is small');
select t.is((select string_agg(name, ' ' order by name) from (select name from fleet.partition_list('log') where kept union all
             select name from fleet.partition_list('event') where kept) p), 'event_kept_202501 log_kept_202501', 'one of a month for what stays');
select t.is((select count(*) from fleet.log_kept_202501), 6::bigint, '... which has nothing else');
select t.is((select count(*) from fleet.attempt a where not exists (select from fleet.task t where t.task = a.task)), 0::bigint, 'no attempt without task');
select t.none($$select x.label, x.task from fleet.task_label x where not exists (select from fleet.task t where t.task = x.task)$$, 'no label without task');
select t.none($$select e.task from fleet.event e where not exists (select from fleet.task t where t.task = e.task) limit 1$$, 'no event without task');
select t.is((select status from fleet.task_detail(t.by(), 'day-1')), 404, 'a task that is gone is not found');
select t.is((select status from fleet.task_detail(t.by(), 'on-the-host')), 200, 'one without history is answered');
select t.is((select status from fleet.stats(t.by())), 200, 'statistics are made');
select t.is((select count(*) from fleet.tasks), (select count(*) from fleet.task), 'the views stand it');
select t.is((select gap from fleet.event_page('{0}', fleet.incarnation_now(), split_part(trim(both '()' from t.kept('first')), ',', 1)::xid8,
             split_part(trim(both '()' from t.kept('first')), ',', 2)::bigint, 10) where event_id = 0), 'removed', 'a stream from the beginning is told of the gap');
select t.is((select gap from fleet.event_page('{0}', fleet.incarnation_now(), h.xid, h.event_id, 2) where gap is not null), null,
  '... not one from where it begins') from fleet.horizon h where name = 'event';
select t.is((select stdout from fleet.log_open(t.by(), 'on-the-host', 1, null, null, null, 0, 0)), 0::bigint, 'who goes on in removed output may');
select t.none($$select * from fleet.log_read(t.attempt('on-the-host'), 0, 0, 1000)$$, '... and there is nothing to read');
select t.ok((select gone is not null from fleet.log_open(t.by(), 'on-the-host', 1, null, 0, null, null, null)), '... who begins there is told');

\echo 'when it need not stay any more'
select t.is(fleet.unkeep('kept'), 'unkept', 'a person takes it back');
select t.is(fleet.finish(t.node('w1'), t.attempt('freed'), 1, 'succeeded', null, 0, null), 'failed', 'the freed run''s end is proven');
update fleet.attempt set run_removed_at = now() where run_removed_at is null and ended_at is not null;
select t.house(411);
select t.house(413);
select t.is(t.prints('kept'), '2025-01-04', 'its output goes');
select t.is(t.prints('running'), 'out of runningerr', 'what runs stays');
select t.is((select count(*) from fleet.log_kept_202501), 2::bigint, '... alone');
select t.is((select count(*) from fleet.task where task_id = 'on-the-host'), 0::bigint, 'nothing is on the host any more: gone');
select t.is((select count(*) from fleet.task where task_id = 'kept'), 1::bigint, 'the task stays while its youngest history does');
select t.sound('every invariant after that');

\echo 'for ever'
begin;
select t.throws($$select fleet.set('log_days', 91)$$, 'AF007', 'output does not outlive the history');
select t.throws($$select fleet.set('event_days', 0)$$, 'AF007', 'nor history its task');
select t.throws($$select fleet.set('run_dir_days', 366)$$, 'AF007', 'nor a run directory');
select fleet.set('task_days', 0), fleet.set('event_days', 0), fleet.set('log_days', 0);
select t.house(5000);
select t.ok(t.partitions('log') > 20, '0 is for ever');
select fleet.set('log_days', 1), fleet.set('event_days', 1);
select t.house(5000);
select t.is(array[t.partitions('log'), t.partitions('event')], array[1, 1], '1 is a day');
rollback;

\echo 'what is made ahead is not made again'
-- So short that the last month, which is made for a clock that is set back, goes on the second day of this one.
begin;
create function t.second() returns timestamptz language sql as $$ select date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' + interval '2 days' $$;
select fleet.set('log_days', 1), fleet.set('event_days', 1);
select t.submit('last-month', '{agent:nobody}');
select fleet.partitions();
update fleet.event e set at = t.second() - interval '3 days' from fleet.task t where t.task_id = 'last-month' and e.task = t.task;
update fleet.task set created_at = t.second() - interval '3 days' where task_id = 'last-month';
create function t.month_removed() returns int language plpgsql as $$
declare v_steps int := 0;
begin
  update fleet.latch set due_at = '-infinity' where name = 'retain';
  while fleet.remove_partition('event', t.second()) = 1 and v_steps < 50 loop v_steps := v_steps + 1; end loop;
  return v_steps;
end $$;
select t.ok(t.month_removed() > 0, 'last month goes, but for what waits');
select fleet.partitions();
select t.is(t.month_removed(), 0, 'and is not made and removed again and again');
select t.is(t.events('last-month'), 1::bigint, '... what waits has its history');
rollback;

\echo 'what takes too long'
-- A copy that outlives a node's time for a statement: the rest of the house-keeping stands, and it is not tried again at once.
begin;
create or replace function fleet.remove_partition(p_parent text, p_now timestamptz) returns int language sql as 'select 0 from pg_sleep(60)';
update fleet.latch set due_at = '-infinity' where name = 'retain';
insert into fleet.delivery (delivery_id, sha256, event, result, reason, received_at) values ('old', '', 'issues', 'accepted', '', '2020-01-01Z');
set local statement_timeout = '5s';
select fleet.reap(t.node('w1'));
set local statement_timeout = 0;
select t.is((select count(*) from fleet.delivery where delivery_id = 'old'), 0::bigint, 'the house-keeping before it is done');
select t.ok((select held_by from fleet.horizon where name = 'log') ~ 'takes longer', '... what takes too long is told');
select t.ok((select due_at > now() + interval '50 min' from fleet.latch where name = 'retain'), '... and waits');
rollback;

\echo 'what has not ended'
begin;
insert into fleet.ended (status, task) values ('review_pending', 4711), ('failed', 4712);
select t.is((select array_agg(s) from fleet.staying_tasks() s where s between 4711 and 4712), '{4711}', 'a task with an open pull request stays');
rollback;
