-- What a token is bound to: repositories, and what its agents hold or held.

-- What it finds of the tasks.
create function t.sees(p_token bigint) returns text language sql as $$
  select coalesce(string_agg(x.task_id, ' ' order by x.task_id), '')
  from fleet.task x where (fleet.find_task(t.by(p_token), x.task_id)).task is not null;
$$;
create function t.agent(p_agent_id text, p_by bigint) returns int language sql as $$
  insert into fleet.account (account) values (p_agent_id) on conflict do nothing;
  insert into fleet.executor (agent_id, account, kind, agent_type, capabilities, max_concurrency, registered_by)
  values (p_agent_id, p_agent_id, 'http_pull', 'codex', '{}', 1, p_by) returning executor;
$$;
-- It holds the task, or held it.
create function t.held(p_executor int, p_task_id text, p_number int, p_ended boolean) returns void language sql as $$
  insert into fleet.attempt (task, number, executor, slot_id, node, nonce, phase, ended_at, outcome)
  select task, p_number, p_executor, 0, t.node('a'), 'n', case when p_ended then 'ended' else 'running' end,
         case when p_ended then now() end, case when p_ended then 'lost' end
  from fleet.task where task_id = p_task_id;
$$;

select t.submit('rocket', p_more => '{"repo": "acme/rocket"}'), t.submit('other', p_more => '{"repo": "acme/other"}'), t.submit('loose');

\echo 'repositories'
select t.is(t.sees(0), 'loose other rocket', 'open mode: everything');
select t.is(t.sees(t.token('free', 'read')), 'loose other rocket', 'a token that is not bound: everything');
select t.is(t.sees(t.token('one', 'operate', '{acme/rocket}')), 'rocket', 'bound to a repository: its tasks');
select t.is(t.sees(t.token('two', 'read', '{ACME/*}')), 'other rocket', 'to those of an owner');
select t.is(t.sees(t.token('loose', 'submit', '{none}')), 'loose', 'to tasks of none');
select t.is(t.sees(t.token('away', 'submit', '{acme2/*}')), '', 'of another owner: nothing');
select t.is(t.sees(4711), '', 'a token that does not exist: nothing');
select t.is(t.sees(null), '', '... nor one that is not named');

\echo 'agents'
select t.put('family', t.token('family', 'agent'));
select t.put('a', t.agent('a', t.got('family'))), t.put('b', t.agent('b', t.got('family'))), t.put('c', t.agent('c', -1));
select t.held(t.got('a')::int, 'rocket', 1, true), t.held(t.got('b')::int, 'rocket', 2, false), t.held(t.got('c')::int, 'other', 1, false);
select t.is(t.sees(t.token('A', 'agent', null, 'a')), 'rocket', 'an agent sees what it held');
select t.is(t.sees(t.token('B', 'agent', null, 'b')), 'rocket', '... and what it holds');
select t.is(t.sees(t.token('C', 'agent', null, 'c')), 'other', '... and nothing of others');
select t.is(t.sees(t.token('D', 'agent', null, 'd')), '', 'one that held nothing sees nothing');
select t.is(t.sees(t.token('Aw', 'agent', '{acme/other}', 'a')), '', 'nor what is out of its repositories');
select t.is(t.sees(t.got('family')), 'rocket', 'a token of several agents sees theirs');
select t.is(t.sees(t.token('stranger', 'agent')), '', 'another one does not');
select t.is(t.sees(-1), 'other', 'the shared token sees what its agents hold');
