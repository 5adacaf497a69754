-- What HTTP agents say of their runs: status, output, receipts. Whatever they say is a claim, bound to the attempt that they hold: at
-- most one is accepted, though more than one may run.

-- Which attempt a call is about, or why it is none (refusal.status). Under the task's lock.
create type fleet.held as (task fleet.task, attempt fleet.attempt, refusal fleet.reply);

create function fleet.not_held(p_status int, p_code text, p_error text) returns fleet.held
    language plpgsql immutable as $$
begin
    return row(null, null, fleet.refuse(p_status, p_code, p_error))::fleet.held;
end $$;

-- The attempt that a number names, or the only one of the task that the agent ever had.
create function fleet.attempt_of(t fleet.task, e fleet.executor, p_number int) returns fleet.held
    language plpgsql stable as $$
declare
    a fleet.attempt;
    v_held int := (select count(*) from fleet.attempt x where x.task = t.task and x.executor = e.executor);
begin
    select * into a from fleet.attempt x
    where x.task = t.task and case when p_number is null then x.executor = e.executor else x.number = p_number end limit 1;
    if v_held = 0 and (select x.kind from fleet.executor x where x.executor = t.executor) = 'ssh_cli' or t.execution_mode = 'ssh_cli' then
        return fleet.not_held(400, 'wrong_execution_mode', format('task %s is run over SSH: agents do not report on it', t.task_id));
    elsif v_held = 0 then
        return fleet.not_held(403, 'not_your_task', format('task %s was never given to agent %s', t.task_id, e.agent_id));
    elsif a.attempt is null then
        return fleet.not_held(404, 'unknown_attempt', format('task %s has no attempt %s', t.task_id, p_number));
    elsif a.executor <> e.executor then
        return fleet.not_held(403, 'not_your_task', format(
            'attempt %s of task %s is not one of agent %s', p_number, t.task_id, e.agent_id));
    elsif p_number is null and v_held > 1 then
        return fleet.not_held(409, 'attempt_needed', format('agent %s had task %s %s times: say which by "attempt", as the task that was '
            'handed over did', e.agent_id, t.task_id, v_held));
    end if;
    return row(t, a, null)::fleet.held;
end $$;

-- Finds the agent, locks the task, finds the attempt.
create function fleet.held_by(p_by fleet.requester, p_task_id text, p_agent_id text, p_number int) returns fleet.held
    language plpgsql as $$
declare
    e fleet.executor;
    t fleet.task;
    v_no fleet.reply;
begin
    select * into e from fleet.executor where agent_id = p_agent_id;
    v_no := fleet.agent_refusal(p_by, p_agent_id, e);
    if v_no.status is not null then
        return row(null, null, v_no)::fleet.held;
    end if;
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found or not fleet.reaches(p_by, t.repo) then
        return row(null, null, fleet.no_task(p_task_id))::fleet.held;
    end if;
    return fleet.attempt_of(t, e, p_number);
end $$;

-- Does the attempt still count? Not when it has ended, or when its agent was called dead: what is said of it then is evidence only.
create function fleet.is_over(a fleet.attempt) returns boolean
    language plpgsql stable as $$
begin
    return a.ended_at is not null
        or not exists (select from fleet.node n where n.node = a.node and n.dead_at is null and n.stopped_at is null);
end $$;

create function fleet.over_refusal(t fleet.task, a fleet.attempt) returns fleet.reply
    language plpgsql stable as $$
begin
    return fleet.refuse(409, 'attempt_over', format(
        'attempt %s of task %s is over (%s): what is said of it now counts for nothing', a.number, t.task_id,
        coalesce(a.reason, a.outcome, 'agent_lost')),
        jsonb_build_object('attempt', a.number, 'outcome', a.outcome, 'reason', a.reason, 'task_status', t.status));
end $$;

-- A member of a body as a whole number; null when it is none.
create function fleet.number_of(p jsonb) returns int
    language plpgsql immutable as $$
begin
    return case when jsonb_typeof(p) = 'number' and p #>> '{}' ~ '^[0-9]{1,9}$' then (p #>> '{}')::int end;
end $$;

-- ---------------------------------------------------------------- status

-- The agent says that it works: the hand-over is acknowledged, an answer has arrived. p_question: what it asks, if it asks.
create function fleet.agent_runs(a fleet.attempt, p_message text, p_question text) returns void
    language plpgsql as $$
declare
    v_actor text := fleet.node_actor(a.node);
begin
    if a.question is distinct from p_question or a.answer is not null or a.started_at is null then
        update fleet.attempt
        set phase = case when phase = 'stopping' then phase else 'running' end, started_at = coalesce(started_at, now()),
            starting_at = coalesce(starting_at, now()), question = p_question, answer = null,
            due_at = case when a.started_at is not null then due_at
                          else now() + make_interval(secs => (select t.timeout_secs from fleet.task t where t.task = a.task)) end
        where attempt = a.attempt;
    end if;
    if a.abandoned_at is null and (select status in ('assigned', 'agent_lost') from fleet.task where task = a.task) then
        perform fleet.move(a.task, 'running', 'running', a.number, v_actor, jsonb_build_object('epoch', a.epoch));
    end if;
    if p_question is not null then
        perform fleet.note(a.task, 'needs_input', a.number, v_actor, jsonb_build_object('question', p_question));
    elsif p_message is not null then
        perform fleet.note(a.task, 'message', a.number, v_actor, jsonb_build_object('message', p_message));
    end if;
