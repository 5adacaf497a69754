-- From the claim to the end: retries, limits, cancel, abandon, repeats.

\echo 'an ordinary run, and every answer repeated'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.is(t.status('a'), 'created', 'submitted: created');
select t.claim('w1', 1);
select t.is(t.status('a'), 'assigned', 'claimed: assigned');
select t.put('a', t.attempt('a'));
select t.is((select row(verdict, run, command, prompt)::text from fleet.starting(t.node('w1'), t.got('a'), 1, 'r1', 'c1', 'p1')), '(go,r1,c1,p1)',
  'starting says go');
select t.is((select row(verdict, run, command, prompt)::text from fleet.starting(t.node('w1'), t.got('a'), 1, 'r2', 'c2', 'p2')), '(go,r1,c1,p1)',
  'repeated, the first run, command and prompt win');
select fleet.started(t.node('w1'), t.got('a'), 1, 1);
select fleet.started(t.node('w1'), t.got('a'), 1, 1);
select fleet.phase(t.node('w1'), t.got('a'), 1, 'running', null);
select fleet.phase(t.node('w1'), t.got('a'), 1, 'running', null);
select t.is(t.status('a'), 'running', 'started: running');
select t.is(t.finish('w1', 'a'), 'completed', 'finished: completed');
select t.is(t.finish('w1', 'a'), 'completed', 'the same again: the same answer');
select t.is((select count(*) from fleet.event join fleet.task using (task) where task_id = 'a' and to_status = 'completed'), 1::bigint,
  'and one event');
select t.throws($$select fleet.finish(t.node('w1'), t.got('a'), 1, 'failed', 'exit_nonzero', 1, null)$$, 'AF004',
  'another outcome for what ended is refused');
select t.is(t.status('a'), 'completed', 'and changes nothing');
select t.is((select string_agg(to_status, ' ' order by event_id) from fleet.event join fleet.task using (task) where task_id = 'a' and to_status is distinct from from_status), 'created assigned running completed',
  'each change of status has its event, in order');
select t.throws($$select fleet.finish(t.node('w1'), t.got('a'), 1, 'splendid', null, 0, null)$$, 'AF007',
  'an outcome that does not exist is refused');
select t.throws($$select fleet.finish(t.node('w1'), -5, 1, 'succeeded', null, 0, null)$$, 'AF003',
  'an attempt that does not exist is not found');
rollback;

\echo 'retries'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 2}');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.is(t.finish('w1', 'a', 'failed', 'exit_nonzero', 7), 'created', 'failed with a retry left: created');
select t.is(t.claim('w1', 9), '', 'but not at once');
select t.ok((select run_at - now() between interval '9 s' and interval '16 s' from fleet.delayed), 'the first back-off is the base');
select t.due();
select t.is(t.claim('w1', 9), 'a', 'later it is claimed again');
select t.is((select number from fleet.attempt where attempt = t.attempt('a')), 2, 'as attempt 2');
select t.is(t.finish('w1', 'a', 'timed_out', 'timed_out'), 'created', 'timed out: a retry too');
select t.ok((select run_at - now() between interval '19 s' and interval '31 s' from fleet.delayed), 'the back-off doubles');
select t.due();
select t.claim('w1', 9);
select t.is(t.finish('w1', 'a', 'failed', 'exit_nonzero', 7), 'failed', 'no retry left: failed');
select t.is((select failure_reason from fleet.task where task_id = 'a'), 'exit_nonzero', 'with the reason');
select t.none('select from fleet.queue union all select from fleet.delayed', 'nothing waits');
select t.is(fleet.retry('a'), 'retries_exhausted', 'a retry by a person is bounded by max_retries');
select t.is(fleet.retry('a', true), 'created', 'unless forced');
select t.is((select retry_count from fleet.task where task_id = 'a'), 0, 'then the counters are 0');
select t.is(t.claim('w1', 9), 'a', 'it is due at once');
select t.is((select number from fleet.attempt where attempt = t.attempt('a')), 4, 'attempt numbers go on');
select t.is(fleet.retry('a', true), 'not_proven_ended', 'retry while an attempt may live is refused');
select t.is(t.finish('w1', 'a', 'no_change'), 'completed', 'no_change completes');
select t.is(fleet.retry('a'), 'completed', 'what completed is not retried');
select t.is(fleet.retry('nobody'), 'not_found', 'what does not exist is not found');
select t.sound('every invariant after retries');
rollback;

