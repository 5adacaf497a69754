-- Which task goes to which executor, in which order, and never more than the slots allow.

\echo 'capabilities'
begin;
select t.worker('w1', t.host('rust', '{code:rust}', 9));
select t.submit('doc', '{agent:document}');
select t.is(t.claim('w1', 9), '', 'agent:document is not taken by an executor with code:rust only');
select t.submit('both', '{agent:code:rust,agent:review}');
select t.is(t.claim('w1', 9), '', 'all requirements must be met, one is not enough');
select t.submit('case', '{agent:Code:Rust}');
select t.is(t.claim('w1', 9), '', 'capabilities are compared exactly');
select t.submit('part', '{agent:code}');
select t.is(t.claim('w1', 9), '', 'a capability that begins alike is another one');
select t.submit('meta', '{bug,agent:code:rust,code:python}');
select t.is(t.claim('w1', 9), 'meta', 'labels without agent: are metadata');
select t.submit('any', '{}');
select t.is(t.claim('w1', 9), 'any', 'without an agent: label any executor will do');
select t.submit('twice', '{agent:agent:x}');
select t.worker('w2', t.host('prefixed', '{agent:code:rust,agent:review,agent:agent:x,document}', 9));
select t.is(t.claim('w2', 1), 'doc', 'an executor that came later takes what waited, oldest first');
select t.is(t.claim('w2', 9), 'both twice', 'one leading agent: is stripped on both sides');
select t.sound('claims by capability keep every invariant');
rollback;

\echo 'order'
begin;
select t.worker('w1', t.host('h', '{a,b}', 20));
select t.submit('a' || i, '{agent:a}', jsonb_build_object('priority', case i when 1 then 9 else 1 end)) from generate_series(1, 8) i;
select t.submit('b' || i, '{agent:b}', '{"priority": 5}') from generate_series(1, 5) i;
select t.is(t.claim('w1', 6), 'a1 b1 b2 b3 b4 b5', 'a batch stops where another lane has the more urgent task');
select t.is(t.claim('w1', 3), 'a2 a3 a4', 'then the less urgent ones, oldest first');
select t.submit('late', '{agent:b}', '{"priority": 2}');
select t.is(t.claim('w1', 2), 'late a5', 'a more urgent task that comes later goes first');
select t.submit('below', '{agent:b}', '{"priority": -3}');
select t.is(t.claim('w1', 9), 'a6 a7 a8 below', 'negative priorities are the last');
rollback;

\echo 'slots'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit('s' || i) from generate_series(1, 9) i;
select t.is(t.claim('w1', 0), '', 'who wants nothing gets nothing');
select t.is(t.claim('w1', 9), 's1 s2 s3', 'never more than free slots');
select t.is(t.claim('w1', 9), '', 'full is full');
select t.start('w1', 's1');
select t.is(t.finish('w1', 's1'), 'completed', 'a run that ends well completes its task');
select t.is(t.claim('w1', 9), 's4', 'its slot is free again');
select t.none($$select from fleet.slot s join fleet.attempt a using (attempt) where a.ended_at is not null$$, 'no slot is held by what ended');

select t.configure('w1', t.host('h', '{code:rust}', 1));
select t.is(t.claim('w1', 9), '', 'after the limit fell nothing is claimed above it');
select t.is((select count(*) from fleet.slot where attempt is not null), 3::bigint, 'lowering the limit ends no run');
select t.sound('a lowered limit keeps every invariant');
select t.finish('w1', 's2');
select t.is(t.claim('w1', 9), '', 'two still run where one may: nothing');
select t.finish('w1', 's3');
select t.is(t.claim('w1', 9), '', 'one runs where one may: nothing');
select t.finish('w1', 's4');
select t.is(t.claim('w1', 9), 's5', 'none runs: one');
select t.is((select count(*) from fleet.slot), 1::bigint, 'retired slots are gone at their end');
select t.configure('w1', t.host('h', '{code:rust}', 2));
select t.is(t.claim('w1', 9), 's6', 'a raised limit counts at once');
select t.configure('w1', t.host('h', '{code:rust}', 1));
select t.configure('w1', t.host('h', '{code:rust}', 3));
select t.is(t.claim('w1', 9), 's7', 'a busy slot that was to retire serves again when the limit is raised');
select t.sound('every invariant after lowering and raising');
rollback;

\echo 'hosts'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 2), t.host('h2', '{code:rust}', 2, 'other'));
select t.worker('w2', t.host('h3', '{review}', 2));
select t.submit('x' || i) from generate_series(1, 9) i;
select t.is(t.claim('w2', 9), '', 'a worker claims only for hosts of its own configuration');
select t.report_down('w1', 'h1', 'unreachable', 'connection refused');
select t.is((select string_agg(distinct host_id, ' ') from fleet.claim(t.node('w1'), 9)), 'h2', 'only for hosts it reaches');
select t.report('w1', 'h1', t.identity('h1'));
update fleet.node_host set reported_at = now() - interval '1 hour';
select t.is(t.claim('w1', 9), '', 'an old report that a host is in reach does not count');
select t.is(t.report('w1', 'h1', t.identity('h1')), 'ok', 'the host known is the host met');
select t.is(t.report('w1', 'h1', t.identity('h1') || '{"boot": "another"}'), 'ok', 'it may have booted');
select t.is(t.report('w1', 'h1', t.identity('other')), 'host_replaced', 'another machine under its name is told');
select t.is(t.claim('w1', 9), '', 'and gets nothing');
select t.is(t.report('w1', 'h1', t.identity('h1') || '{"host_key": "ff"}'), 'host_replaced',
  'another host key is another host');
