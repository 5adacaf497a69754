-- Hosts and their executors: what workers' configurations list, and what workers see.

-- Makes the slots fit max_concurrency. Too many: free ones go at once, busy ones at their end. New ones take the smallest free ordinals.
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
            select slot_id from fleet.slot where executor = p_executor and retiring order by ordinal limit v_want - v_have);
        select count(*) into v_have from fleet.slot where executor = p_executor and not retiring;
        insert into fleet.slot (executor, ordinal)
        select p_executor, o from generate_series(0, v_want + (select count(*) from fleet.slot where executor = p_executor)::int) o
        where not exists (select from fleet.slot s where s.executor = p_executor and s.ordinal = o)
        order by o limit v_want - v_have;
    elsif v_have > v_want then
        delete from fleet.slot where slot_id in (
            select slot_id from fleet.slot where executor = p_executor and attempt is null order by ordinal desc limit v_have - v_want);
        select count(*) filter (where not retiring) into v_have from fleet.slot where executor = p_executor;
        update fleet.slot set retiring = true where slot_id in (
            select slot_id from fleet.slot where executor = p_executor and not retiring
            order by ordinal desc limit v_have - v_want);
    end if;
end $$;

-- What a worker's configuration lists. `way` numbers the way in (address, port, user, key, known_hosts, work_dir): the worker counts it
-- up with each change and names it in every report. `revision`: of an entry that the API made, as made_hosts() gave it; else null.
create type fleet.host_entry as (
    host_id text, way int, hostname text, port int, ssh_user text, work_dir text, workspace text, repositories text[], revision int);
create type fleet.agent_entry as (host_id text, agent_type text, max_concurrency int, capabilities text[]);

-- What a hello found: which machine it is, and for each agent its command. A version of null was not asked for.
create type fleet.identity as (host_key text, machine text, owner text, boot text);
create type fleet.agent_seen as (agent_type text, found boolean, version text);

-- A changed entry is a new chance for an executor that is out of service, and for a login that was refused. p_accounts: {agent_id:
-- account} of those that do not have one of their own; null: who calls does not know of accounts, and they stay.
create function fleet.configure_executors(p_host_id text, p_agents fleet.agent_entry[], p_accounts jsonb) returns void
    language plpgsql as $$
declare
    g fleet.agent_entry;
    e fleet.executor;
    v_id text;
    v_skills text[];
    v_seen int[] := array[]::int[];
    v_changed text[] := array[]::text[]; -- accounts
    v_account text;
begin
    foreach g in array p_agents loop
        continue when g.host_id <> p_host_id;
        v_id := p_host_id || '/' || g.agent_type;
        v_skills := fleet.capabilities_of(g.capabilities);
        v_account := coalesce(case when p_accounts is null then (select x.account from fleet.executor x where x.agent_id = v_id)
                                   else p_accounts ->> v_id end, v_id);
        insert into fleet.account (account) values (v_account) on conflict do nothing;
        insert into fleet.executor (agent_id, account, kind, host_id, agent_type, capabilities, max_concurrency, enabled)
        values (v_id, v_account, 'ssh_cli', p_host_id, g.agent_type, v_skills, g.max_concurrency, false)
        on conflict (agent_id) do nothing;
        select * into strict e from fleet.executor where agent_id = v_id for update;
        if (e.capabilities, e.max_concurrency, e.enabled, e.account) is distinct from (v_skills, g.max_concurrency, true, v_account) then
            update fleet.executor set capabilities = v_skills, max_concurrency = g.max_concurrency, enabled = true, account = v_account
            where executor = e.executor;
            perform fleet.put_back(e.executor);
            v_changed := v_changed || v_account;
        end if;
        v_seen := v_seen || e.executor;
    end loop;
    update fleet.executor set enabled = false where host_id = p_host_id and enabled and executor <> all (v_seen);
    for e in select * from fleet.executor where host_id = p_host_id order by executor loop
        perform fleet.fit_slots(e.executor);
        perform fleet.relane_executor(e.executor);
    end loop;
    perform fleet.try_login(v_changed);
    perform fleet.recall(k) from (select distinct unnest(v_changed) order by 1) x (k);
end $$;

-- A host as workers compare it: all but the number of the way, which each counts for itself, and who made the entry.
create function fleet.entry_json(h fleet.host_entry, p_agents fleet.agent_entry[], p_accounts jsonb) returns jsonb
    language plpgsql immutable as $$
begin
    return to_jsonb(h) - 'way' - 'revision' || jsonb_build_object('agents', (
        select coalesce(jsonb_agg(to_jsonb(g) || jsonb_strip_nulls(jsonb_build_object('account', p_accounts -> (h.host_id || '/' || g.agent_type)))
                                  order by g.agent_type), '[]')
        from unnest(p_agents) g where g.host_id = h.host_id));
end $$;

-- In what the configurations of other living workers differ about a host from this one's; null when they agree.
create function fleet.differs(p_node uuid, p_host_id text) returns text
    language plpgsql stable as $$
