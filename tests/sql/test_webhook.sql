-- What a delivery starts, and what it does not: the edge from no agent:* label to some.

\echo 'twenty-four deliveries in any order'
do $$
declare
  results text[];
  result text;
  d record;
begin
  perform setseed(0.7);
  for round in 1..20 loop
    results := '{}';
    for d in select case when i % 2 = 0 then 'opened' else 'label_updated' end as action,
                    case when i < 12 then 'same' || i % 2 else 'other' || i end as delivery
             from generate_series(0, 23) i order by random() loop
      result := t.deliver(d.delivery, d.action, '{agent:code:rust}', '2026-01-01T10:00:00Z');
      results := results || split_part(result, ' ', 2);
    end loop;
    if (select count(*) from fleet.task) <> 1 or (select count(*) from fleet.queue) <> 1
       or cardinality(array_positions(results, 'submitted')) <> 1
       or (select count(*) from fleet.event where to_status = 'created') <> 1 then
      perform t.ok(false, format('round %s: %s', round, results));
    end if;
    if round = 20 then
      perform t.ok(true, '24 deliveries in 20 random orders: one task, submitted once, each time');
      perform t.is((select row(task_id, source, repo, issue_number, title, body, labels, requirements, status)::text from fleet.task),
        '(acme/rocket#42,forgejo,acme/rocket,42,Fuel,"Tank it",{agent:code:rust},{code:rust},created)', 'the task is what the issue said');
    end if;
    perform t.sound('every invariant after round ' || round) where round in (1, 20);
    perform t.reset();
  end loop;
end $$;

\echo 'edges'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.is(t.starts('d1', 'opened', '{bug}', '2026-01-01T10:00:00Z'), false, 'no agent:* label starts nothing');
select t.is((select count(*) from fleet.task), 0::bigint, 'and no task');
select t.is(t.starts('d2', 'label_updated', '{bug,agent:code:rust}', '2026-01-01T10:00:10Z'), true, 'an agent:* label comes: submitted');
select t.is(t.starts('d3', 'label_updated', '{bug,agent:code:rust,later}', '2026-01-01T10:00:11Z'), false, 'another label besides starts nothing');
select t.is(t.claim('w1', 9), 'acme/rocket#42', 'claimed');
select t.is(t.starts('d4', 'edited', '{bug,agent:code:rust,later}', '2026-01-01T10:00:12Z', '{"title": "Other", "body": "Evil"}'), false,
  'an edit starts nothing');
select t.is((select title || ' ' || body from fleet.task), 'Fuel Tank it', 'and does not change what was asked for');
select t.is(t.finish('w1', 'acme/rocket#42'), 'completed', 'completed');
select t.is(t.starts('d5', 'label_updated', '{bug2,bug,agent:code:rust,later}', '2026-01-01T10:01:00Z'), false,
  'a label added after completion starts nothing');
select t.is(t.status('acme/rocket#42'), 'completed', 'it stays completed');
select t.is(t.starts('d6', 'label_updated', '{bug}', '2026-01-01T10:02:00Z'), false, 'taking agent:* away starts nothing');
select t.is(t.deliver('d6', 'label_updated', '{bug}', '2026-01-01T10:02:00Z') like 'duplicate%', true, 'the same delivery again is a duplicate');
select t.is(t.deliver('d7', 'label_updated', '{bug}', '2026-01-01T10:02:00Z') like 'duplicate%', true, 'the same body under another delivery id too');
select t.is((select result || ' ' || task_id from t.receive(t.delivery('d8', 'label_updated', '{bug,agent:code:rust}', '2026-01-01T10:03:00Z', '{"title": "New"}'))), 'accepted acme/rocket#42',
  'adding it again resubmits');
select t.is((select row(count(*), max(status), max(title), max(attempt_number), max(attempts), max(retry_count))::text from fleet.task), '(1,created,New,1,0,0)',
  'the same row, created, counters 0, attempt numbers go on');
