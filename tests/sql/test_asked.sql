-- What labels of an issue start, hold and stop, as looks see them.

create function pg_temp.fleet(p_policy jsonb default '{}', p_author text default 'ann') returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{x,y}', 9));
  perform t.reads(p_policy);
  perform t.opens(p_author);
end $$;
create function pg_temp.runs() returns text language plpgsql as $$
begin
  perform t.claim('w1', 9);
  perform t.start('w1', 'acme/rocket#42');
  return t.finish('w1', 'acme/rocket#42');
end $$;
create function pg_temp.events() returns text language sql as $$
  select string_agg(event_type || coalesce(' ' || (payload ->> 'hold'), ''), ', ' order by event_id) from fleet.event $$;

\echo 'a label by somebody who may write starts a run, once'
begin;
select pg_temp.fleet();
select t.is(t.look(), 'recorded', 'without a label there is none');
select t.labels('ann', 'bug');
select t.is(t.look(), 'recorded', '... nor with another label');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'submitted', 'with one there is');
select t.is((select row(task_id, title, body, requirements, requested_by, requested_id, hold, priority, labels)::text from fleet.task),
            '(acme/rocket#42,"Do 42","As said",{x},ann,1,,0,"{agent:x,bug}")', 'as the issue says');
select t.is(t.look(), 'recorded', 'looking again changes nothing');
select t.is(pg_temp.runs(), 'completed', 'it runs');
select t.is(t.look(), 'recorded', '... and looking again starts nothing');
select t.labels('ann', 'wontfix');
select t.edits('Something else');
select t.turns('closed');
select t.is(t.look(), 'recorded', '... nor an unrelated label, an edit, a close');
select t.turns('open');
select t.is(t.look(), 'recorded', '... nor a reopening');
select t.unlabels('ann', 'agent:x');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'resubmitted', 'the label put there anew does, within one look');
select t.is((select body from fleet.task), 'Something else', '... with the text of now');
select t.sound();
rollback;

\echo 'who put it there counts'
begin;
select pg_temp.fleet();
select t.labels('bob', 'agent:x');
select t.is(t.look(), 'not_permitted', 'a label by somebody who may only read starts nothing');
select t.none('select task_id from fleet.task', '... and makes no task');
select t.labels('ann', 'bug');
select t.is(t.look(), 'not_permitted', '... nor with the next label of somebody who may');
select t.labels('ann', 'agent:y');
select t.is(t.look(), 'submitted', 'another agent label by that one does');
select t.is((select requirements::text from fleet.task), '{y}', '... and the first stays out');
select t.is((select payload ->> 'labels' from fleet.event where event_type = 'labels_refused'), '["agent:x"]', '... which history says');
select t.labels('eve', 'agent:gpu');
select t.look();
select t.is((select requirements::text from fleet.task), '{y}', 'a stranger''s label beside it does not send it elsewhere');
select t.unlabels('bob', 'agent:x');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'relabelled', 'one of a person who may does');
select t.is((select requirements::text from fleet.task), '{x,y}', '... while it waits');
select t.is(t.look(), 'recorded', '... once');
select t.unlabels('eve', 'agent:y');
select t.look();
select t.is((select requirements::text from fleet.task), '{x}', 'whoever takes one away is heard');
select t.unlabels('eve', 'agent:x');
select t.look();
select t.is(t.stands(), 'cancelled not_permitted', 'with the last of those that count it is cancelled');
select t.sound();
rollback;
begin;
select pg_temp.fleet('{"trigger_users": ["EVE"]}');
select t.labels('eve', 'agent:x');
select t.is(t.look(), 'submitted', 'whom the configuration names may start');
rollback;
begin;
select pg_temp.fleet();
select t.labels('dan', 'agent:x');
select t.is(t.look(), 'not_permitted', 'where Forgejo does not say what somebody may, nothing starts');
select t.unlabels('dan', 'agent:x');
select t.labels('Ghost', 'agent:x');
select t.is(t.look(), 'not_permitted', 'nor for a user who was deleted');
select t.is(t.look(p_seen => jsonb_set(t.seen(), '{label_events}', '[]')), 'not_permitted', 'nor for nobody');
rollback;

