-- What changes often is written anew within its page: rows are narrow, what is long lies beside them.

-- As long as that, and about half as long when it is compressed.
create function pg_temp.words(p_length int) returns text language sql as $$
  select repeat(left(string_agg(md5(i::text), ''), p_length / 2), 2) from generate_series(1, p_length / 64 + 1) i $$;
-- "n of m": updates of a table since the last call that needed no entry in an index.
create temp table seen (name text, updates bigint, hot bigint);
create function pg_temp.updates(p_table text) returns text language plpgsql as $$
declare v seen; v_before seen; begin
  select relname, n_tup_upd, n_tup_hot_upd into v from pg_stat_xact_user_tables where schemaname = 'fleet' and relname = p_table;
  delete from seen where name = p_table returning * into v_before;
  insert into seen select v.*;
  return format('%s of %s', v.hot - coalesce(v_before.hot, 0), v.updates - coalesce(v_before.updates, 0)); end $$;
create function pg_temp.beside(p_table regclass) returns bigint language plpgsql as $$
declare v bigint; begin
  execute format('select count(distinct chunk_id) from %s', (select reltoastrelid::regclass from pg_class where oid = p_table)) into v;
  return v; end $$;

\echo 'a prompt is not copied with each append'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', jsonb_build_object('body', pg_temp.words(3000)));
select t.is(pg_temp.beside('fleet.task'), 1::bigint, 'a long body lies beside its task, and nothing else of it');
select t.claim('w1', 1);
select fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run-1', 'agent', pg_temp.words(3000));
select fleet.started(t.node('w1'), t.attempt('a'), 1, 7, '8', 'b', t.identity('h') ->> 'machine');
select t.is(pg_temp.beside('fleet.attempt'), 1::bigint, 'a prompt lies beside its attempt, and nothing else of it');
select pg_temp.updates('attempt');
select t.append('w1', 'a', 'stdout', i * 10, '0123456789', '{"v":2,"kind":"codex-cli","at":10,"summary":"' || pg_temp.words(200) || '"}') from generate_series(0, 4) i;
select t.is(pg_temp.updates('attempt'), '5 of 5', 'each append changes the attempt within its page');
select t.is((select prompt from fleet.attempt), pg_temp.words(3000), 'and the prompt is what it was');
select t.is((select body from fleet.task), pg_temp.words(3000), 'so is the body');
rollback;

\echo 'a batch is claimed within its pages'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 64));
select t.submit('b' || i, '{agent:code:rust}', jsonb_build_object('body', pg_temp.words(300))) from generate_series(1, 64) i;
select pg_temp.updates('task');
select count(*) from fleet.claim(t.node('w1'), 64);
select t.is(pg_temp.updates('task'), '64 of 64', 'tasks that lie beside each other');
rollback;

\echo 'what lives is found without a scan'
begin;
create function pg_temp.cost(p_query text) returns float8 language plpgsql as $$
declare v json; begin
  execute 'explain (format json) ' || p_query into v;
  return v -> 0 -> 'Plan' ->> 'Total Cost'; end $$;
set local enable_seqscan = off;
set local enable_bitmapscan = off;
-- a scan all the same costs so much that any other choice looks as good as the best: then a million tasks are read for each beat
select t.ok(pg_temp.cost('select from fleet.live v join fleet.attempt a on a.attempt = v.attempt join fleet.task t on t.task = a.task') < 1e9,
  'attempts that are not proven ended, under the settings of nodes'' calls');
rollback;

\echo 'a beat reads what lives, not what ever ran'
begin;
create function pg_temp.read() returns bigint language sql as $$
  select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where schemaname = 'fleet' and relname = 'attempt' $$;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('b' || i, '{agent:code:rust}') from generate_series(1, 9) i;
select count(*) from fleet.claim(t.node('w1'), 9);
select count(*) from fleet.renew(t.node('w1'), '{}'); -- its plan is made, while there are few
insert into fleet.attempt (task, number, executor, slot_id, node, nonce, phase, outcome, ended_at)
select a.task, 1 + i, a.executor, a.slot_id, a.node, a.nonce || i, 'ended', 'failed', now() from fleet.attempt a, generate_series(1, 200) i;
select pg_temp.read() as before \gset
select t.is((select count(*) from fleet.renew(t.node('w1'), '{}') where kind = 'ours'), 9::bigint, 'of 1,809 runs 9 live');
select t.ok(pg_temp.read() - :before < 100, 'and no more than these were looked at');
rollback;
