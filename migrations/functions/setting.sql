-- Tunables, versions, and who is calling.

create function fleet.get(p_name text) returns bigint
    language plpgsql stable as $$
begin
    return (select value from fleet.setting where name = p_name);
end $$;

create function fleet.ms(p_name text) returns interval
    language plpgsql stable as $$
begin
    return (select make_interval(secs => value / 1000.0) from fleet.setting where name = p_name);
end $$;

-- What a setting must be in relation to others; null when all is well. A beat that is missed once is nobody's death, and who is
-- dead for others must know it by itself before long; what refers to something goes before that.
create function fleet.setting_fault() returns text
    language plpgsql stable as $$
begin
    return (select format('%s (%s) must be at most %s%s (%s)', a.name, a.value, case when r.times > 1 then '1/' || r.times || ' of ' end,
                          b.name, b.value)
            from (values ('beat_ms', 'dead_ms', 2), ('dead_ms', 'lease_ms', 1), ('retry_base_ms', 'retry_max_ms', 1),
                         ('release_base_ms', 'release_max_ms', 1),
                         ('quota_unknown_ms', 'quota_unknown_max_ms', 1), ('lost_ms', 'reattach_ms', 1)) r (smaller, larger, times)
            join fleet.setting a on a.name = r.smaller
            join fleet.setting b on b.name = r.larger
            where a.value * r.times > b.value
            union all
            select format('%s (%s) must be at most %s (%s), where 0 is for ever: %s', a.name, a.value, b.name, b.value, r.why)
            from (values ('log_days', 'event_days', 'output does not outlive the history of its run'),
                         ('event_days', 'task_days', 'history does not outlive its task'),
                         ('run_dir_days', 'task_days', 'what lies on hosts is known by its task'),
                         ('task_dir_done_hours', 'task_days', 'what lies on hosts is known by its task'),
                         ('task_dir_failed_hours', 'task_days', 'what lies on hosts is known by its task')) r (smaller, larger, why)
            join fleet.setting a on a.name = r.smaller
            join fleet.setting b on b.name = r.larger
            where b.value > 0 and (a.value = 0 or a.value > b.value * case when right(a.name, 6) = '_hours' then 24 else 1 end)
            limit 1);
end $$;

create function fleet.set(p_name text, p_value bigint) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    s fleet.setting;
    v_fault text;
begin
    select * into s from fleet.setting where name = p_name for update;
    if not found then
        raise exception 'there is no setting %', p_name using errcode = 'AF003',
            hint = 'select * from fleet.settings';
    elsif p_value is null or p_value not between s.low and s.high then
        raise exception '% is a number from % to %', p_name, s.low, s.high using errcode = 'AF007';
    end if;
    update fleet.setting set value = p_value where name = p_name;
    v_fault := fleet.setting_fault();
    if v_fault is not null then
        raise exception '%', v_fault using errcode = 'AF007', hint = 'table fleet.settings;';
    end if;
    perform fleet.trail_psql('set', p_name, to_jsonb(s.value), to_jsonb(p_value));
end $$;
comment on function fleet.set(text, bigint) is 'Changes a tunable (view fleet.settings lists them).';

create function fleet.schema_version() returns int
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select max(number) from fleet.migration;
end;

-- The schema of the oldest programs that this database serves: they were built beside that migration. A migration that takes away
-- what they use raises it; one that only adds leaves it as it is.
create function fleet.oldest_node() returns int
    language sql stable
begin atomic
    select 14;
end;

-- Is a login that of a node of this kind, would the database take what it writes, and which programs does it serve? On a standby too.
create function fleet.ready(p_kind text) returns table (schema_version int, login text, member boolean, writable boolean, oldest_node int)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query select fleet.schema_version(), session_user::text, pg_has_role(session_user, 'fleet_' || p_kind, 'usage'),
                        not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off', fleet.oldest_node();
end $$;

-- Times in answers: RFC 3339, UTC, microseconds.
create function fleet.utc(p_at timestamptz) returns text
    language sql stable
begin atomic
    select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end;

-- Who did it, by psql: the login, whatever role it has taken on. Nobody says so of himself.
create function fleet.caller() returns text
    language plpgsql stable as $$
begin
    return 'psql:' || session_user;
end $$;
