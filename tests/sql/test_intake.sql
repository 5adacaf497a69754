-- Deliveries of every kind where Forgejo can be read: each is a hint that wants a look, and nothing else; and what is told where it cannot.

-- A delivery of a kind, with members of its own in place of others.
create function t.hint(p_kind text, p_more jsonb default '{}') returns jsonb language sql as $$
  with e as (select jsonb_build_object('kind', p_kind, 'action', 'edited', 'event', case p_kind when 'issue' then 'issues' when 'comment' then 'issue_comment'
      else p_kind end, 'event_type', case when p_kind = 'comment' and p_more -> 'pull' is not null then 'pull_request_comment' end, 'reads', true, 'trusted', true,
      'repository', jsonb_build_object('id', 9, 'full_name', 'acme/rocket', 'default_branch', 'main'),
      'sender', jsonb_build_object('login', 'octo', 'id', 3), 'timeout_secs', 1800, 'max_retries', 2, 'max_attempts_total', 10)
    || case when p_kind in ('push', 'delete') then '{"push": {"ref": "refs/heads/task/acme-rocket-42", "before": "a", "after": "b"}}'::jsonb
            when p_kind in ('pull', 'review') or p_more -> 'pull' is not null then
              jsonb_build_object('pull', jsonb_build_object('id', 507, 'number', 7, 'title', 'Fuel', 'body', 'closes #42', 'state', 'open',
                'merged', false, 'draft', false, 'html_url', 'https://git.example.org/p/7', 'updated_at', '2026-01-01T10:00:00Z', 'author', 'fleet',
                'author_id', 1, 'labels', '[]'::jsonb, 'base', '{"ref": "main"}'::jsonb,
                'head', jsonb_build_object('ref', (select branch_name from fleet.task where issue_number = 42), 'sha', 'b', 'repository_id', 9))
                || coalesce(nullif(p_more -> 'pull', 'null'), '{}'))
            else jsonb_build_object('issue', jsonb_build_object('id', 1042, 'number', 42, 'title', 'Fuel', 'body', 'Tank it', 'state', 'open',
                'updated_at', '2026-01-01T10:00:00Z', 'html_url', 'https://git.example.org/i/42', 'author', 'octo', 'author_id', 3, 'milestone', '',
                'labels', '[{"id": 1, "name": "agent:x"}]'::jsonb) || coalesce(p_more -> 'issue', '{}')) end
    || case when p_kind = 'comment' then '{"comment": {"id": 70, "by": "octo", "by_id": 3, "body": "/agent cancel",
                "created_at": "2999-01-01T10:00:01Z", "updated_at": "2999-01-01T10:00:01Z"}}'::jsonb else '{}' end
    || (p_more - array['issue', 'pull']) as body)
  select body || jsonb_build_object('sha256', coalesce(p_more ->> 'sha256', md5(body::text)), 'delivery', coalesce(p_more ->> 'delivery', md5(random()::text)))
  from e;
$$;
create function t.tell(p_kind text, p_more jsonb default '{}') returns text language sql as $$
  select concat_ws(' ', r.result, r.reason, r.task_id) from fleet.receive_event(t.hint(p_kind, p_more)) r;
$$;
-- The looks that are wanted since last asked.
create table t.seen_look (kind text, id bigint, seq bigint, primary key (kind, id));
create function t.looks() returns text language plpgsql as $$
declare v text;
begin
  select string_agg(l.kind, ' ' order by l.kind) into v
  from fleet.look l left join t.seen_look s using (kind, id) where l.seq > coalesce(s.seq, 0);
  insert into t.seen_look select l.kind, l.id, l.seq from fleet.look l on conflict (kind, id) do update set seq = excluded.seq;
  return coalesce(v, '');
end $$;

\echo 'an issue that is new'
begin;
select t.is(t.tell('issue', '{"action": "opened", "issue": {"labels": [{"id": 2, "name": "bug"}]}}'), 'ignored no_agent_label',
  'without an agent label is nothing to us');
