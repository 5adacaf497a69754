-- Backfill: which repositories are read, from when on, and what of their lists is looked at.

create function t.known(variadic p_names text[]) returns int language sql as $$ select fleet.know_repositories(t.node('w1'), p_names); $$;
create function t.fills(p_node text default 'w1') returns text language sql as $$
  select coalesce(string_agg(repo || coalesce(' ' || since, ''), ', ' order by repo), '') from fleet.backfills(t.node(p_node), 10);
$$;
create function t.fleet(p_repositories text default '["acme/*"]') returns uuid language plpgsql as $$
declare v uuid := t.worker('w1', t.host('h', '{code:rust}', 1));
begin
  perform fleet.forgejo_configure(v, jsonb_build_object('url', 'https://git.example.org', 'reads', true, 'poll_interval_secs', 30,
    'repositories', p_repositories::jsonb), 7, 'fleet');
  return v;
end $$;
create function t.listed(p_number int, p_at text, p_labels text[] default '{agent:code:rust}', p_state text default 'open') returns jsonb language sql as $$
  select jsonb_build_object('id', 1000 + p_number, 'number', p_number, 'state', p_state, 'updated_at', p_at, 'labels', to_jsonb(p_labels),
    'is_pull', false);
$$;
create function t.fill(p_until text, variadic p_items jsonb[] default '{}') returns setof int language sql as $$
  select fleet.backfilled(t.node('w1'), 'acme/rocket', to_jsonb(p_items), p_until);
$$;
-- The numbers of issues that are to be looked at, at once and a little later.
create function t.wanted() returns text language sql as $$
  select coalesce(string_agg(i.number || case when l.due_at > now() then ' later' else '' end, ', ' order by i.number), '')
  from fleet.look l join fleet.issue i on i.issue = l.id where l.done < l.seq;
$$;
-- A look that saw this, for which it is later by so much than when it was wanted.
create function t.looked(p_number int, p_at text, p_labels text[] default '{agent:code:rust}') returns void language plpgsql as $$
declare l record;
begin
  update fleet.look set due_at = now() where id = (select issue from fleet.issue where number = p_number);
  for l in select * from fleet.looks(t.node('w1'), 10) where number = p_number loop
    update fleet.issue set updated_at = p_at::timestamptz, labels = p_labels, state = 'open', read_at = now() where issue = l.id;
    perform fleet.look_done('issue', l.id, l.seq);
  end loop;
  update fleet.look set taken_until = null;
end $$;

\echo 'which, and when'
begin;
select t.fleet();
select t.is(t.known('acme/rocket', 'Acme/Rocket', 'acme/other', 'foreign/x', 'no name', null), 3, 'repositories become known, once, whatever the case');
select t.is(t.known('ACME/rocket'), 0, '... and stay');
insert into fleet.repository (repo) values ('acme/gone~0'); -- what set_aside() calls one without an id
select t.is(t.fills(), 'acme/other, acme/rocket', 'those that are listed are read, from their beginning');
select t.is(t.fills(), '', '... by one');
select t.is((select state from fleet.repositories where repo = 'acme/rocket'), 'reading', 'people see that');
select fleet.backfilled(t.node('w1'), 'acme/rocket', '[]', '2026-01-01T10:00:00Z');
select t.is((select row(state, reason, read_since)::text from fleet.repositories where repo = 'acme/rocket'),
  row('read', null, '2026-01-01T10:00:00Z'::timestamptz)::text, 'read up to there');
select t.is(t.fills(), '', 'not again before its time');
select t.ok((select read_due between now() + interval '24 s' and now() + interval '30 s' from fleet.repository where repo = 'acme/rocket'),
  'which is within poll_interval_secs');
update fleet.repository set read_due = now() where repo = 'acme/rocket';
select t.is(t.fills(), 'acme/rocket 2026-01-01T09:59:00Z', 'then from there on, with a minute of overlap');
select fleet.backfilled(t.node('w1'), 'acme/rocket', '[]', '2026-01-01T09:00:00Z');
select t.is((select read_since from fleet.repository where repo = 'acme/rocket'), '2026-01-01T10:00:00Z'::timestamptz, 'it never goes back');
update fleet.repository set read_due = now() where repo = 'acme/rocket';
select t.fills(), fleet.backfilled(t.node('w1'), 'acme/rocket', '[]', '2099-01-01T09:00:00Z');
select t.ok((select read_since = now() from fleet.repository where repo = 'acme/rocket'), '... nor behind the beginning of the reading');
select t.worker('w2', t.host('h', '{code:rust}', 1));
select fleet.node_stop(t.node('w1'));
select t.is(t.fills('w2'), 'acme/other', 'of who stopped, another begins anew');
select t.throws($$select fleet.backfilled(t.node('w1'), 'acme/other', '[]', null)$$, 'AF002', '... who can say no more');
rollback;

