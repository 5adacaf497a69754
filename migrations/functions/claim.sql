-- Free slots meet waiting tasks. Never waits for a lock: what another transaction holds is skipped.

-- SSH executors that this node may place work on now, and whose account is in this state: open, or half_open.
create function fleet.open_executors(p_node uuid, p_state text) returns int[]
    language plpgsql stable as $$
begin
    return array(select p.executor from fleet.placeable p where p.node = p_node and p.state = p_state);
end $$;

-- Locks up to p_want free slots of these executors that serve a lane: least loaded first, then the one with the fewest capabilities; in
-- the order of their numbers. Of p_pinned, the only executor of its lane, those first in which tasks of it ran before. Answers where
-- their rows lie.
create function fleet.take_slots(p_executors int[], p_lane int, p_pinned int, p_want int) returns tid[]
    language plpgsql as $$
declare v_known int[];
begin
    if p_pinned is not null then
        v_known := array(select p.ordinal from fleet.pin p where p.executor = p_pinned);
        return array(
            select s.ctid from fleet.slot s
            where s.executor = p_pinned and s.attempt is null and not s.retiring
            order by s.ordinal = any (v_known) desc, s.ordinal limit p_want
            for update skip locked);
    end if;
    -- in order, and no more looked up than are locked; a few more than wanted, for others are after the first as well
    return array(
        select s.ctid
        from (select f.slot_id, (l.used + f.k) / l.units as load, cardinality(x.capabilities) as skills
              from (select o.executor, count(o.attempt) as used, count(*)::real as units,
                           array_agg(o.slot_id) filter (where o.attempt is null and not o.retiring) as free
                    from (select s.executor, s.attempt, s.retiring, s.slot_id from fleet.slot s
                          where s.executor = any (p_executors) order by s.executor, s.ordinal) o
                    group by o.executor) l
              join fleet.executor x on x.executor = l.executor
              join fleet.executor_lane el on el.executor = l.executor and el.lane = p_lane
              cross join lateral unnest(l.free[:p_want + 8]) with ordinality f (slot_id, k)
              order by 2, 3, 1 offset 0) f
        join fleet.slot s on s.slot_id = f.slot_id
        where s.attempt is null and not s.retiring
        order by f.load, f.skills, f.slot_id limit p_want
        for update of s skip locked);
end $$;

-- The lane with the best head, where that is, the priority of the next best head, where a batch has to stop, and how many tasks there are
-- to be had down to there, no more than were wanted: more slots than that would be lost, while they are locked, to whoever claims at the
-- same time. `pinned` is the only executor of the lane.
create type fleet.best_lane as (lane int, prio int, task bigint, stop int, need int, pinned int);

-- Where lanes begin, as this session saw it: in front of that (prio, task) there was nothing. Kept in its setting fleet.marks while what
-- was taken lies in the queue as dead rows, as it does when an open transaction holds back vacuum: a look from the front steps over all
-- of it. That is made again after `until`, a second later, or later when it takes more than a fiftieth of that: so long a task that
-- waits again, or was submitted in a transaction that took its time, may be passed over by younger ones of its priority.
create type fleet.marks as (until timestamptz, renew timestamptz, lanes int[], prios int[], tasks bigint[]);

-- The most urgent task of each of these lanes, nulls for one in which nothing waits; the best head first. Looked for behind the marks,
-- where there are any, and more urgent than those anywhere.
create type fleet.heads as (lanes int[], prios int[], tasks bigint[]);

create function fleet.first_heads(p_lanes int[]) returns fleet.heads
    language plpgsql stable as $$
begin
    return (
    select (array_agg(h.lane), array_agg(h.prio), array_agg(h.task))::fleet.heads
    from (select l.lane, q.prio, q.task
          from unnest(p_lanes) l (lane)
          left join lateral (select x.prio, x.task from fleet.queue x where x.lane = l.lane order by x.prio, x.task limit 1) q on true
          order by q.prio, q.task) h);
end $$;

create function fleet.next_heads(p_lanes int[], m fleet.marks) returns fleet.heads
    language plpgsql stable as $$
begin
    return (
    select (array_agg(h.lane), array_agg(h.prio), array_agg(h.task))::fleet.heads
    from (select l.lane, coalesce(u.prio, q.prio) as prio, coalesce(u.task, q.task) as task
          from unnest(p_lanes) l (lane)
          left join unnest(m.lanes, m.prios, m.tasks) k (lane, prio, task) on k.lane = l.lane
          left join lateral (select x.prio, x.task from fleet.queue x where x.lane = l.lane and x.prio < k.prio
                             order by x.prio, x.task limit 1) u on true
          left join lateral (select x.prio, x.task from fleet.queue x
                             where x.lane = l.lane and (x.prio, x.task) >= (coalesce(k.prio, -2147483648), coalesce(k.task, 0))
                             order by x.prio, x.task limit 1) q on true
          order by 2, 3) h);
end $$;

