-- An issue's memory: what late, refused and repeated deliveries leave of it.

\set refuse '{"admitted": false, "refusal": "sender_not_allowed"}'
\echo 'a repository that is listed later'
begin;
select t.is(t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"admitted": false, "refusal": "repository_not_allowed"}'),
  'ignored repository_not_allowed', 'is refused first');
select t.is(t.starts('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z'), true, 'then the very same delivery counts');
select t.is(t.deliver('d2', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', jsonb_build_object('repo', repeat('x', 600), 'admitted', false, 'refusal', 'repository_not_allowed')),
  'ignored repository_not_allowed', 'a name without end');
select t.is((select length(repo) from fleet.delivery order by delivery desc limit 1), 512, 'is kept short');
rollback;

\echo 'labels by somebody who may not, out of order'
begin;
select t.deliver('d1', 'opened', '{bug}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'label_updated', '{bug,agent:x}', '2026-01-01T10:00:10Z', :'refuse');
select t.is(t.starts('d3', 'label_updated', '{bug,agent:y}', '2026-01-01T10:00:05Z'), true, 'nothing was taken away: what is older and comes later counts');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:10Z');
select t.deliver('d2', 'label_updated', '{agent:x,agent:z}', '2026-01-01T10:00:05Z', :'refuse');
select t.is((select row(labels, refused)::text from fleet.issue), '({agent:x},{})', 'an old word refuses nothing');
select t.deliver('d3', 'label_updated', '{}', '2026-01-01T10:00:04Z', :'refuse');
select t.is(t.status('acme/rocket#42'), 'created', '... and takes nothing away');
rollback;

\echo 'what a task is told'
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:00:01Z');
select t.is((select row(status, failure_reason)::text from fleet.tasks), '(cancelled,label_removed)', 'that its label was taken away');
select t.is((select payload ->> 'reason' from fleet.history where event_type = 'cancelled'), 'label_removed', '... and its history');
update fleet.task set release_count = 5;
select t.is(t.starts('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z'), true, 'it is submitted again');
select t.is((select row(retry_count, attempts, release_count, failure_reason, assigned_at)::text from fleet.task), '(0,0,0,,)', 'with fresh counters');
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select fleet.move(task, 'agent_lost', 'agent_lost', 1, 'node:w1') from fleet.task;
select t.is(t.deliver('d4', 'closed', '{agent:x}', '2026-01-01T10:00:03Z', '{"state": "closed"}'), 'accepted cancelling', 'closing asks a lost run to stop too');
rollback;
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select fleet.move(task, 'failed', 'failed', 1, 'node:w1') from fleet.task;
select t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:00:01Z');
select t.is(t.deliver('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z'), 'accepted not_proven_ended', 'a run that may still live is not started beside');
select t.is(t.status('acme/rocket#42'), 'failed', '... it stays failed');
rollback;
