-- HTTP agents: an ordinary life, and each refusal of a registration.

\echo 'an ordinary life'
begin;
select t.is(t.agent('a1', '{agent:code:rust,review}', 2), '200 online', 'an agent registers');
select t.is((select row(kind, hostname, agent_type, capabilities, max_concurrency, running, status)::text from fleet.executor_now),
  '(http_pull,laptop,openclaw,"{code:rust,review}",2,0,online)', 'it is an executor like any other, its capabilities without agent:');
select t.is((select kind || name from fleet.node where node = (select node from fleet.executor)), 'agenta1', 'and a node');
select t.none('select from fleet.node_now', 'which lists of nodes do not show');
select t.is(t.heartbeat('a1')::text, row(200, '{"drain": false, "cancel": [], "status": "online", "answers": [], "agent_id": "a1"}', null, null)::fleet.reply::text,
  'a heartbeat says what is wanted of it');
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}') from unnest('{one,two,three}'::text[]) x;
select t.is(t.pull('a1', 'a1', 'a1'), 'a1:one a1:two', 'it is given no more than its free slots');
select t.is(t.says('a1', 'one', 'running', '{"message": "I begin"}'), '200 running', 'running acknowledges the hand-over');
select t.is(t.completes('a1', 'one'), '200 completed', 'its receipt completes the task');
select t.is(t.pull('a1'), 'a1:three', 'its slot is free again');
select t.is(t.member(t.leaves('a1'), 'released'), '["two", "three"]', 'it deregisters: what it ran goes back');
select t.is(t.status('two') || t.status('three'), 'createdcreated', 'to the queue');
select t.is((select count(*) from fleet.slot), 0::bigint, 'its slots are gone');
select t.is(t.word(t.leaves('a1')), '200 offline', 'once more is the same');
select t.is(t.word(t.heartbeat('a1')), '404 unknown_agent', 'it gives no heartbeat any more');
select t.is(t.member(t.heartbeat('a1'), 'error'), 'there is no agent a1: register it first (POST /api/v1/agents/register)', 'with the way out');
select t.is((fleet.pull_admit(t.by(), 'a1', null)).status, 404, 'nor does it get tasks');
select t.is(length((t.heartbeat(repeat('x', 900000))).body) < 500, true, 'a name that is no name is not sent back whole');
select t.is(t.pull('a1'), '', 'in no way');
select t.is((select string_agg(action, ' ' order by audit) from fleet.audit where action like 'agent%'), 'agent_register agent_deregister', 'both are in the trail, heartbeats are not');
select t.due();
select t.is(t.agent('a1', '{code:rust}', 3), '200 online', 'it comes again');
select t.is(t.pull('a1', 'a1', 'a1'), 'a1:two a1:three', 'and gets what waits');
select t.sound();
rollback;

