-- A coordinator says who is to have a waiting task.

-- Why an agent can never have this task in this mode; null when it can.
create function fleet.incapable(t fleet.task, p_mode text, e fleet.executor) returns text
    language plpgsql stable as $$
declare v_missing text[] := array(select r from unnest(t.requirements) r where r <> all (e.capabilities));
begin
    return case
        when v_missing <> '{}' then format('agent %s lacks %s', e.agent_id, array_to_string(v_missing, ', '))
        when p_mode not in ('undecided', e.kind)
            then format('the task wants %s, agent %s is %s: an "execution_mode" of %s changes that', p_mode, e.agent_id, e.kind, e.kind)
        when not fleet.serves_repo(e, t.repo)
            then format('agent %s takes no tasks of %s', e.agent_id, coalesce('repository ' || t.repo, 'no repository')) end;
end $$;

create function fleet.serves_repo(e fleet.executor, p_repo text) returns boolean
    language plpgsql stable as $$
declare v_listed text[] := coalesce((select h.repositories from fleet.host h where h.host_id = e.host_id), e.repositories);
begin
    return v_listed is null or fleet.repo_allowed(v_listed, p_repo) or e.host_id is not null and v_listed = '{}' and p_repo is null;
end $$;

-- Moves a waiting task into the lane that one agent alone serves. Under the task's lock.
create function fleet.pin_task(t fleet.task, p_mode text, e fleet.executor, p_actor text) returns void
    language plpgsql as $$
declare v_lane int := fleet.lane_for(t.requirements, p_mode, t.repo, '{}', e.executor);
begin
    perform fleet.dequeue(t.task);
    delete from fleet.pin where task = t.task;
    update fleet.task set lane = v_lane, execution_mode = p_mode where task = t.task;
    perform fleet.enqueue(t.task, t.run_at);
    perform fleet.note(t.task, 'pinned', null, p_actor, jsonb_build_object('agent_id', e.agent_id, 'execution_mode', p_mode));
    perform fleet.hint(); -- not wake(): who goes to sleep before this commits is not seen here
end $$;

-- The task waits for this agent alone: an HTTP agent, or host_id/agent_type. The answer says why it does not start at once.
create function fleet.task_assign(p_by fleet.requester, p_task_id text, p_agent_id text, p_mode text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set jit = off as $$ -- which would compile the explanation for longer than it runs
declare
    t fleet.task;
    e fleet.executor;
    v_mode text;
    v_why text;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found or not fleet.reaches(p_by, t.repo) then
        return fleet.no_task(p_task_id);
    end if;
    select * into e from fleet.executor where agent_id = p_agent_id and enabled;
    v_mode := coalesce(p_mode, t.execution_mode);
    if not found then
        return fleet.refuse(404, 'unknown_agent', format('there is no agent %s: GET /api/v1/agents lists those there are', p_agent_id));
    elsif v_mode not in ('undecided', 'ssh_cli', 'http_pull') then
        return fleet.refuse(422, 'invalid_value', '''execution_mode'' has to be ssh_cli, http_pull or undecided',
            jsonb_build_object('member', 'execution_mode', 'limit', 'ssh_cli, http_pull or undecided', 'value', left(p_mode, 120)));
    elsif t.status <> 'created' then
        return fleet.refuse(409, 'not_waiting', format(case when t.completed_at is null
            then 'task %s is %s already: only one that waits can be assigned' else 'task %s has ended, it is %s: retry it first' end,
            p_task_id, t.status), jsonb_build_object('status', t.status));
    end if;
    v_why := fleet.incapable(t, v_mode, e);
    if v_why is not null then
        return fleet.refuse(409, 'incapable', v_why, jsonb_build_object('requirements', t.requirements, 'capabilities', e.capabilities));
    end if;
    perform fleet.pin_task(t, v_mode, e, fleet.token_actor(p_by.token_id));
    perform fleet.trail(p_by, 'task_assign', p_task_id,
        jsonb_build_object('execution_mode', t.execution_mode,
            'agent_id', (select x.agent_id from fleet.lane l join fleet.executor x on x.executor = l.pinned where l.lane = t.lane)),
        jsonb_build_object('execution_mode', v_mode, 'agent_id', p_agent_id));
    return (select fleet.say(200, jsonb_build_object('task_id', p_task_id, 'status', t.status, 'agent_id', p_agent_id,
                'execution_mode', v_mode, 'can_take', x.can_take, 'reason', x.reason)::text)
            from fleet.explanations x where x.task_id = fleet.known_id(p_task_id) and x.agent_id = p_agent_id);
end $$;
