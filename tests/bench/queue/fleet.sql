-- Schema bench: the fleet that tests/bench/queue drives, and its tasks. Schema t (tests/sql/t.sql) has to be there.
create schema bench;
grant usage on schema bench to public;

-- What a dispatcher says that it is.
create function bench.node(p_name text) returns text language sql security definer as $$ select t.node(p_name)::text $$;

-- Workers that all list the same hosts; each host has one executor, which can do everything but what is foreign.
create function bench.fleet(p_nodes int, p_hosts int, p_slots int, p_lanes int) returns void language plpgsql as $$
declare hosts jsonb[] := array(
    select t.host('h' || h, array(select 'lane' || l from generate_series(1, p_lanes) l), p_slots) from generate_series(1, p_hosts) h);
begin
  perform t.worker('w' || n, variadic hosts) from generate_series(1, p_nodes) n;
end $$;

-- What a task of a lane looks like; makes the lane.
create function bench.pattern(p_id text) returns void language plpgsql as $$
begin
  if not exists (select from fleet.task where task_id = p_id) then
    perform t.submit(p_id, array['agent:' || p_id]);
    perform fleet.cancel(p_id, 'a pattern');
  end if;
end $$;

-- What was last seen of hosts counts for some minutes only.
create function bench.fresh() returns void language sql as $$
  update fleet.node_host set reported_at = now() where reported_at < now() - interval '1 minute';
$$;

-- How many tasks were made here, beside those that claims took; a count of what waits would read all that was ever there.
create table bench.made (kind text primary key, tasks bigint not null);
insert into bench.made values ('lane', 0), ('foreign', 0);

create function bench.waiting(p_kind text) returns bigint language sql as $$
  select tasks - case when p_kind = 'lane' then coalesce(pg_sequence_last_value(pg_get_serial_sequence('fleet.attempt', 'attempt')), 0)
                      else 0 end
  from bench.made where kind = p_kind;
$$;

-- Lets p_wait tasks wait, in p_lanes lanes, as fleet.submit_tasks() would have made them; written directly, which is quicker.
create function bench.fill(p_kind text, p_lanes int, p_wait bigint) returns void language plpgsql
set synchronous_commit = off as $$
declare lacks int := greatest(0, (p_wait - bench.waiting(p_kind)) / p_lanes);
begin
  perform bench.pattern(p_kind || l) from generate_series(1, p_lanes) l;
  with pattern as (select t.* from fleet.task t where t.task_id in (select p_kind || l from generate_series(1, p_lanes) l)),
  made as (
    insert into fleet.task (task_id, source, title, body, content_hash, labels, requirements, execution_mode, priority, branch_name,
                            timeout_secs, max_retries, max_attempts_total, submitted_by, lane)
    select 't-' || translate(left(md5(p.task || '/' || i || '/' || clock_timestamp()), 12), '0189', 'wxyz'), 'api', 'Do number ' || i,
           'Body of the task ' || i, content_hash, labels, requirements, execution_mode, priority, 'task/t-' || i, timeout_secs,
           max_retries, max_attempts_total, submitted_by, lane
    from pattern p, generate_series(1, lacks) i
    order by i
    returning task, lane, priority, labels, submitted_by),
  waiting as (insert into fleet.queue (lane, prio, task) select lane, -priority, task from made),
  found as (insert into fleet.task_label (label, task) select l, task from made, unnest(labels) l)
  insert into fleet.event (task, event_type, to_status, actor) select task, 'created', 'created', submitted_by from made;
  update bench.made set tasks = tasks + lacks * p_lanes where kind = p_kind;
end $$;

-- Bytes of each table and index; partitions count as their table.
create view bench.size as
select coalesce(p.relname, t.relname) as "table", case when i.relname is null then '' else coalesce(pi.relname, i.relname) end as index,
       sum(case when i.oid is null then pg_table_size(t.oid) else pg_relation_size(i.oid) end) as bytes
from pg_class t
left join pg_inherits ti on ti.inhrelid = t.oid
left join pg_class p on p.oid = ti.inhparent
cross join lateral (select null::oid as oid union all select x.indexrelid from pg_index x where x.indrelid = t.oid) x
left join pg_class i on i.oid = x.oid
left join pg_inherits ii on ii.inhrelid = i.oid
left join pg_class pi on pi.oid = ii.inhparent
where t.relnamespace = 'fleet'::regnamespace and t.relkind = 'r'
group by 1, 2;
