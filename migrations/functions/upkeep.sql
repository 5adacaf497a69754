-- Housekeeping and waking; any node may call any of it at any time.

-- Makes one partition of a parent and attaches it: `create table … partition of` would block readers and writers.
create function fleet.make_partition(p_parent text, p_name text, p_from timestamp, p_to timestamp) returns void
    language plpgsql as $$
begin
    if to_regclass(format('fleet.%I', p_name)) is not null then
        return;
    end if;
    execute format('create table fleet.%I (like fleet.%I including all)', p_name, p_parent);
    execute format('alter table fleet.%I attach partition fleet.%I for values from (%L) to (%L)', p_parent, p_name,
                   to_char(p_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(p_to, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
end $$;

-- Months of events and days of output, made ahead (and one back, for a clock that is set; not where retain() has removed it: what stays
-- of it has its place). One caller at a time; the others go on.
create function fleet.partitions() returns void
    language plpgsql as $$
declare
    v_now timestamp := now() at time zone 'UTC';
    v_at timestamp;
    v_removed timestamp;
begin
    perform from fleet.latch where name = 'partitions' for update skip locked;
    if not found then
        return;
    end if;
    select h.before at time zone 'UTC' into v_removed from fleet.horizon h where h.name = 'event';
    for v_at in select generate_series(date_trunc('month', v_now) - interval '1 month',
                                       v_now + interval '3 months', interval '1 month') loop
        continue when v_at < v_removed;
        perform fleet.make_partition('event', 'event_' || to_char(v_at, 'YYYYMM'), v_at, v_at + interval '1 month');
    end loop;
    select h.before at time zone 'UTC' into v_removed from fleet.horizon h where h.name = 'log';
    for v_at in select generate_series(date_trunc('day', v_now) - interval '1 day',
                                       v_now + interval '14 days', interval '1 day') loop
        continue when v_at < v_removed;
        perform fleet.make_partition('log', 'log_' || to_char(v_at, 'YYYYMMDD'), v_at, v_at + interval '1 day');
    end loop;
end $$;

-- There may be work. A hint: everybody polls as well. So not when somebody who listens in an open transaction has filled half of
-- the queue: at its end every commit with a notification fails.
create function fleet.hint(p_word text default 'work') returns void
    language plpgsql as $$
begin
    if pg_notification_queue_usage() < 0.5 then
        perform pg_notify('fleet_work', p_word);
    end if;
end $$;

-- Moves due tasks into their lanes.
create function fleet.promote(p_max int) returns int
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_count int;
begin
    perform set_config('synchronous_commit', 'off', true);
    with due as (
        select d.task, t.lane, t.priority from fleet.delayed d
        join fleet.task t on t.task = d.task
        where d.run_at <= now()
        order by d.run_at limit p_max
        for update of d, t skip locked
    ), gone as (
        delete from fleet.delayed d using due where d.task = due.task returning d.task
    )
    insert into fleet.queue (lane, prio, task) select due.lane, -due.priority, due.task from due join gone using (task);
    get diagnostics v_count = row_count;
    v_count := v_count + fleet.unbar() + fleet.unpin();
    perform fleet.drain_hosts();
    v_count := v_count + fleet.tend_accounts();
    if v_count > 0 then
        -- not wake(): who goes to sleep before this commits is not seen here
        perform fleet.hint();
    end if;
    return v_count;
end $$;

-- Counts the time in which a worker looks for what it owns and does not find it: the only time that counts towards reattach_ms. Of
-- any pause between two looks little counts, and of one in which another worker reaches the host nothing: that is ours, not the
-- host's.
create function fleet.look(p_node uuid) returns void
    language plpgsql as $$
begin
    update fleet.attempt
    set unseen_ms = unseen_ms + extract(epoch from least(now() - coalesce(looked_at, now()), interval '2 min')) * 1000, looked_at = now()
    where attempt = any (array(
        select a.attempt from fleet.attempt a join fleet.executor e on e.executor = a.executor
        where a.attempt = any (array(select v.attempt from fleet.live v))
          and a.node = p_node and a.ended_at is null and a.unreachable_at is not null and fleet.may_adopt(p_node, e.host_id)
        for no key update of a skip locked));
end $$;

-- Since when nobody has seen an attempt's run: its host is unreachable, or its node is gone and nobody took over.
create function fleet.unseen_since(a fleet.attempt) returns timestamptz
    language plpgsql stable as $$
begin
    return least(a.unreachable_at, (select coalesce(n.dead_at, n.stopped_at) from fleet.node n where n.node = a.node));
end $$;

-- What silence about a run means for its task: after lost_ms it is shown as agent_lost, whoever's the silence is; after reattach_ms of
-- looks in vain it fails. The attempt keeps its slot, and nothing runs the task again before it is proven ended or a person abandons it.
create function fleet.lose(p_actor text) returns int
    language plpgsql as $$
declare
    v_count int := 0;
    v_id bigint;
    a fleet.attempt;
begin
    for v_id in
        select x.attempt from fleet.live v join fleet.attempt x on x.attempt = v.attempt
        where x.unseen_ms > fleet.get('reattach_ms') or fleet.unseen_since(x) < now() - fleet.ms('lost_ms')
        order by 1
    loop
        select x.* into a from fleet.attempt x join fleet.task t on t.task = x.task
        where x.attempt = v_id and x.ended_at is null and x.abandoned_at is null
          and t.status in ('assigned', 'running', 'agent_lost')
          and (x.unseen_ms > fleet.get('reattach_ms')
               or (t.status <> 'agent_lost' and fleet.unseen_since(x) < now() - fleet.ms('lost_ms')))
        for update of t, x skip locked;
        continue when not found;
        if a.unseen_ms > fleet.get('reattach_ms') then
            update fleet.task set failure_reason = 'host_lost' where task = a.task;
            perform fleet.move(a.task, 'failed', 'failed', a.number, p_actor,
                               jsonb_build_object('reason', 'host_lost', 'unseen_ms', a.unseen_ms));
        else
            perform fleet.move(a.task, 'agent_lost', 'agent_lost', a.number, p_actor,
                               jsonb_build_object('reason', coalesce(a.phase_reason, 'its node is gone')));
        end if;
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- A run whose slot a person gave to others is looked for no more when nobody has seen it for reattach_ms.
create function fleet.forget_freed() returns int
    language plpgsql as $$
declare
    a fleet.attempt;
    v_count int := 0;
begin
    for a in
        select x.* from fleet.freed f join fleet.attempt x on x.attempt = f.attempt join fleet.task t on t.task = x.task
        where x.ended_at is null and x.freed_at < now() - fleet.ms('reattach_ms') and fleet.unseen_since(x) < now() - fleet.ms('reattach_ms')
        order by x.attempt limit 100
        for update of t, x skip locked
    loop
        perform fleet.end_attempt(a, 'lost', 'host_lost', null, null, null);
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- Housekeeping, by any node, every minute or so: skips what is locked, takes the rest next time. Answers how many rows it changed.
create function fleet.reap(p_node uuid) returns int
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_sum int;
    v_count int;
begin
    perform fleet.node_check(p_node);
    perform fleet.partitions();
    perform fleet.look(p_node);
    v_sum := fleet.lose(fleet.node_actor(p_node));
    delete from fleet.delivery where ctid = any (array(
        select d.ctid from fleet.delivery d where d.received_at < now() - make_interval(days => fleet.get('delivery_days')::int)
        limit 10000 for update skip locked));
    get diagnostics v_count = row_count;
    v_sum := v_sum + v_count;
    delete from fleet.idempotency where ctid = any (array(
        select i.ctid from fleet.idempotency i where i.made_at < now() - make_interval(hours => fleet.get('idempotency_hours')::int)
        limit 10000 for update skip locked));
    get diagnostics v_count = row_count;
    v_sum := v_sum + v_count;
    delete from fleet.waiter where ctid = any (array(
        select w.ctid from fleet.waiter w
        where not exists (select from fleet.node n
                          where n.node = w.node and n.dead_at is null and n.stopped_at is null
                            and n.beat_at > clock_timestamp() - 10 * fleet.ms('lease_ms'))
        for update skip locked));
    delete from fleet.node where ctid = any (array(
        select n.ctid from fleet.node n
        where coalesce(n.dead_at, n.stopped_at, n.beat_at) < now() - make_interval(days => fleet.get('node_days')::int)
          and not exists (select from fleet.live v join fleet.attempt x on x.attempt = v.attempt where x.node = n.node)
          and not exists (select from fleet.executor e where e.node = n.node and e.enabled)
        for update skip locked));
    get diagnostics v_count = row_count;
    v_sum := v_sum + v_count + fleet.forget_freed() + fleet.forget_lanes(1000) + fleet.forget_trail(10000)
           + fleet.forget_agents(100) + fleet.forget_accounts() + fleet.forget_people(10000) + fleet.expire_approvals(1000);
    return v_sum + fleet.retain(now(), 500); -- the last: what it locks is free with our end
end $$;

-- Wakes the workers that wait. Send it in a transaction of its own after the commit that made work: reading the flags inside
-- the submitting transaction loses wake-ups.
create function fleet.wake() returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    if exists (select from fleet.waiter) then
        perform fleet.hint();
    end if;
end $$;

-- A worker that is about to sleep: sleep_begin (own commit), claim once more, wait for the NOTIFY, sleep_end.
create function fleet.sleep_begin(p_node uuid) returns void
    language sql security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    insert into fleet.waiter (node) values (p_node) on conflict do nothing;
end;

create function fleet.sleep_end(p_node uuid) returns void
    language sql security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    delete from fleet.waiter where node = p_node;
end;
