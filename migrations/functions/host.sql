-- Hosts and their executors: what workers' configurations list, and what workers see.

-- Makes the slots fit max_concurrency. Too many: free ones go at once, busy ones at their end.
create function fleet.fit_slots(p_executor int) returns void
    language plpgsql as $$
declare
    v_want int;
    v_have int;
begin
    select case when enabled then max_concurrency else 0 end into strict v_want from fleet.executor where executor = p_executor;
    perform from fleet.slot where executor = p_executor order by slot_id for update;
    select count(*) filter (where not retiring) into v_have from fleet.slot where executor = p_executor;
    if v_have < v_want then
        update fleet.slot set retiring = false where slot_id in (
            select slot_id from fleet.slot where executor = p_executor and retiring order by slot_id limit v_want - v_have);
        select count(*) into v_have from fleet.slot where executor = p_executor and not retiring;
        insert into fleet.slot (executor) select p_executor from generate_series(1, v_want - v_have);
    elsif v_have > v_want then
        delete from fleet.slot where slot_id in (
            select slot_id from fleet.slot where executor = p_executor and attempt is null order by slot_id desc limit v_have - v_want);
        select count(*) filter (where not retiring) into v_have from fleet.slot where executor = p_executor;
        update fleet.slot set retiring = true where slot_id in (
            select slot_id from fleet.slot where executor = p_executor and not retiring
            order by slot_id desc limit v_have - v_want);
    end if;
end $$;

create function fleet.words(p jsonb) returns text[]
    language plpgsql immutable as $$
begin
    return case when jsonb_typeof(p) = 'array' then array(select jsonb_array_elements_text(p)) else '{}' end;
end $$;

create function fleet.configure_executors(p_host_id text, p_agents jsonb) returns void
    language plpgsql as $$
declare
    v_agent jsonb;
    v_executor int;
    v_seen int[] := array[]::int[];
begin
    for v_agent in select * from jsonb_array_elements(coalesce(p_agents, '[]')) loop
        insert into fleet.executor as e (agent_id, kind, host_id, agent_type, capabilities, max_concurrency)
        values (p_host_id || '/' || (v_agent ->> 'agent_type'), 'ssh_cli', p_host_id, v_agent ->> 'agent_type',
                fleet.capabilities_of(fleet.words(v_agent -> 'capabilities')), coalesce((v_agent ->> 'max_concurrency')::int, 1))
        on conflict (agent_id) do update
        set capabilities = excluded.capabilities, max_concurrency = excluded.max_concurrency, enabled = true
        returning e.executor into v_executor;
        v_seen := v_seen || v_executor;
    end loop;
    update fleet.executor set enabled = false where host_id = p_host_id and enabled and executor <> all (v_seen);
    for v_executor in select executor from fleet.executor where host_id = p_host_id order by executor loop
        perform fleet.fit_slots(v_executor);
        perform fleet.relane_executor(v_executor);
    end loop;
end $$;

-- What the worker's configuration lists. Cordons set by people stay.
create function fleet.configure(p_node uuid, p_hosts jsonb) returns table (host_id text, verdict text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    v_host jsonb;
    v_id text;
    v_seen text[] := array[]::text[];
begin
    perform fleet.node_check(p_node);
    perform from fleet.latch where name = 'lanes' for update;
    for v_host in select * from jsonb_array_elements(coalesce(p_hosts, '[]')) loop
        v_id := v_host ->> 'host_id';
        v_seen := v_seen || v_id;
        if exists (select from fleet.host h where h.host_id = v_id and h.origin <> 'config') then
            return query select v_id, 'made_by_api';
        else
            insert into fleet.host (host_id, origin, hostname, port, ssh_user, work_dir, workspace, repositories)
            values (v_id, 'config', v_host ->> 'hostname', coalesce((v_host ->> 'port')::int, 22), coalesce(v_host ->> 'user', ''),
                    v_host ->> 'work_dir', coalesce(v_host ->> 'workspace', 'plain'), fleet.words(v_host -> 'repositories'))
            on conflict (host_id) do update
            set hostname = excluded.hostname, port = excluded.port, ssh_user = excluded.ssh_user, work_dir = excluded.work_dir,
                workspace = excluded.workspace, repositories = excluded.repositories;
            perform fleet.configure_executors(v_id, v_host -> 'agents');
            return query select v_id, 'ok';
        end if;
        insert into fleet.node_host (node, host_id) values (p_node, v_id) on conflict do nothing;
    end loop;
    delete from fleet.node_host nh where nh.node = p_node and nh.host_id <> all (v_seen);
    perform fleet.cordon_unlisted();
end $$;

-- A host of the configuration takes new work only while a live worker lists it.
create function fleet.cordon_unlisted() returns void
    language sql
begin atomic
    with listed as (
        select distinct nh.host_id from fleet.node_host nh
        join fleet.node n on n.node = nh.node and n.dead_at is null and n.stopped_at is null)
    update fleet.host h set cordoned_at = now(), cordoned_by = 'config', cordon_reason = 'not in the configuration of any worker'
    where h.origin = 'config' and h.cordoned_at is null and h.host_id not in (select host_id from listed);
    update fleet.host h set cordoned_at = null, cordoned_by = null, cordon_reason = null
    where h.cordoned_by = 'config' and exists (
        select from fleet.node_host nh join fleet.node n on n.node = nh.node and n.dead_at is null and n.stopped_at is null
        where nh.host_id = h.host_id);
end;

-- What a worker sees of a host. Another machine than the one first seen gets nothing until a person accepts it.
create function fleet.host_report(p_node uuid, p_host_id text, p_reachable boolean, p_identity jsonb, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    h fleet.host;
    v_key text := coalesce(p_identity ->> 'host_key', '');
    v_machine text := coalesce(p_identity ->> 'machine', '');
    v_owner text := coalesce(p_identity ->> 'owner', '');
    v_same boolean;
begin
    perform fleet.node_check(p_node);
    select * into h from fleet.host where host_id = p_host_id for update;
    if not found or not exists (select from fleet.node_host where node = p_node and host_id = p_host_id) then
        raise exception 'host % is not in the configuration of this worker', p_host_id using errcode = 'AF003';
    end if;
    v_same := (h.host_key = '' or v_key = '' or h.host_key = v_key)
          and (h.machine = '' or v_machine = '' or h.machine = v_machine)
          and (h.owner = '' or v_owner = '' or h.owner = v_owner);
    if v_same and p_reachable and p_identity is not null then
        update fleet.host
        set host_key = coalesce(nullif(host_key, ''), v_key), machine = coalesce(nullif(machine, ''), v_machine),
            owner = coalesce(nullif(owner, ''), v_owner), boot = coalesce(nullif(p_identity ->> 'boot', ''), boot),
            disk_free = coalesce((p_identity ->> 'disk_free')::bigint, disk_free)
        where host_id = p_host_id;
    end if;
    update fleet.node_host
    set reachable = p_reachable and v_same,
        reason = case when not v_same then 'host_replaced' else coalesce(p_reason, '') end, reported_at = now()
    where node = p_node and host_id = p_host_id;
    return case when v_same then 'ok' else 'host_replaced' end;
end $$;

create function fleet.host_accept(p_host_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    update fleet.host set host_key = '', machine = '', owner = '', boot = '' where host_id = p_host_id;
    if not found then
        raise exception 'there is no host %', p_host_id using errcode = 'AF003';
    end if;
end $$;
comment on function fleet.host_accept(text) is 'Accepts the machine that answers next under this name as the host.';
