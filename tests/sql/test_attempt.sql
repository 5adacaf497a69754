-- One attempt's calls, told twice, told late, or told of an attempt that was given up.

\echo 'a start told twice'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
update fleet.attempt set started_at = now() - interval '7 min';
select t.start('w1', 'a');
select t.is((select started_at from fleet.attempt), now() - interval '7 min', 'the first start counts');
select t.throws(format('select fleet.void_confirmed(%L, %s, 1, %L)', t.node('w1'), t.attempt('a'), 'voided'), 'AF001',
                'what was seen running cannot have a tombstone');
select t.is(t.status('a'), 'running', 'and goes on');
rollback;

\echo 'out of reach for another reason'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '7 min';
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'refused');
select t.is((select row(phase_reason, unreachable_at)::text from fleet.attempt), row('refused', now() - interval '7 min')::text,
            'is out of reach since the first');
rollback;

\echo 'an attempt that was given up, beside its successor'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 5}');
select t.claim('w1', 1);
select t.keep('old', t.attempt('a'));
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'agent', 'prompt') \g /dev/null
select fleet.retry('a', true, 'nobody knows where it is');
select t.claim('w1', 1);
select fleet.started(t.node('w1'), t.kept('old')::bigint, 1);
select t.is(t.status('a'), 'assigned', 'its start is not the start of the new one');
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.kept('old')::bigint, 1, 'unreachable', 'timeout');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '10 min' where attempt = t.attempt('a');
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'agent_lost', 'the new one is out of reach');
select fleet.phase(t.node('w1'), t.kept('old')::bigint, 1, 'running', null);
select t.is(t.status('a'), 'agent_lost', 'that the old one is back says nothing of it');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'running', null);
select fleet.phase(t.node('w1'), t.kept('old')::bigint, 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '5 hours', unseen_ms = 5 * 3600000 where attempt = t.kept('old')::bigint;
select fleet.reap(t.node('w1'));
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'running', 'nor does its loss');
select t.sound('every invariant with both');
rollback;

\echo 'a start that nobody announced'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.throws(format('select fleet.started(%L, %s, 1)', t.node('w1'), t.attempt('a')), 'AF001', 'is none');
select t.is((select row(phase, started_at)::text from fleet.attempt), '(claimed,)', 'and changes nothing');
select t.finish('w1', 'a', 'cancelled', 'cancelled');
select t.throws(format($$select fleet.starting(%L, %s, 1, 'r', 'c', 'p')$$, t.node('w1'), t.attempt('a')), 'AF001', 'nor is one announced of what has ended');
select t.is((select count(*) from fleet.jobs(t.node('w1'), array[t.attempt('a')])), 0::bigint, 'which its node owns no more');
rollback;

\echo 'a task that waits again'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is((select row(status, executor)::text from fleet.task), '(created,)', 'is nobody''s');
rollback;

\echo 'what a node owns'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.is((select count(*) from fleet.jobs(t.node('w1'), array[t.attempt('a')])), 1::bigint, 'is answered to it');
select t.is((select count(*) from fleet.jobs(t.node('w2'), array[t.attempt('a')])), 0::bigint, 'and to no other');
rollback;

\echo 'adopted while its host is out of reach'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'timeout');
update fleet.attempt set unreachable_at = now() - interval '10 min';
select fleet.reap(t.node('w2'));
select fleet.node_stop(t.node('w1'));
select t.is(t.adopt('w2', 'w1', 0), 'a/2', 'taken over');
select t.is(t.status('a'), 'agent_lost', 'it stays lost until its host is seen');
rollback;
