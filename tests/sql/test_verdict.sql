-- What cancel and retry answer: a verdict a row, so that a statement over many tasks never fails at the first that has ended.

\echo 'over many'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('runs');
select t.claim('w1', 1);
select t.start('w1', 'runs');
select t.submit('done');
select t.claim('w1', 1);
select t.finish('w1', 'done');
select t.submit('waits');
select t.is((select string_agg(fleet.cancel(k), ' ' order by k) from unnest('{done,nobody,runs,waits}'::text[]) k), 'ended not_found cancelling cancelled',
  'cancel answers each: ended, not_found, cancelling, cancelled');
select t.is(t.status('waits'), 'cancelled', 'and the ones behind an ended one are cancelled');
select t.is((select string_agg(fleet.retry(k), ' ' order by k) from unnest('{done,nobody,runs,waits}'::text[]) k), 'completed not_found not_proven_ended created',
  'retry answers each: completed, not_found, not_proven_ended, created');
select t.is(fleet.retry('waits'), 'waiting', 'what waits is not put there again');
select t.is(fleet.retry('done', true), 'created', 'force runs even what is completed');
select t.sound();
rollback;

\echo 'bounds of retry'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 5, "max_attempts_total": 1}');
select t.claim('w1', 1);
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is(fleet.retry('a'), 'retries_exhausted', 'max_attempts_total bounds a retry, with retries left');
select t.is(fleet.retry('a', true), 'created', 'force starts the counters anew');
update fleet.task set release_count = 5 where task_id = 'a';
select t.claim('w1', 1);
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select fleet.retry('a', true);
select t.is((select release_count from fleet.task), 0, 'so that what was given back often waits briefly again');
select t.claim('w1', 1);
select t.is(fleet.retry('a', true, ''), 'not_proven_ended', 'an empty reason abandons nothing');
select t.none('select from fleet.attempt where abandoned_at is not null', '... indeed');
select t.is(fleet.retry('a', true, 'burnt down'), 'created', 'a reason does');
select t.claim('w1', 1);
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is(fleet.retry('a', true), 'created', 'an older abandoned attempt needs no second reason');
select t.sound();
rollback;

\echo 'what they leave'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.submit('b');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.cancel('a', 'first');
update fleet.task set cancel_at = '2026-01-01Z' where task_id = 'a';
select t.is(fleet.cancel('a', 'second'), 'cancelling', 'asked twice');
select t.is((select row(cancel_at = '2026-01-01Z', cancel_reason)::text from fleet.task where task_id = 'a'), '(t,first)', 'the first wish counts');
select t.is((select count(*) from fleet.history where event_type = 'cancel_requested'), 1::bigint, '... and is told once');
select fleet.cancel('b', 'wrong label');
select t.is((select payload ->> 'reason' from fleet.history where task_id = 'b' and event_type = 'cancelled'), 'wrong label', 'a person''s reason is told');
select t.finish('w1', 'a', 'cancelled', 'cancelled');
select t.is(fleet.retry('a'), 'created', 'again');
select t.is((select row(retry_count, assigned_at, cancel_at, cancel_reason)::text from fleet.task where task_id = 'a'), '(1,,,)',
  'which counts as a retry, and is not assigned or to be cancelled any more');
rollback;
