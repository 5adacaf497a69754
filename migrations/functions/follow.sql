-- Follow-ups: what people ask of a task when a run has ended, and where it goes on: at the executor that has its session and workspace,
-- as long as that is there, and for follow_pin_ms.

-- What an attempt is told beyond its task: nulls when nothing.
create type fleet.told as (kind text, question text, text text, shown text, asked_by text, asked_at timestamptz);

create function fleet.told_to(p_task bigint, p_number int) returns fleet.told
    language plpgsql stable as $$
declare v_told fleet.told;
begin
    select (array_agg(f.kind order by f.follow desc))[1], (array_agg(f.question order by f.follow desc))[1],
           string_agg(f.text, repeat(chr(10), 2) order by f.follow), string_agg(f.shown, repeat(chr(10), 2) order by f.follow),
           (array_agg(f.asked_by order by f.follow desc))[1], max(f.asked_at)
    into v_told
    from fleet.follow f where f.task = p_task and f.number < p_number and coalesce(f.last >= p_number, true);
    return v_told;
end $$;

-- Does a person want more of the task than its last run was told?
create function fleet.follow_wanted(t fleet.task) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from fleet.follow f where f.task = t.task and f.number = t.attempt_number and f.last is null);
end $$;

-- Was its last run to do something that a person wants, and did not end well?
create function fleet.follow_open(t fleet.task) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from fleet.follow f where f.task = t.task and f.number < t.attempt_number and f.last is null);
end $$;

-- What a run that ended well was told is not told to the next; nor is anything when a task begins anew (p_all).
create function fleet.close_follow(t fleet.task, p_all boolean) returns void
    language plpgsql as $$
begin
    update fleet.follow f set last = t.attempt_number
    where f.task = t.task and f.last is null
      and (p_all or exists (select from fleet.attempt x
                            where x.task = t.task and x.number > f.number and x.outcome in ('succeeded', 'no_change')));
end $$;

-- ---------------------------------------------------------------- where it goes on

-- The lane of the executor which has what the last run of a task left, until p_from and follow_pin_ms; null: there is no such, or it is
-- not given work. Whoever holds the latch may be waiting for this task: then the preference is let go. Under the task's lock.
create function fleet.lane_of_last(t fleet.task, p_from timestamptz) returns int
    language plpgsql as $$
declare
    a fleet.attempt;
    e fleet.executor;
begin
    delete from fleet.pin where task = t.task;
    select * into a from fleet.attempt x where x.task = t.task and x.started_at is not null order by x.number desc limit 1;
    if not found or a.abandoned_at is not null or fleet.get('follow_pin_ms') = 0
       or not exists (select from fleet.executor_now x where x.executor = a.executor and x.status in ('online', 'offline', 'resting')) then
        return null;
    end if;
    select * into strict e from fleet.executor where executor = a.executor;
    if fleet.incapable(t, t.execution_mode, e) is not null then
        return null;
    end if;
    perform from fleet.latch where name = 'lanes' for update skip locked;
    if not found then
        return null;
    end if;
    insert into fleet.pin (task, executor, ordinal, until) values (t.task, e.executor, a.ordinal, p_from + fleet.ms('follow_pin_ms'));
    return fleet.lane_for(t.requirements, t.execution_mode, t.repo, '{}', e.executor);
end $$;

-- The task is for any executor again. Answers its lane.
create function fleet.leave_pin(t fleet.task) returns int
    language plpgsql as $$
begin
    delete from fleet.pin where task = t.task;
    if found then
        t.lane := fleet.lane_for(t.requirements, t.execution_mode, t.repo);
        update fleet.task set lane = t.lane where task = t.task;
    end if;
    return t.lane;
end $$;

-- Who waited long enough for the executor that has its session, or whose executor is not given work any more, takes any. Answers how many.
create function fleet.unpin() returns int
    language plpgsql as $$
declare
    v_executors int[] := array(select distinct p.executor from fleet.pin p);
    v_here int[];
    t record;
    v_count int := 0;
begin
    if v_executors = '{}' then
        return 0; -- as it is nearly always
    end if;
    v_here := array(select x.executor from fleet.executor_now x
                    where x.executor = any (v_executors) and x.status in ('online', 'offline', 'resting'));
    for t in
        select x.task, x.run_at, p.executor as pinned from fleet.pin p join fleet.task x on x.task = p.task
        where x.status = 'created' and (p.until <= now() or p.executor <> all (v_here))
        order by x.task limit 1000
        for update of x skip locked
    loop
        perform from fleet.latch where name = 'lanes' for update skip locked;
        exit when not found;
        perform fleet.dequeue(t.task);
        perform fleet.leave_pin(x) from fleet.task x where x.task = t.task;
        perform fleet.enqueue(t.task, t.run_at);
        perform fleet.note(t.task, 'unpinned', null, null, jsonb_build_object(
            'agent_id', (select e.agent_id from fleet.executor e where e.executor = t.pinned)));
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- A person wants more of it: back to waiting, its counters anew. Under the task's lock.
create function fleet.go_on(t fleet.task, p_actor text) returns void
    language plpgsql as $$
begin
    update fleet.task
    set retry_count = 0, attempts = 0, release_count = 0, review_count = review_count + (exists (
            select from fleet.follow f where f.task = t.task and f.number = t.attempt_number and f.last is null and f.counted))::int
    where task = t.task;
    perform fleet.close_follow(t, false);
    perform fleet.again(t, 'follow_up', p_actor, jsonb_build_object('kind', (fleet.told_to(t.task, t.attempt_number + 1)).kind), true);
    perform fleet.hint(); -- not wake(): who goes to sleep before this commits is not seen here
end $$;
