-- Commands in comments, and answers: who may, what they do, that each counts once, and what is said back.

create function pg_temp.end(p_outcome text default 'succeeded', p_reason text default null, p_report jsonb default '{}')
returns text language sql as $$
  select fleet.finish_run(a.node, a.attempt, a.epoch, p_outcome, p_reason, 0, null, p_report, null, 'proof')
  from fleet.attempt a where a.ended_at is null $$;
create function pg_temp.run() returns void language plpgsql as $$ begin perform t.start('w1', t.claim('w1', 1)); end $$;
create function pg_temp.fact() returns text language sql as $$ select concat_ws(' ', status, failure_reason) from fleet.task where issue is not null $$;
-- Comments of boss (may start), guest (may not, and has written the issue), passer (neither), fleet (ourselves), mist (cannot be asked).
create function pg_temp.comment(p_id int, p_by text, p_body text, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('id', p_id, 'by', p_by, 'by_id', (array_position('{boss,guest,passer,fleet,mist}', p_by)), 'body', p_body,
    'created_at', fleet.utc(now()), 'updated_at', fleet.utc(now())) || p_more $$;
-- What is said back to a comment on the issue; "-" when nothing.
create function pg_temp.says(p_id int, p_by text, p_body text, p_more jsonb default '{}') returns text language plpgsql as $$
begin
  perform fleet.take_comments((select issue from fleet.issue), null, jsonb_build_array(pg_temp.comment(p_id, p_by, p_body, p_more)),
    '{"boss": "write", "guest": "read", "passer": "none", "mist": "unknown"}');
  return coalesce((select concat_ws(' ', reaction, text) from fleet.response where comment = p_id), '-');
end $$;
create function pg_temp.setup() returns void language plpgsql as $$
begin
  insert into fleet.forgejo (policy, user_id, login, told_by) values ('{"reads": true, "max_reviews": 1}', 4, 'fleet', 'w1');
  perform t.worker('w1', t.host('h', '{code:rust}', 1));
  perform t.submit('a', p_more => '{"max_retries": 1}');
  insert into fleet.repository (repo, repository_id) values ('acme/rocket', 5);
  insert into fleet.issue (repo, number, forgejo_id, author_id, served, read_at) values ('acme/rocket', 42, 420, 2, 10, now());
  update fleet.task set issue = (select issue from fleet.issue), repo = 'acme/rocket', issue_number = 42, ask = 10;
  update fleet.task x set lane = fleet.lane_for(x.requirements, x.execution_mode, x.repo);
  update fleet.queue q set lane = x.lane from fleet.task x where x.task = q.task;
end $$;

\echo 'what is a command'
begin;
create function pg_temp.read(p text) returns text language sql as $$ select concat_ws('|', verb, rest) from fleet.command_of(p) $$;
select t.is(pg_temp.read(given), want, 'read: ' || left(replace(given, chr(10), ' '), 40)) from (values
  ('/agent retry', 'retry|'), ('/agent  Cancel  not needed ', 'cancel|not needed'), (E'/AGENT\tcontinue  the tests\r\nand the docs\r\n', E'continue|the tests\nand the docs'),
  (E'/agent continue\nthe tests', 'continue|the tests'), ('/agent', 'help|'), ('  /agent status', 'status|'), ('/agents retry', ''), ('/agent/retry', ''),
  ('please /agent retry', ''), (E'hello\n/agent retry', ''), (E'\n/agent retry', ''), ('> /agent retry', ''), ('', ''), (E'/agent retry\r\n\r\nthanks', 'retry|thanks'),
  ('/agent answer ', 'answer|'), ('/agent frobnicate', 'frobnicate|')) x (given, want);
select t.is(fleet.says_something(E'> quoted\n>more\n\n'), false, 'a quote says nothing');
select t.is(fleet.says_something(E'> quoted\n\nyes'), true, 'an answer below a quote does');
rollback;

\echo 'the commands'
begin;
select pg_temp.setup();
select t.is(pg_temp.says(11, 'boss', '/agent status'), 'eyes', 'status: looked at');
select t.is(pg_temp.says(12, 'boss', '/agent retry'), '-1 `/agent retry`: It waits already.', 'retry of what waits');
select t.is(pg_temp.says(13, 'boss', '/agent continue x'), '-1 `/agent continue`: There is nothing to continue: it is created and has not run yet.', 'nor continued');
select t.is(pg_temp.says(14, 'boss', '/agent answer x'), '-1 `/agent answer`: It asks nothing: it is created. `/agent continue TEXT` asks for more.', 'nor answered');
select t.is(pg_temp.says(15, 'boss', '/agent frobnicate'), 'confused ' || fleet.command_help(), 'a command that is none: a line of help');
select t.is(pg_temp.says(16, 'boss', '/agent help'), '+1 ' || fleet.command_help(), 'help');
select t.is(pg_temp.says(17, 'boss', '/agent cancel not needed'), '+1', 'cancelled');
select t.is((select concat_ws(' ', status, cancel_by, cancel_reason) from fleet.task), 'cancelled forgejo:boss not needed', '... by whom, and why');
select t.is(pg_temp.says(18, 'boss', '/agent cancel'), '-1 `/agent cancel`: It has ended already: it is cancelled.', 'once');
select t.is(pg_temp.says(19, 'boss', '/agent continue x'), '-1 `/agent continue`: There is nothing to continue: it is cancelled and has not run yet.', 'what was cancelled is not continued');
select t.is(pg_temp.says(20, 'boss', '/agent retry'), '+1', 'retried');
select t.is(pg_temp.says(201, 'boss', '/agent cancel', '{"by_id": 4}'), '-', 'our own account says nothing to itself');
select t.is((select status from fleet.task), 'created', '... and does nothing');
savepoint waits;
select fleet.cancel_idle(x, 'not_permitted', null, 'fleet') from fleet.task x;
select t.is(pg_temp.says(202, 'boss', '/agent rerun'), '-1 `/agent rerun`: Nobody who may start work has asked for it. Take its `agent:` label away, and add it yourself.',
  'what a stranger asked for is not run by one word of another');
rollback to savepoint waits;
select pg_temp.run();
select t.is(pg_temp.says(21, 'boss', '/agent rerun'), '-1 `/agent rerun`: Its last run is not proven ended: `/agent cancel` first, and wait for the end.', 'not while it runs');
select t.is(pg_temp.end(), 'completed', 'it ends');
select t.is(pg_temp.says(22, 'boss', '/agent retry') like '-1 `/agent retry`: It is completed.%', true, 'completed');
select t.is(pg_temp.says(23, 'boss', '/agent continue'), '-1 `/agent continue`: Say what: `/agent continue TEXT`, `/agent answer TEXT`.', 'say what');
select t.is(pg_temp.says(24, 'boss', E'/agent continue the tests\ntoo'), '+1', 'continued');
select t.is((select text from fleet.follow), E'the tests\ntoo', 'with its text');
select t.is(pg_temp.fact(), 'created', 'it waits');
select t.is((select concat_ws(' ', review_count, requested_by) from fleet.task), '1 boss', 'and counts');
select t.is((select string_agg(what || ' ' || who, ', ' order by at, what) from fleet.audit_trail where what like 'task%' and who like 'forgejo%'),
  'task_cancel forgejo:boss, task_continue forgejo:boss, task_retry forgejo:boss', 'the trail has what was done');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.says(25, 'boss', '/agent continue again') like '-1 `/agent continue`: It was sent back 1 times%', true, 'max_reviews');
