-- New tasks by REST; and what both ways in (REST and Forgejo) share.

create function fleet.new_task_id() returns text
    language plpgsql volatile as $$
begin
    return (select 't-' || string_agg(substr('abcdefghijklmnopqrstuvwxyz234567', get_byte(r.bytes, i) % 32 + 1, 1), '')
    from (select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) as bytes) r, generate_series(0, 11) i);
end $$;

create function fleet.value_fault(p_member text, p_limit text, p_value jsonb) returns fleet.fault
    language plpgsql immutable as $$
begin
    return row('invalid_value', format('''%s'' has to be %s, not %s', p_member, p_limit, coalesce(p_value, 'null')),
               jsonb_build_object('member', p_member, 'limit', p_limit, 'value', p_value))::fleet.fault;
end $$;

-- The first member that is out of its limits. What is null was not given, which a title and the numbers of each run may not be.
create function fleet.limit_fault(p fleet.new_task) returns fleet.fault
    language plpgsql stable as $$
declare
    v_timeout bigint := coalesce(p.timeout_secs, p.default_timeout_secs);
    v_retries bigint := coalesce(p.max_retries, p.default_max_retries);
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
        ('max_attempts_total', coalesce(p.max_attempts_total, -1), true, to_jsonb(p.max_attempts_total)),
        ('run_at', greatest(ceil(extract(epoch from v_run_at - now()) / 86400), 0), p.run_at is null or v_run_at is not null,
         to_jsonb(left(p.run_at, 120))),
        ('metadata', octet_length(p.metadata::text), jsonb_typeof(p.metadata) = 'object', to_jsonb(left(p.metadata::text, 120)))
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
create function fleet.agent_fault(p fleet.new_task) returns fleet.fault
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
    return row('invalid_value', format('''labels'' says no agent: add a label such as %s%s, or "any_agent": true to let any agent take it',
                                       coalesce(v_meant, 'agent:code:rust'), case when v_meant is not null then ' (was that meant?)' else '' end),
               jsonb_build_object('member', 'labels', 'limit', 'a label agent:…, or "any_agent": true', 'value', coalesce(p.labels, '{}'),
                                  'meant', v_meant))::fleet.fault;
end $$;

-- Why a task by REST is refused; null when it is not. All are looked at before anything is written, so that none fails another.
create function fleet.task_fault(p fleet.new_task) returns fleet.fault
    language plpgsql stable as $$
declare v_fault fleet.fault := fleet.limit_fault(p);
begin
    if v_fault.code is null and p.issue_number is not null and p.repo is null then
        v_fault := fleet.value_fault('repo', 'owner/name beside an issue_number', null);
    end if;
    if v_fault.code is null and not fleet.token_allows(p.token_id, p.repo) then
        v_fault := row('repository_not_allowed', case when p.repo is null
            then 'this token is bound to repositories: ''repo'' has to name one of them'
            else format('this token is not bound to repository %s', p.repo) end, null)::fleet.fault;
    end if;
    if v_fault.code is null then
        v_fault := fleet.agent_fault(p);
    end if;
    return v_fault;
end $$;

-- What the submitter wrote, so that a repeated submission can be told from a different one.
create function fleet.content_hash(p fleet.new_task) returns bytea
    language plpgsql immutable as $$
begin
    return sha256(convert_to((jsonb_strip_nulls(to_jsonb(p)) - '{token_id,idempotency_key,request_hash,default_timeout_secs,'
        'default_max_retries,max_attempts_total,task_id}'::text[])::text, 'UTF8'));
end $$;

-- Inserts one task and puts it where it waits. Null when the id stands already.
create function fleet.insert_task(p_task_id text, p_source text, p fleet.new_task, p_actor text) returns bigint
    language plpgsql as $$
declare
    v_task bigint;
    v_labels text[] := coalesce(p.labels, '{}');
    v_requirements text[] := fleet.requirements_of(v_labels);
    v_mode text := coalesce(p.execution_mode, 'undecided');
    v_run_at timestamptz := greatest(coalesce(fleet.time_of(p.run_at), now()), now());
    v_lane int := fleet.lane_for(v_requirements, v_mode, p.repo);
begin
    insert into fleet.task (task_id, source, task_type, title, body, content_hash, labels, requirements, execution_mode, priority,
                            repo, issue_number, branch_name, timeout_secs, max_retries, max_attempts_total, metadata, submitted_by,
                            lane, run_at)
    values (p_task_id, p_source, p.task_type, p.title, coalesce(p.body, ''), fleet.content_hash(p), v_labels, v_requirements, v_mode,
            coalesce(p.priority, fleet.priority_of(v_labels)), p.repo, p.issue_number, 'task/' || fleet.slug_of(p_task_id),
            coalesce(p.timeout_secs, p.default_timeout_secs), coalesce(p.max_retries, p.default_max_retries), p.max_attempts_total,
            coalesce(p.metadata, '{}'), p_actor, v_lane, v_run_at)
    on conflict (task_id) do nothing
    returning task into v_task;
    if not found then
        return null;
    end if;
    perform fleet.enqueue(v_task, v_run_at);
    perform fleet.index_labels(array[v_task]);
    insert into fleet.event (task, event_type, to_status, actor) values (v_task, 'created', 'created', p_actor);
    return v_task;
