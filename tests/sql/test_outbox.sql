-- The outbox: what is due when, who tells it, what is told, and what becomes of what cannot be.

create function pg_temp.fleet(p_more jsonb default '{}') returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{code:rust}', 2));
  perform fleet.node_start(t.node('w2'), 'worker', 'w2', '0.1.0', 'x');
  perform fleet.forgejo_configure(t.node('w1'), '{"url": "https://git.example.org", "reads": true, "trigger_users": ["octo"]}' || p_more, 7, 'fleet');
end $$;
-- An issue gets its label, and was just read.
create function pg_temp.ask(p_at text default '2026-01-01T10:00:00Z') returns text language plpgsql as $$
declare v text := t.deliver('d' || p_at, 'label_updated', '{agent:code:rust}', p_at); begin
  update fleet.issue set read_at = now();
  return v; end $$;
create function pg_temp.tells(p_node text default 'w1') returns text language sql as $$
  select coalesce(string_agg(concat_ws(' ', x.repo, x.issue_number, x.seq, x.story ->> 'status', x.story ->> 'label', x.told), ', '), '')
  from fleet.tells(t.node(p_node), 9) x $$;
create function pg_temp.the() returns fleet.outbox language sql as $$ select o from fleet.outbox o $$;
create function pg_temp.told(p_told jsonb default '{}', p_node text default 'w1') returns boolean language sql as $$
  select fleet.told(t.node(p_node), o.task, o.taken_seq, p_told) from fleet.outbox o $$;
create function pg_temp.failed(p_kind text, p_retry bigint default 0, p_told jsonb default '{}', p_node text default 'w1') returns boolean language sql as $$
  select fleet.tell_failed(t.node(p_node), o.task, o.taken_seq, p_kind, 'because', p_retry, p_told) from fleet.outbox o $$;
create function pg_temp.story() returns jsonb language sql as $$ select fleet.story(t) from fleet.task t $$;
create function pg_temp.now_due() returns void language sql as $$ update fleet.outbox set tell_at = now() $$;
create function pg_temp.later(p_secs int) returns text language sql as $$
  select case when tell_at = 'infinity' then 'never' when tell_at between now() + make_interval(secs => p_secs * 0.7) and now() + make_interval(secs => p_secs * 1.3)
         then 'in time' else (tell_at - now())::text end from fleet.outbox $$;
create function pg_temp.end(p_outcome text, p_reason text default null, p_report jsonb default '{}') returns text language sql as $$
  select fleet.finish_run(a.node, a.attempt, a.epoch, p_outcome, p_reason, 0, null, p_report, null, 'proof')
  from fleet.attempt a where a.attempt = t.attempt('acme/rocket#42') $$;

\echo 'without a Forgejo that is read nothing is told'
begin;
select pg_temp.fleet('{"reads": false}');
select t.is(pg_temp.ask(), 'accepted submitted', 'an issue is submitted');
select t.is((select count(*) from fleet.outbox), 0::bigint, '... and has no row');
select t.is(fleet.retell('acme/rocket#42'), 'telling', 'a person asks all the same');
select t.is((select count(*) from fleet.outbox), 0::bigint, '... in vain');
select pg_temp.fleet();
select t.is(pg_temp.tells(), 'acme/rocket 42 1 created fleet/queued {"status_tries": 0}', 'once one is read, what has not ended is told');
select pg_temp.told();
select pg_temp.fleet();
select t.is(pg_temp.tells(), '', '... once');
rollback;

begin;
select pg_temp.fleet('{"reads": false}');
select pg_temp.ask();
select fleet.cancel_task('acme/rocket#42', 'it', null);
select pg_temp.fleet();
select t.is((select count(*) from fleet.outbox), 0::bigint, '... and what had ended is not');
rollback;

