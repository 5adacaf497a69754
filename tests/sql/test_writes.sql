-- What a claim, a start, a phase and an end write: every column of every row that changes, and nothing else.

set jit = off;
create temp table before (place text, col text, v text);
-- All rows, a column a line; times as what lies between now and them (when a task may run: in minutes, as chance has a part in it).
create function pg_temp.columns() returns table (place text, col text, v text) language plpgsql as $$
declare v_table text;
begin
  foreach v_table in array '{task,attempt,slot,executor,account,queue,delayed,ended,pin,follow,outbox,spent,issue,node,waiter}'::text[] loop
    return query execute format($q$
      select concat_ws(' ', %1$L, coalesce((select n.task_id from fleet.task n where n.task = (j ->> 'task')::bigint), j ->> 'agent_id', j ->> 'account',
             (select e.agent_id from fleet.executor e where e.executor = (j ->> 'executor')::int), j ->> 'name'), coalesce(j ->> 'number', j ->> 'ordinal')), x.key, case
        when x.key = 'nonce' then length(x.value)::text
        when x.key = 'slot_tid' then case when j ->> 'ended_at' is not null then 'its' else (select 'its' from fleet.slot s where s.ctid = x.value::tid and s.slot_id::text = j ->> 'slot_id' and s.attempt::text = j ->> 'attempt') end
        when x.key in ('attempt', 'probe') then (select a.number::text from fleet.attempt a where a.attempt::text = x.value)
        when x.key = 'executor' then (select agent_id from fleet.executor e where e.executor::text = x.value)
        when x.key = 'node' then (select name from fleet.node where node::text = x.value)
        when x.key = 'lane' then (select concat_ws('@', array_to_string(requirements, '+'), pinned is not null or null) from fleet.lane l where lane::text = x.value)
        when x.value ~ '^\d{4}-\d\d-\d\dT' then case when x.value::timestamptz = now() then 'now' else 'now' || replace(to_char(extract(epoch from case when x.key = 'run_at' then date_trunc('minute', x.value::timestamptz - now()) else x.value::timestamptz - now() end), 'SG9999999990'), ' ', '') || 's' end
        else x.value end
      from fleet.%1$I r, to_jsonb(r) j, jsonb_each_text(j) x where x.value is not null and x.key not in ('task', 'slot_id', 'beat_at', 'beat')$q$, v_table);
  end loop;
  return query select concat_ws(' ', 'event', t.task_id, e.event_type, e.from_status, e.to_status, e.attempt, e.actor), '#' || e.event_id, (
      select jsonb_object_agg(k, case when n.name is null then p.v else to_jsonb(n.name) end)::text
      from jsonb_each(e.payload) p (k, v) left join fleet.node n on n.node::text = p.v #>> '{}' where k <> 'run_at')
    from fleet.event e join fleet.task t using (task);
end $$;
create function pg_temp.changes() returns text language sql as $$
  select coalesce(string_agg(line, E'\n' order by line collate "C"), '')
  from (select concat(place, ': ', string_agg(case when col like '#%' then v else concat(col, '=', v) end, ' ' order by col collate "C")) as line
        from (select coalesce(c.place, b.place) as place, coalesce(c.col, b.col) as col, c.v from pg_temp.columns() c
              full join before b on b.place = c.place and b.col = c.col where c.v is distinct from b.v or b.place is null or c.place is null) x
        group by place) y $$;
-- The statement changes this and nothing else.
create function pg_temp.writes(p_statement text, p_want text, p_name text) returns void language plpgsql as $$
begin
  delete from before;
  insert into before select * from pg_temp.columns();
  execute p_statement;
  perform t.is(pg_temp.changes(), btrim(p_want, E'\n'), p_name);
end $$;
-- Of the newest attempt of task a.
create function pg_temp.call(p_form text) returns text language sql as $$
  select format(p_form, format('%L, %s, %s', a.node, a.attempt, a.epoch)) from fleet.attempt a where a.attempt = t.attempt('a') $$;
create function pg_temp.running() returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{code:rust}', 2));
  perform t.submit('a');
  perform t.claim('w1', 1);
  perform t.start('w1', 'a');
end $$;

\echo 'a claim'
begin;
select pg_temp.running();
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.due();
update fleet.task set started_at = now(), assigned_at = now() - interval '1 h', changed_at = now() - interval '1 h', run_at = now() - interval '1 s',
  hold = 'reading', hold_at = now();
select pg_temp.writes($$select t.claim('w1', 1)$$, $w$
attempt a 2: attempt=2 claimed_at=now epoch=1 executor=h/codex-cli node=w1 nonce=32 number=2 ordinal=0 phase=claimed ready_at=now-1s slot_tid=its stderr_bytes=0 stderr_lines=0 stdout_bytes=0 stdout_lines=0 unseen_ms=0
event a assigned created assigned 2 node:w1: {"node": "w1", "epoch": 1, "agent_id": "h/codex-cli"}
queue a: lane= prio= since=
slot h/codex-cli 0: attempt=2
task a: assigned_at=now attempt_number=2 attempts=2 changed_at=now executor=h/codex-cli failure_reason= hold= hold_at= started_at= status=assigned
$w$, 'of a worker, of a task that was tried before');
rollback;

begin;
select t.agent('p', '{code:rust}', 2);
select t.submit('a', '{agent:code:rust}', '{"execution_mode": "http_pull"}');
update fleet.task set changed_at = now() - interval '1 h';
select pg_temp.writes($$select t.pull('p')$$, $w$
attempt a 1: attempt=1 claimed_at=now due_at=now+60s epoch=1 executor=p node=p nonce=32 number=1 ordinal=0 phase=claimed ready_at=now slot_tid=its stderr_bytes=0 stderr_lines=0 stdout_bytes=0 stdout_lines=0 unseen_ms=0
event a assigned created assigned 1 agent:p: {"node": "p", "epoch": 1, "agent_id": "p"}
queue a: lane= prio= since=
slot p 0: attempt=1
task a: assigned_at=now attempt_number=1 attempts=1 changed_at=now executor=p status=assigned
$w$, 'of an HTTP agent, which has its time to begin');
rollback;

begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.reads('{"trusted": "writers"}');
select t.opens('ann');
select t.labels('ann', 'agent:code:rust');
select t.look();
update fleet.outbox set told = dirty, told_at = now() - interval '5 s', tell_at = 'infinity', taken_by = null, taken_until = null;
update fleet.issue set read_at = now();
select pg_temp.writes($$select t.claim('w1', 1)$$, $w$
attempt acme/rocket#42 1: attempt=1 claimed_at=now epoch=1 executor=h/codex-cli node=w1 nonce=32 number=1 ordinal=0 phase=claimed ready_at=now slot_tid=its stderr_bytes=0 stderr_lines=0 stdout_bytes=0 stdout_lines=0 unseen_ms=0
event acme/rocket#42 assigned created assigned 1 node:w1: {"node": "w1", "epoch": 1, "agent_id": "h/codex-cli"}
outbox acme/rocket#42: dirty=2 tell_at=now+10s
queue acme/rocket#42: lane= prio= since=
slot h/codex-cli 0: attempt=1
spent acme/rocket#42 1: at=now number=1 sender=1
task acme/rocket#42: assigned_at=now attempt_number=1 attempts=1 executor=h/codex-cli status=assigned
$w$, 'of an issue, of which is told');
rollback;

\echo 'a start'
begin;
select pg_temp.running();
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.due();
select t.claim('w1', 1);
update fleet.task set changed_at = now() - interval '1 h';
select pg_temp.writes(pg_temp.call($$select * from fleet.starting(%s, 'r', 'c', 'p')$$), $w$
attempt a 2: command=c phase=starting prompt=p run=r starting_at=now starting_epoch=1
event a starting 2 node:w1: {"run": "r", "epoch": 1}
$w$, 'is announced');
select pg_temp.writes(pg_temp.call($$select * from fleet.starting(%s, 'r2', 'c2', 'p2')$$), '', '... twice');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'running', 'z')$$), $w$
attempt a 2: phase_reason=z
$w$, 'seen, but not proven');
select pg_temp.writes(pg_temp.call($$select fleet.started(%s, 7, '8', 'b', 'm')$$), $w$
attempt a 2: host_state={"pid": 7, "boot": "b", "start": "8", "machine": "m"} phase=running phase_reason= started_at=now
event a running assigned running 2 node:w1: {"epoch": 1}
task a: changed_at=now started_at=now status=running
$w$, 'is proven');
update fleet.attempt set started_at = now() - interval '1 min';
select pg_temp.writes(pg_temp.call($$select fleet.started(%s)$$), '', '... twice');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'unreachable', 'x')$$), $w$
attempt a 2: phase=unreachable phase_reason=x unreachable_at=now
event a unreachable 2 node:w1: {"epoch": 1, "reason": "x"}
$w$, 'out of reach');
update fleet.attempt set unseen_ms = 5, looked_at = now(), unreachable_at = now() - interval '1 min' where ended_at is null;
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'unreachable', 'y')$$), $w$
attempt a 2: phase_reason=y
$w$, '... for another reason');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'unreachable', 'y')$$), '', '... for the same');
select pg_temp.writes(pg_temp.call($$select fleet.started(%s, 9, '8', 'b', 'm')$$), $w$
attempt a 2: host_state={"pid": 9, "boot": "b", "start": "8", "machine": "m"} looked_at= phase=running phase_reason= unreachable_at= unseen_ms=0
$w$, 'proven again');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'stopping', 'y')$$), $w$
attempt a 2: phase=stopping phase_reason=y
event a stopping 2 node:w1: {"epoch": 1, "reason": "y"}
$w$, 'is stopped');
select pg_temp.writes(pg_temp.call($$select fleet.started(%s)$$), $w$
attempt a 2: phase_reason=
$w$, 'proven, while it is stopped');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'unreachable', 'x')$$), $w$
attempt a 2: phase=unreachable phase_reason=x unreachable_at=now
event a unreachable 2 node:w1: {"epoch": 1, "reason": "x"}
$w$, 'out of reach then');
update fleet.attempt set unreachable_at = now() - interval '1 h', unseen_ms = 5, looked_at = now() where ended_at is null;
select fleet.reap(t.node('w1'));
update fleet.attempt set unseen_ms = 5;
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'running', null)$$), $w$
attempt a 2: looked_at= phase=running phase_reason= unreachable_at= unseen_ms=0
event a reachable 2 node:w1: {"epoch": 1, "reason": null}
event a reachable agent_lost running 2 node:w1: 
task a: status=running
$w$, 'back, and its task with it');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'running', null)$$), '', '... twice');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'stopping', null)$$), $w$
attempt a 2: phase=stopping
event a stopping 2 node:w1: {"epoch": 1, "reason": null}
$w$, 'is stopped again');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'running', 'why')$$), $w$
attempt a 2: phase_reason=why
$w$, 'which stays');
rollback;

begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'unreachable', 'x')$$), $w$
attempt a 1: phase_reason=x
$w$, 'of what was claimed only, nothing but the reason is known');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'running', null)$$), $w$
attempt a 1: phase_reason=
$w$, '... which goes');
select * from fleet.starting(t.node('w1'), t.attempt('a'), 1, 'r', 'c', 'p') \g /dev/null
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'x');
update fleet.attempt set unreachable_at = now() - interval '1 h';
select fleet.reap(t.node('w1'));
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'stopping', 'x')$$), $w$
attempt a 1: looked_at= phase=starting unreachable_at=
event a reachable 1 node:w1: {"epoch": 1, "reason": "x"}
event a reachable agent_lost assigned 1 node:w1: 
task a: status=assigned
$w$, 'back, its start not proven');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'x');
update fleet.attempt set unreachable_at = now() - interval '1 h';
select fleet.reap(t.node('w1'));
select pg_temp.writes(pg_temp.call($$select fleet.started(%s, 9)$$), $w$
attempt a 1: host_state={"pid": 9} looked_at= phase=running phase_reason= started_at=now unreachable_at=
event a running agent_lost running 1 node:w1: {"epoch": 1}
task a: started_at=now status=running
$w$, 'back with its proof');
select fleet.cancel('a', 'stop');
select pg_temp.writes(pg_temp.call($$select * from fleet.starting(%s, 'r', 'c', 'p')$$), '', 'what is to be stopped is announced no more');
select t.finish('w1', 'a', 'cancelled', 'cancelled');
select pg_temp.writes(pg_temp.call($$select fleet.started(%s, 10)$$), '', 'started, when it has ended');
select pg_temp.writes(pg_temp.call($$select fleet.phase(%s, 'unreachable', 'x')$$), '', '... or out of reach');
rollback;

