-- HTTP agents: who is one, for whom a token may speak, how it lives. An agent is an executor with slots like any other, and the node
-- that owns its attempts: its heartbeat is their lease.

-- Why the requester may not act as this agent; status is null when it may. e: the agent as it stands, null for none.
create function fleet.agent_refusal(p_by fleet.requester, p_agent_id text, e fleet.executor) returns fleet.reply
    language plpgsql stable as $$
declare k fleet.token;
begin
    select * into k from fleet.token where token_id = p_by.token_id;
    if p_by.token_id > 0 and (k.scope is null or k.scope not in ('admin', 'agent') or k.revoked_at is not null) then
        return fleet.refuse(403, 'scope', 'this token is not one of an agent');
    elsif k.scope = 'agent' and k.agent_id <> p_agent_id then
        return fleet.refuse(403, 'not_your_agent', format('this token speaks for agent %s only, not for %s', k.agent_id, p_agent_id));
    elsif e.executor is null or e.kind = 'http_pull' and not e.enabled then
        return fleet.refuse(404, 'unknown_agent', format(
            'there is no agent %s: register it first (POST /api/v1/agents/register)', left(p_agent_id, 200)));
    elsif e.kind <> 'http_pull' then
        return fleet.refuse(403, 'not_your_agent', format('%s is run over SSH: nobody speaks for it here', p_agent_id));
    elsif (k.scope = 'agent' and k.agent_id is null or p_by.token_id = -1) and e.registered_by is distinct from p_by.token_id then
        return fleet.refuse(403, 'not_your_agent',
            format('agent %s was registered by another token: use the registry_token that its registration answered', p_agent_id));
    end if;
    return null;
end $$;

-- The agent was given more than this token may have, by another one that registered it: then the token gets neither its work nor word of it.
create function fleet.ceiling_refusal(p_by fleet.requester, e fleet.executor) returns fleet.reply
    language plpgsql stable as $$
declare k fleet.token;
begin
    select * into k from fleet.token where token_id = p_by.token_id and scope = 'agent';
    if k.capabilities is not null and not e.capabilities <@ fleet.capabilities_of(k.capabilities)
       or k.repositories is not null and not coalesce(e.repositories <@ k.repositories, false) then
        return fleet.refuse(403, 'beyond_token', format('agent %s was registered with more than this token may have (%s): register it with '
            'this token first (POST /api/v1/agents/register)', e.agent_id, fleet.token_bounds(k)));
    end if;
    return null;
end $$;

-- The first member of a registration that is not as it has to be.
create function fleet.registration_fault(p jsonb) returns fleet.fault
    language plpgsql stable as $$
declare v_fault fleet.fault;
begin
    select (fleet.value_fault(v.member, v.wanted, to_jsonb(left(p ->> v.member, 120)))).* into v_fault
    from (values
        (1, 'agent_id', 'string', length(p ->> 'agent_id') between 1 and 200 and fleet.is_free_id(p ->> 'agent_id')
            and strpos(p ->> 'agent_id', '/') = 0,
            'one line of 1 to 200 characters without ''/'', which SSH executors have, or outer blanks'),
        (2, 'agent_type', 'string', length(p ->> 'agent_type') <= 64 and fleet.is_line(p ->> 'agent_type'),
            'one line of 1 to 64 characters'),
        (3, 'hostname', 'string', length(p ->> 'hostname') <= 255 and fleet.is_line(p ->> 'hostname'), 'one line of 1 to 255 characters'),
        (4, 'capabilities', 'array', fleet.words_fit(p -> 'capabilities'),
            'a list of at most 100 words, each one line of 1 to 255 characters'),
        (5, 'max_concurrency', 'number', p ->> 'max_concurrency' ~ '^0*([1-9][0-9]{0,2}|1000)$',
            'a whole number from 1 to 1000'),
        (6, 'metadata', 'object', octet_length((p -> 'metadata')::text) <= 16384, 'an object of at most 16384 bytes as JSON')
    ) v (place, member, type, fits, wanted)
    where case coalesce(jsonb_typeof(p -> v.member), 'null') when 'null' then v.member = 'agent_id'
               when v.type then v.fits is not true else true end
    order by v.place limit 1;
    return v_fault;
end $$;

create function fleet.words_fit(p jsonb) returns boolean
    language plpgsql immutable as $$
