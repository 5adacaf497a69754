-- What fleet-server forgejo doctor asks for.

-- The Forgejo that the workers told; no row: none has.
create function fleet.forgejo_told() returns table (url text, reads boolean, told_by text, age_secs bigint)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query select coalesce(f.policy ->> 'url', ''), coalesce((f.policy ->> 'reads')::boolean, false), f.told_by,
                        extract(epoch from clock_timestamp() - f.told_at)::bigint
                 from fleet.forgejo f;
end $$;
comment on function fleet.forgejo_told() is 'The Forgejo that the workers told, by whom and how long ago; no row: none has.';

create function fleet.last_delivery(p_repo text, p_after bigint) returns table (delivery bigint, age_secs bigint, words text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
begin
    return query select d.delivery, extract(epoch from clock_timestamp() - d.received_at)::bigint,
                        concat_ws(' ', d.event, d.action, d.result, d.reason)
                 from fleet.delivery d
                 where d.delivery > p_after and (p_repo is null or lower(d.repo) = lower(p_repo))
                 order by d.delivery desc limit 1;
end $$;
comment on function fleet.last_delivery is
    'The last delivery of a repository (null: of any) that was taken after the one of that number; no row: none was.';
