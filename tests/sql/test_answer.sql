-- Answers to tasks that ask.

create function pg_temp.code(r fleet.reply) returns text language sql as $$
  select concat_ws(' ', r.status, coalesce(r.body::jsonb ->> 'code', r.body::jsonb ->> 'status')) $$;
create function pg_temp.told() returns text language sql as $$
  select string_agg(x ->> 'task_id' || ': ' || (x ->> 'text'), ', ') from jsonb_array_elements((t.heartbeat('pull')).body::jsonb -> 'answers') x $$;
begin;
select t.agent('pull', '{code:rust}', 2);
select t.submit('a', '{agent:code:rust}', '{"execution_mode": "undecided"}');
select t.is(pg_temp.code(fleet.answer_task(t.by(), 'nobody', 'x', 'x')), '404 not_found', 'a task that is not there');
select t.is(pg_temp.code(fleet.answer_task(t.by(), 'a', 'x', 'x')), '409 not_asking', 'a waiting one asks nothing');
select t.pull('pull');
select t.is((fleet.agent_status(t.by(), 'a', '{"agent_id": "pull", "status": "running"}')).status, 200, 'it runs');
select t.is(pg_temp.code(fleet.answer_task(t.by(), 'a', 'x', 'x')), '409 not_asking', 'one that runs neither');
select t.is((fleet.agent_status(t.by(), 'a', '{"agent_id": "pull", "status": "needs_input", "message": "Which one?"}')).status, 200, 'it asks');
select t.is((select body::jsonb ->> 'summary' from fleet.task_explain(t.by(), 'a')), 'it runs on pull (attempt 1) and asks: Which one?', 'explain says what');
select t.is((select body::jsonb -> 'what_would_help' ->> 0 from fleet.task_explain(t.by(), 'a')), 'an answer: POST …/answer {"text": …}', '... and what it wants');
select t.is(pg_temp.told(), null, 'no answer yet');
select t.is(pg_temp.code(fleet.answer_task(t.by(), 'a', 'the first', 'the ***')), '202 running', 'answered');
select t.is(pg_temp.told(), 'a: the first', 'its agent is told');
select t.is(fleet.answer('a', 'the second'), 'answered', 'answered again, by psql');
select t.is(pg_temp.told(), 'a: the second', 'the newest counts');
select t.is((fleet.agent_status(t.by(), 'a', '{"agent_id": "pull", "status": "running"}')).status, 200, 'it goes on');
select t.is(pg_temp.told(), null, 'the answer has arrived');
select t.is(fleet.answer('a', 'late'), 'not_asking', 'nothing is asked any more');
select t.is(fleet.answer('nobody', 'x'), 'not_found', 'of nobody neither');
select t.throws($$select fleet.answer('a', '')$$, 'AF007', 'an answer has a text');
select t.is((select string_agg(payload ->> 'text', ', ' order by event_id) from fleet.history where event_type = 'answered'), 'the ***, the second', 'the history has both, as they may be shown');
select t.is((select string_agg(concat_ws(' ', actor, after), ', ' order by audit) from fleet.audit where action = 'task_answer'),
  format('open {"bytes": 9, "attempt": 1}, psql:%s {"bytes": 10, "attempt": 1}', session_user), 'the trail who gave one, and not the text');
select fleet.agent_status(t.by(), 'a', '{"agent_id": "pull", "status": "needs_input", "message": "Which key?"}'), fleet.answer('a', 'a key');
select t.is(t.completes('pull', 'a'), '200 completed', 'it ends without having taken one');
select t.is((select answer from fleet.attempt), null, 'which is kept no longer');
rollback;