end $$;

-- The first member of a status that is not as it has to be.
create function fleet.status_fault(p jsonb) returns fleet.fault
    language plpgsql immutable as $$
begin
    if (p ->> 'status' = any ('{running,needs_input,completed,failed,partial,cancelled}')) is not true then
        return fleet.value_fault('status', 'running, needs_input, completed, failed, partial or cancelled',
                                 to_jsonb(left(p ->> 'status', 120)));
    elsif coalesce(jsonb_typeof(p -> 'message'), 'null') not in ('string', 'null') or octet_length(p ->> 'message') > 16384
          or p ->> 'status' = 'needs_input' and coalesce(p ->> 'message', '') = '' then
        return fleet.value_fault('message', 'a text of at most 16384 bytes, and the question when the status is needs_input',
                                 to_jsonb(left(p ->> 'message', 120)));
    end if;
    return fleet.attempt_fault(p);
end $$;

create function fleet.attempt_fault(p jsonb) returns fleet.fault
    language plpgsql immutable as $$
begin
    if coalesce(jsonb_typeof(p -> 'attempt'), 'null') <> 'null' and fleet.number_of(p -> 'attempt') is null then
        return fleet.value_fault('attempt', 'the number that came with the task', to_jsonb(left(p ->> 'attempt', 120)));
    end if;
    return null;
end $$;

create function fleet.agent_status(p_by fleet.requester, p_task_id text, p_body jsonb) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    v_id text := fleet.agent_id_of(p_body);
    v_status text := p_body ->> 'status';
    v_fault fleet.fault := fleet.status_fault(p_body);
    h fleet.held;
begin
    if v_id is null then
        return fleet.no_agent_id(p_body);
    elsif v_fault.code is not null and v_status in ('created', 'assigned', 'agent_lost', 'review_pending') then
        return fleet.refuse(400, 'illegal_transition', format('an agent cannot make a task %s: it says running, needs_input, completed, '
            'failed, partial or cancelled', v_status));
    elsif v_fault.code is not null then
        return fleet.refuse(422, v_fault.code, v_fault.detail, v_fault.details);
    end if;
    h := fleet.held_by(p_by, p_task_id, v_id, fleet.number_of(p_body -> 'attempt'));
    if (h.refusal).status is not null then
        return h.refusal;
    elsif v_status not in ('running', 'needs_input') then
        return fleet.take_receipt(h, v_status, jsonb_strip_nulls(jsonb_build_object('status', v_status,
            case v_status when 'failed' then 'error' else 'summary' end, p_body -> 'message')));
    elsif fleet.is_over(h.attempt) then
        return fleet.over_refusal(h.task, h.attempt);
    end if;
    perform fleet.agent_runs(h.attempt, p_body ->> 'message', case v_status when 'needs_input' then p_body ->> 'message' end);
    return fleet.say(200, jsonb_build_object('task_id', p_task_id, 'attempt', (h.attempt).number,
        'status', (select t.status from fleet.task t where t.task = (h.task).task), 'cancel', fleet.unwanted(h.task, h.attempt))::text);
end $$;

-- ---------------------------------------------------------------- receipts

create function fleet.receipt_fault(p jsonb, p_task_id text) returns fleet.fault
    language plpgsql immutable as $$
declare v_fault fleet.fault;
begin
    select (fleet.value_fault(v.member, v.wanted, to_jsonb(left(p ->> v.member, 120)))).* into v_fault
    from (values
        (1, 'status', '{string}'::text[], p ->> 'status' = any ('{completed,failed,partial,cancelled}'),
            'completed, failed, partial or cancelled'),
        (2, 'task_id', '{string}', p ->> 'task_id' = p_task_id, 'that of the path'),
        (3, 'duration_seconds', '{number}', (p -> 'duration_seconds') between '0' and '1000000000', 'a number from 0 to 1000000000'),
        (4, 'summary', '{string}', octet_length(p ->> 'summary') <= 65536, 'a text of at most 65536 bytes'),
        (5, 'artifacts', '{array}', jsonb_array_length(case jsonb_typeof(p -> 'artifacts') when 'array' then p -> 'artifacts' end) <= 100
            and octet_length((p -> 'artifacts')::text) <= 65536, 'a list of at most 100 artifacts, at most 65536 bytes as JSON'),
        (6, 'error', '{string,object}', octet_length((p -> 'error')::text) <= 65536, 'a text of at most 65536 bytes'),
        (7, 'branch', '{string}', octet_length(p ->> 'branch') <= 255 and fleet.is_branch(p ->> 'branch'),
            'the name of a branch as git allows it'),
        (8, 'head', '{string}', p ->> 'head' ~ '^([0-9a-f]{40}|[0-9a-f]{64})$', 'the full name of a commit')
    ) v (place, member, types, fits, wanted)
    where case when coalesce(jsonb_typeof(p -> v.member), 'null') = 'null' then v.member = 'status'
               else (jsonb_typeof(p -> v.member) = any (v.types) and v.fits) is not true end
    order by v.place limit 1;
    return case when v_fault.code is null then fleet.attempt_fault(p) else v_fault end;
