-- The outbox: what Forgejo is told of a task. Marks are set in the transaction of each step; workers take what is due, and say what came
-- of it. Row locks here are the last in the order, and short: nobody waits for anything while holding one.

-- ---------------------------------------------------------------- marks

-- There is something to tell of a task: at once when it has ended or somebody waits for it (p_soon), else no sooner than tell_ms after the
-- last time; and not before its pause is over, where the last try failed or a comment may be on its way. No row: nothing.
create function fleet.mark(p_task bigint, p_soon boolean default false) returns void
    language plpgsql as $$
declare v_at timestamptz;
begin
    update fleet.outbox o
    set dirty = o.dirty + 1,
        tell_at = case when o.failing_since is not null or o.posting is not null then o.tell_at
                       else least(o.tell_at, case when p_soon then now() else greatest(now(), o.told_at + fleet.ms('tell_ms')) end) end
    where o.task = p_task
    returning o.tell_at into v_at;
    if v_at <= now() then
        perform fleet.hint('tell');
    end if;
end $$;

-- The same of many tasks.
create function fleet.mark_all(p_tasks bigint[], p_soon boolean) returns void
    language plpgsql as $$
begin
    perform fleet.mark(o.task, p_soon) from fleet.outbox o where o.task = any (p_tasks);
end $$;

-- From now on a task of an issue is told, if Forgejo can be. Where it was so before, what stands there stays known, and what was parked is
-- tried again.
create function fleet.open_outbox(p_task bigint) returns void
    language plpgsql as $$
begin
    if not (fleet.policy('') ->> 'reads')::boolean then
        return;
    end if;
    insert into fleet.outbox (task) values (p_task)
    on conflict (task) do update set dirty = outbox.dirty + 1, tell_at = now(), tries = 0, failing_since = null, parked_at = null,
                                     parked_reason = null;
    perform fleet.hint('tell');
end $$;

-- What stands in Forgejo is written once more, though it is as it was: somebody may have changed it.
create function fleet.tell_anew(p_task bigint) returns void
    language plpgsql as $$
begin
    update fleet.outbox set comment_hash = null, label = '?', status_told = null, status_tries = 0, trouble = null where task = p_task;
    perform fleet.mark(p_task, true);
end $$;

-- ---------------------------------------------------------------- what is told

-- The label that says a task's state; null: none does (it was cancelled).
create function fleet.state_label(p_status text) returns text
    language plpgsql immutable as $$
begin
    return 'fleet/' || case p_status when 'created' then 'queued' when 'review_pending' then 'review' when 'completed' then 'done'
        when 'failed' then 'failed' when 'cancelled' then null else 'running' end;
end $$;

-- Who asked for it, by the name that Forgejo knows. Null: nobody there.
create function fleet.asker(t fleet.task) returns text
    language plpgsql immutable as $$
begin
    return coalesce(t.requested_by, case when starts_with(t.submitted_by, 'forgejo:') then substr(t.submitted_by, 9) end);
end $$;

-- For what a person is needed, each need with a key of its own: it is called for once. Null: for nothing.
create function fleet.need_of(t fleet.task, a fleet.attempt) returns jsonb
    language plpgsql stable as $$
declare
    v_kind text;
    v_key text;
begin
    if a.question is not null and a.answer is null and a.abandoned_at is null and (a.ended_at is null or t.status = 'review_pending') then
        v_kind := 'needs_input';
        v_key := format('input.%s.%s', a.number, left(md5(a.question), 8));
    elsif t.status = 'created' and t.hold in ('needs_approval', 'text_changed') then
        v_kind := t.hold;
        v_key := format('approval.%s.%s', t.attempt_number, left(md5(concat_ws(' ', t.hold, t.hold_at)), 8));
    elsif t.status = 'failed' and t.failure_reason is distinct from 'pr_closed' then
        v_kind := 'failed';
        v_key := format('failed.%s.%s', t.attempt_number, left(md5(t.completed_at::text), 8));
    end if;
    return case when v_kind is not null then jsonb_build_object('kind', v_kind, 'key', v_key, 'login', fleet.asker(t)) end;
