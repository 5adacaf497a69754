-- What the database takes, table by table: how much, what makes it grow, by which rule it goes, and who keeps that from happening.
-- Every table of the schema has a row here with its rule; migrations/README.md has the same table for reading.

create view fleet.storage as
with rules (name, grows_by, rule) as (values
    ('account', 'an agent of a configuration, an HTTP agent', 'when no agent has it any more'),
    ('attempt', 'a claim', 'with its task'),
    ('audit', 'a change by a person, a registration', 'audit_days'),
    ('delayed', 'a task that waits for its time', 'gone when that has come'),
    ('delivery', 'a webhook delivery', 'delivery_days'),
    ('ended', 'the end of a task', 'with its task'),
    ('event', 'every step of a task', 'event_days, by whole months; that of kept tasks stays'),
    ('executor', 'an agent of a configuration, an HTTP agent', 'HTTP agents: agent_days; else it stays: history names it'),
    ('executor_lane', 'a lane, an executor', 'with these'),
    ('follow', 'an answer, a follow-up', 'with its task'),
    ('forgejo', 'a worker that tells its configuration', 'one row'),
    ('former_name', 'a repository that is renamed', 'when another repository takes the name'),
    ('freed', 'a person who frees a slot of a run that may live', 'with the end of that run'),
    ('horizon', 'nothing', 'stays'),
    ('host', 'a host of a configuration or the API', 'stays: history names it; fleet.forget_host() takes it out of sight'),
    ('idempotency', 'a request with an Idempotency-Key', 'idempotency_hours'),
    ('incarnation', 'nothing', 'stays'),
    ('issue', 'an issue of a listed repository', 'stays: it is what refuses an old delivery that is sent again'),
    ('lane', 'a new kind of task', 'lane_unused_ms'),
    ('latch', 'nothing', 'stays'),
    ('log', 'output of runs', 'log_days, by whole days; that of kept tasks stays'),
    ('look', 'an issue or pull request that was read', 'stays: with what it is about'),
    ('metric', 'a new reason, agent kind, …: a fixed number', 'stays'),
    ('metric_mark', 'nothing', 'stays'),
    ('metric_stock', 'nothing', 'stays'),
    ('migration', 'an update', 'stays'),
    ('node', 'the start of a server, worker or agent', 'node_days'),
    ('node_host', 'a worker that lists a host', 'with its node'),
    ('node_metric', 'a worker that says its numbers', 'with its node'),
    ('outbox', 'a task of an issue', 'with its task'),
    ('person', 'somebody whose permission Forgejo was asked for', 'delivery_days after that'),
    ('pin', 'a task that goes on where its workspace is', 'gone with the end of its run'),
    ('pull', 'a pull request of a task''s branch', 'with its task'),
    ('queue', 'a task that waits for an agent', 'gone with the claim'),
    ('reason', 'an update', 'stays'),
    ('repository', 'a listed repository', 'stays'),
    ('response', 'a command in a comment', 'with its task'),
    ('sender', 'somebody who asks for a run in Forgejo', 'stays: one row a person'),
    ('setting', 'an update', 'stays'),
    ('slot', 'max_concurrency', 'as many as that'),
    ('spent', 'a run of an issue', 'a day'),
    ('task', 'a submission', 'task_days; kept, live and waiting ones stay'),
    ('task_label', 'a label of a task', 'with its task'),
    ('token', 'fleet-server token create, a registration', 'audit_days after its end'),
    ('transition', 'an update', 'stays'),
    ('waiter', 'a worker that sleeps', 'gone when it wakes, or with its node')
), part as (
    select coalesce(i.inhparent, c.oid) as parent, c.oid, c.relkind, c.relname,
           case when i.inhparent is not null
                then to_date(rpad(substring(c.relname from '[0-9]+$'), 8, '01'), 'YYYYMMDD') end as of
    from pg_class c
    left join pg_inherits i on i.inhrelid = c.oid
    where c.relnamespace = 'fleet'::regnamespace and c.relkind in ('r', 'p')
), days as (
    select name, now() - make_interval(days => nullif(value, 0)::int) as before from fleet.setting where name like '%\_days'
), size as (
    select p.parent, count(p.of)::int as partitions, min(p.of) as oldest, max(p.of) as newest,
           min(p.of) filter (where p.relname not like '%\_kept\_%') as next,
           sum(pg_total_relation_size(p.oid))::bigint as bytes, sum(pg_indexes_size(p.oid))::bigint as index_bytes,
           sum(s.n_live_tup)::bigint as rows, sum(s.n_dead_tup)::bigint as dead_rows, max(s.last_autovacuum) as last_autovacuum
    from part p left join pg_stat_all_tables s on s.relid = p.oid
    group by p.parent
)
select c.relname::text as name, pg_size_pretty(z.bytes) as size, z.rows, z.dead_rows, r.rule,
       case when b.age > interval '0' then date_trunc('minute', b.age) end as behind,
       coalesce(h.held_by, case when z.dead_rows > 10000 then v.held_by end) as held_by,
       nullif(z.partitions, 0) as partitions, z.oldest, z.newest, z.bytes, z.index_bytes, z.last_autovacuum, r.grows_by
from size z
join pg_class c on c.oid = z.parent
left join rules r on r.name = c.relname
left join fleet.horizon h on h.name = c.relname
left join fleet.horizon v on v.name = 'vacuum'
cross join lateral (
    select d.before - case c.relname
        when 'log' then (z.next + interval '1 day') at time zone 'UTC'
        when 'event' then (z.next + interval '1 month') at time zone 'UTC'
        when 'delivery' then (select min(x.received_at) from fleet.delivery x)
        when 'audit' then (select min(x.at) from fleet.audit x)
        when 'task' then (select x.completed_at from fleet.task x where x.completed_at is not null and x.kept_at is null order by x.task limit 1)
    end as age
    from (select (select d.before from days d where d.name = c.relname || '_days') as before) d) b
order by z.bytes desc;
comment on view fleet.storage is 'Every table: how large, by which rule its rows go, how far that is behind, and who keeps it or vacuum from going on.';
comment on column fleet.storage.behind is 'so much older than its rule allows is the oldest that should be gone';
comment on column fleet.storage.held_by is 'who was in the way of the removal at its last try, or keeps vacuum from removing dead rows; fleet.sessions has more';