\echo 'a task of an issue, from its first word to its last'
begin;
select pg_temp.fleet();
select t.submit('a');
select pg_temp.ask();
select t.is((select string_agg(task_id, ' ') from fleet.outbox join fleet.task using (task)), 'acme/rocket#42', 'tasks of issues have a row, others none');
select t.is(pg_temp.tells(), 'acme/rocket 42 1 created fleet/queued {"status_tries": 0}', 'due at once');
select t.is(pg_temp.tells() || pg_temp.tells('w2'), '', '... for one worker');
select t.ok(fleet.telling(t.node('w1'), (pg_temp.the()).task, 1, 'comment'), 'a comment is announced');
select t.ok((pg_temp.the()).taken_until > now() + interval '20 min', '... by a worker that has it for longer than a call may take');
select t.ok((pg_temp.the()).posting_at is not null and (pg_temp.the()).posting = 'comment', '... and known as announced');
select fleet.telling(t.node('w1'), (pg_temp.the()).task, 1, null);
select t.is((pg_temp.the()).posting, 'comment', '... also when it takes long');
select t.ok(pg_temp.told('{"comment_id": 5, "comment_hash": "x", "posting": null, "label": "fleet/queued", "evil": 1}'), 'told');
select t.is((select row(told, dirty, comment_id, comment_hash, label, posting, tries)::text from fleet.outbox), '(1,1,5,x,fleet/queued,,0)', 'what stands there is known');
select t.is(pg_temp.later(0), 'never', 'nothing is due then');
select t.claim('w1', 2);
select t.is((pg_temp.the()).dirty, 2::bigint, 'a claim is a step');
select t.is(pg_temp.later(15), 'in time', 'edits are tell_ms apart');
select t.start('w1', 'acme/rocket#42');
select pg_temp.now_due();
select t.is(split_part(pg_temp.tells(), ' {', 1), 'acme/rocket 42 4 running fleet/running', 'the state is read when it is told');
select pg_temp.told();
select t.is(pg_temp.later(300), 'in time', 'a run is told again for the time that goes by');
select t.is(pg_temp.end('succeeded'), 'completed', 'it ends');
select t.ok((pg_temp.the()).tell_at <= now(), '... which is told at once');
select pg_temp.tells();
select fleet.note((pg_temp.the()).task, 'kept', null, 'x');
select pg_temp.told('{"label": "fleet/done"}');
select t.ok((pg_temp.the()).tell_at <= now() and (pg_temp.the()).told < (pg_temp.the()).dirty, 'what comes while it is told is told next');
select t.sound();
rollback;

\echo 'the story'
begin;
select pg_temp.fleet();
select pg_temp.ask();
select t.is((select string_agg(k, ' ' order by k) from jsonb_object_keys(pg_temp.story()) k),
  'attempts branch fleet label max_attempts max_retries number repo requested_by retries spent status task_id title', 'before the first run');
select t.claim('w1', 2);
select t.start('w1', 'acme/rocket#42');
select t.is((pg_temp.story() -> 'attempt') - 'elapsed_secs', '{"number": 1, "agent": "codex-cli", "agent_id": "h/codex-cli", "host": "h", "phase": "running", "ended": false}'::jsonb, 'who runs it, where');
select pg_temp.end('succeeded', null, '{"summary": "did it", "cost_usd": 1.5, "tokens": {"input": 10, "output": 2}, "work": {"state": "pushed", "branch": "task/x", "base_branch": "main", "head": "abc", "pushed": "abc", "commits": 2}}');
select t.is(pg_temp.story() -> 'spent', '{"input": 10, "output": 2, "cost_usd": 1.5}'::jsonb, 'what it cost, as it says');
select t.is(pg_temp.story() -> 'commit', '{"sha": "abc", "context": "agent-fleet/codex-cli", "attempt": 1, "state": "success"}'::jsonb, 'the commit status');
select t.is(pg_temp.story() -> 'need', null, 'nobody is needed');
select t.is((select story -> 'open_pull' from fleet.tells(t.node('w1'), 9)), null, 'no pull request unless the policy says so');
select pg_temp.told();
select fleet.forgejo_configure(t.node('w1'), '{"url": "u", "reads": true, "open_pull_request": true}', 7, 'fleet');
select t.is(fleet.retell('acme/rocket#42'), 'telling', 'told anew');
select t.is((select story -> 'open_pull' from fleet.tells(t.node('w1'), 9)), '{"head": "task/x", "sha": "abc", "base": "main"}'::jsonb, 'a draft is wanted of what was pushed');
select pg_temp.told('{"pull_asked": "abc"}');
select fleet.retell('acme/rocket#42');
select t.is((select story -> 'open_pull' from fleet.tells(t.node('w1'), 9)), null, '... once');
update fleet.outbox set pull_asked = null;
update fleet.repository set repository_id = 3;
select pg_temp.told();
select t.is(fleet.pull_opened(t.node('w1'), jsonb_build_object('repository', '{"id": 3, "full_name": "acme/rocket"}'::jsonb, 'pull', jsonb_build_object(
  'id', 70, 'number', 7, 'state', 'open', 'merged', false, 'draft', true, 'updated_at', '2026-01-01T11:00:00Z',
  'head', jsonb_build_object('ref', (select branch_name from fleet.task), 'sha', 'abc', 'repository_id', 3), 'base', '{"ref": "main"}'::jsonb))), 'open', 'it is there');
