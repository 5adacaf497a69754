-- Requests of the API: who asks, what is answered, and the trail of what was changed.

-- Who asks: the token (0: nobody, in open mode; -1: the agents' shared one), from which address, in which request. Numbers are looked
-- up here: a server names a token and never says what it may.
create type fleet.requester as (token_id bigint, address text, request_id text);

-- An answer as the server passes it on: HTTP status, JSON (null: none), cursor of the next page, path of what was made.
create type fleet.reply as (status int, body text, next text, location text);

create function fleet.say(p_status int, p_body text, p_next text default null, p_location text default null) returns fleet.reply
    language plpgsql immutable as $$
begin
    return row(p_status, p_body, p_next, p_location)::fleet.reply;
end $$;

-- A refusal in the form of every error: a sentence for people, a stable word, details as JSON.
create function fleet.refuse(p_status int, p_code text, p_error text, p_details jsonb default null) returns fleet.reply
    language plpgsql immutable as $$
begin
    return fleet.say(p_status, jsonb_strip_nulls(jsonb_build_object('error', p_error, 'code', p_code, 'details', p_details))::text);
end $$;

-- Who asks, for the history. Without a token it is a login: psql, or the token command.
create function fleet.requester_actor(p_by fleet.requester) returns text
    language plpgsql stable as $$
begin
    return case when p_by.token_id is null then fleet.caller() else fleet.token_actor(p_by.token_id) end;
end $$;

-- The trail: who changed what, from where, and how it was before. Secrets never.
create function fleet.trail(p_by fleet.requester, p_action text, p_object text, p_before jsonb default null, p_after jsonb default null)
    returns void language plpgsql as $$
begin
    insert into fleet.audit (actor, token_prefix, address, request_id, action, object, before, after)
    select fleet.requester_actor(p_by), (select t.prefix from fleet.token t where t.token_id = p_by.token_id),
           case when p_by.token_id is null then host(inet_client_addr()) else p_by.address end, p_by.request_id,
           p_action, p_object, p_before, p_after;
end $$;

-- What a person does by psql is in the trail too.
create function fleet.trail_psql(p_action text, p_object text, p_before jsonb default null, p_after jsonb default null)
    returns void language plpgsql as $$
begin
    perform fleet.trail(null, p_action, p_object, p_before, p_after);
end $$;

-- The trail is kept for audit_days, and tokens that hold no more as long.
create function fleet.forget_trail(p_max int) returns int
    language plpgsql as $$
declare
    v_since timestamptz := now() - make_interval(days => fleet.get('audit_days')::int);
    v_count int;
    v_sum int;
begin
    delete from fleet.audit where audit = any (array(
        select a.audit from fleet.audit a where a.at < v_since order by a.at limit p_max for update skip locked));
    get diagnostics v_sum = row_count;
    delete from fleet.token where token_id = any (array(
        select t.token_id from fleet.token t where least(t.revoked_at, t.expires_at) < v_since limit p_max for update skip locked));
    get diagnostics v_count = row_count;
    return v_sum + v_count;
end $$;

-- What a token is bound to; null: not. Repositories whose tasks are there for it, and executors that it speaks for: of others'
-- tasks it sees what one of these holds or held.
create type fleet.bounds as (repositories text[], executors int[]);

create function fleet.bounds_of(p_by fleet.requester) returns fleet.bounds
    language plpgsql stable as $$
declare k fleet.token;
begin
    if p_by.token_id = 0 then
        return null;
    elsif p_by.token_id = -1 then
        return row(null, array(select e.executor from fleet.executor e where e.registered_by = -1))::fleet.bounds;
    end if;
    select * into k from fleet.token where token_id = p_by.token_id;
    if not found then
        return row(null, '{}')::fleet.bounds;
    elsif k.scope <> 'agent' then
        return row(k.repositories, null)::fleet.bounds;
    end if;
    return row(k.repositories, array(select e.executor from fleet.executor e where e.kind = 'http_pull'
        and case when k.agent_id is null then e.registered_by = k.token_id else e.agent_id = k.agent_id end))::fleet.bounds;
end $$;

-- Is a task of this repository within the bounds of who asks? What is not does not exist for them.
create function fleet.reaches(p_by fleet.requester, p_repo text) returns boolean
    language plpgsql stable as $$
begin
    return fleet.token_allows(p_by.token_id, p_repo);
end $$;

-- The same of a task: also, an agent sees what it holds or held and nothing else.
create function fleet.reaches_task(p_by fleet.requester, t fleet.task) returns boolean
    language plpgsql stable as $$
declare b fleet.bounds := fleet.bounds_of(p_by);
begin
    return (b.repositories is null or fleet.repo_allowed(b.repositories, t.repo))
       and (b.executors is null or exists (select from fleet.attempt a where a.task = t.task and a.executor = any (b.executors)));
end $$;

-- The task that is meant, if it is there for who asks; else a row of nulls. Not locked.
create function fleet.find_task(p_by fleet.requester, p_task_id text) returns fleet.task
    language plpgsql stable as $$
declare t fleet.task;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id);
    if t.task is not null and not fleet.reaches_task(p_by, t) then
        t := null;
    end if;
    return t;
end $$;

create function fleet.no_task(p_task_id text) returns fleet.reply
    language plpgsql immutable as $$
begin
    return fleet.refuse(404, 'not_found', format('there is no task %s', p_task_id));
end $$;
