-- A waiting task is given to one agent alone.
create function t.assign(p_task text, p_agent text, p_mode text default null, p_by bigint default 0) returns text language sql as $$
  select t.word(fleet.task_assign(t.by(p_by), p_task, p_agent, p_mode));
$$;
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 2) || '{"repositories": ["acme/rocket"]}', t.host('h2', '{code:rust}', 2));
select t.agent('a1');
select t.agent('a2');
select t.agent('plain', '{review}');
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}') from unnest('{one,two,three}'::text[]) x;

\echo 'refusals'
select t.is(t.assign('none', 'a1'), '404 not_found', 'a task that is not there');
select t.is(t.assign('one', 'nobody'), '404 unknown_agent', 'an agent that is not there');
select t.is(t.assign('one', 'plain'), '409 incapable', 'an agent that lacks what the task needs');
select t.is(t.assign('one', 'a1', 'ssh_cli'), '409 incapable', 'an HTTP agent for the other mode');
select t.is(t.assign('one', 'a1', 'nonsense'), '422 invalid_value', 'a mode that is none');
select t.is(t.assign('one', 'h1/codex-cli'), '409 incapable', 'a host that does not take tasks of no repository');
select t.submit('ssh', '{agent:code:rust}', '{"execution_mode": "ssh_cli"}');
select t.is(t.assign('ssh', 'a1'), '409 incapable', 'a task that wants SSH, to an HTTP agent, unless the mode is changed with it');
select t.is(t.assign('one', 'a1', null, t.new_token('bound', 'operate', '{"repositories": ["acme/rocket"]}')), '404 not_found',
  'a task out of the bounds of who asks');
select t.none('select from fleet.audit where action = ''task_assign''', 'nothing of it is in the trail');

\echo 'pinned'
select t.is(t.assign('one', 'a1'), '200 created', 'an HTTP agent');
select t.is(t.assign('two', 'h2/codex-cli'), '200 created', 'an SSH executor');
select t.is(t.assign('ssh', 'a2', 'http_pull'), '200 created', 'the mode is changed with it');
select t.is((select string_agg(object || ' ' || (after ->> 'agent_id'), ', ' order by audit) from fleet.audit where action = 'task_assign'),
  'one a1, two h2/codex-cli, ssh a2', 'each is in the trail');
select t.is(t.pull('a2', 'a2'), 'a2:three', 'another agent does not get it');
select t.is(t.claim('w1', 9), 'two', 'nor does an SSH executor; it gets its own');
select t.is((fleet.task_assign(t.by(), 'ssh', 'a2', null)).body::jsonb ->> 'reason', 'slots full: all 1 are in use',
  'the answer says why it does not start at once');
select t.is(t.pull('a1'), 'a1:one', 'the agent gets it');
select t.is(t.assign('one', 'a2'), '409 not_waiting', 'what runs stays where it is');
select t.is(t.completes('a1', 'one', 'failed'), '200 created', 'a failure is tried again');
select t.due();
select t.is(t.pull('a2', 'a1'), 'a1:one', 'by the agent that it is for');
select t.is(t.completes('a1', 'one', 'completed', '{"attempt": 2}'), '200 completed', 'which completes it');
select t.is(t.assign('one', 'a1'), '409 not_waiting', 'what has ended has to be retried first');

\echo 'the agent is gone'
savepoint here;
select t.submit('alone', '{agent:code:rust}', '{"execution_mode": "http_pull"}');
select t.is(t.assign('alone', 'a1'), '200 created', 'assigned to an agent');
select t.is(t.word(t.leaves('a1')), '200 offline', 'which deregisters');
select t.is((fleet.task_explain(t.by(), 'alone')).body::jsonb ->> 'what_would_help',
  '["assigning it to another agent: the task is assigned to a1, which is not there any more"]', 'what would help is said');
select t.is(t.assign('alone', 'a2'), '200 created', 'and does');
rollback to here;

\echo 'waiting for its time'
select t.submit('later', '{agent:code:rust}', jsonb_build_object('run_at', now() + interval '1 hour', 'execution_mode', 'http_pull'));
select t.is(t.assign('later', 'a1'), '200 created', 'one that may not start yet can be assigned');
select t.is(t.pull('a1'), '', 'it still waits for its time');
select t.due();
select t.is(t.pull('a1'), 'a1:later', 'and then goes to its agent');
select t.sound();
rollback;