begin
    return (select d.differs from fleet.host_differs d where d.node = p_node and d.host_id = p_host_id);
end $$;

-- Remembers one host of a worker's configuration. A new way in has not been tried yet: nothing is placed on the word of the old one.
create function fleet.list_host(p_node uuid, h fleet.host_entry, p_entry jsonb) returns void
    language plpgsql as $$
declare v_way int;
begin
    select way into v_way from fleet.node_host where node = p_node and host_id = h.host_id for update;
    if not found then
        insert into fleet.node_host (node, host_id, way, entry)
        values (p_node, h.host_id, h.way, p_entry);
        return;
    end if;
    update fleet.node_host set way = h.way, entry = p_entry
    where node = p_node and host_id = h.host_id;
    if v_way <> h.way then
        update fleet.node_host set reachable = false, reason = 'not tried yet on its new way in', reason_code = null, reported_at = now()
        where node = p_node and host_id = h.host_id;
        perform fleet.put_back(executor) from fleet.executor where host_id = h.host_id order by executor;
        perform fleet.try_login(array(select account from fleet.executor where host_id = h.host_id and enabled));
    end if;
end $$;

-- An entry of a file. It wins over one that the API made under the same name.
create function fleet.configure_host(h fleet.host_entry) returns void
    language plpgsql as $$
begin
    insert into fleet.host (host_id, origin, hostname, port, ssh_user, work_dir, workspace, repositories)
    values (h.host_id, 'config', h.hostname, h.port, h.ssh_user, h.work_dir, h.workspace, h.repositories)
    on conflict (host_id) do update
    set origin = 'config', entry = null, hostname = excluded.hostname, port = excluded.port, ssh_user = excluded.ssh_user,
        work_dir = excluded.work_dir, workspace = excluded.workspace, repositories = excluded.repositories, forgotten_at = null;
end $$;

