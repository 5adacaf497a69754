-- What is old goes. Output and history by whole partitions, never row by row; tasks when nothing refers to them any more. What is kept:
-- tasks that a person keeps, that have not ended, or of which a run is not proven ended.

-- What is older goes; null: nothing does.
create function fleet.days_before(p_now timestamptz, p_setting text) returns timestamptz
    language plpgsql stable as $$
begin
    return p_now - make_interval(days => nullif(fleet.get(p_setting), 0)::int);
end $$;

-- Tasks of which everything stays.
create function fleet.staying_tasks() returns setof bigint
    language plpgsql stable as $$
begin
    return query
        select t.task from fleet.task t where t.kept_at is not null
        union select q.task from fleet.queue q
        union select d.task from fleet.delayed d
        union select a.task from fleet.live v join fleet.attempt a on a.attempt = v.attempt
        union select e.task from fleet.ended e where e.status = 'review_pending';
end $$;

-- The same as keys of a partition: tasks, or their attempts whose output may be in it.
create function fleet.staying(p_parent text, p_low timestamptz, p_high timestamptz) returns bigint[]
    language plpgsql stable as $$
begin
    if p_parent = 'event' then
        return array(select t.task from fleet.task t where t.task in (select fleet.staying_tasks()) and t.created_at < p_high);
    end if;
    return array(select a.attempt from fleet.attempt a
                 where a.task in (select fleet.staying_tasks()) and fleet.log_since(a) < p_high and fleet.log_until(a) >= p_low);
end $$;

create function fleet.key_of(p_parent text) returns text
    language plpgsql immutable as $$
begin
    return case p_parent when 'event' then 'task' else 'attempt' end;
end $$;

-- The partitions of a parent, oldest first; `kept`: it has taken the place of older ones, and has what stays of them.
create function fleet.partition_list(p_parent text) returns table (name text, low timestamptz, high timestamptz, kept boolean)
    language plpgsql stable set datestyle = 'ISO' as $$
begin
    return query
        select c.relname::text, b[1]::timestamptz, b[2]::timestamptz, strpos(c.relname, '_kept_') > 0
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$FROM [(]'([^']*)'[)] TO [(]'([^']*)'[)]$r$) b
        where i.inhparent = format('fleet.%I', p_parent)::regclass and not i.inhdetachpending and b[2] is not null
        order by 2;
end $$;

-- Has a partition rows of other keys than these? By an index, key after key.
create function fleet.has_others(p_name text, p_key text, p_keys bigint[]) returns boolean
    language plpgsql stable as $$
declare v_others boolean;
begin
    execute format('with recursive k as (
                        (select min(%2$I) as key from fleet.%1$I)
                        union all
                        select (select min(%2$I) from fleet.%1$I where %2$I > k.key) from k where k.key is not null)
                    select exists (select from k where k.key is not null and k.key <> all ($1))', p_name, p_key)
        into v_others using p_keys;
    return v_others;
end $$;

create function fleet.has_any(p_name text, p_key text, p_keys bigint[]) returns boolean
    language plpgsql stable as $$
declare v_any boolean;
begin
    execute format('select exists (select from unnest($1) k where exists (select from fleet.%I where %I = k))', p_name, p_key)
        into v_any using p_keys;
    return v_any;
end $$;

-- Who has used a table in a transaction that is open for more than a moment: nobody should wait behind us while we wait for them.
create function fleet.in_the_way(p_names text[]) returns text
    language plpgsql stable as $$
begin
    return (
        select string_agg(distinct format('session %s of %s, in a transaction since %s', a.pid, coalesce(a.usename, 'autovacuum'),
                                          fleet.utc(a.xact_start)), '; ')
        from pg_locks l join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
          and l.relation = any (select to_regclass(format('fleet.%I', n)) from unnest(p_names) n)
          and a.pid <> pg_backend_pid() and a.xact_start < clock_timestamp() - interval '1 second');
end $$;

create function fleet.held_up(p_name text, p_by text) returns void
    language plpgsql as $$
begin
    update fleet.horizon set tried_at = clock_timestamp(), held_by = p_by
    where name = p_name and (held_by is distinct from p_by or tried_at is null or p_by is not null);
end $$;

