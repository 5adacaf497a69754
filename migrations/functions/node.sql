-- Nodes: start, stop, beat. The beat of a node is the lease of every attempt it owns.

-- p_schema: the migration that the program was built beside; programs up to 14 do not say it.
create function fleet.node_start(p_node uuid, p_kind text, p_name text, p_version text, p_config_hash text, p_schema int default 14)
    returns table (fleet_id text, schema_version int, beat_ms int, dead_ms int, lease_ms int)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    if p_schema < fleet.oldest_node() then
        raise exception 'this database serves programs of schema % and later, and this % is of schema %', fleet.oldest_node(), p_kind, p_schema
            using errcode = 'AF010', hint = 'install the programs of the release that its migrations came from';
    end if;
    if not (select r.member from fleet.ready(p_kind) r) then
        raise exception 'login % is not that of a %; name its own in database.url, or an administrator runs: grant fleet_% to %;',
            session_user, p_kind, p_kind, quote_ident(session_user) using errcode = 'AF009';
    end if;
    perform fleet.partitions();
    insert into fleet.node (node, kind, name, version, config_hash)
    values (p_node, p_kind, p_name, p_version, p_config_hash)
    on conflict (node) do update
    set name = excluded.name, version = excluded.version, config_hash = excluded.config_hash;
    perform fleet.node_check(p_node);
    return query
        select i.fleet_id, fleet.schema_version(),
               fleet.get('beat_ms')::int, fleet.get('dead_ms')::int, fleet.get('lease_ms')::int
        from fleet.incarnation i;
end $$;

-- Who stops by itself tells the others, when something of it is to be taken over: they do not wait for their next look.
create function fleet.node_stop(p_node uuid) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    update fleet.node set stopped_at = clock_timestamp() where node = p_node and stopped_at is null;
    delete from fleet.waiter where node = p_node;
    if exists (select from fleet.attempt a where a.attempt = any (array(select v.attempt from fleet.live v)) and a.node = p_node) then
        perform fleet.hint('left');
    end if;
end $$;

-- AF002 unless the node lives as far as the database knows.
create function fleet.node_check(p_node uuid) returns void
    language plpgsql as $$
begin
    if not exists (select from fleet.node n where n.node = p_node and n.dead_at is null and n.stopped_at is null) then
        raise exception 'node % was declared dead, has stopped, or never started', p_node using errcode = 'AF002',
            hint = 'drop all runs and start again under a new id';
    end if;
end $$;

-- A server that gave no beat for three times dead_ms is dead. It owns nothing, so that nobody has to have watched it; one that is
-- only slow comes back under another id.
create function fleet.bury_servers(p_node uuid) returns void
    language plpgsql as $$
begin
    update fleet.node set dead_at = clock_timestamp(), dead_by = p_node
    where node = any (array(
        select n.node from fleet.node n
        where n.kind = 'server' and n.node <> p_node and n.dead_at is null and n.stopped_at is null
          and n.beat_at < clock_timestamp() - 3 * fleet.ms('dead_ms')
          and pg_postmaster_start_time() + fleet.ms('open_grace_ms') <= clock_timestamp()
        for update skip locked));
end $$;

-- The beat, and what its owner should know. synchronous_commit off: a crash can only take back the newest beat.
create function fleet.renew(p_node uuid, p_known bigint[])
    returns table (kind text, attempt bigint, epoch int, node uuid, beat bigint)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare v_kind text;
begin
    perform set_config('synchronous_commit', 'off', true);
    update fleet.node n set beat = n.beat + 1, beat_at = clock_timestamp()
    where n.node = p_node and n.dead_at is null and n.stopped_at is null
    returning n.kind into v_kind;
    if not found then
        perform fleet.node_check(p_node);
    end if;
    perform fleet.bury_servers(p_node);
    if v_kind <> 'worker' then
        return;
    end if;
    return query
        select 'beat', null::bigint, null::int, n.node, n.beat from fleet.node n
        where n.kind = 'worker' and n.node <> p_node and n.dead_at is null and n.stopped_at is null;
    return query
        select k.kind, a.attempt, a.epoch, null::uuid, null::bigint
        from fleet.attempt a join fleet.task t on t.task = a.task
        cross join lateral (
            select 'ours' where a.attempt <> all (p_known)
            union all
            select 'cancel' where fleet.unwanted(t, a)
            union all
            select 'freed' where a.freed_at is not null) k (kind)
        -- an array: a plan of a join that is made while there are few attempts begins with all of them, and is kept
        where a.attempt = any (array(select v.attempt from fleet.live v)) and a.node = p_node;
    return query
        select 'gone', k, null::int, null::uuid, null::bigint from unnest(p_known) k
        where not exists (select from fleet.attempt a where a.attempt = k and a.node = p_node and a.ended_at is null);
