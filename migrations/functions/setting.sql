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

create function fleet.set(p_name text, p_value bigint) returns void
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    if p_value is null or p_value < 0 then
        raise exception 'a setting is a number from 0 on' using errcode = 'AF007';
    end if;
    update fleet.setting set value = p_value where name = p_name;
    if not found then
        raise exception 'there is no setting %', p_name using errcode = 'AF003',
            hint = 'select * from fleet.settings';
    end if;
end $$;
comment on function fleet.set(text, bigint) is 'Changes a tunable (view fleet.settings lists them).';

create function fleet.schema_version() returns int
    language sql stable security definer set search_path = pg_catalog, fleet, pg_temp
begin atomic
    select max(number) from fleet.migration;
end;

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
