-- HTTP agents take tasks: the calls that wait on one server are served together, the longest waiting first, by the claim's own
-- functions.

-- May this agent ask for tasks, and does it narrow what it can? Answers the executor, or why not (status, body).
create function fleet.pull_admit(p_by fleet.requester, p_agent_id text, p_capabilities text[], out executor int, out capabilities text[],
                                 out status int, out body text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    e fleet.executor;
    v_no fleet.reply;
begin
    select * into e from fleet.executor x where x.agent_id = p_agent_id;
    v_no := case when p_agent_id is null then fleet.no_agent_id('{}') else fleet.agent_refusal(p_by, p_agent_id, e) end;
    if v_no.status is null then
        v_no := fleet.ceiling_refusal(p_by, e);
    end if;
    if v_no.status is null
       and not exists (select from fleet.node n where n.node = e.node and n.dead_at is null and n.stopped_at is null) then
        v_no := fleet.refuse(409, 'agent_offline', format('agent %s is offline, for it gave no heartbeat for too long: give one first '
            '(POST /api/v1/agents/heartbeat)', p_agent_id));
    end if;
    status := v_no.status;
    body := v_no.body;
    if status is null then
        executor := e.executor;
        capabilities := fleet.capabilities_of(p_capabilities);
        if p_capabilities is null or e.capabilities <@ capabilities then
            capabilities := null;
        end if;
    end if;
end $$;

-- Those of p_line, in its order, that serve a lane.
create function fleet.in_lane(p_line int[], p_lane int) returns int[]
    language plpgsql stable
    set plan_cache_mode = force_generic_plan as $$
begin
    return (select coalesce(array_agg(l.executor order by l.place), '{}')
    from unnest(p_line) with ordinality l (executor, place)
    where exists (select from fleet.executor_lane el where el.executor = l.executor and el.lane = p_lane));
end $$;

-- Locks a free slot for each in the line, until there are p_want. Whoever has none, or may not be given work now, is passed over.
-- p_state: of their accounts.
create function fleet.take_turns(p_line int[], p_want int, p_state text, out slots tid[], out passed int[])
    language plpgsql
    set plan_cache_mode = force_generic_plan as $$
declare
    v_executor int;
    v_slot tid;
begin
    slots := array[]::tid[];
    passed := array[]::int[];
    foreach v_executor in array p_line loop
        exit when cardinality(slots) >= p_want;
        select s.ctid into v_slot from fleet.executor e
        join fleet.node n on n.node = e.node
        join fleet.account k on k.account = e.account and k.state = p_state and k.probe is null
        join fleet.slot s on s.executor = e.executor
        where e.executor = v_executor and e.kind = 'http_pull' and e.enabled and coalesce(e.out_until <= now(), true)
          and n.dead_at is null and n.stopped_at is null and s.attempt is null and not s.retiring and s.ctid <> all (slots)
        limit 1 for update of s skip locked;
        if found then
            slots := slots || v_slot;
        else
            passed := passed || v_executor;
        end if;
    end loop;
end $$;

-- A line without the first place of each executor in p_served.
create function fleet.leave_line(p_line int[], p_served int[]) returns int[]
    language plpgsql immutable as $$
begin
    return (select coalesce(array_agg(l.executor order by l.place), '{}')
    from (select executor, place, row_number() over (partition by executor order by place) as nth
          from unnest(p_line) with ordinality x (executor, place)) l
    left join (select executor, count(*) as times from unnest(p_served) y (executor) group by executor) s using (executor)
    where l.nth > coalesce(s.times, 0));
end $$;

-- Tasks as they are handed to agents.
create function fleet.handover(p_attempts bigint[]) returns table (executor int, attempt bigint, epoch int, node uuid, body text)
    language plpgsql stable
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare v_tasks bigint[] := array(select a.task from fleet.attempt a where a.attempt = any (p_attempts));
begin
    return query
    select a.executor, a.attempt, a.epoch, a.node,
           left(o.object, -1) || ', "body": ' || to_json(t.body)::text || ', "follow_up": ' || fleet.quoted((fleet.told_to(t.task, a.number)).text)
               || format(', "attempt": %s, "epoch": %s}', a.number, a.epoch)
    from fleet.task_objects(v_tasks) o
    join fleet.task t on t.task = o.task
    join fleet.attempt a on a.task = o.task and a.attempt = any (p_attempts)
    order by array_position(p_attempts, a.attempt);
end $$;

-- Up to p_want tasks for a line of agents whose accounts are in this state. Answers the new attempts.
create function fleet.pull_for(p_line int[], p_capabilities text[], p_want int, p_state text) returns bigint[]
    language plpgsql
    set plan_cache_mode = force_generic_plan as $$
declare
    v_left int := p_want;
    v_line int[] := p_line;
    v_dry int[] := array[]::int[]; -- lanes of which nothing more can be had in this call
    v_turn record;
    v_got bigint[];
    v_all bigint[] := array[]::bigint[];
    v_best fleet.best_lane;
begin
    while v_left > 0 and cardinality(v_line) > 0 loop
        v_best := fleet.best_lane(v_line, v_dry, p_capabilities, v_left);
        exit when v_best.lane is null;
        select * into v_turn from fleet.take_turns(fleet.in_lane(v_line, v_best.lane), v_best.need, p_state);
        v_got := array[]::bigint[];
        if cardinality(v_turn.slots) > 0 then
            v_got := fleet.take_tasks(null, v_best, v_turn.slots);
        end if;
        if cardinality(v_got) = 0 and cardinality(v_turn.passed) = 0 then
            v_dry := v_dry || v_best.lane;
        end if;
        v_all := v_all || v_got;
        v_left := v_left - cardinality(v_got);
        exit when v_best.stop = 2147483647 and cardinality(v_got) = v_best.need and v_left > 0; -- that was all there is
        -- who is full or being filled leaves too: none may fall through to something less urgent
        v_line := fleet.leave_line(v_line, v_turn.passed || array(select a.executor from fleet.attempt a where a.attempt = any (v_got)));
    end loop;
    return v_all;
end $$;

-- One task for each agent in the line whose account is half open.
create function fleet.pull_probes(p_line int[], p_capabilities text[], p_want int) returns bigint[]
    language plpgsql
    set plan_cache_mode = force_generic_plan as $$
declare
    e fleet.executor;
    v_got bigint[];
    v_all bigint[] := array[]::bigint[];
begin
    for e in select x.* from fleet.account k join fleet.executor x on x.account = k.account
             where k.state = 'half_open' and k.probe is null and x.executor = any (p_line) order by k.account loop
        exit when cardinality(v_all) >= p_want;
        continue when not fleet.may_probe(e.account);
        v_got := fleet.pull_for(array[e.executor], p_capabilities, 1, 'half_open');
        perform fleet.set_probe(e.account, v_got);
        v_all := v_all || v_got;
    end loop;
    return v_all;
end $$;

-- Up to p_want tasks for the calls that wait: an entry of p_executors for each, the longest waiting first, all narrowed to the same
-- capabilities (null: not narrowed). At most one task a call, and never more than the agent's free slots.
create function fleet.pull(p_executors int[], p_capabilities text[], p_want int)
    returns table (executor int, attempt bigint, epoch int, node uuid, body text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_want int := least(coalesce(p_want, 0), 1000);
    v_all bigint[];
begin
    v_all := fleet.pull_for(coalesce(p_executors, '{}'), p_capabilities, v_want, 'open');
    v_all := v_all || fleet.pull_probes(p_executors, p_capabilities, v_want - cardinality(v_all));
    return query select * from fleet.handover(v_all);
end $$;
comment on function fleet.pull(int[], text[], int) is 'Gives the HTTP agents that wait for tasks one each, the longest waiting first.';
