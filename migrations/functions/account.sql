-- Accounts: whose quota an executor uses. Parked, nothing is claimed for it. When the limit ends it is half open: one run, the probe,
-- goes first, and the others follow when it has proven that there is no limit any more.

-- ---------------------------------------------------------------- parked by its runs

-- A run whose output goes on for probe_ms is not limited; nor is one that works for three times that, however silent.
create function fleet.made_progress(a fleet.attempt) returns boolean
    language plpgsql stable as $$
begin
    return coalesce(a.output_at >= a.started_at + fleet.ms('probe_ms'), false)
        or (a.ended_at is null and a.phase = 'running' and coalesce(a.started_at < now() - 3 * fleet.ms('probe_ms'), false));
end $$;

-- When the limit ends that a run ran into, as its agent says (seconds since 1970), within what is believed; null: that is not known.
create function fleet.limit_end(p_seconds bigint, p_window text) returns timestamptz
    language plpgsql stable as $$
declare
    v_most interval := case when p_window = 'five_hour' then least(interval '6 h', fleet.ms('limit_max_ms')) else fleet.ms('limit_max_ms') end;
begin
    return case when p_seconds > extract(epoch from now()) then to_timestamp(least(p_seconds, extract(epoch from now() + v_most)::float8)) end;
end $$;

-- A run ran into the limit of its account. Several do at once: the latest end counts, and a guess lengthens nothing.
create function fleet.limit_account(a fleet.attempt) returns void
    language plpgsql as $$
declare
    e fleet.executor;
    k fleet.account;
    v_parks int;
    v_until timestamptz;
