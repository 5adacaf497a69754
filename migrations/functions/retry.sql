-- What follows a failed attempt: is it tried again, when and where; and what its end says of the executor. The policy is
-- fleet.reason.retry, narrowed by retry_on of the configuration of the worker that saw the end.

create function fleet.retry_rule(a fleet.attempt) returns text
    language plpgsql stable as $$
begin
    return coalesce((
        select case when n.retry_on && array['all', r.class, r.reason] then r.retry else 'never' end
        from fleet.reason r, fleet.node n
        where r.reason = coalesce(a.reason, 'other') and n.node = a.node), 'never');
end $$;

-- Is there another executor for this lane that may be given work: in service, though perhaps full or out of reach just now?
create function fleet.has_other(p_lane int, p_executor int) returns boolean
    language plpgsql stable as $$
begin
    return exists (
        select from fleet.executor_lane el
        join fleet.executor_now x on x.executor = el.executor
        where el.lane = p_lane and el.executor <> p_executor and x.status in ('online', 'offline', 'resting'));
end $$;

-- When the next attempt may start; null: there is none.
create function fleet.retry_at(t fleet.task, a fleet.attempt) returns timestamptz
    language plpgsql as $$
declare v_rule text := fleet.retry_rule(a);
begin
    return case v_rule
        when 'never' then null
        when 'elsewhere' then case when fleet.has_other(t.lane, a.executor) then now() end
        when 'later' then coalesce(a.retry_at + random() * interval '30 s',
                                   now() + fleet.backoff(t.retry_count, 'retry_later_ms', 'retry_later_max_ms'))
        else now() + fleet.backoff(t.retry_count, 'retry_base_ms', 'retry_max_ms') end;
end $$;

-- The host failed the task: one first that has not yet; when all have, any but the last. Who holds the latch may be waiting for this
-- task: then the preference is let go.
create function fleet.prefer_other_host(t fleet.task, a fleet.attempt) returns void
    language plpgsql as $$
declare
    v_host text := (select host_id from fleet.executor where executor = a.executor);
    v_barred text[] := (select barred from fleet.lane where lane = t.lane);
    v_plain int;
    v_online text[];
begin
    if v_host is null or exists (select from fleet.lane where lane = t.lane and pinned is not null) then
        return;
    end if;
    perform from fleet.latch where name = 'lanes' for update skip locked;
    if not found then
        return;
    end if;
    v_plain := fleet.lane_for(t.requirements, t.execution_mode, t.repo);
    v_online := array(
        select x.host_id from fleet.executor_lane el join fleet.executor_now x on x.executor = el.executor
        where el.lane = v_plain and x.status = 'online');
    v_barred := case when not v_online <@ (v_barred || v_host) then array(select distinct unnest(v_barred || v_host) order by 1)
                     when not v_online <@ array[v_host] then array[v_host]
                     else '{}' end;
    update fleet.task set lane = fleet.lane_for(t.requirements, t.execution_mode, t.repo, v_barred) where task = t.task;
end $$;

-- Where a task is tried again at p_at: where its workspace is, unless that host is to blame or a person said where. (Its lane is one that
-- no follow-up pinned.)
create function fleet.place_retry(t fleet.task, a fleet.attempt, p_at timestamptz) returns void
    language plpgsql as $$
declare v_rule text := fleet.retry_rule(a);
begin
    if v_rule = 'other_host' then
        perform fleet.prefer_other_host(t, a);
    elsif v_rule <> 'elsewhere' and a.work is not null
          and not exists (select from fleet.lane where lane = t.lane and pinned is not null) then
        update fleet.task set lane = coalesce(fleet.lane_of_last(t, p_at), lane) where task = t.task;
    end if;
end $$;

-- Who waited long enough for another host takes any again. Answers how many.
create function fleet.unbar() returns int
    language plpgsql as $$
declare
    v_lanes int[] := array(select l.lane from fleet.lane l where l.barred <> '{}');
    v_before timestamptz := now() - fleet.ms('other_host_ms');
    t record;
    v_count int := 0;
begin
    if v_lanes = '{}' then
        return 0; -- as it is nearly always: the queue may be long
    end if;
    for t in
        select x.task, x.requirements, x.execution_mode, x.repo
        from fleet.queue q
        join fleet.task x on x.task = q.task
        where q.lane = any (v_lanes) and x.run_at < v_before
        limit 100
        for update of q, x skip locked
    loop
        perform from fleet.latch where name = 'lanes' for update skip locked;
        exit when not found;
        perform fleet.dequeue(t.task);
        update fleet.task set lane = fleet.lane_for(t.requirements, t.execution_mode, t.repo) where task = t.task;
        perform fleet.enqueue(t.task, now());
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- ---------------------------------------------------------------- executors in and out of service

create function fleet.take_out(p_executor int, p_until timestamptz, p_reason text, p_detail text) returns void
    language plpgsql as $$
begin
    update fleet.executor
    set out_since = coalesce(out_since, now()), out_until = p_until, out_reason = p_reason, out_detail = nullif(p_detail, '')
    where executor = p_executor and (out_until is null or out_until < p_until);
end $$;

create function fleet.put_back(p_executor int) returns void
    language plpgsql as $$
begin
    update fleet.executor
    set out_since = null, out_until = null, out_reason = null, out_detail = null, start_failures = 0
    where executor = p_executor and (out_until is not null or start_failures > 0);
end $$;

-- What the end of an attempt says of its executor; judge_account() of its login. Before the slot is locked: configure() locks the
-- executor first.
create function fleet.judge_executor(a fleet.attempt) returns void
    language plpgsql as $$
declare
    r fleet.reason;
    v_failures int;
    v_rest timestamptz := least(coalesce(a.retry_at, now() + fleet.ms('retry_later_ms')), now() + fleet.ms('rest_max_ms'));
begin
    select * into r from fleet.reason where reason = a.reason;
    if a.outcome in ('succeeded', 'no_change') then
        update fleet.executor set start_failures = 0 where executor = a.executor and start_failures > 0;
    elsif r.class = 'login' then
        return; -- its account's
    elsif r.retry = 'elsewhere' and a.outcome <> 'released' then
        perform fleet.take_out(a.executor, 'infinity', a.reason, left(a.report ->> 'error', 500));
    elsif r.retry = 'later' and a.outcome <> 'released' then
        perform fleet.take_out(a.executor, v_rest, a.reason, left(a.report ->> 'error', 500));
    elsif r.class = 'start' then
        update fleet.executor set start_failures = start_failures + 1 where executor = a.executor
        returning start_failures into v_failures;
        if v_failures >= fleet.get('start_failures_max') then
            perform fleet.take_out(a.executor, 'infinity', 'start_failures', format('%s failed starts in a row, the last: %s', v_failures, a.reason));
        end if;
    end if;
end $$;
