-- The session lock of a worker: who holds it, who is seen dead by it, and when it proves nothing. This session is w2's; what others
-- hold is taken by hand, for the lock counts whoever has it.
create function pg_temp.number(p_name text) returns int language sql as $$ select number from fleet.node where node = t.node(p_name) $$;
create function pg_temp.hold(p_name text) returns text language sql as $$ select fleet.hold(pg_backend_pid(), t.node(p_name)) $$;
create function pg_temp.row_of(p_name text) returns text language sql as $$
  select row(lock_pid = pg_backend_pid(), lock_at is not null, lock_trouble, gone_at is not null)::text from fleet.node where node = t.node(p_name) $$;
create function pg_temp.gone() returns text language sql as $$
  select coalesce(string_agg(n.name, ' ' order by n.name), '') from fleet.peers(t.node('w2')) p join fleet.node n on n.node = p.node where p.kind = 'gone' $$;
-- As if w1's session had had its lock since then, and as if the first look that missed it were that old.
create function pg_temp.had(p_since interval) returns void language sql as $$
  update fleet.node set lock_pid = 1, lock_at = clock_timestamp() - p_since, beat_at = clock_timestamp() - p_since where node = t.node('w1') $$;
create function pg_temp.scene() returns void language plpgsql as $$
begin
  perform fleet.set('lock_grace_ms', 0);
  perform fleet.set('open_grace_ms', 1000000000); -- whoever is adopted here was not judged by the beat
  perform t.worker('w1', t.host('h', '{code:rust}', 2));
  perform t.worker('w2', t.host('h', '{code:rust}', 2));
  perform t.submit('a');
  perform t.claim('w1', 1);
  perform pg_temp.hold('w2');
  perform pg_temp.had('1 hour');
end $$;

\echo 'taking it'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.is((select watched_by from fleet.nodes), 'beat', 'a worker that has no lock yet is watched by its beat');
select t.is(pg_temp.hold('w1'), 'held', 'its session takes its lock');
select t.is(pg_temp.row_of('w1'), '(t,t,,f)', 'and it is known by whom');
select t.is((select watched_by from fleet.nodes), 'lock, beat', 'the view says so');
select t.is((fleet.node_list(t.by(0))).body::jsonb -> 0 ->> 'watched_by', 'lock, beat', 'and REST');
select t.keep('at', lock_at) from fleet.node;
select t.is(pg_temp.hold('w1'), 'held', 'asked again it has it still');
select t.is((select lock_at::text from fleet.node), t.kept('at'), 'since the same time');
select t.is((select count(*) from pg_locks where locktype = 'advisory'), 1::bigint, 'once');
select t.worker('again', t.host('h', '{code:rust}', 2));
select t.is(pg_temp.hold('again'), 'held', 'under a new id its session takes another one');
select t.is((select string_agg(number::text, ' ') from fleet.locks()), pg_temp.number('again')::text, 'and lets the old one go');
select t.throws($$select fleet.hold(1, gen_random_uuid())$$, 'AF002', 'who never started has none');
select fleet.node_stop(t.node('again'));
select t.throws($$select pg_temp.hold('again')$$, 'AF002', 'nor who has stopped');
rollback;
select pg_advisory_unlock_all();

\echo 'when a session cannot have it'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.is(fleet.hold(pg_backend_pid() + 1, t.node('w1')), 'pooled', 'another process answers than the one of the connection: a pooler');
select t.is(pg_temp.row_of('w1'), '(,f,pooled,f)', 'which is no holder');
select t.is((select watched_by from fleet.nodes), 'beat: its LISTEN session is lent by a pooler', 'the view says so');
select t.none('select * from fleet.locks()', 'no lock is left with a session that is somebody else''s tomorrow');
select t.is(pg_temp.hold('w1'), 'held', 'without one it is taken');
select t.is(fleet.hold(pg_backend_pid() + 1, t.node('w1')), 'pooled', 'behind one again');
select t.is(pg_temp.row_of('w1'), '(,f,pooled,f)', 'its death is not told by its lock any more');
rollback;
select pg_advisory_unlock_all();
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
revoke execute on function pg_try_advisory_lock(int, int) from fleet_owner, public;
select t.is(pg_temp.hold('w1'), 'forbidden', 'an owner that may not lock');
select t.is((select watched_by from fleet.nodes), 'beat: fleet_owner may not take advisory locks', 'is told');
rollback;

