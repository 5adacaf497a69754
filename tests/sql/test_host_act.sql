-- Hosts by REST and by psql: made, changed, removed, cordoned, drained, declared dead; and the row in the trail of each.

create function pg_temp.code(r fleet.reply) returns text language sql as $$
  select concat_ws(' ', r.status, coalesce(r.body::jsonb ->> 'code', r.body::jsonb ->> 'status')) $$;
create function pg_temp.entry(p_more jsonb default '{}') returns jsonb language sql as $$
  select '{"host_id": "api", "hostname": "api.example.org", "ssh_user": "agent", "ssh_port": 22, "ssh_key_path": "/keys/api", "work_dir": "/srv/agent",
    "workspace": "plain", "repositories": ["*"], "agents": [{"agent_type": "codex-cli", "max_concurrency": 2, "capabilities": ["code:rust"],
    "profile": "sandboxed"}]}'::jsonb || p_more $$;
-- The API's host as a worker has taken it.
create function pg_temp.taken(p_revision int, p_way int default 1) returns jsonb language sql as $$
  select t.host('api', '{code:rust}', 2) || jsonb_build_object('revision', p_revision, 'way', p_way) $$;

\echo 'a host made by the API'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.submit('a');
select t.is(pg_temp.code(fleet.host_put(t.by(), 'api', pg_temp.entry())), '201 offline', 'is made');
select t.is((select row(host_id, revision, entry::jsonb = pg_temp.entry())::text from fleet.made_hosts()), '(api,1,t)', 'workers are given it, whole');
select t.is((select string_agg(reason, '; ') from fleet.explain_task('a') where agent_id = 'api/codex-cli'), 'its host is offline: no worker reported it reachable lately',
  'its executor may take tasks, once it is reached');
select t.is(t.claim('w1', 9), '', 'not before');
select t.is(t.configure('w1', t.host('h', '{x}', 1), pg_temp.taken(1)), 'api ok, h ok', 'a worker takes it beside those of its file');
select t.is(t.report('w1', 'api', t.identity('api')), 'ok', 'and reaches it');
select t.is(t.claim('w1', 9), 'a', 'a task runs there');
select t.is(pg_temp.code(fleet.host_put(t.by(), 'api', pg_temp.entry('{"ssh_port": 2222}'))), '200 online', 'put again it is changed');
select t.is(t.configure('w1', t.host('h', '{x}', 1), pg_temp.taken(1)), 'api changed, h ok', 'who has the entry before is told');
select t.none($$select from fleet.node_host where host_id = 'api'$$, '... and serves it no more');
select t.is(t.configure('w1', t.host('h', '{x}', 1), pg_temp.taken(2, 2)), 'api ok, h ok', 'before it has the new one');
select t.throws($$select fleet.host_put(t.by(), 'h', pg_temp.entry('{"host_id": "h"}'))$$, 'AF004', 'a host of a file is not the API''s to change');
select t.throws($$select fleet.host_delete(t.by(), 'h')$$, 'AF004', 'nor to remove, while a worker lists it');
select t.throws($$select fleet.host_delete(t.by(), 'api')$$, 'AF006', 'nor one where something runs');
select t.is((select free from fleet.hosts where host_id = 'api'), 1, '... which stays as it was');
select t.start('w1', 'a');
select t.finish('w1', 'a');
select t.is((fleet.host_delete(t.by(), 'api')).status, 204, 'an empty one is removed');
select t.is((fleet.host_detail(t.by(), 'api')).status, 404, 'then it is not there');
select t.none('select from fleet.made_hosts()', 'for workers neither');
select t.throws($$select fleet.host_delete(t.by(), 'api')$$, 'AF003', 'once');
select t.is(pg_temp.code(fleet.host_put(t.by(), 'api', pg_temp.entry())), '201 offline', 'it may be made again');
select t.is((select revision from fleet.made_hosts()), 3, '... as another entry');
select t.is((select string_agg(concat_ws(' ', action, object, before ->> 'ssh_port', after ->> 'ssh_port'), ', ' order by audit) from fleet.audit where action <> 'task_submit'),
  'host_put api 22, host_put api 22 2222, host_delete api, host_put api 22', 'the trail has what it was and what it became');
