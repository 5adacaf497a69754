-- What follows a failure: never, soon, later, on another host, or elsewhere; and executors that are out of service.

create function pg_temp.fail(p_task text, p_reason text, p_report jsonb default '{}') returns text language sql as $$
  select fleet.finish(a.node, a.attempt, a.epoch, 'failed', p_reason, 1, null, p_error => p_report ->> 'error',
                      p_retry_at => (p_report ->> 'retry_at')::bigint)
  from fleet.attempt a where a.attempt = t.attempt(p_task);
$$;
create function pg_temp.wait_of(p_task text) returns interval language sql as $$
  select run_at - now() from fleet.delayed join fleet.task using (task, run_at) where task_id = p_task;
$$;

\echo 'policy'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit(r) from unnest('{context_overflow,output_limit,exit_nonzero,killed}'::text[]) r;
select t.claim('w1', 9);
select t.is(pg_temp.fail('context_overflow', 'context_overflow'), 'failed', 'what did not fit into the context does not fit the next time');
select t.is(pg_temp.fail('output_limit', 'output_limit'), 'failed', 'a policy is no accident');
select t.is(pg_temp.fail('exit_nonzero', 'exit_nonzero'), 'created', 'what may go better is tried again');
select t.ok(pg_temp.wait_of('exit_nonzero') between interval '10 s' and interval '12.5 s', 'after the usual wait');
select t.is(pg_temp.fail('killed', 'killed'), 'created', 'one host alone is tried again');
select t.is((select barred from fleet.lane join fleet.task using (lane) where task_id = 'killed'), '{}'::text[], 'and not barred');
select t.none($$select from fleet.reason where class = '' or retry is null$$, 'every reason has a class and a rule');
select t.sound('policy keeps every invariant');
rollback;

\echo 'again and again'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 3), t.host('h2', '{code:rust,x}', 3));
select t.submit('a', p_more => '{"max_retries": 9}');
select t.claim('w1', 1), pg_temp.fail('a', 'exit_nonzero'), t.due();
select t.claim('w1', 1), pg_temp.fail('a', 'exit_nonzero');
select t.ok(pg_temp.wait_of('a') between interval '20 s' and interval '25 s', 'the second pause is twice the first');
select t.due(), t.claim('w1', 1), pg_temp.fail('a', 'killed');
select t.due(), t.claim('w1', 1), pg_temp.fail('a', 'killed');
select t.is((select barred from fleet.lane join fleet.task using (lane)), '{h2}'::text[], 'when all hosts failed it, any but the last');
select fleet.cancel('a'), t.submit('b'), fleet.task_assign(t.by(), 'b', 'h1/codex-cli', null);
select t.claim('w1', 1), pg_temp.fail('b', 'killed');
select t.is((select pinned = (select executor from fleet.executor where host_id = 'h1') from fleet.lane join fleet.task using (lane) where task_id = 'b'), true,
  'where a person said it stays, whoever is to blame');
rollback;

\echo 'out of service for longer'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
create function pg_temp.out(p_for interval) returns text language sql as $$
  select fleet.take_out(executor, now() + p_for, 'provider_down', 'x') from fleet.executor;
  select concat_ws(' ', out_until - now(), now() - out_since) from fleet.executor $$;
select t.is(pg_temp.out('2 h'), '02:00:00 00:00:00', 'taken out');
update fleet.executor set out_since = now() - interval '5 h';
select t.is(pg_temp.out('1 h'), '02:00:00 05:00:00', 'a shorter rest ends no longer one');
select t.is(pg_temp.out('3 h'), '03:00:00 05:00:00', 'a longer one goes on, since the first');
rollback;

\echo 'pauses'
create function pg_temp.pause(p_count int) returns text language sql as $$
  select case when w between l and 1.25 * l then l / 1000 || ' s' else w::text end
  from (select extract(epoch from fleet.backoff(p_count, 'retry_base_ms', 'retry_max_ms')) * 1000 as w,
               least(fleet.get('retry_base_ms') * 2 ^ least(p_count, 30), fleet.get('retry_max_ms'))::bigint as l) x $$;
