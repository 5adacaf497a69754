-- JSON answers of the API. (PL/pgSQL: a function in SQL that is not inlined is planned at every call.)

create function fleet.task_json(p_task bigint) returns json
    language plpgsql stable as $$
begin
    return (select json_build_object(
        'task_id', t.task_id, 'source', t.source, 'task_type', t.task_type, 'title', t.title, 'repo', t.repo,
        'issue_number', t.issue_number, 'labels', t.labels, 'requirements', t.requirements, 'priority', t.priority,
        'status', t.status, 'execution_mode', coalesce(e.kind, t.execution_mode), 'assigned_agent_id', e.agent_id,
        'assigned_host', e.host_id, 'branch_name', t.branch_name, 'pr_number', null, 'pr_title', null, 'pr_url', null,
        'review_count', 0, 'retry_count', t.retry_count, 'max_retries', t.max_retries, 'timeout_secs', t.timeout_secs,
        'failure_reason', t.failure_reason, 'advice', r.advice, 'created_at', fleet.utc(t.created_at),
        'run_at', fleet.utc(t.run_at), 'assigned_at', fleet.utc(t.assigned_at), 'started_at', fleet.utc(t.started_at),
        'completed_at', fleet.utc(t.completed_at), 'last_activity_at', fleet.utc(greatest(t.changed_at, a.output_at)),
        'cancel_requested_at', fleet.utc(t.cancel_at), 'metadata', t.metadata)
    from fleet.task t
    left join fleet.executor e on e.executor = t.executor
    left join fleet.reason r on r.reason = t.failure_reason
    left join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
    where t.task = p_task);
end $$;

create function fleet.attempt_json(p_attempt bigint) returns json
    language plpgsql stable as $$
begin
    return (select json_build_object(
        'attempt', a.number, 'epoch', a.epoch, 'agent_id', e.agent_id, 'host_id', e.host_id, 'agent_type', e.agent_type,
        'node', coalesce(n.name, a.node::text), 'adopted_from', a.adopted_from, 'phase', a.phase, 'phase_reason', a.phase_reason,
        'outcome', a.outcome, 'reason', a.reason, 'advice', r.advice, 'exit_status', a.exit_status, 'exit_signal', a.exit_signal,
        'session_id', a.report ->> 'session_id', 'tokens', coalesce(a.report -> 'tokens', '{}'), 'cost_usd', null,
        'cost_source', null, 'output_bytes', json_build_object('stdout', a.stdout_bytes, 'stderr', a.stderr_bytes),
        'summary', a.report ->> 'summary', 'error', a.report ->> 'error', 'stopped', a.report ->> 'stopped',
        'proof', a.proof, 'abandoned', a.abandoned_reason, 'freed', a.freed_reason, 'claimed_at', fleet.utc(a.claimed_at), 'started_at', fleet.utc(a.started_at),
        'ended_at', fleet.utc(a.ended_at))
    from fleet.attempt a
    join fleet.executor e on e.executor = a.executor
    left join fleet.node n on n.node = a.node
    left join fleet.reason r on r.reason = a.reason
    where a.attempt = p_attempt);
end $$;

-- The newest 100 events, oldest first.
create function fleet.events_json(p_task bigint) returns json
    language plpgsql stable as $$
begin
    return (select coalesce(json_agg(json_build_object(
               'event_id', e.event_id, 'task_id', t.task_id, 'event_type', e.event_type, 'from_status', e.from_status,
               'to_status', e.to_status, 'attempt', e.attempt, 'actor', e.actor, 'at', fleet.utc(e.at),
               'payload', coalesce(e.payload, '{}')) order by e.event_id), '[]')
    from (select * from fleet.event x where x.task = p_task order by x.event_id desc limit 100) e
    join fleet.task t on t.task = e.task);
end $$;

create function fleet.task_detail(p_task_id text) returns text
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
declare
    t fleet.task;
    v_head text;
begin
    select * into t from fleet.task where task_id = p_task_id;
    if not found then
        raise exception 'there is no task %', p_task_id using errcode = 'AF003';
    end if;
    v_head := fleet.task_json(t.task)::text;
    return left(v_head, -1) || ', "body": ' || to_json(t.body)::text
        || ', "events": ' || fleet.events_json(t.task)::text
        || ', "attempts": ' || (select coalesce(json_agg(fleet.attempt_json(a.attempt) order by a.number), '[]')
                                from fleet.attempt a where a.task = t.task)::text || '}';
end $$;

