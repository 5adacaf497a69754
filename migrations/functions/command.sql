-- What people say to a task in comments on its issue or pull request: commands, in the first line, and answers to what it asks.

-- The word after /agent, and what follows it; nulls when a comment is no command. Only its first line makes it one; a text may go on.
create function fleet.command_of(p_body text, out verb text, out rest text)
    language plpgsql immutable as $$
declare
    v_body text := replace(p_body, chr(13), '');
    v_line text := trim(split_part(v_body, chr(10), 1), chr(9) || ' ');
    v_match text[] := regexp_match(v_line, '^/agent(?:[[:blank:]]+([^[:blank:]]+)[[:blank:]]*(.*))?$', 'i');
begin
    if v_match is not null then
        verb := lower(coalesce(v_match[1], 'help'));
        rest := trim(concat_ws(chr(10), nullif(v_match[2], ''), nullif(substr(v_body, strpos(v_body || chr(10), chr(10)) + 1), '')),
                     chr(10) || chr(9) || ' ');
    end if;
end $$;

create function fleet.command_help() returns text
    language plpgsql immutable as $$
begin
    return '`/agent` and one of: `retry`, `rerun`, `cancel`, `status`, `continue TEXT`, `answer TEXT`, `approve`, `help`.';
end $$;

-- Does a comment say anything beside what it quotes?
create function fleet.says_something(p_body text) returns boolean
    language plpgsql immutable as $$
begin
    return exists (select from unnest(string_to_array(replace(p_body, chr(13), ''), chr(10))) l where trim(l) <> '' and trim(l) not like '>%');
end $$;

-- One response to each comment, told by the outbox; where nothing is told (no token), none.
create function fleet.respond(p_task bigint, p_number int, p_comment bigint, p_reaction text, p_text text default null) returns void
    language plpgsql as $$
begin
    if (fleet.policy(null) ->> 'reads')::boolean then
        insert into fleet.response (comment, task, number, reaction, text) values (p_comment, p_task, p_number, p_reaction, p_text)
        on conflict (comment) do nothing;
        perform fleet.mark(p_task, true);
    end if;
end $$;

-- What is done by a comment is in the trail, as what is done by REST.
create function fleet.trail_comment(p_actor text, p_action text, p_object text, p_before jsonb, p_after jsonb) returns void
    language plpgsql as $$
begin
    insert into fleet.audit (actor, action, object, before, after) values (p_actor, p_action, p_object, p_before, p_after);
end $$;

-- ---------------------------------------------------------------- the commands

-- Why a command was refused, in one line for who gave it. Null: it was not.
create function fleet.refusal_line(t fleet.task, p_verdict text) returns text
    language plpgsql stable as $$
begin
    return case p_verdict
        when 'ended' then format('It has ended already: it is %s.', t.status)
        when 'waiting' then format('It waits already%s.', coalesce(': ' || replace(t.hold, '_', ' '), ''))
        when 'completed' then 'It is completed. `/agent rerun` runs it anew, `/agent continue TEXT` asks for more.'
        when 'not_proven_ended' then 'Its last run is not proven ended: `/agent cancel` first, and wait for the end.'
        when 'retries_exhausted' then 'It has used up its retries. `/agent rerun` begins anew with fresh counters.'
        when 'reviews_exhausted' then format('It was sent back %s times, as often as `orchestrator.max_reviews` allows. '
                                             '`/agent rerun` begins anew, or finish it by hand.', t.review_count)
        when 'not_asking' then format('It asks nothing: it is %s. `/agent continue TEXT` asks for more.', t.status)
        when 'not_ended' then format('There is nothing to continue: it is %s%s.', t.status,
                                     case when t.attempt_number = 0 then ' and has not run yet' else '' end)
        when 'no_text' then 'Say what: `/agent continue TEXT`, `/agent answer TEXT`.'
        when 'not_permitted' then 'Nobody who may start work has asked for it. Take its `agent:` label away, and add it yourself.'
        when 'not_held' then 'It does not wait for an approval.'
        when 'text_changed' then 'The text was changed after that. Look at it again, then `/agent approve` once more.' end;
