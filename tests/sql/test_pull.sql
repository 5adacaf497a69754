-- Pull requests of tasks: whose they are, and what a task is by what its pull request, its run, its issue and people say, in any order.

create function pg_temp.end(p_outcome text default 'succeeded', p_reason text default null, p_report jsonb default '{}')
returns text language sql as $$
  select fleet.finish_run(a.node, a.attempt, a.epoch, p_outcome, p_reason, 0, null, p_report, null, 'proof')
  from fleet.attempt a where a.ended_at is null $$;
create function pg_temp.run() returns void language sql as $$ select t.claim('w1', 1); select t.start('w1', 'a') $$;
-- What Forgejo says of a pull request of branch task/a; each time a second later than the last.
create sequence pg_temp.second;
create function pg_temp.pr(p_state text, p_number int default 7, p_pull jsonb default '{}', p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('repository', '{"id": 5, "full_name": "acme/rocket"}'::jsonb, 'people', '{"boss": "owner", "guest": "read"}'::jsonb,
    'pull', jsonb_build_object('id', 1000 + p_number, 'number', p_number, 'title', 'Fuel', 'state', case p_state when 'open' then 'open' else 'closed' end,
      'merged', p_state = 'merged', 'html_url', format('https://git.example.org/acme/rocket/pulls/%s', p_number), 'author', 'boss', 'author_id', 1,
      'head', '{"ref": "task/a", "sha": "aaa", "repository_id": 5}'::jsonb, 'base', '{"ref": "main"}'::jsonb,
      'updated_at', fleet.utc(now() + make_interval(secs => nextval('pg_temp.second')))) || p_pull) || p_more $$;
create function pg_temp.sees(p_state text, p_number int default 7, p_pull jsonb default '{}', p_more jsonb default '{}') returns text language sql as $$
  select fleet.pull_told(pg_temp.pr(p_state, p_number, p_pull, p_more)) $$;
create function pg_temp.fact() returns text language sql as $$
  select concat_ws(' ', status, failure_reason) from fleet.task where task_id = 'a' $$;
create function pg_temp.setup() returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{code:rust}', 1));
  perform t.submit('a', p_more => '{"repo": "acme/rocket", "max_retries": 0}');
end $$;

\echo 'whose it is'
begin;
select pg_temp.setup();
insert into fleet.repository (repo) values ('acme/rocket') on conflict do nothing;
select t.deliver('d1', 'label_updated', '{agent:code:rust}', '2026-01-01T00:00:00Z');
create function pg_temp.whose(p_head jsonb, p_number int default 1) returns text language plpgsql as $$
declare v bigint := fleet.pull_known(pg_temp.pr('open', p_number, jsonb_build_object('head', p_head)));
begin return (select t.task_id from fleet.pull p join fleet.task t using (task) where p.pull = v); end $$;
select t.is(pg_temp.whose('{"ref": "task/a", "repository_id": 5}'), 'a', 'the task''s own branch');
select t.is(pg_temp.whose(null, 1), 'a', 'it is known by its number then');
select t.is(pg_temp.whose('{"ref": "refs/pull/1/head", "repository_id": 5}', 1), 'a', 'also when the branch is gone');
select t.is(pg_temp.whose('{"ref": "task/a", "repository_id": 6}', 2), null, 'a fork''s branch of the same name');
select t.is(pg_temp.whose('{"ref": "task/a", "repository_id": -1}', 3), null, 'a fork that is gone');
select t.is(pg_temp.whose('{"ref": "fix", "repository_id": 5}', 4), null, 'another branch');
select t.is(pg_temp.whose('{"ref": "task/acme/rocket#42", "repository_id": 5}', 5), 'acme/rocket#42', 'a branch by the task''s id');
select t.is(pg_temp.whose('{"ref": "task/acme%2Frocket%2342", "repository_id": 5}', 6), 'acme/rocket#42', 'with escapes');
select t.is(pg_temp.whose('{"ref": "task/%ff%zz", "repository_id": 5}', 8), null, 'broken escapes');
select t.is(pg_temp.whose((select jsonb_build_object('ref', branch_name, 'repository_id', 5) from fleet.task where task_id = 'acme/rocket#42'), 9),
  'acme/rocket#42', 'the issue''s branch');
select t.is((select fleet.task_of_branch('acme/other', 'task/a')), null, 'the same branch of another repository');
select t.is((select fleet.task_of_branch('Acme/Rocket', 'task/a')) is not null, true, 'however its name is written');
select t.is(fleet.pull_told(pg_temp.pr('open', 77, '{"head": {"ref": "x", "sha": "b", "repository_id": 5}, "body": "Closes #42"}')), 'not_a_tasks', 'Closes #42 links nothing');
select t.is((select count(*) from fleet.pull), 4::bigint, 'and nothing else has a row');
rollback;

\echo 'its way'
begin;
select pg_temp.setup(), pg_temp.run();
select t.is(pg_temp.sees('open'), 'open', 'opened while the run lives');
select t.is(pg_temp.fact(), 'running', 'the run goes on');
savepoint lives;
select pg_temp.sees('merged');
select t.is((select row(status, fleet.pull_keeps(t))::text from fleet.task t), '(running,t)', 'merged meanwhile: the closing that this brings does not stop it');
rollback to lives;
select t.is((fleet.task_json(task)) ->> 'pr_url', 'https://git.example.org/acme/rocket/pulls/7', 'shown') from fleet.task;
select t.is((fleet.task_json(task)) ->> 'pr_number', '7', '... with its number') from fleet.task;
select t.is((fleet.task_json(task)) ->> 'pr_title', 'Fuel', '... and title') from fleet.task;
select pg_temp.end();
select t.is(pg_temp.fact(), 'review_pending', 'its end');
select t.sound('a pull request that is open: sound');
savepoint reviewed;
select pg_temp.sees('merged');
select t.is(pg_temp.fact(), 'completed', 'merged');
select t.sound('merged: sound');
select t.is(pg_temp.sees('open', p_pull => '{"updated_at": "2026-01-01T00:00:00Z"}'), 'recorded', 'an older look');
select t.is(pg_temp.fact(), 'completed', 'changes nothing');
select t.is(fleet.continue('a', 'more'), 'created', 'it can be continued');
select t.is(pg_temp.sees('merged'), 'recorded', 'the merge is of the past');
select t.is(pg_temp.fact(), 'created', '... and does not end it again');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.fact(), 'completed', 'the second run');
select pg_temp.sees('open', 8);
select t.is(pg_temp.fact(), 'review_pending', 'has a pull request of its own');
select t.is((fleet.task_json(task)) ->> 'pr_number', '8', 'which is shown') from fleet.task;
select pg_temp.sees('closed', 8);
select t.is(pg_temp.fact(), 'failed pr_closed', 'closed: the newest counts');
select t.sound('two pull requests: sound');
rollback to savepoint reviewed;
select pg_temp.sees('closed');
select t.is(pg_temp.fact(), 'failed pr_closed', 'closed unmerged');
select t.sound('closed: sound');
select pg_temp.sees('open');
select t.is(pg_temp.fact(), 'review_pending', 'reopened');
select pg_temp.sees('closed');
select t.is(fleet.retry('a', true), 'created', 'retried');
select t.sound('retried: sound');
select pg_temp.sees('closed');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.fact(), 'completed', 'what was closed before does not count');
rollback to savepoint reviewed;
select t.is(fleet.retry('a'), 'retries_exhausted', 'a retry while it is open');
select t.is(fleet.retry('a', true), 'created', '... of a person');
select pg_temp.sees('merged');
select t.is(pg_temp.fact(), 'completed', 'merged while it waits');
select t.sound('merged while it waits: sound');
rollback to savepoint reviewed;
select fleet.retry('a', true);
select pg_temp.sees('closed');
select t.is(pg_temp.fact(), 'failed pr_closed', 'closed while it waits');
select t.sound('closed while it waits: sound');
rollback to savepoint reviewed;
select fleet.cancel('a', 'enough');
select t.is(pg_temp.fact(), 'cancelled cancelled', 'cancelled by a person');
select pg_temp.sees('open');
select t.is(pg_temp.fact(), 'cancelled cancelled', 'stays so');
select pg_temp.sees('merged');
select t.is(pg_temp.fact(), 'completed', 'until somebody merges it');
rollback to savepoint reviewed;
select t.is(fleet.pull_gone((select pull from fleet.pull)), 'failed', 'removed from Forgejo: as closed');
select t.is((select string_agg(event_type, ' ' order by event_id) from fleet.history where task_id = 'a' and event_type like 'pr%'), 'pr_opened pr_closed', 'the history has it');
rollback;

