-- The end of an attempt, and the one place that decides what becomes of its task.

-- Doubling back-off with up to a quarter of jitter on top, never sooner than the plain value.
create function fleet.backoff(p_count int, p_base text, p_max text) returns interval
    language plpgsql volatile as $$
begin
    return make_interval(secs => least(fleet.get(p_base) * power(2::float8, least(p_count, 30)), fleet.get(p_max)) / 1000.0
                                 * (1 + random() / 4));
end $$;

-- Back to waiting, for a new attempt not before p_run_at.
create function fleet.wait_again(p_task bigint, p_event text, p_number int, p_actor text, p_run_at timestamptz, p_payload jsonb)
    returns void language plpgsql as $$
begin
    perform fleet.move(p_task, 'created', p_event, p_number, p_actor,
                       coalesce(p_payload, '{}') || jsonb_build_object('run_at', fleet.utc(p_run_at)));
    perform fleet.enqueue(p_task, p_run_at);
    if p_run_at <= now() then
        perform fleet.hint(); -- not wake(): who goes to sleep before this commits is not seen here
    end if;
end $$;

-- Is its cancel to be obeyed: it was asked, and nothing came of the run that would be thrown away? The closing of an issue is none as
-- long as a pull request of it is open (r).
create function fleet.cancel_stands(t fleet.task, a fleet.attempt, r fleet.pull) returns boolean
    language plpgsql immutable as $$
begin
    return case
        when t.cancel_at is null or (r.state = 'open' and 'issue_closed' in (t.cancel_reason, t.failure_reason)) then false
        when t.status = 'cancelled' then true
        else t.status in ('assigned', 'running', 'agent_lost')
             and (a.outcome in ('succeeded', 'no_change') and a.reason is distinct from 'needs_input') is not true end;
end $$;

-- May the end of its run change what a task is? As long as that was under way; and when it has ended, for what came since.
create function fleet.undecided(t fleet.task, a fleet.attempt) returns boolean
    language plpgsql stable as $$
begin
    return case
        when t.status in ('created', 'cancelled') then false
        when t.status in ('completed', 'failed', 'review_pending') and fleet.follow_wanted(t) then true
        when t.status = 'completed' or a.ended_at is null then false
        when t.status = 'failed' then t.failure_reason = 'host_lost' and a.outcome in ('succeeded', 'no_change')
        else t.status <> 'review_pending' end;
end $$;

-- With a pull request open it is for a person to judge what a run came to that ended badly. Not when it did nothing at all, nor when it was
-- to do what somebody asked for: then it is tried again.
create function fleet.for_review(t fleet.task, a fleet.attempt) returns boolean
    language plpgsql stable as $$
begin
    return t.status in ('assigned', 'running', 'agent_lost') and a.outcome in ('failed', 'timed_out', 'lost', 'cancelled')
       and a.reason is distinct from 'session_lost' and fleet.retry_rule(a) <> 'quota' and not fleet.follow_open(t);
end $$;

-- What the pull request that counts (r) says of a task of which nothing runs. True: that decides.
create function fleet.settle_pull(t fleet.task, a fleet.attempt, r fleet.pull, p_actor text) returns boolean
    language plpgsql as $$
declare
    v_to text;
    v_reason text;
begin
    if r.merged then
        v_to := 'completed';
    elsif r.pull is null or fleet.cancel_stands(t, a, r) then
        return false;
    elsif r.state = 'closed' then
        v_to := 'failed';
        v_reason := 'pr_closed';
    elsif t.status = 'created' or fleet.follow_wanted(t) then
        return false;
    elsif t.status in ('completed', 'failed', 'cancelled') or fleet.for_review(t, a) then
        v_to := 'review_pending';
        v_reason := case when t.status in ('assigned', 'running', 'agent_lost') then coalesce(a.reason, a.outcome)
                         when t.failure_reason not in ('pr_closed', 'issue_closed', 'cancelled') then t.failure_reason end;
    else
        return false;
    end if;
    if v_to <> t.status then
        perform fleet.dequeue(t.task) where t.status = 'created';
        perform fleet.close_follow(t, true) where v_to <> 'review_pending';
        update fleet.task
        set failure_reason = v_reason, cancel_at = case when v_to <> 'review_pending' then cancel_at end,
            cancel_by = case when v_to <> 'review_pending' then cancel_by end,
            cancel_reason = case when v_to <> 'review_pending' then cancel_reason end
        where task = t.task;
        perform fleet.move(t.task, v_to, v_to, nullif(t.attempt_number, 0), p_actor, fleet.pull_facts(r) || jsonb_build_object(
            'reason', case when r.merged then 'pr_merged' when r.state = 'open' then 'pr_open' else 'pr_closed' end, 'outcome', a.outcome));
    end if;
    return true;
