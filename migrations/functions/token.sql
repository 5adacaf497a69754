-- API tokens: only their SHA-256 is stored.

-- Marks its use at most once a minute.
create function fleet.authenticate(p_hash bytea)
    returns table (token_id bigint, name text, scope text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
begin
    update fleet.token t set last_used_at = now()
    where t.token_id = (
        select x.token_id from fleet.token x
        where x.hash = p_hash and x.revoked_at is null and (x.expires_at is null or x.expires_at > now())
          and (x.last_used_at is null or x.last_used_at < now() - interval '1 minute')
        for update skip locked);
    return query
        select t.token_id, t.name, t.scope from fleet.token t
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

create function fleet.token_create(p_name text, p_scope text, p_hash bytea, p_prefix text, p_repositories text[], p_expires timestamptz)
    returns bigint language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_id bigint;
begin
    if p_scope is null or p_scope not in ('admin', 'operate', 'submit', 'agent', 'read') then
        raise exception 'no such scope: % (admin, operate, submit, agent, read)', p_scope using errcode = 'AF007';
    end if;
    if p_name is null or p_name !~ '^[^[:cntrl:]]{1,100}$' then
        raise exception 'the name of a token has 1 to 100 characters, none of them a control character' using errcode = 'AF007';
    end if;
    insert into fleet.token (name, scope, hash, prefix, repositories, expires_at)
    values (p_name, p_scope, p_hash, p_prefix, p_repositories, p_expires)
    on conflict (hash) do nothing;
    select token_id into strict v_id from fleet.token where hash = p_hash;
    return v_id;
end $$;

create function fleet.token_list()
    returns table (token_id bigint, name text, scope text, prefix text, repositories text[], created_at timestamptz,
                   expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select t.token_id, t.name, t.scope, t.prefix, t.repositories, t.created_at, t.expires_at, t.revoked_at, t.last_used_at
    from fleet.token t order by t.token_id;
end;

create function fleet.token_revoke(p_token_id bigint) returns boolean
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    update fleet.token set revoked_at = now() where token_id = p_token_id and revoked_at is null;
    return found;
end $$;

-- Who did it, by REST: the server names a token, never a text. None in open mode.
create function fleet.token_actor(p_token_id bigint) returns text
    language plpgsql stable as $$
begin
    if coalesce(p_token_id, 0) = 0 then
        return 'open';
    end if;
    return coalesce((select 'token:' || name from fleet.token where token_id = p_token_id), 'token #' || p_token_id);
end $$;

-- A token that is bound to repositories acts for them or not at all: a task of no repository is not one of theirs.
create function fleet.token_allows(p_token_id bigint, p_repo text) returns boolean
    language plpgsql stable as $$
begin
    return not exists (select from fleet.token t where t.token_id = p_token_id and t.repositories is not null
                                                   and not fleet.repo_allowed(t.repositories, p_repo));
end $$;
