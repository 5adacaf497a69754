-- Runs with a workspace, and what follows them: verdicts, questions, answers, follow-ups, and where these go on.

create function pg_temp.end(p_task text, p_outcome text default 'succeeded', p_reason text default null, p_report jsonb default '{}')
returns text language sql as $$
  select fleet.finish_run(a.node, a.attempt, a.epoch, p_outcome, p_reason, 0, null, p_report, null, 'proof')
  from fleet.attempt a where a.attempt = t.attempt(p_task) $$;
create function pg_temp.brief(p_task text, out brief text) language sql as $$
  select row(b.base_branch, b.pushed_head, b.session_id, b.follow_up, b.earlier_summary, b.question, b.slot_ordinal)::text
  from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.attempt = t.attempt(p_task) $$;
create function pg_temp.prepare(p_task text, p_work jsonb) returns void language sql as $$
  select fleet.prepared(a.node, a.attempt, a.epoch, p_work) from fleet.attempt a where a.attempt = t.attempt(p_task) $$;
create function pg_temp.work(p_state text, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('work', jsonb_build_object('state', p_state) || p_more) $$;
-- Claims whatever there is and starts it; "host_id:task" of each.
create function pg_temp.runs(p_worker text default 'w1') returns text language plpgsql as $$
declare v text := ''; j record; begin
  for j in select * from fleet.claim(t.node(p_worker), 9) loop
    perform t.start(p_worker, j.task_id);
    v := v || ' ' || j.host_id || ':' || j.task_id;
  end loop;
  return trim(v); end $$;

\echo 'the briefing of a first run, and its end'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a', p_more => '{"repo": "acme/rocket"}');
select pg_temp.runs();
select t.is(pg_temp.brief('a'), '(,,,,,,0)', 'nothing is known before the first run');
select pg_temp.prepare('a', '{"state": "ready", "base_branch": "main", "base": "aaa", "head": "aaa", "evil": {"x": 1}, "commits": "3"}');
select pg_temp.prepare('a', '{"state": "ready", "base_branch": "main", "base": "aaa", "head": "aaa"}');
select t.is((select work from fleet.attempt), '{"base": "aaa", "head": "aaa", "state": "ready", "base_branch": "main"}'::jsonb, 'what is not known or not of its type is left out');
select t.is((select count(*) from fleet.event where event_type = 'prepared'), 1::bigint, 'told twice, noted once');
select t.is(pg_temp.end('a', p_report => pg_temp.work('pushed', '{"head": "bbb", "pushed": "bbb", "commits": 1}') || '{"session_id": "s-1", "summary": "did it"}'), 'completed', 'what was pushed and read back is done');
select t.is((select row(outcome, reason, work ->> 'pushed', report ->> 'session_id')::text from fleet.attempt), '(succeeded,,bbb,s-1)', 'and stored');
select t.is((select row(attempt, branch, state, pushed, commits, base_branch, agent_id)::text from fleet.work), '(1,task/a,pushed,bbb,1,main,h/codex-cli)', 'fleet.work shows it');
select t.sound();
rollback;

\echo 'verdicts'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit(x, p_more => '{"repo": "acme/rocket", "max_retries": 0}') from unnest('{nothing,kept,other,silent,plain,lies}'::text[]) x;
select pg_temp.runs();
select pg_temp.prepare(x, '{"state": "ready"}') from unnest('{nothing,kept,other,silent,lies}'::text[]) x;
select t.is(pg_temp.end('nothing', p_report => pg_temp.work('no_change')), 'completed', 'nothing to push is an outcome');
select t.is(pg_temp.end('kept', p_report => pg_temp.work('kept', '{"reason": "push_refused"}')), 'failed', 'what was not pushed is not done');
select t.is(pg_temp.end('other', p_report => pg_temp.work('pushed', '{"head": "bbb", "pushed": "ccc"}')), 'failed', 'nor when the server has another head');
select t.is(pg_temp.end('silent'), 'failed', 'nor when nothing was said of the push');
select t.is(pg_temp.end('plain'), 'completed', 'a run without a workspace is as ever');
select t.is(pg_temp.end('lies', 'failed', 'exit_nonzero', pg_temp.work('pushed', '{"head": "b", "pushed": "b"}')), 'failed', 'a failure stays one, whatever was pushed');
select t.is((select string_agg(concat_ws(' ', task_id, a.outcome, a.reason), ', ' order by task_id) from fleet.attempt a join fleet.task using (task)),
  'kept failed push_refused, lies failed exit_nonzero, nothing no_change, other failed push_failed, plain succeeded, silent failed push_failed', 'the reasons');
select t.sound();
rollback;

\echo 'a question, and its answer'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a', p_more => '{"repo": "acme/rocket"}');
select t.is(pg_temp.runs(), 'h1:a', 'the first run');
select pg_temp.prepare('a', '{"state": "ready"}');
select t.is(pg_temp.end('a', 'succeeded', 'needs_input', pg_temp.work('pushed', '{"head": "b", "pushed": "b"}') || '{"question": "Which one?", "session_id": "s-1", "summary": "half", "tokens": {"input": 7, "output": 2}}'),
  'review_pending', 'a run that ends with a question parks its task');
select t.is((select row(failure_reason, completed_at)::text from fleet.task), '(needs_input,)', 'with the reason');
select t.sound('parked: sound');
select t.is(t.word(fleet.answer_task(t.by(), 'a', 'the second, key k1', 'the second, key ***')), '202 created', 'an answer brings it back');
select t.is(t.word(fleet.answer_task(t.by(), 'a', 'again', 'again')), '409 not_asking', 'it asks no more');
select t.sound('answered: sound');
select t.is(pg_temp.runs(), 'h1:a', 'it goes on where its session is');
select t.is(pg_temp.brief('a'), '(,b,s-1,"the second, key k1",half,"Which one?",0)', 'with session, answer and question');
select t.is((select b.session_tokens::text from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.attempt = t.attempt('a')), '{7,0,2,0}', 'and what it counted');
select t.is((select string_agg(payload ->> 'text', ', ') from fleet.history where event_type = 'answered'), 'the second, key ***', 'history shows what may be shown');
select t.is(pg_temp.end('a', 'no_change', 'needs_input', '{"question": "And now?"}'), 'review_pending', 'it may ask again');
select t.is(fleet.answer('a', 'the second, key k1'), 'answered', 'the same words are another answer');
select t.is(pg_temp.runs(), 'h1:a', 'and it goes on');
select t.is((select b.question || follow_up from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.number = 3), 'And now?the second, key k1', 'with the newest answer alone');
select t.is(pg_temp.end('a', 'failed', 'agent_error'), 'created', 'a failure is tried again');
select t.due();
select pg_temp.runs();
select t.is((select follow_up from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.number = 4), 'the second, key k1', 'the answer is told again');
select t.is(fleet.cancel('a', 'enough'), 'cancelling', 'stopped');
select t.is(pg_temp.end('a', 'no_change', 'needs_input', '{"question": "?"}'), 'cancelled', 'a question is no success: a cancel wins');
select t.sound();
rollback;

\echo 'more is wanted'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a', p_more => '{"repo": "acme/rocket", "max_attempts_total": 2, "max_retries": 0}');
select t.is(fleet.continue('a', 'x'), 'not_ended', 'not of what waits');
select t.is(fleet.continue('nobody', 'x'), 'not_found', 'nor of what is not there');
select pg_temp.runs();
select t.is(fleet.continue('a', 'x'), 'not_ended', 'nor of what runs');
select t.is(pg_temp.end('a', p_report => '{"session_id": "s-1", "summary": "one"}'), 'completed', 'it is done');
select t.throws($$select fleet.continue('a', '')$$, 'AF007', 'a wish has a text');
select t.throws($$select fleet.continue('a', repeat('x', 65537))$$, 'AF007', 'of at most 64 KiB');
select t.is(t.word(fleet.task_continue(t.by(), 'a', 'the tests too', 'the tests too')), '202 created', 'more is wanted');
select t.is(t.word(fleet.task_continue(t.by(), 'a', 'again', 'again')), '409 not_ended', 'one after the other');
select t.is(pg_temp.runs(), 'h1:a', 'where it was');
select t.is(pg_temp.brief('a'), '(,,s-1,"the tests too",one,,0)', 'told');
select t.is(pg_temp.end('a', 'failed', 'exit_nonzero'), 'failed', 'it fails');
select t.is(fleet.continue('a', 'once more'), 'created', 'its counters begin anew');
select pg_temp.runs();
select t.is(pg_temp.brief('a'), E'(,,,"the tests too\n\nonce more",one,,0)', 'what no run did well yet is told again; a session that failed has no id here');
select pg_temp.end('a', p_report => '{"session_id": "s-2"}');
select t.is(fleet.continue('a', 'third'), 'created', 'and again');
select pg_temp.runs();
select t.is(pg_temp.brief('a'), '(,,s-2,third,one,,0)', 'what was done is not told again');
select pg_temp.end('a');
select t.is(fleet.retry('a', true), 'created', 'a retry of what is done');
select pg_temp.runs();
select t.is(pg_temp.brief('a'), '(,,,,one,,0)', 'begins anew');
select t.is((select string_agg(concat_ws(' ', a ->> 'attempt', a -> 'follow_up' ->> 'text', a -> 'follow_up' ->> 'kind'), ', ' order by (a ->> 'attempt')::int)
             from jsonb_array_elements((fleet.task_detail(t.by(), 'a')).body::jsonb -> 'attempts') a),
  E'1, 2 the tests too continue, 3 the tests too\n\nonce more continue, 4 third continue, 5', 'each attempt shows what it was told');
select t.is((select string_agg(what, ' ' order by at) from fleet.audit_trail where what = 'task_continue'), 'task_continue task_continue task_continue', 'the trail has them');
select t.sound();
rollback;

\echo 'said twice'
begin;
create function pg_temp.say(p_kind text, p_text text, p_key text) returns text language sql as $$
  select t.word(fleet.task_say(t.by(), p_kind, 'a', p_text, p_text, p_key)) $$;
select t.worker('w1', t.host('h1', '{code:rust}', 1));
select t.submit('a');
select t.is(pg_temp.say('continue', 'x', 'k1'), '409 not_ended', 'it waits');
select pg_temp.runs(), pg_temp.end('a');
select t.is(pg_temp.say('continue', 'x', 'k1'), '202 created', 'a key that came to nothing may be used again');
select t.is(pg_temp.say('continue', 'x', 'k1'), '202 created', 'the same said again with its key has the first answer');
select t.is(pg_temp.say('continue', 'y', 'k1'), '409 idempotency_conflict', 'a key is for one thing that is said');
select t.is(pg_temp.say('answer', 'x', 'k1'), '409 idempotency_conflict', 'in one way');
select t.is((select count(*) from fleet.follow), 1::bigint, 'it was said once');
select pg_temp.runs(), pg_temp.end('a', 'succeeded', 'needs_input', '{"question": "?"}');
select t.is(pg_temp.say('answer', 'x', null), '202 created', 'an answer without a key');
select pg_temp.runs(), pg_temp.end('a', 'succeeded', 'needs_input', '{"question": "?"}');
select t.is(pg_temp.say('answer', 'x', null), '202 created', 'is another one the next time');
select t.is((select count(*) from fleet.follow where kind = 'answer'), 2::bigint, 'however soon');
rollback;

\echo 'continued behind a run that never started'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a', p_more => '{"repo": "acme/rocket", "max_attempts_total": 1}');
select pg_temp.runs(), pg_temp.end('a', p_report => '{"session_id": "s-1"}');
select fleet.set('follow_pin_ms', 0), fleet.continue('a', 'more'), t.report_down('w1', 'h1', 'timeout', 'no answer');
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h2', 'a run elsewhere');
select t.is(fleet.release(t.node('w1'), t.attempt('a'), 1, 'draining'), 'failed', 'is given back');
select fleet.set('follow_pin_ms', 600000), t.report('w1', 'h1', t.identity('h1'));
select t.is(fleet.continue('a', 'still more'), 'created', 'continued');
select t.is(pg_temp.runs(), 'h1:a', 'it goes on where it ran');
select t.sound();
rollback;

\echo 'continued behind a run that was given up'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a');
select pg_temp.runs();
select t.report_down('w1', 'h1', 'timeout', 'no answer');
select t.is(fleet.free_slot('a', 1, 'fire'), 'freed', 'its only run is given up');
select t.is(fleet.continue('a', 'go on'), 'created', 'it is continued');
select t.is(pg_temp.runs(), 'h2:a', 'anywhere: what the given up one left is not waited for');
select t.is(pg_temp.brief('a'), '(,,,"go on",,,0)', 'with nothing but what was asked');
rollback;

\echo 'where it goes on'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a', p_more => '{"repo": "acme/rocket"}'), t.submit('other', p_more => '{"priority": 9}');
savepoint fresh;
select t.claim('w1', 1);
select t.is(pg_temp.runs(), 'h2:a', 'its first run is on h2');
select t.is(pg_temp.end('a', 'no_change', 'needs_input', '{"question": "?", "session_id": "s-1"}'), 'review_pending', 'it asks');
select t.start('w1', 'other');
select t.is(pg_temp.end('other', p_report => '{}'), 'completed', 'h1 is free and would be first');
select t.is(fleet.answer('a', 'yes'), 'answered', 'answered');
select t.is((select string_agg(agent_id || ': ' || regexp_replace(reason, '20[0-9TZ:-]+', 'THEN'), ', ' order by agent_id) from fleet.explanations where task_id = 'a'),
  'h1/codex-cli: the task goes on at h2/codex-cli, which has its session and workspace; from THEN on anyone may take it, h2/codex-cli: can take it now: 1 free slots, 0 tasks ahead of it in its lane',
  'explained');
savepoint pinned;
select t.is(pg_temp.runs(), 'h2:a', 'it goes on at h2');
rollback to savepoint pinned;
select fleet.cordon('h2', 'new disk');
select t.is(pg_temp.runs(), '', 'nothing is placed on a cordoned host');
select fleet.promote(10);
select t.is(pg_temp.runs(), 'h1:a', 'and it does not hold up the task');
select t.is((select b.session_id from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.attempt = t.attempt('a')), null, 'which begins anew there');
select t.is((select b.follow_up from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.attempt = t.attempt('a')), 'yes', 'with what was asked');
select t.none('select from fleet.pin', 'nothing is pinned any more');
select t.sound();
rollback to savepoint pinned;
select fleet.promote(10);
select t.report_down('w1', 'h2', 'timeout', 'down');
select fleet.promote(10);
select t.is(pg_temp.runs(), '', 'a host that is out of reach is waited for');
select t.is((select (fleet.task_explain(t.by(), 'a')).body::jsonb -> 'what_would_help' ->> 0) like 'bringing h2/codex-cli back%', true, 'explain says so');
update fleet.pin set until = now();
select fleet.promote(10);
select t.is(pg_temp.runs(), 'h1:a', 'for follow_pin_ms');
rollback to savepoint pinned;
select t.is(t.word(fleet.task_assign(t.by(), 'a', 'h1/codex-cli', null)), '200 created', 'a person may say where');
select fleet.promote(10);
select t.none('select from fleet.pin', 'which has no end');
select t.is(pg_temp.runs(), 'h1:a', 'and holds');
rollback to savepoint pinned;
select t.is(fleet.cancel('a'), 'cancelled', 'cancelled');
select t.none('select from fleet.pin', 'no pin is left');
select t.sound();
rollback to savepoint fresh;
select fleet.set('follow_pin_ms', 0);
select t.claim('w1', 1);
select pg_temp.runs();
select pg_temp.end('a', 'no_change', 'needs_input', '{"question": "?"}'), t.start('w1', 'other'), pg_temp.end('other');
select fleet.answer('a', 'yes');
select t.is(pg_temp.runs(), 'h1:a', 'follow_pin_ms of 0: anywhere at once');
rollback;

\echo 'retries'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a', p_more => '{"repo": "acme/rocket", "max_retries": 9}');
select pg_temp.runs();
select pg_temp.prepare('a', '{"state": "ready"}');
savepoint runs;
select t.is(pg_temp.end('a', 'timed_out', 'timed_out', '{"session_id": "s-1", "work": {"state": "pushed", "head": "b", "pushed": "b"}}'), 'created', 'a run with a workspace timed out');
select t.report_down('w1', 'h1', 'timeout', 'down'), t.due();
select t.is(pg_temp.runs(), '', 'it is tried again where that is');
select t.report('w1', 'h1', t.identity('h1'));
select t.is(pg_temp.runs(), 'h1:a', '... there');
select t.is(pg_temp.brief('a'), '(,b,s-1,,,,0)', 'with its session and what was pushed');
select t.is(pg_temp.end('a', 'failed', 'killed'), 'created', 'a host that is to blame');
select t.due();
select t.is(pg_temp.runs(), 'h2:a', 'is left, workspace or not');
select t.sound();
rollback to savepoint runs;
select t.is(pg_temp.end('a', 'failed', 'exit_nonzero', '{"session_id": "s-1"}'), 'created', 'an agent that failed');
select t.due(), pg_temp.runs();
select t.is(pg_temp.brief('a'), '(,,,,,,0)', 'begins anew in its workspace');
rollback to savepoint runs;
select t.is(pg_temp.end('a', 'failed', 'auth_failed', '{"session_id": "s-1"}'), 'created', 'a login that was refused');
select t.due();
select t.is(pg_temp.runs(), 'h2:a', 'is another executor''s to try');
rollback to savepoint runs;
select t.is(pg_temp.end('a', 'failed', 'push_conflict', '{"session_id": "s-1"}'), 'failed', 'what is about the push is never tried again by itself');
select t.is(fleet.retry('a'), 'created', 'a person does');
select t.is(pg_temp.runs(), 'h1:a', 'where the commits are');
select t.is(pg_temp.brief('a'), '(,,s-1,,,,0)', 'with the session');
create temp table counted on commit drop as select retry_count from fleet.task;
select pg_temp.end('a', 'failed', 'session_lost', '{"session_id": "s-1"}'), t.due(), pg_temp.runs();
select t.is(pg_temp.brief('a'), '(,,,,,,0)', 'a session that is lost is not asked for again');
select t.is((select retry_count from fleet.task), (select retry_count from pg_temp.counted), 'and costs no retry');
select t.sound();
rollback;

\echo 'separate accounts'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 2));
select t.submit('a'), t.submit('b', p_more => '{"priority": -1}');
select t.claim('w1', 2), t.start('w1', 'a'), t.start('w1', 'b');
select t.is((select string_agg(task_id || ordinal, ' ' order by task_id) from fleet.attempt join fleet.task using (task)), 'a0 b1', 'each slot has its number');
select pg_temp.end('b', 'no_change', 'needs_input', '{"question": "?", "session_id": "s-b", "isolation": "separate"}'), pg_temp.end('a');
select t.is(fleet.answer('b', 'yes'), 'answered', 'answered');
savepoint asked;
select pg_temp.runs();
select t.is(pg_temp.brief('b'), '(,,s-b,yes,,?,1)', 'the slot with its account is taken, where it is free');
rollback to savepoint asked;
delete from fleet.slot where ordinal = 1;
select pg_temp.runs();
select t.is(pg_temp.brief('b'), '(,,,yes,,?,0)', 'another account has no session of it');
rollback to savepoint asked;
delete from fleet.slot where ordinal = 0;
select pg_temp.runs();
select t.is(pg_temp.brief('b'), '(,,s-b,yes,,?,1)', 'the same one has');
rollback;

