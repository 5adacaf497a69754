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
select fleet.set('task_dir_done_hours', 168), fleet.set('task_dir_failed_hours', 720);
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

\echo 'each condition by itself'
-- Is the directory of a run, with so much output, of those that may go; is that of its task?
create function pg_temp.goes(p_what text, p_task text, p_number int default 1, p_out bigint default 0, p_err bigint default 0) returns boolean language sql as $$
  select exists (select from fleet.attempt a join fleet.task k using (task),
                 fleet.sweep(t.node('w1'), 'h', array[a.run], array[p_out], array[p_err], false, 100) s
                 where k.task_id = p_task and a.number = p_number and s.what = p_what and s.attempt = a.attempt) $$;
select t.ok(pg_temp.goes('run', 'part', 1, 9, 0), 'all of its output is stored');
select t.ok(not pg_temp.goes('run', 'part', 1, 9, 1), '... not what it said on stderr: it stays');
select pg_temp.past('360 days', 'part');
select t.ok(pg_temp.goes('run', 'part', 1, 10, 1), '... until its task has the age to go');
select fleet.set('run_dir_days', 20);
select t.ok(not pg_temp.goes('run', 'again') and pg_temp.goes('folder', 'old'), 'run directories and those of tasks have a time each');
select fleet.set('run_dir_days', 7);
update fleet.host set workspace = 'own' where host_id = 'h';
select t.ok(not pg_temp.goes('folder', 'old') and pg_temp.goes('run', 'again'), 'where each run has a directory of its own no task has one');
update fleet.host set workspace = 'plain' where host_id = 'h';
select fleet.free_slot('again', 2, 'x');
select pg_temp.past('100 days', 'again');
select t.is((select status from fleet.task where task_id = 'again'), 'failed', 'a task that ended while a run of it may live');
select t.ok(pg_temp.goes('run', 'again') and not pg_temp.goes('folder', 'again'), '... its directory stays, that of an earlier run may go');
select t.finish('w1', 'live');
update fleet.host set swept_at = now() where host_id = 'h';
select t.ok(pg_temp.sweeps('w1', true, 'live') is not null, 'who ended when the host had been asked already');
select t.is((select run_removed_at from fleet.attempt where attempt = t.attempt('live')), null, '... and was not named is not gone');
savepoint elsewhere;
update fleet.attempt a set executor = (select executor from fleet.executor where host_id = 'g') where attempt = t.attempt('failed');
insert into fleet.attempt overriding system value select (r).* from (select jsonb_populate_record(a, jsonb_build_object('attempt', 900, 'number', 2, 'run', a.run || '2',
    'executor', (select executor from fleet.executor where host_id = 'h'))) as r from fleet.attempt a where attempt = t.attempt('failed')) x;
select fleet.swept(t.node('w1'), 'h', '{}', '{900}');
select t.is((select string_agg(a.number::text, ' ') from fleet.attempt a join fleet.task t using (task) where t.task_id = 'failed' and a.folder_removed_at is not null), '2',
  'its directory on another host is still there');
rollback to elsewhere;
select t.is((select string_agg(s.what, ' ') from fleet.attempt a, fleet.sweep(t.node('w1'), 'g', array[a.run], '{0}', '{0}', false, 9) s
  where a.attempt = t.attempt('part')), 'unknown', 'a run of another host that lies here is none that we know');
update fleet.host set swept_at = null;
select t.report_down('w1', 'h', 'refused', 'x'), t.report_down('w2', 'h', 'refused', 'x');
update fleet.host set forgotten_at = now() where host_id = 'g';
select t.is(pg_temp.begins('w1'), null, 'neither one that is not reached is asked, nor one that is forgotten');
update fleet.host set forgotten_at = null where host_id = 'g';
select t.is(pg_temp.begins('w1'), 'g', '... the one that is, before');

\echo 'workspaces of repositories'
savepoint works;
update fleet.host set workspace = 'git', swept_at = now(), swept_by = t.node('w1') where host_id = 'h';
update fleet.task set repo = 'acme/rocket', branch_name = 'task/old' where task_id = 'old';
update fleet.attempt set folder_removed_at = null where attempt = t.attempt('old');
create function pg_temp.removes() returns text language sql as $$
  select coalesce(string_agg(concat_ws(' ', r.task_id, r.folder, r.repo, r.branch, r.number), ', ' order by r.attempt), '') from fleet.removals(t.node('w1'), 'h', 9) r $$;
select t.ok(not pg_temp.goes('folder', 'old') and pg_temp.goes('folder', 'part') is not null, 'the workspace of a repository is not swept as a folder');
select t.is(pg_temp.removes(), 'old old acme/rocket task/old 1', '... but asked for by itself, with what it is of');
select t.is((select count(*)::int from fleet.removals(t.node('w2'), 'h', 9)), 0, '... by the worker whose turn it is');
select fleet.removed(t.node('w1'), 'h', t.attempt('old'), 'push_refused');
select t.is((select folder_kept from fleet.attempt where attempt = t.attempt('old')), 'push_refused', 'why it stays is written down');
select t.is((select string_agg(concat_ws(' ', k.task_id, k.host, k.why), ', ') from fleet.kept_workspaces k), 'old h push_refused', '... and can be seen');
select t.ok(pg_temp.removes() <> '', '... it is asked for again');
select fleet.removed(t.node('w1'), 'h', t.attempt('old'), null);
select t.is(pg_temp.removes(), '', 'gone: no more');
select t.is((select row(folder_kept, folder_kept_at)::text from fleet.attempt where attempt = t.attempt('old')), '(,)', '... and nothing keeps it');
update fleet.host set workspace = 'plain' where host_id = 'h';
update fleet.attempt set folder_removed_at = null, work = '{}' where attempt = t.attempt('old');
select t.ok(pg_temp.removes() <> '' and not pg_temp.goes('folder', 'old'), 'one that was made before the host was set to plain, too');
rollback to works;
update fleet.setting set value = 0 where name in ('run_dir_days', 'task_dir_done_hours', 'task_dir_failed_hours');
select t.ok(pg_temp.sweeps('w1', false, 'old') !~ 'folder|run \w+/', '0 is for ever');
select t.sound();
rollback;
