-- What is measured. Counters are rolled up from the history, behind it and never in its way: a page at a time, from a mark up to the
-- oldest transaction that is still open, in the transaction that moves the mark. So each event counts once, whoever is killed when,
-- and one that is committed late counts later. What there is now is counted in the background too, no more often than its cost
-- allows. fleet.metrics() reads the results and no table that grows.

-- Upper bounds of durations, in seconds.
create function fleet.metric_bounds() returns float8[]
    language plpgsql immutable as $$
begin
    return '{0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,120,300,600,1800,3600,7200,14400,43200}'::float8[];
end $$;

create function fleet.metric_bucket(p_seconds float8) returns int
    language plpgsql immutable as $$
begin
    return (select count(*) from unnest(fleet.metric_bounds()) b where b < p_seconds);
end $$;

-- Counters that are there before the first of their kind comes: a rate begins at 0.
insert into fleet.metric (name, labels)
select n.name, array[l.label] from (values
    ('fleet_tasks_submitted_total', '{api,forgejo}'::text[]), ('fleet_tasks_ended_total', '{completed,failed,cancelled}'),
    ('fleet_claims_total', '{ssh_cli,http_pull}'), ('fleet_starts_total', '{ssh_cli,http_pull}'),
    ('fleet_nodes_died_total', '{server,worker,agent}')) n (name, labels)
cross join unnest(n.labels) l (label)
union all
select name, '{}' from unnest('{fleet_retries_total,fleet_adoptions_total,fleet_agents_lost_total}'::text[]) name
on conflict do nothing;

-- The position of a source, for the one that rolls it up now; null: another one does. A cluster of another identity has other xids:
-- there it begins anew, with what comes.
create function fleet.metric_begin(p_source text) returns fleet.metric_mark
    language plpgsql as $$
declare
    m fleet.metric_mark;
    v_system text := (select system_identifier::text from pg_control_system());
begin
    select * into m from fleet.metric_mark where source = p_source for update skip locked;
    if m.system <> v_system then
        m.system := v_system;
        m.xid := pg_snapshot_xmin(pg_current_snapshot());
        m.id := 0;
        m.since := now();
    end if;
    return m;
end $$;

create function fleet.metric_end(m fleet.metric_mark) returns void
    language plpgsql as $$
begin
    update fleet.metric_mark set system = m.system, xid = m.xid, id = m.id, since = m.since, rolled_at = clock_timestamp()
    where source = m.source;
end $$;

-- Rolls up at most p_max events; answers how many.
create function fleet.roll_events(p_max int) returns int
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    m fleet.metric_mark := fleet.metric_begin('event');
    v_until xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_last record;