end $$;

-- What the agents of a task say that it cost so far.
create function fleet.claimed_cost(p_task bigint) returns jsonb
    language sql stable
begin atomic
    select jsonb_strip_nulls(jsonb_build_object(
        'input', sum((a.report -> 'tokens' ->> 'input')::numeric), 'cached_input', sum((a.report -> 'tokens' ->> 'cached_input')::numeric),
        'output', sum((a.report -> 'tokens' ->> 'output')::numeric), 'reasoning', sum((a.report -> 'tokens' ->> 'reasoning')::numeric),
        'cost_usd', sum((a.report ->> 'cost_usd')::numeric)))
    from fleet.attempt a where a.task = p_task;
end;

-- The commit status of what a task pushed last. Null: it has pushed nothing.
create function fleet.commit_status(t fleet.task) returns jsonb
    language plpgsql stable as $$
declare
    a fleet.attempt;
    v_type text;
begin
    select * into a from fleet.attempt x where x.task = t.task and x.work ->> 'pushed' is not null order by x.number desc limit 1;
    if not found then
        return null;
    end if;
    select e.agent_type into v_type from fleet.executor e where e.executor = a.executor;
    return jsonb_build_object('sha', a.work ->> 'pushed', 'context', 'agent-fleet/' || v_type, 'attempt', a.number, 'state', case
        when t.status in ('completed', 'review_pending')
            then case when a.number = t.attempt_number and a.reason = 'needs_input' then 'pending' else 'success' end
        when t.status = 'failed' and t.failure_reason = 'pr_closed' then 'success'
        when t.status = 'failed' then 'failure'
        when t.status = 'cancelled' then 'error'
        else 'pending' end);
end $$;

create function fleet.attempt_story(a fleet.attempt) returns jsonb
    language plpgsql stable as $$
declare e fleet.executor;
begin
    if a.attempt is null then
        return null;
    end if;
    select * into e from fleet.executor where executor = a.executor;
    return jsonb_strip_nulls(jsonb_build_object(
        'number', a.number, 'agent', e.agent_type, 'agent_id', e.agent_id, 'host', e.host_id, 'phase', a.phase,
        'phase_reason', a.phase_reason,
        'elapsed_secs', extract(epoch from coalesce(a.ended_at, now()) - coalesce(a.started_at, a.claimed_at))::bigint,
        'ended', a.ended_at is not null, 'outcome', a.outcome, 'question', case when a.answer is null then left(a.question, 8000) end,
        'summary', left(a.report ->> 'summary', 8000), 'error', left(a.report ->> 'error', 4000), 'model', a.report ->> 'model',
        'work', a.work - 'detail'));
end $$;

-- All that the comment on an issue says of its task, as it is now. Texts of agents and people in it are foreign: whoever renders them
-- makes them harmless.
create function fleet.story(t fleet.task) returns jsonb
    language plpgsql stable as $$
declare
    a fleet.attempt;
    r fleet.pull := fleet.pull_of(t);
    v_over boolean := t.status in ('failed', 'cancelled')
                      or (t.status = 'review_pending' and t.failure_reason is distinct from 'needs_input');
begin
    select * into a from fleet.attempt x where x.task = t.task and x.number = t.attempt_number;
    return jsonb_strip_nulls(jsonb_build_object(
        'task_id', t.task_id, 'repo', t.repo, 'number', t.issue_number, 'status', t.status, 'hold', t.hold,
        'waits_until', case when t.status = 'created' and t.run_at > now() and t.run_at < 'infinity' then fleet.utc(t.run_at) end,
        'requested_by', fleet.asker(t), 'title', t.title, 'branch', t.branch_name,
        'pull', case when r.pull is not null
                     then jsonb_build_object('number', r.number, 'state', r.state, 'merged', r.merged, 'draft', r.draft) end,
        'attempt', fleet.attempt_story(a), 'attempts', t.attempts, 'max_attempts', t.max_attempts_total, 'retries', t.retry_count,
        'max_retries', t.max_retries, 'reason', case when v_over or t.status = 'created' then t.failure_reason end,
        'advice', case when v_over then (select w.advice from fleet.reason w where w.reason = t.failure_reason) end,
        'cancel_by', t.cancel_by, 'cancel_reason', left(t.cancel_reason, 500), 'spent', fleet.claimed_cost(t.task),
        'label', fleet.state_label(t.status), 'need', fleet.need_of(t, a), 'commit', fleet.commit_status(t),
        'fleet', (select i.fleet_id from fleet.incarnation i)));
