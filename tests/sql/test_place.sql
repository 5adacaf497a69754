-- Where work is placed: on hosts that may have it, and on the one that is least useful for anything else.

\echo 'a cordoned host'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
update fleet.host set cordoned_at = now(), cordoned_by = 'octo', cordon_reason = 'to be repaired';
select t.is(t.claim('w1', 1), '', 'gets nothing');
update fleet.host set cordoned_at = null, cordoned_by = null, cordon_reason = null;
select t.is(t.claim('w1', 1), 'a', 'until it is open again');
rollback;

\echo 'who knows less is filled first'
begin;
select t.worker('w1', t.host('a-much', '{code:rust,docs,review}', 2), t.host('b-little', '{code:rust}', 2));
select t.submit('one');
select t.claim('w1', 1);
select t.is((select host_id from fleet.executor where executor = (select executor from fleet.attempt)), 'b-little', 'of two that are equally free');
rollback;

\echo 'the identity of a host out of reach'
begin;
select fleet.node_start(t.node('w1'), 'worker', 'w1', '1', 'c');
select t.configure('w1', t.host('h', '{code:rust}', 2));
select fleet.host_report(t.node('w1'), 'h', 1, false, jsonb_populate_record(null::fleet.identity, t.identity('other')), null, '{}', 'timeout', 'no answer');
select t.is((select machine from fleet.host), '', 'is not believed');
rollback;

\echo 'the flag of a sleeper that beats no more'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select fleet.sleep_begin(t.node('w1'));
select fleet.sleep_begin(t.node('w2'));
select t.silent('w2');
select fleet.reap(t.node('w1'));
select t.is((select array_agg(node) from fleet.waiter), array[t.node('w1')], 'is taken down');
rollback;
