-- A start that was announced and of which nobody has proof: its host died in between, or it never left us.

\echo 'a host that dies between starting and started'
begin;
select fleet.set('open_grace_ms', 0);
select t.worker('w1', t.host('h', '{code:rust}', 1), t.host('g', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.keep('host', (select host_id from fleet.tasks where task_id = 'a'));
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'agent', 'prompt') \g /dev/null
select t.report_down('w1', t.kept('host'), 'timeout', 'trouble');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
select t.is((select row(status, phase)::text from fleet.tasks), '(assigned,unreachable)', 'it is shown as out of reach');
select t.is((select phase_reason from fleet.running), 'timeout', 'with the reason');
select t.ok((select reason like '%unreachable: timeout%' from fleet.explanations where task_id = 'a'), 'which explain says too');
select t.is((select proven from fleet.jobs(t.node('w1'), array[t.attempt('a')])), false, 'its start is not proven by that');
select t.sound();
update fleet.attempt set unreachable_at = now() - interval '10 min';
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'agent_lost', 'after lost_ms it is lost');
select t.sound();
select t.is(fleet.cancel('a'), 'cancelling', 'it may be cancelled');
savepoint lost;

select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'running', null);
select t.is((select row(status, phase)::text from fleet.tasks), '(assigned,starting)', 'in reach again it is being started, not running');
select t.is(fleet.void_confirmed(t.node('w1'), t.attempt('a'), 1, 'cancelled'), 'cancelled', 'a tombstone proves that it never ran: cancelled');
select t.sound();
rollback to lost;

update fleet.attempt set unseen_ms = 4 * 3600000;
select fleet.reap(t.node('w1'));
select t.is((select row(status, failure_reason)::text from fleet.task), '(failed,host_lost)', 'after hours of looking in vain it fails');
select t.sound();
rollback to lost;

select fleet.node_start(t.node('w2'), 'worker', 'w2', '0.1.0', 'x');
select t.configure('w2', t.host('h', '{code:rust}', 1), t.host('g', '{code:rust}', 1));
select fleet.node_stop(t.node('w1'));
select t.is(t.adopt('w2', 'w1', 0), 'a/2', 'another worker takes it over');
select t.is((select row(phase, proven, command)::text from fleet.jobs(t.node('w2'), array[t.attempt('a')])), '(unreachable,f,agent)',
  'and is told that its start is not proven, and how it was to be started');
select fleet.started(t.node('w2'), t.attempt('a'), 2, 7);
select t.is((select row(status, phase)::text from fleet.tasks), '(running,running)', 'what the host then proves is running');
select t.is((select proven from fleet.jobs(t.node('w2'), array[t.attempt('a')])), true, 'and proven');
rollback;

\echo 'proven not to have come: elsewhere at once'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1), t.host('g', '{code:rust}', 1));
select fleet.set('release_base_ms', 0);
select t.submit('a');
select t.claim('w1', 1);
select t.keep('host', (select host_id from fleet.tasks where task_id = 'a'));
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'agent', 'prompt') \g /dev/null
select t.report_down('w1', t.kept('host'), 'refused', 'trouble');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'refused');
select t.is(fleet.release(t.node('w1'), t.attempt('a'), 1, 'host_unreachable'), 'created', 'its owner knows that not a byte left');
select t.is(fleet.release(t.node('w1'), t.attempt('a'), 1, 'host_unreachable'), 'created', 'told again: the same');
select t.is(t.claim('w1', 1), 'a', 'it is claimed at once');
select t.ok((select host_id <> t.kept('host') from fleet.tasks), 'on the other host');
select t.sound();
rollback;

\echo 'who cannot know gives nothing back'
begin;
select fleet.set('open_grace_ms', 0);
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.worker('w2', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'agent', 'prompt') \g /dev/null
select fleet.node_stop(t.node('w1'));
select t.adopt('w2', 'w1', 0);
select t.throws($$select fleet.release(t.node('w2'), t.attempt('a'), 2, 'host_unreachable')$$, 'AF001', 'an earlier owner may have sent it');
select * from fleet.starting(t.node('w2'), t.attempt('a'), 2, 'run', 'agent', 'prompt') \g /dev/null
select t.throws($$select fleet.release(t.node('w2'), t.attempt('a'), 2, 'host_unreachable')$$, 'AF001', 'announcing it again changes nothing');
select t.is(fleet.void_confirmed(t.node('w2'), t.attempt('a'), 2, 'host_unreachable'), 'created', 'only its host can say');
rollback;

