-- Which task goes to which waiting agent, in which order, and never more than its slots.

\echo 'capabilities and modes'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 9));
select t.agent('a1', '{code:rust}', 9);
select t.agent('a2', '{code:rust,review}', 9);
select t.submit('doc', '{agent:document}', '{"execution_mode": "undecided"}');
select t.is(t.pull('a1', 'a2'), '', 'what nobody can do waits');
select t.submit('both', '{agent:code:rust,agent:review}', '{"execution_mode": "undecided"}');
select t.is(t.pull('a1', 'a2'), 'a2:both', 'all requirements must be met');
select t.submit('any', '{}', '{"execution_mode": "undecided"}');
select t.is(t.pull('a1', 'a2'), 'a1:any', 'no requirement: any');
select t.submit('ssh', '{agent:code:rust}', '{"execution_mode": "ssh_cli"}');
select t.is(t.pull('a1', 'a2'), '', 'a task for SSH is none of theirs');
select t.submit('http', '{agent:code:rust}', '{"execution_mode": "http_pull"}');
select t.is(t.claim('w1', 9), 'ssh', 'nor is one for HTTP a worker''s');
select t.is(t.pull('a1', 'a2'), 'a1:http', 'it is theirs');
select t.submit('open', '{agent:code:rust}', '{"execution_mode": "undecided"}');
select t.is(t.claim('w1', 9), 'open', 'an undecided one is whose claim comes first');
select t.is(t.pull('a1'), '', 'and then of nobody else');
select t.is((select x.kind from fleet.task join fleet.executor x using (executor) where task_id = 'open'), 'ssh_cli', 'the claim decides');
select t.sound();
rollback;