end $$;

-- A run that ended well: its task is done, or waits for a person: when it asks, or a pull request of it is open.
create function fleet.settle_good(t fleet.task, a fleet.attempt, r fleet.pull, p_actor text, p_facts jsonb) returns void
    language plpgsql as $$
begin
    if t.cancel_at is not null then
        perform fleet.note(t.task, 'cancel_too_late', a.number, p_actor);
    end if;
    if t.status = 'failed' then
        perform fleet.note(t.task, 'given_up_too_soon', a.number, p_actor);
    end if;
    if a.reason = 'needs_input' then
        update fleet.task set failure_reason = 'needs_input' where task = t.task;
        perform fleet.move(t.task, 'review_pending', 'needs_input', a.number, p_actor,
                           p_facts || jsonb_build_object('question', a.question));
    elsif r.state = 'open' then
        update fleet.task set failure_reason = null where task = t.task;
        perform fleet.move(t.task, 'review_pending', 'review_pending', a.number, p_actor, p_facts || fleet.pull_facts(r));
    else
        update fleet.task set failure_reason = null where task = t.task;
        perform fleet.move(t.task, 'completed', 'completed', a.number, p_actor, p_facts);
    end if;
end $$;

-- A run that ended badly and is not tried again: its task has failed, unless a pull request of it is open for a person to judge.
create function fleet.settle_bad(t fleet.task, a fleet.attempt, r fleet.pull, p_reason text, p_actor text, p_facts jsonb) returns void
    language plpgsql as $$
begin
    update fleet.task set failure_reason = p_reason where task = t.task;
    perform fleet.move(t.task, case when r.state = 'open' then 'review_pending' else 'failed' end, 'failed', a.number, p_actor, p_facts);
end $$;

-- A run that was given back: its task waits again, no retry is counted. What never reached its agent goes to another one at once, the
-- first time.
create function fleet.settle_released(t fleet.task, a fleet.attempt, p_actor text, p_facts jsonb) returns void
    language plpgsql as $$
declare
    v_wait interval := case when a.reason = 'not_delivered' and t.release_count = 0 then interval '0'
                            else fleet.backoff(t.release_count, 'release_base_ms', 'release_max_ms') end;
begin
    update fleet.task set release_count = release_count + 1 where task = t.task;
    delete from fleet.spent where t.issue is not null and a.started_at is null and task = t.task and number = a.number; -- it cost nothing
    perform fleet.wait_again(t.task, 'released', a.number, p_actor, now() + v_wait, p_facts);
end $$;

-- A run that was limited is nobody's failure: no retry counts, nor an attempt that came to nothing. Its task waits for the end of the
-- quota, unless an agent of another account can have it.
create function fleet.settle_limited(t fleet.task, a fleet.attempt, p_actor text, p_facts jsonb) returns void
    language plpgsql as $$
declare v_at timestamptz;
begin
    t.lane := fleet.leave_pin(t);
    v_at := fleet.quota_at(t);
    update fleet.task set failure_reason = a.reason, attempts = attempts - (not fleet.made_progress(a))::int where task = t.task;
    if v_at > now() then
        perform fleet.place_retry(t, a, v_at);
    end if;
    perform fleet.wait_again(t.task, 'quota_reached', a.number, p_actor, v_at,
                             p_facts || jsonb_build_object('account', (select account from fleet.executor where executor = a.executor)));
end $$;

