-- People of Forgejo: who may start work, and how long what was said of them counts.
\echo 'who may start'
begin;
select t.is(t.rows($$select fleet.may_start('ann', p, 'acme/rocket') from unnest('{owner,admin,write,read,none,unknown,null}'::text[]) p$$),
            '(t) (t) (t) (f) (f) (f) (f)', 'whom Forgejo lets write');
select t.is(fleet.may_start(null, null, 'acme/rocket'), false, '... and not somebody who is not known');
insert into fleet.repository (repo, repository_id) values ('acme/rocket', 7);
select fleet.learn_people(7, '{"Ann": "write", "bob": "read"}');
select fleet.learn_people(7, '{"bob": "admin"}');
select fleet.learn_people(null, '{"eve": "admin"}');
select t.is(t.rows('select login, permission from fleet.person order by 1'), '(ann,write) (bob,admin)', 'what was said last is kept');
select t.is(fleet.permission_of(7, 'ANN', null), 'write', '... and found without case');
select t.is(fleet.permission_of(7, 'ann', '{"ann": "none"}'), 'none', 'what is said now counts first');
update fleet.person set asked_at = now() - interval '2 days' where login = 'ann';
select t.is(fleet.permission_of(7, 'ann', null), null, 'an old word counts no more');
update fleet.person set asked_at = now() - interval '31 days' where login = 'ann';
insert into fleet.spent (task, number, sender, at) values (1, 1, 5, now() - interval '25 hours'), (1, 2, 5, now());
select t.is(fleet.forget_people(100), 2, 'what is old goes');
select t.is((select count(*)::int from fleet.person) + (select count(*)::int from fleet.spent), 2, '... and the rest stays');
rollback;
