-- Submission by REST: verdict by row, idempotency, bounds; what the API shows.

\echo 'verdicts'
begin;
select t.is(t.submit('a'), 'created', 'new: created');
select t.is(t.submit('a'), 'exists', 'the same again: exists');
select t.is((select verdict || ' ' || code from t.submits(t.items(t.item('a', '{agent:code:rust}', '{"title": "Another"}')))), 'conflict task_conflict',
  'another content under the same id: a conflict');
select t.keep('made', (select task_id from t.submits(t.items(t.item(null, '{}')))));
select t.is((select branch_name from fleet.task where task_id = t.kept('made')), 'task/' || t.kept('made'), 'an id that the node made is the name of its branch');
select t.is((select string_agg(verdict, ' ' order by ord) from t.submits((select t.items(variadic array_agg(x order by i)) from (values
  (1, t.item('n1', '{}')), (2, t.item('x/y#2', '{}')), (3, t.item('n1', '{}')), (4, t.item('n1', '{x}')), (5, t.item('n2', '{}')), (6, t.item('a', '{agent:code:rust}'))) v(i, x)))),
  'created refused exists conflict created exists', 'a batch answers row by row; a refused one touches no neighbour');
select t.is((select count(*) from t.submits('{}'::jsonb[])), 0::bigint, 'an empty batch answers nothing');
select t.is((select count(distinct ord) from t.submits((select t.items(variadic array_agg(t.item('m' || i, '{}'))) from generate_series(1, 200) i))), 200::bigint,
  'two hundred in one batch, each with its verdict');
select t.is((select row(status, priority, source, requirements, title)::text from fleet.task where task_id = 'a'), '(created,0,api,{code:rust},"Do a")',
  'what was submitted stands');
select t.sound('every invariant after submissions');
rollback;

\echo 'a list is one request'
begin;
create function pg_temp.list(p_items jsonb[], p_request jsonb default '{}') returns text language sql as $$
  select string_agg(concat_ws(' ', x ->> 'status', x ->> 'code', x -> 'details' ->> 'member'), ', ') from t.submit_list(p_items, p_request) x;
$$;
select t.is(pg_temp.list(t.items(t.item('l1', '{}'), t.item('x/y#2', '{}'), t.item('l1', '{}'), t.item('l1', '{x}'), t.item('l2', '{}', '{"priority": 5000}'))),
  '201, 422 invalid_value task_id, 200, 409 task_conflict, 422 invalid_value priority', 'an answer for each, in their order');
select t.is((select array_agg(k order by k) from (select jsonb_object_keys(x) k from t.submit_list(t.items(t.item('l3', '{agent:x}'))) x) y), '{status,task_id,warnings}'::text[],
  'not the whole task, but what keeps everybody from taking it');
select t.submit_whole(t.items(t.item('n3', '{}'), t.item('n1', '{}'), t.item('n2', '{}')), '{"form": "list"}');
select t.is((select string_agg(task_id, ' ' order by task) from fleet.task where task_id ~ '^n'), 'n3 n1 n2', 'they wait in the order of the list');
select t.is((select string_agg(actor || ' ' || action || ' ' || object || ' ' || after, ', ' order by audit) from fleet.audit where object like 'n%'),
  'open task_submit n3 {"tasks": 3}', 'one row in the trail');
select t.is(t.submit_whole(t.items(t.item('w1', '{}'), t.item('w2', '{}')), '{"form": "lines"}'),
  e'201 {"status": 201, "task_id": "w1", "warnings": ["no agent is known: no worker has brought its configuration yet"]}\n'
  '{"status": 201, "task_id": "w2", "warnings": ["no agent is known: no worker has brought its configuration yet"]}' || e'\n', 'or a line each');
select t.is(left(t.submit_whole(t.items(t.item('w1', '{}'), t.item('w2', '{}')), '{"form": "list"}'), 3), '200', 'all stand');
select t.is(left(t.submit_whole(t.items(t.item('w1', '{}'), t.item('w2', '{x}')), '{"form": "list"}'), 3), '207', 'not all');
select t.sound('every invariant after lists');
rollback;

\echo 'a list under a key'
begin;
select t.keep('list', t.submit_whole(t.items(t.item('k1', '{}'), t.item('k2', '{x}'), t.item('a/b#1', '{}')), '{"form": "list", "token_id": 7, "idempotency_key": "k", "request_hash": "one"}'));
select t.is(left(t.kept('list'), 3), '207', 'is submitted');
select t.is(t.submit_whole(t.items(t.item('k3', '{}')), '{"form": "list", "token_id": 7, "idempotency_key": "k", "request_hash": "one"}'), t.kept('list'), 'its repetition has the same answer');
select t.ok(t.submit_whole(t.items(t.item('k3', '{}')), '{"form": "list", "token_id": 7, "idempotency_key": "k", "request_hash": "two"}') like '409 %idempotency_conflict%', 'another under its key has none');
select t.is((select count(*) from fleet.task), 2::bigint, 'two tasks in all');
select t.is((select count(*) from fleet.idempotency), 1::bigint, 'and one key');
rollback;

