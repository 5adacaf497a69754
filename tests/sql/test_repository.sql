-- Repositories and issues are who Forgejo's ids say they are; names are followed.

create function pg_temp.fleet() returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{x,y}', 9));
  perform t.reads();
  perform t.opens();
  perform t.labels('ann', 'agent:x');
  perform t.look();
end $$;
create function pg_temp.moves(p_repo text, p_repo_id bigint default 7) returns void language sql as $$
  update t.issue set repo = p_repo where repo_id = p_repo_id $$;

\echo 'a repository is its id'
begin;
select t.is(fleet.repository_of(null, 'acme/rocket'), 'acme/rocket', 'a name that is new');
select t.is(fleet.repository_of(7, 'acme/rocket'), 'acme/rocket', '... gets an id when that is told');
select t.is(fleet.repository_of(null, 'ACME/Rocket'), 'acme/rocket', 'a name in other case is the same');
select t.is(fleet.repository_of(7, 'Acme/Rocket'), 'Acme/Rocket', '... and Forgejo says how it is written');
select t.is(fleet.repository_of(7, 'acme/moon'), 'acme/moon', 'a rename is followed');
select t.is(fleet.repository_of(null, 'acme/rocket'), 'acme/moon', '... and the old name finds it');
select t.is(fleet.repository_of(8, 'acme/rocket'), 'acme/rocket', 'until another one has that');
select t.is(fleet.repository_of(null, 'acme/ROCKET'), 'acme/rocket', '... which is found by it then');
select t.is(t.rows('select repo, repository_id from fleet.repository order by 2'), '(acme/moon,7) (acme/rocket,8)', 'these are two');
select t.none('select name from fleet.former_name', '... of which none has a former name');
select t.is(fleet.repository_of(8, 'acme/moon'), 'acme/moon', 'a name that another one had is given up by it');
select t.is(t.rows('select repo, repository_id from fleet.repository order by 2'), '(acme/moon~7,7) (acme/moon,8)', '... which is set aside');
select t.is(fleet.repository_of(7, 'acme/mars'), 'acme/mars', '... until its own is told');
select t.is(t.rows('select * from (select name, repository_id from fleet.former_name order by 1) x'), '(acme/rocket,8)', '... and nobody ever was called as it was then');
rollback;

\echo 'a rename takes all along'
begin;
select pg_temp.fleet();
select t.submit('t-1', '{agent:x}', '{"repo": "ACME/rocket"}');
select t.opens('ann', 43);
select t.labels('ann', 'agent:x', 43);
select t.look(43);
select t.claim('w1', 1);
select t.start('w1', 'acme/rocket#42');
select t.keep('branch', (select branch_name from fleet.task where task_id = 'acme/rocket#42'));
select pg_temp.moves('acme/moon');
select t.labels('ann', 'bug');
select t.is(t.look(), 'already_active', 'a look that finds it under another name');
select t.is(t.rows('select task_id, repo, status from fleet.task order by task'),
            '(acme/moon#42,acme/moon,running) (t-1,acme/moon,created) (acme/moon#43,acme/moon,created)', 'all its tasks are called otherwise');
select t.is((select l.repo from fleet.task k join fleet.lane l using (lane) where task_id = 't-1'), 'acme/moon', '... and wait in its lanes');
select t.is((select branch_name from fleet.task where task_id = 'acme/moon#42'), t.kept('branch'), 'the branch stays');
select t.is((select slug from fleet.jobs(t.node('w1'), array[t.attempt('acme/moon#42')])), substr(t.kept('branch'), 6), '... and the folder');
select t.sound();
select t.is(t.finish('w1', 'acme/moon#42'), 'completed', 'the run ends as any other');
select t.is(fleet.retry('acme/rocket#42', true), 'created', 'it is found by its old id');
select t.is(fleet.cancel('Acme/Rocket#43'), 'cancelled', '... in any case');
select t.is((select body::jsonb ->> 'task_id' from fleet.task_detail(t.by(), 'acme/rocket#43')), 'acme/moon#43', '... also by REST');
select t.is((select string_agg(distinct agent_id, ' ') from fleet.explain_task('acme/rocket#42')), 'h/codex-cli', '... and explained');
select t.is(fleet.cancel('acme/rocket#99'), 'not_found', 'what was never there is not');
select t.look(43);
select t.is((select count(*)::int from fleet.task), 3, 'nothing is there twice');
select t.sound();
rollback;

\echo 'another repository of the same name'
begin;
select pg_temp.fleet();
insert into t.issue (number, id, repo, repo_id, title, body, author, at) values (142, 1142, 'acme/rocket', 9, 'Other', 'Else', 'ann', t.tick());
select (fleet.issue_of(fleet.repository_of(9, 'acme/rocket'), 42, 1142)).issue > 0;
select t.is(t.rows('select task_id, status, failure_reason from fleet.tasks'), '(acme/rocket~7#42,created,)', 'the task of the old one steps aside');
select t.is(t.claim('w1', 9), '', '... and is not started before Forgejo was asked');
select t.is(t.stands(), 'created reading', '... for which it waits');
select t.is((select (fleet.look_target('issue', issue)).repository_id from fleet.issue where forgejo_id = 1042), 7::bigint, '... by its id');
select fleet.look_failed(t.node('w1'), 'issue', issue, 9, 'gone', -1) from fleet.issue where forgejo_id = 1042;
select t.is(t.stands(), 'cancelled issue_gone', '... and when it is gone, is cancelled');
select t.is(fleet.cancel('acme/rocket#42'), 'not_found', 'the name is of the new one, which has no task');
select t.sound();
rollback;
begin;
select pg_temp.fleet();
select t.reads('{"reads": false}');
select fleet.repository_of(9, 'acme/rocket');
select t.is(t.stands(), 'cancelled issue_gone', 'where nobody can ask, what waits is cancelled at once');
rollback;

