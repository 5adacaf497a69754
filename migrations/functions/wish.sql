-- What the labels of an issue ask for, as a look saw them: who put each there, and who of these may start work.

-- What the labels of an issue ask for. ask: the newest event that put an agent label there of those that count; null: none counts.
-- refused: agent labels that somebody put there who may not start work. named: there is an agent label, whoever put it there.
create type fleet.wish as (labels text[], priority int, ask bigint, asker text, asker_id bigint, ask_at timestamptz, named boolean,
                           refused text[], refused_by text, refused_permission text);

-- The labels of an issue and who put each there: by the number of the label, for there may be two of a name, and names change. Of a label
-- that the newest event takes away the issue was read too soon.
create function fleet.placed_labels(p_seen jsonb)
    returns table (name text, agent boolean, event bigint, by text, by_id bigint, at timestamptz)
    language plpgsql stable as $$
begin
    return query
        select l.name, fleet.requirements_of(array[l.name]) <> '{}', e.id, e.by, e.by_id, fleet.time_of(e.at)
        from jsonb_to_recordset(fleet.items(p_seen #> '{issue,labels}')) l (id bigint, name text)
        left join lateral (
            select x.id, x.added, x.by, x.by_id, x.at
            from jsonb_to_recordset(fleet.items(p_seen -> 'label_events'))
                 x (id bigint, label text, label_id bigint, added boolean, by text, by_id bigint, at text)
            where coalesce(x.label_id = l.id, x.label = l.name)
            order by x.id desc limit 1) e on true
        where coalesce(e.added, true) and length(l.name) <= 255 and fleet.is_line(l.name);
end $$;

-- p_all: whoever put an agent label there counts. A priority counts unless somebody is known not to be allowed to start work who put it
-- there; without one a milestone puts an issue one before those that have none.
create function fleet.read_wish(p_seen jsonb, p_repo text, p_all boolean) returns fleet.wish
    language plpgsql stable as $$
declare w fleet.wish;
begin
    with placed as materialized (
        select p.*, p_seen -> 'people' ->> p.by as permission,
               p.event is not null and coalesce(p.by_id > 0, true)
                   and (p_all or fleet.may_start(p.by, p_seen -> 'people' ->> p.by, p_repo)) as counts
        from fleet.placed_labels(p_seen) p),
    used as (
        select * from placed
        where case when agent then counts when name like 'priority:%' then counts or permission is null else name not like 'fleet/%' end)
    select (select coalesce(array_agg(distinct name order by name), '{}') from used),
           (select case when count(*) filter (where name like 'priority:%') > 0 or coalesce(p_seen #>> '{issue,milestone}', '') = ''
                        then fleet.priority_of(array_agg(name)) else 1 end from used),
           a.event, a.by, a.by_id, a.at, exists (select from placed where agent),
           (select coalesce(array_agg(distinct name order by name), '{}') from placed where agent and name not in (select name from used)),
           r.by, coalesce(r.permission, 'unknown')
    into w
    from (values (1)) one
    left join (select * from used where agent order by event desc limit 1) a on true
    left join (select * from placed where agent and not counts order by event desc nulls last limit 1) r on true;
    return w;
end $$;

-- The newest label event that was seen.
create function fleet.newest_event(p_seen jsonb) returns bigint
    language plpgsql immutable as $$
begin
    return (select coalesce(max((e ->> 'id')::bigint), 0) from jsonb_array_elements(fleet.items(p_seen -> 'label_events')) e);
end $$;
