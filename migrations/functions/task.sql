-- What people do to a task: cancel, retry.

-- Takes a waiting task out. Under the task's lock.
create function fleet.cancel_waiting(p_task bigint, p_reason text, p_why text, p_actor text) returns void
    language plpgsql as $$
begin
    perform fleet.dequeue(p_task);
    update fleet.task set cancel_at = now(), cancel_by = p_actor, cancel_reason = p_why, failure_reason = p_reason where task = p_task;
    perform fleet.move(p_task, 'cancelled', 'cancelled', null, p_actor, jsonb_build_object('reason', coalesce(p_why, p_reason)));
end $$;

-- Records the wish to stop; whoever owns the attempt is told by renew(). Under the task's lock.
create function fleet.ask_cancel(t fleet.task, p_why text, p_actor text) returns void
    language plpgsql as $$
begin
    if t.cancel_at is null then
        update fleet.task set cancel_at = now(), cancel_by = p_actor, cancel_reason = p_why where task = t.task;
        perform fleet.note(t.task, 'cancel_requested', t.attempt_number, p_actor, jsonb_build_object('reason', p_why));
    end if;
end $$;

-- Verdicts, never an error for what a task is: a statement over many tasks must not fail at the first that has ended.
create function fleet.cancel_task(p_task_id text, p_reason text, p_actor text) returns text
    language plpgsql as $$
declare t fleet.task;
begin
    select * into t from fleet.task where task_id = p_task_id for update;
    if not found then
        return 'not_found';
    elsif t.status = 'created' then
        perform fleet.cancel_waiting(t.task, 'cancelled', p_reason, p_actor);
        return 'cancelled';
    elsif t.status in ('completed', 'failed', 'cancelled') then
        return 'ended';
    end if;
    perform fleet.ask_cancel(t, p_reason, p_actor);
    return 'cancelling';
end $$;

create function fleet.cancel(p_task_id text, p_reason text default null) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
begin
    return fleet.cancel_task(p_task_id, p_reason, fleet.caller());
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.cancel(text, text) is
    'Cancels a waiting task (cancelled) or asks for its run to be stopped (cancelling); or answers ended, not_found, busy (try again).';

