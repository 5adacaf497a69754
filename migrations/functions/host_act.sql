-- What people do with hosts, by REST and by psql alike. Each change leaves a row in the trail.

create function fleet.host_json(p_host_id text) returns jsonb
    language plpgsql stable as $$
begin
    return (select jsonb_build_object(
        'host_id', h.host_id, 'hostname', h.hostname, 'origin', h.origin, 'status', h.status, 'reason_code', h.reason_code,
        'reason', h.reason, 'differs', h.differs, 'workspace', h.workspace, 'repositories', h.repositories,
        'executors', (select coalesce(jsonb_agg(jsonb_build_object(
                          'agent_id', x.agent_id, 'agent_type', x.agent_type, 'capabilities', x.capabilities, 'status', x.status,
                          'reason', x.out_reason, 'max_concurrency', x.max_concurrency, 'running', x.running, 'free', x.free)
                          order by x.agent_id), '[]')
                      from fleet.executor_now x where x.host_id = h.host_id and not x.gone),
        'workers', (select coalesce(jsonb_agg(jsonb_build_object(
                        'name', n.name, 'reachable', nh.reachable, 'reason_code', nh.reason_code, 'reason', nullif(nh.reason, ''),
                        'reported_at', fleet.utc(nh.reported_at)) order by n.name), '[]')
                    from fleet.node_host nh join fleet.node n on n.node = nh.node and n.dead_at is null and n.stopped_at is null
                    where nh.host_id = h.host_id),
        'last_checked_at', fleet.utc(h.checked_at), 'free_disk_bytes', h.disk_free,
        'cordoned', case when h.cordoned_at is not null then jsonb_build_object(
            'by', h.cordoned_by, 'reason', h.cordon_reason, 'at', fleet.utc(h.cordoned_at), 'drained', x.drain_until is not null,
            'deadline', case when x.drain_until <> 'infinity' then fleet.utc(x.drain_until) end) end)
    from fleet.host_now h join fleet.host x on x.host_id = h.host_id
    where h.host_id = p_host_id and not h.gone);
end $$;

