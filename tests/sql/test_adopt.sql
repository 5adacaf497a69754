-- Who may take over whose work, and what the old owner may do after that.

\echo 'the verdict of death'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9), t.host('h2', '{review}', 9));
select t.worker('w2', t.host('h', '{code:rust}', 9));
select t.worker('w3', t.host('other', '{x}', 9));
select t.submit('a');
select t.submit('b');
select t.submit('r', '{agent:review}');
select t.claim('w1', 9);
select t.start('w1', 'a');
select t.append('w1', 'a', 'stdout', 0, 'hello', 'parsed 5');
select fleet.renew(t.node('w1'), '{}');
select t.put('beat', t.beat('w1'));
select t.is((select beat from fleet.renew(t.node('w2'), '{}') where kind = 'beat' and node = t.node('w1')), t.got('beat'),
  'renew tells the other workers'' beats');
select fleet.renew(t.node('w1'), '{}');
select t.ok(t.beat('w1') > t.got('beat'), 'each renew moves the beat');
select t.silent('w1');
select fleet.set('open_grace_ms', 0);
select t.is(t.adopt('w2', 'w1', t.got('beat')), '', 'a beat that moved since: nothing is adopted');
select fleet.set('open_grace_ms', 1000000000);
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'no verdict so soon after the database opened');
select fleet.set('open_grace_ms', 0);
select t.throws($$select t.adopt('w2', 'w2', t.beat('w2'))$$, 'AF007', 'nobody adopts from itself');
select t.throws($$select t.adopt('w2', 'nobody', 0)$$, 'AF003', 'nor from a node that never was');
select t.server();
select t.silent('server');
select t.throws($$select t.adopt('w2', 'server', t.beat('server'))$$, 'AF007', 'nor from a server, which has no runs');
select t.is((select dead_at from fleet.node where node = t.node('server')), null, 'and that is no verdict about it');
select t.is((select node from fleet.tasks where task_id = 'a'), 'w1', 'the owner is still the owner');
select t.is(t.adopt('w3', 'w1', t.beat('w1')), '', 'a worker that does not list the host gets nothing');
select t.throws($$select fleet.finish(t.node('w2'), t.attempt('a'), 1, 'succeeded', null, 0, null)$$, 'AF002',
  'a live worker that does not own a run cannot end it');
select t.is((select verdict from fleet.append(t.node('w2'), array[t.attempt('a')], array[1], '{stdout}', '{5}', array['x'::bytea], array[null::text])), 'fenced',
  'nor write its output');

\echo 'adoption'
select t.is(t.adopt('w2', 'w1', t.beat('w1'), 1), 'a/2', 'a beat that stood still: adopted, as many as wanted, with the next epoch');
select t.is((select row(node, epoch, attempt, phase)::text from fleet.tasks where task_id = 'a'), '(w2,2,1,running)', 'same attempt, another owner');
select t.is((select row(stdout_bytes, checkpoint, adopted_from, adopted_silence_ms > 3000000)::text from fleet.jobs(t.node('w2'), array[t.attempt('a')])), '(5,"parsed 5",w1,t)',
  'with offset, checkpoint and whom it was taken from');
select t.is((select count(*) from fleet.peers(t.node('w2')) where kind = 'left' and node = t.node('w1')), 1::bigint,
  'what is left of a dead node is told');
select t.is(t.adopt('w2', 'w1', -1), 'b/2', 'and adopted, whatever its last beat was');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'what it cannot reach stays');
select t.is((select node from fleet.tasks where task_id = 'r'), 'w1', 'with its owner');
select t.ok(exists (select from fleet.event join fleet.task using (task) where task_id = 'a' and event_type = 'adopted'), 'the history says so');

