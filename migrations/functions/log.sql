-- Output of runs: stored by offset, read by offset.

-- Of bytes that begin at p_start, those from p_from to before p_to.
create function fleet.cut(p_bytes bytea, p_start bigint, p_from bigint, p_to bigint) returns bytea
    language sql immutable
begin atomic
    select substring(p_bytes from greatest(p_from - p_start, 0)::int + 1
                     for greatest(least(p_to, p_start + length(p_bytes)) - greatest(p_from, p_start), 0)::int);
end;

-- True when the stored bytes at this offset are these.
create function fleet.log_same(p_attempt bigint, p_stream text, p_offset bigint, p_bytes bytea) returns boolean
    language sql stable
begin atomic
    select coalesce(string_agg(fleet.cut(l.bytes, l.start, p_offset, p_offset + length(p_bytes)), '' order by l.start), '') = p_bytes
    from fleet.log l
    where l.attempt = p_attempt and l.stream = p_stream
      and l.start < p_offset + length(p_bytes) and l.start + length(l.bytes) > p_offset;
end;

-- Row by row; each chunk is stored when it starts exactly where its stream ends and the caller owns the attempt. What somebody
-- else holds is answered 'busy' (send it again soon), so that one open transaction does not stall the output of all runs.
create function fleet.append(p_node uuid, p_attempts bigint[], p_epochs int[], p_streams text[], p_offsets bigint[],
                             p_chunks bytea[], p_checkpoints text[])
    returns table (ord int, verdict text, next_offset bigint)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    r record;
    a fleet.attempt;
    v_end bigint;
    v_held bigint[];
begin
    perform fleet.node_check(p_node);
    v_held := array(select x.attempt from fleet.attempt x where x.attempt = any (p_attempts) order by x.attempt
                    for no key update skip locked);
    for r in
        select i.ord::int as ord, i.attempt, i.epoch, i.stream, i.start, coalesce(i.bytes, '') as bytes, i.checkpoint
        from unnest(p_attempts, p_epochs, p_streams, p_offsets, p_chunks, p_checkpoints)
             with ordinality i (attempt, epoch, stream, start, bytes, checkpoint, ord)
        order by i.attempt, i.ord
    loop
        select * into a from fleet.attempt x where x.attempt = r.attempt;
        v_end := case r.stream when 'stdout' then a.stdout_bytes when 'stderr' then a.stderr_bytes end;
        if a.attempt is null or v_end is null or a.node <> p_node or a.epoch <> r.epoch then
            return query select r.ord, 'fenced', null::bigint;
        elsif r.attempt <> all (v_held) then
            return query select r.ord, 'busy', r.start;
        elsif r.start < v_end and r.start + length(r.bytes) <= v_end
              and fleet.log_same(r.attempt, r.stream, r.start, r.bytes) then
            return query select r.ord, 'ok', v_end;
        elsif a.ended_at is not null then
            return query select r.ord, 'fenced', v_end;
        elsif r.start <> v_end then
            return query select r.ord, 'gap', v_end;
        else
            if length(r.bytes) > 0 then
                insert into fleet.log (attempt, stream, start, pos, bytes)
                values (r.attempt, r.stream, r.start, a.stdout_bytes + a.stderr_bytes, r.bytes);
            end if;
            v_end := r.start + length(r.bytes);
            update fleet.attempt x
            set stdout_bytes = case r.stream when 'stdout' then v_end else x.stdout_bytes end,
                stderr_bytes = case r.stream when 'stderr' then v_end else x.stderr_bytes end,
                checkpoint = coalesce(r.checkpoint, x.checkpoint), output_at = now()
            where x.attempt = r.attempt;
            return query select r.ord, 'ok', v_end;
        end if;
    end loop;
end $$;

-- The stored chunks of an attempt from the one that holds the byte at p_from to p_to; at least the next one behind p_from, wherever
-- it is. Offsets are those of one stream; of both in the order of arrival when p_stream is null.
create function fleet.log_chunks(a fleet.attempt, p_stream text, p_from bigint, p_to bigint)
    returns table (start bigint, at timestamptz, bytes bytea)
    language plpgsql stable as $$
#variable_conflict use_column
declare -- for partition pruning, wide enough for a clock that was set
    v_since timestamptz := a.claimed_at - interval '1 day';
    v_until timestamptz := coalesce(a.ended_at, now()) + interval '1 day';
    v_first bigint;
    v_next bigint;
