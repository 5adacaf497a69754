-- What may be removed from hosts: which directories SQL lets go, and which never.

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9), t.host('g', '{docs}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 9));
select t.submit(n, '{agent:code:rust}', '{"max_retries": 0}') from unnest('{old,young,kept,live,freed,part,failed,again}'::text[]) n;
select t.claim('w1', 9);
select t.start('w1', n) from unnest('{old,young,kept,live,freed,part,failed,again}'::text[]) n;
select t.append('w1', n, 'stdout', 0, '0123456789') from unnest('{old,young,kept,live,part,failed,again}'::text[]) n;
select t.finish('w1', n) from unnest('{old,young,kept,part}'::text[]) n;
select fleet.free_slot('freed', 1, 'x');
select t.finish('w1', 'failed', 'failed', 'exit_nonzero', 1);
select t.finish('w1', 'again');
select fleet.retry('again', true);
select t.claim('w1', 1);
select t.start('w1', 'again');
select t.is(fleet.keep('kept', 'x'), 'kept', 'one is kept');
create function pg_temp.past(p_for interval, variadic p_tasks text[]) returns void language sql as $$
  update fleet.attempt a set ended_at = a.ended_at - p_for from fleet.task t where t.task = a.task and t.task_id = any (p_tasks) and a.ended_at is not null;
  update fleet.task t set completed_at = t.completed_at - p_for where t.task_id = any (p_tasks) and t.completed_at is not null;
$$;
select pg_temp.past('8 days', 'old', 'kept', 'live', 'freed', 'part', 'failed', 'again');
select pg_temp.past('6 days', 'young');

create function pg_temp.begins(p_node text) returns text language sql as $$ select host_id from fleet.sweep_begin(t.node(p_node)) $$;
select t.ok(pg_temp.begins('w1') in ('g', 'h'), 'a host is asked');
select t.ok(pg_temp.begins('w1') in ('g', 'h'), '... and the other one');
select t.is(pg_temp.begins('w1'), null, '... and for a while no more');
select t.is(pg_temp.begins('w2'), null, '... by nobody');
select t.is((select wait_ms from fleet.sweep_begin(t.node('w2'))), 60000, 'who is to come again');

-- what the worker found: all that ran there, one that nobody knows
create function pg_temp.sweeps(p_node text, p_whole boolean default false, p_without text default '', p_out bigint default 10) returns text language sql as $$
  select coalesce(string_agg(concat_ws(' ', s.what, coalesce((select t.task_id || '/' || a.number from fleet.attempt a join fleet.task t using (task)
                                                              where a.attempt = s.attempt), s.name)), ', ' order by s.what, s.attempt), '')
  from (select array_agg(run order by run) as runs, array_agg(p_out) as outs, array_agg(0::bigint) as errs
        from (select a.run from fleet.attempt a join fleet.task t using (task) where t.task_id <> p_without union select 'stranger.1') x) l,
       fleet.sweep(t.node(p_node), 'h', l.runs, l.outs, l.errs, p_whole, 100) s
$$;
select t.is(pg_temp.sweeps('w1'), 'folder old/1, folder part/1, run old/1, run part/1, run failed/1, run again/1, unknown stranger.1',
  'ended a week ago, not kept, not live: its directory may go; that of a task when none of its runs lives, a failed one''s later');
select t.is(pg_temp.sweeps('w2'), '', 'another worker than whose turn it is gets nothing');
update fleet.attempt set stdout_bytes = 9 where attempt = t.attempt('part');
select t.is(pg_temp.sweeps('w1'), 'folder old/1, folder part/1, run old/1, run failed/1, run again/1, unknown stranger.1', 'output that is not stored whole stays');
select t.is((select row(s.epoch, s.nonce = a.nonce, s.pid, s.start, s.boot)::text from fleet.attempt a,
  fleet.sweep(t.node('w1'), 'h', array[a.run], '{0}', '{0}', false, 9) s where a.attempt = t.attempt('old') and s.what = 'run'), '(1,t,7,8,b)',
  'it comes with what the runner wants to know');
select pg_temp.past('23 days', 'failed');
select t.ok(pg_temp.sweeps('w1') like '%folder failed/1%', 'a failed task''s directory after a month');
select fleet.swept(t.node('w1'), 'h', array[t.attempt('old'), t.attempt('live')], array[t.attempt('part')]);
select t.is((select string_agg(t.task_id, ' ' order by t.task_id) from fleet.attempt a join fleet.task t using (task) where a.run_removed_at is not null), 'old',
  'what was removed is written down, of what has ended only');
select t.is((select string_agg(t.task_id, ' ') from fleet.attempt a join fleet.task t using (task) where a.folder_removed_at is not null), 'part', '... both kinds');
select t.is(pg_temp.sweeps('w1', false, 'old'), 'folder old/1, folder failed/1, run failed/1, run again/1, unknown stranger.1', '... and not asked for again');
update fleet.host set swept_at = now() + interval '1 second' where host_id = 'h';
select t.is(pg_temp.sweeps('w1', true, 'young'), 'folder old/1, folder failed/1, run failed/1, run again/1, unknown ' || (select run from fleet.attempt where attempt = t.attempt('old'))
  || ', unknown stranger.1', 'a directory that came back is none that we know');
select t.is((select string_agg(t.task_id, ' ' order by t.task_id) from fleet.attempt a join fleet.task t using (task) where a.run_removed_at is not null), 'old young',
  'what is not there any more is written down');
update fleet.setting set value = 0 where name in ('run_dir_days', 'task_dir_days', 'task_dir_failed_days');
select t.ok(pg_temp.sweeps('w1', false, 'old') !~ 'folder|run \w+/', '0 is for ever');
select t.sound();
rollback;
