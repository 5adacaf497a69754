-- HTTP agents: an ordinary life.
begin;
select fleet.set('open_grace_ms', 0);
select t.server();
select t.is(t.agent('a1', '{agent:code:rust,review}', 2), '200 online', 'an agent registers');
select t.is(t.word(t.heartbeat('a1')), '200 online', 'and gives a beat');
select t.is((select executor::text || status || body from fleet.pull_admit(t.by(), 'a1', '{code:rust}')), null, 'it is admitted');
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}') from unnest('{one,two,three}'::text[]) x;
select t.is(t.pull('a1', 'a1', 'a1'), 'a1:one a1:two', 'it is given no more than its free slots');
select t.is(t.says('a1', 'one', 'running', '{"message": "I begin"}'), '200 running', 'running acknowledges the hand-over');
select t.is(t.completes('a1', 'one'), '200 completed', 'its receipt completes the task');
select t.is(t.pull('a1'), 'a1:three', 'its slot is free again');
select fleet.tend(t.node('server'));
select t.is(t.word(fleet.agent_deregister(t.by(), '{"agent_id": "a1"}')), '200 offline', 'it deregisters');
select t.is(t.status('two') || t.status('three'), 'createdcreated', 'and what it ran goes back to the queue');
select t.is(t.word(fleet.agent_log(t.by(), 'one', 'a1', null, 'stdout', 0, 'x')), '404 unknown_agent', 'a deregistered agent is none');
select t.sound();
rollback;

\echo 'lost'
begin;
select fleet.set('open_grace_ms', 0);
select t.server();
select t.agent('a1');
select t.agent('a2');
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}') from unnest('{one,two}'::text[]) x;
select t.is(t.pull('a2', 'a1'), 'a2:one a1:two', 'the longest waiting call is served first');
select t.says('a2', 'one', 'running');
select t.agent_silent('a2');
select fleet.lose_agent(a, 'node:x') from fleet.attempt a where a.attempt = t.attempt('one');
select t.is(t.status('one'), 'created', 'a lost agent''s task waits for a retry');
select t.is(t.completes('a2', 'one'), '409 attempt_over', 'what it says later is refused');
select t.is(t.completes('a2', 'two'), '403 not_your_task', 'of another''s task it says nothing');
select t.is(fleet.could_beat(interval '1 day'), false, 'silence counts only while somebody could hear');
select t.is(t.completes('a2', 'none'), '404 not_found', 'nor of none');
select t.sound();
rollback;
