-- What the configuration says of Forgejo.

-- A worker tells its configuration; who the token's account is once Forgejo has said so.
create function fleet.forgejo_configure(p_node uuid, p_policy jsonb, p_user_id bigint, p_login text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_before jsonb;
begin
    perform fleet.node_check(p_node);
    perform from fleet.forgejo for update;
    v_before := fleet.policy('');
    insert into fleet.forgejo (policy, user_id, login, told_by) values (p_policy, p_user_id, p_login, fleet.node_actor(p_node))
    on conflict (one) do update
    set policy = excluded.policy, told_by = excluded.told_by, told_at = now(),
        user_id = coalesce(excluded.user_id, case when forgejo.policy ->> 'url' = excluded.policy ->> 'url' then forgejo.user_id end),
        login = coalesce(excluded.login, case when forgejo.policy ->> 'url' = excluded.policy ->> 'url' then forgejo.login end);
    if v_before -> 'repositories' is distinct from p_policy -> 'repositories' then
        perform fleet.open_moved();
    end if;
    if not (v_before ->> 'reads')::boolean and (p_policy ->> 'reads')::boolean then -- from now on what is under way is told, too
        perform fleet.open_outbox(t.task) from fleet.task t
        where t.issue is not null and t.status in ('created', 'assigned', 'running', 'agent_lost', 'review_pending')
          and not exists (select from fleet.outbox o where o.task = t.task);
    end if;
end $$;
comment on function fleet.forgejo_configure(uuid, jsonb, bigint, text) is
    'What a worker''s configuration says of Forgejo, and whose account its token is; nulls: not known yet.';

-- Was that told since, or a moment before? Then it may have been judged by what was told before. Whoever goes on with "no" is seen by
-- the next telling.
create function fleet.told_since(p_at timestamptz) returns boolean
    language plpgsql as $$
begin
    perform from fleet.forgejo for share;
    return exists (select from fleet.forgejo f where f.told_at > p_at - interval '5 s');
end $$;

-- "owner/name", "owner/" and "*", or "*". Names are compared without case, as Forgejo does.
create function fleet.covers(p_entries jsonb, p_repo text) returns boolean
    language plpgsql immutable as $$
begin
    return exists (select from jsonb_array_elements_text(case when jsonb_typeof(p_entries) = 'array' then p_entries else '[]' end) x
                   where x = '*' or lower(x) = lower(p_repo)
                      or (right(x, 2) = '/*' and lower(left(p_repo, length(x) - 1)) = lower(left(x, -1))));
end $$;

-- As long as no worker has told anything.
create function fleet.policy_default() returns jsonb
    language plpgsql immutable as $$
begin
    return jsonb '{"reads": false, "repositories": [], "trigger_users": [], "poll_only": false, "poll_interval_secs": 300,
             "approval": "none", "open_pull_request": false, "on_ci_failure": "ignore", "required_checks": [], "comments": true,
             "state_labels": true, "commit_statuses": true, "max_reviews": 3, "task_timeout_secs": 1800, "default_max_retries": 2,
             "max_attempts_total": 10, "rules": []}';
end $$;

-- What holds for a repository: the first rule that names it, then what holds for all. Never null.
create function fleet.policy(p_repo text) returns jsonb
    language plpgsql stable as $$
declare v jsonb := fleet.policy_default();
begin
    v := v || coalesce((select f.policy from fleet.forgejo f), '{}');
    return v || coalesce((select r - 'repositories' from jsonb_array_elements(v -> 'rules') with ordinality x (r, place)
                          where fleet.covers(r -> 'repositories', p_repo) order by place limit 1), '{}');
end $$;

-- May somebody start work by the configuration alone?
create function fleet.trusted_login(p_login text) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from fleet.forgejo f, jsonb_array_elements_text(f.policy -> 'trigger_users') x
                   where x = '*' or lower(x) = lower(p_login));
end $$;
