-- One run of a task, from the claim to its start. Every call names (attempt, node, epoch); another owner's is fenced out: AF002.

create type fleet.job as (
    attempt bigint, task_id text, number int, epoch int, nonce text, phase text, run text, host_id text, agent_type text,
    title text, body text, labels text[], requirements text[], repo text, issue_number int, slug text, branch_name text,
    timeout_secs int, prompt text, command text, stdout_bytes bigint, stderr_bytes bigint, checkpoint text,
    cancel boolean, proven boolean, adopted_from text, adopted_silence_ms bigint,
    pid bigint, start text, boot text, machine text); -- the supervisor, as started() was told

-- The run is to be stopped: on request, because a person abandoned it or empties its host, or because its task has ended without it.
create function fleet.unwanted(t fleet.task, a fleet.attempt) returns boolean
    language sql immutable
begin atomic
    select t.cancel_at is not null or a.abandoned_at is not null or a.drained_at is not null or t.status in ('completed', 'failed', 'cancelled');
end;

create function fleet.job_rows(p_attempts bigint[]) returns setof fleet.job
    language plpgsql stable as $$
begin
    return query
    select a.attempt, t.task_id, a.number, a.epoch, a.nonce, a.phase, a.run, e.host_id, e.agent_type,
           t.title, t.body, t.labels, t.requirements, t.repo, t.issue_number, substr(t.branch_name, 6), t.branch_name,
           t.timeout_secs, a.prompt, a.command, a.stdout_bytes, a.stderr_bytes, a.checkpoint,
           fleet.unwanted(t, a), a.started_at is not null, a.adopted_from, a.adopted_silence_ms,
           (a.host_state ->> 'pid')::bigint, a.host_state ->> 'start', a.host_state ->> 'boot', a.host_state ->> 'machine'
    from fleet.attempt a
    join fleet.task t on t.task = a.task
    join fleet.executor e on e.executor = a.executor
    where a.attempt = any (p_attempts)
    order by -t.priority, t.task;
end $$;

-- What a node owns, of the attempts it names: also the answer to "am I still its owner, at which epoch?".
create function fleet.jobs(p_node uuid, p_attempts bigint[]) returns setof fleet.job
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select j.* from fleet.attempt a
    cross join lateral fleet.job_rows(array[a.attempt]) j
    where a.attempt = any (p_attempts) and a.node = p_node and a.ended_at is null;
end;

-- Locks the task, then answers the attempt if it is the caller's. The attempt may have ended already.
create function fleet.fence(p_node uuid, p_attempt bigint, p_epoch int) returns fleet.attempt
    language plpgsql as $$
declare a fleet.attempt;
begin
    perform fleet.wait_for_task(p_attempt);
    select * into a from fleet.attempt where attempt = p_attempt;
    if not found then
        raise exception 'there is no attempt %', p_attempt using errcode = 'AF003';
    end if;
    if a.node is distinct from p_node or a.epoch is distinct from p_epoch then
        raise exception 'attempt % has another owner since (epoch %, not %)', p_attempt, a.epoch, p_epoch
            using errcode = 'AF002';
    end if;
    perform fleet.node_check(p_node);
    return a;
end $$;

create function fleet.node_actor(p_node uuid) returns text
    language plpgsql stable as $$
begin
    return (select case kind when 'agent' then 'agent:' else 'node:' end || name from fleet.node where node = p_node);
end $$;

-- The same of one that lives; AF002 when it does not.
create function fleet.live_actor(p_node uuid) returns text
    language plpgsql stable as $$
declare v_actor text := (select case n.kind when 'agent' then 'agent:' else 'node:' end || n.name from fleet.node n
                         where n.node = p_node and n.dead_at is null and n.stopped_at is null);
begin
    if v_actor is null then
        perform fleet.node_check(p_node);
    end if;
    return v_actor;
end $$;

-- ---------------------------------------------------------------- of many runs at once: an answer for each by its place

-- `fault` null: it is done; else the SQLSTATE that says why not: 55P03, somebody holds the task (to be said again soon); AF003, there is
-- no such attempt; AF002, another owner's; AF001, AF004, …

-- Locks the tasks of these attempts, in one order; waits for nobody.
create function fleet.hold_tasks(p_attempts bigint[]) returns bigint[]
    language plpgsql as $$
begin
    return array(select t.task from fleet.task t
                 where t.task = any (array(select a.task from fleet.attempt a where a.attempt = any (p_attempts)))
                 order by t.task for update skip locked);
end $$;

-- The fault of one, from what is known of it.
create function fleet.owner_fault(a fleet.attempt, p_held boolean, p_node uuid, p_epoch int) returns text
    language sql immutable
