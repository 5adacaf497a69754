-- New tasks by REST; and what both ways in (REST and Forgejo) share.

create function fleet.value_fault(p_member text, p_limit text, p_value jsonb) returns fleet.fault
    language plpgsql immutable as $$
begin
    return row('invalid_value', format('''%s'' has to be %s, not %s', p_member, p_limit, coalesce(p_value, 'null')),
               jsonb_build_object('member', p_member, 'limit', p_limit, 'value', p_value))::fleet.fault;
end $$;

-- The first member that is out of its limits. What is null was not given, which a title and the numbers of each run may not be.
create function fleet.limit_fault(p_request fleet.submission, p fleet.wanted_task) returns fleet.fault
    language plpgsql stable as $$
declare
    v_timeout bigint := coalesce(p.timeout_secs, p_request.default_timeout_secs);
    v_retries bigint := coalesce(p.max_retries, p_request.default_max_retries);
    v_run_at timestamptz := fleet.time_of(p.run_at);
    v_lines boolean := not exists (select from unnest(p.labels) l where (length(l) <= 255 and fleet.is_line(l)) is not true);
    v_fault fleet.fault;
begin
    select (fleet.value_fault(l.member, l.wanted, v.value)).* into v_fault
    from (values
        ('title', coalesce(length(p.title), 0)::numeric, fleet.is_line(p.title), to_jsonb(left(p.title, 120))),
        ('task_id', length(p.task_id), fleet.is_free_id(p.task_id), to_jsonb(left(p.task_id, 120))),
        ('body', octet_length(p.body), true, to_jsonb(octet_length(p.body))),
        ('labels', cardinality(p.labels), v_lines, to_jsonb(left(p.labels::text, 120))),
        ('priority', p.priority, true, to_jsonb(p.priority)),
        ('execution_mode', length(p.execution_mode), p.execution_mode in ('undecided', 'ssh_cli', 'http_pull'),
         to_jsonb(left(p.execution_mode, 120))),
        ('task_type', length(p.task_type), fleet.is_line(p.task_type), to_jsonb(left(p.task_type, 120))),
        ('repo', length(p.repo), fleet.is_repo(p.repo), to_jsonb(left(p.repo, 120))),
        ('issue_number', p.issue_number, true, to_jsonb(p.issue_number)),
        ('max_retries', coalesce(v_retries, -1), true, to_jsonb(v_retries)),
        ('timeout_secs', coalesce(v_timeout, -1), true, to_jsonb(v_timeout)),
        ('max_attempts_total', coalesce(p_request.max_attempts_total, -1), true, to_jsonb(p_request.max_attempts_total)),
        ('run_at', greatest(ceil(extract(epoch from v_run_at - now()) / 86400), 0), p.run_at is null or v_run_at is not null,
         to_jsonb(left(p.run_at, 120))),
        ('metadata', octet_length(p.metadata::text), jsonb_typeof(p.metadata) = 'object', to_jsonb(left(p.metadata::text, 120))),
        ('base_branch', octet_length(p.base_branch), fleet.is_branch(p.base_branch), to_jsonb(left(p.base_branch, 120)))
    ) v (member, size, fits, value)
    join fleet.task_limits() l using (member)
    where (v.size between l.at_least and l.at_most and v.fits) is false
    order by l.place limit 1;
    if v_fault.code is null and not fleet.lane_fits(fleet.requirements_of(p.labels), p.repo) then
        return fleet.value_fault('labels', 'shorter: those that begin with agent: may have about 2000 bytes together',
                                 to_jsonb(left(p.labels::text, 120)));
    end if;
    return v_fault;
end $$;

-- The label that was probably meant: some agent's capability without its agent:, or an agent: that is written otherwise.
create function fleet.meant_label(p_labels text[]) returns text
    language plpgsql stable as $$
begin
    return (
        select 'agent:' || w.word
        from (select trim(lower(l)) as label from unnest(p_labels) l) l
        cross join lateral (select regexp_replace(label, '^agents?[[:space:]]*[:/=_ -]+[[:space:]]*', '') as word) w
        where w.word <> '' and (w.word <> l.label or exists (select from fleet.executor e where w.word = any (e.capabilities)))
        limit 1);
end $$;

-- A forgotten prefix must not make a task that every agent takes.
create function fleet.agent_fault(p fleet.wanted_task) returns fleet.fault
    language plpgsql stable as $$
declare
    v_named boolean := fleet.requirements_of(p.labels) <> '{}';
    v_meant text;
begin
    if v_named and p.any_agent then
        return row('invalid_value', '''any_agent'' contradicts the labels, which say which agent: leave one of them out',
                   '{"member": "any_agent", "limit": "only without a label agent:…", "value": true}')::fleet.fault;
    elsif v_named or p.any_agent then
        return null;
    end if;
    v_meant := fleet.meant_label(p.labels);
    return row('invalid_value', format('''labels'' says no agent: add a label such as %s%s, '
                                       'or "any_agent": true to let any agent take it',
                                       coalesce(v_meant, 'agent:code:rust'),
                                       case when v_meant is not null then ' (was that meant?)' else '' end),
               jsonb_build_object('member', 'labels', 'limit', 'a label agent:…, or "any_agent": true', 'value', coalesce(p.labels, '{}'),
                                  'meant', v_meant))::fleet.fault;
end $$;

-- Why a task by REST is refused; null when it is not. All are looked at before anything is written, so that none fails another.
create function fleet.task_fault(p_request fleet.submission, p fleet.wanted_task) returns fleet.fault
    language plpgsql stable as $$
declare v_fault fleet.fault := fleet.limit_fault(p_request, p);
begin
    if v_fault.code is null and p.repo is null and (p.issue_number is not null or p.base_branch is not null) then
        v_fault := fleet.value_fault('repo', 'owner/name beside an issue_number or a base_branch', null);
    end if;
    if v_fault.code is null and not fleet.token_allows(p_request.token_id, p.repo) then
        v_fault := row('repository_not_allowed', case when p.repo is null
            then 'this token is bound to repositories: ''repo'' has to name one of them'
            else format('this token is not bound to repository %s', p.repo) end, null)::fleet.fault;
    end if;
    if v_fault.code is null then
        v_fault := fleet.agent_fault(p);
    end if;
    return v_fault;
end $$;

-- What the submitter wrote, so that a repeated submission can be told from a different one. (Inlined: no call a task.)
create function fleet.content_hash(p_title text, p_body text, p_labels text[], p_any_agent boolean, p_priority bigint,
                                   p_execution_mode text, p_task_type text, p_repo text, p_issue_number bigint, p_max_retries bigint,
                                   p_timeout_secs bigint, p_run_at text, p_metadata jsonb, p_base_branch text) returns bytea
    language sql stable
begin atomic
    select sha256(convert_to(row(p_title, p_body, p_labels, p_any_agent, p_priority, p_execution_mode, p_task_type, p_repo,
                                 p_issue_number, p_max_retries, p_timeout_secs, p_run_at, p_metadata)::text
                             || coalesce(p_base_branch, ''), 'UTF8')); -- as it was before there were base branches
end;

-- May a task of this kind have no fault in what is common to its kind?
create function fleet.kind_sound(p_token bigint, p_labels text[], p_requirements text[], p_any_agent boolean, p_mode text, p_repo text)
    returns boolean language plpgsql stable as $$
begin
    return cardinality(p_labels) <= 500
       and not exists (select from unnest(p_labels) l where (length(l) <= 255 and fleet.is_line(l)) is not true)
       and p_mode in ('undecided', 'ssh_cli', 'http_pull')
       and (p_repo is null or fleet.is_repo(p_repo))
       and fleet.lane_fits(p_requirements, p_repo)
       and fleet.token_allows(p_token, p_repo)
       and (p_requirements <> '{}') <> p_any_agent;
end $$;

-- Sorts tasks into kinds, each looked at once. The numbers here are those of task_limits(), as constants: a thousand tasks are compared
-- in a millisecond.
create function fleet.sort_tasks(p_requests fleet.submission[], p_of int[], p_items fleet.wanted_task[]) returns fleet.task_kind[]
    language plpgsql stable as $$
begin
    return (
        with item as (
            select e.ordinality::int as ord, coalesce(r.token_id, 0) as token_id, coalesce(e.labels, '{}') as labels,
                   coalesce(e.any_agent, false) as any_agent, coalesce(e.execution_mode, 'undecided') as mode, e.repo,
                   e.title is not null and length(e.title) <= 500 and fleet.is_line(e.title)
                       and e.task_id is not null and (e.made_id or length(e.task_id) <= 200 and fleet.is_free_id(e.task_id))
                       and coalesce(octet_length(e.body) <= 1048576, true)
                       and coalesce(e.priority between -1000 and 1000, true)
                       and (e.task_type is null or length(e.task_type) <= 64 and fleet.is_line(e.task_type))
                       and (e.issue_number is null or e.repo is not null and e.issue_number between 1 and 999999999)
                       and (e.base_branch is null
                            or e.repo is not null and octet_length(e.base_branch) <= 255 and fleet.is_branch(e.base_branch))
                       and coalesce(e.max_retries, r.default_max_retries) between 0 and 100
                       and coalesce(e.timeout_secs, r.default_timeout_secs) between 1 and 604800
                       and r.max_attempts_total between 1 and 1000
                       and (e.run_at is null or fleet.time_of(e.run_at) <= now() + interval '365 days')
                       and (e.metadata is null or jsonb_typeof(e.metadata) = 'object' and octet_length(e.metadata::text) <= 16384) as sound
            from unnest(p_items) with ordinality e
            cross join lateral (select (p_requests[p_of[e.ordinality]]).*) r),
        alike as (
            select token_id, labels, any_agent, mode, repo, array_agg(ord) as ords, array_agg(coalesce(sound, false)) as sounds
            from item group by token_id, labels, any_agent, mode, repo)
        select array_agg(row(k.labels, k.mode, k.repo, fleet.token_actor(k.token_id), k.requirements, fleet.priority_of(k.labels), null,
                             null, fleet.kind_sound(k.token_id, k.labels, k.requirements, k.any_agent, k.mode, k.repo), k.ords,
                             k.sounds)::fleet.task_kind)
        from (select a.*, fleet.requirements_of(a.labels) as requirements from alike a) k);
end $$;

-- The kinds with their lanes, made where they are new (by one submission at a time, so in any order); then with what keeps everybody from
-- taking their tasks. Not those of which no task goes on.
create function fleet.make_lanes(p_kinds fleet.task_kind[], p_go boolean[]) returns fleet.task_kind[]
    language plpgsql as $$
declare k fleet.task_kind;
begin
    for p in 1 .. cardinality(p_kinds) loop
        k := p_kinds[p];
        if p_go is null or exists (select from unnest(k.ords) o where p_go[o]) then
            k.lane := fleet.lane_for(k.requirements, k.execution_mode, k.repo);
            k.warnings := to_json(fleet.lane_warnings(k.lane));
            p_kinds[p] := k;
        end if;
    end loop;
    return p_kinds;
end $$;

-- Inserts tasks and puts each where it waits; the numbers that were allotted, how many of them were used (an id that stands already is
-- left alone), and if p_shown those tasks as the API shows them. Numbers follow the order of the tasks; the rows are locked in the order
-- of the ids that submitters chose.
create function fleet.insert_tasks(p_source text, p_requests fleet.submission[], p_of int[], p_items fleet.wanted_task[],
                                   p_kinds fleet.task_kind[], p_kind_of int[], p_go boolean[], p_shown boolean,
                                   out numbers bigint[], out made int, out objects text[])
    language plpgsql as $$
begin
    numbers := array(select nextval('fleet.task_task_seq') from generate_subscripts(p_items, 1));
    with new as (
        insert into fleet.task as t (
            task, task_id, source, task_type, title, body, content_hash, labels, requirements, execution_mode, priority, repo,
            issue_number, branch_name, base_branch, timeout_secs, max_retries, max_attempts_total, metadata, submitted_by, lane, run_at)
        overriding system value
        select numbers[e.ordinality], e.task_id, p_source, e.task_type, e.title, coalesce(e.body, ''),
               fleet.content_hash(e.title, e.body, e.labels, e.any_agent, e.priority, e.execution_mode, e.task_type, e.repo,
                                  e.issue_number, e.max_retries, e.timeout_secs, e.run_at, e.metadata, e.base_branch),
               k.labels, k.requirements, k.execution_mode, coalesce(e.priority, k.priority), k.repo, e.issue_number,
               'task/' || case when e.made_id then e.task_id else fleet.slug_of(e.task_id) end, e.base_branch,
               coalesce(e.timeout_secs, r.default_timeout_secs), coalesce(e.max_retries, r.default_max_retries), r.max_attempts_total,
               coalesce(e.metadata, '{}'), k.actor, k.lane,
               case when e.run_at is null then now() else greatest(fleet.time_of(e.run_at), now()) end
        from unnest(p_items) with ordinality e
        cross join lateral (select (p_requests[p_of[e.ordinality]]).*) r
        cross join lateral (select (p_kinds[p_kind_of[e.ordinality]]).*) k
        where p_go[e.ordinality]
        order by case when e.made_id is not true then e.task_id end collate "C", e.ordinality
        on conflict (task_id) do nothing
        returning t.task, t.lane, t.priority, t.run_at, t.labels, t.submitted_by,
                  case when p_shown then fleet.task_object(t, null, null, null, null) end as object),
    waiting as (insert into fleet.queue (lane, prio, task) select n.lane, -n.priority, n.task from new n where n.run_at <= now()),
    later as (insert into fleet.delayed (run_at, task) select n.run_at, n.task from new n where n.run_at > now()),
    found as (insert into fleet.task_label (label, task) select distinct l, n.task from new n, unnest(n.labels) l),
    told as (
        insert into fleet.event (task, event_type, to_status, actor) select n.task, 'created', 'created', n.submitted_by from new n)
    select count(*), array_agg(n.object order by n.task) filter (where p_shown) into made, objects from new n;
end $$;

-- The task of an issue that is asked for the first time. Under the issue's lock.
create function fleet.insert_issue_task(p_request fleet.submission, p fleet.wanted_task, p_actor text) returns void
    language plpgsql as $$
declare
    v_requirements text[] := fleet.requirements_of(p.labels);
    v_kind fleet.task_kind := row(p.labels, 'undecided', p.repo, p_actor, v_requirements, fleet.priority_of(p.labels),
                                  fleet.lane_for(v_requirements, 'undecided', p.repo), null, true, '{1}', '{true}');
begin
    perform fleet.insert_tasks('forgejo', array[p_request], '{1}', array[p], array[v_kind], '{1}', '{true}', false);
    update fleet.task t set issue = i.issue, requested_by = case when p_actor like 'forgejo:_%' then substr(p_actor, 9) end
    from fleet.issue i where t.task_id = p.task_id and i.repo = p.repo and i.number = p.issue_number;
    perform fleet.open_outbox(t.task) from fleet.task t where t.task_id = p.task_id;
end $$;

-- Takes the keys of requests, in one order. Of each request: is it to be done? Not so when its key has an answer, which it gets then.
create function fleet.take_keys(p_requests fleet.submission[]) returns boolean[]
    language plpgsql as $$
declare v_ours boolean[];
begin
    with named as materialized (
        select distinct on (token_id, key) token_id, key, request_hash, place
        from (select coalesce(r.token_id, 0) as token_id, r.idempotency_key as key, coalesce(r.request_hash, '') as request_hash,
                     r.ordinality as place
              from unnest(p_requests) with ordinality r) x
        where key is not null
        order by token_id, key, place),
    taken as (
        insert into fleet.idempotency as i (token_id, key, request_hash)
        select token_id, key, request_hash from named order by token_id, key
        on conflict (token_id, key) do update
        set request_hash = excluded.request_hash, xid = excluded.xid, task_id = null, answer = null, status = null,
            made_at = excluded.made_at
        where i.made_at < now() - make_interval(hours => fleet.get('idempotency_hours')::int)
        returning i.token_id, i.key)
    select array_agg(r.idempotency_key is null or t.key is not null order by r.ordinality) into v_ours
    from unnest(p_requests) with ordinality r
    left join named n on n.place = r.ordinality
    left join taken t on t.token_id = n.token_id and t.key = n.key;
    return v_ours;
end $$;

-- What is said of a task that was not taken, by itself or as one of many. What has no fault stands already with another content.
create function fleet.refusal(p_form text, p_status int, p_task_id text, p_fault fleet.fault) returns text
    language plpgsql immutable as $$
declare
    v_body text := (case when p_status = 409
        then fleet.refuse(409, 'task_conflict', format('task %s stands already with another content', p_task_id))
        else fleet.refuse(p_status, p_fault.code, p_fault.detail, p_fault.details) end).body;
begin
    if p_form = 'one' then
        return v_body;
    end if;
    return '{"status": ' || p_status || coalesce(', "task_id": ' || to_json(p_task_id)::text, '') || ', ' || substr(v_body, 2);
end $$;

-- Where not all tasks of the requests that were done were inserted: what became of each (201 inserted, 200 it stands with the same
-- content, 403, 409, 422), and those that are shown. In a statement after that which inserted: only there does one stand that came in
-- between.
create function fleet.look_up(p_of int[], p_ours boolean[], p_items fleet.wanted_task[], p_faults fleet.fault[], p_numbers bigint[],
                              p_shown boolean, out statuses int[], out objects text[])
    language plpgsql as $$
begin
    with item as (
        select e.ordinality as ord, t.task,
               case when t.task = p_numbers[e.ordinality] then 201
                    when (p_faults[e.ordinality]).code = 'repository_not_allowed' then 403
                    when (p_faults[e.ordinality]).code is not null then 422
                    when t.content_hash <> fleet.content_hash(
                        e.title, e.body, e.labels, e.any_agent, e.priority, e.execution_mode, e.task_type, e.repo, e.issue_number,
                        e.max_retries, e.timeout_secs, e.run_at, e.metadata, e.base_branch) then 409
                    else 200 end as status
        from unnest(p_items) with ordinality e
        left join lateral ( -- by index, whatever a plan made for few tasks thinks
            select t.task, t.content_hash from fleet.task t where t.task_id = e.task_id and p_ours[p_of[e.ordinality]] offset 0) t on true),
    shown as materialized (
        select o.task, o.object from fleet.task_objects(array(select distinct i.task from item i where i.status < 300)) o where p_shown)
    select array_agg(i.status order by i.ord), array_agg(o.object order by i.ord) into statuses, objects
    from item i left join shown o using (task);
end $$;

-- The answers of the requests that were done, and the trail of who submitted what. p_statuses: null when all are 201.
create function fleet.answers(p_requests fleet.submission[], p_ours boolean[], p_of int[], p_items fleet.wanted_task[],
                              p_kinds fleet.task_kind[], p_kind_of int[], p_faults fleet.fault[], p_statuses int[], p_objects text[])
    returns fleet.submitted[] language plpgsql as $$
declare v_results fleet.submitted[];
begin
    with item as (
        select e.ordinality as ord, p_of[e.ordinality] as request, (p_requests[p_of[e.ordinality]]).form as form, e.task_id,
               k.actor, k.warnings::text as warnings, coalesce(p_statuses[e.ordinality], 201) as became,
               case p_statuses[e.ordinality] when 200 then case when e.made_id then 201 else 200 end
                                             else coalesce(p_statuses[e.ordinality], 201) end as status
        from unnest(p_items) with ordinality e
        cross join lateral (select (p_kinds[p_kind_of[e.ordinality]]).*) k
        where p_ours[p_of[e.ordinality]]),
    answered as (
        select i.request, i.form, min(i.actor) as actor,
               case when i.form = 'one' then max(i.status) when bool_and(i.status = 201) then 201
                    when bool_and(i.status < 300) then 200 else 207 end as status,
               string_agg(case when i.status >= 300 then fleet.refusal(i.form, i.status, i.task_id, p_faults[i.ord])
                               when i.form = 'one' then left(p_objects[i.ord], -1) || ', "warnings": ' || i.warnings || '}'
                               else '{"status": ' || i.status || ', "task_id": ' || to_json(i.task_id)::text
                                    || case when i.warnings <> '[]' then ', "warnings": ' || i.warnings || '}'
                                            else '}' end end,
                          case i.form when 'list' then ', ' else chr(10) end order by i.ord) as text,
               (p_items[min(i.ord) filter (where i.status < 300)]).task_id as task_id, count(*) filter (where i.became = 201) as created
        from item i group by i.request, i.form),
    trail as (
        insert into fleet.audit (actor, token_prefix, address, request_id, action, object, after)
        select a.actor, (select t.prefix from fleet.token t where t.token_id = r.token_id), r.address, r.request_id,
               'task_submit', a.task_id, jsonb_build_object('tasks', a.created)
        from answered a cross join lateral (select (p_requests[a.request]).*) r
        where a.created > 0)
    select array_agg(row(a.request, a.status, case a.form when 'list' then '[' || a.text || ']' when 'lines' then a.text || chr(10)
                                              else a.text end, a.task_id, a.created)::fleet.submitted)
    into v_results from answered a;
    return v_results;
end $$;

-- Keeps the answers of keys.
create function fleet.keep_answers(p_requests fleet.submission[], p_results fleet.submitted[]) returns void
    language plpgsql as $$
begin
    update fleet.idempotency i set task_id = x.task_id, answer = x.body, status = x.status
    from unnest(p_results) x
    join unnest(p_requests) with ordinality r on r.ordinality = x.request
    where i.token_id = coalesce(r.token_id, 0) and i.key = r.idempotency_key;
end $$;

-- The answers of requests whose key had one already, or was used with another request.
create function fleet.kept_answers(p_requests fleet.submission[], p_ours boolean[]) returns fleet.submitted[]
    language plpgsql as $$
begin
    return array(
        select row(r.ordinality, x.status, x.body, i.task_id, 0)::fleet.submitted
        from unnest(p_requests) with ordinality r
        left join fleet.idempotency i on i.token_id = coalesce(r.token_id, 0) and i.key = r.idempotency_key
        cross join lateral (
            select i.status, i.answer as body where i.request_hash = coalesce(r.request_hash, '')
            union all
            select f.status, f.body
            from fleet.refuse(409, 'idempotency_conflict', 'this Idempotency-Key was used with another request') f
            where i.request_hash is distinct from coalesce(r.request_hash, '')) x
        where not p_ours[r.ordinality]);
end $$;

-- A key that came to nothing may be used again.
create function fleet.free_keys(p_requests fleet.submission[]) returns void
    language plpgsql as $$
begin
    delete from fleet.idempotency i using unnest(p_requests) r
    where i.token_id = coalesce(r.token_id, 0) and i.key = r.idempotency_key and i.xid = pg_current_xact_id() and i.task_id is null;
end $$;

-- Submits the tasks of some requests (p_of names that of each task): one statement a step, whatever their number, one commit, and a
-- verdict for each task: 201 created, 200 stands already with the same content, 409, 422, 403; none touches its neighbour. Each request
-- is answered: one task by itself, many by their statuses. All callers make their lanes first, then take keys in one order, then ids
-- in one order, so that none waits in a circle. Send wake() behind it.
create function fleet.submit_tasks(p_requests fleet.submission[], p_of int[], p_items fleet.wanted_task[]) returns setof fleet.submitted
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
declare
    v_kinds fleet.task_kind[];
    v_kind_of int[];
    v_doubtful int[];
    v_keyed boolean := exists (select from unnest(p_requests) r where r.idempotency_key is not null);
    v_shown boolean := exists (select from unnest(p_requests) r where r.form = 'one');
    v_faults fleet.fault[] := array[]::fleet.fault[];
    v_ours boolean[] := array_fill(true, array[cardinality(p_requests)]);
    v_go boolean[] := array_fill(true, array[cardinality(p_items)]);
    v_numbers bigint[];
    v_made int;
    v_statuses int[];
    v_objects text[];
    v_results fleet.submitted[];
    o int;
begin
    if cardinality(p_items) = 0 then
        return;
    end if;
    v_kinds := fleet.sort_tasks(p_requests, p_of, p_items);
    select array_agg(k.ordinality order by t.ord), array_agg(t.ord) filter (where (k.sound and t.sound) is not true)
    into v_kind_of, v_doubtful
    from unnest(v_kinds) with ordinality k, unnest(k.ords, k.sounds) t (ord, sound);
    if v_doubtful is not null then
        foreach o in array v_doubtful loop
            v_faults[o] := fleet.task_fault(p_requests[p_of[o]], p_items[o]);
            v_go[o] := (v_faults[o]).code is null;
        end loop;
    end if;
    v_kinds := fleet.make_lanes(v_kinds, case when v_doubtful is not null then v_go end);
    if v_keyed then
        v_ours := fleet.take_keys(p_requests);
        v_go := array(select v_go[i] and v_ours[p_of[i]] from generate_subscripts(p_items, 1) i order by i);
    end if;
    select i.numbers, i.made, i.objects into v_numbers, v_made, v_objects
    from fleet.insert_tasks('api', p_requests, p_of, p_items, v_kinds, v_kind_of, v_go, v_shown) i;
    if v_made < cardinality(p_items) then
        select l.statuses, l.objects into v_statuses, v_objects
        from fleet.look_up(p_of, v_ours, p_items, v_faults, v_numbers, v_shown) l;
    end if;
    v_results := fleet.answers(p_requests, v_ours, p_of, p_items, v_kinds, v_kind_of, v_faults, v_statuses, v_objects);
    if v_keyed then
        perform fleet.keep_answers(p_requests, v_results);
        v_results := v_results || fleet.kept_answers(p_requests, v_ours);
        perform fleet.free_keys(p_requests);
    end if;
    return query select * from unnest(v_results);
end $$;
comment on function fleet.submit_tasks is 'Submits tasks of requests; an answer for each request.';

-- The same for servers of the release before.
create function fleet.submit(p_requests fleet.submission[], p_of int[], p_items fleet.new_task[]) returns setof fleet.submitted
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
begin
    return query select * from fleet.submit_tasks(p_requests, p_of, array(
        select row(e.made_id, e.task_id, e.title, e.body, e.labels, e.any_agent, e.priority, e.execution_mode, e.task_type, e.repo,
                   e.issue_number, e.max_retries, e.timeout_secs, e.run_at, e.metadata, null)::fleet.wanted_task
        from unnest(p_items) with ordinality e order by e.ordinality));
end $$;
