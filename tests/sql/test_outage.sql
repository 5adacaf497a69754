-- An outage of ours is never the host's: what counts towards host_lost, and what becomes of a success that comes late.

\echo 'a fleet that was away'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.submit('b');
select t.submit('c');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.claim('w1', 1);
select t.start('w1', 'b');
select fleet.phase(t.node('w1'), t.attempt('b'), 1, 'unreachable', 'timeout');
select fleet.node_stop(t.node('w1'));
update fleet.node set stopped_at = now() - interval '4 hours', beat_at = now() - interval '4 hours' where node = t.node('w1');
update fleet.attempt set unreachable_at = unreachable_at - interval '4 hours', looked_at = now() - interval '4 hours';
select t.worker('w2', t.host('h', '{code:rust}', 2));
select fleet.reap(t.node('w2'));
select fleet.reap(t.node('w2'));
select t.is((select string_agg(task_id || ' ' || status, ', ' order by task_id) from fleet.task), 'a agent_lost, b agent_lost, c created',
  'four hours later its first reap shows the runs as lost, and fails none');
select t.is(t.adopt('w2', 'w1', 0), 'a/2 b/2', 'it takes them over');
select fleet.reap(t.node('w2'));
select t.is((select max(unseen_ms) from fleet.attempt), 0::bigint, 'and has not looked in vain yet');
select t.is((select row(status, attempt, phase)::text from fleet.tasks where task_id = 'a'), '(running,1,running)', 'the run goes on');
select t.is(t.finish('w2', 'a'), 'completed', 'and completes');
select t.sound();
rollback;

\echo 'only looks in vain count'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.report_down('w1', 'h', 'timeout', 'no answer');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
select fleet.reap(t.node('w1'));
select t.is((select unseen_ms from fleet.attempt), 0::bigint, 'the first look begins the clock');
update fleet.attempt set looked_at = now() - interval '1 min';
select fleet.reap(t.node('w1'));
select t.is((select unseen_ms from fleet.attempt), 60000::bigint, 'a look a minute later counts a minute');
update fleet.attempt set looked_at = now() - interval '5 hours';
select fleet.reap(t.node('w1'));
select t.is((select unseen_ms from fleet.attempt), 180000::bigint, 'one after a pause of hours counts two minutes');
select t.ok(t.status('a') <> 'failed', 'so a machine that slept fails nothing');
select t.worker('w2', t.host('h', '{code:rust}', 2));
update fleet.attempt set looked_at = now() - interval '1 min';
select fleet.reap(t.node('w2'));
select t.is((select unseen_ms from fleet.attempt), 180000::bigint, 'who does not own it does not look for it');
select fleet.reap(t.node('w1'));
select t.is((select unseen_ms from fleet.attempt), 180000::bigint, 'nothing counts while another worker reaches the host');
select t.report_down('w2', 'h', 'timeout', 'no answer');
update fleet.attempt set looked_at = now() - interval '1 min';
select fleet.reap(t.node('w1'));
select t.is((select unseen_ms from fleet.attempt), 240000::bigint, 'when that does not either it goes on');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'running', null);
select t.is((select row(unseen_ms, looked_at)::text from fleet.attempt), '(0,)', 'once seen the clock stands at nothing');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
select t.configure('w1', variadic '{}'::jsonb[]);
update fleet.attempt set looked_at = now() - interval '1 min';
select fleet.reap(t.node('w1'));
select t.is((select unseen_ms from fleet.attempt), 0::bigint, 'a worker that does not list the host looks for nothing');
rollback;

\echo 'the clock over owners'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.report_down('w1', 'h', 'timeout', 'no answer');
select t.report_down('w2', 'h', 'timeout', 'no answer');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unseen_ms = fleet.get('reattach_ms') - 30000, looked_at = now() - interval '1 hour';
select fleet.node_stop(t.node('w1'));
select t.adopt('w2', 'w1', 0);
select fleet.reap(t.node('w2'));
select t.ok(t.status('a') <> 'failed', 'what an owner before looked in vain stays counted, the pause between does not');
update fleet.attempt set looked_at = now() - interval '1 min';
select fleet.reap(t.node('w2'));
select t.is((select row(status, failure_reason)::text from fleet.task), '(failed,host_lost)', 'a minute more and it is given up');
select t.ok((select (payload ->> 'unseen_ms')::bigint > 10800000 from fleet.event where to_status = 'failed'), 'with the time that was looked in vain');
select t.sound();
rollback;

