-- HTTP agents that fall silent, do not begin, take too long, or do not stop.
create function t.age(p_agent text, p_secs int) returns void language sql as $$
  update fleet.node set beat_at = beat_at - make_interval(secs => p_secs), dead_due = dead_due - make_interval(secs => p_secs)
  where node = (select node from fleet.executor where agent_id = p_agent);
$$;
create function t.work(variadic p_tasks text[]) returns text language sql as $$
  select string_agg(t.submit(x, '{agent:code:rust}', '{"execution_mode": "undecided"}'), ' ') from unnest(p_tasks) x;
$$;

\echo 'silence'
begin;
select fleet.set('open_grace_ms', 0);
select t.agent('a1', '{code:rust}', 3);
select t.agent('a2');
select t.work('one', 'two', 'three');
select t.is(t.pull('a1', 'a1', 'a1'), 'a1:one a1:two a1:three', 'an agent has three');
select t.says('a1', 'one', 'running');
select t.is(t.tend(), 0, 'while it gives its beats nothing happens');
select t.heartbeat('a1', 0, 1, 4);
select t.age('a1', 3);
select t.is(t.tend(), 0, 'nor while fewer are missing than may');
select t.heartbeat('a1', 0, 86400, 3);
select t.age('a1', 300000);
select t.is(t.tend(), 0, 'nor when the database was not there to hear them');
select t.is((select status from fleet.executor_now where agent_id = 'a1'), 'online', 'it is online');
select t.agent_silent('a1');
delete from fleet.node where kind = 'server';
select fleet.node_start(t.node('young'), 'server', 'young', '', '');
select t.is(fleet.tend(t.node('young')), 0, 'nor when no server was');
select t.agent_silent('a1');
select fleet.set('open_grace_ms', 86400000);
select t.is(t.tend(), 0, 'nor soon after the database opened');
select fleet.set('open_grace_ms', 0);
select t.is(t.tend(), 4, 'then it is dead, and so are its three runs');
select t.is((select status from fleet.executor_now where agent_id = 'a1'), 'offline', 'it is offline');
select t.is((select string_agg(concat_ws(' ', task_id, status, retry_count, failure_reason), ', ' order by task) from fleet.task),
  'one created 1 agent_lost, two created 1 agent_lost, three created 1 agent_lost', 'its tasks wait for a retry, which is counted');
select t.is((select string_agg(event_type || coalesce(' ' || to_status, ''), ', ' order by event_id) from fleet.history where task_id = 'one'),
  'created created, assigned assigned, running running, agent_lost agent_lost, attempt_ended, retry_scheduled created', 'the history shows it as lost');
select t.is((select string_agg(distinct outcome || ' ' || reason, ', ') from fleet.attempt), 'lost agent_lost', 'the attempts are lost');
select t.sound();
select t.is(t.tend(), 0, 'once');
select t.is((select dead_due from fleet.node where name = 'a1'), null, 'nobody looks at that node any more');
select t.is(t.pull('a1'), '', 'it gets nothing');
select t.is((fleet.pull_admit(t.by(), 'a1', null)).status, 409, 'and is told why');
select t.due();
select t.is(t.pull('a1', 'a2'), 'a2:one', 'another agent takes its task');
select t.is(t.completes('a1', 'one'), '409 attempt_over', 'what it says of it now is refused');
select t.is(t.completes('a1', 'one', 'completed', '{"summary": "late"}'), '409 attempt_over', 'again');
select t.is(t.says('a1', 'one', 'running'), '409 attempt_over', 'in any way');
select t.is((select string_agg(late ->> 'status', ' ') from fleet.attempt), 'completed', 'the first late receipt is kept as evidence');
select t.is((select count(*) from fleet.history where event_type = 'receipt_rejected'), 1::bigint, 'and is in the history, once');
select t.is(t.status('one'), 'assigned', 'the other one goes on');
select t.is(t.word(t.heartbeat('a1')), '200 online', 'its next beat brings it back');
select t.is((select count(*) from fleet.node where name = 'a1' and dead_at is null), 1::bigint, 'as another node');
select t.is(t.completes('a1', 'two'), '409 attempt_over', 'which does not own what the old one did');
select t.is(t.pull('a1'), 'a1:two', 'it can have it once more');
select t.is(t.completes('a1', 'two'), '409 attempt_needed', 'then it has to say which');
select t.is(t.says('a1', 'two', 'running'), '409 attempt_needed', 'in each call');
select t.is(t.word(fleet.agent_log(t.by(), 'two', 'a1', null, 'stdout', 0, 'x')), '409 attempt_needed', 'of output too');
select t.is(t.completes('a1', 'two', 'completed', '{"attempt": 1}'), '409 attempt_over', 'the old one is over');
select t.is(t.completes('a1', 'two', 'completed', '{"attempt": 2}'), '200 completed', 'the new one counts');
select t.is(t.completes('a1', 'two', 'completed', '{"attempt": 3}'), '404 unknown_attempt', 'there is no other');
select t.is(t.completes('a1', 'one', 'completed', '{"attempt": 2}'), '403 not_your_task', 'that of another agent is not its own');
select t.sound();
rollback;

