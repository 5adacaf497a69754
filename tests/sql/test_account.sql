-- Accounts: the login of an agent on a host, parked by a limit that it told or by a person.

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
create function pg_temp.account() returns text language sql as $$
  select concat_ws(' ', j ->> 'account_id', j ->> 'status', j ->> 'reason_code', j ->> 'reason', j ->> 'reported_by', coalesce(j ->> 'parked_until', 'open end'))
  from (select body::jsonb -> 0 as j from fleet.account_list(t.by(), 50, null)) x $$;
select t.is(pg_temp.account(), 'h/codex-cli open open end', 'an account that works');
select t.agent('pull');
select t.is((select body::jsonb -> 0 ->> 'account_id' || ' ' || next from fleet.account_list(t.by(), 1, null)), 'h/codex-cli h/codex-cli', 'a page names the next');
select t.is((select body::jsonb -> 0 ->> 'account_id' || ' ' || (next is null) from fleet.account_list(t.by(), 1, 'h/codex-cli')), 'pull true', '... which is the last: HTTP agents have theirs');
select t.is((fleet.account_list(t.by(), 1, repeat('x', 1001))).status, 400, 'a cursor of nobody');
select t.is((fleet.account_park(t.by(), 'h/codex-cli', null, 'bill not paid')).status, 200, 'a person parks it');
select t.is(pg_temp.account(), 'h/codex-cli parked parked bill not paid open open end', 'who and why is told');
select t.is(t.claim('w1', 9), '', 'it gets nothing');
select t.configure('w1', t.host('h', '{code:rust,x}', 9));
select t.is(t.claim('w1', 9), '', 'a changed configuration does not undo what a person said');
select t.is((fleet.account_unpark(t.by(), 'h/codex-cli', 'paid')).status, 200, 'unparked');
select t.is(t.claim('w1', 9), 'a', 'it works');
select t.start('w1', 'a');
select fleet.account_park(t.by(), 'h/codex-cli', now() + interval '1 hour', 'lunch');
select t.ok(pg_temp.account() like 'h/codex-cli parked parked lunch open 20%Z', 'parked until a time');
select t.is(t.status('a'), 'running', 'what runs goes on');
select fleet.finish(t.node('w1'), t.attempt('a'), 1, 'failed', 'rate_limited', 1, null, p_error => 'weekly limit', p_retry_at => extract(epoch from now() + interval '2 hours')::bigint);
select t.ok(pg_temp.account() like 'h/codex-cli parked rate_limited weekly limit agent 20%Z', 'a limit that ends later counts, as its agent told it');
select fleet.park('h/codex-cli', 'by hand');
select t.is(pg_temp.account(), format('h/codex-cli parked parked by hand psql:%s open end', session_user), 'by psql');
select fleet.executor_accept('h/codex-cli');
select t.is(pg_temp.account(), 'h/codex-cli open open end', 'put back');
select t.throws($$select fleet.park('h/codex-cli', '')$$, 'AF007', 'a reason is wanted');
select t.throws($$select fleet.park('h/codex-cli', 'x', now() - interval '1 s')$$, 'AF007', 'a time to come');
select t.throws($$select fleet.account_park(t.by(), 'nobody', null, 'x')$$, 'AF003', 'and an account');
select t.throws($$select fleet.executor_accept('nobody')$$, 'AF003', 'also to put it back');
select t.is((select string_agg(action || ' ' || (before ->> 'status') || ' ' || (after ->> 'status'), ', ' order by audit) from fleet.audit),
  'account_park open parked, account_unpark parked open, account_park open parked, account_park parked parked, account_unpark parked open', 'the trail has each');
rollback;
