-- Verified webhook deliveries. Work starts at an edge: an admitted delivery takes an issue from no agent:* label to some.

-- A delivery as the server read it. number: null when it is about no issue or pull request. admitted: its sender may start work by the
-- server's configuration; refusal: why he may not. Ids are Forgejo's; null from servers of the release before.
create type fleet.incoming as (
    delivery text, sha256 text, event text, event_type text, action text, repo text, number int, title text, body text, labels text[],
    state text, updated_at text, html_url text, sender text, admitted boolean, refusal text, timeout_secs int, max_retries int,
    max_attempts_total int, repository_id bigint, issue_id bigint, sender_id bigint, text_hash text, milestone text);

-- Who did it, by Forgejo. One line, whatever a sender calls itself.
create function fleet.sender_actor(p fleet.incoming) returns text
    language plpgsql immutable as $$
begin
    return 'forgejo:' || fleet.one_line(coalesce(p.sender, ''), '?');
end $$;

-- The issue's own clock, never from the far future: an absurd one would make all that follows stale.
create function fleet.delivery_time(p fleet.incoming) returns timestamptz
    language plpgsql stable as $$
begin
    return least(coalesce(fleet.time_of(p.updated_at), now()), now() + interval '1 day');
end $$;

create function fleet.note_delivery(p fleet.incoming, p_result text, p_reason text, p_task_id text, p_detail text) returns void
    language sql
begin atomic
    insert into fleet.delivery (delivery_id, sha256, event, event_type, action, repo, number, sender, result, reason, task_id, detail, sent_at,
                                text_hash, sender_id, repository_id)
    values (coalesce(p.delivery, ''), coalesce(p.sha256, ''), coalesce(p.event, ''), p.event_type,
            p.action, left(p.repo, 512), p.number, p.sender, p_result, p_reason, p_task_id, p_detail, fleet.time_of(p.updated_at),
            p.text_hash, p.sender_id, p.repository_id);
end;

-- Seen before: the same id, or the same body in a delivery that counted. A refused one that is admitted now is not a double.
create function fleet.seen_delivery(p fleet.incoming) returns boolean
    language sql stable
begin atomic
    select exists (
        select from fleet.delivery d
        where d.delivery_id = p.delivery
          and not (d.reason in ('repository_not_allowed', 'sender_not_allowed') and p.admitted))
        or exists (
        select from fleet.delivery d
        where d.sha256 = p.sha256 and d.result = 'accepted');
end;

-- The issue's row, made when new, locked.
create function fleet.incoming_issue(p fleet.incoming) returns fleet.issue
    language plpgsql as $$
begin
    return fleet.issue_of(fleet.repository_of(p.repository_id, p.repo), p.number, p.issue_id);
end $$;

-- By its labels; without one of those a milestone puts an issue one before those that have none.
create function fleet.told_priority(p_labels text[], p fleet.incoming) returns int
    language plpgsql immutable as $$
begin
    return case when coalesce(p.milestone, '') <> '' and not exists (select from unnest(p_labels) l where l like 'priority:%') then 1
                else fleet.priority_of(p_labels) end;
end $$;

-- The task that an issue asks for, as the authorised person saw it. Its title is made one line.
create function fleet.issue_task(i fleet.issue, p_labels text[], p fleet.incoming) returns fleet.wanted_task
    language plpgsql immutable as $$
declare n fleet.wanted_task;
begin
    n.title := left(fleet.one_line(p.title, ' '), 500);
    n.body := p.body;
    n.labels := p_labels;
    n.priority := fleet.told_priority(p_labels, p);
    n.repo := i.repo;
    n.issue_number := i.number;
    n.task_type := 'issue';
    n.timeout_secs := p.timeout_secs;
    n.max_retries := p.max_retries;
    return n;
end $$;

-- The delivery as a request: its node's defaults are the task's own numbers already.
create function fleet.delivery_request(p fleet.incoming) returns fleet.submission
    language plpgsql immutable as $$
declare s fleet.submission;
begin
    s.max_attempts_total := p.max_attempts_total;
    return s;
end $$;

-- Whose wish the task is, and which text it was made from. Which label event that was is not known: the first look finds it.
create function fleet.mark_asked(i fleet.issue, p fleet.incoming) returns void
    language sql
begin atomic
    update fleet.task set requested_by = (p).sender, requested_id = (p).sender_id, text_sha = (p).text_hash, ask = null where issue = (i).issue;
    update fleet.issue set asked_at = fleet.delivery_time(p), event_id = 0 where issue = (i).issue;