select t.is((select count(*) from fleet.issue), 0::bigint, '... and is not kept');
select t.is(t.tell('issue', '{"action": "opened", "issue": {"state": "closed"}}'), 'ignored no_agent_label', 'nor is a closed one');
select t.is(t.tell('issue', '{"action": "label_cleared", "issue": {"labels": []}}'), 'ignored no_agent_label', 'nor one whose labels went');
select t.is(t.tell('comment', '{"action": "created", "issue": {"labels": []}}'), 'ignored no_agent_label', 'nor what is said under it');
select t.is(t.tell('issue', '{"action": "opened", "trusted": false}'), 'accepted submitted acme/rocket#42', 'with one it is a task');
select t.is((select row(status, hold, title, labels)::text from fleet.task), '(created,permission_pending,Fuel,{agent:x})', '... that waits for permission');
select t.is((select count(*) from fleet.queue), 0::bigint, '... where nobody takes it');
select t.is(t.looks(), 'issue', '... and for a look');
select t.is((select row(text_hash = fleet.text_hash('Fuel', 'Tank it'), sender_id, repository_id)::text from fleet.delivery where result = 'accepted'),
  '(t,3,9)', 'the delivery is kept with its text''s hash and the ids');
select t.sound('every invariant of an issue that is expected');
rollback;

\echo 'an issue of the time before ids'
begin;
insert into fleet.repository (repo) values ('acme/rocket');
insert into fleet.issue (repo, number, labels) values ('acme/rocket', 42, '{agent:x}');
select t.is(t.tell('issue', '{"action": "closed", "issue": {"state": "closed"}}'), 'accepted look', 'is known by its place');
select t.is((select row(i.forgejo_id, r.repository_id)::text from fleet.issue i join fleet.repository r using (repo)), '(1042,9)', '... and by its ids from then on');
rollback;

\echo 'which issue is meant'
begin;
insert into fleet.repository (repo, repository_id) values ('acme/rocket', 9);
insert into fleet.issue (repo, number, forgejo_id) values ('acme/rocket', 50, 1050), ('acme/rocket', 42, 1042);
select t.is((fleet.known_issue(fleet.incoming_of(t.hint('issue', '{"issue": {"id": 1042, "number": 50}}')))).number, 42, 'the one of this id, wherever it is');
select t.is((fleet.known_issue(fleet.incoming_of(t.hint('issue', '{"issue": {"id": 1051, "number": 50}}')))).number, 50, '... else the one of this place');
rollback;

