-- JSON answers of the API. (PL/pgSQL: a function in SQL that is not inlined is planned at every call.)

-- Values in JSON. (Written out below, and these in SQL so that they are inlined: json_build_object takes twice as long, which is most of
-- what a page of a list takes.)
create function fleet.quoted(p text) returns text
    language sql stable
begin atomic
    select coalesce(to_json(p)::text, 'null');
end;

create function fleet.quoted_utc(p timestamptz) returns text
    language sql stable
begin atomic
    select coalesce('"' || to_char(p at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"', 'null');
end;

-- A task as the API shows it, with its newest attempt. Words of ours, names of repositories and branches need no escapes.
create function fleet.task_object(t fleet.task, e fleet.executor, p_advice text, a fleet.attempt, r fleet.pull) returns text
    language sql stable
begin atomic
    select concat('{"task_id": ', fleet.quoted(t.task_id), ', "source": "', t.source, '", "task_type": ', fleet.quoted(t.task_type),
        ', "title": ', fleet.quoted(t.title), ', "repo": ', coalesce('"' || t.repo || '"', 'null'),
        ', "issue_number": ', coalesce(t.issue_number::text, 'null'), ', "labels": ', to_json(t.labels),
        ', "requirements": ', to_json(t.requirements), ', "priority": ', t.priority, ', "status": "', t.status,
        '", "execution_mode": "', coalesce(e.kind, t.execution_mode), '", "assigned_agent_id": ', fleet.quoted(e.agent_id),
        ', "assigned_host": ', fleet.quoted(e.host_id), ', "branch_name": "', t.branch_name,
        '", "base_branch": ', fleet.quoted(t.base_branch), ', "work": ', coalesce(a.work::text, 'null'),
        ', "question": ', fleet.quoted(case when a.ended_at is null or t.status = 'review_pending' then a.question end),
        ', "pr_number": ', coalesce(r.number::text, 'null'), ', "pr_title": ', fleet.quoted(r.title), ', "pr_url": ', fleet.quoted(r.html_url),
        ', "review_count": ', t.review_count, ', "retry_count": ', t.retry_count,
        ', "max_retries": ', t.max_retries, ', "timeout_secs": ', t.timeout_secs,
        ', "hold": ', coalesce('"' || t.hold || '"', 'null'),
        ', "failure_reason": ', coalesce('"' || t.failure_reason || '"', 'null'), ', "advice": ', fleet.quoted(p_advice),
        ', "created_at": ', fleet.quoted_utc(t.created_at), ', "run_at": ', fleet.quoted_utc(t.run_at),
        ', "assigned_at": ', fleet.quoted_utc(t.assigned_at), ', "started_at": ', fleet.quoted_utc(t.started_at),
        ', "completed_at": ', fleet.quoted_utc(t.completed_at),
        ', "last_activity_at": ', fleet.quoted_utc(greatest(t.changed_at, t.activity_at, a.output_at)),
        ', "cancel_requested_at": ', fleet.quoted_utc(t.cancel_at), ', "kept": ',
        case when t.kept_at is null then 'null'
             else concat('{"at": ', fleet.quoted_utc(t.kept_at), ', "by": ', fleet.quoted(t.kept_by), ', "reason": ', fleet.quoted(t.kept_reason), '}') end,
        ', "metadata": ', t.metadata, '}');
end;

-- Tasks in the order in which they are named.
create function fleet.tasks_json(p_tasks bigint[]) returns text
    language plpgsql stable as $$
begin
    return '[' || coalesce((
        select string_agg(fleet.task_object(t, e, r.advice, a, p), ', ' order by k.place)
        from unnest(p_tasks) with ordinality k (task, place)
        join fleet.task t on t.task = k.task
        left join fleet.executor e on e.executor = t.executor
        left join fleet.reason r on r.reason = t.failure_reason
        left join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
        left join lateral fleet.pull_shown(t.task) p on true), '') || ']';
end $$;

create function fleet.task_objects(p_tasks bigint[]) returns table (task bigint, object text)
    language plpgsql stable as $$
begin
    return query
        select t.task, fleet.task_object(t, e, r.advice, a, p)
        from unnest(p_tasks) with ordinality k (task, place)
        join fleet.task t on t.task = k.task
        left join fleet.executor e on e.executor = t.executor
        left join fleet.reason r on r.reason = t.failure_reason
        left join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
        left join lateral fleet.pull_shown(t.task) p on true
        order by k.place;
end $$;

create function fleet.task_json(p_task bigint) returns json
    language plpgsql stable as $$
begin
    return fleet.tasks_json(array[p_task])::json -> 0;
end $$;

-- What a run was told beyond its task; null when nothing.
create function fleet.told_object(p fleet.told) returns json
    language plpgsql stable as $$
begin
    return case when p.text is not null then json_build_object(
        'kind', p.kind, 'question', p.question, 'text', p.shown, 'asked_by', p.asked_by, 'asked_at', fleet.utc(p.asked_at)) end;
end $$;

-- Attempts of a task below a number, newest first.
create function fleet.attempt_objects(p_task bigint, p_below int, p_want int) returns table (number int, object text)
    language plpgsql stable as $$
begin
    return query select a.number, json_build_object(
        'attempt', a.number, 'epoch', a.epoch, 'agent_id', e.agent_id, 'host_id', e.host_id, 'agent_type', e.agent_type,
        'node', coalesce(n.name, a.node::text), 'adopted_from', a.adopted_from, 'phase', a.phase, 'phase_reason', a.phase_reason,
        'outcome', a.outcome, 'reason', a.reason, 'advice', r.advice, 'exit_status', a.exit_status, 'exit_signal', a.exit_signal,
        'session_id', a.report ->> 'session_id', 'tokens', coalesce(a.report -> 'tokens', '{}'), 'cost_usd', a.report -> 'cost_usd',
        'cost_source', a.report ->> 'cost_source', 'model', a.report ->> 'model', 'agent_version', a.report ->> 'agent_version',
        'profile', a.report ->> 'profile', 'isolation', a.report ->> 'isolation', 'sandbox', a.report ->> 'sandbox', 'work', a.work,
        'claimed_work', case when a.report ?| '{branch,head}' then json_build_object('branch', a.report -> 'branch', 'head', a.report -> 'head') end,
        'question', a.question, 'follow_up', fleet.told_object(fleet.told_to(a.task, a.number)), 'output_bytes', json_build_object('stdout', a.stdout_bytes, 'stderr', a.stderr_bytes),
        'summary', a.report ->> 'summary', 'error', a.report ->> 'error', 'stopped', a.report ->> 'stopped',
        'proof', a.proof, 'abandoned', a.abandoned_reason, 'freed', a.freed_reason, 'claimed_at', fleet.utc(a.claimed_at),
        'started_at', fleet.utc(a.started_at), 'ended_at', fleet.utc(a.ended_at))::text
    from fleet.attempt a
    join fleet.executor e on e.executor = a.executor
    left join fleet.node n on n.node = a.node
    left join fleet.reason r on r.reason = a.reason
    where a.task = p_task and a.number < p_below
    order by a.number desc limit p_want;
end $$;

-- Events of a task below an id, newest first. None is older than the task: months before it are not looked at.
create function fleet.event_objects(t fleet.task, p_below bigint, p_want int) returns table (event_id bigint, object text)
    language plpgsql stable as $$
begin
    return query select e.event_id, json_build_object(
        'event_id', e.event_id, 'task_id', t.task_id, 'event_type', e.event_type, 'from_status', e.from_status,
        'to_status', e.to_status, 'attempt', e.attempt, 'actor', e.actor, 'at', fleet.utc(e.at),
        'payload', coalesce(e.payload, '{}'))::text
    from fleet.event e
    where e.task = t.task and e.event_id < p_below and e.at >= t.created_at
    order by e.event_id desc limit p_want;
end $$;

-- A task with what happened lately, oldest first: a task may have thousands of events.
create function fleet.task_detail(p_by fleet.requester, p_task_id text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare t fleet.task := fleet.find_task(p_by, p_task_id);
begin
    if t.task is null then
        return fleet.no_task(p_task_id);
    end if;
    return fleet.say(200, left(fleet.task_json(t.task)::text, -1)
        || ', "body" : ' || to_json(t.body)::text
        || ', "events" : [' || (select coalesce(string_agg(o.object, ', ' order by o.event_id), '')
                                from fleet.event_objects(t, 9223372036854775807, 100) o)
        || '], "attempts" : [' || (select coalesce(string_agg(o.object, ', ' order by o.number), '')
                                   from fleet.attempt_objects(t.task, 2147483647, 100) o) || ']}');
end $$;

-- A page of objects that came newest first, one more than it shows: the key of the last one shown is the cursor of the next.
create function fleet.say_page(p_objects text[], p_keys bigint[], p_limit int) returns fleet.reply
    language plpgsql immutable as $$
begin
    return fleet.say(200, '[' || coalesce(array_to_string(p_objects[1:p_limit], ', '), '') || ']',
                     case when cardinality(p_objects) > p_limit then p_keys[p_limit]::text end);
end $$;

create function fleet.page_limit(p_limit int) returns int
    language plpgsql immutable as $$
begin
    return greatest(least(coalesce(p_limit, 50), 200), 1);
end $$;

-- Lists of one task go by numbers that only grow.
create function fleet.bad_cursor(p_cursor text, p_of text) returns fleet.reply
    language plpgsql immutable as $$
begin
    return case when p_cursor !~ '^[1-9][0-9]{0,17}$' then fleet.refuse(400, 'malformed_cursor',
        format('this cursor was not given by a list of %s: take the link of the page before', p_of)) end;
end $$;

-- The whole history of a task, newest first.
create function fleet.task_events(p_by fleet.requester, p_task_id text, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    t fleet.task := fleet.find_task(p_by, p_task_id);
    v_limit int := fleet.page_limit(p_limit);
    v_fault fleet.reply := fleet.bad_cursor(p_cursor, 'events');
    v_objects text[];
    v_keys bigint[];
begin
    if t.task is null then
        return fleet.no_task(p_task_id);
    elsif v_fault.status is not null then
        return v_fault;
    end if;
    select array_agg(o.object), array_agg(o.event_id) into v_objects, v_keys
    from fleet.event_objects(t, coalesce(p_cursor::bigint, 9223372036854775807), v_limit + 1) o;
    return fleet.say_page(v_objects, v_keys, v_limit);
end $$;

-- All attempts of a task, newest first.
create function fleet.task_attempts(p_by fleet.requester, p_task_id text, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    t fleet.task := fleet.find_task(p_by, p_task_id);
    v_limit int := fleet.page_limit(p_limit);
    v_fault fleet.reply := fleet.bad_cursor(p_cursor, 'attempts');
    v_objects text[];
    v_keys bigint[];
begin
    if t.task is null then
        return fleet.no_task(p_task_id);
    elsif v_fault.status is not null then
        return v_fault;
    end if;
    select array_agg(o.object), array_agg(o.number::bigint) into v_objects, v_keys
    from fleet.attempt_objects(t.task, least(coalesce(p_cursor::bigint, 2147483647), 2147483647)::int, v_limit + 1) o;
    return fleet.say_page(v_objects, v_keys, v_limit);
end $$;

create function fleet.agent_json(x fleet.executor_now) returns json
    language plpgsql stable as $$
begin
    return json_build_object(
        'agent_id', x.agent_id, 'kind', x.kind, 'agent_type', x.agent_type, 'hostname', x.hostname,
        'capabilities', x.capabilities, 'max_concurrency', x.max_concurrency, 'running', x.running, 'status', x.status,
        'reason', case when x.status in ('out_of_service', 'resting') then x.out_reason when x.status = 'cordoned' then x.cordon_reason
                       when x.status = 'offline' then coalesce(x.reason, 'no worker reported it lately') end,
        'out_until', case when x.out_until <> 'infinity' then fleet.utc(x.out_until) end,
        'account_id', x.account, 'last_heartbeat_at', fleet.utc(x.seen_at), 'version', x.version);
end $$;

-- What runs tasks, by its id. The cursor is the last id of the page before.
create function fleet.agent_list(p_by fleet.requester, p_limit int, p_cursor text, p_status text[] default null,
                                 p_capability text[] default null, p_agent_type text[] default null) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off set enable_seqscan = off as $$
declare
    v_limit int := fleet.page_limit(p_limit);
    v_objects text[];
    v_ids text[];
begin
    if length(p_cursor) > 1000 then
        return fleet.refuse(400, 'malformed_cursor', 'this cursor was not given by a list of agents: take the link of the page before');
    end if;
    select array_agg(o.object order by o.agent_id collate "C"), array_agg(o.agent_id order by o.agent_id collate "C") into v_objects, v_ids
    from (select x.agent_id, fleet.agent_json(x)::text as object
          from fleet.executor_now x
          where not x.gone and (p_cursor is null or x.agent_id collate "C" > p_cursor)
            and (p_status is null or x.status = any (p_status)) and (p_agent_type is null or x.agent_type = any (p_agent_type))
            and (p_capability is null or x.capabilities && fleet.capabilities_of(p_capability))
          order by x.agent_id collate "C" limit v_limit + 1) o;
    return fleet.say(200, '[' || coalesce(array_to_string(v_objects[1:v_limit], ', '), '') || ']',
                     case when cardinality(v_ids) > v_limit then v_ids[v_limit] end);
end $$;

-- One of them, with its slots: what holds each, if it is there for who asks.
create function fleet.agent_detail(p_by fleet.requester, p_agent_id text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off set enable_seqscan = off as $$
declare x fleet.executor_now;
begin
    select * into x from fleet.executor_now n where n.agent_id = p_agent_id and not n.gone;
    if not found then
        return fleet.refuse(404, 'not_found', format('there is no agent %s', p_agent_id));
    end if;
    return fleet.say(200, left(fleet.agent_json(x)::text, -1) || ', "slots" : ' || (
        select coalesce(json_agg(json_build_object(
            'slot', s.slot_id, 'state', case when s.attempt is null then 'free' when s.retiring then 'retiring' else 'busy' end,
            'task_id', h.task_id, 'attempt', h.number, 'phase', h.phase, 'since', fleet.utc(h.claimed_at)) order by s.slot_id), '[]')
        from fleet.slot s
        left join lateral (
            select t.task_id, a.number, a.phase, a.claimed_at from fleet.attempt a join fleet.task t on t.task = a.task
            where a.attempt = s.attempt and fleet.reaches_task(p_by, t)) h on true
        where s.executor = x.executor)::text || '}');
end $$;

create function fleet.node_list(p_by fleet.requester) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off set enable_seqscan = off as $$
begin
    return fleet.say(200, (select coalesce(json_agg(json_build_object(
        'node', n.node, 'kind', n.kind, 'name', n.name, 'version', n.version, 'config_hash', n.config_hash, 'status', n.status,
        'running', n.running, 'watched_by', n.watched_by,
        'differs', (select string_agg(format('host %s: %s', d.host_id, d.differs), '; ' order by d.host_id)
                    from fleet.host_differs d where d.node = n.node),
        'started_at', fleet.utc(n.started_at), 'last_beat_at', fleet.utc(n.beat_at),
        'stopped_at', fleet.utc(n.stopped_at), 'dead_at', fleet.utc(n.dead_at)) order by n.kind, n.name, n.started_at), '[]')::text
    from fleet.node_now n where n.kind in ('server', 'worker') and (n.status in ('live', 'silent') or n.running > 0)));
end $$;
