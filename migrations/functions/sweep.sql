-- What may be removed from hosts: run directories and working directories of tasks. A worker asks a host what lies there, and SQL what of
-- it may go; the runner on the host removes nothing that lives, whatever SQL says.

-- A host of this worker's that was not asked for long; nobody else asks it now. And when to ask for the next one.
create function fleet.sweep_begin(p_node uuid, out host_id text, out wait_ms int)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare v_host text;
begin
    perform fleet.node_check(p_node);
    select h.host_id into v_host from fleet.host h
    join fleet.node_host nh on nh.host_id = h.host_id and nh.node = p_node and nh.reachable
    where h.forgotten_at is null and coalesce(h.swept_at < now() - fleet.ms('sweep_ms'), true)
    order by h.swept_at nulls first limit 1
    for no key update of h skip locked;
    update fleet.host h set swept_at = now(), swept_by = p_node where h.host_id = v_host;
    host_id := v_host;
    wait_ms := case when v_host is null then least(fleet.get('sweep_ms'), 60000) else 100 end;
end $$;

-- Runs of a host that have left something there, as far as we know: ended ones, and those that live.
create function fleet.runs_left(p_host_id text) returns setof fleet.attempt
    language plpgsql stable as $$
begin
    return query
        select a.* from fleet.executor e join fleet.attempt a on a.executor = e.executor
        where e.host_id = p_host_id and a.ended_at is not null and a.run is not null and a.run_removed_at is null
        union all
        select a.* from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.executor e on e.executor = a.executor
        where e.host_id = p_host_id and a.run is not null;
end $$;

-- May the directory of a run go, which has so many bytes of output there? Its end was long ago, all of that is stored (or its task has
-- the age to go itself), and nobody keeps it.
create function fleet.run_may_go(t fleet.task, a fleet.attempt, p_out bigint, p_err bigint) returns boolean
    language plpgsql stable as $$
begin
    return a.ended_at < fleet.days_before(now(), 'run_dir_days') and t.kept_at is null
       and (p_out <= a.stdout_bytes and p_err <= a.stderr_bytes
            or coalesce(t.completed_at < fleet.days_before(now(), 'task_days'), false));
end $$;

-- Tasks whose working directory on a host is old, by their last attempt there. p_work: those with a workspace of a repository, else the
-- others. In any order: some cannot be removed (files of others), and must not stand before all that can.
create function fleet.folders_old(p_host_id text, p_work boolean, p_max int) returns table (folder text, attempt bigint)
    language plpgsql stable as $$
begin
    return query
        select substr(t.branch_name, 6), max(a.attempt)
        from fleet.executor e
        join fleet.host h on h.host_id = e.host_id
        join fleet.attempt a on a.executor = e.executor
        join fleet.task t on t.task = a.task
        where e.host_id = p_host_id and a.ended_at is not null and a.run is not null and a.folder_removed_at is null
          and t.status in ('completed', 'failed', 'cancelled') and t.kept_at is null
          and t.completed_at < now() - make_interval(hours =>
              nullif(fleet.get(case t.status when 'failed' then 'task_dir_failed_hours' else 'task_dir_done_hours' end), 0)::int)
          and not exists (select from fleet.attempt o where o.task = t.task and o.ended_at is null)
        group by t.task, h.host_id
        having bool_or(a.work is not null or (h.workspace = 'git' and t.repo is not null)) = p_work
        order by random() limit p_max;
end $$;