end $$;

-- A task as its submission is answered: with what keeps everybody from taking it.
create function fleet.task_answer(p_task bigint) returns json
    language plpgsql stable as $$
begin
    return (left(fleet.task_json(p_task)::text, -1) || ', "warnings": '
        || to_json(fleet.lane_warnings((select t.lane from fleet.task t where t.task = p_task)))::text || '}')::json;
end $$;

-- One item of a submission, its faults looked for and its key taken already. See submit().
create function fleet.submit_item(p fleet.new_task, p_fault fleet.fault, out verdict text, out code text, out detail text,
                                  out details jsonb, out task_id text, out answer json)
    language plpgsql as $$
#variable_conflict use_column
declare
    v_token bigint := coalesce(p.token_id, 0);
    k fleet.idempotency;
    v_task bigint;
    v_content bytea;
begin
    if p_fault.code is not null then
        verdict := 'refused'; code := p_fault.code; detail := p_fault.detail; details := p_fault.details;
        return;
    end if;
    select * into k from fleet.idempotency i where i.token_id = v_token and i.key = p.idempotency_key;
    if k.request_hash <> coalesce(p.request_hash, '') then
        verdict := 'conflict'; code := 'idempotency_conflict';
        detail := 'this Idempotency-Key was used with another request';
        return;
    elsif k.answer is not null then
        verdict := 'exists'; task_id := k.task_id; answer := k.answer;
        return;
    end if;
    task_id := coalesce(p.task_id, fleet.new_task_id());
    v_task := fleet.insert_task(task_id, 'api', p, fleet.token_actor(v_token));
    if v_task is not null then
        verdict := 'created';
    else
        select t.task, t.content_hash into v_task, v_content from fleet.task t where t.task_id = submit_item.task_id;
        if v_content <> fleet.content_hash(p) then
            verdict := 'conflict'; code := 'task_conflict';
            detail := format('task %s stands already with another content', task_id);
            return;
        end if;
        verdict := 'exists';
    end if;
    answer := fleet.task_answer(v_task);
    if p.idempotency_key is not null then
        update fleet.idempotency i set task_id = submit_item.task_id, answer = submit_item.answer
        where i.token_id = v_token and i.key = p.idempotency_key;
    end if;
end $$;

-- Submits many. Each item has its own verdict: created, exists (same content, or a replay of the same key), conflict, refused.
-- All callers make their lanes first, then take keys in one order, then ids in one order, so that none waits in a circle.
-- Send wake() behind it.
create function fleet.submit(p_items fleet.new_task[])
    returns table (ord int, verdict text, code text, detail text, details jsonb, task_id text, answer json)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_faults fleet.fault[] := array(select fleet.task_fault(p_items[o]) from generate_subscripts(p_items, 1) o order by o);
begin
    perform fleet.lane_for(n.requirements, n.mode, n.repo)
    from (select distinct fleet.requirements_of(e.labels) as requirements, coalesce(e.execution_mode, 'undecided') as mode, e.repo
          from unnest(p_items) with ordinality e
          where (v_faults[e.ordinality]).code is null
          order by 1, 2, 3) n;
    with named as (
        select distinct on (token_id, key) token_id, key, request_hash
        from (select coalesce(e.token_id, 0) as token_id, e.idempotency_key as key, coalesce(e.request_hash, '') as request_hash, e.ordinality
              from unnest(p_items) with ordinality e) x
        where key is not null
        order by token_id, key, ordinality)
    insert into fleet.idempotency as i (token_id, key, request_hash)
    select token_id, key, request_hash from named order by token_id, key
    on conflict (token_id, key) do update
    set request_hash = excluded.request_hash, xid = excluded.xid, task_id = null, answer = null, made_at = excluded.made_at
    where i.made_at < now() - make_interval(hours => fleet.get('idempotency_hours')::int);
    return query
        select x.o, s.verdict, s.code, s.detail, s.details, s.task_id, s.answer
        from (select o from generate_subscripts(p_items, 1) o order by (p_items[o]).task_id, o) x
        cross join lateral fleet.submit_item(p_items[x.o], v_faults[x.o]) s;
    -- a key that came to nothing may be used again
    delete from fleet.idempotency i using unnest(p_items) e
    where i.token_id = coalesce(e.token_id, 0) and i.key = e.idempotency_key and i.xid = pg_current_xact_id() and i.answer is null;
end $$;
comment on function fleet.submit(fleet.new_task[]) is 'Submits tasks; one verdict a row.';