-- Remembers where these lanes begin, and of others what was known. In one where nothing waits: behind the newest task, at its old priority.
create function fleet.remember_heads(m fleet.marks, h fleet.heads, p_newest bigint) returns void
    language plpgsql as $$
begin
    perform set_config('fleet.marks', (
        select row(m.until, m.renew, array_agg(x.lane), array_agg(x.prio), array_agg(x.task))::fleet.marks::text
        from (select lane, coalesce(n.prio, k.prio, 0) as prio, case when coalesce(lane = any (h.lanes), false) then coalesce(n.task, p_newest) else k.task end as task
              from unnest(h.lanes, h.prios, h.tasks) n (lane, prio, task)
              full join unnest(m.lanes, m.prios, m.tasks) k (lane, prio, task) using (lane)) x), false);
end $$;

-- The heads of these lanes; p_known: as far as marks say.
create function fleet.heads_of(p_lanes int[], p_known boolean) returns fleet.heads
    language plpgsql as $$
declare
    v_began timestamptz := clock_timestamp();
    v_newest bigint;
    m fleet.marks;
    h fleet.heads;
begin
    if not p_known or pg_stat_get_dead_tuples('fleet.queue'::regclass) < 20000 then -- as many as autovacuum leaves
        return fleet.first_heads(p_lanes);
    end if;
    m := nullif(current_setting('fleet.marks', true), '')::fleet.marks;
    v_newest := pg_sequence_last_value('fleet.task_task_seq');
    if m.until > v_began then
        h := fleet.next_heads(p_lanes, m);
    else
        h := fleet.first_heads(p_lanes);
        m := null;
        m.until := clock_timestamp() + greatest(interval '1 s', 50 * (clock_timestamp() - v_began));
    end if;
    if coalesce(m.renew <= v_began, true) then
        m.renew := v_began + interval '100 ms';
        perform fleet.remember_heads(m, h, v_newest);
    end if;
    return h;
end $$;

-- The best lane of those that open executors serve, but dry ones and those that want more than p_capabilities (null: no such bound).
create function fleet.best_lane(p_open int[], p_dry int[], p_capabilities text[], p_want int, p_known boolean default false)
    returns fleet.best_lane language plpgsql as $$
declare
    b fleet.best_lane;
    h fleet.heads := fleet.heads_of(array(
        select distinct el.lane from fleet.executor_lane el where el.executor = any (p_open) and el.lane <> all (p_dry)
           and (p_capabilities is null or exists (select from fleet.lane r where r.lane = el.lane and r.requirements <@ p_capabilities))), p_known);
begin
    if h.tasks[1] is not null then
        b.lane := h.lanes[1];
        b.prio := h.prios[1];
        b.task := h.tasks[1];
        b.stop := coalesce(h.prios[2], 2147483647);
        b.pinned := (select r.pinned from fleet.lane r where r.lane = b.lane);
        b.need := (select count(*) from (select from fleet.queue x where x.lane = b.lane and (x.prio, x.task) >= (b.prio, b.task)
                                         and x.prio <= b.stop limit p_want) w);
    end if;
    return b;
end $$;

-- Takes tasks of one lane, from its head on and down to p_stop_prio, into the given locked slots, whatever is in them: what the caller ends
-- at the same time. Answers the new attempts. An HTTP agent owns its own: p_node owns those of hosts. (The guard behind it: a second run
-- of a task that has a living one is impossible, whatever its status says. And short statements: for one task the plan of a long one
-- takes longer to set up than to run.)
create function fleet.take_tasks(p_node uuid, p_best fleet.best_lane, p_slots tid[]) returns bigint[]
    language plpgsql as $$
declare
    v_actor text := 'node:' || (select n.name from fleet.node n where n.node = p_node);
    v_attempts bigint[];
    w record; -- what is taken
    h record; -- what has it: an element a task