\echo 'requests of one statement'
begin;
create function pg_temp.two(p_first text, p_second text) returns text language sql as $$
  select string_agg(concat_ws(' ', verdict, code, task_id), ', ' order by ord) from t.submits(t.items(
    t.item('one', '{}') || jsonb_build_object('token_id', 7, 'idempotency_key', 'k', 'request_hash', p_first),
    t.item('two', '{}') || jsonb_build_object('token_id', 7, 'idempotency_key', 'k', 'request_hash', p_second),
    t.item('three', '{}')));
$$;
select t.is(pg_temp.two('aa', 'aa'), 'created one, created one, created three', 'that share a key and a body share an answer');
delete from fleet.idempotency; 
select t.is(pg_temp.two('aa', 'bb'), 'exists one, conflict idempotency_conflict one, exists three', 'that share a key only do not');
select t.is((select count(*) from fleet.task), 2::bigint, 'and make nothing twice');
select t.is((select count(*) from fleet.audit), 2::bigint, 'each has its row in the trail');
rollback;

\echo 'items out of their limits never raise'
begin;
create function pg_temp.fault(p_more jsonb, p_labels text[] default '{agent:code:rust}') returns text language sql as $$
  select concat_ws(' ', verdict, code, details ->> 'member') from t.submits(t.items(t.item('f', p_labels, p_more)));
$$;
select t.is((select verdict from t.submits(t.items(jsonb_build_object('title', 'T', 'any_agent', true, 'max_retries', 0, 'timeout_secs', 1,
  'max_attempts_total', 1)))), 'created', 'the least that is needed');
select t.is((select verdict || ' ' || code from t.submits(array['{}'::jsonb])), 'refused invalid_value', 'what is nothing is refused');
select t.is(pg_temp.fault(more::jsonb), 'refused invalid_value ' || member, 'out of its limits: ' || left(more, 80))
from (values ('title', '{"title": null}'), ('title', '{"title": ""}'), ('title', '{"title": "  "}'), ('title', '{"title": "a\nb"}'),
  ('title', format('{"title": "%s"}', repeat('x', 501))),
  ('task_id', '{"task_id": ""}'), ('task_id', '{"task_id": " a"}'), ('task_id', '{"task_id": "a\tb"}'), ('task_id', '{"task_id": "."}'),
  ('task_id', '{"task_id": ".."}'), ('task_id', '{"task_id": "acme/rocket#1"}'), ('task_id', format('{"task_id": "%s"}', repeat('x', 201))),
  ('body', format('{"body": "%s"}', repeat('ä', 524289))),
  ('labels', '{"labels": ["agent:x", ""]}'), ('labels', format('{"labels": ["agent:x", "%s"]}', repeat('x', 256))), ('labels', '{"labels": ["agent:x", null]}'), ('labels', '{"labels": ["agent:x", "a\nb"]}'),
  ('labels', jsonb_build_object('labels', array_fill('agent:x'::text, array[501]))::text),
  ('priority', '{"priority": 1001}'), ('priority', '{"priority": -1001}'), ('priority', '{"priority": 9223372036854775807}'),
  ('execution_mode', '{"execution_mode": "teleport"}'), ('task_type', '{"task_type": ""}'), ('task_type', format('{"task_type": "%s"}', repeat('x', 65))), ('repo', '{"repo": "norepo"}'),
  ('repo', '{"repo": "a/b/c"}'), ('repo', format('{"repo": "%s/b"}', repeat('a', 101))), ('repo', '{"issue_number": 7}'),
  ('issue_number', '{"issue_number": 0, "repo": "a/b"}'), ('max_retries', '{"max_retries": -1}'), ('max_retries', '{"max_retries": 101}'),
  ('timeout_secs', '{"timeout_secs": 0}'), ('timeout_secs', '{"timeout_secs": 604801}'), ('timeout_secs', '{"timeout_secs": null}'),
  ('max_attempts_total', '{"max_attempts_total": 0}'), ('run_at', '{"run_at": "soon"}'), ('run_at', '{"run_at": "infinity"}'),
  ('run_at', '{"run_at": "2026-02-30T10:00:00Z"}'), ('run_at', '{"run_at": "9999-12-31T23:59:59Z"}'), ('run_at', '{"run_at": "2026-01-01"}'), ('run_at', '{"run_at": "2026-01-01T10:00:00"}'),
  ('metadata', '{"metadata": []}'), ('metadata', format('{"metadata": {"a": "%s"}}', repeat('x', 16384)))) v (member, more);