\echo 'silence ends what may be tried, or cancelled'
begin;
select fleet.set('open_grace_ms', 0);
select t.agent('a1', '{code:rust}', 3);
select t.submit('spent', '{agent:code:rust}', '{"execution_mode": "http_pull", "max_retries": 0}');
select t.submit('total', '{agent:code:rust}', '{"execution_mode": "http_pull", "max_attempts_total": 1}');
select t.submit('wish', '{agent:code:rust}', '{"execution_mode": "http_pull"}');
select t.pull('a1', 'a1', 'a1');
select fleet.cancel('wish');
select t.agent_silent('a1');
select t.tend();
select t.is((select string_agg(concat_ws(' ', task_id, status, failure_reason), ', ' order by task) from fleet.task),
  'spent failed agent_lost, total failed agent_lost, wish cancelled cancelled', 'no retry left: failed; to be cancelled: cancelled');
select t.sound();
rollback;

\echo 'a claim that came while its node was buried'
begin;
select fleet.set('open_grace_ms', 0);
select t.agent('a1');
select t.work('one');
select t.pull('a1');
update fleet.node set dead_at = clock_timestamp(), dead_due = null where kind = 'agent';
select t.is(t.says('a1', 'one', 'running'), '409 attempt_over', 'cannot begin');
select t.is(t.tend(), 0, 'waits for its time');
select t.attempt_due('one');
select t.is(t.tend(), 1, 'and is given back');
select t.is(t.status('one'), 'created', 'to the queue');
select t.sound();
rollback;

\echo 'the hand-over'
begin;
select t.agent('a1', '{code:rust}', 2);
select t.work('one', 'two');
select t.pull('a1', 'a1');
select t.is((select extract(epoch from due_at - claimed_at)::int from fleet.attempt limit 1), 60, 'has its time');
select t.says('a1', 'two', 'running');
select t.attempt_due('one');
select t.is(t.tend(), 1, 'what does not begin within it');
select t.is((select concat_ws(' ', status, retry_count, release_count, failure_reason) from fleet.task where task_id = 'one'), 'created 0 1', 'is given back, and no retry is counted');
select t.is((select outcome || ' ' || reason from fleet.attempt where attempt = t.attempt('one')), 'released handover_timeout', 'with the reason');
select t.is(t.says('a1', 'one', 'running'), '409 attempt_over', 'then it is too late');
select t.is(t.status('two'), 'running', 'what has begun goes on');
select t.due();
select t.pull('a1');
select fleet.release(node, attempt, epoch, 'not_delivered') from fleet.attempt where attempt = t.attempt('one');
select t.due();
select t.work('three');
select t.is(t.pull('a1'), 'a1:one', 'what was not delivered');
select t.completes('a1', 'one', 'completed', '{"attempt": 3}');
select t.pull('a1');
select fleet.release(node, attempt, epoch, 'not_delivered') from fleet.attempt where attempt = t.attempt('three');
select t.is(t.pull('a1'), 'a1:three', 'is there again at once, the first time');
select fleet.release(node, attempt, epoch, 'not_delivered') from fleet.attempt where attempt = t.attempt('three');
select t.is(t.pull('a1'), '', 'and later the next');
select t.is((select count(*) from fleet.attempt where reason = 'not_delivered'), 3::bigint, 'each is an attempt');
select t.sound();
rollback;

