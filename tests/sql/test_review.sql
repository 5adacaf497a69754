-- What a review found: each of these failed once.

\echo 'appends of others do not wait'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.is(t.append('w1', 'a', 'stdout', 0, 'abc'), 'ok 3', 'an append that nobody is in the way of is stored');
rollback;

\echo 'items that once failed their neighbours'
begin;
select t.is((select string_agg(verdict, ' ' order by ord) from fleet.submit(jsonb_build_array(
    t.item('x', '{}', jsonb_build_object('labels', (select jsonb_agg('agent:' || repeat(md5(i::text), 7)) from generate_series(1, 100) i))),
    t.item('y', '{}')))), 'refused created', 'more requirements than an index row can hold are refused, the next item is created');
select t.is((select verdict from fleet.submit(jsonb_build_array(
    t.item('z', '{}', jsonb_build_object('repo', (select string_agg(md5(i::text), '') from generate_series(1, 150) i) || '/x'))))), 'refused',
  'a repository longer than an index row can hold too');
select t.is(t.deliver('d1', 'opened', (select array_agg('agent:' || repeat(md5(i::text), 7)) from generate_series(1, 100) i), '2026-01-01T10:00:00Z'),
  'ignored labels_too_long', 'a delivery with such labels is ignored');
select t.is((select verdict from fleet.submit(jsonb_build_array(t.item('t' || i, '{}', jsonb_build_object('run_at', run_at))))), verdict,
  'run_at ' || run_at || ': ' || verdict)
from (values (1, '2026-01-01T10:00:00Z', 'created'), (2, '2026-01-01t10:00:00.123456+02:00', 'created'), (3, '2026-01-01 10:00', 'refused'),
  (4, '2026-01-01', 'refused'), (5, 'now', 'refused'), (6, '2026-02-30T10:00:00Z', 'refused'), (7, '99999-01-01T00:00:00Z', 'refused')) v (i, run_at, verdict);
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

\echo 'death'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select fleet.set('open_grace_ms', 0);
select t.throws(format('select fleet.adopt(t.node(''w2''), t.node(''w1''), %s, 9)', t.beat('w1')), 'AF006',
  'a node whose beat the database has just seen is not dead, whatever another says');
select t.silent('w1');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'one that has been silent is');
rollback;

\echo 'who does not reach the host leaves it to who does'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.worker('w3', t.host('h', '{code:rust}', 2));
select fleet.host_report(t.node('w2'), 'h', false, null, 'no route');
select t.submit('a');
select t.claim('w1', 1);
select fleet.node_stop(t.node('w1'));
select t.none($$select * from fleet.renew(t.node('w2'), '{}') where kind = 'left'$$, 'w2 does not reach it: is not asked');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'and gets nothing');
select t.is((select count(*) from fleet.renew(t.node('w3'), '{}') where kind = 'left'), 1::bigint, 'w3 is asked');
savepoint s;
select t.is(t.adopt('w3', 'w1', t.beat('w1')), 'a/2', 'and gets it');
rollback to s;
select fleet.node_stop(t.node('w3'));
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'when nobody reaches it, whoever lists it takes it');
rollback;

\echo 'the last worker is gone'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select fleet.node_start(t.node('s'), 'server', 's', '0.1.0', 'x');
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.node_stop(t.node('w1'));
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'running', 'at once nothing is said of its run');
update fleet.node set stopped_at = now() - interval '10 minutes' where node = t.node('w1');
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'agent_lost', 'after lost_ms its task is shown as agent_lost');
savepoint s;
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'a worker that starts takes the run over');
select fleet.phase(t.node('w2'), t.attempt('a'), 2, 'running', null);
select t.is(t.status('a'), 'running', 'and shows it as running');
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'running', 'which it stays');
select t.is(t.finish('w2', 'a'), 'completed', 'to its end');
rollback to s;
update fleet.node set stopped_at = now() - interval '4 hours' where node = t.node('w1');
select fleet.reap(t.node('s'));
select t.is(t.status('a'), 'agent_lost', 'after hours as well: nobody looked for it');
select t.is((select count(*) from fleet.slot where attempt is not null), 1::bigint, 'and its slot stays held');
select t.sound();
rollback;

\echo 'deliveries that overtake each other'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d3', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:09Z', '{"state": "closed"}'), 'accepted recorded',
  'an event that shows the issue closed, before the news of closing');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'cancels what waits');
select t.is(t.deliver('d2', 'closed', '{agent:x}', '2026-01-01T10:00:08Z', '{"state": "closed"}'), 'ignored stale', 'the news itself is stale then');
rollback;
begin;
select t.deliver('d2', 'closed', '{}', '2026-01-01T10:00:00Z', '{"state": "closed"}');
select t.is(t.starts('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z'), false, 'opened and closed in one second, told in the wrong order: starts nothing');
rollback;

\echo 'labels that somebody who may not start work takes away'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.is(t.deliver('d2', 'label_updated', '{}', '2026-01-01T10:00:01Z', '{"admitted": false, "refusal": "sender_not_allowed"}'), 'ignored sender_not_allowed',
  'is ignored as a start');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'but stopping is free: what waits is cancelled');
select t.is(t.deliver('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z', '{"admitted": false, "refusal": "sender_not_allowed"}'), 'ignored sender_not_allowed',
  'adding it again is refused');
select t.is(t.starts('d4', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:03Z'), false, 'and does not start with the next event of somebody who may');
select t.sound();
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d2', 'label_cleared', '{}', '2026-01-01T10:00:01Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.starts('d3', 'label_updated', '{agent:x}', '2026-01-01T10:00:02Z'), true, 'added again by somebody who may: the same task runs again');
rollback;
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:01Z');
select t.deliver('d0', 'label_cleared', '{}', '2026-01-01T10:00:01Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.status('acme/rocket#42'), 'created', 'a removal of the same second may have been before: it stops nothing');
rollback;

\echo 'a refused delivery''s id under another body'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.starts('d1', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:01Z'), false, 'frees no refused label: the id is not signed');
rollback;

\echo 'an event from before a removal'
begin;
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
select t.deliver('d3', 'label_cleared', '{}', '2026-01-01T10:00:05Z', '{"admitted": false, "refusal": "sender_not_allowed"}');
select t.is(t.deliver('d2', 'label_updated', '{agent:x,bug}', '2026-01-01T10:00:04Z'), 'ignored stale', 'that comes after it starts nothing');
select t.is(t.status('acme/rocket#42'), 'cancelled', 'the task stays cancelled');
rollback;

\echo 'a task that a person retried after its labels had gone'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"max_retries": 0}');
select fleet.host_report(t.node('w1'), 'h', true, t.identity('h'), null);
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select t.deliver('d2', 'label_cleared', '{}', '2026-01-01T10:00:01Z');
select t.is(t.finish('w1', 'acme/rocket#42', 'failed', 'exit_nonzero', 1), 'failed', 'has failed');
select fleet.retry('acme/rocket#42', true);
select t.deliver('d3', 'label_updated', '{bug}', '2026-01-01T10:00:02Z');
select t.is((select requirements from fleet.task), '{x}'::text[], 'keeps what it requires when other labels change');
rollback;