\echo 'two looks'
begin;
select pg_temp.scene();
select t.is(pg_temp.gone(), '', 'the first look that misses a lock is no verdict');
select t.is(pg_temp.row_of('w1'), '(f,t,,t)', 'and is remembered');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'SQL refuses one as well');
select t.keep('at', gone_at) from fleet.node where node = t.node('w1');
select t.is(pg_temp.gone(), '', 'a second one so soon is none either');
select t.is((select gone_at::text from fleet.node where node = t.node('w1')), t.kept('at'), 'the first one counts');
select t.missed('w1', '0.9 s');
select t.is(pg_temp.gone(), '', 'not before a second');
select t.missed('w1', '1 s');
select t.is(pg_temp.gone(), 'w1', 'a second later it is gone');
select t.is(t.adopt('w2', 'w1', -1), 'a/2', 'and is adopted, whatever beat the watcher saw');
select t.is((select status from fleet.node_now where name = 'w1'), 'dead', 'it is dead');
select t.throws($$select fleet.renew(t.node('w1'), '{}')$$, 'AF002', 'and told so, should it live');
select t.throws($$select pg_temp.hold('w1')$$, 'AF002', 'it takes its lock no more');
select t.is(pg_temp.gone(), '', 'the dead are not named again');
select t.sound();
rollback;
select pg_advisory_unlock_all();

\echo 'what comes between'
begin;
select pg_temp.scene();
select pg_temp.gone();
select t.missed('w1', '1 hour');
update fleet.node set beat_at = clock_timestamp() where node = t.node('w1');
select t.is(pg_temp.gone(), '', 'who has given a beat since only lost its session');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'for SQL too');
select pg_temp.had('1 hour');
select pg_advisory_lock(fleet.lock_class(), pg_temp.number('w1'));
select t.is(pg_temp.gone(), '', 'a lock that is there again is none that is gone');
select t.is(pg_temp.row_of('w1'), '(f,t,,f)', 'the look that missed it is forgotten');
select pg_advisory_unlock(fleet.lock_class(), pg_temp.number('w1'));
select t.is(pg_temp.gone(), '', 'missed again it is a first look again');
select t.missed('w1', '1 hour');
select pg_advisory_lock(fleet.lock_class(), pg_temp.number('w1'));
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'there at the moment of the verdict: none');
rollback;
select pg_advisory_unlock_all();
begin;
select pg_temp.scene();
update fleet.node set lock_at = null, lock_pid = null where node = t.node('w1');
select t.is(pg_temp.gone(), '', 'who never held one');
select t.is((select gone_at from fleet.node where node = t.node('w1')), null, 'is not missed');
select fleet.set('open_grace_ms', 0);
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'but by its beat');
rollback;
select pg_advisory_unlock_all();

\echo 'everybody''s lock is gone'
begin;
select pg_temp.scene();
select pg_temp.gone();
select t.missed('w1', '1 hour');
select t.is(pg_temp.gone(), 'w1', 'who holds its own judges');
select fleet.set('lock_grace_ms', 600000);
select t.is(pg_temp.gone(), '', 'not so soon after the database opened');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'for SQL too');
select fleet.set('lock_grace_ms', 5);
update fleet.node set lock_at = clock_timestamp() + interval '1 hour' where node = t.node('w2');
select t.is(pg_temp.gone(), '', 'not so soon after its own session stood');
update fleet.node set lock_at = clock_timestamp() - interval '1 hour' where node = t.node('w2');
select t.is(pg_temp.gone(), 'w1', 'later it does');
update fleet.node set lock_pid = lock_pid + 1 where node = t.node('w2');
select t.is(pg_temp.gone(), '', 'that somebody else has its lock does not make it one who may');
update fleet.node set lock_pid = lock_pid - 1 where node = t.node('w2');
select pg_advisory_unlock_all();
select t.is(pg_temp.gone(), '', 'nor does one who holds none');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'for SQL too');
select t.is(pg_temp.hold('w2'), 'held', 'its session takes it again');
select t.ok((select lock_at > clock_timestamp() - interval '1 minute' from fleet.node where node = t.node('w2')), 'and the time counts anew');
rollback;
select pg_advisory_unlock_all();
