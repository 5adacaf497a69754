-- The work of a run in a repository: what its worker is told before it, and what the run left. What a host says of it is bounded here.

-- The members that are known, each of its type and within bounds; all others are left out. Null when nothing is left.
create function fleet.work_of(p jsonb) returns jsonb
    language plpgsql immutable as $$
begin
    return (
        select nullif(jsonb_object_agg(w.member, case w.kind when 'text' then to_jsonb(left(p ->> w.member, w.most))
                                                             else p -> w.member end), '{}')
        from (values
            ('state', 'text', 20), ('reason', 'text', 64), ('detail', 'text', 1000), ('branch', 'text', 256), ('base_branch', 'text', 256),
            ('base', 'text', 64), ('head', 'text', 64), ('pushed', 'text', 64), ('rescue', 'text', 256), ('instructions', 'text', 64),
            ('commits', 'number', 0), ('files', 'number', 0), ('insertions', 'number', 0), ('deletions', 'number', 0),
            ('leftovers', 'number', 0), ('withheld', 'number', 0)) w (member, kind, most)
        where case w.kind when 'text' then jsonb_typeof(p -> w.member) = 'string' and p ->> w.member <> ''
                          else jsonb_typeof(p -> w.member) = 'number' and p ->> w.member ~ '^[0-9]{1,18}$' end);
end $$;

-- The workspace is there, and this is where the run begins. Repeatable.
create function fleet.prepared(p_node uuid, p_attempt bigint, p_epoch int, p_work jsonb) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
    v_work jsonb := coalesce(a.work, '{}') || coalesce(fleet.work_of(p_work), '{}');
begin
    if a.ended_at is not null or a.work = v_work then
        return;
    end if;
    update fleet.attempt set work = v_work where attempt = p_attempt;
    perform fleet.note(a.task, 'prepared', a.number, fleet.node_actor(p_node),
                       fleet.work_of(p_work) - 'detail' || jsonb_build_object('epoch', a.epoch));
end $$;
comment on function fleet.prepared(uuid, bigint, int, jsonb) is 'The workspace of a run was made: where it begins.';

-- What a run with a workspace came to: it succeeded only when what it left was pushed, and the server said so.
create function fleet.work_verdict(inout outcome text, inout reason text, p_work jsonb)
    language plpgsql immutable as $$
begin
    if outcome not in ('succeeded', 'no_change') or reason = 'needs_input' then
        return;
    elsif p_work ->> 'state' = 'no_change' then
        outcome := 'no_change';
    elsif (p_work ->> 'state' = 'pushed' and p_work ->> 'pushed' = p_work ->> 'head') is not true then
        outcome := 'failed';
        reason := coalesce(p_work ->> 'reason', 'push_failed');
    else
        outcome := 'succeeded';
    end if;
end $$;

-- The session that a run goes on with: that of the task's last run which began, when it was on the same executor and, if accounts are
-- separate, as the same account; after a question or a wish of a person, or after an end that says nothing against the session.
create function fleet.session_of(a fleet.attempt, p_told boolean) returns text
    language plpgsql stable as $$
declare
    b fleet.attempt;
    v_class text;
begin
    select * into b from fleet.attempt x
    where x.task = a.task and x.number < a.number and x.started_at is not null
    order by x.number desc limit 1;
    if b.executor is distinct from a.executor or b.abandoned_at is not null or b.reason in ('session_lost', 'context_overflow')
       or (b.report ->> 'isolation' = 'separate' and b.ordinal is distinct from a.ordinal) then
        return null;
    end if;
    select r.class into v_class from fleet.reason r where r.reason = b.reason;
    return case when p_told or v_class in ('limit', 'time', 'infrastructure', 'request', 'workspace') then b.report ->> 'session_id' end;
end $$;

-- Tokens of the task's earlier runs in a session, in the order input, cached_input, output, reasoning: what an agent that counts for
-- a whole session has counted before.
create function fleet.session_tokens(a fleet.attempt, p_session text) returns bigint[]
    language sql stable
    begin atomic
        select array_agg(s.sum order by s.ord)
        from (select k.ord, least(coalesce(sum((x.report -> 'tokens' ->> k.name)::numeric), 0), 9007199254740992)::bigint
              from unnest('{input,cached_input,output,reasoning}'::text[]) with ordinality k (name, ord)
              left join fleet.attempt x on x.task = a.task and x.number < a.number and x.report ->> 'session_id' = p_session
              group by k.ord) s (ord, sum)
        where p_session is not null;
    end;

-- What a run has to know beyond its task, before its workspace is made.
create function fleet.briefing(p_node uuid, p_attempt bigint, p_epoch int)
    returns table (base_branch text, pushed_head text, session_id text, follow_up text, earlier_summary text, question text,
                   slot_ordinal int, session_tokens bigint[])
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    a fleet.attempt := fleet.fence(p_node, p_attempt, p_epoch);
    v_told fleet.told := fleet.told_to(a.task, a.number);
    v_session text := fleet.session_of(a, v_told.text is not null);
begin
    return query
    select t.base_branch,
           (select x.work ->> 'pushed' from fleet.attempt x
            where x.task = a.task and x.number < a.number and x.work ->> 'pushed' is not null order by x.number desc limit 1),
           v_session, v_told.text,
           case when v_told.text is not null or t.repo is not null then (
               select left(x.report ->> 'summary', 8000) from fleet.attempt x
               where x.task = a.task and x.number < a.number and x.report ->> 'summary' is not null order by x.number desc limit 1) end,
           v_told.question, a.ordinal, fleet.session_tokens(a, v_session)
    from fleet.task t where t.task = a.task;
end $$;
comment on function fleet.briefing(uuid, bigint, int) is
    'Where a run begins, the session that it goes on with if there is one here, and what was asked of it.';
