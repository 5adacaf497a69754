-- What reviews and checks of a pull request ask for: one more run each time that nothing runs, at most max_reviews times.

create function pg_temp.end(p_outcome text default 'succeeded', p_reason text default null, p_report jsonb default '{}')
returns text language sql as $$
  select fleet.finish_run(a.node, a.attempt, a.epoch, p_outcome, p_reason, 0, null, p_report, null, 'proof')
  from fleet.attempt a where a.ended_at is null $$;
create function pg_temp.run() returns void language sql as $$ select t.claim('w1', 1); select t.start('w1', 'a') $$;
create sequence pg_temp.second;
-- Forgejo shows pull request 7 of task a, open at this head unless said otherwise.
create function pg_temp.sees(p_more jsonb default '{}', p_state text default 'open', p_sha text default 'aaa') returns text language sql as $$
  select fleet.pull_told(jsonb_build_object('repository', '{"id": 5, "full_name": "acme/rocket"}'::jsonb,
    'people', '{"boss": "owner", "guest": "read", "mist": "unknown"}'::jsonb,
    'pull', jsonb_build_object('id', 1007, 'number', 7, 'title', 'Fuel', 'state', case p_state when 'open' then 'open' else 'closed' end,
      'merged', p_state = 'merged', 'html_url', 'https://git.example.org/acme/rocket/pulls/7', 'author', 'boss', 'author_id', 1,
      'head', jsonb_build_object('ref', 'task/a', 'sha', p_sha, 'repository_id', 5), 'base', '{"ref": "main"}'::jsonb,
      'updated_at', fleet.utc(now() + make_interval(secs => nextval('pg_temp.second'))))) || p_more) $$;
