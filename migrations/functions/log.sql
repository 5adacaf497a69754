-- Output of runs: stored by offset, read by offset.

-- Of bytes that begin at p_start, those from p_from to before p_to.
create function fleet.cut(p_bytes bytea, p_start bigint, p_from bigint, p_to bigint) returns bytea
    language sql immutable
begin atomic
    select substring(p_bytes from greatest(p_from - p_start, 0)::int + 1
                     for greatest(least(p_to, p_start + length(p_bytes)) - greatest(p_from, p_start), 0)::int);
end;

create function fleet.newlines(p_bytes bytea) returns int
    language plpgsql immutable as $$
begin
    return greatest(cardinality(string_to_array(encode(p_bytes, 'escape'), chr(10))) - 1, 0);
end $$;

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
    v_lines int;
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
            v_lines := fleet.newlines(r.bytes);
            if length(r.bytes) > 0 then
                insert into fleet.log (attempt, stream, start, pos, bytes, line, pos_line)
                values (r.attempt, r.stream, r.start, a.stdout_bytes + a.stderr_bytes, r.bytes,
                        case r.stream when 'stdout' then a.stdout_lines else a.stderr_lines end, a.stdout_lines + a.stderr_lines);
            end if;
            v_end := r.start + length(r.bytes);
            update fleet.attempt x
            set stdout_bytes = case r.stream when 'stdout' then v_end else x.stdout_bytes end,
                stderr_bytes = case r.stream when 'stderr' then v_end else x.stderr_bytes end,
                stdout_lines = x.stdout_lines + case r.stream when 'stdout' then v_lines else 0 end,
                stderr_lines = x.stderr_lines + case r.stream when 'stderr' then v_lines else 0 end,
                checkpoint = coalesce(r.checkpoint, x.checkpoint), output_at = now()
            where x.attempt = r.attempt;
            return query select r.ord, 'ok', v_end;
        end if;
    end loop;
end $$;

-- When an attempt's output was written, for partition pruning: wide enough for a clock that was set.
create function fleet.log_since(a fleet.attempt) returns timestamptz
    language plpgsql stable as $$
begin
    return a.claimed_at - interval '1 day';
end $$;

create function fleet.log_until(a fleet.attempt) returns timestamptz
    language plpgsql stable as $$
begin
    return coalesce(a.ended_at, now()) + interval '1 day';
end $$;

-- The stored chunks of an attempt from the one that holds the byte at p_from to p_to; at least the next one behind p_from, wherever
-- it is. Offsets and lines (newlines before it) are those of one stream; of both in the order of arrival when p_stream is null. `other`
-- is the offset in the other stream at that moment.
create function fleet.log_chunks(a fleet.attempt, p_stream text, p_from bigint, p_to bigint)
    returns table (start bigint, line bigint, stream text, other bigint, at timestamptz, bytes bytea)
    language plpgsql stable as $$
#variable_conflict use_column
declare
    v_since timestamptz := fleet.log_since(a);
    v_until timestamptz := fleet.log_until(a);
    v_first bigint;
    v_next bigint;
begin
    if p_stream is null then
        select max(l.pos) into v_first from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.pos <= p_from;
        select min(l.pos) into v_next from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.pos > p_from;
        return query
            select l.pos, l.pos_line, l.stream, l.pos - l.start, l.at, l.bytes from fleet.log l
            where l.attempt = a.attempt and l.at between v_since and v_until
              and l.pos between coalesce(v_first, 0) and greatest(v_next, p_from, p_to - 1) and l.pos + length(l.bytes) > p_from;
    else
        select max(l.start) into v_first from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.stream = p_stream and l.start <= p_from;
        select min(l.start) into v_next from fleet.log l
        where l.attempt = a.attempt and l.at between v_since and v_until and l.stream = p_stream and l.start > p_from;
        return query
            select l.start, l.line, l.stream, l.pos - l.start, l.at, l.bytes from fleet.log l
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

-- The one stream that is meant; null: both.
create function fleet.log_stream(p_streams text[]) returns text
    language plpgsql immutable as $$
begin
    return case when cardinality(p_streams) > 0 and p_streams <@ '{stdout}' then 'stdout'
                when cardinality(p_streams) > 0 and p_streams <@ '{stderr}' then 'stderr' end;
end $$;