begin;
select fleet.set('retry_base_ms', 10000), fleet.set('retry_max_ms', 100000);
select t.is((select string_agg(pg_temp.pause(n), ', ' order by n) from unnest('{0,1,3,4,1000}'::int[]) n), '10 s, 20 s, 80 s, 100 s, 100 s',
  'double, up to the longest, and never more than a quarter longer');
rollback;

\echo 'the last attempt'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit(x, p_more => '{"max_retries": 5, "max_attempts_total": 1}') from unnest('{fails,quota,works}'::text[]) x;
select t.claim('w1', 9);
select t.is(pg_temp.fail('fails', 'exit_nonzero'), 'failed', 'is the last, whatever retries are left');
select t.is((select payload ->> 'attempts_exhausted' from fleet.event where event_type = 'failed'), 'true', 'and the history says so');
select t.is(pg_temp.fail('quota', 'provider_quota'), 'created', 'a limit that was met at once is no attempt');
select t.start('w1', 'works');
update fleet.attempt set claimed_at = now() - interval '1 h', starting_at = now() - interval '1 h', started_at = now() - interval '1 h', output_at = now()
where attempt = t.attempt('works');
select t.is(pg_temp.fail('works', 'provider_quota'), 'failed', 'one that was met after long work ends it');
select t.sound();
rollback;

\echo 'retry_on'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit(x) from unnest('{a,b,c}'::text[]) x;
select t.claim('w1', 9);
update fleet.node set retry_on = '{infrastructure,exit_nonzero}';
select t.is(pg_temp.fail('a', 'host_rebooted'), 'created', 'a class may be named');
select t.is(pg_temp.fail('b', 'exit_nonzero'), 'created', 'or a reason');
select t.is(pg_temp.fail('c', 'agent_error'), 'failed', 'the rest is not tried again');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.claim('w1', 9);
update fleet.node set retry_on = '{none}';
select t.is(pg_temp.fail('a', 'exit_nonzero'), 'failed', 'none is none');
rollback;

\echo 'a login that was refused'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit(x) from unnest('{a,b}'::text[]) x;
select t.claim('w1', 1);
select t.is(pg_temp.fail('a', 'auth_failed', '{"error": "401 Unauthorized"}'), 'failed', 'is not tried again on the same host');
select t.is(t.claim('w1', 9), '', 'and its executor gets no other task');
select t.is((select row(status, out_reason)::text from fleet.agents), '(out_of_service,"account h/codex-cli: auth_failed: 401 Unauthorized")', 'it is out of service with the reason');
select t.is((select row(agent_status, out_reason, free)::text from fleet.host_details), '(out_of_service,"account h/codex-cli: auth_failed: 401 Unauthorized",0)', 'fleet.host_details says so');
select t.is((select row(j->>'status', j->>'reason')::text from (select (fleet.agent_list(t.by(0), 50, null)).body::jsonb->0 as j) x),
  '(out_of_service,"account h/codex-cli: auth_failed: 401 Unauthorized")', 'REST too');
select t.is((select reason from fleet.explanations where task_id = 'b'),
  'account h/codex-cli: auth_failed: 401 Unauthorized; fleet.unpark(''h/codex-cli'') opens it', 'and why the next one waits');
select t.report('w1', 'h', t.identity('h'), array[row('codex-cli', true, '1.2')::fleet.agent_seen]);
select t.is(t.claim('w1', 9), '', 'a hello that finds the command says nothing about the login');
select fleet.executor_accept('h/codex-cli');
select t.is(t.claim('w1', 9), '', 'nor does who looks at the executor');
select fleet.unpark('h/codex-cli');
select t.is(t.claim('w1', 9), 'b', 'a person puts it back');
select t.throws($$select fleet.executor_accept('nobody')$$, 'AF003', 'only one that exists');
rollback;
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.is(pg_temp.fail('a', 'auth_failed'), 'created', 'where another executor can take it, it goes there');
select t.is((select string_agg(host_id, ' ') from fleet.claim(t.node('w1'), 9)), 'h2', 'at once');
select t.is(pg_temp.fail('a', 'auth_failed'), 'failed', 'and when that one refuses too, nowhere');
select t.configure('w1', t.host('h1', '{code:rust,new}', 1), t.host('h2', '{code:rust,more}', 1));
select t.is((select string_agg(agent_id, ' ') from fleet.agents where status <> 'out_of_service'), 'h1/codex-cli', 'a changed entry is looked at again');
select t.configure('w1', t.host('h1', '{code:rust,new}', 1), t.host('h2', '{code:rust,more}', 1) || '{"way": 2}');
select t.none($$select from fleet.agents where status = 'out_of_service'$$, 'and a new way in');
rollback;