\echo 'an end'
begin;
select pg_temp.running();
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'x');
update fleet.attempt set answer = 'left', looked_at = now(), unseen_ms = 7;
update fleet.task set changed_at = now() - interval '1 h', failure_reason = 'other';
update fleet.executor set start_failures = 2;
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'succeeded', null, 0, 3,
  '{"session_id": "s", "cost_usd": 1, "stopped": "because", "work": {"state": "no_change"}}', 99999999999, 'pid 7: Gone')$$), $w$
attempt a 1: answer= ended_at=now exit_signal=3 exit_status=0 outcome=no_change phase=ended phase_reason= proof=pid 7:  one report={"stopped": "because", "cost_usd": 1, "session_id": "s"} retry_at=now+691200s settled=completed unreachable_at= work={"state": "no_change"}
ended a: status=completed
event a attempt_ended 1 node:w1: {"epoch": 1, "proof": "pid 7:  one", "outcome": "no_change", "stopped": "because", "exit_signal": 3, "exit_status": 0}
event a completed running completed 1 node:w1: {"reason": null, "outcome": "no_change"}
executor h/codex-cli: start_failures=0
slot h/codex-cli 0: attempt=
task a: changed_at=now completed_at=now failure_reason= status=completed
$w$, 'with nothing to push');
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'succeeded', null, 1, 4, '{"work": {"state": "no_change"}}', null, 'no')$$), '', '... twice');
rollback;

