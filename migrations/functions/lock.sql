-- The session lock of a worker: its LISTEN session holds it, so that the death of its process is known at once, by its absence. An
-- advisory one, of two numbers: our class and the node's. Anybody else who takes one only makes a death known by the beat again.

create function fleet.lock_class() returns int
    language plpgsql immutable as $$
begin
    return 1718383717; -- the bytes of "flee"
end $$;

-- The locks of nodes that are held now, and by which processes. Nobody who only waits for one is among them.
create function fleet.locks() returns table (number int, pid int)
    language plpgsql stable as $$
begin
    return query
    select l.objid::int, l.pid from pg_locks l
    where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and l.classid = fleet.lock_class()::oid
      and l.database = (select oid from pg_database where datname = current_database());
end $$;

-- Makes this session hold the lock of this node and of no other. Answers why it does not; null: it does.
create function fleet.take_lock(p_number int) returns text
    language plpgsql as $$
begin
    perform pg_advisory_unlock(fleet.lock_class(), l.number) from fleet.locks() l where l.pid = pg_backend_pid() and l.number <> p_number;
    return case when not exists (select from fleet.locks() l where l.number = p_number and l.pid = pg_backend_pid())
                 and not pg_try_advisory_lock(fleet.lock_class(), p_number) then 'taken' end;
exception when insufficient_privilege then
    return 'forbidden';
end $$;

-- Sent on the LISTEN session of a worker when it stands and from time to time. p_pid is the process that its connection was told:
-- when another one answers, a pooler lends sessions, and a lock would be one of those. Answers held, or why only the beat counts.
create function fleet.hold(p_pid int, p_node uuid) returns text
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare
    n fleet.node;
    v_had boolean;
    v_trouble text;
begin
    select * into n from fleet.node where node = p_node for update; -- whoever declares it dead comes before, or finds the lock
    perform fleet.node_check(p_node);
    v_had := exists (select from fleet.locks() l where l.number = n.number and l.pid = p_pid);
    v_trouble := case when p_pid is distinct from pg_backend_pid() then 'pooled' else fleet.take_lock(n.number) end;
    if v_trouble is not null then
        update fleet.node set lock_pid = null, lock_at = null, gone_at = null, lock_trouble = v_trouble
        where node = p_node and (lock_at is not null or lock_trouble is distinct from v_trouble);
    elsif not v_had or n.lock_pid is distinct from p_pid or n.lock_at is null or n.gone_at is not null then
        update fleet.node set lock_pid = p_pid, lock_at = clock_timestamp(), gone_at = null, lock_trouble = null where node = p_node;
    end if;
    return coalesce(v_trouble, 'held');
end $$;

-- Is the lock of n gone for so long that it counts as a death for p_node? All locks go at once when the database opens anew, and that
-- is nobody's death: the one who judges has held its own lock for lock_grace_ms, as the process that took it. A beat behind the first
-- look says that only the session was lost.
create function fleet.lock_gone(p_node uuid, n fleet.node) returns boolean
    language plpgsql stable as $$
begin
    return n.lock_at is not null and n.gone_at <= clock_timestamp() - interval '1 s' and n.beat_at < n.gone_at
       and pg_postmaster_start_time() + fleet.ms('lock_grace_ms') <= clock_timestamp()
       and not exists (select from fleet.locks() l where l.number = n.number)
       and exists (select from fleet.node me join fleet.locks() l on l.number = me.number and l.pid = me.lock_pid
                   where me.node = p_node and me.lock_at + fleet.ms('lock_grace_ms') <= clock_timestamp());
end $$;

-- Remembers since which look the lock of each living worker has been gone. Whose row is being written is looked at again next time.
create function fleet.look_at_locks(p_node uuid) returns void
    language plpgsql as $$
begin
    with look as (
        select n.node, h.number is null as gone
        from fleet.node n left join (select distinct l.number from fleet.locks() l) h on h.number = n.number
        where n.kind = 'worker' and n.node <> p_node and n.lock_at is not null and n.dead_at is null and n.stopped_at is null
          and (h.number is null) <> (n.gone_at is not null)
        for update of n skip locked)
    update fleet.node n set gone_at = case when look.gone then clock_timestamp() end from look where n.node = look.node;
end $$;

-- A look at the other workers, about once a second: `left` has stopped or was declared dead and owns what p_node may adopt; `gone` may
-- be declared dead by adopt() without waiting for its beat.
create function fleet.peers(p_node uuid) returns table (kind text, node uuid, beat bigint)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('synchronous_commit', 'off', true);
    perform fleet.look_at_locks(p_node);
    return query
        select 'left', n.node, n.beat from fleet.node n
        where (n.dead_at is not null or n.stopped_at is not null) and n.node <> p_node
          and exists (select from fleet.attempt a join fleet.executor e on e.executor = a.executor
                      where a.attempt = any (array(select v.attempt from fleet.live v)) and a.node = n.node
                        and fleet.may_adopt(p_node, e.host_id))
        union all
        select 'gone', n.node, n.beat from fleet.node n
        where n.gone_at is not null and n.node <> p_node and n.dead_at is null and n.stopped_at is null and fleet.lock_gone(p_node, n);
end $$;
