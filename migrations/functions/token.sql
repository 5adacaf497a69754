-- API tokens: only their SHA-256 is stored.

-- Marks its use at most once a minute. expires_ms: how long it still holds; null: for ever.
create function fleet.authenticate(p_hash bytea)
    returns table (token_id bigint, name text, scope text, bounded boolean, expires_ms bigint)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    update fleet.token t set last_used_at = now()
    where t.token_id = (
        select x.token_id from fleet.token x
        where x.hash = p_hash and x.revoked_at is null and (x.expires_at is null or x.expires_at > now())
          and (x.last_used_at is null or x.last_used_at < now() - interval '1 minute')
        for update skip locked);
    return query
        select t.token_id, t.name, t.scope, t.repositories is not null,
               ceil(extract(epoch from t.expires_at - now()) * 1000)::bigint
        from fleet.token t
        where t.hash = p_hash and t.revoked_at is null and (t.expires_at is null or t.expires_at > now());
end $$;

-- Of these tokens, those that hold no more: a stream that one of them opened ends.
create function fleet.tokens_ended(p_token_ids bigint[]) returns setof bigint
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select u.token_id from unnest(p_token_ids) u (token_id)
    where not exists (select from fleet.token t where t.token_id = u.token_id and t.revoked_at is null
                                                    and (t.expires_at is null or t.expires_at > now()));
end;

-- ---------------------------------------------------------------- made

-- What is wrong with what is asked for, in words; null: nothing.
create function fleet.token_fault(p_name text, p_scope text, p_repositories text[], p_agent_id text, p_capabilities text[],
                                  p_expires timestamptz) returns text
    language plpgsql stable as $$
