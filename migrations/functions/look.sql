-- Looks: what is to be read from Forgejo, by whom, and what becomes of a look that failed. A look is wanted by whoever heard that
-- something may have changed; what was seen is given to issue_seen() or pull_seen(), which end with look_done().
-- Rows of fleet.look are locked last of all.

-- Has the node of this id stopped, or was it declared dead?
create function fleet.node_gone(p_node uuid) returns boolean
    language plpgsql stable as $$
begin
    return not exists (select from fleet.node n where n.node = p_node and n.dead_at is null and n.stopped_at is null);
end $$;

create function fleet.parked(p_repo text) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from fleet.repository r where r.repo = p_repo and r.parked_until > now());
end $$;
comment on function fleet.parked(text) is 'Does Forgejo not let us read or write this repository, for now?';

-- Wants a look that begins from now on, and says so. p_wait false: from who waits for nobody (a claim). Whoever holds the row then
-- leaves a look behind, or ends one under the lock of the task, which a claim does not have then. One that failed keeps its pause.
create function fleet.want_look(p_kind text, p_id bigint, p_wait boolean default true) returns void
    language plpgsql as $$
declare
    l fleet.look;
begin
    if not p_wait then
        select * into l from fleet.look where kind = p_kind and id = p_id for update skip locked;
        if not found and exists (select from fleet.look where kind = p_kind and id = p_id) then
            return;
        end if;
    end if;
    insert into fleet.look as x (kind, id) values (p_kind, p_id)
    on conflict (kind, id) do update set seq = x.seq + 1, later = false, due_at = case when x.tries = 0 then now() else x.due_at end;
    perform fleet.hint('look');
end $$;
comment on function fleet.want_look(text, bigint, boolean) is 'Somebody heard that an issue or pull request changed: it is to be read.';

-- The same of what a regular reading found, behind those that somebody waits for; due after p_pause.
create function fleet.want_look_later(p_kind text, p_id bigint, p_pause interval default '0') returns void
    language plpgsql as $$
begin
    insert into fleet.look as x (kind, id, later, due_at) values (p_kind, p_id, true, now() + p_pause)
    on conflict (kind, id) do update
    set seq = x.seq + 1, later = x.done = x.seq or x.later,
        due_at = case when x.done = x.seq and x.tries = 0 then now() + p_pause else x.due_at end;
end $$;

-- What is asked about: where it is, whose permission SQL wants to know besides those that the reader meets, and behind which comment,
-- review and head there is news.
create type fleet.look_target as (
    repo text, repository_id bigint, number int, people text[], comment_after bigint, review_after bigint, head_sha text);

-- Who asked for an issue's task, and who lately sent a text or labels of it: they may have vouched for the text.
create function fleet.concerned(i fleet.issue) returns text[]
    language plpgsql stable as $$
begin
    return array(select t.requested_by from fleet.task t where t.issue = i.issue and t.requested_by is not null
                 union
                 (select d.sender from fleet.delivery d
                  where d.repo = i.repo and d.number = i.number and d.action in ('opened', 'edited', 'label_updated') and d.sender is not null
                  order by d.received_at desc limit 20));
end $$;

create function fleet.look_target(p_kind text, p_id bigint) returns fleet.look_target
    language plpgsql stable as $$
declare x fleet.look_target;
begin
    select r.repo, r.repository_id, i.number, fleet.concerned(i), i.comment_served, 0, null
    into x from fleet.issue i join fleet.repository r on r.repo = i.repo
    where p_kind = 'issue' and i.issue = p_id;
    if p_kind = 'pull' then
        select r.repo, r.repository_id, u.number, '{}'::text[], u.comment_served, u.review_served, u.head_sha
        into x from fleet.pull u join fleet.repository r on r.repository_id = u.repository_id
        where u.pull = p_id;
    end if;
    return x;
end $$;

