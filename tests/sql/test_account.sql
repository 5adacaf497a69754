-- Accounts: whose quota executors use. Parked by a limit that a run told, or by a person; half open, one run goes first.

create function pg_temp.account(p_account text default 'h/codex-cli') returns text language sql as $$
  select concat_ws(' ', j ->> 'account_id', j ->> 'status', j ->> 'reason_code', j ->> 'reason', j ->> 'reported_by', coalesce(j ->> 'parked_until', 'open end'))
  from (select (fleet.account_detail(t.by(), p_account)).body::jsonb as j) x $$;
create function pg_temp.state(p_account text default 'h/codex-cli') returns text language sql as $$
  select concat_ws(' ', state, parks) from fleet.account where account = p_account $$;
-- Parked for so long.
create function pg_temp.parked(p_account text default 'h/codex-cli') returns interval language sql as $$
  select date_trunc('minute', parked_until - now() + interval '1 s') from fleet.account where account = p_account $$;
-- A run ran into a limit that ends after p_in, of this window.
create function pg_temp.limited(p_task text, p_in interval default null, p_window text default null, p_reason text default 'provider_quota') returns text
language sql as $$
  select fleet.end_attempt(a, 'failed', p_reason, 1, null, jsonb_build_object('limit', jsonb_build_object('window', p_window, 'text', 'You have hit your limit')),
                           extract(epoch from now() + p_in)::bigint)
  from fleet.attempt a where a.attempt = t.attempt(p_task) $$;
create function pg_temp.wait_of(p_task text) returns interval language sql as $$
  select run_at - now() from fleet.delayed join fleet.task using (task, run_at) where task_id = p_task $$;
-- The limit's time has come, and what waited for it may go.
create function pg_temp.opens() returns void language sql as $$
  update fleet.account set parked_until = now() where parked_until > now();
  update fleet.delayed set run_at = now();
  select fleet.promote(1000) $$;
-- Its run began so long ago, and its last output came this long after that.
create function pg_temp.ran(p_task text, p_for interval, p_output interval default null) returns void language sql as $$
  update fleet.attempt set claimed_at = now() - p_for, starting_at = now() - p_for, started_at = now() - p_for, output_at = now() - p_for + p_output
  where attempt = t.attempt(p_task);
  select fleet.promote(1000) $$;

\echo 'people'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.is(pg_temp.account(), 'h/codex-cli open open end', 'an account that works');
select t.agent('pull');
select t.is((select body::jsonb -> 0 ->> 'account_id' || ' ' || next from fleet.account_list(t.by(), 1, null)), 'h/codex-cli h/codex-cli', 'a page names the next');
select t.is((select body::jsonb -> 0 ->> 'account_id' || ' ' || (next is null) from fleet.account_list(t.by(), 1, 'h/codex-cli')), 'pull true', '... which is the last: HTTP agents have theirs');
select t.is((fleet.account_list(t.by(), 1, repeat('x', 1001))).status, 400, 'a cursor of nobody');
select t.is((fleet.account_detail(t.by(), 'nobody')).status, 404, 'an account of nobody');
select t.is((fleet.account_park(t.by(), 'h/codex-cli', null, 'bill not paid')).status, 200, 'a person parks it');
select t.is(pg_temp.account(), 'h/codex-cli parked parked bill not paid open open end', 'who and why is told');
select t.is(t.claim('w1', 9), '', 'it gets nothing');
select t.is((select reason from fleet.explanations where task_id = 'a' and agent_id = 'h/codex-cli'),
  'account h/codex-cli is parked by open: bill not paid; fleet.unpark(''h/codex-cli'') opens it', 'which is said');