\echo 'twelve tasks for two hosts, one without the command'
begin;
select t.worker('w1', t.host('bad', '{code:rust}', 4), t.host('good', '{code:rust,more}', 4));
select t.submit('t' || i) from generate_series(1, 12) i;
create temp table ran (host_id text, task_id text);
create function pg_temp.round() returns void language plpgsql as $$
declare r record;
begin
  for r in select host_id, task_id, attempt, epoch from fleet.claim(t.node('w1'), 32) loop
    insert into ran values (r.host_id, r.task_id);
    perform fleet.starting(t.node('w1'), r.attempt, r.epoch, 'run-' || r.attempt, 'agent', 'prompt');
    perform fleet.finish(t.node('w1'), r.attempt, r.epoch, case r.host_id when 'bad' then 'failed' else 'succeeded' end,
                         case r.host_id when 'bad' then 'adapter_missing' end, case r.host_id when 'bad' then 127 else 0 end, null);
  end loop;
  perform t.due();
end $$;
select pg_temp.round() from generate_series(1, 6);
select t.is((select string_agg(status || count, ' ') from (select status, count(*) from fleet.task group by status) x), 'completed12', 'all twelve succeed');
select t.ok((select count(*) <= 4 from ran where host_id = 'bad'), 'the broken one had no more than it could hold at once');
select t.sound('every invariant after that');
rollback;
begin;
select t.worker('w1', t.host('bad', '{code:rust}', 4), t.host('good', '{code:rust,more}', 4));
select t.report('w1', 'bad', t.identity('bad'), array[row('codex-cli', false, null)::fleet.agent_seen]);
select t.submit('t' || i) from generate_series(1, 12) i;
select t.is((select string_agg(distinct host_id, ' ') from fleet.claim(t.node('w1'), 99)), 'good', 'a hello that misses the command is enough');
select t.is((select out_reason from fleet.agents where agent_id = 'bad/codex-cli'), 'adapter_missing: its command was not found on the host', 'and said');
select t.report('w1', 'bad', t.identity('bad'), array[row('codex-cli', true, 'codex-cli 0.1')::fleet.agent_seen]);
select t.is((select row(status, version)::text from fleet.agents where agent_id = 'bad/codex-cli'), '(online,"codex-cli 0.1")', 'found again, it is back, with its version');
select t.report('w1', 'bad', t.identity('bad'), array[row('codex-cli', true, null)::fleet.agent_seen]);
select t.is((select version from fleet.agents where agent_id = 'bad/codex-cli'), 'codex-cli 0.1', 'a version that was not asked for stays');
rollback;

