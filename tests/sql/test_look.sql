-- Looks: who reads which issue from Forgejo, when, and what becomes of one that failed.

create function t.issue(p_number int, p_repo text default 'acme/rocket') returns bigint language sql as $$
  select (fleet.issue_of(fleet.repository_of(null, p_repo), p_number, null)).issue;
$$;
-- "number seq" of what a node is given, in its order.
create function t.looks(p_node text, p_max int default 10) returns text language sql as $$
  select coalesce(string_agg(number || ' ' || seq, ', ' order by ordinality), '') from fleet.looks(t.node(p_node), p_max) with ordinality;
$$;
create function t.look_row(p_number int) returns fleet.look language sql as $$
  select l from fleet.look l join fleet.issue i on l.kind = 'issue' and i.issue = l.id where i.number = p_number;
$$;
-- The state that people see of a look; and whether its next try is within so many seconds from now.
create function t.reading(p_number int) returns text language sql as $$
  select state || coalesce(': ' || reason, '') from fleet.readings where number = p_number;
$$;
create function t.due_in(p_number int, p_from int, p_to int) returns boolean language sql as $$
  select (t.look_row(p_number)).due_at between now() + make_interval(secs => p_from) and now() + make_interval(secs => p_to);
$$;
create function t.fails(p_node text, p_number int, p_why text, p_retry int default -1) returns timestamptz language sql as $$
  select fleet.look_failed(t.node(p_node), 'issue', t.issue(p_number), (t.look_row(p_number)).seq, p_why, p_retry);
$$;

\echo 'a look is taken by one, and done'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1)), t.worker('w2', t.host('h', '{code:rust}', 1));
select t.is(t.looks('w1'), '', 'nothing is wanted');
select fleet.want_look('issue', t.issue(1));
select fleet.want_look('issue', t.issue(2));
select t.is(t.reading(1), 'waiting', 'people see that it waits');
select t.is(t.looks('w1', 1), '1 1', 'the first that was wanted');
select t.is(t.reading(1), 'reading', '... and that it is being read');
select t.is(t.looks('w2'), '2 1', 'another node is given what is left');
select t.is(t.looks('w1'), '', '... and nobody gets it twice');
select fleet.look_done('issue', t.issue(1), 1);
select t.is(t.reading(1), 'read', 'it was read');
select t.is(t.looks('w1'), '', 'what was read is not read again');
select fleet.want_look('issue', t.issue(2));
select t.is(t.looks('w1'), '', 'wanted again while it is being read: still by one only');
select fleet.look_done('issue', t.issue(2), 1);
select t.is(t.looks('w1'), '2 2', '... and again behind that, for it began too soon');
select fleet.look_done('issue', t.issue(2), 1);
select t.is((t.look_row(2)).done, 1::bigint, 'an old answer does not fulfil a new wish');
select fleet.look_done('issue', t.issue(2), 99);
select t.is((t.look_row(2)).done, 2::bigint, '... nor one that is not there yet');
select t.sound();
rollback;

\echo 'a node that is slow'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1)), t.worker('w2', t.host('h', '{code:rust}', 1));
select fleet.want_look('issue', t.issue(1));
select t.looks('w1');
update fleet.look set taken_until = now();
select t.is(t.looks('w2'), '1 1', 'another one has its look');
select t.is(t.fails('w1', 1, 'away'), null, '... which it cannot put off then');
select t.is((t.look_row(1)).taken_by, t.node('w2'), '... or give away');
rollback;

\echo 'a node that is no more'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1)), t.worker('w2', t.host('h', '{code:rust}', 1));
select fleet.want_look('issue', t.issue(1));
select t.is(t.looks('w1'), '1 1', 'taken');
select fleet.node_stop(t.node('w1'));
select t.is(t.looks('w2'), '1 1', 'taken over at once');
update fleet.look set taken_until = now();
select t.throws($$select fleet.looks(t.node('w1'), 1)$$, 'AF002', 'who has stopped is given nothing');
select t.is(t.looks('w2'), '1 1', 'a lease that ran out is nobody''s');
rollback;

\echo 'order'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select fleet.want_look_later('issue', t.issue(1));
select fleet.want_look_later('issue', t.issue(2));
select fleet.want_look('issue', t.issue(3));
select t.is(t.looks('w1', 1), '3 1', 'what somebody waits for goes before what a list showed');
select fleet.want_look('issue', t.issue(2));
select t.is(t.looks('w1'), '2 2, 1 1', '... also when the list had shown it before');
select fleet.want_look_later('issue', t.issue(4), '1 hour');
select t.is(t.looks('w1'), '', 'not before its time');
select fleet.want_look('issue', t.issue(4));
select t.is(t.looks('w1'), '4 2', '... unless somebody waits for it');
rollback;

