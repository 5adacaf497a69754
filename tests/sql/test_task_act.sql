-- Cancel and retry by REST: every answer, and the row in the trail of each that is granted, by REST and by psql.

create function pg_temp.code(r fleet.reply) returns text language sql as $$
  select concat_ws(' ', r.status, coalesce(r.body::jsonb ->> 'code', r.body::jsonb ->> 'status')) $$;

\echo 'cancel'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('runs');
select t.claim('w1', 1);
select t.start('w1', 'runs');
select t.submit('done');
select t.claim('w1', 1);
select t.finish('w1', 'done');
select t.submit('waits');
select t.is(pg_temp.code(fleet.task_cancel(t.by(), 'nobody', null)), '404 not_found', 'a task that does not exist');
select t.is(pg_temp.code(fleet.task_cancel(t.by(), 'runs', 'wrong label')), '202 cancelling', 'a run has to be stopped first');
select t.is(pg_temp.code(fleet.task_cancel(t.by(), 'runs', 'again')), '202 cancelling', 'asked again: the same');
select t.is(pg_temp.code(fleet.task_cancel(t.by(), 'waits', 'wrong label')), '200 cancelled', 'what waits is cancelled at once');
select t.is(pg_temp.code(fleet.task_cancel(t.by(), 'waits', null)), '200 cancelled', 'asked again: the same');
select t.is(pg_temp.code(fleet.task_cancel(t.by(), 'done', null)), '409 conflict', 'what has completed cannot be cancelled');
select t.ok((fleet.task_cancel(t.by(), 'done', null)).body::jsonb ->> 'error' like '%completed', '... and the refusal says what it is');
select t.is((select string_agg(concat_ws(' ', actor, address, request_id, action, object, before ->> 'status', after ->> 'status', after ->> 'reason'), ', ' order by audit)
             from fleet.audit where action <> 'task_submit'),
  'open 192.0.2.7 req-1 task_cancel runs running cancelling wrong label, open 192.0.2.7 req-1 task_cancel runs running cancelling again, '
  'open 192.0.2.7 req-1 task_cancel waits created cancelled wrong label', 'the trail has each wish that was granted, with the status before and after');
select t.sound();
rollback;

\echo 'retry'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 0}');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'nobody', false, null)), '404 not_found', 'a task that does not exist');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', false, null)), '400 illegal_transition', 'what waits is not put there again');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', true, null)), '409 not_proven_dead', 'not while a run may live, whatever force');
select t.is((select body::jsonb -> 'details' ->> 'attempt' || ' ' || (body::jsonb -> 'details' ->> 'agent_id') || ' ' || (body::jsonb ->> 'error')
             from fleet.task_retry(t.by(), 'a', false, null)),
  '1 h/codex-cli attempt 1 on h/codex-cli is not proven ended (running): cancel the task and wait, or give the attempt up with '
  '{"force": "abandon", "reason": "…"}; then the task may run twice', '... which names the attempt and the way out');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', true, 'burnt down')), '200 created', 'a reason abandons it');
select t.claim('w1', 1);
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', false, null)), '400 retries_exhausted', 'bounded by max_retries');
select t.is((select body::jsonb ->> 'error' || (body::jsonb -> 'details')::text from fleet.task_retry(t.by(), 'a', false, null)),
  'the task has used 0 of 0 retries: {"force": true} runs it again, its counters start anew'
  '{"way_out": "{\"force\": true}", "attempts": 1, "max_retries": 0, "retry_count": 0, "max_attempts_total": 10}', '... with count, limit and the way out');
update fleet.task set max_attempts_total = 1, max_retries = 5;
select t.ok((fleet.task_retry(t.by(), 'a', false, null)).body::jsonb ->> 'error' like 'the task was tried 1 times of at most 1:%', 'or by max_attempts_total');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', true, null)), '200 created', 'unless forced');
select t.claim('w1', 1);
select t.finish('w1', 'a');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', false, null)), '400 illegal_transition', 'what completed is not retried');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', true, null)), '200 created', 'unless forced');
select t.is((select string_agg(concat_ws(' ', action, before ->> 'status', after ->> 'status', after ->> 'force', after ->> 'abandon'), ', ' order by audit) from fleet.audit where action <> 'task_submit'),
  'task_retry running created true burnt down, task_retry failed created true, task_retry completed created true', 'the trail has each');
select t.sound();
rollback;

\echo 'agent_lost'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '1 day';
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'agent_lost', 'a run that nobody sees');
select t.is((select status || ' ' || (body::jsonb -> 'details' ->> 'phase_reason') || ' ' || (body::jsonb -> 'details' ->> 'unseen_since' is not null)
             from fleet.task_retry(t.by(), 'a', false, null)), '409 timeout true', 'is not proven ended: the refusal says since when and why');
select t.is(pg_temp.code(fleet.task_retry(t.by(), 'a', true, 'burnt down')), '200 created', 'a person may abandon it');
rollback;

\echo 'the trail of psql'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select fleet.cancel('a', 'first');
select fleet.cancel('a', 'second');
select fleet.retry('a');
select fleet.cancel('nobody');
select t.claim('w1', 1);
select fleet.free_slot('a', 1, 'burnt');
select t.is((select string_agg(concat_ws(' ', actor = 'psql:' || session_user, action, object, before ->> 'status', after ->> 'status', after ->> 'reason'), ', ' order by audit) from fleet.audit where action <> 'task_submit'),
  't task_cancel a created cancelled first, t task_retry a cancelled created, t free_slot a assigned failed burnt', 'has what was granted, and nothing else');
rollback;