begin
    select * into strict e from fleet.executor where executor = a.executor;
    select * into strict k from fleet.account where account = e.account for no key update;
    v_parks := case when k.state = 'parked' then greatest(k.parks, 1) else k.parks + 1 end;
    v_until := case when a.retry_at is not null then greatest(a.retry_at, now() + interval '1 min')
                    else now() + make_interval(secs => least(fleet.get('quota_unknown_ms') * power(2::float8, least(v_parks - 1, 30)),
                                                             fleet.get('quota_unknown_max_ms')) / 1000.0) end;
    if k.state = 'parked' and (a.retry_at is null or v_until <= k.parked_until) then
        update fleet.account set parks = v_parks where account = k.account and parks <> v_parks;
        return;
    end if;
    update fleet.account
    set state = 'parked', parked_at = case k.state when 'parked' then k.parked_at else now() end, parked_until = v_until, reason = a.reason,
        detail = left(coalesce(nullif(a.report #>> '{limit,text}', ''), nullif(a.report ->> 'error', '')), 500),
        limit_window = left(a.report #>> '{limit,window}', 64), told_until = a.retry_at, reported_by = e.agent_id, parks = v_parks, probe = null
    where account = k.account;
end $$;

-- What the end of an attempt says of its account. Behind the slot: claims have slots when they look at accounts.
create function fleet.judge_account(a fleet.attempt) returns void
    language plpgsql as $$
declare r fleet.reason;
begin
    select * into r from fleet.reason where reason = a.reason;
    if a.outcome is distinct from 'failed' then
        return;
    elsif r.retry = 'quota' then
        perform fleet.limit_account(a);
    elsif r.class = 'login' then
        update fleet.account k
        set state = 'parked', parked_at = coalesce(k.parked_at, now()), parked_until = 'infinity', reason = a.reason,
            detail = left(nullif(a.report ->> 'error', ''), 500), limit_window = null, told_until = null, reported_by = e.agent_id, probe = null
        from fleet.executor e
        where e.executor = a.executor and k.account = e.account and coalesce(k.parked_until, '-infinity') <> 'infinity';
    end if;
end $$;

-- ---------------------------------------------------------------- open again

-- Nothing is known against it any more.
create function fleet.open_account(p_account text) returns void
    language plpgsql as $$
begin
    update fleet.account
    set state = 'open', parked_at = null, parked_until = null, reason = null, detail = null, limit_window = null, told_until = null,
        reported_by = null, parks = 0, probe = null
    where account = p_account;
end $$;

-- What waits for the end of a quota may start now, if this account is open. Skips what somebody holds: that waits for its time.
create function fleet.recall(p_account text) returns void
    language plpgsql as $$
begin
    with waiting as (
        select t.task from fleet.delayed d
        join fleet.task t on t.task = d.task
        join fleet.reason r on r.reason = t.failure_reason and r.retry = 'quota'
        where d.run_at > now() and exists (
            select from fleet.executor_lane el join fleet.executor e on e.executor = el.executor
            join fleet.account k on k.account = e.account
            where el.lane = t.lane and k.account = p_account and k.state = 'open')
        for update of d, t skip locked
    ), due as (
        update fleet.delayed d set run_at = now() from waiting w where d.task = w.task returning d.task
    )
    update fleet.task t set run_at = now() from due where t.task = due.task;
end $$;

-- May the others follow the probe? go: it proved that the limit is over; next: it ended otherwise, or nobody saw it work for too long,
-- and another one goes first; wait.
create function fleet.probe_verdict(p_attempt bigint) returns text
    language plpgsql stable as $$
declare a fleet.attempt;
begin
    select * into a from fleet.attempt where attempt = p_attempt;
    return case
        when a.outcome in ('succeeded', 'no_change') or fleet.made_progress(a) then 'go'
        when a.attempt is null or a.ended_at is not null or a.abandoned_at is not null
             or a.claimed_at < now() - 3 * fleet.ms('probe_ms') then 'next'
        else 'wait' end;
end $$;

-- Accounts whose time has come, and those whose probe says something. Never waits. Answers how many changed.
create function fleet.tend_accounts() returns int
    language plpgsql as $$
declare
    k fleet.account;
    v_verdict text;
    v_count int := 0;
begin
    for k in
        select * from fleet.account
        where state <> 'open' and parked_until <= now() and (state = 'parked' or probe is not null)
        order by account for no key update skip locked
    loop
        v_verdict := case when k.state = 'parked' then case when k.parks > 0 then 'next' else 'go' end else fleet.probe_verdict(k.probe) end;
        continue when v_verdict = 'wait';
        if v_verdict = 'go' then
            perform fleet.open_account(k.account);
        else
            update fleet.account set state = 'half_open', probe = null where account = k.account;
        end if;
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- A changed entry, or a new way to a host, is a new chance for a login that was refused: one run goes first.
create function fleet.try_login(p_accounts text[]) returns void
    language plpgsql as $$
begin
    update fleet.account set parked_until = now(), parks = greatest(parks, 1)
    where account = any (array(
        select k.account from fleet.account k join fleet.reason r on r.reason = k.reason and r.class = 'login'
        where k.account = any (p_accounts) and k.state = 'parked' for no key update of k skip locked));
end $$;

-- Those that no executor names any more. Skips all when the latch is held.
create function fleet.forget_accounts() returns int
    language plpgsql as $$
declare v_count int;
begin
    perform from fleet.latch where name = 'lanes' for update skip locked;
    if not found then
        return 0;
    end if;
    delete from fleet.account k where not exists (select from fleet.executor e where e.account = k.account)
        and (k.state = 'open' or k.parked_at < now() - fleet.ms('limit_max_ms'));
    get diagnostics v_count = row_count;
    return v_count;
end $$;

-- ---------------------------------------------------------------- claims

-- Is it half open, without a run that goes first? Then the caller holds it, and its claim may be that one.
create function fleet.may_probe(p_account text) returns boolean
    language plpgsql as $$
begin
    perform from fleet.account where account = p_account and state = 'half_open' and probe is null for no key update skip locked;
    return found;
end $$;

create function fleet.set_probe(p_account text, p_attempts bigint[]) returns void
    language plpgsql as $$
begin
    update fleet.account set probe = p_attempts[1] where account = p_account and p_attempts[1] is not null;
end $$;

-- When a task may start again whose run was limited, of those who could take it: at once when one of another account is in service,
-- though perhaps full or out of reach; else when the first of their accounts opens or executors has rested.
create function fleet.quota_at(t fleet.task) returns timestamptz
    language plpgsql as $$
declare
    v_at timestamptz := (
        select min(case when x.status in ('online', 'offline') then now() else x.out_until end)
        from fleet.executor_lane el join fleet.executor_now x on x.executor = el.executor
        where el.lane = t.lane and x.status in ('online', 'offline', 'resting'));
begin
    return case when v_at > now() then v_at + random() * interval '30 s' else now() end;
end $$;

-- ---------------------------------------------------------------- people

create function fleet.account_json(p_account text) returns jsonb
    language plpgsql stable as $$
begin
    return (select jsonb_build_object(
        'account_id', k.account, 'status', k.state, 'agents', to_jsonb(k.agents),
        'parked_since', fleet.utc(k.parked_at), 'parked_until', case when k.parked_until <> 'infinity' then fleet.utc(k.parked_until) end,
        'reason_code', k.reason, 'reason', coalesce(k.detail, k.advice), 'advice', k.advice, 'window', k.limit_window,
        'told_until', fleet.utc(k.told_until), 'reported_by', k.reported_by, 'running', k.running, 'max_concurrency', k.max_concurrency)
    from fleet.account_now k where k.account = p_account);
end $$;

-- By name. The cursor is the last one of the page before.
create function fleet.account_list(p_by fleet.requester, p_limit int, p_cursor text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off as $$
declare
    v_limit int := fleet.page_limit(p_limit);
    v_ids text[];
begin
    if length(p_cursor) > 1000 then
        return fleet.refuse(400, 'malformed_cursor', 'this cursor was not given by a list of accounts: take the link of the page before');
    end if;
    v_ids := array(select k.account from fleet.account_now k
                   where not k.gone and (p_cursor is null or k.account > p_cursor) order by k.account limit v_limit + 1);
    return fleet.say(200, (select coalesce(json_agg(fleet.account_json(k) order by o), '[]')::text
                           from unnest(v_ids[1:v_limit]) with ordinality x (k, o)),
                     case when cardinality(v_ids) > v_limit then v_ids[v_limit] end);
end $$;

create function fleet.account_detail(p_by fleet.requester, p_account text) returns fleet.reply
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp set jit = off as $$
begin
    return coalesce((select fleet.say(200, fleet.account_json(k.account)::text) from fleet.account_now k
                     where k.account = p_account and not k.gone),
                    fleet.refuse(404, 'not_found', format('there is no account %s', p_account)));
end $$;

create function fleet.account_for_change(p_account text) returns void
    language plpgsql as $$
begin
    perform from fleet.account where account = p_account for no key update;
    if not found then
        raise exception 'there is no account %', p_account using errcode = 'AF003', hint = 'select account from fleet.accounts';
    end if;
end $$;

-- A person's word stands until then, or until another; a limit that ends later is longer.
create function fleet.set_parked(p_account text, p_until timestamptz, p_reason text, p_actor text, out before jsonb, out after jsonb)
    language plpgsql as $$
begin
    if coalesce(p_reason, '') = '' then
        raise exception 'say why % is to be parked', p_account using errcode = 'AF007';
    elsif p_until <= now() then
        raise exception 'until has to be in the future' using errcode = 'AF007';
    end if;
    perform fleet.account_for_change(p_account);
    before := fleet.account_json(p_account);
    update fleet.account
    set state = 'parked', parked_at = coalesce(parked_at, now()), parked_until = coalesce(p_until, 'infinity'), reason = 'parked',
        detail = p_reason, limit_window = null, told_until = null, reported_by = p_actor, probe = null
    where account = p_account;
    after := fleet.account_json(p_account);
end $$;

-- A person says that it works: all at once, without a probe, and its executors that were taken out of service are back.
create function fleet.set_unparked(p_account text, out before jsonb, out after jsonb)
    language plpgsql as $$
begin
    perform fleet.put_back(x.executor)
    from (select executor from fleet.executor where account = p_account order by executor for no key update) x;
    perform fleet.account_for_change(p_account);
    before := fleet.account_json(p_account);
    perform fleet.open_account(p_account);
    perform fleet.recall(p_account);
    perform fleet.hint();
    after := fleet.account_json(p_account);
end $$;

create function fleet.account_park(p_by fleet.requester, p_agent_id text, p_until timestamptz, p_reason text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    perform fleet.not_bound(p_by);
    c := fleet.set_parked(p_agent_id, p_until, p_reason, fleet.token_actor((p_by).token_id));
    perform fleet.trail(p_by, 'account_park', p_agent_id, c.before, c.after);
    return fleet.say(200, c.after::text);
end $$;

create function fleet.account_unpark(p_by fleet.requester, p_agent_id text, p_reason text) returns fleet.reply
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    perform fleet.not_bound(p_by);
    c := fleet.set_unparked(p_agent_id);
    perform fleet.trail(p_by, 'account_unpark', p_agent_id, c.before, c.after || jsonb_strip_nulls(jsonb_build_object('why', p_reason)));
    return fleet.say(200, c.after::text);
end $$;

create function fleet.park(p_account text, p_reason text, p_until timestamptz default 'infinity') returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    c := fleet.set_parked(p_account, p_until, p_reason, fleet.caller());
    perform fleet.trail_psql('account_park', p_account, c.before, c.after);
end $$;
comment on function fleet.park(text, text, timestamptz) is
    'Nothing is claimed for an account until then, or until fleet.unpark(); what it runs goes on.';

create function fleet.unpark(p_account text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare c record;
begin
    c := fleet.set_unparked(p_account);
    perform fleet.trail_psql('account_unpark', p_account, c.before, c.after);
end $$;
comment on function fleet.unpark(text) is 'Opens an account that is parked, and puts its agents that are out of service back into it.';

create function fleet.executor_accept(p_agent_id text) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    e fleet.executor;
    x fleet.executor;
begin
    select * into e from fleet.executor where agent_id = p_agent_id for no key update;
    if not found then
        raise exception 'there is no agent %', p_agent_id using errcode = 'AF003', hint = 'select agent_id from fleet.agents';
    end if;
    perform fleet.put_back(e.executor);
    select * into x from fleet.executor where executor = e.executor;
    perform fleet.trail_psql('executor_accept', p_agent_id, jsonb_build_object('out_reason', e.out_reason, 'out_until', e.out_until),
                             jsonb_build_object('out_reason', x.out_reason, 'out_until', x.out_until));
    perform fleet.hint();
end $$;
comment on function fleet.executor_accept(text) is
    'Puts an agent (host_id/agent_type) that is out of service back into it; a parked account is opened by fleet.unpark().';