\echo 'the dead one wakes up'
select t.throws($$select fleet.renew(t.node('w1'), '{}')$$, 'AF002', 'renew tells a node that it was declared dead');
select t.throws($$select fleet.claim(t.node('w1'), 1)$$, 'AF002', 'it claims nothing');
select t.throws($$select fleet.node_start(t.node('w1'), 'worker', 'w1', 'v', 'c')$$, 'AF002', 'it cannot start again under the same id');
select t.throws($$select fleet.adopt(t.node('w1'), t.node('w2'), 0, 9)$$, 'AF002', 'it adopts nothing');
select t.throws($$select fleet.starting(t.node('w1'), t.attempt('b'), 1, 'r', 'c', 'p')$$, 'AF002', 'starting is fenced');
select t.throws($$select fleet.starting(t.node('w1'), t.attempt('b'), 2, 'r', 'c', 'p')$$, 'AF002', 'with the right epoch as well');
select t.throws($$select fleet.started(t.node('w1'), t.attempt('b'), 1)$$, 'AF002', 'started is fenced');
select t.throws($$select fleet.phase(t.node('w1'), t.attempt('a'), 1, 'unreachable', 'x')$$, 'AF002', 'phase is fenced');
select t.throws($$select fleet.release(t.node('w1'), t.attempt('b'), 1, 'start_refused')$$, 'AF002', 'release is fenced');
select t.throws($$select fleet.void_confirmed(t.node('w1'), t.attempt('b'), 1, 'start_timeout')$$, 'AF002', 'void_confirmed is fenced');
select t.throws($$select fleet.finish(t.node('w1'), t.attempt('a'), 1, 'succeeded', null, 0, null)$$, 'AF002', 'finish is fenced');
select t.throws($$select fleet.finish(t.node('w1'), t.attempt('r'), 1, 'succeeded', null, 0, null)$$, 'AF002',
  'also for what nobody adopted yet');
select t.throws($$select fleet.append(t.node('w1'), array[t.attempt('a')], array[1], '{stdout}', '{5}', array['x'::bytea], array[null::text])$$, 'AF002',
  'append is fenced');
select t.is((select verdict from fleet.append(t.node('w2'), array[t.attempt('a')], array[1], '{stdout}', '{5}', array['x'::bytea], array[null::text])), 'fenced',
  'an old epoch is fenced row by row');
select t.is((select stdout_bytes from fleet.attempt where attempt = t.attempt('a')), 5::bigint, 'and writes nothing');
select t.throws($$select fleet.finish(t.node('w2'), t.attempt('a'), 1, 'succeeded', null, 0, null)$$, 'AF002',
  'the new owner with the old epoch is fenced too');
select t.is(t.append('w2', 'a', 'stdout', 5, ' world'), 'ok 11', 'the new owner goes on');
select t.is(t.finish('w2', 'a'), 'completed', 'and finishes');
select t.sound('every invariant after an adoption');

\echo 'the same machine starts again'
select fleet.node_start(t.node('w1b'), 'worker', 'w1', '0.1.0', 'x');
select t.configure('w1b', t.host('h', '{code:rust}', 9), t.host('h2', '{review}', 9));
select t.is(t.adopt('w1b', 'w1', 0), 'r/2', 'a node that starts again under a new id takes back what it left');
rollback;