\echo 'the longest back-off'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 50, "max_attempts_total": 60}');
do $$ begin
  for i in 1..40 loop
    perform t.claim('w1', 1);
    perform t.finish('w1', 'a', 'failed', 'exit_nonzero', 7);
    exit when i = 40;
    perform t.due();
  end loop;
end $$;
select t.ok((select run_at - now() between interval '550 s' and interval '900 s' from fleet.delayed),
  'the back-off has an upper bound after 40 failures');
rollback;

\echo 'limits over all attempts'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 9, "max_attempts_total": 3}');
select t.claim('w1', 1);
select t.is(fleet.release(t.node('w1'), t.attempt('a'), 1, 'start_refused'), 'created', 'what was claimed only can be given back');
select t.is(fleet.release(t.node('w1'), t.attempt('a'), 1, 'start_refused'), 'created', 'again: the same answer');
select t.is((select row(retry_count, release_count, attempts)::text from fleet.task), '(0,1,1)', 'a release is no retry, but counts as an attempt');
select t.ok((select run_at - now() between interval '1 s' and interval '4 s' from fleet.delayed), 'it waits a little');
select t.due();
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.throws($$select fleet.release(t.node('w1'), t.attempt('a'), 1, 'start_refused')$$, 'AF001', 'what may have started is not given back');
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.due();
select t.claim('w1', 1);
select t.is(fleet.release(t.node('w1'), t.attempt('a'), 1, 'start_refused'), 'failed',
  'max_attempts_total counts every attempt, also those given back');
select t.sound('every invariant at the limit');
select t.submit('v');
select t.claim('w1', 1);
select * from fleet.starting(t.node('w1'), t.attempt('v'), 1, 'r', 'c', 'p');
select t.is(fleet.void_confirmed(t.node('w1'), t.attempt('v'), 1, 'start_timeout'), 'created',
  'a run that left a tombstone never started: given back');
select t.is(fleet.void_confirmed(t.node('w1'), t.attempt('v'), 1, 'start_timeout'), 'created', 'again: the same answer');
select t.is((select row(retry_count, release_count)::text from fleet.task where task_id = 'v'), '(0,1)', 'and burns no retry');
rollback;

\echo 'cancel'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('waits');
select t.submit('later', '{agent:code:rust}', jsonb_build_object('run_at', now() + interval '1 hour'));
select t.is(fleet.cancel('waits', 'not needed'), 'cancelled', 'what waits is cancelled at once');
select t.is(fleet.cancel('later'), 'cancelled', 'what waits for its time too');
select t.none('select from fleet.queue union all select from fleet.delayed', 'nothing of them waits');
select t.is(t.claim('w1', 9), '', 'nor is claimed');
select t.is(fleet.cancel('waits'), 'ended', 'what is cancelled cannot be cancelled again');
select t.is(fleet.cancel('nobody'), 'not_found', 'what does not exist is not found');
select t.is(fleet.retry('waits'), 'created', 'a cancelled task can be retried');

select t.is(t.claim('w1', 1), 'waits', 'claimed');
select t.is(fleet.cancel('waits'), 'cancelling', 'what is claimed gets the wish');
select t.is(fleet.cancel('waits'), 'cancelling', 'asked twice: the same');
select t.is((select kind || ' ' || (attempt = t.attempt('waits')) || ' ' || epoch from fleet.renew(t.node('w1'), array[t.attempt('waits')]) where kind = 'cancel'), 'cancel true 1',
  'renew brings it to the owner');
