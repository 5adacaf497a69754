-- Labels, requirements, lanes, and who may serve which lane.

-- What stands behind the colon of a label like 'agent:X'; people put a blank there.
create function fleet.behind_colon(p_label text) returns text
    language sql immutable
begin atomic
    select btrim(substr(p_label, strpos(p_label, ':') + 1), ' ' || chr(9) || chr(160));
end;

-- 'agent:X' requires capability X; one leading agent: is stripped; sorted, without doubles.
create function fleet.requirements_of(p_labels text[]) returns text[]
    language plpgsql immutable as $$
begin
    return (select coalesce(array_agg(r order by r), '{}')
            from (select distinct fleet.behind_colon(l) collate "C" as r from unnest(p_labels) l where l like 'agent:_%') x
            where r <> '');
end $$;

create function fleet.capabilities_of(p_words text[]) returns text[]
    language sql immutable
begin atomic
    select coalesce(array_agg(c order by c), '{}')
    from (select distinct (case when w like 'agent:%' then fleet.behind_colon(w) else w end) collate "C" as c
          from unnest(p_words) w where w <> '') x;
end;

-- priority:critical|high|medium|low or priority:<number>; the most urgent counts; 0 = medium.
create function fleet.priority_of(p_labels text[]) returns int
    language plpgsql immutable as $$
begin
    return (select coalesce(max(case
                when w = 'critical' then 20 when w = 'high' then 10 when w = 'medium' then 0 when w = 'low' then -10
                when w ~ '^-?[0-9]{1,4}$' then greatest(least(w::int, i.at_most), i.at_least) end), 0)
            from (select fleet.behind_colon(l) as w from unnest(p_labels) l where l like 'priority:%') x
            cross join fleet.task_limits() i where i.member = 'priority');
end $$;