end $$;

-- More is wanted: at once when nothing runs, else at the end of what runs or waits.
create function fleet.continue_by_comment(t fleet.task, p_text text, p_actor text) returns text
    language plpgsql as $$
begin
    if t.attempt_number = 0 or t.status = 'cancelled' then
        return 'not_ended';
    elsif fleet.no_review_left(t) then
        return 'reviews_exhausted';
    end if;
    perform fleet.new_round(t);
    perform fleet.want_follow(t, 'continue', 'continued', p_text, p_actor);
    perform fleet.settle(t.task, p_actor);
    return 'continued';
end $$;

create function fleet.answer_by_comment(t fleet.task, p_text text, p_actor text) returns text
    language plpgsql as $$
declare a fleet.attempt := fleet.asking(t.task_id);
begin
    if a.attempt is null then
        return 'not_asking';
    end if;
    perform fleet.give_answer(a, p_text, p_text, p_actor);
    return 'answered';
end $$;

-- Obeys what was written at p_at. Answers what came of it: a word of refusal_line(), or another. Under the task's lock.
create function fleet.obey(t fleet.task, p_verb text, p_rest text, p_actor text, p_at timestamptz) returns text
    language plpgsql as $$
begin
    return case
        when p_verb in ('continue', 'answer') and p_rest = '' then 'no_text'
        when p_verb = 'cancel' then fleet.cancel_task(t.task_id, left(nullif(p_rest, ''), 500), p_actor)
        when p_verb in ('retry', 'rerun') and t.failure_reason = 'not_permitted' then 'not_permitted'
        when p_verb = 'retry' then fleet.retry_task(t.task_id, false, null, p_actor)
        when p_verb = 'rerun' then fleet.retry_task(t.task_id, true, null, p_actor)
        when p_verb = 'continue' then fleet.continue_by_comment(t, left(p_rest, 32768), p_actor)
        when p_verb = 'answer' then fleet.answer_by_comment(t, left(p_rest, 32768), p_actor)
        when p_verb = 'approve' then fleet.approve_task(t.task_id, p_actor, p_at)
        when p_verb = 'status' then 'shown'
        when p_verb = 'help' then 'help'
        else 'unknown' end;
end $$;

-- A command by somebody who may give it, with what is said back: a reaction, and a line when it was refused or is not known.
create function fleet.take_command(t fleet.task, p_number int, p_comment jsonb, p_verb text, p_rest text) returns void
    language plpgsql as $$
declare
    v_actor text := fleet.forgejo_actor(p_comment ->> 'by');
    v_verdict text := fleet.obey(t, p_verb, p_rest, v_actor, fleet.time_of(p_comment ->> 'created_at'));
    v_line text := fleet.refusal_line(t, v_verdict);
    v_comment bigint := (p_comment ->> 'id')::bigint;
begin
    if v_line is not null then
        perform fleet.respond(t.task, p_number, v_comment, '-1', format('`/agent %s`: %s', p_verb, v_line));
    elsif v_verdict in ('unknown', 'help') then
        perform fleet.respond(t.task, p_number, v_comment, case v_verdict when 'help' then '+1' else 'confused' end, fleet.command_help());
    else
        perform fleet.respond(t.task, p_number, v_comment, case v_verdict when 'shown' then 'eyes' else '+1' end);
        if v_verdict = 'shown' then
            perform fleet.tell_anew(t.task);
        end if;
    end if;
    if v_line is null and p_verb in ('cancel', 'retry', 'rerun', 'continue', 'answer', 'approve') then
        perform fleet.trail_comment(v_actor, 'task_' || p_verb, t.task_id, jsonb_build_object('status', t.status, 'attempt', t.attempt_number),
                                    jsonb_build_object('status', v_verdict, 'comment', v_comment));
        update fleet.task set requested_by = p_comment ->> 'by', requested_id = (p_comment ->> 'by_id')::bigint
        where task = t.task and p_verb in ('retry', 'rerun', 'continue');
    end if;
end $$;

-- ---------------------------------------------------------------- comments

