-- Who may start work: whom Forgejo lets write, and whom the configuration names.

-- p_permission is what Forgejo said of the person in the repository; one that could not be asked for (unknown) lets nobody start. p_repo:
-- for rules that a repository may have one day of its own.
create function fleet.may_start(p_login text, p_permission text, p_repo text) returns boolean
    language plpgsql stable as $$
begin
    return coalesce(p_permission in ('owner', 'admin', 'write'), false)
        or coalesce(p_repo is not null and fleet.trusted_login(p_login), false);
end $$;

-- Keeps what Forgejo said of some people: {"login": "write", …}.
create function fleet.learn_people(p_repository_id bigint, p_people jsonb) returns void
    language plpgsql as $$
begin
    insert into fleet.person as p (repository_id, login, permission)
    select p_repository_id, lower(k), left(v, 40)
    from jsonb_each_text(case jsonb_typeof(p_people) when 'object' then p_people else '{}' end) x (k, v)
    where p_repository_id is not null and k <> '' and length(k) <= 255 and v is not null
    order by lower(k)
    on conflict (repository_id, login) do update set permission = excluded.permission, asked_at = now()
    where p.permission <> excluded.permission or p.asked_at < now() - interval '1 minute';
end $$;

-- What Forgejo said of somebody: now, or within the last day.
create function fleet.permission_of(p_repository_id bigint, p_login text, p_people jsonb) returns text
    language plpgsql stable as $$
begin
    return coalesce(p_people ->> p_login,
                    (select p.permission from fleet.person p
                     where p.repository_id = p_repository_id and p.login = lower(p_login) and p.asked_at > now() - interval '1 day'));
end $$;

-- Runs and people that no limit and no delivery needs any more.
create function fleet.forget_people(p_max int) returns int
    language plpgsql as $$
declare
    v_count int;
    v_sum int;
begin
    delete from fleet.spent where ctid = any (array(
        select s.ctid from fleet.spent s where s.at < now() - interval '1 day' order by s.at limit p_max for update skip locked));
    get diagnostics v_sum = row_count;
    delete from fleet.person where ctid = any (array(
        select p.ctid from fleet.person p where p.asked_at < now() - make_interval(days => fleet.get('delivery_days')::int)
        order by p.asked_at limit p_max for update skip locked));
    get diagnostics v_count = row_count;
    return v_sum + v_count;
end $$;