begin
    if p_stream is null then
        select max(l.pos) into v_first from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.pos <= p_from;
        select min(l.pos) into v_next from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.pos > p_from;
        return query
            select l.pos, l.at, l.bytes from fleet.log l
            where l.attempt = a.attempt and l.at between v_since and v_until
              and l.pos between coalesce(v_first, 0) and greatest(v_next, p_from, p_to - 1) and l.pos + length(l.bytes) > p_from;
    else
        select max(l.start) into v_first from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.stream = p_stream and l.start <= p_from;
        select min(l.start) into v_next from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.stream = p_stream and l.start > p_from;
        return query
            select l.start, l.at, l.bytes from fleet.log l
            where l.attempt = a.attempt and l.at between v_since and v_until and l.stream = p_stream
              and l.start between coalesce(v_first, 0) and greatest(v_next, p_from, p_to - 1) and l.start + length(l.bytes) > p_from;
    end if;
end $$;

-- The bytes of chunks from p_from to p_to, as far as they follow on each other.
create function fleet.log_bytes(a fleet.attempt, p_stream text, p_from bigint, p_to bigint) returns bytea
    language plpgsql stable as $$
begin
    return (select coalesce(string_agg(fleet.cut(c.bytes, c.start, p_from, p_to), '' order by c.start) filter (where c.joined), '')
            from (select x.start, x.bytes,
                         x.start - first_value(x.start) over w
                         = coalesce(sum(length(x.bytes)) over (w rows between unbounded preceding and 1 preceding), 0) as joined
                  from fleet.log_chunks(a, p_stream, p_from, p_to) x
                  window w as (order by x.start)) c);
end $$;

-- Bytes of one attempt. Offsets count the bytes of the chosen streams in the order of arrival. What retention has removed: by an
-- offset, `gone` tells before when it was written, and `next` where output goes on (null: nowhere); without one, or by p_tail, what is
-- still there is answered, and `start` says where it begins.
create function fleet.task_logs(p_task_id text, p_attempt int, p_streams text[], p_offset bigint, p_limit bigint, p_tail bigint)
    returns table (attempt int, start bigint, next bigint, total bigint, live boolean, bytes bytea, gone text)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    a fleet.attempt;
    v_task bigint;
    v_stream text := case when cardinality(p_streams) > 0 and p_streams <@ '{stdout}' then 'stdout'
                          when cardinality(p_streams) > 0 and p_streams <@ '{stderr}' then 'stderr' end; -- null: both
    v_total bigint;
    v_from bigint;
    v_first bigint;
    v_at timestamptz;
    v_bytes bytea;
begin
    select t.task into v_task from fleet.task t where t.task_id = p_task_id;
    if not found then
        raise exception 'there is no task %', p_task_id using errcode = 'AF003';
    end if;
    select * into a from fleet.attempt x
    where x.task = v_task and (p_attempt is null or x.number = p_attempt) order by x.number desc limit 1;
    if not found then
        if p_attempt is not null then
            raise exception 'task % has no attempt %', p_task_id, p_attempt using errcode = 'AF003';
        end if;
        return query select null::int, 0::bigint, 0::bigint, 0::bigint, false, ''::bytea, null::text;
        return;
    end if;
    v_total := case v_stream when 'stdout' then a.stdout_bytes when 'stderr' then a.stderr_bytes else a.stdout_bytes + a.stderr_bytes end;
    v_from := case when p_tail is not null then greatest(v_total - greatest(p_tail, 0), 0)
                   else least(greatest(coalesce(p_offset, 0), 0), v_total) end;
    if v_from < v_total then
        select c.start, c.at into v_first, v_at from fleet.log_chunks(a, v_stream, v_from, v_from) c order by c.start limit 1;
        if v_first is null or (v_first > v_from and p_offset is not null and p_tail is null) then
            return query select a.number, v_from, v_first, v_total, a.ended_at is null, ''::bytea,
                                fleet.utc(coalesce(v_at, a.output_at, a.claimed_at));
            return;
        end if;
        v_from := greatest(v_from, v_first);
    end if;
    v_bytes := fleet.log_bytes(a, v_stream, v_from, least(v_from + least(greatest(coalesce(p_limit, 1048576), 0), 16777216), v_total));
    return query select a.number, v_from, v_from + length(v_bytes), v_total, a.ended_at is null, v_bytes, null::text;
end $$;