\echo 'numbers of slots'
begin;
create function pg_temp.slots() returns text language sql as $$ select string_agg(ordinal || case when attempt is not null then 'x' else '' end, ' ' order by ordinal) from fleet.slot $$;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.is(pg_temp.slots(), '0 1 2', 'from 0 on');
select t.submit('t' || i) from generate_series(1, 3) i;
select t.claim('w1', 3), t.start('w1', 't1'), t.start('w1', 't2'), t.start('w1', 't3');
select t.finish('w1', task_id) from fleet.attempt join fleet.task using (task) where ordinal < 2;
select t.configure('w1', t.host('h', '{code:rust}', 1));
select t.is(pg_temp.slots(), '2x', 'free ones go at once');
select t.configure('w1', t.host('h', '{code:rust}', 3));
select t.is(pg_temp.slots(), '0 1 2x', 'the smallest numbers come back');
select t.configure('w1', t.host('h', '{code:rust}', 1));
select t.finish('w1', task_id) from fleet.attempt join fleet.task using (task) where ended_at is null;
select t.is(pg_temp.slots(), '0', 'the last one is below max_concurrency when nothing runs');
select t.sound();
rollback;

\echo 'issues that wait for an answer'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
insert into fleet.repository (repo) values ('acme/rocket') on conflict do nothing;
select t.is(t.deliver('d1', 'label_updated', '{agent:code:rust}', '2026-01-01T00:00:00Z'), 'accepted submitted', 'an issue');
select pg_temp.runs();
select t.is(pg_temp.end('acme/rocket#42', 'no_change', 'needs_input', '{"question": "?"}'), 'review_pending', 'asks');
savepoint asks;
select t.is(t.deliver('d2', 'label_cleared', '{}', '2026-01-02T00:00:00Z'), 'accepted label_removed', 'its label is taken away');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'nobody will answer');
select t.is(t.deliver('d3', 'label_updated', '{agent:code:rust}', '2026-01-03T00:00:00Z'), 'accepted resubmitted', 'and added again');
select t.sound();
rollback to savepoint asks;
select fleet.answer('acme/rocket#42', 'yes');
select t.is(t.deliver('d2', 'label_updated', '{agent:code:rust,agent:more}', '2026-01-02T00:00:00Z'), 'accepted relabelled', 'other labels while it waits pinned');
select t.sound('relabelled: sound');
rollback to savepoint asks;
select t.is(t.deliver('d2', 'closed', '{agent:code:rust}', '2026-01-02T00:00:00Z', '{"state": "closed"}'), 'accepted cancelled', 'closed');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'it is cancelled');
select t.sound();
rollback;

\echo 'what goes with its task'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select pg_temp.runs(), pg_temp.end('a'), fleet.continue('a', 'x'), fleet.cancel('a');
update fleet.task set completed_at = now() - interval '10 years', created_at = now() - interval '10 years';
delete from fleet.event;
update fleet.attempt set run_removed_at = now();
select fleet.remove_tasks(now(), 10);
select t.is((select count(*) from fleet.task) + (select count(*) from fleet.follow), 0::bigint, 'follow-ups');
rollback;