create function pg_temp.review(p_id int, p_by text default 'boss', p_state text default 'REQUEST_CHANGES', p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('reviews', jsonb_build_array(jsonb_build_object('id', p_id, 'state', p_state, 'by', p_by,
    'by_id', case p_by when 'fleet' then 99 else 1 end, 'body', 'please ' || p_id, 'submitted_at', fleet.utc(now()), 'comments', '[]'::jsonb) || p_more)) $$;
create function pg_temp.checks(p_sha text, variadic p_states text[]) returns jsonb language sql as $$
  select jsonb_build_object('checks', jsonb_build_object('sha', p_sha, 'state', 'x', 'statuses',
    (select coalesce(jsonb_agg(jsonb_build_object('context', split_part(s, '=', 1), 'state', split_part(s, '=', 2), 'description', 'said')), '[]') from unnest(p_states) s))) $$;
-- Answers of looks. By default at the same pull request, an hour from now.
create function pg_temp.answers(p_seq bigint, p_more jsonb, p_secs int default 3600) returns text language sql as $$
  select fleet.pull_seen(t.node('w1'), pull, p_seq, jsonb_build_object('repository', '{"id": 5, "full_name": "acme/rocket"}'::jsonb, 'pull',
    jsonb_build_object('id', 1007, 'number', 7, 'state', 'open', 'merged', false, 'head', '{"ref": "task/a", "sha": "aaa", "repository_id": 5}'::jsonb,
      'updated_at', fleet.utc(now() + make_interval(secs => p_secs)))) || p_more) from fleet.pull $$;
create function pg_temp.fact() returns text language sql as $$
  select concat_ws(' ', status, failure_reason, review_count) from fleet.task where task_id = 'a' $$;
create function pg_temp.told() returns text language sql as $$
  select (fleet.told_to(task, attempt_number)).text from fleet.task where task_id = 'a' $$;
-- A task whose first run has opened pull request 7.
create function pg_temp.setup(p_policy jsonb default '{}') returns void language plpgsql as $$
begin
  insert into fleet.forgejo (policy, user_id, login, told_by) values ('{"reads": true, "repositories": ["*"], "max_reviews": 2}' || p_policy, 99, 'fleet', 'w1');
  perform t.worker('w1', t.host('h', '{code:rust}', 1));
  perform t.submit('a', p_more => '{"repo": "acme/rocket", "max_retries": 1}');
  perform pg_temp.run(), pg_temp.sees();
  perform pg_temp.end(p_report => '{"session_id": "s-1", "work": {"state": "pushed", "head": "aaa", "pushed": "aaa"}}');
end $$;

\echo 'changes are requested'
begin;
select pg_temp.setup();
select t.is(pg_temp.fact(), 'review_pending 0', 'a pull request waits');
savepoint waits;
select pg_temp.sees(pg_temp.review(1, p_more => '{"body": "The tank leaks.", "comments": [{"path": "src/tank.rs", "line": 12, "body": "here"}, {"path": "src/tank.rs", "line": 7, "body": "and here"}, {"path": "a.rs", "line": 0, "body": "all of it"}]}'));
select t.is(pg_temp.fact(), 'created 1', 'another run follows');
select t.is((select kind || ' ' || asked_by from fleet.follow), 'review forgejo:boss', 'asked for by the reviewer');
select t.is((select requested_by from fleet.task), 'boss', 'who has to be told of it');
select t.sound('a review: sound');
select pg_temp.run();
select t.is(pg_temp.told(), E'Changes were requested in a review of pull request #7 by boss.\n\nThe tank leaks.\n\na.rs: all of it\n\nsrc/tank.rs:7: and here\n\nsrc/tank.rs:12: here',
  'it is told what was said, and where');
select t.is((select b.session_id from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.ended_at is null), 's-1', 'in the same session');
select t.is((fleet.task_json(task)) ->> 'review_count', '1', 'counted where people look') from fleet.task;
select pg_temp.sees(pg_temp.review(1));
select pg_temp.end();
select t.is(pg_temp.fact(), 'review_pending 1', 'the same review again asks for nothing');
select pg_temp.sees(pg_temp.review(2), 'open', 'bbb');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.fact(), 'review_pending 2', 'a second one');
select pg_temp.sees(pg_temp.review(3));
select t.is(pg_temp.fact(), 'review_pending reviews_exhausted 2', 'the third is one too many');
select t.is((select advice from fleet.reasons where reason = 'reviews_exhausted') like '%max_reviews%', true, '... with advice');
select t.is((select fleet.story(x) ->> 'reason' from fleet.task x), 'reviews_exhausted', '... and said in the comment');
select t.none('select from fleet.follow where last is null and number = 3', 'and is not told later');
select t.sound('used up: sound');
select t.is(fleet.continue('a', 'still'), 'created', 'a person who operates the fleet may ask for more all the same');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.fact(), 'review_pending 2', 'which does not count');
select t.is(fleet.retry('a', true), 'created', 'a retry by force');
select t.is(pg_temp.fact(), 'created 0', 'begins anew');
rollback to savepoint waits;
select pg_temp.sees(pg_temp.review(1, 'guest'));
select t.is(pg_temp.fact(), 'review_pending 0', 'somebody who may not start work');
select pg_temp.sees(pg_temp.review(2, 'stranger')), pg_temp.sees(pg_temp.review(3, 'fleet')), pg_temp.sees(pg_temp.review(4, 'boss', 'APPROVED')),
  pg_temp.sees(pg_temp.review(5, 'boss', 'COMMENT')), pg_temp.sees(pg_temp.review(6, 'boss', p_more => '{"dismissed": true}')),
  pg_temp.sees(pg_temp.review(61, 'boss', p_more => '{"by_id": 99}'));
select t.is(pg_temp.fact(), 'review_pending 0', 'nobody knows, ourselves, an approval, a remark, a dismissed one');
select pg_temp.sees(pg_temp.review(9, 'mist'));
select t.is(pg_temp.fact(), 'review_pending 0', 'somebody whose permission could not be learnt');
select pg_temp.sees(pg_temp.review(9, 'mist') || '{"people": {"mist": "write"}}');
select t.is(pg_temp.fact(), 'created 1', '... counts when it is');
rollback to savepoint waits;
select pg_temp.sees(pg_temp.review(20, 'boss', 'PENDING')), pg_temp.sees(pg_temp.review(21, 'boss', 'COMMENT'));
select pg_temp.sees(pg_temp.review(20));
select t.is(pg_temp.fact(), 'created 1', 'one that was begun before others, and handed in after them');
rollback to savepoint waits;
select pg_temp.sees(pg_temp.review(1), 'merged');
select t.is(pg_temp.fact(), 'completed 0', 'one of what is merged');
select t.sound('merged: sound');
rollback to savepoint waits;
select pg_temp.sees(pg_temp.review(1)), pg_temp.sees('{}', 'merged');
select t.is(pg_temp.fact(), 'completed 1', 'a merge while the next run waits');
select t.sound('merged while it waits: sound');
rollback to savepoint waits;
select pg_temp.sees(pg_temp.review(1)), pg_temp.run();
select t.is(pg_temp.end('failed', 'exit_nonzero'), 'created', 'a run that was to do it and failed is tried again');
select t.due(), pg_temp.run();
select t.is(pg_temp.told(), E'Changes were requested in a review of pull request #7 by boss.\n\nplease 1', '... with what was asked');
select t.is(pg_temp.end('failed', 'exit_nonzero'), 'review_pending', 'and when retries are used up a person judges');
select t.is(pg_temp.fact(), 'review_pending exit_nonzero 1', '... with the reason');
select t.sound('failed: sound');
rollback;