declare v_bad text;
begin
    select coalesce(r, '') into v_bad from unnest(p_repositories) r where coalesce(r, '') !~ '^([A-Za-z0-9._-]{1,100}/([A-Za-z0-9._-]{1,100}|[*])|none)$';
    return case
        when p_scope is null or p_scope not in ('admin', 'operate', 'submit', 'agent', 'read')
            then format('''scope'' has to be admin, operate, submit, agent or read, not ''%s''', left(p_scope, 100))
        when p_name is null or p_name !~ '^[^[:cntrl:]]{1,100}$'
            then '''name'' has to be 1 to 100 characters, none of them a control character'
        when v_bad is not null
            then format('''repositories'' lists owner/name, owner/* (all of an owner) or none (tasks of no repository), not ''%s''', left(v_bad, 100))
        when cardinality(p_repositories) not between 1 and 100
            then format('''repositories'' has to be 1 to 100 of them, not %s; leave it out for all', cardinality(p_repositories))
        when p_scope = 'admin' and p_repositories is not null
            then 'a token of scope admin is bound to nothing: leave ''repositories'' out, or give it another scope'
        when p_scope <> 'agent' and (p_agent_id is not null or p_capabilities is not null)
            then '''agent_id'' and ''capabilities'' are for tokens of scope agent'
        when p_agent_id !~ '^[^[:cntrl:]]{1,200}$'
            then '''agent_id'' has to be 1 to 200 characters, none of them a control character'
        when exists (select from unnest(p_capabilities) c where c !~ '^[^[:cntrl:]]{1,100}$' or c is null)
            then '''capabilities'' has to be texts of 1 to 100 characters, none of them a control character'
        when cardinality(p_capabilities) not between 1 and 100
            then format('''capabilities'' has to be 1 to 100 of them, not %s; leave it out for any', cardinality(p_capabilities))
        when p_expires <= now() or p_expires > now() + interval '100 years'
            then format('''expires_at'' has to be from now to 100 years ahead, not %s', fleet.utc(p_expires))
    end;
end $$;

-- What it is bound to, for people: "acme/rocket, none; agent build-1; code:rust". Null: to nothing.
create function fleet.token_bounds(k fleet.token) returns text
    language plpgsql immutable as $$
begin
    return nullif(concat_ws('; ', array_to_string(k.repositories, ', '), 'agent ' || k.agent_id, array_to_string(k.capabilities, ', ')), '');
end $$;

create function fleet.token_state(k fleet.token) returns text
    language plpgsql stable as $$
begin
    return case when k.revoked_at is not null then 'revoked' when k.expires_at <= now() then 'expired' else 'valid' end;
end $$;

create function fleet.token_json(k fleet.token) returns jsonb
    language plpgsql stable as $$
begin
    return jsonb_build_object(
        'token_id', k.token_id, 'name', k.name, 'scope', k.scope, 'prefix', k.prefix, 'state', fleet.token_state(k),
        'repositories', k.repositories, 'agent_id', k.agent_id, 'capabilities', k.capabilities, 'bounds', fleet.token_bounds(k),
        'registered', k.registered, 'made_by', k.made_by, 'created_at', fleet.utc(k.created_at), 'expires_at', fleet.utc(k.expires_at),
        'revoked_at', fleet.utc(k.revoked_at), 'last_used_at', fleet.utc(k.last_used_at));
end $$;

-- Repeated with the same hash it answers as the first time. The text of the token nobody here ever sees.
create function fleet.token_create(p_by fleet.requester, p_name text, p_scope text, p_hash bytea, p_prefix text, p_repositories text[],
                                   p_agent_id text, p_capabilities text[], p_expires timestamptz) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_fault text := fleet.token_fault(p_name, p_scope, p_repositories, p_agent_id, p_capabilities, p_expires);
    k fleet.token;
begin
    if v_fault is not null then
        return fleet.refuse(422, 'invalid_value', v_fault);
    end if;
    insert into fleet.token (name, scope, hash, prefix, repositories, agent_id, capabilities, expires_at, made_by)
    values (p_name, p_scope, p_hash, p_prefix, p_repositories, p_agent_id,
            case when p_capabilities is not null then fleet.capabilities_of(p_capabilities) end, p_expires,
            fleet.requester_actor(p_by))
    on conflict (hash) do nothing
    returning * into k;
    if found then
        perform fleet.trail(p_by, 'token_create', fleet.token_actor(k.token_id), null, jsonb_strip_nulls(fleet.token_json(k)));
    else
        select * into strict k from fleet.token where hash = p_hash;
    end if;
    return fleet.say(201, fleet.token_json(k)::text, null, '/api/v1/tokens/' || k.token_id);
end $$;

-- ---------------------------------------------------------------- shown

-- Newest first, those made before p_before (null: all).
create function fleet.token_rows(p_limit int, p_before bigint)
    returns table (token_id bigint, name text, scope text, prefix text, bounds text, state text, created_at timestamptz,
                   expires_at timestamptz, last_used_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select t.token_id, t.name, t.scope, t.prefix, fleet.token_bounds(t), fleet.token_state(t), t.created_at, t.expires_at, t.last_used_at
    from fleet.token t where t.token_id < coalesce(p_before, 9223372036854775807) order by t.token_id desc limit p_limit;
end;

create function fleet.token_list(p_by fleet.requester, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_limit int := least(greatest(coalesce(p_limit, 50), 1), 200);
    v_body text;
    v_last bigint;
    v_more boolean;
begin
    if p_cursor !~ '^[0-9]{1,18}$' then
        return fleet.refuse(400, 'malformed_cursor', 'this cursor was not given by this list');
    end if;
    select coalesce(jsonb_agg(fleet.token_json(x.k) order by (x.k).token_id desc) filter (where x.row <= v_limit), '[]')::text,
           min((x.k).token_id) filter (where x.row <= v_limit), count(*) > v_limit
    into v_body, v_last, v_more
    from (select t as k, row_number() over (order by t.token_id desc) as row from fleet.token t
          where t.token_id < coalesce(p_cursor::bigint, 9223372036854775807) order by t.token_id desc limit v_limit + 1) x;
    return fleet.say(200, v_body, case when v_more then v_last::text end);
end $$;

-- ---------------------------------------------------------------- revoked

-- Some hold no more: the servers that remember one look it up again.
create function fleet.tell_tokens() returns void
    language plpgsql as $$
begin
    perform pg_notify('fleet_work', 'token');
end $$;

-- Takes its use away, and that of the tokens that its agents got when they registered. Again: the same answer.
create function fleet.token_revoke(p_by fleet.requester, p_token_id bigint, p_force boolean) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    k fleet.token;
    v_before jsonb;
begin
    -- all at once, in one order: of two administrators who revoke each other's the second one sees what the first one did
    perform from fleet.token t where t.token_id = p_token_id or t.scope = 'admin' order by t.token_id for update;
    select * into k from fleet.token where token_id = p_token_id;
    if not found then
        return fleet.refuse(404, 'not_found', format('there is no token %s', p_token_id));
    elsif k.revoked_at is not null then
        return fleet.say(200, fleet.token_json(k)::text);
    elsif k.scope = 'admin' and not coalesce(p_force, false) and fleet.token_state(k) = 'valid' and not exists (
            select from fleet.token t where t.scope = 'admin' and t.token_id <> k.token_id and fleet.token_state(t) = 'valid') then
        return fleet.refuse(409, 'last_admin_token', format('%s is the last admin token that holds: nobody could make tokens by REST any more. '
            'Make another one first, or force it', fleet.token_actor(k.token_id)));
    end if;
    v_before := fleet.token_json(k);
    update fleet.token t set revoked_at = now()
    where t.token_id = k.token_id or (t.registered and t.revoked_at is null and exists (
        select from fleet.executor e where e.agent_id = t.agent_id and e.registered_by = k.token_id));
    select * into k from fleet.token where token_id = p_token_id;
    perform fleet.trail(p_by, 'token_revoke', fleet.token_actor(k.token_id), jsonb_build_object('state', v_before -> 'state'),
                        jsonb_build_object('state', fleet.token_state(k)));
    perform fleet.tell_tokens();
    return fleet.say(200, fleet.token_json(k)::text);
end $$;

-- ---------------------------------------------------------------- what they may

-- Who did it, by REST: the server names a token, never a text. Names need not be unique: the number tells two of one name apart.
create function fleet.token_actor(p_token_id bigint) returns text
    language plpgsql stable as $$
begin
    if coalesce(p_token_id, 0) = 0 then
        return 'open';
    elsif p_token_id = -1 then
        return 'http_pull_token';
    end if;
    return coalesce((select 'token:' || name || '#' || token_id from fleet.token where token_id = p_token_id), 'token #' || p_token_id);
end $$;

-- A token that is bound to repositories acts for them or not at all: a task of no repository is not one of theirs.
create function fleet.token_allows(p_token_id bigint, p_repo text) returns boolean
    language plpgsql stable as $$
begin
    return not exists (select from fleet.token t where t.token_id = p_token_id and t.repositories is not null
                                                   and not fleet.repo_allowed(t.repositories, p_repo));
end $$;
