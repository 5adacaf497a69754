-- Accounts: the login of an agent on a host, that is its executor, and an HTTP agent's. It rests when its provider limits it, and when a
-- person parks it.

create function fleet.account_json(p_executor int) returns json
    language plpgsql stable as $$
begin
    return (select json_build_object(
        'account_id', x.agent_id, 'agent_id', x.agent_id, 'host_id', x.host_id, 'agent_type', x.agent_type,
        'status', case when x.out_since is null then 'open' else 'parked' end,
        'parked_since', fleet.utc(x.out_since), 'parked_until', case when x.out_until <> 'infinity' then fleet.utc(x.out_until) end,
        'reason_code', case when x.out_since is not null then e.out_reason end,
        'reason', case when x.out_since is not null then coalesce(e.out_detail, r.advice) end,
        'advice', case when x.out_since is not null then r.advice end,
        'reported_by', case when x.out_since is not null then coalesce(e.out_by, 'agent') end,
        'running', x.running, 'max_concurrency', x.max_concurrency)
    from fleet.executor_now x
    join fleet.executor e on e.executor = x.executor
    left join fleet.reason r on r.reason = e.out_reason
    where x.executor = p_executor);
end $$;

-- By name. The cursor is the last one of the page before.
create function fleet.account_list(p_by fleet.requester, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off as $$
declare
    v_limit int := fleet.page_limit(p_limit);
    v_ids text[];
    v_keys int[];
begin
    if length(p_cursor) > 1000 then
        return fleet.refuse(400, 'malformed_cursor', 'this cursor was not given by a list of accounts: take the link of the page before');
    end if;
    select array_agg(x.agent_id order by x.agent_id collate "C"), array_agg(x.executor order by x.agent_id collate "C") into v_ids, v_keys
    from (select e.agent_id, e.executor from fleet.executor_now e
          where not e.gone and (p_cursor is null or e.agent_id collate "C" > p_cursor)
          order by e.agent_id collate "C" limit v_limit + 1) x;
    return fleet.say(200, (select coalesce(json_agg(fleet.account_json(k) order by o), '[]')::text
                           from unnest(v_keys[1:v_limit]) with ordinality x (k, o)),
                     case when cardinality(v_ids) > v_limit then v_ids[v_limit] end);
end $$;

-- What a person said stays until that person or another says otherwise, or until then; a limit that ends later is longer.
create function fleet.set_parked(p_agent_id text, p_until timestamptz, p_reason text, p_actor text, out before jsonb, out after jsonb)
    language plpgsql as $$
declare e fleet.executor;
begin
    select * into e from fleet.executor where agent_id = p_agent_id for update;
    if not found then
        raise exception 'there is no account %', p_agent_id using errcode = 'AF003', hint = 'select agent_id from fleet.agents';
    elsif p_until is not null and coalesce(p_reason, '') = '' then
        raise exception 'say why % is to be parked', p_agent_id using errcode = 'AF007';
    elsif p_until <= now() then
        raise exception 'until has to be in the future' using errcode = 'AF007';
    end if;
    before := fleet.account_json(e.executor);
    perform fleet.put_back(e.executor);
    if p_until is null then
        perform fleet.hint();
    else
        perform fleet.take_out(e.executor, p_until, 'parked', p_reason);
        update fleet.executor set out_by = p_actor where executor = e.executor;
    end if;
    after := fleet.account_json(e.executor);
end $$;

create function fleet.account_park(p_by fleet.requester, p_agent_id text, p_until timestamptz, p_reason text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    perform fleet.not_bound(p_by);
    c := fleet.set_parked(p_agent_id, coalesce(p_until, 'infinity'), p_reason, fleet.token_actor((p_by).token_id));
    perform fleet.trail(p_by, 'account_park', p_agent_id, c.before, c.after);
    return fleet.say(200, c.after::text);
end $$;

create function fleet.account_unpark(p_by fleet.requester, p_agent_id text, p_reason text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    perform fleet.not_bound(p_by);
    c := fleet.set_parked(p_agent_id, null, null, null);
    perform fleet.trail(p_by, 'account_unpark', p_agent_id, c.before, c.after || jsonb_strip_nulls(jsonb_build_object('why', p_reason)));
    return fleet.say(200, c.after::text);
end $$;

create function fleet.park(p_agent_id text, p_reason text, p_until timestamptz default 'infinity') returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    c := fleet.set_parked(p_agent_id, coalesce(p_until, 'infinity'), p_reason, fleet.caller());
    perform fleet.trail_psql('account_park', p_agent_id, c.before, c.after);
end $$;
comment on function fleet.park(text, text, timestamptz) is
    'An agent (host_id/agent_type) gets nothing until then, or until fleet.executor_accept(); what it runs goes on.';

create function fleet.executor_accept(p_agent_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    c := fleet.set_parked(p_agent_id, null, null, null);
    perform fleet.trail_psql('account_unpark', p_agent_id, c.before, c.after);
end $$;
comment on function fleet.executor_accept(text) is 'Puts an agent (host_id/agent_type) that is out of service or parked back into it.';