select t.is(pg_temp.says(26, 'boss', '/agent rerun'), '+1', 'rerun');
select t.is((select concat_ws(' ', status, review_count) from fleet.task), 'created 0', 'anew');
select t.none('select from fleet.response where text like ''%'' || chr(10) || ''%''', 'nothing that is said takes more than a line');
select t.sound();
rollback;

\echo 'while it runs'
begin;
select pg_temp.setup(), pg_temp.run();
select t.is(pg_temp.says(11, 'boss', '/agent continue the tests'), '+1', 'continue');
select t.is(pg_temp.fact(), 'running', 'the run goes on');
select t.is(pg_temp.end(), 'created', 'another one follows');
select pg_temp.run();
select t.is(pg_temp.says(12, 'boss', '/agent cancel'), '+1', 'cancel');
select t.is((select cancel_at is not null from fleet.task), true, 'is asked');
select t.is(pg_temp.end('cancelled', 'cancelled'), 'cancelled', 'and obeyed');
select t.sound();
rollback;

\echo 'who may'
begin;
select pg_temp.setup(), pg_temp.run();
select t.is(pg_temp.says(11, 'passer', '/agent cancel'), '-', 'a stranger is not answered');
select t.is(pg_temp.says(12, 'passer', '/agent help'), '-', '... whatever is asked');
select t.is(pg_temp.says(13, 'guest', '/agent rerun'), '-', 'nor who wrote the issue');
select t.is(pg_temp.says(14, 'fleet', '/agent cancel'), '-', 'nor ourselves');
select t.is((select cancel_at from fleet.task), null, 'nothing came of these');
select t.is(pg_temp.says(15, 'mist', '/agent cancel'), '-', 'whoever cannot be asked about');
select t.is((select 15 = any (comments_seen) from fleet.issue), false, '... is asked about again');
select t.is((select '{11,12,13,14}' <@ comments_seen from fleet.issue), true, 'the others are not');
savepoint asked;
select t.is(pg_temp.says(16, 'guest', '/agent cancel'), '-', 'who wrote the issue may close it, and so cancel, without a word from us');
select t.is((select cancel_by from fleet.task), 'forgejo:guest', 'cancelled');
rollback to savepoint asked;
update fleet.forgejo set policy = policy || '{"trigger_users": ["passer"]}';
select t.is(pg_temp.says(17, 'passer', '/agent cancel'), '+1', 'whom the configuration trusts');
rollback to savepoint asked;
update fleet.forgejo set policy = policy || '{"trigger_users": ["passer"], "reads": false}';
select t.is(pg_temp.says(17, 'passer', '/agent cancel'), '-', 'without a token nothing is said');
select t.is((select cancel_by from fleet.task), 'forgejo:passer', 'but done');
rollback;