\echo 'an issue is its id'
begin;
select pg_temp.fleet();
update t.issue set repo = 'acme/moon', repo_id = 8;
update t.issue set number = 5 where number = 42;
select t.is(fleet.issue_seen(t.node('w1'), i.issue, 9, t.seen(5)), 'recorded', 'it was moved to another repository') from fleet.issue i;
select t.is(t.rows('select task_id, repo, issue_number from fleet.task'), '(acme/moon#5,acme/moon,5)', '... and its task with it');
select t.is((select l.repo from fleet.task k join fleet.lane l using (lane)), 'acme/moon', '... into its lane');
select t.sound();
rollback;
begin;
select pg_temp.fleet();
select t.is((select issue from fleet.issue_of('acme/rocket', 42, null)), (select issue from fleet.issue), 'without an id its place says which it is');
select t.is((select forgejo_id from fleet.issue_of('acme/rocket', 42, 5555)), 5555::bigint, 'another id at its place (Forgejo was restored)');
select t.is((select row(status, failure_reason)::text from fleet.task), '(cancelled,issue_gone)', '... and nobody wants what the old one asked for');
select t.is((select served from fleet.issue), 0::bigint, '... the new one asks anew');
rollback;
begin;
select pg_temp.fleet();
select fleet.issue_of('acme/rocket', 7, null);
select t.is((select number from fleet.issue_of('acme/rocket', 7, 1042)), 7, 'a place that was known without an id gets it');
select t.is(t.rows('select number, forgejo_id from fleet.issue order by 1'), '(7,1042) (42,)', '... from where it was');
select t.is((select row(status, failure_reason)::text from fleet.task), '(cancelled,issue_gone)', '... and what was asked for there is not wanted');
select t.sound();
rollback;

\echo 'what a look finds elsewhere'
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.reads();
update fleet.forgejo set told_at = now() - interval '1 minute';
-- The hook of acme/rocket is kept by somebody who owns evil/repo, of the id 66, too: he signs with it what he likes.
select fleet.expect_task(fleet.issue_of(fleet.repository_of(66, 'acme/rocket'), 42, 1042), '{agent:x}', 'Do 42', 'As said', 'forgejo:eve');
select t.opens('ann', 43, 'evil/repo', 67);
update t.issue set number = 42, id = 1042, repo_id = 66;
select t.labels('ann', 'agent:x');
create function pg_temp.looks() returns text language sql as $$
  select fleet.want_look('issue', issue) from fleet.issue where number = 42;
  select fleet.issue_seen(t.node('w1'), l.id, l.seq, t.seen(42)) from fleet.looks(t.node('w1'), 9) l where l.number = 42 $$;
select t.is(pg_temp.looks(), 'not_ours', 'a delivery alone makes no repository of this name one of ours');
select t.is(t.rows('select repo, task_id, hold from fleet.task'), '(acme/rocket,acme/rocket#42,permission_pending)', '... and nothing starts');
select t.is((select parked_reason from fleet.repository where repository_id = 66),
  'moved: it is evil/repo, and only a delivery says that it was called acme/rocket', '... which a person can see');
select t.none('select id from fleet.looks(t.node(''w1''), 9) where number = 42', '... and it is not asked again and again');
select t.is(fleet.repository_seen(t.node('w1'), '{"id": 66, "full_name": "evil/repo", "default_branch": "main"}'), null, '... nor is it read as a whole');
select fleet.repository_of(7, 'acme/rocket');
select t.is(t.rows('select repository_id, repo from fleet.repository where repo like ''acme%'' order by 1'), '(7,acme/rocket) (66,acme/rocket~66)',
  'the true one gets its name with its first word');
select t.sound();
rollback;
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.reads();
select fleet.repository_of(7, 'acme/rocket');
select fleet.know_repositories(t.node('w1'), '{acme/shuttle}');
select t.is(fleet.repository_seen(t.node('w1'), '{"id": 7, "full_name": "acme/shuttle", "default_branch": "main"}'), 'acme/shuttle',
  'one that was renamed before it was read is found by a name that Forgejo lists');
rollback;
begin;
select pg_temp.fleet();
select t.reads('{"repositories": ["acme/*"]}');
select t.is(t.look(), 'recorded', 'one that was read');
update t.issue set repo = 'evil/rocket';
select t.unlabels('ann', 'agent:x');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'not_ours', 'is not followed out of what the configuration names');
select t.is((select parked_reason from fleet.repository), 'moved: it is called evil/rocket now, which forgejo.repositories does not name', '... which is said');
select t.is((select repo from fleet.task), 'acme/rocket', '... and stays as it was');
update t.issue set repo = 'acme/shuttle';
select t.is(t.look() <> 'not_ours', true, 'within it it is followed');
select t.is((select repo from fleet.task), 'acme/shuttle', '... by its task');
rollback;

-- The new name of a repository was listed before anybody said whose it is.
begin;
insert into fleet.repository (repo, repository_id) values ('acme/boat', 70);
insert into fleet.repository (repo) values ('acme/ship');
select t.is(fleet.repository_of(70, 'acme/ship'), 'acme/ship', 'a name that is only known is taken by the repository that has it');
select t.is(t.rows('select repo, repository_id from fleet.repository where repo like ''acme/ship%'''), '(acme/ship,70)', '... and leaves nothing behind');
rollback;
