-- Why a task is not running, in words; and whether the invariants hold. After the views.

create function fleet.explain_task(p_task_id text) returns table (agent_id text, can_take boolean, reason text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set jit = off as $$ -- which would compile for longer than it runs
#variable_conflict use_column
begin
    return query
        select null, false, w from fleet.task t, unnest(fleet.lane_warnings(t.lane)) w
        where t.task_id = p_task_id and t.status = 'created' and exists (select from fleet.executor);
    return query
        select x.agent_id, x.can_take, x.reason from fleet.explanations x
        where x.task_id = p_task_id order by x.can_take desc, x.agent_id;
    if not found then
        raise exception 'there is no task %', p_task_id using errcode = 'AF003';
    end if;
end $$;
comment on function fleet.explain_task(text) is 'Why a task is not running: one row per executor, in words.';

-- How many rows each check_* view has; all must be 0.
create function fleet.check_all() returns table (name text, faults bigint)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    for name in
        select c.relname from pg_class c
        where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'v' and starts_with(c.relname, 'check_') order by 1
    loop
        execute format('select count(*) from fleet.%I', name) into faults;
        return next;
    end loop;
end $$;
comment on function fleet.check_all() is 'The invariants: one row per check_* view with the number of its faults.';
