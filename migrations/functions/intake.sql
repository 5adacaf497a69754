-- Deliveries of every kind, as servers read them into one object: {"kind", "action", "repository", "sender", "issue" or "pull", "comment",
-- "review", "push", and of the delivery and its server: "delivery", "sha256", "event", "event_type", "refusal", "signer", "trusted", "reads",
-- "timeout_secs", "max_retries", "max_attempts_total"}. Where Forgejo can be read (reads) a delivery is a hint, and what it says is
-- asked there again; else it is applied, and its sender judged.

-- What a text is known by: that of an issue as it was when somebody who may asked for it.
create function fleet.text_hash(p_title text, p_body text) returns text
    language sql immutable
begin atomic
    select encode(sha256(convert_to(coalesce(p_title, ''), 'UTF8') || decode('00', 'hex') || convert_to(coalesce(p_body, ''), 'UTF8')), 'hex');
end;

create function fleet.incoming_of(e jsonb) returns fleet.incoming
    language plpgsql stable as $$
declare
    p fleet.incoming;
    i jsonb := coalesce(e -> 'issue', e -> 'pull', '{}');
begin
    p.delivery := e ->> 'delivery';
    p.sha256 := e ->> 'sha256';
    p.event := e ->> 'event';
    p.event_type := nullif(e ->> 'event_type', '');
    p.action := nullif(e ->> 'action', '');
    p.repo := nullif(e #>> '{repository,full_name}', '');
    p.repository_id := nullif((e #>> '{repository,id}')::bigint, 0);
    p.number := (i ->> 'number')::int;
    p.issue_id := (e #>> '{issue,id}')::bigint;
    p.milestone := i ->> 'milestone';
    p.title := i ->> 'title';
    p.body := i ->> 'body';
    p.labels := array(select l ->> 'name' from jsonb_array_elements(coalesce(i -> 'labels', '[]')) l);
    p.state := i ->> 'state';
    p.updated_at := i ->> 'updated_at';
    p.html_url := i ->> 'html_url';
    p.sender := nullif(e #>> '{sender,login}', '');
    p.sender_id := nullif((e #>> '{sender,id}')::bigint, 0);
    p.text_hash := case when e ->> 'kind' = 'issue' then fleet.text_hash(p.title, p.body) end; -- who comments vouches for nothing
    p.admitted := coalesce((e ->> 'trusted')::boolean, false);
    p.timeout_secs := (e ->> 'timeout_secs')::int;
    p.max_retries := (e ->> 'max_retries')::int;
    p.max_attempts_total := (e ->> 'max_attempts_total')::int;
    return p;
end $$;

-- May the secret that signed a delivery sign for this repository? signer: {"covers": […], "but": […]}; none: it is a general one.
create function fleet.signs_for(e jsonb, p_repo text) returns boolean
    language plpgsql immutable as $$
begin
    return e ->> 'signer' is null
        or fleet.covers(e #> '{signer,covers}', p_repo) and not fleet.covers(coalesce(e #> '{signer,but}', '[]'), p_repo);
end $$;

-- Ids in a body are what its signer wrote: with the hook of one repository nobody renames another, or takes its issue.
create function fleet.stolen(e jsonb) returns boolean
    language plpgsql stable as $$
declare v_id bigint := (e #>> '{repository,id}')::bigint;
begin
    return exists (select from fleet.repository r where r.repository_id = v_id and not fleet.signs_for(e, r.repo))
        or exists (select from fleet.issue i join fleet.repository r using (repo)
                   where i.forgejo_id = (e #>> '{issue,id}')::bigint and r.repository_id <> v_id);
end $$;

-- What nothing is done about, whoever sent it; null: it goes on.
create function fleet.idle_reason(e jsonb) returns text
    language plpgsql stable as $$
begin
    return case
        when e ->> 'refusal' is not null then e ->> 'refusal'
        when e ->> 'kind' = 'unused' then 'event_not_used'
        when e #>> '{push,before}' = e #>> '{push,after}' then 'test_delivery' -- Forgejo's button sends HEAD as pushed onto itself
        when fleet.is_repo(e #>> '{repository,full_name}') is not true then 'no_repository'
        when (e #>> '{sender,id}')::bigint = (select f.user_id from fleet.forgejo f) then 'own_event'
        when fleet.stolen(e) then 'another_repository'
    end;
end $$;

-- ---------------------------------------------------------------- hints

-- The issue that is meant, as it is known: by its id, or by its place as long as no id was told. Nulls: it is not known.
create function fleet.known_issue(p fleet.incoming) returns fleet.issue
    language plpgsql stable as $$
declare i fleet.issue;
begin
    select * into i from fleet.issue
    where forgejo_id = p.issue_id or repo = p.repo and number = p.number
    order by forgejo_id is not distinct from p.issue_id desc limit 1;
    return i;
end $$;

-- A new issue that asks for work is a task that waits at once; all else the look decides.
create function fleet.hint_issue(e jsonb, p fleet.incoming, out result text, out reason text, out task_id text)
    language plpgsql as $$
#variable_conflict use_column
declare
    i fleet.issue;
    v_asks boolean := p.state = 'open' and fleet.requirements_of(fleet.delivery_labels(p)) <> '{}';
begin
    i := fleet.known_issue(p);
    if i.issue is null and not v_asks then
        result := 'ignored'; reason := 'no_agent_label';
        return;
    end if;
    i := fleet.incoming_issue(p);
    result := 'accepted'; reason := 'look';
    if v_asks and not exists (select from fleet.task t where t.issue = i.issue) then
        reason := replace(fleet.expect_task(i, p.labels, p.title, p.body, fleet.sender_actor(p)), 'recorded', 'look');
    end if;
    perform fleet.want_look('issue', i.issue);
    select t.task_id into task_id from fleet.task t where t.issue = i.issue;
end $$;

create function fleet.hint_pull(e jsonb, out result text, out reason text, out task_id text)
    language plpgsql as $$
#variable_conflict use_column
declare v_pull bigint := fleet.pull_known(e);
begin
    result := 'ignored'; reason := 'no_tasks_pull_request';
    if v_pull is not null then
        result := 'accepted'; reason := 'look';
        perform fleet.want_look('pull', v_pull);
        select t.task_id into task_id from fleet.pull x join fleet.task t using (task) where x.pull = v_pull;
    end if;
end $$;

-- A body that was there before: a person sent it again, or something changed twice within a second, back to what it was. For the latter
-- what is known is read again.
create function fleet.hint_again(e jsonb, p fleet.incoming) returns void
    language plpgsql as $$
begin
    if not exists (select from fleet.delivery d where d.sha256 = p.sha256 and d.delivery_id <> p.delivery
                   and d.received_at > now() - interval '10 minutes') then
        return;
    elsif e -> 'pull' is not null then
        perform fleet.want_look('pull', x.pull) from fleet.pull x where x.repository_id = p.repository_id and x.number = p.number;
    else
        perform fleet.want_look('issue', i.issue) from fleet.known_issue(p) i where i.issue is not null;
    end if;
end $$;

-- ---------------------------------------------------------------- told, where nothing is read

-- A pull request starts nothing, but a comment or review of its may: then its sender is judged.
create function fleet.told_pull(e jsonb, p fleet.incoming, out result text, out reason text, out task_id text, out detail text)
    language plpgsql as $$
#variable_conflict use_column
declare
    v_pull bigint := fleet.pull_known(e);
begin
    result := 'ignored';
    reason := case when v_pull is null then 'no_tasks_pull_request' when e ->> 'kind' = 'review' or e #> '{pull,head}' is null then 'needs_token' end;
    if reason = 'needs_token' then
        detail := case when e ->> 'kind' = 'review'
            then 'a delivery does not say which review it is: a comment "/agent continue ..." on the pull request does what is wanted'
            else 'this Forgejo does not show the pull request with its comments: version 10 does' end;
    end if;
    if reason is not null then
        return;
    end if;
    reason := fleet.pull_told(e || fleet.told_comments(e, p), fleet.sender_actor(p));
    result := 'accepted';
    select t.task_id into task_id from fleet.pull x join fleet.task t using (task) where x.pull = v_pull;
end $$;

-- {"comments", "people"}: what a delivery says of them. A comment counts as it was written, by whom it was written.
create function fleet.told_comments(e jsonb, p fleet.incoming) returns jsonb
    language plpgsql immutable as $$
begin
    if e -> 'comment' is null or p.action <> 'created' or e #>> '{comment,by_id}' is distinct from e #>> '{sender,id}'
       or e #>> '{comment,by}' is distinct from p.sender then
        return '{"comments": [], "people": {}}'::jsonb;
    end if;
    return jsonb_build_object('comments', jsonb_build_array(e -> 'comment'),
                              'people', jsonb_build_object(p.sender, case when p.admitted then 'write' else 'none' end));
end $$;

create function fleet.told_comment(e jsonb, p fleet.incoming, out result text, out reason text, out task_id text)
    language plpgsql as $$
#variable_conflict use_column
declare
    i fleet.issue := fleet.known_issue(p);
    v_said jsonb := fleet.told_comments(e, p);
begin
    perform from fleet.issue where issue = i.issue for update;
    select t.task_id into task_id from fleet.task t where t.issue = i.issue;
    result := 'ignored';
    reason := case when task_id is null then 'no_task' when v_said -> 'comments' = '[]' then 'comment_not_counted'
                   when not p.admitted then 'sender_not_allowed' end;
    if reason is null then
        result := 'accepted'; reason := 'comment_read';
        perform fleet.take_comments(i.issue, null, v_said -> 'comments', v_said -> 'people');
    end if;
end $$;

-- ---------------------------------------------------------------- branches

-- What happens to a task's branch: it is active, and what is known of its pull requests may have changed.
create function fleet.branch_event(e jsonb, p fleet.incoming, out result text, out reason text, out task_id text)
    language plpgsql as $$
#variable_conflict use_column
declare
    v_branch text := regexp_replace(e #>> '{push,ref}', '^refs/heads/', '');
    v_task bigint := case when coalesce(e #>> '{push,ref_type}', 'branch') = 'branch' then fleet.task_of_branch(p.repo, v_branch) end;
begin
    result := 'ignored'; reason := 'no_tasks_branch';
    if v_task is null then
        return;
    end if;
    result := 'accepted'; reason := 'recorded';
    if e ->> 'kind' = 'push' then
        update fleet.task set activity_at = now() where task = v_task;
    end if;
    if (e ->> 'reads')::boolean then
        perform fleet.want_look('pull', x.pull) from fleet.pull x where x.task = v_task and x.state <> 'closed' order by x.pull;
    end if;
    select t.task_id into task_id from fleet.task t where t.task = v_task;
end $$;

-- ---------------------------------------------------------------- whole

create function fleet.take_event(e jsonb, p fleet.incoming, out result text, out reason text, out task_id text, out detail text)
    language plpgsql as $$
declare
    v_kind text := e ->> 'kind';
    v_reads boolean := coalesce((e ->> 'reads')::boolean, false);
begin
    if v_kind in ('push', 'delete') then
        select x.* into result, reason, task_id from fleet.branch_event(e, p) x;
    elsif v_reads and e -> 'pull' is not null then
        select x.* into result, reason, task_id from fleet.hint_pull(e) x;
    elsif v_reads then
        select x.* into result, reason, task_id from fleet.hint_issue(e, p) x;
    elsif e -> 'pull' is not null then
        select x.* into result, reason, task_id, detail from fleet.told_pull(e, p) x;
    elsif v_kind = 'comment' then
        select x.* into result, reason, task_id from fleet.told_comment(e, p) x;
    else
        select x.* into result, reason, task_id, detail from fleet.told_issue(p) x;
    end if;
end $$;

create function fleet.receive_event(p_event jsonb, out result text, out reason text, out task_id text, out detail text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare p fleet.incoming := fleet.incoming_of(p_event);
begin
    result := 'ignored';
    reason := fleet.idle_reason(p_event);
    if reason is not null then -- it vouches for nothing
        p.text_hash := null;
        p.repository_id := null;
    elsif fleet.seen_delivery(p) then
        result := 'duplicate'; reason := 'seen_before';
        detail := 'sent again by hand? POST /api/v1/deliveries/{id}/replay does what can be done';
        if (p_event ->> 'reads')::boolean then
            perform fleet.hint_again(p_event, p);
        end if;
    else
        p.repo := fleet.repository_of(p.repository_id, p.repo);
        select x.* into result, reason, task_id, detail from fleet.take_event(p_event, p) x;
    end if;
    perform fleet.note_delivery(p, result, reason, task_id, detail);
end $$;
comment on function fleet.receive_event is 'Takes a verified delivery of any kind: accepted, duplicate or ignored, with a reason.';