-- Patterns: owner/name, owner/*, * (everything), none (what belongs to no repository).
create function fleet.repo_allowed(p_patterns text[], p_repo text) returns boolean
    language plpgsql immutable as $$
begin
    return exists (
        select from unnest(p_patterns) p
        where p = '*' or lower(p) = lower(coalesce(p_repo, 'none'))
           or (p like '%/*' and lower(split_part(p, '/', 1)) = lower(split_part(p_repo, '/', 1))));
end $$;

-- A lane is found by an index, whose rows may not be larger than a third of a page.
create function fleet.lane_fits(p_requirements text[], p_repo text) returns boolean
    language plpgsql immutable as $$
begin
    return octet_length(array_to_string(p_requirements, '')) + 8 * cardinality(p_requirements)
         + coalesce(octet_length(p_repo), 0) <= 2500;
end $$;

-- Bring executor_lane in line with view executor_lane_wanted, for one lane or for one executor. New lanes and changed executors
-- both hold the latch, and these compute in a later statement, so that no pair is missed between them. (Two functions: under the
-- generic plan of submit() one that takes either reads the whole table for each new lane.)
create function fleet.relane_lane(p_lane int) returns void
    language plpgsql as $$
begin
    perform from fleet.latch where name = 'lanes' for update;
    delete from fleet.executor_lane el
    where el.lane = p_lane
      and not exists (select from fleet.executor_lane_wanted w where w.executor = el.executor and w.lane = p_lane);
    insert into fleet.executor_lane (executor, lane)
    select w.executor, w.lane from fleet.executor_lane_wanted w where w.lane = p_lane
    on conflict do nothing;
end $$;

create function fleet.relane_executor(p_executor int) returns void
    language plpgsql as $$
begin
    perform from fleet.latch where name = 'lanes' for update;
    delete from fleet.executor_lane el
    where el.executor = p_executor
      and not exists (select from fleet.executor_lane_wanted w where w.executor = p_executor and w.lane = el.lane);
    insert into fleet.executor_lane (executor, lane)
    select w.executor, w.lane from fleet.executor_lane_wanted w where w.executor = p_executor
    on conflict do nothing;
end $$;

-- The lane of a kind of task, made when new. p_barred: hosts that are not to have it. p_pinned: the only executor that is to.
create function fleet.lane_for(p_requirements text[], p_mode text, p_repo text, p_barred text[] default '{}', p_pinned int default null)
    returns int
    language plpgsql as $$
declare v_lane int;
begin
    select lane into v_lane from fleet.lane
    where requirements = p_requirements and mode = p_mode and repo is not distinct from p_repo and pinned is not distinct from p_pinned
      and barred = p_barred and unused_at is null;
    if found then
        return v_lane;
    end if;
    perform from fleet.latch where name = 'lanes' for update;
    insert into fleet.lane (requirements, mode, repo, barred, pinned) values (p_requirements, p_mode, p_repo, p_barred, p_pinned)
    on conflict (requirements, mode, repo, pinned, barred) do update set unused_at = null
    returning lane into v_lane;
    perform fleet.relane_lane(v_lane);
    return v_lane;
end $$;

-- Removes lanes in which nothing has waited for long. The first look only marks one: a submission that has found it unmarked puts
-- its task there within that time, and one that finds it marked takes the mark away. Skips all when the latch is held.
create function fleet.forget_lanes(p_max int) returns int
    language plpgsql as $$
declare
    v_idle int[];
    v_used int[];
begin
    perform from fleet.latch where name = 'lanes' for update skip locked;
    if not found then
        return 0;
    end if;
    update fleet.lane l set unused_at = now()
    where l.unused_at is null and not exists (select from fleet.queue q where q.lane = l.lane);
    v_idle := array(select l.lane from fleet.lane l where l.unused_at < now() - (select fleet.ms('lane_unused_ms'))
                    order by l.unused_at limit p_max);
    if cardinality(v_idle) = 0 then
        return 0;
    end if;
    v_used := array(
        select l from unnest(v_idle) l where exists (select from fleet.queue q where q.lane = l)
        union select t.lane from fleet.delayed d join fleet.task t on t.task = d.task where t.lane = any (v_idle)
        union select t.lane from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.task t on t.task = a.task where t.lane = any (v_idle));
    update fleet.lane set unused_at = now() where lane = any (v_used);
    delete from fleet.executor_lane where lane = any (v_idle) and lane <> all (v_used);
    delete from fleet.lane where lane = any (v_idle) and lane <> all (v_used);
    return cardinality(v_idle) - cardinality(v_used);
end $$;

-- What keeps every agent from taking the tasks of a lane, in words; nothing when some agent could, were it there and free.
create function fleet.lane_warnings(p_lane int) returns text[]
    language plpgsql stable as $$
declare
    l fleet.lane;
    v_missing text[];
begin
    if exists (select from fleet.executor_lane el where el.lane = p_lane) then
        return array[]::text[];
    end if;
    select * into l from fleet.lane where lane = p_lane;
    v_missing := array(select r from unnest(l.requirements) r
                       where not exists (select from fleet.executor e where e.enabled and r = any (e.capabilities)));
    return array[case
        when not exists (select from fleet.executor e where e.enabled)
            then 'no agent is known: no worker has brought its configuration yet'
        when l.pinned is not null
            then format('the task is assigned to %s, which is not there any more', (select e.agent_id from fleet.executor e where e.executor = l.pinned))
        when v_missing <> '{}' then 'no agent has the capability ' || array_to_string(v_missing, ', nor ')
        when not exists (select from fleet.executor e where e.enabled and l.requirements <@ e.capabilities)
            then 'no single agent has all of ' || array_to_string(l.requirements, ', ')
        when not exists (select from fleet.executor e where e.enabled and l.requirements <@ e.capabilities and l.mode in ('undecided', e.kind))
            then format('no agent that could take it is of kind %s', l.mode)
        when l.repo is null then 'no host with such an agent takes tasks of no repository'
        else format('no host with such an agent lists repository %s', l.repo) end];
end $$;