select t.configure('w1', t.host('h', '{code:rust,x}', 9));
select t.is(t.claim('w1', 9), '', 'a changed configuration does not undo what a person said');
select t.is((fleet.account_unpark(t.by(), 'h/codex-cli', 'paid')).status, 200, 'unparked');
select t.is(t.claim('w1', 9), 'a', 'it works');
select t.start('w1', 'a');
select fleet.account_park(t.by(), 'h/codex-cli', now() + interval '1 hour', 'lunch');
select t.ok(pg_temp.account() like 'h/codex-cli parked parked lunch open 20%Z', 'parked until a time');
select t.is(t.status('a'), 'running', 'what runs goes on');
select pg_temp.limited('a', interval '2 h', null, 'rate_limited');
select t.ok(pg_temp.account() like 'h/codex-cli parked rate_limited You have hit your limit h/codex-cli 20%Z', 'a limit that ends later counts, as its agent told it');
select fleet.park('h/codex-cli', 'by hand');
select t.is(pg_temp.account(), format('h/codex-cli parked parked by hand psql:%s open end', session_user), 'by psql');
select fleet.unpark('h/codex-cli');
select t.is(pg_temp.account(), 'h/codex-cli open open end', 'put back');
select fleet.promote(1000);
select t.is(t.claim('w1', 9), 'a', 'and what waited for its quota goes at once');
select t.throws($$select fleet.park('h/codex-cli', '')$$, 'AF007', 'a reason is wanted');
select t.throws($$select fleet.park('h/codex-cli', 'x', now() - interval '1 s')$$, 'AF007', 'a time to come');
select t.throws($$select fleet.account_park(t.by(), 'nobody', null, 'x')$$, 'AF003', 'and an account');
select t.throws($$select fleet.unpark('nobody')$$, 'AF003', 'also to open it');
select t.is((select string_agg(action || ' ' || (before ->> 'status') || ' ' || (after ->> 'status'), ', ' order by audit) from fleet.audit where action like 'account%'),
  'account_park open parked, account_unpark parked open, account_park open parked, account_park parked parked, account_unpark parked open', 'the trail has each');
select fleet.park('h/codex-cli', 'lunch', now() + interval '1 hour');
select t.submit('b');
select pg_temp.opens();
select t.is(pg_temp.state(), 'open 0', 'when a person''s time is over it is open, for nothing was limited');
select fleet.take_out((select executor from fleet.executor where host_id = 'h'), 'infinity', 'start_failures', 'x');
select t.is(t.claim('w1', 9), '', 'an executor out of service gets nothing');
select fleet.unpark('h/codex-cli');
select t.is(t.claim('w1', 9), 'b', 'who opens its account puts it back as well');
rollback;

\echo 'a quota that is used up'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit('t' || i, '{agent:code:rust}', '{"max_retries": 0, "max_attempts_total": 1}') from generate_series(1, 9) i;
select t.claim('w1', 9);
select t.is(pg_temp.limited('t1', interval '3 h', 'five_hour'), 'created', 'fails nothing, though no retry and no other attempt is allowed');
select t.is((select row(retry_count, attempts, attempt_number, failure_reason)::text from fleet.task where task_id = 't1'), '(0,0,1,provider_quota)', 'nor is one counted');
select t.ok(pg_temp.wait_of('t1') between interval '2 h 59 min' and interval '3 h 31 s', 'its task waits until the limit ends');
select t.is(t.claim('w1', 9), '', 'nothing else is claimed for the account');
select t.is((select reason from fleet.explanations where task_id = 't9'), 'quota of account h/codex-cli until '
  || to_char(now() at time zone 'UTC' + interval '3 h', case when (now() at time zone 'UTC' + interval '3 h')::date > (now() at time zone 'UTC')::date then 'YYYY-MM-DD ' else '' end || 'HH24:MI "UTC"')
  || ', as reported by the agent', 'which is said');
select t.ok((fleet.task_explain(t.by(), 't9')).body::jsonb -> 'what_would_help' ->> 0 like 'nothing: account h/codex-cli opens by itself%', 'and what would help');
select t.is((select row(state, reason, limit_window, detail, reported_by, running, max_concurrency, agents)::text from fleet.accounts),
  '(parked,provider_quota,five_hour,"You have hit your limit",h/codex-cli,2,3,{h/codex-cli})', 'fleet.accounts has all of it');
