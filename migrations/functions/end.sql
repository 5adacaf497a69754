-- Proven ends of runs, as who owns them tells.

-- The end of a run, whose task is locked, by all the rules. Answers the task's new status.
create function fleet.finish_any(a fleet.attempt, p_outcome text, p_reason text, p_exit int, p_signal int, p_report jsonb,
                                 p_resets_at bigint, p_proof text) returns text
    language plpgsql as $$
declare
    v_work jsonb := fleet.work_of(p_report -> 'work');
    v record;
begin
    if a.ended_at is null and p_outcome = 'lost' then
        perform fleet.same_machine(a);
    end if;
    if p_outcome is null or p_outcome not in ('succeeded', 'no_change', 'failed', 'timed_out', 'cancelled', 'lost', 'released') then
        raise exception 'no such outcome: %', p_outcome using errcode = 'AF007';
    end if;
    if fleet.stopped_for_drain(a, p_outcome) then
        p_outcome := 'released';
        p_reason := 'drained';
    end if;
    if a.work is not null or v_work is not null then
        select * into v from fleet.work_verdict(p_outcome, p_reason, v_work);
        p_outcome := v.outcome;
        p_reason := v.reason;
    end if;
    if a.ended_at is null and (v_work is not null or p_report ->> 'question' is not null) then
        update fleet.attempt set work = coalesce(work, '{}') || coalesce(v_work, '{}'), question = left(p_report ->> 'question', 16384)
        where attempt = a.attempt;
    end if;
    return coalesce(fleet.ended_before(a, p_outcome),
                    fleet.end_attempt(a, p_outcome, p_reason, p_exit, p_signal, fleet.report_of(p_report), p_resets_at, p_proof));
end $$;

-- Is this the plain end of a task, as finish_any() would find by all its rules? Its newest run, of which only its worker has an opinion,
-- did what it should, and nothing is left to judge; as long as no pin, follow-up or pull request is known. (No subquery, so that it is inlined.)
create function fleet.ends_plainly(t fleet.task, a fleet.attempt, p_outcome text, p_reason text, p_report jsonb) returns boolean
    language sql immutable
begin atomic
    select p_outcome in ('succeeded', 'no_change') and p_reason is null and a.work is null and not coalesce(p_report ?| '{work,question}', false)
       and a.ended_at is null and a.abandoned_at is null and a.freed_at is null and a.due_at is null and a.number = t.attempt_number
       and t.status in ('assigned', 'running') and t.cancel_at is null;
end;

-- Several ends lock all their slots, before they wait for anything: who configures an executor locks its slots in another order. Of these
-- tasks, which are held, those whose slots nobody else has. Waits for nobody. (One by itself has its slot locked when its rules want that.)
create function fleet.hold_slots(p_attempts bigint[], p_held bigint[]) returns bigint[]
    language plpgsql as $$
declare v_held bigint[];
begin
    if cardinality(p_attempts) <= 1 then
        return p_held;
    end if;
    v_held := array(select s.attempt from fleet.attempt a join fleet.slot s on s.ctid = a.slot_tid and s.slot_id = a.slot_id and s.attempt = a.attempt
                    where a.attempt = any (p_attempts) for update of s skip locked);
    if cardinality(v_held) < cardinality(p_attempts) then -- in each of them something was changed, or somebody holds it
        v_held := array(select s.attempt from fleet.attempt a join fleet.slot s on s.slot_id = a.slot_id and s.attempt = a.attempt
                        where a.attempt = any (p_attempts) for update of s skip locked);
    end if;
    return case when cardinality(v_held) = cardinality(p_attempts) then p_held
                else array(select a.task from fleet.attempt a where a.attempt = any (p_attempts) and a.task = any (p_held) group by a.task
                           having bool_and(a.ended_at is not null or a.freed_at is not null or a.attempt = any (v_held))) end;
end $$;

-- So one of them locks what else it may change: its executor and its account. False: somebody holds one.
create function fleet.hold_judged(a fleet.attempt) returns boolean
    language plpgsql as $$
declare v_account text;
begin
    select e.account into v_account from fleet.executor e where e.executor = a.executor for no key update skip locked;
    perform from fleet.account k where k.account = v_account for no key update skip locked;
    return found;
end $$;