-- A table of the form of a parent, with the rows of these keys of some partitions.
create function fleet.copy_kept(p_parent text, p_name text, p_from text[], p_keys bigint[]) returns void
    language plpgsql as $$
declare
    v_columns text := (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                       where attrelid = format('fleet.%I', p_parent)::regclass and attnum > 0 and not attisdropped);
    v_from text;
begin
    execute format('create table fleet.%I (like fleet.%I including all)', p_name, p_parent);
    foreach v_from in array p_from loop
        execute format('insert into fleet.%1$I (%3$s) select %3$s from fleet.%2$I where %4$I = any ($1)',
                       p_name, v_from, v_columns, fleet.key_of(p_parent)) using p_keys;
    end loop;
end $$;

-- The last position in the order of history that lies in a partition.
create function fleet.note_horizon(p_parent text, p_name text, p_before timestamptz) returns void
    language plpgsql as $$
declare
    v_xid xid8;
    v_event bigint;
begin
    if p_parent = 'event' then
        execute format('select xid, event_id from fleet.%I order by xid desc, event_id desc limit 1', p_name) into v_xid, v_event;
    end if;
    update fleet.horizon h
    set before = greatest(h.before, p_before),
        xid = case when h.xid is null or (v_xid, v_event) > (h.xid, h.event_id) then v_xid else h.xid end,
        event_id = case when h.xid is null or (v_xid, v_event) > (h.xid, h.event_id) then v_event else h.event_id end
    where h.name = p_parent;
end $$;

-- Removes partitions, what stays of them taking their place; all or nothing. What waits behind us waits a tenth of a second at most.
-- False: somebody is in the way.
create function fleet.replace_partitions(p_parent text, p_old text[], p_keys bigint[], p_new text, p_low timestamptz, p_high timestamptz)
    returns boolean language plpgsql set datestyle = 'ISO' as $$
declare
    v_by text := fleet.in_the_way(p_parent || p_old);
    v_old text;
begin
    if v_by is not null then
        perform fleet.held_up(p_parent, v_by);
        return false;
    end if;
    begin
        perform set_config('lock_timeout', '100ms', true);
        if p_new is not null then
            perform fleet.copy_kept(p_parent, p_parent || '_keeping', p_old, p_keys);
            -- proven now, so that the rows are not looked at while all others wait
            execute format('alter table fleet.%I add constraint in_range check (at is not null and at >= %L and at < %L)',
                           p_parent || '_keeping', p_low, p_high);
        end if;
        execute format('lock table only fleet.%I in access exclusive mode', p_parent);
        foreach v_old in array p_old loop
            perform fleet.note_horizon(p_parent, v_old, p_high);
            execute format('drop table fleet.%I', v_old);
        end loop;
        if p_new is not null then
            execute format('alter table fleet.%I rename to %I', p_parent || '_keeping', p_new);
            execute format('alter table fleet.%I attach partition fleet.%I for values from (%L) to (%L)', p_parent, p_new, p_low, p_high);
            execute format('alter table fleet.%I drop constraint in_range', p_new);
        end if;
        perform fleet.held_up(p_parent, null);
        return true;
    exception when lock_not_available or deadlock_detected then
        perform fleet.held_up(p_parent, coalesce(fleet.in_the_way(p_parent || p_old), 'many short transactions, one after the other'));
        return false;
    end;
end $$;

-- The oldest partition that is due goes: all of it is older than p_before. What stays of a day or month goes into the one partition of
-- its month that has such rows, so that their number stays small; once a day that is looked at for what need not stay any more.
-- 1: one went; 0: none is due; -1: somebody is in the way.
create function fleet.remove_partition(p_parent text, p_now timestamptz) returns int
    language plpgsql as $$
declare
    p record;
    v_before timestamptz := fleet.days_before(p_now, p_parent || '_days');
    v_looked timestamptz := (select h.looked_at from fleet.horizon h where h.name = p_parent);
    v_key text := fleet.key_of(p_parent);
    v_kept text;
    v_old text[];
    v_keys bigint[];
    v_low timestamptz;