select t.is(pg_temp.story() -> 'pull', '{"number": 7, "state": "open", "merged": false, "draft": true}'::jsonb, '... and told');
select t.is(pg_temp.story() ->> 'status', 'review_pending', '... as what the task waits for');
select fleet.retell('acme/rocket#42');
select t.is((select story -> 'open_pull' from fleet.tells(t.node('w1'), 9)), null, '... and no other one is wanted');
select t.throws($$select fleet.pull_opened(gen_random_uuid(), '{}')$$, 'AF002', 'not by a node that is none');
rollback;

\echo 'when a person is needed'
begin;
select pg_temp.fleet();
select pg_temp.ask();
select t.claim('w1', 2);
select t.start('w1', 'acme/rocket#42');
savepoint running;
update fleet.attempt set question = 'which?';
select t.is(pg_temp.story() #>> '{need,kind}', 'needs_input', 'for an answer, while it runs');
update fleet.attempt set answer = 'this';
select t.is(pg_temp.story() -> 'need', null, '... not when it was given');
rollback to running;
select pg_temp.end('succeeded', 'needs_input', '{"question": "which?"}');
select t.is((pg_temp.story() #>> '{need,kind}') || ' ' || (pg_temp.story() ->> 'label'), 'needs_input fleet/review', 'for an answer');
select t.keep('key', pg_temp.story() #>> '{need,key}');
select fleet.answer('acme/rocket#42', 'this');
select t.is(pg_temp.story() -> 'need', null, 'not behind it');
select t.claim('w1', 2);
select t.start('w1', 'acme/rocket#42');
select pg_temp.end('succeeded', 'needs_input', '{"question": "which?"}');
select t.ok(pg_temp.story() #>> '{need,key}' <> t.kept('key'), 'another question is another need');
select fleet.answer('acme/rocket#42', 'that');
select t.claim('w1', 2);
select t.start('w1', 'acme/rocket#42');
select pg_temp.end('failed', 'auth_failed');
select t.is((select count(*) from fleet.task where status = 'failed'), 1::bigint, 'a failure that no retry follows');
select t.is(pg_temp.story() #>> '{need,kind}', 'failed', '... needs one too');
select t.ok(pg_temp.story() ->> 'advice' <> '', '... and says what to do');
rollback;

\echo 'a worker that dies, and one that is slow'
begin;
select pg_temp.fleet();
select pg_temp.ask();
select pg_temp.tells();
select fleet.telling(t.node('w1'), (pg_temp.the()).task, 1, 'comment');
update fleet.outbox set comment_hash = 'x', status_told = 'y'; -- as they were before
select fleet.node_stop(t.node('w1'));
select t.is(pg_temp.tells('w2'), 'acme/rocket 42 1 created fleet/queued {"label": "?", "posting": "comment", "posting_secs": 0, "status_tries": 0}', 'the next one knows that a comment may be there');
select t.ok(not fleet.telling(t.node('w1'), (pg_temp.the()).task, 1, 'comment'), 'the first one may send nothing any more');
select pg_temp.told('{"comment_id": 5, "posting": null}', 'w2');
select t.ok(not fleet.told(t.node('w2'), (pg_temp.the()).task, 1, '{"comment_id": 5, "posting": null}'), 'said twice, for the answer was lost');
select t.is((select row(comment_id, told = dirty)::text from fleet.outbox), '(5,t)', '... is told once');
select t.ok(not fleet.told(t.node('w1'), (pg_temp.the()).task, 1, '{"comment_id": 4}'), 'what it posted all the same');
select t.is((select row(comment_id, told < dirty)::text from fleet.outbox), '(,t)', '... is looked for');
rollback;
begin;
select pg_temp.fleet();
select pg_temp.ask();
select pg_temp.tells();
update fleet.outbox set taken_until = now() - interval '1 s';
select t.is(split_part(pg_temp.tells('w2'), ' {', 1), 'acme/rocket 42 1 created fleet/queued', 'a row that was had for too long');
select t.ok(not fleet.tell_failed(t.node('w1'), (pg_temp.the()).task, 1, 'park', 'x', 0, '{}'), '... is not the first one''s to park');
rollback;

begin;
select pg_temp.fleet();
select pg_temp.ask();
select pg_temp.tells();
update fleet.outbox set taken_until = now() - interval '1 s', tell_at = now(), dirty = dirty + 1;
select t.is(split_part(pg_temp.tells(), ' {', 1), 'acme/rocket 42 2 created fleet/queued', 'a row that its worker takes once more');
select t.ok(not fleet.telling(t.node('w1'), (pg_temp.the()).task, 1, 'comment'), '... may be told by its last try only');
select t.ok(not fleet.told(t.node('w1'), (pg_temp.the()).task, 1, '{}'), '... which is that');
select t.ok(fleet.telling(t.node('w1'), (pg_temp.the()).task, 2, 'comment'), '... and no other');
rollback;

\echo 'what cannot be told'
begin;
select pg_temp.fleet();
select pg_temp.ask();
select pg_temp.tells();
select t.ok(pg_temp.failed('wait', 65), 'a second look has its time');
select t.is(pg_temp.later(65), 'in time', '... and is no failure');
select t.is((select row(tries, failing_since)::text from fleet.outbox), '(0,)', '... of the row');
update fleet.outbox set posting = 'comment', posting_at = now();
select fleet.mark((pg_temp.the()).task, true);
select t.is(pg_temp.later(65), 'in time', '... which nothing cuts short while a comment may be on its way');
update fleet.outbox set posting = null, posting_at = null;
select pg_temp.now_due();
select pg_temp.tells();
select pg_temp.failed('away', 120, '{"comment_id": 5}');
select t.is(pg_temp.later(120), 'in time', 'Retry-After is kept');
select fleet.mark((pg_temp.the()).task, true);
select t.is(pg_temp.later(120), 'in time', '... whatever happens to the task');
select t.is((select row(comment_id, told, why, state)::text from fleet.outbox join fleet.tellings using (comment_id)), '(5,0,because,failing)', 'what stands is kept, and why it failed');
select t.submit('b', p_more => '{"repo": "acme/rocket"}');
insert into fleet.outbox (task, told, told_at, tell_at) select t.task, 1, now() - interval '1 hour', 'infinity' from fleet.task t where t.task_id = 'b';
do $$ begin for i in 1..12 loop update fleet.outbox set tell_at = now() where tell_at < 'infinity'; perform pg_temp.tells();
  perform fleet.tell_failed(t.node('w1'), o.task, o.taken_seq, 'away', 'because', 0, '{}') from fleet.outbox o where taken_by is not null; end loop; end $$;
select t.is((select row(state, tries)::text from fleet.tellings where task_id <> 'b'), '(failing,13)', 'a Forgejo that is away parks nothing');
select t.ok((select tell_at <= now() + interval '375 s' from fleet.outbox where tell_at < 'infinity'), '... and is asked again within tell_max_ms');
update fleet.outbox set tell_at = now(), failing_since = failing_since - interval '1 min' where tell_at < 'infinity';
select pg_temp.tells();
update fleet.outbox set told_at = now() where tell_at = 'infinity';
select fleet.tell_failed(t.node('w1'), o.task, o.taken_seq, 'away', 'poison', 0, '{}') from fleet.outbox o where taken_by is not null;
select t.is((select row(state, why)::text from fleet.tellings where task_id = 'acme/rocket#42'), '(parked,poison)', 'one that fails while others are told is parked');
select t.is(pg_temp.tells(), '', 'what is parked is not tried');
select t.is(fleet.retell('acme/rocket#42'), 'telling', 'until a person says so');
select t.ok(pg_temp.tells() like 'acme/rocket 42 %', '... then it is');
select t.is(fleet.retell('b') || ' ' || fleet.retell('nix'), 'no_issue not_found', 'of other tasks nothing is told');
rollback;
begin;
select pg_temp.fleet();
select pg_temp.ask();
select fleet.set('tell_tries', 2);
select pg_temp.tells();
select pg_temp.failed('failed');
select t.is((select state from fleet.tellings), 'failing', 'refused once');
select pg_temp.now_due();
select pg_temp.tells();
select pg_temp.failed('failed');
select t.is((select state from fleet.tellings), 'parked', '... and tell_tries times: parked');
select t.deliver('no', 'label_updated', '{}', '2026-01-01T11:00:00Z');
select pg_temp.ask('2026-01-01T12:00:00Z');
select t.is((select state from fleet.tellings), 'due', 'a task that is asked for again is told again');
select pg_temp.tells();
select pg_temp.failed('park');
select t.is((select row(state, why)::text from fleet.tellings), '(parked,because)', 'at once, where trying again is no use');
select fleet.retell('acme/rocket#42');
select pg_temp.tells();
select pg_temp.failed('moved');
select t.is(pg_temp.later(30), 'in time', 'a repository that moved is looked for first');
select t.is((select row(why, tries)::text from fleet.tellings), '(because,0)', '... which is no failure of the row');
select pg_temp.now_due();
select pg_temp.tells();
select pg_temp.failed('repository');
select t.is((select parked_reason from fleet.repository where repo = 'acme/rocket'), 'because', 'a repository that lets us not in is parked');
select t.is(pg_temp.tells(), '', '... and nothing of it is told');
select fleet.unpark_repository('acme/rocket');
select t.ok(pg_temp.tells() like 'acme/rocket 42 %', '... until it is not');
select t.sound();
rollback;

\echo 'what is said to comments'
begin;
select pg_temp.fleet();
select pg_temp.ask();
select pg_temp.tells();
select pg_temp.told('{"comment_hash": "x", "label": "fleet/queued"}');
select fleet.respond(o.task, 42, c, '+1', case c when 92 then 'No.' end) from fleet.outbox o, generate_series(91, 92) c;
select t.is((select story -> 'responses' from fleet.tells(t.node('w1'), 9)),
  '[{"number": 42, "comment": 91, "reaction": "+1"}, {"text": "No.", "number": 42, "comment": 92, "reaction": "+1"}]'::jsonb, 'a comment is answered at once');
select pg_temp.failed('away', 0, '{"answered": [91]}');
select pg_temp.now_due();
select t.is((select jsonb_array_length(story -> 'responses') from fleet.tells(t.node('w1'), 9)), 1, '... what was said is not said again');
select pg_temp.told('{"answered": [92]}');
select t.is(pg_temp.later(0), 'never', '... and then all is said');
select fleet.respond(o.task, 42, c, '+1') from fleet.outbox o, generate_series(100, 130) c;
select jsonb_array_length(story -> 'responses') from fleet.tells(t.node('w1'), 9);
select pg_temp.told((select jsonb_build_object('answered', jsonb_agg(c)) from generate_series(100, 119) c));
select t.ok((pg_temp.the()).tell_at <= now(), 'of many the rest is said next');
select fleet.tell_anew((pg_temp.the()).task);
select t.is((select row(comment_hash, label)::text from fleet.outbox), '(,?)', 'a person wants to see it anew');
rollback;

\echo 'labels of states, and what goes with its task'
begin;
select t.is((select string_agg(fleet.state_label(s), ' ' order by s) from unnest('{agent_lost,assigned,cancelled,completed,created,failed,review_pending,running}'::text[]) s),
  'fleet/running fleet/running fleet/done fleet/queued fleet/failed fleet/review fleet/running', 'each state has its label; cancelled has none');
select pg_temp.fleet();
select pg_temp.ask();
select t.deliver('no', 'label_updated', '{}', '2026-01-01T11:00:00Z');
update fleet.task set completed_at = now() - interval '400 days', created_at = now() - interval '400 days';
delete from fleet.event;
select fleet.remove_tasks(now() - interval '365 days', 9);
select t.is((select count(*) from fleet.outbox) + (select count(*) from fleet.task), 0::bigint, 'a row goes with its task');
rollback;