begin
    if m.source is null then
        return 0;
    end if;
    with e as materialized (
        select v.xid, v.event_id, v.at, v.task, v.event_type, v.from_status, v.to_status, v.attempt, v.payload
        from fleet.event v
        where (v.xid, v.event_id) > (m.xid, m.id) and v.xid < v_until and v.at >= m.since
        order by v.xid, v.event_id limit p_max
    ), of_run as (
        select e.at, e.event_type, coalesce(k.kind, 'unknown') as kind, e.payload, a.ready_at, a.claimed_at, a.started_at
        from e
        left join fleet.attempt a on a.task = e.task and a.number = e.attempt
        left join fleet.executor k on k.executor = a.executor
        where e.event_type in ('assigned', 'attempt_ended') or (e.event_type = 'running' and a.started_at = e.at)
    ), counted (name, labels, seconds) as (
        select 'fleet_tasks_submitted_total', array[t.source], null::interval
        from e join fleet.task t on t.task = e.task where e.to_status = 'created' and e.from_status is null
        union all
        select 'fleet_tasks_ended_total', array[to_status], null from e where to_status in ('completed', 'failed', 'cancelled')
        union all
        select 'fleet_retries_total', '{}', null from e where event_type = 'retry_scheduled'
        union all
        select 'fleet_adoptions_total', '{}', null from e where event_type = 'adopted'
        union all
        select 'fleet_agents_lost_total', '{}', null from e where to_status = 'agent_lost'
        union all
        select case event_type when 'assigned' then 'fleet_claims_total' else 'fleet_starts_total' end, array[kind], null
        from of_run where event_type in ('assigned', 'running')
        union all
        select 'fleet_queue_wait_seconds', array[kind], at - ready_at from of_run where event_type = 'assigned' and ready_at is not null
        union all
        select 'fleet_start_seconds', array[kind], at - claimed_at from of_run where event_type = 'running'
        union all
        select 'fleet_runs_total',
               array[kind, payload ->> 'outcome', coalesce(r.reason, case when payload ? 'reason' then 'other' else '' end),
                     coalesce(r.class, '')], null
        from of_run left join fleet.reason r on r.reason = payload ->> 'reason' where event_type = 'attempt_ended'
        union all
        select 'fleet_run_seconds', array[kind, payload ->> 'outcome'], at - started_at
        from of_run where event_type = 'attempt_ended' and started_at is not null
    ), summed as (
        select name, labels, case when seconds is null then 0 else fleet.metric_bucket(extract(epoch from seconds)) end as bucket,
               count(*) as count, coalesce(sum(greatest(extract(epoch from seconds), 0)), 0) as seconds
        from counted group by 1, 2, 3
    ), put as (
        insert into fleet.metric as c (name, labels, bucket, count, seconds)
        select name, labels, bucket, count, seconds from summed
        on conflict (name, labels, bucket) do update set count = c.count + excluded.count, seconds = c.seconds + excluded.seconds
    )
    select count(*) as count, (array_agg(e.xid order by e.xid desc, e.event_id desc))[1] as xid,
           (array_agg(e.event_id order by e.xid desc, e.event_id desc))[1] as id into v_last from e;
    m.xid := case when v_last.count < p_max then greatest(m.xid, v_until) else v_last.xid end;
    m.id := case when v_last.count < p_max then 0 else v_last.id end;
    perform fleet.metric_end(m);
    return v_last.count;
end $$;

create function fleet.roll_deliveries(p_max int) returns int
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    m fleet.metric_mark := fleet.metric_begin('delivery');
    v_until xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_last record;
begin
    if m.source is null then
        return 0;
    end if;
    with d as materialized (
        select x.xid, x.delivery, x.result, x.reason, greatest(x.received_at - x.sent_at, '0') as lag
        from fleet.delivery x
        where (x.xid, x.delivery) > (m.xid, m.id) and x.xid < v_until and x.received_at >= m.since
        order by x.xid, x.delivery limit p_max
    ), counted (name, labels, seconds) as (
        select 'fleet_deliveries_total', array[result, case when reason ~ '^[a-z_]{1,40}$' then reason else 'other' end], null::interval
        from d
        union all
        select 'fleet_delivery_lag_seconds', '{}', lag from d where result = 'accepted' and lag is not null
    ), put as (
        insert into fleet.metric as c (name, labels, bucket, count, seconds)
        select name, labels, case when seconds is null then 0 else fleet.metric_bucket(extract(epoch from seconds)) end, count(*),
               coalesce(sum(extract(epoch from seconds)), 0)
        from counted group by 1, 2, 3
        on conflict (name, labels, bucket) do update set count = c.count + excluded.count, seconds = c.seconds + excluded.seconds
    )
    select count(*) as count, (array_agg(d.xid order by d.xid desc, d.delivery desc))[1] as xid,
           (array_agg(d.delivery order by d.xid desc, d.delivery desc))[1] as id into v_last from d;
    m.xid := case when v_last.count < p_max then greatest(m.xid, v_until) else v_last.xid end;
    m.id := case when v_last.count < p_max then 0 else v_last.id end;
    perform fleet.metric_end(m);
    return v_last.count;
end $$;

-- A death is a mark in the node's row, and so is that it was counted.
create function fleet.roll_deaths() returns int
    language plpgsql as $$
declare v_count int;
begin
    with dead as (
        update fleet.node set death_counted = true
        where node = any (array(select n.node from fleet.node n where n.dead_at is not null and not n.death_counted
                                limit 1000 for no key update skip locked))
        returning kind
    )
    insert into fleet.metric as c (name, labels, count) select 'fleet_nodes_died_total', array[kind], count(*) from dead group by 2
    on conflict (name, labels, bucket) do update set count = c.count + excluded.count;
    get diagnostics v_count = row_count;
    return v_count;
end $$;

