-- Runs with a workspace, and what follows them: verdicts, questions, answers, follow-ups, and where these go on.

create function pg_temp.end(p_task text, p_outcome text default 'succeeded', p_reason text default null, p_report jsonb default '{}')
returns text language sql as $$
  select fleet.finish_run(a.node, a.attempt, a.epoch, p_outcome, p_reason, 0, null, p_report, null, 'proof')
  from fleet.attempt a where a.attempt = t.attempt(p_task) $$;
create function pg_temp.brief(p_task text, out brief text) language sql as $$
  select row(b.*)::text from fleet.attempt a, fleet.briefing(a.node, a.attempt, a.epoch) b where a.attempt = t.attempt(p_task) $$;
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
select t.is(pg_temp.end('a', 'succeeded', 'needs_input', pg_temp.work('pushed', '{"head": "b", "pushed": "b"}') || '{"question": "Which one?", "session_id": "s-1", "summary": "half"}'),
  'review_pending', 'a run that ends with a question parks its task');
select t.is((select row(failure_reason, completed_at)::text from fleet.task), '(needs_input,)', 'with the reason');
select t.sound('parked: sound');
select t.is(t.word(fleet.answer_task(t.by(), 'a', 'the second, key k1', 'the second, key ***')), '202 created', 'an answer brings it back');
select t.is(t.word(fleet.answer_task(t.by(), 'a', 'again', 'again')), '409 not_asking', 'it asks no more');
select t.sound('answered: sound');
select t.is(pg_temp.runs(), 'h1:a', 'it goes on where its session is');
select t.is(pg_temp.brief('a'), '(,b,s-1,"the second, key k1",half,"Which one?",0)', 'with session, answer and question');
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