-- The attempt that is meant: by its number, else the newest; all null when there is none yet.
create function fleet.log_attempt(p_by fleet.requester, p_task_id text, p_number int, out t fleet.task, out a fleet.attempt)
    language plpgsql stable as $$
begin
    t := fleet.find_task(p_by, p_task_id);
    if t.task is null then
        raise exception 'there is no task %', p_task_id using errcode = 'AF003';
    end if;
    select * into a from fleet.attempt x
    where x.task = t.task and (p_number is null or x.number = p_number) order by x.number desc limit 1;
    if not found and p_number is not null then
        raise exception 'task % has no attempt %', p_task_id, p_number using errcode = 'AF003';
    end if;
end $$;

-- Where output of an attempt is read from, and what is there. By p_tail bytes before the end, by p_offset, or its beginning. Offsets count
-- the bytes of the chosen streams in the order of arrival. What retention has removed: by an offset, `gone` tells before when it was
-- written, and `next` where output goes on (null: nowhere); without one, or by a tail, reading begins with what is still there. `line`
-- is the number of the line there; stdout and stderr are the place as offsets in each stream.
create function fleet.log_place(a fleet.attempt, p_stream text, p_offset bigint, p_tail bigint,
                                out start bigint, out next bigint, out total bigint, out gone text, out line bigint,
                                out stdout bigint, out stderr bigint)
    language plpgsql stable as $$
#variable_conflict use_variable
declare
    c record;
begin
    stdout := a.stdout_bytes;
    stderr := a.stderr_bytes;
    total := case p_stream when 'stdout' then stdout when 'stderr' then stderr else stdout + stderr end;
    line := 1 + case p_stream when 'stdout' then a.stdout_lines when 'stderr' then a.stderr_lines else a.stdout_lines + a.stderr_lines end;
    start := case when p_tail is not null then greatest(total - greatest(p_tail, 0), 0)
                  else least(greatest(coalesce(p_offset, 0), 0), total) end;
    if start = total then
        return;
    end if;
    select * into c from fleet.log_chunks(a, p_stream, start, start) x order by x.start limit 1;
    if not found or (c.start > start and p_offset is not null and p_tail is null) then
        next := c.start;
        gone := fleet.utc(coalesce(c.at, a.output_at, a.claimed_at));
        return;
    end if;
    start := greatest(start, c.start);
    line := 1 + c.line + fleet.newlines(fleet.cut(c.bytes, c.start, c.start, start));
    -- of both streams, c.start - c.other is where the chunk begins in its own
    stdout := case when c.stream <> 'stdout' then c.other when p_stream is null then start - c.other else start end;
    stderr := case when c.stream <> 'stderr' then c.other when p_stream is null then start - c.other else start end;
end $$;

-- A page of it.
create function fleet.task_logs(p_by fleet.requester, p_task_id text, p_attempt int, p_streams text[], p_offset bigint, p_limit bigint,
                                p_tail bigint)
    returns table (number int, start bigint, next bigint, total bigint, live boolean, bytes bytea, gone text, first_line bigint)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    x record;
    p record;
    v_stream text := fleet.log_stream(p_streams);
    v_bytes bytea := ''::bytea;
begin
    select * into x from fleet.log_attempt(p_by, p_task_id, p_attempt);
    if (x.a).attempt is null then
        return query select null::int, 0::bigint, 0::bigint, 0::bigint, false, v_bytes, null::text, 1::bigint;
        return;
    end if;
    select * into p from fleet.log_place(x.a, v_stream, p_offset, p_tail);
    if p.gone is null then
        v_bytes := fleet.log_bytes(x.a, v_stream, p.start,
                                   least(p.start + least(greatest(coalesce(p_limit, 1048576), 0), 16777216), p.total));
        p.next := p.start + length(v_bytes);
    end if;
    return query select (x.a).number, p.start, p.next, p.total, (x.a).ended_at is null, v_bytes, p.gone, p.line;
end $$;

-- Where a reader of streams begins: the task, the attempt (null: none yet), and the place in both streams. p_number null: the task is
-- followed from attempt to attempt. By p_stdout and p_stderr it goes on where it was.
create function fleet.log_open(p_by fleet.requester, p_task_id text, p_number int, p_streams text[], p_offset bigint, p_tail bigint,
                               p_stdout bigint, p_stderr bigint)
    returns table (task bigint, attempt bigint, number int, stdout bigint, stderr bigint, gone text, next bigint)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    x record;
    p record;
    a fleet.attempt;