-- One at a time; the next one within half a second has nothing to do. Only where nothing was counted the commit does not wait for the
-- disk: a counter that was shown must not fall behind a crash, Prometheus would take it for one that began anew.
create function fleet.roll_up(p_node uuid) returns int
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    c_max constant int := 2000;
    v_count int;
begin
    perform fleet.node_check(p_node);
    if exists (select from fleet.metric_mark k where k.source = 'delivery' and k.rolled_at > clock_timestamp() - interval '0.5 s') then
        return 0;
    end if;
    v_count := fleet.roll_events(c_max);
    if v_count = c_max then
        return v_count; -- there is more: at once again
    end if;
    v_count := v_count + fleet.roll_deliveries(c_max) + fleet.roll_deaths();
    if v_count = 0 then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    return v_count;
end $$;
comment on function fleet.roll_up(uuid) is 'Once a second, by any node: counts what happened since the last time. Answers how much it was.';

-- ---------------------------------------------------------------- what there is now

-- A row of what was counted.
create function fleet.stock_row(p_name text, p_labels text[], p_value float8) returns jsonb
    language plpgsql immutable as $$
begin
    return jsonb_build_array(p_name, to_jsonb(p_labels), p_value);
end $$;

-- What waits by lane. The whole queue is read, in the order of the disk; of what may not start yet the first of a lane are known, the
-- others count as lane null.
create function fleet.stock_lanes() returns table (lane int, state text, tasks bigint, since timestamptz)
    language plpgsql stable set enable_seqscan = on as $$
begin
    return query select q.lane, 'ready', count(*), min(q.since) from fleet.queue q group by q.lane;
end $$;

create function fleet.stock_delayed() returns table (lane int, state text, tasks bigint, since timestamptz)
    language plpgsql stable 
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    c_known constant int := 10000;
    v_all bigint := (select count(*) from fleet.delayed);
begin
    return query
        select t.lane, 'delayed', count(*), null::timestamptz
        from (select d.task from fleet.delayed d order by d.run_at limit c_known) d join fleet.task t on t.task = d.task
        group by t.lane;
    return query select null::int, 'delayed', v_all - c_known, null::timestamptz where v_all > c_known;
end $$;

-- Depth and age by requirements, of which at most 50 are named, and by what there is for them: an executor in service with a free slot,
-- busy ones only, or none.
create function fleet.stock_queue() returns setof jsonb
    language plpgsql stable as $$
begin
    return query
        with waiting as materialized (
            select * from fleet.stock_lanes() union all select * from fleet.stock_delayed()
        ), room as (
            select el.lane, bool_or(x.free > 0) as free from fleet.executor_lane el
            join fleet.executor_now x on x.executor = el.executor and x.status = 'online'
            where el.lane in (select w.lane from waiting w) group by el.lane
        ), named as (
            select w.state, w.tasks, w.since,
                   case when l.lane is null then 'other' when l.requirements = '{}' then 'any'
                        else left(array_to_string(l.requirements, ','), 200) end as requirements,
                   case when r.free then 'free' when r.lane is not null then 'busy' when w.lane is null then 'unknown'
                        else 'none' end as slots
            from waiting w left join fleet.lane l on l.lane = w.lane left join room r on r.lane = w.lane
        ), shown as (
            select n.requirements from named n group by 1 order by sum(n.tasks) desc, 1 limit 50
        ), summed as (
            select coalesce(s.requirements, 'other') as requirements, n.state, n.slots, sum(n.tasks) as tasks, min(n.since) as since
            from named n left join shown s on s.requirements = n.requirements group by 1, 2, 3
        )
        select fleet.stock_row('fleet_queue_tasks', array[m.requirements, m.state, m.slots], m.tasks) from summed m
        union all
        select fleet.stock_row('fleet_queue_oldest_seconds', array[m.requirements, m.slots],
                               extract(epoch from greatest(clock_timestamp() - m.since, '0'))) from summed m where m.state = 'ready'
        union all
        select fleet.stock_row('fleet_tasks', '{created}', coalesce(sum(m.tasks), 0)) from summed m
        union all
        select fleet.stock_row('fleet_queue_overdue_seconds', '{}',
                               greatest(extract(epoch from clock_timestamp() - (select min(run_at) from fleet.delayed where run_at < 'infinity')), 0));
end $$;