begin;
select pg_temp.running();
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'succeeded', 'needs_input', 0, null, '{"question": "left or right?"}', null, null)$$), $w$
attempt a 1: ended_at=now exit_status=0 outcome=succeeded phase=ended question=left or right? reason=needs_input report={} settled=review_pending work={}
ended a: status=review_pending
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "needs_input", "outcome": "succeeded", "exit_status": 0}
event a needs_input running review_pending 1 node:w1: {"reason": "needs_input", "outcome": "succeeded", "question": "left or right?"}
slot h/codex-cli 0: attempt=
task a: failure_reason=needs_input status=review_pending
$w$, 'with a question');
rollback;

begin;
select pg_temp.running();
select fleet.cancel('a', 'stop');
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'succeeded', null, 0, null, null, null, null)$$), $w$
attempt a 1: ended_at=now exit_status=0 outcome=succeeded phase=ended report={} settled=completed
ended a: status=completed
event a attempt_ended 1 node:w1: {"epoch": 1, "outcome": "succeeded", "exit_status": 0}
event a cancel_too_late 1 node:w1: 
event a completed running completed 1 node:w1: {"reason": null, "outcome": "succeeded"}
slot h/codex-cli 0: attempt=
task a: completed_at=now status=completed
$w$, 'well, after a cancel');
rollback;

begin;
select pg_temp.running();
select fleet.cancel('a', 'stop');
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'failed', 'exit_nonzero', 1, null, null, null, null)$$), $w$
attempt a 1: ended_at=now exit_status=1 outcome=failed phase=ended reason=exit_nonzero report={} settled=cancelled
ended a: status=cancelled
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "exit_nonzero", "outcome": "failed", "exit_status": 1}
event a cancelled running cancelled 1 node:w1: {"reason": "exit_nonzero", "outcome": "failed"}
slot h/codex-cli 0: attempt=
task a: completed_at=now failure_reason=cancelled status=cancelled
$w$, 'badly, after a cancel');
rollback;