end $$;

-- A draft pull request is wanted for what the last run pushed: it was asked for no other one of that head, and none of the task is open.
create function fleet.pull_wanted(t fleet.task, o fleet.outbox, p_policy jsonb) returns jsonb
    language plpgsql stable as $$
declare a fleet.attempt;
begin
    select * into a from fleet.attempt x where x.task = t.task and x.number = t.attempt_number;
    if (p_policy ->> 'open_pull_request')::boolean and t.status = 'completed' and a.outcome = 'succeeded'
       and a.work ->> 'pushed' is not null and a.work ->> 'commits' <> '0' and coalesce(t.base_branch, a.work ->> 'base_branch') is not null
       and o.pull_asked is distinct from a.work ->> 'pushed'
       and not exists (select from fleet.pull r where r.task = t.task and (r.state <> 'closed' or r.head_sha = a.work ->> 'pushed')) then
        return jsonb_build_object('head', coalesce(a.work ->> 'branch', t.branch_name), 'sha', a.work ->> 'pushed',
                                  'base', coalesce(t.base_branch, a.work ->> 'base_branch'));
    end if;
    return null;
end $$;

-- What is still to be said to comments, the oldest first.
create function fleet.responses(p_task bigint) returns jsonb
    language plpgsql stable as $$
begin
    return (select jsonb_agg(jsonb_build_object('comment', x.comment, 'number', x.number, 'reaction', x.reaction, 'text', x.text)
                             order by x.comment)
            from (select * from fleet.response r where r.task = p_task and r.told_at is null order by r.comment limit 20) x);
end $$;

-- ---------------------------------------------------------------- who tells it

-- Nobody is at it: its worker is done, gone, or has had it for too long.
create function fleet.untaken(o fleet.outbox) returns boolean
    language plpgsql stable as $$
begin
    return o.taken_by is null or o.taken_until < now() or fleet.node_gone(o.taken_by);
end $$;

-- A worker has a row for so long after each step that it announces: more than what it asks of Forgejo in between can take, of which each
-- call has ten minutes at most (forgejo.timeout_secs) and waits for its turn before. One that is gone has none.
create function fleet.tell_lease() returns interval
    language sql immutable
begin atomic
    select interval '30 min';
end;

-- Rows that are due, the longest waiting first, each for one worker. seq: what it will have told. told: what stands in Forgejo as far as
-- is known, posting_secs: since when a comment is on its way.
create function fleet.tells(p_node uuid, p_max int)
    returns table (task bigint, seq bigint, repo text, issue_number int, comments boolean, state_labels boolean, commit_statuses boolean,
                   story jsonb, told jsonb)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    o fleet.outbox;
    t fleet.task;
    v_policy jsonb;
begin
    perform fleet.node_check(p_node);
    if not (fleet.policy('') ->> 'reads')::boolean then
        return;
    end if;
    for o in
        select x.* from fleet.outbox x join fleet.task k on k.task = x.task
        where x.parked_at is null and x.tell_at <= now() and fleet.untaken(x) and not fleet.parked(k.repo)
        order by x.tell_at limit p_max for update of x skip locked
    loop
        -- who had it before did not say what came of it: anything may stand there
        update fleet.outbox x
        set taken_by = p_node, taken_until = now() + fleet.tell_lease(), taken_seq = o.dirty,
            comment_hash = case when o.taken_by is null then x.comment_hash end,
            label = case when o.taken_by is null then x.label else '?' end,
            status_told = case when o.taken_by is null then x.status_told end
        where x.task = o.task returning x.* into o;
        select * into strict t from fleet.task where task = o.task;
        v_policy := fleet.policy(t.repo);
        return query select o.task, o.taken_seq, t.repo, t.issue_number, (v_policy ->> 'comments')::boolean,
            (v_policy ->> 'state_labels')::boolean, (v_policy ->> 'commit_statuses')::boolean,
            fleet.story(t) || jsonb_strip_nulls(jsonb_build_object(
                'url', v_policy ->> 'url', 'open_pull', fleet.pull_wanted(t, o, v_policy), 'responses', fleet.responses(o.task))),
            jsonb_strip_nulls(jsonb_build_object(
                'comment_id', o.comment_id, 'comment_hash', o.comment_hash, 'posting', o.posting,
                'posting_secs', extract(epoch from now() - o.posting_at)::bigint, 'called', o.called, 'label', o.label,
                'status_told', o.status_told, 'status_tries', o.status_tries, 'pull_asked', o.pull_asked));
    end loop;