-- Tasks that live: as many as there are slots, at most; and those that a person is asked to look at.
create function fleet.stock_tasks() returns setof jsonb
    language plpgsql stable  set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    return query
        with live as (
            select t.status, count(*) as n from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.task t on t.task = a.task
            where a.abandoned_at is null group by t.status)
        select fleet.stock_row('fleet_tasks', array[s], coalesce(live.n, 0))
        from unnest('{assigned,running,agent_lost}'::text[]) s left join live on live.status = s
        union all
        select fleet.stock_row('fleet_tasks', '{review_pending}', (select count(*) from fleet.ended e where e.status = 'review_pending'));
end $$;

-- Slots by kind of executor: free ones of executors in service, used, held by a run that nobody sees, and idle ones of those out of it.
create function fleet.stock_slots() returns setof jsonb
    language plpgsql stable as $$
begin
    return query
        with slot as (
            select x.kind, case
                when s.attempt is null then case when x.status = 'online' then 'free' else 'idle' end
                when a.unreachable_at is not null or n.dead_at is not null or n.stopped_at is not null then 'held'
                else 'used' end as state
            from fleet.slot s
            join fleet.executor_now x on x.executor = s.executor
            left join fleet.attempt a on a.attempt = s.attempt
            left join fleet.node n on n.node = a.node
            where s.attempt is not null or not s.retiring)
        select fleet.stock_row('fleet_slots', array[k, st], (select count(*) from slot where slot.kind = k and slot.state = st))
        from unnest('{ssh_cli,http_pull}'::text[]) k, unnest('{free,used,held,idle}'::text[]) st;
end $$;

-- Hosts, each of the first 200 and all by their state; what runs tasks, by its state; nodes.
create function fleet.stock_machines() returns setof jsonb
    language plpgsql stable as $$
begin
    return query
        with host as materialized (
            select h.host_id, h.status, h.disk_free, row_number() over (order by h.host_id) as place from fleet.host_now h where not h.gone
        ), agent as materialized (
            select x.kind, x.status, x.running, x.free, x.host_id from fleet.executor_now x where not x.gone
        ), account as materialized (
            select k.account, k.reason, k.parked_until, row_number() over (order by k.account) as place
            from fleet.account k
            where k.state = 'parked' and exists (select from fleet.executor e where e.account = k.account and e.enabled))
        select fleet.stock_row('fleet_hosts', array[s], (select count(*) from host where host.status = s))
        from unnest('{online,offline,cordoned}'::text[]) s
        union all
        select fleet.stock_row('fleet_host_up', array[h.host_id], case h.status when 'online' then 1 else 0 end)
        from host h where h.place <= 200 and h.status <> 'cordoned'
        union all
        select fleet.stock_row('fleet_host_slots', array[h.host_id, s.state], s.n)
        from host h
        cross join lateral (select coalesce(sum(a.running), 0) as used, coalesce(sum(a.free), 0) as free
                            from agent a where a.host_id = h.host_id) k
        cross join lateral (values ('used', k.used), ('free', case when h.status = 'online' then k.free else 0 end)) s (state, n)
        where h.place <= 200
        union all
        select fleet.stock_row('fleet_host_disk_free_bytes', array[h.host_id], h.disk_free)
        from host h where h.place <= 200 and h.disk_free is not null
        union all
        select fleet.stock_row('fleet_agents', array[k, s], (select count(*) from agent where agent.kind = k and agent.status = s))
        from unnest('{ssh_cli,http_pull}'::text[]) k, unnest('{online,offline,disabled,cordoned,out_of_service,resting}'::text[]) s
        union all
        select fleet.stock_row('fleet_accounts_parked', array[k.reason], count(*)) from account k group by k.reason
        union all
        select fleet.stock_row('fleet_account_opens_seconds', array[k.account], greatest(0, extract(epoch from k.parked_until - now())))
        from account k where k.place <= 200 and k.parked_until <> 'infinity'
        union all
        select fleet.stock_row('fleet_nodes', array[k, s], (select count(*) from fleet.node_now n where n.kind = k and n.status = s))
        from unnest('{server,worker}'::text[]) k, unnest('{live,silent}'::text[]) s;
end $$;

-- What waits for Forgejo.
create function fleet.stock_forgejo() returns setof jsonb
    language plpgsql stable as $$
