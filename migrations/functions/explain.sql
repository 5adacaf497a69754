-- Why a task is not running, in words; and whether the invariants hold. After the views.

create function fleet.explain_task(p_task_id text) returns table (agent_id text, can_take boolean, reason text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set jit = off as $$ -- which would compile for longer than it runs
#variable_conflict use_column
begin
    return query
        select null, false, w from fleet.task t, unnest(fleet.lane_warnings(t.lane)) w
        where t.task_id = fleet.known_id(p_task_id) and t.status = 'created' and exists (select from fleet.executor);
    return query
        select x.agent_id, x.can_take, x.reason from fleet.explanations x
        where x.task_id = fleet.known_id(p_task_id) order by x.can_take desc, x.agent_id;
    if not found then
        raise exception 'there is no task %', p_task_id using errcode = 'AF003';
    end if;
end $$;
comment on function fleet.explain_task(text) is 'Why a task is not running: one row per executor, in words.';

-- ---------------------------------------------------------------- the same by REST

-- Names for a sentence, the first three of them.
create function fleet.some_names(p_names text[]) returns text
    language plpgsql immutable as $$
begin
    return array_to_string(p_names[1:3], ', ')
        || case when cardinality(p_names) > 3 then format(' and %s more', cardinality(p_names) - 3) else '' end;
end $$;

-- What would make a waiting task run: a sentence for each kind of obstacle that stands before agents which could take it.
create function fleet.way_out(t fleet.task, p_code text, p_agents text[]) returns text
    language plpgsql stable as $$
declare v_names text := fleet.some_names(p_agents);
begin
    return case p_code
        when 'waits' then 'nothing: it starts by itself at ' || to_char(t.run_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        when 'barred' then format('nothing: %s may take it again soon', v_names)
        when 'full' then format('a free slot of %s: wait for one, or raise max_concurrency', v_names)
        when 'cordoned' then format('uncordoning the host of %s', v_names)
        when 'account' then (
            select string_agg(distinct case when k.parked_until = 'infinity' then format('looking at account %s, then unparking it', k.account)
                                            when k.state = 'half_open' then format('nothing: one run of account %s goes first', k.account)
                                            else format('nothing: account %s opens by itself; unparking it opens it now', k.account) end, '; ')
            from fleet.executor e join fleet.account k on k.account = e.account where e.agent_id = any (p_agents))
        when 'out_of_service' then format('looking at %s, then putting it back into service (unpark)', v_names)
        when 'resting' then format('waiting until %s has rested, or unparking it', v_names)
        when 'offline' then format('bringing %s back within reach', v_names)
        when 'repository' then format('letting %s take tasks of %s', v_names, coalesce(t.repo, 'no repository'))
        when 'mode' then format('an agent of kind %s, or another execution_mode', t.execution_mode)
        when 'assigned' then 'assigning it to another agent'
        when 'pinned' then (select 'nothing: from ' || to_char(p.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                                   || format(' on %s may take it; assigning it does so now', v_names) from fleet.pin p where p.task = t.task)
        when 'nobody' then 'a worker that has hosts, or an HTTP agent that registers' end;
end $$;

-- Why its issue is not read that has to be read before; null: it is, or is soon.
create function fleet.reading_help(t fleet.task) returns text
    language plpgsql stable as $$
begin
    return (select case when r.parked_until > now()
                        then format('what is said of %s (%s), then fleet.unpark_repository(%L)', r.repo, r.parked_reason, r.repo)
                        when l.tries > 0 then format('that its issue can be read, which failed %s times: %s', l.tries, l.reason) end
            from fleet.issue i
            join fleet.repository r on r.repo = i.repo
            left join fleet.look l on l.kind = 'issue' and l.id = i.issue and l.done < l.seq
            where i.issue = t.issue);
end $$;

-- What ends the hold of a waiting task; and which of its issue's labels are left out, because who put them there may not start work.
create function fleet.hold_help(t fleet.task) returns text[]
    language plpgsql stable as $$
begin
    return array(
        select x.help from (
            select 1 as place, case when t.hold = 'permission_pending' and not (fleet.policy(t.repo) ->> 'reads')::boolean
                       then 'forgejo.token in the configuration of a worker: without one nobody can ask'
                       when t.hold = 'daily_limit' then h.help || ' at '
                           || to_char(t.run_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                       else replace(h.help, 'fleet.approve(task_id)', format('fleet.approve(%L)', t.task_id)) end as help
            from fleet.hold_text h where h.hold = t.hold
            union all
            select 2, format('for %s, which somebody put there who may not start work: the same by somebody who may', fleet.some_names(i.refused))
            from fleet.issue i where i.issue = t.issue and i.refused <> '{}' and (fleet.policy(t.repo) ->> 'reads')::boolean
            union all
            select 3, fleet.reading_help(t) where t.hold in ('permission_pending', 'reading')) x
        where x.help is not null
        order by x.place);
end $$;

-- A waiting task: who could take it and why nobody has.
create function fleet.explain_waiting(t fleet.task) returns jsonb
    language plpgsql stable set jit = off as $$
declare
    v_rows jsonb;
    v_all int;
    v_can int;
    v_help text[];
    v_warnings text[] := fleet.lane_warnings(t.lane);
begin
    with x as materialized (
        select e.*, k.kind from fleet.explanations e
        left join fleet.executor_now k on k.agent_id = e.agent_id
        where e.task_id = t.task_id and k.gone is not true),
    kinds as (
        select code, array_agg(agent_id order by agent_id) as agents from x where code is not null group by code)
    select (select coalesce(jsonb_agg(jsonb_build_object('agent_id', r.agent_id, 'kind', r.kind, 'can_take', r.can_take, 'reason', r.reason)
                                      order by r.can_take desc, r.code = 'capability', r.agent_id), '[]')
            from (select * from x where agent_id is not null order by can_take desc, code = 'capability', agent_id limit 200) r),
           (select count(agent_id) from x), (select count(*) from x where can_take),
           (select array_agg(w order by w) from kinds, fleet.way_out(t, code, agents) w where w is not null)
    into v_rows, v_all, v_can, v_help;
    if v_can > 0 then
        v_help := array['nothing: it is taken next'];
    elsif cardinality(v_warnings) > 0 and v_all > 0 then
        v_help := array(select case when l.pinned is not null then 'assigning it to another agent' else 'an agent that can take it' end || ': ' || w
                        from fleet.lane l, unnest(v_warnings) w where l.lane = t.lane);
    end if;
    v_help := fleet.hold_help(t) || coalesce(v_help, '{}');
    return jsonb_build_object(
        'summary', case when v_can > 0 then format('it waits; %s of %s agents can take it now', v_can, v_all)
                        when t.hold is not null then (select format('it is held (%s): %s', h.hold, h.says)
                                                      from fleet.hold_text h where h.hold = t.hold)
                        when t.run_at > now() then 'it waits until ' || to_char(t.run_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                             || coalesce(', for its last run ended: ' || t.failure_reason, '')
                        else format('it waits; none of %s agents can take it now', v_all) end,
        'what_would_help', to_jsonb(v_help), 'executors', v_rows, 'executors_total', v_all, 'executors_that_can', v_can);
end $$;

-- A task that has an attempt which lives, or that has ended.
create function fleet.explain_placed(t fleet.task) returns jsonb
    language plpgsql stable as $$
declare
    a fleet.attempt;
    e fleet.executor;
    v_live boolean := t.status in ('assigned', 'running', 'agent_lost');
    v_advice text := (select r.advice from fleet.reason r where r.reason = t.failure_reason);
    v_help text;
begin
    select * into a from fleet.attempt where task = t.task and number = t.attempt_number;
    select * into e from fleet.executor where executor = a.executor;
    v_help := case
        when (v_live or t.status = 'review_pending') and a.question is not null and a.answer is null then 'an answer: POST …/answer {"text": …}'
        when v_live and t.cancel_at is not null then 'nothing: it is being stopped'
        when t.status = 'agent_lost' then 'bringing its agent back; or retry with {"force": "abandon", "reason": …}, after which it may run twice'
        when v_live then 'nothing: it is under way'
        when t.status = 'completed' then 'nothing: it is done; POST …/continue {"text": …} asks for more, retry with {"force": true} runs it again'
        when t.status = 'cancelled' and t.failure_reason in ('label_removed', 'not_permitted', 'approval_expired', 'issue_invalid', 'issue_closed')
            then v_advice
        when t.retry_count < t.max_retries and t.attempts < t.max_attempts_total then 'retry'
        else 'retry with {"force": true}: its retries are used up' end;
    return jsonb_build_object(
        'summary', case
            when t.status = 'review_pending' and a.question is not null
                then format('it waits for an answer (attempt %s on %s): %s', a.number, e.agent_id, a.question)
            when v_live and a.question is not null then format('it runs on %s (attempt %s) and asks: %s', e.agent_id, a.number, a.question)
            when v_live then format('it is %s on %s (attempt %s, %s%s)', case t.status when 'running' then 'running' when 'assigned' then 'about to start'
                                    else 'lost' end, e.agent_id, a.number, a.phase, coalesce(': ' || nullif(a.phase_reason, ''), ''))
            when t.status = 'failed' then format('it failed%s: %s', coalesce(' on ' || e.agent_id, ''), concat_ws('; ', t.failure_reason, v_advice))
            when t.status = 'cancelled' then format('it was cancelled%s', coalesce(' by ' || t.cancel_by, '') || coalesce(': ' || t.cancel_reason, ''))
            else format('it is %s%s', t.status, coalesce(', by ' || e.agent_id, '')) end,
        'what_would_help', jsonb_build_array(v_help),
        'executors', case when e.agent_id is null then '[]' else jsonb_build_array(jsonb_build_object(
            'agent_id', e.agent_id, 'kind', e.kind, 'can_take', null,
            'reason', (select x.reason from fleet.explanations x where x.task_id = t.task_id limit 1))) end,
        'executors_total', (e.agent_id is not null)::int, 'executors_that_can', 0);
end $$;

create function fleet.task_explain(p_by fleet.requester, p_task_id text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare t fleet.task := fleet.find_task(p_by, p_task_id);
begin
    if t.task is null then
        return fleet.no_task(p_task_id);
    end if;
    return fleet.say(200, (jsonb_build_object('task_id', t.task_id, 'status', t.status)
        || case t.status when 'created' then fleet.explain_waiting(t) else fleet.explain_placed(t) end)::text);
end $$;

-- How many rows each check_* view has; all must be 0.
create function fleet.check_all() returns table (name text, faults bigint)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    for name in
        select c.relname from pg_class c
        where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'v' and starts_with(c.relname, 'check_') order by 1
    loop
        execute format('select count(*) from fleet.%I', name) into faults;
        return next;
    end loop;
end $$;
comment on function fleet.check_all() is 'The invariants: one row per check_* view with the number of its faults.';