select t.is(split_part(t.deliver('d9', 'label_updated', '{}', '2026-01-01T10:02:30Z'), ' ', 2), 'stale', 'an older word about the issue is stale');
select t.is(t.starts('d10', 'label_updated', '{bug,agent:code:rust,x}', '2026-01-01T10:03:01Z'), false, 'and did not change the set');
select t.is(t.claim('w1', 9), 'acme/rocket#42', 'claimed again');
select t.is((select number from fleet.attempt where attempt = t.attempt('acme/rocket#42')), 2, 'as attempt 2');
select t.is(t.starts('d11', 'label_cleared', '{bug,agent:code:rust,x}', '2026-01-01T10:04:00Z'), false, 'label_cleared names the old labels');
select t.is((select labels from fleet.issue), '{}'::text[], 'but means none');
select t.deliver('d12', 'label_updated', '{agent:code:rust}', '2026-01-01T10:05:00Z');
select t.is((select count(*) from fleet.attempt where ended_at is null), 1::bigint, 'adding the label again while a run lives starts no second one');
select t.sound('every invariant after the edges');
rollback;

\echo 'the same second'
begin;
select t.deliver('d1', 'opened', '{}', '2026-01-01T10:00:00Z');
select t.is(t.starts('d2', 'label_updated', '{agent:x}', '2026-01-01T10:00:00Z'), true, 'two events in one second: the second is not stale');
rollback;

\echo 'admission'
begin;
select t.is(t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"admitted": false, "refusal": "sender_not_allowed"}'), 'ignored sender_not_allowed',
  'a sender who may not starts nothing');
select t.is((select count(*) from fleet.task), 0::bigint, 'no task');
select t.is((select count(*) from fleet.issue where cardinality(labels) > 0), 0::bigint, 'and the set stays as it was');
select t.is(t.starts('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z'), true, 'the very same delivery, admitted later, works');
select t.is(t.deliver('d2', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"number": 43, "admitted": false, "refusal": "repository_not_allowed"}'), 'ignored repository_not_allowed',
  'nor a repository that is not listed');
select t.is((select string_agg(result || ' ' || reason || ' ' || coalesce(task_id, '-'), ', ' order by delivery) from fleet.delivery),
  'ignored sender_not_allowed -, accepted submitted acme/rocket#42, ignored repository_not_allowed -', 'every delivery is kept with its verdict');
select t.is((select count(*) from fleet.delivery), 3::bigint, 'all three of them');
rollback;

\echo 'closing'
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'closed', '{agent:x}', '2026-01-01T10:00:05Z', '{"state": "closed"}');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'closing an issue cancels what waits');
select t.deliver('d3', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"number": 43}');
select t.claim('w1', 9);
select t.start('w1', 'acme/rocket#43');
select t.deliver('d4', 'closed', '{agent:x}', '2026-01-01T10:00:05Z', '{"state": "closed", "number": 43}');
select t.is(t.status('acme/rocket#43'), 'running', 'what runs is still running');
select t.is((select count(*) from fleet.renew(t.node('w1'), array[t.attempt('acme/rocket#43')]) where kind = 'cancel'), 1::bigint,
  'but is asked to stop');
select t.is(t.starts('d5', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"number": 44, "state": "closed"}'), false,
  'a closed issue starts nothing');
select t.sound('every invariant after closing');
rollback;

\echo 'other issues and events'
begin;
select t.deliver('d' || i, 'opened', '{agent:x}', '2026-01-01T10:00:00Z', jsonb_build_object('number', i)) from generate_series(1, 5) i;
select t.is((select count(*) from fleet.task), 5::bigint, 'each issue has its task');
select t.deliver('e1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"repo": "acme/other", "number": 1}');
select t.is((select string_agg(task_id, ' ' order by task) from fleet.task where issue_number = 1), 'acme/rocket#1 acme/other#1',
  'of each repository');
select t.is(t.starts('f1', 'opened', '{}', '2026-01-01T10:00:00Z', '{"event": "push", "event_type": "push", "number": null, "labels": null, "action": null, "updated_at": null}'), false,
  'another event starts nothing');
rollback;