select t.sound();
rollback;

\echo 'the file and the API'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select fleet.host_put(t.by(), 'api', pg_temp.entry());
select t.configure('w1', t.host('h', '{x}', 1), pg_temp.taken(1));
select t.is(t.configure('w1', t.host('h', '{x}', 1)), 'h ok', 'a worker that does not serve it');
select t.is((select row(host_id, cordoned_by)::text from fleet.host_details where host_id = 'api'), '(api,)', 'cordons no host of the API');
select t.is(t.configure('w1', t.host('api', '{code:rust}', 3)), 'api taken_over', 'a file that lists it wins');
select t.is((select origin || ' ' || max_concurrency from fleet.host_details where host_id = 'api'), 'config 3', 'it is of the file now');
select t.none('select from fleet.made_hosts()', 'and no worker is given the API''s');
select t.is(t.configure('w1', pg_temp.taken(1)), 'api changed', 'who still has it is told');
select t.is((select status from fleet.host_now where host_id = 'api'), 'cordoned', 'a file that lists it no more cordons it');
select t.throws($$select fleet.host_put(t.by(), 'api', pg_temp.entry())$$, 'AF004', 'it is not the API''s');
select fleet.forget_host('api');
select t.is(pg_temp.code(fleet.host_put(t.by(), 'api', pg_temp.entry())), '201 offline', 'before somebody forgot it');
select t.worker('w2', t.host('h', '{x}', 1), pg_temp.taken(2));
select t.configure('w1', t.host('h', '{x}', 1), pg_temp.taken(2, 7));
select t.is((select differs from fleet.host_details where host_id = 'api'), null, 'two workers that took it do not differ');
select t.sound();
rollback;

\echo 'a host made by psql'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select fleet.put_host('{"host_id": "api", "hostname": "localhost", "work_dir": "/w", "agents": [{"agent_type": "codex-cli", "capabilities": ["agent:code:rust"]}]}');
select t.is((select entry::jsonb from fleet.made_hosts()), '{"host_id": "api", "hostname": "localhost", "work_dir": "/w", "ssh_port": 22, "workspace": "plain", "repositories": ["*"],
  "agents": [{"agent_type": "codex-cli", "capabilities": ["agent:code:rust"], "max_concurrency": 1, "profile": "sandboxed"}]}'::jsonb, 'has the defaults filled in');
select t.is((select capabilities || array[free::text] from fleet.hosts where host_id = 'api'), '{code:rust,1}', 'and is there');
select t.throws(format('select fleet.put_host(%L)', e), 'AF007', 'an entry that lacks something: ' || e)
from unnest(array['{}', '{"host_id": "-x", "hostname": "h", "work_dir": "/w", "agents": []}', '{"host_id": "x", "hostname": "h", "work_dir": "w", "agents": []}',
  '{"host_id": "x", "hostname": "h", "work_dir": "/w"}']) e;
select t.throws($$select fleet.put_host('{"host_id": "h", "hostname": "h", "work_dir": "/w", "agents": []}')$$, 'AF004', 'nor one of a file');
select t.is((select string_agg(action || ' ' || object || ' ' || (actor like 'psql:%'), ', ') from fleet.audit), 'host_put api true', 'the trail has it');
rollback;

\echo 'cordon, uncordon, check by REST'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.worker('w2', t.host('i', '{x}', 2));
select t.is((select body::jsonb -> 0 ->> 'host_id' || ' ' || next from fleet.host_list(t.by(), 1, null)), 'h h', 'a page names the next');
select t.is((select body::jsonb -> 0 ->> 'host_id' || ' ' || (next is null) from fleet.host_list(t.by(), 1, 'h')), 'i true', '... which is the last');
select t.is((fleet.host_list(t.by(), 1, 'h/x')).status, 400, 'a cursor of nobody');
select t.is(pg_temp.code(fleet.host_act(t.by(), 'cordon', 'h', 'new disk', null)), '200 cordoned', 'cordoned');
select t.is((select (body::jsonb -> 'cordoned') - 'at' from fleet.host_detail(t.by(), 'h')), '{"by": "open", "reason": "new disk", "drained": false, "deadline": null}'::jsonb,
  'by whom and why is told');
