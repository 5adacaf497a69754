-- What people do to a task: cancel, retry, abandon. By REST and by psql alike: each leaves a row in the trail when it is granted.

-- A task as the trail shows it, locked; null when there is none.
create function fleet.hold_task(p_task_id text) returns jsonb
    language plpgsql as $$
declare v_now jsonb;
begin
    select jsonb_build_object('status', t.status, 'attempt', t.attempt_number, 'retry_count', t.retry_count) into v_now
    from fleet.task t where t.task_id = fleet.known_id(p_task_id) for update;
    return v_now;
end $$;

-- The same, and null too when the task is out of the bounds of who asks: then it does not exist for them. (Neither its repository nor
-- who held it is taken back.)
create function fleet.hold_task_for(p_by fleet.requester, p_task_id text) returns jsonb
    language plpgsql as $$
declare t fleet.task := fleet.find_task(p_by, p_task_id);
begin
    return fleet.hold_task(t.task_id);
end $$;

create function fleet.say_status(p_http int, p_task_id text, p_status text) returns fleet.reply
    language plpgsql immutable as $$
begin
    return fleet.say(p_http, json_build_object('task_id', p_task_id, 'status', p_status)::text);
end $$;

-- Takes out a task that waits, for an agent or for a person's answer. Under the task's lock.
create function fleet.cancel_idle(t fleet.task, p_reason text, p_why text, p_actor text) returns void
    language plpgsql as $$
begin
    perform fleet.dequeue(t.task);
    update fleet.task set cancel_at = now(), cancel_by = p_actor, cancel_reason = p_why, failure_reason = p_reason where task = t.task;
    perform fleet.move(t.task, 'cancelled', 'cancelled', null, p_actor, jsonb_build_object('reason', coalesce(p_why, p_reason)));
end $$;

-- Records the wish to stop; whoever owns the attempt is told by renew(). What a person wants takes the place of what the end of the issue
-- means. Under the task's lock.
create function fleet.ask_cancel(t fleet.task, p_why text, p_actor text) returns void
    language plpgsql as $$
begin
    if t.cancel_at is null or (t.cancel_reason = 'issue_closed' and p_why is distinct from 'issue_closed') then
        update fleet.task set cancel_at = now(), cancel_by = p_actor, cancel_reason = p_why where task = t.task;
        perform fleet.note(t.task, 'cancel_requested', t.attempt_number, p_actor, jsonb_build_object('reason', p_why));
    end if;
end $$;

-- Verdicts, never an error for what a task is: a statement over many tasks must not fail at the first that has ended.
create function fleet.cancel_task(p_task_id text, p_reason text, p_actor text) returns text
    language plpgsql as $$
declare t fleet.task;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found then
        return 'not_found';
    elsif t.status in ('created', 'review_pending') then
        perform fleet.cancel_idle(t, 'cancelled', p_reason, p_actor);
        return 'cancelled';
    elsif t.status in ('completed', 'failed', 'cancelled') then
        return 'ended';
    end if;
    perform fleet.ask_cancel(t, p_reason, p_actor);
    return 'cancelling';
end $$;

create function fleet.cancel(p_task_id text, p_reason text default null) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
declare
    v_before jsonb;
    v_verdict text;
begin
    v_before := fleet.hold_task(p_task_id);
    v_verdict := fleet.cancel_task(p_task_id, p_reason, fleet.caller());
    if v_verdict in ('cancelled', 'cancelling') then
        perform fleet.trail_psql('task_cancel', p_task_id, v_before, jsonb_build_object('status', v_verdict, 'reason', p_reason));
    end if;
    return v_verdict;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.cancel(text, text) is
    'Cancels a waiting task (cancelled) or asks for its run to be stopped (cancelling); or answers ended, not_found, busy (try again).';

