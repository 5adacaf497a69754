-- Housekeeping: what is old goes, what is lost is told, partitions stand ahead; sleeping and waking.

\echo 'out of reach for long'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 5}');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'ssh_refused');
select fleet.reap(t.node('w1'));
select t.is(t.status('a'), 'running', 'a short while is nothing');
update fleet.attempt set unreachable_at = now() - interval '10 min';
select t.ok(fleet.reap(t.node('w1')) > 0, 'a long while is something');
select t.is(t.status('a'), 'agent_lost', 'it is shown as lost');
select t.is((select count(*) from fleet.slot where attempt is not null), 1::bigint, 'and keeps its slot');
select t.is(fleet.retry('a', true), 'not_proven_ended', 'it may still live');
select t.sound('every invariant with a lost run');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'running', null);
select t.is(t.status('a'), 'running', 'in reach again: running again');
select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'ssh_refused');
update fleet.attempt set unreachable_at = now() - interval '10 min';
select fleet.reap(t.node('w1'));
update fleet.attempt set unseen_ms = 4 * 3600000;
select fleet.reap(t.node('w1'));
select t.is((select row(status, failure_reason)::text from fleet.task), '(failed,host_lost)', 'after hours the task fails');
select t.is((select count(*) from fleet.slot where attempt is not null), 1::bigint, 'and the run keeps its slot: it is not proven ended');
select t.is(fleet.retry('a', true), 'not_proven_ended', 'so a plain retry is refused: it may still run');
select t.sound('every invariant with a run that was given up');
select t.is(fleet.retry('a', true, 'switched off by hand'), 'created', 'a person who takes it upon himself may');
select t.is(fleet.finish(t.node('w1'), t.attempt('a'), 1, 'succeeded', null, 0, null), 'created', 'the old run''s end settles nothing');
select t.sound('every invariant after that');
rollback;

\echo 'an issue asked for again while its lost run may live'
begin;
select t.worker('w1', t.host('h', '{x}', 2));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select fleet.phase(t.node('w1'), t.attempt('acme/rocket#42'), 1, 'unreachable', 'ssh_refused');
update fleet.attempt set unseen_ms = 4 * 3600000;
select fleet.reap(t.node('w1'));
select t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:01:00Z');
select t.is(t.starts('d3', 'label_updated', '{agent:x}', '2026-01-01T10:02:00Z'), false, 'the label again starts no second run');
select t.sound('every invariant after it');
rollback;

\echo 'old rows'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select fleet.node_start(t.node('gone'), 'worker', 'gone', 'v', 'c');
select fleet.node_stop(t.node('gone'));
update fleet.node set stopped_at = now() - interval '31 days' where node = t.node('gone');
select t.deliver('d1', 'opened', '{}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:00:01Z');
update fleet.delivery set received_at = now() - interval '31 days' where delivery_id = md5('d1')::uuid::text;
insert into fleet.idempotency (token_id, key, request_hash, made_at) values (1, 'old', 'x', now() - interval '25 hours'), (1, 'new', 'x', now());
select t.ok(fleet.reap(t.node('w1')) >= 3, 'reap says how much went');
select t.is((select count(*) from fleet.delivery), 1::bigint, 'deliveries after 30 days');
select t.is((select string_agg(key, ' ') from fleet.idempotency), 'new', 'idempotency keys after 24 hours');
select t.is((select count(*) from fleet.node), 1::bigint, 'nodes that left after 30 days');
select t.throws($$select fleet.reap(gen_random_uuid())$$, 'AF002', 'only a live node keeps house');
rollback;

\echo 'a dead node that owns something is kept'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
update fleet.node set dead_at = now() - interval '31 days' where node = t.node('w1');
select fleet.reap(t.node('w2'));
select t.is(t.adopt('w2', 'w1', 0), 'a/2', 'and can be adopted from');
rollback;

\echo 'what is not due'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a', p_more => jsonb_build_object('run_at', now() + interval '1 h'));
select t.is(fleet.promote(10), 0, 'stays aside');
select t.is(t.claim('w1', 9), '', '... and is not given');
select t.due();
select t.is(t.claim('w1', 9), 'a', 'until its time has come');
rollback;

\echo 'partitions'
begin;
select t.ok((select count(*) >= 7 from pg_inherits where inhparent = 'fleet.log'::regclass), 'days of output stand ahead');
select t.ok((select count(*) >= 2 from pg_inherits where inhparent = 'fleet.event'::regclass), 'months of history stand ahead');
select t.none($$
  select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent in ('fleet.log'::regclass, 'fleet.event'::regclass)
    and to_char((regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$FROM \('([^']*)'\)$r$))[1]::timestamptz at time zone 'UTC', 'HH24:MI:SS') <> '00:00:00'$$,
  'their borders are midnight in UTC, though this database stands in Asia/Kathmandu');
rollback;

\echo 'sleeping'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select fleet.sleep_begin(t.node('w1'));
select fleet.sleep_begin(t.node('w1'));
select t.is((select count(*) from fleet.waiter), 1::bigint, 'one flag a waiter');
select fleet.sleep_begin(t.node('nobody'));
select fleet.wake();
select fleet.reap(t.node('w1'));
select t.is((select count(*) from fleet.waiter), 1::bigint, 'the flag of a node that is gone is taken down');
select fleet.sleep_end(t.node('w1'));
select t.is((select count(*) from fleet.waiter), 0::bigint, 'awake: no flag');
rollback;

\echo 'a replaced host'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.is(t.report('w1', 'h', t.identity('other')), 'host_replaced', 'another machine');
select t.is(t.claim('w1', 1), '', 'gets nothing');
select fleet.host_accept('h');
select t.is(t.report('w1', 'h', t.identity('other')), 'ok', 'until a person accepts it');
select t.is(t.claim('w1', 1), 'a', 'then it is served');
select t.throws($$select fleet.host_accept('nobody')$$, 'AF003', 'no host, nothing to accept');
rollback;

\echo 'partitions that are gone'
begin;
create function pg_temp.yesterday() returns text language sql as $$
  select 'log_' || to_char(date_trunc('day', now() at time zone 'UTC') - interval '1 day', 'YYYYMMDD') $$;
do $$ begin execute format('drop table if exists fleet.%I', pg_temp.yesterday()); end $$;
update fleet.horizon set before = date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' where name = 'log';
select fleet.partitions();
select t.is(to_regclass('fleet.' || pg_temp.yesterday()), null, 'are not made again where old output was removed');
update fleet.horizon set before = null where name = 'log';
select fleet.partitions();
select t.ok(to_regclass('fleet.' || pg_temp.yesterday()) is not null, '... else they are');
rollback;

\echo 'partitions in a session with another DateStyle'
begin;
set local datestyle = 'SQL, DMY';
set local timezone = 'Asia/Kolkata';
drop table if exists fleet.log_20310101;
select fleet.make_partition('log', 'log_20310101', '2031-01-01', '2031-01-02');
set local timezone = 'UTC';
set local datestyle = 'ISO';
select t.is((select pg_get_expr(relpartbound, oid) from pg_class where oid = 'fleet.log_20310101'::regclass),
  $$FOR VALUES FROM ('2031-01-01 00:00:00+00') TO ('2031-01-02 00:00:00+00')$$, 'has its borders in UTC');
rollback;