begin atomic
    select case when a.attempt is null then 'AF003' when not p_held then '55P03'
                when a.node is distinct from p_node or a.epoch is distinct from p_epoch then 'AF002' end;
end;

create function fleet.owner_text(p_fault text, p_attempt bigint, p_epoch int, p_owner_epoch int) returns text
    language sql stable
begin atomic
    select case p_fault
        when 'AF003' then 'there is no attempt ' || coalesce(p_attempt::text, 'null')
        when '55P03' then format('somebody holds the task of attempt %s, or its executor, slot or account', p_attempt)
        when 'AF002' then format('attempt %s has another owner since (epoch %s, not %s)', p_attempt, p_owner_epoch, p_epoch) end;
end;

-- Raises what a batch form says of the only item, for those who say one thing at a time.
create function fleet.raise_fault(p_fault text, p_detail text) returns void
    language plpgsql immutable as $$
begin
    if p_fault is not null then
        raise exception '%', p_detail using errcode = p_fault;
    end if;
end $$;

-- For those who wait: the task of an attempt, locked.
create function fleet.wait_for_task(p_attempt bigint) returns void
    language plpgsql as $$
begin
    perform from fleet.task t where t.task = (select a.task from fleet.attempt a where a.attempt = p_attempt) for update;
end $$;

