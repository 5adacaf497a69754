-- Pull requests of tasks: which one is whose, and what Forgejo says of it. A task's are those from its own branch in its own repository,
-- and no others: neither a fork's branch of the same name, nor one that says that it closes the issue.

-- A text behind percent-escapes; null when they are no text.
create function fleet.unescaped(p_text text) returns text
    language plpgsql immutable as $$
begin
    return (select convert_from(decode(string_agg(case when x.m[1] ~ '^%[0-9A-Fa-f]{2}$' then substr(x.m[1], 2)
                                                       else encode(convert_to(x.m[1], 'UTF8'), 'hex') end, '' order by x.place), 'hex'), 'UTF8')
            from regexp_matches(p_text, '%[0-9A-Fa-f]{2}|.', 'gn') with ordinality x (m, place));
exception when character_not_in_repertoire or untranslatable_character then
    return null;
end $$;

-- The task whose branch this is: its own, or one in the form of older fleets, task/<task_id> with escapes or without.
create function fleet.task_of_branch(p_repo text, p_branch text) returns bigint
    language plpgsql stable as $$
declare v_id text := case when starts_with(p_branch, 'task/') then substr(p_branch, 6) end;
begin
    return coalesce(
        (select t.task from fleet.task t
         where t.branch_name = p_branch and t.repo is not null and lower(t.repo) = lower(p_repo) order by t.task desc limit 1),
        (select t.task from fleet.task t
         where t.task_id in (fleet.known_id(v_id), fleet.known_id(fleet.unescaped(v_id))) and lower(t.repo) = lower(p_repo) order by t.task desc limit 1));
end $$;
comment on function fleet.task_of_branch(text, text) is 'The task whose branch in its repository this is; null: none''s.';

-- The row of a pull request, made when it is one of a task's; null when it is nobody's. p: {"repository": {"id", "full_name"},
-- "pull": {"number", "head": {"ref", "repository_id"}}}; without a head only what is known already is found.
create function fleet.pull_known(p jsonb) returns bigint
    language plpgsql as $$