begin
    return query
        with look as (
            select l.due_at, (l.tries > 0)::int as failing from fleet.look l where l.done < l.seq
        ), telling as (
            select o.tell_at, case when o.parked_at is not null then 'parked' when o.tries > 0 then 'failing' else 'due' end as state
            from fleet.outbox o where o.told < o.dirty and (o.parked_at is not null or o.tell_at <= now() or o.tries > 0)
        )
        select fleet.stock_row('fleet_tasks_held', array[t.hold], count(*))
        from fleet.delayed d join fleet.task t on t.task = d.task where t.hold is not null group by t.hold
        union all
        select fleet.stock_row('fleet_forgejo_looks', array[s.state], (select count(*) from look where failing = s.failing))
        from (values ('due', 0), ('failing', 1)) s (state, failing)
        union all
        select fleet.stock_row('fleet_forgejo_look_oldest_seconds', '{}', greatest(0, coalesce(extract(epoch from now() - min(due_at)), 0)))
        from look
        union all
        select fleet.stock_row('fleet_forgejo_tellings', array[s.state], (select count(*) from telling x where x.state = s.state))
        from (values ('due'), ('failing'), ('parked')) s (state)
        union all
        select fleet.stock_row('fleet_forgejo_telling_oldest_seconds', '{}',
                               greatest(0, coalesce(extract(epoch from now() - min(tell_at)), 0)))
        from telling where state <> 'parked'
        union all
        select fleet.stock_row('fleet_forgejo_repositories_parked', '{}', count(*)) from fleet.repository r where r.parked_at is not null;
end $$;

-- How far ahead there are partitions for what is written.
create function fleet.stock_partitions() returns setof jsonb
    language plpgsql stable as $$
begin
    return query
        select fleet.stock_row('fleet_partitions_ahead_seconds', array[p.parent],
                               coalesce(extract(epoch from max(p.until) - now() at time zone 'UTC'), 0))
        from (select parent.relname::text as parent,
                     case parent.relname
                         when 'event' then (right(c.relname, 6) || '01')::timestamp + interval '1 month'
                         else right(c.relname, 8)::timestamp + interval '1 day' end as until
              from pg_class parent
              left join pg_inherits i on i.inhparent = parent.oid
              left join pg_class c on c.oid = i.inhrelid and c.relname ~ ('^' || parent.relname || '_[0-9]+$')
              where parent.relnamespace = 'fleet'::regnamespace and parent.relname in ('event', 'log')) p
        group by p.parent;
end $$;

-- The rows of a stock, when it is due and nobody else takes it: false. What it cost says when the next is: it takes 2 % of a
-- connection's time at most.
create function fleet.stock_due(p_name text) returns boolean
    language plpgsql as $$
begin
    perform from fleet.metric_stock s where s.name = p_name and s.due_at <= clock_timestamp() for no key update skip locked;
    return found;
end $$;

create function fleet.stock_put(p_name text, p_began timestamptz, p_every interval, p_rows jsonb) returns void
    language plpgsql as $$
declare v_took interval := clock_timestamp() - p_began;
begin
    perform set_config('synchronous_commit', 'off', true);
    update fleet.metric_stock
    set taken_at = clock_timestamp(), due_at = clock_timestamp() + greatest(p_every, 50 * v_took),
        took_ms = extract(epoch from v_took) * 1000, rows = p_rows
    where name = p_name;
end $$;

create function fleet.take_stock(p_node uuid) returns boolean
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_began timestamptz := clock_timestamp();
begin
    perform fleet.node_check(p_node);
    if not fleet.stock_due('fleet') then
        return false;
    end if;
    perform fleet.stock_put('fleet', v_began, '5 s', (
        select jsonb_agg(r) from (
            select fleet.stock_queue() union all select fleet.stock_tasks() union all select fleet.stock_slots()
            union all select fleet.stock_machines() union all select fleet.stock_forgejo() union all select fleet.stock_partitions()) x (r)));
    return true;
end $$;
comment on function fleet.take_stock(uuid) is 'Every 5 s, by any node, less often where it takes long: counts what there is now.';

-- What the planner thinks that a view costs, in its own units.
create function fleet.view_cost(p_view text) returns float8
    language plpgsql as $$
declare v_plan json;
begin
    execute format('explain (format json) select count(*) from fleet.%I', p_view) into v_plan;
    return (v_plan -> 0 -> 'Plan' ->> 'Total Cost')::float8;