\echo 'runs that end badly with a pull request open'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 1));
select t.submit('a', p_more => '{"repo": "acme/rocket", "max_retries": 2}');
select pg_temp.run(), pg_temp.sees('open');
savepoint runs;
select t.is(pg_temp.end('failed', 'exit_nonzero'), 'review_pending', 'a person judges');
select t.is(pg_temp.fact(), 'review_pending exit_nonzero', 'with the reason');
select t.sound('judged: sound');
rollback to savepoint runs;
select fleet.retry('a', true, 'gone'), pg_temp.sees('merged');
select t.is(pg_temp.fact(), 'completed', 'merged while it waits behind one that was given up');
rollback to savepoint runs;
select t.is(pg_temp.end('released', 'drained'), 'created', 'one that was given back');
rollback to savepoint runs;
select t.is(pg_temp.end('failed', 'provider_quota'), 'created', 'one that was limited');
rollback to savepoint runs;
select t.is(pg_temp.end('failed', 'session_lost'), 'created', 'one without its session');
rollback to savepoint runs;
select t.is(pg_temp.end('no_change', 'needs_input', '{"question": "?"}'), 'review_pending', 'one that asks');
select t.is(fleet.answer('a', 'yes'), 'answered', 'is answered');
select t.is(pg_temp.fact(), 'created', 'and goes on');
select pg_temp.run();
select t.is(pg_temp.end('failed', 'exit_nonzero'), 'created', 'what a person asked for is tried again');
select t.sound('asked for: sound');
update fleet.task set max_retries = 0;
select t.due(), pg_temp.run();
select t.is(pg_temp.end('failed', 'exit_nonzero'), 'review_pending', 'as often as it may; then a person judges');
select t.sound('tried in vain: sound');
rollback to savepoint runs;
select pg_temp.end('no_change', 'needs_input', '{"question": "?"}'), pg_temp.sees('merged');
select t.is(pg_temp.fact(), 'completed', 'merged instead of answered');
select t.is(fleet.answer('a', 'yes'), 'not_asking', 'nothing is asked any more');
rollback;