begin
    for p in
        select * from fleet.partition_list(p_parent) x
        where x.high <= v_before and (not x.kept or coalesce(v_looked < p_now - interval '1 day', true))
    loop
        v_kept := p_parent || '_kept_' || to_char(p.low at time zone 'UTC', 'YYYYMM');
        select x.low into v_low from fleet.partition_list(p_parent) x where x.name = v_kept;
        v_keys := fleet.staying(p_parent, coalesce(v_low, p.low), p.high);
        continue when p.kept and not fleet.has_others(p.name, v_key, v_keys);
        v_old := array[p.name];
        if not fleet.has_any(p.name, v_key, v_keys) then
            v_kept := null;
        elsif v_low < p.low then
            v_old := v_old || v_kept;
        end if;
        return case when fleet.replace_partitions(p_parent, v_old, v_keys, v_kept, coalesce(v_low, p.low), p.high) then 1 else -1 end;
    end loop;
    update fleet.horizon set looked_at = p_now where name = p_parent and coalesce(v_looked < p_now - interval '1 day', true);
    return 0;
end $$;

-- ---------------------------------------------------------------- tasks

-- Ended long ago, and nothing refers to it any more: no history, no output, no run directory on a host that is still there.
create function fleet.removable(t fleet.task, p_before timestamptz) returns boolean
    language plpgsql stable as $$
begin
    return t.status in ('completed', 'failed', 'cancelled') and t.completed_at < p_before and t.kept_at is null
       and not exists (select from fleet.event e where e.task = t.task and e.at >= t.created_at)
       and not exists (
           select from fleet.attempt a
           left join fleet.executor e on e.executor = a.executor
           left join fleet.host h on h.host_id = e.host_id
           where a.task = t.task
             and (a.ended_at is null
                  or a.run is not null and a.run_removed_at is null and h.host_id is not null and h.forgotten_at is null
                  or exists (select from fleet.log l where l.attempt = a.attempt and l.at >= fleet.log_since(a))));
end $$;

-- A look at the next p_max tasks that were made before then, from where the last one ended; the first ones again when all were looked at.
create function fleet.remove_tasks(p_before timestamptz, p_max int, out removed int, out more boolean)
    language plpgsql as $$
declare
    v_from bigint := (select l.position from fleet.latch l where l.name = 'retain');
    v_seen bigint[];
    v_tasks bigint[];
begin
    removed := 0;
    v_seen := array(select t.task from fleet.task t where t.task > v_from and t.task < fleet.task_at(p_before + interval '1 min')
                    order by t.task limit p_max);
    more := cardinality(v_seen) = p_max;
    update fleet.latch set position = case when more then v_seen[p_max] else 0 end where name = 'retain';
    v_tasks := array(select t.task from unnest(v_seen) s join fleet.task t on t.task = s where fleet.removable(t, p_before));
    v_tasks := array(select t.task from fleet.task t where t.task = any (v_tasks) order by t.task for update skip locked);
    -- locked: what it is now, and not what it was when it was chosen
    v_tasks := array(select t.task from fleet.task t where t.task = any (v_tasks) and fleet.removable(t, p_before));
    if v_tasks = '{}' then
        return;
    end if;
    delete from fleet.ended e using fleet.task t where t.task = any (v_tasks) and e.status = t.status and e.task = t.task;
    delete from fleet.task_label x using fleet.task t where t.task = any (v_tasks) and x.label = any (t.labels) and x.task = t.task;
    delete from fleet.follow where task = any (v_tasks);
    delete from fleet.response where task = any (v_tasks);
    delete from fleet.look l using fleet.pull r where r.task = any (v_tasks) and l.kind = 'pull' and l.id = r.pull;
    delete from fleet.pull where task = any (v_tasks);
    delete from fleet.outbox where task = any (v_tasks);
    delete from fleet.attempt where task = any (v_tasks);
    delete from fleet.task where task = any (v_tasks);
    removed := cardinality(v_tasks);
end $$;

-- ---------------------------------------------------------------- the whole

-- The oldest snapshot that keeps vacuum from removing what is dead.
create function fleet.holds_back_vacuum() returns text
    language plpgsql stable as $$