end $$;

-- The invariants, a row each; of one that would take more than a moment, for there is much history to look at, only that it was left
-- out: fleet.check_all() looks at all.
create function fleet.stock_checks() returns setof jsonb
    language plpgsql as $$
declare
    c_dear constant float8 := 500000;
    v_view text;
    v_faults bigint;
begin
    for v_view in select c.relname from pg_class c
                  where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'v' and starts_with(c.relname, 'check_') order by 1 loop
        if fleet.view_cost(v_view) > c_dear then
            return next fleet.stock_row('fleet_check_left_out', array[v_view], 1);
        else
            execute format('select count(*) from fleet.%I', v_view) into v_faults;
            return next fleet.stock_row('fleet_check_faults', array[v_view], v_faults);
            return next fleet.stock_row('fleet_check_left_out', array[v_view], 0);
        end if;
    end loop;
end $$;

create function fleet.take_checks(p_node uuid) returns boolean
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_began timestamptz := clock_timestamp();
begin
    perform fleet.node_check(p_node);
    if not fleet.stock_due('checks') then
        return false;
    end if;
    -- planned as it is, not as a node's calls are
    perform set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true), set_config('jit', 'off', true);
    perform fleet.stock_put('checks', v_began, '5 min', (
        select jsonb_agg(r) from (
            select fleet.stock_checks()
            union all
            select fleet.stock_row('fleet_database_bytes', '{}', pg_database_size(current_database()))) x (r)));
    return true;
exception when query_canceled then
    -- a node's time for a statement was over: not again at once, and how old the last look is shows
    update fleet.metric_stock
    set due_at = clock_timestamp() + interval '1 hour', took_ms = extract(epoch from clock_timestamp() - v_began) * 1000
    where name = 'checks';
    return false;
end $$;
comment on function fleet.take_checks(uuid) is 'Every 5 min, by any node: looks at the invariants.';

-- ---------------------------------------------------------------- what is told

-- What a worker says of itself; its newest words count.
create function fleet.node_report(p_node uuid, p_said jsonb) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.node_check(p_node);
    if jsonb_typeof(p_said) is distinct from 'object' or length(p_said::text) > 16384 then
        raise exception 'a report is an object of at most 16384 bytes' using errcode = 'AF007';
    end if;
    perform set_config('synchronous_commit', 'off', true);
    insert into fleet.node_metric (node, said) values (p_node, p_said)
    on conflict (node) do update set reported_at = clock_timestamp(), said = excluded.said;
end $$;
comment on function fleet.node_report(uuid, jsonb) is 'Every 15 s, by a worker: its own numbers, for a server to show.';

create type fleet.measured as (name text, l1 text, l2 text, l3 text, l4 text, le text, value float8);

create function fleet.measure(p_name text, p_labels text[], p_value float8, p_le text default null) returns fleet.measured
    language plpgsql immutable as $$
begin
    return row(p_name, p_labels[1], p_labels[2], p_labels[3], p_labels[4], p_le, p_value)::fleet.measured;
end $$;

-- Counters; durations as Prometheus has them: by each bound how many are at most so long, and "sum".
create function fleet.measured_counters() returns setof fleet.measured
    language plpgsql stable as $$
begin
    return query
        select m.* from fleet.metric c cross join fleet.measure(c.name, c.labels, c.count) m
        where right(c.name, 6) = '_total' order by c.name, c.labels;
    return query
        with d as materialized (
            select c.name, c.labels, c.bucket, c.count, c.seconds from fleet.metric c where right(c.name, 8) = '_seconds'
        ), bound as (
            select u::text as le, o as place from unnest(fleet.metric_bounds()) with ordinality x (u, o) union all select '+Inf', 2147483647
        ), told as (
            select k.name, k.labels, b.place, b.le,
                   (select coalesce(sum(d.count), 0) from d where d.name = k.name and d.labels = k.labels and d.bucket < b.place) as value
            from (select distinct d.name, d.labels from d) k cross join bound b
            union all
            select d.name, d.labels, 0, 'sum', sum(d.seconds) from d group by d.name, d.labels)
        select m.* from told t cross join fleet.measure(t.name, t.labels, t.value::float8, t.le) m order by t.name, t.labels, t.place;