\echo 'a node that stops'
begin;
select fleet.set('open_grace_ms', 0);
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.worker('w2', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select fleet.renew(t.node('w1'), '{}');
select fleet.node_stop(t.node('w1'));
select t.is((select count(*) from fleet.peers(t.node('w2')) where kind = 'left' and node = t.node('w1')), 1::bigint,
  'that it left is told at once');
select t.is((select count(*) from fleet.renew(t.node('w2'), '{}') where kind = 'beat' and node = t.node('w1')), 0::bigint,
  'its beat is not watched any more');
select t.is(t.adopt('w2', 'w1', -7), 'a/2', 'and its work is adopted at once');
select fleet.node_stop(t.node('w1'));
select t.sound('every invariant after a node stopped');
rollback;

\echo 'silence in seconds'
begin;
select fleet.set('open_grace_ms', 0);
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.worker('w2', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.claim('w1', 1);
select t.silent('w1', '20 s');
select t.adopt('w2', 'w1', t.beat('w1'));
select t.ok((select adopted_silence_ms between 19000 and 25000 from fleet.attempt), 'how long the old owner was silent is kept');
rollback;

\echo 'renew'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.submit('b');
select t.claim('w1', 1);
select t.is((select string_agg(kind || ' ' || coalesce(attempt::text, ''), ' ') from fleet.renew(t.node('w1'), array[t.attempt('a')])), null,
  'what is named and ours needs no word');
select t.is((select kind || ' ' || (attempt = t.attempt('a')) || ' ' || epoch from fleet.renew(t.node('w1'), '{}')), 'ours true 1',
  'what is ours though not named is told: the claim''s answer was lost');
select t.is((select kind || ' ' || attempt from fleet.renew(t.node('w1'), array[t.attempt('a'), 999999])), 'gone 999999',
  'what is named but not ours is gone');
select fleet.node_start(t.node('s1'), 'server', 's1', '0.1.0', 'x');
select t.none($$select fleet.renew(t.node('s1'), '{}')$$, 'a server has nothing to be told');
select t.none($$select from fleet.renew(t.node('w1'), array[t.attempt('a')]) where kind = 'beat'$$, 'a server''s beat is no worker''s business');
select t.worker('w2', t.host('h', '{code:rust}', 9));
select t.is((select string_agg(kind || ' ' || (attempt = t.attempt('a')), ', ')
             from fleet.renew(t.node('w2'), array[t.attempt('a')]) where kind <> 'beat'),
  'gone true', 'also where it runs on, with another owner');
select t.throws($$select fleet.renew(gen_random_uuid(), '{}')$$, 'AF002', 'who never started is fenced');
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
select t.report_down('w2', 'h', 'unreachable', 'no route');
select t.submit('a');
select t.claim('w1', 1);
select fleet.node_stop(t.node('w1'));
select t.none($$select * from fleet.peers(t.node('w2')) where kind = 'left'$$, 'w2 does not reach it: is not asked');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'and gets nothing');
select t.is((select count(*) from fleet.peers(t.node('w3')) where kind = 'left'), 1::bigint, 'w3 is asked');
savepoint s;
select t.is(t.adopt('w3', 'w1', t.beat('w1')), 'a/2', 'and gets it');
rollback to s;
select fleet.node_stop(t.node('w3'));
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'when nobody reaches it, whoever lists it takes it');
rollback to s;
update fleet.node_host set reported_at = now() - fleet.ms('host_fresh_ms') + interval '1 s' where node = t.node('w3');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), '', 'who said so a while ago still counts');
update fleet.node_host set reported_at = now() - fleet.ms('host_fresh_ms') where node = t.node('w3');
select t.is(t.adopt('w2', 'w1', t.beat('w1')), 'a/2', 'who has said nothing of it since reaches it no more');
rollback;

\echo 'what a task that was shown as lost becomes'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.put('first', t.attempt('a'));
select fleet.retry('a', true, 'burnt down');
select t.is(t.claim('w1', 1), 'a', 'a run that was given up is followed by another, which has not started');
select fleet.node_stop(t.node('w1'));
update fleet.node set stopped_at = now() - interval '10 min' where node = t.node('w1');
select t.worker('w2', t.host('h', '{code:rust}', 2));
select fleet.reap(t.node('w2'));
select t.is(t.status('a'), 'agent_lost', 'the task of both is shown as lost');
select t.is(t.adopt('w2', 'w1', 0, 1), 'a/2', 'the one that was given up is adopted');
select t.is((select node from fleet.attempt where attempt = t.got('first')), t.node('w2'), 'first, as the older');
select t.is(t.status('a'), 'agent_lost', 'and says nothing of the task');
select t.is(t.adopt('w2', 'w1', 0, 1), 'a/2', 'then the other');
select t.is((select row(status, attempt)::text from fleet.tasks where task_id = 'a'), '(assigned,2)',
  'whose task is assigned: it did not start yet');
select t.sound();
rollback;
