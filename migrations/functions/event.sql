-- History as a stream: pages in the order of (xid, event_id), below the oldest transaction that is still open. What such a
-- transaction writes comes behind, so a reader that goes on from a position misses nothing and gets nothing twice.

-- Which database this is: positions hold in one and not in another that was restored or promoted from it.
create function fleet.incarnation_now() returns text
    language plpgsql stable as $$
begin
    return (select left(md5(concat_ws(' ', i.fleet_id, s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8))), 8)
            from fleet.incarnation i, pg_control_system() s);
end $$;

create function fleet.event_json(e fleet.event, p_task_id text) returns json
    language plpgsql stable as $$
begin
    return json_build_object('event_id', e.event_id, 'task_id', p_task_id, 'event_type', e.event_type, 'from_status', e.from_status,
                             'to_status', e.to_status, 'attempt', e.attempt, 'actor', e.actor, 'at', fleet.utc(e.at),
                             'payload', coalesce(e.payload, '{}'));
end $$;

-- Why nobody can go on from a position; null: one can.
create function fleet.event_gap(p_incarnation text, p_xid xid8, p_event bigint) returns text
    language plpgsql stable as $$
begin
    if p_xid is null then
        return null; -- from now on
    elsif p_incarnation <> fleet.incarnation_now() then
        return 'another_database';
    elsif p_xid > pg_snapshot_xmin(pg_current_snapshot()) then
        return 'unknown';
    elsif exists (select from fleet.horizon h where h.name = 'event' and (p_xid, p_event) < (h.xid, h.event_id)
                  and h.xid < pg_snapshot_xmin(pg_current_snapshot())) then
        return 'removed'; -- some of what came behind it
    end if;
    return null;
end $$;

-- Events behind a position, at most p_limit. `hidden` names those of p_tokens that may not see one. Unless the page is full, its
-- last row has no event: the position up to which all is known (xid, 0). So it is when p_xid is null (from now on), and when there is
-- a gap, which that row names.
create function fleet.event_page(p_tokens bigint[], p_incarnation text, p_xid xid8, p_event bigint, p_limit int)
    returns table (incarnation text, xid xid8, event_id bigint, event_type text, task_id text, repo text, body text, hidden bigint[],
                   gap text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_here text := fleet.incarnation_now();
    v_until xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_gap text := fleet.event_gap(p_incarnation, p_xid, p_event);
    v_bound bigint[];
    v_count int := 0;
begin
    if v_gap is null and p_xid is not null then
        v_bound := array(select k from unnest(p_tokens) k where not (fleet.bounds_of(row(k, null, null)::fleet.requester) is null));
        return query
            select v_here, p.xid, p.event_id, p.event_type, t.task_id, t.repo, fleet.event_json(p, t.task_id)::text,
                   case when cardinality(v_bound) > 0 then
                       array(select k from unnest(v_bound) k where not fleet.reaches_task(row(k, null, null)::fleet.requester, t))
                   end, null::text
            from (select e.* from fleet.event e
                  where (e.xid, e.event_id) > (p_xid, p_event) and e.xid < v_until
                  order by e.xid, e.event_id limit greatest(least(p_limit, 1000), 1)) p
            join fleet.task t on t.task = p.task
            order by p.xid, p.event_id;
        get diagnostics v_count = row_count;
    end if;
    if v_count < greatest(least(p_limit, 1000), 1) then
        return query select v_here, v_until, 0::bigint, null::text, null::text, null::text, null::text, null::bigint[], v_gap;
    end if;
end $$;
