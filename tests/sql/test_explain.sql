-- Why a task does not run, per executor, and what would help; how one runs or has ended.

create function pg_temp.ask(p_task_id text) returns jsonb language sql as $$ select body::jsonb from fleet.task_explain(t.by(), p_task_id) $$;
create function pg_temp.row(p_task_id text, p_agent text) returns text language sql as $$
  select concat_ws(' ', x ->> 'kind', x ->> 'can_take', x ->> 'reason') from jsonb_array_elements(pg_temp.ask(p_task_id) -> 'executors') x where x ->> 'agent_id' = p_agent $$;
create function pg_temp.help(p_task_id text) returns text language sql as $$
  select string_agg(x, '; ') from jsonb_array_elements_text(pg_temp.ask(p_task_id) -> 'what_would_help') x $$;

\echo 'a fleet of nobody'
begin;
select t.submit('a');
select t.is((fleet.task_explain(t.by(), 'nobody')).status, 404, 'a task that is not there');
select t.is(pg_temp.ask('a') ->> 'summary', 'it waits; none of 0 agents can take it now', 'nobody is there');
select t.is(pg_temp.help('a'), 'a worker that has hosts, or an HTTP agent that registers', '... and who would help');
rollback;

\echo 'waiting'
begin;
select fleet.set('open_grace_ms', 0);
select t.worker('w1', t.host('full', '{code:rust}', 1), t.host('cord', '{code:rust}', 1), t.host('docs', '{docs}', 1), t.host('parked', '{code:rust}', 1),
  t.host('down', '{code:rust}', 1), t.host('list', '{code:rust}', 1) || '{"repositories": ["acme/rocket"]}');
select t.agent('pull', '{code:rust}');
select t.agent('lost', '{code:rust}');
select t.agent_silent('lost');
select t.tend();
select fleet.cordon('cord', 'new disk');
select fleet.park('parked/codex-cli', 'bill');
select t.report_down('w1', 'down', 'timeout', 'no answer');
select t.submit('first');
select t.claim('w1', 1);
select t.submit('a', '{agent:code:rust}', '{"execution_mode": "ssh_cli"}');
select t.is(pg_temp.ask('a') ->> 'summary', 'it waits; none of 8 agents can take it now', 'how many there are');
select t.is(pg_temp.row('a', 'full/codex-cli'), 'ssh_cli false slots full: all 1 are in use', 'slots full');
select t.is(pg_temp.row('a', 'cord/codex-cli'), format('ssh_cli false its host is cordoned by psql:%s: new disk', session_user), 'cordoned');
select t.is(pg_temp.row('a', 'docs/codex-cli'), 'ssh_cli false lacks code:rust', 'a capability');
select t.ok(pg_temp.row('a', 'parked/codex-cli') like 'ssh_cli false account parked/codex-cli is parked by psql:%: bill; fleet.unpark(''parked/codex-cli'') opens it', 'parked');
select t.is(pg_temp.row('a', 'down/codex-cli'), 'ssh_cli false its host is offline: w1: no answer', 'offline');
select t.is(pg_temp.row('a', 'list/codex-cli'), 'ssh_cli false its host does not list none: tasks of no repository', 'a repository');
select t.is(pg_temp.row('a', 'pull'), 'http_pull false the task wants ssh_cli, this is http_pull', 'another mode');
select t.is(pg_temp.help('a'), 'a free slot of full/codex-cli: wait for one, or raise max_concurrency; an agent of kind ssh_cli, or another execution_mode; '
  'bringing down/codex-cli back within reach; letting list/codex-cli take tasks of no repository; '
  'looking at account parked/codex-cli, then unparking it; uncordoning the host of cord/codex-cli', 'each with what would help');
select t.is(pg_temp.ask('a') -> 'executors' -> -1 ->> 'agent_id', 'docs/codex-cli', 'who could never take it comes last');
select t.submit('any', '{agent:code:rust}', '{"execution_mode": "undecided"}');
select t.is(pg_temp.ask('any') ->> 'summary', 'it waits; 1 of 8 agents can take it now', 'open to HTTP agents it is theirs');
select t.is(pg_temp.help('any'), 'nothing: it is taken next', 'nothing has to be done');
select t.ok(pg_temp.row('any', 'lost') like 'http_pull false is offline: it gives no heartbeat, the last at 20%', 'an HTTP agent that is lost, and since when');
select t.submit('cobol', '{agent:cobol}');
select t.is(pg_temp.help('cobol'), 'an agent that can take it: no agent has the capability cobol', 'where nobody ever could');
select t.is((select string_agg(agent_id, ' ' order by agent_id) from fleet.explain_task('any') where not can_take),
  (select string_agg(x ->> 'agent_id', ' ' order by x ->> 'agent_id') from jsonb_array_elements(pg_temp.ask('any') -> 'executors') x where not (x ->> 'can_take')::boolean),
  'psql says the same');
select t.submit('later', '{agent:code:rust}', jsonb_build_object('run_at', fleet.utc(now() + interval '1 hour')));
select t.ok(pg_temp.ask('later') ->> 'summary' like 'it waits until 20%' and pg_temp.help('later') like '%nothing: it starts by itself at 20%', 'a time that has not come');
select fleet.cancel('any', 'wrong');
select t.is(pg_temp.ask('any') ->> 'summary', format('it was cancelled by psql:%s: wrong', session_user), 'cancelled');
rollback;