\echo 'each kind and action'
do $$
declare r record;
begin
  perform t.tell('issue', '{"action": "opened"}');
  perform t.looks();
  for r in select * from (values
      ('issue', '{"action": "label_updated", "issue": {"labels": []}}', 'accepted look', 'issue'),
      ('issue', '{"action": "label_cleared", "issue": {"labels": []}}', 'accepted look', 'issue'),
      ('issue', '{"action": "closed", "issue": {"state": "closed"}}', 'accepted look', 'issue'),
      ('issue', '{"action": "reopened"}', 'accepted', 'issue'),
      ('issue', '{"action": "edited", "issue": {"body": "Other"}}', 'accepted', 'issue'),
      ('issue', '{"action": "assigned"}', 'accepted', 'issue'),
      ('issue', '{"action": "milestoned", "issue": {"milestone": "1.0"}}', 'accepted', 'issue'),
      ('comment', '{"action": "created"}', 'accepted', 'issue'),
      ('comment', '{"action": "edited"}', 'accepted', 'issue'),
      ('comment', '{"action": "deleted"}', 'accepted', 'issue'),
      ('comment', '{"action": "created", "pull": {"number": 8, "head": null}}', 'ignored no_tasks_pull_request', ''),
      ('pull', '{"action": "opened"}', 'accepted look', 'pull'),
      ('pull', '{"action": "synchronized", "pull": {"head": {"ref": "refs/pull/7/head", "repository_id": -1}}}', 'accepted look', 'pull'),
      ('pull', '{"action": "closed", "pull": {"state": "closed", "merged": true}}', 'accepted look', 'pull'),
      ('pull', '{"action": "reopened"}', 'accepted look', 'pull'),
      ('pull', '{"action": "label_updated"}', 'accepted look', 'pull'),
      ('pull', '{"action": "review_requested"}', 'accepted look', 'pull'),
      ('comment', '{"action": "created", "pull": null}', 'accepted look', 'pull'),
      ('comment', '{"action": "created", "pull": {"head": null}}', 'accepted look', 'pull'),
      ('review', '{"action": "reviewed", "review": {"type": "pull_request_review_rejected", "content": "no"}}', 'accepted look', 'pull'),
      ('pull', '{"pull": {"number": 9, "head": {"ref": "feature", "repository_id": 9}}}', 'ignored no_tasks_pull_request', ''),
      ('pull', '{"pull": {"number": 9, "head": {"ref": "task/acme-rocket-42", "repository_id": 10}}}', 'ignored no_tasks_pull_request', ''),
      ('push', '{"push": {"ref": "refs/heads/main", "before": "a", "after": "b"}}', 'ignored no_tasks_branch', ''),
      ('push', '{"push": {"ref": "refs/tags/v1", "before": "0", "after": "b"}}', 'ignored no_tasks_branch', ''),
      ('push', '{"push": {"ref": "refs/heads/main", "before": "a", "after": "a"}}', 'ignored test_delivery', ''),
      ('push', '{}', 'accepted recorded', 'pull'),
      ('delete', '{"push": {"ref": "v1", "ref_type": "tag"}}', 'ignored no_tasks_branch', ''),
      ('delete', '{"push": {"ref": "BRANCH", "ref_type": "branch"}}', 'accepted recorded', 'pull'),
      ('unused', '{}', 'ignored event_not_used', ''),
      ('issue', '{"refusal": "repository_not_allowed"}', 'ignored repository_not_allowed', ''),
      ('issue', '{"repository": {"id": 8, "full_name": "no name"}}', 'ignored no_repository', '')) x (kind, more, wanted, looks)
  loop
    r.more := replace(r.more, 'BRANCH', (select branch_name from fleet.task));
    if r.kind = 'push' and r.more = '{}' then
      r.more := jsonb_build_object('push', jsonb_build_object('ref', 'refs/heads/' || (select branch_name from fleet.task), 'before', 'a', 'after', 'b'));
    end if;
    perform t.ok(t.tell(r.kind, r.more::jsonb) like r.wanted || '%', format('%s %s: %s', r.kind, left(r.more, 60), r.wanted));
    perform t.is(t.looks(), r.looks, '... looks that are wanted');
  end loop;
  perform t.is((select row(count(*), min(status), min(hold))::text from fleet.task), '(1,created,permission_pending)', 'none of them decided anything');
  perform t.ok((select activity_at is not null from fleet.task), 'a push to its branch is activity');
  perform t.is((select count(*) from fleet.pull), 1::bigint, 'one pull request is its own');
  perform t.sound('every invariant after each kind');
  perform t.reset();
end $$;