\echo 'labels of a task that waits'
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.worker('w2', t.host('g', '{y}', 9));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'label_updated', '{agent:y,priority:9}', '2026-01-01T10:00:01Z'), 'accepted relabelled', 'other labels are taken over');
select t.is((select row(labels, requirements, priority, title)::text from fleet.task), '("{agent:y,priority:9}",{y},9,Fuel)',
  'with their requirements and priority; the title stays');
select t.is((select l.requirements from fleet.lane l join fleet.task using (lane)), '{y}'::text[], '... it waits in another lane');
select t.is((select row(prio, q.lane = t.lane)::text from fleet.queue q join fleet.task t using (task)), '(-9,t)', '... in its place there');
select t.is((select row(actor, payload)::text from fleet.event where event_type = 'relabelled'), '(forgejo:octo,"{""labels"": [""agent:y"", ""priority:9""]}")',
  'the history says who changed them');
select t.sound();
select t.is(t.claim('w1', 9), '', 'who could take it before cannot any more');
select t.is(t.claim('w2', 9), 'acme/rocket#42', 'who can now does');
select t.is(t.deliver('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z'), 'accepted recorded', 'labels of a task that runs are only noted');
select t.is((select requirements from fleet.task), '{y}'::text[], 'it stays what it was');
select t.is(t.deliver('d4', 'label_cleared', '{agent:x}', '2026-01-01T10:00:03Z'), 'accepted recorded', 'taking them away stops nothing that runs');
select t.none('select from fleet.task where cancel_at is not null', '... nor asks it to stop');
select t.is(t.deliver('d5', 'label_updated', '{agent:x}', '2026-01-01T10:00:04Z'), 'accepted already_active', 'adding them again starts nothing beside it');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'label_cleared', '{agent:x}', '2026-01-01T10:00:03Z'), 'accepted label_removed', 'of one that waits, it ends it');
select t.is(t.status('acme/rocket#42'), 'cancelled', '... cancelled');
rollback;

\echo 'a clock from the far future'
begin;
select t.deliver('d1', 'opened', '{bug}', '2999-01-01T00:00:00Z');
select t.ok((select updated_at < now() + interval '25 hours' and labels_at < now() + interval '25 hours' from fleet.issue), 'is not believed');
select t.is(t.starts('d2', 'label_updated', '{agent:x}', to_char(now() at time zone 'UTC' + interval '2 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), true,
  'and does not make what follows stale');
rollback;

\echo 'deliveries that overtake each other'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d3', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:09Z', '{"state": "closed"}'), 'accepted recorded',
  'an event that shows the issue closed, before the news of closing');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'cancels what waits');
select t.is(t.deliver('d2', 'closed', '{agent:x}', '2026-01-01T10:00:08Z', '{"state": "closed"}'), 'ignored stale', 'the news itself is stale then');
rollback;
begin;
select t.deliver('d2', 'closed', '{}', '2026-01-01T10:00:00Z', '{"state": "closed"}');
select t.is(t.starts('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z'), false, 'opened and closed in one second, told in the wrong order: starts nothing');
rollback;

\echo 'a task that a person retried after its labels had gone'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"max_retries": 0}');
select t.report('w1', 'h', t.identity('h'));
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select t.deliver('d2', 'label_cleared', '{}', '2026-01-01T10:00:01Z');
select t.is(t.finish('w1', 'acme/rocket#42', 'failed', 'exit_nonzero', 1), 'failed', 'has failed');
select fleet.retry('acme/rocket#42', true);
select t.deliver('d3', 'label_updated', '{bug}', '2026-01-01T10:00:02Z');
select t.is((select requirements from fleet.task), '{x}'::text[], 'keeps what it requires when other labels change');
select t.is(t.deliver('d4', 'label_updated', '{agent:y}', '2026-01-01T10:00:03Z'), 'accepted already_active', 'an agent label does not start it twice');
select t.is((select requirements from fleet.task), '{y}'::text[], '... but says what it requires now');
rollback;

\echo 'a task whose host was lost'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select fleet.phase(t.node('w1'), t.attempt('acme/rocket#42'), 1, 'unreachable', 'timeout');
update fleet.attempt set unseen_ms = 99999999;
select fleet.reap(t.node('w1'));
select t.deliver('d2', 'label_cleared', '{}', '2026-01-01T10:00:01Z');
select t.is(t.deliver('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z'), 'accepted not_proven_ended', 'is not asked for again: it may still run');
select t.is(t.status('acme/rocket#42'), 'failed', '... and starts nothing');
select t.sound();
rollback;

