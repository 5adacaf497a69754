-- base_branch of a task: what git takes as the name of a branch, and nothing else.

create function pg_temp.base(p_branch text, p_more jsonb default '{}') returns text language sql as $$
  select concat_ws(' ', verdict, details ->> 'member') from t.submits(t.items(t.item(null, '{agent:x}', jsonb_build_object(
    'repo', 'acme/rocket', 'base_branch', p_branch) || p_more))) $$;

begin;
select t.is(pg_temp.base(b), 'created', format('%s is one', b)) from unnest('{main,release/1.2,feature/x-y_z,größe,a@b,a.lockx,v1.0}'::text[]) b;
select t.is(pg_temp.base(b), 'refused base_branch', format('%s is none', to_json(b)))
from unnest(array['', '-x', '--upload-pack=x', 'a b', E'a\nb', E'a\tb', E'a\x01', 'a..b', 'a//b', '/a', 'a/', 'a.', '.a', 'a/.b', 'a.lock', 'a.lock/b',
  'a~1', 'a^', 'a:b', 'a?', 'a*', 'a[b', 'a\b', 'a@{b', '@', 'HEAD', E'a\u202eb', E'a\u200bb', repeat('a', 256)]) b;
select t.is(pg_temp.base(repeat('a', 255)), 'created', 'the longest');
select t.is(pg_temp.base('main', '{"repo": null}'), 'refused repo', 'only beside a repository');
select t.is(pg_temp.base(null, jsonb_build_object('repo', r)), 'refused repo', format('%s is no repository', r))
from unnest('{../..,acme/..,./x,acme/.,../x}'::text[]) r;
select t.is(pg_temp.base(null, jsonb_build_object('repo', r)), 'created', format('%s is one', r)) from unnest('{.acme/..x,a.b/c...}'::text[]) r;
select t.is((select string_agg(distinct base_branch, ' ') from fleet.task where base_branch like 'release%'), 'release/1.2', 'it is stored');
rollback;

begin;
select t.submit('a', '{agent:x}', '{"repo": "acme/rocket"}');
select t.is(t.submit('a', '{agent:x}', '{"repo": "acme/rocket"}'), 'exists', 'the same again');
select t.is(t.submit('a', '{agent:x}', '{"repo": "acme/rocket", "base_branch": "next"}'), 'conflict', 'another base is another task');
select t.is((fleet.task_detail(t.by(), 'a')).body::jsonb ->> 'base_branch', null, 'none unless it is said');
select t.submit('b', '{agent:x}', '{"repo": "acme/rocket", "base_branch": "next"}');
select t.is((fleet.task_detail(t.by(), 'b')).body::jsonb ->> 'base_branch', 'next', 'the answer has it');
select t.is((select status from fleet.submit('{"(0,,,,,one,9,0,1)"}', '{1}', '{"(t,t-old,T,,,true,,,,acme/rocket,,,,,)"}')), 201, 'servers of the release before submit as ever');
rollback;