\echo 'once, and as it was written'
begin;
select pg_temp.setup(), pg_temp.run(), pg_temp.end();
select t.is(pg_temp.says(10, 'boss', '/agent rerun'), '-', 'from before it was asked for');
select t.is(pg_temp.says(11, 'boss', '/agent rerun', '{"updated_at": "2040-01-01T00:00:00Z"}'), '-', 'edited');
select t.is(pg_temp.says(11, 'boss', '/agent rerun'), '-', '... does not count later');
select t.is(pg_temp.says(13, 'boss', '/agent rerun'), '+1', 'another one does');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.says(13, 'boss', '/agent rerun'), '+1', 'seen again');
select t.is(pg_temp.fact(), 'completed', '... it does nothing');
select t.is(pg_temp.says(12, 'boss', '/agent rerun'), '+1', 'one that came late has a lower id');
select t.is(pg_temp.fact(), 'created', '... and counts');
select pg_temp.says(i, 'boss', 'hm') from generate_series(100, 199) i;
select t.is((select concat_ws(' ', comment_served, cardinality(comments_seen)) from fleet.issue), '167 32', 'not all are remembered one by one');
select t.is(pg_temp.says(150, 'boss', '/agent cancel'), '-', 'the old are below what was served');
update fleet.task set ask = null;
select t.is(pg_temp.says(300, 'boss', '/agent cancel', '{"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}'), '-', 'where the label event is not known, by its time');
select t.is(pg_temp.says(301, 'boss', '/agent cancel'), '+1', '...');
rollback;

\echo 'answers'
begin;
select pg_temp.setup(), pg_temp.run();
select pg_temp.end('no_change', 'needs_input', '{"question": "which?"}');
select t.is(pg_temp.fact(), 'review_pending needs_input', 'it asks');
savepoint asks;
select t.is(pg_temp.says(11, 'boss', 'what?', jsonb_build_object('created_at', fleet.utc(now() - interval '1 minute'), 'updated_at', fleet.utc(now() - interval '1 minute'))), '-', 'said before it asked');
select t.is(pg_temp.says(12, 'passer', 'the first'), '-', 'by a stranger');
select t.is(pg_temp.says(13, 'boss', '> which?'), '-', 'a quote');
select t.is(pg_temp.fact(), 'review_pending needs_input', 'it asks still');
select t.is(pg_temp.says(14, 'boss', E'> which?\n\nthe second\n'), '+1', 'a plain reply');
select t.is((select concat_ws('|', question, text, asked_by) from fleet.follow), E'which?|> which?\n\nthe second|forgejo:boss', 'is the answer');
select t.is(pg_temp.says(15, 'boss', 'thanks'), '-', 'what follows is talk');
select t.is((select count(*) from fleet.follow), 1::bigint, '... and not told');
select t.is((select review_count from fleet.task), 0, 'answers do not count as reviews');
select t.sound('answered: sound');
rollback to savepoint asks;
select t.is(pg_temp.says(11, 'boss', '/agent answer the first'), '+1', 'by a command');
select t.is((select text from fleet.follow), 'the first', '... too');
rollback to savepoint asks;
select t.is(pg_temp.says(11, 'mist', 'the first'), '-', 'by whom nobody can be asked about');
select t.is((select comments_seen from fleet.issue), '{}', '... it is asked again');
rollback;

\echo 'on a pull request'
begin;
select pg_temp.setup(), pg_temp.run(), pg_temp.end();
create function pg_temp.pr(p_comments jsonb) returns text language sql as $$
  select fleet.pull_told(jsonb_build_object('repository', '{"id": 5, "full_name": "acme/rocket"}'::jsonb, 'people', '{"boss": "write"}'::jsonb, 'comments', p_comments,
    'pull', '{"id": 1007, "number": 7, "state": "open", "merged": false, "head": {"ref": "task/a", "sha": "aaa", "repository_id": 5}}'::jsonb
      || jsonb_build_object('updated_at', fleet.utc(now())))) $$;
select pg_temp.pr(jsonb_build_array(pg_temp.comment(11, 'boss', '/agent continue the tests')));
select t.is(pg_temp.fact(), 'created', 'continued');
select t.is((select concat_ws(' ', comment, number, reaction) from fleet.response), '11 7 +1', 'and said so there');
select pg_temp.pr(jsonb_build_array(pg_temp.comment(11, 'boss', '/agent continue the tests')));
select t.is((select count(*) from fleet.follow), 1::bigint, 'once');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.fact(), 'review_pending', 'its end');
select t.sound();
rollback;