\echo 'a provider that does not answer'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit(x) from unnest('{known,unknown,far,past}'::text[]) x;
select t.claim('w1', 9);
select pg_temp.fail('known', 'provider_down', jsonb_build_object('retry_at', extract(epoch from now() + interval '3 h')::bigint));
select pg_temp.fail('unknown', 'provider_down');
select pg_temp.fail('far', 'provider_down', '{"retry_at": 9007199254740992}');
select pg_temp.fail('past', 'provider_down', '{"retry_at": -5}');
select t.ok(pg_temp.wait_of('known') between interval '2 h 59 min' and interval '3 h 1 min', 'where it says when, it waits until then');
select t.ok(pg_temp.wait_of('unknown') between interval '5 min' and interval '6.3 min', 'else longer than usual');
select t.ok(pg_temp.wait_of('far') <= interval '8 d 1 min', 'nobody is made to wait for ever');
select t.ok(pg_temp.wait_of('past') between interval '5 min' and interval '6.3 min', 'a time that is over says nothing');
select t.is((select sum(retry_count) from fleet.task), 4::bigint, 'a retry is counted');
select t.is((select status from fleet.agents), 'resting', 'the executor rests');
select t.ok((select out_until <= now() + interval '1 d' from fleet.agents), 'for a day at most');
select t.is((select state from fleet.accounts), 'open', 'it is not its account''s fault');
select t.submit('next');
select t.ok((select reason like 'rests until %: provider_down' from fleet.explanations where task_id = 'next'), 'others say what they wait for');
rollback;

\echo 'another host first'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a');
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h1', 'one host has it');
select t.is(pg_temp.fail('a', 'host_disk_full'), 'created', 'and its disk is full');
select t.due();
select t.ok((select reason = 'its host just failed it: another one is tried first' from fleet.explanations where task_id = 'a' and agent_id = 'h1/codex-cli'),
  'which is said');
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h2', 'the other one is first though it knows more');
select t.is(pg_temp.fail('a', 'run_lost'), 'created', 'that fails too');
select t.due();
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h1', 'when all have failed it, any but the last');
select t.is(pg_temp.fail('a', 'host_rebooted'), 'failed', 'as often as any retry');
select t.submit('b');
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h1', 'its own bars are nobody else''s');
select pg_temp.fail('b', 'killed');
select t.due();
select t.report_down('w1', 'h2', 'timeout', 'x');
select t.is(t.claim('w1', 1), '', 'while the other is away it waits for it');
update fleet.task set run_at = now() - fleet.ms('other_host_ms') - interval '1 s' where task_id = 'b';
select t.is(fleet.promote(1000), 1, 'not for ever');
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h1', 'then any host will do');
select t.sound('barred lanes keep every invariant');
rollback;
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,more}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.report_down('w1', 'h2', 'timeout', 'x');
select pg_temp.fail('a', 'host_disk_full');
select t.due();
select t.is((select host_id from fleet.claim(t.node('w1'), 1)), 'h1', 'where no other is in reach the same one goes on');
rollback;

\echo 'starts that fail in a row'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
update fleet.setting set value = 0 where name = 'release_base_ms';
select t.submit('t' || i) from generate_series(1, 5) i;
create function pg_temp.start_fails() returns text language plpgsql as $$
declare r record;
begin
  select * into r from fleet.claim(t.node('w1'), 1);
  if not found then return 'nothing'; end if;
  return fleet.release(t.node('w1'), r.attempt, r.epoch, 'start_timeout');
end $$;
select t.is(pg_temp.start_fails(), 'created', 'one');
select t.claim('w1', 1);
select t.start('w1', task_id) from fleet.task where status = 'assigned';
select t.finish('w1', task_id) from fleet.task where status = 'running';
select t.is((select start_failures from fleet.executor), 0, 'a run that ends well begins the count anew');
select t.is(pg_temp.start_fails(), 'created', 'one');
select t.is(pg_temp.start_fails(), 'created', 'two');
select t.is(pg_temp.start_fails(), 'created', 'three');
select t.is(pg_temp.start_fails(), 'nothing', 'three in a row put the executor out of service');
select t.is((select out_reason from fleet.agents), 'start_failures: 3 failed starts in a row, the last: start_timeout', 'with what they were');
select t.report('w1', 'h', t.identity('h'), array[row('codex-cli', false, null)::fleet.agent_seen]);
select t.report('w1', 'h', t.identity('h'), array[row('codex-cli', true, null)::fleet.agent_seen]);
select t.is(pg_temp.start_fails(), 'nothing', 'a command that was missing meanwhile puts nothing else right');
select fleet.executor_accept('h/codex-cli');
select t.is(pg_temp.start_fails(), 'created', 'accepted, it is tried again');
rollback;