select t.is((select verdict from fleet.starting(t.node('w1'), t.attempt('waits'), 1, 'r', 'c', 'p')), 'cancel', 'starting says cancel instead of go');
select t.is((select phase from fleet.attempt where attempt = t.attempt('waits')), 'claimed', 'so it may be given back');
select t.is(fleet.release(t.node('w1'), t.attempt('waits'), 1, 'cancelled'), 'cancelled', 'given back, it is cancelled');

select t.submit('runs');
select t.claim('w1', 1);
select t.start('w1', 'runs');
select t.is(fleet.cancel('runs'), 'cancelling', 'what runs has to be stopped');
select t.is(t.status('runs'), 'running', 'and is running till it is');
select fleet.phase(t.node('w1'), t.attempt('runs'), 1, 'stopping', null);
select t.is(t.finish('w1', 'runs', 'cancelled', 'cancelled'), 'cancelled', 'stopped: cancelled');
select t.submit('late');
select t.claim('w1', 1);
select t.start('w1', 'late');
select fleet.cancel('late');
select t.is(t.finish('w1', 'late', 'succeeded'), 'completed', 'a run that succeeded all the same is completed');
select t.ok(exists (select from fleet.event where event_type = 'cancel_too_late'), 'and the history says that the cancel came too late');
select t.submit('bad');
select t.claim('w1', 1);
select t.start('w1', 'bad');
select fleet.cancel('bad');
select t.is(t.finish('w1', 'bad', 'failed', 'exit_nonzero', 1), 'cancelled', 'one that failed is cancelled, not retried');
select t.is(fleet.retry('bad'), 'created', 'retried by a person');
select t.is((select cancel_at from fleet.task where task_id = 'bad'), null, 'the old wish is gone');
select t.sound('every invariant after cancels');
rollback;

\echo 'abandon'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.put('old', t.attempt('a'));
select fleet.phase(t.node('w1'), t.got('old'), 1, 'unreachable', 'ssh_refused');
select t.is(fleet.retry('a', true), 'not_proven_ended', 'unreachable is no proof of death');
select t.is(fleet.retry('a', false, 'the machine burned down'), 'created', 'a person may abandon an attempt, with a reason');
select t.is(t.claim('w1', 9), '', 'the abandoned attempt keeps its slot');
select t.ok((select abandoned_at is not null and ended_at is null and abandoned_by = 'psql:postgres' from fleet.attempt where attempt = t.got('old')),
  'it is marked, not ended');
select t.is((select count(*) from fleet.renew(t.node('w1'), array[t.got('old')]) where kind = 'cancel' and attempt = t.got('old')), 1::bigint,
  'with a standing wish to be killed');
select t.sound('every invariant with an abandoned attempt');
select t.is(fleet.finish(t.node('w1'), t.got('old'), 1, 'succeeded', null, 0, null, p_summary => 'late'), 'created', 'its result settles nothing');
select t.is((select outcome from fleet.attempt where attempt = t.got('old')), 'succeeded', 'but is kept as evidence');
select t.is(t.claim('w1', 9), 'a', 'its slot is free then');
select t.is((select number from fleet.attempt where attempt = t.attempt('a')), 2, 'for attempt 2');
select t.sound('every invariant after an abandoned attempt ended');
rollback;

\echo 'lost'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'ssh_refused');
select t.is(t.status('a'), 'running', 'out of reach for a moment changes no status');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'running', null);
select t.is((select phase from fleet.attempt), 'running', 'and it may come back');
select t.is(t.finish('w1', 'a', 'lost', 'host_rebooted'), 'created', 'lost and proven dead: a retry');
select t.sound('every invariant after a lost run');
rollback;

\echo 'settings'
begin;
select fleet.set('retry_base_ms', 1);
select t.is((select value from fleet.setting where name = 'retry_base_ms'), 1::bigint, 'a setting can be changed');
select t.throws($$select fleet.set('no_such', 1)$$, 'AF003', 'one that does not exist cannot');
select t.throws($$select fleet.set('beat_ms', -1)$$, 'AF007', 'nor set to nonsense');
rollback;
