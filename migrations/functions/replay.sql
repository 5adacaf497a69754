-- Deliveries as they were taken, shown to operators, and taken again on an operator's word. Bodies are not kept: where Forgejo can be
-- read, its issue or pull request is read again; where not, there is nothing to take.

create function fleet.delivery_json(d fleet.delivery) returns jsonb
    language plpgsql stable as $$
begin
    return jsonb_build_object('delivery', d.delivery_id, 'received_at', fleet.utc(d.received_at), 'event', d.event, 'event_type', d.event_type,
                              'action', d.action, 'repo', d.repo, 'number', d.number, 'sender', d.sender, 'result', d.result,
                              'reason', d.reason, 'detail', d.detail, 'task_id', d.task_id);
end $$;

create function fleet.delivery_list(p_by fleet.requester, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    v_limit int := least(greatest(coalesce(p_limit, 50), 1), 200);
    b fleet.bounds := fleet.bounds_of(p_by);
    v_body text;
    v_last bigint;
    v_more boolean;
begin
    if p_cursor !~ '^[0-9]{1,18}$' then
        return fleet.refuse(400, 'malformed_cursor', 'this cursor was not given by this list');
    end if;
    select coalesce(jsonb_agg(fleet.delivery_json(x.d) order by (x.d).delivery desc) filter (where x.row <= v_limit), '[]')::text,
           min((x.d).delivery) filter (where x.row <= v_limit), count(*) > v_limit
    into v_body, v_last, v_more
    from (select d, row_number() over (order by d.delivery desc) as row from fleet.delivery d
          where d.delivery < coalesce(p_cursor::bigint, 9223372036854775807)
            and (b.repositories is null or fleet.repo_allowed(b.repositories, d.repo))
          order by d.delivery desc limit v_limit + 1) x;
    return fleet.say(200, v_body, case when v_more then v_last::text end);
end $$;
comment on function fleet.delivery_list is 'Verified deliveries, newest first, a page of them.';

-- Looks at what a delivery was about: an issue, that may be unknown as yet, or a known pull request. Answers whose task it is.
create function fleet.look_again(d fleet.delivery, out kind text, out task_id text)
    language plpgsql as $$
#variable_conflict use_column
declare
    v_pull bigint;
    v_repo text := fleet.repository_of(d.repository_id, d.repo);
    i fleet.issue;
begin
    select x.pull, t.task_id into v_pull, task_id
    from fleet.repository r join fleet.pull x using (repository_id) join fleet.task t using (task)
    where r.repo = v_repo and x.number = d.number;
    if v_pull is not null then
        kind := 'pull';
        perform fleet.want_look('pull', v_pull);
    elsif d.event in ('issues', 'issue_comment') and d.event_type is distinct from 'pull_request_comment' then
        kind := 'issue';
        i := fleet.issue_of(v_repo, d.number, null);
        perform fleet.want_look('issue', i.issue);
        select t.task_id into task_id from fleet.task t where t.issue = i.issue;
    end if;
end $$;

create function fleet.delivery_replay(p_by fleet.requester, p_delivery_id text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    d fleet.delivery;
    v_policy jsonb;
    v_again record;
begin
    select * into d from fleet.delivery where delivery_id = p_delivery_id order by delivery desc limit 1;
    v_policy := fleet.policy(d.repo);
    if not found or not fleet.reaches(p_by, d.repo) then
        return fleet.refuse(404, 'not_found', format('there is no delivery %s', p_delivery_id));
    elsif not (v_policy ->> 'reads')::boolean then
        return fleet.refuse(409, 'needs_token', 'no body of a delivery is kept, and without forgejo.token its issue cannot be read again: '
            'take the agent label away and add it once more, or retry its task (POST /api/v1/tasks/{id}/retry)');
    elsif d.number is null or fleet.is_repo(d.repo) is not true then
        return fleet.refuse(422, 'nothing_to_read', format('delivery %s is about no issue and no pull request', p_delivery_id));
    elsif not fleet.covers(v_policy -> 'repositories', d.repo) then
        return fleet.refuse(409, 'repository_not_allowed', format('forgejo.repositories does not list %s', d.repo));
    end if;
    select * into v_again from fleet.look_again(d);
    if v_again.kind is null then
        return fleet.refuse(422, 'nothing_to_read', format('%s#%s is no pull request of a task', d.repo, d.number));
    end if;
    perform fleet.trail(p_by, 'delivery_replay', p_delivery_id, null, jsonb_build_object('repo', d.repo, 'number', d.number));
    return fleet.say(202, jsonb_build_object('delivery', p_delivery_id, 'result', 'accepted', 'reason', 'look', 'detail',
        'what it was about is read from Forgejo again', 'task_id', v_again.task_id)::text);
end $$;
comment on function fleet.delivery_replay is 'Takes a delivery again: what it was about is read from Forgejo.';
