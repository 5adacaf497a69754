-- Tunables: every value that fleet.set() takes keeps the functions working.
select t.none('select name from fleet.setting where value not between low and high', 'every value lies within its bounds');
select t.throws($$select fleet.set('beat_ms', null)$$, 'AF007', 'no value is none');
select t.throws(format('select fleet.set(%L, %s)', name, low - 1), 'AF007', name || ': below its bounds') from fleet.setting;
select t.throws(format('select fleet.set(%L, %s)', name, high + 1), 'AF007', name || ': above its bounds') from fleet.setting;
select t.throws(format('select fleet.set(%L, 9223372036854775807)', name), 'AF007', name || ': absurd') from fleet.setting;

select t.throws($$select fleet.set('beat_ms', 6000)$$, 'AF007', 'one missed beat would be death');
select t.throws($$select fleet.set('dead_ms', 5999)$$, 'AF007', '... from the other side as well');
select t.throws($$select fleet.set('dead_ms', 45001)$$, 'AF007', 'dead for others before it fences itself');
select t.throws($$select fleet.set('lease_ms', 9999)$$, 'AF007', '... from the other side as well');
select t.throws($$select fleet.set('retry_base_ms', 600001)$$, 'AF007', 'the first back-off above the longest');
select t.throws($$select fleet.set('release_max_ms', 1999)$$, 'AF007', 'the longest below the first');
select t.throws($$select fleet.set('lost_ms', 10800001)$$, 'AF007', 'given up before it is lost');
select t.is((select value from fleet.settings where name = 'beat_ms'), 3000::bigint, 'what was refused changed nothing');

-- Both ends of every setting, alone: whatever a node calls works.
create function pg_temp.life() returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{code:rust}', 2));
  perform t.submit('a' || n) from generate_series(1, 3) n;
  perform t.claim('w1', 2);
  perform t.start('w1', 'a1');
  perform t.finish('w1', 'a1', 'failed', 'exit_nonzero', 1);
  perform fleet.release(t.node('w1'), t.attempt('a2'), 1, 'given back');
  perform fleet.renew(t.node('w1'), '{}');
  perform fleet.reap(t.node('w1'));
  perform fleet.promote(10);
  perform t.deliver('d', 'opened', '{agent:x}', '2026-01-01T10:00:00Z');
  perform count(*) from fleet.tasks; perform count(*) from fleet.hosts; perform count(*) from fleet.nodes;
  perform fleet.explain_task('a3'); perform fleet.host_list(t.by(), 50, null); perform fleet.node_list(t.by(0));
end $$;
create function pg_temp.try(p_name text, p_value bigint) returns text language plpgsql as $$
declare said text := 'fine';
begin
  begin
    update fleet.setting set value = p_value where name = p_name;
    perform pg_temp.life();
    raise sqlstate 'ZZ999';
  exception when sqlstate 'ZZ999' then null;
    when others then said := sqlstate || ': ' || sqlerrm;
  end;
  return said;
end $$;
select t.is(pg_temp.try(name, low), 'fine', name || ' at its lowest') from fleet.setting;
select t.is(pg_temp.try(name, high), 'fine', name || ' at its highest') from fleet.setting;

\echo 'ready'
select t.is((select row(r.member, r.writable)::text from fleet.ready('server') r), '(t,t)', 'a superuser is everybody''s');
set session authorization fleet_worker_login;
select t.is((select row(r.login, r.member)::text from fleet.ready('server') r), '(fleet_worker_login,f)', 'a worker''s login is no server''s');
select t.is((select r.member from fleet.ready('worker') r), true, 'but a worker''s');
select t.throws($$select fleet.node_start('00000000-0000-0000-0000-000000000009', 'server', 's', 'v', 'c')$$, 'AF009',
  'and does not start one');
reset session authorization;

\echo 'which programs are served'
select t.ok((select r.oldest_node <= r.schema_version from fleet.ready('server') r), 'its own at least');
create or replace function fleet.oldest_node() returns int language sql stable begin atomic select 10001; end;
select t.throws($$select fleet.node_start('00000000-0000-0000-0000-000000000008', 'worker', 'w', 'v', 'c', 10000)$$, 'AF010',
  'a program that is too old is refused');
select t.throws($$select fleet.node_start('00000000-0000-0000-0000-000000000008', 'worker', 'w', 'v', 'c')$$, 'AF010',
  'so is one that does not say its schema');
select t.is((select count(*)::int from fleet.node_start('00000000-0000-0000-0000-000000000008', 'worker', 'w', 'v', 'c', 10001)), 1,
  'a newer one is not');
select t.is((select r.oldest_node from fleet.ready('server') r), 10001, 'and is told so by ready');
set session authorization fleet_worker_login;
begin read only;
select t.is((select r.writable from fleet.ready('worker') r), false, 'a read-only transaction is told');
rollback;
reset session authorization;