end $$;

-- ---------------------------------------------------------------- taking over what a dead or stopped node owned

-- Marks p_from dead: when its session lock is gone, or when its beat is still the one that the caller watched standing still, and the
-- database too has not seen another for dead_ms. AF006 when neither is proven.
create function fleet.bury(p_node uuid, p_from uuid, p_beat bigint) returns fleet.node
    language plpgsql as $$
declare
    n fleet.node;
    v_gone boolean;
begin
    select * into n from fleet.node where node = p_from;
    if not found then
        raise exception 'there is no node %', p_from using errcode = 'AF003';
    end if;
    if n.dead_at is not null or n.stopped_at is not null then
        return n;
    end if;
    if n.kind <> 'worker' then
        raise exception 'node % is no worker: there is nothing to take over', n.name using errcode = 'AF007';
    end if;
    v_gone := fleet.lock_gone(p_node, n);
    if not v_gone and pg_postmaster_start_time() + fleet.ms('open_grace_ms') > clock_timestamp() then
        raise exception 'the database opened too recently to call node % dead', n.name using errcode = 'AF006';
    end if;
    update fleet.node x set dead_at = clock_timestamp(), dead_by = p_node
    where x.node = p_from and x.dead_at is null and x.stopped_at is null
      and case when v_gone then fleet.lock_gone(p_node, x) else x.beat = p_beat and x.beat_at < clock_timestamp() - fleet.ms('dead_ms') end
    returning * into n;
    if not found then
        select * into n from fleet.node where node = p_from;
        if n.dead_at is null and n.stopped_at is null then
            raise exception 'node % has given a beat since, or not long enough ago', n.name using errcode = 'AF006';
        end if;
    end if;
    return n;
end $$;

-- May p_node take over what runs on this host? When it reaches it; or when it lists it and no living node reaches it.
create function fleet.may_adopt(p_node uuid, p_host_id text) returns boolean
    language plpgsql stable as $$
begin
    return coalesce((
        select nh.reachable or not exists (
            select from fleet.node_host o
            join fleet.node n on n.node = o.node and n.dead_at is null and n.stopped_at is null
            where o.host_id = p_host_id and o.node <> p_node and o.reachable
              and o.reported_at > now() - fleet.ms('host_fresh_ms'))
        from fleet.node_host nh where nh.node = p_node and nh.host_id = p_host_id), false);
end $$;

create function fleet.adopt(p_node uuid, p_from uuid, p_beat bigint, p_want int) returns setof fleet.job
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
declare
    n fleet.node;
    v_taken bigint[];
    v_silence bigint;
begin
    perform fleet.node_check(p_node);
    if p_from = p_node then
        raise exception 'a node cannot adopt from itself' using errcode = 'AF007';
    end if;
    n := fleet.bury(p_node, p_from, p_beat);
    v_silence := greatest(0, extract(epoch from clock_timestamp() - n.beat_at) * 1000)::bigint;
    with held as (
        select a.attempt from fleet.attempt a
        join fleet.task t on t.task = a.task
        join fleet.executor e on e.executor = a.executor
        where a.attempt = any (array(select v.attempt from fleet.live v))
          and a.node = p_from and a.ended_at is null and fleet.may_adopt(p_node, e.host_id)
        order by a.attempt
        limit greatest(p_want, 0)
        for update of t, a skip locked
    ), taken as (
        update fleet.attempt a
        set node = p_node, epoch = a.epoch + 1, looked_at = null, adopted_from = n.name, adopted_silence_ms = v_silence
        from held where a.attempt = held.attempt
        returning a.attempt, a.task, a.number, a.epoch
    ), told as (
        insert into fleet.event (task, event_type, attempt, actor, payload)
        select k.task, 'adopted', k.number, 'node:' || me.name,
               jsonb_build_object('from', n.name, 'from_node', p_from, 'node', p_node, 'epoch', k.epoch, 'silence_ms', v_silence)
        from taken k, fleet.node me where me.node = p_node
    )
    select array_agg(attempt) into v_taken from taken;
    -- shown as lost because nobody was there; whether its host is, the new owner will say
    perform fleet.move(t.task, case when a.started_at is null then 'assigned' else 'running' end, 'taken_over', a.number,
                       fleet.node_actor(p_node))
    from fleet.attempt a join fleet.task t on t.task = a.task
    where a.attempt = any (v_taken) and t.status = 'agent_lost' and a.unreachable_at is null and a.abandoned_at is null;
    return query select * from fleet.job_rows(v_taken);
end $$;
