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
    perform from fleet.task t
    where t.task = (select x.task from fleet.attempt x where x.attempt = p_attempt) for update;
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

-- Committed before the first byte of the start. The first stored run, command and prompt win: a new owner starts the very same run.
create function fleet.starting(p_node uuid, p_attempt bigint, p_epoch int, p_run text, p_command text, p_prompt text)
    returns table (verdict text, run text, command text, prompt text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
    v_verdict text := 'go';
begin
    if a.ended_at is not null then
        raise exception 'attempt % has ended', p_attempt using errcode = 'AF001';
    end if;
    if (select fleet.unwanted(t, a) from fleet.task t where t.task = a.task) then
        v_verdict := 'cancel';
    elsif a.phase = 'claimed' then
        update fleet.attempt x
        set phase = 'starting', starting_at = now(), starting_epoch = p_epoch, run = p_run, command = p_command, prompt = p_prompt
        where x.attempt = p_attempt
        returning * into a;
        perform fleet.note(a.task, 'starting', a.number, fleet.node_actor(p_node),
                           jsonb_build_object('epoch', a.epoch, 'run', a.run));
    end if;
    return query select v_verdict, a.run, a.command, a.prompt;
end $$;

-- The host says that the run was started: from now on that is proven. Repeatable.
create function fleet.started(p_node uuid, p_attempt bigint, p_epoch int, p_pid bigint default null, p_start text default null,
                              p_boot text default null, p_machine text default null) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
    v_host jsonb := jsonb_strip_nulls(jsonb_build_object('pid', p_pid, 'start', p_start, 'boot', p_boot, 'machine', p_machine));
begin
    if a.ended_at is not null then
        return;
    end if;
    if a.phase = 'claimed' then
        raise exception 'attempt % was not announced by starting()', p_attempt using errcode = 'AF001';
    end if;
    update fleet.attempt
    set phase = case when phase = 'stopping' then phase else 'running' end, phase_reason = null, unreachable_at = null, unseen_ms = 0,
        looked_at = null, started_at = coalesce(started_at, now()), host_state = coalesce(nullif(v_host, '{}'), host_state)
    where attempt = p_attempt;
    if a.abandoned_at is null and (select status in ('assigned', 'agent_lost') from fleet.task where task = a.task) then
        perform fleet.move(a.task, 'running', 'running', a.number, fleet.node_actor(p_node), jsonb_build_object('epoch', a.epoch));
    end if;
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