\echo 'many executors'
begin;
select t.worker('w1', variadic array(select t.host('h' || lpad(i::text, 3, '0'), '{code:rust}', 1) from generate_series(1, 250) i));
select t.submit('a');
select t.is(jsonb_array_length(pg_temp.ask('a') -> 'executors') || ' of ' || (pg_temp.ask('a') ->> 'executors_total'), '200 of 250', 'the first 200 are told, all are counted');
update fleet.host set cordoned_at = now(), cordoned_by = 'x', cordon_reason = 'y';
select t.is(pg_temp.help('a'), 'uncordoning the host of h001/codex-cli, h002/codex-cli, h003/codex-cli and 247 more', 'a sentence names three');
rollback;

\echo 'placed and ended'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 0}');
select t.claim('w1', 1);
select t.is(pg_temp.ask('a') ->> 'summary', 'it is about to start on h/codex-cli (attempt 1, claimed)', 'claimed');
select t.start('w1', 'a');
select t.is(pg_temp.ask('a') ->> 'summary', 'it is running on h/codex-cli (attempt 1, running)', 'running');
select t.is(pg_temp.help('a'), 'nothing: it is under way', '... which needs nothing');
select t.is(pg_temp.row('a', 'h/codex-cli'), 'ssh_cli the task is running (attempt 1, running)', '... with its executor');
select fleet.cancel('a');
select t.is(pg_temp.help('a'), 'nothing: it is being stopped', 'to be cancelled');
update fleet.task set cancel_at = null;
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.ok(pg_temp.ask('a') ->> 'summary' like 'it failed on h/codex-cli: exit_nonzero; The agent%s command ended with an error status%', 'failed, with the advice');
select t.is(pg_temp.help('a'), 'retry with {"force": true}: its retries are used up', 'and what may be done');
update fleet.task set max_retries = 2;
select t.is(pg_temp.help('a'), 'retry', '... simply, while retries are left');
select fleet.retry('a', true);
select t.claim('w1', 1);
select t.finish('w1', 'a');
select t.is(pg_temp.ask('a') ->> 'summary', 'it is completed, by h/codex-cli', 'completed');
insert into fleet.token (name, scope, hash, prefix, repositories) values ('bound', 'read', sha256('bound'), 'p', '{acme/rocket}');
select t.is((fleet.task_explain(t.by((select token_id from fleet.token)), 'a')).status, 404, 'out of a token''s bounds it is not there');
rollback;

\echo 'held tasks'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.reads('{"approval": "always"}');
select t.opens();
select t.labels('ann', 'agent:x'), t.labels('bob', 'agent:gpu');
select t.look();
create function pg_temp.said() returns jsonb language sql as $$ select (fleet.task_explain(t.by(), 'acme/rocket#42')).body::jsonb $$;
select t.is(pg_temp.said() ->> 'summary', 'it is held (needs_approval): somebody who may start work has to approve it', 'why it waits');
select t.is(pg_temp.said() -> 'what_would_help' ->> 0, 'the comment /agent approve on its issue, by somebody who may write to the repository or is in '
            'forgejo.trigger_users; or fleet.approve(''acme/rocket#42'')', '... the way out');
select t.is(pg_temp.said() -> 'what_would_help' ->> 1, 'for agent:gpu, which somebody put there who may not start work: the same by somebody who may',
            '... and which label is left out');
select t.is((select reason from fleet.explanations), 'would take it, but the task is held (needs_approval): somebody who may start work has to approve it', 'readers see it');
select t.is((select row(task_id, hold, requested_by, labels_refused)::text from fleet.held_tasks), '(acme/rocket#42,needs_approval,ann,{agent:gpu})', '... in a list');
select t.is(fleet.task_json(task) ->> 'hold', 'needs_approval', '... and the API has the word') from fleet.task;
update fleet.task set hold = 'permission_pending';
select t.reads('{"reads": false}');
select t.is(pg_temp.said() -> 'what_would_help' ->> 0, 'forgejo.token in the configuration of a worker: without one nobody can ask', 'a token that is missing is named');
select t.is(t.rows($$select h.hold from fleet.hold_text h where not exists (select from fleet.check_hold c where c.fault like '%nobody knows%') order by 1$$),
            '(daily_limit) (needs_approval) (permission_pending) (reading) (text_changed)', 'every hold has its words');
rollback;
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.reads();
select t.opens();
select t.labels('dan', 'agent:x');
select fleet.expect_task(i, '{agent:x}', 'Do 42', 'As said', 'forgejo:dan') from fleet.issue i;
select t.look();
select t.is((fleet.task_explain(t.by(), 'acme/rocket#42')).body::jsonb ->> 'summary',
            'it was cancelled by fleet: Forgejo does not say what dan may do, who put agent:x there: forgejo.lookup_token may ask', 'why nothing starts');
select t.ok((fleet.task_explain(t.by(), 'acme/rocket#42')).body like '%somebody who may write to the repository takes one away%', '... and the way out');
rollback;