-- the back-off without its chance
create function pg_temp.steady() returns void language sql as $$ update fleet.setting set value = 0 where name like any ('{retry\_%\_ms,release\_%\_ms}') $$;
begin;
select pg_temp.steady();
select pg_temp.running();
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'failed', 'exit_nonzero', 1, null, '{"error": "broke"}', null, null)$$), $w$
attempt a 1: ended_at=now exit_status=1 outcome=failed phase=ended reason=exit_nonzero report={"error": "broke"} settled=created
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "exit_nonzero", "outcome": "failed", "exit_status": 1}
event a retry_scheduled running created 1 node:w1: {"retry": 1, "reason": "exit_nonzero", "outcome": "failed"}
queue a: lane=code:rust prio=0 since=now
slot h/codex-cli 0: attempt=
task a: executor= failure_reason=exit_nonzero retry_count=1 started_at= status=created
$w$, 'badly: tried again');
select t.claim('w1', 1);
update fleet.task set retry_count = 2;
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'timed_out', null, null, 9, null, null, null)$$), $w$
attempt a 2: ended_at=now exit_signal=9 outcome=timed_out phase=ended report={} settled=failed
ended a: status=failed
event a attempt_ended 2 node:w1: {"epoch": 1, "outcome": "timed_out", "exit_signal": 9}
event a failed assigned failed 2 node:w1: {"reason": null, "outcome": "timed_out"}
slot h/codex-cli 0: attempt=
task a: completed_at=now failure_reason=timed_out status=failed
$w$, 'badly, once too often');
rollback;

begin;
select pg_temp.steady();
select pg_temp.running();
update fleet.task set attempts = 10;
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'lost', 'host_rebooted', null, null, null, null, null)$$), $w$
attempt a 1: ended_at=now outcome=lost phase=ended reason=host_rebooted report={} settled=failed
ended a: status=failed
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "host_rebooted", "outcome": "lost"}
event a failed running failed 1 node:w1: {"reason": "host_rebooted", "outcome": "lost", "attempts_exhausted": true}
slot h/codex-cli 0: attempt=
task a: completed_at=now failure_reason=host_rebooted status=failed
$w$, 'the last of all attempts');
rollback;

begin;
select pg_temp.steady();
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select pg_temp.writes(pg_temp.call($$select fleet.release(%s, 'start_refused')$$), $w$
attempt a 1: ended_at=now outcome=released phase=ended reason=start_refused settled=created
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "start_refused", "outcome": "released"}
event a released assigned created 1 node:w1: {"reason": "start_refused", "outcome": "released"}
executor h/codex-cli: start_failures=1
queue a: lane=code:rust prio=0 since=now
slot h/codex-cli 0: attempt=
task a: executor= release_count=1 status=created
$w$, 'given back');
select t.claim('w1', 1);
update fleet.task set attempts = 10;
select pg_temp.writes(pg_temp.call($$select fleet.release(%s, 'voided')$$), $w$
attempt a 2: ended_at=now outcome=released phase=ended reason=voided settled=failed
ended a: status=failed
event a attempt_ended 2 node:w1: {"epoch": 1, "reason": "voided", "outcome": "released"}
event a failed assigned failed 2 node:w1: {"reason": "voided", "outcome": "released", "attempts_exhausted": true}
slot h/codex-cli 0: attempt=
task a: completed_at=now failure_reason=attempts_exhausted status=failed
$w$, 'given back the last time');
rollback;

begin;
select pg_temp.steady();
select pg_temp.running();
select fleet.drain('h', 'empty', 0);
select fleet.promote(1);
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'cancelled', 'cancelled', null, 2, null, null, null)$$), $w$
attempt a 1: ended_at=now exit_signal=2 outcome=released phase=ended reason=drained report={} settled=created
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "drained", "outcome": "released", "exit_signal": 2}
event a released running created 1 node:w1: {"reason": "drained", "outcome": "released"}
queue a: lane=code:rust prio=0 since=now
slot h/codex-cli 0: attempt=
task a: executor= release_count=1 started_at= status=created
$w$, 'stopped, for its host is emptied');
rollback;

begin;
select pg_temp.running();
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'failed', 'provider_quota', 1, null, '{"limit": {"window": "five_hour", "text": "enough"}}',
  extract(epoch from now() + interval '1 h')::bigint, null)$$), $w$