select t.is((select row(status, free)::text from fleet.agents), '(resting,0)', 'its executor rests');
select pg_temp.limited('t2', interval '2 h', 'five_hour');
select t.is(pg_temp.parked(), interval '3 h', 'one that ends sooner changes nothing');
select pg_temp.limited('t3', interval '100 h', 'seven_day');
select t.is(pg_temp.parked(), interval '100 h', 'one that ends later does');
select t.is(pg_temp.state(), 'parked 1', 'runs that are limited at once are one parking');
select t.is((select count(*) from fleet.attempt), 3::bigint, 'three runs found out, for three slots');
select t.is((select string_agg(event_type, ' ') from fleet.history where task_id = 't1' and attempt = 1 and to_status = 'created'), 'quota_reached', 'the history has it');
select t.sound('a quota keeps every invariant');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.end_attempt(a, 'succeeded', null, 0, null, '{"limit": {"window": "five_hour"}}', extract(epoch from now() + interval '1 h')::bigint)
from fleet.attempt a where attempt = t.attempt('a');
select t.is(pg_temp.state(), 'open 0', 'a healthy run that tells of its quota parks nothing');
select t.submit('b');
select t.claim('w1', 1);
select fleet.end_attempt(a, 'cancelled', 'provider_quota', null, 15, null) from fleet.attempt a where attempt = t.attempt('b');
select t.is(pg_temp.state(), 'open 0', 'nor does one that was stopped');
select t.configure('w1', t.host('h', '{code:rust}', 2));
select t.submit(x) from unnest('{b,c,d}'::text[]) x;
select t.claim('w1', 2);
select pg_temp.limited('c', interval '10 s'), pg_temp.limited('d');
select t.is(pg_temp.parked(), interval '1 min', 'a guess lengthens nothing that was told');
select fleet.unpark('h/codex-cli');
select t.submit('b2');
select t.claim('w1', 2);
update fleet.node set retry_on = '{none}';
select t.is(pg_temp.limited('b2', interval '1 h'), 'failed', 'retry_on has its word');
select t.is(pg_temp.state(), 'parked 1', 'the account is parked all the same');
rollback;

\echo 'what waits when it opens'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('limited'), t.submit('failed');
select t.claim('w1', 2);
select t.finish('w1', 'failed', 'failed', 'exit_nonzero', 1), pg_temp.limited('limited', interval '1 h');
select fleet.unpark('h/codex-cli');
select t.is((select string_agg(task_id || ' ' || (run_at > now()), ', ' order by task_id) from fleet.task), 'failed true, limited false',
  'what waited for its quota goes, what failed waits on');
rollback;

\echo 'how long'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
create function pg_temp.parks(p_in interval, p_window text) returns interval language plpgsql as $$
begin
  perform t.submit(coalesce(p_window, 'none'));
  perform t.claim('w1', 1);
  perform pg_temp.limited(coalesce(p_window, 'none'), p_in, p_window);
  delete from fleet.delayed; delete from fleet.queue; delete from fleet.attempt; delete from fleet.event; delete from fleet.task_label; delete from fleet.task;
  return pg_temp.parked();