\echo 'several while a run lives'
begin;
select pg_temp.setup();
select pg_temp.sees(pg_temp.review(1)), pg_temp.run();
select pg_temp.sees(pg_temp.review(2)), pg_temp.sees(pg_temp.review(3));
select t.is((select status from fleet.task), 'running', 'the run goes on');
select t.is(pg_temp.end(), 'created', 'and another one follows it');
select t.is(pg_temp.fact(), 'created 2', 'one for all of them');
select pg_temp.sees(pg_temp.review(4));
select t.is(pg_temp.fact(), 'created 2', 'what comes while it waits is told, too');
select pg_temp.run();
select t.is(regexp_replace(pg_temp.told(), '[^0-9 ]', '', 'g') ~ '2.*3.*4', true, 'all is told');
select t.is(pg_temp.end(), 'review_pending', 'it ends');
select t.sound();
rollback;

\echo 'seen while its task was elsewhere'
begin;
select pg_temp.setup();
select fleet.cancel('a');
select pg_temp.sees(pg_temp.review(1));
select t.is(pg_temp.fact(), 'cancelled cancelled 0', 'cancelled');
rollback;

\echo 'many reviews'
begin;
select pg_temp.setup('{"max_reviews": 1000}');
select pg_temp.sees(pg_temp.review(i, 'boss', 'COMMENT')) from generate_series(1, 100) i;
select t.is((select cardinality(reviews_seen)::text || ' ' || review_served from fleet.pull), '64 36', 'the newest are remembered one by one');
select pg_temp.sees(pg_temp.review(30)), pg_temp.sees(pg_temp.review(50));
select t.is(pg_temp.fact(), 'review_pending 0', 'what was seen counts no more');
rollback;

\echo 'checks'
begin;
select pg_temp.setup();
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure'));
select t.is(pg_temp.fact(), 'review_pending 0', 'on_ci_failure: ignore');
select t.is((select checks from fleet.pull), 'failure', '... is known all the same');
update fleet.forgejo set policy = policy || '{"on_ci_failure": "continue"}';
savepoint checked;
select pg_temp.sees(pg_temp.checks('aaa', 'ci=success', 'agent-fleet/codex-cli=failure'));
select t.is(pg_temp.fact(), 'review_pending 0', 'our own status');
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure', 'lint=pending'));
select t.is(pg_temp.fact(), 'review_pending 0', 'not before all have ended');
select pg_temp.sees(pg_temp.checks('bbb', 'ci=failure'));
select t.is(pg_temp.fact(), 'review_pending 0', 'of another head');
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure', 'lint=error', 'docs=success'));
select t.is(pg_temp.fact(), 'created 1', 'a failure');
select pg_temp.run();
select t.is(pg_temp.told(), E'Checks of pull request #7 failed at aaa:\n\n- ci: failure, said\n- lint: error, said', 'is told');
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure'));
select pg_temp.end(p_report => '{"work": {"state": "no_change"}}');
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure'));
select t.is(pg_temp.fact(), 'review_pending 1', 'once a head');
select t.sound('checks: sound');
select fleet.retry('a', true), pg_temp.run();
select pg_temp.end(p_report => '{"work": {"state": "pushed", "head": "bbb", "pushed": "bbb"}}');
select pg_temp.sees(pg_temp.checks('ccc', 'ci=failure'), 'open', 'ccc');
select t.is(pg_temp.fact(), 'review_pending 0', 'a head that a person pushed is theirs');
select pg_temp.sees(pg_temp.checks('bbb', 'ci=failure'), 'open', 'bbb');
select t.is(pg_temp.fact(), 'created 1', 'the next of ours');
rollback to savepoint checked;
update fleet.forgejo set policy = policy || '{"required_checks": ["test"]}';
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure'));
select t.is(pg_temp.fact(), 'review_pending 0', 'one that is not required');
select pg_temp.sees(pg_temp.checks('aaa', 'ci=pending', 'test=failure'));
select t.is(pg_temp.fact(), 'created 1', 'one that is');
rollback to savepoint checked;
update fleet.task set review_count = 2;
select pg_temp.sees(pg_temp.checks('aaa', 'ci=failure'));
select t.is(pg_temp.fact(), 'review_pending reviews_exhausted 2', 'it counts towards max_reviews');
rollback;