-- The hosts that the API made: every worker takes those that its own file does not list.
create function fleet.made_hosts() returns table (host_id text, revision int, entry text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query select h.host_id, h.revision, h.entry::text from fleet.host h
                 where h.origin = 'api' and h.forgotten_at is null order by h.host_id;
end $$;

-- What the worker serves: the hosts of its configuration, and those made by the API that it has taken. Cordons set by people stay.
-- Where workers' files differ about a host the newest counts, and each is told in what. Verdicts: ok; differs; taken_over (the API had
-- made it, from now on the file counts); changed (it is not the API's entry any more: made_hosts() says what is).
-- p_accounts: {"host_id/agent_type": account} of agents that do not have one of their own.
create function fleet.configure_hosts(p_node uuid, p_config_hash text, p_retry_on text[], p_hosts fleet.host_entry[],
                                      p_agents fleet.agent_entry[], p_accounts jsonb)
    returns table (host_id text, verdict text, reason text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    h fleet.host_entry;
    k fleet.host;
    v_hosts text[] := array(select u.host_id from unnest(p_hosts) u);
begin
    perform fleet.node_check(p_node);
    if exists (select from unnest(p_agents) g where g.host_id is null or g.host_id <> all (v_hosts)) then
        raise exception 'an agent of a host that is not listed' using errcode = 'AF007';
    end if;
    perform from fleet.latch where name = 'lanes' for update;
    update fleet.node n set config_hash = p_config_hash, retry_on = p_retry_on where n.node = p_node;
    foreach h in array p_hosts loop
        select x.* into k from fleet.host x where x.host_id = h.host_id and x.forgotten_at is null;
        if h.revision is null then
            perform fleet.configure_host(h);
            perform fleet.configure_executors(h.host_id, p_agents, p_accounts);
        elsif k.origin is distinct from 'api' or k.revision <> h.revision then
            v_hosts := array_remove(v_hosts, h.host_id);
            return query select h.host_id, 'changed', 'the API has changed or removed it';
            continue;
        end if;
        perform fleet.list_host(p_node, h, fleet.entry_json(h, p_agents, p_accounts));
        if h.revision is null and k.origin = 'api' then
            perform fleet.hint('host');
            return query select h.host_id, 'taken_over', 'the API had made it; from now on the file counts';
            continue;
        end if;
        return query select h.host_id, case when d.d is null then 'ok' else 'differs' end, d.d
                     from (select fleet.differs(p_node, h.host_id)) d (d);
    end loop;
    delete from fleet.node_host nh where nh.node = p_node and nh.host_id <> all (v_hosts);
    perform fleet.cordon_unlisted();
end $$;

-- The same, as programs up to schema 16 call it.
create function fleet.configure(p_node uuid, p_config_hash text, p_retry_on text[], p_hosts fleet.host_entry[],
                                p_agents fleet.agent_entry[])
    returns table (host_id text, verdict text, reason text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query select * from fleet.configure_hosts(p_node, p_config_hash, p_retry_on, p_hosts, p_agents, null);
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

-- What a hello said of one host's agents. A command that is not there takes its executor out of service; found again, it is back.
create function fleet.see_agents(p_host_id text, p_agents fleet.agent_seen[]) returns void
    language plpgsql as $$
declare
    g fleet.agent_seen;
    e fleet.executor;
begin
    for g in select * from unnest(p_agents) u order by u.agent_type loop
        select * into e from fleet.executor where agent_id = p_host_id || '/' || g.agent_type;
        continue when not found or (e.found is not distinct from g.found
                                    and (g.version is null or e.version is not distinct from g.version));
        update fleet.executor set found = g.found, version = coalesce(g.version, version) where executor = e.executor;
        if not g.found then
            perform fleet.take_out(e.executor, 'infinity', 'adapter_missing', 'its command was not found on the host');
        elsif not e.found and e.out_reason = 'adapter_missing' then
            perform fleet.put_back(e.executor);
        end if;
    end loop;
end $$;

-- Any run may change the file that says whose a work_dir is. Where key, machine and boot are those that were accepted, the machine is,
-- and its owner is what the file says now.
create function fleet.owner_changed(h fleet.host, i fleet.identity) returns boolean
    language plpgsql immutable as $$
begin
    return coalesce(h.owner <> '' and i.owner <> '' and h.owner <> i.owner and h.machine <> '' and h.machine = i.machine
                    and h.boot <> '' and h.boot = i.boot and h.host_key = coalesce(i.host_key, ''), false);
end $$;

-- In the history of whatever runs there, for one of them did it; of those whose row somebody holds it is not said.
create function fleet.note_owner(p_node uuid, h fleet.host) returns void
    language plpgsql as $$
begin
    perform fleet.note(x.task, 'owner_changed', x.number, fleet.node_actor(p_node), jsonb_build_object('host_id', h.host_id))
    from (select t.task, a.number from fleet.live v join fleet.attempt a on a.attempt = v.attempt
          join fleet.task t on t.task = a.task
          join fleet.executor e on e.executor = a.executor
          where e.host_id = h.host_id and a.ended_at is null
          for update of t skip locked) x;
end $$;

-- What a worker sees of a host, under which number of the way in. Verdicts: ok; stale (asked under a way that is not the configured
-- one: nothing is changed); host_replaced: another machine than the one first seen gets nothing until a person accepts it. `differs`
-- says in what other workers' configurations differ about it; `told` is owner_changed or null.
create function fleet.host_report(p_node uuid, p_host_id text, p_way int, p_reachable boolean, p_identity fleet.identity,
                                  p_disk_free bigint, p_agents fleet.agent_seen[], p_reason_code text, p_reason text)
    returns table (verdict text, differs text, told text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    h fleet.host;
    nh fleet.node_host;
    v_moved boolean;
    v_same boolean;
begin
    perform fleet.node_check(p_node);
    select * into h from fleet.host where host_id = p_host_id for update;
    select * into nh from fleet.node_host where node = p_node and host_id = p_host_id;
    if not found then
        raise exception 'host % is not in the configuration of this worker', p_host_id using errcode = 'AF003';
    end if;
    if nh.way is distinct from p_way then
        return query select 'stale', null::text, null::text;
        return;
    end if;
    v_moved := fleet.owner_changed(h, p_identity);
    v_same := coalesce((nullif(h.host_key, '') = nullif((p_identity).host_key, '')), true)
          and coalesce((nullif(h.machine, '') = nullif((p_identity).machine, '')), true)
          and (v_moved or coalesce((nullif(h.owner, '') = nullif((p_identity).owner, '')), true));
    if v_moved and p_reachable then
        perform fleet.note_owner(p_node, h);
        update fleet.host set owner = '', owner_changed_at = now() where host_id = p_host_id;
    end if;
    if v_same and p_reachable then
        update fleet.host
        set host_key = coalesce(nullif(host_key, ''), (p_identity).host_key, ''), machine = coalesce(nullif(machine, ''), (p_identity).machine, ''),
            owner = coalesce(nullif(owner, ''), (p_identity).owner, ''), boot = coalesce(nullif((p_identity).boot, ''), boot),
            disk_free = coalesce(p_disk_free, disk_free)
        where host_id = p_host_id;
        perform fleet.see_agents(p_host_id, p_agents);
    end if;
    update fleet.node_host
    set reachable = p_reachable and v_same, reported_at = now(),
        reason_code = case when not v_same then 'host_replaced' when not p_reachable then fleet.known_reason(coalesce(p_reason_code, 'other')) end,
        reason = case when not v_same then 'another machine answers under its name; look at it, then fleet.host_accept()'
                      else coalesce(p_reason, '') end
    where node = p_node and host_id = p_host_id;
    return query select case when v_same then 'ok' else 'host_replaced' end, fleet.differs(p_node, p_host_id),
                        case when v_moved and p_reachable then 'owner_changed' end;
end $$;