end $$;
comment on function fleet.tells(uuid, int) is 'What Forgejo is to be told now, for this worker to tell.';

-- Committed before a comment is posted (p_posting: which; null: it just takes long). False: another worker has the row, nothing may be
-- sent any more.
create function fleet.telling(p_node uuid, p_task bigint, p_seq bigint, p_posting text) returns boolean
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    update fleet.outbox o
    set posting = coalesce(p_posting, o.posting), posting_at = case when p_posting is null then o.posting_at else now() end,
        taken_until = now() + fleet.tell_lease()
    where o.task = p_task and o.taken_by = p_node and o.taken_seq = p_seq;
    return found;
end $$;

-- What stands in Forgejo now: members that are named. Null clears one. answered: the comments to which all was said.
create function fleet.keep_told(o fleet.outbox, p_told jsonb) returns void
    language plpgsql as $$
declare n fleet.outbox;
begin
    n := jsonb_populate_record(o, coalesce((
        select jsonb_object_agg(k, p_told -> k)
        from unnest('{comment_id,comment_hash,posting,called,label,status_told,status_tries,pull_asked,trouble}'::text[]) k
        where p_told ? k), '{}'));
    update fleet.outbox
    set comment_id = n.comment_id, comment_hash = n.comment_hash, posting = n.posting,
        posting_at = case when n.posting is not null then o.posting_at end, called = n.called, label = n.label, status_told = n.status_told,
        status_tries = n.status_tries, pull_asked = n.pull_asked, trouble = left(n.trouble, 500)
    where task = o.task;
    update fleet.response r set told_at = now()
    where r.task = o.task and r.told_at is null
      and p_told -> 'answered' @> to_jsonb(r.comment);
end $$;

-- The row of a worker that tells it, locked. Null: another one has it. What that worker posted all the same is there twice now: the next
-- one looks for both.
create function fleet.hold_told(p_node uuid, p_task bigint, p_seq bigint, p_told jsonb) returns fleet.outbox
    language plpgsql as $$
declare o fleet.outbox;
begin
    select * into o from fleet.outbox where task = p_task for update;
    if o.taken_by = p_node and o.taken_seq = p_seq then
        return o;
    elsif (p_told ->> 'comment_id')::bigint <> coalesce(o.comment_id, 0) then
        update fleet.outbox set comment_id = null, dirty = dirty + 1, tell_at = now() where task = p_task;
    end if;
    return null;
end $$;

-- It is told. While its run goes on it is told again, for the time that has gone by.
create function fleet.told(p_node uuid, p_task bigint, p_seq bigint, p_told jsonb) returns boolean
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    o fleet.outbox := fleet.hold_told(p_node, p_task, p_seq, p_told);
    v_status text := (select t.status from fleet.task t where t.task = p_task);
begin
    if o.task is null then
        return false;
    end if;
    perform fleet.keep_told(o, p_told);
    update fleet.outbox
    set told = p_seq, told_at = now(), taken_by = null, taken_until = null, taken_seq = null, tries = 0, failing_since = null,
        tell_at = case when fleet.responses(p_task) is not null then now()
                       when o.dirty = p_seq and v_status in ('assigned', 'running', 'agent_lost') then now() + fleet.ms('tell_running_ms')
                       when o.dirty = p_seq then 'infinity'
                       when v_status in ('completed', 'failed', 'cancelled') then now()
                       else now() + fleet.ms('tell_ms') end
    where task = p_task;
    return true;