\echo 'away'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select fleet.want_look('issue', t.issue(1));
select t.looks('w1');
select t.fails('w1', 1, 'away: connection refused');
select t.is(t.reading(1), 'failing: away: connection refused', 'people see why');
select t.ok(t.due_in(1, 5, 7), 'it is tried again soon');
select fleet.want_look('issue', t.issue(1));
select t.ok(t.due_in(1, 5, 7), 'a delivery does not shorten the pause');
update fleet.look set due_at = now();
select t.looks('w1');
select t.fails('w1', 1, 'away: 502');
select t.ok(t.due_in(1, 10, 13), 'then after twice as long');
update fleet.look set due_at = now(), tries = 20;
select t.looks('w1');
select t.fails('w1', 1, 'away: 502');
select t.ok(t.due_in(1, 300, 376), '... and so on, up to look_retry_max_ms');
update fleet.look set due_at = now();
select t.looks('w1');
select t.fails('w1', 1, 'away: 429', 1000);
select t.ok(t.due_in(1, 1000, 1101), 'Forgejo says after how long');
update fleet.look set due_at = now();
select t.looks('w1');
select t.fails('w1', 1, 'away: 429', 100000000);
select t.ok(t.due_in(1, 86400, 95041), '... but not for ever');
select t.is(t.status('acme/rocket#1'), null, 'nothing was cancelled');
update fleet.look set due_at = now();
select t.looks('w1');
select fleet.look_done('issue', t.issue(1), 2);
select t.is((t.look_row(1)).tries, 0, 'it answers: the pause is forgotten');
select fleet.want_look('issue', t.issue(1));
select t.looks('w1');
select t.fails('w1', 1, 'dropped: this worker stops');
select t.is(t.looks('w1'), '1 3', 'who stops leaves it to others at once');
rollback;

\echo 'parked'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select fleet.want_look('issue', t.issue(n)), fleet.want_look('issue', t.issue(n, 'acme/other')) from generate_series(1, 2) n;
select t.is(t.looks('w1', 1), '1 1', 'one is read');
select t.fails('w1', 1, 'denied: 403 token does not have at least one of required scope(s): [read:issue]');
select t.is((select row(state, reason)::text from fleet.repositories where repo = 'acme/rocket'),
  '(parked,"denied: 403 token does not have at least one of required scope(s): [read:issue]")', 'its repository is parked, people see why');
select t.is((select count(*) from fleet.looks(t.node('w1'), 10) where repo = 'acme/rocket'), 0::bigint, 'nothing else of it is read');
select t.is((select state from fleet.readings where repo = 'acme/other' limit 1), 'reading', 'others are');
select t.is((select reason from fleet.readings where repo = 'acme/rocket' and number = 2),
  'denied: 403 token does not have at least one of required scope(s): [read:issue]', 'each look says so');
select t.ok(fleet.parked('acme/rocket') and not fleet.parked('acme/other'), 'and it may be asked');
select t.is((select fleet.park_repository('acme/rocket', 'missing: again')), (select parked_until from fleet.repository where repo = 'acme/rocket'),
  'who meets it at the same time does not make it longer');
update fleet.repository set parked_until = now();
update fleet.look set due_at = now();
select t.is((select count(*) from fleet.looks(t.node('w1'), 10) where repo = 'acme/rocket'), 2::bigint, 'tried again after park_ms');
select t.fails('w1', 2, 'missing: 404');
select t.ok((select parked_until between now() + interval '20 min' and now() + interval '25 min' from fleet.repository where repo = 'acme/rocket'),
  'twice as long the next time');
select t.is(fleet.unpark_repository('ACME/rocket'), 'unparked', 'a person says that it was mended');
select t.is((select before ->> 'reason' from fleet.audit where action = 'unpark_repository'), 'missing: 404', '... which the audit trail shows');
update fleet.look set taken_until = null;
select t.is((select count(*) from fleet.looks(t.node('w1'), 10) where repo = 'acme/rocket'), 2::bigint, 'at once');
select t.is(fleet.unpark_repository('acme/rocket'), 'not_parked', 'unparked twice');
select t.is(fleet.unpark_repository('acme/no'), 'not_found', 'of no repository');
select t.is(fleet.park_repository('acme/no', 'x'), null, 'parked: none');
rollback;

\echo 'parked as none of ours'
begin;
create function t.configure(p_repositories jsonb) returns void language sql as $$
  select fleet.forgejo_configure(t.node('w1'), jsonb_build_object('url', 'https://git.example.org', 'reads', true, 'repositories', p_repositories), 7, 'fleet') $$;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.configure('["acme/other"]');