-- Newest first. A filter that is null admits all; of several values each is admitted. The cursor names the last task of the page
-- before.
create function fleet.task_list(p_limit int, p_cursor text, p_status text[] default null, p_source text[] default null,
                                p_repo text[] default null, p_host_id text[] default null, p_agent_id text[] default null,
                                p_execution_mode text[] default null, p_label text[] default null, p_q text default null,
                                p_created_after timestamptz default null, p_created_before timestamptz default null,
                                out body text, out next_cursor text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
declare
    v_limit int := greatest(least(coalesce(p_limit, 50), 200), 1);
    v_tasks bigint[];
begin
    if p_cursor !~ '^[0-9]{1,18}$' then
        raise exception 'this cursor was not given by a list' using errcode = 'AF007';
    end if;
    select array_agg(x.task order by x.task desc) into v_tasks
    from (select t.task from fleet.task t
          left join fleet.executor e on e.executor = t.executor
          where t.task < coalesce(p_cursor::bigint, 9223372036854775807)
            and (p_status is null or t.status = any (p_status)) and (p_source is null or t.source = any (p_source))
            and (p_repo is null or t.repo = any (p_repo)) and (p_host_id is null or e.host_id = any (p_host_id))
            and (p_agent_id is null or e.agent_id = any (p_agent_id))
            and (p_execution_mode is null or coalesce(e.kind, t.execution_mode) = any (p_execution_mode))
            and (p_label is null or t.labels && p_label)
            and (p_q is null or strpos(lower(t.task_id || ' ' || t.title), lower(p_q)) > 0)
            and (p_created_after is null or t.created_at > p_created_after)
            and (p_created_before is null or t.created_at < p_created_before)
          order by t.task desc limit v_limit + 1) x;
    if cardinality(v_tasks) > v_limit then
        v_tasks := v_tasks[1:v_limit];
        next_cursor := v_tasks[v_limit];
    end if;
    select '[' || coalesce(string_agg(fleet.task_json(k)::text, ', ' order by o), '') || ']' into body
    from unnest(v_tasks) with ordinality u (k, o);
end $$;

create function fleet.agent_list(p_status text[] default null, p_capability text[] default null, p_agent_type text[] default null)
    returns text
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select coalesce(json_agg(json_build_object(
        'agent_id', x.agent_id, 'kind', x.kind, 'agent_type', x.agent_type, 'hostname', x.hostname,
        'capabilities', x.capabilities, 'max_concurrency', x.max_concurrency, 'running', x.running, 'status', x.status,
        'reason', case when x.status in ('out_of_service', 'resting') then x.out_reason when x.status = 'cordoned' then x.cordon_reason
                       when x.status = 'offline' then coalesce(x.reason, 'no worker reported it lately') end,
        'out_until', case when x.out_until <> 'infinity' then fleet.utc(x.out_until) end,
        'last_heartbeat_at', fleet.utc(x.seen_at), 'version', x.version) order by x.agent_id), '[]')::text
    from fleet.executor_now x
    where not x.gone and (p_status is null or x.status = any (p_status)) and (p_agent_type is null or x.agent_type = any (p_agent_type))
      and (p_capability is null or x.capabilities && fleet.capabilities_of(p_capability));
end;

create function fleet.host_list() returns text
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select coalesce(json_agg(json_build_object(
        'host_id', h.host_id, 'hostname', h.hostname, 'status', h.status, 'reason_code', h.reason_code,
        'reason', h.reason, 'differs', h.differs,
        'executors', (select coalesce(json_agg(json_build_object(
                          'agent_id', x.agent_id, 'agent_type', x.agent_type, 'capabilities', x.capabilities, 'status', x.status,
                          'reason', x.out_reason, 'max_concurrency', x.max_concurrency, 'running', x.running) order by x.agent_id), '[]')
                      from fleet.executor_now x where x.host_id = h.host_id and not x.gone),
        'last_checked_at', fleet.utc(h.checked_at), 'free_disk_bytes', h.disk_free,
        'cordoned', case when h.cordoned_at is not null then json_build_object(
            'by', h.cordoned_by, 'reason', h.cordon_reason, 'at', fleet.utc(h.cordoned_at)) end) order by h.host_id), '[]')::text
    from fleet.host_now h where not h.gone;
end;

create function fleet.node_list() returns text
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select coalesce(json_agg(json_build_object(
        'node', n.node, 'kind', n.kind, 'name', n.name, 'version', n.version, 'config_hash', n.config_hash, 'status', n.status,
        'running', n.running, 'watched_by', n.watched_by, 'started_at', fleet.utc(n.started_at), 'last_beat_at', fleet.utc(n.beat_at),
        'stopped_at', fleet.utc(n.stopped_at), 'dead_at', fleet.utc(n.dead_at)) order by n.kind, n.name, n.started_at), '[]')::text
    from fleet.node_now n where n.status in ('live', 'silent') or n.running > 0;
end;
