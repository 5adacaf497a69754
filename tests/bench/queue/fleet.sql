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

-- The rows that a claim and an end of so many tasks write, and nothing is decided: what these tables cost by themselves. Answers how many.
create function bench.bare(p_want int) returns int language plpgsql security definer
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_node uuid := t.node('w1');
  v_slots tid[] := array(select ctid from fleet.slot where slot_id > 0 order by slot_id limit p_want);
  v_rows tid[];
  v_tasks bigint[];
  v_attempts bigint[];
begin
  select array_agg(q.ctid), array_agg(q.task) into v_rows, v_tasks from (
    select ctid, task from fleet.queue where lane = (select lane from fleet.queue where lane > 0 order by lane limit 1) order by lane, prio, task limit p_want) q;
  if v_tasks is null then
    return 0;
  end if;
  v_attempts := array(select nextval('fleet.attempt_attempt_seq') from unnest(v_tasks));
  delete from fleet.queue where ctid = any (v_rows);
  update fleet.slot s set attempt = v_attempts[i] from generate_subscripts(v_attempts, 1) i where s.ctid = v_slots[i];
  insert into fleet.attempt (attempt, task, number, executor, slot_id, ordinal, node, nonce, ready_at) overriding system value
  select v_attempts[i], v_tasks[i], 1, 1, 1, 0, v_node, 'abcdefghabcdefghabcdefghabcdefgh', now() from generate_subscripts(v_attempts, 1) i;
  update fleet.task set status = 'assigned', attempt_number = 1, attempts = 1, executor = 1, assigned_at = now(), changed_at = now()
  where task = any (v_tasks);
  insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
  select i, 'assigned', 'created', 'assigned', 1, 'node:w1', '{"node": "00000000-0000-0000-0000-000000000000", "epoch": 1, "agent_id": "h1/codex-cli"}'
  from unnest(v_tasks) i;
  update fleet.attempt set phase = 'ended', ended_at = now(), outcome = 'succeeded', exit_status = 0, report = '{}', settled = 'completed'
  where attempt = any (v_attempts);
  update fleet.task set status = 'completed', changed_at = now(), completed_at = now() where task = any (v_tasks);
  insert into fleet.ended (status, task) select 'completed', i from unnest(v_tasks) i;
  insert into fleet.event (task, event_type, attempt, actor, payload)
  select i, 'attempt_ended', 1, 'node:w1', '{"epoch": 1, "outcome": "succeeded", "exit_status": 0}' from unnest(v_tasks) i;
  insert into fleet.event (task, event_type, from_status, to_status, attempt, actor, payload)
  select i, 'completed', 'assigned', 'completed', 1, 'node:w1', '{"reason": null, "outcome": "succeeded"}' from unnest(v_tasks) i;
  return cardinality(v_tasks);
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
