-- Statistics that cost the same however many tasks there are: what is counted is counted to 10,000, what happened is looked back at over
-- the newest events.

-- A count as people and programs read it.
create function fleet.counted(p_count bigint, p_cap bigint) returns json
    language plpgsql immutable as $$
begin
    return json_build_object('count', least(p_count, p_cap), 'more', p_count > p_cap,
                             'text', ltrim(to_char(least(p_count, p_cap), '999,999,999'))
                                     || case when p_count > p_cap then '+' else '' end);
end $$;

-- How many tasks there are by status, p_waiting of which wait.
create function fleet.status_counts(p_waiting bigint, p_cap bigint) returns json
    language plpgsql stable as $$
begin
    return (
        with live as materialized (
            select t.status, count(*) as n from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.task t on t.task = a.task
            where a.abandoned_at is null group by t.status)
        select json_object_agg(s.status, fleet.counted(case
            when s.status = 'created' then p_waiting
            when s.status in ('assigned', 'running', 'agent_lost') then coalesce((select n from live where live.status = s.status), 0)
            else (select count(*) from (select from fleet.ended e where e.status = s.status limit p_cap + 1) e) end, p_cap)
            order by s.place)
        from unnest('{created,assigned,running,agent_lost,review_pending,completed,failed,cancelled}'::text[])
            with ordinality s (status, place));
end $$;

-- What waits, and since when, of the hundred that were submitted first.
create function fleet.queue_stats(p_ready bigint, p_delayed bigint, p_cap bigint) returns json
    language plpgsql stable as $$
begin
    return (
        select json_build_object(
            'ready', fleet.counted(p_ready, p_cap), 'delayed', fleet.counted(p_delayed, p_cap),
            'oldest_since', fleet.utc(w.since), 'oldest_secs', round(extract(epoch from now() - w.since)::numeric, 3))
        from (select min(greatest(t.changed_at, t.run_at)) as since
              from (select q.task from fleet.queue q order by q.task limit 100) q join fleet.task t on t.task = q.task) w);
end $$;

-- What was done in the last five minutes, or since when p_events events go back. Spend: null when no agent told a cost.
create function fleet.lately(p_events int) returns json
    language plpgsql stable as $$
declare
    v_from timestamptz := now() - interval '5 min';
begin
    return (
        with e as materialized (
            select v.at, v.event_type, v.from_status, v.to_status, v.task, v.attempt from fleet.event v
            order by v.xid desc, v.event_id desc limit p_events
        ), w as (select case when count(*) = p_events then greatest(v_from, min(at)) else v_from end as since from e)
        select json_build_object(
            'secs', round(extract(epoch from now() - w.since)::numeric, 3),
            'submitted', count(*) filter (where e.to_status = 'created' and e.from_status is null),
            'started', count(*) filter (where e.to_status = 'running' and e.from_status = 'assigned'),
            'completed', count(*) filter (where e.to_status = 'completed'), 'failed', count(*) filter (where e.to_status = 'failed'),
            'cancelled', count(*) filter (where e.to_status = 'cancelled'),
            'cost_usd', sum((select case when jsonb_typeof(a.report -> 'cost_usd') = 'number' then (a.report ->> 'cost_usd')::numeric end
                             from fleet.attempt a where a.task = e.task and a.number = e.attempt))
                        filter (where e.event_type = 'attempt_ended'))
        from w left join e on e.at >= w.since
        group by w.since);
end $$;

create function fleet.stats(p_by fleet.requester) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    c_cap constant bigint := 10000;
    b fleet.bounds := fleet.bounds_of(p_by);
    v_ready bigint := (select count(*) from (select from fleet.queue limit c_cap + 1) q);
    v_delayed bigint := (select count(*) from (select from fleet.delayed limit c_cap + 1) d);
begin
    if b.repositories is not null then
        return fleet.refuse(403, 'repository_not_allowed', 'statistics are of the whole fleet, and this token is bound to repositories');
    end if;
    return fleet.say(200, json_build_object(
        'tasks', fleet.status_counts(v_ready + v_delayed, c_cap), 'queue', fleet.queue_stats(v_ready, v_delayed, c_cap),
        'slots', (select json_build_object('total', count(*) filter (where not s.retiring), 'busy', count(s.attempt),
                                           'free', count(*) filter (where s.attempt is null and not s.retiring)) from fleet.slot s),
        'lately', fleet.lately(2000))::text);
end $$;