end $$;
create function pg_temp.clean() returns void language sql as $$ select fleet.open_account('h/codex-cli') $$;
select t.is(pg_temp.parks(interval '100 h', 'five_hour'), interval '6 h', 'a window of five hours ends within six'), pg_temp.clean();
select t.is(pg_temp.parks(interval '100 d', 'seven_day_opus'), interval '8 d', 'one of seven days within eight'), pg_temp.clean();
select t.is(pg_temp.parks(interval '100 d', null), interval '8 d', 'and any other'), pg_temp.clean();
select t.is(pg_temp.parks(interval '10 s', 'five_hour'), interval '1 min', 'a minute is the least'), pg_temp.clean();
select t.is(pg_temp.parks(interval '-1 h', 'five_hour'), interval '15 min', 'a time that is over is none'), pg_temp.clean();
select t.is(pg_temp.parks(null, null), interval '15 min', 'an unknown end is guessed'), pg_temp.opens();
select t.is(pg_temp.parks(null, null), interval '30 min', 'twice as far'), pg_temp.opens();
select t.is(pg_temp.parks(null, null), interval '1 h', 'and again'), pg_temp.opens();
select t.is(pg_temp.parks(null, null), interval '2 h', 'and again'), pg_temp.opens();
select t.is(pg_temp.parks(null, null), interval '2 h', 'up to two hours');
select t.ok((select why like 'quota of account h/codex-cli until % UTC, when one run tries again: the agent did not say when it ends' from fleet.account_now), 'and a guess is called one');
rollback;

\echo 'half open'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit('t' || i) from generate_series(1, 5) i;
select t.claim('w1', 1);
select pg_temp.limited('t1');
select pg_temp.opens();
select t.is(pg_temp.state(), 'half_open 1', 'its time has come');
select t.is((select status from fleet.agents), 'online', 'it may be given work');
select t.is(t.claim('w1', 9), 't1', 'one run goes first');
select t.is(t.claim('w1', 9), '', 'the others wait');
select t.is((select reason from fleet.explanations where task_id = 't2'), 'account h/codex-cli opens again: one run goes first', 'and say so');
select t.is((select row(status, free, out_until)::text from fleet.agents), '(resting,0,)', 'so does its executor');
select pg_temp.limited('t1');
select t.is(pg_temp.state() || ' ' || pg_temp.parked(), 'parked 2 00:30:00', 'limited again, it is parked again, for longer');
select pg_temp.opens();
select t.is(t.claim('w1', 9), 't1', 'one run goes first');
select t.start('w1', 't1');
select pg_temp.ran('t1', interval '4 min', interval '4 min');
select t.is(t.claim('w1', 9), '', 'a run of four minutes proves nothing');
select pg_temp.ran('t1', interval '7 min', interval '2 min');
select t.is(t.claim('w1', 9), '', 'nor does one that fell silent');
select pg_temp.ran('t1', interval '7 min', interval '6 min');
select t.is(pg_temp.state(), 'open 0', 'one whose output goes on does');
select t.is(t.claim('w1', 9), 't2 t3', 'and the others follow');
select t.is(pg_temp.limited('t1'), 'created', 'limited after all');
select t.is((select row(attempts, retry_count)::text from fleet.task where task_id = 't1'), '(1,0)', 'a run that came to something counts as an attempt');
select t.is(pg_temp.state(), 'parked 1', 'and the guesses begin anew');
select t.sound('half open accounts keep every invariant');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit('t' || i) from generate_series(1, 5) i;
select t.claim('w1', 1);
select pg_temp.limited('t1');
select pg_temp.opens();
select t.claim('w1', 9);
select t.start('w1', 't1');
select t.finish('w1', 't1');
select fleet.promote(1000);
select t.is(pg_temp.state() || ' ' || t.claim('w1', 9), 'open 0 t2 t3 t4', 'a probe that ends well opens it');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit('t' || i) from generate_series(1, 5) i;
select t.claim('w1', 1);
select pg_temp.limited('t1');
select pg_temp.opens();
select t.claim('w1', 9);
select t.start('w1', 't1');
select t.finish('w1', 't1', 'failed', 'exit_nonzero', 1);
select fleet.promote(1000);
select t.is(pg_temp.state() || ' ' || t.claim('w1', 9), 'half_open 1 t2', 'one that ends otherwise lets the next go first');
select t.is(t.claim('w1', 9), '', 'alone');
select fleet.release(t.node('w1'), t.attempt('t2'), 1, 'draining');
select fleet.promote(1000);
select t.is(t.claim('w1', 9), 't3', 'so does one that was given back');
select t.start('w1', 't3');
select fleet.phase(t.node('w1'), t.attempt('t3'), 1, 'unreachable', 'host_unreachable');
select pg_temp.ran('t3', interval '14 min');
select t.is(t.claim('w1', 9), '', 'one whose host is away is waited for');
select pg_temp.ran('t3', interval '16 min');
select t.is(t.claim('w1', 9), 't4', 'not for ever');
select t.start('w1', 't4');
select pg_temp.ran('t4', interval '16 min');
select t.is(pg_temp.state(), 'open 0', 'one that works in silence for long is no limited one');
rollback;
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit('a');
select t.claim('w1', 1);
select pg_temp.limited('a');
select pg_temp.opens();
select t.claim('w1', 1);
select fleet.retry('a', true, 'given up');
select fleet.promote(1000);
select t.is(pg_temp.state() || ' ' || t.claim('w1', 9), 'half_open 1 a', 'one that a person gave up too');
select fleet.park('h/codex-cli', 'enough', now() + interval '1 hour');
select t.is((select probe from fleet.account), null, 'a person parks it while one goes first');
select pg_temp.opens();
select t.is(pg_temp.state(), 'half_open 1', 'then one goes first again: the limit was not disproven');
rollback;
begin;
select t.agent('a1', '{code:rust}', 3);
select t.submit('t' || i, '{agent:code:rust}', '{"execution_mode": "http_pull"}') from generate_series(1, 5) i;
update fleet.account set state = 'half_open', parked_at = now(), parked_until = now(), reason = 'rate_limited', reported_by = 'a1', parks = 1;
select t.is(t.pull('a1', 'a1'), 'a1:t1', 'of a polling agent too one goes first');
select t.is(t.pull('a1'), '', 'alone');
select t.says('a1', 't1', 'running');
select t.completes('a1', 't1');
select fleet.promote(1000);
select t.is(t.pull('a1', 'a1'), 'a1:t2 a1:t3', 'then the others');
rollback;

