-- A Forgejo of one table for tests: what people do to issues, and what a look sees of it. Loaded with t.sql.

create table t.issue (number int primary key, id bigint not null, repo text not null, repo_id bigint not null, title text not null, body text not null,
  author text not null, state text not null default 'open', at int not null, labels jsonb not null default '[]', events jsonb not null default '[]',
  milestone text);
create table t.clock (second int not null, event bigint not null);
insert into t.clock values (0, 100);
create table t.person (login text primary key, id bigint not null, permission text not null);
insert into t.person values ('ann', 1, 'write'), ('carl', 2, 'admin'), ('bob', 3, 'read'), ('eve', 4, 'none'), ('dan', 5, 'unknown'), ('Ghost', -1, 'write');

create function t.at(p_second int) returns text language sql security definer as $$
  select to_char(timestamp '2026-01-01' + make_interval(secs => p_second), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;
create function t.tick(p_by int default 1) returns int language sql security definer as $$ update t.clock set second = second + p_by returning second $$;
create function t.next_event() returns bigint language sql security definer as $$ update t.clock set event = event + 1 returning event $$;

-- The fleet reads it, by this policy.
create function t.reads(p_policy jsonb default '{}') returns void language sql security definer as $$
  select fleet.forgejo_configure(t.node('w1'), '{"url": "https://git.example.org", "reads": true, "repositories": ["*"]}' || p_policy, 99, 'fleet') $$;

create function t.opens(p_author text default 'ann', p_number int default 42, p_repo text default 'acme/rocket', p_repo_id bigint default 7)
returns bigint language plpgsql security definer as $$
begin
  insert into t.issue (number, id, repo, repo_id, title, body, author, at)
  values (p_number, 1000 + p_number, p_repo, p_repo_id, 'Do ' || p_number, 'As said', p_author, t.tick());
  return (fleet.issue_of(fleet.repository_of(p_repo_id, p_repo), p_number, 1000 + p_number)).issue;
end $$;

-- A label has a number of its own; by default each name one.
create function t.labels(p_by text, p_label text, p_number int default 42, p_id bigint default null, p_seconds int default 1)
returns bigint language plpgsql security definer as $$
declare e bigint := t.next_event(); l bigint := coalesce(p_id, hashtext(p_label)); s int := t.tick(p_seconds);
begin
  if exists (select from t.issue, jsonb_array_elements(labels) x where number = p_number and (x ->> 'id')::bigint = l) then
    return null;
  end if;
  update t.issue set at = s, labels = labels || jsonb_build_object('id', l, 'name', p_label),
    events = events || jsonb_build_object('id', e, 'label', p_label, 'label_id', l, 'added', true, 'by', p_by,
                                          'by_id', (select id from t.person where login = p_by), 'at', t.at(s))
  where number = p_number;
  return e;
end $$;
create function t.unlabels(p_by text, p_label text, p_number int default 42, p_id bigint default null, p_seconds int default 1)
returns void language plpgsql security definer as $$
declare e bigint := t.next_event(); l bigint := coalesce(p_id, hashtext(p_label)); s int := t.tick(p_seconds);
begin
  update t.issue set at = s, labels = (select coalesce(jsonb_agg(x), '[]') from jsonb_array_elements(labels) x where (x ->> 'id')::bigint <> l),
    events = events || jsonb_build_object('id', e, 'label', p_label, 'label_id', l, 'added', false, 'by', p_by,
                                          'by_id', (select id from t.person where login = p_by), 'at', t.at(s))
  where number = p_number and exists (select from jsonb_array_elements(labels) x where (x ->> 'id')::bigint = l);
end $$;
create function t.edits(p_body text, p_number int default 42, p_seconds int default 1) returns void language sql security definer as $$
  update t.issue set body = p_body, at = t.tick(p_seconds) where number = p_number $$;
create function t.turns(p_state text, p_number int default 42) returns void language sql security definer as $$
  update t.issue set state = p_state, at = t.tick() where number = p_number $$;

-- A delivery as it is stored: who sent it vouches for the text that it shows.
create function t.delivers(p_by text, p_action text, p_number int default 42) returns void language sql security definer as $$
  insert into fleet.delivery (delivery_id, sha256, event, action, repo, number, sender, result, reason, text_hash, repository_id, sent_at)
  select gen_random_uuid()::text, '', 'issues', p_action, i.repo, i.number, p_by, 'accepted', 'recorded', fleet.text_hash(i.title, i.body), i.repo_id,
         t.at(i.at)::timestamptz
  from t.issue i where i.number = p_number $$;

create function t.seen(p_number int default 42) returns jsonb language sql security definer as $$
  select jsonb_build_object(
    'repository', jsonb_build_object('id', i.repo_id, 'full_name', i.repo, 'default_branch', 'main'),
    'issue', jsonb_build_object('id', i.id, 'number', i.number, 'title', i.title, 'body', i.body, 'state', i.state, 'updated_at', t.at(i.at),
      'html_url', 'https://git.example.org/' || i.repo || '/issues/' || i.number, 'author', i.author,
      'author_id', (select id from t.person where login = i.author), 'labels', i.labels, 'milestone', i.milestone),
    'label_events', i.events, 'comments', '[]'::jsonb, 'people', (select jsonb_object_agg(login, permission) from t.person))
  from t.issue i where i.number = p_number $$;

-- A look that is taken and ended at once, or the answer of an older one.
create function t.look(p_number int default 42, p_seen jsonb default null, p_seq bigint default null) returns text language plpgsql security definer as $$
declare v_issue bigint := (select issue from fleet.issue where forgejo_id = 1000 + p_number);
begin
  if p_seq is null then
    perform fleet.want_look('issue', v_issue);
  end if;
  return fleet.issue_seen(t.node('w1'), v_issue, coalesce(p_seq, (select seq from fleet.look where kind = 'issue' and id = v_issue)),
                          coalesce(p_seen, t.seen(p_number)));
end $$;

-- What Forgejo tells of an issue as it is, or of a push to the branch of its task.
create function t.tells(p_action text, p_sender text, p_delivery text, p_kind text default 'issue') returns text
language sql security definer as $$
  select concat_ws(' ', r.result, r.reason)
  from (select t.seen() || jsonb_build_object('kind', p_kind, 'action', p_action, 'event', p_kind, 'reads', true, 'delivery', p_delivery,
      'sender', jsonb_build_object('login', p_sender, 'id', (select id from t.person where login = p_sender)))
      || case when p_kind = 'push' then jsonb_build_object('issue', null, 'push', jsonb_build_object('before', 'a', 'after', 'b',
           'ref', 'refs/heads/' || coalesce((select branch_name from fleet.task limit 1), 'main'))) else '{}' end as e) x,
    fleet.receive_event(e || jsonb_build_object('sha256', md5((e - 'delivery')::text))) r $$;

-- Status, hold and reason of the task of an issue.
create function t.stands(p_number int default 42) returns text language sql security definer as $$
  select concat_ws(' ', k.status, k.hold, k.failure_reason) from fleet.task k join fleet.issue i using (issue) where i.forgejo_id = 1000 + p_number $$;
create function t.renames(p_repo text) returns void language sql security definer as $$ update t.issue set repo = p_repo where repo_id = 7 $$;
