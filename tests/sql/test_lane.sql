-- Lanes: what serves them, and that those nobody waits in go.

\echo 'a lane that nothing waits in'
begin;
select t.worker('w1', t.host('h', '{code:rust,docs}', 2));
select t.submit('waits', '{agent:code:rust}');
select t.submit('runs', '{agent:docs}');
select fleet.cancel('waits');
select t.claim('w1', 1);
select t.is((select count(*) from fleet.lane), 2::bigint, 'each kind of task has its lane');
select fleet.reap(t.node('w1'));
select t.is((select count(*) from fleet.lane where unused_at is not null), 2::bigint, 'empty lanes are marked');
update fleet.lane set unused_at = now() - interval '59 min';
select fleet.reap(t.node('w1'));
select t.is((select count(*) from fleet.lane), 2::bigint, 'and stay for a while');
update fleet.lane set unused_at = now() - interval '61 min';
select t.ok(fleet.reap(t.node('w1')) > 0, 'reap says that one went');
select t.is((select requirements::text from fleet.lane), '{docs}', 'the lane of a live run stays: it may wait again');
select t.ok((select unused_at > now() - interval '1 min' from fleet.lane), 'to be looked at again later');
select t.is((select count(*) from fleet.executor_lane), 1::bigint, 'nobody serves the lane that went');
select t.sound('every invariant with a lane less');
select t.is(fleet.retry('waits', true), 'created', 'a task of a lane that went is started again');
select t.is((select count(*) from fleet.lane l join fleet.executor_lane using (lane) where requirements = '{code:rust}'), 1::bigint,
            'in a lane made anew, and served');
select t.sound('every invariant with the lane made anew');
rollback;

\echo 'a marked lane that is wanted again'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a', '{agent:code:rust}');
select fleet.cancel('a');
select fleet.reap(t.node('w1'));
select t.submit('b', '{agent:code:rust}');
select t.ok((select unused_at is null from fleet.lane), 'loses its mark');
update fleet.lane set unused_at = now() - interval '2 hours';
select fleet.reap(t.node('w1'));
select t.is((select count(*) from fleet.lane), 1::bigint, 'a task in its queue keeps it, whatever the mark says');
select fleet.cancel('b');
select t.submit('c', '{agent:code:rust}', jsonb_build_object('run_at', fleet.utc(now() + interval '1 hour')));
update fleet.lane set unused_at = now() - interval '2 hours';
select fleet.reap(t.node('w1'));
select t.is((select count(*) from fleet.lane), 1::bigint, 'a task that waits for its time keeps it too');
select t.sound();
rollback;

\echo 'a long lane, explained'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select count(t.submit('t' || i)) from generate_series(1, 3) i;
select t.is((select reason from fleet.explain_task('t3')), 'can take it now: 2 free slots, 2 tasks ahead of it in its lane', 'the tasks ahead are counted');
insert into fleet.queue (lane, prio, task) select lane, -1, -i from fleet.lane, generate_series(1, 1000) i;
select t.is((select reason from fleet.explain_task('t3')), 'can take it now: 2 free slots, more than 1000 tasks ahead of it in its lane',
            'up to a thousand');
rollback;

\echo 'priorities out of the labels'
select t.is(fleet.priority_of('{priority:9999}'), 1000, 'are bounded above');
select t.is(fleet.priority_of('{priority:-9999}'), -1000, 'and below');
select t.is(fleet.priority_of('{priority:high,priority:3,bug}'), 10, 'the most urgent counts');
