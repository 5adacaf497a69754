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

-- Bytes of one attempt. Offsets count the bytes of the chosen streams in the order of arrival.
create function fleet.task_logs(p_task_id text, p_attempt int, p_streams text[], p_offset bigint, p_limit bigint, p_tail bigint)
    returns table (attempt int, start bigint, next bigint, total bigint, live boolean, bytes bytea)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp as $$
#variable_conflict use_column
declare
    a fleet.attempt;
    v_task bigint;
    v_both boolean := coalesce(cardinality(p_streams), 0) = 0 or p_streams @> '{stdout,stderr}';
    v_stream text := case when p_streams @> '{stderr}' then 'stderr' else 'stdout' end;
    v_total bigint;
    v_from bigint;
    v_to bigint;
    v_bytes bytea;
    v_since timestamptz; -- for partition pruning, wide enough for a clock that was set
    v_until timestamptz;
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
        return query select null::int, 0::bigint, 0::bigint, 0::bigint, false, ''::bytea;
        return;
    end if;
    v_since := a.claimed_at - interval '1 day';
    v_until := coalesce(a.ended_at, now()) + interval '1 day';
    v_total := case when v_both then a.stdout_bytes + a.stderr_bytes
                    when v_stream = 'stderr' then a.stderr_bytes else a.stdout_bytes end;
    v_from := case when p_tail is not null then greatest(v_total - greatest(p_tail, 0), 0)
                   else least(greatest(coalesce(p_offset, 0), 0), v_total) end;
    v_to := least(v_from + least(greatest(coalesce(p_limit, 1048576), 0), 16777216), v_total);
    if v_both then
        select string_agg(fleet.cut(l.bytes, l.pos, v_from, v_to), '' order by l.pos)
        into v_bytes from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.pos < v_to
          and l.pos >= coalesce((select max(m.pos) from fleet.log m
                                 where m.attempt = a.attempt and m.at between v_since and v_until
                                   and m.pos <= v_from), 0);
    else
        select string_agg(fleet.cut(l.bytes, l.start, v_from, v_to), '' order by l.start)
        into v_bytes from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.stream = v_stream
          and l.start < v_to
          and l.start >= coalesce((select max(m.start) from fleet.log m
                                   where m.attempt = a.attempt and m.at between v_since and v_until
                                     and m.stream = v_stream and m.start <= v_from), 0);
    end if;
    v_bytes := coalesce(v_bytes, '');
    return query select a.number, v_from, v_from + length(v_bytes), v_total, a.ended_at is null, v_bytes;
end $$;