select t.is(pg_temp.fault(more::jsonb || jsonb_build_object('task_id', 'g' || i)), 'created', 'at its limit: ' || left(more, 80))
from (values (1, format('{"title": "%s"}', repeat('ä', 500))), (2, format('{"body": "%s"}', repeat('ä', 524288))), (3, '{"priority": 1000}'),
  (4, '{"priority": -1000}'), (5, '{"max_retries": 100}'), (6, '{"timeout_secs": 604800}'), (7, '{"run_at": "2026-01-01t10:00:00.5+02:00"}'),
  (8, jsonb_build_object('run_at', to_char(now() + interval '365 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))::text),
  (9, format('{"repo": "%s/%1$s"}', repeat('a', 100))), (10, '{"metadata": {"a": [1, 2.5, null]}}'),
  (12, format('{"labels": ["agent:x", "%s"]}', repeat('x', 255))), (11, format('{"task_type": "%s"}', repeat('x', 64)))) v (i, more);
select t.is((select detail from t.submits(t.items(t.item('f', '{agent:x}', '{"max_retries": 101}')))),
  '''max_retries'' has to be a whole number from 0 to 100, not 101', 'a sentence names member, limit and value');
select t.is((select details from t.submits(t.items(t.item('f', '{agent:x}', '{"max_retries": 101}')))),
  '{"member": "max_retries", "limit": "a whole number from 0 to 100", "value": 101}', 'and so do the details');
select t.is((select string_agg(verdict, ' ' order by ord) from t.submits(t.items(t.item('x', '{}', '{"title": ""}'), t.item('y', '{}')))), 'refused created',
  'and the good one behind it is created');
select t.is(t.submit(odd), 'created', 'an odd id is an id: ' || left(odd, 20))
from unnest(array['a b', '%', E'it''s', 'ü/#', repeat('x', 200), '-', 'a/b', 'a#1', 'A']) odd;
select t.is(t.submit(E'acme/r#1' || hidden), 'refused', 'nothing that nobody sees: ' || ascii(hidden))
from unnest(array[U&'\0085', U&'\00a0', U&'\00ad', U&'\200b', U&'\202e', U&'\2028', U&'\2060', U&'\3000', U&'\feff']) hidden;
select t.sound('every invariant after nonsense');
rollback;

\echo 'branches'
begin;
select t.is(fleet.slug_of(id), slug, 'slug of ' || left(id, 30)) from (values ('fix-login', 'fix-login'), ('t-abcdefgh2345', 't-abcdefgh2345'),
  ('demo/rocket#1', 'demo-rocket-1-ee40f588'), ('Fix', 'fix-' || left(encode(sha256('Fix'), 'hex'), 8)),
  ('--', 'task-' || left(encode(sha256('--'), 'hex'), 8)), ('a.lock', 'a-lock-' || left(encode(sha256('a.lock'), 'hex'), 8)),
  ('demo-rocket-1-ee40f588', 'demo-rocket-1-ee40f588-' || left(encode(sha256('demo-rocket-1-ee40f588'), 'hex'), 8)),
  (repeat('x', 49), repeat('x', 49)), (repeat('x', 50), repeat('x', 40) || '-' || left(encode(sha256(repeat('x', 50)::bytea), 'hex'), 8))) v (id, slug);
select t.submit(id) from unnest(array['a/b', 'a#b', 'A/B', 'a b', '..a', 'ÄÖ', 'ü', 'x.lock', '-a', '@{', repeat('/', 200), repeat('ab/', 66)]) id;
select t.ok((select count(*) = 12 and count(distinct branch_name) = 12 and bool_and(branch_name ~ '^task/[a-z0-9][a-z0-9-]{0,47}[a-z0-9]$') from fleet.task),
  'each task has a branch of its own that Git can take');
rollback;

\echo 'who takes a task'
begin;
select t.worker('w1', t.host('h', '{code:rust,slow}', 1));
create function pg_temp.says(p_labels text[], p_any boolean) returns text language sql as $$
  select concat_ws(' ', verdict, details ->> 'member', details ->> 'meant')
  from t.submits(t.items(t.item(null, p_labels) || jsonb_build_object('any_agent', p_any)));
$$;
select t.is(pg_temp.says('{}', null), 'refused labels', 'no agent is named, and any is not said');
select t.is(pg_temp.says(null, false), 'refused labels', 'nor by saying no');
select t.is(pg_temp.says('{}', true), 'created', 'any is said');
select t.is(pg_temp.says('{agent:x}', true), 'refused any_agent', 'one is named and any is said');
select t.is(pg_temp.says('{agent:x}', false), 'created', 'one is named');
select t.is(pg_temp.says(labels, null), 'refused labels ' || meant, 'probably meant by ' || labels::text)
from (values ('{bug,slow}'::text[], 'agent:slow'), ('{code:rust}', 'agent:code:rust'), ('{Agent:code:rust}', 'agent:code:rust'),
  ('{agent/docs}', 'agent:docs'), ('{"agents: docs"}', 'agent:docs')) v (labels, meant);
select t.is(pg_temp.says('{bug}', null), 'refused labels', 'nothing is guessed from nothing');
select t.is(t.submit('q', '{agent:code:rust,code:rust}'), 'created', 'a label beside one with agent: is a label');
rollback;

\echo 'what nobody can take is said'
begin;
create function pg_temp.warned(p_labels text[], p_more jsonb default '{}') returns text language sql as $$
  select answer ->> 'warnings' from t.submits(t.items(t.item(null, p_labels, p_more)));
$$;
select t.is(pg_temp.warned('{agent:docs}'), '["no agent is known: no worker has brought its configuration yet"]', 'without any agent');
select t.worker('w1', t.host('h', '{code:rust,docs}', 1) || '{"repositories": ["acme/rocket"]}', t.host('g', '{slow}', 1));
select t.is(pg_temp.warned('{agent:code:rust}', '{"repo": "acme/rocket"}'), '[]', 'nothing, when somebody could');
select t.is(pg_temp.warned('{agent:cobol}'), '["no agent has the capability cobol"]', 'a capability that nobody has');
select t.is(pg_temp.warned('{agent:cobol,agent:docs,agent:fax}'), '["no agent has the capability cobol, nor fax"]', 'two of them');
select t.is(pg_temp.warned('{agent:slow,agent:docs}'), '["no single agent has all of docs, slow"]', 'two that nobody has together');
select t.is(pg_temp.warned('{agent:docs}', '{"execution_mode": "http_pull"}'), '["no agent that could take it is of kind http_pull"]', 'a mode that nobody serves');
select t.is(pg_temp.warned('{agent:docs}', '{"repo": "acme/other"}'), '["no host with such an agent lists repository acme/other"]', 'a repository that nobody lists');
select t.is(pg_temp.warned('{agent:docs}'), '["no host with such an agent takes tasks of no repository"]', 'no repository, where all list some');
select t.submit('c', '{agent:cobol}');
select t.is((select string_agg(coalesce(agent_id, '-') || ': ' || reason, '; ') from fleet.explain_task('c') where agent_id is null), '-: no agent has the capability cobol',
  'explain_task says so too');
select t.is((select result || ' ' || reason || ': ' || detail from t.receive(t.delivery('d1', 'opened', '{agent:cobol}', '2026-01-01T10:00:00Z'))),
  'accepted submitted: no agent has the capability cobol', 'and the answer to a delivery');
select t.is((select detail from fleet.deliveries), 'no agent has the capability cobol', 'and its record');
rollback;

\echo 'issues that no run could be given'
begin;
select t.is((select result || ' ' || reason || ': ' || detail
             from t.receive(t.delivery('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', jsonb_build_object('body', repeat('x', 1048577))))),
  'ignored invalid_value: ''body'' has to be at most 1048576 bytes long, not 1048577', 'a body over the limit is refused at the door');
select t.is((select count(*) from fleet.task), 0::bigint, 'and is no task');
select t.is((select detail like '%1048576%' from fleet.deliveries), true, 'its record says why');
select t.is(t.deliver('d2', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', jsonb_build_object('number', 43, 'body', repeat('x', 1048576))), 'accepted submitted', 'one at the limit is taken');
select t.is(t.deliver('d3', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"number": 44, "title": "a\tb"}'), 'accepted submitted', 'a title is made one line');
select t.is(t.deliver('d4' || repo, 'opened', '{agent:x}', '2026-01-01T10:00:00Z', jsonb_build_object('repo', repo)), 'ignored no_repository', 'no repository: ' || left(repo, 20))
from unnest(array['acme', 'a/b c', 'a/b/c', '/b', repeat('a', 101) || '/b']) repo;
select t.is(t.deliver('d5', 'opened', array_fill('agent:x'::text, array[501]), '2026-01-01T10:00:00Z', '{"number": 45}'), 'ignored invalid_value', 'more labels than a task may have');
select t.is(t.deliver('d6', 'opened', array['agent:x', repeat('x', 256)], '2026-01-01T10:00:00Z', '{"number": 46}'), 'ignored invalid_value', 'a label that is too long');
select t.is((select title from fleet.task where issue_number = 44), 'a b', 'with blanks for what is no text');
rollback;

\echo 'tokens bound to repositories'
begin;
select t.put('bound', t.token('ci', 'operate', '{acme/rocket,acme2/*}'));
select t.put('free', t.token('all', 'operate'));
select t.put('none', t.token('none', 'operate', '{none}'));
create function pg_temp.by(p_token text, p_repo text) returns text language sql as $$
  select concat_ws(' ', verdict, code) from t.submits(t.items(t.item(null, '{agent:x}') || jsonb_build_object('token_id', t.got(p_token), 'repo', p_repo)));
$$;
select t.is(pg_temp.by('bound', 'acme/rocket'), 'created', 'its repository');
select t.is(pg_temp.by('bound', 'Acme/Rocket'), 'created', 'in another case');
select t.is(pg_temp.by('bound', 'acme2/any'), 'created', 'any of its owner');
select t.is(pg_temp.by('bound', 'acme/other'), 'refused repository_not_allowed', 'another repository');
select t.is(pg_temp.by('bound', null), 'refused repository_not_allowed', 'no repository is none of its repositories');
select t.is(pg_temp.by('none', null), 'created', 'unless it is bound to that');
select t.is(pg_temp.by('none', 'acme/rocket'), 'refused repository_not_allowed', 'and then to nothing else');
select t.none($$select a.after from fleet.audit a join fleet.token k on a.actor = fleet.token_actor(k.token_id)
               where k.name = 'ci' and not exists (select from fleet.task x where x.task_id = a.object)$$, 'what was refused is not in the trail');
select t.is(pg_temp.by('free', null), 'created', 'a token that is not bound');
select t.is((select count(*) from fleet.lane), 4::bigint, 'what is refused makes no lane');
select t.submit('own', '{agent:x}', '{"repo": "acme/rocket"}');
select t.submit('other', '{agent:x}', '{"repo": "acme/other"}');
select t.submit('loose', '{agent:x}');
select t.is(status, want, 'cancel of ' || id || ' by a bound token: ' || want)
from (values ('own', 200), ('other', 404), ('loose', 404), ('nothing', 404)) v (id, want), fleet.task_cancel(t.by(t.got('bound')), id, null);
select t.is(status, 200, 'of ' || id || ' by one that is not') from unnest('{other,loose}'::text[]) id, fleet.task_cancel(t.by(t.got('free')), id, null);
select t.is(status, want, 'retry of ' || id || ' by a bound token: ' || want)
from (values ('own', 200), ('other', 404), ('loose', 404), ('nothing', 404)) v (id, want), fleet.task_retry(t.by(t.got('bound')), id, false, null);
rollback;

\echo 'hosts bound to repositories'
begin;
select t.worker('w1', t.host('list', '{x}', 9) || '{"repositories": ["acme/rocket"]}');
select t.submit('loose', '{agent:x}');
select t.is(t.claim('w1', 9), '', 'a host with a list takes no task of no repository');
select t.ok((select bool_and(not can_take) and string_agg(reason, ' ') like '%no repository%' from fleet.explain_task('loose')), 'explained');
select t.worker('w1', t.host('list', '{x}', 9) || '{"repositories": ["acme/rocket", "none"]}');
select t.is(t.claim('w1', 9), 'loose', 'but where its list says none');
select t.submit('loose2', '{agent:x}');
select t.worker('w1', t.host('list', '{x}', 9) || '{"repositories": []}');
select t.submit('own', '{agent:x}', '{"repo": "acme/rocket"}');
select t.is(t.claim('w1', 9), 'loose2', 'with an empty list nothing else');
select t.worker('w1', t.host('list', '{x}', 9) || '{"repositories": ["*"]}');
select t.submit('loose3', '{agent:x}');
select t.is(t.claim('w1', 9), 'own loose3', 'with * everything');
select t.sound('every invariant of hosts with lists');
rollback;

\echo 'idempotency'
begin;
create function pg_temp.keyed(p_token int, p_key text, p_hash text) returns text language sql as $$
  select verdict || ' ' || coalesce(code, '-') || ' ' || coalesce(task_id, '-') from t.submits(t.items(
    (t.item(null, '{}')) || jsonb_build_object('token_id', p_token, 'idempotency_key', p_key, 'request_hash', p_hash)));
$$;
select t.keep('first', (select split_part(pg_temp.keyed(1, 'k', 'aa'), ' ', 3)));
select t.is(pg_temp.keyed(1, 'k', 'aa'), 'created - ' || t.kept('first'), 'the same key and body: the same task');
select t.is(split_part(pg_temp.keyed(1, 'k', 'bb'), ' ', 2), 'idempotency_conflict', 'the same key with another body: a conflict');
select t.is(split_part(pg_temp.keyed(2, 'k', 'aa'), ' ', 1), 'created', 'another token''s key is another key');
select t.is((select count(*) from fleet.task), 2::bigint, 'two tasks in all');
select t.is((select answer is not null and answer::jsonb->>'task_id' = t.kept('first') from t.submits(t.items(
    (t.item(null, '{}')) || '{"token_id": 1, "idempotency_key": "k", "request_hash": "aa"}'))), true, 'the stored answer comes back');
rollback;

\echo 'what the API shows'
begin;
-- The members, of these words, that an object has not got.
create function pg_temp.lacks(p jsonb, p_words text) returns text language sql as $$
  select string_agg(w, ' ') from regexp_split_to_table(trim(p_words), '\s+') w where w <> '' and not p ? w;
$$;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a' || i, case when i % 2 = 0 then '{agent:code:rust,bug}'::text[] else '{agent:doc}' end) from generate_series(1, 7) i;
select t.claim('w1', 1);
select t.start('w1', 'a2');
create function pg_temp.ids(p_body text) returns text language sql as $$
  select string_agg(x->>'task_id', ' ' order by n) from jsonb_array_elements(p_body::jsonb) with ordinality e(x, n);
$$;
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null)).body), 'a7 a6 a5 a4 a3 a2 a1', 'all, newest first');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_status => '{running}')).body), 'a2', 'by status');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_status => '{running,created}', p_label => '{bug}')).body), 'a6 a4 a2', 'filters are ANDed, values ORed');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_host_id => '{h}')).body), 'a2', 'by host');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_host_id => '{other}')).body), null, 'by another host');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_agent_id => '{h/codex-cli,h/other}')).body), 'a2', 'by agent');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_agent_id => '{h/other}')).body), null, 'by another agent');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_execution_mode => '{http_pull}')).body), null, 'by mode');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_execution_mode => '{ssh_cli}', p_status => '{running}')).body), 'a2', 'by mode and status');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_q => 'Do a3')).body), 'a3', 'by text');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_source => '{forgejo}')).body), null, 'by source');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_created_after => '2999-01-01Z')).body), null, 'after a time');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_created_before => '2999-01-01Z', p_status => '{running}')).body), 'a2', 'before a time');
select t.submit('r', '{agent:doc}', '{"repo": "acme/rocket"}');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_repo => '{acme/rocket}')).body), 'r', 'by repository');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_repo => '{acme/other}')).body), null, 'by another repository');
select t.throws($$select fleet.task_list(t.by(0), 100, null, p_statu => '{running}')$$, '42883', 'a misspelt filter is an error, not no filter');
select t.is((l).status || ((l).body::jsonb ->> 'code'), '400malformed_cursor', format('%s is a cursor of no list', c))
from unnest('{x,-1,0,1.5,99999999999999999999,%}'::text[]) c, fleet.task_list(t.by(0), 100, c) l;
select fleet.cancel('r');
delete from fleet.event where task = (select task from fleet.task where task_id = 'r');
delete from fleet.task where task_id = 'r';
create temp table page as select * from fleet.task_list(t.by(0), 3, null);
select t.is((select jsonb_path_query_array(body::jsonb, '$[*].task_id')::text from page), '["a7", "a6", "a5"]', 'a page');
select t.is((select jsonb_path_query_array(l.body::jsonb, '$[*].task_id')::text from page, fleet.task_list(t.by(0), 3, page.next) l), '["a4", "a3", "a2"]',
  'the next one');
select t.is((select m.next from page, fleet.task_list(t.by(0), 3, page.next) l, fleet.task_list(t.by(0), 3, l.next) m), null,
  'the last one has no next');
select t.is(pg_temp.lacks((fleet.task_detail(t.by(0), 'a2')).body::jsonb, '
  task_id source task_type title repo issue_number labels requirements priority status execution_mode
  assigned_agent_id assigned_host branch_name retry_count max_retries timeout_secs failure_reason advice created_at
  run_at assigned_at started_at completed_at last_activity_at cancel_requested_at metadata body events attempts'), null, 'the detail has the members of the API');
select t.is((select (fleet.task_detail(t.by(0), 'a2')).body::jsonb #>> '{attempts,0,phase}'), 'running', 'with its attempts');
select t.is(pg_temp.ids((fleet.task_list(t.by(0), 100, null, p_label => '{bug,none}', p_status => '{running}')).body), 'a2', 'one label of several is enough');
savepoint shown;
update fleet.task set execution_mode = 'undecided', changed_at = '2026-01-01Z' where task_id = 'a2';
update fleet.attempt set output_at = '2999-01-01Z' where attempt = t.attempt('a2');
select fleet.note(task, 'filler', i, 'test') from fleet.task, generate_series(1, 120) i where task_id = 'a2';
select t.is((fleet.task_detail(t.by(0), 'a2')).body::jsonb ->> 'execution_mode', 'ssh_cli', 'its mode is the one of who has it');
select t.is((fleet.task_detail(t.by(0), 'a2')).body::jsonb ->> 'last_activity_at', '2999-01-01T00:00:00.000000Z', 'output is activity');
select t.is((select row(count(*), min((e ->> 'attempt')::int), (array_agg((e ->> 'attempt')::int order by o))[100])::text
             from jsonb_array_elements((fleet.task_detail(t.by(0), 'a2')).body::jsonb -> 'events') with ordinality x (e, o)), '(100,21,120)', 'its newest 100 events, in order');
rollback to savepoint shown;
select t.is(pg_temp.lacks((fleet.task_detail(t.by(0), 'a2')).body::jsonb #> '{attempts,0}', '
  attempt epoch agent_id host_id agent_type node phase outcome reason exit_status exit_signal session_id tokens
  output_bytes summary claimed_at started_at ended_at'), null, 'an attempt too');
select t.is(pg_temp.lacks((fleet.task_detail(t.by(0), 'a2')).body::jsonb #> '{events,0}', '
  event_id task_id event_type from_status to_status attempt actor at payload'), null, 'an event too');
select t.ok((fleet.task_detail(t.by(0), 'a2')).body::jsonb->>'created_at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$',
  'times are RFC 3339 in UTC with microseconds, whatever the time zone of the database is');
select t.is((fleet.task_detail(t.by(0), 'a2')).body::jsonb::text like '%nonce%', false, 'no nonce');
select t.is((fleet.task_detail(t.by(0), 'nobody')).status, 404, 'not found');
select t.is(pg_temp.lacks((fleet.agent_list(t.by(0), 50, null)).body::jsonb->0, '
  agent_id kind agent_type hostname capabilities max_concurrency running status last_heartbeat_at version'), null, 'an agent has its members');
select t.is((fleet.agent_list(t.by(0), 50, null, p_status => '{no such}')).body::jsonb, '[]'::jsonb, 'agents are filtered');
select t.is((fleet.agent_list(t.by(0), 50, null, p_capability => '{agent:code:rust}')).body::jsonb->0->>'agent_id', 'h/codex-cli', 'by capability');
select t.is((fleet.agent_list(t.by(0), 50, null, p_agent_type => '{other}')).body::jsonb, '[]'::jsonb, 'by type');
select t.is(((fleet.agent_list(t.by(0), 50, null)).body::jsonb->0->>'running')::int, 1, 'with what runs on it');
select t.is(pg_temp.lacks((fleet.host_list(t.by(), 50, null)).body::jsonb->0, '
  host_id hostname status reason executors last_checked_at free_disk_bytes cordoned'), null, 'a host has its members');
select t.is((fleet.node_list(t.by(0))).body::jsonb->0->>'name', 'w1', 'nodes are listed');
select fleet.node_start(t.node('s'), 'server', 's', '0.1.0', 'x');
select t.is((select row(fleet_id <> '', schema_version >= 1, beat_ms, dead_ms, lease_ms)::text from fleet.node_start(t.node('s2'), 'server', 's2', '0.1.0', 'x')), '(t,t,3000,10000,45000)',
  'a node is told the settings when it starts');
select t.is(fleet.schema_version() >= 1, true, 'the schema has a version');
rollback;

\echo 'views for people'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.submit('b', '{agent:doc}');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.none($$select view, word from unnest('{tasks,running}'::text[]) view, unnest('{task_id,status,attempt,epoch,node,host_id,agent_type,phase,since}'::text[]) word
  where not exists (select from pg_attribute where attrelid = ('fleet.' || view)::regclass and attname = word)$$,
  'fleet.tasks and fleet.running have the promised columns');
select t.is((select task_id from fleet.running), 'a', 'running shows what runs');
select t.is((select count(*) from fleet.tasks), 2::bigint, 'tasks shows all');
select t.ok(exists (select from fleet.queue_overview), 'queue_overview shows what waits');
select t.ok(exists (select from fleet.hosts where host_id = 'h'), 'hosts shows hosts');
select t.ok(exists (select from fleet.history), 'history shows what happened');
select t.none($$select relname from pg_class where relnamespace = 'fleet'::regnamespace and relkind = 'v' and has_table_privilege('fleet_reader_full', oid, 'select') and obj_description(oid, 'pg_class') is null$$,
  'every view for people has a comment');
select t.ok((select string_agg(x::text, ' ') from fleet.explain_task('b') x) ~* 'doc', 'explain_task says which capability is missing');
select t.ok(t.rows($$select fleet.explain_task('a')$$) <> '', 'explain_task of what runs says something');
select t.throws($$select fleet.explain_task('nobody')$$, 'AF003', 'explain_task of nothing: not found');
rollback;

\echo 'defaults of the node are no content'
begin;
create function pg_temp.defaults(p_more jsonb) returns text language sql as $$
  select verdict from t.submits(t.items('{"task_id": "d", "title": "T", "any_agent": true, "max_attempts_total": 9, "default_max_retries": 5}' || p_more));
$$;
select t.is(pg_temp.defaults('{"default_timeout_secs": 60}'), 'created', 'a task with defaults');
select t.is((select timeout_secs || ' ' || max_retries from fleet.task where task_id = 'd'), '60 5', 'takes them');
select t.is(pg_temp.defaults('{"default_timeout_secs": 90, "max_attempts_total": 3}'), 'exists', 'is the same from a node with other defaults');
select t.is(pg_temp.defaults('{"timeout_secs": 90}'), 'conflict', 'and another when the submitter asks for something else');
rollback;

\echo 'items that must not fail their neighbours'
begin;
select t.is((select string_agg(verdict, ' ' order by ord) from t.submits(t.items(
    t.item('x', (select array_agg('agent:' || repeat(md5(i::text), 7)) from generate_series(1, 100) i)),
    t.item('y', '{}')))), 'refused created', 'more requirements than an index row can hold are refused, the next item is created');
select t.is((select verdict from t.submits(t.items(
    t.item('z', '{}', jsonb_build_object('repo', (select string_agg(md5(i::text), '') from generate_series(1, 150) i) || '/x'))))), 'refused',
  'a repository longer than an index row can hold too');
select t.is(t.deliver('d1', 'opened', (select array_agg('agent:' || repeat(md5(i::text), 7)) from generate_series(1, 100) i), '2026-01-01T10:00:00Z'),
  'ignored labels_too_long', 'a delivery with such labels is ignored');
select t.is((select verdict from t.submits(t.items(t.item('t' || i, '{}', jsonb_build_object('run_at', run_at))))), verdict,
  'run_at ' || run_at || ': ' || verdict)
from (values (1, '2026-01-01T10:00:00Z', 'created'), (2, '2026-01-01t10:00:00.123456+02:00', 'created'), (3, '2026-01-01 10:00', 'refused'),
  (4, '2026-01-01', 'refused'), (5, 'now', 'refused'), (6, '2026-02-30T10:00:00Z', 'refused'), (7, '99999-01-01T00:00:00Z', 'refused')) v (i, run_at, verdict);
rollback;

\echo 'what becomes of a submission'
begin;
select t.submit('twice', '{agent:x,agent:x,bug,bug}');
select t.is((select string_agg(l.label, ' ' order by l.label) from fleet.task_label l join fleet.task using (task) where task_id = 'twice'), 'agent:x bug',
  'a label that is written twice is found once');
select t.is((select labels::text from fleet.task where task_id = 'twice'), '{agent:x,agent:x,bug,bug}', '... and shown as it was written');
select t.submit('own', '{agent:x,priority:high}', '{"priority": 3}'), t.submit('labelled', '{agent:x,priority:high}', '{"priority": null}');
select t.is((select string_agg(task_id || ' ' || priority, ', ' order by task_id) from fleet.task where task_id in ('own', 'labelled')), 'labelled 10, own 3',
  'a priority of its own counts more than a label');
select t.submit('past', p_more => '{"run_at": "2026-01-01T00:00:00Z"}'), t.submit('future', p_more => jsonb_build_object('run_at', fleet.utc(now() + interval '1 hour')));
select t.ok((select run_at = now() from fleet.task where task_id = 'past'), 'nobody waits for the past');
select t.is((select string_agg(task_id, ' ') from fleet.queue join fleet.task using (task) where task_id in ('past', 'future')), 'past', 'what is due waits for an agent');
select t.is((select string_agg(task_id, ' ') from fleet.delayed join fleet.task using (task)), 'future', 'what is not, for its time');
select t.is(t.submit('bad', '{agent:never}', '{"priority": 5000}'), 'refused', 'a kind of which no task is taken');
select t.ok(not exists (select from fleet.lane where requirements = '{never}'), '... gets no lane');
select t.is(t.submit('UPPER'), 'created', 'an id that is no name of a branch');
select t.ok((select branch_name ~ '^task/upper-[0-9a-f]{8}$' from fleet.task where task_id = 'UPPER'), '... is made one');
select t.sound('every invariant after them');
rollback;

\echo 'the trail of submissions'
begin;
create function pg_temp.trail(p_object text) returns text language sql as $$
  select string_agg(concat_ws(' ', actor like 'token:%', token_prefix is not null, after ->> 'tasks'), ', ' order by audit) from fleet.audit where object = p_object;
$$;
select t.put('submit', t.token('submitter', 'submit'));
select t.submits(t.items(t.item('mine', '{}') || jsonb_build_object('token_id', t.got('submit'))));
select t.is(pg_temp.trail('mine'), 't t 1', 'names the token');
create function pg_temp.again() returns text language sql as $$
  select verdict from t.submits(t.items('{"made_id": true, "task_id": "t-abcdefghijkl", "title": "T", "any_agent": true, "max_attempts_total": 9, "max_retries": 1, "timeout_secs": 9}'));
$$;
select t.is(pg_temp.again(), 'created', 'a task whose id the node made');
select t.is(pg_temp.again(), 'created', '... sent again after a lost answer, has the same answer');
select t.is(pg_temp.trail('t-abcdefghijkl'), 'f f 1', '... and is told once');
select t.is((select status || ' ' || task_id || ' ' || created from fleet.submit_tasks(t.requests(array[t.item('f', '{}') || '{"form": "list"}']), '{1,1,1}',
  t.tasks(t.items(t.item('first', '{}', '{"priority": 5000}'), t.item('second', '{}'), t.item('third', '{}'))))), '207 second 2', 'the first that stands is named');
select t.is(pg_temp.trail('second'), 'f f 2', '... in the trail too');
select t.put('bound', t.token('bound', 'submit', '{acme/*}'));
select t.is(left(t.submit_whole(t.items(t.item('theirs', '{}', '{"repo": "other/thing"}')), jsonb_build_object('form', 'one', 'token_id', t.got('bound'))), 3), '403',
  'what a token may not is forbidden');
select t.is(substr(t.submit_whole(t.items(t.item('mine', '{}')), '{"form": "one"}'), 5)::jsonb ->> 'title', 'Do mine', 'one that stands is shown');
select t.is(pg_temp.trail('theirs'), null, '... and leaves no trail');
select t.is((select array_agg(x ->> 'status') from t.submit_list(t.items(t.item('second', '{}'), t.item('mine', '{}')), '{}') x), '{200,200}', 'what stands already');
select t.is(pg_temp.trail('second'), 'f f 2', '... leaves no trail');
rollback;