\echo 'what was closed before it was first seen'
begin;
select pg_temp.setup();
select pg_temp.sees('merged');
select t.is(pg_temp.fact(), 'created', 'a merged one of a former life does not complete a task that has not run');
select pg_temp.run(), pg_temp.end();
select t.is(pg_temp.fact(), 'completed', 'nor counts later');
select pg_temp.sees('closed', 6, '{"updated_at": "2020-01-01T00:00:00Z"}');
select t.is(pg_temp.fact(), 'completed', 'nor one that was closed before it was submitted');
select pg_temp.sees('closed', 8);
select t.is(pg_temp.fact(), 'failed pr_closed', 'one that was closed since does');
select t.sound();
rollback;

\echo 'pushes'
begin;
select pg_temp.setup(), pg_temp.run(), pg_temp.sees('open');
select pg_temp.end(p_report => '{"work": {"state": "pushed", "head": "aaa", "pushed": "aaa"}}');
update fleet.task set changed_at = now() - interval '1 hour';
select pg_temp.sees('open', p_pull => '{"head": {"ref": "task/a", "sha": "bbb", "repository_id": 5}}');
select t.is((select payload ->> 'own' from fleet.history where event_type = 'pr_pushed'), 'false', 'a person''s push is told from the task''s own');
select t.is((fleet.task_json(task) ->> 'last_activity_at')::timestamptz, now(), 'and is activity') from fleet.task;
select t.is((select count(*) from fleet.history where event_type = 'pr_pushed'), 1::bigint, 'once') from pg_temp.sees('open', p_pull => '{"head": {"ref": "task/a", "sha": "bbb", "repository_id": 5}}');
rollback;

-- ---------------------------------------------------------------- every order

-- Plays steps; the state that they leave, and which invariants it breaks. Nothing of it stays.
create function pg_temp.play(p_steps text[]) returns text language plpgsql as $$
declare v_step text; v_state text;
begin
  begin
    perform pg_temp.setup(), pg_temp.run();
    foreach v_step in array p_steps loop
      case v_step
        when 'good' then perform pg_temp.end();
        when 'bad' then perform pg_temp.end('failed', 'exit_nonzero');
        when 'issue' then
          if not (select fleet.pull_keeps(x) from fleet.task x) then
            perform case when x.status in ('assigned', 'running') then fleet.ask_cancel(x, 'issue_closed', 'forgejo:boss')::text
                         when x.status in ('created', 'review_pending') then fleet.cancel_idle(x, 'issue_closed', null, 'forgejo:boss')::text end from fleet.task x;
          end if;
        when 'cancel' then perform fleet.cancel('a', 'enough');
        when 'killed' then perform pg_temp.end('cancelled', 'cancelled');
        else perform pg_temp.sees(v_step);
      end case;
    end loop;
    v_state := pg_temp.fact() || coalesce(' BROKEN ' || nullif(t.rows('select * from t.broken()'), ''), '');
    raise sqlstate 'ZZ998' using message = v_state;
  exception when sqlstate 'ZZ998' then
    return sqlerrm;
  end;