-- Gives a node up to p_max looks that are due. Nobody else gets them for look_lease_ms, or until that node is gone.
create function fleet.looks(p_node uuid, p_max int)
    returns table (kind text, id bigint, seq bigint, repo text, repository_id bigint, number int, people text[], comment_after bigint,
                   review_after bigint, head_sha text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    l fleet.look;
    x fleet.look_target;
    v_left int := p_max;
begin
    perform set_config('synchronous_commit', 'off', true);
    perform fleet.node_check(p_node);
    for l in
        select k.* from fleet.look k
        where k.done < k.seq and k.due_at <= now() and (k.taken_until is null or k.taken_until <= now() or fleet.node_gone(k.taken_by))
        order by k.later, k.due_at limit p_max + 1000 for update skip locked
    loop
        exit when v_left <= 0;
        x := fleet.look_target(l.kind, l.id);
        if x.repo is null then
            delete from fleet.look k where k.kind = l.kind and k.id = l.id; -- of what is no more
        elsif fleet.parked(x.repo) then
            update fleet.look k set due_at = (select r.parked_until from fleet.repository r where r.repo = x.repo), taken_until = null
            where k.kind = l.kind and k.id = l.id;
        else
            update fleet.look k set taken_by = p_node, taken_until = now() + fleet.ms('look_lease_ms'), begun_at = clock_timestamp()
            where k.kind = l.kind and k.id = l.id;
            return query select l.kind, l.id, l.seq, x.repo, x.repository_id, x.number, x.people, x.comment_after, x.review_after, x.head_sha;
            v_left := v_left - 1;
        end if;
    end loop;
end $$;

-- What a look saw is stored. Called last by issue_seen() and pull_seen(). One that comes late changes nothing.
create function fleet.look_done(p_kind text, p_id bigint, p_seq bigint) returns void
    language plpgsql as $$
declare l fleet.look;
begin
    update fleet.look
    set done = greatest(done, least(p_seq, seq)), taken_by = null, taken_until = null, tries = 0, reason = null
    where kind = p_kind and id = p_id and done < p_seq returning * into l;
    if l.done = l.seq and l.again_at is not null then
        update fleet.look
        set again_at = null,
            seq = case when l.begun_at < l.again_at then seq + 1 else seq end,
            later = true, due_at = l.again_at
        where kind = p_kind and id = p_id;
    elsif l.done < l.seq and l.due_at <= now() then
        perform fleet.hint('look');
    end if;
end $$;

-- ---------------------------------------------------------------- what failed

-- The repository answers, and the issue is no more: stopping is free, so what waits is cancelled and what runs is asked to stop, unless
-- a pull request of it is open, as when it is closed.
create function fleet.issue_gone(p_issue bigint, p_actor text) returns text
    language plpgsql as $$
declare
    i fleet.issue;
    t fleet.task;
begin
    select * into i from fleet.issue where issue = p_issue for update;
    update fleet.issue set state = 'closed', labels = '{}' where issue = p_issue;
    select * into t from fleet.task where issue = p_issue for update;
    if exists (select from fleet.pull u where u.task = t.task and u.state = 'open') then
        return 'recorded';
    elsif t.status in ('created', 'review_pending') then
        perform fleet.cancel_idle(t, 'issue_gone', null, p_actor);
        return 'cancelled';
    elsif t.status in ('assigned', 'running', 'agent_lost') then
        perform fleet.ask_cancel(t, 'issue_gone', p_actor);
        return 'cancelling';
    end if;
    return 'recorded';
end $$;

-- Nothing of this repository is asked or told until then: Forgejo does not let us. Once for all that meet it at the same time.
create function fleet.park_repository(p_repo text, p_reason text, p_until timestamptz default null) returns timestamptz
    language plpgsql as $$
declare r fleet.repository;
begin
    select * into r from fleet.repository where repo = p_repo for no key update;
    if not found or r.parked_until > now() then
        return r.parked_until;
    end if;
    update fleet.repository
    set parked_until = coalesce(p_until, now() + fleet.backoff(r.parks, 'park_ms', 'park_max_ms')),
        parked_reason = left(fleet.one_line(p_reason, ' '), 500), parked_at = now(), parks = r.parks + 1
    where repo = p_repo returning parked_until into r.parked_until;
    return r.parked_until;
end $$;

-- A look came to nothing. p_why is a word, and what to say behind ": ". gone: the repository answers, this is no more; denied, missing,
-- locked, moved (by what the configuration says now): the repository is parked; dropped: its node has no time; away and all others: again
-- after a growing pause, which Forgejo may have named (p_retry_secs, -1: it did not). Answers when it is tried again; null: it is over.
create function fleet.look_failed(p_node uuid, p_kind text, p_id bigint, p_seq bigint, p_why text, p_retry_secs int) returns timestamptz
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_word text := split_part(p_why, ':', 1);
    v_due timestamptz;
begin
    perform fleet.node_check(p_node);
    if v_word = 'gone' then
        if not exists (select from fleet.look where kind = p_kind and id = p_id and done >= p_seq) then
            perform fleet.issue_gone(p_id, fleet.node_actor(p_node)) where p_kind = 'issue';
            perform fleet.pull_gone(p_id) where p_kind = 'pull';
        end if;
        perform fleet.look_done(p_kind, p_id, p_seq);
        return null;
    elsif v_word in ('denied', 'missing', 'locked') or v_word = 'moved' and not fleet.told_since(
            (select l.begun_at from fleet.look l where l.kind = p_kind and l.id = p_id)) then
        v_due := fleet.park_repository((fleet.look_target(p_kind, p_id)).repo, p_why);
    elsif v_word = 'dropped' then
        v_due := now();
    end if;
    update fleet.look
    set taken_by = null, taken_until = null, tries = case when v_word = 'dropped' then tries else tries + 1 end,
        reason = left(fleet.one_line(p_why, ' '), 500),
        due_at = coalesce(v_due, now() + greatest(fleet.backoff(tries, 'look_retry_ms', 'look_retry_max_ms'),
                                                  make_interval(secs => least(p_retry_secs, 86400) * (1 + random() / 10))))
    where kind = p_kind and id = p_id and taken_by = p_node returning due_at into v_due;
    if v_word = 'dropped' then
        perform fleet.hint('look');
    end if;
    return v_due;
end $$;

-- Why a repository was parked may be mended: it is asked at once, or behind the reading that is under way. Under its lock.
create function fleet.open_repository(r fleet.repository) returns void
    language plpgsql as $$
begin
    update fleet.repository
    set parked_until = null, parked_reason = null, parked_at = null, parks = 0, read_due = now()
    where repo = r.repo;
    update fleet.look set due_at = now(), tries = 0
    where done < seq and (kind = 'issue' and id in (select i.issue from fleet.issue i where i.repo = r.repo)
                          or kind = 'pull' and id in (select u.pull from fleet.pull u where u.repository_id = r.repository_id));
    perform fleet.hint('look'), fleet.hint('tell');
end $$;

-- What was not ours may be now. One that somebody holds stays parked: nobody who tells what he reads by waits for that.
create function fleet.open_moved() returns void
    language plpgsql as $$
declare v fleet.repository[] := array(select r from fleet.repository r where r.parked_reason like 'moved:%' for no key update skip locked);
begin
    perform fleet.open_repository(r) from unnest(v) r;
end $$;

-- For people: a repository whose reason to be parked was mended is asked at once.
create function fleet.unpark_repository(p_repo text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare r fleet.repository;
begin
    select * into r from fleet.repository where lower(repo) = lower(p_repo) for no key update;
    if not found then
        return 'not_found';
    end if;
    perform fleet.open_repository(r);
    if r.parked_until is null then
        return 'not_parked';
    end if;
    perform fleet.trail_psql('unpark_repository', r.repo, jsonb_build_object('parked_until', r.parked_until, 'reason', r.parked_reason));
    return 'unparked';
end $$;
comment on function fleet.unpark_repository(text) is
    'Forgejo lets us read and write this repository again: it is asked at once. unparked, not_parked or not_found.';