account h/codex-cli: detail=enough limit_window=five_hour parked_at=now parked_until=now+3600s parks=1 reason=provider_quota reported_by=h/codex-cli state=parked told_until=now+3600s
attempt a 1: ended_at=now exit_status=1 outcome=failed phase=ended reason=provider_quota report={"limit": {"text": "enough", "window": "five_hour"}} retry_at=now+3600s settled=created
delayed a: run_at=now+3600s
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "provider_quota", "outcome": "failed", "exit_status": 1}
event a quota_reached running created 1 node:w1: {"reason": "provider_quota", "account": "h/codex-cli", "outcome": "failed"}
slot h/codex-cli 0: attempt=
task a: attempts=0 executor= failure_reason=provider_quota run_at=now+3600s started_at= status=created
$w$, 'at a limit');
rollback;

begin;
select pg_temp.running();
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'failed', 'auth_failed', 1, null, '{"error": "who?"}', null, null)$$), $w$
account h/codex-cli: detail=who? parked_at=now parked_until=infinity reason=auth_failed reported_by=h/codex-cli state=parked
attempt a 1: ended_at=now exit_status=1 outcome=failed phase=ended reason=auth_failed report={"error": "who?"} settled=failed
ended a: status=failed
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "auth_failed", "outcome": "failed", "exit_status": 1}
event a failed running failed 1 node:w1: {"reason": "auth_failed", "outcome": "failed"}
slot h/codex-cli 0: attempt=
task a: completed_at=now failure_reason=auth_failed status=failed
$w$, 'without a login');
rollback;

begin;
select pg_temp.running();
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'failed', 'adapter_missing', 1, null, '{"error": "where?"}', null, null)$$), $w$
attempt a 1: ended_at=now exit_status=1 outcome=failed phase=ended reason=adapter_missing report={"error": "where?"} settled=failed
ended a: status=failed
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "adapter_missing", "outcome": "failed", "exit_status": 1}
event a failed running failed 1 node:w1: {"reason": "adapter_missing", "outcome": "failed"}
executor h/codex-cli: out_detail=where? out_reason=adapter_missing out_since=now out_until=infinity
slot h/codex-cli 0: attempt=
task a: completed_at=now failure_reason=adapter_missing status=failed
$w$, 'without its agent');
rollback;

begin;
select t.agent('p', '{code:rust}', 2);
select t.submit('a', '{agent:code:rust}', '{"execution_mode": "http_pull"}');
select t.pull('p');
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'no_change', null, null, null, null, null, null)$$), $w$
attempt a 1: due_at= ended_at=now outcome=no_change phase=ended report={} settled=completed
ended a: status=completed
event a attempt_ended 1 agent:p: {"epoch": 1, "outcome": "no_change"}
event a completed assigned completed 1 agent:p: {"reason": null, "outcome": "no_change"}
slot p 0: attempt=
task a: completed_at=now status=completed
$w$, 'of an HTTP agent');
rollback;

begin;
select pg_temp.running();
select fleet.retry('a', true, 'gone');
update fleet.task set changed_at = now() - interval '1 h';
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'failed', 'exit_nonzero', 1, null, null, null, null)$$), $w$
attempt a 1: ended_at=now exit_status=1 outcome=failed phase=ended reason=exit_nonzero report={} settled=created
event a attempt_ended 1 node:w1: {"epoch": 1, "reason": "exit_nonzero", "outcome": "failed", "exit_status": 1}
slot h/codex-cli 0: attempt=
$w$, 'of a run that was given up: evidence');
rollback;

\echo 'a slot that is one too many'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 3));
select t.submit(x) from unnest('{a,b,c}'::text[]) x;
select t.claim('w1', 3);
select t.configure('w1', t.host('h', '{code:rust}', 2));
select t.is(t.rows('select ordinal, retiring from fleet.slot order by 1'), '(0,f) (1,f) (2,t)', 'the last is to go');
select pg_temp.writes(pg_temp.call($$select fleet.finish_run(%s, 'no_change', null, null, null, null, null, null)$$), $w$
attempt a 1: ended_at=now outcome=no_change phase=ended report={} settled=completed
ended a: status=completed
event a attempt_ended 1 node:w1: {"epoch": 1, "outcome": "no_change"}
event a completed assigned completed 1 node:w1: {"reason": null, "outcome": "no_change"}
slot h/codex-cli 0: attempt= executor= ordinal= retiring=
slot h/codex-cli 2: retiring=false
task a: completed_at=now status=completed
$w$, 'goes at the next end, whichever that is');
rollback;
