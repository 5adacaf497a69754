-- What HTTP agents say of their runs: whose it is, in which order, how large, and what comes of it.
create function t.fault(p_body jsonb) returns text language sql as $$
  select concat_ws(' ', r.status, r.body::jsonb #>> '{details,member}') from fleet.agent_complete(t.by(), 'one', '{"agent_id": "a1"}' || p_body) r;
$$;
create function t.status_fault(p_body jsonb) returns text language sql as $$
  select concat_ws(' ', r.status, r.body::jsonb ->> 'code', r.body::jsonb #>> '{details,member}') from fleet.agent_status(t.by(), 'one', '{"agent_id": "a1"}' || p_body) r;
$$;
create function t.log(p_offset bigint, p_bytes text, p_stream text default 'stdout', p_attempt int default null) returns text language sql as $$
  select concat_ws(' ', r.status, r.body::jsonb ->> 'code', coalesce(r.body::jsonb ->> 'next_offset', r.body::jsonb #>> '{details,next_offset}'))
  from fleet.agent_log(t.by(), 'one', 'a1', p_attempt, p_stream, p_offset, p_bytes::bytea) r;
$$;

\echo 'whose it is'
begin;
select t.worker('w1', t.host('h1', '{ssh}', 2));
select t.put(n, t.new_token(n, 'agent')) from unnest('{t1,t2}'::text[]) n;
select t.agent('a1', '{code:rust}', 3, t.got('t1'));
select t.agent('a2', '{code:rust}', 1, t.got('t2'));
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}') from unnest('{one,two,waits}'::text[]) x;
select t.submit('ssh', '{agent:ssh}', '{"execution_mode": "undecided"}');
select t.submit('ssh2', '{agent:ssh}', '{"execution_mode": "ssh_cli"}');
select t.is(t.pull('a1', 'a2'), 'a1:one a2:two', 'two agents have one each');
select t.is(t.claim('w1', 1), 'ssh', 'a worker has another');
select t.is(t.says('a1', 'two', 'running', '{}', t.got('t1')), '403 not_your_task', 'a task of another agent');
select t.is(t.says('a2', 'two', 'running', '{}', t.got('t1')), '403 not_your_agent', 'under the name of that agent');
select t.is(t.says('a1', 'waits', 'running', '{}', t.got('t1')), '403 not_your_task', 'a task that waits');
select t.is(t.says('a1', 'none', 'running', '{}', t.got('t1')), '404 not_found', 'a task that is not there');
select t.is(t.says('nobody', 'one', 'running'), '404 unknown_agent', 'an agent that is not there');
select t.is(t.says('h1/codex-cli', 'ssh', 'running'), '403 not_your_agent', 'an SSH executor speaks for itself');
select t.is(t.says('a1', x, 'running'), '400 wrong_execution_mode', 'a task of the other mode: ' || x) from unnest('{ssh,ssh2}'::text[]) x;
select t.is(t.completes('a1', 'ssh'), '400 wrong_execution_mode', 'nor is it completed');
select t.is(t.completes('a1', 'two'), '403 not_your_task', 'nor that of another agent');
select t.is(t.word(fleet.agent_log(t.by(), 'two', 'a1', null, 'stdout', 0, 'x')), '403 not_your_task', 'nor its output written');
select t.is(t.says('a1', 'one', 'running', '{"attempt": 2}'), '404 unknown_attempt', 'an attempt that is not there');
select t.is(t.says('a1', 'one', 'running', '{"attempt": 1}', t.got('t1')), '200 running', 'its own');
select t.is(t.status('two') || t.status('ssh'), 'assignedassigned', 'nothing of it changed anything');
select t.new_token('repo', 'agent', '{"agent_id": "a1", "repositories": ["acme/*"]}') as repo \gset
select t.is(t.says('a1', 'one', 'running', '{}', :repo), '404 not_found', 'a task out of the bounds of the token');
select t.sound();
rollback;

\echo 'status'
begin;
select t.agent('a1');
select t.submit('one', '{agent:code:rust}', '{"execution_mode": "undecided"}');
select t.pull('a1');
select t.is(t.status_fault(f::jsonb), w, 'refused: ' || left(f, 70)) from (values
  ('{}', '422 invalid_value status'), ('{"status": 7}', '422 invalid_value status'), ('{"status": "done"}', '422 invalid_value status'),
  ('{"status": "assigned"}', '400 illegal_transition'), ('{"status": "review_pending"}', '400 illegal_transition'),
  ('{"status": "running", "message": 1}', '422 invalid_value message'), ('{"status": "needs_input"}', '422 invalid_value message'),
  (jsonb_build_object('status', 'running', 'message', repeat('x', 16385))::text, '422 invalid_value message'),
  ('{"status": "running", "attempt": "1"}', '422 invalid_value attempt'), ('{"status": "running", "attempt": 1.5}', '422 invalid_value attempt'),
  ('{"status": "running", "agent_id": null}', '422 invalid_value agent_id')) v (f, w);
select t.is(t.status('one'), 'assigned', 'none of it begins the run');
select t.is(t.says('a1', 'one', 'running', '{"message": "hello", "more": 1}'), '200 running', 'running begins it');
select t.is(t.says('a1', 'one', 'running'), '200 running', 'said again it changes nothing');
select t.is(t.says('a1', 'one', 'running', '{"message": "half of it"}'), '200 running', 'a message is an event');
select t.is((select string_agg(coalesce(to_status, event_type) || coalesce(' ' || (payload ->> 'message'), ''), ', ' order by event_id) from fleet.history where actor = 'agent:a1'),
  'assigned, running, message hello, message half of it', 'the history has it, by the agent');
select t.is((select phase || ' ' || (started_at is not null) from fleet.attempt), 'running true', 'the attempt runs');

select t.is(t.says('a1', 'one', 'needs_input', '{"message": "Which branch?"}'), '200 running', 'it asks');
select t.is((select question from fleet.attempt), 'Which branch?', 'the question stands with the attempt');
select t.is(t.member(t.heartbeat('a1'), 'answers'), '[]', 'there is no answer yet');
update fleet.attempt set answer = 'main';
select t.is(t.member(t.heartbeat('a1'), 'answers'), '[{"text": "main", "task_id": "one"}]', 'the heartbeat brings the answer');
select t.is(t.member(t.heartbeat('a1'), 'answers'), '[{"text": "main", "task_id": "one"}]', 'again, until');
select t.is(t.says('a1', 'one', 'running'), '200 running', 'it says that it goes on');
select t.is(t.member(t.heartbeat('a1'), 'answers'), '[]', 'then it has it');
select t.is((select question from fleet.attempt), null, 'and the question is closed');
select t.is(t.says('a1', 'one', 'completed', '{"message": "all done"}'), '200 completed', 'completed by status');
select t.is(t.says('a1', 'one', 'completed', '{"message": "all done"}'), '200 completed', 'again: the same answer');
select t.is((select report::text from fleet.attempt), '{"status": "completed", "summary": "all done"}', 'its message is the summary');
select t.is(t.says('a1', 'one', 'running'), '409 attempt_over', 'then it is over');
select t.sound();
rollback;

\echo 'asks at once'
begin;
select t.agent('a1');
select t.submit('one', '{agent:code:rust}', '{"execution_mode": "undecided"}');
select t.pull('a1');
select t.is(t.says('a1', 'one', 'needs_input', '{"message": "Which?"}'), '200 running', 'a question acknowledges the hand-over too');
select t.is(t.says('a1', 'one', 'failed', '{"message": "nobody answers"}'), '200 created', 'failed by status: tried again');
select t.is((select report ->> 'error' from fleet.attempt), 'nobody answers', 'its message is the error');
select t.sound();
rollback;

\echo 'receipts'
begin;
select t.agent('a1', '{code:rust}', 9);
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided", "max_retries": 1}') from unnest('{one,two,three,four}'::text[]) x;
select t.pull('a1', 'a1', 'a1', 'a1');
select t.is(t.fault(f::jsonb), '422 ' || w, 'refused: ' || left(f, 70)) from (values
  ('{}', 'status'), ('{"status": "done"}', 'status'), ('{"status": null}', 'status'), ('{"status": "running"}', 'status'),
  ('{"status": "completed", "task_id": "two"}', 'task_id'), ('{"status": "completed", "task_id": 1}', 'task_id'),
  ('{"status": "completed", "duration_seconds": -1}', 'duration_seconds'), ('{"status": "completed", "duration_seconds": "5"}', 'duration_seconds'),
  ('{"status": "completed", "duration_seconds": 1e12}', 'duration_seconds'), ('{"status": "completed", "summary": []}', 'summary'),
  (jsonb_build_object('status', 'completed', 'summary', repeat('x', 65537))::text, 'summary'),
  ('{"status": "completed", "artifacts": {}}', 'artifacts'), ('{"status": "completed", "artifacts": "x"}', 'artifacts'),
  (jsonb_build_object('status', 'completed', 'artifacts', (select jsonb_agg(i) from generate_series(1, 101) i))::text, 'artifacts'),
  (jsonb_build_object('status', 'completed', 'artifacts', jsonb_build_array(repeat('x', 65537)))::text, 'artifacts'),
  (jsonb_build_object('status', 'completed', 'error', repeat('x', 65537))::text, 'error'), ('{"status": "completed", "error": 7}', 'error'),
  ('{"status": "completed", "branch": "--upload-pack=x"}', 'branch'), ('{"status": "completed", "branch": 1}', 'branch'),
  ('{"status": "completed", "head": "main"}', 'head'), ('{"status": "completed", "head": "0123456789012345678901234567890123456789\n"}', 'head'),
  ('{"status": "completed", "attempt": -1}', 'attempt'), ('{"status": "completed", "agent_id": 1}', 'agent_id')) v (f, w);
select t.is((select count(*) from fleet.attempt where ended_at is null), 4::bigint, 'none of it ends anything');

select t.keep('full', '{"duration_seconds": 12.5, "summary": "Fixed it", "artifacts": [{"type": "pr", "url": "https://git.example.org/acme/rocket/pulls/7"}, "notes.md"], "error": null, "unknown": 1}'::text);
select t.is(t.completes('a1', 'one', 'completed', t.kept('full')::jsonb), '200 completed', 'a receipt, without running before');
select t.is((select report from fleet.attempt where attempt = t.attempt('one')),
  '{"status": "completed", "duration_seconds": 12.5, "summary": "Fixed it", "artifacts": [{"type": "pr", "url": "https://git.example.org/acme/rocket/pulls/7"}, "notes.md"]}',
  'is stored as it was claimed');
select t.is(t.completes('a1', 'one', 'completed', t.kept('full')::jsonb), '200 completed', 'told again: the same answer');
select t.is((select count(*) from fleet.history where task_id = 'one'), 4::bigint, 'and nothing more happens');
select t.is(t.completes('a1', 'one', 'failed', t.kept('full')::jsonb), '409 attempt_over', 'another one is refused');
savepoint pushed;
select t.is(t.completes('a1', 'two', 'completed', '{"branch": "task/two", "head": "0123456789012345678901234567890123456789"}'), '200 completed', 'what it pushed');
select t.is((select row(a -> 'work', a -> 'claimed_work')::text from jsonb_array_elements((fleet.task_detail(t.by(), 'two')).body::jsonb -> 'attempts') a),
  row('null'::jsonb, '{"head": "0123456789012345678901234567890123456789", "branch": "task/two"}'::jsonb)::text, 'is shown as what it claims');
rollback to savepoint pushed;
select t.is((select late ->> 'status' from fleet.attempt where attempt = t.attempt('one')), 'failed', 'and kept');
select t.is(t.status('one'), 'completed', 'and changes nothing');

select t.says('a1', 'two', 'running');
select t.is(t.completes('a1', 'two', 'failed', '{"error": "no compiler"}'), '200 created', 'a failure is tried again');
select t.is(t.completes('a1', 'two', 'failed', '{"error": "no compiler"}'), '200 created', 'told again: the same answer');
select t.is((select retry_count || ' ' || failure_reason from fleet.task where task_id = 'two'), '1 agent_error', 'counted, once');
select t.due();
select t.pull('a1');
select t.is(t.completes('a1', 'two', 'failed', '{"error": "no compiler", "attempt": 2}'), '200 failed', 'and fails when no retry is left');

select t.is(t.completes('a1', 'three', 'partial', '{"summary": "half"}'), '200 completed', 'a part counts as done, so that it is not done twice');
select t.is((select a.outcome || ' ' || a.reason || ' ' || (r.advice <> '') from fleet.attempt a join fleet.reason r on r.reason = a.reason where attempt = t.attempt('three')),
  'succeeded partial true', 'with the mark, and advice');
select t.is(fleet.retry('three', true), 'created', 'a person has the rest done');
select t.is(t.completes('a1', 'four', 'cancelled'), '409 not_cancelled', 'cancelled, when nobody asked');
select fleet.cancel('four');
select t.is(t.completes('a1', 'four', 'cancelled'), '200 cancelled', 'and when somebody did');
select t.sound();
rollback;

\echo 'output'
begin;
select t.agent('a1');
select t.submit('one', '{agent:code:rust}', '{"execution_mode": "undecided", "max_retries": 0}');
select t.pull('a1');
select t.is(t.log(0, 'hello '), '200 6', 'is appended at its offset');
select t.is(t.log(6, 'world'), '200 11', 'and answers the next one');
select t.is(t.log(6, 'world'), '200 11', 'the same again is no more');
select t.is(t.log(20, 'x'), '409 offset_gap 11', 'a gap is told with the offset that is wanted');
select t.is(t.log(6, 'earth'), '409 offset_gap 11', 'other bytes too');
select t.is(t.log(0, 'oops', 'stderr'), '200 4', 'each stream has its own');
select t.is(t.log(0, '', 'stdout'), '200 11', 'nothing asks where it stands');
select t.is(t.log(0, 'x', 'stdlog'), '422 invalid_value', 'there is no other stream');
select t.is((select string_agg(bytes, '' order by pos) from fleet.log), 'hello worldoops'::bytea, 'it is stored as it came');
select fleet.set('agent_output_max', 1024);
select t.is(t.log(11, repeat('x', 1010)), '413 output_limit', 'there is an end to it');
select t.is(t.log(11, repeat('x', 1009)), '200 1020', 'and not a byte before');
select t.completes('a1', 'one');
select t.is(t.log(1020, 'late'), '409 attempt_over', 'nothing is appended to what is over');
select t.sound();
rollback;