-- A run that ended badly: it is tried again where that may help, on another host, or where its workspace is.
create function fleet.settle_failed(t fleet.task, a fleet.attempt, r fleet.pull, p_actor text, p_facts jsonb) returns void
    language plpgsql as $$
declare v_again timestamptz;
begin
    t.lane := fleet.leave_pin(t);
    v_again := case when t.retry_count < t.max_retries then fleet.retry_at(t, a) end;
    if v_again is null then
        perform fleet.settle_bad(t, a, r, coalesce(a.reason, a.outcome), p_actor, p_facts);
        return;
    end if;
    update fleet.task set failure_reason = coalesce(a.reason, a.outcome), retry_count = retry_count + 1 where task = t.task;
    perform fleet.place_retry(t, a, v_again);
    perform fleet.wait_again(t.task, 'retry_scheduled', a.number, p_actor, v_again,
                             p_facts || jsonb_build_object('retry', t.retry_count + 1));
end $$;

-- The agent does not know the session any more: no retry counts, for the next run begins a new one, and so cannot end like this.
create function fleet.settle_sessionless(t fleet.task, a fleet.attempt, p_actor text, p_facts jsonb) returns void
    language plpgsql as $$
begin
    t.lane := fleet.leave_pin(t);
    update fleet.task set failure_reason = a.reason where task = t.task;
    perform fleet.wait_again(t.task, 'retry_scheduled', a.number, p_actor, now(), p_facts);
end $$;

-- What the end of its newest run comes to, first rule that applies. A proven success is never thrown away: not behind a cancel, not
-- behind a host that was given up.
create function fleet.settle_run(t fleet.task, a fleet.attempt, r fleet.pull, p_actor text) returns void
    language plpgsql as $$
declare
    v_good boolean := a.outcome in ('succeeded', 'no_change');
    v_facts jsonb := jsonb_build_object('outcome', a.outcome, 'reason', a.reason);
begin
    if fleet.cancel_stands(t, a, r) or (a.outcome = 'cancelled' and not fleet.follow_wanted(t)) then
        update fleet.task set failure_reason = 'cancelled' where task = t.task;
        perform fleet.move(t.task, 'cancelled', 'cancelled', a.number, p_actor, v_facts);
    elsif fleet.follow_wanted(t) then
        perform fleet.go_on(t, p_actor);
    elsif v_good then
        perform fleet.settle_good(t, a, r, p_actor, v_facts);
    elsif a.outcome = 'failed' and fleet.retry_rule(a) = 'quota' and (t.attempts < t.max_attempts_total or not fleet.made_progress(a)) then
        perform fleet.settle_limited(t, a, p_actor, v_facts);
    elsif t.attempts >= t.max_attempts_total then
        perform fleet.settle_bad(t, a, r, case when a.outcome = 'released' then 'attempts_exhausted' else coalesce(a.reason, a.outcome) end,
                                 p_actor, v_facts || '{"attempts_exhausted": true}');
    elsif a.outcome = 'failed' and a.reason = 'session_lost' then
        perform fleet.settle_sessionless(t, a, p_actor, v_facts);
    elsif a.outcome = 'released' then
        perform fleet.settle_released(t, a, p_actor, v_facts);
    else
        perform fleet.settle_failed(t, a, r, p_actor, v_facts);
    end if;
end $$;

-- Decides the status from the stored facts. Under the task's lock, at each fact; while an attempt lives nothing is decided. First what its
-- pull request says, then its newest run. Answers the status.
create function fleet.settle(p_task bigint, p_actor text) returns text
    language plpgsql as $$
declare
    t fleet.task;
    a fleet.attempt;
    r fleet.pull;
    v_dropped boolean := false;
begin
    select * into strict t from fleet.task where task = p_task;
    select * into a from fleet.attempt where task = p_task and abandoned_at is null order by number desc limit 1;
    if a.attempt is not null and a.ended_at is null then
        return t.status;
    end if;
    r := fleet.pull_of(t);
    if fleet.reviews_used_up(t) then
        perform fleet.drop_follow(t, p_actor);
        v_dropped := true;
    end if;
    if not fleet.settle_pull(t, a, r, p_actor) and fleet.undecided(t, a) then
        perform fleet.settle_run(t, a, r, p_actor);
    end if;
    if v_dropped then
        update fleet.task set failure_reason = 'reviews_exhausted' where task = p_task and status = 'review_pending';
    end if;
    select status into t.status from fleet.task where task = p_task;
    return t.status;