select t.is(t.claim('w1', 9), '', 'nothing is placed there');
select t.is(pg_temp.code(fleet.host_act(t.by(), 'uncordon', 'h', null, null)), '200 online', 'uncordoned');
select t.is(t.claim('w1', 9), 'a', 'it is served');
select t.is(pg_temp.code(fleet.host_act(t.by(), 'check', 'h', null, null)), '202 online', 'a check is asked for');
select t.throws($$select fleet.host_act(t.by(), 'cordon', 'h', '', null)$$, 'AF007', 'a cordon has a reason');
select t.throws($$select fleet.host_act(t.by(), 'drain', 'h', null, 1)$$, 'AF007', 'a drain too');
select t.throws($$select fleet.host_act(t.by(), 'declare_dead', 'h', null, null)$$, 'AF007', 'and a death');
select t.throws($$select fleet.host_act(t.by(), 'check', 'nobody', null, null)$$, 'AF003', 'and each a host');
select t.is((fleet.host_detail(t.by(), 'nobody')).status, 404, 'one that is not there has no detail');
insert into fleet.token (name, scope, hash, prefix, repositories) values ('bound', 'admin', sha256('bound'), 'p', '{acme/rocket}');
select t.throws(format('select fleet.%s', f), 'AF009', 'a token that is bound to repositories: ' || f)
from (select t.by((select token_id from fleet.token))::text as by) b,
  unnest(array[format($$host_act(%L, 'cordon', 'h', 'x', null)$$, by), format($$host_put(%L, 'x', '{}')$$, by), format($$host_delete(%L, 'h')$$, by),
               format($$account_park(%L, 'h/codex-cli', null, 'x')$$, by), format($$account_unpark(%L, 'h/codex-cli', null)$$, by)]) f;
select t.is((select string_agg(action || ' ' || object, ', ' order by audit) from fleet.audit where action <> 'task_submit'), 'host_cordon h, host_uncordon h, host_check h', 'the trail has what was done');
rollback;

\echo 'drain'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit(k) from unnest('{stopped,good,wanted,claimed}'::text[]) k;
select t.claim('w1', 9);
select t.start('w1', k) from unnest('{stopped,good,wanted}'::text[]) k;
select fleet.host_act(t.by(), 'drain', 'h', 'move', null);
select fleet.promote(1);
select t.none($$select from fleet.renew(t.node('w1'), array(select attempt from fleet.attempt)) where kind = 'cancel'$$, 'without a deadline what runs goes on');
select fleet.drain('h', 'move', 3600);
select fleet.promote(1);
select t.none($$select from fleet.renew(t.node('w1'), array(select attempt from fleet.attempt)) where kind = 'cancel'$$, 'and before it');
select t.ok((select body::jsonb -> 'cordoned' ->> 'deadline' is not null and body::jsonb -> 'cordoned' ->> 'drained' = 'true' from fleet.host_detail(t.by(), 'h')), 'which is told');
update fleet.host set drain_until = now();
select fleet.promote(1);
select t.is((select count(*) from fleet.renew(t.node('w1'), array(select attempt from fleet.attempt)) where kind = 'cancel'), 4::bigint, 'at the deadline all are to be stopped');
select t.is((select string_agg(distinct event_type || ' ' || (payload ->> 'reason'), ', ') from fleet.history where event_type = 'drained'), 'drained move', 'the history says why');
select fleet.cancel('wanted');
select t.is(t.finish('w1', 'stopped', 'cancelled', 'cancelled'), 'created', 'a stopped one waits again');
select t.is((select outcome || ' ' || reason from fleet.attempts where task_id = 'stopped'), 'released drained', 'given back');
select t.is(t.finish('w1', 'stopped', 'cancelled', 'cancelled'), 'created', 'repeated: the same');
select t.is((select row(retry_count, release_count)::text from fleet.task where task_id = 'stopped'), '(0,1)', 'no retry is burnt');
select t.is(t.finish('w1', 'good'), 'completed', 'one that ended well before its stop has ended well');
select t.is(t.finish('w1', 'wanted', 'cancelled', 'cancelled'), 'cancelled', 'one that was to be cancelled is');
select t.is((select verdict from fleet.starting(t.node('w1'), t.attempt('claimed'), 1, 'r', 'c', 'p')), 'cancel', 'one that was not started is not');
select t.is(fleet.release(t.node('w1'), t.attempt('claimed'), 1, 'cancelled'), 'created', '... and waits again');
select t.due();
select t.is(t.claim('w1', 9), '', 'nothing new is placed there');
select fleet.uncordon('h');
select t.is(t.claim('w1', 9), 'stopped claimed', 'before it is uncordoned');
select t.none($$select from fleet.renew(t.node('w1'), array(select attempt from fleet.attempt)) where kind = 'cancel'$$, 'then it is served as before');
select t.is((select string_agg(action || ' ' || (actor = 'open'), ', ' order by audit) from fleet.audit where object = 'h'), 'host_drain true, host_drain false, host_uncordon false', 'the trail');
select t.sound();
rollback;