-- What lies on a host by name (p_runs), with the bytes of its streams (-1: none). p_whole: that is all of it, so what is not named is not
-- there. Answers what may go, at most p_max of each kind: `run` directories, with what is needed to ask for it, and `folder`s; and
-- `unknown` ones, which are no run's that we know.
create function fleet.sweep(p_node uuid, p_host_id text, p_runs text[], p_out bigint[], p_err bigint[], p_whole boolean, p_max int)
    returns table (what text, name text, attempt bigint, epoch int, nonce text, pid bigint, start text, boot text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    v_since timestamptz := (select h.swept_at from fleet.host h where h.host_id = p_host_id and h.swept_by = p_node);
begin
    perform fleet.node_check(p_node);
    if v_since is null then
        return; -- another worker's turn by now
    end if;
    if p_whole then
        update fleet.attempt set run_removed_at = now()
        where attempt = any (array(select a.attempt from fleet.runs_left(p_host_id) a
                                   where a.ended_at < v_since and not exists (select from unnest(p_runs) l where l = a.run) limit 1000));
    end if;
    return query
        select 'run', a.run, a.attempt, a.epoch, a.nonce, (a.host_state ->> 'pid')::bigint, a.host_state ->> 'start', a.host_state ->> 'boot'
        from unnest(p_runs, p_out, p_err) l (run, out_size, err_size)
        join fleet.runs_left(p_host_id) a on a.run = l.run
        join fleet.task t on t.task = a.task
        where fleet.run_may_go(t, a, l.out_size, l.err_size)
        order by random() limit p_max;
    if (select h.workspace in ('plain', 'git') from fleet.host h where h.host_id = p_host_id) then
        return query select 'folder', f.folder, f.attempt, null::int, null, null::bigint, null, null from fleet.folders_old(p_host_id, false, p_max) f;
    end if;
    return query
        select 'unknown', l, null::bigint, null::int, null, null::bigint, null, null from unnest(p_runs) l
        where not exists (select from fleet.runs_left(p_host_id) a where a.run = l) order by l limit 20;
end $$;

-- What was removed: directories of runs, and working directories of the tasks of these attempts.
create function fleet.swept(p_node uuid, p_host_id text, p_runs bigint[], p_folders bigint[]) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.node_check(p_node);
    update fleet.attempt set run_removed_at = now() where attempt = any (p_runs) and ended_at is not null and run_removed_at is null;
    update fleet.attempt a set folder_removed_at = now()
    from fleet.attempt f, fleet.executor e
    where f.attempt = any (p_folders) and a.task = f.task and e.executor = a.executor and e.host_id = p_host_id and a.ended_at is not null
      and a.folder_removed_at is null;
end $$;

-- Workspaces of repositories that may go from a host, if nothing in them is lost by it: each with what its last run is asked for by.
create function fleet.removals(p_node uuid, p_host_id text, p_max int)
    returns table (attempt bigint, folder text, run text, epoch int, nonce text, pid bigint, start text, boot text, task_id text, repo text,
                   branch text, base_branch text, number int, agent_type text, ordinal int)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
begin
    perform fleet.node_check(p_node);
    return query
        select a.attempt, f.folder, a.run, a.epoch, a.nonce, (a.host_state ->> 'pid')::bigint, a.host_state ->> 'start', a.host_state ->> 'boot',
               t.task_id, t.repo, t.branch_name, t.base_branch, a.number, e.agent_type, a.ordinal
        from fleet.folders_old(p_host_id, true, p_max) f
        join fleet.attempt a on a.attempt = f.attempt
        join fleet.executor e on e.executor = a.executor
        join fleet.task t on t.task = a.task
        where exists (select from fleet.host h where h.host_id = p_host_id and h.swept_by = p_node);
end $$;

-- What became of one of them: gone (p_why null), or why it stays.
create function fleet.removed(p_node uuid, p_host_id text, p_attempt bigint, p_why text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.node_check(p_node);
    if p_why is null then
        perform fleet.swept(p_node, p_host_id, '{}', array[p_attempt]);
    end if;
    update fleet.attempt a set folder_kept = p_why,
                               folder_kept_at = case when p_why is not null then coalesce(a.folder_kept_at, now()) end
    where a.attempt = p_attempt and a.ended_at is not null and a.folder_kept is distinct from p_why;
end $$;
