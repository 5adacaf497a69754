-- What becomes due by the clock: tasks that may start, and agents' attempts that did not begin, took too long, or lost their agent.
-- Any node does it, once a second; what somebody holds is left for the next time. Costs what is due, not what there is.

-- May silence be held against agents? Only when there was somebody to hear them all the time: the database, and a server.
create function fleet.could_beat(p_for interval) returns boolean
    language plpgsql stable as $$
begin
    return pg_postmaster_start_time() + greatest(p_for, fleet.ms('open_grace_ms')) <= clock_timestamp()
       and exists (select from fleet.node n where n.kind = 'server' and n.dead_at is null and n.stopped_at is null
                   and n.started_at + p_for <= clock_timestamp() and n.beat_at >= clock_timestamp() - 3 * fleet.ms('dead_ms'));
end $$;

-- The agent of a live attempt is gone. Shown as agent_lost; then the usual rules say what follows.
create function fleet.lose_agent(a fleet.attempt, p_by text) returns void
    language plpgsql as $$
begin
    if a.abandoned_at is null and exists (select from fleet.task where task = a.task and status in ('assigned', 'running')) then
        perform fleet.move(a.task, 'agent_lost', 'agent_lost', a.number, p_by, jsonb_build_object('reason', 'it gives no heartbeat'));
    end if;
    perform fleet.end_attempt(a, 'lost', 'agent_lost', null, null, a.report);
end $$;

-- Agents whose last beat is too old are dead, and what they ran is lost. A node is looked at until nothing of it is left.
create function fleet.bury_agents(p_node uuid) returns int
    language plpgsql as $$
declare
    n fleet.node;
    a fleet.attempt;
    v_count int := 0;
begin
    for n in select x.* from fleet.node x where x.dead_due < clock_timestamp() order by x.dead_due limit 100 for update skip locked loop
        continue when n.dead_at is null and n.stopped_at is null and not fleet.could_beat(n.dead_due - n.beat_at);
        if n.dead_at is null and n.stopped_at is null then
            update fleet.node set dead_at = clock_timestamp(), dead_by = p_node where node = n.node;
            v_count := v_count + 1;
        end if;
        for a in
            select x.* from fleet.live v join fleet.attempt x on x.attempt = v.attempt join fleet.task t on t.task = x.task
            where x.node = n.node and x.ended_at is null order by x.attempt for update of t, x skip locked
        loop
            if n.stopped_at is not null then
                perform fleet.end_attempt(a, 'released', 'deregistered', null, null, null); -- claimed while it left
            else
                perform fleet.lose_agent(a, fleet.node_actor(p_node));
            end if;
            v_count := v_count + 1;
        end loop;
        update fleet.node set dead_due = null
        where node = n.node and not exists (select from fleet.live v join fleet.attempt x on x.attempt = v.attempt where x.node = n.node);
    end loop;
    return v_count;
end $$;

-- Attempts of agents that are due: never begun, over their time, or not stopped though asked to.
create function fleet.end_due(p_max int) returns int
    language plpgsql as $$
declare
    v_id bigint;
    t fleet.task;
    a fleet.attempt;
    v_count int := 0;
begin
    for v_id in select x.attempt from fleet.attempt x where x.due_at < now() order by x.due_at limit p_max loop
        select y.* into t from fleet.attempt x join fleet.task y on y.task = x.task where x.attempt = v_id for update of y skip locked;
        continue when not found;
        select * into a from fleet.attempt x where x.attempt = v_id and x.due_at < now() and x.ended_at is null for update skip locked;
        continue when not found;
        if a.phase = 'claimed' then
            perform fleet.end_attempt(a, 'released', 'handover_timeout', null, null, null);
        elsif fleet.unwanted(t, a) then
            perform fleet.end_attempt(a, 'cancelled', 'cancelled', null, null, a.report);
        else
            perform fleet.end_attempt(a, 'timed_out', 'timed_out', null, null, a.report);
        end if;
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

create function fleet.tend(p_node uuid) returns int
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set plan_cache_mode = force_generic_plan as $$
begin
    perform fleet.node_check(p_node);
    return fleet.promote(1000) + fleet.bury_agents(p_node) + fleet.end_due(100);
end $$;
comment on function fleet.tend(uuid) is 'Once a second, by any node: promotes what may start, ends what is due. Answers how much it did.';