\echo 'one login of several hosts'
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 2) || '{"account": "team"}', t.host('h2', '{code:rust,x}', 2) || '{"account": "team"}',
  t.host('h3', '{code:rust,x,y}', 1));
select t.is((select string_agg(account || ' ' || agents::text, ' ' order by account) from fleet.accounts), 'h3/codex-cli {h3/codex-cli} team {h1/codex-cli,h2/codex-cli}', 'share an account');
select t.submit('t' || i) from generate_series(1, 9) i;
select t.is(t.claim('w1', 9), 't1 t2 t3 t4 t5', 'that works');
create temp table at as select (select t2.task_id from fleet.attempt a join fleet.executor e using (executor) join fleet.task t2 using (task) where e.host_id = 'h1' limit 1) as h1,
  (select t2.task_id from fleet.attempt a join fleet.executor e using (executor) join fleet.task t2 using (task) where e.host_id = 'h3') as h3;
select pg_temp.limited(h1, interval '3 h') from at;
select t.is((select string_agg(agent_id || ' ' || status, ' ' order by agent_id) from fleet.agents), 'h1/codex-cli resting h2/codex-cli resting h3/codex-cli online', 'a limit of one is that of all');
select t.ok((select run_at <= now() from fleet.task join at on h1 = task_id), 'a task does not wait for a quota that another agent does not need');
select t.finish('w1', h3) from at;
select t.is((select string_agg(host_id, ' ') from fleet.claim(t.node('w1'), 9)), 'h3', 'that has it as soon as it can');
select pg_temp.limited(task_id, interval '5 h') from fleet.task join fleet.executor using (executor) where host_id = 'h3' and status = 'assigned';
select t.ok((select max(run_at) between now() + interval '3 h' and now() + interval '3 h 31 s' from fleet.task), 'where all are limited it waits for the first that opens');
update fleet.account set parked_until = now() where account = 'team';
update fleet.delayed set run_at = now();
select t.is(fleet.promote(1000) > 0, true, 'it opens');
select t.is((select string_agg(e.account, ' ') from fleet.claim(t.node('w1'), 9) join fleet.executor e using (host_id)), 'team', 'of two hosts one run goes first');
select t.is(t.claim('w1', 9), '', 'alone');
select t.sound('shared accounts keep every invariant');
rollback;
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1) || '{"account": "team"}', t.host('h2', '{code:rust,x}', 1) || '{"account": "team"}');
select t.submit('a');
select t.claim('w1', 1);
select t.is(fleet.finish(t.node('w1'), t.attempt('a'), 1, 'failed', 'auth_failed', 1, null), 'failed', 'a login that was refused is refused everywhere');
select t.is((select string_agg(status, ' ') from fleet.agents), 'out_of_service out_of_service', 'and nothing is claimed for it');
select t.configure('w1', t.host('h1', '{code:rust,new}', 1) || '{"account": "team"}', t.host('h2', '{code:rust,x}', 1) || '{"account": "team"}');
select t.submit('b'), t.submit('c'), fleet.promote(1000);
select t.is(t.claim('w1', 9), 'b', 'a changed entry is a new chance, for one');
select t.configure('w1', t.host('h1', '{code:rust,new}', 1) || '{"account": "team"}', t.host('h2', '{code:rust,x}', 1) || '{"account": "other"}');
select t.is(t.claim('w1', 9), 'c', 'an executor that gets another account is free of the first');
select fleet.configure(t.node('w1'), 'x', '{all}', array(select jsonb_populate_record(null::fleet.host_entry, t.host('h1', '{}', 1))),
  array(select g from jsonb_populate_recordset(null::fleet.agent_entry, t.host('h1', '{code:rust}', 1) -> 'agents') g));