-- By name. The cursor is the last one of the page before.
create function fleet.host_list(p_by fleet.requester, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off as $$
declare
    v_limit int := fleet.page_limit(p_limit);
    v_ids text[];
begin
    if p_cursor !~ '^[A-Za-z0-9._-]{1,64}$' then
        return fleet.refuse(400, 'malformed_cursor', 'this cursor was not given by a list of hosts: take the link of the page before');
    end if;
    v_ids := array(select h.host_id from fleet.host_now h
                   where not h.gone and (p_cursor is null or h.host_id collate "C" > p_cursor)
                   order by h.host_id collate "C" limit v_limit + 1);
    return fleet.say(200, (select coalesce(jsonb_agg(fleet.host_json(k) order by o), '[]')::text
                           from unnest(v_ids[1:v_limit]) with ordinality x (k, o)),
                     case when cardinality(v_ids) > v_limit then v_ids[v_limit] end);
end $$;

create function fleet.host_detail(p_by fleet.requester, p_host_id text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_body jsonb := fleet.host_json(p_host_id);
begin
    return case when v_body is null then fleet.refuse(404, 'not_found', format('there is no host %s', p_host_id))
                else fleet.say(200, v_body::text) end;
end $$;

-- A host serves more than the repositories that a token may be bound to.
create function fleet.not_bound(p_by fleet.requester) returns void
    language plpgsql stable as $$
begin
    if exists (select from fleet.token t where t.token_id = (p_by).token_id and t.repositories is not null) then
        raise exception 'this token is bound to repositories; hosts and agents serve others too' using errcode = 'AF009';
    end if;
end $$;

create function fleet.host_for_change(p_host_id text) returns fleet.host
    language plpgsql as $$
declare h fleet.host;
begin
    select * into h from fleet.host where host_id = p_host_id and forgotten_at is null for update;
    if not found then
        raise exception 'there is no host %', p_host_id using errcode = 'AF003';
    end if;
    return h;
end $$;

-- ---------------------------------------------------------------- no new work, and no work at all

-- A host as the trail shows it.
create function fleet.host_state(p_host_id text) returns jsonb
    language plpgsql stable as $$
begin
    return (select jsonb_strip_nulls(jsonb_build_object(
        'cordoned_by', h.cordoned_by, 'cordon_reason', h.cordon_reason, 'drain_until', h.drain_until,
        'running', nullif((select count(*) from fleet.slot s join fleet.executor e on e.executor = s.executor
                           where e.host_id = h.host_id and s.attempt is not null), 0)))
    from fleet.host h where h.host_id = p_host_id);
end $$;

-- p_drain_until: null: what runs there goes on; infinity: until its end.
create function fleet.close_host(p_host_id text, p_reason text, p_actor text, p_drain_until timestamptz) returns void
    language plpgsql as $$
begin
    update fleet.host set cordoned_at = now(), cordoned_by = p_actor, cordon_reason = p_reason, drain_until = p_drain_until
    where host_id = p_host_id;
end $$;

-- A person's word that a host is gone for good: it is cordoned, the slots of its runs are free, and their tasks are tried again where
-- retries are left and retry_on lets a lost host be tried again; else they fail with host_lost. Should the host come back, what still
-- runs there is stopped.
create function fleet.bury_host(p_host_id text, p_reason text, p_actor text) returns void
    language plpgsql as $$
declare
    v_task bigint;
    a fleet.attempt;
begin
    perform fleet.close_host(p_host_id, 'declared dead: ' || p_reason, p_actor, null);
    for v_task in
        select distinct x.task from fleet.live v join fleet.attempt x on x.attempt = v.attempt join fleet.executor e on e.executor = x.executor
        where e.host_id = p_host_id and x.freed_at is null order by x.task
    loop
        perform from fleet.task where task = v_task for update;
        for a in
            select x.* from fleet.attempt x join fleet.executor e on e.executor = x.executor
            where x.task = v_task and e.host_id = p_host_id and x.ended_at is null and x.freed_at is null order by x.number
        loop
            perform fleet.free_attempt(a, p_reason, p_actor);
            if a.abandoned_at is null then
                perform fleet.lose_run(a, p_actor);
            end if;
        end loop;
    end loop;
    perform fleet.hint();
end $$;

-- What follows for the task of a run whose host a person declared dead. Under the task's lock.
create function fleet.lose_run(a fleet.attempt, p_actor text) returns void
    language plpgsql as $$
declare
    t fleet.task;
    v_again timestamptz;
begin
    select * into strict t from fleet.task where task = a.task;
    if t.status not in ('assigned', 'running', 'agent_lost') then
        return;
    elsif t.cancel_at is not null then
        perform fleet.give_up(t, a, p_actor);
        return;
    end if;
    a.reason := 'host_lost';
    v_again := case when t.retry_count < t.max_retries and t.attempts < t.max_attempts_total then fleet.retry_at(t, a) end;
    update fleet.task set failure_reason = 'host_lost', retry_count = retry_count + (v_again is not null)::int where task = t.task;
    if v_again is null then
        perform fleet.move(t.task, 'failed', 'failed', a.number, p_actor, '{"reason": "host_lost"}');
    else
        perform fleet.wait_again(t.task, 'retry_scheduled', a.number, p_actor, v_again,
                                 jsonb_build_object('reason', 'host_lost', 'retry', t.retry_count + 1));
    end if;
end $$;

-- One verb, by a person. Answers the host before and after.
create function fleet.change_host(p_verb text, p_host_id text, p_reason text, p_deadline_secs int, p_actor text,
                                  out before jsonb, out after jsonb)
    language plpgsql as $$
begin
    if p_verb in ('cordon', 'drain', 'declare_dead') and coalesce(p_reason, '') = '' then
        raise exception 'say why: % of a host wants a reason', p_verb using errcode = 'AF007';
    end if;
    perform fleet.host_for_change(p_host_id);
    before := fleet.host_state(p_host_id);
    case p_verb
        when 'check' then perform fleet.hint('check ' || p_host_id);
        when 'cordon' then perform fleet.close_host(p_host_id, p_reason, p_actor, null);
        when 'drain' then perform fleet.close_host(p_host_id, p_reason, p_actor,
                                                   coalesce(now() + make_interval(secs => p_deadline_secs), 'infinity'));
        when 'declare_dead' then perform fleet.bury_host(p_host_id, p_reason, p_actor);
        when 'uncordon' then
            update fleet.host set cordoned_at = null, cordoned_by = null, cordon_reason = null, drain_until = null where host_id = p_host_id;
            perform fleet.cordon_unlisted();
            perform fleet.hint();
    end case;
    after := fleet.host_state(p_host_id);
end $$;

create function fleet.host_act(p_by fleet.requester, p_verb text, p_host_id text, p_reason text, p_deadline_secs int) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    perform fleet.not_bound(p_by);
    c := fleet.change_host(p_verb, p_host_id, p_reason, p_deadline_secs, fleet.token_actor((p_by).token_id));
    perform fleet.trail(p_by, 'host_' || p_verb, p_host_id, c.before, c.after);
    return fleet.say(case p_verb when 'check' then 202 else 200 end, coalesce(fleet.host_json(p_host_id), '{}')::text);
end $$;

create function fleet.change_host_psql(p_verb text, p_host_id text, p_reason text, p_deadline_secs int) returns void
    language plpgsql as $$
declare c record;
begin
    c := fleet.change_host(p_verb, p_host_id, p_reason, p_deadline_secs, fleet.caller());
    perform fleet.trail_psql('host_' || p_verb, p_host_id, c.before, c.after);
end $$;

create function fleet.cordon(p_host_id text, p_reason text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.change_host_psql('cordon', p_host_id, p_reason, null);
end $$;
comment on function fleet.cordon(text, text) is 'Nothing new is placed on the host until fleet.uncordon(); what runs there goes on.';

create function fleet.uncordon(p_host_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.change_host_psql('uncordon', p_host_id, null, null);
end $$;
comment on function fleet.uncordon(text) is 'The host may be given work again, after a cordon or a drain.';

create function fleet.drain(p_host_id text, p_reason text, p_deadline_secs int default null) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.change_host_psql('drain', p_host_id, p_reason, p_deadline_secs);
end $$;
comment on function fleet.drain(text, text, int) is
    'As a cordon; what still runs there after that many seconds is stopped and waits again, without a retry burnt. Without a number it ends by itself.';

create function fleet.declare_dead(p_host_id text, p_reason text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.change_host_psql('declare_dead', p_host_id, p_reason, null);
end $$;
comment on function fleet.declare_dead(text, text) is
    'The host is gone for good: cordoned, its slots free, its tasks tried again elsewhere where retries are left. Its runs may go on all the same.';

create function fleet.check_host(p_host_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.change_host_psql('check', p_host_id, null, null);
end $$;
comment on function fleet.check_host(text) is 'Workers look at the host now; view fleet.hosts says what they found.';

create function fleet.host_accept(p_host_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare h fleet.host := fleet.host_for_change(p_host_id);
begin
    update fleet.host set host_key = '', machine = '', owner = '', boot = '' where host_id = p_host_id;
    perform fleet.trail_psql('host_accept', p_host_id, jsonb_build_object('host_key', h.host_key, 'machine', h.machine, 'owner', h.owner));
    perform fleet.hint('check ' || p_host_id);
end $$;
comment on function fleet.host_accept(text) is 'Accepts the machine that answers next under this name as the host.';

-- ---------------------------------------------------------------- a drain's deadline

-- What still runs on a host that was to be empty by now gets the wish to be stopped, which its worker is told by renew().
create function fleet.drain_hosts() returns int
    language plpgsql as $$
declare
    a fleet.attempt;
    v_count int := 0;
begin
    if not exists (select from fleet.host where drain_until <= now()) then
        return 0;
    end if;
    for a in
        select x.* from fleet.live v join fleet.attempt x on x.attempt = v.attempt
        join fleet.task t on t.task = x.task
        join fleet.executor e on e.executor = x.executor
        join fleet.host h on h.host_id = e.host_id
        where h.drain_until <= now() and x.ended_at is null and x.drained_at is null and x.abandoned_at is null
        order by x.attempt limit 1000
        for update of t, x skip locked
    loop
        update fleet.attempt set drained_at = now() where attempt = a.attempt;
        perform fleet.note(a.task, 'drained', a.number, h.cordoned_by, jsonb_build_object('host_id', h.host_id, 'reason', h.cordon_reason))
        from fleet.executor e join fleet.host h on h.host_id = e.host_id where e.executor = a.executor;
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- ---------------------------------------------------------------- hosts made by the API

-- p_entry: as under hosts of a configuration, every member but the paths given. Answers the entry before, null for a new host.
create function fleet.set_host(p_host_id text, p_entry jsonb, out before jsonb, out made boolean)
    language plpgsql as $$
declare h fleet.host;
begin
    perform from fleet.latch where name = 'lanes' for update;
    select * into h from fleet.host where host_id = p_host_id for update;
    made := not found or h.forgotten_at is not null;
    if not made and h.origin = 'config' then
        raise exception 'host % is of a configuration file: change it there, or take it out of every worker''s file and remove it first', p_host_id
            using errcode = 'AF004';
    end if;
    before := case when not made then h.entry end;
    insert into fleet.host (host_id, origin, entry, revision, hostname, port, ssh_user, work_dir, workspace, repositories)
    select p_host_id, 'api', p_entry, 1, e.hostname, e.ssh_port, coalesce(e.ssh_user, ''), e.work_dir, e.workspace, e.repositories
    from jsonb_to_record(p_entry) e (hostname text, ssh_port int, ssh_user text, work_dir text, workspace text, repositories text[])
    on conflict (host_id) do update
    set origin = 'api', entry = excluded.entry, revision = fleet.host.revision + 1, hostname = excluded.hostname, port = excluded.port,
        ssh_user = excluded.ssh_user, work_dir = excluded.work_dir, workspace = excluded.workspace,
        repositories = excluded.repositories, forgotten_at = null;
    perform fleet.configure_executors(p_host_id, array(
        select row(p_host_id, g.agent_type, g.max_concurrency, g.capabilities)::fleet.agent_entry
        from jsonb_to_recordset(p_entry -> 'agents') g (agent_type text, max_concurrency int, capabilities text[])), (
        select coalesce(jsonb_object_agg(p_host_id || '/' || (g ->> 'agent_type'), g ->> 'account'), '{}')
        from jsonb_array_elements(p_entry -> 'agents') g));
    perform fleet.hint('host');
end $$;

-- The server has checked the entry by the schema of the configuration.
create function fleet.host_put(p_by fleet.requester, p_host_id text, p_entry jsonb) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare s record;
begin
    perform fleet.not_bound(p_by);
    s := fleet.set_host(p_host_id, p_entry);
    perform fleet.trail(p_by, 'host_put', p_host_id, s.before, p_entry);
    return fleet.say(case when s.made then 201 else 200 end, fleet.host_json(p_host_id)::text, null,
                     case when s.made then '/api/v1/hosts/' || p_host_id end);
end $$;

create function fleet.put_host(p_entry jsonb) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_id text := p_entry ->> 'host_id';
    v_entry jsonb;
    s record;
begin
    if v_id is null or v_id !~ '^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$' or coalesce(p_entry ->> 'hostname', '') = ''
       or coalesce(p_entry ->> 'work_dir', '') !~ '^/' or jsonb_typeof(p_entry -> 'agents') is distinct from 'array' then
        raise exception 'an entry wants host_id, hostname, work_dir (absolute) and agents' using errcode = 'AF007',
            hint = 'as under hosts of a configuration; fleet-server --explain-config says more';
    end if;
    v_entry := '{"ssh_port": 22, "workspace": "plain", "repositories": ["*"]}'::jsonb || p_entry || jsonb_build_object('agents', (
        select coalesce(jsonb_agg('{"max_concurrency": 1, "capabilities": [], "profile": "sandboxed"}'::jsonb || g order by o), '[]')
        from jsonb_array_elements(p_entry -> 'agents') with ordinality x (g, o)));
    s := fleet.set_host(v_id, v_entry);
    perform fleet.trail_psql('host_put', v_id, s.before, v_entry);
end $$;
comment on function fleet.put_host(jsonb) is
    'Makes or changes a host: members as under hosts of a configuration. Workers take it at once, and log what is wrong with it.';

-- The history of its runs stays. It comes back, as a new one, when a configuration lists it again or the API makes it again.
create function fleet.drop_host(p_host_id text) returns jsonb
    language plpgsql as $$
declare h fleet.host;
begin
    perform from fleet.latch where name = 'lanes' for update;
    h := fleet.host_for_change(p_host_id);
    if h.origin = 'config' and exists (
        select from fleet.node_host nh join fleet.node n on n.node = nh.node and n.dead_at is null and n.stopped_at is null
        where nh.host_id = p_host_id) then
        raise exception 'a living worker lists host %: take it out of the configuration first', p_host_id using errcode = 'AF004';
    end if;
    perform fleet.configure_executors(p_host_id, '{}', null); -- waits for claims under way
    if exists (select from fleet.slot s join fleet.executor e on e.executor = s.executor
               where e.host_id = p_host_id and s.attempt is not null) then
        raise exception 'host % has runs that are not proven ended: drain it, or declare it dead', p_host_id using errcode = 'AF006';
    end if;
    delete from fleet.node_host where host_id = p_host_id;
    update fleet.host set forgotten_at = now(), host_key = '', machine = '', owner = '', boot = '',
           cordoned_at = null, cordoned_by = null, cordon_reason = null, drain_until = null where host_id = p_host_id;
    perform fleet.hint('host');
    return jsonb_strip_nulls(jsonb_build_object('origin', h.origin, 'entry', h.entry));
end $$;

create function fleet.host_delete(p_by fleet.requester, p_host_id text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.not_bound(p_by);
    perform fleet.trail(p_by, 'host_delete', p_host_id, fleet.drop_host(p_host_id));
    return fleet.say(204, null);
end $$;

create function fleet.forget_host(p_host_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.trail_psql('host_delete', p_host_id, fleet.drop_host(p_host_id));
end $$;
comment on function fleet.forget_host(text) is
    'Takes a host, made by the API or of no living worker''s file, and where nothing runs, out of all views.';
