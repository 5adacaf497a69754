-- The only ways by which a task's status and history change. Callers hold the task's row lock.
-- (Small helpers of hot paths are PL/pgSQL: a function in SQL that is not inlined is planned at every call.)

create function fleet.note(p_task bigint, p_event text, p_number int, p_actor text, p_payload jsonb default null)
    returns void language plpgsql as $$
begin
    insert into fleet.event (task, event_type, attempt, actor, payload)
    values (p_task, p_event, p_number, p_actor, p_payload);
    perform fleet.mark(p_task);
end $$;

-- Changes the status and writes its event. Changing to the present status does nothing.
create function fleet.move(p_task bigint, p_to text, p_event text, p_number int, p_actor text, p_payload jsonb default null)
    returns void language plpgsql as $$
declare v_from text;
begin
    select status into strict v_from from fleet.task where task = p_task;
    if v_from = p_to then
        return;
    end if;
    update fleet.task
    set status = p_to, changed_at = now(),
        started_at = case when p_to = 'running' then coalesce(started_at, now()) when p_to = 'created' then null else started_at end,
        completed_at = case when p_to in ('completed', 'failed', 'cancelled') then now() end,
        executor = case when p_to <> 'created' then executor end,
        hold = case when p_to = 'created' then hold end, hold_at = case when p_to = 'created' then hold_at end
    where task = p_task;
    -- what waits is found by queue and delayed, what runs by its attempt, the rest here
    if v_from not in ('created', 'assigned', 'running', 'agent_lost') then
        delete from fleet.ended where status = v_from and task = p_task;
    end if;
    if p_to not in ('created', 'assigned', 'running', 'agent_lost') then
        insert into fleet.ended (status, task) values (p_to, p_task);
        delete from fleet.pin where task = p_task;
    end if;
    insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
    values (p_task, p_event, v_from, p_to, p_number, p_actor, p_payload);
    perform fleet.mark(p_task, p_to in ('completed', 'failed', 'cancelled'));
end $$;

-- New tasks are found by their labels; and one that has got others (t: as it was).
create function fleet.index_labels(p_tasks bigint[]) returns void
    language plpgsql as $$
begin
    insert into fleet.task_label (label, task)
    select l, t.task from fleet.task t, unnest(t.labels) l where t.task = any (p_tasks)
    order by t.task
    on conflict do nothing; -- a label may be there twice
end $$;

create function fleet.reindex_labels(t fleet.task) returns void
    language plpgsql as $$
begin
    delete from fleet.task_label where label = any (t.labels) and task = t.task;
    perform fleet.index_labels(array[t.task]);
end $$;

create function fleet.transition_guard() returns trigger
    language plpgsql as $$
begin
    if not exists (select from fleet.transition t where t.from_status = old.status and t.to_status = new.status) then
        raise exception 'task % cannot go from % to %', old.task_id, old.status, new.status using errcode = 'AF001';
    end if;
    return new;
end $$;

-- The edges stand in the body of a function as well, so that the guard is called only for those that are none. (In the trigger's
-- condition they would be read anew with each update.)
create function fleet.is_edge(p_from text, p_to text) returns boolean
    language plpgsql immutable as $$ begin return false; end $$;
do $$
begin
    execute format('create or replace function fleet.is_edge(p_from text, p_to text) returns boolean language plpgsql immutable as
        $f$ begin return p_from || '' '' || p_to = any (%L::text[]); end $f$',
        (select array_agg(from_status || ' ' || to_status order by 1) from fleet.transition));
end $$;
create trigger transition_guard before update of status on fleet.task for each row
    when (old.status is distinct from new.status and not fleet.is_edge(old.status, new.status))
    execute function fleet.transition_guard();

-- Puts a created task where it waits: in its lane, or aside until p_run_at; for as long as it is held when a person's act ends that.
create function fleet.enqueue(p_task bigint, p_run_at timestamptz) returns void
    language plpgsql as $$
begin
    update fleet.task set run_at = p_run_at where task = p_task and run_at <> p_run_at;
    if exists (select from fleet.task where task = p_task and fleet.holds_back(hold)) then
        insert into fleet.delayed (run_at, task) values ('infinity', p_task);
    elsif p_run_at > now() then
        insert into fleet.delayed (run_at, task) values (p_run_at, p_task);
    else
        insert into fleet.queue (lane, prio, task) select lane, -priority, task from fleet.task where task = p_task;
    end if;
end $$;

create function fleet.dequeue(p_task bigint) returns void
    language sql
begin atomic
    delete from fleet.queue q using fleet.task t
    where t.task = p_task and q.lane = t.lane and q.prio = -t.priority and q.task = t.task;
    delete from fleet.delayed where task = p_task;
end;
