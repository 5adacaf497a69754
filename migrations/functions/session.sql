-- Who is in this database, what holds others up, and the call that ends it. Needs pg_read_all_stats and pg_signal_backend for
-- fleet_owner (./apply grants them, or prints the statement); without them what is not told is null.

create function fleet.session_list()
    returns table (pid int, login text, application text, client text, state text, state_since timestamptz, doing text,
                   transaction_since timestamptz, waits_for text, blocked_by int[], blocks int, locks int, advisory_locks int,
                   holds_back_xids int, ends_with text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query
    with l as (
        select x.pid, count(*)::int as locks, count(*) filter (where x.locktype = 'advisory')::int as advisory
        from pg_locks x where x.granted group by x.pid),
    a as (
        select x.*, pg_blocking_pids(x.pid) as blocked_by from pg_stat_activity x
        where x.datname = current_database() and coalesce(x.backend_type, 'client backend') = 'client backend')
    select a.pid, a.usename::text, nullif(a.application_name, ''), coalesce(host(a.client_addr), 'socket'), a.state, a.state_change,
           -- up to its first literal, which may be a secret
           left(split_part(split_part(a.query, '''', 1), '$', 1), 200),
           a.xact_start, a.wait_event_type || ': ' || a.wait_event, a.blocked_by,
           (select count(*)::int from a b where a.pid = any (b.blocked_by)), coalesce(l.locks, 0), coalesce(l.advisory, 0),
           age(a.backend_xmin), format('select fleet.end_session(%s);', a.pid)
    from a left join l on l.pid = a.pid
    where a.pid <> pg_backend_pid()
    order by coalesce(l.locks, 0) desc, a.xact_start, a.pid;
end $$;

create function fleet.end_session(p_pid int) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare s record;
begin
    select * into s from fleet.session_list() x where x.pid = p_pid;
    if not found then
        raise exception 'no session % is in this database', p_pid using errcode = 'AF003', hint = 'table fleet.sessions;';
    end if;
    perform pg_terminate_backend(p_pid);
    perform fleet.trail_psql('end_session', p_pid::text, jsonb_build_object('login', s.login, 'application', s.application, 'state', s.state));
    return format('ended: %s', concat_ws(', ', s.login, s.application, s.state));
exception when insufficient_privilege then
    raise exception 'session % of % may not be ended from here: %', p_pid, s.login, sqlerrm using errcode = 'AF009',
        hint = format('an administrator runs: select pg_terminate_backend(%s);  and, once: grant pg_signal_backend to fleet_owner;', p_pid);
end $$;
comment on function fleet.end_session(int) is 'Ends a session of this database; its transaction is rolled back. View fleet.sessions lists them.';