-- Can a comment be about this task as it is? One that was written before it was asked for is not; nor is one that was changed since.
create function fleet.comment_counts(t fleet.task, p jsonb) returns boolean
    language plpgsql stable as $$
begin
    return p ->> 'updated_at' = p ->> 'created_at' and not fleet.is_ours((p ->> 'by_id')::bigint)
       and case when t.ask > 0 then (p ->> 'id')::bigint > t.ask
                else fleet.time_of(p ->> 'created_at') >= t.created_at - interval '1 minute' end;
end $$;

-- Is a comment that is no command an answer to what the task asks? Only when it was written after the question.
create function fleet.replies(t fleet.task, p jsonb) returns boolean
    language plpgsql stable as $$
declare a fleet.attempt := fleet.asking(t.task_id);
begin
    return a.attempt is not null and a.answer is null and fleet.says_something(p ->> 'body')
       and fleet.time_of(p ->> 'created_at') >= date_trunc('second', coalesce(a.ended_at, (
               select max(e.at) from fleet.event e where e.task = t.task and e.event_type = 'needs_input')));
end $$;

-- What a comment comes to. False: nobody could say whether its author may give commands; it is looked at again. The author of an issue
-- may close it, and so cancel its task as well.
create function fleet.take_comment(p_task bigint, p_number int, p_author bigint, p jsonb, p_people jsonb) returns boolean
    language plpgsql as $$
declare
    t fleet.task;
    v_may boolean;
    v record;
begin
    select * into strict t from fleet.task where task = p_task;
    v_may := fleet.may_ask(p_people, p ->> 'by', t.repo);
    select * into v from fleet.command_of(p ->> 'body');
    if v.verb is null and not fleet.replies(t, p) then
        return true;
    elsif v_may is null then
        return false;
    elsif v_may and v.verb is not null then
        perform fleet.take_command(t, p_number, p, v.verb, v.rest);
    elsif v_may then
        perform fleet.take_command(t, p_number, p, 'answer', trim(p ->> 'body', chr(10) || chr(13) || chr(9) || ' '));
    elsif v.verb = 'cancel' and (p ->> 'by_id')::bigint = p_author then
        perform fleet.obey(t, 'cancel', '', fleet.forgejo_actor(p ->> 'by'), now());
    end if;
    return true;
end $$;

-- Comments that were not seen before, in their order: under an issue, or under a pull request of a task. Whoever calls holds the lock of
-- that. What somebody said before is not said again by an edit, and not unsaid.
create function fleet.take_comments(p_issue bigint, p_pull bigint, p_comments jsonb, p_people jsonb) returns void
    language plpgsql as $$
declare
    i fleet.issue;
    r fleet.pull;
    t fleet.task;
    v jsonb;
    v_new bigint[] := array[]::bigint[];
begin
    select * into i from fleet.issue where issue = p_issue;
    select * into r from fleet.pull where pull = p_pull;
    select * into t from fleet.task where task = r.task or issue = i.issue for update;
    if not found then
        return;
    end if;
    for v in select x from jsonb_array_elements(fleet.items(p_comments)) x
             where fleet.unserved((x ->> 'id')::bigint, coalesce(i.comments_seen, r.comments_seen),
                                  coalesce(i.comment_served, r.comment_served))
             order by (x ->> 'id')::bigint loop
        if not fleet.comment_counts(t, v) or fleet.take_comment(t.task, coalesce(i.number, r.number), i.author_id, v, p_people) then
            v_new := v_new || (v ->> 'id')::bigint;
        end if;
    end loop;
    if v_new <> '{}' then
        update fleet.issue x set (comments_seen, comment_served) = (
            select m.seen, m.served from fleet.remember(x.comments_seen, x.comment_served, v_new, 32) m)
        where x.issue = p_issue;
        update fleet.pull x set (comments_seen, comment_served) = (
            select m.seen, m.served from fleet.remember(x.comments_seen, x.comment_served, v_new, 32) m)
        where x.pull = p_pull;
    end if;
end $$;
comment on function fleet.take_comments(bigint, bigint, jsonb, jsonb) is
    'Takes comments on an issue or a pull request: commands and answers, each once.';
