-- What reviews and checks of a task's pull request ask for: another run on the same branch and session, at most max_reviews times.

-- ---------------------------------------------------------------- ids that come out of order

-- (A review has its id when it is begun, and a comment may be seen before one with a lower id: so the newest are remembered one by one.)
create function fleet.unserved(p_id bigint, p_seen bigint[], p_served bigint) returns boolean
    language plpgsql immutable as $$
begin
    return p_id > p_served and p_id <> all (p_seen);
end $$;

create function fleet.remember(inout seen bigint[], inout served bigint, p_new bigint[], p_keep int)
    language plpgsql immutable as $$
declare v_all bigint[] := array(select distinct x from unnest(seen || p_new) x where x > served order by x desc);
begin
    served := greatest(served, v_all[p_keep + 1]);
    seen := v_all[1:p_keep];
end $$;

-- The elements of an array; nothing is none.
create function fleet.items(p jsonb) returns jsonb
    language plpgsql immutable as $$
begin
    return case when jsonb_typeof(p) = 'array' then p else '[]' end;
end $$;

-- ---------------------------------------------------------------- who

-- May somebody ask for a run, or say what is to become of one? Null: it could not be learnt, and is asked again.
create function fleet.may_ask(p_people jsonb, p_login text, p_repo text) returns boolean
    language plpgsql stable as $$
declare v_permission text := coalesce(p_people ->> p_login, 'none');
begin
    return case when fleet.may_start(p_login, v_permission, p_repo) then true when v_permission <> 'unknown' then false end;
end $$;

create function fleet.forgejo_actor(p_login text) returns text
    language plpgsql immutable as $$
begin
    return 'forgejo:' || fleet.one_line(coalesce(p_login, ''), '?');
end $$;

-- The fleet's own account says nothing to itself.
create function fleet.is_ours(p_user_id bigint) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from fleet.forgejo f where f.user_id = p_user_id);
end $$;

-- ---------------------------------------------------------------- what is wanted

-- More is wanted of a task, by somebody in Forgejo: of the run that follows the present one, or the last. settle() decides whether there
-- may be one. Under the task's lock.
create function fleet.want_follow(t fleet.task, p_kind text, p_event text, p_text text, p_actor text, p_facts jsonb default '{}') returns void
    language plpgsql as $$
begin
    insert into fleet.follow (task, number, kind, text, shown, asked_by, counted)
    values (t.task, t.attempt_number, p_kind, left(p_text, 32768), left(p_text, 32768), p_actor, true);
    perform fleet.note(t.task, p_event, t.attempt_number, p_actor, p_facts || jsonb_build_object('text', left(p_text, 2000)));
end $$;

create function fleet.no_review_left(t fleet.task) returns boolean
    language plpgsql stable as $$
begin
    return t.review_count >= (fleet.policy(t.repo) ->> 'max_reviews')::int;
end $$;

-- Were all that ask for another run asked by reviews and the like, and is there none left for these? (One that waits anyway is told.)
create function fleet.reviews_used_up(t fleet.task) returns boolean
    language plpgsql stable as $$
declare v_counted boolean := (select bool_and(f.counted) from fleet.follow f
                              where f.task = t.task and f.number = t.attempt_number and f.last is null);
begin
    if v_counted and t.status <> 'created' then -- as it nearly never is
        return fleet.no_review_left(t);
    end if;
    return false;
end $$;

-- Nothing comes of them, then; said in the history, and where a person looks.
create function fleet.drop_follow(t fleet.task, p_actor text) returns void
    language plpgsql as $$
begin
    update fleet.follow set last = t.attempt_number where task = t.task and number = t.attempt_number and last is null;
    perform fleet.note(t.task, 'reviews_exhausted', t.attempt_number, p_actor, jsonb_build_object('review_count', t.review_count));
end $$;

-- ---------------------------------------------------------------- reviews

create function fleet.review_text(r fleet.pull, p jsonb) returns text
    language plpgsql immutable as $$
begin
    return format('Changes were requested in a review of pull request #%s by %s.', r.number, fleet.one_line(coalesce(p ->> 'by', ''), '?'))
        || coalesce(repeat(chr(10), 2) || nullif(trim(p ->> 'body'), ''), '')
        || coalesce(repeat(chr(10), 2) || (
               select string_agg(concat_ws(':', fleet.one_line(coalesce(c ->> 'path', ''), '?'), nullif(c ->> 'line', '0')) || ': ' || (c ->> 'body'),
                                 repeat(chr(10), 2) order by c ->> 'path', (c ->> 'line')::bigint)
               from jsonb_array_elements(fleet.items(p -> 'comments')) c), '');
