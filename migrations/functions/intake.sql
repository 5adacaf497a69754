-- Deliveries of every kind, as servers read them into one object.

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
    p.number := (i ->> 'number')::int;
    p.title := i ->> 'title';
    p.body := i ->> 'body';
    p.labels := array(select l ->> 'name' from jsonb_array_elements(coalesce(i -> 'labels', '[]')) l);
    p.state := i ->> 'state';
    p.updated_at := i ->> 'updated_at';
    p.html_url := i ->> 'html_url';
    p.sender := nullif(e #>> '{sender,login}', '');
    p.admitted := coalesce((e ->> 'trusted')::boolean, false);
    p.timeout_secs := (e ->> 'timeout_secs')::int;
    p.max_retries := (e ->> 'max_retries')::int;
    p.max_attempts_total := (e ->> 'max_attempts_total')::int;
    return p;
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
    end;
end $$;

create function fleet.receive_event(p_event jsonb, out result text, out reason text, out task_id text, out detail text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare p fleet.incoming := fleet.incoming_of(p_event);
begin
    result := 'ignored';
    reason := fleet.idle_reason(p_event);
    if reason is null and p_event ->> 'kind' <> 'issue' then
        reason := 'event_not_used';
    elsif reason is null then
        select a.result, a.reason, a.detail into result, reason, detail from fleet.told_issue(p) a;
        select t.task_id into task_id from fleet.task t where t.task_id = p.repo || '#' || p.number;
    end if;
    if result = 'ignored' and fleet.seen_delivery(p) then
        result := 'duplicate'; reason := 'seen_before';
    end if;
    perform fleet.note_delivery(p, result, reason, task_id, detail);
end $$;
comment on function fleet.receive_event is 'Takes a verified delivery of any kind: accepted, duplicate or ignored, with a reason.';
