-- Repositories and issues by their ids in Forgejo. Names change, are written in other case, and are used again by others; what is stored
-- is found by the id, and follows the name. Lock order: forgejo, latch repositories, repository, issue, task, latch lanes.

-- Who is called so now, whatever the case.
create function fleet.repository_named(p_name text) returns fleet.repository
    language plpgsql stable as $$
declare r fleet.repository;
begin
    select * into r from fleet.repository x where lower(x.repo) = lower(p_name)
    order by x.repository_id is null, x.repo <> p_name, x.repo limit 1;
    return r;
end $$;

-- The present id of the task of an issue that may be asked for by an old name of its repository, or in other case.
create function fleet.known_id(p_task_id text) returns text
    language plpgsql stable as $$
declare
    v_name text;
    r fleet.repository;
begin
    if p_task_id !~ '^[^/]+/[^/]+#[0-9]+$' or exists (select from fleet.task where task_id = p_task_id) then
        return p_task_id;
    end if;
    v_name := split_part(p_task_id, '#', 1);
    r := fleet.repository_named(v_name);
    if r.repo is null then
        select x.* into r from fleet.former_name f join fleet.repository x using (repository_id) where f.name = lower(v_name);
    end if;
    return coalesce(r.repo || '#' || split_part(p_task_id, '#', 2), p_task_id);
end $$;

-- A task gets another repository, and another id unless that is taken. Under its lock; its branch and folder keep their names.
create function fleet.rename_task(t fleet.task, p_repo text, p_task_id text) returns void
    language plpgsql as $$
declare
    l fleet.lane;
    v_ended boolean := t.status in ('completed', 'failed', 'cancelled');
begin
    if exists (select from fleet.task o where o.task_id = p_task_id) then
        p_task_id := t.task_id;
    end if;
    if t.status = 'created' then
        perform fleet.dequeue(t.task);
    end if;
    if not v_ended then -- others get theirs when they wait again
        select * into l from fleet.lane where lane = t.lane;
        t.lane := fleet.lane_for(t.requirements, t.execution_mode, p_repo, coalesce(l.barred, '{}'), l.pinned);
    end if;
    update fleet.task set repo = p_repo, task_id = p_task_id, lane = t.lane where task = t.task;
    if t.status = 'created' then
        perform fleet.enqueue(t.task, t.run_at);
    end if;
    if p_task_id <> t.task_id then
        perform fleet.note(t.task, 'renamed', null, null, jsonb_build_object('from', t.task_id, 'to', p_task_id));
    end if;
end $$;

-- The tasks of a repository that was called p_old follow it; p_all: those that came by REST too. All are locked before the first asks for
-- a lane.
create function fleet.rename_tasks(p_old text, p_new text, p_all boolean) returns void
    language plpgsql as $$
declare
    v_tasks bigint[];
    t fleet.task;
begin
    select array_agg(x.task) into v_tasks from (
        select k.task from fleet.task k
        where lower(coalesce(k.repo, 'none')) collate "C" = lower(p_old) collate "C"
          and case when k.issue is null then p_all
                   else exists (select from fleet.issue i where i.issue = k.issue and i.repo = p_new) end
        order by k.task for update) x;
    for t in select * from fleet.task where task = any (v_tasks) order by task loop
        perform fleet.rename_task(t, p_new, case when t.issue is null then t.task_id else p_new || '#' || t.issue_number end);
    end loop;
end $$;

-- The name of a repository is used by another one now: it was removed, or renamed and nobody told. Its tasks keep their identity under a
-- name that nobody can have; what waits is not started before Forgejo was asked, or not at all when it cannot be.
create function fleet.set_aside(r fleet.repository) returns void
    language plpgsql as $$
declare
    v_aside text := r.repo || '~' || coalesce(r.repository_id, 0);
    i record;
begin
    perform from fleet.repository where repo = r.repo for update;
    update fleet.repository set repo = v_aside where repo = r.repo;
    perform fleet.rename_tasks(r.repo, v_aside, false);
    for i in
        update fleet.issue x set read_at = null where x.repo = v_aside
        returning x.issue, exists (select from fleet.task t where t.issue = x.issue and t.status = 'created') as waits
    loop
        if i.waits and (fleet.policy(v_aside) ->> 'reads')::boolean and r.repository_id is not null then
            perform fleet.want_look('issue', i.issue);
        elsif i.waits then
            perform fleet.issue_gone(i.issue, 'fleet');
        end if;
    end loop;
end $$;

-- Follows a change of name.
create function fleet.rename_repository(r fleet.repository, p_name text) returns void
    language plpgsql as $$
begin
    perform from fleet.repository where repo = r.repo for update;
    delete from fleet.former_name where name = lower(p_name);
    if lower(r.repo) <> lower(p_name) and fleet.is_repo(r.repo) then -- not one that was set aside
        insert into fleet.former_name (name, repository_id) values (lower(r.repo), r.repository_id)
        on conflict (name) do update set repository_id = excluded.repository_id, at = now();
    end if;
    update fleet.repository set repo = p_name where repo = r.repo; -- its issues follow
    perform fleet.rename_tasks(r.repo, p_name, true);
end $$;

-- Makes what is stored of a repository agree with what Forgejo says it is called. Under the latch. Answers its name.
create function fleet.settle_repository(p_id bigint, p_name text) returns text
    language plpgsql as $$
declare
    r fleet.repository;
    n fleet.repository := fleet.repository_named(p_name);