\echo 'what a registration may say'
begin;
create function t.fault(p_more jsonb) returns text language sql as $$
  select concat_ws(' ', r.status, r.body::jsonb #>> '{details,member}')
  from fleet.agent_register(t.by(), '{"agent_id": "a"}' || p_more, sha256('x'), 'p', 60, 3, 60) r;
$$;
select t.is(t.fault('{}'), '200', 'an id is enough');
select t.is((select row(agent_type, capabilities, max_concurrency, hostname, metadata)::text from fleet.executor), '(other,{},1,,{})', 'the rest has defaults');
select t.is(t.fault('{"anything": [1]}'), '200', 'unknown members are ignored');
select t.is(t.fault('{"hostname": null, "capabilities": null, "metadata": null, "max_concurrency": null, "agent_type": null}'), '200', 'null is not given');
select t.is(t.fault(f::jsonb), '422 ' || (select k from jsonb_object_keys(f::jsonb) k), 'refused, named: ' || left(f, 60)) from unnest(array[
  '{"agent_id": null}', '{"agent_id": ""}', '{"agent_id": 7}', '{"agent_id": " a"}', '{"agent_id": "a\nb"}', '{"agent_id": "a/b"}', '{"agent_id": ".."}',
  jsonb_build_object('agent_id', repeat('a', 201))::text,
  '{"agent_type": ""}', '{"agent_type": 1}', '{"hostname": []}', jsonb_build_object('hostname', repeat('h', 256))::text,
  '{"capabilities": "code:rust"}', '{"capabilities": [1]}', '{"capabilities": [""]}', '{"capabilities": ["a\nb"]}', '{"capabilities": {}}',
  jsonb_build_object('capabilities', (select jsonb_agg(i::text) from generate_series(1, 101) i))::text,
  jsonb_build_object('capabilities', (select jsonb_agg(repeat('x', 250) || i) from generate_series(10, 30) i))::text,
  '{"max_concurrency": 0}', '{"max_concurrency": 1001}', '{"max_concurrency": -1}', '{"max_concurrency": 1.5}', '{"max_concurrency": "1"}',
  '{"metadata": []}', '{"metadata": "x"}', jsonb_build_object('metadata', jsonb_build_object('x', repeat('m', 16384)))::text]) f;
select t.is(t.fault('{"max_concurrency": 1000}'), '200', 'the most that may run at once');
select t.sound();
rollback;

\echo 'registered again'
begin;
select t.agent('a1', '{code:rust}', 2);
select t.keep('node', (select node from fleet.executor));
select t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}') from unnest('{one,two,three}'::text[]) x;
select t.submit('four', '{agent:review}', '{"execution_mode": "undecided"}');
select t.is(t.pull('a1', 'a1'), 'a1:one a1:two', 'two run');
select t.is(t.agent('a1', '{code:rust,review}', 1), '200 online', 'registered again with other capabilities and less room');
select t.is((select count(*) || ' ' || min(node::text) from fleet.executor), '1 ' || t.kept('node'), 'it is the same agent, and what it ran goes on');
select t.sound('a busy slot retires at its end');
select t.is(t.pull('a1', 'a1'), '', 'it gets nothing while two run where one may');
select t.completes('a1', 'one');
select t.is(t.pull('a1'), '', 'nor while one does');
select t.completes('a1', 'two');
select t.is(t.pull('a1', 'a1'), 'a1:three', 'then one');
select t.completes('a1', 'three');
select t.is(t.pull('a1'), 'a1:four', 'a capability that came later counts');
select t.is((select after - 'agent_type' - 'hostname' - 'repositories' from fleet.audit where action = 'agent_register' order by audit desc limit 1),
  '{"enabled": true, "capabilities": ["code:rust", "review"], "max_concurrency": 1}', 'the trail shows it');
select t.sound();
rollback;

\echo 'whose id it is'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 2));
select t.put(n, t.new_token(n, 'agent')) from unnest('{mine,other}'::text[]) n;
select t.put('bound', t.new_token('bound', 'agent', '{"agent_id": "a1"}'));
select t.put('root', t.new_token('root', 'admin'));
select t.is(t.agent('h1/codex-cli'), '409 agent_id_taken', 'that of an SSH executor');
select t.is(t.agent('a2', '{}', 1, t.got('bound')), '403 not_your_agent', 'a bound token registers its own id only');
select t.is(t.agent('a1', '{code:rust}', 1, t.got('mine')), '200 online', 'a token registers an id');
select t.is(t.agent('a1', '{code:rust}', 1, t.got('other')), '409 agent_id_taken', 'which another token cannot');
select t.is(t.agent('a1', '{code:rust,more}', 9, -1), '409 agent_id_taken', 'nor the shared one');
select t.is(t.agent('a1', '{code:rust}', 2, t.got('mine')), '200 online', 'it can again');
select t.is(t.agent('a1', '{code:rust}', 2, t.got('bound')), '200 online', 'so can the token that is bound to it');
select t.is(t.agent('a1', '{code:rust}', 2, t.got('root')), '200 online', 'and an administrator');
select t.is(t.agent('a1', '{code:rust}', 2, t.new_token(r, r)), '403 scope', r || ' may not') from unnest('{read,submit,operate}'::text[]) r;
select t.is(t.agent('a1', '{code:rust}', 2, 999999), '403 scope', 'a token that is none may not');

select t.is(t.agent('s1', '{code:rust}', 1, -1), '200 online', 'the shared token registers an id');
select t.is(t.agent('s1', '{code:rust}', 1, -1), '409 agent_id_taken', 'and not again, not even the same');
select t.is(t.agent('s1', '{code:rust}', 1, t.got('mine')), '409 agent_id_taken', 'nor does another token');
select t.is(t.word(t.heartbeat('s1', -1)), '200 online', 'it speaks for it');
select t.is(t.word(t.heartbeat('a1', -1)), '403 not_your_agent', 'and not for those of others');
select t.is(t.word(t.leaves('s1', -1)), '200 offline', 'it deregisters it');
select t.is(t.agent('s1', '{code:rust}', 1, -1), '200 online', 'and then it may come again');
select t.sound();
rollback;