-- Committed before the first byte of a start. The first stored run, command and prompt win: a new owner starts the very same run.
create function fleet.starting_runs(p_node uuid, p_attempts bigint[], p_epochs int[], p_runs text[], p_commands text[], p_prompts text[])
    returns table (ord int, fault text, detail text, verdict text, run text, command text, prompt text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_held bigint[] := fleet.hold_tasks(p_attempts);
    v_actor text := fleet.live_actor(p_node);
begin
    return query
    with said as materialized (
        select i.ord::int as ord, i.attempt, i.epoch, i.run, i.command, i.prompt, a.epoch as owner_epoch, a.run as stored_run,
               a.command as stored_command, a.prompt as stored_prompt, t.issue is not null as told, fleet.unwanted(t, a) as unwanted,
               coalesce(fleet.owner_fault(a, a.task = any (v_held), p_node, i.epoch), case when a.ended_at is not null then 'AF001' end) as fault
        from unnest(p_attempts, p_epochs, p_runs, p_commands, p_prompts) with ordinality i (attempt, epoch, run, command, prompt, ord)
        left join fleet.attempt a on a.attempt = i.attempt
        left join fleet.task t on t.task = a.task
    ), announced as (
        update fleet.attempt x
        set phase = 'starting', starting_at = now(), starting_epoch = s.epoch, run = s.run, command = s.command, prompt = s.prompt
        from said s
        where x.attempt = s.attempt and s.fault is null and not s.unwanted and x.phase = 'claimed'
        returning x.attempt, x.task, x.number, x.epoch, x.run, x.command, x.prompt, s.told
    ), noted as (
        insert into fleet.event (task, event_type, attempt, actor, payload)
        select n.task, 'starting', n.number, v_actor, jsonb_build_object('epoch', n.epoch, 'run', n.run) from announced n
    )
    select s.ord, s.fault,
           case s.fault when 'AF001' then format('attempt %s has ended', s.attempt) else fleet.owner_text(s.fault, s.attempt, s.epoch, s.owner_epoch) end,
           case when s.fault is null then case when s.unwanted then 'cancel' else 'go' end end,
           case when n.attempt is not null then n.run when s.fault is null then s.stored_run end,
           case when n.attempt is not null then n.command when s.fault is null then s.stored_command end,
           case when n.attempt is not null then n.prompt when s.fault is null then s.stored_prompt end
    from said s left join announced n on n.attempt = s.attempt and s.fault is null, fleet.mark_all(array(select n.task from announced n where n.told), false)
    order by s.ord;
end $$;
comment on function fleet.starting_runs is 'Announces starts, before the first byte of them; an answer for each.';

create function fleet.starting(p_node uuid, p_attempt bigint, p_epoch int, p_run text, p_command text, p_prompt text)
    returns table (verdict text, run text, command text, prompt text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare r record;
begin
    perform fleet.wait_for_task(p_attempt);
    select * into r from fleet.starting_runs(p_node, array[p_attempt], array[p_epoch], array[p_run], array[p_command], array[p_prompt]);
    perform fleet.raise_fault(r.fault, r.detail);
    return query select r.verdict, r.run, r.command, r.prompt;
end $$;

-- The host says that these runs were started: from now on that is proven. Repeatable.
create function fleet.started_runs(p_node uuid, p_attempts bigint[], p_epochs int[], p_pids bigint[], p_starts text[], p_boots text[],
                                   p_machines text[])
    returns table (ord int, fault text, detail text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_held bigint[] := fleet.hold_tasks(p_attempts);
    v_actor text := fleet.live_actor(p_node);
begin
    return query
    with said as materialized (
        select i.ord::int as ord, i.attempt, i.epoch, i.pid, i.start, i.boot, i.machine, a.epoch as owner_epoch, t.status, t.issue is not null as told,
               coalesce(fleet.owner_fault(a, a.task = any (v_held), p_node, i.epoch),
                        case when a.ended_at is null and a.phase = 'claimed' then 'AF001' end) as fault
        from unnest(p_attempts, p_epochs, p_pids, p_starts, p_boots, p_machines) with ordinality i (attempt, epoch, pid, start, boot, machine, ord)
        left join fleet.attempt a on a.attempt = i.attempt
        left join fleet.task t on t.task = a.task
    ), proven as (
        update fleet.attempt x
        set phase = case when x.phase = 'stopping' then x.phase else 'running' end, phase_reason = null, unreachable_at = null, unseen_ms = 0,
            looked_at = null, started_at = coalesce(x.started_at, now()),
            host_state = coalesce(nullif(jsonb_strip_nulls(jsonb_build_object('pid', s.pid, 'start', s.start, 'boot', s.boot,
                                                                              'machine', s.machine)), '{}'), x.host_state)
        from said s
        where x.attempt = s.attempt and s.fault is null and x.ended_at is null
        returning x.task, x.number, x.epoch, x.abandoned_at is null and s.status in ('assigned', 'agent_lost') as moves, s.status, s.told
    ), moved as (
        update fleet.task t
        set status = 'running', changed_at = now(), started_at = coalesce(t.started_at, now()), hold = null, hold_at = null
        from proven p where t.task = p.task and p.moves
    ), noted as (
        insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
        select p.task, 'running', p.status, 'running', p.number, v_actor, jsonb_build_object('epoch', p.epoch) from proven p where p.moves
    )
    select s.ord, s.fault,
           case s.fault when 'AF001' then format('attempt %s was not announced by starting()', s.attempt)
                        else fleet.owner_text(s.fault, s.attempt, s.epoch, s.owner_epoch) end
    from said s, fleet.mark_all(array(select p.task from proven p where p.moves and p.told), false)
    order by s.ord;
end $$;
comment on function fleet.started_runs is 'Hosts say that runs were started; an answer for each.';

create function fleet.started(p_node uuid, p_attempt bigint, p_epoch int, p_pid bigint default null, p_start text default null,
                              p_boot text default null, p_machine text default null) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare r record;
begin
    perform fleet.wait_for_task(p_attempt);
    select * into r from fleet.started_runs(p_node, array[p_attempt], array[p_epoch], array[p_pid], array[p_start], array[p_boot],
                                            array[p_machine]);
    perform fleet.raise_fault(r.fault, r.detail);
end $$;

-- What the owner sees of a run that was announced, its start proven or not: running, unreachable (with a reason), or stopping. Never
-- the end of it.
create function fleet.phase(p_node uuid, p_attempt bigint, p_epoch int, p_phase text, p_reason text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
    v_phase text := p_phase;
begin
    if p_phase is null or p_phase not in ('running', 'unreachable', 'stopping') then
        raise exception 'no such phase: %', p_phase using errcode = 'AF007';
    end if;
    if a.ended_at is not null or (a.phase = p_phase and a.phase_reason is not distinct from p_reason) then
        return;
    end if;
    if a.phase = 'claimed' then
        v_phase := 'claimed'; -- nothing was sent yet: release() gives it back
    elsif p_phase <> 'unreachable' and a.started_at is null then
        v_phase := 'starting';
    elsif p_phase = 'running' and a.phase = 'stopping' then
        v_phase := 'stopping'; -- a stop that was sent stays sent, whoever owns the run now
    end if;
    update fleet.attempt
    set phase = v_phase, phase_reason = p_reason,
        unreachable_at = case when v_phase = 'unreachable' then coalesce(unreachable_at, now()) end,
        unseen_ms = case when v_phase = 'unreachable' then unseen_ms else 0 end,
        looked_at = case when v_phase = 'unreachable' then looked_at end
    where attempt = p_attempt;
    if v_phase <> a.phase then
        perform fleet.note(a.task, case when a.phase = 'unreachable' then 'reachable' else v_phase end, a.number, fleet.node_actor(p_node),
                           jsonb_build_object('epoch', a.epoch, 'reason', p_reason));
    end if;
    if v_phase <> 'unreachable' and a.abandoned_at is null
       and (select status = 'agent_lost' from fleet.task where task = a.task) then
        perform fleet.move(a.task, case when a.started_at is null then 'assigned' else 'running' end, 'reachable',
                           a.number, fleet.node_actor(p_node));
    end if;
end $$;