begin
    return (select x.who from (
        select format('session %s of %s, in a transaction since %s', a.pid, a.usename, fleet.utc(a.xact_start)) as who, age(a.backend_xmin) as xids
        from pg_stat_activity a
        where a.datname = current_database() and a.backend_xmin is not null and a.xact_start < clock_timestamp() - interval '10 min'
        union all
        select format('replication slot %s', s.slot_name), age(s.xmin) from pg_replication_slots s where s.xmin is not null and not s.active
        union all
        select format('prepared transaction %s of %s', p.gid, p.owner), age(p.transaction) from pg_prepared_xacts p
        where p.database = current_database()) x
        order by x.xids desc limit 1);
end $$;

-- One step of it; to be called last in its transaction, for it may lock output or history for all until the end of that. Answers how much
-- went, 10000 and more when there is more to do. One node at a time, the others go on.
create function fleet.retain(p_now timestamptz, p_max int) returns int
    language plpgsql as $$
declare
    v_done int;
    v_busy boolean := false;
    v_name text;
    r record;
begin
    perform from fleet.latch where name = 'retain' and due_at <= p_now for update skip locked;
    if not found then
        return 0;
    end if;
    foreach v_name in array '{log,event}'::text[] loop
        begin
            v_done := fleet.remove_partition(v_name, p_now);
        exception
            when query_canceled then -- what the caller did before must not be lost with it
                perform fleet.held_up(v_name, 'what stays of it takes longer to copy than a node waits for a statement; by the login of '
                                              'fleet-migrate: set role fleet_owner; select fleet.retain(now() + interval ''1 hour'', 500)');
                update fleet.latch set due_at = p_now + interval '1 hour' where name = 'retain';
                return 0;
            when others then -- told, and no reason to leave the rest of the house as it is
                perform fleet.held_up(v_name, sqlerrm);
                v_done := -1;
        end;
        if v_done = 1 then
            return 10000;
        end if;
        v_busy := v_busy or v_done < 0;
    end loop;
    r := fleet.remove_tasks(fleet.days_before(p_now, 'task_days'), p_max);
    if r.more then
        return 10000;
    end if;
    perform fleet.held_up('vacuum', fleet.holds_back_vacuum());
    update fleet.latch set due_at = p_now + case when v_busy then interval '10 s' else interval '10 min' end where name = 'retain';
    return r.removed;
end $$;

-- ---------------------------------------------------------------- what people keep

-- The latch is taken with others who do so, and against the removal: what is chosen for that is not changed meanwhile.
create function fleet.set_kept(p_task_id text, p_reason text, p_word text) returns text
    language plpgsql as $$
declare
    t fleet.task;
    v_actor text := fleet.caller();
begin
    perform from fleet.latch where name = 'retain' for share;
    select * into t from fleet.task where task_id = fleet.known_id(p_task_id) for update;
    if not found then
        return 'not_found';
    elsif (t.kept_at is not null) = (p_word = 'kept') then
        return p_word;
    end if;
    update fleet.task
    set kept_at = case p_word when 'kept' then now() end, kept_by = case p_word when 'kept' then v_actor end,
        kept_reason = case p_word when 'kept' then p_reason end
    where task = t.task;
    perform fleet.note(t.task, p_word, null, v_actor, jsonb_strip_nulls(jsonb_build_object('reason', p_reason)));
    perform fleet.trail_psql(case p_word when 'kept' then 'task_keep' else 'task_unkeep' end, p_task_id,
                             jsonb_build_object('kept', t.kept_reason), jsonb_build_object('kept', p_reason));
    return p_word;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end $$;

create function fleet.keep(p_task_id text, p_reason text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
begin
    if coalesce(p_reason, '') = '' then
        raise exception 'say why: fleet.keep(task_id, reason)' using errcode = 'AF007';
    end if;
    return fleet.set_kept(p_task_id, p_reason, 'kept');
end $$;
comment on function fleet.keep(text, text) is
    'Nothing of this task is ever removed (kept): itself, its attempts, history, output, its directories on hosts. Or answers not_found, busy.';

create function fleet.unkeep(p_task_id text) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp set lock_timeout = '1s' as $$
begin
    return fleet.set_kept(p_task_id, null, 'unkept');
end $$;
comment on function fleet.unkeep(text) is 'Takes fleet.keep() back: what is older than the settings allow goes (unkept). Or answers not_found, busy.';