end $$;

-- The number of a slot that becomes free: when it is beyond those that are left, the smallest that is free.
create function fleet.free_ordinal(s fleet.slot) returns int
    language plpgsql stable as $$
begin
    if s.ordinal < (select e.max_concurrency from fleet.executor e where e.executor = s.executor) then
        return s.ordinal;
    end if;
    return coalesce((select min(o) from generate_series(0, s.ordinal) o
                     where not exists (select from fleet.slot n where n.executor = s.executor and n.ordinal = o)), s.ordinal);
end $$;

-- Frees a slot that is locked. Of those that want another number one goes on at a time, and nobody waits: another one gets its own with its
-- next end. (In one update: with the second one of a row PostgreSQL looks its keys up, and waits for who configures the executor.)
create function fleet.empty_slot(a fleet.attempt) returns void
    language plpgsql as $$
declare v_alone boolean := false;
begin
    if exists (select from fleet.slot s join fleet.executor e on e.executor = s.executor
               where s.slot_id = a.slot_id and s.attempt = a.attempt and s.ordinal >= e.max_concurrency) then
        perform from fleet.latch where name = 'ordinals' for update skip locked;
        v_alone := found;
    end if;
    update fleet.slot s set attempt = null, ordinal = case when v_alone then fleet.free_ordinal(s) else s.ordinal end
    where s.slot_id = a.slot_id and s.attempt = a.attempt;
end $$;

-- Its slot is free, unless a person gave it to others before. When there are more than max_concurrency, this end is that of one too
-- many: another that was to retire stays.
create function fleet.vacate(a fleet.attempt) returns void
    language plpgsql as $$
declare v_stays bigint;
begin
    -- locked in a statement of its own: the next sees what configure() did to it meanwhile
    perform from fleet.slot where slot_id = a.slot_id for update;
    select o.slot_id into v_stays from fleet.slot o
    where o.executor = a.executor and o.retiring
      and exists (select from fleet.slot s where s.slot_id = a.slot_id and s.attempt = a.attempt and not s.retiring)
    limit 1 for update of o skip locked;
    if found then
        update fleet.slot set retiring = slot_id <> v_stays where slot_id in (v_stays, a.slot_id);
    end if;
    delete from fleet.slot where slot_id = a.slot_id and attempt = a.attempt and retiring;
    if not found then
        perform fleet.empty_slot(a);
    end if;
end $$;

-- By what it was proven, as a host says it.
create function fleet.proof_text(p text) returns text
    language sql immutable
begin atomic
    select left(regexp_replace(p, '[^a-z0-9_.:= -]', ' ', 'g'), 500);
end;

-- What history says of an end. p_reason: as it was told.
create function fleet.end_facts(a fleet.attempt, p_reason text) returns jsonb
    language sql stable
begin atomic
    select jsonb_strip_nulls(jsonb_build_object(
        'outcome', a.outcome, 'reason', p_reason, 'exit_status', a.exit_status, 'exit_signal', a.exit_signal, 'epoch', a.epoch,
        'stopped', a.report ->> 'stopped', 'proof', a.proof));
end;

-- Writes the end of an attempt that is proven, frees its slot, settles its task. An abandoned attempt's result is evidence only.
create function fleet.end_attempt(a fleet.attempt, p_outcome text, p_reason text, p_exit int, p_signal int, p_report jsonb,
                                  p_retry_at bigint default null, p_proof text default null)
    returns text language plpgsql as $$
declare
    v_actor text := fleet.node_actor(a.node);
    v_pulled boolean := a.due_at is not null;
    v_status text;