\echo 'an agent that was given more than the token which asks for it'
begin;
select t.put('some', t.new_token('some', 'agent', '{"agent_id": "a1", "capabilities": ["agent:review"], "repositories": ["acme/rocket"]}'));
select t.is(t.agent('a1', '{review,deploy}', 1), '200 online', 'registered by an administrator, with all that there is');
select t.submit('foreign', '{agent:review}', '{"execution_mode": "undecided", "repo": "umbrella/x"}');
select t.is((select status || ' ' || (body::jsonb ->> 'code') from fleet.pull_admit(t.by(t.got('some')), 'a1', null)), '403 beyond_token',
  'a token that is bound closer gets none of its work');
select t.is(t.word(t.heartbeat('a1', t.got('some'))), '403 beyond_token', 'nor word of it');
select t.is(t.member(t.heartbeat('a1', t.got('some')), 'error'), 'agent a1 was registered with more than this token may have '
  '(acme/rocket; agent a1; agent:review): register it with this token first (POST /api/v1/agents/register)', 'with the way out');
select t.is(t.agent('a1', '{review}', 1, t.got('some')), '200 online', 'which is to register it within its bounds');
select t.is(t.word(t.heartbeat('a1', t.got('some'))), '200 online', 'then it speaks for it');
select t.is((select status from fleet.pull_admit(t.by(t.got('some')), 'a1', null)), null::int, 'and asks for work');
select t.is(t.pull('a1'), '', 'of which there is none');
select t.is((select status || ' ' || (body::jsonb ->> 'code') from fleet.pull_admit(t.by(), null, null)), '422 invalid_value', 'who asks has to be said');
select t.sound();
rollback;

\echo 'the registry token'
begin;
select t.put('mine', t.new_token('mine', 'agent', '{"capabilities": ["agent:code:rust", "review"], "repositories": ["acme/*"]}'));
select t.is(t.agent('a1', '{code:rust,deploy}', 1, t.got('mine')), '403 capability_not_allowed', 'a token''s ceiling of capabilities');
select t.is(t.member(t.agent_reply('a1', '{code:rust,deploy,x}', 1, t.got('mine')), 'error'), 'an agent of this token may not have the capability deploy, nor x', 'says which');
select t.agent('a1', '{agent:code:rust}', 9, t.got('mine'));
select t.put('first', (select token_id from fleet.token where registered));
select t.is((select row(scope, agent_id, registered, capabilities, repositories, made_by)::text from fleet.token where token_id = t.got('first')),
  format('(agent,a1,t,"{agent:code:rust,review}",{acme/*},token:mine#%s)', t.got('mine')), 'is bound to the id, and no wider');
select t.is(t.agent('a1', '{deploy}', 1, t.got('first')), '403 capability_not_allowed', 'it cannot widen the agent');
select t.is(t.agent('a1', '{review,code:rust}', 9, t.got('first')), '200 online', 'it registers its agent again');
select t.is((select count(*) from fleet.token where registered and revoked_at is null), 2::bigint, 'it is good until its successor is used, whose answer may be lost');
select t.put('second', (select max(token_id) from fleet.token where registered));
select t.is(t.agent('a1', '{review,code:rust}', 9, t.got('second')), '200 online', 'which registers');
select t.is((select string_agg((token_id = t.got('second'))::text, ' ' order by token_id) from fleet.token where registered and revoked_at is null), 'true false', 'then the first is revoked');
select t.is(t.word(t.heartbeat('a1', t.got('first'))), '403 scope', 'and speaks for nobody');
select t.is(t.agent('a1', '{review,code:rust}', 9, t.got('mine')), '200 online', 'registered by the token that did it first');
select t.is((select count(*) from fleet.token where registered and revoked_at is null), 1::bigint, 'all earlier ones are revoked');
select t.is(t.word(t.heartbeat('a2', (select max(token_id) from fleet.token))), '403 not_your_agent', 'it speaks for no other');

select t.submit(x, '{agent:code:rust}', jsonb_build_object('execution_mode', 'undecided', 'repo', r))
from (values ('in', 'acme/rocket'), ('out', 'umbrella/x'), ('none', null)) v (x, r);
select t.is(t.pull('a1', 'a1', 'a1'), 'a1:in', 'an agent of a token that is bound to repositories gets tasks of these only');
select t.is((select string_agg(reason, ' | ' order by task_id) from fleet.explanations where task_id <> 'in'),
  'the token that registered it is not bound to none: tasks of no repository | the token that registered it is not bound to repository umbrella/x', 'the others say why they wait');
select t.leaves('a1', t.got('mine'));
select t.is((select count(*) from fleet.token where registered and revoked_at is null), 0::bigint, 'deregistered, its tokens are revoked');
select t.sound();
rollback;