\echo 'sent again'
begin;
select t.tell('issue', '{"action": "opened", "delivery": "d1", "sha256": "s1"}');
select t.is(t.tell('issue', '{"action": "opened", "delivery": "d1", "sha256": "s1"}'), 'duplicate seen_before', 'the same delivery');
select t.is(t.tell('issue', '{"action": "opened", "delivery": "d2", "sha256": "s1"}'), 'duplicate seen_before', 'a person''s replay: the same body by another id');
select t.looks();
update fleet.delivery set received_at = now() - interval '1 hour';
select t.tell('issue', '{"action": "opened", "delivery": "d1", "sha256": "s1"}');
select t.is(t.looks(), '', '... wants no look');
select t.tell('issue', '{"action": "label_updated", "delivery": "l1", "sha256": "s2"}');
select t.looks();
select t.is(t.tell('issue', '{"action": "label_updated", "delivery": "l2", "sha256": "s2"}'), 'duplicate seen_before', 'labels that were changed and changed back within a second');
select t.is(t.looks(), 'issue', '... are the same body, and are read');
delete from fleet.delivery where delivery_id = 'l2';
select t.tell('issue', '{"action": "label_updated", "delivery": "l1", "sha256": "s2"}');
select t.is(t.looks(), '', '... but not when one is only sent twice');
select t.tell('pull', '{"delivery": "p1", "sha256": "s3"}');
select t.looks();
select t.tell('pull', '{"delivery": "p2", "sha256": "s3"}');
select t.is(t.looks(), 'pull', '... and so is a pull request');
select t.tell('push', '{"push": {"ref": "refs/heads/main", "before": "a", "after": "b"}, "delivery": "d3"}');
select t.ok((select detail like '%/replay%' from fleet.delivery where delivery_id = 'd2'), 'says what does help');
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd9')), '404 not_found', 'one that is not known');
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd1')), '409 needs_token', 'without a token nothing can be taken again');
insert into fleet.forgejo (policy, told_by) values ('{"reads": true, "repositories": ["acme/*"]}', 'w1');
select t.looks();
select t.is((select (r).status || ' ' || ((r).body::jsonb ->> 'task_id') from fleet.delivery_replay(t.by(0), 'd1') r), '202 acme/rocket#42', 'with one');
select t.is(t.looks(), 'issue', '... its issue is read again');
select t.tell('pull', '{"delivery": "d4"}');
select t.tell('pull', '{"delivery": "d5", "pull": {"number": 9, "head": {"ref": "feature", "repository_id": 9}}}');
select t.looks();
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd4')), '202', 'of a pull request');
select t.is(t.looks(), 'pull', '... that is read');
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd5')), '422 nothing_to_read', 'not one of nobody''s');
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd3')), '422 nothing_to_read', 'nor a push');
select t.tell('issue', '{"delivery": "d6", "refusal": "repository_not_allowed", "repository": {"id": 5, "full_name": "b/moon"}, "issue": {"id": 5, "number": 5}}');
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd6')), '409 repository_not_allowed', 'nor what no list names');
update fleet.forgejo set policy = '{"reads": true, "repositories": ["*"]}';
select t.is(t.word(fleet.delivery_replay(t.by(0), 'd6')), '202', '... until one does');
select t.is(t.looks(), 'issue', '... then it is read for the first time');
select t.is((select count(*) from fleet.audit where action = 'delivery_replay'), 3::bigint, 'the trail says who wanted it');
select t.is((select count(*) from fleet.task), 1::bigint, 'none of it made a task');
rollback;

\echo 'shown'
begin;
select t.tell('unused', jsonb_build_object('delivery', 'd' || i)) from generate_series(1, 5) i;
select t.tell('unused', '{"delivery": "e1", "repository": {"id": 5, "full_name": "b/moon"}}');
select t.is((select string_agg(x ->> 'delivery', ' ') from jsonb_array_elements((fleet.delivery_list(t.by(0), 3, null)).body::jsonb) x), 'e1 d5 d4', 'the newest first');
select t.is((select string_agg(x ->> 'delivery', ' ') from jsonb_array_elements(
    (fleet.delivery_list(t.by(0), 3, (fleet.delivery_list(t.by(0), 3, null)).next)).body::jsonb) x), 'd3 d2 d1', '... and the next page');
select t.is((fleet.delivery_list(t.by(0), 10, null)).next, null, '... until there is no more');
select t.is(t.word(fleet.delivery_list(t.by(0), 3, 'x')), '400 malformed_cursor', 'a cursor is not made up');
select t.new_token('bound', 'operate', '{"repositories": ["b/*"]}') as bound \gset
select t.is((select string_agg(x ->> 'delivery', ' ') from jsonb_array_elements((fleet.delivery_list(t.by(:bound), 3, null)).body::jsonb) x), 'e1',
  'a bound token sees its own repositories');
select t.is(t.word(fleet.delivery_replay(t.by(:bound), 'd1')), '404 not_found', '... and takes no other''s again');
rollback;