declare
    v_repository bigint := (p #>> '{repository,id}')::bigint;
    v_number int := (p #>> '{pull,number}')::int;
    v_ref text := p #>> '{pull,head,ref}';
    v_pull bigint;
    v_task bigint;
begin
    select x.pull into v_pull from fleet.pull x where x.repository_id = v_repository and x.number = v_number;
    if found or (p #>> '{pull,head,repository_id}')::bigint is distinct from v_repository then
        return v_pull;
    end if;
    v_task := fleet.task_of_branch(coalesce((select x.repo from fleet.repository x where x.repository_id = v_repository),
                                            p #>> '{repository,full_name}'), v_ref);
    if v_task is null or v_number is null then
        return null;
    end if;
    insert into fleet.pull (repository_id, number, task, head_ref) values (v_repository, v_number, v_task, v_ref)
    on conflict (repository_id, number) do nothing;
    select x.pull into strict v_pull from fleet.pull x where x.repository_id = v_repository and x.number = v_number;
    return v_pull;
end $$;
comment on function fleet.pull_known(jsonb) is 'The pull request of a task that is meant; null: it is nobody''s.';

-- The one that counts: the newest that is open, else the newest that was closed since a person asked for the task last. Nulls: none does.
create function fleet.pull_of(t fleet.task) returns fleet.pull
    language plpgsql stable as $$
declare r fleet.pull;
begin
    select * into r from fleet.pull x
    where x.task = t.task and (x.state = 'open' or x.closed_round = t.round)
    order by x.state = 'open' desc, x.number desc limit 1;
    return r;
end $$;

-- The one that is shown: also one of the past. (In SQL so that it is inlined.)
create function fleet.pull_shown(p_task bigint) returns setof fleet.pull
    language sql stable
begin atomic
    select x.* from fleet.pull x where x.task = p_task and x.state <> 'unseen' order by x.state = 'open' desc, x.number desc limit 1;
end;

-- The closing of an issue does not cancel its task: a pull request of it is open, or was merged.
create function fleet.pull_keeps(t fleet.task) returns boolean
    language plpgsql stable as $$
declare r fleet.pull := fleet.pull_of(t);
begin
    return coalesce(r.state = 'open' or r.merged, false);
end $$;
comment on function fleet.pull_keeps(fleet.task) is 'Is the end of its issue no reason to stop a task, for a pull request of it is open or merged?';

create function fleet.pull_facts(r fleet.pull) returns jsonb
    language plpgsql immutable as $$
begin
    return jsonb_strip_nulls(jsonb_build_object('pr', r.number, 'url', r.html_url, 'head', r.head_sha));
end $$;

-- Did the task itself push this, as far as is known? (An agent that pushes by itself tells nothing.)
create function fleet.own_head(p_task bigint, p_sha text) returns boolean
    language plpgsql stable as $$
begin
    return coalesce((select bool_or(a.work ->> 'pushed' = p_sha) from fleet.attempt a
                     where a.task = p_task and a.work ->> 'pushed' is not null), true);
end $$;

-- In which round it was closed. What is closed at the first sight may have been so before anybody asked for this.
create function fleet.round_of(t fleet.task, r fleet.pull, p_closed boolean, p_at timestamptz) returns int
    language plpgsql immutable as $$
begin
    return case when not p_closed then null
        when r.state = 'closed' then r.closed_round
        when r.state = 'unseen' and (t.attempt_number = 0 or p_at < coalesce(t.round_at, t.created_at)) then -1
        else t.round end;
end $$;

-- What changed, for the history.
create function fleet.note_pull(t fleet.task, o fleet.pull, n fleet.pull, p_actor text) returns void
    language plpgsql as $$
begin
    if n.state <> o.state then
        perform fleet.note(t.task, case when n.merged then 'pr_merged' when n.state = 'closed' then 'pr_closed'
                                        when o.state = 'closed' then 'pr_reopened' else 'pr_opened' end,
                           null, p_actor, fleet.pull_facts(n));
    elsif n.head_sha <> o.head_sha then
        perform fleet.note(t.task, 'pr_pushed', null, p_actor,
                           fleet.pull_facts(n) || jsonb_build_object('own', fleet.own_head(t.task, n.head_sha)));
    end if;
end $$;

-- Stores what Forgejo says of a pull request, unless it is older than what is known. Under the locks of both. Answers the row.
create function fleet.store_pull(t fleet.task, r fleet.pull, p jsonb, p_actor text) returns fleet.pull
    language plpgsql as $$
declare
    v_at timestamptz := least(coalesce(fleet.time_of(p ->> 'updated_at'), now()), now() + interval '1 day');
    v_closed boolean := coalesce(p ->> 'state', '') <> 'open';
    n fleet.pull;
begin
    if v_at < r.updated_at then
        return r;
    end if;
    update fleet.pull
    set state = case when v_closed then 'closed' else 'open' end, merged = v_closed and coalesce((p ->> 'merged')::boolean, false),
        closed_round = fleet.round_of(t, r, v_closed, v_at), draft = coalesce((p ->> 'draft')::boolean, false),
        forgejo_id = coalesce((p ->> 'id')::bigint, forgejo_id), title = left(p ->> 'title', 500), html_url = left(p ->> 'html_url', 2048),
        author = left(p ->> 'author', 255), author_id = (p ->> 'author_id')::bigint, base_ref = left(p #>> '{base,ref}', 256),
        head_sha = coalesce(nullif(left(p #>> '{head,sha}', 64), ''), head_sha), updated_at = v_at, read_at = now(),
        head_at = case when p #>> '{head,sha}' is distinct from head_sha then now() else head_at end
    where pull = r.pull returning * into n;
    perform fleet.note_pull(t, r, n, p_actor);
    if n.head_sha <> r.head_sha then
        update fleet.task set activity_at = now() where task = t.task;
    end if;
    if n.draft <> r.draft then
        perform fleet.mark(t.task);
    end if;
    return n;
end $$;

-- Locks a pull request, and before it the issue of its task: what is said under it may be about that. Nulls: its task was removed.
create function fleet.lock_pull(p_pull bigint) returns fleet.pull
    language plpgsql as $$
declare r fleet.pull;
begin
    perform from fleet.issue i
    where i.issue = (select t.issue from fleet.pull x join fleet.task t on t.task = x.task where x.pull = p_pull) for update;
    select x.* into r from fleet.pull x join fleet.task t on t.task = x.task where x.pull = p_pull for update of x;
    return r;
end $$;

-- Was something newer applied already? Of answers to the same look that which shows more counts. Under the lock of the pull request.
create function fleet.pull_late(r fleet.pull, p_seq bigint, p jsonb) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from fleet.look l
                   where l.kind = 'pull' and l.id = r.pull
                     and (p_seq < l.done or p_seq = l.done and coalesce(fleet.time_of(p ->> 'updated_at') <= r.updated_at, false)));
end $$;

-- A pull request as Forgejo shows it, with what was said to it since: p is {"repository", "pull", "reviews", "checks", "comments",
-- "people"}; p_look, p_seq: seen by that look. Answers a word.
create function fleet.pull_told(p jsonb, p_actor text default 'forgejo', p_look bigint default null, p_seq bigint default null) returns text
    language plpgsql as $$
declare
    v_pull bigint;
    r fleet.pull;
    t fleet.task;
    v_seen fleet.pull;
begin
    perform fleet.repository_of((p #>> '{repository,id}')::bigint, p #>> '{repository,full_name}');
    v_pull := fleet.pull_known(p);
    r := fleet.lock_pull(v_pull);
    if r.pull is null then
        return 'not_a_tasks';
    elsif r.pull = p_look and fleet.pull_late(r, p_seq, p -> 'pull') then
        return 'late';
    end if;
    perform fleet.learn_people((p #>> '{repository,id}')::bigint, p -> 'people');
    select * into strict t from fleet.task where task = r.task for update;
    v_seen := fleet.store_pull(t, r, p -> 'pull', p_actor);
    perform fleet.take_reviews(v_seen, p -> 'reviews', p -> 'people');
    perform fleet.take_pull_checks(v_seen, p -> 'checks');
    perform fleet.settle(t.task, p_actor);
    perform fleet.take_comments(null, v_pull, p -> 'comments', p -> 'people');
    return case when v_seen.state = r.state then 'recorded' else v_seen.state end;
end $$;
comment on function fleet.pull_told(jsonb, text, bigint, bigint) is 'Takes what Forgejo says of a pull request, by a delivery or a look.';

-- No delivery says that checks have ended: while they may still ask for a run they are looked at. Whether there are any shows soon.
create function fleet.checks_awaited(r fleet.pull) returns boolean
    language plpgsql stable as $$
begin
    return r.state = 'open' and r.check_served is distinct from r.head_sha and coalesce(r.checks, '') <> 'success'
       and r.head_at > now() - case when r.checks is null then interval '10 min' else interval '1 day' end
       and exists (select from fleet.task t where t.task = r.task and fleet.policy(t.repo) ->> 'on_ci_failure' = 'continue'
                   and fleet.own_head(t.task, r.head_sha));
end $$;

-- What a worker saw when it looked at a pull request. Answers a word.
create function fleet.pull_seen(p_node uuid, p_pull bigint, p_seq bigint, p_seen jsonb) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_said text;
    v_why text := fleet.not_ours(p_seen -> 'repository');
begin
    perform fleet.node_check(p_node);
    if v_why is not null then
        perform fleet.look_failed(p_node, 'pull', p_pull, p_seq, 'moved: ' || v_why, -1);
        return 'not_ours';
    end if;
    v_said := fleet.pull_told(p_seen, 'forgejo', p_pull, p_seq);
    perform fleet.look_done('pull', p_pull, p_seq);
    perform fleet.want_look_later('pull', r.pull, interval '1 minute') from fleet.pull r where r.pull = p_pull and fleet.checks_awaited(r);
    return v_said;
end $$;
comment on function fleet.pull_seen(uuid, bigint, bigint, jsonb) is 'A worker tells what it saw of a pull request.';

-- It is no more, though its repository answers: as if it had been closed.
create function fleet.pull_gone(p_pull bigint, p_actor text default 'forgejo') returns text
    language plpgsql as $$
declare
    r fleet.pull;
    t fleet.task;
begin
    r := fleet.lock_pull(p_pull);
    if r.pull is null then
        return 'not_a_tasks';
    end if;
    select * into strict t from fleet.task where task = r.task for update;
    if r.state <> 'closed' then
        perform fleet.store_pull(t, r, jsonb_build_object(
            'state', 'closed', 'updated_at', fleet.utc(r.updated_at), 'title', r.title, 'html_url', r.html_url,
            'author', r.author, 'author_id', r.author_id, 'base', jsonb_build_object('ref', r.base_ref)), p_actor);
    end if;
    return fleet.settle(t.task, p_actor);
end $$;
comment on function fleet.pull_gone(bigint, text) is 'Forgejo knows this pull request no more.';