\echo 'checks that are awaited'
begin;
select pg_temp.setup('{"on_ci_failure": "continue"}');
create function pg_temp.looked(p_more jsonb) returns text language plpgsql as $$
begin
  perform fleet.want_look('pull', pull) from fleet.pull;
  perform pg_temp.answers(seq, p_more) from fleet.look;
  return (select case when done = seq then 'done' when due_at > now() then 'later' else 'due' end from fleet.look);
end $$;
select t.is(pg_temp.looked(pg_temp.checks('aaa', 'ci=pending')), 'later', 'no delivery says that they have ended: another look follows');
select t.is(pg_temp.looked(pg_temp.checks('aaa', 'ci=success')), 'done', 'none behind their end');
update fleet.pull set checks = null;
select t.is(pg_temp.looked('{}'), 'later', 'they may be there soon');
update fleet.pull set head_at = now() - interval '1 hour';
select t.is(pg_temp.looked('{}'), 'done', '... or there are none');
update fleet.forgejo set policy = policy || '{"on_ci_failure": "ignore"}';
select t.is(pg_temp.looked(pg_temp.checks('aaa', 'ci=pending')), 'done', 'nobody wants to know');
rollback;

\echo 'our own account'
begin;
select pg_temp.setup();
select pg_temp.sees(pg_temp.review(1, 'fleet') || '{"people": {"fleet": "admin"}}');
select t.is(pg_temp.fact(), 'review_pending 0', 'reviews nothing, whatever it may');
rollback;

\echo 'answers of looks that come out of order'
begin;
select pg_temp.setup('{"on_ci_failure": "continue"}');
select fleet.want_look('pull', pull), fleet.want_look('pull', pull), fleet.want_look('pull', pull) from fleet.pull;
select t.is(pg_temp.answers(3, pg_temp.checks('aaa', 'ci=success')), 'recorded', 'the newest look');
select t.is(pg_temp.answers(2, pg_temp.checks('aaa', 'ci=failure') || pg_temp.review(1) || '{"people": {"boss": "owner", "guest": "write"}}'), 'late', 'an older one that comes behind it');
select t.is((select checks from fleet.pull), 'success', '... says nothing of checks of the same head');
select t.is(pg_temp.fact(), 'review_pending 0', '... and nothing follows from it');
select t.is(t.rows('select login from fleet.person where login = ''guest'' and permission = ''write'''), '', '... nor is anybody known by it');
select t.is((select seq || ' ' || done from fleet.look), '3 3', '... nor is a look wanted');
select t.is(pg_temp.answers(3, pg_temp.checks('aaa', 'ci=failure')), 'late', 'of the same look, and no newer');
select t.is(pg_temp.fact(), 'review_pending 0', '... neither');
select t.is(pg_temp.answers(3, pg_temp.checks('aaa', 'ci=failure'), 3601), 'recorded', 'of the same look, and newer');
select t.is(pg_temp.fact(), 'created 1', '... counts');
rollback;
begin;
select pg_temp.setup();
select fleet.want_look('pull', pull), fleet.want_look('pull', pull) from fleet.pull;
select t.is(pg_temp.answers(2, '{}'), 'recorded', 'it is there');
select t.is((select count(*) from fleet.looks(t.node('w1'), 9))::int, 0, '... and nothing is due');
select fleet.look_failed(t.node('w1'), 'pull', pull, 1, 'gone', -1) from fleet.pull;
select t.is((select state from fleet.pull), 'open', 'gone, says an older look');
select fleet.want_look('pull', pull) from fleet.pull;
select t.is((select count(*) from fleet.looks(t.node('w1'), 9))::int, 1, 'a look that is taken');
select pg_temp.answers(1, '{}');
select t.is((select count(*) from fleet.look where taken_by is not null)::int, 1, '... is not given back by a late one');
select fleet.look_failed(t.node('w1'), 'pull', pull, 3, 'gone', -1) from fleet.pull;
select t.is((select state from fleet.pull), 'closed', 'gone, says the newest');
rollback;