\echo 'our own account'
begin;
insert into fleet.forgejo (policy, user_id, login, told_by) values ('{"reads": true}', 3, 'octo', 'w1');
select t.is(t.tell('issue', '{"action": "opened"}'), 'ignored own_event', 'is not listened to');
select t.is(t.tell('comment', '{"action": "created", "sender": {"login": "fleet", "id": 3}}'), 'ignored own_event', '... whatever it is called');
select t.is(t.looks(), '', '... and wants no look');
rollback;

\echo 'without a token'
begin;
insert into fleet.forgejo (policy, told_by) values ('{"reads": false, "trigger_users": ["octo"]}', 'w1');
select t.is(t.tell('issue', '{"reads": false, "action": "opened"}'), 'accepted submitted acme/rocket#42', 'an issue is applied');
select t.is((select row(hold, requested_by, requested_id, text_sha = fleet.text_hash('Fuel', 'Tank it'))::text from fleet.task), '(,octo,3,t)', '... and asks nobody');
select t.is(t.tell('review', '{"reads": false, "review": {"type": "x", "content": ""}}'), 'ignored needs_token', 'a review cannot be told apart');
select t.is(t.tell('pull', '{"reads": false, "action": "opened"}'), 'accepted open acme/rocket#42', 'a pull request is linked');
select t.is((select string_agg(event_type, ' ') from fleet.event where event_type like 'pr_%'), 'pr_opened', '... which its history tells');
select t.is(t.tell('pull', '{"reads": false, "action": "closed", "pull": {"state": "closed", "merged": true, "updated_at": "2026-01-01T10:00:09Z"}}'),
  'accepted closed acme/rocket#42', '... merged');
select t.is(t.status('acme/rocket#42'), 'completed', '... it is done');
select t.is(t.looks(), '', 'nothing is to be read');
rollback;
begin;
insert into fleet.forgejo (policy, told_by) values ('{"reads": false, "trigger_users": ["octo"]}', 'w1');
select t.tell('issue', '{"reads": false, "action": "opened"}');
select t.is(t.tell('comment', '{"reads": false, "action": "created", "trusted": false, "sender": {"login": "evil", "id": 4}}'),
  'ignored comment_not_counted acme/rocket#42', 'a comment that its sender did not write');
select t.is(t.tell('comment', '{"reads": false, "action": "created", "trusted": false, "sender": {"login": "evil", "id": 3}}'),
  'ignored comment_not_counted acme/rocket#42', '... whatever he calls himself');
select t.is(t.tell('comment', '{"reads": false, "action": "created", "sender": {"login": "octo", "id": 4}}'),
  'ignored comment_not_counted acme/rocket#42', '... or what another one is called by now');
select t.is(t.tell('comment', '{"reads": false, "action": "edited"}'), 'ignored comment_not_counted acme/rocket#42', 'one that was edited');
select t.is(t.tell('comment', '{"reads": false, "action": "created", "issue": {"id": 1043, "number": 43}}'), 'ignored no_task', 'one of another issue');
select t.is(t.status('acme/rocket#42'), 'created', 'commands nothing');
select t.is(t.tell('comment', '{"reads": false, "action": "created"}'), 'accepted comment_read acme/rocket#42', 'one of somebody who may');
select t.is(t.status('acme/rocket#42'), 'cancelled', '... does');
rollback;

\echo 'a general secret'
begin;
select t.tell('issue', '{"action": "opened"}');
select t.is(t.tell('issue', '{"action": "edited", "repository": {"id": 9, "full_name": "b/moon"}, "signer": {"covers": ["*"], "but": ["acme/*"]}}'), 'ignored another_repository',
  'does not sign for what has one of its own');
select t.is((select string_agg(repo, ' ') from fleet.repository), 'acme/rocket', '... which keeps its name');
select t.is(t.tell('issue', '{"action": "edited", "repository": {"id": 10, "full_name": "b/moon"}, "signer": {"covers": ["b/*"]}}'), 'ignored another_repository',
  'nor takes any secret an issue of another repository');
select t.is((select string_agg(repo || '#' || number, ' ') from fleet.issue), 'acme/rocket#42', '... which stays where it is');
rollback;
