-- Lists of tasks, newest first by task number. No list reads more than a fixed number of rows, however many tasks there are: candidates
-- come, newest first, from what is sorted already (a driver), the other filters are applied to them, and a call gives up after
-- list_budget of them: its page may then be shorter than its limit, even empty, and still have a next one.

-- What is asked for. What is null admits all; of several values each is admitted. repositories (lower case, 'none'), owners and
-- executors hold for every task: the bounds of who asks.
create type fleet.list_filter as (
    statuses text[], sources text[], repos text[], labels text[], modes text[], executors int[], q text,
    created_after timestamptz, created_before timestamptz,
    bound_repos text[], bound_owners text[], bound_executors int[]);

-- Candidates of a driver below a task number, newest first. Of those below `horizon` some are missing; null: none is.
create type fleet.list_part as (tasks bigint[], horizon bigint);

-- The newest tasks under one key of a driver.
create function fleet.list_stream(p_driver text, p_key text, p_below bigint, p_above bigint, p_want int) returns bigint[]
    language plpgsql stable as $$
declare v_list text := case p_driver when 'status' then p_key else p_driver end;
begin
    case v_list
    when 'all' then
        return array(select t.task from fleet.task t where t.task < p_below and t.task > p_above order by t.task desc limit p_want);
    when 'label' then
        return array(select l.task from fleet.task_label l where l.label = p_key and l.task < p_below and l.task > p_above
                     order by l.task desc limit p_want);
    when 'repo' then
        return array(select t.task from fleet.task t
                     where lower(coalesce(t.repo, 'none')) collate "C" = p_key and t.task < p_below and t.task > p_above
                     order by t.task desc limit p_want);
    when 'forgejo' then
        return array(select t.task from fleet.task t where t.source = 'forgejo' and t.task < p_below and t.task > p_above
                     order by t.task desc limit p_want);
    when 'executor' then
        return array(select a.task from fleet.attempt a where a.executor = p_key::int and a.task < p_below and a.task > p_above
                     order by a.task desc limit p_want);
    when 'queue' then
        return array(select q.task from fleet.queue q where q.task < p_below and q.task > p_above order by q.task desc limit p_want);
    when 'delayed' then
        return array(select d.task from fleet.delayed d where d.task < p_below and d.task > p_above order by d.task desc limit p_want);
    when 'live' then
        return array(select a.task from fleet.live v join fleet.attempt a on a.attempt = v.attempt
                     where a.abandoned_at is null and a.task < p_below and a.task > p_above
                     order by a.task desc limit p_want);
    else
        return array(select e.task from fleet.ended e where e.status = p_key and e.task < p_below and e.task > p_above
                     order by e.task desc limit p_want);
    end case;
end $$;

create function fleet.list_part(p_driver text, p_keys text[], p_below bigint, p_above bigint, p_want int) returns fleet.list_part
    language plpgsql stable as $$
declare
    p fleet.list_part;
    v_key text;
    v_one bigint[];
begin
    p.tasks := '{}';
    foreach v_key in array p_keys loop
        v_one := fleet.list_stream(p_driver, v_key, p_below, p_above, p_want);
        if cardinality(v_one) = p_want then
            p.horizon := greatest(p.horizon, v_one[p_want]);
        end if;
        p.tasks := p.tasks || v_one;
    end loop;
    if p_driver = 'executor' or cardinality(p_keys) > 1 then -- it may have had a task twice
        p.tasks := array(select distinct u from unnest(p.tasks) u where u >= coalesce(p.horizon, 0) order by 1 desc);
    end if;
    return p;
end $$;

-- Those of the candidates that pass the filter, newest first.
create function fleet.list_pass(p_tasks bigint[], f fleet.list_filter) returns bigint[]
    language plpgsql stable as $$
begin
    return array(
        select t.task from unnest(p_tasks) with ordinality c (task, place)
        join fleet.task t on t.task = c.task
        where (f.statuses is null or t.status = any (f.statuses))
          and (f.sources is null or t.source = any (f.sources))
          and (f.repos is null or lower(coalesce(t.repo, 'none')) = any (f.repos))
          and (f.labels is null or t.labels && f.labels)
          and (f.executors is null or t.executor = any (f.executors))
          and (f.modes is null or coalesce((select e.kind from fleet.executor e where e.executor = t.executor), t.execution_mode)
                                  = any (f.modes))
          and (f.q is null or strpos(lower(t.task_id), f.q) > 0 or strpos(lower(t.title), f.q) > 0)
          and (f.created_after is null or t.created_at > f.created_after)
          and (f.created_before is null or t.created_at < f.created_before)
          and (f.bound_repos is null or lower(coalesce(t.repo, 'none')) = any (f.bound_repos)
               or lower(split_part(t.repo, '/', 1)) = any (f.bound_owners))
          and (f.bound_executors is null
               or exists (select from fleet.attempt a where a.task = t.task and a.executor = any (f.bound_executors)))
        order by c.place);
end $$;

-- A number that no task made before p_at has or exceeds, by halving: numbers rise with the time of making, but for transactions that
-- ran at the same time; those are given a minute.
create function fleet.task_at(p_at timestamptz) returns bigint
    language plpgsql stable as $$
declare
    v_low bigint := 0;
    v_high bigint := (select max(task) + 1 from fleet.task);
    v_task bigint;
    v_made timestamptz;
begin
    if p_at is null then
        return null;
    end if;
    while v_low + 1 < v_high loop
        select t.task, t.created_at into v_task, v_made from fleet.task t
        where t.task >= (v_low + v_high) / 2 order by t.task limit 1;
        if v_made < p_at then
            v_low := v_task;
        else
            v_high := (v_low + v_high) / 2;
        end if;
    end loop;
    return coalesce(v_high, 1);
