-- Settings of a session change nothing of what functions mean: PL/pgSQL reads its literals anew in every session.

select t.none($$select p.oid::regprocedure from pg_proc p join pg_language l on l.oid = p.prolang
  where p.pronamespace = 'fleet'::regnamespace and l.lanname = 'plpgsql' and strpos(p.prosrc, chr(92)) > 0$$,
  'no function has a backslash in it: standard_conforming_strings may be off');

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.append('w1', 'a', 'stdout', 0, '\x00ff5c'::bytea);
select t.keep('detail', (fleet.task_detail(t.by(0), 'a')).body);
select t.keep('events', (fleet.task_events(t.by(0), 'a', 50, null)).body);
select t.keep('soon', to_char((now() + interval '9 days') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS".123456Z"'));
set local standard_conforming_strings = off;
set local escape_string_warning = off;
set local bytea_output = escape;
set local "DateStyle" = 'SQL, DMY';
set local "IntervalStyle" = sql_standard;
set local "TimeZone" = 'Asia/Kathmandu';
set local extra_float_digits = -15;
set local array_nulls = off;
set local transform_null_equals = on;
set local xmloption = document;
set local row_security = off;
set local search_path = pg_temp;
set local plan_cache_mode = force_custom_plan;
discard plans;
select t.is((fleet.task_detail(t.by(0), 'a')).body, t.kept('detail'), 'a task is told in the same words');
select t.is((fleet.task_events(t.by(0), 'a', 50, null)).body, t.kept('events'), 'its history too');
select t.is((select bytes from fleet.task_logs(t.by(), 'a', null, null, 0, 9, null)), decode('00ff5c', 'hex'), 'its output too');
select t.is(t.submit('later', '{agent:code:rust}', jsonb_build_object('run_at', t.kept('soon'))), 'created', 'a time is read as it is written');
select t.is((fleet.task_detail(t.by(0), 'later')).body::jsonb ->> 'run_at', t.kept('soon'), '... in its own zone');
select t.ok((select count(*) > 5 and sum(faults) = 0 from fleet.check_all()), 'the invariants are looked at');
select t.is(t.deliver('d1', 'opened', '{agent:x}', '2026-01-02T03:04:05Z'), 'accepted submitted', 'a delivery is taken');
select t.is((select extract(epoch from updated_at)::bigint from fleet.issue), 1767323045::bigint, '... with its time');
select t.is(fleet.reap(t.node('w1')) >= 0, true, 'partitions are made');
rollback;