-- Ends that are written together: their places among those that were told, where their slots lie, and the statuses of their tasks.
create type fleet.plain_ends as (ords int[], attempts bigint[], slots tid[], executors int[], statuses text[]);

-- The plain ones among these; locks their slots. (One whose slot was changed since it was filled goes by all the rules.)
create function fleet.find_plain(p_held bigint[], p_node uuid, p_attempts bigint[], p_epochs int[], p_outcomes text[], p_reasons text[],
                                 p_reports jsonb[]) returns fleet.plain_ends
    language plpgsql as $$
begin
    return (
    select (array_agg(x.ord), array_agg(x.attempt), array_agg(x.slot), array_agg(x.executor), array_agg(x.status))::fleet.plain_ends
    from (select i as ord, a.attempt, s.ctid as slot, a.executor, t.status
          from generate_subscripts(p_attempts, 1) i
          join fleet.attempt a on a.attempt = p_attempts[i]
          join fleet.task t on t.task = a.task
          join fleet.executor e on e.executor = a.executor
          join fleet.slot s on s.ctid = a.slot_tid and s.slot_id = a.slot_id
          where array_position(p_attempts, p_attempts[i]) = i -- one that is told twice ends once
            and fleet.owner_fault(a, a.task = any (p_held), p_node, p_epochs[i]) is null
            and fleet.ends_plainly(t, a, p_outcomes[i], p_reasons[i], p_reports[i])
            and e.start_failures = 0 and s.attempt = a.attempt and s.ordinal < e.max_concurrency
            and not exists (select from fleet.slot o where o.executor = a.executor and o.retiring)
            and not exists (select from fleet.pin p where p.task = t.task)
            and not exists (select from fleet.follow f where f.task = t.task) and not exists (select from fleet.pull p where p.task = t.task)
          for update of s) x);
end $$;

-- Writes them, each row once. Answers the places of those that were written.
create function fleet.write_plain(p fleet.plain_ends, p_actor text, p_outcomes text[], p_exits int[], p_signals int[], p_reports jsonb[],
                                  p_resets_at bigint[], p_proofs text[]) returns int[]
    language plpgsql as $$
