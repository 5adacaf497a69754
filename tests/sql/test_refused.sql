-- A label that a sender who may not start work added counts for nobody until it was taken away.

\set refuse '{"admitted": false, "refusal": "sender_not_allowed"}'
\echo 'a refused label'
begin;
select t.is(t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', :'refuse'), 'ignored sender_not_allowed', 'is ignored');
select t.is(t.starts('d2', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:05Z'), false,
  'does not start with the next event of somebody who may');
select t.is(t.starts('d3', 'label_updated', '{agent:x,agent:y,bug}', '2026-01-01T10:00:06Z'), true, 'another agent label by somebody who may does');
select t.is((select requirements from fleet.task), '{y}'::text[], '... without the refused one');
select t.sound('every invariant');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', :'refuse');
select t.is(t.starts('d2', 'label_updated', '{bug}', '2026-01-01T10:00:05Z'), false, 'taken away it starts nothing');
select t.is(t.starts('d3', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:06Z'), true, 'added again by somebody who may it counts');
rollback;
begin;
select t.deliver('d1', 'label_updated', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'label_updated', '{agent:x,agent:y}', '2026-01-01T10:00:05Z', :'refuse'), 'ignored sender_not_allowed',
  'on a task that waits it is ignored');
select t.is((select row(status, requirements)::text from fleet.task), '(created,{x})', '... and requires nothing: the task waits on');
select t.deliver('d3', 'label_updated', '{agent:x,agent:y,bug}', '2026-01-01T10:00:06Z');
select t.is((select row(status, requirements)::text from fleet.task), '(created,{x})', '... also after an event of somebody who may');
select t.is((select row(labels, refused)::text from fleet.issue), '("{agent:x,bug}",{agent:y})', '... which leaves only the other one refused');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', :'refuse');
select t.is(t.starts('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z'), true, 'the very same delivery counts when its sender is admitted');
rollback;

\echo 'closing'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'closed', '{agent:x}', '2026-01-01T10:00:05Z', '{"admitted": false, "refusal": "sender_not_allowed", "state": "closed"}'),
  'ignored sender_not_allowed', 'by a sender who may not start work');
select t.is((select status from fleet.task), 'cancelled', '... stops all the same: stopping is free');
select t.is(t.deliver('d3', 'closed', '{agent:x}', '2026-01-01T09:00:00Z', '{"admitted": false, "refusal": "sender_not_allowed", "state": "closed"}'),
  'ignored sender_not_allowed', '... an old one is ignored');
select t.sound('every invariant');
rollback;

\echo 'labels that somebody who may not start work takes away'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:00:01Z', '{"admitted": false, "refusal": "sender_not_allowed"}'), 'ignored sender_not_allowed',
  'is ignored as a start');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'but stopping is free: what waits is cancelled');
select t.is(t.deliver('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z', '{"admitted": false, "refusal": "sender_not_allowed"}'), 'ignored sender_not_allowed',
  'adding it again is refused');
select t.is(t.starts('d4', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:03Z'), false, 'and does not start with the next event of somebody who may');
select t.sound();
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'label_cleared', '{}', '2026-01-01T10:00:01Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.starts('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z'), true, 'added again by somebody who may: the same task runs again');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:01Z');
select t.deliver('d0', 'label_cleared', '{}', '2026-01-01T10:00:01Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.status('acme/rocket#42'), 'created', 'a removal of the same second may have been before: it stops nothing');
rollback;

\echo 'a refused delivery''s id under another body'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.starts('d1', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:01Z'), false, 'frees no refused label: the id is not signed');
rollback;

\echo 'an event from before a removal'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d3', 'label_cleared', '{}', '2026-01-01T10:00:05Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.deliver('d2', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:04Z'), 'ignored stale', 'that comes after it starts nothing');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'the task stays cancelled');
rollback;