begin
    if p_id is null then -- only a name was told
        if n.repo is null then
            select x.* into n from fleet.former_name f join fleet.repository x using (repository_id) where f.name = lower(p_name);
        end if;
        if n.repo is null then
            insert into fleet.repository (repo) values (p_name);
        end if;
        return coalesce(n.repo, p_name);
    end if;
    select * into r from fleet.repository where repository_id = p_id;
    if r.repo is null and n.repo is not null and n.repository_id is null then
        update fleet.repository set repository_id = p_id where repo = n.repo;
        n.repository_id := p_id;
        r := n;
    elsif n.repo is not null and n.repository_id is null and not exists (select from fleet.issue i where i.repo = n.repo) then
        delete from fleet.repository where repo = n.repo; -- no more than a name, and it is this one's
    elsif n.repo is not null and n.repository_id is distinct from p_id then
        perform fleet.set_aside(n);
    end if;
    if r.repo is null then
        delete from fleet.former_name where name = lower(p_name);
        insert into fleet.repository (repo, repository_id) values (p_name, p_id);
    elsif r.repo <> p_name then
        perform fleet.rename_repository(r, p_name);
    end if;
    return p_name;
end $$;

-- The repository that Forgejo tells of, made when new, renamed when it is called otherwise now; its row keeps its name until the end of
-- the transaction. Answers the name. Before any lock on an issue or a task, and nothing is locked before it is clear that the
-- latch is not needed.
create function fleet.repository_of(p_id bigint, p_name text) returns text
    language plpgsql as $$
declare r fleet.repository;
begin
    if p_id is null then
        r := fleet.repository_named(p_name);
    else
        select * into r from fleet.repository where repository_id = p_id;
    end if;
    if r.repo is null or p_id is not null and r.repo <> p_name then
        perform from fleet.latch where name = 'repositories' for update;
        r.repo := fleet.settle_repository(p_id, p_name);
    end if;
    select * into r from fleet.repository x
    where case when p_id is null then x.repo = r.repo else x.repository_id = p_id end for key share;
    return r.repo;
end $$;

-- What was read is of a repository of this name: why nothing is to be made of it; null: it is one of ours. One that left the
-- configuration's list by a rename is none, nor one of which only a delivery says that it is what was called so, unless its name
-- is known: whoever keeps one hook can write any id into that. p: {"id", "full_name"}.
create function fleet.not_ours(p jsonb) returns text
    language plpgsql stable as $$
declare
    r fleet.repository;
    v_name text := p ->> 'full_name';
begin
    select * into r from fleet.repository where repository_id = (p ->> 'id')::bigint;
    return case
        when not fleet.covers(fleet.policy(null) -> 'repositories', v_name)
            then format('it is called %s now, which forgejo.repositories does not name', v_name)
        when lower(r.repo) <> lower(v_name) and r.default_branch is null
             and not exists (select from fleet.repository x where lower(x.repo) = lower(v_name) and x.repository_id is null)
            then format('it is %s, and only a delivery says that it was called %s', v_name, r.repo) end;
end $$;

-- ---------------------------------------------------------------- issues

-- An issue that Forgejo moved to another place.
create function fleet.move_issue(i fleet.issue, p_repo text, p_number int) returns void
    language plpgsql as $$
declare t fleet.task;
begin
    update fleet.issue set repo = p_repo, number = p_number, read_at = null where issue = i.issue;
    select * into t from fleet.task where issue = i.issue for update;
    if found then
        update fleet.task set issue_number = p_number where task = t.task;
        perform fleet.rename_task(t, p_repo, p_repo || '#' || p_number);
    end if;
end $$;

-- The issue with this id in Forgejo, made when new, moved when it is elsewhere now, locked. A place belongs to the id that was told last:
-- another one that was there before is forgotten (Forgejo never uses a number twice, but may have been restored). The id may be null.
create function fleet.issue_of(p_repo text, p_number int, p_forgejo_id bigint) returns fleet.issue
    language plpgsql as $$
declare
    i fleet.issue; -- by its id
    n fleet.issue; -- by its place
begin
    if p_forgejo_id is not null then
        select * into i from fleet.issue where forgejo_id = p_forgejo_id for update;
        if i.repo = p_repo and i.number = p_number then
            return i;
        end if;
    end if;
    select * into n from fleet.issue where repo = p_repo and number = p_number for update;
    if i.issue is not null and n.issue is null then
        perform fleet.move_issue(i, p_repo, p_number);
    elsif n.issue is null then
        insert into fleet.issue (repo, number, forgejo_id) values (p_repo, p_number, p_forgejo_id) on conflict do nothing;
    elsif p_forgejo_id is null or n.forgejo_id = p_forgejo_id then
        return n;
    else
        update fleet.issue set forgejo_id = null where issue = i.issue;
        perform fleet.issue_gone(x, 'fleet')
        from unnest(array[i.issue, case when n.forgejo_id is not null then n.issue end]) x where x is not null;
        if n.forgejo_id is not null then
            update fleet.issue
            set labels = '{}', refused = '{}', labels_at = null, updated_at = null, state = 'open', text_hash = null, offered = null,
                served = 0, event_id = 0, comment_served = 0, comments_seen = '{}', read_at = null
            where issue = n.issue;
        end if;
        update fleet.issue set forgejo_id = p_forgejo_id where issue = n.issue;
    end if;
    return fleet.issue_of(p_repo, p_number, p_forgejo_id);
end $$;