end $$;
comment on function fleet.told(uuid, bigint, bigint, jsonb) is 'Forgejo was told of a task, and what stands there now.';

create function fleet.tell_pause(p_tries int) returns interval
    language plpgsql volatile as $$
begin
    return make_interval(secs => least(fleet.get('tell_max_ms') / 1000.0, 2 * 2 ^ least(p_tries, 20)) * (0.75 + random() / 2));
end $$;

-- It is not told, but what p_told names stands. p_kind: wait (come again after p_retry_secs; nothing failed), moved (the same, behind a
-- look that finds where the repository is now), away (Forgejo is: come again, later each time), failed (the same, and tell_tries times at
-- most), park (not before fleet.retell()), repository (that is parked, the row waits for it). What fails as away while others are told is
-- about the row all the same.
create function fleet.tell_failed(p_node uuid, p_task bigint, p_seq bigint, p_kind text, p_why text, p_retry_secs bigint, p_told jsonb)
    returns boolean
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_wait boolean := p_kind in ('wait', 'moved', 'repository');
    v_parked boolean;
    o fleet.outbox;
begin
    if p_kind = 'repository' then -- its row goes before ours
        perform fleet.park_repository(t.repo, p_why) from fleet.task t where t.task = p_task;
    end if;
    o := fleet.hold_told(p_node, p_task, p_seq, p_told);
    if o.task is null then
        return false;
    end if;
    perform fleet.keep_told(o, p_told);
    if p_kind = 'moved' then
        p_retry_secs := 30;
        perform fleet.want_look('issue', t.issue) from fleet.task t where t.task = p_task and t.issue is not null;
    end if;
    if not v_wait then
        o.tries := o.tries + 1;
        o.failing_since := coalesce(o.failing_since, now());
        o.trouble := left(p_why, 500);
    end if;
    v_parked := p_kind = 'park' or (o.tries >= fleet.get('tell_tries') and (
        p_kind = 'failed'
        or (p_kind = 'away' and exists (select from fleet.outbox x where x.told_at > o.failing_since and x.task <> o.task))));
    update fleet.outbox
    set taken_by = null, taken_until = null, taken_seq = null, tries = o.tries, failing_since = o.failing_since,
        trouble = case when v_wait then coalesce(nullif(left(p_why, 500), ''), trouble) else o.trouble end,
        parked_at = case when v_parked then now() end, parked_reason = case when v_parked then o.trouble end,
        tell_at = now() + greatest(make_interval(secs => greatest(p_retry_secs, 0)),
                                   case when v_wait then interval '0' else fleet.tell_pause(o.tries) end)
    where task = p_task;
    return true;
end $$;
comment on function fleet.tell_failed(uuid, bigint, bigint, text, text, bigint, jsonb) is
    'Forgejo could not be told of a task: when it is tried again, or that it is parked.';

-- A draft pull request of a task is there, opened by us or found: p is {"repository", "pull"}. Repeatable.
create function fleet.pull_opened(p_node uuid, p jsonb) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    perform fleet.node_check(p_node);
    return fleet.pull_told(p, fleet.node_actor(p_node));
end $$;
comment on function fleet.pull_opened(uuid, jsonb) is 'A worker opened a draft pull request for a task.';

-- ---------------------------------------------------------------- people

create function fleet.retell(p_task_id text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
declare t fleet.task;
begin
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found then
        return 'not_found';
    elsif t.issue_number is null or t.source <> 'forgejo' then
        return 'no_issue';
    end if;
    perform fleet.open_outbox(t.task);
    perform fleet.tell_anew(t.task);
    perform fleet.trail_psql('task_retell', p_task_id);
    return 'telling';
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;
comment on function fleet.retell(text) is
    'Tells Forgejo anew how a task is (telling), also when that was parked. Or answers no_issue, not_found, busy (try again).';