end;

-- An issue asks for work: from no agent:* label to some. Under the locks of both; t: its task, nulls when there is none.
create function fleet.ask(i fleet.issue, t fleet.task, p_labels text[], p fleet.incoming, p_actor text, out reason text, out detail text)
    language plpgsql as $$
declare v_new fleet.wanted_task := fleet.issue_task(i, p_labels, p);
begin
    if i.state = 'closed' then
        reason := 'issue_closed';
    elsif t.status not in ('completed', 'failed', 'cancelled') then
        if t.status = 'created' then
            perform fleet.relabel_waiting(t, p_labels, p_actor, fleet.told_priority(p_labels, p));
        end if;
        reason := 'already_active';
    elsif exists (select from fleet.attempt a where a.task = t.task and a.ended_at is null and a.abandoned_at is null) then
        reason := 'not_proven_ended'; -- its host is lost: it may still run
    elsif fleet.delivery_time(p) <= i.asked_at then
        reason := 'same_second'; -- label, unlabel and label once more, or the first of them again: times have seconds only
        detail := 'a run was asked for in this second already; take the label away and add it once more';
    else
        select f.code, f.detail into reason, detail from fleet.limit_fault(fleet.delivery_request(p), v_new) f;
    end if;
    if reason is not null then
        return;
    elsif t.task is null then
        v_new.task_id := i.repo || '#' || i.number;
        perform fleet.insert_issue_task(fleet.delivery_request(p), v_new, p_actor);
        reason := 'submitted';
    else
        perform fleet.resubmit_issue(t, v_new, p.max_attempts_total, p_actor);
        reason := 'resubmitted';
    end if;
    perform fleet.mark_asked(i, p);
end $$;

-- What a change of the label set means. Under the issue's lock. Answers the reason for the delivery's record, and for people why
-- the task cannot be, or why nobody can take it.
create function fleet.apply_labels(i fleet.issue, p_labels text[], p fleet.incoming, p_actor text, out reason text, out detail text)
    language plpgsql as $$
declare
    v_had boolean := fleet.requirements_of(i.labels) <> '{}';
    v_has boolean := fleet.requirements_of(p_labels) <> '{}';
    t fleet.task;
begin
    reason := 'recorded';
    select * into t from fleet.task where issue = i.issue for update;
    if v_has and not v_had then
        select a.reason, a.detail into reason, detail from fleet.ask(i, t, p_labels, p, p_actor) a;
    elsif t.task is not null and t.status in ('created', 'review_pending') then
        if v_had and not v_has and not fleet.pull_keeps(t) then
            perform fleet.cancel_idle(t, 'label_removed', null, p_actor);
            reason := 'label_removed';
        elsif t.status = 'created' and v_has and i.labels is distinct from p_labels then
            perform fleet.relabel_waiting(t, p_labels, p_actor, fleet.told_priority(p_labels, p));
            reason := 'relabelled';
        end if;
    end if;
    if reason in ('submitted', 'resubmitted', 'relabelled') then
        select array_to_string(fleet.lane_warnings(x.lane), '; ') into detail from fleet.task x where x.issue = i.issue;
        detail := nullif(detail, '');
    end if;
end $$;

-- A closed issue's task is not wanted any more.
create function fleet.issue_closed(p_issue bigint, p_actor text) returns text
    language plpgsql as $$
declare t fleet.task;
begin
    select * into t from fleet.task where issue = p_issue for update;
    if fleet.pull_keeps(t) then
        return 'recorded'; -- a merge closes the issue, in any order
    elsif t.status in ('created', 'review_pending') then
        perform fleet.cancel_idle(t, 'issue_closed', null, p_actor);
        return 'cancelled';
    elsif t.status in ('assigned', 'running', 'agent_lost') then
        perform fleet.ask_cancel(t, 'issue_closed', p_actor);
        return 'cancelling';
    end if;
    return 'recorded';
end $$;

create function fleet.delivery_labels(p fleet.incoming) returns text[]
    language sql stable
begin atomic
    select case when p.action = 'label_cleared' then '{}' else p.labels end;
end;

-- This very body was refused before, and is admitted now: a person sent it again. (Ids of deliveries are not signed.)
create function fleet.was_refused(p fleet.incoming) returns boolean
    language sql stable