begin
    update fleet.attempt
    set phase = 'ended', ended_at = now(), outcome = p_outcome, reason = fleet.known_reason(p_reason), exit_status = p_exit,
        exit_signal = p_signal, report = p_report, phase_reason = null, unreachable_at = null, answer = null, due_at = null,
        proof = fleet.proof_text(p_proof), retry_at = fleet.limit_end(p_retry_at, p_report #>> '{limit,window}')
    where attempt = a.attempt
    returning * into a;
    perform fleet.judge_executor(a);
    perform fleet.vacate(a);
    perform fleet.judge_account(a);
    delete from fleet.freed where attempt = a.attempt and a.freed_at is not null;
    if v_pulled then
        perform fleet.hint('slot'); -- a call of this agent may be waiting for it, on any server
    end if;
    perform fleet.note(a.task, 'attempt_ended', a.number, v_actor, fleet.end_facts(a, p_reason));
    v_status := fleet.settle(a.task, v_actor);
    update fleet.attempt set settled = v_status where attempt = a.attempt;
    return v_status;
end $$;

-- A run that was stopped because its host is being emptied, and for no other wish, was given back.
create function fleet.stopped_for_drain(a fleet.attempt, p_outcome text) returns boolean
    language plpgsql stable as $$
begin
    return p_outcome = 'cancelled' and a.drained_at is not null and case
        when a.ended_at is not null then a.outcome = 'released'
        else a.abandoned_at is null and (select t.cancel_at is null from fleet.task t where t.task = a.task) end;
end $$;

-- The stored answer when the same end is told again by the same owner; null when the attempt has not ended.
create function fleet.ended_before(a fleet.attempt, p_outcome text) returns text
    language plpgsql immutable as $$
begin
    if a.ended_at is not null and a.outcome is distinct from p_outcome then
        raise exception 'attempt % has ended already: %', a.attempt, a.outcome using errcode = 'AF004';
    end if;
    return case when a.ended_at is not null then a.settled end;
end $$;

-- That nothing of a run is left is said by the machine on which it was started, and by no other: AF006.
create function fleet.same_machine(a fleet.attempt) returns void
    language plpgsql stable as $$
begin
    if exists (select from fleet.executor e join fleet.host h on h.host_id = e.host_id
               where e.executor = a.executor and h.machine <> '' and h.machine <> a.host_state ->> 'machine') then
        raise exception 'attempt % was started on another machine than the one that answers now', a.attempt using errcode = 'AF006';
    end if;
end $$;

-- Numbers of tokens, as far as they are any.
create function fleet.tokens_of(p jsonb) returns jsonb
    language plpgsql immutable as $$
begin
    return (select jsonb_object_agg(k, p -> k) from unnest('{input,cached_input,output,reasoning}'::text[]) k
            where jsonb_typeof(p -> k) = 'number' and p ->> k ~ '^[0-9]{1,18}$');
end $$;

-- What a worker says of a run, each member within bounds. work is of hosts, all else of agents: claims.
create function fleet.report_of(p jsonb) returns jsonb
    language plpgsql stable as $$
begin
    if p is null or p = '{}' then
        return jsonb '{}';
    end if;
    return jsonb_strip_nulls(jsonb_build_object(
        'session_id', case when p ->> 'session_id' ~ '^[A-Za-z0-9_-]{1,128}$' then p -> 'session_id' end,
        'model', left(p ->> 'model', 200), 'summary', left(p ->> 'summary', 65536), 'error', left(p ->> 'error', 65536),
        'stopped', left(p ->> 'stopped', 200), 'agent_version', left(p ->> 'agent_version', 200), 'profile', left(p ->> 'profile', 64),
        'isolation', left(p ->> 'isolation', 64), 'sandbox', left(p ->> 'sandbox', 64), 'cost_source', left(p ->> 'cost_source', 64),
        'cost_usd', case when jsonb_typeof(p -> 'cost_usd') = 'number' and p -> 'cost_usd' between '0' and '1000000000'
                         then p -> 'cost_usd' end,
        'tokens', case when jsonb_typeof(p -> 'tokens') = 'object' then fleet.tokens_of(p -> 'tokens') end,
        'limit', case when jsonb_typeof(p -> 'limit') = 'object' then nullif(jsonb_strip_nulls(jsonb_build_object(
                          'window', left(p -> 'limit' ->> 'window', 64), 'text', left(p -> 'limit' ->> 'text', 1000))), '{}') end));
end $$;