end $$;
create function pg_temp.orders(p_items text[]) returns setof text[] language sql as $$
  with recursive o (done, rest) as (
    select array[]::text[], p_items
    union all
    select o.done || o.rest[i], o.rest[:i - 1] || o.rest[i + 1:] from o, generate_subscripts(o.rest, 1) i)
  select done from o where rest = '{}' $$;
-- All orders of the steps in which "before" comes before "after": the states that they come to.
create function pg_temp.ends(p_items text[], p_before text default null, p_after text default null) returns text language sql as $$
  select string_agg(distinct s, ', ' order by s) from (
    select pg_temp.play(o) as s from pg_temp.orders(p_items) o
    where p_before is null or array_position(o, p_before) < array_position(o, p_after)) x $$;

\echo 'every order'
begin;
select t.is(pg_temp.ends('{good,open}'), 'review_pending', 'end and opening');
select t.is(pg_temp.ends('{bad,open}'), 'review_pending exit_nonzero', 'bad end and opening');
select t.is(pg_temp.ends('{good,open,merged,issue}', 'open', 'merged'), 'completed', 'end, opening, merge and the issue it closes');
select t.is(pg_temp.ends('{bad,open,merged,issue}', 'open', 'merged'), 'completed', 'the same with a bad end');
select t.is(pg_temp.ends('{good,merged,issue}'), 'completed', 'a merge that was not seen open');
select t.is(pg_temp.ends('{bad,merged,issue}'), 'completed', '... with a bad end');
select t.is(pg_temp.ends('{good,open,issue}'), 'review_pending', 'an issue that is closed while it is under review');
select t.is(pg_temp.ends('{good,open,closed}', 'open', 'closed'), 'failed pr_closed', 'closed unmerged');
select t.is(pg_temp.ends('{bad,open,closed}', 'open', 'closed'), 'failed pr_closed', '... with a bad end') ;
select t.is(pg_temp.ends('{good,open,merged,cancel}', 'open', 'merged'), 'completed', 'a cancel by a person, and a merge all the same');
select t.is(pg_temp.ends('{cancel,killed,open,merged}', 'cancel', 'killed') like '%completed%', true, 'a run that was stopped, and a merge');
select t.is(pg_temp.play('{cancel,killed,open}'), 'cancelled cancelled', 'a run that a person stopped, and an opening');
select t.is(pg_temp.play('{cancel,open,killed}'), 'cancelled cancelled', '... before its end');
select t.is(pg_temp.play('{cancel,open,good}'), 'review_pending', 'a cancel that came too late');
select t.is(pg_temp.play('{issue,cancel,killed,open}'), 'cancelled cancelled', 'a person''s cancel behind that of the issue');
select t.is(pg_temp.play('{issue,killed,open}'), 'review_pending', 'a run that was stopped for its issue was closed, and an opening');
select t.is(pg_temp.play('{issue,open,killed}'), 'review_pending cancelled', '... before its end');
rollback;

\echo 'any order of many'
begin;
-- What a task comes to, said in other words than settle() says it. One run has to end; max_reviews is 3, no retries.
create function pg_temp.model(p_steps text[]) returns text language plpgsql as $$
declare v_step text; status text := 'running'; good boolean; pr text := 'none'; wish boolean := false; sent int := 0; stop text := ''; asked boolean := false;
begin
  foreach v_step in array p_steps loop
    case v_step
      when 'good', 'bad' then if status = 'running' then status := 'ended'; good := v_step = 'good'; end if;
      when 'claim' then if status = 'created' then status := 'running'; wish := false; asked := true; end if;
      when 'review' then if pr = 'open' and status <> 'cancelled' then wish := true; end if;
      when 'cancel' then
        if status = 'running' then stop := 'person'; elsif status in ('created', 'review_pending') then status := 'cancelled'; stop := 'person'; wish := false; end if;
      when 'issue' then
        if pr not in ('open', 'merged') then
          if status = 'running' then stop := case stop when '' then 'issue' else stop end; elsif status in ('created', 'review_pending') then status := 'cancelled'; stop := 'issue'; end if;
        end if;
      else pr := case when pr = 'merged' then pr else v_step end;
    end case;
    continue when status = 'running';
    -- nothing runs: the first that applies
    if pr = 'merged' then status := 'completed'; wish := false;
    elsif (status = 'cancelled' or status = 'ended' and stop <> '' and not good) and (stop = 'person' or pr <> 'open') then status := 'cancelled'; wish := false;
    elsif pr = 'closed' then status := 'failed'; wish := false;
    elsif status = 'created' then null;
    elsif wish and sent < 3 then status := 'created'; sent := sent + 1; stop := '';
    elsif pr = 'open' then status := 'review_pending'; wish := false; stop := '';
    elsif status = 'ended' then status := case when good then 'completed' else 'failed' end;
    end if;
  end loop;
  return status;