\echo 'servers of the release before'
begin;
select t.is((select row(r.result, r.reason, r.task_id)::text from jsonb_populate_record(null::fleet.incoming,
    t.delivery('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z')) d,
  fleet.receive_delivery(d.delivery, d.sha256, d.event, d.event_type, d.action, d.repo, d.number, d.title, d.body, d.labels, d.state,
    d.updated_at, d.html_url, d.sender, d.admitted, d.refusal, d.timeout_secs, d.max_retries, d.max_attempts_total) r),
  '(accepted,submitted,acme/rocket#42)', 'tell of issues without ids');
select t.is(t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:00:01Z'), 'accepted label_removed', '... which come with the next delivery');
select t.is((select row(count(*), min(i.forgejo_id) = t.id_of('acme/rocket#42'), min(r.repository_id) = t.id_of('acme/rocket'))::text
  from fleet.issue i join fleet.repository r using (repo)), '(1,t,t)', '... of the same issue and repository');
rollback;

\echo 'times have seconds'
begin;
select t.deliver('d1', 'opened', '{}', '2026-01-01T10:00:00Z');
select t.is(t.starts('d2', 'label_updated', '{agent:x}', '2026-01-01T10:00:05Z'), true, 'a label is put there');
select t.is(t.deliver('d3', 'label_updated', '{}', '2026-01-01T10:00:05Z'), 'accepted label_removed', '... and taken away within its second');
delete from fleet.delivery;
select t.is(t.deliver('d2', 'label_updated', '{agent:x}', '2026-01-01T10:00:05Z'), 'accepted same_second',
  '... the first of them again, and nobody remembers it: starts nothing');
select t.is(t.status('acme/rocket#42'), 'cancelled', '... the task stays cancelled');
select t.deliver('d4', 'label_cleared', '{}', '2026-01-01T10:00:06Z');
select t.is(t.starts('d5', 'label_updated', '{agent:x}', '2026-01-01T10:00:07Z'), true, 'a label of another second does');
rollback;
begin;
select t.is(t.starts('d2', 'label_updated', '{agent:x}', '2026-01-01T10:00:00Z'), true, 'a label that overtakes the news of the issue');
select t.is(t.deliver('d1', 'opened', '{}', '2026-01-01T10:00:00Z'), 'ignored stale', '... which is older, whatever the second');
select t.is(t.status('acme/rocket#42'), 'created', '... it waits');
rollback;

\echo 'a blank behind the colon'
begin;
select t.worker('w1', t.host('h', '{rust}', 1));
select t.deliver('d1', 'opened', '{agent: rust,"priority: 7"}', '2026-01-01T10:00:00Z');
select t.is((select row(requirements, priority)::text from fleet.task), '({rust},7)', 'is not part of the word');
select t.is(t.deliver('d2', 'label_updated', '{agent:rust,priority:7}', '2026-01-01T10:00:01Z'), 'accepted relabelled', 'nor is one label without it another');
select t.is(t.claim('w1', 1), 'acme/rocket#42', 'who can do it takes it');
select t.is(t.starts('d3', 'opened', '{"agent: "}', '2026-01-01T10:00:00Z', '{"number": 43}'), false, 'a blank alone is no word');
rollback;

\echo 'milestones'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'milestoned', '{agent:x}', '2026-01-01T10:00:01Z', '{"milestone": "1.0"}'), 'accepted relabelled', 'a milestone');
select t.is((select row(k.priority, q.prio)::text from fleet.task k join fleet.queue q using (task)), '(1,-1)', '... puts a task before those without');
select t.is(t.deliver('d3', 'label_updated', '{agent:x,priority:high}', '2026-01-01T10:00:02Z', '{"milestone": "1.0"}'), 'accepted relabelled', '... a label says more');
select t.is((select priority from fleet.task), 10, '... than it');
select t.is(t.deliver('d4', 'demilestoned', '{agent:x,priority:high}', '2026-01-01T10:00:03Z'), 'accepted recorded', 'without one nothing changes then');
select t.is(t.deliver('d5', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"number": 43, "milestone": "1.0"}'), 'accepted submitted', 'one from the beginning');
select t.is((select priority from fleet.task where issue_number = 43), 1, '... counts as well');
rollback;

\echo 'a text that changes while its task waits'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'edited', '{agent:x}', '2026-01-01T10:00:01Z', '{"body": "Evil", "admitted": false, "refusal": "sender_not_allowed"}');
select t.is((select row(hold, body)::text from fleet.task), '(text_changed,"Tank it")', 'by a stranger: it is held, as it was asked for');
select t.is((select count(*) from fleet.queue), 0::bigint, '... and nobody takes it');
select t.deliver('d3', 'edited', '{agent:x}', '2026-01-01T10:00:02Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is((select hold from fleet.task), null, 'changed back: it waits as before');
select t.deliver('d4', 'edited', '{agent:x}', '2026-01-01T10:00:03Z', '{"body": "Evil", "admitted": false, "refusal": "sender_not_allowed"}');
select t.deliver('d5', 'edited', '{agent:x}', '2026-01-01T10:00:03Z');
select t.is((select hold from fleet.task), 'text_changed', 'two edits of a second may have come in any order: held');
select t.deliver('d6', 'edited', '{agent:x}', '2026-01-01T10:00:04Z', '{"body": "Twice"}');
select t.is((select row(hold, body)::text from fleet.task), '(,Twice)', 'by somebody who may: taken over');
select t.deliver('d7', 'edited', '{agent:x}', '2026-01-01T10:00:03Z', '{"body": "Late", "admitted": false, "refusal": "sender_not_allowed"}');
select t.is((select hold from fleet.task), null, 'an older one that comes late holds nothing');
select t.sound('every invariant of held tasks');
rollback;

\echo 'renamed repositories'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:01Z',
    jsonb_build_object('repo', 'New/Name', 'repository_id', t.id_of('acme/rocket'), 'issue_id', t.id_of('acme/rocket#42'))),
  'accepted relabelled', 'the same issue under a new name');