begin atomic
    select exists (select from fleet.delivery d
                   where d.sha256 = p.sha256 and d.reason = 'sender_not_allowed');
end;

-- A label is not an approval: one that came by a sender who may not start work must not start it with the next event of
-- somebody who may. It is remembered, and counts again only after it was taken away. Taking away is free to all: stopping is.
create function fleet.refuse_labels(i fleet.issue, p fleet.incoming) returns void language plpgsql as $$
declare
    v_at timestamptz := fleet.delivery_time(p);
    v_told text[] := fleet.delivery_labels(p);
    v_left text[];
begin
    if coalesce(p.action, '') not in ('opened', 'label_updated', 'label_cleared') or v_at < i.labels_at then
        return;
    end if;
    if v_at > i.labels_at then -- in the same second it may have been before
        v_left := array(select l from unnest(i.labels) l where l = any (v_told));
        if fleet.requirements_of(v_left) = '{}' then
            perform fleet.apply_labels(i, v_left, p, fleet.sender_actor(p));
        end if;
        if v_left <> i.labels then
            i.labels_at := v_at; -- what was before this, and comes after it, tells of labels that are gone
        end if;
        i.labels := v_left;
    end if;
    update fleet.issue
    set labels = i.labels, labels_at = i.labels_at,
        refused = array(select l from unnest(v_told) l where l like 'agent:%' and l <> all (i.labels))
    where issue = i.issue;
end $$;

-- Stopping is free to whoever Forgejo let close the issue.
create function fleet.refuse_close(i fleet.issue, p fleet.incoming) returns void language plpgsql as $$
begin
    if p.action = 'closed' and fleet.apply_state(i, p, fleet.delivery_time(p)) then
        perform fleet.issue_closed(i.issue, fleet.sender_actor(p));
    end if;
end $$;

-- Stores the issue's state as a delivery shows it; false when it is older than what is known. Deliveries overtake each other:
-- one that shows the issue closed may come before the one that says so, and of two of the same second the closing one counts.
create function fleet.apply_state(i fleet.issue, p fleet.incoming, p_at timestamptz) returns boolean
    language plpgsql as $$
declare
    v_state text := i.state;
    v_action text := coalesce(p.action, '');
begin
    if p_at < i.updated_at then
        return false;
    end if;
    if p_at is distinct from i.updated_at or i.state <> 'closed' or v_action = 'reopened' then
        v_state := coalesce(p.state, i.state);
    end if;
    update fleet.issue set state = v_state, updated_at = p_at, html_url = coalesce(p.html_url, html_url) where issue = i.issue;
    if v_state = 'closed' and i.state <> 'closed' and v_action <> 'closed' then
        perform fleet.issue_closed(i.issue, fleet.sender_actor(p));
    end if;
    return true;
end $$;

-- The label set that an admitted delivery tells of: in the order of the issue's own clock, whose seconds hold more than one event. An
-- issue is opened before all else.
create function fleet.told_labels(i fleet.issue, p fleet.incoming, out result text, out reason text, out detail text)
    language plpgsql as $$
declare
    v_at timestamptz := fleet.delivery_time(p);
    v_labels text[] := fleet.delivery_labels(p);
begin
    result := 'ignored'; reason := 'stale';
    if v_at < i.labels_at or p.action = 'opened' and v_at = i.labels_at then
        return;
    end if;
    i.refused := case when fleet.was_refused(p) then '{}' else array(select unnest(i.refused) intersect select unnest(v_labels)) end;
    v_labels := array(select l from unnest(v_labels) l where l <> all (i.refused) order by l);
    select a.reason, a.detail into reason, detail from fleet.apply_labels(i, v_labels, p, fleet.sender_actor(p)) a;
    if reason <> 'invalid_value' then
        result := 'accepted';
    end if;
    update fleet.issue set labels = v_labels, refused = i.refused, labels_at = v_at where issue = i.issue;
end $$;

-- A milestone changes where its task waits.
create function fleet.told_milestone(i fleet.issue, p fleet.incoming) returns text
    language plpgsql as $$
declare
    t fleet.task;
    v_priority int := fleet.told_priority(i.labels, p);
begin
    select * into t from fleet.task where issue = i.issue for update;
    if t.status <> 'created' or t.priority = v_priority then
        return 'recorded';
    end if;
    perform fleet.relabel_waiting(t, t.labels, fleet.sender_actor(p), v_priority);
    return 'relabelled';
end $$;