select t.is(t.report('w1', 'h1', t.identity('h1') || '{"owner": "ff"}'), 'host_replaced',
  'another owner file after a reboot is another host');
select t.report('w1', 'h1', t.identity('h1'));
select t.is(t.claim('w1', 1), 'x3', 'the right one is served again');

select t.configure('w1', t.host('h2', '{code:rust}', 2, 'other'));
select t.is((select cordon_reason from fleet.host where host_id = 'h1'), 'not in the configuration of any worker',
  'a host that no configuration lists is cordoned with that reason');
select t.is((select cordon_reason from fleet.host where host_id = 'h3'), null, 'a host of another live worker is not');
select t.worker('w2', t.host('h3', '{review}', 2), t.host('h1', '{code:rust}', 2));
select t.is((select cordon_reason from fleet.host where host_id = 'h1'), null, 'listed again, it is not cordoned any more');
select t.is(t.claim('w2', 9), 'x4', 'and served');
rollback;

\echo 'repositories and modes'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 9) || '{"repositories": ["acme/rocket"]}',
  t.host('h2', '{code:rust}', 9) || '{"repositories": ["umbrella/*"]}', t.host('h3', '{code:rust}', 9) || '{"repositories": []}');
select t.submit('r1', '{agent:code:rust}', '{"repo": "acme/rocket"}');
select t.submit('r2', '{agent:code:rust}', '{"repo": "umbrella/anything"}');
select t.submit('r3', '{agent:code:rust}', '{"repo": "acme/other"}');
select t.submit('r4', '{agent:code:rust}', '{"repo": "umbrella2/x"}');
select t.is((select string_agg(task_id || '@' || host_id, ' ' order by task_id) from fleet.claim(t.node('w1'), 9)), 'r1@h1 r2@h2',
  'a host runs tasks of its own repositories only');
select t.submit('pull', '{agent:code:rust}', '{"execution_mode": "http_pull"}');
select t.is(t.claim('w1', 9), '', 'an HTTP task is not for a host');
select t.sound('lanes by repository and mode equal their definition');
rollback;

\echo 'what must wait'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('soon', '{agent:code:rust}', jsonb_build_object('run_at', now() + interval '1 hour'));
select t.submit('now', '{agent:code:rust}', jsonb_build_object('run_at', now() - interval '1 hour'));
select t.is(t.claim('w1', 9), 'now', 'a task with a run_at in the future waits');
select t.is(fleet.promote(100), 0, 'promote leaves it');
select t.is(t.due(), 1, 'when it is due, promote moves it');
select t.is(t.claim('w1', 9), 'soon', 'and it is claimed');
select t.is(fleet.promote(100), 0, 'once');
select t.throws($$select fleet.claim(gen_random_uuid(), 1)$$, 'AF002', 'a node that never started claims nothing');
select fleet.node_stop(t.node('w1'));
select t.throws($$select fleet.claim(t.node('w1'), 1)$$, 'AF002', 'nor does one that stopped');
rollback;

\echo 'what a claim brings'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9, 'codex-cli'));
select t.submit('acme-42', '{bug,agent:code:rust}', '{"repo": "acme/rocket", "issue_number": 42, "timeout_secs": 77}');
create temp table got as select * from fleet.claim(t.node('w1'), 1);
select t.is((select row(task_id, number, epoch, phase, run, host_id, agent_type, title, body, labels, repo, issue_number, timeout_secs, prompt, command, stdout_bytes, stderr_bytes, checkpoint, cancel, adopted_from)::text from got),
  '(acme-42,1,1,claimed,,h,codex-cli,"Do acme-42","Body of acme-42","{bug,agent:code:rust}",acme/rocket,42,77,,,0,0,,f,)', 'everything needed to run comes with the claim');
select t.ok((select nonce ~ '^[0-9a-f]{32}$' and branch_name = 'task/' || slug from got), 'with a nonce of 128 bits, and a branch named like its directories');
select t.is((select requirements from got), '{code:rust}'::text[], 'and the requirements');
select t.is((select j::text from fleet.jobs(t.node('w1'), array[(select attempt from got)]) j), (select got::text from got),
  'jobs() answers the same of an attempt of ours');
select t.none($$select fleet.jobs(t.node('w1'), array[-1])$$, 'and nothing of one that is none');
select t.is((select row(status, attempt, epoch, node, host_id, agent_type, phase)::text from fleet.tasks where task_id = 'acme-42'),
  (select row('assigned', 1, 1, 'w1', 'h', 'codex-cli', 'claimed')::text), 'fleet.tasks shows it');
select t.ok((select since is not null from fleet.running where task_id = 'acme-42'), 'fleet.running too');
rollback;

-- whatever its status says, a task of which a run lives is not run again
select t.reset();
select t.worker('w1', t.host('h1', '{code}', 3));
select t.submit('twice', '{agent:code}');
select t.claim('w1', 1) \g /dev/null
begin;
set local session_replication_role = replica;
update fleet.task set status = 'created' where task_id = 'twice';
insert into fleet.queue (lane, prio, task) select lane, 0, task from fleet.task where task_id = 'twice';
set local session_replication_role = origin;
select t.is(t.claim('w1', 1), '', 'a task with a living run is not claimed');
update fleet.attempt set abandoned_at = now();
select t.is(t.claim('w1', 1), 'twice', 'one that was given up is no hindrance');
rollback;