end $$;

-- Where the tasks of these statuses are.
create function fleet.list_statuses(p_statuses text[]) returns text[]
    language plpgsql immutable as $$
begin
    return case when p_statuses is not null then
        case when 'created' = any (p_statuses) then '{queue,delayed}'::text[] else '{}' end
        || case when p_statuses && '{assigned,running,agent_lost}' then '{live}'::text[] else '{}' end
        || array(select distinct s from unnest(p_statuses) s where s not in ('created', 'assigned', 'running', 'agent_lost')) end;
end $$;

-- What sorted lists a filter could be read from.
create function fleet.list_drivers(f fleet.list_filter, out driver text, out keys text[]) returns setof record
    language plpgsql immutable as $$
begin
    return query
        select d.driver, d.keys
        from (values ('status', fleet.list_statuses(f.statuses)),
                     ('executor', f.executors::text[]), ('executor', f.bound_executors::text[]),
                     ('label', f.labels),
                     ('repo', f.repos), ('repo', case when f.bound_owners = '{}' then f.bound_repos end),
                     ('forgejo', case when f.sources = '{forgejo}' then f.sources end)) d (driver, keys)
        where d.keys is not null;
    if not found then
        driver := 'all'; keys := '{all}';
        return next;
    end if;
end $$;

-- The driver that thins out soonest, with its first part: the one that ends, else the one that reaches farthest back.
create function fleet.list_open(f fleet.list_filter, p_below bigint, p_above bigint, p_want int,
                                out driver text, out keys text[], out tasks bigint[], out horizon bigint)
    language plpgsql stable as $$
begin
    select d.driver, d.keys, l.tasks, l.horizon into driver, keys, tasks, horizon
    from fleet.list_drivers(f) d
    cross join lateral fleet.list_part(d.driver, d.keys, p_below, p_above, p_want) l
    order by l.horizon nulls first, cardinality(l.tasks) limit 1;
end $$;

-- A page: the tasks that are shown, and below which number the next one begins; null: there is none.
create function fleet.list_page(f fleet.list_filter, p_below bigint, p_limit int, out tasks bigint[], out next bigint)
    language plpgsql stable as $$
declare
    v_budget int := fleet.get('list_budget');
    v_seen int := 0;
    v_below bigint := least(p_below, fleet.task_at(f.created_before + interval '1 min'));
    v_above bigint := coalesce(fleet.task_at(f.created_after - interval '1 min') - 1, 0);
    v_want int := p_limit + 1;
    o record;
    p fleet.list_part;
begin
    o := fleet.list_open(f, v_below, v_above, v_want);
    p := row(o.tasks, o.horizon)::fleet.list_part;
    tasks := '{}';
    loop
        tasks := tasks || fleet.list_pass(p.tasks, f);
        v_seen := v_seen + cardinality(p.tasks);
        exit when cardinality(tasks) > p_limit or p.horizon is null or v_seen >= v_budget;
        -- as many as should do, if it goes on as it began
        v_want := least(case when tasks = '{}' then v_want * 4
                             else (p_limit + 1 - cardinality(tasks)) * v_seen / cardinality(tasks) + 8 end, v_budget - v_seen);
        p := fleet.list_part(o.driver, o.keys, p.horizon, v_above, greatest(v_want / greatest(cardinality(o.keys), 1), 1));
    end loop;
    next := p.horizon;
    if cardinality(tasks) > p_limit then
        tasks := tasks[1:p_limit];
        next := tasks[p_limit];
    end if;
end $$;

-- Patterns of repositories as what a list can compare with: names in lower case with 'none', and owners.
create function fleet.list_bounds(p_patterns text[], out repos text[], out owners text[])
    language plpgsql immutable as $$
begin
    if p_patterns is null or '*' = any (p_patterns) then
        return;
    end if;
    repos := array(select lower(p) from unnest(p_patterns) p where p not like '%/*');
    owners := array(select lower(split_part(p, '/', 1)) from unnest(p_patterns) p where p like '%/*');
end $$;

-- A filter that is null admits all; of several values each is admitted. The cursor is the number below which the page begins.
create function fleet.task_list(p_by fleet.requester, p_limit int, p_cursor text, p_status text[] default null,
                                p_source text[] default null, p_repo text[] default null, p_host_id text[] default null, p_agent_id text[] default null,
                                p_execution_mode text[] default null, p_label text[] default null, p_q text default null,
                                p_created_after timestamptz default null, p_created_before timestamptz default null)
    returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    f fleet.list_filter;
    b fleet.bounds := fleet.bounds_of(p_by);
    v_fault fleet.reply := fleet.bad_cursor(p_cursor, 'tasks');
    v_page record;
begin
    if v_fault.status is not null then
        return v_fault;
    end if;
    f := row(p_status, p_source, array(select lower(r) from unnest(p_repo) r), p_label, p_execution_mode,
             null, lower(p_q), p_created_after, p_created_before, null, null, b.executors)::fleet.list_filter;
    if p_repo is null then
        f.repos := null;
    end if;
    if p_host_id is not null or p_agent_id is not null then
        f.executors := array(select e.executor from fleet.executor e
                             where (p_host_id is null or e.host_id = any (p_host_id))
                               and (p_agent_id is null or e.agent_id = any (p_agent_id)));
    end if;
    select x.repos, x.owners into f.bound_repos, f.bound_owners from fleet.list_bounds(b.repositories) x;
    v_page := fleet.list_page(f, coalesce(p_cursor::bigint, 9223372036854775807), fleet.page_limit(p_limit));
    return fleet.say(200, fleet.tasks_json(v_page.tasks), v_page.next::text);
end $$;