\echo 'taken over before it was announced'
begin;
select fleet.set('open_grace_ms', 0);
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.worker('w2', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select fleet.node_stop(t.node('w1'));
select t.adopt('w2', 'w1', 0);
select * from fleet.starting(t.node('w2'), t.attempt('a'), 2, 'run', 'agent', 'prompt') \g /dev/null
select t.is(fleet.release(t.node('w2'), t.attempt('a'), 2, 'host_unreachable'), 'created', 'nobody before can have sent it');
select t.sound();
rollback;

\echo 'what an agent says of itself'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.is((select host_state - 'machine' from fleet.attempt), '{"pid": 7, "boot": "b", "start": "8"}', 'what the host says of a start');
select t.is((select row(epoch, pid, start, boot, machine)::text from fleet.jobs(t.node('w1'), array[t.attempt('a')])),
  format('(1,7,8,b,%s)', t.identity('h') ->> 'machine'), 'its owner is told again');
select t.none($$select * from fleet.jobs(t.node('w2'), array[t.attempt('a')])$$, 'nobody else');
select t.throws($$select fleet.started(t.node('w1'), t.attempt('a'), 1, p_pdi => 7)$$, '42883', 'a misspelt member is no silent null');
select t.throws($$select fleet.finish(t.node('w1'), t.attempt('a'), 1, 'succeeded', null, 0, null, p_sumary => 'x')$$, '42883', 'nor one of the end');
select fleet.finish(t.node('w1'), t.attempt('a'), 1, 'succeeded', null, 0, null, 'th', 'Done.', p_stopped => 'cancelled', p_input_tokens => 3, p_output_tokens => 4);
select t.is((select report::text from fleet.attempt),
  '{"tokens": {"input": 3, "output": 4}, "stopped": "cancelled", "summary": "Done.", "session_id": "th"}', 'what was said is kept, what was not is not there');
rollback;

\echo 'what an end is proven by'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.submit('b');
select t.claim('w1', 2);
select t.start('w1', 'a');
select t.start('w1', 'b');
select fleet.finish(t.node('w1'), t.attempt('a'), 1, 'cancelled', 'run_tampered', null, 9, p_stopped => 'run_tampered',
                    p_proof => E'no_child_left\nno_mark ' || repeat('x', 1000));
select t.is((select row(outcome, reason, left(proof, 22), length(proof))::text from fleet.attempt_details where task_id = 'a'),
  '(cancelled,run_tampered,"no_child_left no_mark ",500)', 'is kept, as words, bounded');
select t.is((select payload ->> 'proof' from fleet.history where task_id = 'a' and event_type = 'attempt_ended') like 'no_child_left no_mark x%', true,
  'the history has it');
select t.is((select j -> 'attempts' -> 0 ->> 'proof' from (select (fleet.task_detail(t.by(0), 'a')).body::jsonb as j) x) like 'no_child_left no_mark x%', true, 'and REST');
select t.is((select row(class, retry, advice <> '')::text from fleet.reasons where reason = 'run_tampered'), '(policy,never,t)', 'tampering has its reason');
update fleet.host set machine = 'another';
select t.throws($$select fleet.finish(t.node('w1'), t.attempt('b'), 1, 'lost', 'rundir_missing', null, null)$$, 'AF006',
  'another machine cannot say that nothing of a run is left');
update fleet.host set machine = t.identity('h') ->> 'machine';
select t.is(fleet.finish(t.node('w1'), t.attempt('b'), 1, 'lost', 'rundir_missing', null, null, p_proof => 'rundir_absent no_mark'), 'created',
  'the same one can: the slot is free, and the task is tried again');
select t.is((select free from fleet.agents), 2, 'both slots are free');
select t.is(fleet.finish(t.node('w1'), t.attempt('b'), 1, 'lost', 'rundir_missing', null, null), 'created', 'told again, the same answer');
select t.sound();
rollback;