-- 202 while a run has to be stopped first; asked again, the same. A task that was cancelled stays so: 200.
create function fleet.task_cancel(p_by fleet.requester, p_task_id text, p_reason text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_before jsonb := fleet.hold_task_for(p_by, p_task_id);
    v_verdict text;
begin
    if v_before is null then
        return fleet.no_task(p_task_id);
    end if;
    v_verdict := fleet.cancel_task(p_task_id, p_reason, fleet.token_actor((p_by).token_id));
    if v_verdict = 'ended' and v_before ->> 'status' <> 'cancelled' then
        return fleet.refuse(409, 'conflict', format('the task has ended already: it is %s', v_before ->> 'status'), v_before);
    elsif v_verdict = 'ended' then
        return fleet.say_status(200, p_task_id, 'cancelled');
    end if;
    perform fleet.trail(p_by, 'task_cancel', p_task_id, v_before, jsonb_build_object('status', v_verdict, 'reason', p_reason));
    return fleet.say_status(case v_verdict when 'cancelling' then 202 else 200 end, p_task_id, v_verdict);
end $$;

-- A person wants it, again or more of it: what was closed before that decides nothing any more. Under the task's lock.
create function fleet.new_round(t fleet.task) returns void
    language plpgsql as $$
begin
    update fleet.task set round = round + 1, round_at = now() where task = t.task;
end $$;

-- Back to created with fresh facts; attempt numbers go on. p_there: where its session and workspace are, if that can be. Under the
-- task's lock.
create function fleet.again(t fleet.task, p_event text, p_actor text, p_payload jsonb, p_there boolean default false) returns void
    language plpgsql as $$
declare v_lane int;
begin
    perform fleet.new_round(t);
    delete from fleet.pin where task = t.task;
    if p_there then
        v_lane := fleet.lane_of_last(t, now());
    end if;
    update fleet.task
    set cancel_at = null, cancel_by = null, cancel_reason = null, failure_reason = null, assigned_at = null,
        ask = case when p_event = 'resubmitted' then ask end,
        lane = coalesce(v_lane, fleet.lane_for(requirements, execution_mode, repo)) -- its old one may be gone
    where task = t.task;
    perform fleet.move(t.task, 'created', p_event, t.attempt_number, p_actor, p_payload);
    perform fleet.enqueue(t.task, now());
end $$;

-- Gives up an attempt that is not proven ended: it keeps its slot and a standing wish to be killed, and settles nothing any more.
create function fleet.abandon(p_attempt bigint, p_why text, p_actor text) returns void
    language plpgsql as $$
declare a fleet.attempt;
begin
    update fleet.attempt set abandoned_at = now(), abandoned_by = p_actor, abandoned_reason = p_why
    where attempt = p_attempt returning * into strict a;
    perform fleet.note(a.task, 'abandoned', a.number, p_actor, jsonb_build_object('reason', p_why, 'epoch', a.epoch));
end $$;

-- Verdicts as those of cancel_task().
create function fleet.retry_task(p_task_id text, p_force boolean, p_abandon text, p_actor text) returns text
    language plpgsql as $$
declare
    t fleet.task;
    v_force boolean := coalesce(p_force, false);
    v_live bigint;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found then
        return 'not_found';
    end if;
    select attempt into v_live from fleet.attempt where task = t.task and ended_at is null and abandoned_at is null;
    if t.status = 'created' then
        return 'waiting';
    elsif t.status = 'completed' and not v_force then
        return 'completed';
    elsif v_live is not null and coalesce(p_abandon, '') = '' then
        return 'not_proven_ended';
    elsif not v_force and (t.retry_count >= t.max_retries or t.attempts >= t.max_attempts_total) then
        return 'retries_exhausted';
    end if;
    if v_live is not null then
        perform fleet.abandon(v_live, p_abandon, p_actor);
    end if;
    update fleet.task
    set retry_count = case when v_force then 0 else retry_count + 1 end,
        attempts = case when v_force then 0 else attempts end, release_count = 0,
        review_count = case when v_force then 0 else review_count end
    where task = t.task;
    perform fleet.close_follow(t, t.status = 'completed');
    perform fleet.again(t, 'retried', p_actor, jsonb_build_object('force', v_force), t.status <> 'completed');
    perform fleet.hint(); -- not wake(): who goes to sleep before this commits is not seen here
    return 'created';
end $$;

create function fleet.retry(p_task_id text, p_force boolean default false, p_abandon text default null) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
declare
    v_before jsonb;
    v_verdict text;
begin
    v_before := fleet.hold_task(p_task_id);
    v_verdict := fleet.retry_task(p_task_id, p_force, p_abandon, fleet.caller());
    if v_verdict = 'created' then
        perform fleet.trail_psql('task_retry', p_task_id, v_before,
                                 jsonb_build_object('status', v_verdict, 'force', p_force, 'abandon', p_abandon));
    end if;
    return v_verdict;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.retry(text, boolean, text) is
    'Runs an ended task again (created). force: counters anew. A reason to abandon: although its run is not proven ended. Or answers'
    ' waiting, completed (only force), not_proven_ended, retries_exhausted, not_found, busy (try again).';

-- Why a retry is refused, with what would be granted instead.
create function fleet.refuse_retry(p_task_id text, p_verdict text) returns fleet.reply
    language plpgsql stable as $$
declare
    t fleet.task;
    a fleet.attempt;
    v_agent text;
begin
    select * into strict t from fleet.task where task_id = fleet.known_id(p_task_id);
    select * into a from fleet.attempt where task = t.task and ended_at is null and abandoned_at is null;
    select agent_id into v_agent from fleet.executor where executor = a.executor;
    return case p_verdict
        when 'waiting' then fleet.refuse(400, 'illegal_transition', 'the task waits already: it is created')
        when 'completed' then fleet.refuse(400, 'illegal_transition', 'the task is completed: only {"force": true} runs it again')
        when 'not_proven_ended' then fleet.refuse(409, 'not_proven_dead', format(
            'attempt %s on %s is not proven ended (%s): cancel the task and wait, or give the attempt up with '
            '{"force": "abandon", "reason": "…"}; then the task may run twice',
            a.number, v_agent, a.phase || coalesce(': ' || nullif(a.phase_reason, ''), '')),
            jsonb_build_object('attempt', a.number, 'agent_id', v_agent, 'phase', a.phase, 'phase_reason', a.phase_reason,
                               'unseen_since', fleet.utc(fleet.unseen_since(a)), 'way_out', '{"force": "abandon", "reason": "…"}'))
        else fleet.refuse(400, 'retries_exhausted', case
            when t.attempts >= t.max_attempts_total then format('the task was tried %s times of at most %s', t.attempts, t.max_attempts_total)
            else format('the task has used %s of %s retries', t.retry_count, t.max_retries) end
            || ': {"force": true} runs it again, its counters start anew',
            jsonb_build_object('retry_count', t.retry_count, 'max_retries', t.max_retries, 'attempts', t.attempts,
                               'max_attempts_total', t.max_attempts_total, 'way_out', '{"force": true}')) end;
end $$;

create function fleet.task_retry(p_by fleet.requester, p_task_id text, p_force boolean, p_abandon text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_before jsonb := fleet.hold_task_for(p_by, p_task_id);
    v_verdict text;
begin
    if v_before is null then
        return fleet.no_task(p_task_id);
    end if;
    v_verdict := fleet.retry_task(p_task_id, p_force, p_abandon, fleet.token_actor((p_by).token_id));
    if v_verdict <> 'created' then
        return fleet.refuse_retry(p_task_id, v_verdict);
    end if;
    perform fleet.trail(p_by, 'task_retry', p_task_id, v_before,
                        jsonb_build_object('status', v_verdict, 'force', p_force, 'abandon', p_abandon));
    return fleet.say_status(200, p_task_id, v_verdict);
end $$;

-- The task of an attempt that a person gave up without another one following: cancelled when that was asked, else failed.
create function fleet.give_up(t fleet.task, a fleet.attempt, p_actor text) returns void
    language plpgsql as $$
declare v_to text := case when t.cancel_at is not null then 'cancelled' else 'failed' end;
begin
    update fleet.task set failure_reason = case v_to when 'failed' then 'abandoned' else v_to end where task = t.task;
    perform fleet.move(t.task, v_to, v_to, a.number, p_actor, '{"reason": "abandoned"}');
end $$;

-- Its slot is for others. Under the task's lock.
create function fleet.free_attempt(a fleet.attempt, p_reason text, p_actor text) returns void
    language plpgsql as $$
begin
    if a.abandoned_at is null then
        perform fleet.abandon(a.attempt, p_reason, p_actor);
    end if;
    update fleet.attempt set freed_at = now(), freed_by = p_actor, freed_reason = p_reason where attempt = a.attempt;
    perform fleet.vacate(a);
    insert into fleet.freed (attempt) values (a.attempt) on conflict do nothing;
    perform fleet.note(a.task, 'slot_freed', a.number, p_actor, jsonb_build_object('reason', p_reason, 'phase', a.phase, 'epoch', a.epoch));
end $$;

-- Gives the slot of a run that is not proven ended to others, on a person's word, whatever its phase. The run is abandoned: it still is
-- to be stopped wherever it is found, and what comes of it is evidence only. Verdicts as those of cancel_task().
create function fleet.free_slot(p_task_id text, p_attempt int, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
declare
    t fleet.task;
    a fleet.attempt;
    v_actor text := fleet.caller();
begin
    if coalesce(p_reason, '') = '' then
        raise exception 'say why: fleet.free_slot(task_id, attempt, reason)' using errcode = 'AF007';
    end if;
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    select * into a from fleet.attempt where task = t.task and number = p_attempt;
    if not found then
        return 'not_found';
    elsif a.ended_at is not null then
        return 'ended';
    elsif a.freed_at is not null then
        return 'freed';
    end if;
    perform fleet.free_attempt(a, p_reason, v_actor);
    if a.abandoned_at is null and t.status in ('assigned', 'running', 'agent_lost') then
        perform fleet.give_up(t, a, v_actor);
    end if;
    perform fleet.trail_psql('free_slot', p_task_id, jsonb_build_object('status', t.status, 'attempt', a.number, 'phase', a.phase),
                             jsonb_build_object('status', (select status from fleet.task where task = t.task), 'reason', p_reason));
    perform fleet.hint();
    return 'freed';
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.free_slot(text, int, text) is
    'Frees the slot of a run that nobody can prove ended (freed); it may go on all the same. Or answers ended, not_found, busy (try again).';

-- ---------------------------------------------------------------- answers and follow-ups

-- The run that asks, and what it asks: one that lives, or the one that ended with a question. Nulls when none does. Under the task's lock.
create function fleet.asking(p_task_id text) returns fleet.attempt
    language plpgsql stable as $$
declare a fleet.attempt;
begin
    select x.* into a from fleet.attempt x join fleet.task t on t.task = x.task
    where t.task_id = fleet.known_id(p_task_id) and x.abandoned_at is null and x.question is not null
      and (x.ended_at is null or t.status = 'review_pending' and x.number = t.attempt_number);
    return a;
end $$;

-- An agent that runs is told with its next heartbeat, until it says that it goes on: another answer before that takes the place of the
-- first. Behind a run that has ended another one follows. The history shows p_shown, which is the text without credentials. Answers the
-- task's status.
create function fleet.give_answer(a fleet.attempt, p_text text, p_shown text, p_actor text) returns text
    language plpgsql as $$
begin
    perform fleet.note(a.task, 'answered', a.number, p_actor, jsonb_build_object('question', a.question, 'text', p_shown));
    if a.ended_at is null then
        update fleet.attempt set answer = p_text where attempt = a.attempt;
        return (select t.status from fleet.task t where t.task = a.task);
    end if;
    insert into fleet.follow (task, number, kind, question, text, shown, asked_by)
    values (a.task, a.number, 'answer', a.question, p_text, p_shown, p_actor);
    return fleet.settle(a.task, p_actor);
end $$;

-- (Granted for servers of the release before.)
create function fleet.answer_task(p_by fleet.requester, p_task_id text, p_text text, p_shown text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_before jsonb := fleet.hold_task_for(p_by, p_task_id);
    a fleet.attempt;
    v_status text;
begin
    if v_before is null then
        return fleet.no_task(p_task_id);
    end if;
    a := fleet.asking(p_task_id);
    if a.attempt is null then
        return fleet.refuse(409, 'not_asking', format('the task asks nothing: it is %s', v_before ->> 'status'), v_before);
    end if;
    v_status := fleet.give_answer(a, p_text, p_shown, fleet.token_actor((p_by).token_id));
    perform fleet.trail(p_by, 'task_answer', p_task_id, null, jsonb_build_object('attempt', a.number, 'bytes', octet_length(p_text)));
    return fleet.say(202, json_build_object('task_id', p_task_id, 'status', v_status, 'attempt', a.number)::text);
end $$;

create function fleet.answer(p_task_id text, p_text text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare a fleet.attempt;
begin
    perform fleet.check_wish('answer', p_text);
    if fleet.hold_task(p_task_id) is null then
        return 'not_found';
    end if;
    a := fleet.asking(p_task_id);
    if a.attempt is null then
        return 'not_asking';
    end if;
    perform fleet.give_answer(a, p_text, p_text, fleet.caller());
    perform fleet.trail_psql('task_answer', p_task_id, null, jsonb_build_object('attempt', a.number, 'bytes', octet_length(p_text)));
    return 'answered';
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.answer(text, text) is
    'Answers a task that asks (answered): its agent is told, or goes on with it. Or answers not_asking, not_found, busy (try again).';

-- What a person says to a task by psql has a text, and no more than by REST.
create function fleet.check_wish(p_call text, p_text text) returns void
    language plpgsql immutable as $$
begin
    if coalesce(octet_length(p_text), 0) not between 1 and 65536 then
        raise exception 'a text of 1 to 65536 bytes is wanted: fleet.%(task_id, text)', p_call using errcode = 'AF007';
    end if;
end $$;

-- More is wanted of a task whose run has ended, well or badly. Verdicts as those of cancel_task(). p_shown: the text without credentials.
create function fleet.continue_task(p_task_id text, p_text text, p_shown text, p_actor text) returns text
    language plpgsql as $$
declare t fleet.task;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found then
        return 'not_found';
    elsif t.status not in ('completed', 'failed', 'review_pending') or t.attempt_number = 0 then
        return 'not_ended';
    elsif exists (select from fleet.attempt where task = t.task and ended_at is null and abandoned_at is null) then
        return 'not_proven_ended';
    end if;
    update fleet.task set cancel_at = null, cancel_by = null, cancel_reason = null where task = t.task;
    perform fleet.new_round(t);
    insert into fleet.follow (task, number, kind, text, shown, asked_by)
    values (t.task, t.attempt_number, 'continue', p_text, p_shown, p_actor);
    perform fleet.note(t.task, 'continued', t.attempt_number, p_actor, jsonb_build_object('text', p_shown));
    return fleet.settle(t.task, p_actor);
end $$;

create function fleet.task_continue(p_by fleet.requester, p_task_id text, p_text text, p_shown text) returns fleet.reply
    language plpgsql as $$
declare
    v_before jsonb := fleet.hold_task_for(p_by, p_task_id);
    v_verdict text;
begin
    if v_before is null then
        return fleet.no_task(p_task_id);
    end if;
    v_verdict := fleet.continue_task(p_task_id, p_text, p_shown, fleet.token_actor((p_by).token_id));
    if v_verdict = 'not_proven_ended' then
        return fleet.refuse_retry(p_task_id, v_verdict);
    elsif v_verdict <> 'created' then
        return fleet.refuse(409, 'not_ended', format('only a task that has run and ended can be continued: it is %s',
                                                     v_before ->> 'status'), v_before);
    end if;
    perform fleet.trail(p_by, 'task_continue', p_task_id, v_before, jsonb_build_object('status', v_verdict, 'bytes', octet_length(p_text)));
    return fleet.say_status(202, p_task_id, v_verdict);
end $$;

-- What a person says to a task by REST: an answer, or that it is to be continued. With an Idempotency-Key the same said again to the same
-- task has the answer of the first time; without one it is said twice.
create function fleet.task_say(p_by fleet.requester, p_kind text, p_task_id text, p_text text, p_shown text, p_key text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_request fleet.submission[] := array[row((p_by).token_id, (p_by).address, (p_by).request_id, p_key,
        md5(concat_ws(' ', p_kind, p_task_id, p_text)), 'one', null, null, null)::fleet.submission];
    v_reply fleet.reply;
begin
    if not (fleet.take_keys(v_request))[1] then
        return (select fleet.say(k.status, k.body) from unnest(fleet.kept_answers(v_request, '{false}')) k);
    end if;
    v_reply := case p_kind when 'answer' then fleet.answer_task(p_by, p_task_id, p_text, p_shown)
                           else fleet.task_continue(p_by, p_task_id, p_text, p_shown) end;
    update fleet.idempotency set task_id = p_task_id, answer = v_reply.body, status = v_reply.status
    where token_id = coalesce((p_by).token_id, 0) and key = p_key and v_reply.status < 300;
    delete from fleet.idempotency where token_id = coalesce((p_by).token_id, 0) and key = p_key and v_reply.status >= 300;
    return v_reply;
end $$;

create function fleet.continue(p_task_id text, p_text text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_before jsonb;
    v_verdict text;
begin
    perform fleet.check_wish('continue', p_text);
    v_before := fleet.hold_task(p_task_id);
    v_verdict := fleet.continue_task(p_task_id, p_text, p_text, fleet.caller());
    if v_verdict = 'created' then
        perform fleet.trail_psql('task_continue', p_task_id, v_before,
                                 jsonb_build_object('status', v_verdict, 'bytes', octet_length(p_text)));
    end if;
    return v_verdict;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.continue(text, text) is
    'Asks more of a task whose run has ended (created): it goes on where its session and workspace are. Or answers not_ended,'
    ' not_proven_ended, not_found, busy (try again).';