end $$;

-- Nodes that live, and those that died within the hour. Names are people's: 400 nodes are shown.
create function fleet.measured_nodes() returns setof fleet.measured
    language plpgsql stable as $$
begin
    return query
        with n as materialized (
            select n.kind, n.name, max(n.version) as version, max(n.beat_at) as beat_at, bool_or(n.status = 'live') as up
            from fleet.node_now n where n.status in ('live', 'silent') or n.dead_at > now() - interval '1 hour'
            group by n.kind, n.name order by n.kind, bool_or(n.status = 'live') desc, n.name limit 400)
        select m.* from n
        cross join lateral (values ('fleet_node_up', array[n.name, n.kind, n.version], n.up::int::float8),
                                   ('fleet_node_beat_age_seconds', array[n.name, n.kind],
                                    extract(epoch from greatest(clock_timestamp() - n.beat_at, '0'))::float8)) k (name, labels, value)
        cross join fleet.measure(k.name, k.labels, k.value) m;
end $$;

-- What each worker said of itself; of 200.
create function fleet.measured_workers() returns setof fleet.measured
    language plpgsql stable as $$
begin
    return query
        with said as materialized (
            select distinct on (n.name) n.name, r.reported_at, r.said from fleet.node_metric r
            join fleet.node n on n.node = r.node and n.dead_at is null and n.stopped_at is null
            order by n.name, r.reported_at desc limit 200
        ), each as materialized (
            select s.name, j.key, j.value from said s cross join jsonb_each(s.said) j
        ), told (key, labels, value) as (
            select 'report_age_seconds', array[s.name], extract(epoch from greatest(clock_timestamp() - s.reported_at, '0'))::float8
            from said s
            union all
            select e.key, array[e.name], e.value::text::float8 from each e where jsonb_typeof(e.value) = 'number'
            union all
            select e.key, array[e.name, o.key], o.value::text::float8 from each e
            cross join lateral jsonb_each(case jsonb_typeof(e.value) when 'object' then e.value else '{}' end) o
            where jsonb_typeof(o.value) = 'number')
        select m.* from told t cross join fleet.measure('fleet_worker_' || t.key, t.labels, t.value) m order by t.key, t.labels;
end $$;

-- Of the roll-up and the counts themselves: how far behind, how old, how long they took.
create function fleet.measured_itself() returns setof fleet.measured
    language plpgsql stable as $$
begin
    return query
        with told (name, labels, value) as (
            select 'fleet_history_behind_seconds', '{}'::text[], coalesce((
                select extract(epoch from greatest(clock_timestamp() - e.at, '0')) from fleet.event e
                where (e.xid, e.event_id) > (k.xid, k.id) and e.at >= k.since order by e.xid, e.event_id limit 1), 0)
            from fleet.metric_mark k where k.source = 'event'
            union all
            select 'fleet_rolled_age_seconds', '{}', extract(epoch from greatest(clock_timestamp() - min(k.rolled_at), '0'))
            from fleet.metric_mark k
            union all
            select k.name, array[s.name], k.value from fleet.metric_stock s
            cross join lateral (values ('fleet_stock_age_seconds', extract(epoch from greatest(clock_timestamp() - s.taken_at, '0'))),
                                       ('fleet_stock_took_seconds', s.took_ms / 1000)) k (name, value)
            where s.taken_at is not null
            union all
            select 'fleet_schema_version', '{}', fleet.schema_version()
            union all
            select 'fleet_incarnation_info', array[i.fleet_id, fleet.incarnation_now()], 1 from fleet.incarnation i)
        select m.* from told t cross join fleet.measure(t.name, t.labels, t.value::float8) m;
end $$;

create function fleet.metrics() returns setof fleet.measured
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
begin
    return query select * from fleet.measured_counters();
    return query
        select m.* from fleet.metric_stock s cross join jsonb_array_elements(s.rows) r
        cross join fleet.measure(r ->> 0, array(select jsonb_array_elements_text(r -> 1)), (r ->> 2)::float8) m;
    return query select * from fleet.measured_nodes();
    return query select * from fleet.measured_workers();
    return query select * from fleet.measured_itself();
end $$;
comment on function fleet.metrics() is 'What is measured, as GET /metrics shows it: le is a bound of a duration, or "sum".';
