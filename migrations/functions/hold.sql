-- Holds: why a task that could start waits all the same. Under the task's lock.

-- Does a hold end by somebody's act only? The others end by time: then the claim looks again.
create function fleet.holds_back(p_hold text) returns boolean
    language plpgsql immutable as $$
begin
    return coalesce(p_hold in ('permission_pending', 'needs_approval', 'text_changed'), false);
end $$;

-- History tells of holds, but not of more than 20 a day: whoever may edit an issue could write history without end.
create function fleet.note_hold(p_task bigint, p_event text, p_actor text, p_payload jsonb) returns void
    language plpgsql as $$
begin
    if (select count(*) from (select from fleet.event e
                              where e.task = p_task and e.event_type in ('held', 'hold_lifted', 'text_taken', 'labels_refused')
                                and e.at > now() - interval '1 day' limit 20) x) < 20 then
        perform fleet.note(p_task, p_event, null, p_actor, p_payload);
    else
        perform fleet.mark(p_task);
    end if;
end $$;

-- A waiting task is held; p_until for holds that end by time. Reading is an everyday matter and no history.
create function fleet.put_hold(p_task bigint, p_hold text, p_actor text, p_why text default null, p_until timestamptz default null)
    returns void language plpgsql as $$
declare t fleet.task;
begin
    select * into strict t from fleet.task where task = p_task;
    if t.status <> 'created' or t.hold = p_hold and p_until is null then
        return;
    end if;
    perform fleet.dequeue(p_task);
    update fleet.task set hold = p_hold, hold_at = case when hold = p_hold then hold_at else now() end where task = p_task;
    perform fleet.enqueue(p_task, coalesce(p_until, t.run_at));
    if t.hold is distinct from p_hold and p_hold <> 'reading' then
        perform fleet.note_hold(p_task, 'held', p_actor, jsonb_strip_nulls(jsonb_build_object(
            'hold', p_hold, 'why', p_why, 'until', fleet.utc(p_until))));
    end if;
end $$;

-- It waits as any other.
create function fleet.lift_hold(p_task bigint, p_actor text) returns void
    language plpgsql as $$
declare t fleet.task;
begin
    select * into strict t from fleet.task where task = p_task;
    if t.status <> 'created' or t.hold is null then
        return;
    end if;
    perform fleet.dequeue(p_task);
    update fleet.task set hold = null, hold_at = null where task = p_task;
    perform fleet.enqueue(p_task, case when fleet.holds_back(t.hold) then t.run_at else now() end);
    if t.hold <> 'reading' then
        perform fleet.note_hold(p_task, 'hold_lifted', p_actor, jsonb_build_object('hold', t.hold));
    end if;
    perform fleet.hint(); -- not wake(): who goes to sleep before this commits is not seen here
end $$;

-- ---------------------------------------------------------------- approval

-- A person lets a held task start with the text that its issue had before p_at: a change that was seen later, or in its second, is not what
-- was approved.
-- Verdicts as those of cancel_task(). It is that person's wish from now on, whoever labelled the issue.
create function fleet.approve_task(p_task_id text, p_actor text, p_at timestamptz default now()) returns text
    language plpgsql as $$
declare
    i fleet.issue;
    t fleet.task;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found then
        return 'not_found';
    end if;
    select * into i from fleet.issue where issue = t.issue; -- not locked: a look that is under way finds what was approved
    if t.status <> 'created' or coalesce(t.hold, '') not in ('needs_approval', 'text_changed') then
        return 'not_held';
    elsif (i.text_at is null or i.text_at < p_at) is not true or t.text_sha <> i.text_hash and i.offered is null then
        return 'text_changed';
    end if;
    if i.offered is not null then
        perform fleet.freeze_text(t.task, i.title, i.offered, i.text_hash);
    end if;
    update fleet.task set ask = null where task = t.task;
    perform fleet.note(t.task, 'approved', null, p_actor, jsonb_build_object('hold', t.hold, 'text', left(i.text_hash, 16)));
    perform fleet.lift_hold(t.task, p_actor);
    return 'approved';
end $$;

create function fleet.approve(p_task_id text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
declare v_verdict text;
begin
    v_verdict := fleet.approve_task(p_task_id, fleet.caller());
    if v_verdict = 'approved' then
        perform fleet.trail_psql('task_approve', p_task_id, null, jsonb_build_object('status', v_verdict));
    end if;
    return v_verdict;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.approve(text) is
    'Lets a task start that waits for approval, with the text of its issue as last read (approved). Or answers not_held, text_changed,'
    ' not_found, busy (try again).';

-- What nobody approves in time is cancelled. Answers how many.
create function fleet.expire_approvals(p_max int) returns int
    language plpgsql as $$
declare
    t fleet.task;
    v_count int := 0;
begin
    for t in
        select x.* from fleet.delayed d join fleet.task x on x.task = d.task
        where d.run_at = 'infinity' and x.hold in ('needs_approval', 'text_changed')
          and x.hold_at < now() - make_interval(days => fleet.get('approval_days')::int)
        limit p_max for update of x skip locked
    loop
        perform fleet.cancel_idle(t, 'approval_expired', null, 'fleet');
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;