\echo 'a success that comes after the host was given up'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 4));
select t.submit('good');
select t.submit('bad');
select t.submit('asked');
select t.submit('again');
select t.claim('w1', 4);
select t.start('w1', task_id) from fleet.task;
select fleet.phase(t.node('w1'), attempt, 1, 'unreachable', 'timeout') from fleet.attempt;
select fleet.cancel('asked');
update fleet.attempt set unseen_ms = 4 * 3600000;
select fleet.reap(t.node('w1'));
select t.is((select string_agg(distinct status || ' ' || failure_reason, ', ') from fleet.task), 'failed host_lost', 'all were given up');
select t.is(t.finish('w1', 'good'), 'completed', 'a proven success is kept');
select t.is((select row(failure_reason, completed_at is not null)::text from fleet.task where task_id = 'good'), '(,t)', 'without a reason of failure');
select t.is((select string_agg(event_type, ' ' order by event_id) from fleet.history where task_id = 'good' and event_id > (
               select max(event_id) from fleet.history where task_id = 'good' and to_status = 'failed')),
  'attempt_ended given_up_too_soon completed', 'and the history says that it was given up too soon');
select t.is(t.finish('w1', 'good'), 'completed', 'told again: the same');
select t.is(t.finish('w1', 'bad', 'failed', 'exit_nonzero', 1), 'failed', 'a failure stays one');
select t.is((select failure_reason from fleet.task where task_id = 'bad'), 'host_lost', 'for the reason that was told');
select t.is(t.finish('w1', 'asked'), 'completed', 'a cancel that was asked meanwhile came too late');
select t.is((select count(*) from fleet.history where task_id = 'asked' and event_type = 'cancel_too_late'), 1::bigint, 'and that is said');
select fleet.retry('again', true, 'burnt down');
select t.is(t.finish('w1', 'again'), 'created', 'what a person abandoned is evidence only');
select t.sound();
rollback;

\echo 'no other failure becomes a success'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 0}');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.is(t.finish('w1', 'a', 'failed', 'exit_nonzero', 1), 'failed', 'a run that failed');
select t.throws($$select t.finish('w1', 'a')$$, 'AF004', 'does not succeed afterwards');
rollback;

\echo 'the last worker is gone'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select fleet.node_start(t.node('s'), 'server', 's', '0.1.0', 'x');
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.node_stop(t.node('w1'));
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'running', 'at once nothing is said of its run');
update fleet.node set stopped_at = now() - interval '10 minutes' where node = t.node('w1');
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'agent_lost', 'after lost_ms its task is shown as agent_lost');
savepoint s;
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'a worker that starts takes the run over');
select fleet.phase(t.node('w2'), t.attempt('a'), 2, 'running', null);
select t.is(t.status('a'), 'running', 'and shows it as running');
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'running', 'which it stays');
select t.is(t.finish('w2', 'a'), 'completed', 'to its end');
rollback to s;
update fleet.node set stopped_at = now() - interval '4 hours' where node = t.node('w1');
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'agent_lost', 'after hours as well: nobody looked for it');
select t.is((select count(*) from fleet.slot where attempt is not null), 1::bigint, 'and its slot stays held');
select t.sound();
rollback;

\echo 'out of reach, and then its node is gone'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.worker('w2', t.host('h', '{code:rust}', 3));
select t.submit('host'), t.submit('node');
select t.claim('w1', 2);
select t.start('w1', 'host'), t.start('w1', 'node');
select fleet.phase(t.node('w1'), t.attempt('host'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '10 min' where attempt = t.attempt('host');
update fleet.node set dead_at = now() - interval '1 min' where node = t.node('w1');
select fleet.reap(t.node('w2'));
select t.is(t.status('host'), 'agent_lost', 'the silence began with the first of the two');
select t.is(t.status('node'), 'running', 'a minute is nothing');
update fleet.node set dead_at = now() - interval '10 min' where node = t.node('w1');
update fleet.attempt set phase = 'unreachable', unreachable_at = now() - interval '1 min' where attempt = t.attempt('node');
select fleet.reap(t.node('w2'));
select t.is(t.status('node'), 'agent_lost', 'whichever it was');
select t.sound();
rollback;