\echo 'failures'
begin;
select t.fleet('["*"]');
select t.known('acme/rocket'), t.fills();
select fleet.backfilled(t.node('w1'), 'acme/rocket', '[]', '2026-01-01T10:00:00Z');
update fleet.repository set read_due = now();
select t.fills();
select fleet.backfill_failed(t.node('w1'), 'acme/rocket', 'away: 502 on page 2', -1);
select t.is((select row(state, reason, read_since)::text from fleet.repositories where repo = 'acme/rocket'),
  row('failing', 'away: 502 on page 2', '2026-01-01T10:00:00Z'::timestamptz)::text, 'a page that failed leaves the mark where it was');
select t.ok((select read_due between now() + interval '5 s' and now() + interval '7 s' from fleet.repository), 'tried again soon');
update fleet.repository set read_due = now();
select t.is(t.fills(), 'acme/rocket 2026-01-01T09:59:00Z', 'the same again');
select fleet.backfill_failed(t.node('w1'), 'acme/rocket', 'away: 429', 600);
select t.ok((select read_due > now() + interval '599 s' from fleet.repository), 'Forgejo says after how long');
update fleet.repository set read_due = now();
select t.fills();
select fleet.backfill_failed(t.node('w1'), 'acme/rocket', 'dropped: it stops', -1);
select t.is(t.fills(), 'acme/rocket 2026-01-01T09:59:00Z', 'who stops leaves it to others');
select fleet.backfill_failed(t.node('w1'), 'acme/rocket', 'missing: 404', -1);
select t.is((select state || ' ' || reason from fleet.repositories), 'parked missing: 404', 'not there: parked');
update fleet.repository set read_due = now();
select t.is(t.fills(), '', 'then it is not read');
update fleet.repository set parked_until = now();
select t.is(t.fills(), 'acme/rocket 2026-01-01T09:59:00Z', 'until its time');
select fleet.backfilled(t.node('w1'), 'acme/rocket', '[]', '2026-01-01T10:00:00Z');
select t.is((select parks from fleet.repository), 0, 'it answered: as if it had never been parked');
rollback;

\echo 'what a list shows'
begin;
select t.fleet('["acme/rocket"]');
select t.known('acme/rocket', 'foreign/x');
select t.is(t.fills(), 'acme/rocket', 'who is not listed is not read');
select t.fill(null, t.listed(1, '2026-01-01T10:00:00Z'), t.listed(2, '2026-01-01T10:00:00Z', '{bug}'),
  t.listed(3, '2026-01-01T10:00:00Z', '{agent:code:rust}', 'closed'), t.listed(4, '2026-01-01T10:00:00Z', '{agent:x,bug}'));
select t.is(t.wanted(), '1, 4', 'open ones with an agent label are looked at, the others are nothing to us');
select t.is((select count(*) from fleet.issue), 2::bigint, '... and leave nothing behind');
select t.is((select read_since from fleet.repository where repo = 'acme/rocket'), null, 'a page does not move the mark');
select t.fill('2026-01-01T10:00:00Z');
select t.looked(1, '2026-01-01T10:00:00Z'), t.looked(4, '2026-01-01T10:00:00Z', '{agent:x,bug}');
select t.is(t.wanted(), '1 later, 4 later', 'one more look each, behind the second of what was seen');
update fleet.look set again_at = null, done = seq;
update fleet.repository set read_due = now();
select t.is(t.fills(), 'acme/rocket 2026-01-01T09:59:00Z', 'read again');
select t.fill('2026-01-01T10:00:00Z', t.listed(1, '2026-01-01T10:00:00Z'), t.listed(4, '2026-01-01T10:00:00Z', '{agent:x,bug}'));
select t.is(t.wanted(), '', 'what is as stored is left alone');
update fleet.repository set read_due = now();
select t.fills();
select t.fill('2026-01-01T10:00:00Z', t.listed(1, '2026-01-01T10:00:00Z', '{bug}'), t.listed(4, '2026-01-01T10:00:01Z', '{bug,agent:x}'));
select t.is(t.wanted(), '1, 4', 'other labels in the same second, another time with the same labels');
update fleet.look set again_at = null, done = seq;
update fleet.issue set updated_at = '2026-01-01T10:00:01Z', labels = '{agent:x,bug}' where number = 4;
update fleet.look set listed = null;
update fleet.repository set read_due = now();
select t.fills();
select t.fill('2026-01-01T10:00:00Z', t.listed(4, '2026-01-01T10:00:01Z', '{bug,agent:x}'));
select t.is(t.wanted(), '4 later', 'told by a delivery, seen, listed as seen: one more look, for what came in the same second');
select t.looked(4, '2026-01-01T10:00:01Z', '{agent:x,bug}');
select t.is(t.wanted(), '', '... and no more');
update fleet.repository set read_due = now();
select t.fills();
select t.fill('2026-01-01T10:00:00Z', t.listed(4, '2026-01-01T10:00:01Z', '{bug,agent:x}', 'closed'), t.listed(4, '2026-01-01T10:00:01Z', '{bug,agent:x}'));
select t.is(t.wanted(), '4', 'listed twice, for the list moved: either counts');
select t.sound();
rollback;