select t.is((select string_agg(task_id, ' ') from fleet.task), 'New/Name#42', 'is the same task, called as its issue');
select t.is(t.deliver('d3', 'closed', '{agent:x}', '2026-01-01T10:00:02Z', jsonb_build_object('repo', 'new/name', 'state', 'closed',
    'repository_id', t.id_of('acme/rocket'), 'issue_id', t.id_of('acme/rocket#42'))), 'accepted cancelled', 'closing it there stops it');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'closed', '{agent:x}', '2026-01-01T10:00:01Z', jsonb_build_object('repo', 'evil/moon', 'state', 'closed',
    'repository_id', t.id_of('acme/rocket'), 'issue_id', t.id_of('acme/rocket#42'), 'signer', '{"covers": ["evil/*"]}'::jsonb)),
  'ignored another_repository', 'who keeps the hook of one repository does not rename another');
select t.is(t.deliver('d3', 'closed', '{agent:x}', '2026-01-01T10:00:02Z', jsonb_build_object('repo', 'evil/moon', 'state', 'closed',
    'issue_id', t.id_of('acme/rocket#42'), 'signer', '{"covers": ["evil/*"]}'::jsonb)), 'ignored another_repository', '... nor takes its issues');
select t.is((select row(min(task_id), min(status), count(*))::text from fleet.task), '(acme/rocket#42,created,1)', 'all stays as it was');
select t.is((select row(count(text_hash), count(repository_id))::text from fleet.delivery), '(1,1)', 'and such a delivery vouches for nothing');
select t.is(t.deliver('d4', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:03Z', jsonb_build_object('repo', 'acme/other',
    'repository_id', t.id_of('acme/rocket'), 'issue_id', t.id_of('acme/rocket#42'), 'signer', '{"covers": ["*"], "but": ["evil/*"]}'::jsonb)),
  'accepted relabelled', 'a secret that is good for both names tells of a rename');
rollback;
