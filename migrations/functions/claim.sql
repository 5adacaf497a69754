-- Free slots meet waiting tasks. Never waits for a lock: what another transaction holds is skipped.

-- SSH executors that this node may place work on now, and whose account is in this state: open, or half_open.
create function fleet.open_executors(p_node uuid, p_state text) returns int[]
    language plpgsql stable as $$
begin
    return (select coalesce(array_agg(e.executor), '{}')
    from fleet.node_host nh
    join fleet.host h on h.host_id = nh.host_id
    join fleet.executor e on e.host_id = h.host_id
    join fleet.account k on k.account = e.account and k.state = p_state
    where nh.node = p_node and nh.reachable
      and nh.reported_at > now() - (select s.value * interval '1 ms' from fleet.setting s where s.name = 'host_fresh_ms')
      and h.cordoned_at is null and e.enabled and coalesce(e.out_until <= now(), true));
end $$;

-- Locks up to p_want free slots of these executors that serve a lane: least loaded first, then the one with the fewest capabilities; in
-- the order of their numbers. Of p_pinned, the only executor of its lane, those first in which tasks of it ran before.
create function fleet.take_slots(p_executors int[], p_lane int, p_pinned int, p_want int) returns bigint[]
    language plpgsql as $$
declare v_known int[];
begin
    if p_pinned is not null then
        v_known := array(select p.ordinal from fleet.pin p where p.executor = p_pinned);
        return array(
            select s.slot_id from fleet.slot s
            where s.executor = p_pinned and s.attempt is null and not s.retiring
            order by s.ordinal = any (v_known) desc, s.ordinal limit p_want
            for update skip locked);
    end if;
    -- in order, and no more looked up than are locked; a few more than wanted, for others are after the first as well
    return array(
        select s.slot_id
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

-- Takes tasks of one lane, down to p_stop_prio, into the given locked slots. Answers the new attempts. An HTTP agent owns its own:
-- p_node owns those of hosts. (The guard behind it: a second run of a task that has a
-- living one is impossible, whatever its status says.)
create function fleet.take_tasks(p_node uuid, p_lane int, p_stop_prio int, p_slots bigint[]) returns bigint[]
    language plpgsql as $$
declare v_attempts bigint[];
begin
    with picked as (
        delete from fleet.queue
        where ctid = any (array(
            select q.ctid from fleet.queue q
            join fleet.task t on t.task = q.task
            where q.lane = p_lane and q.prio <= p_stop_prio
              and t.status = 'created' and t.attempts < t.max_attempts_total and (t.issue is null or fleet.claim_hold(t.task))
              and (t.attempt_number = 0 or not exists (select from fleet.attempt a
                                                       where a.task = t.task and a.ended_at is null and a.abandoned_at is null))
            order by q.lane, q.prio, q.task
            limit cardinality(p_slots)
            for update of q, t skip locked)) -- q first: who sees a row that is taken already locks no task that runs
        returning prio, task
    ), pair as (
        select o.task, o.turn, p_slots[o.turn] as slot_id
        from (select p.task, row_number() over (order by p.prio, p.task) as turn from picked p) o
    ), place as materialized (
        select s.slot_id, s.executor, s.ordinal, e.agent_id, e.handover_secs, n.node, case n.kind when 'agent' then 'agent:' else 'node:' end || n.name as actor
        from fleet.slot s
        join fleet.executor e on e.executor = s.executor
        join fleet.node n on n.node = coalesce(e.node, p_node)
        where s.slot_id = any (p_slots)
    ), assigned as (
        update fleet.task t
        set status = 'assigned', attempt_number = t.attempt_number + 1, attempts = t.attempts + 1,
            executor = l.executor, assigned_at = now(), started_at = null, changed_at = now(), failure_reason = null,
            hold = null, hold_at = null
        from pair join place l on l.slot_id = pair.slot_id
        where t.task = pair.task
        returning pair.turn, t.task, t.attempt_number, t.run_at, t.issue, l.*
    ), made as (
        insert into fleet.attempt (task, number, executor, slot_id, ordinal, node, nonce, due_at, ready_at)
        select task, attempt_number, executor, slot_id, ordinal, node,
               left(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), 32),
               now() + make_interval(secs => handover_secs), run_at
        from assigned order by turn
        returning attempt, slot_id
    ), filled as (
        update fleet.slot s set attempt = made.attempt from made where s.slot_id = made.slot_id
    ), told as (
        insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
        select task, 'assigned', 'created', 'assigned', attempt_number, actor,
               jsonb_build_object('agent_id', agent_id, 'node', node, 'epoch', 1)
        from assigned
    )
    select array_agg(m.attempt order by m.attempt) into v_attempts
    from made m, fleet.mark_all(array(select a.task from assigned a where a.issue is not null), false);
    return coalesce(v_attempts, '{}');
end $$;

-- The lane with the best head of those that open executors serve, but dry ones and those that want more than p_capabilities (null: no
-- such bound); `stop` is the priority of the next best head, where a batch has to stop, and `need` how many tasks there are to be had down
-- to there, no more than p_want: more slots than that would be lost, while they are locked, to whoever claims at the same time.
create function fleet.best_lane(p_open int[], p_dry int[], p_capabilities text[], p_want int,
                                out lane int, out pinned int, out stop int, out need int)
    language plpgsql stable as $$
#variable_conflict use_column
begin
    select b.lane, (select r.pinned from fleet.lane r where r.lane = b.lane), b.stop,
           (select count(*) from (select from fleet.queue x where x.lane = b.lane and x.prio <= b.stop limit p_want) w)
    into best_lane.lane, best_lane.pinned, best_lane.stop, best_lane.need
    from (select l.lane, q.prio, q.task, lead(q.prio, 1, 2147483647) over (order by q.prio, q.task) as stop
          from (select distinct el.lane from fleet.executor_lane el
                where el.executor = any (p_open) and el.lane <> all (p_dry)) l
          cross join lateral (select x.prio, x.task from fleet.queue x where x.lane = l.lane
                              order by x.prio, x.task limit 1) q
          where p_capabilities is null
             or exists (select from fleet.lane r where r.lane = l.lane and r.requirements <@ p_capabilities)
          order by q.prio, q.task limit 1) b;
end $$;

-- Up to p_want tasks for these executors, one lane a statement. Answers the new attempts.
create function fleet.take_for(p_node uuid, p_open int[], p_want int) returns bigint[]
    language plpgsql as $$
declare
    v_left int := p_want;
    v_open int[] := p_open;
    v_dry int[] := array[]::int[]; -- lanes of which nothing more can be had in this call
    v_slots bigint[];
    v_got bigint[];
    v_all bigint[] := array[]::bigint[];
    v_best record;
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
        v_got := fleet.take_tasks(p_node, v_best.lane, v_best.stop, v_slots);
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