begin
    select * into x from fleet.log_attempt(p_by, p_task_id, p_number);
    a := x.a;
    if a.attempt is null then
        return query select (x.t).task, null::bigint, 0, 0::bigint, 0::bigint, null::text, null::bigint;
    elsif p_stdout > a.stdout_bytes or p_stderr > a.stderr_bytes then
        raise exception 'attempt % has stored % bytes of stdout and % of stderr: its output does not reach to where this goes on',
            a.number, a.stdout_bytes, a.stderr_bytes using errcode = 'AF007';
    elsif p_stdout is not null then
        return query select (x.t).task, a.attempt, a.number, p_stdout, p_stderr, null::text, null::bigint;
    else
        select * into p from fleet.log_place(a, fleet.log_stream(p_streams), p_offset, p_tail);
        return query select (x.t).task, a.attempt, a.number, p.stdout, p.stderr, p.gone, p.next;
    end if;
end $$;

-- How far the output of attempts is stored, for all that a node follows, in the order of the arguments: one row for each whose output
-- or state is not as told (p_bytes: of both streams). Of a task without an attempt (null) and of an attempt that has ended, `next` is
-- the one behind it; `over`: none will come unless a person wants it.
create function fleet.log_heads(p_tasks bigint[], p_attempts bigint[], p_bytes bigint[])
    returns table (ord int, stdout bigint, stderr bigint, ended boolean, outcome text, reason text, status text, over boolean,
                   next bigint, next_number int)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
        select i.ord::int, coalesce(a.stdout_bytes, 0), coalesce(a.stderr_bytes, 0), a.ended_at is not null, a.outcome, a.reason, t.status,
               t.status not in ('created', 'assigned', 'running', 'agent_lost') and n.attempt is null, n.attempt, n.number
        from unnest(p_tasks, p_attempts, p_bytes) with ordinality i (task, attempt, bytes, ord)
        join fleet.task t on t.task = i.task
        left join fleet.attempt a on a.attempt = i.attempt
        left join lateral (
            select x.attempt, x.number from fleet.attempt x
            where (a.attempt is null or a.ended_at is not null) and x.task = i.task and x.number > coalesce(a.number, 0)
            order by x.number limit 1) n on true
        where a.attempt is null or a.ended_at is not null or a.stdout_bytes + a.stderr_bytes <> i.bytes;
end $$;

-- Stored bytes of an attempt behind an offset in each stream (null: not of that one), in the order of arrival, at most p_limit, and at
-- most a row for each 256 of p_limit (or 16). `line` is the number of the line in its stream that `start` is in.
create function fleet.log_read(p_attempt bigint, p_stdout bigint, p_stderr bigint, p_limit int)
    returns table (stream text, start bigint, line bigint, bytes bytea)
    language plpgsql stable security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    a fleet.attempt;
    v_since timestamptz;
    v_until timestamptz;
    v_rows int := greatest(p_limit / 256, 16);
begin
    select * into a from fleet.attempt x where x.attempt = p_attempt;
    v_since := fleet.log_since(a);
    v_until := fleet.log_until(a);
    return query
        select o.stream, greatest(o.start, o.from_), 1 + o.line + fleet.newlines(fleet.cut(o.bytes, o.start, o.start, o.from_)),
               fleet.cut(o.bytes, o.start, o.from_, greatest(o.start, o.from_) + p_limit - o.before)
        from (select s.*, (sum(s.size) over (order by s.pos))::bigint - s.size as before
              from (select w.stream, w.from_, c.start, c.pos, c.line, c.bytes, c.start + length(c.bytes) - greatest(c.start, w.from_) as size
                    from (values ('stdout', p_stdout), ('stderr', p_stderr)) w (stream, from_),
                         lateral (
                             select l.start, l.pos, l.line, l.bytes from fleet.log l
                             where l.attempt = p_attempt and l.at between v_since and v_until and l.stream = w.stream
                               and l.start >= coalesce((
                                       select max(x.start) from fleet.log x
                                       where x.attempt = p_attempt and x.at between v_since and v_until and x.stream = w.stream
                                         and x.start <= w.from_), 0)
                               and l.start + length(l.bytes) > w.from_
                             order by l.start limit v_rows) c
                    where w.from_ is not null
                    order by c.pos limit v_rows) s) o
        where o.before < p_limit
        order by o.pos;
end $$;