\echo 'by id'
begin;
select t.fleet();
select t.known('acme/rocket');
select t.is(fleet.repository_seen(t.node('w1'), '{"id": 5, "full_name": "acme/rocket", "default_branch": "trunk"}'), 'acme/rocket', 'what it is called');
select t.is((select row(repository_id, default_branch)::text from fleet.repository), '(5,trunk)', 'id and default branch are known');
select fleet.want_look('issue', (fleet.issue_of('acme/rocket', 7, 1007)).issue);
select t.is(fleet.repository_seen(t.node('w1'), '{"id": 5, "full_name": "Acme/shuttle", "default_branch": "trunk"}'), 'Acme/shuttle', 'it was renamed');
select t.is((select repo || ' ' || number from fleet.looks(t.node('w1'), 1)), 'Acme/shuttle 7', '... and is looked at under its new name');
select t.is(t.fills(), 'Acme/shuttle', '... and read');
select t.throws($$select fleet.backfilled(t.node('w1'), 'acme/rocket', '[]', null)$$, 'AF004', 'the old name is none');
rollback;

\echo 'pull requests'
create function t.pull(p_number int, p_at text, p_head text default null, p_state text default 'open', p_repository bigint default 5) returns jsonb language sql as $$
  select jsonb_build_object('id', 2000 + p_number, 'number', p_number, 'state', p_state, 'updated_at', p_at, 'labels', '[]'::jsonb, 'is_pull', true)
    || case when p_head is null then '{}' else jsonb_build_object('pull_head', jsonb_build_object('ref', p_head, 'sha', 'abc', 'repository_id', p_repository)) end;
$$;
create function t.pulls_wanted() returns text language sql as $$
  select coalesce(string_agg(number || ' ' || state, ', ' order by number), '') from fleet.readings where kind = 'pull' and state <> 'read';
$$;
begin;
select t.fleet();
select t.known('acme/rocket'), t.fills();
select fleet.repository_of(5, 'acme/rocket');
select t.is(t.rows($$select * from t.fill(null, t.pull(3, '2026-01-01T10:00:00Z'))$$), '', 'of a repository without tasks no pull request matters');
select t.deliver('d1', 'opened', '{agent:code:rust}', '2026-01-01T10:00:00Z', '{"repository_id": 5}');
select t.is(t.rows($$select x from t.fill(null, t.pull(4, '2026-01-01T10:00:00Z'), t.pull(3, '2026-01-01T10:00:00Z')) x$$), '3 4',
  'the heads of unknown ones are asked for');
select t.is(t.rows($$select x from t.fill(null, t.pull(3, '2026-01-01T10:00:00Z', 'other')) x$$), '', 'nobody''s branch');
select t.is(t.rows($$select x from t.fill(null, t.pull(4, '2026-01-01T10:00:00Z', 'task/acme/rocket#42', 'open', 6)) x$$), '', 'a fork''s branch');
select t.is(t.pulls_wanted(), '', '... are nothing to us');
select t.is(t.rows($$select x from t.fill(null, t.pull(5, '2026-01-01T10:00:00Z', 'task/acme/rocket#42', 'closed')) x$$), '', 'a task''s, and closed already');
select t.is(t.pulls_wanted(), '5 waiting', '... is looked at');
select fleet.look_done(kind, id, seq) from fleet.look where kind = 'pull';
update fleet.pull set state = 'open', updated_at = '2026-01-01T10:00:00Z', read_at = now();
update fleet.look set done = seq, again_at = null;
select t.is(t.rows($$select x from t.fill(null, t.pull(5, '2026-01-01T10:00:00Z')) x$$), '', 'a known one needs no head');
select t.is(t.pulls_wanted(), '', '... and as it is known it is left alone');
select t.fill(null, t.pull(5, '2026-01-01T10:00:01Z'));
select t.is(t.pulls_wanted(), '5 waiting', 'it changed');
select t.sound();
rollback;