begin
    return jsonb_typeof(p) = 'array' and jsonb_array_length(p) <= 100 and not exists (
        select from jsonb_array_elements(p) w
        where (jsonb_typeof(w) = 'string' and length(w #>> '{}') <= 255 and fleet.is_line(w #>> '{}')) is not true);
end $$;

-- A member that is a list of words, as capabilities; null when it is not there.
create function fleet.words_of(p jsonb) returns text[]
    language plpgsql immutable as $$
begin
    return case when jsonb_typeof(p) = 'array' then fleet.capabilities_of(array(select jsonb_array_elements_text(p))) end;
end $$;

-- Gives the agent's beat; when its node is dead, it lives on as another one. Answers the node; null when it was deregistered meanwhile.
create function fleet.agent_beat(e fleet.executor, p_interval_secs int, p_threshold int, p_handover_secs int) returns uuid
    language plpgsql as $$
declare
    v_due timestamptz := clock_timestamp() + make_interval(secs => p_interval_secs::float8 * p_threshold);
    v_node uuid;
    v_enabled boolean;
begin
    if (e.beat_secs, e.beat_misses, e.handover_secs) is distinct from (p_interval_secs, p_threshold, p_handover_secs) then
        update fleet.executor set beat_secs = p_interval_secs, beat_misses = p_threshold, handover_secs = p_handover_secs
        where executor = e.executor;
    end if;
    update fleet.node set beat = beat + 1, beat_at = clock_timestamp(), dead_due = v_due
    where node = e.node and dead_at is null and stopped_at is null;
    if found then
        return e.node;
    end if;
    select node, enabled into v_node, v_enabled from fleet.executor where executor = e.executor for no key update;
    if v_node is distinct from e.node or not v_enabled then
        return case when v_enabled then v_node end; -- two beats at once: the other one has made it
    end if;
    -- what may be tried again, the configuration says, which workers bring
    insert into fleet.node (node, kind, name, version, config_hash, dead_due, retry_on)
    values (gen_random_uuid(), 'agent', e.agent_id, coalesce(e.version, ''), '', v_due, coalesce(
        (select w.retry_on from fleet.node w where w.kind = 'worker' and w.dead_at is null and w.stopped_at is null
         order by w.started_at desc limit 1), '{all}'))
    returning node into v_node;
    update fleet.executor set node = v_node where executor = e.executor;
    return v_node;
end $$;

-- ---------------------------------------------------------------- register

-- Why this registration is refused; status is null when it is not. e: who has the id already.
create function fleet.register_refusal(p_by fleet.requester, p_agent_id text, e fleet.executor, p_skills text[]) returns fleet.reply
    language plpgsql stable as $$
declare
    k fleet.token;
    v_more text[];
begin
    select * into k from fleet.token where token_id = p_by.token_id;
    if e.kind = 'ssh_cli' then
        return fleet.refuse(409, 'agent_id_taken', format('%s is an agent that is run over SSH: choose another agent_id', p_agent_id));
    elsif p_by.token_id = -1 and e.executor is not null and (e.enabled or e.registered_by is distinct from -1) then
        return fleet.refuse(409, 'agent_id_taken', format(
            'agent %s is registered already, and the shared token cannot change that: use the '
            'registry_token of its registration, or deregister it (POST /api/v1/agents/deregister)', p_agent_id));
    elsif p_by.token_id > 0 and k.scope = 'agent' and k.agent_id is null and e.executor is not null
          and e.registered_by is distinct from p_by.token_id then
        return fleet.refuse(409, 'agent_id_taken', format('agent %s was registered by another token: use the registry_token of its '
            'registration, or choose another agent_id', p_agent_id));
    end if;
    v_more := array(select s from unnest(p_skills) s where k.capabilities is not null and s <> all (fleet.capabilities_of(k.capabilities)));
    if v_more <> '{}' then
        return fleet.refuse(403, 'capability_not_allowed', format('an agent of this token may not have the capability %s',
            array_to_string(v_more, ', nor ')), jsonb_build_object('capabilities', v_more, 'limit', k.capabilities));
    elsif not fleet.lane_fits(p_skills, null) then
        return fleet.refuse(422, 'invalid_value', '''capabilities'' may have about 2000 bytes together',
            '{"member": "capabilities", "limit": "about 2000 bytes together"}');
    end if;
    -- all but whether there is such an agent already
    return case when (fleet.agent_refusal(p_by, p_agent_id, e)).status = 403 then fleet.agent_refusal(p_by, p_agent_id, e) end;
end $$;

-- The agent as it is to be: made, or changed.
create function fleet.put_agent(p_by fleet.requester, p_agent_id text, p jsonb, p_skills text[], p_units int, p_repositories text[])
    returns fleet.executor language plpgsql as $$
declare
    e fleet.executor;
    v_self boolean := exists (select from fleet.token where token_id = p_by.token_id and registered);
begin
    insert into fleet.account (account) values (p_agent_id) on conflict do nothing;
    insert into fleet.executor as x (agent_id, account, kind, agent_type, capabilities, max_concurrency, hostname, metadata, version,
                                     repositories, registered_by)
    values (p_agent_id, p_agent_id, 'http_pull', coalesce(p ->> 'agent_type', 'other'), p_skills, p_units, p ->> 'hostname',
            coalesce(p -> 'metadata', '{}'), left(p #>> '{metadata,version}', 100), p_repositories, p_by.token_id)
    on conflict (agent_id) do update
    set agent_type = excluded.agent_type, capabilities = excluded.capabilities, max_concurrency = excluded.max_concurrency,
        hostname = excluded.hostname, metadata = excluded.metadata, version = excluded.version, repositories = excluded.repositories,
        registered_by = case when v_self then x.registered_by else excluded.registered_by end, enabled = true
    returning * into e;
    return e;
end $$;

-- The token that the agent goes on with: bound to its id, and no wider than the one that registered it. Earlier ones are revoked, but
-- for the one that asks: it is good until its successor does, for the answer may be lost.
create function fleet.registry_token(p_by fleet.requester, p_agent_id text, p_hash bytea, p_prefix text) returns void
    language plpgsql as $$
begin
    update fleet.token set revoked_at = now()
    where agent_id = p_agent_id and registered and revoked_at is null and token_id <> p_by.token_id and hash <> p_hash;
    if found then
        perform fleet.tell_tokens();
    end if;
    insert into fleet.token (name, scope, hash, prefix, agent_id, registered, made_by, capabilities, repositories, expires_at)
    select 'agent ' || p_agent_id, 'agent', p_hash, p_prefix, p_agent_id, true, fleet.token_actor(p_by.token_id),
           k.capabilities, k.repositories, k.expires_at
    from (select) one left join fleet.token k on k.token_id = p_by.token_id
    on conflict (hash) do nothing;
end $$;

-- p_token_hash: of the registry_token, which the server makes and adds to the answer.
create function fleet.agent_register(p_by fleet.requester, p_agent jsonb, p_token_hash bytea, p_token_prefix text, p_interval_secs int,
                                     p_threshold int, p_handover_secs int) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_fault fleet.fault := fleet.registration_fault(p_agent);
    v_id text := p_agent ->> 'agent_id';
    v_skills text[] := coalesce(fleet.words_of(p_agent -> 'capabilities'), '{}');
    v_units int := case when v_fault.code is null then coalesce((p_agent ->> 'max_concurrency')::int, 1) end;
    v_repositories text[] := (select repositories from fleet.token where token_id = p_by.token_id);
    v_no fleet.reply;
    v_old fleet.executor;
    e fleet.executor;
begin
    if not exists (select from fleet.executor x where x.agent_id = v_id and x.enabled and x.capabilities = v_skills
                   and x.repositories is not distinct from v_repositories and x.max_concurrency = v_units) then
        perform from fleet.latch where name = 'lanes' for update;
    end if;
    select * into v_old from fleet.executor where agent_id = v_id for update;
    if v_old.kind is distinct from 'ssh_cli' and v_fault.code is not null then
        return fleet.refuse(422, v_fault.code, v_fault.detail, v_fault.details);
    end if;
    v_no := fleet.register_refusal(p_by, v_id, v_old, v_skills);
    if v_no.status is not null then
        return v_no;
    end if;
    e := fleet.put_agent(p_by, v_id, p_agent, v_skills, v_units, v_repositories);
    perform fleet.agent_beat(e, p_interval_secs, p_threshold, p_handover_secs); -- its node before its slots, as bury_agents() has it
    if (v_old.enabled, v_old.capabilities, v_old.max_concurrency, v_old.repositories)
       is distinct from (true, v_skills, v_units, v_repositories) then
        perform fleet.fit_slots(e.executor);
        perform fleet.relane_executor(e.executor);
    end if;
    perform fleet.registry_token(p_by, v_id, p_token_hash, p_token_prefix);
    perform fleet.trail(p_by, 'agent_register', v_id, fleet.agent_trail(v_old), fleet.agent_trail(e));
    return fleet.say(200, jsonb_build_object('agent_id', v_id, 'status', 'online', 'capabilities', v_skills, 'max_concurrency', v_units,
        'heartbeat_interval_secs', p_interval_secs, 'heartbeat_timeout_threshold', p_threshold,
        'handover_ack_secs', p_handover_secs)::text);
end $$;

-- An agent as the trail shows it.
create function fleet.agent_trail(e fleet.executor) returns jsonb
    language plpgsql immutable as $$
begin
    return case when e.executor is not null then jsonb_build_object('agent_type', e.agent_type, 'hostname', e.hostname,
        'capabilities', e.capabilities, 'max_concurrency', e.max_concurrency, 'repositories', e.repositories, 'enabled', e.enabled) end;
end $$;

-- ---------------------------------------------------------------- heartbeat, deregister

-- The id that a body names; null when it names none.
create function fleet.agent_id_of(p_body jsonb) returns text
    language plpgsql immutable as $$
begin
    return case when jsonb_typeof(p_body -> 'agent_id') = 'string' then p_body ->> 'agent_id' end;
end $$;

create function fleet.no_agent_id(p_body jsonb) returns fleet.reply
    language plpgsql immutable as $$
begin
    return fleet.refuse(422, 'invalid_value', '''agent_id'' has to say which agent asks, as it was registered',
        jsonb_build_object('member', 'agent_id', 'limit', 'the id of a registered agent', 'value', left(p_body ->> 'agent_id', 120)));
end $$;

-- What the agent is to stop is told, and from then on it has as long for it as for its heartbeats. (By the name of the task: not when
-- it has it a second time, with an attempt that is to go on.)
create function fleet.tell_cancels(p_node uuid, p_within interval) returns jsonb
    language plpgsql as $$
declare v_tasks jsonb;
begin
    with unwanted as (
        select a.attempt, t.task_id from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.task t on t.task = a.task
        where a.node = p_node and fleet.unwanted(t, a)
    ), told as (
        update fleet.attempt set due_at = now() + p_within
        where attempt = any (array(select a.attempt from fleet.attempt a join unwanted using (attempt)
                                   where a.due_at > now() + p_within and a.phase <> 'claimed' for no key update of a skip locked))
    )
    select coalesce(jsonb_agg(u.task_id order by u.attempt), '[]') into v_tasks from unwanted u
    where not exists (select from fleet.attempt a join fleet.task t on t.task = a.task
                      where t.task_id = u.task_id and a.node = p_node and a.ended_at is null and not fleet.unwanted(t, a));
    return v_tasks;
end $$;

create function fleet.agent_heartbeat(p_by fleet.requester, p_body jsonb, p_interval_secs int, p_threshold int, p_handover_secs int)
    returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    v_id text := fleet.agent_id_of(p_body);
    e fleet.executor;
    v_no fleet.reply;
    v_node uuid;
begin
    select * into e from fleet.executor where agent_id = v_id;
    v_no := case when v_id is null then fleet.no_agent_id(p_body) else fleet.agent_refusal(p_by, v_id, e) end;
    if v_no.status is null then
        v_no := fleet.ceiling_refusal(p_by, e);
    end if;
    if v_no.status is not null then
        return v_no;
    end if;
    v_node := fleet.agent_beat(e, p_interval_secs, p_threshold, p_handover_secs);
    if v_node is null then
        e.enabled := false;
        return fleet.agent_refusal(p_by, v_id, e);
    elsif v_node = e.node then -- a crash can only take back the newest beat
        perform set_config('synchronous_commit', 'off', true);
    end if;
    return fleet.say(200, jsonb_build_object(
        'agent_id', v_id, 'status', 'online',
        'cancel', fleet.tell_cancels(v_node, make_interval(secs => p_interval_secs::float8 * p_threshold)),
        'answers', (select coalesce(jsonb_agg(jsonb_build_object('task_id', t.task_id, 'text', a.answer) order by a.attempt), '[]')
                    from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.task t on t.task = a.task
                    where a.node = v_node and a.answer is not null),
        'drain', coalesce(e.out_until > now(), false)
                 or exists (select from fleet.account k where k.account = e.account and k.state = 'parked'))::text);
end $$;

-- What it runs goes back to the queue. What somebody else holds, or a claim gives it meanwhile, is found by tend().
create function fleet.release_all(p_node uuid, p_reason text) returns text[]
    language plpgsql as $$
declare
    a fleet.attempt;
    v_tasks text[] := array[]::text[];
begin
    for a in
        select x.* from fleet.live v join fleet.attempt x on x.attempt = v.attempt join fleet.task t on t.task = x.task
        where x.node = p_node and x.ended_at is null order by x.task for update of t skip locked
    loop
        select * into a from fleet.attempt x where x.attempt = a.attempt and x.node = p_node and x.ended_at is null;
        continue when not found;
        perform fleet.end_attempt(a, 'released', p_reason, null, null, null);
        v_tasks := v_tasks || (select task_id from fleet.task where task = a.task);
    end loop;
    return v_tasks;
end $$;

-- Takes an agent out of service: its slots and registered tokens go, its runs go back to the queue; answers their tasks, null when it is
-- out already. Under the latch of the lanes; then agent, node, slots; then tasks, for none of which it waits: who has one may wait for
-- the latch or for a slot.
create function fleet.retire_agent(p_executor int) returns text[]
    language plpgsql as $$
declare
    e fleet.executor;
    v_tasks text[];
begin
    update fleet.executor set enabled = false where executor = p_executor and enabled returning * into e;
    if not found then
        return null;
    end if;
    update fleet.node set stopped_at = clock_timestamp(), dead_due = now() where node = e.node and stopped_at is null;
    perform fleet.fit_slots(e.executor);
    perform fleet.relane_executor(e.executor);
    v_tasks := fleet.release_all(e.node, 'deregistered');
    update fleet.token set revoked_at = now() where agent_id = e.agent_id and registered and revoked_at is null;
    if found then
        perform fleet.tell_tokens();
    end if;
    return v_tasks;
end $$;

create function fleet.agent_deregister(p_by fleet.requester, p_body jsonb) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_id text := fleet.agent_id_of(p_body);
    e fleet.executor;
    v_no fleet.reply;
    v_tasks text[] := array[]::text[];
    v_gone boolean;
    v_before jsonb;
begin
    select * into e from fleet.executor where agent_id = v_id;
    v_gone := e.kind = 'http_pull' and not e.enabled;
    e.enabled := true; -- repeated: the same answer
    v_no := case when v_id is null then fleet.no_agent_id(p_body) else fleet.agent_refusal(p_by, v_id, e) end;
    if v_no.status is not null then
        return v_no;
    end if;
    v_before := fleet.agent_trail(e);
    if not v_gone then
        perform from fleet.latch where name = 'lanes' for update;
        v_tasks := fleet.retire_agent(e.executor);
        v_gone := v_tasks is null; -- by another call meanwhile
    end if;
    if not v_gone then
        perform fleet.trail(p_by, 'agent_deregister', v_id, v_before, jsonb_build_object('released', v_tasks));
    end if;
    return fleet.say(200, jsonb_build_object('agent_id', v_id, 'status', 'offline', 'released', coalesce(v_tasks, '{}'))::text);
end $$;

-- Agents that were gone for agent_days, and never took their leave. Skips all when the latch is held.
create function fleet.forget_agents(p_max int) returns int
    language plpgsql as $$
declare
    v_gone int[] := array(
        select e.executor from fleet.executor e join fleet.node n on n.node = e.node
        where e.kind = 'http_pull' and e.enabled and n.dead_at < now() - make_interval(days => fleet.get('agent_days')::int)
        order by e.executor limit p_max);
    v_executor int;
begin
    if cardinality(v_gone) = 0 then
        return 0;
    end if;
    perform from fleet.latch where name = 'lanes' for update skip locked;
    if not found then
        return 0;
    end if;
    foreach v_executor in array v_gone loop
        perform fleet.retire_agent(v_executor);
    end loop;
    return cardinality(v_gone);
end $$;