\echo 'the total time'
begin;
select t.agent('a1');
select t.submit('slow', '{agent:code:rust}', '{"execution_mode": "http_pull", "timeout_secs": 77, "max_retries": 0}');
select t.pull('a1');
select t.says('a1', 'slow', 'running');
select t.is((select extract(epoch from due_at - started_at)::int from fleet.attempt), 77, 'counts from the start');
select t.says('a1', 'slow', 'running', '{"message": "still here"}');
select t.is((select extract(epoch from due_at - started_at)::int from fleet.attempt), 77, 'and is not put off by word');
select t.attempt_due('slow');
select t.is(t.tend(), 1, 'when it is over');
select t.is((select status || ' ' || failure_reason from fleet.task), 'failed timed_out', 'the run is ended');
select t.is(t.completes('a1', 'slow'), '409 attempt_over', 'and its receipt comes too late');
select t.sound();
rollback;

\echo 'a wish to stop'
begin;
select t.agent('a1', '{code:rust}', 4);
select t.work('one', 'two', 'three', 'four');
select t.pull('a1', 'a1', 'a1', 'a1');
select t.says('a1', x, 'running') from unnest('{one,two,three}'::text[]) x;
select t.is(t.member(t.heartbeat('a1'), 'cancel'), '[]', 'nothing is to be stopped');
select fleet.cancel(x) from unnest('{one,two,four}'::text[]) x;
select t.is((select extract(epoch from due_at - started_at)::int from fleet.attempt where attempt = t.attempt('one')), 1800, 'nobody told it yet');
select t.is(t.member(t.heartbeat('a1'), 'cancel'), '["one", "two", "four"]', 'its heartbeat tells what is');
select t.is((select extract(epoch from due_at - now())::int from fleet.attempt where attempt = t.attempt('one')), 180, 'then it has as long as for its heartbeats');
select t.is((select extract(epoch from due_at - now())::int from fleet.attempt where attempt = t.attempt('four')), 60, 'what it has not begun, as long as for that');
update fleet.attempt set due_at = due_at - interval '100 s' where attempt = t.attempt('one');
select t.is(t.member(t.heartbeat('a1'), 'cancel'), '["one", "two", "four"]', 'it is told again');
select t.is((select extract(epoch from due_at - now())::int from fleet.attempt where attempt = t.attempt('one')), 80, 'which gives it no more time');
select t.is(t.says('a1', 'one', 'running'), '200 running', 'it may go on for a while');
select t.is(t.says('a1', 'two', 'cancelled'), '200 cancelled', 'it obeys');
select t.is(t.says('a1', 'three', 'cancelled'), '409 not_cancelled', 'what nobody wants cancelled it cannot cancel');
select t.attempt_due('one');
select t.is(t.tend(), 1, 'or it does not');
select t.is(t.status('one'), 'cancelled', 'then its attempt is ended all the same');
select t.is(t.completes('a1', 'one'), '409 attempt_over', 'and counts no more');
select t.attempt_due('four');
select t.tend();
select t.is(t.status('four'), 'cancelled', 'what was never begun is cancelled too');
select t.is(t.status('three'), 'running', 'the rest goes on');
select fleet.cancel('three');
select t.is(t.completes('a1', 'three'), '200 completed', 'what succeeds in spite of the wish has succeeded');
select t.sound();
rollback;

