-- What is measured: counters of what the fleet did, what was counted in the background, and what each worker says of itself.

create table fleet.metric (
    name text not null,
    labels text[] not null default '{}',
    bucket int not null default 0,
    count bigint not null default 0,
    seconds float8 not null default 0,
    primary key (name, labels, bucket)
) with (fillfactor = 50);
comment on table fleet.metric is 'Counters, rolled up from the history and from deliveries; fleet.metrics() shows them.';
comment on column fleet.metric.bucket is 'of a duration (…_seconds): how many of fleet.metric_bounds() are below it';

create table fleet.metric_mark (
    source text primary key check (source in ('event', 'delivery')),
    system text not null,
    xid xid8 not null,
    id bigint not null default 0,
    since timestamptz not null default '-infinity',
    rolled_at timestamptz not null default clock_timestamp()
) with (fillfactor = 20);
comment on table fleet.metric_mark is 'Up to where a source is rolled up: all that is at or before (xid, id) is counted, and nothing behind it.';
comment on column fleet.metric_mark.since is 'nothing older counts: set when a dump was restored into another cluster, whose xids are others';

-- counted from now on: what was before this version is not read again
insert into fleet.metric_mark (source, system, xid)
select s, c.system_identifier::text, pg_current_xact_id() from unnest('{event,delivery}'::text[]) s, pg_control_system() c;

create table fleet.metric_stock (
    name text primary key check (name in ('fleet', 'checks')),
    taken_at timestamptz,
    due_at timestamptz not null default '-infinity',
    took_ms float8,
    rows jsonb not null default '[]'
) with (fillfactor = 50);
comment on table fleet.metric_stock is 'What was counted in the background, no more often than its cost allows: [[name, [label, …], value], …].';
insert into fleet.metric_stock (name) values ('fleet'), ('checks');

create unlogged table fleet.node_metric (
    node uuid primary key references fleet.node on delete cascade,
    reported_at timestamptz not null default clock_timestamp(),
    said jsonb not null
) with (fillfactor = 50);
comment on table fleet.node_metric is 'What a worker last said of itself: {name: number, or {label: number}}.';

alter table fleet.node add column death_counted boolean not null default false;
update fleet.node set death_counted = true where dead_at is not null;
create index node_died on fleet.node (node) where dead_at is not null and not death_counted;
comment on column fleet.node.death_counted is 'fleet.metric knows of its death';

alter table fleet.queue add column since timestamptz not null default now();
comment on column fleet.queue.since is 'when it could start: how old the queue is';

alter table fleet.attempt add column ready_at timestamptz;
comment on column fleet.attempt.ready_at is 'since when its task waited for this claim';

-- null: of a delivery before this version
alter table fleet.delivery add column xid xid8, add column sent_at timestamptz;
alter table fleet.delivery alter column xid set default pg_current_xact_id();
create index delivery_order on fleet.delivery (xid, delivery);
comment on column fleet.delivery.sent_at is 'the issue''s own clock: the change that the delivery tells of';
