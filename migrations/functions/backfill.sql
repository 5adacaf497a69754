-- Backfill: each repository is read from time to time as far as it has changed, and looks are wanted of what differs from what is stored.

-- Repositories that a node's configuration names, and those that its patterns stand for.
create function fleet.know_repositories(p_node uuid, p_names text[]) returns int
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_count int;
begin
    perform fleet.node_check(p_node);
    insert into fleet.repository (repo)
    select distinct on (lower(n)) n from unnest(p_names) n
    where fleet.is_repo(n) and not exists (select from fleet.repository r where lower(r.repo) = lower(n)) order by lower(n)
    on conflict do nothing;
    get diagnostics v_count = row_count;
    return v_count;
end $$;

create function fleet.poll_interval() returns interval
    language plpgsql stable as $$
begin
    return make_interval(secs => (fleet.policy(null) ->> 'poll_interval_secs')::int);
end $$;

-- Gives a node repositories that are to be read now; nobody else gets them for backfill_lease_ms. since: what changed before is known,
-- by Forgejo's clock and with a minute of overlap; null: all that is open is to be read.
create function fleet.backfills(p_node uuid, p_max int) returns table (repo text, repository_id bigint, since text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare v_listed jsonb := fleet.policy(null) -> 'repositories';
begin
    perform fleet.node_check(p_node);
    return query
        update fleet.repository r set read_by = p_node, read_until = now() + fleet.ms('backfill_lease_ms')
        from (select x.repo from fleet.repository x
              where x.read_due <= now() and (x.parked_until is null or x.parked_until <= now()) and fleet.covers(v_listed, x.repo)
                and (x.repository_id is not null or fleet.is_repo(x.repo)) -- nobody has the name of one that was set aside
                and (x.read_until is null or x.read_until <= now() or fleet.node_gone(x.read_by))
              order by x.read_due limit p_max for no key update skip locked) due
        where r.repo = due.repo
        returning r.repo, r.repository_id,
            to_char((r.read_since - interval '1 minute') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
end $$;

-- What the repository is called now, by the id that it answered with; null: it is none of ours.
create function fleet.repository_seen(p_node uuid, p_repository jsonb) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_repo text;
begin
    perform fleet.node_check(p_node);
    if fleet.not_ours(p_repository) is not null then
        return null;
    end if;
    v_repo := fleet.repository_of((p_repository ->> 'id')::bigint, p_repository ->> 'full_name');
    update fleet.repository set default_branch = p_repository ->> 'default_branch'
    where repo = v_repo and default_branch is distinct from p_repository ->> 'default_branch';
    return v_repo;
end $$;

-- Something that a list shows is to be looked at: at once when it differs from what is stored, and in any case once behind the second of
-- its updated_at, for what came in the same second is not told from what was seen. Answers whether it differs.
create function fleet.want_listed(p_kind text, p_id bigint, p_differs boolean, p_at text) returns boolean
    language plpgsql as $$
begin
    if not p_differs and exists (select from fleet.look l where l.kind = p_kind and l.id = p_id and l.listed = p_at) then
        return false;
    end if;
    perform fleet.want_look_later(p_kind, p_id, case when p_differs then interval '0' else interval '2 s' end);
    update fleet.look set listed = p_at, again_at = case when p_differs then now() + interval '2 s' end where kind = p_kind and id = p_id;
    return p_differs;
end $$;

-- An issue of a list. Those without an agent label that nobody knows are nothing to us.
create function fleet.backfill_issue(p_repo text, p jsonb) returns boolean
    language plpgsql as $$
declare
    i fleet.issue;
    v_labels text[] := array(select distinct jsonb_array_elements_text(p -> 'labels') order by 1);
begin
    select * into i from fleet.issue where repo = p_repo and number = (p ->> 'number')::int;
    if not found then
        if p ->> 'state' = 'closed' or fleet.requirements_of(v_labels) = '{}' then
            return false;
        end if;
        i := fleet.issue_of(p_repo, (p ->> 'number')::int, (p ->> 'id')::bigint);
    end if;
    return fleet.want_listed('issue', i.issue, i.read_at is null or i.updated_at is distinct from fleet.time_of(p ->> 'updated_at')
        or i.state is distinct from p ->> 'state' or array(select distinct unnest(i.labels) order by 1) <> v_labels, p ->> 'updated_at');
end $$;

-- A pull request of a list: when its head is told, it may be one of a task's that was missed.
create function fleet.backfill_pull(r fleet.repository, p jsonb) returns boolean
    language plpgsql as $$
declare
    u fleet.pull;
    v_pull bigint := fleet.pull_known(jsonb_build_object(
        'repository', jsonb_build_object('id', r.repository_id, 'full_name', r.repo),
        'pull', jsonb_build_object('number', p -> 'number', 'head', p -> 'pull_head')));
begin
    select * into u from fleet.pull where pull = v_pull;
    return u.pull is not null and fleet.want_listed('pull', u.pull, u.read_at is null or u.state is distinct from p ->> 'state'
        or u.updated_at is distinct from fleet.time_of(p ->> 'updated_at'), p ->> 'updated_at');
end $$;

-- Pull requests of a page that nobody knows, of a repository that has tasks with branches: whose they are, their heads say.
create function fleet.heads_wanted(r fleet.repository, p_items jsonb) returns setof int
    language plpgsql stable as $$
begin
    return query
        select (x ->> 'number')::int from jsonb_array_elements(p_items) x
        where (x ->> 'is_pull')::boolean and not x ? 'pull_head'
          and exists (select from fleet.task t where t.repo = r.repo)
          and not exists (select from fleet.pull u where u.repository_id = r.repository_id and u.number = (x ->> 'number')::int)
        order by 1;
end $$;

-- What a list of a repository says: items of one page, then again with the time up to which all was read (p_until; null: more follows).
-- Answers the numbers of pull requests of which it wants to know the head. Times of issues can be set by their repository's administrators:
-- one of the future must not make the mark pass over what is not there yet, so it stays behind the beginning of the reading.
create function fleet.backfilled(p_node uuid, p_repo text, p_items jsonb, p_until text) returns setof int
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_item jsonb;
    v_wanted boolean := false;
    r fleet.repository;
begin
    perform fleet.node_check(p_node);
    select * into r from fleet.repository where repo = p_repo for no key update;
    if r.read_by is distinct from p_node then
        raise exception 'repository % is not being read by this node any more', p_repo using errcode = 'AF004';
    end if;
    for v_item in select x from jsonb_array_elements(p_items) x where (x ->> 'number')::int > 0 order by (x ->> 'number')::int loop
        v_wanted := case when (v_item ->> 'is_pull')::boolean then fleet.backfill_pull(r, v_item) else fleet.backfill_issue(p_repo, v_item) end
            or v_wanted;
    end loop;
    if v_wanted then
        perform fleet.hint('look');
    end if;
    if p_until is not null then
        update fleet.repository
        set read_since = greatest(read_since, least(fleet.time_of(p_until), r.read_until - fleet.ms('backfill_lease_ms'))), read_at = now(), read_by = null, read_until = null,
            read_due = now() + fleet.poll_interval() * (0.8 + random() / 5), read_tries = 0, read_reason = null,
            parked_until = null, parked_reason = null, parked_at = null, parks = 0
        where repo = p_repo;
    end if;
    return query select fleet.heads_wanted(r, p_items);
end $$;

-- A reading came to nothing: what it was to find is found by the next one. Words as in look_failed().
create function fleet.backfill_failed(p_node uuid, p_repo text, p_why text, p_retry_secs int) returns timestamptz
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_word text := split_part(p_why, ':', 1);
    v_due timestamptz;
begin
    perform fleet.node_check(p_node);
    if v_word in ('denied', 'missing', 'locked') or v_word = 'moved' and not fleet.told_since(
            (select r.read_until - fleet.ms('backfill_lease_ms') from fleet.repository r where r.repo = p_repo)) then
        v_due := fleet.park_repository(p_repo, p_why);
    elsif v_word = 'dropped' then
        v_due := now();
    end if;
    update fleet.repository
    set read_by = null, read_until = null, read_tries = case when v_word = 'dropped' then read_tries else read_tries + 1 end,
        read_reason = left(fleet.one_line(p_why, ' '), 500),
        read_due = coalesce(v_due, now() + greatest(fleet.backoff(read_tries, 'look_retry_ms', 'look_retry_max_ms'),
                                                    make_interval(secs => least(p_retry_secs, 86400) * (1 + random() / 10))))
    where repo = p_repo and read_by = p_node returning read_due into v_due;
    return v_due;
end $$;