\echo 'a task that a delivery made waits for the look'
begin;
select pg_temp.fleet();
select t.labels('bob', 'agent:x');
select t.is(fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:bob'), 'submitted', 'there it is') from fleet.issue i;
select t.is(t.stands(), 'created permission_pending', '... held');
select t.is(fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:bob'), 'recorded', '... once') from fleet.issue i;
select t.is(t.claim('w1', 9), '', '... and nobody gets it');
select t.sound();
select t.is(t.look(), 'not_permitted', 'the look refuses it');
select t.is(t.stands(), 'cancelled not_permitted', '... and says so');
select t.is((select cancel_reason from fleet.task), 'bob put agent:x there and may not write (read)', '... in words');
select t.unlabels('bob', 'agent:x');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'resubmitted', 'a label of somebody who may starts it after all');
select t.is(t.claim('w1', 9), 'acme/rocket#42', '... and it is taken');
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:ann') from fleet.issue i;
select t.unlabels('ann', 'agent:x', p_seconds => 0);
select t.is(t.look(), 'label_removed', 'a label that is gone within its second');
select t.is(t.stands(), 'cancelled label_removed', '... starts nothing');
select t.labels('ann', 'agent:x', p_seconds => 0);
select t.is(t.look(), 'resubmitted', '... and put there again does');
select t.is(pg_temp.events(), 'created, held permission_pending, cancelled, resubmitted', 'each step has its event');
rollback;
begin;
select pg_temp.fleet();
select t.is(fleet.expect_task(i, '{bug}', 'Do 42', 'As said', 'forgejo:ann'), 'recorded', 'nothing is expected of other labels') from fleet.issue i;
select t.is(fleet.expect_task(i, '{agent:x}', 'Do 42', repeat('x', 1048577), 'forgejo:ann'), 'invalid_value', 'nor of an issue that cannot be a task') from fleet.issue i;
select t.labels('ann', 'agent:x');
select t.edits(repeat('x', 1048577));
select t.is(t.look(), 'invalid_value', 'a look does not take it either');
rollback;

\echo 'closing and opening'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select t.turns('closed');
select t.is(t.look(), 'issue_closed', 'what waits is cancelled');
select t.is(t.stands(), 'cancelled issue_closed', '... with the reason');
select t.turns('open');
select t.is(t.look(), 'resubmitted', 'opened again it goes on, for it had no run');
select t.is(t.look(), 'recorded', '... once');
select t.claim('w1', 9);
select t.turns('closed');
select t.is(t.look(), 'cancelling', 'a run is asked to stop');
select t.start('w1', 'acme/rocket#42');
select t.is(t.finish('w1', 'acme/rocket#42', 'cancelled'), 'cancelled', '... and does');
select t.turns('open');
select t.is(t.look(), 'recorded', 'opened again nothing starts: it had its run');
select t.sound();
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select pg_temp.runs();
select t.turns('closed');
select t.look();
select fleet.retry('acme/rocket#42', true);
select t.is(t.look(), 'recorded', 'what a person retries though the issue is closed');
select t.is(t.stands(), 'created', '... is not stopped by that');
select t.turns('open');
select t.look();
select t.turns('closed');
select t.is(t.look(), 'issue_closed', '... but by the next closing');
rollback;

-- Of two labels one is taken away while it is closed.
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.labels('ann', 'agent:y');
select t.look();
select t.turns('closed');
select t.look();
select t.unlabels('ann', 'agent:y');
select t.turns('open');
select t.is(t.look(), 'resubmitted', 'opened again the label that is left is served, for it had no run either');
select pg_temp.runs();
select t.labels('ann', 'agent:y');
select t.is(t.look(), 'resubmitted', 'another label is another run');
select t.turns('closed');
select t.look();
select t.unlabels('ann', 'agent:y');
select t.turns('open');
select t.is(t.look(), 'recorded', 'opened again without it nothing starts: what is left had its run');
rollback;

\echo 'labels of one name, and renamed ones'
begin;
select pg_temp.fleet();
select t.labels('bob', 'agent:x', p_id => 1);
select t.labels('ann', 'agent:x', p_id => 2);
select t.is(t.look(), 'submitted', 'of two labels of a name that counts which may');
select t.unlabels('ann', 'agent:x', p_id => 2);
select t.is(t.look(), 'not_permitted', '... and no other one stands for it');
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:  x', p_id => 1);
select t.is(t.look(), 'submitted', 'blanks behind the colon');
select t.is((select requirements::text from fleet.task), '{x}', '... are none of the capability');
update t.issue set labels = '[{"id": 1, "name": "agent:y"}]', at = t.tick();
select t.is(t.look(), 'relabelled', 'a label that is renamed re-routes what waits');
select t.is((select requirements::text from fleet.task), '{y}', '... by its new name');
select pg_temp.runs();
update t.issue set labels = '[{"id": 1, "name": "agent:x"}]', at = t.tick();
select t.is(t.look(), 'recorded', '... and starts nothing');
rollback;

\echo 'looks come late, twice and in any order'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
create temp table old on commit drop as select t.seen() as seen, 1 as seq;
select t.look();
select t.unlabels('ann', 'agent:x');
select t.is(t.look(), 'label_removed', 'the newer look');
select t.is(t.look(42, seen, 1), 'late', 'the answer of an older one changes nothing') from old;
select t.is(t.look(42, seen, (select seq from fleet.look)), 'late', '... nor one of the same number that shows less') from old;
select t.is(t.stands(), 'cancelled label_removed', '... it stays cancelled');
select t.is(t.look(42, null, (select seq from fleet.look)), 'recorded', 'the same once more is heard, and does nothing');
select t.labels('ann', 'agent:x');
select t.is(t.look(42, seen || jsonb_build_object('label_events', t.seen() -> 'label_events'), (select seq from fleet.look)), 'late',
            'the issue was read before the label, its history behind it') from old;
rollback;

\echo 'priority'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
update t.issue set milestone = 'v1';
select t.look();
select t.is((select priority from fleet.task), 1, 'a milestone goes before none');
select t.labels('bob', 'priority:critical');
select t.look();
select t.is((select priority from fleet.task), 1, 'a stranger does not push it');
select t.labels('ann', 'priority:low');
select t.is(t.look(), 'relabelled', 'a label of who may');
select t.is((select priority from fleet.task), -10, '... goes before the milestone');
select t.sound();
rollback;

\echo 'a task of the time before Forgejo was read'
begin;
select t.worker('w1', t.host('h', '{x,y}', 9));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select t.finish('w1', 'acme/rocket#42');
select t.reads();
select t.opens('ann', 42, 'acme/rocket', (select repository_id from fleet.repository));
update t.issue set id = (select forgejo_id from fleet.issue where number = 42);
select t.labels('ann', 'agent:x');
create function pg_temp.reads() returns text language sql as $$ select fleet.issue_seen(t.node('w1'), (select issue from fleet.issue where number = 42), 1, t.seen()) $$;
select t.is(pg_temp.reads(), 'recorded', 'the label that it ran for is found, and starts nothing');
select t.unlabels('ann', 'agent:x'), t.labels('ann', 'agent:x');
select t.is(pg_temp.reads(), 'resubmitted', '... but the next one does');
select t.sound();
rollback;

\echo 'a task that a delivery made, by somebody who may'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:ann') from fleet.issue i;
select t.is(fleet.approve('acme/rocket#42'), 'not_held', 'a person does not answer what Forgejo is asked');
select t.is(t.stands(), 'created permission_pending', '... it waits for the look');
select t.is(t.look(), 'submitted', 'which lets it start');
select t.is(t.stands(), 'created', '... and nothing holds it');
select t.is(pg_temp.runs(), 'completed', '... once');
select t.is(t.look(), 'recorded', '... for that label');
rollback;

\echo 'what a person wants all the same'
begin;
select pg_temp.fleet();
select t.labels('bob', 'agent:x');
select fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:bob') from fleet.issue i;
select t.look();
select fleet.retry('acme/rocket#42', true);
select t.is(t.look(), 'not_permitted', 'a label that is refused');
select t.is(t.stands(), 'created', '... does not stop what a person retried');
select t.unlabels('bob', 'agent:x');
select t.look();
select fleet.retry('acme/rocket#42', true);
select t.is(t.look(), 'recorded', 'nor does it that there is none');
select t.is(t.stands(), 'created', '... for long');
rollback;

\echo 'labels during a run, and behind it'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select t.claim('w1', 9);
select t.start('w1', 'acme/rocket#42');
select t.labels('ann', 'agent:y');
select t.is(t.look(), 'already_active', 'one that comes during a run');
select t.is(t.finish('w1', 'acme/rocket#42'), 'completed', '... that ends');
select t.is(t.look(), 'recorded', '... had that run');
select t.unlabels('ann', 'agent:x'), t.labels('ann', 'agent:x');
select t.is(t.look(), 'resubmitted', 'the next one asks anew');
select t.turns('closed');
select t.look();
select t.turns('open');
select t.is(t.look(), 'resubmitted', '... and is asked for still when it was closed: the run before it was another''s');
select t.claim('w1', 9);
select fleet.release(a.node, a.attempt, a.epoch, 'not_delivered') from fleet.attempt a where ended_at is null;
select t.turns('closed');
select t.look();
select t.turns('open');
select t.is(t.look(), 'resubmitted', '... nor was one that never started its own');
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select t.claim('w1', 9);
select t.start('w1', 'acme/rocket#42');
select fleet.move(task, 'failed', 'failed', 1, 'node:w1') from fleet.task;
select t.unlabels('ann', 'agent:x'), t.labels('ann', 'agent:x');
select t.is(t.look(), 'not_proven_ended', 'a run that may still live is not started beside');
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select t.claim('w1', 9);
select t.start('w1', 'acme/rocket#42');
select t.unlabels('ann', 'agent:x');
select t.is(t.look(), 'recorded', 'a run goes on without its label');
select fleet.finish_run(a.node, a.attempt, a.epoch, 'succeeded', 'needs_input', 0, null, '{"question": "which?"}', null, 'p') from fleet.attempt a;
select t.is(t.look(), 'recorded', '... and what it asks');
select t.is(t.stands(), 'review_pending needs_input', '... is still to be answered');
rollback;

\echo 'one second, one look'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
create temp table old on commit drop as select t.seen() as seen;
select t.look();
select t.unlabels('ann', 'agent:x', p_seconds => 0);
select t.look();
select t.is(t.look(42, seen, (select seq from fleet.look)), 'late', 'of one second what has fewer events is older') from old;
select t.is(t.stands(), 'cancelled label_removed', '... and starts nothing');
rollback;

\echo 'a task that was removed'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select fleet.cancel('acme/rocket#42');
update fleet.task set completed_at = now() - interval '400 days', created_at = now() - interval '400 days';
delete from fleet.event;
select fleet.remove_tasks(now() - interval '365 days', 9);
select t.none('select task_id from fleet.task', 'old ones go');
select t.is(t.look(), 'recorded', '... and a label that was served');
select t.is(fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:ann'), 'recorded', '... or a delivery of it') from fleet.issue i;
select t.none('select task_id from fleet.task', '... makes no new one');
rollback;

\echo 'an issue that was read before its history'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
create temp table old on commit drop as select t.seen() as seen;
select t.unlabels('ann', 'agent:x');
select t.is(t.look(p_seen => seen || jsonb_build_object('label_events', t.seen() -> 'label_events')), 'recorded', 'a label that its history has gone') from old;
select t.none('select task_id from fleet.task', '... starts nothing');
rollback;

\echo 'another agent label behind a run'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look(), pg_temp.runs();
select t.labels('ann', 'agent:y');
select t.is(t.look(), 'resubmitted', 'asks for one more, beside the one that had its own');
select t.is((select requirements::text from fleet.task), '{x,y}', '... with both');
rollback;

\echo 'what the labels are'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x'), t.labels('carl', 'fleet/queued');
select t.look();
select t.is((select labels::text from fleet.task), '{agent:x}', 'the fleet''s own say nothing to it');
select pg_temp.runs();
select t.labels('ann', 'agent:y');
select t.is(t.look(), 'resubmitted', 'the newest asks, beside one that was served');
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.keep('early', t.seen()::text);
select t.unlabels('ann', 'agent:x');
select t.is(t.look(p_seen => t.kept('early')::jsonb || jsonb_build_object('label_events', t.seen() -> 'label_events')), 'recorded',
            'an issue that was read before its label went, its history behind that');
select t.is((select count(*) from fleet.task), 0::bigint, '... asks for nothing');
rollback;

\echo 'a label that went while its run lived'
begin;
select pg_temp.fleet('{"default_max_retries": 1}');
select t.labels('ann', 'agent:x');
select t.look();
select t.claim('w1', 9), t.start('w1', 'acme/rocket#42');
select t.unlabels('ann', 'agent:x');
select t.is(t.look(), 'recorded', 'does not stop it');
select t.is(t.finish('w1', 'acme/rocket#42', 'failed', 'agent_error'), 'created', '... but when it would be tried again');
select t.is(t.look(), 'label_removed', '... nobody asks for that');
select t.is(t.stands(), 'cancelled label_removed', '... and it is not');
rollback;