declare d record; -- an element an end
begin
    with ended as (
        update fleet.attempt a
        set phase = 'ended', ended_at = now(), outcome = p_outcomes[i], reason = null, exit_status = p_exits[i], exit_signal = p_signals[i],
            report = fleet.report_of(p_reports[i]), phase_reason = null, unreachable_at = null, answer = null,
            proof = fleet.proof_text(p_proofs[i]), settled = 'completed',
            retry_at = case when p_resets_at[i] is not null then fleet.limit_end(p_resets_at[i], p_reports[i] #>> '{limit,window}') end
        from generate_subscripts(p.ords, 1) k, lateral (select p.ords[k]) o (i)
        where a.attempt = p.attempts[k]
        returning i, p.statuses[k] as status, a.task, a.number, a.outcome, fleet.end_facts(a, null) as facts
    )
    select array_agg(e.i) as ords, array_agg(e.task) as tasks, array_agg(e.status) as statuses, array_agg(e.number) as numbers,
           array_agg(e.outcome) as outcomes, array_agg(e.facts) as facts into d from ended e;
    update fleet.task t
    set status = 'completed', changed_at = now(), completed_at = now(), failure_reason = null, hold = null, hold_at = null
    where t.task = any (d.tasks);
    insert into fleet.ended (status, task) select 'completed', i from unnest(d.tasks) i;
    insert into fleet.event (task, event_type, attempt, actor, payload)
    select d.tasks[i], 'attempt_ended', d.numbers[i], p_actor, d.facts[i] from generate_subscripts(d.tasks, 1) i;
    insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
    select d.tasks[i], 'completed', d.statuses[i], 'completed', d.numbers[i], p_actor, jsonb_build_object('outcome', d.outcomes[i], 'reason', null)
    from generate_subscripts(d.tasks, 1) i;
    perform fleet.mark_all(d.tasks, true);
    return d.ords;
end $$;

-- Tasks for slots that are locked, and whose attempts end: no more than p_want, of their executors on which this node may place work.
-- Answers the new attempts, and the slots that were not filled.
create function fleet.refill(p_node uuid, p_executors int[], p_slots tid[], p_want int, out attempts bigint[], out rest tid[])
    language plpgsql as $$
declare
    v_open int[] := array(select p.executor from fleet.placeable p where p.node = p_node and p.state = 'open' and p.executor = any (p_executors));
    v_dry int[] := array[]::int[]; -- lanes of which nothing more can be had in this call
    v_here int[];
    v_slots tid[];
    v_got bigint[];
    v_best fleet.best_lane;
begin
    attempts := array[]::bigint[];
    rest := p_slots;
    while cardinality(attempts) < p_want and cardinality(rest) > 0 and cardinality(v_open) > 0 loop
        v_best := fleet.best_lane(v_open, v_dry, null, p_want - cardinality(attempts), true);
        exit when v_best.lane is null;
        v_here := array(select el.executor from fleet.executor_lane el where el.lane = v_best.lane and el.executor = any (v_open));
        v_slots := array(select r.slot from unnest(rest) r (slot) join unnest(p_slots, p_executors) i (slot, executor) on i.slot = r.slot
                         where i.executor = any (v_here) limit v_best.need);
        if cardinality(v_slots) = 0 then
            v_open := array(select o from unnest(v_open) o where o <> all (v_here)); -- they are full
            continue;
        end if;
        v_got := fleet.take_tasks(p_node, v_best, v_slots);
        if cardinality(v_got) = 0 then
            v_dry := v_dry || v_best.lane;
        end if;
        attempts := attempts || v_got;
        rest := array(select r from unnest(rest) r where r <> all (v_slots[:cardinality(v_got)]));
    end loop;
end $$;

-- What is told of ends, and in the same commit tasks for the slots that become free, up to p_want. Rows with a place (ord) answer the
-- ends: plain ones are written together, all others one by one, by all the rules. The others are new jobs.
create function fleet.turn(p_node uuid, p_attempts bigint[], p_epochs int[], p_outcomes text[], p_reasons text[], p_exits int[],
                           p_signals int[], p_reports jsonb[], p_resets_at bigint[], p_proofs text[], p_want int)
    returns table (ord int, fault text, detail text, status text, job fleet.job)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_held bigint[] := fleet.hold_slots(p_attempts, fleet.hold_tasks(p_attempts));
    v_actor text := fleet.live_actor(p_node);
    v_several boolean := cardinality(p_attempts) > 1;
    v_ends fleet.plain_ends := fleet.find_plain(v_held, p_node, p_attempts, p_epochs, p_outcomes, p_reasons, p_reports);
    v_rest tid[] := v_ends.slots;
    v_new bigint[];
    v_plain int[];
    a fleet.attempt;
begin
    -- Several had locked their slots before they were looked at. One by itself may have waited for its slot: configure() had it.
    if v_ends.ords is not null and not v_several and (
        exists (select from fleet.slot o where o.executor = any (v_ends.executors) and o.retiring)
        or exists (select from fleet.slot s join fleet.executor e on e.executor = s.executor
                   where s.ctid = any (v_ends.slots) and s.ordinal >= e.max_concurrency)) then
        v_ends := null;
    end if;
    if v_ends.ords is not null then
        if p_want > 0 then
            select r.attempts, r.rest into v_new, v_rest from fleet.refill(p_node, v_ends.executors, v_ends.slots, p_want) r;
        end if;
        if cardinality(v_rest) > 0 then
            update fleet.slot s set attempt = null where s.ctid = any (v_rest);
        end if;
        v_plain := fleet.write_plain(v_ends, v_actor, p_outcomes, p_exits, p_signals, p_reports, p_resets_at, p_proofs);
    end if;
    for v_ord in 1 .. cardinality(p_attempts) loop
        ord := v_ord;
        fault := null; detail := null; status := null; job := null;
        if ord = any (v_plain) then
            status := 'completed';
        else
            select x.* into a from fleet.attempt x where x.attempt = p_attempts[ord];
            fault := coalesce(fleet.owner_fault(a, a.task = any (v_held), p_node, p_epochs[ord]),
                              case when v_several and a.ended_at is null and not fleet.hold_judged(a) then '55P03' end);
            detail := fleet.owner_text(fault, p_attempts[ord], p_epochs[ord], a.epoch);
            if fault is null then
                begin
                    status := fleet.finish_any(a, p_outcomes[ord], p_reasons[ord], p_exits[ord], p_signals[ord], p_reports[ord],
                                               p_resets_at[ord], p_proofs[ord]);
                exception when others then
                    fault := sqlstate; detail := sqlerrm;
                end;
            end if;
        end if;
        return next;
    end loop;
    if cardinality(v_new) > 0 then
        return query select null::int, null::text, null::text, null::text, j from fleet.job_rows(v_new) j;
    end if;
end $$;
comment on function fleet.turn is 'The proven ends of runs, of each the task''s new status, repeated the same; and tasks for their slots.';

-- The same without a wish for more.
create function fleet.finish_runs(p_node uuid, p_attempts bigint[], p_epochs int[], p_outcomes text[], p_reasons text[], p_exits int[],
                                  p_signals int[], p_reports jsonb[], p_resets_at bigint[], p_proofs text[])
    returns table (ord int, fault text, detail text, status text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query select t.ord, t.fault, t.detail, t.status
                 from fleet.turn(p_node, p_attempts, p_epochs, p_outcomes, p_reasons, p_exits, p_signals, p_reports, p_resets_at, p_proofs, 0) t;
end $$;
comment on function fleet.finish_runs is 'The proven ends of runs; of each the task''s new status, repeated the same.';

create function fleet.finish_run(p_node uuid, p_attempt bigint, p_epoch int, p_outcome text, p_reason text, p_exit int, p_signal int,
                                 p_report jsonb, p_resets_at bigint, p_proof text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare r record;
begin
    perform fleet.wait_for_task(p_attempt);
    select * into r from fleet.finish_runs(p_node, array[p_attempt], array[p_epoch], array[p_outcome], array[p_reason], array[p_exit],
                                           array[p_signal], array[p_report], array[p_resets_at], array[p_proof]);
    perform fleet.raise_fault(r.fault, r.detail);
    return r.status;
end $$;
comment on function fleet.finish_run(uuid, bigint, int, text, text, int, int, jsonb, bigint, text) is
    'The proven end of one run, for who waits for its task; else finish_runs().';

-- The same for workers of the release before.
create function fleet.finish(p_node uuid, p_attempt bigint, p_epoch int, p_outcome text, p_reason text, p_exit int, p_signal int,
                             p_session_id text default null, p_summary text default null, p_error text default null,
                             p_stopped text default null, p_input_tokens bigint default null,
                             p_cached_input_tokens bigint default null, p_output_tokens bigint default null,
                             p_reasoning_tokens bigint default null, p_retry_at bigint default null,
                             p_proof text default null) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
begin
    return fleet.finish_run(p_node, p_attempt, p_epoch, p_outcome, p_reason, p_exit, p_signal, jsonb_build_object(
        'session_id', p_session_id, 'summary', p_summary, 'error', p_error, 'stopped', p_stopped, 'tokens', jsonb_build_object(
            'input', p_input_tokens, 'cached_input', p_cached_input_tokens, 'output', p_output_tokens, 'reasoning', p_reasoning_tokens)),
        p_retry_at, p_proof);
end $$;
comment on function fleet.finish(uuid, bigint, int, text, text, int, int, text, text, text, text, bigint, bigint, bigint, bigint,
                                bigint, text) is 'finish_run() for workers of the release before.';

-- Gives back what was claimed and of whose start the caller knows that not a byte left it. Of a start that an owner before it
-- announced it cannot know.
create function fleet.release(p_node uuid, p_attempt bigint, p_epoch int, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
begin
    if a.ended_at is null and a.phase <> 'claimed' and (a.started_at is not null or a.starting_epoch is distinct from p_epoch) then
        raise exception 'attempt % may have started: only its host can say', p_attempt using errcode = 'AF001',
            hint = 'ask the host for a tombstone, then void_confirmed()';
    end if;
    return coalesce(fleet.ended_before(a, 'released'), fleet.end_attempt(a, 'released', p_reason, null, null, null));
end $$;

-- The host left a tombstone: the run never started and never will.
create function fleet.void_confirmed(p_node uuid, p_attempt bigint, p_epoch int, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
begin
    if a.ended_at is null and a.started_at is not null then
        raise exception 'attempt % was seen running: no tombstone can be true', p_attempt using errcode = 'AF001';
    end if;
    return coalesce(fleet.ended_before(a, 'released'), fleet.end_attempt(a, 'released', p_reason, null, null, null));
end $$;