\echo 'abandoned, and given to it again'
begin;
select t.agent('a1', '{code:rust}', 2);
select t.work('one');
select t.pull('a1');
select t.says('a1', 'one', 'running');
select t.is(fleet.retry('one', true, 'lost sight of it'), 'created', 'a person abandons the run');
select t.is(t.member(t.heartbeat('a1'), 'cancel'), '["one"]', 'the agent is told to stop it');
select t.is(t.pull('a1'), 'a1:one', 'and gets the task a second time');
select t.is(t.member(t.heartbeat('a1'), 'cancel'), '[]', 'then the name alone would stop the wrong one');
select t.is(t.completes('a1', 'one', 'completed', '{"attempt": 1}'), '200 assigned', 'what comes of the first is evidence only');
select t.is(t.completes('a1', 'one', 'completed', '{"attempt": 2}'), '200 completed', 'the second counts');
select t.sound();
rollback;

\echo 'a person lets an agent rest'
begin;
select t.agent('a1');
select t.work('one');
select fleet.park('a1', 'new battery');
select t.is(t.member(t.heartbeat('a1'), 'drain'), 'true', 'it is told to drain');
select t.is(t.pull('a1'), '', 'and gets nothing');
select fleet.unpark('a1');
select t.is(t.member(t.heartbeat('a1'), 'drain'), 'false', 'until it may again');
select t.is(t.pull('a1'), 'a1:one', 'and does');
rollback;

\echo 'old nodes'
begin;
select t.server();
select t.agent('a1');
select t.agent('a2');
update fleet.node set dead_at = now() - interval '31 days', beat_at = now() - interval '31 days', dead_due = null where name = 'a1';
select fleet.reap(t.node('server'));
select t.is((select string_agg(name, ' ' order by name) from fleet.node where kind = 'agent'), 'a1 a2', 'stay while their agents do');
select t.is(t.word(t.heartbeat('a1')), '200 online', 'one that was gone for long comes back');
select fleet.reap(t.node('server'));
select t.is((select string_agg(name || ' ' || (dead_at is null), ', ' order by name) from fleet.node where kind = 'agent'),
  'a1 true, a2 true', 'what it was before is forgotten after node_days');
select t.sound();
update fleet.node set dead_at = now() - interval '89 days', dead_due = null where name = 'a1';
select fleet.reap(t.node('server'));
select t.is((select enabled from fleet.executor where agent_id = 'a1'), true, 'its agent stays');
update fleet.node set dead_at = now() - interval '91 days' where name = 'a1';
select fleet.reap(t.node('server'));
select t.is((select count(*) from fleet.executor e left join fleet.slot s using (executor) where e.agent_id = 'a1' and (e.enabled or s.slot_id is not null)),
  0::bigint, 'after agent_days it is deregistered, and has no slots');
select t.is(t.word(t.heartbeat('a1')), '404 unknown_agent', 'it has to register again');
select t.is((select count(*) from fleet.executor where agent_id = 'a2' and enabled), 1::bigint, 'others stay');
select t.sound();
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.none($$select kind from fleet.renew(t.node('w1'), '{}')$$, 'workers do not watch agents');
select t.throws($$select fleet.adopt(t.node('w1'), (select node from fleet.executor where agent_id = 'a2'), 0, 1)$$, 'AF007', 'nor adopt from them');
rollback;

\echo 'many registrations'
insert into fleet.token (name, scope, hash, prefix, agent_id, registered, revoked_at)
select 'agent x', 'agent', sha256(convert_to(i::text, 'UTF8')), 'aft_g_x', 'x' || i % 10, true, now() from generate_series(1, 5000) i;
analyze fleet.token;
create function pg_temp.plan(p_sql text) returns setof text language plpgsql as $$ begin return query execute 'explain ' || p_sql; end $$;
select t.is((select count(*) from pg_temp.plan($$update fleet.token set revoked_at = now()
  where agent_id = 'x1' and registered and revoked_at is null$$) p where p like '%Seq Scan%'), 0::bigint,
  'the tokens of earlier ones are not read');