select fleet.want_look('issue', t.issue(1)), fleet.want_look('issue', t.issue(2, 'acme/closed'));
select t.is(t.looks('w1'), '1 1, 2 1', 'both are read');
select t.fails('w1', 1, 'moved: it is called acme/rocket now, which forgejo.repositories does not name');
select fleet.look_failed(t.node('w1'), 'issue', t.issue(2, 'acme/closed'), 1, 'denied: 403', -1);
select t.ok(not fleet.parked('acme/rocket') and fleet.parked('acme/closed'), 'judged as it was told: not parked, for that may be another now');
select t.ok(t.due_in(1, 0, 60), '... but read again soon');
update fleet.forgejo set told_at = now() - interval '1 minute';
update fleet.look set due_at = now() where done < seq;
select t.is(t.looks('w1'), '1 1', 'it is');
select t.fails('w1', 1, 'moved: it is called acme/rocket now, which forgejo.repositories does not name');
select t.ok(fleet.parked('acme/rocket'), '... and parked, when nothing else was told');
select t.configure('["acme/other"]');
select t.ok(fleet.parked('acme/rocket'), 'a configuration that says the same opens none');
select t.configure('["acme/other", "acme/rocket"]');
select t.ok(not fleet.parked('acme/rocket') and fleet.parked('acme/closed'), 'one that names others does, but none that Forgejo keeps from us');
select t.is(t.looks('w1'), '1 1', '... and what waited there is read at once');
rollback;

\echo 'gone'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.deliver('d1', 'opened', '{agent:code:rust}', '2026-01-01T10:00:00Z');
update fleet.task set issue = t.issue(42);
select fleet.want_look('issue', t.issue(42));
select t.looks('w1');
select t.fails('w1', 42, 'missing: 404');
select t.is(t.status('acme/rocket#42'), 'created', 'a repository that is not seen any more cancels nothing');
select fleet.unpark_repository('acme/rocket');
select t.looks('w1');
select t.fails('w1', 42, 'gone: the repository answers, and has no issue 42');
select t.is((select row(status, failure_reason)::text from fleet.tasks), '(cancelled,issue_gone)', 'an issue that is gone cancels what waits');
select t.is(t.reading(42), 'read', 'and is not asked for again');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.deliver('d1', 'opened', '{agent:code:rust}', '2026-01-01T10:00:00Z');
update fleet.task set issue = t.issue(42);
select t.claim('w1', 1), t.start('w1', 'acme/rocket#42');
select fleet.want_look('issue', t.issue(42)), t.looks('w1');
select t.fails('w1', 42, 'gone: the repository answers, and has no issue 42');
select t.is((select status || ' ' || cancel_reason from fleet.task), 'running issue_gone', '... and asks what runs to stop');
select t.sound();
rollback;

\echo 'a task that waits for a look'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1)), t.reads('{"repositories": ["*"]}');
select t.deliver('d1', 'opened', '{agent:code:rust}', '2026-01-01T10:00:00Z', '{"reads": true}');
create function t.helps() returns text language sql as $$
  select array_to_string(fleet.hold_help(k), '; ') from fleet.task k; $$;
select t.is((select hold from fleet.task), 'permission_pending', 'Forgejo is asked who labelled it');
select t.looks('w1');
select t.ok(t.helps() !~ 'failed|unpark', 'as long as nothing is wrong, nothing is said to be');
select t.fails('w1', 42, 'away: 502');
select t.ok(t.helps() like '%that its issue can be read, which failed 1 times: away: 502%', 'then people see why it is not asked');
update fleet.look set due_at = now();
select t.looks('w1'), t.fails('w1', 42, 'denied: 403');
select t.ok(t.helps() like '%what is said of acme/rocket (denied: 403), then fleet.unpark_repository(''acme/rocket'')%', '... and what to do');
rollback;

\echo 'whom Forgejo is asked about'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.deliver('d1', 'opened', '{agent:code:rust}', '2026-01-01T10:00:00Z'),
  t.deliver('d2', 'edited', '{agent:code:rust}', '2026-01-01T10:00:01Z', '{"sender": "ann"}'),
  t.deliver('d3', 'closed', '{agent:code:rust}', '2026-01-01T10:00:01Z', '{"sender": "ben"}'),
  t.deliver('d4', 'edited', '{agent:code:rust}', '2026-01-01T10:00:01Z', '{"sender": "cat", "number": 43}');
update fleet.task set issue = t.issue(42), requested_by = 'dora';
select fleet.want_look('issue', t.issue(42));
select t.is((select array_to_string(array(select unnest(people) order by 1), ' ') from fleet.looks(t.node('w1'), 1)), 'ann dora octo',
  'who asked for it, and who wrote or labelled it');
rollback;

\echo 'who waits for nobody'
begin;
select fleet.want_look('issue', t.issue(1), false);
select t.is((t.look_row(1)).seq, 1::bigint, 'wanted by a claim: a first time');
select fleet.want_look('issue', t.issue(1), false);
select t.is((t.look_row(1)).seq, 2::bigint, '... and again');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
insert into fleet.look (kind, id) values ('issue', 4711);
select t.is(t.looks('w1'), '', 'a look at what is no more');
select t.is((select count(*) from fleet.look), 0::bigint, '... goes');
rollback;