end $$;

-- A receipt that comes too late changes nothing; the first is kept as evidence.
create function fleet.late_receipt(h fleet.held, p_report jsonb) returns fleet.reply
    language plpgsql as $$
declare a fleet.attempt := h.attempt;
begin
    if a.late is null then
        update fleet.attempt set late = p_report where attempt = a.attempt;
        perform fleet.note(a.task, 'receipt_rejected', a.number, fleet.node_actor(a.node), jsonb_build_object(
            'code', 'attempt_over', 'outcome', a.outcome, 'reason', a.reason, 'said', p_report ->> 'status'));
    end if;
    return fleet.over_refusal(h.task, a);
end $$;

-- The end that an agent tells. Of a part that was done the run counts as succeeded, with the reason `partial`: running it all again by
-- itself would do the work twice. Told again, the same answer.
create function fleet.take_receipt(h fleet.held, p_status text, p_report jsonb) returns fleet.reply
    language plpgsql as $$
declare
    a fleet.attempt := h.attempt;
    v_settled text;
    v_again boolean := coalesce(a.ended_at is not null and a.report = p_report and a.settled is not null, false);
begin
    if not v_again and fleet.is_over(a) then
        return fleet.late_receipt(h, p_report);
    elsif p_status = 'cancelled' and not v_again and not fleet.unwanted(h.task, a) then
        return fleet.refuse(409, 'not_cancelled', format('nobody asked for task %s to be cancelled: an agent that gives up says failed',
            (h.task).task_id));
    end if;
    v_settled := case when v_again then a.settled else fleet.end_attempt(a,
        case p_status when 'failed' then 'failed' when 'cancelled' then 'cancelled' else 'succeeded' end,
        case p_status when 'failed' then 'agent_error' when 'cancelled' then 'cancelled' when 'partial' then 'partial' end,
        null, null, p_report) end;
    return fleet.say(200, jsonb_build_object('task_id', (h.task).task_id, 'attempt', a.number, 'status', v_settled)::text);
end $$;

create function fleet.agent_complete(p_by fleet.requester, p_task_id text, p_body jsonb) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    v_id text := fleet.agent_id_of(p_body);
    v_fault fleet.fault := fleet.receipt_fault(p_body, p_task_id);
    h fleet.held;
begin
    if v_id is null then
        return fleet.no_agent_id(p_body);
    elsif v_fault.code is not null then
        return fleet.refuse(422, v_fault.code, v_fault.detail, v_fault.details);
    end if;
    h := fleet.held_by(p_by, p_task_id, v_id, fleet.number_of(p_body -> 'attempt'));
    if (h.refusal).status is not null then
        return h.refusal;
    end if;
    return fleet.take_receipt(h, p_body ->> 'status', jsonb_strip_nulls(jsonb_build_object('status', p_body -> 'status',
        'duration_seconds', p_body -> 'duration_seconds', 'summary', p_body -> 'summary', 'artifacts', p_body -> 'artifacts',
        'error', p_body -> 'error', 'branch', p_body -> 'branch', 'head', p_body -> 'head')));
end $$;

-- ---------------------------------------------------------------- output

-- Appends output at an offset of its stream; answers the next one that is wanted.
create function fleet.agent_log(p_by fleet.requester, p_task_id text, p_agent_id text, p_attempt int, p_stream text, p_offset bigint,
                                p_bytes bytea) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    h fleet.held := fleet.held_by(p_by, p_task_id, p_agent_id, p_attempt);
    a fleet.attempt := h.attempt;
    r record;
begin
    if (h.refusal).status is not null then
        return h.refusal;
    elsif fleet.is_over(a) then
        return fleet.over_refusal(h.task, a);
    elsif a.stdout_bytes + a.stderr_bytes + length(p_bytes) > fleet.get('agent_output_max') then
        return fleet.refuse(413, 'output_limit', format('an attempt may store at most %s bytes of output', fleet.get('agent_output_max')));
    end if;
    -- a heartbeat may be writing the attempt: waited for here, which append() never does
    perform from fleet.attempt where attempt = a.attempt for no key update;
    select * into r from fleet.append(a.node, array[a.attempt], array[a.epoch], array[p_stream], array[p_offset], array[p_bytes],
                                    array[null]);
    return case r.verdict
        when 'ok' then fleet.say(200, jsonb_build_object('task_id', p_task_id, 'attempt', a.number, 'next_offset', r.next_offset)::text)
        when 'gap' then fleet.refuse(409, 'offset_gap', format('the next byte wanted of %s is at offset %s', p_stream, r.next_offset),
                                     jsonb_build_object('next_offset', r.next_offset))
        else fleet.refuse(422, 'invalid_value', '''stream'' has to be stdout or stderr',
                          '{"member": "stream", "limit": "stdout or stderr"}') end;
end $$;