begin
    with picked as (
        delete from fleet.queue
        where ctid = any (array(
            select q.ctid from fleet.queue q
            join fleet.task t on t.task = q.task
            where q.lane = p_best.lane and (q.prio, q.task) >= (p_best.prio, p_best.task) and q.prio <= p_best.stop
              and t.status = 'created' and t.attempts < t.max_attempts_total and (t.issue is null or fleet.claim_hold(t.task))
              and (t.attempt_number = 0 or not exists (select from fleet.attempt a
                                                       where a.task = t.task and a.ended_at is null and a.abandoned_at is null))
            order by q.lane, q.prio, q.task
            limit cardinality(p_slots)
            for update of q, t skip locked)) -- q first: who sees a row that is taken already locks no task that runs
        returning prio, task
    )
    select array_agg(p.task) as tasks, array_agg(p.number) as numbers, array_agg(p.run_at) as since into w
    from (select t.task, t.attempt_number + 1 as number, t.run_at from picked p join fleet.task t on t.task = p.task order by p.prio, p.task) p;
    if w.tasks is null then
        return array[]::bigint[];
    end if;
    v_attempts := array(select nextval('fleet.attempt_attempt_seq') from unnest(w.tasks));
    with filled as (
        update fleet.slot s set attempt = v_attempts[i]
        from generate_subscripts(v_attempts, 1) i, fleet.executor e
        where s.ctid = p_slots[i] and e.executor = s.executor
        returning s.attempt, s.slot_id, s.ctid as place, s.ordinal, e.executor, e.agent_id, e.handover_secs, coalesce(e.node, p_node) as node,
                  case when e.node is null then v_actor else 'agent:' || e.agent_id end as actor
    )
    select array_agg(f.slot_id) as slots, array_agg(f.place) as places, array_agg(f.ordinal) as ordinals, array_agg(f.executor) as executors,
           array_agg(f.agent_id) as agents, array_agg(f.handover_secs) as handover, array_agg(f.node) as nodes, array_agg(f.actor) as actors
    into h from (select * from filled order by attempt) f;
    insert into fleet.attempt (attempt, task, number, executor, slot_id, slot_tid, ordinal, node, nonce, due_at, ready_at)
        overriding system value
    select v_attempts[i], w.tasks[i], w.numbers[i], h.executors[i], h.slots[i], h.places[i], h.ordinals[i], h.nodes[i],
           encode(uuid_send(gen_random_uuid()), 'hex'), now() + make_interval(secs => h.handover[i]), w.since[i]
    from generate_subscripts(v_attempts, 1) i;
    update fleet.task t
    set status = 'assigned', attempt_number = t.attempt_number + 1, attempts = t.attempts + 1,
        executor = h.executors[i], assigned_at = now(), started_at = null, changed_at = now(), failure_reason = null,
        hold = null, hold_at = null
    from generate_subscripts(v_attempts, 1) i
    where t.task = w.tasks[i];
    insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
    select w.tasks[i], 'assigned', 'created', 'assigned', w.numbers[i], h.actors[i],
           jsonb_build_object('agent_id', h.agents[i], 'node', h.nodes[i], 'epoch', 1)
    from generate_subscripts(v_attempts, 1) i;
    perform fleet.mark_all(w.tasks, false);
    return v_attempts;
end $$;

-- Up to p_want tasks for these executors, one lane a statement. Answers the new attempts.
create function fleet.take_for(p_node uuid, p_open int[], p_want int) returns bigint[]
    language plpgsql as $$
declare
    v_left int := p_want;
    v_open int[] := p_open;
    v_dry int[] := array[]::int[]; -- lanes of which nothing more can be had in this call
    v_slots tid[];
    v_got bigint[];
    v_all bigint[] := array[]::bigint[];
    v_best fleet.best_lane;
begin
    while v_left > 0 and cardinality(v_open) > 0 loop
        v_best := fleet.best_lane(v_open, v_dry, null, v_left);
        exit when v_best.lane is null;
        v_slots := fleet.take_slots(v_open, v_best.lane, v_best.pinned, v_best.need);
        if cardinality(v_slots) = 0 then
            -- whoever could serve this lane is full or being filled: they must not fall through to something less urgent
            v_open := array(select o from unnest(v_open) o
                            where not exists (select from fleet.executor_lane el where el.executor = o and el.lane = v_best.lane));
            continue;
        end if;
        v_got := fleet.take_tasks(p_node, v_best, v_slots);
        if cardinality(v_got) = 0 then
            v_dry := v_dry || v_best.lane;
        end if;
        v_all := v_all || v_got;
        v_left := v_left - cardinality(v_got);
    end loop;
    return v_all;
end $$;

-- One task for each account that is half open, with what others left.
create function fleet.take_probes(p_node uuid, p_want int) returns bigint[]
    language plpgsql as $$
declare
    v_account text;
    v_open int[];
    v_got bigint[];
    v_all bigint[] := array[]::bigint[];
begin
    if p_want <= 0 or not exists (select from fleet.account where state = 'half_open' and probe is null) then
        return v_all; -- as it is nearly always
    end if;
    v_open := fleet.open_executors(p_node, 'half_open');
    for v_account in select distinct e.account from fleet.executor e where e.executor = any (v_open) order by 1 loop
        exit when cardinality(v_all) >= p_want;
        continue when not fleet.may_probe(v_account);
        v_got := fleet.take_for(p_node, array(select e.executor from fleet.executor e
                                              where e.account = v_account and e.executor = any (v_open)), 1);
        perform fleet.set_probe(v_account, v_got);
        v_all := v_all || v_got;
    end loop;
    return v_all;
end $$;

create function fleet.claim(p_node uuid, p_want int) returns setof fleet.job
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_want int := least(coalesce(p_want, 0), 1000);
    v_all bigint[];
begin
    perform fleet.node_check(p_node);
    v_all := fleet.take_for(p_node, fleet.open_executors(p_node, 'open'), v_want);
    v_all := v_all || fleet.take_probes(p_node, v_want - cardinality(v_all));
    return query select * from fleet.job_rows(v_all);
end $$;
comment on function fleet.claim(uuid, int) is 'Gives a worker up to p_want tasks, each with a new attempt in a free slot.';