end $$;
create function pg_temp.play_any(p_steps text[]) returns text language plpgsql as $$
declare v_step text; v_pr text := 'none'; v_number int := 0;
begin
  begin
    perform pg_temp.setup(), pg_temp.run();
    foreach v_step in array p_steps loop
      v_number := v_number + 1;
      case v_step
        when 'good' then perform pg_temp.end();
        when 'bad' then perform pg_temp.end('failed', 'exit_nonzero');
        when 'claim' then if t.claim('w1', 1) <> '' then perform t.start('w1', 'a'); end if;
        when 'cancel' then perform fleet.cancel('a', 'enough');
        when 'issue' then
          if not (select fleet.pull_keeps(x) from fleet.task x) then
            perform case when x.status in ('assigned', 'running') then fleet.ask_cancel(x, 'issue_closed', 'forgejo:boss')::text
                         when x.status in ('created', 'review_pending') then fleet.cancel_idle(x, 'issue_closed', null, 'forgejo:boss')::text end from fleet.task x;
          end if;
        when 'review' then perform pg_temp.sees(v_pr, p_more => jsonb_build_object('reviews', jsonb_build_array(jsonb_build_object(
            'id', v_number, 'state', 'REQUEST_CHANGES', 'by', 'boss', 'by_id', 1, 'body', 'please')))) where v_pr <> 'none';
        else
          v_pr := case when v_pr = 'merged' then v_pr else v_step end;
          perform pg_temp.sees(v_pr);
      end case;
    end loop;
    raise sqlstate 'ZZ998' using message = (select status from fleet.task where task_id = 'a') || coalesce(' BROKEN ' || nullif(t.rows('select * from t.broken()'), ''), '');
  exception when sqlstate 'ZZ998' then
    return sqlerrm;
  end;
end $$;
select setseed(coalesce(nullif(current_setting('t.seed', true), '')::float8, 0.42));
create temp table tried on commit drop as
  select array(select ('{good,bad,claim,claim,open,open,merged,closed,review,review,cancel,issue,good,bad}'::text[])[1 + floor(random() * 14 + 0 * n * k)::int] from generate_series(1, 12) k) as steps
  from generate_series(1, 80) n;
select t.none(format($q$select steps, play, model from (select steps, pg_temp.play_any(steps) as play, pg_temp.model(steps) as model from pg_temp.tried) x where play <> model limit 3$q$),
  'eighty random orders come to what a model says');
select t.ok((select count(distinct pg_temp.model(steps)) from pg_temp.tried) >= 5, 'which are of all kinds');
rollback;

\echo 'the end of an issue whose pull request is open'
begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.reads();
select t.opens('ann', p_repo_id => 5);
select t.labels('ann', 'agent:x');
select t.look();
select t.claim('w1', 9), t.start('w1', 'acme/rocket#42');
select pg_temp.end();
select pg_temp.sees('open', p_pull => jsonb_build_object('head', jsonb_build_object('ref', branch_name, 'sha', 'aaa', 'repository_id', 5))) from fleet.task;
savepoint reviewed;
select t.turns('closed');
select t.is(t.look(), 'recorded', 'a look sees it closed');
select t.is(t.stands(), 'review_pending', '... and the pull request decides');
select t.unlabels('ann', 'agent:x'), t.turns('open');
select t.is(t.look(), 'recorded', 'or without its label');
select t.is(t.stands(), 'review_pending', '... all the same');
rollback to savepoint reviewed;
select fleet.look_failed(t.node('w1'), 'issue', (select issue from fleet.issue), 1, 'gone: 404', -1);
select t.is(t.stands(), 'review_pending', 'or it is no more');
select pg_temp.sees('merged');
select t.is(t.stands(), 'completed', '... and the merge completes it');
rollback;