-- An admitted issues delivery. Under the issue's lock.
create function fleet.apply_issue(i fleet.issue, p fleet.incoming, out result text, out reason text, out detail text)
    language plpgsql as $$
declare
    v_action text := coalesce(p.action, '');
    v_fresh boolean;
begin
    if not fleet.lane_fits(fleet.requirements_of(fleet.delivery_labels(p)), i.repo) then
        result := 'ignored'; reason := 'labels_too_long';
        return;
    end if;
    v_fresh := fleet.apply_state(i, p, fleet.delivery_time(p));
    select * into i from fleet.issue where issue = i.issue;
    if v_action in ('opened', 'label_updated', 'label_cleared') then
        select x.result, x.reason, x.detail into result, reason, detail from fleet.told_labels(i, p) x;
    elsif not v_fresh then
        result := 'ignored'; reason := 'stale';
    else
        result := 'accepted';
        reason := case when v_action = 'closed' then fleet.issue_closed(i.issue, fleet.sender_actor(p))
                       when v_action in ('milestoned', 'demilestoned') then fleet.told_milestone(i, p) else 'recorded' end;
    end if;
end $$;

-- The text that a delivery shows: taken over for a task that waits from a sender who may start work, from others it holds the task. Two
-- of a second may come in any order: then a hold stays.
create function fleet.told_text(i fleet.issue, p fleet.incoming) returns void
    language plpgsql as $$
declare
    v_at timestamptz := fleet.delivery_time(p);
    t fleet.task;
begin
    select * into t from fleet.task where issue = i.issue for update;
    if v_at < i.text_at or v_at = i.text_at and p.admitted and t.hold = 'text_changed' then
        return;
    end if;
    update fleet.issue set title = p.title, text_hash = p.text_hash, text_at = v_at where issue = i.issue returning * into i;
    if t.status = 'created' then
        perform fleet.heed_text(i, t, p.body, p.admitted);
    end if;
end $$;

-- An issue as a delivery tells of it, where nobody can be asked: its sender is judged.
create function fleet.told_issue(p fleet.incoming, out result text, out reason text, out task_id text, out detail text)
    language plpgsql as $$
#variable_conflict use_column
declare i fleet.issue := fleet.incoming_issue(p);
begin
    if fleet.seen_delivery(p) then
        result := 'duplicate'; reason := 'seen_before';
    elsif p.admitted then
        select a.result, a.reason, a.detail into result, reason, detail from fleet.apply_issue(i, p) a;
    else
        perform fleet.refuse_labels(i, p);
        perform fleet.refuse_close(i, p);
        result := 'ignored'; reason := 'sender_not_allowed';
    end if;
    if result <> 'duplicate' then
        perform fleet.told_text(i, p);
    end if;
    select t.task_id into task_id from fleet.task t where t.issue = i.issue;
end $$;

-- From servers of the release before, which know the issues event and no ids.
create function fleet.receive_delivery(
        p_delivery text, p_sha256 text, p_event text, p_event_type text, p_action text, p_repo text, p_number int, p_title text,
        p_body text, p_labels text[], p_state text, p_updated_at text, p_html_url text, p_sender text, p_admitted boolean, p_refusal text,
        p_timeout_secs int, p_max_retries int, p_max_attempts_total int,
        out result text, out reason text, out task_id text, out detail text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    p fleet.incoming := (p_delivery, p_sha256, p_event, p_event_type, p_action, p_repo,
                         case when p_number between 1 and 999999999 then p_number end, p_title, p_body, coalesce(p_labels, '{}'), p_state,
                         p_updated_at, p_html_url, p_sender, coalesce(p_admitted, false), p_refusal, p_timeout_secs, p_max_retries,
                         p_max_attempts_total, null, null, null, fleet.text_hash(p_title, p_body), null);
begin
    if p.event is distinct from 'issues' then
        result := 'ignored'; reason := 'event_not_handled';
    elsif not p.admitted and p.refusal is distinct from 'sender_not_allowed' then
        result := 'ignored'; reason := coalesce(p.refusal, 'not_admitted');
    elsif fleet.is_repo(p.repo) is not true or p.number is null then
        result := 'ignored'; reason := 'no_issue';
    else
        select x.* into result, reason, task_id, detail from fleet.told_issue(p) x;
    end if;
    perform fleet.note_delivery(p, result, reason, task_id, detail);
end $$;
comment on function fleet.receive_delivery is 'Takes a verified webhook delivery: accepted, duplicate or ignored, with a reason.';