end $$;

-- Does a review ask for changes of what is there?
create function fleet.asks_changes(t fleet.task, r fleet.pull, p jsonb) returns boolean
    language plpgsql immutable as $$
begin
    return p ->> 'state' = 'REQUEST_CHANGES' and coalesce(p ->> 'dismissed', 'false') <> 'true' and r.state = 'open'
       and t.attempt_number > 0 and t.status <> 'cancelled';
end $$;

-- Reviews not seen before, in their order. One that is not handed in yet, or of whose author nothing could be learnt, is looked at again.
-- Under the locks of pull request and task.
create function fleet.take_reviews(r fleet.pull, p_reviews jsonb, p_people jsonb) returns void
    language plpgsql as $$
declare
    t fleet.task;
    v jsonb;
    v_may boolean;
    v_new bigint[] := array[]::bigint[];
begin
    select * into strict t from fleet.task where task = r.task;
    for v in select x from jsonb_array_elements(fleet.items(p_reviews)) x
             where fleet.unserved((x ->> 'id')::bigint, r.reviews_seen, r.review_served)
               and x ->> 'state' not in ('PENDING', 'REQUEST_REVIEW')
             order by (x ->> 'id')::bigint loop
        v_may := not fleet.is_ours((v ->> 'by_id')::bigint) and fleet.may_ask(p_people, v ->> 'by', t.repo);
        continue when v_may is null;
        if v_may and fleet.asks_changes(t, r, v) then
            perform fleet.want_follow(t, 'review', 'changes_requested', fleet.review_text(r, v), fleet.forgejo_actor(v ->> 'by'),
                                      jsonb_build_object('pr', r.number, 'review', v -> 'id'));
            update fleet.task set requested_by = v ->> 'by', requested_id = (v ->> 'by_id')::bigint where task = t.task;
        end if;
        v_new := v_new || (v ->> 'id')::bigint;
    end loop;
    if v_new <> '{}' then
        update fleet.pull x set (reviews_seen, review_served) = (
            select m.seen, m.served from fleet.remember(x.reviews_seen, x.review_served, v_new, 64) m)
        where x.pull = r.pull;
    end if;
end $$;

-- ---------------------------------------------------------------- checks

-- The checks of others that count for a repository: all, or those that the configuration names.
create function fleet.checks_that_count(p_repo text, p_statuses jsonb) returns table (context text, state text, description text)
    language plpgsql stable as $$
declare v_required jsonb := fleet.policy(p_repo) -> 'required_checks';
begin
    return query
    select x.context, x.state, x.description from jsonb_to_recordset(fleet.items(p_statuses)) x (context text, state text, description text)
    where not starts_with(coalesce(x.context, ''), 'agent-fleet/') and (v_required = '[]' or v_required ? x.context);
end $$;

-- Checks of the head: when all have ended and one failed, that may ask for one run more, once a head, unless a person pushed it or a run
-- is at work on the next. Under the locks of pull request and task.
create function fleet.take_pull_checks(r fleet.pull, p_checks jsonb) returns void
    language plpgsql as $$
declare
    t fleet.task;
    v_state text;
    v_failed text;
begin
    select * into strict t from fleet.task where task = r.task;
    if p_checks ->> 'sha' is distinct from r.head_sha then
        return;
    end if;
    select case when bool_or(c.state = 'pending') then 'pending' when bool_or(c.state in ('failure', 'error')) then 'failure'
                when count(*) > 0 then 'success' end,
           string_agg(format('- %s: %s', fleet.one_line(c.context, '?'), concat_ws(', ', c.state, nullif(fleet.one_line(c.description, ''), ''))),
                      chr(10) order by c.context) filter (where c.state in ('failure', 'error'))
    into v_state, v_failed from fleet.checks_that_count(t.repo, p_checks -> 'statuses') c;
    update fleet.pull set checks = v_state where pull = r.pull and checks is distinct from v_state;
    if v_state = 'failure' and fleet.policy(t.repo) ->> 'on_ci_failure' = 'continue' and r.check_served is distinct from r.head_sha
       and r.state = 'open' and t.status in ('review_pending', 'completed', 'failed') and t.attempt_number > 0
       and fleet.own_head(t.task, r.head_sha) then
        update fleet.pull set check_served = r.head_sha where pull = r.pull;
        perform fleet.want_follow(t, 'check', 'checks_failed', format('Checks of pull request #%s failed at %s:', r.number, left(r.head_sha, 12))
                                  || repeat(chr(10), 2) || v_failed, 'forgejo', fleet.pull_facts(r));
    end if;
end $$;