\echo 'what is handed over'
begin;
select t.agent('a1');
select t.submit('one', '{bug,agent:code:rust}', '{"execution_mode": "undecided", "repo": "acme/rocket", "issue_number": 42, "priority": 3, "metadata": {"k": [1]}}');
create temp table got as select p.*, p.body::jsonb as task from fleet.pull(array[(select executor from fleet.executor)], null, 1) p;
select t.is((select row(attempt, epoch, node)::text from got), (select row(a.attempt, 1, e.node)::text from fleet.attempt a, fleet.executor e), 'attempt, epoch and owner, to give it back');
select t.is((select task - '{created_at,run_at,assigned_at,last_activity_at}'::text[] @> '{"task_id": "one", "title": "Do one", "body": "Body of one", "labels": ["bug", "agent:code:rust"],
  "requirements": ["code:rust"], "repo": "acme/rocket", "issue_number": 42, "priority": 3, "metadata": {"k": [1]}, "execution_mode": "http_pull", "assigned_agent_id": "a1",
  "status": "assigned", "attempt": 1, "epoch": 1, "branch_name": "task/one"}' from got), true, 'the task, with all that is needed to do it');
select t.is((select fleet.release(node, attempt, epoch, 'not_delivered') from got), 'created', 'given back');
select t.sound();
rollback;

\echo 'order'
begin;
select t.agent('a' || i, array['c' || i % 2, 'all']) from generate_series(1, 6) i;
select t.is(t.pull('a1', 'a2'), '', 'nothing waits');
select t.submit('x' || i, '{agent:all}', '{"execution_mode": "undecided"}') from generate_series(1, 3) i;
select t.is(t.pull('a4', 'a2', 'a6', 'a1'), 'a4:x1 a2:x2 a6:x3', 'the longest waiting first');
select t.is(t.pull('a1', 'a3'), '', 'only as many as there are');
select t.submit('odd', '{agent:c1}', '{"execution_mode": "undecided"}');
select t.submit('low', '{agent:all}', '{"execution_mode": "undecided", "priority": -1}');
select t.is(t.pull('a5', 'a3'), 'a5:odd a3:low', 'the most urgent first');
select t.completes(a, x) from (values ('a4', 'x1'), ('a2', 'x2'), ('a6', 'x3')) v (a, x);
select t.submit('even', '{agent:c0}', '{"execution_mode": "undecided", "priority": 5}');
select t.submit('rest', '{agent:all}', '{"execution_mode": "undecided"}');
select t.is(t.pull('a1', 'a2', 'a4'), 'a2:even a1:rest', 'the longest waiting of those that can');
select t.sound();
rollback;

\echo 'slots'
begin;
select t.agent('a1', '{x}', 2);
select t.agent('a2', '{x}', 1);
select t.submit('x' || i, '{agent:x}', '{"execution_mode": "undecided"}') from generate_series(1, 9) i;
select t.is((select count(*) from fleet.pull((select array_agg(executor) from fleet.executor), null, 0)), 0::bigint, 'who wants nothing gets nothing');
select t.is((select count(*) from fleet.pull('{}', null, 9)), 0::bigint, 'nor does nobody');
select t.is(t.pull('a1', 'a1', 'a2', 'a1', 'a2'), 'a1:x1 a1:x2 a2:x3', 'never more than the agent''s slots, whatever it asks for');
select t.is(t.pull('a1', 'a2'), '', 'full is full');
select t.submit('urgent', '{agent:x}', '{"execution_mode": "undecided", "priority": 9}');
select t.completes('a2', 'x3');
select t.is(t.pull('a1', 'a2'), 'a2:urgent', 'who is full is passed over');
select t.completes('a2', 'urgent');
select t.is(t.pull('a2'), 'a2:x4', 'one a call');
update fleet.executor set enabled = enabled;
select t.is((select count(*) from fleet.pull((select array_agg(executor) from fleet.executor, generate_series(1, 9)), null, 9)), 0::bigint, 'nine calls at once get no more');
select t.sound();
rollback;

\echo 'narrowed by the call'
begin;
create function t.narrowed(p_capabilities text[]) returns text language sql as $$
  select coalesce(string_agg(p.body::jsonb ->> 'task_id', ' ' order by ordinality), '')
  from fleet.pull(array(select executor from fleet.executor, generate_series(1, 9)), p_capabilities, 9) with ordinality p;
$$;
create function t.admitted(p_capabilities text[]) returns text language sql as $$
  select coalesce(a.capabilities::text, 'all') from fleet.pull_admit(t.by(), 'a1', p_capabilities) a;
$$;
select t.agent('a1', '{code:rust,review}', 9);
select t.is(t.admitted(null), 'all', 'who names none has all');
select t.is(t.admitted('{review,agent:code:rust}'), 'all', 'so has who names all');
select t.is(t.admitted('{review,deploy,code:rust}'), 'all', 'or more');
select t.is(t.admitted('{review,deploy}'), '{deploy,review}', 'fewer narrow it');
select t.is(t.admitted('{}'), '{}', 'down to none');
select t.submit(x, array['agent:' || x], '{"execution_mode": "undecided"}') from unnest('{review,code:rust,deploy}'::text[]) x;
select t.submit('any', '{}', '{"execution_mode": "undecided"}');
select t.is(t.narrowed('{deploy}'), 'any', 'what was not registered cannot be had');
select t.is(t.narrowed('{review}'), 'review', 'only what is named');
select t.is(t.narrowed(null), 'code:rust', 'the rest');
select t.sound();
rollback;

\echo 'who may ask'
begin;
select t.put('mine', t.new_token('mine', 'agent'));
select t.put('other', t.new_token('other', 'agent'));
select t.agent('a1', '{x}', 1, t.got('mine'));
select t.is((select status || ' ' || (body::jsonb ->> 'code') from fleet.pull_admit(t.by(), 'nobody', null)), '404 unknown_agent', 'an agent that was never registered');
select t.is((select status || ' ' || (body::jsonb ->> 'code') from fleet.pull_admit(t.by(t.got('other')), 'a1', null)), '403 not_your_agent', 'another token');
select t.is((select status || ' ' || (body::jsonb ->> 'code') from fleet.pull_admit(t.by(-1), 'a1', null)), '403 not_your_agent', 'the shared one');
select t.is((select status from fleet.pull_admit(t.by(t.got('mine')), 'a1', null)), null, 'its own');
select t.is((select executor from fleet.pull_admit(t.by(t.got('mine')), 'a1', null)), (select executor from fleet.executor), 'is admitted as its executor');
select t.worker('w1', t.host('h1', '{x}', 1));
select t.submit('one', '{agent:x}', '{"execution_mode": "undecided"}');
select t.is((select count(*) from fleet.pull(array(select executor from fleet.executor where kind = 'ssh_cli'), null, 9)), 0::bigint, 'an SSH executor pulls nothing');
select t.is((select string_agg(task_id, ' ') from fleet.claim(t.node('w1'), 9)), 'one', 'and claims');
rollback;
