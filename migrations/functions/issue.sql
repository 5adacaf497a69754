-- What was seen of an issue, compared with what is stored: here reading Forgejo starts, re-routes, holds and stops work. Whatever came
-- between two looks does not matter, nor how often one is told: labels are put there by numbered events, and one that was served is not
-- served again.

-- Was something newer applied already? Of answers to the same look that which shows more counts.
create function fleet.seen_late(i fleet.issue, p_seq bigint, p_seen jsonb) returns boolean
    language plpgsql stable as $$
begin
    return p_seq < i.look_seq
        or p_seq = i.look_seq and (coalesce(fleet.time_of(p_seen #>> '{issue,updated_at}') < i.updated_at, false)
                                   or fleet.newest_event(p_seen) < i.event_id);
end $$;

-- Stores what was seen. Answers the row as it is now.
create function fleet.store_seen(i fleet.issue, p_seq bigint, p_seen jsonb) returns fleet.issue
    language plpgsql as $$
declare
    s jsonb := p_seen -> 'issue';
    v_hash text := fleet.text_hash(s ->> 'title', s ->> 'body');
    v_at timestamptz := fleet.time_of(s ->> 'updated_at');
begin
    update fleet.issue
    set title = s ->> 'title', author = s ->> 'author', author_id = (s ->> 'author_id')::bigint, text_hash = v_hash,
        text_at = case when text_hash is distinct from v_hash then v_at else text_at end, state = coalesce(s ->> 'state', state),
        labels = array(select distinct p.name from fleet.placed_labels(p_seen) p order by 1), labels_at = v_at, updated_at = v_at,
        html_url = coalesce(s ->> 'html_url', html_url), event_id = fleet.newest_event(p_seen),
        look_seq = greatest(look_seq, p_seq), read_at = now()
    where issue = i.issue
    returning * into i;
    return i;
end $$;

-- ---------------------------------------------------------------- its task

create function fleet.issue_request(p_repo text) returns fleet.submission
    language plpgsql stable as $$
declare s fleet.submission;
begin
    s.max_attempts_total := (fleet.policy(p_repo) ->> 'max_attempts_total')::bigint;
    return s;
end $$;

-- The task that an issue asks for.
create function fleet.issue_wanted(i fleet.issue, p_labels text[], p_priority int, p_title text, p_body text) returns fleet.wanted_task
    language plpgsql stable as $$
declare
    n fleet.wanted_task;
    v_policy jsonb := fleet.policy(i.repo);
begin
    n.task_id := i.repo || '#' || i.number;
    n.title := left(fleet.one_line(p_title, ' '), 500);
    n.body := p_body;
    n.labels := p_labels;
    n.priority := p_priority;
    n.repo := i.repo;
    n.issue_number := i.number;
    n.task_type := 'issue';
    n.timeout_secs := (v_policy ->> 'task_timeout_secs')::bigint;
    n.max_retries := (v_policy ->> 'default_max_retries')::bigint;
    return n;
end $$;

-- Why an issue cannot be a task, in words; null: it can.
create function fleet.issue_fault(p fleet.wanted_task) returns text
    language plpgsql stable as $$
begin
    p.task_id := null; -- owner/repo#n is for issues only
    return (fleet.limit_fault(fleet.issue_request(p.repo), p)).detail;
end $$;

-- What a task is to be from now on. Under its lock; who calls puts it where it waits.
create function fleet.set_wanted(t fleet.task, p fleet.wanted_task, p_total bigint) returns void
    language plpgsql as $$
declare v_requirements text[] := fleet.requirements_of(p.labels);
begin
    delete from fleet.pin where task = t.task;
    update fleet.task
    set title = p.title, body = coalesce(p.body, ''), labels = p.labels, requirements = v_requirements,
        priority = coalesce(p.priority, fleet.priority_of(p.labels)), timeout_secs = p.timeout_secs, max_retries = p.max_retries,
        max_attempts_total = p_total, lane = fleet.lane_for(v_requirements, execution_mode, repo),
        retry_count = 0, attempts = 0, release_count = 0, review_count = 0
    where task = t.task;
    perform fleet.reindex_labels(t);
end $$;

-- The same task again, with what the authorised person saw when asking: counters 0, attempt numbers go on.
create function fleet.resubmit_issue(t fleet.task, p fleet.wanted_task, p_total bigint, p_actor text) returns void
    language plpgsql as $$
begin
    perform fleet.set_wanted(t, p, p_total);
    perform fleet.close_follow(t, true);
    perform fleet.again(t, 'resubmitted', p_actor, null);
    perform fleet.open_outbox(t.task);
end $$;

-- Other labels on a task that still waits: other requirements, another lane. Title and body stay as they were. What changes nothing but
-- words is no history.
create function fleet.relabel_waiting(t fleet.task, p_labels text[], p_actor text, p_priority int default null) returns void
    language plpgsql as $$
declare
    v_requirements text[] := fleet.requirements_of(p_labels);
    v_priority int := coalesce(p_priority, fleet.priority_of(p_labels));
begin
    perform fleet.dequeue(t.task);
    if v_requirements <> t.requirements then
        delete from fleet.pin where task = t.task;
        t.lane := fleet.lane_for(v_requirements, t.execution_mode, t.repo);
    end if;
    update fleet.task
    set labels = p_labels, requirements = v_requirements, priority = v_priority, lane = t.lane, changed_at = now() where task = t.task;
    perform fleet.enqueue(t.task, t.run_at);
    perform fleet.reindex_labels(t);
    if v_requirements <> t.requirements or v_priority <> t.priority then
        perform fleet.note(t.task, 'relabelled', null, p_actor, jsonb_build_object('labels', p_labels));
    end if;
end $$;

-- Title and body as an issue has them, known by their hash.
create function fleet.freeze_text(p_task bigint, p_title text, p_body text, p_hash text) returns void
    language plpgsql as $$
begin
    update fleet.task
    set title = left(fleet.one_line(p_title, ' '), 500), body = coalesce(p_body, ''), text_sha = p_hash
    where task = p_task and coalesce(octet_length(p_body) <= (select at_most from fleet.task_limits() where member = 'body'), true);
end $$;

-- A delivery tells of an issue that has an agent label and no task: there is one from now on, which waits until Forgejo was asked who put
-- the label there. Under the issue's lock; for a fleet that reads Forgejo. Answers a word for the delivery's record.
create function fleet.expect_task(i fleet.issue, p_labels text[], p_title text, p_body text, p_actor text) returns text
    language plpgsql as $$
declare
    n fleet.wanted_task := fleet.issue_wanted(i, p_labels, null, p_title, p_body);
    v_task bigint;
begin
    if fleet.requirements_of(p_labels) = '{}' or i.served > 0 or exists (select from fleet.task where issue = i.issue) then
        return 'recorded';
    elsif fleet.issue_fault(n) is not null then
        return 'invalid_value';
    end if;
    perform fleet.insert_issue_task(fleet.issue_request(i.repo), n, p_actor);
    select task into v_task from fleet.task where issue = i.issue for update;
    perform fleet.put_hold(v_task, 'permission_pending', p_actor);
    return 'submitted';
end $$;

-- ---------------------------------------------------------------- what is believed

-- Is the text that an issue has now that of somebody who may start work: its author's, or one that such a person wrote, or put a label on
-- (until p_labelled; null: no label counts), as a delivery of theirs says? (A comment on it says nothing.)
create function fleet.text_vouched(i fleet.issue, p_people jsonb, p_labelled timestamptz) returns boolean
    language plpgsql stable as $$
declare v_id bigint := (select repository_id from fleet.repository where repo = i.repo);
begin
    return fleet.may_start(i.author, fleet.permission_of(v_id, i.author, p_people), i.repo)
        or exists (select from fleet.delivery d
                   where d.text_hash = i.text_hash and d.number = i.number
                     and (d.action in ('opened', 'edited') or d.action = 'label_updated' and d.sent_at <= p_labelled)
                     and coalesce(d.repository_id = v_id, d.repo = i.repo)
                     and fleet.may_start(d.sender, fleet.permission_of(v_id, d.sender, p_people), i.repo));
end $$;

-- Why a task that is asked for has to wait for approval; null: it need not. A label was put on a text that was there before its second;
-- one that came in that second may have come behind it, and times have seconds only.
create function fleet.approval_why(i fleet.issue, w fleet.wish, p_trusted boolean, p_people jsonb) returns text
    language plpgsql stable as $$
begin
    return case
        when not p_trusted then format('%s, who asks for it, may not start work', w.asker)
        when fleet.policy(i.repo) ->> 'approval' = 'always' then 'every task of this repository does'
        when not coalesce(i.text_at < w.ask_at, false) and not fleet.text_vouched(i, p_people, w.ask_at)
            then 'nobody who may start work is known to have seen the text as it is' end;
end $$;

-- ---------------------------------------------------------------- what follows

-- A label asks for a run: the task begins, or begins anew.
create function fleet.submit_asked(i fleet.issue, t fleet.task, w fleet.wish, p_trusted boolean, p_seen jsonb) returns text
    language plpgsql as $$
declare
    v_actor text := 'forgejo:' || w.asker;
    v_why text := fleet.approval_why(i, w, p_trusted, p_seen -> 'people');
    n fleet.wanted_task := fleet.issue_wanted(i, w.labels, w.priority, i.title, p_seen #>> '{issue,body}');
    v_fault text := fleet.issue_fault(n);
    v_word text := 'submitted';
begin
    update fleet.issue
    set served_before = case when t.status = 'created' and t.hold is distinct from 'permission_pending' then served_before else served end,
        served = greatest(served, w.ask), offered = null
    where issue = i.issue;
    if v_fault is not null then
        if t.status = 'created' then
            perform fleet.cancel_idle(t, 'issue_invalid', v_fault, v_actor);
        end if;
        return 'invalid_value';
    elsif t.task is null then
        perform fleet.insert_issue_task(fleet.issue_request(i.repo), n, v_actor);
        select * into t from fleet.task where issue = i.issue for update;
    elsif t.status = 'created' then
        perform fleet.dequeue(t.task);
        perform fleet.set_wanted(t, n, (fleet.issue_request(i.repo)).max_attempts_total);
        perform fleet.enqueue(t.task, t.run_at);
    else
        perform fleet.resubmit_issue(t, n, (fleet.issue_request(i.repo)).max_attempts_total, v_actor);
        v_word := 'resubmitted';
    end if;
    update fleet.task
    set ask = w.ask, ask_number = attempt_number, requested_by = w.asker, requested_id = w.asker_id, text_sha = i.text_hash
    where task = t.task;
    if v_why is not null then
        perform fleet.put_hold(t.task, 'needs_approval', v_actor, v_why);
        return 'needs_approval';
    end if;
    perform fleet.lift_hold(t.task, v_actor);
    perform fleet.hint();
    return v_word;
end $$;

-- The issue was closed, or has no agent label any more: what waits for it does so in vain, unless a person wanted that when it was so
-- already (p_news false). A run goes on without the label; a pull request that is open decides by itself.
create function fleet.stop_asked(i fleet.issue, t fleet.task, p_news boolean, p_reason text, p_actor text) returns text
    language plpgsql as $$
begin
    if fleet.pull_keeps(t) then
        return 'recorded';
    elsif t.status = 'created' and (p_news or t.ask is not null or t.hold is not distinct from 'permission_pending')
          or t.status = 'review_pending' and p_news then
        if p_reason = 'issue_closed' and t.ask is not null and not exists (
               select from fleet.attempt a where a.task = t.task and a.number > t.ask_number and a.started_at is not null) then
            -- opened again it is asked for again
            update fleet.issue set served = least(served, coalesce(served_before, t.ask - 1)) where issue = i.issue;
        end if;
        perform fleet.cancel_idle(t, p_reason, null, p_actor);
        return p_reason;
    elsif p_news and p_reason = 'issue_closed' and t.status in ('assigned', 'running', 'agent_lost') then
        perform fleet.ask_cancel(t, p_reason, p_actor);
        return 'cancelling';
    end if;
    return 'recorded';
end $$;

-- Nobody who put an agent label there may start work.
create function fleet.refuse_asked(t fleet.task, w fleet.wish) returns text
    language plpgsql as $$
declare v_labels text := fleet.some_names(w.refused);
begin
    if t.status = 'created' and (t.ask is not null or t.hold is not distinct from 'permission_pending') then
        perform fleet.cancel_idle(t, 'not_permitted', case
            when w.refused_by is null then format('Forgejo does not say who put %s there', v_labels)
            when w.refused_permission = 'unknown' then
                format('Forgejo does not say what %s may do, who put %s there: forgejo.lookup_token may ask', w.refused_by, v_labels)
            else format('%s put %s there and may not write (%s)', w.refused_by, v_labels, w.refused_permission) end, 'fleet');
    end if;
    return 'not_permitted';
end $$;

-- A text that changed while its task waits: taken over from who may start work, else held.
create function fleet.heed_text(i fleet.issue, t fleet.task, p_body text, p_vouched boolean) returns void
    language plpgsql as $$
begin
    if i.text_hash = coalesce(t.text_sha, fleet.text_hash(t.title, t.body)) then
        update fleet.issue set offered = null where issue = i.issue and offered is not null;
        if t.hold = 'text_changed' then
            perform fleet.lift_hold(t.task, 'fleet');
        end if;
        return;
    elsif p_vouched or t.hold = 'needs_approval' then -- then what is approved is the text as it is
        perform fleet.freeze_text(t.task, i.title, p_body, i.text_hash);
        perform fleet.note_hold(t.task, 'text_taken', 'fleet', jsonb_build_object('text', left(i.text_hash, 16)));
        if t.hold = 'text_changed' then
            update fleet.issue set offered = null where issue = i.issue;
            perform fleet.lift_hold(t.task, 'fleet');
        end if;
        return;
    end if;
    update fleet.issue set offered = coalesce(p_body, '') where issue = i.issue;
    perform fleet.put_hold(t.task, 'text_changed', 'fleet');
end $$;

-- A task that waits: its labels, its text, and that it was read.
create function fleet.heed_waiting(i fleet.issue, t fleet.task, w fleet.wish, p_trusted boolean, p_seen jsonb) returns text
    language plpgsql as $$
declare v_word text := 'recorded';
begin
    if w.ask is not null and (p_trusted or t.ask is not null) and t.labels <> w.labels
       or w.ask is not null and p_trusted and t.priority <> w.priority then
        perform fleet.relabel_waiting(t, w.labels, 'forgejo:' || w.asker, w.priority);
        v_word := 'relabelled';
    end if;
    if w.ask is not null and not p_trusted and t.ask is not null and t.hold is null then
        perform fleet.put_hold(t.task, 'needs_approval', 'fleet', fleet.approval_why(i, w, false, null));
    end if;
    update fleet.issue set served = greatest(served, w.ask) where issue = i.issue and p_trusted and w.ask > served;
    select * into t from fleet.task where task = t.task;
    perform fleet.heed_text(i, t, p_seen #>> '{issue,body}', fleet.text_vouched(i, p_seen -> 'people', null));
    if t.hold = 'reading' then
        perform fleet.lift_hold(t.task, 'fleet');
    end if;
    return v_word;
end $$;

-- An agent label is there, on an open issue.
create function fleet.heed_asked(i fleet.issue, t fleet.task, w fleet.wish, p_trusted boolean, p_seen jsonb) returns text
    language plpgsql as $$
declare
    v_anew boolean := w.ask > greatest(i.served, coalesce(t.ask, 0));
    v_again boolean := w.ask = t.ask and t.hold = 'needs_approval'; -- its delivery may have come since
begin
    if w.ask > i.served and (t.task is null or t.status = 'created' and t.hold = 'permission_pending') then
        return fleet.submit_asked(i, t, w, p_trusted, p_seen);
    elsif t.task is null then
        return 'recorded'; -- it was removed since
    elsif t.status = 'created' then
        if p_trusted and (v_anew and t.hold in ('needs_approval', 'text_changed') or v_again)
           and fleet.approval_why(i, w, true, p_seen -> 'people') is null then
            return fleet.submit_asked(i, t, w, true, p_seen);
        end if;
        return fleet.heed_waiting(i, t, w, p_trusted, p_seen);
    elsif t.status not in ('completed', 'failed', 'cancelled') then
        update fleet.issue set served = greatest(served, w.ask) where issue = i.issue;
        return 'already_active';
    elsif w.ask <= i.served then
        return 'recorded';
    elsif exists (select from fleet.attempt a where a.task = t.task and a.ended_at is null and a.abandoned_at is null) then
        return 'not_proven_ended'; -- its host is lost: it may still run
    elsif not p_trusted and (select count(*) from fleet.event e where e.task = t.task and e.event_type = 'resubmitted'
                             and e.at > now() - interval '1 day') >= coalesce(nullif(fleet.get('runs_per_issue_day'), 0), 20) then
        return 'daily_limit';
    end if;
    return fleet.submit_asked(i, t, w, p_trusted, p_seen);
end $$;

-- Decides. o: the issue as it was when last read. Under its lock.
create function fleet.heed_seen(o fleet.issue, i fleet.issue, p_seen jsonb) returns text
    language plpgsql as $$
declare
    t fleet.task;
    w fleet.wish := fleet.read_wish(p_seen, i.repo, false);
    v_trusted boolean := w.ask is not null;
    v_word text;
begin
    select * into t from fleet.task where issue = i.issue for update;
    if i.state = 'closed' then
        v_word := fleet.stop_asked(i, t, o.state <> 'closed', 'issue_closed', 'forgejo');
    elsif not w.named then
        v_word := fleet.stop_asked(i, t, fleet.requirements_of(o.labels) <> '{}', 'label_removed', 'forgejo');
    elsif not v_trusted and fleet.policy(i.repo) ->> 'approval' = 'untrusted' then
        w := fleet.read_wish(p_seen, i.repo, true);
    end if;
    if v_word is null and w.ask is null then
        v_word := fleet.refuse_asked(t, w);
    elsif v_word is null then
        if o.event_id = 0 and t.hold is distinct from 'permission_pending' and t.task is not null then
            i.served := greatest(i.served, w.ask); -- it came by a delivery, before anybody could read: its labels had their run
            update fleet.issue set served = i.served where issue = i.issue;
        end if;
        v_word := fleet.heed_asked(i, t, w, v_trusted, p_seen);
    else
        w.ask := null;
    end if;
    if w.ask is null and exists (select from fleet.task x where x.task = t.task and x.status = 'created') then
        perform fleet.heed_waiting(i, t, w, false, p_seen); -- a person wants it all the same
    end if;
    if w.refused <> o.refused or v_word in ('submitted', 'resubmitted') then
        update fleet.issue set refused = w.refused where issue = i.issue;
        perform fleet.note_hold(x.task, 'labels_refused', 'fleet', jsonb_build_object('labels', w.refused, 'by', w.refused_by))
        from fleet.task x where x.issue = i.issue and v_trusted and w.refused <> '{}';
    end if;
    return v_word;
end $$;

-- What a worker read of an issue. p_seq is that of its look. Answers a word for its log.
create function fleet.issue_seen(p_node uuid, p_issue bigint, p_seq bigint, p_seen jsonb) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_repo text;
    o fleet.issue;
    i fleet.issue;
    v_word text := 'late';
    v_why text := fleet.not_ours(p_seen -> 'repository');
begin
    perform fleet.node_check(p_node);
    if v_why is not null then
        perform fleet.look_failed(p_node, 'issue', p_issue, p_seq, 'moved: ' || v_why, -1);
        return 'not_ours';
    end if;
    v_repo := fleet.repository_of((p_seen #>> '{repository,id}')::bigint, p_seen #>> '{repository,full_name}');
    update fleet.repository set default_branch = p_seen #>> '{repository,default_branch}'
    where repo = v_repo and default_branch is distinct from p_seen #>> '{repository,default_branch}';
    o := fleet.issue_of(v_repo, (p_seen #>> '{issue,number}')::int, (p_seen #>> '{issue,id}')::bigint);
    if not fleet.seen_late(o, case when o.issue = p_issue then p_seq else o.look_seq end, p_seen) then
        perform fleet.learn_people((p_seen #>> '{repository,id}')::bigint, p_seen -> 'people');
        i := fleet.store_seen(o, case when o.issue = p_issue then p_seq else o.look_seq end, p_seen);
        v_word := fleet.heed_seen(o, i, p_seen);
        perform fleet.take_comments(i.issue, null, p_seen -> 'comments', p_seen -> 'people');
    end if;
    perform fleet.look_done('issue', p_issue, p_seq);
    return v_word;
end $$;
comment on function fleet.issue_seen(uuid, bigint, bigint, jsonb) is
    'What a look at an issue saw: compared with what is stored, it starts, re-routes, holds or stops the issue''s task.';