\echo 'a host that a person declares dead'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9), t.host('other', '{code:rust}', 9));
select fleet.cordon('other', 'not yet');
select t.submit(k, '{agent:code:rust}', jsonb_build_object('max_retries', case k when 'spent' then 0 else 2 end)) from unnest('{again,spent,wanted,gone}'::text[]) k;
select t.claim('w1', 9);
select t.start('w1', k) from unnest('{again,spent,wanted,gone}'::text[]) k;
select fleet.cancel('wanted');
select fleet.retry('gone', true, 'burnt');
select t.is(pg_temp.code(fleet.host_act(t.by(), 'declare_dead', 'h', 'fire', null)), '200 cordoned', 'is cordoned');
select t.is((select string_agg(task_id || ' ' || status, ', ' order by task_id) from fleet.tasks), 'again created, gone created, spent failed, wanted cancelled',
  'its tasks wait again where a retry is left, else have failed; what was to be cancelled is');
select t.is((select failure_reason || ' ' || retry_count from fleet.task where task_id = 'again'), 'host_lost 1', 'a retry is counted');
select t.is((select failure_reason from fleet.task where task_id = 'spent'), 'host_lost', 'failed because the host is lost');
select t.is((select count(*) from fleet.slot s join fleet.executor e using (executor) where host_id = 'h' and attempt is not null), 0::bigint, 'every slot is free');
select t.is((select count(*) from fleet.renew(t.node('w1'), array(select attempt from fleet.attempt)) where kind = 'cancel'), 4::bigint, 'should it come back, what runs there is stopped');
select t.is(t.finish('w1', 'spent'), 'failed', 'and what came of it is evidence only');
select fleet.uncordon('other');
select t.due();
select t.is(t.claim('w1', 9), 'again gone', 'another host takes over');
select t.is((select executor = (select executor from fleet.executor where host_id = 'other') from fleet.task where task_id = 'again'), true, '... indeed');
select fleet.declare_dead('h', 'still');
select t.is((select count(*) from fleet.audit where action = 'host_declare_dead'), 2::bigint, 'twice is no more than once');
select fleet.check_host('h');
select fleet.host_accept('h');
select t.is((select string_agg(distinct action, ' ') from fleet.audit where actor like 'psql:%' and object = 'h'), 'host_accept host_check host_declare_dead', 'psql is in the trail');
select t.sound();
rollback;

\echo 'retry_on'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
update fleet.node set retry_on = '{limit}';
select t.submit('a');
select t.claim('w1', 9);
select fleet.declare_dead('h', 'fire');
select t.is(t.status('a'), 'failed', 'a lost host is not tried again where retry_on says so');
rollback;
