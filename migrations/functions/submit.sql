-- New tasks by REST; and what both ways in (REST and Forgejo) share.

-- task/<task_id>, percent-encoded so that every id makes a valid and distinct Git ref.
create function fleet.branch_of(p_task_id text) returns text
    language plpgsql immutable as $$
begin
    if p_task_id ~ '^[A-Za-z0-9_-]+$' then
        return 'task/' || p_task_id;
    end if;
    return (select 'task/' || string_agg(
                case when c ~ '^[A-Za-z0-9_-]$' then c
                     else upper(regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', '%\1', 'g')) end, '' order by o)
            from regexp_split_to_table(p_task_id, '') with ordinality x (c, o));
end $$;

create function fleet.new_task_id() returns text
    language plpgsql volatile as $$
begin
    return (select 't-' || string_agg(substr('abcdefghijklmnopqrstuvwxyz234567', get_byte(r.bytes, i) % 32 + 1, 1), '')
    from (select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) as bytes) r, generate_series(0, 11) i);
end $$;

-- What is wrong with a task's members, as a sentence; null when nothing. The caller checked types already; this keeps a bad
-- item from failing its neighbours.
create function fleet.item_fault(p jsonb) returns text
    language plpgsql stable as $$
declare v_name text;
begin
    if jsonb_typeof(p) is distinct from 'object' then
        return 'task must be an object';
    end if;
    if jsonb_typeof(p -> 'title') is distinct from 'string' or p ->> 'title' = '' then
        return 'title must be a text that is not empty';
    end if;
    foreach v_name in array '{task_id,body,execution_mode,task_type,repo,run_at}'::text[] loop
        if jsonb_typeof(p -> v_name) not in ('string', 'null') then
            return v_name || ' must be a text';
        end if;
    end loop;
    foreach v_name in array '{priority,issue_number,max_retries,timeout_secs,max_attempts_total}'::text[] loop
        if jsonb_typeof(p -> v_name) not in ('number', 'null')
           or (p ->> v_name) !~ '^-?[0-9]{1,9}$' then
            return v_name || ' must be a whole number of at most nine digits';
        end if;
    end loop;
    if length(p ->> 'task_id') not between 1 and 512 then
        return 'task_id must have 1 to 512 characters';
    end if;
    if coalesce((p ->> 'timeout_secs')::int, 1) < 1 or coalesce((p ->> 'max_attempts_total')::int, 1) < 1
       or coalesce((p ->> 'max_retries')::int, 0) < 0 then
        return 'timeout_secs and max_attempts_total must be positive, max_retries must not be negative';
    end if;
    if coalesce(p ->> 'execution_mode', 'undecided') not in ('undecided', 'ssh_cli', 'http_pull') then
        return 'execution_mode must be undecided, ssh_cli or http_pull';
    end if;
    if (p ->> 'repo') !~ '^[^/]+/[^/]+$' then
        return 'repo must have the form owner/name';
    end if;
    if p ->> 'issue_number' is not null and (p ->> 'repo' is null or (p ->> 'issue_number')::int < 1) then
        return 'issue_number must be positive and needs repo';
    end if;
    if jsonb_typeof(p -> 'labels') not in ('array', 'null')
       or (jsonb_typeof(p -> 'labels') = 'array'
           and exists (select from jsonb_array_elements(p -> 'labels') l where jsonb_typeof(l) <> 'string')) then
        return 'labels must be a list of texts';
    end if;
    if not fleet.lane_fits(fleet.requirements_of(fleet.words(p -> 'labels')), p ->> 'repo') then
        return 'repo and the labels that begin with agent: are too long together';
    end if;
    if jsonb_typeof(p -> 'metadata') not in ('object', 'null') then
        return 'metadata must be an object';
    end if;
    if p ->> 'run_at' is not null then
        if (p ->> 'run_at') !~* '^\d{4}-\d\d-\d\d[t ]\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)$' then
            return 'run_at must be a time as RFC 3339 writes it';
        end if;
        begin
            perform (p ->> 'run_at')::timestamptz;
        exception when data_exception then
            return 'run_at must be a time as RFC 3339 writes it';
        end;
    end if;
    return null;
end $$;

-- What the submitter wrote, so that a repeated submission can be told from a different one.
create function fleet.content_hash(p jsonb) returns bytea
    language plpgsql immutable as $$
begin
    return sha256(convert_to((jsonb_strip_nulls(p) - 'task_id' - 'defaults')::text, 'UTF8'));
end $$;

-- Inserts one task and puts it where it waits. Null when the id stands already.
create function fleet.insert_task(p_task_id text, p_source text, p jsonb, p_actor text) returns bigint
    language plpgsql as $$
declare
    v_task bigint;
    v_lane int;
    v_labels text[] := fleet.words(p -> 'labels');
    v_requirements text[] := fleet.requirements_of(v_labels);
    v_mode text := coalesce(p ->> 'execution_mode', 'undecided');
    v_limits jsonb := coalesce(p -> 'defaults', '{}') || p; -- defaults are the submitting node's, not content
    v_run_at timestamptz := greatest(coalesce((p ->> 'run_at')::timestamptz, now()), now());
begin
    v_lane := fleet.lane_for(v_requirements, v_mode, p ->> 'repo');
    insert into fleet.task (task_id, source, task_type, title, body, content_hash, labels, requirements, execution_mode, priority,
                            repo, issue_number, branch_name, timeout_secs, max_retries, max_attempts_total, metadata, submitted_by,
                            lane, run_at)
    values (p_task_id, p_source, p ->> 'task_type', p ->> 'title', coalesce(p ->> 'body', ''), fleet.content_hash(p),
            v_labels, v_requirements, v_mode, coalesce((p ->> 'priority')::int, fleet.priority_of(v_labels)),
            p ->> 'repo', (p ->> 'issue_number')::int, fleet.branch_of(p_task_id), coalesce((v_limits ->> 'timeout_secs')::int, 1800),
            coalesce((v_limits ->> 'max_retries')::int, 2), coalesce((v_limits ->> 'max_attempts_total')::int, 10),
            case when jsonb_typeof(p -> 'metadata') = 'object' then p -> 'metadata' else '{}' end, p_actor, v_lane, v_run_at)
    on conflict (task_id) do nothing
    returning task into v_task;
    if not found then
        return null;
    end if;
    perform fleet.enqueue(v_task, v_run_at);
    insert into fleet.event (task, event_type, to_status, actor) values (v_task, 'created', 'created', p_actor);
    return v_task;
end $$;

-- One item of a submission, its faults looked for and its key taken already. See submit().
create function fleet.submit_item(p_item jsonb, p_fault text, out verdict text, out code text, out detail text, out task_id text,
                                  out answer json)
    language plpgsql as $$
#variable_conflict use_column
declare
    v_in jsonb := p_item -> 'task';
    v_token bigint := coalesce((p_item ->> 'token_id')::bigint, 0);
    v_key text := p_item ->> 'idempotency_key';
    v_hash text := coalesce(p_item ->> 'request_hash', '');
    k fleet.idempotency;
    v_task bigint;
    v_content bytea;
begin
    if p_fault is not null then
        verdict := 'refused'; code := 'invalid'; detail := p_fault;
        return;
    end if;
    task_id := v_in ->> 'task_id';
    if task_id ~ '^[^/]+/[^/]+#[0-9]+$' then
        verdict := 'refused'; code := 'reserved_id';
        detail := 'task ids of the form owner/repo#n are reserved for Forgejo issues';
        return;
    elsif not fleet.repo_allowed(fleet.words(p_item -> 'repositories'), v_in ->> 'repo') then
        verdict := 'refused'; code := 'repository_not_allowed';
        detail := format('a task of repository %s needs a token that lists it', v_in ->> 'repo');
        return;
    end if;
    select * into k from fleet.idempotency i where i.token_id = v_token and i.key = v_key;
    if k.request_hash <> v_hash then
        verdict := 'conflict'; code := 'idempotency_conflict'; task_id := null;
        detail := 'this Idempotency-Key was used with another request';
        return;
    elsif k.answer is not null then
        verdict := 'exists'; task_id := k.task_id; answer := k.answer;
        return;
    end if;
    task_id := coalesce(task_id, fleet.new_task_id());
    v_task := fleet.insert_task(task_id, 'api', v_in, fleet.token_actor(v_token));
    if v_task is not null then
        verdict := 'created';
    else
        select t.task, t.content_hash into v_task, v_content from fleet.task t where t.task_id = submit_item.task_id;
        if v_content <> fleet.content_hash(v_in) then
            verdict := 'conflict'; code := 'task_conflict';
            detail := format('task %s stands already with another content', task_id);
            return;
        end if;
        verdict := 'exists';
    end if;
    answer := fleet.task_json(v_task);
    if v_key is not null then
        update fleet.idempotency i set task_id = submit_item.task_id, answer = submit_item.answer
        where i.token_id = v_token and i.key = v_key;
    end if;
end $$;

-- Submits many. Each item has its own verdict: created, exists (same content, or a replay of the same key), conflict, refused.
-- All callers make their lanes first, then take keys in one order, then ids in one order, so that none waits in a circle.
-- Send wake() behind it.
create function fleet.submit(p_items jsonb)
    returns table (ord int, verdict text, code text, detail text, task_id text, answer json)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_faults text[] := array(select fleet.item_fault(e.item -> 'task')
                             from jsonb_array_elements(p_items) with ordinality e (item, ord) order by e.ord);
begin
    perform fleet.lane_for(n.requirements, n.mode, n.repo)
    from (select distinct fleet.requirements_of(fleet.words(w.task -> 'labels')) as requirements,
                 coalesce(w.task ->> 'execution_mode', 'undecided') as mode, w.task ->> 'repo' as repo
          from (select e.item -> 'task' as task, fleet.words(e.item -> 'repositories') as repositories
                from jsonb_array_elements(p_items) with ordinality e (item, ord) where v_faults[e.ord] is null offset 0) w
          where fleet.repo_allowed(w.repositories, w.task ->> 'repo')
          order by 1, 2, 3) n;
    with named as (
        select distinct on (token_id, key) token_id, key, request_hash
        from (select coalesce((e.item ->> 'token_id')::bigint, 0) as token_id, e.item ->> 'idempotency_key' as key,
                     coalesce(e.item ->> 'request_hash', '') as request_hash, e.ord
              from jsonb_array_elements(p_items) with ordinality e (item, ord)) x
        where key is not null
        order by token_id, key, ord)
    insert into fleet.idempotency as i (token_id, key, request_hash)
    select token_id, key, request_hash from named order by token_id, key
    on conflict (token_id, key) do update
    set request_hash = excluded.request_hash, xid = excluded.xid, task_id = null, answer = null, made_at = excluded.made_at
    where i.made_at < now() - make_interval(hours => fleet.get('idempotency_hours')::int);
    return query
        select x.ord::int, s.verdict, s.code, s.detail, s.task_id, s.answer
        from (select e.item, e.ord from jsonb_array_elements(p_items) with ordinality e (item, ord)
              order by e.item -> 'task' ->> 'task_id', e.ord) x
        cross join lateral fleet.submit_item(x.item, v_faults[x.ord]) s;
    -- a key that came to nothing may be used again
    delete from fleet.idempotency i using jsonb_array_elements(p_items) e (item)
    where i.token_id = coalesce((e.item ->> 'token_id')::bigint, 0) and i.key = e.item ->> 'idempotency_key'
      and i.xid = pg_current_xact_id() and i.answer is null;
end $$;
comment on function fleet.submit(jsonb) is 'Submits tasks; one verdict a row.';