select t.is((select account from fleet.executor where host_id = 'h1'), 'team', 'a worker of the release before leaves it as it is');
select t.configure('w1', t.host('h1', '{code:rust}', 1), t.host('h2', '{code:rust,x}', 1));
select t.is((select string_agg(account, ' ' order by account) from fleet.executor), 'h1/codex-cli h2/codex-cli', 'an entry that names none has its own');
select t.is((select string_agg(account, ' ' order by account) from fleet.accounts), 'h1/codex-cli h2/codex-cli', 'one that nobody has is gone from sight');
select fleet.forget_accounts();
select t.is((select state from fleet.account where account = 'team'), 'half_open', 'what is known against it is kept, for it may come back');
update fleet.account set parked_at = now() - interval '9 d' where account = 'team';
select fleet.forget_accounts();
select t.is((select string_agg(account, ' ' order by account) from fleet.account where account in ('team', 'h1/codex-cli', 'h2/codex-cli')), 'h1/codex-cli h2/codex-cli', 'and removed in time');
rollback;
begin;
select t.worker('w1', t.host('h1', '{code:rust}', 1));
select t.submit('a');
select t.claim('w1', 1);
select pg_temp.limited('a', interval '3 h');
select t.configure('w1', t.host('h1', '{code:rust,x}', 1));
select t.is(pg_temp.state('h1/codex-cli') || ' ' || (pg_temp.wait_of('a') > interval '2 h'), 'parked 1 true', 'a changed entry ends no quota');
select t.configure('w1', t.host('h1', '{code:rust,x}', 1), t.host('h2', '{code:rust}', 1));
select t.report('w1', 'h2', t.identity('h2'));
select fleet.promote(1000);
select t.is((select string_agg(host_id, ' ') from fleet.claim(t.node('w1'), 9)), 'h2', 'a new host takes what waited for the quota of another');
rollback;
select fleet.put_host('{"host_id": "made", "hostname": "10.0.0.9", "ssh_user": "agent", "work_dir": "/w", "agents": [{"agent_type": "codex-cli", "account": "team"}, {"agent_type": "x"}]}');
select t.is((select string_agg(agent_id || ' ' || account, ', ' order by agent_id) from fleet.executor where host_id = 'made'), 'made/codex-cli team, made/x made/x', 'hosts made by the API name accounts too');