create function fleet.cancel_by_token(p_token_id bigint, p_task_id text, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
begin
    if not fleet.token_reaches(p_token_id, p_task_id) then
        return 'forbidden';
    end if;
    return fleet.cancel_task(p_task_id, p_reason, fleet.token_actor(p_token_id));
end $$;

-- Back to created with fresh facts; attempt numbers go on. Under the task's lock.
create function fleet.again(t fleet.task, p_event text, p_actor text, p_payload jsonb) returns void
    language plpgsql as $$
begin
    update fleet.task
    set cancel_at = null, cancel_by = null, cancel_reason = null, failure_reason = null, assigned_at = null,
        lane = fleet.lane_for(requirements, execution_mode, repo) -- its old one may be gone
    where task = t.task;
    perform fleet.move(t.task, 'created', p_event, t.attempt_number, p_actor, p_payload);
    perform fleet.enqueue(t.task, now());
end $$;

-- Gives up an attempt that is not proven ended: it keeps its slot and a standing wish to be killed, and settles nothing any more.
create function fleet.abandon(p_attempt bigint, p_why text, p_actor text) returns void
    language plpgsql as $$
declare a fleet.attempt;
begin
    update fleet.attempt set abandoned_at = now(), abandoned_by = p_actor, abandoned_reason = p_why
    where attempt = p_attempt returning * into strict a;
    perform fleet.note(a.task, 'abandoned', a.number, p_actor, jsonb_build_object('reason', p_why, 'epoch', a.epoch));
end $$;

-- Verdicts as those of cancel_task().
create function fleet.retry_task(p_task_id text, p_force boolean, p_abandon text, p_actor text) returns text
    language plpgsql as $$
declare
    t fleet.task;
    v_force boolean := coalesce(p_force, false);
    v_live bigint;
begin
    select * into t from fleet.task where task_id = p_task_id for update;
    if not found then
        return 'not_found';
    end if;
    select attempt into v_live from fleet.attempt where task = t.task and ended_at is null and abandoned_at is null;
    if t.status = 'created' then
        return 'waiting';
    elsif t.status = 'completed' and not v_force then
        return 'completed';
    elsif v_live is not null and coalesce(p_abandon, '') = '' then
        return 'not_proven_ended';
    elsif not v_force and (t.retry_count >= t.max_retries or t.attempts >= t.max_attempts_total) then
        return 'retries_exhausted';
    end if;
    if v_live is not null then
        perform fleet.abandon(v_live, p_abandon, p_actor);
    end if;
    update fleet.task
    set retry_count = case when v_force then 0 else retry_count + 1 end,
        attempts = case when v_force then 0 else attempts end, release_count = 0
    where task = t.task;
    perform fleet.again(t, 'retried', p_actor, jsonb_build_object('force', v_force));
    perform fleet.hint(); -- not wake(): who goes to sleep before this commits is not seen here
    return 'created';
end $$;

create function fleet.retry(p_task_id text, p_force boolean default false, p_abandon text default null) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
begin
    return fleet.retry_task(p_task_id, p_force, p_abandon, fleet.caller());
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.retry(text, boolean, text) is
    'Runs an ended task again (created). force: counters anew. A reason to abandon: although its run is not proven ended. Or answers'
    ' waiting, completed (only force), not_proven_ended, retries_exhausted, not_found, busy (try again).';

create function fleet.retry_by_token(p_token_id bigint, p_task_id text, p_force boolean, p_abandon text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
begin
    if not fleet.token_reaches(p_token_id, p_task_id) then
        return 'forbidden';
    end if;
    return fleet.retry_task(p_task_id, p_force, p_abandon, fleet.token_actor(p_token_id));
end $$;

-- The task of an attempt that a person gave up without another one following: cancelled when that was asked, else failed.
create function fleet.give_up(t fleet.task, a fleet.attempt, p_actor text) returns void
    language plpgsql as $$
declare v_to text := case when t.cancel_at is not null then 'cancelled' else 'failed' end;
begin
    update fleet.task set failure_reason = case v_to when 'failed' then 'abandoned' else v_to end where task = t.task;
    perform fleet.move(t.task, v_to, v_to, a.number, p_actor, '{"reason": "abandoned"}');
end $$;

-- Gives the slot of a run that is not proven ended to others, on a person's word, whatever its phase. The run is abandoned: it still is
-- to be stopped wherever it is found, and what comes of it is evidence only. Verdicts as those of cancel_task().
create function fleet.free_slot(p_task_id text, p_attempt int, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
declare
    t fleet.task;
    a fleet.attempt;
    v_actor text := fleet.caller();
begin
    if coalesce(p_reason, '') = '' then
        raise exception 'say why: fleet.free_slot(task_id, attempt, reason)' using errcode = 'AF007';
    end if;
    select * into t from fleet.task where task_id = p_task_id for update;
    select * into a from fleet.attempt where task = t.task and number = p_attempt;
    if not found then
        return 'not_found';
    elsif a.ended_at is not null then
        return 'ended';
    elsif a.freed_at is not null then
        return 'freed';
    end if;
    if a.abandoned_at is null then
        perform fleet.abandon(a.attempt, p_reason, v_actor);
    end if;
    update fleet.attempt set freed_at = now(), freed_by = v_actor, freed_reason = p_reason where attempt = a.attempt;
    perform fleet.vacate(a);
    perform fleet.note(t.task, 'slot_freed', a.number, v_actor, jsonb_build_object('reason', p_reason, 'phase', a.phase, 'epoch', a.epoch));
    if a.abandoned_at is null and t.status in ('assigned', 'running', 'agent_lost') then
        perform fleet.give_up(t, a, v_actor);
    end if;
    perform fleet.hint();
    return 'freed';
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.free_slot(text, int, text) is
    'Frees the slot of a run that nobody can prove ended (freed); it may go on all the same. Or answers ended, not_found, busy (try again).';
