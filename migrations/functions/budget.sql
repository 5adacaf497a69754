-- The gate before the claim of an issue's task: how many runs a day there may be, and whether Forgejo was asked lately enough. It waits
-- for nobody.

-- When one more run would be within a limit; null: it is now. Of p_limit runs that may be within a day, the time of the one that has to
-- be a day old by then is p_at.
create function fleet.frees_at(p_limit bigint, p_at timestamptz) returns timestamptz
    language plpgsql immutable as $$
begin
    return case when p_limit > 0 then p_at + interval '1 day' end;
end $$;

-- When a task may start by the daily limits; null: now. Its sender's row is locked.
create function fleet.budget_free_at(t fleet.task, p_sender bigint) returns timestamptz
    language plpgsql stable as $$
declare
    v_issue int := fleet.get('runs_per_issue_day');
    v_sender int := fleet.get('runs_per_sender_day');
    v_all int := fleet.get('runs_per_day');
    v_since timestamptz := now() - interval '1 day';
begin
    return greatest(
        fleet.frees_at(v_issue, (select s.at from fleet.spent s where s.task = t.task and s.number <= t.attempt_number and s.at > v_since
                                 order by s.at desc offset greatest(v_issue - 1, 0) limit 1)),
        fleet.frees_at(v_sender, (select s.at from fleet.spent s
                                  where s.sender = p_sender and (s.task, s.number) <> (t.task, t.attempt_number + 1)
                                  and s.at > v_since order by s.at desc offset greatest(v_sender - 1, 0) limit 1)),
        fleet.frees_at(v_all, (select s.at from fleet.spent s where (s.task, s.number) <> (t.task, t.attempt_number + 1) and s.at > v_since
                               order by s.at desc offset greatest(v_all - 1, 0) limit 1)));
end $$;

-- Locks the sender's row, and that of all where all are counted together; false: somebody else counts there now.
create function fleet.take_sender(p_sender bigint) returns boolean
    language plpgsql as $$
begin
    perform from fleet.sender where sender = p_sender for update skip locked;
    if not found then
        if exists (select from fleet.sender where sender = p_sender) then
            return false;
        end if;
        insert into fleet.sender (sender) values (p_sender) on conflict do nothing;
    end if;
    if p_sender <> 0 and fleet.get('runs_per_day') > 0 then
        perform from fleet.sender where sender = 0 for update skip locked;
        return found;
    end if;
    return true;
end $$;

-- Puts a task aside at its claim. A claim does so with 100 at most, for there may be thousands that a limit keeps: the next one goes on.
create function fleet.gate(p_task bigint, p_hold text, p_until timestamptz) returns void
    language plpgsql as $$
begin
    perform fleet.put_hold(p_task, p_hold, null, null, p_until);
    perform set_config('fleet.gated', (fleet.gated() + 1)::text, true);
end $$;

create function fleet.gated() returns int
    language plpgsql stable as $$
begin
    return coalesce(nullif(current_setting('fleet.gated', true), ''), '0')::int;
end $$;

-- May the task of an issue be claimed now? Called by take_tasks() for tasks of issues that wait in a lane, and by nobody else. One that
-- may not is put aside with the reason; one that somebody else holds stays where it is. A run that may start is counted at once, so that
-- a batch does not overshoot; when it is not claimed after all, its next claim is the one that was counted.
create function fleet.claim_hold(p_task bigint) returns boolean
    language plpgsql as $$
declare
    t fleet.task;
    v_sender bigint;
    v_free timestamptz;
begin
    if fleet.gated() >= 100 then
        return false;
    end if;
    select * into t from fleet.task where task = p_task for update skip locked;
    if not found then
        return false;
    end if;
    perform from fleet.queue q where q.lane = t.lane and q.prio = -t.priority and q.task = t.task for update skip locked;
    if not found then -- it waits no more, or is held
        return false;
    end if;
    v_sender := coalesce(t.requested_id, 0);
    if (fleet.policy(t.repo) ->> 'reads')::boolean
       and exists (select from fleet.issue i where i.issue = t.issue and coalesce(i.read_at < now() - fleet.ms('look_fresh_ms'), true)) then
        perform fleet.gate(t.task, 'reading', now() + interval '1 minute'); -- then it is wanted again
        perform fleet.want_look('issue', t.issue, false);
        return false;
    elsif not fleet.take_sender(v_sender) then
        return false;
    end if;
    v_free := fleet.budget_free_at(t, v_sender);
    if v_free is not null then
        perform fleet.gate(t.task, 'daily_limit', v_free);
        return false;
    end if;
    insert into fleet.spent (task, number, sender) values (t.task, t.attempt_number + 1, v_sender)
    on conflict (task, number) do update set sender = excluded.sender, at = now();
    return true;
end $$;
